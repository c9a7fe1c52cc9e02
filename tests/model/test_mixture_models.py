"""Mixtures, cox models and custom families as models: brms's priors, and joint densities against SciPy."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import log_density, potential_energy
from scipy import stats
from scipy.interpolate import BSpline

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.families import custom_family, mixture
from bayesmlm.model.describe import model_code

from ..support import reference

REFERENCE = reference("mixture_cox")
DATA = pd.DataFrame(REFERENCE["data"])

BETA_BINOMIAL2 = custom_family(
    "beta_binomial2", ("mu", "phi"), ("logit", "log"), lb=(0, 0), ub=(1, None), type="int",
    log_prob=lambda y, mu, phi, vint1: y * mu * phi * vint1,
)  # fmt: skip
OWN = custom_family(
    "own", ("mu", "tau", "sigma"), ("identity", "log", "log"), lb=(None, 0, 0),
    log_prob=lambda y, mu, tau, sigma: y * mu * tau * sigma,
)  # fmt: skip

MODELS = {
    "two_gaussians": ("y ~ x + (1 | g)", "mixture(gaussian, gaussian)"),
    "tied": (bm.bf("y ~ 1", mu1="~ x", sigma2="sigma1"), mixture("gaussian", "gaussian", order="none")),
    "fixed": (bm.bf("y ~ x", theta1=1, theta2=2), mixture("gaussian", nmix=2)),
    "predicted": (bm.bf("y ~ x", theta1="~ x", theta2="~ 1"), mixture("gaussian", nmix=2)),
    "counts": ("n ~ x", mixture("poisson", "negbinomial")),
    "positive": ("t ~ x", mixture("lognormal", "weibull")),
    "beta_gaussian": ("p ~ x", mixture("beta", "gaussian")),
    "cox": ("t ~ x + (1 | g)", "cox"),
    "custom_counts": ("n | vint(n) ~ x", BETA_BINOMIAL2),
    "custom_real": ("y ~ x", OWN),
    "custom_predicted": (bm.bf("y ~ x", tau="~ x"), OWN),
}


@pytest.mark.parametrize("name", MODELS)
def test_default_priors_are_those_of_brms(name):
    formula, family = MODELS[name]
    columns = ["prior", "class", "coef", "group", "dpar", "lb"]
    ours = bm.default_prior(formula, DATA, family).to_frame()[columns].fillna("")
    theirs = pd.DataFrame(REFERENCE["priors"][name])[columns].fillna("")
    ours["prior"] = ours["prior"].replace("(flat)", "")
    assert sorted(map(tuple, ours.to_numpy())) == sorted(map(tuple, theirs.to_numpy()))


def spec_of(formula, family, prior=None, data=DATA):
    return specification(prepare(formula, data, family), prior, parameterisation="noncentred")


JOINT = {
    "ordered with groups, tied, predicted weights": (
        bm.bf("y ~ x", mu1="~ x + (1 | g)", theta2="~ x", sigma2="sigma1"),
        mixture("gaussian", nmix=2),
    ),
    "strata of baselines": ("t | bhaz(gr = g, df = 4) ~ x", "cox"),
}


@pytest.mark.parametrize("name", JOINT)
def test_potential_is_that_of_the_numpyro_model(name):
    spec = spec_of(*JOINT[name])
    structure = spec.structure
    with jax.enable_x64(True):
        q = np.random.default_rng(1).normal(0, 0.3, structure.dimension)
        value, gradient = jax.jit(jax.value_and_grad(structure.potential))(q, spec.data)
        numpyro = jax.jit(
            lambda q, data: potential_energy(structure.model, (data,), {}, structure.unravel(q))
        )
        theirs = numpyro(q, spec.data)
    assert float(value) == pytest.approx(float(theirs), rel=1e-12)
    assert np.isfinite(gradient).all()


def joint_log_density(spec, values):
    with jax.enable_x64(True):
        density = jax.jit(lambda values, data: log_density(spec.structure.model, (data,), {}, values)[0])
        return float(density(values, spec.data))


def test_joint_density_of_a_mixture_in_closed_form():
    prior = bm.set_prior("normal(-1, 2)", class_="Intercept", dpar="mu1")
    prior += bm.set_prior("dirichlet(2, 3)", class_="theta")
    spec = spec_of("y ~ x", mixture("gaussian", nmix=2), prior)
    at = {
        "ordered_Intercept": np.array([-0.7, 1.2]),
        "theta": np.array([0.3, 0.7]),
        "sigma1": 0.6,
        "sigma2": 1.4,
    }
    slopes = {"b_mu1": np.array([0.5]), "b_mu2": np.array([-0.2])}
    y, x = DATA["y"].to_numpy(), DATA["x"].to_numpy() - DATA["x"].mean()
    first = 0.3 * stats.norm.pdf(y, -0.7 + 0.5 * x, 0.6)
    expected = np.log(first + 0.7 * stats.norm.pdf(y, 1.2 - 0.2 * x, 1.4)).sum()
    expected += stats.norm.logpdf(-0.7, -1, 2) + stats.t.logpdf(1.2, 3, 0.1, 2.5)
    expected += stats.dirichlet.logpdf([0.3, 0.7], [2, 3])
    expected += sum(stats.t.logpdf(sigma, 3, 0, 2.5) + np.log(2) for sigma in (0.6, 1.4))
    assert joint_log_density(spec, {**at, **slopes}) == pytest.approx(expected, rel=1e-12)


def test_joint_density_of_a_cox_model_in_closed_form():
    """Survival by SciPy's B-splines and their antiderivatives; right-censored rows have no hazard."""
    data = DATA.assign(c=(np.arange(60) % 3 == 0).astype(int))
    spec = spec_of("t | cens(c) ~ x", "cox", data=data)
    t, x = data["t"].to_numpy(), data["x"].to_numpy() - data["x"].mean()
    spread = (t.max() - t.min()) / 50
    knots = np.concatenate(
        [np.repeat(max(t.min() - spread, 0), 4), [np.median(t)], np.repeat(t.max() + spread, 4)]
    )
    sbhaz = np.array([0.1, 0.3, 0.2, 0.15, 0.25])
    hazard = BSpline(knots, sbhaz * 4 / (knots[4:] - knots[:-4]), 3)
    integral = hazard.antiderivative()
    mu = np.exp(0.3 - 0.5 * x)
    log_hazard = np.where(data["c"] == 1, 0.0, np.log(hazard(t) * mu))
    expected = (log_hazard - (integral(t) - integral(knots[0])) * mu).sum()
    scale = max(2.5, round(1.4826 * np.median(np.abs(np.log(t) - np.median(np.log(t)))), 1))
    expected += stats.t.logpdf(0.3, 3, round(np.median(np.log(t)), 1), scale) + stats.dirichlet.logpdf(
        sbhaz, np.ones(5)
    )
    got = joint_log_density(spec, {"Intercept": 0.3, "b": np.array([-0.5]), "sbhaz": sbhaz})
    assert got == pytest.approx(expected, rel=1e-10)


def test_bases_of_a_cox_model_are_those_brms_passes_to_stan():
    ours = bm.standata("t ~ x", DATA, family="cox")
    for name in ("Zbhaz", "Zcbhaz"):
        np.testing.assert_allclose(ours[name], REFERENCE["standata"][name], rtol=1e-10, atol=1e-12)


WRONG = [
    ("y ~ 0 + x", "mixture(gaussian, gaussian)", "`mu1` has none"),
    (bm.bf("y ~ x", theta1=1), "mixture(gaussian, gaussian)", "`theta2` is not"),
    (bm.bf("y ~ x", theta1="~ x", theta2=1), "mixture(gaussian, gaussian)", "`theta1` is predicted"),
    (bm.bf("y ~ x", theta1="~ x"), "mixture(gaussian, nmix = 3)", "all but one of them"),
    (bm.bf("y ~ x", theta1="~ x"), "mixture(gaussian, nmix = 2, refcat = 1)", "compared with"),
    (bm.bf("y ~ x", theta1="~ x"), "mixture(gaussian, nmix = 2, refcat = 'NA')", "give all a formula"),
    (bm.bf("y ~ x", theta1="theta2"), "mixture(gaussian, gaussian)", "weights cannot be set equal"),
    (bm.bf("y ~ x", sigma2="sigma3"), "mixture(gaussian, gaussian)", "no parameter `sigma3`"),
    (bm.bf("y ~ x", sigma="~ x"), "mixture(gaussian, gaussian)", "`sigma` is not a parameter"),
    ("t | bhaz(df = 3) ~ x", "cox", "at least 4"),
    ("t | bhaz(knots = c(2, 1)) ~ x", "cox", "must increase"),
    ("t | bhaz(gr = g + x) ~ x", "cox", "name of a variable"),
    ("t | bhaz(span = 2) ~ x", "cox", r"`bhaz\(\)` takes gr, df"),
    ("t | bhaz(intercept = 2) ~ x", "cox", "TRUE or FALSE"),
    ("t | bhaz(df = 5) ~ x", "weibull", "does not take `bhaz"),
    ("n ~ x", BETA_BINOMIAL2, r"needs `vint\(\)`"),
]


@pytest.mark.parametrize(("formula", "family", "words"), WRONG)
def test_wrong_models_are_refused_before_anything_is_compiled(formula, family, words):
    with pytest.raises(bm.FormulaError, match=words):
        prepare(formula, DATA, family)


def test_priors_that_do_not_go_with_a_mixture():
    ordered = mixture("gaussian", nmix=2)
    with pytest.raises(bm.PriorError, match="increasing order"):
        spec_of("y ~ x", ordered, bm.set_prior("constant(1)", class_="Intercept", dpar="mu1"))
    with pytest.raises(bm.PriorError, match="3 concentrations"):
        spec_of("y ~ x", ordered, bm.set_prior("dirichlet(1, 2, 3)", class_="theta"))


def test_known_errors_take_the_place_of_every_sigma():
    spec = spec_of("y | se(t) ~ x", mixture("gaussian", nmix=2))
    assert spec.design.fixed == {"sigma1": 0.0, "sigma2": 0.0}
    assert spec.design.scalars == ()


def test_text_of_a_mixture_names_what_is_sampled():
    spec = spec_of("y ~ x", "mixture(gaussian, gaussian)")
    code = model_code(spec)
    assert "mu2 = ordered_Intercept[1] + " in code
    assert "Mixture([Normal(mu1, sigma1), Normal(mu2, sigma2)], theta)" in code
    assert "dirichlet(1)" in repr(spec)
