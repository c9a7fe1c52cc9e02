"""Two hundred real kills at random moments: of the checkpoint, of the compile cache, of anything between.

Run by `make validate`. A process samples with a checkpoint after every few iterations and an empty compile cache; it
is killed (SIGKILL) at a random moment and started again, until it gets to the end. Then the next folder is begun.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayesmlm.inference.checkpoint import Checkpoint, fingerprint
from bayesmlm.inference.sample import sample

from .toys import SETTINGS, gaussian

KILLS = 200
REPOSITORY = Path(__file__).resolve().parents[2]
TWO = replace(SETTINGS, chains=2)

VICTIM = """
import sys
import numpy as np
import jax
from bayesmlm.inference import compile_cache, lanes
from bayesmlm.inference.sample import sample
from tests.inference.test_kill_validation import TWO
from tests.inference.toys import gaussian

lanes.SAVE_SECONDS = -1.0
lanes._next_chunk = lambda *pace: 5
compile_in = compile_cache._compile_in

def checked(scratch, lowered):
    program, unreadable = compile_in(scratch, lowered)
    assert not unreadable, "an entry of the compile cache is damaged"
    return program, unreadable

compile_cache._compile_in = checked
print("sampling", flush=True)
draws = sample(gaussian(), TWO, progress=False, checkpoint=sys.argv[1], resume=True)
np.savez(sys.argv[2], unconstrained=draws.unconstrained, lp=draws.stats["lp"], x=draws.samples["x"])
"""


def run_and_kill(folder: Path, life: float | None) -> float | None:
    """Start or resume the run in ``folder`` and kill it after ``life`` seconds of compiling and sampling; how many it
    took if it had finished by then."""
    surroundings = os.environ | {"BAYESMLM_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", VICTIM, str(folder / "run"), str(folder / "draws.npz")]
    with subprocess.Popen(command, cwd=REPOSITORY, env=surroundings, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"sampling\n"
        begun = time.monotonic()
        try:
            process.wait(life)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        status = process.wait()
    assert status in (0, -signal.SIGKILL), "the process failed by itself; its message is above"
    return time.monotonic() - begun if status == 0 else None


def assert_valid(folder: Path) -> int:
    """The checkpoint, if there is one yet, opens and loads; iterations that it holds."""
    if not (folder / "run" / "manifest.json").exists():
        return 0
    checkpoint = Checkpoint.open(folder / "run", fingerprint(gaussian(), TWO, "threads"), resume=True)
    saved = [checkpoint.load(lane) for lane in range(TWO.chains)]
    return sum(lane.iteration for lane in saved if lane is not None)


@pytest.mark.validate
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_no_kill_does_harm(tmp_path: Path) -> None:
    random = np.random.default_rng(time.time_ns())
    usual = sample(gaussian(), TWO, progress=False)
    kills = runs = 0
    reached: list[int] = []
    (tmp_path / "undisturbed").mkdir()
    # Lives end while it compiles, samples or writes, however fast the machine is.
    longest_life = run_and_kill(tmp_path / "undisturbed", None)
    assert longest_life is not None
    while kills < KILLS:
        folder = tmp_path / f"run-{runs}"
        folder.mkdir()
        iterations = 0
        while run_and_kill(folder, random.uniform(0, longest_life)) is None:
            kills += 1
            before, iterations = iterations, assert_valid(folder)
            assert iterations >= before, "a kill lost what an earlier checkpoint held"
            reached.append(iterations)
        runs += 1
        with np.load(folder / "draws.npz") as draws:
            np.testing.assert_array_equal(draws["unconstrained"], usual.unconstrained)
            np.testing.assert_array_equal(draws["lp"], usual.stats["lp"])
            np.testing.assert_array_equal(draws["x"], usual.samples["x"])
    within = sum(0 < iterations < 2 * TWO.iterations for iterations in reached)
    print(f"\n{kills} kills, {within} of them within sampling; {runs} runs came to their end")
    assert within > KILLS / 10, "the kills came too early or too late to test anything"
