"""Mixtures: densities, tails, moments and draws against SciPy, and what can be mixed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import bayesmlm as bm
from bayesmlm.families import FamilyError, brmsfamily, family, mixture
from bayesmlm.families.base import Family
from bayesmlm.families.mixture import log_memberships
from bayesmlm.model.parts.mixture_weights import PREDICTED, SIMPLEX, MixtureWeights

# A draw of 20,000 rejects a right sampler once in 10^4 keys; keys are fixed, so each has passed once and for all.
DRAWS, SIGNIFICANCE = 20_000, 1e-4

NORMALS = mixture("gaussian", "gaussian")
COUNTS = mixture("poisson", "negbinomial")
TIMES = mixture("lognormal", "weibull")


def parameters(**given):
    """As arrays."""
    return {name: jnp.asarray(value, dtype=jnp.float64) for name, value in given.items()}


def normals(y, mu1, mu2, sigma1, sigma2, theta1):
    return theta1 * stats.norm.pdf(y, mu1, sigma1) + (1 - theta1) * stats.norm.pdf(y, mu2, sigma2)


def test_log_density_of_two_normals_to_all_digits():
    """Far out both components' densities have long underflowed; their logarithms by SciPy."""
    y = np.array([-300.0, -40.0, -3.0, 0.0, 0.7, 5.0, 60.0, 1e4])
    at = {"mu1": -2.0, "mu2": 3.0, "sigma1": 0.3, "sigma2": 4.0, "theta1": 0.001, "theta2": 0.999}
    expected = np.logaddexp(
        np.log(0.001) + stats.norm.logpdf(y, -2, 0.3), np.log(0.999) + stats.norm.logpdf(y, 3, 4)
    )
    with jax.enable_x64(True):
        got = jax.jit(NORMALS.log_density)(jnp.asarray(y), parameters(**at), {})
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_log_density_of_counts_and_of_times():
    with jax.enable_x64(True):
        y = np.array([0.0, 1.0, 7.0, 150.0])
        p = parameters(mu1=3.0, mu2=40.0, shape2=1.5, theta1=0.3, theta2=0.7)
        got = jax.jit(COUNTS.log_density)(jnp.asarray(y), p, {})
        expected = 0.3 * stats.poisson.pmf(y, 3) + 0.7 * stats.nbinom.pmf(y, 1.5, 1.5 / 41.5)
        np.testing.assert_allclose(got, np.log(expected), rtol=1e-10)
        t = np.array([1e-3, 0.4, 2.0, 9.0])
        p = parameters(mu1=0.2, sigma1=0.5, mu2=3.0, shape2=2.0, theta1=0.6, theta2=0.4)
        got = jax.jit(TIMES.log_density)(jnp.asarray(t), p, {})
        scale = 3.0 / np.exp(jax.scipy.special.gammaln(1.5))
        expected = 0.6 * stats.lognorm.pdf(t, 0.5, scale=np.exp(0.2)) + 0.4 * stats.weibull_min.pdf(
            t, 2, scale=scale
        )
        np.testing.assert_allclose(got, np.log(expected), rtol=1e-10)


def test_an_exposure_multiplies_the_means_of_all_components():
    y, d = np.array([2.0, 9.0]), np.array([0.5, 3.0])
    with jax.enable_x64(True):
        p = parameters(mu1=3.0, mu2=10.0, shape2=1.5, theta1=0.3, theta2=0.7)
        got = jax.jit(COUNTS.log_density)(jnp.asarray(y), p, {"rate": jnp.asarray(d)})
    shape = 1.5 * d
    expected = 0.3 * stats.poisson.pmf(y, 3 * d) + 0.7 * stats.nbinom.pmf(y, shape, shape / (shape + 10 * d))
    np.testing.assert_allclose(got, np.log(expected), rtol=1e-10)


def test_logarithms_of_tails_far_out():
    """Beyond 40 standard deviations, where the probabilities are zero in floating point."""
    y = np.array([-60.0, -2.0, 0.0, 4.0, 80.0])
    with jax.enable_x64(True):
        p = parameters(mu1=-1.0, mu2=2.0, sigma1=1.0, sigma2=1.5, theta1=0.2, theta2=0.8)
        below, above = jax.jit(NORMALS.log_tails)(jnp.asarray(y), p, {})
    pairs = [(0.2, stats.norm(-1, 1)), (0.8, stats.norm(2, 1.5))]
    expected = np.logaddexp(*(np.log(w) + law.logcdf(y) for w, law in pairs))
    np.testing.assert_allclose(below, expected, rtol=1e-12)
    expected = np.logaddexp(*(np.log(w) + law.logsf(y) for w, law in pairs))
    np.testing.assert_allclose(above, expected, rtol=1e-12)


def test_derivatives_are_finite_and_those_of_differences():
    """Third derivatives too; one response is where the first component's density is 0 in floating point."""
    y = jnp.array([-50.0, 0.5, 2.0])
    names = ("mu1", "mu2", "log_sigma1", "log_sigma2", "logit_theta")
    at = np.array([3.0, -1.0, -2.0, 0.3, 0.4])

    def total(x):
        q = dict(zip(names, x, strict=True))
        weights = {
            "log_theta1": jax.nn.log_sigmoid(q["logit_theta"]),
            "log_theta2": jax.nn.log_sigmoid(-q["logit_theta"]),
        }
        p = {"mu1": q["mu1"], "eta_mu1": q["mu1"], "mu2": q["mu2"], "eta_mu2": q["mu2"], **weights}
        p |= {"sigma1": jnp.exp(q["log_sigma1"]), "sigma2": jnp.exp(q["log_sigma2"])}
        return jnp.sum(NORMALS.log_kernel(y, p, {}, ""))

    with jax.enable_x64(True):
        y = y.astype(jnp.float64)
        value, gradient = jax.jit(total), jax.jit(jax.jacrev(total))(at)
        steps = [(value(at + h) - value(at - h)) / 2e-6 for h in 1e-6 * np.eye(5)]
        np.testing.assert_allclose(gradient, steps, rtol=1e-6, atol=1e-6)
        third = jax.jit(jax.jacfwd(jax.jacfwd(jax.jacrev(total))))(at)
    assert np.isfinite(third).all()


def test_mean_and_variance_are_integrals_of_the_density():
    at = {"mu1": -1.0, "mu2": 3.0, "sigma1": 0.5, "sigma2": 1.5, "theta1": 0.3, "theta2": 0.7}
    own = (at["mu1"], at["mu2"], at["sigma1"], at["sigma2"], at["theta1"])
    first = integrate.quad(lambda y: y * normals(y, *own), -15, 18, points=[-1, 3])[0]
    second = integrate.quad(lambda y: y * y * normals(y, *own), -15, 18, points=[-1, 3])[0]
    assert NORMALS.mean(at, {}) == pytest.approx(first, rel=1e-8)
    assert NORMALS.variance(at, {}) == pytest.approx(second - first**2, rel=1e-8)


def test_draws_follow_the_distribution():
    with jax.enable_x64(True):
        rows = jnp.ones(DRAWS)
        at = {"mu1": -1.0, "mu2": 2.0, "sigma1": 0.5, "sigma2": 1.5, "theta1": 0.25, "theta2": 0.75}
        p = {name: value * rows for name, value in at.items()}
        drawn = jax.jit(NORMALS.sample)(jax.random.key(1), p, {})
        u = jax.jit(NORMALS.cdf)(drawn, p, {})
        assert stats.kstest(np.asarray(u), "uniform").pvalue > SIGNIFICANCE


def test_scalar_parameters_still_give_every_row_a_draw_of_its_own():
    with jax.enable_x64(True):
        p = {"mu1": jnp.zeros(50), "mu2": 0.0, "sigma1": 1.0, "sigma2": 1.0, "theta1": 0.0, "theta2": 1.0}
        drawn = np.asarray(jax.jit(NORMALS.sample)(jax.random.key(3), p, {}))
    assert len(np.unique(drawn)) == 50


def test_memberships_are_bayes_theorem():
    y = np.array([-2.0, 0.3, 9.0])
    with jax.enable_x64(True):
        p = parameters(mu1=-1.0, mu2=2.0, sigma1=0.5, sigma2=1.5, theta1=0.25, theta2=0.75)
        got = np.exp(log_memberships(NORMALS.components, jnp.asarray(y), p, {}))
    first, second = 0.25 * stats.norm.pdf(y, -1, 0.5), 0.75 * stats.norm.pdf(y, 2, 1.5)
    np.testing.assert_allclose(got, np.stack([first, second]) / (first + second), rtol=1e-10)


def test_a_zero_inflated_component_sees_its_logit():
    """zi so close to 1 that 1 - zi has no digits left."""
    mixed = mixture("zero_inflated_poisson", "poisson")
    with jax.enable_x64(True):
        p = parameters(mu1=4.0, mu2=1.0, zi1=1.0, logit_zi1=45.0, theta1=1.0, theta2=1e-300)
        got = float(jax.jit(mixed.log_density)(jnp.asarray(3.0), p, {}))
    assert got == pytest.approx(-45 + stats.poisson.logpmf(3, 4), rel=1e-10)


# ---- weights ------------------------------------------------------------------------------------------------------


def test_weights_from_a_simplex_and_from_predictors():
    with jax.enable_x64(True):
        own = MixtureWeights(3, SIMPLEX).parameters({"theta": jnp.array([0.2, 0.3, 0.5])}, {}, {})
        np.testing.assert_allclose([own[f"theta{k}"] for k in (1, 2, 3)], [0.2, 0.3, 0.5], rtol=1e-15)
        eta = np.array([0.5, -800.0, 800.0])
        part = MixtureWeights(3, PREDICTED, (1, 3))
        own = part.parameters({}, {}, {"theta1": jnp.asarray(eta), "theta3": jnp.asarray(-eta)})
    etas = np.stack([eta, np.zeros(3), -eta])
    expected = etas - np.logaddexp.reduce(etas, axis=0)
    np.testing.assert_allclose([own[f"log_theta{k}"] for k in (1, 2, 3)], expected, rtol=1e-13)


# ---- records --------------------------------------------------------------------------------------------------------


def test_the_same_mixture_is_the_same_family():
    assert mixture("gaussian", "student") is mixture("gaussian", "student")
    assert mixture("gaussian", nmix=2) == NORMALS == family("mixture(gaussian, nmix = 2)")
    assert mixture("gaussian", "student") != mixture("student", "gaussian")
    assert hash(NORMALS) == hash(mixture("gaussian", "gaussian"))
    assert mixture("gaussian", "gaussian", order="none") != NORMALS


def test_json_gives_the_mixture_back():
    for one in (NORMALS, mixture("poisson", brmsfamily("negbinomial", "identity"), refcat=1), TIMES):
        again = Family.from_json(one.to_json())
        assert again == one
        assert again.components == one.components


def test_links_of_components_can_be_changed():
    changed = bm.families.family(NORMALS, link_mu2="log")
    assert changed.components[1].mu_link == "log"
    assert changed == mixture("gaussian", brmsfamily("gaussian", "log"), order="mu")


def test_r_text():
    text = "mixture(brmsfamily('poisson', link = 'sqrt'), negbinomial(), nmix = c(1, 2), order = 'none', refcat = 2)"
    expected = mixture(brmsfamily("poisson", "sqrt"), "negbinomial", nmix=(1, 2), order="none", refcat=2)
    assert family(text) == expected
    assert [p.name for p in expected.parameters] == [
        *("mu1", "mu2", "shape2", "mu3", "shape3", "theta1", "theta2", "theta3")
    ]
    assert expected.main == ("mu1", "mu2", "mu3")


@pytest.mark.parametrize(
    ("components", "options", "order"),
    [
        (("gaussian", "gaussian"), {}, "mu"),
        (("gaussian", "gaussian"), {"order": False}, "none"),
        (("gaussian", "student"), {}, "none"),
        (("gaussian", "student"), {"order": "mu"}, "mu"),
        (("cumulative", "cumulative"), {}, "none"),
    ],
)
def test_order_of_components(components, options, order):
    assert mixture(*components, **options).options["order"] == order


@pytest.mark.parametrize(
    ("components", "options", "words"),
    [
        (("gaussian",), {}, "at least two components"),
        (("gaussian", "poisson"), {}, "whole numbers with families of real numbers"),
        (("cumulative", "poisson"), {}, "ordinal"),
        (("cumulative", "hurdle_cumulative"), {}, "first categories"),
        (("categorical", "categorical"), {}, "not allowed"),
        (("cox", "weibull"), {}, "not allowed"),
        ((NORMALS, "gaussian"), {}, "all components into one"),
        (("hurdle_gamma", "gamma"), {}, "only with itself"),
        (("bernoulli", "poisson"), {}, "coded in different ways"),
        (("gaussian", "gaussian"), {"order": "sigma"}, '"mu" or "none"'),
        (("cumulative", "cumulative"), {"order": "mu"}, "shared"),
        (("gaussian",), {"nmix": (1, 2)}, "nmix"),
        (("gaussian",), {"nmix": 2, "refcat": 3}, "from 1 to 2"),
    ],
)
def test_what_cannot_be_mixed(components, options, words):
    with pytest.raises(FamilyError, match=words):
        mixture(*components, **options)


def test_responses_must_be_in_the_support_of_every_component():
    mixed = mixture("gaussian", "lognormal")
    assert mixed.support.contains(np.array([-1.0, 0.0, 2.0])).tolist() == [False, False, True]
    with pytest.raises(bm.DataError, match="finite numbers and numbers greater than 0"):
        mixed.check(np.array([2.0, -1.0]), {})
