"""Fits whose group effects were integrated out: nothing downstream can tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.inference.compile_cache import compilations
from bayesmlm.results.convergence import mcse_mean, mcse_sd
from bayesmlm.results.layout import draws_array

from .simulated import DATA, draw

FORMULA = "y ~ x + (1 | g)"
SHORT = {"iter": 300, "warmup": 200}

pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")


def crossed_data():
    rng = np.random.default_rng(8)
    n = 240
    g, c = rng.integers(0, 12, n), rng.integers(0, 5, n)
    x, w = rng.normal(size=n), rng.choice([0.0, 0.5, 1.0, 2.0], n)
    slope = 0.5 * rng.normal(size=12)
    y = 1 + (0.5 + slope[g]) * x + rng.normal(size=12)[g] + 0.7 * rng.normal(size=5)[c] + rng.normal(size=n)
    names = {"g": [f"g{i}" for i in g], "c": [f"c{i}" for i in c]}
    return pd.DataFrame({"y": y, "x": x, "w": w, **names})


@pytest.fixture(scope="module")
def short_fit():
    return draw(FORMULA, DATA, **SHORT)


@pytest.mark.validate
def test_joint_and_integrated_posteriors_agree():
    """Means and standard deviations within five Monte Carlo errors of their difference."""
    formula = "y | weights(w) ~ x + (x | g) + (1 | c)"
    arguments = {"seed": 3, "iter": 2500, "warmup": 1000, "progress": False, "control": {"adapt_delta": 0.95}}
    fits = [bm.brm(formula, crossed_data(), marginalize=on, **arguments) for on in (True, False)]
    assert [bool(fit.integrated) for fit in fits] == [True, False]
    names = [name for name in fits[0].variables() if name not in ("lp__", "lprior")]
    assert names == [name for name in fits[1].variables() if name not in ("lp__", "lprior")]
    ours, theirs = (draws_array(fit.idata, names)[1] for fit in fits)
    for value, error in ((lambda d: d.mean((1, 2)), mcse_mean), (lambda d: d.std((1, 2)), mcse_sd)):
        difference = np.abs(value(ours) - value(theirs))
        allowed = 5 * np.hypot(error(ours), error(theirs)) + 0.02 * theirs.std((1, 2))
        assert [n for n, d, a in zip(names, difference, allowed, strict=True) if d > a] == []


def test_a_second_fit_compiles_nothing_and_draws_the_same(short_fit):
    before = compilations()
    again = draw(FORMULA, DATA, **SHORT)
    draw(FORMULA, DATA.assign(y=3 * DATA["y"] - 1, x=DATA["o"]), **SHORT)
    assert compilations() == before
    pd.testing.assert_frame_equal(again.as_draws_df(), short_fit.as_draws_df())


def test_effects_depend_on_the_data_they_are_given(short_fit):
    """Each draw's effects move with its other parameters: intercept and mean effect are negatively correlated."""
    draws = short_fit.as_draws_df()
    effects = draws[[name for name in draws if name.startswith("r_g[")]].mean(axis=1)
    assert np.corrcoef(draws["b_Intercept"], effects)[0, 1] < -0.5


def test_a_saved_fit_says_what_was_integrated(short_fit, tmp_path):
    short_fit.save(tmp_path / "fit")
    back = bm.load(tmp_path / "fit")
    assert back.integrated == short_fit.integrated == ("1 | g",)
    assert str(back.spec) == str(short_fit.spec)
    pd.testing.assert_frame_equal(back.ranef(), short_fit.ranef())
    # What is computed on unconstrained draws of the joint model works from integrated ones too.
    from bayesmlm.results.unconstrain import unconstrained_draws

    assert np.isfinite(unconstrained_draws(back)).all()


def test_effects_that_are_not_kept_are_not_drawn():
    fit = draw(FORMULA, DATA, save_pars={"group": False}, **SHORT)
    assert not any(name.startswith("r_") for name in fit.variables())
    assert np.isfinite(fit.posterior_epred(re_formula="NA")).all()


def test_priors_are_drawn_as_ever():
    fit = draw(FORMULA, DATA, sample_prior="yes", **SHORT)
    assert {"prior_sigma", "prior_Intercept"} <= set(fit.variables())
