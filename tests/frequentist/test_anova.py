"""F tests of terms: lmerTest's tables for types I to III and both methods, lme4's table, and what is printed."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError
from bayesmlm.frequentist.fit import MixedFit
from tests.frequentist.fixed_references import MODELS, QUIET, agree, fitted, small_data, table
from tests.support import reference

TABLES = [
    (name, key)
    for name in MODELS
    for key, value in reference(name)["values"].items()
    if key.startswith("anova_type") and value and value.get("rownames")
]

SMALL = reference("fixed_tests")["models"]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "other_contrasts": {"contrasts": {"a": "sum", "b": "helmert"}},
    "weights": {"weights": "w"},
    "maximum_likelihood": {"REML": False},
}


@cache
def small_fit(name: str) -> MixedFit:
    data = small_data()
    if name == "missing_cell":
        data = data[~((data.a == "2") & (data.b == "3"))]
    return bm.lmer(SMALL[name]["formula"], data, control=QUIET, **ARGUMENTS.get(name, {}))


def split(key: str) -> dict[str, Any]:
    kind, _, ddf = key.removeprefix("anova_type").partition("_")
    return {"type": int(kind), "ddf": ddf.replace("_", "-")}


@pytest.mark.parametrize(("name", "key"), TABLES)
def test_tables_are_lmertests(name: str, key: str) -> None:
    # where lme4's default optimum is; p values follow from F and the degrees of freedom
    found, expected = fitted(name).anova(**split(key)), table(reference(name)["values"][key])
    agree(found.drop(columns="Pr(>F)"), expected.drop(columns="Pr(>F)"), rest=1e-3)


@pytest.mark.parametrize("name", SMALL)
def test_types_of_hypotheses_are_lmertests(name: str) -> None:
    """Unbalanced cells: the types differ, and degrees of freedom of several contrasts depend on their rows."""
    m = small_fit(name)
    for key, expected in SMALL[name].items():
        if key.startswith("anova_type"):
            # R's optimum is 1e-5 away at most; lmerTest rounds the type III rows of other codings to 1e-7
            agree(m.anova(**split(key)), table(expected), rest=5e-5, **{"Pr(>F)": 1e-3})
    agree(m.anova(ddf="lme4"), table(SMALL[name]["anova_lme4"]), rest=5e-5)


def test_missing_cells_are_named(capsys: pytest.CaptureFixture) -> None:
    small_fit("missing_cell").anova(type=3)
    assert "Missing cells for: a2:b3." in capsys.readouterr().err


def test_types_agree_where_nothing_contains_anything() -> None:
    m = small_fit("numbers_only")
    second, third = m.anova(type="II"), m.anova(type="III")
    agree(second, third)
    assert list(second.hypotheses) == ["x", "w", "a", "x:w"]
    assert list(second.hypotheses["a"].columns) == list(m.design.coefficients)


def test_aliased_columns_take_no_part() -> None:
    """A copy of a column changes no test; the term it makes has no row."""
    data = small_data().assign(copy=lambda d: 2.0 * d.x)
    plain = bm.lmer("y ~ a * x + (1 | g)", data)
    for kind in (1, 2, 3):
        found = bm.lmer("y ~ a * x + copy + (1 | g)", data).anova(type=kind)
        agree(found, plain.anova(type=kind), rest=1e-6)


def test_what_is_printed_is_rs() -> None:
    assert str(fitted("lmer_sleepstudy_quadratic").anova()) == (
        "Type III Analysis of Variance Table with Satterthwaite's method\n"
        "          Sum Sq Mean Sq NumDF DenDF F value  Pr(>F)  \n"
        "Days      6009.7  6009.7     1   160  6.2619 0.01334 *\n"
        "I(Days^2) 1079.5  1079.5     1   160  1.1248 0.29048  \n"
        "---\n"
        "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"
    )
    assert str(fitted("lmer_Machines_noint").anova(type="I", ddf="Kenward-Roger")) == (
        "Type I Analysis of Variance Table with Kenward-Roger's method\n"
        "        Sum Sq Mean Sq NumDF  DenDF F value    Pr(>F)    \n"
        "Machine 9487.9  3162.6     3 18.077     298 1.421e-15 ***\n"
        "---\n"
        "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"
    )


def test_a_model_without_terms_has_an_empty_table() -> None:
    assert fitted("lmer_Dyestuff_REML").anova().empty
    assert "Analysis of Variance" in str(fitted("lmer_Dyestuff_REML").anova())


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(BayesmlmError, match="type must be 1, 2 or 3"):
        fitted("lmer_sleepstudy_quadratic").anova(type=4)
