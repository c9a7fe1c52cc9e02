"""Readings of a fit that brms users know by name, recomputed from its draws; prior-only fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmlm as bm

pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.errors.BayesmlmWarning")


@pytest.fixture(scope="module")
def fit() -> bm.BayesFit:
    data = bm.load_dataset("sleepstudy")
    return bm.brm(
        "Reaction ~ Days + (1 | Subject)",
        data=data,
        seed=1,
        chains=2,
        iter=600,
        progress=False,
        sample_prior="yes",
    )


@pytest.fixture(scope="module")
def prior_fit() -> bm.BayesFit:
    prior = [bm.set_prior("normal(10, 2)", class_="b"), bm.set_prior("exponential(0.1)", class_="sigma")]
    data = bm.load_dataset("sleepstudy")
    return bm.brm("Reaction ~ Days", data=data, prior=prior, sample_prior="only", seed=2, progress=False)


def test_covariances_of_population_effects(fit: bm.BayesFit) -> None:
    draws = fit.as_draws_df()[["b_Intercept", "b_Days"]]
    assert list(fit.vcov().columns) == list(fit.vcov().index) == ["Intercept", "Days"]
    np.testing.assert_allclose(fit.vcov(), draws.cov())
    np.testing.assert_allclose(fit.vcov(correlation=True), draws.corr())


def test_intervals(fit: bm.BayesFit) -> None:
    found = fit.posterior_interval(["b_Days", "sigma"], prob=0.8)
    assert list(found.columns) == ["10%", "90%"]
    np.testing.assert_allclose(found, fit.as_draws_df()[["b_Days", "sigma"]].quantile([0.1, 0.9]).T)
    predicted = fit.predictive_interval(prob=0.9)
    assert list(predicted.columns) == ["5%", "95%"]
    y = fit.get_y()
    inside = (predicted["5%"] < y) & (y < predicted["95%"])
    # 180 rows and 90 % intervals of a model that fits: the share has an sd of 2 %.
    assert inside.mean() == pytest.approx(0.9, abs=0.07)


def test_diagnostics(fit: bm.BayesFit) -> None:
    table = fit.posterior_summary()
    pd.testing.assert_series_equal(fit.rhat(), table["Rhat"])
    assert fit.neff_ratio()["sigma"] == min(table.loc["sigma", ["Bulk_ESS", "Tail_ESS"]]) / 600
    assert fit.control_params() == {"adapt_delta": 0.8, "max_treedepth": 10}
    lp = fit.log_posterior()
    assert list(lp.columns) == ["Chain", "Iteration", "Value"]
    np.testing.assert_array_equal(lp["Value"], fit.as_draws_df("lp__")["lp__"])
    array = fit.as_draws_array(["b_Days", "sigma"])
    assert array.dims == ("chain", "draw", "variable")
    np.testing.assert_array_equal(array.sel(variable="sigma").values.ravel(), fit.as_draws_df()["sigma"])


def test_datatree_for_arviz(fit: bm.BayesFit) -> None:
    from arviz_stats import loo

    tree = fit.to_datatree(posterior_predictive=True)
    assert set(fit.idata.children) | {"log_likelihood", "posterior_predictive"} == set(tree.children)
    assert "log_likelihood" not in fit.idata.children
    found = tree["log_likelihood"]["Reaction"]
    assert found.dims == ("chain", "draw", "obs_id")
    np.testing.assert_array_equal(found.values.reshape(600, -1), fit.log_lik())
    # ArviZ's own default for the relative efficiency differs from loo's, and so, slightly, does its elpd.
    assert loo(tree).elpd == pytest.approx(fit.loo().estimates.loc["elpd_loo", "Estimate"], abs=0.1)
    thin = fit.to_datatree(ndraws=50)
    assert dict(thin["posterior"].sizes)["draw"] == 25
    np.testing.assert_array_equal(thin["log_likelihood"]["Reaction"].values, found.values[:, ::12])
    with pytest.raises(bm.BayesmlmError, match="between 1 and 600"):
        fit.to_datatree(ndraws=0)


def test_prior_draws_of_proper_priors_only(fit: bm.BayesFit) -> None:
    found = fit.prior_draws()
    assert list(found.columns) == ["Intercept", "sd_Subject__Intercept", "sigma"]  # b is flat by default
    location, scale = 288.7, 59.3  # student_t(3, median(y), mad(y)), rounded to one digit
    assert stats.kstest(found["Intercept"], stats.t(3, location, scale).cdf).pvalue > 0.001


def test_no_prior_draws_without_asking(fit: bm.BayesFit) -> None:
    from dataclasses import replace

    with pytest.raises(bm.BayesmlmError, match='sample_prior="yes"'):
        replace(fit, call={**fit.call, "sample_prior": "no"}).prior_draws()


def test_prior_only_fit_shows_the_prior_and_its_predictions(prior_fit: bm.BayesFit) -> None:
    draws = prior_fit.prior_draws(["b_Days", "sigma"])
    assert draws.shape == (4000, 2)
    # NUTS draws: some 2000 effective ones, so 5 standard errors of a mean are about 0.11 sd.
    assert draws["b_Days"].mean() == pytest.approx(10, abs=0.22)
    assert draws["sigma"].mean() == pytest.approx(10, abs=1.1)
    yrep = prior_fit.posterior_predict()
    slope = yrep[:, 9] - yrep[:, 0]  # days 9 and 0 of the first subject
    assert np.median(slope) == pytest.approx(90, abs=3)
    picture = prior_fit.pp_check(ndraws=20)
    assert picture is not None
    assert prior_fit.pp_check("stat", stat="median") is not None
