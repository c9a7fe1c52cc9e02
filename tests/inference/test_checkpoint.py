"""Checkpoints: continued bit for bit, valid after a crash at any step, refused when they do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesmlm.errors import SamplingError
from bayesmlm.inference import checkpoint as module
from bayesmlm.inference import lanes
from bayesmlm.inference.checkpoint import Checkpoint
from bayesmlm.inference.protocol import SamplerSettings
from bayesmlm.inference.sample import sample

from .toys import COVARIANCE, MEAN, SETTINGS, Toy, bits, gaussian

TWO = replace(SETTINGS, chains=2)


class StopAfter(threading.Event):
    """Set once it has been asked ``times`` times: the sampler asks after each round of chunks."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def is_set(self) -> bool:
        self.times -= 1
        return self.times < 0


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One iteration a chunk: a stop can come at any iteration."""
    monkeypatch.setattr(lanes, "_next_chunk", lambda *pace: 1)


def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save after every chunk of forty iterations."""
    monkeypatch.setattr(lanes, "_next_chunk", lambda *pace: 40)
    monkeypatch.setattr(lanes, "SAVE_SECONDS", -1.0)


def go_on(folder: Path, times: int, settings: SamplerSettings = TWO) -> str:
    """Begin or resume a run and stop it after some chunks, wherever that is; what it says."""
    stop = StopAfter(times)
    try:
        draws = sample(gaussian(), settings, progress=False, checkpoint=folder, resume=True, stop=stop)
    except SamplingError as error:
        return str(error)
    return " ".join(draws.notes)


IN_A_FRESH_PROCESS = """
import sys
from dataclasses import replace
from pathlib import Path
from bayesmlm.inference.sample import sample
from tests.inference.toys import SETTINGS, bits, gaussian
import numpy as np
draws = sample(gaussian(), replace(SETTINGS, chains=2), progress=False, checkpoint=sys.argv[1], resume=True)
np.savez(sys.argv[2], unconstrained=draws.unconstrained, lp=draws.stats["lp"], x=draws.samples["x"])
"""


def test_a_fresh_process_continues_from_mid_warm_up(tmp_path: Path, short_chunks: None) -> None:
    said = go_on(tmp_path / "run", 60)
    assert "was stopped before every chain had a draw" in said
    assert "go on with `resume=True`" in said
    reached = [int(np.load(tmp_path / "run" / f"lane-00{lane}.npz")["counts"][0]) for lane in range(2)]
    assert all(0 < iteration < TWO.warmup for iteration in reached)
    repository = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(tmp_path / "run"), str(tmp_path / "draws.npz")]
    subprocess.run(command, check=True, cwd=repository, timeout=120)
    continued, usual = np.load(tmp_path / "draws.npz"), sample(gaussian(), TWO, progress=False)
    np.testing.assert_array_equal(continued["unconstrained"], usual.unconstrained)
    np.testing.assert_array_equal(continued["lp"], usual.stats["lp"])
    np.testing.assert_array_equal(continued["x"], usual.samples["x"])


@pytest.mark.parametrize("settings", [TWO, replace(TWO, thin=3), replace(TWO, chain_method="vectorized")])
def test_stopped_again_and_again(tmp_path: Path, short_chunks: None, settings: SamplerSettings) -> None:
    usual = bits(sample(gaussian(), settings, progress=False))
    folder = tmp_path / "run"
    for times in (7, 150, 50, 1, 200):
        assert "was stopped" in go_on(folder, times, settings)
    resumed = sample(gaussian(), settings, progress=False, checkpoint=folder, resume=True)
    assert bits(resumed) == usual
    again = sample(gaussian(), settings, progress=False, checkpoint=folder, resume=True)
    assert bits(again) == usual, "a finished run is read back"


STEPS = [
    f"{kind}: {step}"
    for kind in ("manifest", "draws", "state")
    for step in ("opened", "written", "synced", "renamed", "folder synced")
]


class CrashError(BaseException):
    """No handler may catch it."""


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_a_valid_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The second time round, so that there is something to lose. A killed process tidies nothing up, so
    neither does the crash here."""
    usual = bits(sample(gaussian(), replace(TWO, chains=1), progress=False))
    settings, left = replace(TWO, chains=1), [1 if step.startswith("manifest") else 2]

    def crash(moment: str) -> None:
        if moment == step:
            left[0] -= 1
            if not left[0]:
                raise CrashError

    with monkeypatch.context() as patched:
        save_often(patched)
        patched.setattr(module, "crash_hook", crash)
        patched.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(CrashError):
            sample(gaussian(), settings, progress=False, checkpoint=tmp_path)
    resumed = sample(gaussian(), settings, progress=False, checkpoint=tmp_path, resume=True)
    assert bits(resumed) == usual
    assert not list(tmp_path.glob(".unfinished-*"))


def test_a_finished_run_can_be_extended(tmp_path: Path) -> None:
    sample(gaussian(), TWO, progress=False, checkpoint=tmp_path)
    longer = replace(TWO, iterations=900, cores=1)
    extended = sample(gaussian(), longer, progress=False, checkpoint=tmp_path, resume=True)
    assert bits(extended) == bits(sample(gaussian(), longer, progress=False))
    with pytest.raises(SamplingError, match="holds 900 iterations already, more than the 600 asked for"):
        sample(gaussian(), TWO, progress=False, checkpoint=tmp_path, resume=True)


def test_resume_starts_where_there_is_nothing(tmp_path: Path) -> None:
    draws = sample(gaussian(), TWO, progress=False, checkpoint=tmp_path / "new" / "run", resume=True)
    assert draws.complete


def test_an_existing_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    sample(gaussian(), TWO, progress=False, checkpoint=tmp_path)
    with pytest.raises(SamplingError, match=r"already holds a checkpoint\. Go on with it by `resume=True`"):
        sample(gaussian(), TWO, progress=False, checkpoint=tmp_path)


OTHER_RUNS: dict[str, tuple[Callable[[], Toy], SamplerSettings]] = {
    "the data": (lambda: gaussian(MEAN + 1e-9, COVARIANCE), TWO),
    "the model's structure": (lambda: replace(gaussian(), key="another"), TWO),
    r"seed \(11 there, 12 here\)": (gaussian, replace(TWO, seed=12)),
    r"adapt_delta \(0.8 there, 0.9 here\)": (gaussian, replace(TWO, adapt_delta=0.9)),
    r"chains \(2 there, 3 here\)": (gaussian, replace(TWO, chains=3)),
    r"warmup \(300 there, 200 here\), thin \(1 there, 2 here\)": (gaussian, replace(TWO, warmup=200, thin=2)),
    r"init \(2.0 there, .* here\)": (gaussian, replace(TWO, init=np.zeros((2, 3)))),
    r"chain_method \(threads there, vectorized here\)": (gaussian, replace(TWO, chain_method="vectorized")),
}


@pytest.mark.parametrize(("message", "other"), OTHER_RUNS.items(), ids=[m.split()[-1] for m in OTHER_RUNS])
def test_another_run_is_refused(tmp_path: Path, message: str, other: Any) -> None:
    Checkpoint.open(tmp_path, module.fingerprint(gaussian(), TWO, "threads"), resume=False)
    program, settings = other
    with pytest.raises(SamplingError, match=f"What differs: {message}\\. "):
        sample(program(), settings, progress=False, checkpoint=tmp_path, resume=True)


def test_another_version_is_refused(tmp_path: Path) -> None:
    Checkpoint.open(tmp_path, module.fingerprint(gaussian(), TWO, "threads"), resume=False)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"numpyro": "0.1"}))
    with pytest.raises(SamplingError, match=r"What differs: numpyro \(0\.1 there, "):
        sample(gaussian(), TWO, progress=False, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("name", ["manifest.json", "lane-000.npz", "lane-001-draws-000000.npz"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "nonsense", "half"])
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    sample(gaussian(), TWO, progress=False, checkpoint=tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(SamplingError, match=f"{name} cannot be read"):
        sample(gaussian(), TWO, progress=False, checkpoint=tmp_path, resume=True)


def test_what_is_written_grows_with_the_draws_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws are added, never written again: many saves write 300 draws in all."""
    save_often(monkeypatch)
    sample(gaussian(), replace(TWO, chains=1), progress=False, checkpoint=tmp_path)
    lengths = [np.load(path)["draws_0"].shape[1] for path in tmp_path.glob("lane-000-draws-*")]
    assert sorted(lengths) == [20, *[40] * 7]
    assert sum(lengths) == 300
