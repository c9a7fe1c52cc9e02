"""Fits with additions: posteriors against a run of brms and against integrals, and what predictions make of them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmlm as bm
from bayesmlm.results.convergence import mcse_mean, mcse_sd

from .tolerances import disagreements

REFERENCE = Path(__file__).resolve().parent.parent / "reference"


def brm(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(*args, progress=False, **options)


@pytest.fixture(scope="module")
def kidney():
    formula = "time | cens(censored) ~ age * sex + disease + (1 | patient)"
    return brm(
        formula, bm.load_dataset("kidney"), "lognormal", seed=1, iter=2000, control={"adapt_delta": 0.9}
    )


def test_the_posterior_of_censored_times_is_brmss(kidney):
    known = json.loads((REFERENCE / "brms_kidney_lognormal_cens.json").read_text())
    assert disagreements(kidney, known) == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmlmWarning)
        waic = kidney.waic()
    # Pointwise, so that censored rows count by themselves: within five Monte Carlo errors of about 0.01.
    np.testing.assert_allclose(waic.pointwise["elpd_waic"], known["waic"]["pointwise_elpd"], atol=0.12)


def test_predictive_output_of_censored_times(kidney):
    """At each draw, against scipy at the draw's parameters."""
    ids = [0, 7]
    mu = kidney.posterior_linpred(draw_ids=ids)
    sigma = kidney.as_draws_df(["sigma"])["sigma"].to_numpy()[ids, None]
    expected = stats.lognorm(sigma, scale=np.exp(mu))
    y = kidney.get_y()
    outputs = {
        "probability": (expected.cdf(y), {}),
        "density": (expected.logpdf(y), {"log": True}),
        "quantile": (expected.ppf(0.2), {"p": 0.8, "lower_tail": False}),
    }
    for output, (exact, options) in outputs.items():
        ours = kidney.posterior_predict(output=output, draw_ids=ids, **options)
        np.testing.assert_allclose(ours, exact, rtol=1e-9, err_msg=output)
    above = kidney.posterior_predict(output="probability", q=1e5, lower_tail=False, log=True, draw_ids=ids)
    np.testing.assert_allclose(above, expected.logsf(1e5), rtol=1e-9)
    pit = kidney.posterior_predict(output="pit", draw_ids=ids)
    censored = kidney.design.response.extra["right_censored"] > 0
    np.testing.assert_allclose(pit[:, ~censored], expected.cdf(y)[:, ~censored], rtol=1e-9)
    assert (pit[:, censored] > expected.cdf(y)[:, censored]).all()
    residuals = kidney.residuals(type="quantile", draw_ids=ids)
    np.testing.assert_allclose(residuals["Estimate"], stats.norm.ppf(pit).mean(axis=0), rtol=1e-7)
    new = kidney.data[-4:]
    np.testing.assert_allclose(
        kidney.log_lik(new, draw_ids=ids), kidney.log_lik(draw_ids=ids)[:, -4:], rtol=1e-12
    )
    assert kidney.posterior_predict(new.drop(columns=["time", "censored"]), draw_ids=ids).shape == (2, 4)
    with pytest.raises(bm.BayesmlmError, match="needs `p`"):
        kidney.posterior_predict(output="quantile")
    with pytest.raises(bm.BayesmlmError, match="takes no `q`"):
        kidney.posterior_predict(q=3)


def test_survival_curves(kidney):
    curve = kidney.survival_curve(group="sex", times=[10, 100], draw_ids=[3, 3])
    mu = kidney.posterior_linpred(draw_ids=[3])[0]
    sigma = kidney.as_draws_df(["sigma"])["sigma"].to_numpy()[3]
    female = (kidney.data["sex"] == "female").to_numpy()
    exact = [
        stats.lognorm(sigma, scale=np.exp(mu[own])).sf(t).mean()
        for own in (~female, female)
        for t in (10, 100)
    ]
    np.testing.assert_allclose(curve.table["estimate__"], exact, rtol=1e-9)
    assert set(curve.observed["cond__"]) == {"male", "female"}
    figure = curve.plot()
    assert len(figure.axes[0].lines) == 4
    new = pd.DataFrame({"age": [40], "sex": ["male"], "disease": ["GN"], "patient": ["1"]})
    one = kidney.survival_curve(new, ndraws=20)
    assert one.observed is None
    with pytest.raises(bm.BayesmlmError, match="new data"):
        one.plot(kaplan_meier=True)
    assert kidney.pp_check("km_overlay", ndraws=5).axes[0].get_ylabel() == "Proportion surviving"


def test_meta_analysis_against_the_integral():
    """yi ~ normal(mu, sei^2 + tau^2) with the effects of studies integrated out, on a grid of mu and tau."""
    rng = np.random.default_rng(3)
    se = rng.uniform(0.1, 0.4, 12)
    y = 0.4 + rng.normal(0, 0.3, 12) + rng.normal(0, se)
    data = pd.DataFrame({"yi": y, "sei": se, "study": [f"s{i}" for i in range(12)]})
    prior = bm.set_prior("normal(0, 1)", class_="Intercept") + bm.set_prior("normal(0, 0.5)", class_="sd")
    fit = brm(
        "yi | se(sei) ~ 1 + (1 | study)", data, prior=prior, seed=4, iter=2000, control={"adapt_delta": 0.95}
    )
    mu, tau = np.linspace(-1.5, 2.5, 801)[:, None], np.linspace(0, 2, 801)[None, 1:]
    spread = np.sqrt(se**2 + tau[..., None] ** 2)
    log_p = (
        stats.norm.logpdf(y, mu[..., None], spread).sum(-1)
        + stats.norm.logpdf(mu)
        + stats.norm.logpdf(tau / 0.5)
    )
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    posterior = fit.idata.posterior
    for draws, grid in ((posterior["b_Intercept"], mu), (posterior["sd_study"][..., 0], tau)):
        draws = draws.to_numpy()[None]
        mean = (weight * grid).sum()
        sd = np.sqrt((weight * (grid - mean) ** 2).sum())
        assert abs(draws.mean() - mean) < 5 * mcse_mean(draws)[0]
        assert abs(draws.std() - sd) < max(5 * mcse_sd(draws)[0], 0.03 * sd)
    assert (fit.as_draws_df(["sigma"])["sigma"] == 0).all()
    assert fit.posterior_predict(ndraws=3).shape == (3, 12)


@pytest.fixture(scope="module")
def counts():
    """Counts over exposures, kept from 1 to 12, some known only to lie above their value or in an interval."""
    rng = np.random.default_rng(5)
    x, d = rng.normal(size=250), rng.uniform(0.5, 4, 250)
    k = rng.poisson(d * np.exp(0.3 + 0.5 * x))
    data = pd.DataFrame({"x": x, "d": d, "k": k})[(k >= 1) & (k <= 12)].reset_index(drop=True)
    kind = rng.choice(["none", "right", "interval"], len(data), p=[0.8, 0.1, 0.1])
    kind[data["k"] < 2] = "none"
    data["kind"] = kind
    # A censored count is known to be more than what is written.
    data["end"] = data["k"] + 1
    data.loc[kind != "none", "k"] -= 1
    formula = "k | rate(d) + cens(kind, end) + trunc(lb = 1, ub = 12) ~ x"
    return brm(formula, data, "poisson", seed=6, iter=500, chains=1)


@pytest.mark.validate
def test_truncated_and_censored_counts_are_recovered(counts):
    draws = counts.as_draws_df(["b_Intercept", "b_x"])
    for name, truth in (("b_Intercept", 0.3), ("b_x", 0.5)):
        assert abs(draws[name].mean() - truth) < 4 * draws[name].std()


@pytest.mark.validate
def test_predictions_of_truncated_counts(counts):
    mu = np.exp(counts.posterior_linpred(draw_ids=[2])[0]) * counts.data["d"].to_numpy()
    k = np.arange(1, 13)[:, None]
    mass = stats.poisson.pmf(k, mu)
    mass /= mass.sum(axis=0)
    np.testing.assert_allclose(counts.posterior_epred(draw_ids=[2])[0], (k * mass).sum(axis=0), rtol=1e-8)
    drawn = counts.posterior_predict(ndraws=20)
    assert drawn.min() >= 1
    assert drawn.max() <= 12
    residuals = counts.residuals(type="quantile", ndraws=20)["Estimate"]
    assert stats.kstest(residuals, "norm").pvalue > 1e-3


def test_missing_responses(tmp_path):
    rng = np.random.default_rng(7)
    x = rng.normal(size=40)
    data = pd.DataFrame({"x": x, "y": 1 + 2 * x + rng.normal(0, 0.5, 40)})
    data.loc[[3, 10], "y"] = np.nan
    fit = brm("y | mi() ~ x", data, seed=8, iter=1000, chains=2)
    draws = fit.as_draws_df(["Ymi[4]", "Ymi[11]", "b_Intercept", "b_x", "sigma"])
    for row in (3, 10):
        # Given the parameters a missing response is a new one.
        z = (draws[f"Ymi[{row + 1}]"] - draws["b_Intercept"] - draws["b_x"] * x[row]) / draws["sigma"]
        assert abs(z.mean()) < 5 / np.sqrt(500)
        assert abs(z.std() - 1) < 0.2
    assert np.isnan(fit.log_lik()[:, 3]).all()
    assert fit.loo().n == 38
    fit.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(again.log_lik(), fit.log_lik())
    assert len(fit.pp_check(ndraws=3).axes[0].lines) == 4
