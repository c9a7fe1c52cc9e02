"""Fits of mixtures, cox models and custom families from end to end: names of draws, predictions, files. They are too
short to say anything of posteriors; those are looked at in tests/validate."""

from __future__ import annotations

import warnings

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.families import custom_family, mixture
from bayesmlm.results.unconstrain import Evaluator, unconstrained_draws

SHORT = {"chains": 1, "iter": 40, "seed": 1, "progress": False}


def short(*arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(*arguments, **SHORT, **more)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    n = 80
    x, first, g = rng.normal(size=n), rng.uniform(size=n) < 0.4, np.repeat(list("abcd"), n // 4)
    y = np.where(first, -2 + 0.5 * x, 2 - 0.5 * x) + 0.5 * rng.normal(size=n)
    time = rng.weibull(1.5, n) * np.exp(-0.5 * x)
    censored = (rng.uniform(size=n) < 0.3).astype(int)
    return pd.DataFrame({"y": y, "x": x, "g": g, "time": time, "censored": censored})


@pytest.fixture(scope="module")
def mixed(data):
    formula = bm.bf("y ~ x", mu1="~ x + (1 | g)", sigma2="sigma1")
    return short(formula, data, mixture("gaussian", "gaussian"))


def same_draws(fit):
    """The way back from stored draws to the sampler's coordinates gives the sampler's own log densities."""
    lp = Evaluator(fit).log_posterior(unconstrained_draws(fit))
    np.testing.assert_allclose(lp, fit.log_posterior()["Value"], rtol=1e-9)


def test_names_and_files_of_a_mixture(mixed, data, tmp_path):
    names = mixed.variables()
    assert names[:8] == [
        *("b_mu1_Intercept", "b_mu2_Intercept", "b_mu1_x", "b_mu2_x", "sd_g__mu1_Intercept"),
        *("sigma1", "sigma2", "theta1"),
    ]
    draws = mixed.as_draws_df()
    assert (draws["Intercept_mu1"] < draws["Intercept_mu2"]).all()
    np.testing.assert_allclose(draws["theta1"] + draws["theta2"], 1, rtol=1e-12)
    np.testing.assert_array_equal(draws["sigma1"], draws["sigma2"])
    assert list(mixed.summary().spec_pars.index) == ["sigma1", "sigma2", "theta1", "theta2"]
    same_draws(mixed)
    mixed.save(tmp_path / "mixed")
    again = bm.load(tmp_path / "mixed")
    assert again.family == mixed.family
    np.testing.assert_array_equal(again.log_lik(data.iloc[:3]), mixed.log_lik(data.iloc[:3]))


def test_predictions_of_a_mixture(mixed, data):
    theta, mu = (
        np.stack([mixed.posterior_epred(dpar=f"{name}{k}") for k in (1, 2)]) for name in ("theta", "mu")
    )
    np.testing.assert_allclose(mixed.posterior_epred(), (theta * mu).sum(axis=0), rtol=1e-12)
    members = mixed.pp_mixture(summary=False)
    assert members.shape == (mixed.ndraws, len(data), 2)
    np.testing.assert_allclose(members.sum(axis=2), 1, rtol=1e-12)
    tables = mixed.pp_mixture(data.iloc[:4])
    assert list(tables) == ["P(K = 1 | Y)", "P(K = 2 | Y)"]
    # They need the same draws in the same order, to the last bit of a sum in another order.
    np.testing.assert_allclose(tables["P(K = 2 | Y)"]["Estimate"], members[:, :4, 1].mean(axis=0), rtol=1e-9)
    with pytest.raises(bm.BayesmlmError, match="use one of mu1, mu2, sigma1, sigma2, theta1, theta2"):
        mixed.posterior_epred(dpar="sigma")


@pytest.mark.validate
def test_a_cox_model_with_strata(data, tmp_path):
    fit = short("time | cens(censored) + bhaz(gr = g, df = 4) ~ x", data, "cox")
    names = [name for name in fit.variables() if name.startswith("sbhaz")]
    assert len(names) == 16
    assert {"sbhaz[a,1]", "sbhaz[d,4]"} <= set(names)
    total = fit.as_draws_df()[[f"sbhaz[b,{k}]" for k in range(1, 5)]].sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    same_draws(fit)
    new = data.iloc[[0, 30, 60]]
    np.testing.assert_allclose(fit.log_lik(new), fit.log_lik()[:, [0, 30, 60]], rtol=1e-12)
    with pytest.raises(bm.NewDataError, match="level without a baseline"):
        fit.log_lik(new.assign(g="z"))
    with pytest.raises(bm.BayesmlmError, match="survival_curve"):
        fit.posterior_epred()
    # P(T > t), of which the log-likelihoods of censored rows are the logarithms.
    curve = fit.survival_curve(new.assign(cond__=["a", "b", "d"]), times=[0.7])
    as_censored = np.exp(fit.log_lik(new.assign(time=0.7, censored=1)))
    np.testing.assert_allclose(curve.table["estimate__"], as_censored.mean(axis=0), rtol=1e-9)
    fit.save(tmp_path / "cox")
    np.testing.assert_array_equal(bm.load(tmp_path / "cox").log_lik(new), fit.log_lik(new))


@pytest.mark.validate
def test_a_custom_family_in_files(data, tmp_path):
    def own(scale):
        return custom_family("own", log_prob=lambda y, mu: -jnp.abs(y - mu) / scale, mean=lambda mu: mu)

    fit = short("y ~ x", data, own(1.0), file=tmp_path / "own", file_refit="on_change")
    again = short("y ~ x", data, own(1.0), file=tmp_path / "own", file_refit="on_change")
    np.testing.assert_array_equal(again.log_lik(), fit.log_lik())
    changed = short("y ~ x", data, own(2.0), file=tmp_path / "other")
    assert not np.allclose(changed.log_lik(), fit.log_lik())
    with pytest.raises(bm.FamilyError, match=r"load\(path, families="):
        bm.load(tmp_path / "own")
    np.testing.assert_array_equal(bm.load(tmp_path / "own", families=own(1.0)).log_lik(), fit.log_lik())
    with pytest.raises(bm.BayesmlmError, match="function `sample`"):
        fit.posterior_predict()
