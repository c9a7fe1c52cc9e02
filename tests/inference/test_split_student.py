"""Proposals and resampling of the engine "laplace", against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from bayesmlm.inference.laplace import systematic
from bayesmlm.inference.split_student import SplitStudent


def test_density_with_equal_scales_is_that_of_the_student_distribution():
    scales = np.array([0.5, 2.0, 1.0])
    points = np.random.default_rng(1).normal(size=(20, 3))
    ours = SplitStudent(scales, scales, 6.0).log_density(points)
    theirs = stats.multivariate_t(np.zeros(3), np.diag(scales**2), df=6).logpdf(points)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_density_integrates_to_one_and_draws_follow_it():
    split = SplitStudent(np.array([0.5, 1.0]), np.array([2.0, 1.0]), 5.0)
    total, error = integrate.dblquad(
        lambda y, x: np.exp(split.log_density(np.array([[x, y]])))[0], -np.inf, np.inf, -np.inf, np.inf
    )
    assert total == pytest.approx(1, abs=10 * error)
    drawn = split.draw(np.random.default_rng(2), 20_000)
    # Mass in proportion to the scales, and on each side the half of a Student distribution.
    above = drawn[:, 0] > 0
    assert above.mean() == pytest.approx(0.8, abs=4.5 * np.sqrt(0.16 / 20_000))
    for side, scale in ((above, 2.0), (~above, 0.5)):
        assert stats.kstest(np.abs(drawn[side, 0]) / scale, lambda x: 2 * stats.t(5).cdf(x) - 1).pvalue > 1e-4
    # What is drawn together shares its distance: the squares are dependent.
    assert stats.spearmanr(np.abs(drawn[:, 0]), np.abs(drawn[:, 1])).pvalue < 1e-6


def test_every_position_is_chosen_as_often_as_its_share_says():
    weights = np.random.default_rng(3).dirichlet(np.full(50, 0.3))
    chosen = np.bincount(systematic(weights, 1000, np.random.default_rng(4)), minlength=50)
    assert np.all(np.abs(chosen - 1000 * weights) < 1)
    assert chosen.sum() == 1000
