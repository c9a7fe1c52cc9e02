"""Starting points, and what to say when no point has a finite density."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .nuts import Driver
from .protocol import Explains, FlatProgram, SamplerSettings

__all__ = ["cannot_start", "find_start", "radius", "starting_point"]

ATTEMPTS = 100
RADIUS = 2.0
STREAM = 1  # sets the starting points apart from other random numbers drawn from the user's seed
PROBED_COORDINATES = 500
NAMES_SHOWN = 5


def starting_point(
    settings: SamplerSettings, chain: int, attempt: int, dimension: int
) -> NDArray[np.float64]:
    """The given vector of ``chain``, or, as Stan does, a uniform draw from (-radius, radius) on the
    unconstrained scale that depends on seed, chain and attempt only."""
    if isinstance(settings.init, np.ndarray):
        return np.asarray(settings.init[chain], float)
    random = np.random.default_rng([settings.seed, STREAM, chain, attempt])
    return random.uniform(-radius(settings), radius(settings), dimension)


def radius(settings: SamplerSettings) -> float:
    """Of the cube from which random starting points are drawn."""
    return RADIUS if isinstance(settings.init, str | np.ndarray) else settings.init


def find_start(
    driver: Driver, program: FlatProgram, settings: SamplerSettings, chains: NDArray[np.int64]
) -> Any:
    """The state of a lane of chains at points of finite log density and gradient; `SamplingError` if there is
    none."""
    random = not isinstance(settings.init, np.ndarray) and radius(settings) > 0
    point = np.empty((len(chains), program.dimension))
    wanting = np.ones(len(chains), bool)
    for attempt in range(ATTEMPTS if random else 1):
        for row in np.flatnonzero(wanting):
            point[row] = starting_point(settings, int(chains[row]), attempt, program.dimension)
        state = driver.start(settings.seed, chains, point)
        wanting = ~_finite(state)
        if not wanting.any():
            return state
    failed = int(np.flatnonzero(wanting)[0])
    value = -float(np.asarray(state.potential_energy)[failed])

    def state_at(q: NDArray[np.float64]) -> Any:
        return driver.start(0, np.zeros(driver.lane, np.int64), np.tile(q, (driver.lane, 1)))

    raise SamplingError(
        cannot_start(
            program,
            settings,
            int(chains[failed]),
            point[failed],
            value,
            lambda q: bool(_finite(state_at(q))[0]),
            lambda q: np.asarray(state_at(q).z_grad)[0],
        )
    )


def cannot_start(
    program: FlatProgram,
    settings: SamplerSettings,
    chain: int,
    point: NDArray[np.float64],
    value: float,
    finite: Callable[[NDArray[np.float64]], bool],
    gradient: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> str:
    """What to say when a chain has no starting point: the last one tried, the log density there, and functions that say
    of another whether density and gradient are finite, and the gradient."""
    if isinstance(settings.init, np.ndarray) or settings.init == 0:
        tried = "at the given starting point"
    else:
        tried = f"at {ATTEMPTS} random points in ±{radius(settings):g}"
    return (
        f"Sampling cannot start: {tried} (unconstrained scale), chain {chain + 1} found no finite "
        f"log posterior density with a finite gradient (the last value was {value:g}). "
        + _reasons(program, _responsible(point, finite, gradient), point)
    )


def _finite(state: Any) -> NDArray[np.bool_]:
    gradient = np.asarray(state.z_grad)
    return np.isfinite(np.asarray(state.potential_energy)) & np.isfinite(gradient).all(axis=1)


def _reasons(program: FlatProgram, responsible: list[int], point: NDArray[np.float64]) -> str:
    """Sentences that name the responsible parameters, the row if the program can tell, and the remedies."""
    names = list(dict.fromkeys(program.coordinate_names[i] for i in responsible))
    sentences = []
    if names:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        sentences.append(f"The trouble comes from {', '.join(names[:NAMES_SHOWN])}{more}.")
    if isinstance(program, Explains) and (explanation := program.explain(point)):
        sentences.append(explanation)
    sentences.append(
        "Check that the response lies in the family's support, put the predictors on a common scale, give "
        "tighter priors, or start nearer to the solution with a smaller `init` (0 starts at zero)."
    )
    return " ".join(sentences)


def _responsible(
    point: NDArray[np.float64],
    finite: Callable[[NDArray[np.float64]], bool],
    gradient: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> list[int]:
    """Coordinates that break the density: where zero is fine, those that break it alone; otherwise those
    whose derivative is not finite, unless that is all of them, which says nothing."""
    if finite(np.zeros_like(point)) and len(point) <= PROBED_COORDINATES:
        alone = point * np.eye(len(point))
        return [i for i, q in enumerate(alone) if not finite(q)]
    broken = np.flatnonzero(~np.isfinite(gradient(point)))
    return [int(i) for i in broken] if len(broken) < len(point) or len(point) == 1 else []
