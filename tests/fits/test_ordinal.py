"""An ordinal multilevel model from the formula to tables and pictures, against a long run of brms 2.18."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning
from bayesmlm.results.convergence import mcse_mean

from ..support import reference
from .tolerances import FACTOR, disagreements

NAMES = ["Intercept[1]", "Intercept[2]", "Intercept[3]"]


@pytest.fixture(scope="module")
def expected():
    return reference("brms_inhaler_cumulative")


@pytest.fixture(scope="module")
def fit():
    return bm.brm(
        "rating ~ treat + period + carry + (1 | subject)",
        bm.load_dataset("inhaler"),
        "cumulative",
        seed=11,
        iter=1500,
        progress=False,
    )


def test_posterior_agrees_with_brms(fit, expected):
    # lp__ counts constants in another way; disc is fixed.
    assert disagreements(fit, expected, skip=("lp__", "disc")) == []
    assert (fit.as_draws_df("disc")["disc"] == 1).all()


def test_draws_have_brms_names(fit, expected):
    names = [name for name in fit.variables() if not name.startswith(("r_", "Intercept"))]
    assert names == expected["posterior"]["variable"]
    assert list(fit.fixef().index) == expected["fixef"]["rownames"]
    assert list(fit.summary().fixed.index) == expected["fixef"]["rownames"]
    assert fit.summary().spec_pars.loc["disc", "Estimate"] == 1


def test_probabilities_of_categories_agree_with_brms(fit, expected):
    draws = fit.posterior_epred()
    assert draws.shape == (fit.ndraws, fit.nobs, 4)
    np.testing.assert_allclose(draws.sum(axis=2), 1, rtol=1e-12)
    table = fit.fitted()
    for category, head in expected["posterior_epred_head"].items():
        rows = len(head["Estimate"])
        own = draws[:, :rows, int(category) - 1].T.reshape(rows, fit.nchains, -1)
        # The least effective sample size of the reference's parameters is 2650.
        error = np.hypot(mcse_mean(own), np.array(head["Est.Error"]) / np.sqrt(2650))
        assert (np.abs(own.mean(axis=(1, 2)) - head["Estimate"]) <= FACTOR * error).all()
        np.testing.assert_allclose(
            table[f"P(Y = {category})"]["Estimate"][:rows], own.mean(axis=(1, 2)), rtol=1e-12
        )


def test_loo_agrees_with_brms(fit, expected):
    estimates = dict(
        zip(expected["loo"]["estimates"]["rownames"], expected["loo"]["estimates"]["Estimate"], strict=True)
    )
    loo = fit.loo()
    # With some hundred effective parameters PSIS needs many draws: with 3000 of them it comes out 0.7 higher than with
    # the reference's 16 000, and varies by 0.5 between seeds.
    assert loo.estimates.loc["elpd_loo", "Estimate"] == pytest.approx(estimates["elpd_loo"], abs=2.5)
    assert loo.estimates.loc["p_loo", "Estimate"] == pytest.approx(estimates["p_loo"], abs=3)


def test_thresholds_of_groups_are_less_the_groups_effect(fit):
    table = fit.coef().query("level == '7'").set_index("coef")["Estimate"]
    effect = fit.ranef().query("level == '7'")["Estimate"].item()
    np.testing.assert_allclose(table[NAMES], fit.fixef()["Estimate"][NAMES] - effect, rtol=1e-10)
    assert table["treat"] == pytest.approx(fit.fixef()["Estimate"]["treat"], rel=1e-10)


def test_linear_predictors_with_thresholds(fit):
    ids = [0, 100]
    eta = fit.posterior_linpred(draw_ids=ids)
    draws = fit.as_draws_df()[[f"b_{name}" for name in NAMES]].to_numpy()[ids]
    # The linear predictor is that of centred columns, as brms's; thresholds are moved likewise.
    centre = fit.as_draws_df()[["Intercept[1]"]].to_numpy()[ids] - draws[:, :1]
    with_thresholds = fit.posterior_linpred(draw_ids=ids, incl_thres=True)
    np.testing.assert_allclose(
        with_thresholds, (draws + centre)[:, None] - eta[:, :, None], rtol=1e-10, atol=1e-12
    )


def test_predictions_are_categories(fit):
    table = fit.predict(ndraws=400)
    assert list(table.columns) == [f"P(Y = {k})" for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(table.sum(axis=1), 1)
    observed = np.bincount(fit.get_y().astype(int))[1:] / fit.nobs
    np.testing.assert_allclose(table.mean(), observed, atol=0.05)


def test_errors_of_categories_are_refused_but_quantile_residuals(fit):
    for method in (fit.residuals, fit.predictive_error):
        with pytest.raises(
            BayesmlmError, match="predictive errors are not defined for the family `cumulative`"
        ):
            method()
    assert np.isfinite(fit.residuals(type="quantile", ndraws=50)["Estimate"]).all()


def test_categories_count_as_numbers_with_a_warning(fit):
    with pytest.warns(BayesmlmWarning, match="bayes_R2 takes the categories for numbers"):
        assert 0.1 < fit.bayes_R2(ndraws=200).loc["R2", "Estimate"] < 0.4
    with pytest.warns(
        BayesmlmWarning, match="conditional_effects takes .* categorical=True shows each category"
    ):
        effect = fit.conditional_effects("treat", resolution=5, ndraws=200)["treat"]
    numbers = fit.posterior_epred(effect, re_formula="NA", ndraws=200) @ np.arange(1, 5)
    np.testing.assert_allclose(effect["estimate__"], np.median(numbers, axis=0), rtol=1e-10)


def test_effects_by_category(fit):
    found = fit.conditional_effects("treat", categorical=True, resolution=5, ndraws=200)
    effect = found["treat:cats__"]
    assert list(effect["cats__"].cat.categories) == ["1", "2", "3", "4"]
    draws = fit.posterior_epred(effect.iloc[:5], re_formula="NA", ndraws=200)
    expected = np.median(draws, axis=0).T.ravel()
    np.testing.assert_allclose(effect["estimate__"], expected, rtol=1e-10)
    shares = found.details["treat:cats__"].shares.reshape(4, 5)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-12)
    for options in ({}, {"stacked": True}):
        axes = found.plot(**options)[0].axes[0]
        assert axes.get_ylabel() == "Probability"
        assert axes.get_legend().get_title().get_text() == "rating"
    with pytest.raises(BayesmlmError, match="points=True shows responses"):
        found.plot(points=True)
    with pytest.raises(BayesmlmError, match='method="posterior_epred" only'):
        fit.conditional_effects("treat", categorical=True, method="posterior_predict")
    with pytest.warns(BayesmlmWarning, match="effects of two variables cannot be shown"):
        fit.conditional_effects(["treat", "treat:period"], categorical=True, resolution=5, ndraws=200)


def test_bars_are_named(fit):
    axes = fit.pp_check("bars_grouped", group="treat").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4"]


def test_hypotheses_about_thresholds(fit):
    table = fit.hypothesis("Intercept[2] - Intercept[1] > 0").table
    assert table["Post.Prob"].item() == 1


def test_saved_fit_is_the_same(fit, tmp_path):
    fit.save(tmp_path / "ordinal")
    again = bm.load(tmp_path / "ordinal")
    assert again.family == fit.family
    np.testing.assert_array_equal(again.log_lik(ndraws=20), fit.log_lik(ndraws=20))
    assert "Intercept[1]" in str(again)


def test_model_in_words(fit):
    assert "thresholds = Intercept" in fit.model_code
    assert "in increasing order" in fit.model_code
    assert "Intercept[1], Intercept[2], Intercept[3]" in str(fit.spec)
