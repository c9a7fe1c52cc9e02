"""Stopping early keeps the draws: by event, by Ctrl-C, by time budget."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bayesmlm.errors import SamplingError
from bayesmlm.inference.sample import sample

from .toys import SETTINGS, gaussian

ENDLESS = replace(SETTINGS, iterations=2_000_000, chains=3)
ALL_WARMUP = replace(ENDLESS, warmup=1_999_999)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def later(action: Callable[[], None], seconds: float = 0.5) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


@pytest.fixture(autouse=True)
def compiled() -> None:
    """The actions below come after half a second, and should find the sampler at work."""
    sample(gaussian(), SETTINGS, progress=False)


@pytest.mark.parametrize("how", ["event", "Ctrl-C", "time budget"])
def test_draws_are_kept(how: str) -> None:
    stop, settings = threading.Event(), ENDLESS
    if how == "event":
        later(stop.set)
    elif how == "Ctrl-C":
        later(interrupt)
    else:
        settings = replace(ENDLESS, time_budget=0.5)
    began = time.perf_counter()
    draws = sample(gaussian(), settings, progress=False, stop=stop)
    assert time.perf_counter() - began < 5  # one chunk of 0.2 s after the half second, on a busy machine
    assert not draws.complete
    count = draws.unconstrained.shape[1]
    assert count > 0
    assert {v.shape[:2] for v in [*draws.samples.values(), *draws.stats.values()]} == {(3, count)}
    assert f"{count} of 1999700 draws per chain were kept" in draws.notes[0]
    whole = sample(gaussian(), replace(SETTINGS, iterations=300 + min(count, 500), chains=3), progress=False)
    same = whole.unconstrained.shape[1]
    np.testing.assert_array_equal(draws.unconstrained[:, :same], whole.unconstrained)


def test_no_chain_waits_for_another_to_finish() -> None:
    draws = sample(gaussian(), replace(ENDLESS, cores=1, time_budget=1.0), progress=False)
    assert draws.unconstrained.shape[1] > 0


@pytest.mark.parametrize(("how", "error"), [("event", SamplingError), ("Ctrl-C", KeyboardInterrupt)])
def test_within_warm_up_there_is_nothing_to_keep(how: str, error: type[BaseException]) -> None:
    stop = threading.Event()
    later(stop.set if how == "event" else interrupt, 1.0)
    with pytest.raises(error, match=r"before every chain had a draw .* warm-up takes 1999999"):
        sample(gaussian(), ALL_WARMUP, progress=False, stop=stop)


def test_time_budget_within_warm_up() -> None:
    with pytest.raises(SamplingError, match="ran out of its time budget before every chain had a draw"):
        sample(gaussian(), replace(ALL_WARMUP, time_budget=0.1), progress=False)


def test_the_handler_of_ctrl_c_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    sample(gaussian(), SETTINGS, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_sampling_in_another_thread() -> None:
    drawn: list[np.ndarray] = []
    worker = threading.Thread(
        target=lambda: drawn.append(sample(gaussian(), SETTINGS, progress=False).unconstrained)
    )
    worker.start()
    worker.join()
    np.testing.assert_array_equal(drawn[0], sample(gaussian(), SETTINGS, progress=False).unconstrained)


def test_an_error_in_a_chain_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    init = np.ones((3, 3))
    init[2] = np.nan
    with pytest.raises(SamplingError, match="chain 3"):
        sample(gaussian(), replace(ENDLESS, init=init), progress=False)
