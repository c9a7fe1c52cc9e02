"""Distribution functions, random draws, means and variances, against scipy and against the densities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

from bayesmlm.families import FAMILIES
from bayesmlm.families.common import draw_poisson
from bayesmlm.families.special import (
    incomplete_beta,
    incomplete_gamma,
    log_gamma_ratio,
    student_t_cdf,
)

from ..compiling import quickly
from .cases import CASES, NAMES, Case

DRAWS = 20_000
# Each test rejects a right sampler once in 10^4 keys; the key is fixed, so each has passed once and for all.
SIGNIFICANCE = 1e-4


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cdf_is_scipys(case):
    y = case.grid()
    with jax.enable_x64(True):
        ours = np.asarray(quickly(case.family.cdf)(y, case.natural(), case.extra))
    # XLA's incomplete beta and gamma functions lose about eps times the larger shape, here up to 2e4.
    np.testing.assert_allclose(ours, case.scipy.cdf(y), rtol=2e-10)


@pytest.mark.parametrize("name", NAMES)
def test_cdf_outside_and_between_the_values(name):
    case = next(c for c in CASES if c.name == name)
    y = np.array([-1e300, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 1e300])  # as many as in a case's grid
    with jax.enable_x64(True):
        ours = np.asarray(quickly(case.family.cdf)(y, case.natural(), case.extra))
    np.testing.assert_allclose(ours, case.scipy.cdf(y), rtol=1e-12)


def test_log_gamma_ratio_and_its_derivative():
    x, a = (g.ravel() for g in np.meshgrid([1e-8, 0.3, 5.0, 19.9, 20.1, 1e3], [0.0, 0.5, 3.0, 500.0]))
    with jax.enable_x64(True):
        value, slope = quickly(jax.vmap(jax.value_and_grad(log_gamma_ratio)))(
            np.append(x, 1e12), np.append(a, 0.5)
        )
    (*value, huge), slope = np.asarray(value), np.asarray(slope)[:-1]
    # Gamma(x + 1/2) / Gamma(x) = sqrt(x) (1 - 1 / (8 x) + ...), where scipy's difference has no digits.
    np.testing.assert_allclose(huge, 6 * np.log(10) - 1.25e-13, rtol=1e-15)
    np.testing.assert_allclose(value, sp.gammaln(x + a) - sp.gammaln(x), rtol=1e-12, atol=3e-12)
    np.testing.assert_allclose(slope, sp.psi(x + a) - sp.psi(x), rtol=1e-10, atol=1e-12)


Z = np.array([-4.0, -2.5, -0.3, 0.0, 1.0, 4.0])  # scipy's own functions lose their digits farther out


@pytest.mark.parametrize("shape", [2e4, 1e8, 1e12])
def test_incomplete_gamma_of_a_large_shape(shape):
    x = shape + Z * np.sqrt(shape)
    with jax.enable_x64(True):
        lower, upper = quickly(incomplete_gamma)(shape, x)
    # x is rounded to eps x, that is to sqrt(shape) eps standard deviations.
    np.testing.assert_allclose(lower, st.gamma.cdf(x, shape), rtol=1e-9)
    np.testing.assert_allclose(upper, st.gamma.sf(x, shape), rtol=1e-9)


@pytest.mark.parametrize(("a", "b"), [(2e4, 3e4), (1e8, 1e8), (2e4, 1e9), (1e9, 2e4), (5.0, 1e8)])
def test_incomplete_beta_of_large_shapes(a, b):
    x = st.beta.ppf([1e-12, 1e-3, 0.3, 0.6, 0.99], a, b)
    with jax.enable_x64(True):
        ours = np.asarray(jax.jit(incomplete_beta)(a, b, x))
    np.testing.assert_allclose(ours, st.beta.cdf(x, a, b), rtol=1e-7 if min(a, b) < 1e4 else 2e-9)


@pytest.mark.parametrize("nu", [999.0, 1001.0, 1e5, 1e10])
def test_student_cdf_with_many_degrees_of_freedom(nu):
    t = np.array([-12.0, -3.0, -0.01, 0.0, 0.7, 5.0])
    with jax.enable_x64(True):
        ours = np.asarray(quickly(student_t_cdf)(t, nu))
    np.testing.assert_allclose(ours, st.t.cdf(t, nu), rtol=1e-10)


def uniform_under(distribution, draws: np.ndarray, discrete: bool) -> np.ndarray:
    """Probability integral transform, randomised for counts: uniform if the draws are from ``distribution``."""
    if not discrete:
        return distribution.cdf(draws)
    v = np.random.default_rng(0).random(draws.size)
    return distribution.cdf(draws - 1) + v * distribution.pmf(draws)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_follow_the_distribution(case):
    with jax.enable_x64(True):
        draws = np.asarray(case.family.sample(jax.random.key(1), case.natural(rows=DRAWS), case.extra))
    assert draws.shape == (DRAWS,)
    assert draws.dtype == np.float64
    u = uniform_under(case.scipy, draws, case.family.integer_response)
    assert st.kstest(u, "uniform").pvalue > SIGNIFICANCE


@pytest.mark.parametrize("mean", [9.9, 10.1, 1e5, 1e7])
def test_poisson_draws_with_large_means(mean):
    # jax.random.poisson, in single precision, has p = 1e-19 at 1e6.
    with jax.enable_x64(True):
        means = jnp.asarray(np.full(DRAWS, mean))
        draws = np.concatenate([draw_poisson(jax.random.key(k), means) for k in range(10)])
    assert st.kstest(uniform_under(st.poisson(mean), draws, True), "uniform").pvalue > SIGNIFICANCE


def test_draws_have_the_shape_of_parameters_and_trials():
    family = FAMILIES["binomial"]
    with jax.enable_x64(True):
        p = {"mu": np.full((4, 1), 0.5), "eta": np.zeros((4, 1))}
        draws = quickly(family.sample)(jax.random.key(0), p, {"trials": np.array([0.0, 1.0, 1000.0])})
    assert draws.shape == (4, 3)
    assert (np.asarray(draws)[:, 0] == 0).all()
    assert (np.asarray(draws)[:, 2] > 300).all()


POINTS = 40_001


def quadrature(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Responses and weights: all counts, or the trapezoidal rule after a change of variable to the line, where
    it converges exponentially."""
    if case.family.integer_response:
        last = 1 if case.name == "bernoulli" else case.parameters.get("trials", POINTS - 1)
        return np.arange(POINTS) % (last + 1.0), (np.arange(POINTS) <= last).astype(float)
    t = np.linspace(-120, 120, POINTS)
    centre, scale = case.scipy.median(), case.scipy.ppf(0.75) - case.scipy.ppf(0.25)
    if case.name in ("gaussian", "student"):
        y, weight = centre + scale * np.sinh(t), scale * np.cosh(t)
    elif case.name == "beta":
        y = sp.expit(sp.logit(centre) + t)
        weight = y * (1 - y)
    else:
        width = min(1.0, 3 * scale / centre)
        y = centre * np.exp(t * width)
        weight = y * width
    inside = case.family.support.contains(y)
    return np.where(inside, y, centre), np.where(inside, weight * (t[1] - t[0]), 0.0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mean_and_variance_are_those_of_the_density(case):
    y, weight = quadrature(case)
    with jax.enable_x64(True):
        mean = float(case.family.mean(case.natural(), case.extra))
        variance = float(case.family.variance(case.natural(), case.extra))
        density = np.exp(np.asarray(case.family.log_density(jnp.asarray(y), case.natural(), case.extra)))
    if case.name == "student" and case.parameters["nu"] <= 2:
        assert mean == case.parameters["mu"]
        assert variance == np.inf
        return
    # A beta density with shapes below 1 has 6e-8 of its mass between 1 - eps and 1, out of quadrature's reach.
    assert np.sum(weight * density * (y - mean)) == pytest.approx(0, abs=1e-6 * np.sqrt(variance))
    assert np.sum(weight * density * (y - mean) ** 2) == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_mean_and_variance_also_take_numpy_arrays(name):
    case = next(c for c in CASES if c.name == name)
    p = {k: np.full(3, float(v)) for k, v in case.parameters.items()}
    for function in (case.family.mean, case.family.variance):
        value = function(p, p)
        assert isinstance(value, np.ndarray)
        assert value.shape == (3,)
