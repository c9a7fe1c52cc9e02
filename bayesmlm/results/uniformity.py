"""Are ranks uniform? Their empirical distribution function with a simultaneous band, and the test that goes with it.

Säilynoja, Bürkner and Vehtari (2022, Statistics and Computing 32:32), section 2: at each point the number of values
below is binomial; the smallest of the pointwise tail probabilities, over all points, is compared with what it is for
uniform samples of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Uniformity", "uniformity_of"]

Vector = NDArray[np.float64]

SIMULATIONS = 5_000
"""Uniform samples with which the smallest tail probability is compared: p values near 0.05 are known to about 0.003."""


@dataclass(frozen=True)
class Uniformity:
    """``points`` (k,): from 0 to 1; ``ecdf`` (k,): the share of values up to each; ``p``: how often uniform values are
    as far from uniform at their worst point."""

    points: Vector
    ecdf: Vector
    p: float
    size: int

    def band(self, prob: float = 0.95) -> tuple[Vector, Vector]:
        """Lower and upper ends at ``points`` of the band in which all of a uniform sample's ecdf lies with this
        probability."""
        from scipy.stats import binom

        gamma = np.quantile(_reference(self.size, len(self.points)), 1 - prob)
        law = binom(self.size, self.points)
        lower, upper = (
            np.asarray(ends, dtype=np.float64) for ends in (law.ppf(gamma / 2), law.isf(gamma / 2))
        )
        return lower / self.size, upper / self.size


def uniformity_of(ranks: NDArray[np.int64], largest: int, seed: int = 0) -> Uniformity:
    """The test of ``ranks``, (n,) whole numbers from 0 to ``largest``: uniform or not.

    They are spread over [0, 1] at random within their steps, which makes ranks that are uniform on the whole numbers
    uniform on the line; ``seed`` says how.
    """
    size = len(ranks)
    u = np.sort((ranks + np.random.default_rng([seed, size]).uniform(size=size)) / (largest + 1))
    points = _points(size)
    counts = np.searchsorted(u, points, side="right")
    smallest = _smallest_tail(counts[None], size)[0]
    reference = _reference(size, len(points))
    p = (1 + np.count_nonzero(reference <= smallest * (1 + 1e-9))) / (1 + len(reference))
    return Uniformity(points, counts / size, p, size)


def _points(size: int) -> Vector:
    """Inner points of a grid, one for each value but the last and at most 200."""
    number = min(size, 200)
    return np.arange(1, number) / number


def _smallest_tail(counts: NDArray[np.int64], size: int) -> Vector:
    """(m,): for each sample, twice the smallest pointwise tail probability of its counts (m, k) at the points."""
    from scipy.special import bdtr, bdtrc

    points = _points(size)
    below = bdtr(counts, size, points)
    above = np.where(counts > 0, bdtrc(np.maximum(counts - 1, 0), size, points), 1.0)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(below, above).min(axis=1)))


@lru_cache(maxsize=16)
def _reference(size: int, points: int) -> Vector:
    """The statistic for uniform samples."""
    rng = np.random.default_rng(1)
    counts = np.cumsum(
        rng.multinomial(size, np.full(points + 1, 1 / (points + 1)), size=SIMULATIONS), axis=1
    )[:, :-1]
    return _smallest_tail(counts, size)
