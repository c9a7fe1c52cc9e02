"""Responses simulated from generalised models have the moments and probabilities of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from scipy.special import expit

import bayesmlm as bm
from bayesmlm.frequentist.generalised_simulate import parametric_responses

from .generalised_fits import fitted

CBPP = bm.load_dataset("cbpp")
N = 4000
ROWS = [0, 1, 8, 20]


def check_moments(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means and covariances of the draws (rows, N) within five of their standard errors."""
    centred = draws - mean[:, None]
    n = draws.shape[1]
    assert (np.abs(draws.mean(axis=1) - mean) < 5 * np.sqrt(np.diag(covariance) / n)).all()
    products = centred[:, None] * centred[None]
    error = 5 * products.std(axis=2) / np.sqrt(n)
    assert (np.abs(products.mean(axis=2) - covariance) < error).all()


def test_new_effects_of_a_poisson_model() -> None:
    m = fitted("grouseticks")
    draws = m.simulate(N, seed=1)
    assert list(draws.columns[:2]) == ["sim_1", "sim_2"]
    rows = [0, 1, 2, 8]  # 0 and 1 have brood and location in common
    Z, L = m.getME("Z")[rows], m.getME("Lambda")
    V = (Z @ L @ L.T @ Z.T).toarray()
    fixed = np.exp(m.predict(re_formula="NA")[rows])
    # Moments of a Poisson variable with lognormal mean.
    mean = fixed * np.exp(np.diag(V) / 2)
    covariance = np.outer(mean, mean) * np.expm1(V) + np.diag(mean)
    check_moments(draws.to_numpy()[rows], mean, covariance)


def test_kept_effects_of_a_binomial_model() -> None:
    m = fitted("cbpp")
    p, n = m.fitted()[ROWS], CBPP["size"].to_numpy()[ROWS]
    for arguments in ({"use_u": True}, {"re_formula": None}, {"re_formula": "~ (1 | herd)"}):
        draws = m.simulate(N, seed=2, **arguments).to_numpy()[ROWS]
        check_moments(draws, n * p, np.diag(n * p * (1 - p)))
        counts = np.bincount(draws[0].astype(int), minlength=int(n[0]) + 1)
        expected = N * st.binom.pmf(np.arange(n[0] + 1), n[0], p[0])
        likely = expected > 5
        chi = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
        assert chi < st.chi2.ppf(1 - 1e-4, likely.sum())


def test_single_trials_are_zero_or_one() -> None:
    data = CBPP.assign(any=(CBPP["incidence"] > 1).astype(int))
    m = bm.glmer("any ~ period + (1 | herd)", data, family="binomial")
    draws = m.simulate(N, seed=3, use_u=True).to_numpy()
    assert set(np.unique(draws)) == {0.0, 1.0}
    p = m.fitted()
    assert (np.abs(draws.mean(axis=1) - p) < 5 * np.sqrt(p * (1 - p) / N)).all()


def test_dispersion_that_is_plugged_in() -> None:
    data = bm.load_dataset("sleepstudy").assign(w=1.0 + np.arange(180) % 3)
    m = bm.glmer("Reaction ~ Days + (1 | Subject)", data, family="Gamma('log')", weights="w")
    draws, mu = m.simulate(N, seed=4, use_u=True).to_numpy()[ROWS], m.fitted()[ROWS]
    weights = data["w"].to_numpy()[ROWS]
    check_moments(draws, mu, np.diag(m.sigma**2 * mu**2 / weights))
    # Var(b) = sigma^2 T T', as VarCorr has it.
    eta = np.log(m.simulate(N, seed=5, newparams={"sigma": m.sigma, "theta": [1.0]}).to_numpy()[ROWS])
    assert np.cov(eta)[0, 1] == pytest.approx(m.sigma**2, rel=5 * np.sqrt(5 / N))


@pytest.mark.parametrize("name", ["zip", "hurdle"])
def test_zeros_of_another_kind(name: str) -> None:
    m = fitted(name)
    draws = m.simulate(N, seed=6, use_u=True).to_numpy()[ROWS]
    mean = m.predict(type="response")[ROWS]
    variance = m.problem.kernel.variance(m.evaluation.mode.eta)[ROWS]
    check_moments(draws, mean, np.diag(variance))
    zero, mu = m.predict(type="zprob")[ROWS], np.exp(m.predict()[ROWS])
    if name == "zip":
        zero = zero + (1 - zero) * np.exp(-mu)
    assert (np.abs((draws == 0).mean(axis=1) - zero) < 5 * np.sqrt(zero * (1 - zero) / N)).all()


def test_effects_of_every_part_are_drawn() -> None:
    m = fitted("zi_groups")
    draws = m.simulate(N, seed=7, newparams={"beta": [9.0, 0.0], "theta": [0.0, 2.0]}).to_numpy()
    zero = (
        draws == 0
    )  # with a mean of e^9 every zero is inflation, and all rows of a year share its probability
    year = bm.load_dataset("grouseticks")["YEAR"].to_numpy()
    shares = zero[year == year[0]].mean(axis=0)
    rng, size = np.random.default_rng(8), int((year == year[0]).sum())
    wanted = rng.binomial(size, expit(m.fixef("zi").iloc[0] + 2.0 * rng.standard_normal(N)))
    jitter = rng.random((2, N)) - 0.5  # a test of continuous distributions
    assert st.ks_2samp(shares * size + jitter[0], wanted + jitter[1]).pvalue > 1e-4


def test_new_data_with_a_new_level_and_trials() -> None:
    m = fitted("cbpp")
    new = pd.DataFrame({"period": ["1", "1"], "herd": ["x", "3"], "size": [7, 400]}, index=["a", "b"])
    draws = m.simulate(N, seed=9, newdata=new)
    assert list(draws.index) == ["a", "b"]
    assert draws.loc["a"].max() == 7.0
    with pytest.raises(bm.NewDataError, match="level `x` in `herd`"):
        m.simulate(newdata=new, use_u=True)
    kept = m.simulate(N, seed=10, newdata=new, use_u=True, allow_new_levels=True).to_numpy()
    p = m.predict(new, type="response", allow_new_levels=True)[1]
    assert np.abs(kept[1].mean() - 400 * p) < 5 * np.sqrt(400 * p * (1 - p) / N)
    grid, weight = np.polynomial.hermite_e.hermegauss(40)
    probability = expit(m.fixef()["(Intercept)"] + m.theta[0] * grid)
    mean = 7 * (probability @ weight) / weight.sum()
    assert np.abs(kept[0].mean() - mean) < 5 * kept[0].std() / np.sqrt(N)
    with pytest.raises(bm.NewDataError, match="size"):
        m.simulate(newdata=new.drop(columns="size"))


def test_new_parameters() -> None:
    m = fitted("nb")
    still = {
        "theta": [0.0],
        "beta": {"YEAR96": 0.0, "YEAR97": 0.0, "cHEIGHT": 0.0, "(Intercept)": np.log(3.0)},
    }
    draws = m.simulate(50, seed=11, newparams={**still, "shape": 2.0}).to_numpy().ravel()
    u = st.nbinom(2, 0.4).cdf(draws - 1) + np.random.default_rng(0).random(draws.size) * st.nbinom(
        2, 0.4
    ).pmf(draws)
    assert st.kstest(u, "uniform").pvalue > 1e-4
    zi = fitted("zip").simulate(2, seed=12, newparams={"zi": [50.0, 0.0, 0.0]})
    assert (zi == 0).all(axis=None)


def test_seeds() -> None:
    m = fitted("cbpp")
    first = m.simulate(3, seed=13)
    pd.testing.assert_frame_equal(first.iloc[:, :1], m.simulate(1, seed=13))
    assert not first.equals(m.simulate(3, seed=14))
    for column, y in zip(first, parametric_responses(m, 3, seed=13), strict=True):
        assert (first[column] == y).all()


def test_prior_weights_of_counts_are_said_to_be_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    m = fitted("grouseticks")
    weighted = replace(m, design=replace(m.design, weights=np.full(m.n, 2.0)))
    pd.testing.assert_frame_equal(weighted.simulate(1, seed=1), m.simulate(1, seed=1))
    assert "ignores the prior weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cbpp", {"beta": [1.0]}, "beta has 1 values; the model has 4"),
        ("cbpp", {"theta": [-1.0]}, "value 1 of theta"),
        ("cbpp", {"sigma": 1.0}, "newparams has `sigma`; it may have beta, theta$"),
        ("nb", {"shape": -1.0}, "shape must be one number inside the range of its link log"),
        ("nb", {"shape": [1.0, 2.0]}, "shape must be one number"),
        ("zip", {"zi": [1.0]}, "zi has 1 values; the model has 3"),
        ("sleepstudy", {"sigma": 0.0}, "above 0"),
    ],
    ids=str,
)
def test_refused_parameters(name: str, parameters: dict, message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        fitted(name).simulate(newparams=parameters)


# -- without a fit -------------------------------------------------------------------------------------------------


def test_a_formula_and_parameters_are_enough() -> None:
    m = fitted("cbpp")
    parameters = {"beta": m.fixef(), "theta": m.theta}
    for given in ({"trials": "size"}, {"trials": CBPP["size"]}, {"weights": "size"}):
        bare = bm.simulate("~ period + (1 | herd)", CBPP, parameters, 3, seed=15, family="binomial", **given)
        pd.testing.assert_frame_equal(bare, m.simulate(3, seed=15))
    nb = fitted("nb")
    parameters = {"beta": nb.fixef(), "theta": nb.theta, **nb.constants}
    formula, data = "~ YEAR + cHEIGHT + (1 | LOCATION)", bm.load_dataset("grouseticks")
    bare = bm.simulate(formula, data, parameters, 2, seed=16, family="negbinomial")
    pd.testing.assert_frame_equal(bare, nb.simulate(2, seed=16))


def test_formulas_of_several_parts() -> None:
    zi = fitted("zip")
    parameters = {"beta": zi.fixef(), "theta": zi.theta, "zi": zi.fixef("zi")}
    formula = bm.bf("~ YEAR + cHEIGHT + (1 | LOCATION)", "zi ~ YEAR")
    data = bm.load_dataset("grouseticks")
    bare = bm.simulate(formula, data, parameters, 2, seed=17, family="zero_inflated_poisson")
    pd.testing.assert_frame_equal(bare, zi.simulate(2, seed=17))


@pytest.mark.parametrize(
    ("formula", "parameters", "more", "message"),
    [
        ("y ~ 1 + (1 | herd)", {}, {}, "one-sided"),
        ("~ 1 + (1 | herd)", {"beta": [0.0]}, {}, "newparams must also have `theta`"),
        ("~ 1 + (1 | herd)", {"beta": [0.0], "theta": [1.0], "sigma": 1.0}, {}, "has no place for `sigma`"),
        ("~ 1 + (1 | herd)", {"beta": [0.0], "theta": [1.0]}, {"trials": 1.5}, "1.5 in row 1"),
        ("~ 1 + (1 | herd)", {"beta": [0.0], "theta": [1.0]}, {"trials": [1, 2]}, "trials has 2 values"),
        ("~ 1 + (1 | herd)", {"beta": [0.0], "theta": [1.0]}, {"trials": "period"}, "no numeric column"),
    ],
    ids=str,
)
def test_what_cannot_be_simulated(formula: str, parameters: dict, more: dict, message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        bm.simulate(formula, CBPP, parameters, family="binomial", **more)
    with pytest.raises(bm.BayesmlmError, match="for a family of successes"):
        bm.simulate("~ 1 + (1 | herd)", CBPP, {}, trials=3)
