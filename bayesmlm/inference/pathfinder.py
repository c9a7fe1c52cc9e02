"""Pathfinder: normal approximations along the way up to a mode, and the one among them that is nearest.

Zhang, Carpenter, Gelman and Vehtari (2022), "Pathfinder: Parallel quasi-Newton variational inference", JMLR 23(306). A
quasi-Newton search passes from the tails through the bulk of the posterior to a mode, which in a hierarchical model may
lie far from the bulk; its estimates of the inverse Hessian make a normal approximation of every point that it passes.
The one with the highest evidence lower bound is taken. Here several searches start from different points, and their
normals are mixed with weights proportional to exp(ELBO), each one's estimate of the mass it has found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .density import Density, build_density
from .drawing import Found, draw
from .normals import Mixture, QuasiNewtonNormal
from .optimise import Limits, Path, ascend
from .protocol import Draws, FlatProgram, SamplerSettings, Timings

__all__ = ["BestOfPath", "find_paths", "last_normal", "pathfinder"]

Vector = NDArray[np.float64]

STREAM = 4  # sets these random numbers apart from others drawn from the user's seed
CORRECTIONS = 20
"""Steps of the search that an estimate of the inverse Hessian is made from."""
LOOKED_AT = 20
"""Points of a path, evenly spaced, whose evidence lower bound is estimated before a closer look around the best."""
FIRST_DRAWS = 16
"""For the evidence lower bound of each point that is looked at."""
FINALISTS = 3
"""Points of a path whose bound is estimated again, with more draws."""
FINAL_DRAWS = 100
MOST_NUMBERS, FEWEST_STEPS = 1 << 25, 100
"""A path that would fill more memory than this for its positions ends earlier, but not before so many steps."""
LEAST_CURVATURE = 1e-12
"""Steps along which the density curves upwards, or hardly down, say nothing about the inverse Hessian."""


@dataclass(frozen=True)
class BestOfPath:
    """The best normal of one path and its evidence lower bound; the ``steps`` of the search, and whether it came to its
    end or at least past the best (``converged``)."""

    normal: QuasiNewtonNormal
    elbo: float
    steps: int
    converged: bool


def pathfinder(program: FlatProgram, settings: SamplerSettings, *, progress: bool = True) -> Draws:
    """Draws from the mixture of the best normals of ``settings.chains`` paths of at most ``settings.iterations`` steps.

    ``settings.init`` gives the starting points, as for NUTS. Raises `SamplingError` when no starting point has a finite
    density, or no path has a normal approximation. There is nothing to show: ``progress`` is there for the protocol.
    """
    began = time.perf_counter()
    density = build_density(program, ("gradient", "log_densities", "parameters"))
    compiled = time.perf_counter()
    limits = Limits(settings.iterations, began + (settings.time_budget or np.inf))
    best = find_paths(density, settings, limits)
    elbos = np.array([one.elbo for one in best])
    shares = np.exp(elbos - elbos.max())
    timings = Timings(compile=compiled - began, warmup=time.perf_counter() - compiled)
    found = Found(
        Mixture([one.normal for one in best], shares / shares.sum()),
        converged=any(one.converged for one in best),
        steps=max(one.steps for one in best),
        timings=timings,
        complete=not limits.over,
    )
    return draw(density, found, settings)


def find_paths(density: Density, settings: SamplerSettings, limits: Limits) -> list[BestOfPath]:
    """The best of each of ``settings.chains`` paths, those left out that have no normal approximation.

    Raises `SamplingError` if there is none at all. Nothing depends on the number of threads.
    """

    longest = max(FEWEST_STEPS, MOST_NUMBERS // density.program.dimension)
    limits = replace(limits, iterations=min(limits.iterations, longest))

    def one(chain: int) -> BestOfPath | None:
        path = ascend(density, density.start(settings, chain), limits)
        return _best_of(path, density, np.random.default_rng([settings.seed, STREAM, chain]))

    threads = min(settings.chains, settings.cores or os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="bayesmlm") as pool:
        try:
            found = [best for best in pool.map(one, range(settings.chains)) if best is not None]
        except BaseException:
            limits.asked.set()  # Ctrl-C: the searches end at their next step
            raise
    if not found and limits.over:
        raise SamplingError(
            "The time budget was over before a normal approximation was found; raise time_budget."
        )
    if not found:
        raise SamplingError(
            "Pathfinder found no normal approximation of finite quality on the way to the mode; "
            'use algorithm="sampling".'
        )
    return found


def last_normal(path: Path) -> QuasiNewtonNormal | None:
    """The approximation at the end of a path, if it has one."""
    curvature = _Curvature.of(path)
    return curvature.normal(curvature.points[-1]) if curvature.points else None


def _best_of(path: Path, density: Density, random: np.random.Generator) -> BestOfPath | None:
    """The normal of highest evidence lower bound along a path; None if none has one.

    The bound rises along a path and falls again: looked at here and there first, then around the best of these.
    """
    curvature = _Curvature.of(path)

    def bounds_at(points: Sequence[int], draws: int) -> dict[int, float]:
        return {at: _elbo(curvature.normal(at), density, random, draws) for at in points}

    points = curvature.points
    if not points:
        return None
    stride = -(-len(points) // LOOKED_AT)
    bounds = bounds_at(points[::-1][::stride], FIRST_DRAWS)
    top = points.index(max(bounds, key=lambda at: bounds[at]))
    around = points[max(0, top - stride + 1) : top + stride]
    bounds |= bounds_at([at for at in around if at not in bounds], FIRST_DRAWS)
    finals = bounds_at(sorted(bounds, key=lambda at: bounds[at])[-FINALISTS:], FINAL_DRAWS)
    best = max(finals, key=lambda at: finals[at])
    if not np.isfinite(finals[best]):
        return None
    return BestOfPath(curvature.normal(best), finals[best], path.steps, path.converged or best < points[-1])


def _elbo(normal: QuasiNewtonNormal, density: Density, random: np.random.Generator, draws: int) -> float:
    """Evidence lower bound, the mean of log p - log q over draws from q; -inf where one has no finite density."""
    points = normal.draw(random, draws)
    lp = density.log_density(points)
    return float(np.mean(lp - normal.log_density(points))) if np.isfinite(lp).all() else -np.inf


@dataclass(frozen=True)
class _Curvature:
    """What a path tells of the inverse Hessian.

    ``ends``: the points at which a step ends along which the density curves down; for each point of the path how many
    of these steps were ``seen`` by then, and a diagonal estimate that is carried along (``diagonals``, algorithm 3;
    Gilbert and Lemarechal 1989).
    """

    path: Path
    ends: list[int]
    seen: list[int]
    diagonals: list[Vector]

    @classmethod
    def of(cls, path: Path) -> _Curvature:
        """Along the whole path."""
        out = cls(path, [], [0], [np.ones(path.positions.shape[1])])
        for at in range(1, len(path.values)):
            s, z = out._step_to(at)
            alpha = out.diagonals[-1]
            if float(s @ z) > LEAST_CURVATURE * float(z @ z):
                alpha = _next_diagonal(alpha, s, z)
                out.ends.append(at)
            out.seen.append(len(out.ends))
            out.diagonals.append(alpha)
        return out

    def _step_to(self, at: int) -> tuple[Vector, Vector]:
        """The last step to a point, and the change of the gradient of minus the log density along it."""
        positions, gradients = self.path.positions, self.path.gradients
        return positions[at] - positions[at - 1], gradients[at - 1] - gradients[at]

    @property
    def points(self) -> list[int]:
        """Those that have an estimate."""
        return [at for at, seen in enumerate(self.seen) if seen]

    def normal(self, at: int) -> QuasiNewtonNormal:
        """The approximation at point ``at``, from the last `CORRECTIONS` steps."""
        ends = self.ends[max(0, self.seen[at] - CORRECTIONS) : self.seen[at]]
        steps, changes = zip(*map(self._step_to, ends), strict=True)
        path = self.path
        return QuasiNewtonNormal.of(
            path.positions[at], path.gradients[at], self.diagonals[at], steps, changes
        )


def _next_diagonal(alpha: Vector, s: Vector, z: Vector) -> Vector:
    a, b, c = z @ (alpha * z), z @ s, s @ (s / alpha)
    updated = 1 / (a / (b * alpha) + z**2 / b - a * s**2 / (b * c * alpha**2))
    return np.asarray(updated) if np.isfinite(updated).all() and (updated > 0).all() else alpha
