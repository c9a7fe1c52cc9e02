"""M-splines and their integrals as non-negative polynomials on intervals.

M-splines (Ramsay 1988, Statistical Science 3(4)) are B-splines that integrate to 1; their integrals, I-splines, rise
from 0 to 1. A hazard that is a combination of M-splines with non-negative coefficients is, on each interval between
knots, a polynomial whose coefficients in the Bernstein basis are not negative either, and so is its integral. Sums of
these have no cancellation: hazard and cumulated hazard keep their relative accuracy up to the ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lazy import jnp

__all__ = ["MSplines", "cumulated_hazard", "hazard"]

Array = Any
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MSplines:
    """A basis of ``count`` M-splines of ``degree`` on the intervals between ``breaks``, (intervals + 1,).

    ``density``, (degree + 1, intervals, count), and ``integral``, (degree + 2, intervals, count): Bernstein
    coefficients of each spline on each interval, and of its integral from the start of that interval.
    """

    breaks: Numbers
    degree: int
    density: Numbers
    integral: Numbers

    @property
    def count(self) -> int:
        """Number of splines."""
        return int(self.density.shape[-1])

    @classmethod
    def build(
        cls, boundary: tuple[float, float], knots: Sequence[float], degree: int = 3, intercept: bool = True
    ) -> MSplines:
        """The basis with these boundary and inner knots, which must increase. ``intercept``: with the first spline,
        the only one that is not zero at the lower end (for a positive degree)."""
        breaks = np.array([boundary[0], *knots, boundary[1]], dtype=np.float64)
        padded = np.concatenate([np.repeat(breaks[0], degree), breaks, np.repeat(breaks[-1], degree)])
        intervals, order = len(breaks) - 1, degree + 1
        count = intervals + degree
        scale = order / (padded[order:] - padded[:count])
        density = np.zeros((order, intervals, count))
        for m in range(intervals):
            for j in range(order):
                at = np.repeat(breaks[[m, m + 1]], [degree - j, j])
                density[j, m, m : m + order] = _blossom(padded, m + degree, degree, at)
        density = (density * scale)[:, :, 0 if intercept else 1 :]
        width = np.diff(breaks)[:, None]
        steps = density * (width / order)
        integral = np.concatenate([np.zeros((1, *steps.shape[1:])), np.cumsum(steps, axis=0)])
        return cls(breaks, degree, density, integral)

    def evaluate(self, y: Numbers, integrate: bool = False) -> Numbers:
        """(count, n) splines, or their integrals, at ``y``; beyond the upper boundary as `hazard` goes on."""
        table = self.integral if integrate else self.density
        at = _positions(np, y, self.breaks)
        if not integrate:
            at_interval = _bernstein(np, at, self.degree) * _inside(np, y, self.breaks)
            return np.asarray(np.einsum("jmk,jmn->kn", table, at_interval))
        inside = np.einsum("jmk,jmn->kn", table, _bernstein(np, at, self.degree + 1))
        beyond = np.maximum(y - self.breaks[-1], 0.0)
        return np.asarray(inside + self.density[-1, -1][:, None] * beyond)


def _blossom(padded: Numbers, interval: int, degree: int, at: Numbers) -> Numbers:
    """(degree + 1,) values of the blossoms (polar forms) of the B-splines that live on an interval, at the arguments
    ``at``, (degree,): de Boor's algorithm with another argument at each level. The splines are those with numbers
    interval - degree to interval."""
    table = np.eye(degree + 1)
    for r in range(1, degree + 1):
        for j in range(degree, r - 1, -1):
            left = padded[interval - degree + j]
            right = padded[interval + j + 1 - r]
            share = (at[r - 1] - left) / (right - left)
            table[j] = (1 - share) * table[j - 1] + share * table[j]
    return np.asarray(table[degree])


def _ends(xp: Any, y: Array, breaks: Array) -> tuple[Array, Array]:
    """Starts and ends of the intervals, each (intervals, 1, ..., 1) with as many axes more as ``y`` has."""
    shape = (-1, *(1,) * y.ndim)
    return xp.reshape(breaks[:-1], shape), xp.reshape(breaks[1:], shape)


def _positions(xp: Any, y: Array, breaks: Array) -> Array:
    """(intervals, ...): how much of each interval lies below ``y``, (...), from 0 to 1."""
    start, end = _ends(xp, y, breaks)
    return xp.clip((y - start) / (end - start), 0.0, 1.0)


def _inside(xp: Any, y: Array, breaks: Array) -> Array:
    """(intervals, ...): 1 for the interval in which ``y`` lies; the last one has no end."""
    start, end = _ends(xp, y, breaks)
    last = xp.reshape(xp.arange(len(breaks) - 1) == len(breaks) - 2, start.shape)
    return ((y >= start) & ((y < end) | last)).astype(xp.float64)


def _bernstein(xp: Any, u: Array, degree: int) -> Array:
    """(degree + 1, ...) Bernstein polynomials at ``u`` from 0 to 1."""
    rest = 1 - u
    return xp.stack([comb(degree, j) * u**j * rest ** (degree - j) for j in range(degree + 1)])


def hazard(y: Array, p: Mapping[str, Array]) -> Array:
    """Baseline hazard at ``y``, (..., n) or (..., 1); 0 below the lower boundary, and beyond the upper one what it is
    there.

    ``p``: ``hazard_breaks`` (intervals + 1, 1), and Bernstein coefficients ``hazard_density`` and
    ``hazard_integral``, (degree + 1 or 2, intervals, 1), or (..., n) where rows differ.
    """
    y, breaks, density = jnp.asarray(y), p["hazard_breaks"][:, 0], p["hazard_density"]
    basis = _bernstein(jnp, _positions(jnp, y, breaks), density.shape[0] - 1)
    return _combined(density, basis * _inside(jnp, y, breaks))


def cumulated_hazard(y: Array, p: Mapping[str, Array]) -> Array:
    """The integral of `hazard` from 0 to ``y``; ``y`` and ``p`` as there."""
    y, breaks, integral = jnp.asarray(y), p["hazard_breaks"][:, 0], p["hazard_integral"]
    basis = _bernstein(jnp, _positions(jnp, y, breaks), integral.shape[0] - 1)
    beyond = jnp.clip(y - breaks[-1], 0.0, 1e300)
    return _combined(integral, basis) + p["hazard_density"][-1, -1] * beyond


def _combined(coefficients: Array, basis: Array) -> Array:
    """Sums over the first two axes of coefficients, (j, m, n or 1), times basis, (j, m, ...)."""
    j, m, rows = coefficients.shape
    if rows == 1:
        return jnp.tensordot(coefficients[..., 0], basis, 2)
    return jnp.sum(coefficients.reshape(j, m, *(1,) * (basis.ndim - 3), rows) * basis, axis=(0, 1))
