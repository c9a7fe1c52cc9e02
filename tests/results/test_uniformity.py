"""The test of uniform ranks: exact where it can be enumerated, its size on uniform ranks, its power on others."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bayesmlm.results.uniformity import SIMULATIONS, uniformity_of


def test_p_values_of_uniform_ranks_are_uniform() -> None:
    rng = np.random.default_rng(3)
    p = [uniformity_of(rng.integers(0, 100, 120), 99, seed).p for seed in range(200)]
    # They are not below a uniform's anywhere by more than chance; discreteness may make them a little larger.
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-3


def test_p_is_the_share_of_samples_that_are_further_off() -> None:
    """Three values and two inner points: every count has a known probability."""
    points = np.array([1 / 3, 2 / 3])

    def statistic(counts: tuple[int, ...]) -> float:
        law = stats.binom(3, points)
        return min(1.0, 2 * np.minimum(law.cdf(counts), law.sf(np.array(counts) - 1)).min())

    chances: dict[tuple[int, int], float] = {}
    for cells in product(range(3), repeat=3):
        counts = (cells.count(0), cells.count(0) + cells.count(1))
        chances[counts] = chances.get(counts, 0.0) + 1 / 27
    for ranks in ([0, 0, 0], [0, 40, 80], [70, 80, 99], [40, 45, 50]):
        found = uniformity_of(np.array(ranks), 99)
        counts = tuple(np.round(3 * found.ecdf).astype(int))
        expected = sum(c for other, c in chances.items() if statistic(other) <= statistic(counts) + 1e-12)
        error = 4 * np.sqrt(expected * (1 - expected) / SIMULATIONS) + 2 / SIMULATIONS
        assert found.p == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("wrong", ["low", "narrow"])
def test_it_sees_ranks_that_are_not_uniform(wrong: str) -> None:
    rng = np.random.default_rng(4)
    u = rng.beta(1.6, 1.0, 200) if wrong == "low" else rng.beta(0.5, 0.5, 200)
    assert uniformity_of(np.floor(100 * u).astype(int), 99).p < 1e-3


def test_the_band_holds_a_uniform_curve_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for seed in range(200):
        found = uniformity_of(rng.integers(0, 1000, 80), 999, seed)
        lower, upper = found.band(0.9)
        inside += bool(((found.ecdf >= lower) & (found.ecdf <= upper)).all())
    assert stats.binomtest(inside, 200, 0.9).pvalue > 1e-3
