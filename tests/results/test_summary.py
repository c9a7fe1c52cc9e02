"""The printed summary against brms's own print-out (2.18; its headings replaced by those of HEAD)."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from bayesmlm.results.convergence import mcse_mean, mcse_quantile
from bayesmlm.results.summary import Heading, Summary, prior_lines, r_matrix, summarise_tree

from .helpers import reference, tree

HEADINGS = {
    "Group-Level Effects: ": "Multilevel Hyperparameters:",
    "Population-Level Effects: ": "Regression Coefficients:",
    "Family Specific Parameters: ": "Further Distributional Parameters:",
}
COLUMNS = {
    "mean": "Estimate",
    "sd": "Est.Error",
    "q2.5": "l-95% CI",
    "q97.5": "u-95% CI",
    "rhat": "Rhat",
    "ess_bulk": "Bulk_ESS",
    "ess_tail": "Tail_ESS",
}
WHOLE = re.compile(r"(?<![\d.])\d{4,}(?![\d.])")
GAUSSIAN = (("mu", "identity"), ("sigma", "identity"))
CASES = {
    "brms_seed_hsbsub_crlv_int": Heading("gaussian", GAUSSIAN, (), "d", 686, {"id": 16}, 4, 11000, 1000),
    "brms_sleepstudy_sigma_dist": Heading(
        "gaussian", (("mu", "identity"), ("sigma", "log")), (), "d", 180, {"Subject": 18}, 4, 5000, 1000
    ),
    "brms_cbpp_binomial": Heading("binomial", (("mu", "logit"),), (), "d", 56, {"herd": 15}, 4, 5000, 1000),
    "brms_epilepsy_poisson": Heading(
        "poisson", (("mu", "log"),), (), "d", 236, {"obs": 236, "patient": 59}, 4, 5000, 1000
    ),
}


def from_reference(name: str) -> Summary:
    given = reference(name)
    posterior = {title: given["posterior"][key] for key, title in COLUMNS.items()}
    table = pd.DataFrame(posterior, index=given["posterior"]["variable"])
    fixed = table[table.index.str.startswith("b_")].rename(index=lambda n: n.removeprefix("b_"))
    random = {}
    for group in CASES[name].levels:
        rows = {n: n.split("__", 1) for n in table.index if n.startswith((f"sd_{group}__", f"cor_{group}__"))}
        labels = {n: f"{a.split('_')[0]}({b.replace('__', ',')})" for n, (a, b) in rows.items()}
        random[group] = table.loc[list(rows)].rename(index=labels)
    spec = table[table.index.isin(["sigma"])]
    lines = given["summary_text"]
    start = next(i for i, line in enumerate(lines) if line.startswith("Formula: "))
    end = next(i for i, line in enumerate(lines) if line.startswith("   Data: "))
    formula = (lines[start][9:-1], *(line[9:] for line in lines[start + 1 : end]))
    heading = dataclasses.replace(CASES[name], formula=formula)
    draws = heading.chains * (heading.iterations - heading.warmup)
    return Summary(heading, draws, fixed, random, spec)


@pytest.mark.parametrize("name", CASES)
def test_text_is_that_of_brms(name: str) -> None:
    expected = "\n".join(HEADINGS.get(line, line) for line in reference(name)["summary_text"])
    shown = from_reference(name).to_text(digits=4, width=80)
    assert WHOLE.sub("#", shown) == WHOLE.sub("#", expected)
    # brms computed the table in the reference and the print-out from differently ordered chains: its bulk
    # effective sample sizes differ by a unit or two.
    numbers = (np.array(WHOLE.findall(text), dtype=int) for text in (shown, expected))
    assert np.ptp(np.array(list(numbers)), axis=0).max() <= 2


def test_tables_do_not_wrap_where_there_is_room() -> None:
    lines = from_reference("brms_seed_hsbsub_crlv_int").to_text(digits=4, width=1000).splitlines()
    assert sum(line.endswith("Rhat Bulk_ESS Tail_ESS") for line in lines) == 3


HEADING = Heading("gaussian", (("mu", "identity"), ("sigma", "log")), ("y ~ x", "sigma ~ x"), "d", 5)


def test_sections_and_rows_of_made_up_draws() -> None:
    summary = summarise_tree(tree(), dataclasses.replace(HEADING, levels={"Subject": 3, "day:week": 2}))
    assert list(summary.fixed.index) == ["Intercept", "sigma_Intercept", "Days", "sigma_Days"]
    assert list(summary.random["Subject"].index) == [
        "sd(Intercept)",
        "sd(Days)",
        "sd(sigma_Intercept)",
        "cor(Intercept,Days)",
        "cor(Intercept,sigma_Intercept)",
        "cor(Days,sigma_Intercept)",
    ]
    assert list(summary.spec_pars.index) == ["nu"]
    text = str(summary)
    assert "~day:week (Number of levels: 2) \n" in text
    assert "total post-warmup draws = 200\n" in text
    assert "Draws were sampled" not in summary.to_text(short=True)


def test_columns_follow_the_arguments() -> None:
    summary = summarise_tree(tree(), HEADING, prob=0.9, robust=True, mc_se=True)
    columns = ["Estimate", "MCSE", "Est.Error", "l-90% CI", "u-90% CI", "Rhat", "Bulk_ESS", "Tail_ESS"]
    assert list(summary.fixed.columns) == columns
    draws = tree()["posterior"]["nu"].to_numpy()
    assert summary.spec_pars.loc["nu", "Estimate"] == np.median(draws)
    assert summary.spec_pars.loc["nu", "MCSE"] == mcse_quantile(draws[None], 0.5)[0]
    plain = summarise_tree(tree(), HEADING, mc_se=True)
    assert plain.spec_pars.loc["nu", "MCSE"] == mcse_mean(draws[None])[0]


def test_html_has_every_row_and_is_escaped() -> None:
    summary = summarise_tree(tree(), dataclasses.replace(HEADING, formula=("y ~ I(x < 2)",)))
    page = summary._repr_html_()
    assert "I(x &lt; 2)" in page
    assert all(f"<th>{row}</th>" in page for row in [*summary.fixed.index, *summary.random["Subject"].index])


def test_constants_have_no_rhat() -> None:
    summary = from_reference("brms_cbpp_binomial")
    row = pd.DataFrame([[1.0, 0.0, 1.0, 1.0, np.nan, np.nan, np.nan]], ["disc"], summary.fixed.columns)
    text = dataclasses.replace(summary, spec_pars=row).to_text()
    assert "disc     1.00      0.00     1.00     1.00   NA       NA       NA" in text


def test_priors_as_brms_writes_them() -> None:
    columns = ["prior", "class", "coef", "group", "resp", "dpar", "nlpar", "lb", "ub"]
    rows = [
        ["normal(0, 1)", "b", "", "", "", "", "", "", ""],
        ["normal(0, 2)", "b", "x", "", "", "sigma", "", "", ""],
        ["", "b", "z", "", "", "", "", "", ""],
        ["exponential(1)", "sd", "", "id", "", "", "", "0", ""],
        ["exponential(2)", "sd", "Intercept", "id", "", "", "", "0", ""],
        ["beta(2, 2)", "zi", "", "", "", "", "", "0", "1"],
    ]
    assert prior_lines(pd.DataFrame(rows, columns=columns)) == [
        "b ~ normal(0, 1)",
        "b_sigma_x ~ normal(0, 2)",
        "<lower=0> sd_id ~ exponential(1)",
        "<lower=0> sd_id__Intercept ~ exponential(2)",
        "<lower=0,upper=1> zi ~ beta(2, 2)",
    ]


def test_matrix_wraps_where_r_does() -> None:
    # print(matrix(c("1", "2"), 1, dimnames = list("row", c("first", "second"))), quote = FALSE, right = TRUE)
    columns = {"first": ["1"], "second": ["2"]}
    assert r_matrix(["row"], columns, 16) == ["    first second", "row     1      2"]
    assert r_matrix(["row"], columns, 15) == ["    first", "row     1", "    second", "row      2"]
