"""A progress display that fits where it is shown: a line that renews itself in a terminal, a bar in a
notebook, plain lines now and then in a log, or nothing.

`Progress.update` is called after every chunk and returns at once unless the display is due.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Progress", "StepProgress", "make_progress", "make_step_progress"]

BAR_WIDTH = 24


class Display(Protocol):
    """Where progress is shown; ``interval`` is the least number of seconds between two showings."""

    interval: float

    def show(self, text: str, fraction: float, last: bool) -> None:
        """Show one line of text, and how much of the run is done."""
        ...


@dataclass
class Progress:
    """Counts the iterations of all chains. ``total`` and ``warmup`` are iterations of one chain."""

    total: int
    warmup: int
    display: Display | None
    already: int = 0
    """Iterations (of all chains) that were done before this process, in a resumed run."""
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _shown: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._shown = self.clock()

    def update(self, iterations: Sequence[int], divergences: int, last: bool = False) -> None:
        """``iterations`` done by each chain; ``divergences`` after warm-up of all of them."""
        if self.display is None:
            return
        now = self.clock()
        if not last and now - self._shown < self.display.interval:
            return
        self._shown = now
        done = sum(iterations)
        fraction = done / (self.total * len(iterations))
        self.display.show(self._text(iterations, divergences, now - self._began, done), fraction, last)

    def _text(self, iterations: Sequence[int], divergences: int, elapsed: float, done: int) -> str:
        slowest = min(iterations)
        phase = "warm-up" if slowest < self.warmup else "drawing"
        chains = " ".join(str(n) for n in iterations) if len(iterations) <= 8 else f"slowest {slowest}"
        parts = [f"{phase}, iteration {chains} of {self.total}"]
        if divergences:
            parts.append(f"{divergences} divergent")
        left = self.total * len(iterations) - done
        fresh = done - self.already
        if left and fresh:
            parts.append(f"{_duration(elapsed * left / fresh)} left")
        else:
            parts.append(f"{_duration(elapsed)}")
        return ", ".join(parts)


@dataclass
class StepProgress:
    """How far an optimiser has come."""

    display: Display | None
    clock: Callable[[], float] = time.monotonic
    _shown: float = field(init=False)

    def __post_init__(self) -> None:
        self._shown = self.clock()

    def update(self, text: str, fraction: float, last: bool = False) -> None:
        """One line of text; ``fraction`` of the whole that is done."""
        if self.display is None or (not last and self.clock() - self._shown < self.display.interval):
            return
        self._shown = self.clock()
        self.display.show(text, fraction, last)


@dataclass
class Terminal:
    """One line on standard error that renews itself."""

    interval: float = 0.1
    _width: int = 0

    def show(self, text: str, fraction: float, last: bool) -> None:
        """Overwrite the line; the last one stays."""
        filled = round(BAR_WIDTH * fraction)
        line = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
        sys.stderr.write("\r" + line.ljust(self._width) + ("\n" if last else ""))
        sys.stderr.flush()
        self._width = len(line)


@dataclass
class Log:
    """Plain lines on standard error, at most one every few seconds; a short run leaves none."""

    interval: float = 10.0
    _spoke: bool = False

    def show(self, text: str, fraction: float, last: bool) -> None:
        """Print the line."""
        if last and not self._spoke:
            return
        self._spoke = True
        print(f"bayesmlm: {fraction:4.0%} {text}", file=sys.stderr, flush=True)


@dataclass
class Notebook:
    """A bar in the output cell, updated in place."""

    display: Callable[..., Any]
    html: Callable[[str], Any]
    interval: float = 0.5
    _handle: Any = None

    def show(self, text: str, fraction: float, last: bool) -> None:
        """Update the bar."""
        bar = f"<progress value='{fraction:.3f}' max='1' style='width:20em'></progress>"
        content = self.html(f"<div>{bar} {text}</div>")
        if self._handle is None:
            self._handle = self.display(content, display_id=True)
        else:
            self._handle.update(content)


def make_progress(shown: bool, total: int, warmup: int, already: int = 0) -> Progress:
    """Progress of a run, shown where this process can show it, or not at all."""
    return Progress(total, warmup, _display() if shown else None, already)


def make_step_progress(shown: bool) -> StepProgress:
    """The same for an optimiser."""
    return StepProgress(_display() if shown else None)


def _display() -> Display:
    if _in_notebook():
        ipython = importlib.import_module("IPython.display")
        return Notebook(ipython.display, ipython.HTML)
    return Terminal() if sys.stderr.isatty() else Log()


def _in_notebook() -> bool:
    """Whether this process is a Jupyter kernel. IPython is asked only if something else has imported it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
