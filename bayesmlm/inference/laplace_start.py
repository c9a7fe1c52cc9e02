"""Where NUTS starts with ``init="laplace"``: around the mode, with the curvature there as its first mass matrix.

The covariance of Laplace's approximation is minus the inverse Hessian at the mode. Chains start at draws from it, cut
at two standard deviations, for the normal approximation is least to be trusted in its tails.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .density import Density, build_density
from .optimise import Limits, Path, ascend
from .pathfinder import last_normal
from .protocol import FlatProgram, SamplerSettings

__all__ = ["LaplaceStart", "laplace_start"]

Vector = NDArray[np.float64]

STREAM = 7  # sets these random numbers apart from others drawn from the user's seed
LARGEST_HESSIAN = 500
"""Coordinates up to which second derivatives are computed; with more, the search's own estimate serves."""
MOST_STEPS = 2000
CUT = 2.0
"""Standard deviations from the mode at which starting points are cut."""
LEAST_CURVATURE = 1e-2
"""Directions in which the density is flatter than a normal of this precision, or has no peak, count as such."""
HALVINGS = 20


@dataclass(frozen=True)
class LaplaceStart:
    """``points`` (chains, dimension), and ``inverse_mass`` (dimension,), the variances around the mode."""

    points: Vector
    inverse_mass: Vector


def laplace_start(program: FlatProgram, settings: SamplerSettings) -> LaplaceStart:
    """Starting points of all chains and the first mass matrix, from one search for the mode.

    Raises `SamplingError` when no random starting point has a finite density.
    """
    exact = program.dimension <= LARGEST_HESSIAN
    density = build_density(program, ("gradient", "hessian_columns") if exact else ("gradient",))
    deadline = time.perf_counter() + (settings.time_budget or np.inf)
    path = ascend(density, density.start(settings, 0), Limits(MOST_STEPS, deadline))
    mode = path.positions[-1]
    random = np.random.default_rng([settings.seed, STREAM])
    u = random.standard_normal((settings.chains, program.dimension)).clip(-CUT, CUT)
    offsets, variances = _curved(density.hessian(mode), u) if exact else _estimated(path, u, random)
    points = np.array([_finite(density, mode, offset) for offset in offsets])
    return LaplaceStart(points, variances)


def _curved(hessian: Vector, u: Vector) -> tuple[Vector, Vector]:
    """Standard normal rows ``u`` turned into offsets from the mode, and the variances."""
    precisions, directions = np.linalg.eigh(-0.5 * (hessian + hessian.T))
    sd = 1 / np.sqrt(np.maximum(precisions, LEAST_CURVATURE))
    return (u * sd) @ directions.T, np.sum((directions * sd) ** 2, axis=1)


def _estimated(path: Path, u: Vector, random: np.random.Generator) -> tuple[Vector, Vector]:
    normal = last_normal(path)
    if normal is None:
        return u, np.ones(u.shape[1])
    spread = normal.draw(random, 1000).std(axis=0)
    return normal.coloured(u), spread**2


def _finite(density: Density, mode: Vector, offset: Vector) -> Vector:
    """The point so far from the mode, or nearer until density and gradient are finite."""
    for halving in range(HALVINGS):
        point = mode + offset * 0.5**halving
        value, gradient = density.value_and_gradient(point)
        if np.isfinite(value) and np.isfinite(gradient).all():
            return np.asarray(point)
    raise SamplingError(
        'init="laplace" found no starting point of finite density around the mode; use init="random"'
    )
