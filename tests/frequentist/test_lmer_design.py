"""Names, orders and levels of group terms, and which rows transforms learn from, held to lme4 1.1-31."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.data.frame import Frame
from bayesmlm.errors import NewDataError
from bayesmlm.formula import as_bayes_formula
from bayesmlm.frequentist.design import build_mixed_design

from ..support import reference

LME4 = reference("lmer_grammar")


def rows() -> pd.DataFrame:
    """The data of `make_lmer_grammar.R`, from the same formulas."""
    i = np.arange(240)
    a, b, e = (i * 7 + i // 11) % 8, (i // 3) % 4, (i * 5 + i // 13) % 8
    x = 2 + 3 * np.sin(1.7 * i)
    d = pd.DataFrame(
        {
            "a": [f"a{k}" for k in a],
            "b": [f"b{k}" for k in b],
            "c": [f"c{k}" for k in i % 3],
            "e": [f"e{k}" for k in e],
            "n": a + 3,
            "f": np.array(list("uvw"))[(i // 7) % 3],
            "x": x,
            "z": np.cos(2.3 * i),
            "m": np.where(i % 7 == 0, np.nan, np.sin(0.9 * i)),
            "w": 1.2 + np.sin(3.1 * i) / 2,
        }
    )
    one, two, three = a + 1, b + 1, e + 1
    effects = np.sin(2 * one) + np.cos(3 * three) + 0.2 * x * np.cos(5 * one) + np.sin(one * two)
    return d.assign(y=0.3 * x + effects + np.sin(97 * i**1.1))


DATA = rows()


@pytest.mark.parametrize("want", LME4["grammar"], ids=lambda want: want["term"])
def test_group_terms(want: dict[str, Any]) -> None:
    m = bm.lmer(f"y ~ x + {want['term']}", DATA, control={"check_nobs_vs_nRE": "ignore"})
    assert m.criterion == pytest.approx(want["criterion"], abs=1e-6)
    theta = want["theta"]
    assert list(m.getME("theta").index) == (theta if isinstance(theta, list) else [theta])
    assert list(m.ngrps.items()) == list(want["groups"].items())
    levels = {term.group: list(term.levels[:4]) for term in m.design.terms}
    assert levels == want["levels"]
    table = m.VarCorr()
    for column in ("var1", "var2"):
        assert [None if pd.isna(value) else value for value in table[column]] == want[column]
    # where a name is there twice, lme4 passes all through make.names(), which turns a colon into a dot
    assert [re.sub("[:()]", ".", name) for name in table["grp"]] == [
        re.sub("[:()]", ".", name) for name in want["grp"]
    ]
    assert m.is_singular == want["singular"]


@pytest.mark.parametrize("want", LME4["rows"], ids=lambda want: want["formula"])
def test_rows_that_transforms_learn_from(want: dict[str, Any]) -> None:
    """R transforms all rows of the data before it takes the subset and drops rows with missing values."""
    arguments: dict[str, Any] = {key: want[key] for key in ("weights", "offset") if key in want}
    if want.get("subset"):
        arguments["subset"] = "z > 0 & c != 'c1'"
    elif "weights" in want:
        arguments["subset"] = "z > 0"
    m = bm.lmer(want["formula"], DATA, **arguments)
    assert m.criterion == pytest.approx(want["criterion"], abs=1e-6)
    assert list(m.fixef().index) == want["names"]
    np.testing.assert_allclose(m.beta, want["beta"], rtol=1e-5, atol=1e-7)
    assert m.n == want["n"]


def test_subset_and_missing_values_of_other_columns() -> None:
    """A missing value in the condition leaves the row out; one in a column that is not used does not."""
    whole = bm.lmer("y ~ x + (1 | a)", DATA)
    assert whole.n == 240
    found = bm.lmer("y ~ x + (1 | a)", DATA, subset="m > 0")
    assert found.n == int((DATA["m"] > 0).sum())
    by_mask = bm.lmer("y ~ x + (1 | a)", DATA, subset=(DATA["m"] > 0).to_numpy())
    assert by_mask.criterion == found.criterion
    excluded = bm.lmer("y ~ m + (1 | a)", DATA, na_action="exclude")
    assert len(excluded.fitted()) == 240
    assert np.array_equal(np.isnan(excluded.residuals()), DATA["m"].isna())


def test_weights_and_offset_are_columns_expressions_or_arrays() -> None:
    data = DATA.assign(**{"my w": DATA["w"]})
    named = bm.lmer("y ~ x + (1 | a)", data, weights="my w", offset="z")
    given = bm.lmer("y ~ x + (1 | a)", DATA, weights=DATA["w"].to_numpy(), offset=DATA["z"])
    written = bm.lmer("y ~ x + offset(z) + (1 | a)", DATA, weights="2 * w / 2")
    assert named.criterion == pytest.approx(given.criterion, abs=1e-10)
    assert named.criterion == pytest.approx(written.criterion, abs=1e-10)


def test_new_rows_are_coded_as_the_old() -> None:
    parsed: Any = as_bayes_formula("y ~ scale(x) + f + (1 | a/b)").main
    design = build_mixed_design(parsed, Frame.from_any(DATA), subset="z > 0")
    again = design.new_X(Frame.from_any(DATA[DATA["z"] > 0]))
    np.testing.assert_allclose(again, design.X, rtol=1e-12)
    mean, sd = DATA["x"].mean(), DATA["x"].std()
    np.testing.assert_allclose(design.X[:, 1], (DATA["x"][DATA["z"] > 0] - mean) / sd, rtol=1e-12)
    new = pd.DataFrame({"a": ["a1", "a9"], "b": ["b1", "b1"]})
    codes, unseen = design.terms[0].new_codes(Frame.from_any(new))
    assert design.terms[0].levels[codes[0]] == "b1:a1"
    assert unseen == ("b1:a9",)
    assert codes[1] == len(design.terms[0].levels)
    with pytest.raises(NewDataError):
        design.new_X(Frame.from_any(DATA.assign(f="q").head(3)))


def test_large_interactions_are_not_laid_out() -> None:
    """Levels of a:b are those that occur, even where all combinations would be millions."""
    n = 4000
    data = pd.DataFrame({"a": np.arange(n) % 2000, "b": np.arange(n) // 2, "y": np.sin(np.arange(n) ** 1.3)})
    m = bm.lmer(
        "y ~ 1 + (1 | a:b)", data.assign(b=data["b"] % 1999), control={"check_nobs_vs_nlev": "ignore"}
    )
    assert m.ngrps["a:b"] <= n
    assert all(":" in level for level in m.design.terms[0].levels[:5])
