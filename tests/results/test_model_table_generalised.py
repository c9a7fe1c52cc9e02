"""Results of glmer() in tables of models: beside each other and beside a Bayesian fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import bayesmlm as bm
from bayesmlm.results import model_table_generalised as module
from tests.frequentist.generalised_models import fitted_parts

SMALL = "count ~ zAge + Trt + (1 | patient)"


@cache
def fit(family: str, *more: str) -> Any:
    return bm.glmer(bm.bf(SMALL, *more), bm.load_dataset("epilepsy"), family=family)


def numbers(table: Any, name: str) -> Any:
    return table.to_dataframe(formatted=False)[name].sort_index()


def test_one_part() -> None:
    m = fit("poisson")
    column = numbers(bm.model_table({"Laplace": m}, statistic="p", level=0.9), "Laplace")
    coefficients = m.coef_table()
    for name, row in coefficients.iterrows():
        found = column["estimates", name]
        assert found["estimate"] == row["Estimate"]
        assert found["std.error"] == row["Std. Error"]
        assert found["statistic"] == row["z value"]
        assert found["conf.high"] == pytest.approx(
            row["Estimate"] + norm.ppf(0.95) * row["Std. Error"], rel=1e-12
        )
    assert column["estimates", "SD (Intercept patient)", "estimate"] == m.VarCorr()["sdcor"][0]
    assert column["gof", "AIC", ""] == m.AIC()
    assert column["gof", "RMSE", ""] == m.rmse()
    assert column["gof", "R2 Marg.", ""] == m.performance()["R2_marginal"]
    assert "SD (Observations)" not in str(bm.model_table(m))


def test_parts_are_called_as_brms_calls_them() -> None:
    family = "zero_inflated_poisson"
    column = numbers(bm.model_table({"a": fit(family, "zi ~ Trt"), "b": fit(family)}), "a")
    b = fit(family, "zi ~ Trt").coef_table("zi")["Estimate"].to_numpy()
    assert column["estimates", "zi_Intercept", "estimate"] == b[0]
    assert column["estimates", "zi_Trt1", "estimate"] == b[1]
    assert np.isnan(column["estimates", "zi", "estimate"])


def test_effects_on_another_part() -> None:
    m = fitted_parts("zinb")
    column = numbers(bm.model_table({"m": m}), "m")
    assert column["estimates", "SD (zi_Intercept site)", "estimate"] == m.VarCorr(part="zi")["sdcor"][0]
    assert column["estimates", "SD (Intercept site)", "estimate"] == m.VarCorr(part="mu")["sdcor"][0]
    assert column["estimates", "shape", "estimate"] == pytest.approx(m.constants["shape"])


def test_constants_are_on_their_own_scale() -> None:
    m = fit("negbinomial")
    column = numbers(bm.model_table({"m": m}, statistic="interval"), "m")["estimates", "shape"]
    at = m.part_slices["shape"].start
    x, se = m.beta_all[at], np.sqrt(m.covariance_all[at, at])
    assert column["estimate"] == pytest.approx(np.exp(x), rel=1e-12)
    assert column["std.error"] == pytest.approx(np.exp(x) * se, rel=1e-8)
    assert column["conf.low"] == pytest.approx(np.exp(x - norm.ppf(0.975) * se), rel=1e-10)


def test_a_plugged_in_dispersion_is_the_residual() -> None:
    m = bm.glmer("Reaction ~ Days + (1 | Subject)", bm.load_dataset("sleepstudy"), family="Gamma('log')")
    column = numbers(bm.model_table({"m": m}), "m")
    assert column["estimates", "SD (Observations)", "estimate"] == m.sigma


def test_r_squared_is_left_out_where_it_is_costly_or_not_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "R2 Marg." not in str(bm.model_table(fit("zero_inflated_poisson")))
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    text = str(bm.model_table({"m": fit("poisson")}))
    assert "R2" not in text.split("m: ")[0]
    assert "criteria=True computes them" in text
    assert "R2 Marg." in str(bm.model_table(fit("poisson"), criteria=True))
    assert "ICC" in str(bm.model_table(fit("poisson"), gof_map=["icc"]))
    assert "criteria=True" not in str(bm.model_table(fit("poisson"), criteria=False))


@pytest.mark.validate
def test_beside_a_bayesian_fit() -> None:
    """One row for each thing, whoever estimated it."""
    rows = bm.load_dataset("epilepsy")
    bayes = bm.brm(
        bm.bf(SMALL, "zi ~ Trt"),
        rows,
        family="zero_inflated_poisson",
        chains=1,
        iter=60,
        seed=1,
        progress=False,
    )
    table = bm.model_table(
        {"Laplace": fit("zero_inflated_poisson", "zi ~ Trt"), "Bayes": bayes}, criteria=False, gof_map="none"
    )
    estimates = table.to_dataframe(formatted=False).xs("estimate", level="statistic")
    assert estimates.notna().all(axis=None)
    names = [name for _, name in estimates.index]
    assert names == [
        "(Intercept)",
        "zAge",
        "Trt1",
        "zi_Intercept",
        "zi_Trt1",
        "SD (Intercept patient)",
    ]
