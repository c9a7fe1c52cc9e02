"""`sbc`: what it refuses, and that ranks, truths and draws belong together. Uniform ranks: tests/validate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

X = np.linspace(-1, 2, 30)
DATA = pd.DataFrame({"y": np.arange(30.0), "x": X, "w": 2.0})
PRIORS = (
    bm.set_prior("normal(1, 2)", class_="Intercept")
    + bm.set_prior("normal(0, 1)", class_="b")
    + bm.set_prior("gamma(4, 40)", class_="sigma")
)


@pytest.fixture(scope="module")
def calibration() -> bm.calibration.Calibration:
    return bm.sbc("y ~ x", DATA, prior=PRIORS, n=12, draws=19, thin=2, warmup=200, seed=3)


def test_each_row_is_one_data_set(calibration):
    names = ["b_Intercept", "b_x", "sigma", "Intercept", "lprior", "log_lik"]
    assert list(calibration.ranks) == list(calibration.truths) == names
    assert calibration.ranks.shape == (12, 6)
    assert calibration.ranks.to_numpy().min() >= 0
    assert calibration.ranks.to_numpy().max() <= 19
    truths = calibration.truths
    np.testing.assert_allclose(truths["b_Intercept"], truths["Intercept"] - X.mean() * truths["b_x"])
    law = -0.5 * (truths["Intercept"] - 1) ** 2 / 4 - np.log(2) - 0.5 * truths["b_x"] ** 2 - np.log(2 * np.pi)
    gamma = 4 * np.log(40) - np.log(6) + 3 * np.log(truths["sigma"]) - 40 * truths["sigma"]
    np.testing.assert_allclose(truths["lprior"], law + gamma)
    # Thirty rows with a standard deviation of 0.1: the log likelihood of each set is near that of its truth.
    expected = -30 * (0.5 + np.log(truths["sigma"]) + 0.5 * np.log(2 * np.pi))
    assert (np.abs(truths["log_lik"] - expected) < 6 * np.sqrt(30 / 2)).all()


def test_every_data_set_has_its_own_posterior(calibration):
    """With little noise, a posterior of other data would lie all above or all below the truth."""
    inner = calibration.ranks[["b_x", "Intercept"]]
    extreme = ((inner == 0) | (inner == 19)).to_numpy().mean()
    assert extreme < 0.4  # 0.1 expected of 24; chance of 0.4 is below 1e-4
    assert (calibration.diagnostics["divergences"] == 0).all()


def test_the_same_seed_gives_the_same_ranks_and_it_prints(calibration):
    table = calibration.summary()
    assert list(table) == ["mean_rank", "relative_spread", "p"]
    assert "12 data sets, 19 draws each" in repr(calibration)
    assert calibration.worst() == pytest.approx(min(1.0, 6 * table["p"].min()))
    with pytest.raises(bm.BayesmlmError, match="there are no ranks of `b_z`"):
        calibration.uniformity("b_z")


def test_what_cannot_be_calibrated_is_refused_at_once():
    with pytest.raises(bm.PriorError, match="proper prior"):
        bm.sbc("y ~ x", DATA, n=4)
    with pytest.raises(bm.BayesmlmError, match="weights"):
        bm.sbc("y | weights(w) ~ x", DATA, prior=PRIORS, n=4)
    with pytest.raises(bm.BayesmlmError, match="at least 2 data sets"):
        bm.sbc("y ~ x", DATA, prior=PRIORS, n=1)
