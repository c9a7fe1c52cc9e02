"""Residuals, simulation residuals and leverage of generalised models, and tests for overdispersion."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.frequentist.generalised_residuals import _deviance
from bayesmlm.frequentist.simulation_residuals import SimulationResiduals
from bayesmlm.plots.simulation_residuals import running_quartiles

from ..support import reference
from .generalised_fits import fitted, head
from .test_generalised_prediction import dense_covariance, dense_rows

KNOWN = reference("generalised_prediction")
TOLERANCE = 1e-4  # see test_generalised_prediction


# -- residuals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cbpp", "grouseticks", "sleepstudy"])
def test_residuals_are_lme4s(name: str) -> None:
    m, known = fitted(name), KNOWN[name]
    for type_, values in known["residuals"].items():
        np.testing.assert_allclose(head(m.residuals(type_)), values, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(head(m.resid(scaled=True)), known["scaled"], rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(m.rmse(), known["rmse"], rtol=TOLERANCE)


@pytest.mark.parametrize("name", ["zip", "hurdle"])
def test_other_families_have_pearson_residuals(name: str) -> None:
    m = fitted(name)
    y, mu, zero = m.design.y, np.exp(m.predict()), m.predict(type="zprob")
    counts = np.arange(400)[:, None]
    pmf = st.poisson(mu).pmf(counts)
    if name == "hurdle":
        pmf[0] = 0.0
        pmf /= pmf.sum(axis=0)
    pmf *= 1.0 - zero
    pmf[0] += zero
    mean = (pmf * counts).sum(axis=0)
    sd = np.sqrt((pmf * counts**2).sum(axis=0) - mean**2)
    np.testing.assert_allclose(m.residuals("pearson"), (y - mean) / sd, rtol=1e-6)
    if name == "zip":  # glmmTMB 1.1.5 takes the variance of a hurdle model for that of the plain family
        np.testing.assert_allclose(head(m.residuals("pearson")), KNOWN[name]["pearson"], rtol=1e-3)
    np.testing.assert_array_equal(m.residuals(), m.residuals("response"))
    with pytest.raises(bm.BayesmlmError, match="no deviance residuals"):
        m.residuals("deviance")
    with pytest.raises(bm.BayesmlmError, match="whose mean is mu"):
        m.residuals("working")


def unit_deviances(name: str, y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """R's dev.resids of Gamma, inverse.gaussian, gaussian and MASS's negative.binomial(1)."""
    match name:
        case "gamma" | "exponential":
            return -2 * (np.log(y / mu) - (y - mu) / mu)
        case "inverse.gaussian":
            return (y - mu) ** 2 / (y * mu**2)
        case "gaussian":
            return (y - mu) ** 2
        case _:
            return 2 * (y * np.log(y / mu) - (y + 1) * np.log((y + 1) / (mu + 1)))


@pytest.mark.parametrize("name", ["gamma", "exponential", "inverse.gaussian", "gaussian", "geometric"])
def test_deviances_where_the_kernel_has_none(name: str) -> None:
    y, eta = np.array([1.0, 2.0, 7.0]), np.array([0.3, 1.0, 1.5])
    design = SimpleNamespace(y=y, weights=np.array([1.0, 2.0, 3.0]), link="log")
    kernel: Any = SimpleNamespace(mean=lambda at: np.exp(at[0]))
    stub: Any = SimpleNamespace(
        problem=SimpleNamespace(kernel=kernel),
        evaluation=SimpleNamespace(mode=SimpleNamespace(eta=np.stack([eta, eta]))),
        design=design,
        family=FAMILIES[name],
        n=3,
    )
    squares = design.weights * unit_deviances(name, y, np.exp(eta))
    np.testing.assert_allclose(_deviance(stub), np.sign(y - np.exp(eta)) * np.sqrt(squares), rtol=1e-10)


def test_quantile_residuals() -> None:
    m, data = fitted("cbpp"), bm.load_dataset("cbpp")
    y, n, p = data["incidence"].to_numpy(), data["size"].to_numpy(), m.fitted()
    found = m.residuals("quantile", seed=1)
    u = st.norm.cdf(found)
    assert (u >= st.binom.cdf(y - 1, n, p) - 1e-12).all()
    assert (u <= st.binom.cdf(y, n, p) + 1e-12).all()
    np.testing.assert_array_equal(found, m.residuals("quantile", seed=1))
    assert not np.array_equal(found, m.residuals("quantile", seed=2))
    gamma = fitted("sleepstudy")
    shape = gamma.sigma**-2
    wanted = st.norm.ppf(st.gamma(shape, scale=gamma.fitted() / shape).cdf(gamma.design.y))
    np.testing.assert_allclose(gamma.residuals("quantile"), wanted, rtol=1e-8, atol=1e-10)


def test_quantile_residuals_of_the_true_model_are_normal() -> None:
    m = fitted("zip")
    y = m.simulate(1, seed=3, use_u=True)["sim_1"].to_numpy()
    again = replace(m, design=replace(m.design, y=y))
    assert st.kstest(again.residuals("quantile", seed=4), "norm").pvalue > 1e-3


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(bm.BayesmlmError, match="residuals are of type deviance, pearson"):
        fitted("cbpp").residuals("partial")


# -- simulation residuals ------------------------------------------------------------------------------------------


def test_simulation_residuals_are_those_of_simulate() -> None:
    m, nsim = fitted("grouseticks"), 40
    found, draws = m.simulation_residuals(nsim, seed=5), m.simulate(nsim, seed=5).to_numpy()
    y = m.design.y
    below, upto = (draws < y[:, None]).mean(axis=1), (draws <= y[:, None]).mean(axis=1)
    assert ((found.values >= below) & (found.values <= upto)).all()
    everything = np.column_stack([y, draws])
    spread = np.var(everything - found.fitted[:, None], axis=0, ddof=1)
    zeros = (everything == 0).sum(axis=0)
    outside = np.zeros(nsim + 1)
    for row in everything:
        for extreme in (row.min(), row.max()):
            owners = np.flatnonzero(row == extreme)
            outside[owners] += len(owners) == 1
    for name, each in (("dispersion", spread), ("zeros", zeros), ("outliers", outside)):
        p = min(1.0, 2 * min((each >= each[0]).mean(), (each <= each[0]).mean()))
        np.testing.assert_allclose(found.tests.loc[name], [each[0], each[1:].mean(), p])
    assert found.tests.loc["uniformity", "p"] == pytest.approx(st.kstest(found.values, "uniform").pvalue)
    assert list(found.to_series().index) == list(bm.load_dataset("grouseticks").index)
    np.testing.assert_allclose(found.fitted, np.exp(m.predict(re_formula="NA")))


def test_p_values_of_the_true_model_are_uniform() -> None:
    m, p = fitted("cbpp"), []
    for i, y in enumerate(m.simulate(150, seed=6).to_numpy().T):
        again = replace(m, design=replace(m.design, y=y))
        p.append(again.simulation_residuals(39, seed=1000 + i).tests["p"])
    table = pd.DataFrame(p)
    # Ranks among 40 are multiples of 1/20; ties make the tests of counts careful, never too bold.
    assert (
        st.kstest(table["dispersion"] - 0.05 * np.random.default_rng(0).random(150), "uniform").pvalue > 1e-3
    )
    for name in ("dispersion", "outliers", "zeros"):
        rejected = (table[name] <= 0.1).sum()
        assert rejected <= st.binom.ppf(1 - 1e-3, 150, 0.1)


def test_binary_responses_have_no_test_of_zeros() -> None:
    data = bm.load_dataset("cbpp").assign(any=lambda d: (d["incidence"] > 0).astype(int))
    m = bm.glmer("any ~ period + (1 | herd)", data, family="binomial")
    assert "zeros" not in m.simulation_residuals(10, seed=7).tests.index


def test_what_the_tests_say() -> None:
    m = fitted("cbpp")
    y = np.where(np.arange(m.n) % 2, m.design.trials, 0.0)
    found = replace(m, design=replace(m.design, y=y)).simulation_residuals(60, seed=8)
    text = str(found)
    assert "Simulation residuals of 56 rows from 60 simulations" in text
    assert "Residuals are not uniform" in text
    assert "(overdispersion): see `overdispersion()`" in text
    assert "responses lie outside all simulated ones" in text
    assert np.isfinite(found.normal).all()
    assert "No test speaks against the model." in str(m.simulation_residuals(60, seed=9))


def test_picture_of_simulation_residuals() -> None:
    found = fitted("grouseticks").simulation_residuals(30, seed=10)
    figure = found.plot()
    quantiles, against = figure.axes
    points = np.asarray(quantiles.collections[0].get_offsets())
    np.testing.assert_allclose(points[:, 1], np.sort(found.values))
    assert [t.get_text().split()[0] for t in quantiles.texts] == list(found.tests.index)
    x = np.concatenate([np.asarray(c.get_offsets())[:, 0] for c in against.collections])
    np.testing.assert_allclose(np.sort(x), np.sort((st.rankdata(found.fitted) - 0.5) / len(found.fitted)))
    assert figure._repr_png_()[:4] == b"\x89PNG"


def test_running_quartiles() -> None:
    x = np.linspace(0, 1, 400)
    at, lines = running_quartiles(x, x)
    np.testing.assert_allclose(lines[1], at, atol=1e-10)
    few, lines = running_quartiles(np.repeat([0.2, 0.7], 50), np.tile(np.linspace(0, 1, 50), 2))
    np.testing.assert_allclose(few, [0.2, 0.7])
    np.testing.assert_allclose(lines, [[0.25] * 2, [0.5] * 2, [0.75] * 2])


# -- overdispersion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "says"), [("cbpp", "No over"), ("grouseticks", 'Try family="negbinomial"')])
def test_overdispersion_is_the_pearson_statistic(name: str, says: str) -> None:
    found = fitted(name).overdispersion()
    statistic, df = KNOWN[name]["overdispersion"]
    assert found.statistic == pytest.approx(statistic, rel=TOLERANCE)
    assert found.df == df
    assert found.ratio == pytest.approx(statistic / df, rel=TOLERANCE)
    assert found.p_value == pytest.approx(st.chi2.sf(statistic, df), rel=1e-2)
    assert says in str(found)


def test_overdispersion_by_simulation() -> None:
    m = fitted("cbpp")
    for use_u in (False, True):
        found = m.overdispersion("simulation", nsim=50, seed=11, use_u=use_u)
        row = m.simulation_residuals(50, seed=11, use_u=use_u).tests.loc["dispersion"]
        assert (found.ratio, found.p_value, found.df) == (row["observed"] / row["expected"], row["p"], None)


def test_overdispersion_is_refused_where_it_has_no_meaning() -> None:
    with pytest.raises(bm.BayesmlmError, match="dispersion of the family `gamma` is estimated"):
        fitted("sleepstudy").overdispersion()
    single = replace(fitted("cbpp").design, trials=np.ones(56), y=np.zeros(56))
    with pytest.raises(bm.BayesmlmError, match="single trials cannot be overdispersed"):
        replace(fitted("cbpp"), design=single).overdispersion()
    with pytest.raises(bm.BayesmlmError, match='"pearson" or "simulation"'):
        fitted("cbpp").overdispersion("deviance")


# -- leverage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cbpp", "grouseticks", "sleepstudy"])
def test_leverage_by_dense_algebra(name: str) -> None:
    m = fitted(name)
    rows, V = dense_rows(m)[0], dense_covariance(m)
    local = m.evaluation.mode.local
    W = (local.expected if m.problem.model.expected else local.observed)[0, 0]
    wanted = W * np.einsum("na,ab,nb->n", rows, V, rows) / m.sigma**2
    np.testing.assert_allclose(m.hatvalues(), wanted, rtol=1e-6)
    # lme4 1.1-31 multiplies by the prior weights, not by those of the last iteration.
    prior = m.design.trials if m.design.trials is not None else np.ones(m.n)
    np.testing.assert_allclose(head(m.hatvalues() * prior / W), KNOWN[name]["hat"], rtol=5e-3)


def test_measures_made_of_leverage() -> None:
    m = fitted("cbpp")
    h, pearson, deviance = m.hatvalues(), m.residuals("pearson"), m.residuals()
    np.testing.assert_allclose(m.rstandard(), pearson / np.sqrt(1 - h))
    np.testing.assert_allclose(m.cooks_distance(), (pearson / (1 - h)) ** 2 * h / 4)
    np.testing.assert_allclose(
        m.rstudent(), np.sign(deviance) * np.sqrt(deviance**2 + h * pearson**2 / (1 - h))
    )
    with pytest.raises(bm.BayesmlmError, match="several: mu, zi"):
        fitted("zip").hatvalues()
    with pytest.raises(bm.BayesmlmError, match="available for lmer"):
        m.influence("herd")


# -- pictures ------------------------------------------------------------------------------------------------------


def test_residuals_against_fitted_values() -> None:
    m = fitted("cbpp")
    points = np.asarray(m.plot_residuals().axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(points, np.column_stack([m.fitted(), m.residuals("pearson")]))
    assert len([ax for ax in m.plot_residuals(by="herd").axes if ax.get_visible()]) == 15


def test_normal_quantiles_of_quantile_residuals() -> None:
    m = fitted("cbpp")
    points = np.asarray(m.qqmath(seed=12).axes[0].collections[-1].get_offsets())
    np.testing.assert_allclose(points[:, 1], np.sort(m.residuals("quantile", seed=12)))


@pytest.mark.parametrize("draw", ["caterpillar", "qqmath"])
def test_effects_of_a_part_with_intervals(draw: str) -> None:
    m: Any = fitted("zi_groups")
    axes = getattr(m, draw)("YEAR", part="zi").axes
    values = np.asarray(axes[0].collections[-1].get_offsets())[:, 0 if draw == "caterpillar" else 1]
    np.testing.assert_allclose(values, np.sort(m.ranef(part="zi")["YEAR"]["(Intercept)"]))
    with pytest.raises(bm.BayesmlmError):
        getattr(m, draw)("YEAR", part="mu")


def test_its_class_is_what_it_says() -> None:
    assert isinstance(fitted("cbpp").simulation_residuals(3, seed=1), SimulationResiduals)
