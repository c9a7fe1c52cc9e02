"""Mixtures, cox models and custom families: parameters found again in simulated data, survival against R's coxph, and a
custom family against the built-in one. Run by ``make validate``.

An estimate may lie four posterior standard deviations from the truth: with some 25 parameters in all, a false alarm
somewhere has odds of about 1 in 600; the seeds are fixed, so it comes once or never.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from jax.scipy.special import gammaln

import bayesmlm as bm
from bayesmlm.families import custom_family, mixture

from ..support import reference

pytestmark = pytest.mark.validate

SETTINGS = {"chains": 2, "iter": 1000, "seed": 3, "cores": 1, "progress": False}
DEVIATIONS = 4.0


def fitted(*arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(*arguments, **{**SETTINGS, **more})


def compare(fit, truth):
    draws = fit.as_draws_df()
    wrong = [
        f"{name}: {draws[name].mean():.3f} +- {draws[name].std():.3f}, true {value}"
        for name, value in truth.items()
        if not abs(draws[name].mean() - value) <= DEVIATIONS * draws[name].std()
    ]
    assert not wrong


def group_effects(rng, groups, sd):
    effects = rng.normal(size=groups)
    return sd * (effects - effects.mean()) / effects.std()


def test_two_normals_with_a_group_effect():
    rng = np.random.default_rng(11)
    g, x = np.repeat(np.arange(15), 30), rng.normal(size=450)
    x -= x.mean()
    first = rng.uniform(size=450) < 0.35
    low = -1.5 + 0.6 * x + group_effects(rng, 15, 0.6)[g] + 0.5 * rng.normal(size=450)
    high = 2.0 - 0.4 * x + 1.0 * rng.normal(size=450)
    data = pd.DataFrame({"y": np.where(first, low, high), "x": x, "g": g})
    fit = fitted(bm.bf("y ~ x", mu1="~ x + (1 | g)"), data, mixture("gaussian", "gaussian"))
    truth = {"b_mu1_Intercept": -1.5, "b_mu1_x": 0.6, "b_mu2_Intercept": 2.0, "b_mu2_x": -0.4}
    truth |= {"sd_g__mu1_Intercept": 0.6, "sigma1": 0.5, "sigma2": 1.0, "theta1": 0.35}
    compare(fit, truth)
    found = fit.pp_mixture()["P(K = 1 | Y)"]["Estimate"] > 0.5
    assert np.mean(found.to_numpy() == first) > 0.9


def test_poisson_and_negative_binomial_counts():
    rng = np.random.default_rng(12)
    x = rng.normal(size=500)
    x -= x.mean()
    first = rng.uniform(size=500) < 0.5
    few, many = np.exp(0.3 + 0.3 * x), np.exp(3.2 - 0.5 * x)
    high = rng.negative_binomial(3.0, 3.0 / (3.0 + many))
    data = pd.DataFrame({"y": np.where(first, rng.poisson(few), high), "x": x})
    fit = fitted("y ~ x", data, mixture("poisson", "negbinomial"))
    truth = {"b_mu1_Intercept": 0.3, "b_mu1_x": 0.3, "b_mu2_Intercept": 3.2, "b_mu2_x": -0.5}
    compare(fit, {**truth, "shape2": 3.0, "theta1": 0.5})


def test_predicted_weights():
    rng = np.random.default_rng(13)
    x, z = rng.normal(size=(2, 600))
    x, z = x - x.mean(), z - z.mean()
    first = rng.uniform(size=600) < 1 / (1 + np.exp(-(0.5 + 1.2 * z)))
    data = pd.DataFrame(
        {"y": np.where(first, -1 + 0.5 * x, 2 + 0.5 * x) + 0.8 * rng.normal(size=600), "x": x, "z": z}
    )
    formula = bm.bf("y ~ x", theta1="~ z", sigma2="sigma1")
    fit = fitted(formula, data, mixture("gaussian", nmix=2))
    truth = {
        "b_theta1_Intercept": 0.5,
        "b_theta1_z": 1.2,
        "b_mu1_x": 0.5,
        "b_mu2_Intercept": 2.0,
        "sigma2": 0.8,
    }
    compare(fit, truth)


def test_cox_is_near_the_partial_likelihood():
    """Simulated Weibull survival: coefficients within a fifth of a standard error of coxph's, which knows no baseline,
    the same standard errors to 10 %, and survival within 0.03 of Breslow's estimate at six times."""
    found = reference("mixture_cox")
    data = pd.DataFrame(found["survived"])
    fit = fitted("time | cens(censored) ~ x + h", data, "cox", iter=2000)
    draws, coxph = fit.as_draws_df(), found["coxph"]
    for name in ("x", "h"):
        assert draws[f"b_{name}"].mean() == pytest.approx(coxph["coef"][name], abs=0.2 * coxph["se"][name])
        assert draws[f"b_{name}"].std() == pytest.approx(coxph["se"][name], rel=0.1)
    compare(fit, {"b_x": 0.7, "b_h": -0.5})
    curve = fit.survival_curve(pd.DataFrame({"x": [0.0], "h": [0]}), times=coxph["times"])
    np.testing.assert_allclose(curve.table["estimate__"], coxph["survival"], atol=0.03)


def test_cox_with_a_baseline_for_each_stratum():
    """Strata with hazards that are not proportional: Weibull with shapes 1.5 and 0.8, a frailty of 8 groups."""
    rng = np.random.default_rng(14)
    n = 640
    g, stratum, x = np.repeat(np.arange(8), 80), rng.integers(0, 2, n), rng.normal(size=n)
    eta = 0.6 * (x - x.mean()) + group_effects(rng, 8, 0.5)[g]
    shape, scale = np.array([1.5, 0.8])[stratum], np.array([1.0, 2.0])[stratum]
    time, end = scale * (rng.exponential(size=n) / np.exp(eta)) ** (1 / shape), rng.uniform(0.5, 4, n)
    data = pd.DataFrame(
        {"x": x, "g": g, "s": stratum, "time": np.minimum(time, end), "c": (time > end).astype(int)}
    )
    fit = fitted("time | cens(c) + bhaz(gr = s) ~ x + (1 | g)", data, "cox")
    compare(fit, {"b_x": 0.6, "sd_g__Intercept": 0.5})
    times = np.array([0.3, 1.0, 2.0])
    new = pd.DataFrame({"x": x.mean(), "s": [0, 1], "cond__": ["0", "1"]})
    curve = fit.survival_curve(new, times=times, re_formula="NA").table
    for s, (k, lam) in enumerate([(1.5, 1.0), (0.8, 2.0)]):
        own = curve[curve["cond__"] == str(s)]
        truth = np.exp(-((times / lam) ** k))
        # The band of 95 %, widened to four standard errors; the average frailty is that of eight groups.
        assert (np.abs(own["estimate__"] - truth) < 4 * own["se__"]).all()


def test_a_custom_family_gives_the_posterior_of_the_built_in_one():
    """The same program up to rounding, the same seed: equal estimates to a tenth of a standard deviation."""

    def log_prob(y, mu, phi, vint1):
        a, b = mu * phi, (1 - mu) * phi
        return (
            gammaln(vint1 + 1) - gammaln(y + 1) - gammaln(vint1 - y + 1)
            + gammaln(y + a) + gammaln(vint1 - y + b) - gammaln(vint1 + phi)
            - gammaln(a) - gammaln(b) + gammaln(phi)
        )  # fmt: skip

    own = custom_family(
        "own", ("mu", "phi"), ("logit", "log"), lb=(0, 0), ub=(1, None), type="int", log_prob=log_prob
    )
    data = bm.load_dataset("cbpp")
    draws = fitted("incidence | vint(size) ~ period + (1 | herd)", data, own).as_draws_df()
    built_in = fitted("incidence | trials(size) ~ period + (1 | herd)", data, "beta_binomial").as_draws_df()
    for name in ("b_Intercept", "b_period2", "b_period4", "sd_herd__Intercept"):
        # 1000 draws of each with an effective size of a quarter at least: 4 standard errors of a difference.
        tolerance = 4 * built_in[name].std() * np.sqrt(2 / 250)
        assert draws[name].mean() == pytest.approx(built_in[name].mean(), abs=tolerance)


CALIBRATED = {
    "mixture": (
        "y ~ x",
        mixture("gaussian", nmix=2),
        {
            ("Intercept", "mu1"): "normal(0, 2)",
            ("Intercept", "mu2"): "normal(0, 2)",
            ("b", "mu1"): "normal(0, 0.5)",
            ("b", "mu2"): "normal(0, 0.5)",
            ("sigma1", ""): "gamma(8, 10)",
            ("sigma2", ""): "gamma(8, 10)",
            ("theta", ""): "dirichlet(5)",
        },
    ),
    "cox": (
        "time ~ x",
        "cox",
        {("Intercept", ""): "normal(0, 0.5)", ("b", ""): "normal(0, 0.5)", ("sbhaz", ""): "dirichlet(3)"},
    ),
}


@pytest.mark.parametrize("name", CALIBRATED)
def test_ranks_of_true_values_are_uniform(name):
    """Simulation-based calibration: the smallest p value, corrected by Bonferroni, is below 0.001 once in 1000 runs."""
    formula, family, priors = CALIBRATED[name]
    rng = np.random.default_rng(15)
    data = pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(size=60), "time": np.linspace(0.2, 4, 60)})
    prior = [bm.set_prior(text, class_=c, dpar=dpar) for (c, dpar), text in priors.items()]
    found = bm.sbc(formula, data, family, prior, n=120, draws=59, thin=6, warmup=300, seed=1)
    assert found.worst() > 1e-3, found
