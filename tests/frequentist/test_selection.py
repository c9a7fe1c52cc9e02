"""ranova, drop1 and step: values and layout of lmerTest and lme4."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.linear import LinearFit
from tests.support import local_data, reference

from .test_likelihood_ratio import SELECTION, compare, printed, r_text, sleep

QUIET = {"check_conv_singular": "ignore"}
CAKE2 = "angle ~ recipe * temp + (1 | recipe:replicate) + (1 | replicate)"
QUADRATIC = "Reaction ~ t + I(t^2) + (t + I(t^2) | Subject)"

OPEN = {
    "lmer_Hsb82": "Hsb82",
    "lmer_Machines_nested": "Machines",
    "lmer_Orthodont": "Orthodont",
    "lmer_Penicillin_REML": "Penicillin",
    "lmer_cake_interaction": "cake",
    "lmer_sleepstudy_double_bar": "sleepstudy",
    "lmer_sleepstudy_slope_REML": "sleepstudy",
    "seed000_crlv_int_REML": "hsbsub",
    "seed000_ran_slp": "hsbsub",
}
LOCAL = [
    "seed001_mathgain_ses_mathknow",
    "seed001_mathkind_school_class",
    "seed004_slope_only",
    "seed004_uncorr",
]


def fit(formula: str, data: Any, **arguments: Any) -> Any:
    return bm.lmer(formula, data, control=QUIET, **arguments)


@pytest.mark.parametrize("name", [*OPEN, *LOCAL])
def test_ranova_of_the_references(name: str) -> None:
    content = reference(name)
    file = content["data"].removesuffix(".csv")
    in_package = name in OPEN and file != "Hsb82"
    data = bm.load_dataset(OPEN[name]) if in_package else local_data(file)
    table = fit(content["formula"], data).ranova()
    # lme4's default optimiser stops up to 1e-5 short of the optimum
    compare(table, content["values"]["ranova"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("case", "formula", "reduce_terms"),
    [
        ("quadratic", QUADRATIC, True),
        ("slope_whole", "Reaction ~ Days + (Days | Subject)", False),
        ("apart", "Reaction ~ Days + (Days || Subject)", True),
        ("noise", "noise ~ Days + (1 | Subject)", True),
    ],
)
def test_ranova_prints_as_lmerTest(case: str, formula: str, reduce_terms: bool) -> None:  # noqa: N802
    expected = SELECTION["ranova"][case]
    table = fit(formula, sleep()).ranova(reduce_terms)
    compare(table, expected["table"], atol=1e-4)
    if case == "apart":  # R writes the formula with || expanded
        assert printed(table).split("\n")[4:] == r_text(expected).split("\n")[4:]
    elif case != "noise":  # of a variance of zero R's ratio is 0, ours the last digit of one
        assert printed(table) == r_text(expected)


@pytest.mark.parametrize(
    ("formula", "labels"),
    [
        ("y ~ x + (f | g)", ["f in (f | g)"]),
        ("y ~ x + (x * z | g)", ["x:z in (x * z | g)"]),
        ("y ~ x + (0 + x + z | g)", ["x in (0 + x + z | g)", "z in (0 + x + z | g)"]),
        ("y ~ x + cs(x | g) + (1 | h)", ["x in cs(x | g)", "(1 | h)"]),
        ("y ~ x + (1 | g/h)", ["(1 | h:g)", "(1 | g)"]),
    ],
)
def test_what_is_reduced(formula: str, labels: list[str]) -> None:
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"g": np.repeat(list("abcdefghijkl"), 12), "h": np.tile(list("stuvwx"), 24)})
    d = d.assign(f=np.tile(list("pqr"), 48), **{c: rng.standard_normal(144) for c in ("x", "z", "y")})
    d["y"] += d["g"].map(dict(zip("abcdefghijkl", rng.standard_normal(12), strict=True)))
    m = fit(formula, d)
    table = m.ranova()
    assert list(table.index[1:]) == labels
    assert (table["logLik"] <= table["logLik"].iloc[0] + 1e-6).all()


def test_rows_stay_when_a_term_with_missing_values_goes() -> None:
    d = sleep(z=np.linspace(0, 1, 180) ** 2, w=np.tile([1.0, 2.0], 90))
    d.loc[:9, "z"] = np.nan
    m = fit("Reaction ~ z + offset(z) + (z | Subject)", d, weights="w")
    table = m.drop1(test="Chisq")
    whole = d.dropna()
    small = fit("Reaction ~ offset(z) + (z | Subject)", whole, weights="w", REML=False)
    assert table.loc["z", "AIC"] == pytest.approx(small.AIC(), abs=1e-5)
    reduced = fit("Reaction ~ z + offset(z) + (1 | Subject)", whole, weights="w")
    assert m.ranova()["logLik"].iloc[1] == pytest.approx(reduced.logLik(), abs=1e-6)


@pytest.mark.parametrize(
    ("case", "formula", "data", "arguments"),
    [
        ("cake_F", CAKE2, "cake", {}),
        ("quadratic_F", QUADRATIC, None, {}),
        (
            "quadratic_KR",
            "Reaction ~ Days + I(Days^2) + (Days | Subject)",
            None,
            {"ddf": "kenward-roger"},
        ),
        ("cake_Chisq", "angle ~ recipe + temp + (1 | recipe:replicate)", "cake", {"test": "Chisq"}),
    ],
)
def test_drop1(case: str, formula: str, data: str | None, arguments: dict[str, Any]) -> None:
    expected = SELECTION["drop1"][case]
    table = fit(formula, sleep() if data is None else bm.load_dataset(data)).drop1(**arguments)
    # degrees of freedom: lmerTest takes its derivatives by differences
    compare(table, expected["table"], rtol=5e-3 if case == "quadratic_F" else 1e-4, atol=1e-4)
    if case != "quadratic_F":
        assert printed(table) == r_text(expected)


def test_drop1_of_terms_that_are_margins_of_others() -> None:
    values = reference("seed000_crlv_int_REML")["values"]["drop1_chisq_ML"]
    m = fit("mathach ~ meanses + sector * ses_cmc + (ses_cmc | id)", bm.load_dataset("hsbsub"))
    compare(m.drop1("~ meanses + sector * ses_cmc", test="Chisq"), values, rtol=2e-4, atol=2e-3)
    assert list(m.drop1().index) == ["meanses", "sector:ses_cmc"]
    assert list(m.drop1(test="none").columns) == ["npar", "AIC"]
    coefficients = m.coef_table().loc[["sector", "ses_cmc"]]
    one = m.drop1(["sector", "ses_cmc"])
    np.testing.assert_allclose(one["F value"], coefficients["t value"] ** 2, rtol=1e-8)
    np.testing.assert_allclose(one["DenDF"], coefficients["df"], rtol=1e-6)


@pytest.mark.parametrize(
    ("case", "formula", "data"),
    [
        ("slope", "Reaction ~ Days + (Days | Subject)", None),
        ("cake", CAKE2, "cake"),
        ("noise", "noise ~ Days + (1 | Subject)", None),
    ],
)
def test_step(case: str, formula: str, data: str | None) -> None:
    expected = SELECTION["step"][case]
    found = fit(formula, sleep() if data is None else bm.load_dataset(data)).step()
    compare(found.random, expected["random"], atol=1e-4, rtol=1e-4)
    compare(found.fixed, expected["fixed"], atol=1e-4, rtol=1e-3)
    assert repr(found).split("\n")[-1] == expected["text"].split("\n")[-1]
    assert isinstance(found.model, LinearFit) == (case == "noise")


def test_step_keeps_what_it_is_told_to() -> None:
    m = fit(CAKE2, bm.load_dataset("cake"))
    kept = m.step(keep=["recipe"])
    assert list(kept.model.design.population.terms) == ["recipe", "temp"]
    assert str(m.step(reduce_fixed=False).model.formula) == str(m.formula)
    loose = m.step(alpha_random=0.001).model
    assert [t.group for t in loose.design.terms] == ["replicate"]
    assert loose.predict(bm.load_dataset("cake").head(2)).shape == (2,)
    assert "Backward reduced random-effect table" in kept._repr_html_()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.drop1("q"), "the model has no term `q`; its terms are Days"),
        (lambda m: m.drop1(test="LRT"), 'drop1(test=) is "F", "Chisq" or "none"'),
        (lambda m: m.step(alpha_fixed=5), "alpha_fixed=5 must lie between 0 and 1"),
        (lambda m: m.step(keep=["x"]), "the model has no term `x`"),
    ],
    ids=["scope", "test", "alpha", "keep"],
)
def test_errors_in_words(call: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        call(fit("Reaction ~ Days + (1 | Subject)", sleep()))
    assert words in str(caught.value)


def test_a_model_without_terms_to_drop() -> None:
    m = fit("Yield ~ 1 + (1 | Batch)", bm.load_dataset("Dyestuff"))
    assert "(there are no terms to drop)" in repr(m.drop1())
    assert m.step().model is m
