"""Tidy tables: their columns, and their numbers against numpy on the draws themselves."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.errors import BayesmlmError
from bayesmlm.results import layout, tables

from .helpers import SLEEP, tree

ESTIMATES = ["Estimate", "Est.Error", "Q2.5", "Q97.5"]


def check(row: object, draws: np.ndarray) -> None:
    low, high = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose(row, [draws.mean(), draws.std(ddof=1), low, high], rtol=1e-12)


def test_posterior_summary_is_indexed_by_flat_names() -> None:
    fitted = tree()
    table = tables.posterior_summary(fitted)
    assert list(table.index) == list(layout.flat_names(fitted))
    assert list(table.columns) == [*ESTIMATES, "Rhat", "Bulk_ESS", "Tail_ESS"]
    check(table.loc["nu", ESTIMATES], fitted["posterior"]["nu"].to_numpy())


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        ({"prob": 0.9}, ["Q5", "Q95"]),
        ({"prob": 0.99}, ["Q0.5", "Q99.5"]),
        ({"probs": (0.25, 0.5, 0.75)}, ["Q25", "Q50", "Q75"]),
    ],
)
def test_quantile_columns_are_named_as_in_r(arguments: dict, columns: list[str]) -> None:
    assert list(tables.posterior_summary(tree(), "nu", **arguments).columns)[2:-3] == columns


@pytest.mark.parametrize("arguments", [{"prob": 95}, {"prob": 0}, {"probs": (2.5, 97.5)}])
def test_widths_that_are_no_probabilities_are_refused(arguments: dict) -> None:
    with pytest.raises(BayesmlmError, match="between 0 and 1"):
        tables.posterior_summary(tree(), "nu", **arguments)


def test_fixef() -> None:
    fitted = tree()
    table = tables.fixef(fitted)
    assert list(table.index) == ["Intercept", "sigma_Intercept", "Days", "sigma_Days"]
    summary = tables.posterior_summary(fitted).loc["b_sigma_Days"]
    np.testing.assert_array_equal(table.loc["sigma_Days"], summary)
    assert tables.fixef(fitted, summary=False).dims == ("chain", "draw", "coef")
    with pytest.raises(BayesmlmError, match="`Dyas` is not a population-level effect"):
        tables.fixef(fitted, pars=["Dyas"])


def test_ranef_has_a_row_for_each_group_level_and_coefficient() -> None:
    fitted = tree()
    table = tables.ranef(fitted)
    assert list(table.columns) == ["group", "level", "coef", *ESTIMATES]
    assert len(table) == 3 * 3 + 2
    row = table.query("group == 'Subject' and level == '309' and coef == 'sigma_Intercept'")
    check(row[ESTIMATES].iloc[0], fitted["posterior"]["r_Subject__sigma"].to_numpy()[:, :, 1, 0])
    assert tables.ranef(fitted, groups="day:week")["group"].unique().tolist() == ["day:week"]
    draws = tables.ranef(fitted, summary=False)
    assert draws["Subject"].shape == (4, 50, 3, 3)


def test_coef_adds_population_effects_and_repeats_the_others() -> None:
    fitted = tree()
    posterior = fitted["posterior"].dataset
    table = tables.coef(fitted)
    order = list(dict.fromkeys(table.query("group == 'Subject'")["coef"]))
    assert order == ["Intercept", "Days", "sigma_Intercept", "sigma_Days"]
    for position, level in enumerate(SLEEP):
        row = table[(table["group"] == "Subject") & (table["coef"] == "Days") & (table["level"] == level)]
        draws = posterior["b"].to_numpy()[:, :, 0] + posterior["r_Subject"].to_numpy()[:, :, position, 1]
        check(row[ESTIMATES].iloc[0], draws)
    repeated = table.query("group == 'day:week' and coef == 'sigma_Days'")[ESTIMATES].to_numpy()
    assert len(repeated) == 2
    check(repeated[0], posterior["b_sigma"].to_numpy())
    np.testing.assert_array_equal(repeated[0], repeated[1])


def test_varcorr() -> None:
    fitted = tree(which=[*_seed_like(), layout.quantity("sigma")])
    posterior = fitted["posterior"].dataset
    sds, cor = posterior["sd_id"].to_numpy(), posterior["cor_id"].to_numpy()[:, :, 0]
    table = tables.VarCorr(fitted)
    assert list(table.columns) == ["group", "kind", "coef1", "coef2", *ESTIMATES]
    expected = {
        ("id", "sd", "Intercept", ""): sds[:, :, 0],
        ("id", "sd", "x__y", ""): sds[:, :, 1],
        ("id", "cor", "Intercept", "x__y"): cor,
        ("id", "cov", "Intercept", "Intercept"): sds[:, :, 0] ** 2,
        ("id", "cov", "x__y", "x__y"): sds[:, :, 1] ** 2,
        ("id", "cov", "Intercept", "x__y"): cor * sds[:, :, 0] * sds[:, :, 1],
        ("residual__", "sd", "", ""): posterior["sigma"].to_numpy(),
    }
    assert list(map(tuple, table[["group", "kind", "coef1", "coef2"]].to_numpy())) == list(expected)
    for row, draws in zip(table[ESTIMATES].to_numpy(), expected.values(), strict=True):
        check(row, draws)
    matrices = tables.VarCorr(fitted, summary=False)
    np.testing.assert_allclose(
        matrices["cov_id"].to_numpy(),
        np.einsum("cdi,cdij,cdj->cdij", sds, matrices["cor_id"].to_numpy(), sds),
    )
    np.testing.assert_array_equal(matrices["cor_id"].to_numpy()[..., 1, 0], cor)


def _seed_like() -> list[layout.Variable]:
    names = ("Intercept", "x__y")  # a name that holds the separator of pair labels
    return [layout.group_sds("id", names), layout.correlations("id", layout.coefficient_pairs(names))]


@pytest.mark.parametrize("function", [tables.ranef, tables.coef])
def test_models_without_group_effects_are_told_so(function: object) -> None:
    with pytest.raises(BayesmlmError, match="no group effects"):
        function(tree(which=[layout.intercept()]))


def test_robust_columns_of_predictions() -> None:
    draws = np.random.default_rng(0).normal(size=(1001, 2))
    table = tables.summarise_columns(draws, robust=True, prob=0.5)
    middle = np.median(draws, axis=0)
    np.testing.assert_allclose(table["Estimate"], middle)
    np.testing.assert_allclose(table["Est.Error"], 1.4826 * np.median(abs(draws - middle), axis=0))
    np.testing.assert_allclose(table["Q25"], np.sort(draws, axis=0)[250])
