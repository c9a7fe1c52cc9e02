"""Simulated responses have the model's moments; seeds, new data, new parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.simulate import parametric_responses, simulate

SLEEP = bm.load_dataset("sleepstudy").assign(w=1.0 + np.arange(180) % 3, half=np.arange(180) % 2)
M = bm.lmer(
    "Reaction ~ Days + (Days | Subject) + (1 | half)",
    SLEEP,
    weights="w",
    control={"check_conv_singular": "ignore"},
)
ROWS = [0, 1, 9, 10]
N = 4000


def check_moments(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means and covariances of N draws within five of their standard errors."""
    sd = np.sqrt(np.diag(covariance))
    assert np.abs(draws.mean(axis=1) - mean).max() < 5 * sd.max() / np.sqrt(N)
    assert np.abs(np.cov(draws) - covariance).max() < 5 * np.sqrt(2) * sd.max() ** 2 / np.sqrt(N)


def test_new_effects_and_residuals() -> None:
    draws = M.simulate(N, seed=1)
    assert list(draws.columns[:2]) == ["sim_1", "sim_2"]
    assert draws.index.equals(SLEEP.index)
    root = (M.getME("Z") @ M.getME("Lambda")).toarray()[ROWS]
    covariance = M.sigma**2 * (root @ root.T + np.diag(1 / M.getME("weights")[ROWS]))
    check_moments(draws.to_numpy()[ROWS], M.predict(re_formula="NA")[ROWS], covariance)


def test_kept_effects() -> None:
    weights = M.getME("weights")[ROWS]
    for arguments in ({"use_u": True}, {"re_formula": None}):
        draws = M.simulate(N, seed=2, **arguments).to_numpy()[ROWS]
        check_moments(draws, M.fitted()[ROWS], M.sigma**2 * np.diag(1 / weights))
    draws = M.simulate(N, seed=3, re_formula="~ (Days | Subject)").to_numpy()[ROWS]
    half = M.getME("Z").toarray()[ROWS][:, 36:]
    kept = M.predict(re_formula="~ (Days | Subject)")[ROWS]
    variance = M.sigma**2 * (M.templates[1][0, 0] ** 2 * half @ half.T + np.diag(1 / weights))
    check_moments(draws, kept, variance)


def test_new_data_with_a_new_level() -> None:
    m = bm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    new = pd.DataFrame({"Days": [1.0, 2.0, 2.0], "Subject": ["x", "x", "308"]}, index=list("abc"))
    draws = m.simulate(N, seed=4, newdata=new)
    assert list(draws.index) == ["a", "b", "c"]
    root = np.zeros((3, 4))
    root[:2, :2], root[2, 2:] = np.array([[1, 1], [1, 2]]) @ m.templates[0], np.array([1, 2]) @ m.templates[0]
    check_moments(draws.to_numpy(), m.predict(new, "NA"), m.sigma**2 * (root @ root.T + np.eye(3)))
    with pytest.raises(bm.NewDataError, match="level `x` in `Subject`"):
        m.simulate(newdata=new, use_u=True)
    draws = m.simulate(N, seed=5, newdata=new, use_u=True, allow_new_levels=True)
    root[2] = 0.0
    mean = m.predict(new, allow_new_levels=True)
    check_moments(draws.to_numpy(), mean, m.sigma**2 * (root @ root.T + np.eye(3)))


def test_new_parameters_and_formulas_without_a_fit() -> None:
    parameters = {"beta": [250.0, 10.0], "theta": [1.0, 0.0, 0.2], "sigma": 25.0}
    m = bm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    Z = np.column_stack([np.ones(3), SLEEP["Days"][:3]])
    covariance = 625.0 * (Z @ np.diag([1.0, 0.04]) @ Z.T + np.eye(3))
    draws = m.simulate(N, seed=6, newparams=parameters)
    check_moments(draws.to_numpy()[:3], Z @ [250.0, 10.0], covariance)
    bare = simulate("~ Days + (Days | Subject)", SLEEP, parameters, N, seed=6)
    pd.testing.assert_frame_equal(bare, draws)
    named = {**parameters, "beta": {"Days": 10.0, "(Intercept)": 250.0}}
    pd.testing.assert_frame_equal(m.simulate(2, seed=6, newparams=named), draws.iloc[:, :2])


def test_seeds() -> None:
    first = M.simulate(3, seed=7)
    pd.testing.assert_frame_equal(first.iloc[:, :1], M.simulate(1, seed=7))
    assert not first.equals(M.simulate(3, seed=8))
    for column, y in zip(first, parametric_responses(M, 3, seed=7), strict=True):
        assert (first[column] == y).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": [1.0]}, "beta has 1 values; the model has 2"),
        ({"beta": {"Days": 1.0}}, "differs in"),
        ({"theta": [1.0]}, "theta has 1 values"),
        ({"theta": [-1.0, 0.0, 1.0, 1.0]}, "value 1 of theta"),
        ({"sigma": -1.0}, "sigma"),
        ({"gamma": 1.0}, "`gamma`"),
    ],
    ids=str,
)
def test_refused_parameters(parameters: dict, message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        M.simulate(newparams=parameters)


def test_refused_formula() -> None:
    with pytest.raises(bm.BayesmlmError, match="one-sided"):
        simulate("y ~ Days + (1 | Subject)", SLEEP, {})
    with pytest.raises(bm.BayesmlmError, match="no theta"):
        simulate("~ Days + (1 | Subject)", SLEEP, {"beta": [1, 2], "sigma": 1})
