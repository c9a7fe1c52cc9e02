"""Least-squares means: lmerTest's and emmeans' values, and means of cells by hand."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning
from tests.frequentist.fixed_references import agree, fitted, small_data, table
from tests.frequentist.test_anova import SMALL, small_fit
from tests.support import reference


@pytest.mark.parametrize("name", [name for name, content in SMALL.items() if "ls_means" in content])
def test_means_and_differences_are_lmertests(name: str) -> None:
    m = small_fit(name)
    if name == "missing_cell":
        with pytest.warns(BayesmlmWarning, match="a2:b3"):
            means, differences = m.ls_means(), m.difflsmeans()
    else:
        means, differences = m.ls_means(), m.difflsmeans()
    # R's optimum is about 1e-5 away; t values and limits near 0 by their standard errors
    for found, key in ((means, "ls_means"), (differences, "difflsmeans")):
        expected = table(SMALL[name][key])
        agree(found[["Estimate", "Std. Error", "df"]], expected[["Estimate", "Std. Error", "df"]], rest=1e-4)
        for column in ("lower", "upper"):
            gap = (found[column] - expected[column]) / expected["Std. Error"]
            assert np.nanmax(np.abs(gap)) < 1e-4
        np.testing.assert_allclose(found["Pr(>|t|)"], expected["Pr(>|t|)"], rtol=1e-3)


def test_means_with_kenward_roger_are_those_of_emmeans() -> None:
    values = reference("lmer_cake_interaction")["values"]
    m = fitted("lmer_cake_interaction")
    means, pairs = m.ls_means("recipe", ddf="kenward-roger"), m.difflsmeans(["recipe"], ddf="kr")
    for found, key, names in (
        (
            means,
            "emmeans_recipe_KR",
            {"Estimate": "emmean", "Std. Error": "SE", "df": "df", "lower": "lower.CL"},
        ),
        (pairs, "emmeans_pairs_tukey_KR", {"Estimate": "estimate", "Std. Error": "SE", "t value": "t.ratio"}),
    ):
        for ours, theirs in names.items():
            np.testing.assert_allclose(found[ours], values[key][theirs], rtol=1e-6)
    assert list(pairs.index) == ["recipeA - recipeB", "recipeA - recipeC", "recipeB - recipeC"]


def test_numbers_are_at_their_means_whatever_is_made_of_them() -> None:
    """Logical variables are factors; functions of a variable are taken at its mean."""
    data = small_data()
    m = bm.lmer("y ~ positive + poly(x, 2) + I(x^2):a + (1 | g)", data)
    mean = data.x.mean()
    new = {"positive": [False, True], "x": [mean, mean], "g": ["1", "1"]}
    by_hand = np.mean([m.predict({**new, "a": [a, a]}, re_formula="NA") for a in ("1", "2", "3")], axis=0)
    np.testing.assert_allclose(m.ls_means()["Estimate"], by_hand, rtol=1e-10)
    assert list(m.ls_means().index) == ["positiveFALSE", "positiveTRUE"]


def test_what_is_printed_is_rs() -> None:
    lines = str(fitted("lmer_Machines_noint").ls_means()).split("\n")
    assert lines[2:4] == [
        "         Estimate Std. Error  df t value   lower   upper  Pr(>|t|)    ",
        "MachineA  52.3556     2.2293 5.8  23.485 46.8626 57.8485 5.328e-07 ***",
    ]
    assert lines[-2:] == ["  Confidence level: 95%", "  Degrees of freedom method: Satterthwaite"]
    assert "no terms of factors" in str(fitted("lmer_Dyestuff_REML").ls_means())


def test_only_terms_of_factors_have_means() -> None:
    with pytest.raises(BayesmlmError, match=r"`x` is no term of factors \(or .*\) only; the model has `a`"):
        small_fit("crossed").ls_means("x")


def test_a_column_of_two_values_counts_as_a_factor_when_it_is_named() -> None:
    """With 0/1 for the levels, the columns of the model are the same, and so are the means."""
    data = bm.load_dataset("hsbsub")
    number = bm.lmer("mathach ~ meanses + sector * ses_cmc + (1 | id)", data=data)
    factor = bm.lmer("mathach ~ meanses + factor(sector) * ses_cmc + (1 | id)", data=data)
    found, expected = number.ls_means("sector"), factor.ls_means()
    assert list(found.index) == ["sector0", "sector1"]
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-6)
    with pytest.raises(bm.BayesmlmError, match="numbers with two values"):
        number.ls_means("ses_cmc")
