"""The way up a log density: L-BFGS from a starting point, with every step it took.

The two-loop recursion of Nocedal (1980) and the bisecting line search of Lewis and Overton (2013, "Nonsmooth
optimization via quasi-Newton methods", algorithm 4.6), to which a point without a finite density is one that lies too
far. Not SciPy's, although it is as good: it multiplies its small matrices on BLAS threads, which wait for one another
whenever something else runs on the cores, such as another path.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .density import Density

__all__ = ["Limits", "Path", "ascend"]

Vector = NDArray[np.float64]

MEMORY = 20
"""Steps that the search remembers."""
SUFFICIENT, CURVATURE = 1e-4, 0.9
"""Wolfe's conditions on a step: its share of the gain that the slope promises, and of the slope that may be left."""
MOST_TRIALS = 60
"""Lengths tried for one step; sixty halvings end where rounding does."""
LEAST_GAIN = 1e-10
"""Gain of log density, as the quadratic model of a step predicts it, that is not worth another step."""
LEAST_CHANGE = 1e-13
"""Relative change of the log density that is lost in rounding."""


@dataclass(frozen=True)
class Limits:
    """When to stop early: after ``iterations``, at a ``deadline`` (of `time.perf_counter`), or when ``asked``."""

    iterations: int
    deadline: float = float("inf")
    asked: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        """Whether the time is over, or someone asked to stop."""
        return self.asked.is_set() or time.perf_counter() > self.deadline


@dataclass(frozen=True)
class Path:
    """The steps of one search: ``positions`` (steps + 1, dimension), log densities ``values`` (steps + 1,) and
    ``gradients`` there, the start first; ``converged``: whether it ended by itself."""

    positions: Vector
    values: Vector
    gradients: Vector
    converged: bool

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.values) - 1


class _Point(NamedTuple):
    """Where the search stands, the log density and its gradient."""

    q: Vector
    value: float
    gradient: Vector


class _Step(NamedTuple):
    """A step, the change of the gradient of minus the log density along it, and their product, which is positive."""

    s: Vector
    z: Vector
    product: float


def ascend(density: Density, start: Vector, limits: Limits) -> Path:
    """From ``start``, a point of finite density, towards a mode."""
    points = [_Point(start, *density.value_and_gradient(start))]
    remembered: deque[_Step] = deque(maxlen=MEMORY)
    converged = False
    while not converged and len(points) <= limits.iterations and not limits.over:
        here = points[-1]
        direction = _direction(here.gradient, remembered)
        slope = float(here.gradient @ direction)
        if slope < 2 * LEAST_GAIN:
            converged = True
            break
        there = _along(density, here, direction, slope)
        if there is None and remembered:
            remembered.clear()  # steepest ascent may get on where the memory misleads
            continue
        if there is None:
            converged = True  # nothing along the gradient is higher: rounding ends the search
            break
        s, z = there.q - here.q, here.gradient - there.gradient
        if (product := float(s @ z)) > np.finfo(float).eps * float(z @ z):
            remembered.append(_Step(s, z, product))
        points.append(there)
        converged = there.value - here.value <= LEAST_CHANGE * max(abs(there.value), 1.0)
    positions, values, gradients = (np.array(column) for column in zip(*points, strict=True))
    return Path(positions, values, gradients, converged)


def _direction(gradient: Vector, remembered: Iterable[_Step]) -> Vector:
    """The gradient times the estimated inverse of minus the Hessian; along the gradient, one unit long, at first."""
    steps = list(remembered)
    if not steps:
        return np.asarray(gradient / max(1.0, float(np.sqrt(gradient @ gradient))))
    out, shares = gradient.copy(), []
    for s, z, product in reversed(steps):
        shares.append(float(s @ out) / product)
        out -= shares[-1] * z
    _, z, product = steps[-1]
    out *= product / float(z @ z)
    for (s, z, product), share in zip(steps, reversed(shares), strict=True):
        out += (share - float(z @ out) / product) * s
    return out


def _along(density: Density, here: _Point, direction: Vector, slope: float) -> _Point | None:
    """A point along ``direction`` that gains enough and where the slope has fallen; None if there is none."""
    short, long, length = 0.0, np.inf, 1.0
    best: _Point | None = None
    for _ in range(MOST_TRIALS):
        q = here.q + length * direction
        value, gradient = density.value_and_gradient(q)
        finite = np.isfinite(value) and bool(np.isfinite(gradient).all())
        if not finite or value < here.value + SUFFICIENT * length * slope:
            long = length
        else:
            best = _Point(q, value, gradient)
            if float(gradient @ direction) <= CURVATURE * slope:
                return best
            short = length
        length = 2 * short if long == np.inf else 0.5 * (short + long)
        if long < np.inf and long - short <= np.finfo(float).eps * long:
            break
    return best
