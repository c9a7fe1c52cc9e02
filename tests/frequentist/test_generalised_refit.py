"""Generalised models fitted again: to other responses, to other rows, by other optimisers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.generalised_refit import refit_design
from bayesmlm.frequentist.resampling import Options, engine_of
from tests.support import reference

QUIET = {"check_conv_singular": "ignore", "check_conv_grad": "ignore"}
CBPP = bm.load_dataset("cbpp").assign(x=lambda d: np.arange(len(d)) % 5 - 2.0)
EPILEPSY = bm.load_dataset("epilepsy")

MODELS: dict[str, tuple[Any, pd.DataFrame, str, dict[str, Any]]] = {
    "binomial": ("incidence | trials(size) ~ period + (1 | herd)", CBPP, "binomial", {}),
    "joint": ("incidence | trials(size) ~ period + (1 | herd)", CBPP, "binomial", {"nAGQ": 0}),
    "quadrature": ("incidence | trials(size) ~ period + (1 | herd)", CBPP, "binomial", {"nAGQ": 5}),
    "slope": ("incidence | trials(size) ~ period + (x | herd)", CBPP, "binomial", {}),
    "crossed": ("count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)", EPILEPSY, "poisson", {}),
    "shape": (bm.bf("count ~ zAge + (1 | patient)", "shape ~ Trt"), EPILEPSY, "negbinomial", {}),
    "gamma": (
        "positive ~ zAge + (1 | patient)",
        EPILEPSY.assign(positive=EPILEPSY["count"] + 0.5),
        "Gamma('log')",
        {},
    ),
}


@cache
def fitted(name: str) -> Any:
    formula, data, family, arguments = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bm.glmer(formula, data, family, control=QUIET, **arguments)


@pytest.mark.parametrize("name", MODELS)
def test_refits_end_where_fits_from_anew_do(name: str) -> None:
    m = fitted(name)
    _, data, _, _ = MODELS[name]
    for y in m.simulate(3, seed=5).to_numpy().T:
        found = m.refit(y)
        left = m.design.formula.left_text.split(" | ")[0]
        expected = m.update(data=data.assign(**{left: y}), control=QUIET)
        assert found.criterion == pytest.approx(expected.criterion, abs=1e-6)
        apart = np.abs(found.beta_all - expected.beta_all)
        assert (apart < 1e-3 * np.sqrt(np.diag(m.covariance_all))).all()
        assert found.design.y.tolist() == y.tolist()
        assert found.is_singular == expected.is_singular
    assert m.refit(m.design.y).criterion == pytest.approx(m.criterion, abs=1e-7)


def test_refit_as_lme4() -> None:
    """Two columns, whose sums are the trials then."""
    expected = reference("generalised_intervals")["refit"]
    m = bm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", CBPP, "binomial")
    y = np.array(expected["y"], dtype=float)
    found = m.refit(np.column_stack([y, np.full(56, 2.0)]))
    assert found.design.trials.tolist() == (y + 2.0).tolist()
    assert found.logLik() == pytest.approx(expected["logLik"], abs=1e-5)
    np.testing.assert_allclose(found.beta, expected["beta"], atol=1e-3)
    np.testing.assert_allclose(found.theta, expected["theta"], atol=1e-3)


def test_a_binary_response_by_names() -> None:
    d = (
        bm.load_dataset("Contraception")
        .iloc[:400]
        .assign(use=lambda d: np.where(d["use"] == "Y", "yes", "no"))
    )
    for family in ("bernoulli", "binomial"):
        m = bm.glmer("use ~ age + (1 | district)", d, family, control=QUIET)
        flipped = np.where(d["use"] == "yes", "no", "yes")
        found = m.refit(flipped)
        np.testing.assert_allclose(found.beta, -m.beta, atol=1e-4)
        assert found.criterion == pytest.approx(m.refit(1.0 - m.design.y).criterion, abs=1e-7)
        with pytest.raises(bm.DataError, match="the new response is `maybe`"):
            m.refit(["maybe", *flipped[1:]])


def test_a_singular_fit_is_left_and_found() -> None:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(10), 6)
    flat, steep = rng.poisson(3.0, 60), rng.poisson(np.exp(1.0 + 0.8 * rng.normal(size=10)[g]))
    d = pd.DataFrame({"g": g.astype(str), "flat": flat - flat.mean() > 0, "y": flat, "z": steep})
    d["y"] = np.tile([2, 3, 4, 1, 5, 3], 10)
    m = bm.glmer("y ~ 1 + (1 | g)", d, "poisson", control=QUIET)
    assert m.is_singular
    found = m.refit(d["z"])
    assert not found.is_singular
    assert found.messages == ()
    again = found.refit(d["y"])
    assert again.is_singular
    assert again.messages == ("boundary (singular) fit: see help('isSingular')",)


@pytest.mark.parametrize(
    ("name", "y", "words"),
    [
        ("binomial", np.zeros(56), "every trial is a failure"),
        ("binomial", np.ones(55), "the new response has shape (55,); the model has 56 rows"),
        ("binomial", np.full(56, 100.0), "more than its 14 trials"),
        ("binomial", np.full(56, np.nan), "the new response is nan in row 1"),
        ("binomial", ["a"] * 56, "must be numbers"),
        ("crossed", np.zeros(236), "is 0 in every row"),
        ("crossed", np.full(236, -1.0), "poisson"),
        ("crossed", np.ones((236, 2)), "the new response has shape (236, 2)"),
        ("gamma", np.full(236, 0.0), "gamma"),
    ],
)
def test_what_cannot_be_fitted_is_said(name: str, y: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        fitted(name).refit(y)
    assert words in str(caught.value)


# -- rows --------------------------------------------------------------------------------------------------------


def test_all_rows_are_the_fit() -> None:
    for name in MODELS:
        m = fitted(name)
        assert refit_design(m, m.design).criterion == pytest.approx(m.criterion, abs=1e-7)


@pytest.mark.parametrize("name", ["binomial", "slope", "shape"])
def test_cases_are_fits_of_the_rows_drawn(name: str) -> None:
    m = fitted(name)
    formula, data, family, _ = MODELS[name]
    term = m.design.terms[0]
    levels = len(term.levels)
    draws = np.random.default_rng(3).integers(levels, size=levels)
    group = term.group
    parts = [
        data[data[group].astype(str) == term.levels[j]].assign(**{group: f"copy{i}"})
        for i, j in enumerate(draws)
    ]
    expected = bm.glmer(formula, pd.concat(parts), family, control=QUIET)
    found = engine_of(m).resampler(m, "case", Options())(np.random.default_rng(3))
    assert found.criterion == pytest.approx(expected.criterion, abs=1e-6)
    assert found.ngrps[group] == levels
    np.testing.assert_allclose(found.predict(re_formula="NA"), found.design.X @ found.beta, atol=1e-10)


def test_leaving_a_group_out() -> None:
    m = fitted("binomial")
    fits = engine_of(m).leave_one_out(m, None)
    assert len(fits) == 15
    first, ratio = fits[0]
    rest = CBPP[CBPP["herd"].astype(str) != m.design.terms[0].levels[0]]
    expected = bm.glmer("incidence | trials(size) ~ period + (1 | herd)", rest, "binomial")
    assert ratio == 56 / (56 - len(rest))
    assert first.criterion == pytest.approx(expected.criterion, abs=1e-6)


def test_crossed_factors_need_a_choice() -> None:
    d = bm.load_dataset("VerbAgg").iloc[:600]
    m = bm.glmer("r2 ~ 1 + (1 | id) + (1 | item)", d, "binomial", control=QUIET)
    with pytest.raises(bm.BayesmlmError, match='group="'):
        m.bootstrap(nsim=2, kind="case")


# -- optimisers --------------------------------------------------------------------------------------------------


def test_optimisers_agree() -> None:
    found = fitted("binomial").all_fit(["L-BFGS-B", "SLSQP", "TNC", "Nelder-Mead"])
    assert list(found.table.index) == ["this fit", "L-BFGS-B", "SLSQP", "TNC", "Nelder-Mead"]
    assert found.table["difference"].max() < 1e-4
    assert found.max_difference["fixef"] < 1e-2
    assert found.verdict().startswith("All optimisers agree")
    assert list(found.sdcor.columns) == ["sd_(Intercept)|herd"]
    assert list(found.fixef.columns) == ["(Intercept)", "period2", "period3", "period4"]


def test_optimisers_of_all_parts() -> None:
    found = fitted("shape").all_fit(["L-BFGS-B"], from_optimum=True)
    assert list(found.fixef.columns) == ["(Intercept)", "zAge", "shape_Intercept", "shape_Trt1"]
    assert found.table["difference"].max() < 1e-6
    scaled = fitted("gamma").all_fit(["L-BFGS-B"])
    assert scaled.sdcor.loc["L-BFGS-B", "sigma"] == pytest.approx(fitted("gamma").sigma, rel=1e-3)
    joint = fitted("joint").all_fit(["L-BFGS-B"])
    assert joint.table["difference"].max() < 1e-6
    with pytest.raises(bm.BayesmlmError, match="'bobyqa' is no optimiser"):
        fitted("binomial").all_fit(["bobyqa"])


def test_a_fit_that_is_no_optimum_is_found_out() -> None:
    m = fitted("binomial")
    assert m.convergence().converged
    away = m.optimum.parameters * 1.2
    evaluation = m.problem.evaluate(away)
    optimum = replace(m.optimum, parameters=away, evaluation=evaluation, gradient=evaluation.gradient())
    wrong = replace(m, optimum=optimum)
    assert "Model failed to converge with max|grad|" in str(wrong.convergence())
    assert "found a better optimum" in wrong.all_fit(["L-BFGS-B"]).verdict()
