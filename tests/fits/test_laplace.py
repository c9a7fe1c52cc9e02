"""Posteriors by Laplace's approximation: against brms, and what is said where it fails."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.inference import laplace as engine
from bayesmlm.inference.compile_cache import compilations

from ..support import reference
from .simulated import DATA
from .tolerances import disagreements

COUNTS = "count ~ x + (1 | g)"


def approximate(formula, data, family, **arguments):
    defaults = {"algorithm": "laplace", "seed": 1, "progress": False, "output_samples": 4000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(formula, data=data, family=family, **{**defaults, **arguments})


@pytest.fixture(scope="module")
def short_fit():
    return approximate(COUNTS, DATA, "poisson", output_samples=200)


@pytest.mark.parametrize("resampled", [False, True], ids=["as it is", "resampled"])
def test_posterior_of_binomial_model_agrees_with_brms(resampled):
    """A tenth of a posterior sd is what may be left without importance weights; with them, Monte Carlo error alone."""
    expected = reference("brms_cbpp_binomial")
    fit = approximate(
        "incidence | trials(size) ~ period + (1 | herd)",
        bm.load_dataset("cbpp"),
        "binomial",
        control={"importance_resampling": resampled},
    )
    assert fit.approximation.k_hat < 0.7
    assert fit.approximation.resampled == resampled
    if resampled:
        assert disagreements(fit, expected) == []
    assert within_a_tenth(fit, expected) == []


@pytest.mark.validate
def test_posterior_with_two_factors_agrees_with_brms():
    """One of them with an effect for each observation."""
    formula = "count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)"
    fit = approximate(formula, bm.load_dataset("epilepsy"), "poisson")
    assert fit.approximation.k_hat < 0.7
    assert within_a_tenth(fit, reference("brms_epilepsy_poisson")) == []


def within_a_tenth(fit, expected):
    """Names of parameters, effects included, whose means differ by more than 0.1 sd."""
    posterior, draws = expected["posterior"], fit.as_draws_df()
    rows = zip(posterior["variable"], posterior["mean"], posterior["sd"], strict=True)
    return [name for name, mean, sd in rows if name != "lp__" and abs(draws[name].mean() - mean) > 0.1 * sd]


def bernoulli_pairs(groups):
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(groups), 2), rng.normal(size=2 * groups)
    probability = 1 / (1 + np.exp(-(0.5 + x + 2 * rng.normal(size=groups)[g])))
    y = (rng.random(2 * groups) < probability).astype(int)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g]})


@pytest.mark.validate
def test_two_yes_or_no_answers_of_a_level_are_too_few():
    """The standard deviation is too small by one of its own. Where importance weights do not repair it, k-hat says so;
    where they would, the verdict names the parameter."""
    formula, arguments = "y ~ x + (1 | g)", {"family": "bernoulli", "algorithm": "laplace", "seed": 1}
    with pytest.warns(bm.ConvergenceWarning, match="do not trust the draws"):
        fit = bm.brm(formula, bernoulli_pairs(500), progress=False, **arguments)
    assert not fit.approximation.trusted
    assert "do not trust" in " ".join(str(fit).split())
    with pytest.warns(bm.ConvergenceWarning, match="the mean of `sd_g__Intercept`"):
        fit = bm.brm(formula, bernoulli_pairs(100), progress=False, output_samples=2000, **arguments)
    assert fit.approximation.k_hat < 0.7
    assert fit.approximation.shift < -0.3


def test_a_second_fit_compiles_nothing_and_draws_the_same(short_fit):
    before = compilations()
    again = approximate(COUNTS, DATA, "poisson", output_samples=200)
    approximate(COUNTS, DATA.assign(x=DATA["o"]), "poisson", output_samples=300)
    assert compilations() == before
    pd.testing.assert_frame_equal(again.as_draws_df(), short_fit.as_draws_df())


def test_the_fit_is_like_any_other(short_fit, tmp_path):
    assert short_fit.integrated == ("1 | g",)
    assert short_fit.ndraws == 200
    assert short_fit.loo().estimates.notna().all(axis=None)
    short_fit.save(tmp_path / "fit")
    back = bm.load(tmp_path / "fit")
    assert back.approximation == short_fit.approximation
    assert str(back.spec) == str(short_fit.spec)
    pd.testing.assert_frame_equal(back.ranef(), short_fit.ranef())
    same = approximate(
        COUNTS, DATA, "poisson", output_samples=200, file=tmp_path / "fit", file_refit="on_change"
    )
    pd.testing.assert_frame_equal(same.as_draws_df(), short_fit.as_draws_df())


def test_joint_densities_are_those_of_the_joint_model(short_fit):
    """``lp`` is the density of the draw, as any sampler would report it, and ``lq`` is near it."""
    from bayesmlm.results.unconstrain import Evaluator, unconstrained_draws

    stats = short_fit.idata["sample_stats"]
    lp = Evaluator(short_fit).log_posterior(unconstrained_draws(short_fit))
    np.testing.assert_allclose(stats["lp"].to_numpy()[0], lp, rtol=1e-9)
    assert np.abs(stats["lp"] - stats["lq"]).std() < 1


def test_nuts_draws_the_parameters_where_importance_sampling_does_not(short_fit, monkeypatch):
    monkeypatch.setattr(engine, "MOST_DIMENSIONS", 0)
    with pytest.warns(bm.BayesmlmWarning, match="so that NUTS drew them"):
        fit = approximate(COUNTS, DATA, "poisson", chains=2, iter=1000)
    assert (fit.nchains, fit.ndraws) == (2, 1000)
    assert "diverging" in fit.idata["sample_stats"]
    ours, theirs = fit.as_draws_df(), short_fit.as_draws_df()
    for name in ("b_Intercept", "b_x"):
        error = theirs[name].std() * np.hypot(1 / 200**0.5, 1 / 300**0.5)
        assert abs(ours[name].mean() - theirs[name].mean()) < 4.5 * error


@pytest.mark.validate
def test_where_there_is_nothing_to_approximate_the_sampler_is_exact(capsys):
    fit = approximate("y ~ x + (1 | g)", DATA, "gaussian", iter=60, chains=1)
    assert "Laplace's approximation of the group effects is exact" in capsys.readouterr().err
    assert fit.approximation is None
    fit = approximate("count ~ x", DATA, "poisson", iter=60, chains=1)
    assert "there are none here" in capsys.readouterr().err
    assert fit.settings.algorithm == "sampling"
