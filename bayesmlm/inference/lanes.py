"""Lanes: chains that advance together, chunk by chunk, into the arrays of the whole run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .checkpoint import Checkpoint, Saved
from .initial import find_start
from .nuts import Driver
from .protocol import FlatProgram, SamplerSettings
from .x64 import x64

__all__ = ["Lane", "Run", "advance", "open_run", "save"]

CHUNK_SECONDS = 0.2
"""How long a chunk should take: short enough for Ctrl-C and the progress display, long enough to cost
nothing."""
CHUNK_GROWTH = 4
SAVE_SECONDS = 3.0


@dataclass
class Lane:
    """Where one lane stands. ``rows`` are its chains in the arrays of the run. One thread at a time works on
    it."""

    index: int
    rows: slice
    state: Any = None
    iteration: int = 0
    drawn: int = 0
    divergences: int = 0
    chunk: int = 1
    saved_at: float = field(default_factory=time.perf_counter)
    saved_iteration: int = -1
    warmup_seconds: float = 0.0
    draw_seconds: float = 0.0

    @property
    def chains(self) -> NDArray[np.int64]:
        """The numbers of its chains, from 0."""
        return np.arange(self.rows.start, self.rows.stop)


@dataclass(frozen=True)
class Run:
    """Everything the workers share; ``draws`` holds arrays (chain, draw, ...), each lane writing its own
    rows."""

    program: FlatProgram
    settings: SamplerSettings
    driver: Driver
    checkpoint: Checkpoint | None
    deadline: float
    draws: dict[str, NDArray]
    lanes: list[Lane]

    @property
    def draws_per_chain(self) -> int:
        """Draws that a finished chain keeps."""
        s = self.settings
        return -(-(s.iterations - s.warmup) // s.thin)

    @property
    def shortest(self) -> int:
        """Draws of the chain that has fewest so far."""
        return min(lane.drawn for lane in self.lanes)

    def finished(self, lane: Lane) -> bool:
        """Whether a lane has done all its iterations."""
        return lane.iteration >= self.settings.iterations

    def iterations(self) -> list[int]:
        """Iterations done, by chain."""
        return [lane.iteration for lane in self.lanes for _ in lane.chains]

    def divergences(self) -> int:
        """Divergent transitions among the draws so far, over all chains."""
        return sum(lane.divergences for lane in self.lanes)


def open_run(
    program: FlatProgram,
    settings: SamplerSettings,
    driver: Driver,
    checkpoint: Checkpoint | None,
    deadline: float,
) -> Run:
    """A run at its beginning, or where the checkpoint left it."""
    firsts = range(0, settings.chains, driver.lane)
    lanes = [Lane(index, slice(first, first + driver.lane)) for index, first in enumerate(firsts)]
    run = Run(program, settings, driver, checkpoint, deadline, {}, lanes)
    for name, (shape, kind) in driver.draw_shapes().items():
        # The operating system hands out the pages when they are first written: nothing is paid in advance.
        run.draws[name] = np.empty((settings.chains, run.draws_per_chain, *shape), kind)
    if checkpoint is not None:
        for lane in lanes:
            saved = checkpoint.load(lane.index)
            if saved is not None:
                _restore(run, lane, saved)
    return run


def advance(run: Run, lane: Lane) -> None:
    """Take a lane through its next chunk; a fresh lane first finds its starting point."""
    if lane.state is None:
        lane.state = find_start(run.driver, run.program, run.settings, lane.chains)
    began = time.perf_counter()
    warming_up = lane.iteration < run.settings.warmup
    # A chunk ends where warm-up does, so that it is all warm-up or all draws.
    left = (run.settings.warmup if warming_up else run.settings.iterations) - lane.iteration
    iterations = max(1, min(lane.chunk, left, run.driver.capacity))
    lane.state, drawn = run.driver.advance(lane.state, iterations)
    if not warming_up:
        _store(run, lane, drawn, iterations)
    lane.iteration += iterations
    seconds = time.perf_counter() - began
    if warming_up:
        lane.warmup_seconds += seconds
    else:
        lane.draw_seconds += seconds
    lane.chunk = _next_chunk(iterations, seconds, run.deadline)
    if time.perf_counter() - lane.saved_at > SAVE_SECONDS:
        save(run, lane)


def save(run: Run, lane: Lane) -> None:
    """Write the lane's checkpoint, if the run has one and the lane has moved since."""
    if run.checkpoint is None or lane.state is None or lane.saved_iteration == lane.iteration:
        return
    draws = {name: values[lane.rows] for name, values in run.draws.items()}
    run.checkpoint.save(lane.index, lane.iteration, _leaves(lane.state), draws, lane.drawn)
    lane.saved_at, lane.saved_iteration = time.perf_counter(), lane.iteration


def _store(run: Run, lane: Lane, drawn: dict[str, NDArray], iterations: int) -> None:
    """Keep every ``thin``-th draw, the first one after warm-up included."""
    thin = run.settings.thin
    first = -(lane.iteration - run.settings.warmup) % thin
    kept = len(range(first, iterations, thin))
    for name, values in drawn.items():
        run.draws[name][lane.rows, lane.drawn : lane.drawn + kept] = values[:, first::thin]
    lane.drawn += kept
    lane.divergences += int(drawn["stats/diverging"][:, first::thin].sum())


def _next_chunk(iterations: int, seconds: float, deadline: float) -> int:
    wanted = min(CHUNK_SECONDS, deadline - time.perf_counter())
    pace = max(seconds, 1e-6) / iterations
    return max(1, min(int(wanted / pace), CHUNK_GROWTH * iterations))


def _restore(run: Run, lane: Lane, saved: Saved) -> None:
    if saved.iteration > run.settings.iterations:
        raise SamplingError(
            f"The checkpoint holds {saved.iteration} iterations already, more than the "
            f"{run.settings.iterations} asked for. Ask for at least as many."
        )
    for name, values in saved.draws.items():
        run.draws[name][lane.rows, : saved.count] = values
    lane.state = _state(run.driver, saved.leaves)
    lane.iteration = lane.saved_iteration = saved.iteration
    lane.drawn = saved.count
    lane.divergences = int(saved.draws["stats/diverging"].sum()) if saved.draws else 0


def _leaves(state: Any) -> list[NDArray]:
    """The state as plain arrays; random keys as the integers they are."""
    import jax

    def plain(leaf: Any) -> NDArray:
        return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)

    with x64():
        return [plain(leaf) for leaf in jax.tree.leaves(state)]


def _state(driver: Driver, leaves: list[NDArray]) -> Any:
    import jax
    import jax.numpy as jnp

    like, structure = jax.tree.flatten(driver.start_program.out_info)
    with x64():
        wrapped = [
            jax.random.wrap_key_data(jnp.asarray(leaf), impl="threefry2x32") if _is_key(info) else leaf
            for leaf, info in zip(leaves, like, strict=True)
        ]
    return jax.tree.unflatten(structure, wrapped)


def _is_key(leaf: Any) -> bool:
    import jax.numpy as jnp
    from jax import dtypes

    return bool(jnp.issubdtype(leaf.dtype, dtypes.prng_key))
