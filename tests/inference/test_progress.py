"""What is shown where, and how often."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bayesmlm.inference.progress import Log, Notebook, Progress, Terminal, make_progress
from bayesmlm.inference.sample import sample

from .toys import SETTINGS, gaussian


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A display that remembers."""

    interval = 1.0

    def __init__(self) -> None:
        self.shown: list[tuple[str, float, bool]] = []

    def show(self, text: str, fraction: float, last: bool) -> None:
        self.shown.append((text, fraction, last))


TEXTS = [
    (10.0, [100, 50], 0, "warm-up, iteration 100 50 of 500, 57 s left", 0.15),
    (20.0, [300, 260], 3, "drawing, iteration 300 260 of 500, 3 divergent, 16 s left", 0.56),
    (7300.0, [500, 500], 0, "drawing, iteration 500 500 of 500, 2 h 01 min", 1.0),
    (150.0, [251] * 9, 0, "drawing, iteration slowest 251 of 500, 2 min 29 s left", 0.502),
]


@pytest.mark.parametrize(("now", "iterations", "divergences", "text", "fraction"), TEXTS)
def test_text(now: float, iterations: list[int], divergences: int, text: str, fraction: float) -> None:
    display, clock = Recorder(), Clock()
    progress = Progress(500, 250, display, clock=clock)
    clock.now = now
    progress.update(iterations, divergences)
    ((shown, done, last),) = display.shown
    assert (shown, last) == (text, False)
    assert done == pytest.approx(fraction)


def test_a_resumed_run_estimates_from_its_own_speed() -> None:
    display, clock = Recorder(), Clock()
    progress = Progress(500, 250, display, already=800, clock=clock)
    clock.now = 10.0
    progress.update([450, 450], 0)
    assert display.shown[0][0].endswith("10 s left")


def test_it_is_shown_no_more_often_than_its_interval() -> None:
    display, clock = Recorder(), Clock()
    progress = Progress(500, 250, display, clock=clock)
    for now in (0.5, 1.0, 1.5, 1.9, 2.0, 2.1):
        clock.now = now
        progress.update([int(100 * now)], 0)
    progress.update([500], 0, last=True)
    assert [f"{fraction:.2f}" for _, fraction, _ in display.shown] == ["0.20", "0.40", "1.00"]
    assert display.shown[-1][2]


def test_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    terminal = Terminal()
    terminal.show("a long text", 0.5, False)
    terminal.show("short", 1.0, True)
    first, second = stream.getvalue().lstrip("\r").split("\r")
    assert first == "[############............] a long text"
    assert second.rstrip("\n").rstrip() == "[########################] short"
    assert len(second.rstrip("\n")) == len(first), "the longer text is wiped out"


def test_log(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.show("all of it", 1.0, True)
    assert capsys.readouterr().err == "", "a short run leaves no line"
    log.show("half of it", 0.5, False)
    log.show("all of it", 1.0, True)
    assert capsys.readouterr().err == "bayesmlm:  50% half of it\nbayesmlm: 100% all of it\n"


def test_notebook() -> None:
    calls: list[Any] = []
    handle = SimpleNamespace(update=lambda content: calls.append(("update", content)))

    def display(content: str, display_id: bool) -> Any:
        calls.append(("display", content))
        return handle

    notebook = Notebook(display, str)
    notebook.show("half", 0.5, False)
    notebook.show("all", 1.0, True)
    assert [kind for kind, _ in calls] == ["display", "update"]
    assert "value='0.500'" in calls[0][1]


def test_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_progress(False, 10, 5).display is None
    assert isinstance(make_progress(True, 10, 5).display, Log)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(make_progress(True, 10, 5).display, Terminal)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    outputs = SimpleNamespace(display=print, HTML=str)
    monkeypatch.setitem(sys.modules, "IPython.display", outputs)
    assert isinstance(make_progress(True, 10, 5).display, Notebook)


def test_silence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    sample(gaussian(), SETTINGS, progress=False)
    assert capsys.readouterr() == ("", "")
    sample(gaussian(), SETTINGS, progress=True)
    assert capsys.readouterr().err.endswith("drawing, iteration 600 600 600 600 of 600, 0 s\n")
