"""Proportional hazards: M-splines against R's splines2 and their own properties, and the distribution made of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.families.spline_hazard import MSplines

from ..compiling import quickly
from ..support import reference

REFERENCE = reference("mixture_cox")
COX = FAMILIES["cox"]
log_density, log_tails = quickly(COX.log_density), quickly(COX.log_tails)
ENDS = (0.05, 3.7)
# A draw of 20,000 rejects a right sampler once in 10^4 keys; the key is fixed.
DRAWS, SIGNIFICANCE = 20_000, 1e-4
BASES = {
    "cubic": ((0.6, 1.5), 3, True),
    "no_knots": ((), 3, True),
    "quadratic": ((0.6,), 2, True),
    "without_intercept": ((0.6, 1.5, 2.2), 3, False),
}


def hazard_parameters(splines, sbhaz, eta, log_mu=None):
    """What the part of the model supplies, for one baseline; ``eta``: of all rows."""
    sbhaz = np.asarray(sbhaz)
    return {
        "hazard_breaks": splines.breaks[:, None],
        "hazard_density": (splines.density @ sbhaz)[..., None],
        "hazard_integral": (splines.integral @ sbhaz)[..., None],
        "mu": np.exp(eta),
        "eta": np.asarray(eta),
    }


@pytest.mark.parametrize("name", BASES)
def test_splines_are_those_of_splines2(name):
    knots, degree, intercept = BASES[name]
    splines, at = MSplines.build(ENDS, knots, degree, intercept), np.array(REFERENCE["at"])
    for kind, integrated in (("m", False), ("i", True)):
        expected = np.array(REFERENCE["splines"][name][kind]).T
        got = splines.evaluate(at, integrate=integrated)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_m_splines_integrate_to_one_and_i_splines_are_their_integrals():
    splines = MSplines.build(ENDS, (0.6, 1.5, 1.6), 3)
    for k in range(splines.count):
        whole = integrate.quad(
            lambda t, k=k: splines.evaluate(np.array([t]))[k, 0], *ENDS, points=[0.6, 1.5, 1.6]
        )
        assert whole[0] == pytest.approx(1, abs=1e-10)
        part = integrate.quad(
            lambda t, k=k: splines.evaluate(np.array([t]))[k, 0], 0.05, 1.55, points=[0.6, 1.5]
        )
        assert splines.evaluate(np.array([1.55]), integrate=True)[k, 0] == pytest.approx(part[0], abs=1e-10)


def test_with_one_interval_they_are_beta_densities():
    """M-splines without inner knots are Beta(k + 1, degree - k + 1) on the interval."""
    splines = MSplines.build((1.0, 3.0), (), 3)
    t = np.array([1.0, 1.0001, 1.5, 2.9, 3.0 - 1e-9])
    expected = [stats.beta.pdf((t - 1) / 2, k + 1, 4 - k) / 2 for k in range(4)]
    np.testing.assert_allclose(splines.evaluate(t), expected, rtol=1e-12, atol=1e-300)


def test_a_constant_hazard_is_the_exponential_distribution():
    """Coefficients in proportion to the knots' averages make the hazard constant: sum of s_k M_k with s_k equal to
    (t_{k+4} - t_k) / (4 (b - a)) is 1 / (b - a)."""
    splines = MSplines.build((0.0, 4.0), (1.0, 2.5), 3)
    padded = np.array([0, 0, 0, 0, 1, 2.5, 4, 4, 4, 4.0])
    sbhaz = (padded[4:] - padded[:-4]) / 16
    rate = np.exp(0.3) / 4
    y = np.array([1e-9, 0.3, 1.0, 2.5, 3.99, 4.0, 30.0])
    with jax.enable_x64(True):
        p = hazard_parameters(splines, sbhaz, np.full(7, 0.3))
        np.testing.assert_allclose(log_density(y, p, {}), stats.expon.logpdf(y, scale=1 / rate), rtol=1e-12)
        below, above = log_tails(y, p, {})
        np.testing.assert_allclose(above, stats.expon.logsf(y, scale=1 / rate), rtol=1e-12)
        np.testing.assert_allclose(below, stats.expon.logcdf(y, scale=1 / rate), rtol=1e-12)
        quantiles = quickly(COX.quantile)(np.array([0.01, 0.5, 0.999]), {**p, "mu": p["mu"][:3]}, {})
        np.testing.assert_allclose(quantiles, stats.expon.ppf([0.01, 0.5, 0.999], scale=1 / rate), rtol=1e-10)


SBHAZ = np.array([0.05, 0.3, 0.05, 0.2, 0.35, 0.05])
SPLINES = MSplines.build(ENDS, (0.6, 1.5), 3)


def test_density_is_minus_the_slope_of_survival():
    y = np.linspace(0.06, 5, 40)
    with jax.enable_x64(True):
        p = hazard_parameters(SPLINES, SBHAZ, np.full(40, 0.4))
        slope = quickly(jax.jacfwd(lambda t: jnp.exp(COX.log_tails(t, p, {})[1])))(y)
        np.testing.assert_allclose(np.exp(log_density(y, p, {})), -np.diag(slope), rtol=1e-9)


def test_outside_the_knots():
    """Nothing happens before the first; after the last the hazard is constant."""
    y = np.array([-np.inf, -1.0, 0.0, 0.05, np.inf])
    with jax.enable_x64(True):
        p = hazard_parameters(SPLINES, SBHAZ, np.full(5, 0.4))
        below, above = log_tails(y, p, {})
        np.testing.assert_array_equal(below, [-np.inf] * 4 + [0.0])
        np.testing.assert_array_equal(above[:4], np.zeros(4))
        assert above[4] < -1e290
        assert np.isneginf(log_density(np.array([0.01]), hazard_parameters(SPLINES, SBHAZ, [0.4]), {}))[0]


def test_tails_far_out_and_derivatives():
    """mu so small that 1 - S is lost beside 1, and so large that S underflows."""
    eta = np.array([-300.0, -40.0, 0.0, 6.0])
    y = np.full(4, 1.0)
    with jax.enable_x64(True):
        p = hazard_parameters(SPLINES, SBHAZ, eta)
        below, above = log_tails(y, p, {})
        H = float(SBHAZ @ SPLINES.evaluate(np.array([1.0]), integrate=True)[:, 0])
        np.testing.assert_allclose(above, -H * np.exp(eta), rtol=1e-12)
        np.testing.assert_allclose(below[:2], np.log(H) + eta[:2], rtol=1e-12)
        np.testing.assert_allclose(below[2], np.log(-np.expm1(-H)), rtol=1e-12)

        def plain(e, s):
            q = hazard_parameters(SPLINES, SBHAZ, eta)
            q |= {"mu": jnp.exp(e), "eta": e}
            q["hazard_density"] = (jnp.asarray(SPLINES.density) @ s)[..., None]
            q["hazard_integral"] = (jnp.asarray(SPLINES.integral) @ s)[..., None]
            lower, upper = COX.log_tails(y, q, {})
            return jnp.sum(lower) + jnp.sum(upper) + jnp.sum(COX.log_kernel(y, q, {}, "log"))

        tails = quickly(plain)
        by_eta, by_s = quickly(jax.grad(plain, (0, 1)))(eta, SBHAZ)
        assert np.isfinite(by_eta).all()
        assert np.isfinite(by_s).all()
        step = 1e-6
        for k in range(len(SBHAZ)):
            h = step * np.eye(len(SBHAZ))[k]
            difference = (tails(eta, SBHAZ + h) - tails(eta, SBHAZ - h)) / (2 * step)
            assert float(by_s[k]) == pytest.approx(float(difference), rel=1e-6)


def test_draws_follow_the_distribution():
    with jax.enable_x64(True):
        p = hazard_parameters(SPLINES, SBHAZ, np.linspace(-1, 2, DRAWS))
        drawn = quickly(COX.sample)(jax.random.key(4), p, {})
        u = quickly(COX.cdf)(drawn, p, {})
    assert stats.kstest(np.asarray(u), "uniform").pvalue > SIGNIFICANCE


def test_many_times_for_rows_with_baselines_of_their_own():
    """Shapes (times, 1) and (times, rows), one baseline and one for each row."""
    with jax.enable_x64(True):
        one = hazard_parameters(SPLINES, SBHAZ, [0.1, 0.2, 0.3])
        each = {
            **one,
            "hazard_density": np.repeat(one["hazard_density"], 3, axis=-1),
            "hazard_integral": np.repeat(one["hazard_integral"], 3, axis=-1),
        }
        times = np.array([0.2, 1.0, 3.0, 9.0])[:, None]
        first, second = (log_tails(times, p, {})[1] for p in (one, each))
        third = log_tails(np.broadcast_to(times, (4, 3)), each, {})[1]
    assert first.shape == (4, 3)
    np.testing.assert_allclose(first, second, rtol=1e-14)
    np.testing.assert_allclose(first, third, rtol=1e-14)


def test_the_mean_is_refused():
    with pytest.raises(bm.BayesmlmError, match="survival_curve"):
        COX.mean({}, {})
