"""Likelihood-ratio tests between models: lme4's and pbkrtest's values and layout, and refusals in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.boundary_null import Mixture, boundary_mixture
from bayesmlm.frequentist.pb_modcomp import BootstrapTest
from tests.support import local_data, reference

SELECTION = reference("lmer_selection")
NAMES = ["m", "m0", "m00"]


def sleep(**columns: Any) -> pd.DataFrame:
    d = bm.load_dataset("sleepstudy")
    return d.assign(noise=SELECTION["noise"], t=(d["Days"] - 4.5) / 4.5, **columns)


def three() -> list[Any]:
    d = sleep()
    return [
        bm.lmer("Reaction ~ Days + (Days | Subject)", d),
        bm.lmer("Reaction ~ Days + (1 | Subject)", d),
        bm.lm("Reaction ~ Days", d),
    ]


def compare(found: pd.DataFrame, expected: dict[str, Any], *, rtol: float = 1e-5, atol: float = 2e-5) -> None:
    """Values of R's table; Chisq and logLik to the slack of lme4's optimiser."""
    assert list(found.index) == list(np.atleast_1d(expected["rownames"]))
    for column, values in expected.items():
        if column != "rownames":
            numbers = np.array([np.nan if x is None else x for x in np.atleast_1d(values)], dtype=float)
            np.testing.assert_allclose(
                found[column].to_numpy(float), numbers, rtol=rtol, atol=atol, err_msg=column
            )


def printed(found: Any) -> str:
    """Without the lines about boundaries, which R does not have, and trailing blanks."""
    lines = repr(found).split("\n")
    stop = next((i for i, line in enumerate(lines) if line.startswith("Variances tested")), len(lines))
    return "\n".join(line.rstrip() for line in lines[:stop])


def r_text(case: dict[str, Any]) -> str:
    return "\n".join(line.rstrip() for line in case["text"].split("\n") if not line.startswith("Data: "))


def test_table_and_layout(capsys: pytest.CaptureFixture[str]) -> None:
    fits = three()
    table = bm.anova(*fits, names=NAMES)
    assert "refitting model(s) with ML (instead of REML)" in capsys.readouterr().err
    compare(table, SELECTION["anova"]["table"])
    assert printed(table) == r_text(SELECTION["anova"])
    restricted = bm.anova(*fits[:2], names=NAMES[:2], refit=False)
    compare(restricted, SELECTION["anova_REML"]["table"])
    assert printed(restricted) == r_text(SELECTION["anova_REML"])
    assert capsys.readouterr().err == ""


def test_from_a_fit_and_of_one_model() -> None:
    m, m0, m00 = three()
    assert m.anova(m0).loc["MODEL1", "Chisq"] == pytest.approx(42.139, abs=1e-3)
    assert list(bm.anova(m).columns)[-1] == "Pr(>F)"
    assert "Res.Df" in bm.anova(m00, bm.lm("Reaction ~ 1", sleep())).columns


def test_open_references() -> None:
    expected = reference("lmer_sleepstudy_slope_ML")["values"]["anova_vs_intercept_only"]
    d = sleep()
    fits = [bm.lmer(f"Reaction ~ {f} + (Days | Subject)", d, REML=False) for f in ("1", "Days")]
    compare(bm.anova(*fits, names=expected["rownames"]), expected)
    values = reference("seed000_crlv_int_REML")["values"]["anova_vs_no_crosslevel_ML_refit"]
    h, quiet = bm.load_dataset("hsbsub"), {"check_conv_singular": "ignore"}
    fits = [
        bm.lmer(f"mathach ~ meanses + sector {sign} ses_cmc + (ses_cmc | id)", h, control=quiet)
        for sign in "+*"
    ]
    # lme4's default optimiser stops 1e-4 short of these singular fits
    expected = {k: v for k, v in values.items() if k != "model_no_crlv"}
    compare(bm.anova(*fits, names=expected["rownames"]), expected, atol=2e-3, rtol=2e-4)


def test_restricted_likelihoods_of_a_course() -> None:
    expected = reference("seed001_mathgain_school_class")["values"]["anova_refit_FALSE_vs_school_only"]
    d = local_data("classroom")
    fits = [bm.lmer(f"mathgain ~ (1 | {g})", d) for g in ("schoolid", "schoolid/classid")]
    compare(bm.anova(*fits, refit=False, names=expected["rownames"]), expected)


def test_mixture_beside_the_usual_p_value() -> None:
    from scipy.stats import chi2

    table = bm.anova(*three(), names=NAMES)
    one, two = table.loc["m0"], table.loc["m"]
    assert one["Pr(>Chibar)"] == pytest.approx(0.5 * chi2.sf(one["Chisq"], 1), rel=1e-12)
    both = 0.5 * (chi2.sf(two["Chisq"], 1) + chi2.sf(two["Chisq"], 2))
    assert two["Pr(>Chibar)"] == pytest.approx(both, rel=1e-12)
    assert "m: p = 3.961e-10 (50:50 chi2(1):chi2(2))" in repr(table)
    assert Mixture(0, 1).p_value(0.0) == 1.0
    fixed = bm.anova(three()[1], bm.lmer("Reaction ~ 1 + (1 | Subject)", sleep()))
    assert "Pr(>Chibar)" not in fixed.columns


@pytest.mark.parametrize(
    ("smaller", "larger", "degrees"),
    [
        ("(1 | g)", "(x | g)", (1, 2)),
        ("(0 + x | g)", "(x | g)", (1, 2)),
        ("(x | g)", "(x + z | g)", (2, 3)),
        ("(1 | g)", "(1 | g) + (0 + x | g)", (0, 1)),
        ("(1 | g)", "(x || g)", (0, 1)),
        ("(1 | g)", "diag(x | g)", (0, 1)),
        ("(1 | g)", "(1 | g) + (1 | h)", (0, 1)),
        ("(1 | g)", "(1 | g/h)", (0, 1)),
        ("(x | g)", "(1 | h) + (x | g)", (0, 1)),
        ("(x || g)", "(x | g)", None),  # a correlation, inside its range
        ("(1 | g)", "(x + z | g)", None),  # two variances
        ("(1 | g)", "(x | h)", None),  # not nested
        ("(1 | h)", "(x | g)", None),
    ],
)
def test_which_nulls_are_on_the_boundary(smaller: str, larger: str, degrees: tuple[int, int] | None) -> None:
    rng = np.random.default_rng(2)
    d = {"g": np.repeat(list("abcdefgh"), 12), "h": np.tile(list("stuvwx"), 16), "y": rng.standard_normal(96)}
    d |= {"x": rng.standard_normal(96), "z": rng.standard_normal(96)}
    quiet = {"check_conv_singular": "ignore"}
    terms = [bm.lmer(f"y ~ x + {group}", d, control=quiet).design.terms for group in (smaller, larger)]
    found = boundary_mixture(*terms)
    assert (None if found is None else (found.lower, found.upper)) == degrees


def test_mixture_is_the_null_distribution() -> None:
    """Of simulated tests of a variance that is zero about half have ratio 0, and p <= 0.2 in a fifth."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"g": np.repeat(np.arange(60), 5).astype(str), "y": rng.standard_normal(300)})
    large = bm.lmer("y ~ 1 + (1 | g)", d, control={"check_conv_singular": "ignore"})
    simulated = large.pb_modcomp(bm.lm("y ~ 1", d), nsim=400, seed=1).simulated
    p = np.array([Mixture(0, 1).p_value(float(x)) for x in simulated])
    # binomial standard deviations are 0.025 and 0.02; 60 groups are not quite infinitely many
    assert (simulated <= 0).mean() == pytest.approx(0.53, abs=0.075)
    assert (p <= 0.2).mean() == pytest.approx(0.2, abs=0.06)


def test_parametric_bootstrap_summary_is_that_of_pbkrtest() -> None:
    """pbkrtest's reference distribution, summarised here: p values, Gamma, Bartlett and F."""
    case = SELECTION["PBmodcomp"]
    statistic = case["test"]["stat"][0]
    found = BootstrapTest("large", "small", statistic, 1, np.array(case["ref"]))
    compare(found.test, case["test"], rtol=1e-9, atol=1e-10)
    compare(found.summary(), case["summary"], rtol=1e-8, atol=1e-10)
    assert "Bootstrap test; samples: 60" in repr(found)


def test_parametric_bootstrap_of_a_coefficient() -> None:
    """Its ratio is lme4's, and the p value near that of chi-square, which holds here; from a seed it is repeatable."""
    d = sleep()
    m, m0 = (bm.lmer(f"Reaction ~ {f} + (1 | Subject)", d) for f in ("Days + I(Days^2)", "Days"))
    found = m.pb_modcomp(m0, nsim=200, seed=5)
    assert found.statistic == pytest.approx(SELECTION["PBmodcomp"]["test"]["stat"][0], abs=1e-4)
    assert found.df == 1
    assert found.p_value == pytest.approx(0.2867, abs=3 * np.sqrt(0.2867 * 0.7133 / 200))
    assert found.p_value == m.pb_modcomp(m0, nsim=200, seed=5).p_value
    assert (found.simulated >= 0).all()


def test_different_rows_are_refused_with_the_remedy() -> None:
    d = sleep(z=np.arange(180.0))
    d.loc[[3, 7, 8], "z"] = np.nan
    with_z = bm.lmer("Reaction ~ z + (1 | Subject)", d)
    without = bm.lmer("Reaction ~ Days + (1 | Subject)", d)
    with pytest.raises(bm.DataError) as caught:
        bm.anova(with_z, without)
    words = str(caught.value)
    for part in (
        "MODEL1 used 177; MODEL2 used 180",
        "`z` (3 missing)",
        "row 4",
        'data[["z"]].notna().all(axis=1)',
    ):
        assert part in words
    complete = d[["z"]].notna().all(axis=1)
    again = bm.lmer("Reaction ~ Days + (1 | Subject)", d, subset=complete)
    assert bm.anova(with_z, again).shape == (2, 8)


def _fit(formula: str = "Reaction ~ Days + (1 | Subject)", **arguments: Any) -> Any:
    return bm.lmer(formula, sleep(w=np.tile([1.0, 2.0], 90)), **arguments)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bm.anova(), "anova() needs a model"),
        (lambda: bm.anova(_fit(), 3), "anova() compares results of lmer() and lm(), not int"),
        (lambda: bm.anova(_fit(), _fit("log(Reaction) ~ Days + (1 | Subject)")), "different responses"),
        (lambda: bm.anova(_fit(), _fit(subset="Days > 0")), "and 13 more"),
        (
            lambda: bm.anova(_fit(subset="Days < 9"), _fit(subset="Days > 0")),
            "same data=, with the same subset=",
        ),
        (lambda: bm.anova(_fit(), _fit(weights="w")), "have different weights"),
        (lambda: bm.anova(_fit(), _fit(REML=False), refit=False), "leave out refit=False"),
        (lambda: bm.anova(_fit(), _fit(), names=["a"]), "names has 1 entries for 2 models"),
        (lambda: bm.anova(_fit(), _fit(), ddf="x"), "has no argument 'ddf'"),
        (lambda: _fit().pb_modcomp(4), "must be a result of lmer() or lm()"),
        (lambda: _fit().pb_modcomp(_fit("Reaction ~ Days + (Days | Subject)")), "larger.pb_modcomp(smaller)"),
        (lambda: _fit().pb_modcomp(_fit(), nsim=0), "nsim=0 must be a positive whole number"),
    ],
    ids=[
        "none",
        "type",
        "response",
        "subset",
        "rows",
        "weights",
        "reml",
        "names",
        "option",
        "pb-type",
        "pb-order",
        "nsim",
    ],
)
def test_errors_in_words(call: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        call()
    assert words in str(caught.value)


def test_restricted_likelihoods_of_different_coefficients_warn() -> None:
    with pytest.warns(bm.errors.BayesmlmWarning, match="different coefficients"):
        bm.anova(_fit(), _fit("Reaction ~ 1 + (1 | Subject)"), refit=False)
