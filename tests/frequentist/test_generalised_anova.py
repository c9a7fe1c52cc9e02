"""Tests of terms and between generalised models: lme4's, glm's and glmmTMB's numbers, and refusals in words."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.boundary_null import Mixture
from bayesmlm.frequentist.generalised_lrt import LIMITS
from bayesmlm.frequentist.generalised_selection import (
    group_bars,
    refit_smaller,
    without_effects,
    written,
)

from .generalised_models import (
    EPILEPSY,
    GLMMTMB,
    LME4,
    NAMES,
    TABLES,
    columns,
    data,
    fitted,
    fitted_parts,
    same_print,
)


def compare(found: pd.DataFrame, expected: dict[str, Any], rtol: float = 2e-4, atol: float = 1e-4) -> None:
    """R's columns, missing values where it has them; its statistics are as exact as its optimiser."""
    for name, values in expected.items():
        if name != "rownames":
            numbers = np.array([np.nan if x is None else x for x in np.atleast_1d(values)], dtype=float)
            np.testing.assert_allclose(
                found[name].to_numpy(float), numbers, rtol=rtol, atol=atol, err_msg=name
            )


def printed(found: Any) -> list[str]:
    """Without the lines about boundaries, which R does not have."""
    lines = repr(found).split("\n")
    first = ("Variances tested", "Tested on the boundary")
    stop = next((i for i, line in enumerate(lines) if line.startswith(first)), len(lines))
    return [line.rstrip() for line in lines[:stop]]


def same_lines(found: Any, theirs: list[str]) -> bool:
    wanted = [line.rstrip() for line in theirs if not line.startswith("Data: ")]
    return all(same_print(a, b) for a, b in zip(printed(found), wanted, strict=True))


def epilepsy(family: str, *formulas: str, laplace: str | None = None, nAGQ: int = 1, **arguments: Any) -> Any:
    return bm.glmer(
        bm.bf(*(formulas or (EPILEPSY,))),
        data("epilepsy"),
        family=family,
        laplace=laplace,
        nAGQ=nAGQ,
        **arguments,
    )


@cache
def cows(formula: str = "cbind(incidence, size - incidence) ~ (1 | herd)") -> Any:
    return bm.glmer(formula, data("cbpp"), family="binomial")


@cache
def poisson_ticks(groups: str = "(1 | BROOD)", fixed: str = "YEAR") -> Any:
    return bm.glmer(f"TICKS ~ {fixed} + {groups}", data("grouseticks"), family="poisson")


# -- one model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_sequential_table_is_lme4s(name: str) -> None:
    found = fitted(name).anova()
    compare(found, LME4[name]["anova"], rtol=5e-4)
    assert list(found.index) == list(np.atleast_1d(LME4[name]["anova"]["rownames"]))
    if name == "cbpp":
        assert same_lines(found, LME4[name]["anova_text"])


@pytest.mark.parametrize("name", [n for n in NAMES if "drop1" in LME4[n]])
def test_single_term_deletions_are_lme4s(name: str) -> None:
    m, expected = fitted(name), dict(LME4[name]["drop1"])
    found = m.drop1()
    if m.nodes > 1:
        # the constants of the family, which lme4 leaves out with quadrature, drop out of differences
        shift = found["AIC"].iloc[0] - expected["AIC"][0]
        expected["AIC"] = [x + shift for x in expected["AIC"]]
    p, their_p = (np.array(t["Pr(Chi)"], dtype=float)[1:] for t in (found, {**expected}))
    np.testing.assert_allclose(np.log(p), np.log(their_p), rtol=1e-4)
    compare(found.drop(columns="Pr(Chi)"), {k: v for k, v in expected.items() if k != "Pr(Chi)"})
    assert list(found.index) == list(expected["rownames"])
    if name == "cbpp":
        assert same_lines(found, LME4[name]["drop1_text"])
    assert list(m.drop1(scope=[], test="none").columns) == ["npar", "AIC"]


def test_deletions_of_another_part() -> None:
    whole = epilepsy("zero_inflated_poisson", EPILEPSY, "zi ~ Trt", laplace="observed")
    found = whole.drop1(part="zi")
    assert list(found.index) == ["<none>", "Trt"]
    constant = fitted_parts("zip")
    assert found.loc["Trt", "LRT"] == pytest.approx(2 * (whole.logLik() - constant.logLik()), abs=1e-6)
    chosen = fitted_parts("zip").drop1("~ zAge", k=0.0)
    expected = columns(GLMMTMB["zip"]["drop1"]).set_index("rownames")
    assert list(chosen.index) == ["<none>", "zAge"]
    mu = fitted_parts("zip").drop1()
    np.testing.assert_allclose(mu["LRT"][1:], expected["LRT"][1:].astype(float), atol=1e-4)
    np.testing.assert_allclose(mu["AIC"], expected["AIC"].astype(float), atol=1e-4)
    assert "Single term deletions of zi\n\nModel:\n" + EPILEPSY + ", zi ~ Trt" in repr(found)


def test_wald_tests_of_terms() -> None:
    """Type II as car defines it, type III as car's with contr.sum, whatever the coding; type I adds up to all."""
    m = fitted("interaction")
    for kind, key in ((2, "type2"), (3, "type3")):
        found = m.anova(type=kind)
        assert list(found.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
        assert set(found.index) == set(TABLES[key])
        for term, value in TABLES[key].items():
            assert found.loc[term, "Chisq"] == pytest.approx(value, rel=1e-3)
        assert found["Df"].to_dict() == {"age": 1, "livch": 3, "urban": 1, "age:livch": 3}
    first = m.anova(type="I")
    assert list(first.index) == ["age", "livch", "urban", "age:livch"]
    everything = m.contest(np.eye(m.p)[1:]).iloc[0]
    assert first["Chisq"].sum() == pytest.approx(everything["Chisq"], rel=1e-8)
    assert first["Df"].sum() == everything["Df"]
    text = repr(m.anova(type="II"))
    assert text.startswith("Analysis of Deviance Table (Type II Wald chisquare tests)\n\nResponse: use\n")
    assert "***" in text


def test_types_agree_where_no_term_contains_another() -> None:
    m = fitted("contraception")
    second, third = m.anova(type=2), m.anova(type=3)
    np.testing.assert_allclose(second, third.loc[second.index], rtol=1e-6)
    z = m.coef_table().loc["age", "z value"]
    assert second.loc["age", "Chisq"] == pytest.approx(z**2, rel=1e-10)
    unlike = m.anova(type=2, use_hessian=False)
    assert not np.allclose(unlike["Chisq"], second["Chisq"], rtol=1e-5)


# -- several models ------------------------------------------------------------------------------------------------


def test_likelihood_ratios_are_lme4s() -> None:
    table = bm.anova(fitted("cbpp"), cows(), names=["m", "m0"])
    assert list(table.index) == ["m0", "m"]
    compare(table, TABLES["lrt"]["cbpp"]["table"])
    assert same_lines(table, TABLES["lrt"]["cbpp"]["text"])
    nb0 = bm.glmer("TICKS ~ 1 + (1 | BROOD)", data("grouseticks"), family="negbinomial")
    compare(bm.anova(fitted("negbinomial"), nb0), TABLES["lrt"]["negbinomial"]["table"])


def test_group_terms_are_tested_on_the_boundary() -> None:
    larger, smaller = fitted("grouseticks"), poisson_ticks(fixed="YEAR + cHEIGHT")
    table = bm.anova(larger, smaller, names=["ticks", "ticks1"])
    compare(table, TABLES["lrt"]["groups"]["table"])
    chisq = table.loc["ticks", "Chisq"]
    assert table.loc["ticks", "Pr(>Chibar)"] == pytest.approx(Mixture(0, 1).p_value(chisq), rel=1e-12)
    assert "Variances tested against zero" in repr(table)


def test_a_family_that_is_the_limit_of_another() -> None:
    """Poisson is the negative binomial with infinite shape: a boundary too."""
    table = bm.anova(fitted("negbinomial"), poisson_ticks())
    compare(table, TABLES["lrt"]["families"]["table"])
    text = repr(table)
    assert "MODEL2: TICKS ~ YEAR + (1 | BROOD), poisson (log)" in text
    assert "Tested on the boundary of the parameters" in text
    assert table.loc["MODEL1", "Pr(>Chibar)"] < 1e-40
    both = bm.anova(
        poisson_ticks(), bm.glmer("TICKS ~ (1 | BROOD)", data("grouseticks"), family="negbinomial")
    )
    assert "Pr(>Chibar)" not in both.columns  # not nested: YEAR is gone


def test_families_of_which_none_is_a_case_of_the_other_have_criteria_only() -> None:
    first = fitted_parts("zip")
    second = epilepsy("negbinomial", laplace="observed")
    table = bm.anova(first, second)
    assert table["Chisq"].isna().all()
    assert table["AIC"].notna().all()
    assert "families or links of which none is a case of the other: compare their AIC" in repr(table)


def test_families_at_their_limits_exist() -> None:
    from bayesmlm.families.registry import FAMILIES

    assert all(name in FAMILIES for pair in LIMITS for name in pair)


def test_a_table_from_a_fit() -> None:
    table = fitted("cbpp").anova(cows(), names=["a", "b"])
    assert table.loc["a", "Chisq"] == pytest.approx(25.61, abs=0.01)
    assert list(bm.anova(fitted("cbpp")).columns) == ["npar", "Sum Sq", "Mean Sq", "F value"]
    assert list(bm.anova(fitted("cbpp"), type=2).columns) == ["Chisq", "Df", "Pr(>Chisq)"]


def test_the_same_response_written_differently() -> None:
    other = bm.glmer("incidence | trials(size) ~ 1 + (1 | herd)", data("cbpp"), family="binomial")
    np.testing.assert_allclose(
        bm.anova(fitted("cbpp"), other)["Chisq"], bm.anova(fitted("cbpp"), cows())["Chisq"], atol=1e-7
    )


# -- without groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shift"),
    [("cbpp", 0.0), ("negbinomial", 0.0), ("gamma", 2.0)],
)
def test_without_group_effects_is_rs_glm(name: str, shift: float) -> None:
    """R's ``Gamma()$aic``, which lme4's criterion holds, counts the dispersion as a parameter; ``logLik`` does not."""
    m = fitted("sleep_gamma" if name == "gamma" else name)
    expected = -2.0 * TABLES["lrt"]["without_groups"][name] + shift
    assert without_effects(m) == pytest.approx(expected, abs=1e-6)


def test_group_terms_in_turn() -> None:
    m = fitted("grouseticks")
    table = m.ranova()
    assert list(table.index) == ["<none>", "(1 | BROOD)", "(1 | LOCATION)"]
    alone = poisson_ticks("(1 | BROOD)", "YEAR + cHEIGHT")
    assert table.loc["(1 | LOCATION)", "LRT"] == pytest.approx(2 * (m.logLik() - alone.logLik()), abs=1e-6)
    assert table.loc["(1 | LOCATION)", "Pr(>Chibar)"] == pytest.approx(
        table.loc["(1 | LOCATION)", "Pr(>Chisq)"] / 2
    )
    slope = fitted("sleep_slope").ranova()
    assert list(slope.index) == ["<none>", "Days in (Days | Subject)"]
    assert slope.loc["Days in (Days | Subject)", "Df"] == 2
    assert slope.iloc[1]["logLik"] == pytest.approx(fitted("sleep_gamma").logLik(), abs=1e-6)
    whole = fitted("sleep_slope").ranova(reduce_terms=False)
    assert whole.loc["(Days | Subject)", "Df"] == 3
    flat = poisson_ticks().ranova()
    expected = TABLES["lrt"]["without_groups"]["ticks"]
    assert flat.iloc[1]["logLik"] == pytest.approx(expected, abs=1e-6)


def test_group_terms_of_several_parts() -> None:
    m = fitted_parts("zinb")
    table = m.ranova()
    assert list(table.index) == ["<none>", "(1 | site)", "zi: (1 | site)"]
    expected = GLMMTMB["zinb"]["anova"]
    assert table.loc["zi: (1 | site)", "logLik"] == pytest.approx(expected["logLik"][0], abs=1e-4)
    assert table.loc["zi: (1 | site)", "LRT"] == pytest.approx(expected["Chisq"][1], abs=1e-4)


# -- refusals ------------------------------------------------------------------------------------------------------


def _subset() -> Any:
    return bm.glmer(
        "cbind(incidence, size - incidence) ~ 1 + (1 | herd)",
        data("cbpp"),
        family="binomial",
        subset="size > 3",
    )


def _weighted() -> Any:
    return bm.glmer(
        "TICKS ~ 1 + (1 | BROOD)", data("grouseticks"), family="poisson", weights=np.full(403, 2.0)
    )


def _lmer() -> Any:
    return bm.lmer("incidence ~ 1 + (1 | herd)", data("cbpp"))


def _lm() -> Any:
    return bm.lm("incidence ~ 1", data("cbpp"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bm.anova(fitted("cbpp"), 3), "results of glmer() with each other"),
        (
            lambda: bm.anova(fitted("cbpp"), _lmer()),
            "MODEL2 is a result of lmer(): a generalised model is compared",
        ),
        (
            lambda: bm.anova(_lm(), fitted("cbpp")),
            "MODEL1 is a result of lm(), MODEL2 is a result of glmer()",
        ),
        (
            lambda: bm.anova(fitted("cbpp"), fitted("cbpp_nAGQ9")),
            "different nAGQ (MODEL1: nAGQ=1, MODEL2: nAGQ=9)",
        ),
        (
            lambda: bm.anova(fitted("cbpp"), cows("incidence | trials(size + 1) ~ 1 + (1 | herd)")),
            "have different numbers of trials",
        ),
        (lambda: bm.anova(fitted("cbpp"), _subset()), "not all fitted to the same rows"),
        (lambda: bm.anova(poisson_ticks(), _weighted()), "have different weights"),
        (
            lambda: bm.anova(
                poisson_ticks(),
                bm.glmer("I(TICKS + 1) ~ 1 + (1 | BROOD)", data("grouseticks"), family="poisson"),
            ),
            "MODEL1 is a model of `TICKS` (poisson) and MODEL2 of `I(TICKS + 1)` (poisson)",
        ),
        (
            lambda: bm.anova(
                fitted("cbpp_probit"),
                cows("incidence | trials(size) ~ 1 + (1 | herd)").update(
                    laplace="observed", family="binomial('probit')"
                ),
            ),
            'fit all with laplace="observed"',
        ),
        (lambda: fitted("cbpp").anova(type=4), "type must be 1, 2 or 3"),
        (lambda: fitted("cbpp").drop1(test="F"), 'drop1(test=) is "Chisq" or "none"'),
        (lambda: fitted("cbpp").drop1("herd"), "the model has no term `herd`"),
        (lambda: fitted("negbinomial").drop1(part="shape"), "`shape` is one constant"),
    ],
    ids=[
        "type",
        "lmer",
        "lm",
        "nodes",
        "trials",
        "rows",
        "weights",
        "response",
        "definition",
        "kind",
        "test",
        "term",
        "constant",
    ],
)
def test_errors_in_words(call: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        call()
    assert words in str(caught.value)


# -- formulas written again ----------------------------------------------------------------------------------------


def _counts() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 160
    d = pd.DataFrame({"a": np.repeat(np.arange(16), 10).astype(str), "b": np.tile(list("uvwxy"), 32)})
    d["x"], d["time"] = rng.standard_normal(n), rng.uniform(1.0, 3.0, n)
    d["f"] = rng.choice(list("pqr"), n)
    effect = rng.normal(0.0, 0.7, 16)[d["a"].astype(int)] + rng.normal(0.0, 0.5, 80)[np.arange(n) // 2]
    d["y"] = rng.poisson(d["time"] * np.exp(0.5 + 0.3 * d["x"] + effect))
    d["n"] = d["y"] + rng.integers(1, 6, n)
    d["share"], d["w"] = d["y"] / d["n"], 1.0 + (np.arange(n) % 3)
    d.loc[[3, 50], "x"] = np.nan
    return d


@pytest.mark.parametrize(
    ("formulas", "family", "arguments"),
    [
        (("y ~ f * x + offset(log(time)) + (1 | a/b)",), "poisson", {"weights": "w"}),
        (("y | rate(time) ~ 0 + f + x + (1 + x || a)",), "poisson", {"subset": "time > 1.2"}),
        (("y ~ 1 + diag(1 + x | a)",), "poisson", {"offset": np.log(np.linspace(1.0, 2.0, 160))}),
        (("share ~ poly(time, 2) + (1 | a)",), "binomial", {"weights": "n"}),
        (("y | trials(n) ~ x + (1 | a)",), "binomial", {"nAGQ": 5}),
        (("cbind(y, n - y) ~ I(x^2) + (1 | a:b)",), "binomial", {"nAGQ": 0}),
        (("y ~ x + (1 | a)", "shape ~ f + (1 | b)"), "negbinomial", {}),
    ],
    ids=["nested", "rate", "diag", "share", "trials", "cbind", "shape"],
)
def test_the_same_formula_written_again_is_the_same_model(
    formulas: tuple[str, ...], family: str, arguments: dict[str, Any]
) -> None:
    """What `drop1` and `ranova` fit is made of terms and bars of the fit, on its rows."""
    quiet = {"check_conv_singular": "ignore", "check_conv_grad": "ignore"}
    m = bm.glmer(bm.bf(*formulas), _counts(), family=family, control=quiet, **arguments)
    again = refit_smaller(m, written(m, group_bars(m), {}))
    assert again.criterion == pytest.approx(m.criterion, abs=1e-6)
    assert again.npar == m.npar
    assert again.n == m.n
    table = m.drop1()
    assert table.index[0] == "<none>"
    assert (table["LRT"][1:] > -1e-6).all()
