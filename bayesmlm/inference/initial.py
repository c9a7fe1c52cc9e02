"""Starting points, and what to say when no point has a finite density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .nuts import Driver
from .protocol import Explains, FlatProgram, SamplerSettings

__all__ = ["find_start", "starting_point"]

ATTEMPTS = 100
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
    return random.uniform(-settings.init, settings.init, dimension)


def find_start(
    driver: Driver, program: FlatProgram, settings: SamplerSettings, chains: NDArray[np.int64]
) -> Any:
    """The state of a lane of chains at points of finite log density and gradient; `SamplingError` if there is
    none."""
    random = not isinstance(settings.init, np.ndarray) and settings.init > 0
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
    tried = f"at {ATTEMPTS} random points in ±{settings.init:g}" if random else "at the given starting point"
    raise SamplingError(
        f"Sampling cannot start: {tried} (unconstrained scale), chain {chains[failed] + 1} found no finite "
        f"log posterior density with a finite gradient (the last value was {value:g}). "
        + _reasons(driver, program, point[failed])
    )


def _finite(state: Any) -> NDArray[np.bool_]:
    gradient = np.asarray(state.z_grad)
    return np.isfinite(np.asarray(state.potential_energy)) & np.isfinite(gradient).all(axis=1)


def _reasons(driver: Driver, program: FlatProgram, point: NDArray[np.float64]) -> str:
    """Sentences that name the responsible parameters, the row if the program can tell, and the remedies."""
    names = list(dict.fromkeys(program.coordinate_names[i] for i in _responsible(driver, point)))
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


def _responsible(driver: Driver, point: NDArray[np.float64]) -> list[int]:
    """Coordinates that break the density: where zero is fine, those that break it alone; otherwise those
    whose derivative is not finite, unless that is all of them, which says nothing."""
    chains = np.zeros(driver.lane, np.int64)

    def state_at(q: NDArray[np.float64]) -> Any:
        return driver.start(0, chains, np.tile(q, (driver.lane, 1)))

    if _finite(state_at(np.zeros_like(point)))[0] and len(point) <= PROBED_COORDINATES:
        alone = point * np.eye(len(point))
        return [i for i, q in enumerate(alone) if not _finite(state_at(q))[0]]
    broken = np.flatnonzero(~np.isfinite(np.asarray(state_at(point).z_grad)[0]))
    return [int(i) for i in broken] if len(broken) < len(point) or len(point) == 1 else []
