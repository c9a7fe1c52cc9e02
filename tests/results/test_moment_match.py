"""Moment matching against exact leave-one-out densities, and the way back to unconstrained draws."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmlm as bm
from bayesmlm.results import criteria, psis
from bayesmlm.results.unconstrain import Evaluator, unconstrained_draws

from ..support import with_slow

OUTLIER, LEVERAGE = 4, 7


@pytest.fixture(scope="module")
def line_with_outliers() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=30)
    y = 1 + 2 * x + rng.normal(size=30)
    y[OUTLIER] += 9
    x[LEVERAGE], y[LEVERAGE] = 5, 4
    return pd.DataFrame({"x": x, "y": y})


@pytest.fixture(scope="module")
def line_fit(line_with_outliers: pd.DataFrame) -> bm.BayesFit:
    flat = [bm.set_prior("", class_="Intercept"), bm.set_prior("", class_="sigma")]
    return bm.brm("y ~ x", data=line_with_outliers, prior=flat, seed=1, progress=False)


def exact_elpd(data: pd.DataFrame) -> np.ndarray:
    """Under priors flat in the coefficients and sigma, y_i given the others is Student t with n - 1 - p - 1
    degrees of freedom (one less than under the usual prior 1 / sigma)."""
    X, y = np.column_stack([np.ones(len(data)), data["x"]]), data["y"].to_numpy()
    out = []
    for i in range(len(y)):
        others = np.arange(len(y)) != i
        b, rss, _, _ = np.linalg.lstsq(X[others], y[others])
        freedom = len(y) - 1 - 2 - 1
        spread = 1 + X[i] @ np.linalg.solve(X[others].T @ X[others], X[i])
        out.append(stats.t.logpdf(y[i], freedom, X[i] @ b, np.sqrt(rss[0] / freedom * spread)))
    return np.array(out)


def test_moment_matching_moves_outliers_to_the_exact_leave_one_out_density(
    line_fit: bm.BayesFit, line_with_outliers: pd.DataFrame
) -> None:
    with pytest.warns(bm.errors.BayesmlmWarning, match=r"2 observations .* fit.loo\(moment_match=True\)"):
        plain = line_fit.loo()
    with warnings.catch_warnings():
        warnings.simplefilter("error", bm.errors.BayesmlmWarning)
        matched = line_fit.loo(moment_match=True)
    exact = exact_elpd(line_with_outliers)
    assert plain.pareto_k_ids(0.7).tolist() == [OUTLIER, LEVERAGE]
    assert len(matched.pareto_k_ids(0.7)) == 0
    error = abs(matched.pointwise["elpd_loo"] - exact)
    assert (error < 5 * matched.pointwise["mcse_elpd_loo"]).all()
    assert np.isfinite(matched.mcse)
    # Importance sampling alone misses them by 0.10 and 0.21.
    worst = [OUTLIER, LEVERAGE]
    assert (error[worst] < 0.5 * abs(plain.pointwise["elpd_loo"] - exact)[worst]).all()
    others = ~np.isin(np.arange(30), worst)
    pd.testing.assert_frame_equal(plain.pointwise[others], matched.pointwise[others])
    estimates = matched.estimates["Estimate"]
    assert estimates["elpd_loo"] == pytest.approx(matched.pointwise["elpd_loo"].sum())
    assert estimates["looic"] == pytest.approx(-2 * estimates["elpd_loo"])
    assert (matched.effective[worst] > 200).all()


def test_a_higher_threshold_leaves_rows_alone(line_fit: bm.BayesFit) -> None:
    with pytest.warns(bm.errors.BayesmlmWarning, match="1 observation has"):
        found = line_fit.loo(moment_match=True, k_threshold=1.0)
    assert found.pareto_k_ids().tolist() == [LEVERAGE]


def test_moment_matching_needs_the_model() -> None:
    values = np.random.default_rng(1).normal(size=(4, 100, 3))
    for source in (values, psis.LogLikelihood.of_array(values)):
        with pytest.raises(bm.BayesmlmError, match="needs the fitted model"):
            criteria.loo(source, moment_match=True)


def sleepstudy() -> pd.DataFrame:
    data = bm.load_dataset("sleepstudy")
    half = np.where(data["Subject"].astype(str) < "340", "a", "b")
    return data.assign(half=half, w=np.linspace(0.5, 2, len(data)))


MODELS = {
    "by and weights": ("Reaction | weights(w) ~ Days + (Days | gr(Subject, by = half))", None),
    "shared id": (bm.bf("Reaction ~ Days + (Days | p | Subject)", "sigma ~ (1 | p | Subject)"), None),
    "constants and bounds": (
        "Reaction ~ Days + (Days || Subject)",
        [bm.set_prior("constant(10)", class_="b"), bm.set_prior("normal(0, 50)", class_="sd", ub=100)],
    ),
}


@pytest.mark.filterwarnings("ignore::bayesmlm.errors.ConvergenceWarning")
@pytest.mark.parametrize("name", with_slow(MODELS, "by and weights", "shared id"))
def test_unconstrained_draws_have_the_log_density_the_sampler_saw(name: str) -> None:
    formula, prior = MODELS[name]
    # `lp` of a fit whose effects were integrated out is that of the other parameters.
    fit = bm.brm(
        formula, data=sleepstudy(), prior=prior, seed=1, chains=1, iter=60, progress=False, marginalize=False
    )
    q, model = unconstrained_draws(fit), Evaluator(fit)
    np.testing.assert_allclose(
        model.log_posterior(q), fit.idata["sample_stats"]["lp"].values.ravel(), rtol=1e-9
    )
    np.testing.assert_allclose(model.log_likelihood(q, 17), fit.log_lik()[:, 17], rtol=1e-9)


@pytest.mark.filterwarnings("ignore::bayesmlm.errors.BayesmlmWarning")
def test_blocks_of_rows_of_a_fit_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # scale = TRUE divides the weights by their mean over all rows, which a block of rows does not know.
    formula = "Reaction | weights(w, scale = TRUE) ~ poly(Days, 2) + (1 | Subject)"
    fit = bm.brm(formula, data=sleepstudy(), seed=1, chains=1, iter=60, progress=False)
    whole = criteria.waic(fit)
    monkeypatch.setattr(psis, "BLOCK_VALUES", 70 * 30)
    np.testing.assert_allclose(criteria.waic(fit).pointwise, whole.pointwise, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::bayesmlm.errors.ConvergenceWarning")
def test_without_group_effects_there_is_no_way_back() -> None:
    fit = bm.brm(
        "Reaction ~ Days + (1 | Subject)",
        data=sleepstudy(),
        seed=1,
        chains=1,
        iter=60,
        progress=False,
        save_pars={"group": False},
    )
    with pytest.raises(bm.BayesmlmError, match="`Subject` were not kept"):
        unconstrained_draws(fit)
