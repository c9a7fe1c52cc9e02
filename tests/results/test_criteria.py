"""WAIC, LOO, their comparison and R2: against R's loo 2.5 (reference/make_convergence.R) and closed forms."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bayesmlm.errors import BayesmlmError, BayesmlmWarning
from bayesmlm.families.registry import FAMILIES
from bayesmlm.results import criteria, psis
from bayesmlm.results.r_squared import bootstrap_R2, loo_expectation

from .helpers import reference

LOO_COLUMNS = ["elpd_loo", "mcse_elpd_loo", "p_loo", "looic", "influence_pareto_k"]


def log_lik() -> np.ndarray:
    given = reference("convergence")
    mu, y = np.array(given["mu"]), np.array(given["y"])
    return -0.5 * (y - mu[:, :, None]) ** 2 - 0.5 * np.log(2 * np.pi)


def well_behaved(rows: int = 40, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(-1, 0.1, size=(4, 250, rows))


def test_waic_same_as_loo_package() -> None:
    with pytest.warns(BayesmlmWarning, match=r"1 \(12.5%\) p_waic estimates greater than 0.4"):
        found = criteria.waic(log_lik())
    given = reference("convergence")
    np.testing.assert_allclose(found.pointwise, given["waic_pointwise"], rtol=1e-9)
    np.testing.assert_allclose(found.estimates, given["waic_estimates"], rtol=1e-9)


def test_loo_same_as_loo_package() -> None:
    # ArviZ rounds the length of the tail down and loo rounds it up: one draw more or less in the Pareto fit
    # moves k in the second digit.
    with pytest.warns(BayesmlmWarning, match="Pareto k above"):
        found = criteria.loo(log_lik())
    given = np.array(reference("convergence")["loo_pointwise"])
    assert list(found.pointwise.columns) == LOO_COLUMNS
    np.testing.assert_allclose(found.efficiency, reference("convergence")["r_eff"], rtol=1e-9)
    np.testing.assert_allclose(found.pointwise["elpd_loo"], given[:, 0], atol=0.01)
    np.testing.assert_allclose(found.pointwise["mcse_elpd_loo"], given[:, 1], rtol=0.03)
    np.testing.assert_allclose(found.pointwise["influence_pareto_k"], given[:, 4], atol=0.03)
    np.testing.assert_allclose(found.estimates, reference("convergence")["loo_estimates"], atol=0.02)


def test_loo_of_a_conjugate_model_is_the_exact_leave_one_out_density() -> None:
    # y ~ N(mu, 1), flat prior: mu | y ~ N(mean, 1/n); without y_i it is as N(mean_{-i}, n/(n - 1)).
    rng = np.random.default_rng(8)
    y = rng.normal(size=30)
    mu = rng.normal(y.mean(), 1 / np.sqrt(30), size=(4, 5000, 1))
    found = criteria.loo(-0.5 * (y - mu) ** 2 - 0.5 * np.log(2 * np.pi))
    others, variance = (y.sum() - y) / 29, 1 + 1 / 29
    exact = -0.5 * (y - others) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    # 20 000 independent draws: each elpd_i is within five of its own Monte Carlo standard errors.
    assert (abs(found.pointwise["elpd_loo"] - exact) < 5 * found.pointwise["mcse_elpd_loo"]).all()
    assert found.estimates.loc["p_loo", "Estimate"] == pytest.approx(1, abs=0.3)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = criteria.loo(well_behaved()), criteria.waic(well_behaved())
    monkeypatch.setattr(psis, "BLOCK_VALUES", 3 * 1000)
    for before, after in zip(
        whole, (criteria.loo(well_behaved()), criteria.waic(well_behaved())), strict=True
    ):
        np.testing.assert_array_equal(before.pointwise, after.pointwise)


def test_print_of_loo() -> None:
    text = str(criteria.loo(well_behaved()))
    lines = text.splitlines()
    assert lines[:4] == ["", "Computed from 1000 by 40 log-likelihood matrix.", "", "         Estimate  SE"]
    assert [line.split()[0] for line in lines[4:7]] == ["elpd_loo", "p_loo", "looic"]
    assert "MCSE of elpd_loo is 0.0." in text
    assert lines[-1] == "All Pareto k estimates are good (k < 0.67)."


def test_print_of_waic() -> None:
    lines = str(criteria.waic(well_behaved())).splitlines()
    assert [line.split()[0] for line in lines[4:7]] == ["elpd_waic", "p_waic", "waic"]
    assert len(lines) == 7


def test_large_pareto_k_warns_and_prints_its_table() -> None:
    values = well_behaved()
    # The ratios 1 / likelihood of this row have a Pareto tail of index 1: its k is 1, known in closed form.
    values[:, :, 3] = -np.random.default_rng(2).exponential(size=(4, 250))
    with pytest.warns(BayesmlmWarning, match="1 observation has a Pareto k above 0.67"):
        found = criteria.loo(values)
    assert found.pareto_k_ids().tolist() == [3]
    assert found.pareto_k[3] == pytest.approx(1, abs=0.3)  # the sd of k is about sqrt(2 / tail) = 0.15
    assert np.isnan(found.mcse)
    assert found.pareto_k_table()["Count"].sum() == 40
    text = str(found)
    assert "MCSE of elpd_loo is NA." in text
    # As loo 2.8 aligns it.
    assert "                         Count Pct.    Min. ESS\n(-Inf, 0.67]   (good)      39   97.5%" in text
    assert "\n   (0.67, 1]   (bad)        1    2.5%   <NA>\n" in text


def test_a_likelihood_that_does_not_vary_has_equal_weights() -> None:
    values = well_behaved()
    values[:, :, 0] = -2.5
    found = criteria.loo(values)
    assert found.pointwise.loc[0, "elpd_loo"] == pytest.approx(-2.5, abs=1e-12)
    assert found.pareto_k[0] == -np.inf


def test_compare_orders_models_and_computes_paired_errors() -> None:
    better, worse = criteria.waic(well_behaved()), criteria.waic(well_behaved(seed=2) - 0.5)
    found = criteria.loo_compare(worse, better, model_names=["worse", "better"])
    difference = (worse.pointwise["elpd_waic"] - better.pointwise["elpd_waic"]).to_numpy()
    assert list(found.table.index) == ["better", "worse"]
    assert found.table.loc["better", ["elpd_diff", "se_diff"]].tolist() == [0, 0]
    expected = [difference.sum(), np.sqrt(40) * difference.std(ddof=1)]
    np.testing.assert_allclose(found.table.loc["worse", ["elpd_diff", "se_diff"]], expected)
    assert str(found).splitlines()[0].split() == ["elpd_diff", "se_diff"]
    assert str(found).splitlines()[1].split() == ["better", "0.0", "0.0"]


def named(values: np.ndarray, response: list[float]) -> criteria.Criterion:
    source = psis.LogLikelihood.of_array(values)
    return criteria.waic(psis.LogLikelihood(4, 250, source.rows, source.block, np.array(response)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: (criteria.waic(well_behaved()), criteria.waic(well_behaved(39))),
            "40 observations and .* 39",
        ),
        (lambda: (criteria.waic(well_behaved()), criteria.loo(well_behaved())), "like with like"),
        (lambda: (named(well_behaved(2), [1, 2]), named(well_behaved(2), [1, 3])), "different responses"),
        (lambda: (criteria.waic(well_behaved()),), "at least two"),
    ],
)
def test_what_cannot_be_compared_is_refused(make: object, message: str) -> None:
    with pytest.raises(BayesmlmError, match=message):
        criteria.loo_compare(*make())


def test_bayes_r2_of_each_draw() -> None:
    rng = np.random.default_rng(6)
    y, epred = rng.normal(size=20), rng.normal(size=(50, 20))
    expected = [np.var(mu) / (np.var(mu) + np.var(y - mu)) for mu in epred]
    np.testing.assert_allclose(criteria.bayes_R2(y, epred, summary=False), expected)
    table = criteria.bayes_R2(y, epred)
    assert list(table.columns) == ["Estimate", "Est.Error", "Q2.5", "Q97.5"]
    assert table.loc["R2", "Estimate"] == pytest.approx(np.mean(expected))


def test_loo_of_draws_from_an_approximation_is_corrected_by_their_ratios() -> None:
    """The conjugate model again, with draws from a normal twice too wide and off its place."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=30)
    centre, sd = y.mean() + 0.5 / np.sqrt(30), 2 / np.sqrt(30)
    mu = rng.normal(centre, sd, size=20_000)
    values = -0.5 * (y - mu[None, :, None]) ** 2 - 0.5 * np.log(2 * np.pi)
    ratios = -0.5 * 30 * (mu - y.mean()) ** 2 + 0.5 * ((mu - centre) / sd) ** 2
    given = psis.LogLikelihood.of_array(values)
    found = criteria.loo(replace(given, log_ratios=ratios))
    others, variance = (y.sum() - y) / 29, 1 + 1 / 29
    exact = -0.5 * (y - others) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    assert (abs(found.pointwise["elpd_loo"] - exact) < 5 * found.pointwise["mcse_elpd_loo"]).all()
    # In sample, the draws stand for the posterior too: p_loo is the in-sample density less the one left out.
    inside = 1 + 1 / 30
    in_sample = -0.5 * (y - y.mean()) ** 2 / inside - 0.5 * np.log(2 * np.pi * inside)
    np.testing.assert_allclose(found.pointwise["p_loo"], in_sample - exact, atol=0.01)
    assert abs(criteria.loo(given).estimates.loc["elpd_loo", "Estimate"] - exact.sum()) > 1


def test_bootstrap_of_r2_is_centred_on_the_plain_ratio() -> None:
    rng = np.random.default_rng(7)
    predicted = rng.normal(size=2000)
    y = predicted + rng.normal(size=2000)
    draws = bootstrap_R2(y, predicted, 1000, rng)
    # sd of R2 for n = 2000 is about 2 R2 (1 - R2) / sqrt(n) ~ 0.013, and its mean's error sd / sqrt(1000).
    assert draws.mean() == pytest.approx(1 - np.var(y - predicted) / np.var(y), abs=0.003)
    assert draws.std() == pytest.approx(0.5 / np.sqrt(2000) * np.sqrt(2), rel=0.3)


def test_loo_expectation_of_a_conjugate_model_and_loo_r2_of_a_fit() -> None:
    rng = np.random.default_rng(9)
    y = rng.normal(size=25)
    mu = rng.normal(y.mean(), 0.2, size=(4, 5000, 1))
    values = -0.5 * (y - mu) ** 2
    epred = np.repeat(mu.reshape(-1, 1), 25, axis=1)
    expected = loo_expectation(psis.LogLikelihood.of_array(values), epred)
    # Without y_i the posterior mean is the mean of the others; sd about 0.2, in 20 000 draws.
    np.testing.assert_allclose(expected, (y.sum() - y) / 24, atol=0.01)
    fit = SimpleNamespace(
        nchains=4,
        ndraws=20_000,
        nobs=25,
        approximation=None,
        family=FAMILIES["gaussian"],
        design=SimpleNamespace(response=SimpleNamespace(values=y, observed=np.ones(25, dtype=bool))),
        log_lik=lambda newdata: values.reshape(-1, 25),
        posterior_epred=lambda: epred,
    )
    # The mean of the others predicts worse than the mean of all: R2 is 1 - (n / (n - 1))^2 = -0.085.
    assert criteria.loo_R2(fit).loc["R2", "Estimate"] == pytest.approx(1 - (25 / 24) ** 2, abs=0.01)
