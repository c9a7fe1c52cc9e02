"""The normals that approximations are made of, against SciPy and the matrices they avoid; and the search that leads to
them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayesmlm.errors import SamplingError
from bayesmlm.inference.density import build_density
from bayesmlm.inference.normals import CholeskyNormal, DiagonalNormal, Mixture, QuasiNewtonNormal
from bayesmlm.inference.optimise import Limits, ascend
from bayesmlm.inference.pathfinder import last_normal

from .test_initial import NAMES, narrow, not_a_number
from .toys import COVARIANCE, MEAN, SETTINGS, Toy, gaussian

RANDOM = np.random.default_rng(5)
STEPS = RANDOM.normal(size=(4, 3))
CHANGES = STEPS @ np.linalg.inv(COVARIANCE) + 0.05 * RANDOM.normal(size=(4, 3))
ALPHA = np.array([0.5, 1.5, 6.0])


def bfgs_inverse() -> np.ndarray:
    """The textbook's update of an inverse Hessian (Nocedal and Wright 2006, 6.17), with matrices."""
    H = np.diag(ALPHA)
    for s, z in zip(STEPS, CHANGES, strict=True):
        rho = 1 / (z @ s)
        left = np.eye(3) - rho * np.outer(s, z)
        H = left @ H @ left.T + rho * np.outer(s, s)
    return H


def quasi_newton() -> QuasiNewtonNormal:
    assert (np.sum(STEPS * CHANGES, axis=1) > 0).all()
    return QuasiNewtonNormal.of(np.ones(3), np.array([1.0, -2.0, 0.5]), ALPHA, list(STEPS), list(CHANGES))


FACTOR = np.linalg.cholesky(COVARIANCE)
NORMALS = {
    "diagonal": (DiagonalNormal(MEAN, np.array([1.0, 2.0, 0.1])), MEAN, np.diag([1.0, 4.0, 0.01])),
    "cholesky": (CholeskyNormal(MEAN, FACTOR), MEAN, COVARIANCE),
    "quasi-Newton": (quasi_newton(), np.ones(3) + bfgs_inverse() @ [1.0, -2.0, 0.5], bfgs_inverse()),
}


@pytest.mark.parametrize("name", NORMALS)
def test_density_and_draws_are_those_of_the_covariance(name: str) -> None:
    normal, mean, covariance = NORMALS[name]
    points = mean + RANDOM.normal(size=(5, 3))
    expected = stats.multivariate_normal(mean, covariance).logpdf(points)
    np.testing.assert_allclose(normal.log_density(points), expected, rtol=1e-9)
    drawn = normal.draw(np.random.default_rng(1), 20_000)
    sd = np.sqrt(np.diag(covariance))
    # Five standard errors of means and of (co)variances in 20 000 draws.
    np.testing.assert_allclose((drawn.mean(axis=0) - mean) / sd, 0, atol=5 / np.sqrt(20_000))
    unit = np.outer(sd, sd)
    np.testing.assert_allclose(np.cov(drawn.T) / unit, covariance / unit, atol=5 * np.sqrt(2 / 20_000))


def test_covariance_of_the_quasi_newton_normal() -> None:
    np.testing.assert_allclose(quasi_newton().covariance(), bfgs_inverse(), rtol=1e-10)


def test_mixture_density_and_shares() -> None:
    parts = [
        DiagonalNormal(np.array([-3.0]), np.array([0.5])),
        DiagonalNormal(np.array([2.0]), np.array([1.0])),
    ]
    mixture = Mixture(parts, np.array([0.3, 0.7]))
    points = np.array([[-3.0], [0.0], [40.0]])
    densities = [0.3 * stats.norm(-3, 0.5).pdf(points[:2]), 0.7 * stats.norm(2, 1).pdf(points[:2])]
    np.testing.assert_allclose(mixture.log_density(points[:2]), np.log(sum(densities))[:, 0], rtol=1e-12)
    # So far out that the densities themselves are zero.
    far = np.log(0.7) + stats.norm(2, 1).logpdf(40)
    np.testing.assert_allclose(mixture.log_density(points[2:]), far, rtol=1e-12)
    drawn = mixture.draw(np.random.default_rng(2), 10_000)
    assert (drawn < -1).mean() == pytest.approx(0.3 + 0.7 * stats.norm(2, 1).cdf(-1), abs=5 * 0.46 / 100)


def test_search_finds_the_mode_and_the_curvature() -> None:
    density = build_density(gaussian(), ("gradient", "hessian_columns"))
    path = ascend(density, np.array([-4.0, 5.0, 0.0]), Limits(200))
    assert path.converged
    assert (np.diff(path.values) > 0).all()
    np.testing.assert_allclose(path.positions[-1], MEAN, atol=1e-4)
    np.testing.assert_allclose(-density.hessian(MEAN), np.linalg.inv(COVARIANCE), rtol=1e-10)
    normal = last_normal(path)
    assert normal is not None
    # Quasi-Newton methods with an inexact line search end near the inverse Hessian, not at it.
    np.testing.assert_allclose(normal.covariance(), COVARIANCE, atol=0.05 * COVARIANCE.max())


def rosenbrock() -> Toy:
    """A bent valley: steps of the first order get nowhere in it. Its mode is at (1, 1)."""

    def density(q: Any, data: Any) -> Any:
        return -data["steep"] * (q[1] - q[0] ** 2) ** 2 - (1 - q[0]) ** 2

    return Toy("rosenbrock", 2, {"steep": np.array(100.0)}, density, lambda q, data: {"x": q})


def test_search_through_a_bent_valley() -> None:
    path = ascend(build_density(rosenbrock(), ("gradient",)), np.array([-1.2, 1.0]), Limits(500))
    assert path.converged
    np.testing.assert_allclose(path.positions[-1], 1.0, atol=1e-4)


def test_search_stays_where_the_density_is_finite() -> None:
    density = build_density(narrow(0.1), ("gradient",))
    path = ascend(density, np.array([3.0, 0.0999, -2.0, 1.0]), Limits(200))
    assert path.converged
    assert np.isfinite(path.values).all()
    np.testing.assert_allclose(path.positions[-1], 0, atol=1e-4)


def test_search_stops_when_it_is_told_to() -> None:
    density = build_density(gaussian(), ("gradient",))
    start = np.array([-4.0, 5.0, 0.0])
    assert ascend(density, start, Limits(3)).steps == 3
    asked = Limits(200)
    asked.asked.set()
    for limits in (Limits(3), Limits(200, deadline=0.0), asked):
        path = ascend(density, start, limits)
        assert not path.converged
        np.testing.assert_array_equal(path.positions[0], start)


def test_what_keeps_a_search_from_starting_is_named() -> None:
    density = build_density(not_a_number((1,)), ("gradient",))
    with pytest.raises(SamplingError, match=r"at 100 random points in ±2 .* comes from sigma\."):
        density.start(SETTINGS, 0)
    with pytest.raises(SamplingError, match="at the given starting point"):
        density.start(replace(SETTINGS, init=np.ones((4, len(NAMES)))), 0)
