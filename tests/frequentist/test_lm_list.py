"""`lmList()` against lme4's (tests/reference/make_linear.R)."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from tests.support import local_data, reference

CASES = reference("linear_models")["lmList"]
CLOSE = {"rtol": 1e-7, "atol": 1e-8}
"""Rounding errors of two orthogonal factorisations."""


def sleepstudy() -> pd.DataFrame:
    return bm.load_dataset("sleepstudy").assign(w=np.arange(1, 181) % 4)


def few() -> pd.DataFrame:
    return sleepstudy().drop(index=[*range(1, 10), *range(12, 20)])


def gaps() -> pd.DataFrame:
    cake = bm.load_dataset("cake")
    first = (cake["replicate"] == "1") & (cake["recipe"] == "A")
    return cake[~first & ~((cake["replicate"] == "2") & (cake["recipe"] != "B"))]


FITS = {
    "sleepstudy": lambda: ("Reaction ~ Days | Subject", sleepstudy(), {}),
    "weights": lambda: ("distance ~ age | Subject", bm.load_dataset("Orthodont"), {"weights": "age"}),
    "few": lambda: ("Reaction ~ Days | Subject", few(), {}),
    "own_scale": lambda: ("Reaction ~ scale(Days) | Subject", sleepstudy(), {"subset": "w != 0"}),
    "gaps": lambda: ("angle ~ recipe + temp | replicate", gaps(), {}),
}
NEW_ROWS = {"few": slice(2, 6)}


def fits_as_in_r(name: str) -> tuple[bm.frequentist.lm_list.LinearFitList, dict, pd.DataFrame]:
    formula, data, arguments = FITS[name]()
    return bm.lmList(formula, data, **arguments), CASES[name], data


def in_order(fits: bm.frequentist.lm_list.LinearFitList, r: dict) -> list[str]:
    """lme4's groups; it sorts Orthodont's subjects as text, when read from a file."""
    assert set(fits.levels) == set(r["coef"]["rownames"])
    return r["coef"]["rownames"]


@pytest.mark.parametrize("name", FITS)
def test_coefficients(name):
    fits, r, _ = fits_as_in_r(name)
    table = fits.coef().loc[in_order(fits, r)]
    assert set(table.columns) == set(r["coef"]) - {"rownames"}
    for column in table:
        np.testing.assert_allclose(table[column], np.array(r["coef"][column], dtype=float), **CLOSE)
        assert fits.fixef()[column] == pytest.approx(r["fixef"][column])
        assert fits.ranef()[column].mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["sleepstudy", "weights", "own_scale"])
def test_tables_of_each_group(name):
    fits, r, _ = fits_as_in_r(name)
    own, intervals = fits.coef_table(pool=False).loc[in_order(fits, r)], fits.confint().loc[in_order(fits, r)]
    for k, coefficient in enumerate(fits.names):
        np.testing.assert_allclose(own[coefficient], r["own"][k], **CLOSE)
        np.testing.assert_allclose(intervals[coefficient], r["confint"][k], **CLOSE)
        if name != "weights":  # lme4 pools residuals without their weights
            np.testing.assert_allclose(
                fits.coef_table().loc[in_order(fits, r), coefficient], r["pooled"][k], **CLOSE
            )
            assert fits.sigma == pytest.approx(r["sigma"])
    assert (fits.logLik(), fits.logLik(pool=False)) == pytest.approx((r["logLik"], r["logLik_own"]))


def test_groups_with_too_few_rows(capsys):
    fits, r, _ = fits_as_in_r("few")
    assert "1 of 18 groups lack coefficients" in capsys.readouterr().err
    # lme4 counts the coefficient of 308 that cannot be estimated as a lost degree of freedom
    assert fits.sigma**2 * fits.df_residual == pytest.approx(r["sigma"] ** 2 * (fits.df_residual - 1))
    assert fits.logLik() == pytest.approx(r["logLik"])
    pooled = fits.coef_table()["(Intercept)"]
    assert pooled["Std. Error"].notna().all()
    assert fits.coef_table(pool=False)["(Intercept)"].loc[["308", "309"], "Std. Error"].isna().all()
    assert pooled.loc["308", "Std. Error"] == pytest.approx(fits.sigma)


def test_groups_that_cannot_be_coded_say_why(capsys):
    fits, _, _ = fits_as_in_r("gaps")
    assert "the factor `recipe` has only the level `B`" in capsys.readouterr().err
    assert np.isnan(fits.fitted()[fits.codes == fits.levels.index("2")]).all()


@pytest.mark.parametrize("name", ["sleepstudy", "few", "own_scale", "gaps"])
def test_predictions(name):
    fits, r, data = fits_as_in_r(name)
    new = data.iloc[NEW_ROWS.get(name, slice(0, 4))]
    np.testing.assert_allclose(fits.predict(new), r["predict"], **CLOSE)
    np.testing.assert_allclose(fits.predict(new, se=True)["fit"], r["predict"], **CLOSE)
    np.testing.assert_allclose(fits.predict(), fits.fitted())
    np.testing.assert_allclose(fits.design.y - fits.fitted(), fits.residuals())


@pytest.mark.parametrize("name", ["sleepstudy", "weights", "own_scale"])
def test_one_group_is_a_linear_model(name):
    fits, _, _ = fits_as_in_r(name)
    level = fits.levels[2]
    one = fits[level]
    np.testing.assert_allclose(one.coef(), fits.coef().loc[level], **CLOSE)
    assert one.sigma == pytest.approx(fits.sigmas()[level])
    rows = fits.codes == 2
    np.testing.assert_allclose(one.fitted(), fits.fitted()[rows], **CLOSE)
    expected = one.predict(se=True)["se.fit"]
    np.testing.assert_allclose(fits.predict(se=True, pool=False)["se.fit"][rows], expected, **CLOSE)


def test_the_summary_prints_as_in_lme4():
    fits, r, _ = fits_as_in_r("sleepstudy")
    text = [line.rstrip() for line in r["text"]][:-1]
    text[1:3] = ["  Model: Reaction ~ Days | Subject", "   Data: data"]  # lme4 forgets the group
    assert [line.rstrip() for line in str(fits.summary()).splitlines()] == text


def test_the_course_by_school():
    values = reference("seed003_ols_by_school")["values"]
    coef = bm.lmList("y.nels ~ ses.nels | g.nels", local_data("nels")).coef()
    assert coef["ses.nels"].isna().sum() == values["n_schools_with_NA_slope"]
    for name, mean in values["mean_coef"].items():
        assert coef[name].mean() == pytest.approx(mean)
        head = coef.loc[values["coef_head"]["rownames"], name]
        np.testing.assert_allclose(head, values["coef_head"][name], rtol=1e-8)
    np.testing.assert_allclose(coef.dropna().cov(), values["cov_coef"]["values"], rtol=1e-8)


def test_groups_of_two_variables_and_missing_values():
    data = bm.load_dataset("Machines")
    data.loc[4, "score"] = np.nan
    fits = bm.lmList("score ~ 1 | Worker:Machine", data, na_action="na.exclude")
    means = data.groupby(["Worker", "Machine"], observed=True)["score"].mean()
    assert fits.coef()["(Intercept)"].to_dict() == pytest.approx({":".join(k): v for k, v in means.items()})
    assert np.isnan(fits.fitted()[4])
    assert len(fits) == fits.ngrps()["Worker:Machine"] == 18


def test_thousands_of_groups_take_no_time():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(4000), rng.integers(2, 30, 4000))
    data = pd.DataFrame({"g": g, "x": rng.normal(size=len(g)), "z": rng.normal(size=len(g))})
    data["y"] = data["x"] + rng.normal(size=len(g))
    start = time.perf_counter()
    fits = bm.lmList("y ~ x + z | g", data)
    fits.coef_table()
    assert time.perf_counter() - start < 5  # about 0.1 s; one regression after the other would take minutes
    one = data[data["g"] == 77]
    exact = np.linalg.lstsq(np.column_stack([np.ones(len(one)), one["x"], one["z"]]), one["y"], rcond=None)[0]
    np.testing.assert_allclose(fits.coef().loc["77"], exact, rtol=1e-8)


BAD = {
    "no group": ("Reaction ~ Days", {}, bm.FormulaError, "after a bar"),
    "two groups": ("Reaction ~ Days | Subject/w", {}, bm.FormulaError, "one grouping factor"),
    "unknown group": ("Reaction ~ Days | Subjekt", {}, bm.DataError, "did you mean `Subject`"),
    "no data": ("Reaction ~ Days | Subject", {"data": None}, bm.DataError, "needs data"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name):
    formula, arguments, error, words = BAD[name]
    with pytest.raises(error, match=words):
        bm.lmList(formula, **{"data": sleepstudy(), **arguments})


def test_unknown_groups_and_no_degrees_of_freedom():
    fits = bm.lmList("Reaction ~ Days | Subject", sleepstudy())
    with pytest.raises(bm.NewDataError, match="the group `1`"):
        fits.predict({"Days": [0.0], "Subject": ["1"]})
    with pytest.raises(bm.BayesmlmError, match="`1` is not a group"):
        fits["1"]
    saturated = bm.lmList("Reaction ~ Days | Subject", sleepstudy().query("Days < 2"))
    with pytest.raises(bm.BayesmlmError, match="no residual degrees of freedom"):
        saturated.sigma  # noqa: B018
    assert "36 total; 0 residual" in str(saturated)
