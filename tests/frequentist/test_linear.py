"""`lm()` against R's (tests/reference/make_linear.R), and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from tests.support import local_data, reference

CASES = reference("linear_models")["lm"]
CLOSE = {"rtol": 1e-8, "atol": 1e-9}
"""Both solve the same least-squares problem by orthogonal transformations: rounding errors only."""


def sleepstudy() -> pd.DataFrame:
    data = bm.load_dataset("sleepstudy")
    return data.assign(w=np.arange(1, 181) % 4)


def with_holes() -> pd.DataFrame:
    data = sleepstudy()
    data.loc[np.arange(2, 180, 7), "Reaction"] = np.nan
    return data


FITS = {
    "interaction": lambda: ("mathach ~ meanses + sector * ses_cmc", bm.load_dataset("hsbsub"), {}),
    "ordered": lambda: ("angle ~ recipe * temperature", bm.load_dataset("cake"), {}),
    "weights": lambda: ("distance ~ age * Sex", bm.load_dataset("Orthodont"), {"weights": "age"}),
    "missing": lambda: ("Reaction ~ scale(Days) + I(Days^2)", with_holes(), {}),
    "aliased": lambda: ("Reaction ~ Days + I(2 * Days) + I(Days^2)", sleepstudy(), {}),
    "contrasts": lambda: (
        "score ~ 0 + Machine + Worker",
        bm.load_dataset("Machines").assign(Worker=lambda d: sorted_levels(d["Worker"])),
        {"contrasts": {"Worker": "sum"}},
    ),
    "zero_weights": lambda: (
        "Reaction ~ poly(Days, 2)",
        sleepstudy(),
        {"weights": "w", "subset": "Days >= 2"},
    ),
    "offset": lambda: ("Reaction ~ Days + offset(20 * Days)", sleepstudy(), {}),
    "constant": lambda: ("Reaction ~ 1", sleepstudy(), {}),
    "few_rows": lambda: ("Reaction ~ Days", sleepstudy().head(4), {}),
}
NEW_ROWS = {"zero_weights": slice(2, 6)}


def sorted_levels(column: pd.Series) -> pd.Series:
    """The factor with its levels as R's factor() of numbers sorts them."""
    return column.astype(str).astype(pd.CategoricalDtype([str(i) for i in range(1, 7)]))


def fitted_as_in_r(name: str) -> tuple[bm.frequentist.linear.LinearFit, dict, pd.DataFrame]:
    formula, data, arguments = FITS[name]()
    return bm.lm(formula, data, **arguments), CASES[name], data


def numbers(values: object) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize("name", FITS)
def test_coefficients_and_their_tables(name):
    fit, r, _ = fitted_as_in_r(name)
    assert list(fit.coef().index) == list(r["coef"])
    np.testing.assert_allclose(fit.coef(), numbers(list(r["coef"].values())), **CLOSE)
    table = pd.DataFrame({k: np.atleast_1d(v) for k, v in r["coefficients"].items() if k != "rownames"})
    assert list(fit.coef_table().index) == list(np.atleast_1d(r["coefficients"]["rownames"]))
    np.testing.assert_allclose(fit.coef_table()[list(table)], table, **CLOSE)
    np.testing.assert_allclose(fit.vcov(), numbers(r["vcov"]).reshape(fit.vcov().shape), **CLOSE)
    np.testing.assert_allclose(fit.confint(level=0.9), numbers(r["confint"]).reshape(-1, 2), **CLOSE)
    assert list(fit.confint(level=0.9).columns) == ["5 %", "95 %"]


@pytest.mark.parametrize("name", FITS)
def test_the_fit_as_a_whole(name):
    fit, r, _ = fitted_as_in_r(name)
    ours = [fit.sigma, fit.logLik(), fit.AIC(), fit.BIC()]
    np.testing.assert_allclose(ours, [r["sigma"], r["logLik"], r["AIC"], r["BIC"]], **CLOSE)
    if name == "offset":  # R 4.2 counts the offset among what is explained: its F is not the square of its t
        assert fit.fstatistic["value"] == pytest.approx(fit.coef_table().loc["Days", "t value"] ** 2)
        return
    assert (fit.r_squared, fit.adj_r_squared) == pytest.approx((r["r2"], r["adj_r2"]), abs=1e-10)
    if r["F"]:
        np.testing.assert_allclose(fit.fstatistic, r["F"], **CLOSE)
    else:
        assert fit.fstatistic is None


@pytest.mark.parametrize("name", FITS)
def test_values_of_rows(name):
    fit, r, _ = fitted_as_in_r(name)
    count = len(r["fitted"])
    np.testing.assert_allclose(fit.fitted()[:count], r["fitted"], **CLOSE)
    np.testing.assert_allclose(fit.residuals()[:count], r["residuals"], **CLOSE)
    counted = fit.prior_weights > 0  # R leaves rows of weight zero out of these
    for ours, theirs in (
        (fit.hatvalues(), r["hat"]),
        (fit.cooks_distance(), r["cooks"]),
        (fit.rstandard(), r["rstandard"]),
        (fit.rstudent(), r["rstudent"]),
    ):
        np.testing.assert_allclose(ours[counted][: len(theirs)], theirs, rtol=1e-7)


@pytest.mark.filterwarnings("ignore:some coefficients are not defined")
@pytest.mark.parametrize("name", FITS)
def test_predictions_for_new_rows(name):
    fit, r, data = fitted_as_in_r(name)
    new = data.iloc[NEW_ROWS.get(name, slice(0, 4))]
    table = fit.predict(new, se=True, interval="prediction", level=0.8)
    np.testing.assert_allclose(table[["fit", "lwr", "upr"]], r["predict"], **CLOSE)
    np.testing.assert_allclose(table["se.fit"], r["se"], **CLOSE)
    np.testing.assert_allclose(fit.predict(new), table["fit"], **CLOSE)


@pytest.mark.parametrize("name", [name for name in FITS if name != "offset"])
def test_summaries_print_as_in_r(name):
    fit, r, _ = fitted_as_in_r(name)
    start = "Weighted Residuals:" if "Weighted Residuals:" in r["text"] else "Residuals:"  # after R's call
    printed = [line.rstrip() for line in str(fit.summary()).splitlines()]
    printed = printed[printed.index(start) :]
    text = [line.rstrip() for line in r["text"][r["text"].index(start) : -1]]
    if name == "few_rows":  # the names of the rows, which count from 1 in R
        printed[1], text[1] = printed[1].split(), [str(int(x) - 1) for x in text[1].split()]
    assert printed == text


@pytest.mark.parametrize("name", FITS)
def test_terms_in_turn(name):
    fit, r, _ = fitted_as_in_r(name)
    table = fit.anova()
    assert list(table.index) == list(np.atleast_1d(r["anova"]["rownames"]))
    for column in table.columns:
        np.testing.assert_allclose(table[column], numbers(np.atleast_1d(r["anova"][column])), **CLOSE)
    assert [x.rstrip() for x in str(table).splitlines()] == [x.rstrip() for x in r["anova_text"]]


@pytest.mark.parametrize("case", reference("linear_models")["compare"], ids=["three", "smaller"])
def test_models_against_each_other(case):
    first, *others = [bm.lm(formula, sleepstudy()) for formula in case["formulas"]]
    table = first.anova(*others)
    for column in table.columns:
        np.testing.assert_allclose(table[column], numbers(case["table"][column]), **CLOSE)
    assert [x.rstrip() for x in str(table).splitlines()] == [x.rstrip() for x in case["text"]]


@pytest.mark.parametrize(
    ("name", "data"), [("seed001_lm_and_residual_means", "classroom"), ("seed002_lm", "dapr3_mindfuldecline")]
)
def test_courses(name, data):
    file = reference(name)
    fit, r = bm.lm(file["formula"], local_data(data)), file["values"]
    for column in ("Estimate", "Std. Error", "t value", "Pr(>|t|)"):
        np.testing.assert_allclose(fit.coef_table()[column], r["coef"][column], rtol=1e-7)
    assert (fit.sigma, fit.r_squared, fit.adj_r_squared) == pytest.approx((r["sigma"], r["r2"], r["adj_r2"]))
    assert list(fit.fstatistic) == pytest.approx(list(r["F"].values()))


def test_units_do_not_matter():
    data = sleepstudy().assign(tiny=lambda d: d["Days"] * 1e-8, huge=lambda d: (d["Days"] ** 2) * 1e8)
    scaled, plain = bm.lm("Reaction ~ tiny + huge", data), bm.lm("Reaction ~ Days + I(Days^2)", data)
    assert scaled.coef_table()["t value"].tolist() == pytest.approx(
        plain.coef_table()["t value"].tolist(), rel=1e-9
    )


def test_statsmodels_gets_the_same_model():
    fit = bm.lm("distance ~ age * Sex", bm.load_dataset("Orthodont"), weights="age")
    results = fit.to_statsmodels()
    np.testing.assert_allclose(results.params, fit.coef(), rtol=1e-9)
    np.testing.assert_allclose(results.bse, fit.standard_errors(), rtol=1e-9)


def test_excluded_rows_keep_their_places():
    data = with_holes()
    fit = bm.lm("Reaction ~ Days", data, na_action="na.exclude")
    assert len(fit.fitted()) == len(data)
    assert np.array_equal(np.isnan(fit.residuals()), data["Reaction"].isna())
    assert len(bm.lm("Reaction ~ Days", data).fitted()) == data["Reaction"].notna().sum()


def test_rows_are_chosen_by_condition_mask_or_number():
    data = sleepstudy()
    mask = data["Days"] > 3
    fits = [bm.lm("Reaction ~ Days", data, subset=s) for s in ("Days > 3", mask, np.flatnonzero(mask))]
    assert len({tuple(fit.coef()) for fit in fits}) == 1
    assert fits[0].nobs == mask.sum()


def test_update_keeps_data_and_arguments():
    fit = bm.lm("Reaction ~ Days", sleepstudy(), weights="w")
    wider = fit.update(". ~ . + I(Days^2)")
    assert str(wider.formula) == "Reaction ~ Days + I(Days^2)"
    assert wider.nobs == fit.nobs == 135


def test_aliased_columns_are_reported(capsys):
    fit = bm.lm("Reaction ~ Days + I(2 * Days)", sleepstudy())
    assert (
        "1 coefficient is not defined because of singularities: `I(2 * Days)` is a multiple"
        in capsys.readouterr().err
    )
    assert np.isnan(fit.coef()["I(2 * Days)"])
    assert "(1 not defined because of singularities)" in fit.summary()._repr_html_()


def test_html_is_escaped():
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 6.0, 1.0], "f": list("ab") * 3}).replace(
        {"a": "<i>", "b": "&"}
    )
    text = bm.lm("y ~ f", data)._repr_html_()
    assert "f&lt;i&gt;" in text
    assert "<i>" not in text


def test_a_perfect_fit_is_not_trusted():
    fit = bm.lm("Twice ~ Days", sleepstudy().assign(Twice=lambda d: 2 * d["Days"] + 1))
    with pytest.warns(bm.BayesmlmWarning, match="essentially perfect"):
        fit.summary()


def test_no_residual_degrees_of_freedom():
    with pytest.warns(bm.BayesmlmWarning, match="2 coefficients were estimated from 2 rows"):
        fit = bm.lm("Reaction ~ Days", sleepstudy().head(2))
    assert "ALL 2 residuals are 0: no residual degrees of freedom!" in str(fit.summary())


BAD = {
    "group terms": ({"formula": "Reaction ~ Days + (1 | Subject)"}, bm.FormulaError, r"use lmer\(\)"),
    "no response": ({"formula": "~ Days"}, bm.FormulaError, "no response"),
    "additions": ({"formula": "Reaction | weights(w) ~ Days"}, bm.FormulaError, "weights="),
    "two responses": ({"formula": "cbind(Reaction, Days) ~ 1"}, bm.FormulaError, "has one response"),
    "smooths": ({"formula": "Reaction ~ s(Days)"}, bm.FormulaError, r"brm\(\)"),
    "factor response": ({"formula": "Subject ~ Days"}, bm.DataError, "`Subject` is a factor"),
    "no columns": ({"formula": "Reaction ~ 0"}, bm.DataError, "no coefficient"),
    "negative weights": ({"weights": "Days - 1"}, bm.DataError, "weights must not be negative; row 1 "),
    "short weights": ({"weights": [1.0, 2.0]}, bm.DataError, "one value for each of the 180 rows"),
    "no weight": ({"weights": np.zeros(180)}, bm.DataError, "all weights are zero"),
    "no condition": ({"subset": "Days + 1"}, bm.DataError, "no condition"),
    "empty subset": ({"subset": "Days > 100"}, bm.DataError, "keeps no row"),
    "na_action": ({"na_action": "na.pass"}, bm.BayesmlmError, "na_action"),
    "missing": ({"data": with_holes(), "na_action": "na.fail"}, bm.DataError, "row 3 .*missing value"),
    "unknown column": ({"formula": "Reaction ~ Dayz"}, bm.DataError, "did you mean `Days`"),
    "no data": ({"data": None}, bm.DataError, "needs data"),
    "infinite": (
        {"data": sleepstudy().assign(Reaction=np.inf)},
        bm.DataError,
        "`Reaction` is infinite in row 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name):
    arguments, error, words = BAD[name]
    with pytest.raises(error, match=words):
        bm.lm(**{"formula": "Reaction ~ Days", "data": sleepstudy(), **arguments})


def test_models_of_different_rows_are_not_compared():
    first, second = bm.lm("Reaction ~ Days", sleepstudy()), bm.lm("Reaction ~ 1", with_holes())
    with pytest.raises(bm.BayesmlmError, match="180 rows and model 2 to 154"):
        first.anova(second)


@pytest.mark.parametrize(
    ("new", "words"),
    [({"Days": [1.0]}, "no column `Subject`"), ({"Days": [1.0], "Subject": ["999"]}, "level `999`")],
    ids=["missing column", "unseen level"],
)
def test_new_data_that_do_not_fit(new, words):
    fit = bm.lm("Reaction ~ Days + Subject", sleepstudy())
    with pytest.raises(bm.NewDataError, match=words):
        fit.predict(new)
