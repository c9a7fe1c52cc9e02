"""Models side by side: numbers against the course in R and the fits themselves; text, HTML, LaTeX, DataFrame."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.results import model_table_columns as columns_module
from bayesmlm.results.model_table_columns import RESIDUAL, Column, Estimate, RandomTerm
from bayesmlm.results.model_table_rows import all_terms

pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.errors.BayesmlmWarning")

FORMULA = "mathach ~ meanses + sector*ses_cmc"
COURSE = """
(Intercept)                | 11.728  | 11.728
                           | (0.670) | (0.605)
meanses                    | 6.633   | 6.492
                           | (1.139) | (1.035)
sector                     | 1.890   | 1.901
                           | (0.903) | (0.815)
ses_cmc                    | 2.860   | 2.862
                           | (0.464) | (0.459)
sector × ses_cmc           | -0.885  | -0.888
                           | (0.661) | (0.655)
SD (Intercept id)          | 1.520   | 1.317
SD (ses_cmc id)            | 0.354   | 0.311
Cor (Intercept~ses_cmc id) | 1.000   | 1.000
SD (Observations)          | 5.698   | 5.689
Num.Obs.                   | 686     | 686
R2 Marg.                   | 0.248   | 0.247
R2 Cond.                   | 0.299   | 0.286
AIC                        | 4365.1  | 4369.2
BIC                        | 4405.9  | 4410.0
ICC                        | 0.07    | 0.05
RMSE                       | 5.64    | 5.64
"""
"""What msummary() printed of the REML and the ML fit. Its AIC and BIC of the ML fit came from the REML criterion at the
ML estimates (4365.4, 4406.2); here stand those of lme4's AIC() and BIC()."""


@pytest.fixture(scope="module")
def hsbsub() -> pd.DataFrame:
    return bm.load_dataset("hsbsub")


@pytest.fixture(scope="module")
def bayes(hsbsub) -> bm.BayesFit:
    formula = "mathach ~ meanses + I(ses_cmc^2) + (ses_cmc | id)"
    return bm.brm(formula, hsbsub, chains=2, iter=400, seed=1, progress=False)


@pytest.fixture(scope="module")
def linear(hsbsub):
    return bm.lm(FORMULA, hsbsub)


def cells(table, model: str | int = 0) -> dict[str, list[str]]:
    """By term, what a column shows: the estimate and, if there is one, what stands beneath."""
    found: dict[str, list[str]] = {}
    frame = table.to_dataframe()
    for (_, term, _), text in (
        frame.iloc[:, model].items() if isinstance(model, int) else frame[model].items()
    ):
        found.setdefault(term, []).append(text)
    return found


def test_the_course_table(hsbsub):
    m = bm.lmer(f"{FORMULA} + (ses_cmc | id)", hsbsub)
    gof = ["nobs", "r2.marginal", "r2.conditional", "aic", "bic", "icc", "rmse"]
    table = bm.model_table({"REML": m, "ML": m.refit_ml()}, gof_map=gof)
    course = [[part.strip() for part in line.split("|")] for line in COURSE.strip().splitlines()]
    assert [row.label for row in table.rows] == [label for label, *_ in course]
    for row, (label, *printed) in zip(table.rows, course, strict=True):
        # lme4 stops about 1e-4 away from the optimum in the standard deviations (1.317 for 1.3176)
        slack = 0.0011 if label.startswith("SD") else 0.0
        shown = [float(cell.strip("()")) for cell in row.cells]
        assert shown == pytest.approx([float(cell.strip("()")) for cell in printed], abs=slack, rel=1e-12), (
            label
        )


def test_kenward_roger_intervals(hsbsub):
    m = bm.lmer(f"{FORMULA} + (ses_cmc | id)", hsbsub)
    template = "{estimate} [{conf.low}, {conf.high}]"
    table = bm.model_table({"REML-KR": m}, estimate=template, statistic=None, ddf="kenward-roger")
    assert cells(table)["(Intercept)"] == ["11.728 [10.282, 13.174]"]
    assert cells(table)["sector:ses_cmc"] == ["-0.885 [-2.368, 0.598]"]
    assert cells(table)["SD (Intercept id)"] == ["1.520"]


def test_a_linear_model(linear):
    found = cells(bm.model_table({"OLS": linear}, gof_map="all"))
    b, se = linear.coef_table().loc["meanses", ["Estimate", "Std. Error"]]
    assert found["meanses"] == [f"{b:.3f}", f"({se:.3f})"]
    assert found["SD (Observations)"] == [f"{linear.sigma:.3f}"]
    expected = {"Num.Obs.": "686", "R2": f"{linear.r_squared:.3f}", "R2 Adj.": f"{linear.adj_r_squared:.3f}"}
    expected |= {
        "AIC": f"{linear.AIC():.1f}",
        "BIC": f"{linear.BIC():.1f}",
        "Log.Lik.": f"{linear.logLik():.1f}",
    }
    expected |= {"RMSE": f"{np.sqrt(np.mean(linear.residuals() ** 2)):.2f}"}
    assert {name: found[name][0] for name in expected} == expected


def test_regressions_by_group_show_their_means(hsbsub):
    fits = bm.lmList("mathach ~ ses_cmc | id", hsbsub)
    table = bm.model_table({"by id": fits}, statistic="{std.error}")
    slopes = fits.coef()["ses_cmc"]
    assert cells(table)["ses_cmc"] == [f"{slopes.mean():.3f}", f"{slopes.std() / math.sqrt(len(slopes)):.3f}"]
    assert cells(table)["Num.Groups id"] == ["16"]
    assert "by id: coefficients are means over the 16 groups" in str(table)


def test_a_bayesian_fit_has_the_names_of_the_others(bayes):
    table = bm.model_table({"Bayes": bayes}, statistic="interval")
    found = cells(table)
    assert list(found)[:6] == ["(Intercept)", "meanses", "I(ses_cmc^2)", *list(found)[3:6]]
    assert list(found)[3:6] == ["SD (Intercept id)", "SD (ses_cmc id)", "Cor (Intercept~ses_cmc id)"]
    summary = bayes.posterior_summary(
        ["b_Ises_cmcE2", "sd_id__ses_cmc", "cor_id__Intercept__ses_cmc", "sigma"]
    )
    shown = ["I(ses_cmc^2)", "SD (ses_cmc id)", "Cor (Intercept~ses_cmc id)", "SD (Observations)"]
    for term, (_, row) in zip(shown, summary.iterrows(), strict=True):
        assert found[term] == [f"{row['Estimate']:.3f}", f"[{row['Q2.5']:.3f}, {row['Q97.5']:.3f}]"]
    loo = bayes.loo().estimates
    assert found["ELPD"] == [f"{loo.loc['elpd_loo', 'Estimate']:.1f}"]
    assert found["LOOIC s.e."] == [f"{loo.loc['looic', 'SE']:.1f}"]
    assert found["R2 Cond."] == [f"{bayes.bayes_R2().loc['R2', 'Estimate']:.3f}"]
    assert found["R2 Marg."] == [f"{bayes.bayes_R2(re_formula='NA').loc['R2', 'Estimate']:.3f}"]


def test_the_icc_of_a_bayesian_fit(bayes, hsbsub):
    draws = bayes.as_draws_df()
    x = hsbsub["ses_cmc"]
    sd0, sd1 = draws["sd_id__Intercept"], draws["sd_id__ses_cmc"]
    covariance = draws["cor_id__Intercept__ses_cmc"] * sd0 * sd1
    among = sd0**2 + 2 * covariance * x.mean() + sd1**2 * (x**2).mean()  # mean over rows of z'Sz
    expected = (among / (among + draws["sigma"] ** 2)).mean()
    numbers = bm.model_table(bayes, criteria=False).to_dataframe(formatted=False)
    assert numbers.loc[("gof", "ICC", ""), "(1)"] == pytest.approx(expected)


def test_costly_criteria_are_left_out_or_asked_for(bayes, monkeypatch):
    monkeypatch.setattr(columns_module, "MOST_VALUES", 0)
    bayes._cache.clear()
    table = bm.model_table({"Bayes": bayes})
    assert not {"ELPD", "RMSE", "R2 Cond."} & set(cells(table))
    assert "Bayes: R2, RMSE and LOO of this many rows take long" in str(table)
    assert {"ELPD", "RMSE"} <= set(cells(bm.model_table(bayes, criteria=True)))
    assert "ELPD" in cells(bm.model_table(bayes))  # known by now
    assert "ELPD" not in cells(bm.model_table(bayes, criteria=False))
    assert list(cells(bm.model_table(bayes, gof_map=["rmse"], coef_map=["meanses"]))) == ["meanses", "RMSE"]


def test_rows_are_chosen_ordered_and_renamed(linear, hsbsub):
    small = bm.lm("mathach ~ ses_cmc", hsbsub)
    names = {"sector:ses_cmc": "a:b", "ses_cmc": "SES"}
    table = bm.model_table([linear, small], coef_map=names, gof_map={"aic": "Akaike"}, random=False)
    assert [row.label for row in table.rows] == ["a:b", "", "SES", "", "Akaike"]
    assert table.names == ("(1)", "(2)")
    assert cells(table, "(2)")["a:b"] == ["", ""]
    assert "Num.Obs." not in cells(bm.model_table(small, gof_map="none"))


@pytest.mark.parametrize(
    ("statistic", "pattern"),
    [
        ("se", "({std.error})"),
        ("t", "({statistic})"),
        ("p", "({p.value})"),
        ("conf.int", "[{conf.low}, {conf.high}]"),
    ],
)
def test_what_stands_beneath(linear, statistic, pattern):
    row = linear.coef_table().loc["meanses"].tolist() + linear.confint("meanses").loc["meanses"].tolist()
    values = dict(
        zip(("estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high"), row, strict=True)
    )
    expected = re.sub(r"\{([\w.]+)\}", lambda m: f"{values[m.group(1)]:.2f}", pattern).replace(
        "(0.00)", "(<0.01)"
    )
    assert cells(bm.model_table(linear, statistic=statistic, digits=2))["meanses"][1] == expected


def test_stars(linear):
    table = bm.model_table(linear, stars=True)
    p = linear.coef_table()["Pr(>|t|)"]
    assert p["meanses"] < 0.001 < p["sector:ses_cmc"]
    assert cells(table)["meanses"][0].endswith("***")
    assert not cells(table)["sector:ses_cmc"][0].endswith("*")
    assert "+ p < 0.1, * p < 0.05, ** p < 0.01, *** p < 0.001" in str(table)
    own = bm.model_table(linear, stars={"!": 0.05}, estimate="{stars} {estimate}", statistic=None)
    assert cells(own)["meanses"] == [f"! {linear.coef()['meanses']:.3f}"]


def test_text_lines_up(linear, bayes):
    lines = str(bm.model_table({"OLS": linear, "Bayes": bayes}, title="Two models")).splitlines()
    assert lines[0] == "Two models"
    assert lines[-1] == "Standard errors in parentheses (Bayesian fits: posterior standard deviations)"
    rules = [line for line in lines if set(line) == {"-"}]
    assert len(rules) == 3
    body = [line for line in lines[3 : lines.index(rules[-1], 4)] if set(line) != {"-"}]
    assert max(map(len, body)) == len(rules[0])


NASTY = '<b>&"x_1"</b> $5 #%{}~^\\'


@pytest.fixture(scope="module")
def nasty():
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 6.0, 1.0], "f": ["!", NASTY] * 3})
    return bm.model_table({NASTY: bm.lm("y ~ f", data)}, title=NASTY, estimate="{estimate} <{conf.low}>")


def test_html_is_well_formed_and_escaped(nasty, tmp_path):
    tree = ET.fromstring(nasty.to_html(tmp_path / "table.html"))
    labels = [cell.text for cell in tree.iter("th") if cell.text]
    assert tree.find("caption").text == NASTY
    assert NASTY in labels
    assert f"f{NASTY}" in labels
    assert {len(row) for row in tree.find("tbody")} == {2}
    assert (tmp_path / "table.html").read_text() == nasty.to_html() + "\n"
    assert nasty._repr_html_() == nasty.to_html()


def test_latex_is_escaped(nasty, linear):
    text = nasty.to_latex()
    bare = re.sub(r"\\(begin|end)\{\w+\}|\{lr\}|\\(centering|toprule|midrule|bottomrule|caption)", "", text)
    bare = re.sub(r"\$-\$|\\text\w+\{\}|\\multicolumn\{2\}\{l\}\{\\footnotesize|\\[&%$#_{}]|\\\\", "", bare)
    assert not set(bare.replace(" & ", "")) & set("#$%^_~\\&")
    rows = [
        line for line in bm.model_table({"a": linear, "b": linear}).to_latex().splitlines() if " & " in line
    ]
    assert all(line.count(" & ") == 2 and line.endswith(r"\\") for line in rows)
    assert r"sector $\times$ ses\_cmc & $-$0.941 & $-$0.941 \\" in rows


def test_numbers_behind_the_table(linear):
    numbers = bm.model_table({"OLS": linear}).to_dataframe(formatted=False)
    assert (
        numbers.loc[("estimates", "meanses", "p.value"), "OLS"]
        == linear.coef_table().loc["meanses", "Pr(>|t|)"]
    )
    assert numbers.loc[("gof", "AIC", ""), "OLS"] == linear.AIC()


def test_terms_of_later_models_follow_what_they_follow_there():
    first = Column(
        {"a": Estimate(1), "b": Estimate(2)},
        {RandomTerm("x:y", "Intercept"): Estimate(3), RESIDUAL: Estimate(4)},
        {},
    )
    other = Column(
        {"a": Estimate(1), "new": Estimate(2), "b": Estimate(3)},
        {RandomTerm("y:x", "Intercept"): Estimate(5), RandomTerm("z", "Intercept"): Estimate(6)},
        {},
        {"nu": Estimate(7)},
    )
    terms = all_terms([first, other], random=True)
    wanted = ["a", "new", "b", "SD (Intercept x:y)", "SD (Intercept z)", "SD (Observations)", "nu"]
    assert list(terms) == wanted
    assert [e.estimate for e in terms["SD (Intercept x:y)"] if e] == [3, 5]


BAD = {
    "no fit": (["text"], {}, "not str"),
    "nothing": ({}, {}, "at least one model"),
    "statistic": (None, {"statistic": "sd"}, "statistic='sd' is not known"),
    "template": (None, {"estimate": "{beta}"}, "estimate='{beta}' is not known"),
    "term": (None, {"coef_map": ["ses"]}, "`ses`, which no model has"),
    "criterion": (None, {"gof_map": ["dic"]}, "`dic`; known are Num.Obs."),
    "level": (None, {"level": 95}, "level=95"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(linear, name):
    models, arguments, words = BAD[name]
    with pytest.raises(bm.BayesmlmError, match=re.escape(words)):
        bm.model_table(linear if models is None else models, **arguments)
