"""Sampling a flat program: chains in threads (or vectorized), with progress, checkpoints and interruption.

Chains advance in lanes: one chain each in threads on a CPU, all chains in one lane on an accelerator. A task
advances one lane by one chunk; the main thread hands out the tasks in turn, so that all chains stay abreast
even on one core, and stops handing them out on Ctrl-C, at the end of the time budget, or when asked. No bit
of a draw depends on the number of threads or on the chunks: a chain's random stream follows from seed and
chain alone.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import SamplingError
from .checkpoint import Checkpoint, fingerprint
from .initial import radius
from .lanes import Lane, Run, advance, open_run, save
from .laplace_start import laplace_start
from .nuts import build_driver
from .progress import Progress, make_progress
from .protocol import Draws, FlatProgram, SamplerSettings, Timings

__all__ = ["sample"]

POLL_SECONDS = 0.1


@dataclass
class _Stop:
    """Why sampling should end early, if it should."""

    asked: threading.Event
    deadline: float
    interrupted: threading.Event = field(default_factory=threading.Event)

    @property
    def reason(self) -> str:
        """In words, or "" to go on."""
        if self.interrupted.is_set():
            return "was interrupted"
        if self.asked.is_set():
            return "was stopped"
        return "ran out of its time budget" if time.perf_counter() > self.deadline else ""


def sample(
    program: FlatProgram,
    settings: SamplerSettings,
    *,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    stop: threading.Event | None = None,
) -> Draws:
    """Draws from the posterior of ``program`` by NUTS.

    ``checkpoint`` is a folder for a checkpoint every few seconds; with ``resume`` the run goes on from the
    one it holds (or starts, if there is none). ``stop`` may be set by another thread. Interrupted by Ctrl-C,
    by ``stop`` or by ``settings.time_budget``, sampling returns the draws it has, `Draws.complete` being
    False.

    Raises `SamplingError` when settings make no sense, no starting point has a finite density, the checkpoint
    belongs to another run, or sampling ends within warm-up; `KeyboardInterrupt` for Ctrl-C within warm-up.
    """
    began = time.perf_counter()
    method = _check(program, settings)
    folder = None
    if checkpoint is not None:
        folder = Checkpoint.open(checkpoint, fingerprint(program, settings, method), resume)
    lanes = 1 if method == "vectorized" else settings.chains
    placed, inverse_mass = settings, None
    if isinstance(settings.init, str):
        start = laplace_start(program, settings)
        placed, inverse_mass = replace(settings, init=start.points), start.inverse_mass
    searched = time.perf_counter() - began
    driver = build_driver(program, settings, settings.chains // lanes, inverse_mass)
    compiled = time.perf_counter()
    stopping = _Stop(stop or threading.Event(), began + (settings.time_budget or np.inf))
    run = open_run(program, placed, driver, folder, stopping.deadline)
    done = sum(lane.iteration * len(lane.chains) for lane in run.lanes)
    with _interrupts(stopping.interrupted):
        reason = _work(run, stopping, make_progress(progress, settings.iterations, settings.warmup, done))
        for lane in run.lanes:
            save(run, lane)
    if reason and not run.shortest:
        raise _ended_in_warmup(run, stopping, reason)
    draws = _collect(run, reason, compiled - began - searched, time.perf_counter() - compiled)
    draws.timings.warmup += searched
    return replace(draws, settings=settings)


def _check(program: FlatProgram, settings: SamplerSettings) -> str:
    """The chain method, after the settings have been looked at; `SamplingError` names the one that is
    wrong."""
    import jax

    s, init = settings, settings.init
    given, wanted = isinstance(init, np.ndarray | str), (s.chains, program.dimension)
    rules = {
        f"chains must be at least 1, not {s.chains}": s.chains >= 1,
        f"warmup must lie between 0 and iterations - 1, not {s.warmup} of {s.iterations}": 0
        <= s.warmup
        < s.iterations,
        f"thin must be at least 1, not {s.thin}": s.thin >= 1,
        f"seed must lie between 0 and 2**63 - 1, not {s.seed}": 0 <= s.seed < 2**63,
        f"adapt_delta must lie between 0 and 1, not {s.adapt_delta}": 0 < s.adapt_delta < 1,
        f"max_treedepth must lie between 1 and 20, not {s.max_treedepth}": 1 <= s.max_treedepth <= 20,
        f"cores must be at least 1, not {s.cores}": s.cores is None or s.cores >= 1,
        f"time_budget must be positive, not {s.time_budget}": s.time_budget is None or s.time_budget > 0,
        f"the model has {program.dimension} parameters: nothing to sample": program.dimension >= 1,
        f"a radius as init must be finite and not negative, not {init}": given or 0 <= radius(s) < np.inf,
        f"init must have the shape (chains, dimension) = {wanted}, not {np.shape(init)}": (
            not isinstance(init, np.ndarray) or np.shape(init) == wanted
        ),
        f'init must be "laplace" where it is text, not {init!r}': (
            not isinstance(init, str) or init == "laplace"
        ),
        f'chain_method must be "threads" or "vectorized", not {s.chain_method!r}': (
            s.chain_method in (None, "threads", "vectorized")
        ),
    }
    for complaint, fulfilled in rules.items():
        if not fulfilled:
            raise SamplingError(complaint)
    return s.chain_method or ("threads" if jax.default_backend() == "cpu" else "vectorized")


def _work(run: Run, stopping: _Stop, progress: Progress) -> str:
    """Hand out tasks until every lane is done, or there is a reason to stop; the reason, or ""."""
    threads = min(len(run.lanes), run.settings.cores or os.cpu_count() or 1)
    lanes = [lane for lane in run.lanes if not run.finished(lane)]
    with ThreadPoolExecutor(threads, thread_name_prefix="bayesmlm") as pool:
        tasks: dict[Future[None], Lane] = {}
        reason = ""
        while (lanes and not reason) or tasks:
            # No more tasks than threads: a lane waits its turn here, not in the pool, so a stop is immediate.
            while lanes and not reason and len(tasks) < threads:
                lane = lanes.pop(0)
                tasks[pool.submit(advance, run, lane)] = lane
            finished, _ = wait(tasks, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for task in finished:
                lane = tasks.pop(task)
                task.result()
                if not run.finished(lane):
                    lanes.append(lane)
            reason = reason or (stopping.reason if lanes or tasks else "")
            progress.update(run.iterations(), run.divergences())
    progress.update(run.iterations(), run.divergences(), last=True)
    return "" if all(run.finished(lane) for lane in run.lanes) else reason


@contextmanager
def _interrupts(interrupted: threading.Event) -> Iterator[None]:
    """Ctrl-C sets ``interrupted`` instead of raising in the midst of the book-keeping; a second one
    raises."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals and may handle them
        return

    def handle(signum: int, frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


def _ended_in_warmup(run: Run, stopping: _Stop, reason: str) -> BaseException:
    slowest = min(run.iterations())
    go_on = (
        f"What was done is saved in {run.checkpoint.folder}: go on with `resume=True`."
        if run.checkpoint
        else "There are no draws to return; with `checkpoint=` such a run can be continued."
    )
    message = (
        f"Sampling {reason} before every chain had a draw (the slowest is at iteration {slowest}, warm-up "
        f"takes {run.settings.warmup}). {go_on}"
    )
    return KeyboardInterrupt(message) if stopping.interrupted.is_set() else SamplingError(message)


def _collect(run: Run, reason: str, compile_seconds: float, sampling_seconds: float) -> Draws:
    """The draws, all chains cut to the shortest."""
    arrays = {name: values[:, : run.shortest] for name, values in run.draws.items()}
    notes = []
    if reason:
        notes.append(
            f"Sampling {reason}: {run.shortest} of {run.draws_per_chain} draws per chain were kept, as many "
            "as the shortest chain has."
        )
    warmup, drawing = (
        sum(getattr(lane, kind) for lane in run.lanes) for kind in ("warmup_seconds", "draw_seconds")
    )
    share = warmup / max(warmup + drawing, 1e-9)
    return Draws(
        samples={
            name.removeprefix("samples/"): v for name, v in arrays.items() if name.startswith("samples/")
        },
        stats={name.removeprefix("stats/"): v for name, v in arrays.items() if name.startswith("stats/")},
        unconstrained=arrays["unconstrained"],
        timings=Timings(
            compile=compile_seconds,
            warmup=sampling_seconds * share,
            draws=sampling_seconds * (1 - share),
        ),
        settings=run.settings,
        complete=not reason,
        notes=tuple(notes),
    )
