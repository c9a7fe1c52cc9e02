"""`brm` with the algorithms that approximate: against NUTS, and everything that may be asked of a fit."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.results.criteria import loo
from bayesmlm.results.psis import LogLikelihood

from ..support import with_slow

ALGORITHMS = ["pathfinder", "meanfield", "fullrank"]
RESAMPLED = {"importance_resampling": True}


def simulated(n=240, groups=12):
    rng = np.random.default_rng(3)
    g, x = np.arange(n) % groups, rng.normal(size=n)
    effect = 0.6 * rng.normal(size=groups)
    count = rng.poisson(np.exp(0.4 + 0.3 * x + effect[g]))
    y = 1 + 0.5 * x + effect[g] + 0.8 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "count": count, "g": [f"g{i}" for i in g]})


DATA = simulated()
MODELS = {"gaussian": "y ~ x + (1 | g)", "poisson": "count ~ x + (1 | g)"}


def fitted(family, algorithm="sampling", **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(
            MODELS[family], DATA, family, algorithm=algorithm, **{"seed": 4, "progress": False, **arguments}
        )


@pytest.fixture(scope="module", params=MODELS)
def sampled(request):
    return fitted(request.param)


@pytest.fixture(scope="module")
def fit():
    return fitted("poisson", "fullrank")


@pytest.mark.parametrize("algorithm", with_slow(["pathfinder", "fullrank"], "pathfinder", "fullrank"))
def test_resampled_draws_agree_with_nuts(sampled, algorithm):
    """Group effects too: those of the normal model are drawn exactly after the approximation of the others."""
    fit = fitted(sampled.family.name, algorithm, control=RESAMPLED)
    assert fit.approximation.k_hat < 0.9
    assert (fit.nchains, fit.ndraws) == (1, 1000)
    names = [name for name in fit.variables() if name not in ("lp__", "lprior")]
    assert names == [name for name in sampled.variables() if name not in ("lp__", "lprior")]
    found, expected = fit.posterior_summary(names), sampled.posterior_summary(names)
    shift = (found["Estimate"] - expected["Estimate"]) / expected["Est.Error"]
    # 1000 draws chosen from 10 000 by weights whose tail is heavy; the means of NUTS are as good as exact.
    assert shift.abs().max() < 0.25
    assert (found["Est.Error"] / expected["Est.Error"] - 1).abs().max() < 0.25


@pytest.mark.parametrize("algorithm", with_slow(ALGORITHMS, "meanfield"))
def test_everything_that_is_asked_of_a_fit(algorithm, tmp_path):
    fit = fitted("gaussian", algorithm, output_samples=200)
    assert fit.posterior_epred().shape == fit.posterior_predict().shape == (200, len(DATA))
    assert fit.posterior_predict(DATA.iloc[:3].assign(g="new"), allow_new_levels=True).shape == (200, 3)
    assert set(fit.idata.sample_stats.data_vars) == {"lp", "lq"}
    assert fit.hypothesis("x > 0").table["Post.Prob"].iloc[0] > 0.99
    assert len(fit.conditional_effects("x")["x"]) == 100
    assert "fullrank fit" in str(bm.model_table({"fullrank fit": fit}))
    assert fit.coef().shape[0] == 24
    assert np.isnan(fit.rhat("b_x").iloc[0])
    assert len(fit.log_posterior()) == 200
    with pytest.raises(bm.BayesmlmError, match=r"fit\.approximation"):
        fit.nuts_params()
    fit.save(tmp_path / "fit")
    again = bm.load(tmp_path / "fit")
    assert again.approximation == fit.approximation
    assert str(again) == str(fit)
    assert again.update(". ~ . - x", progress=False).approximation.algorithm == algorithm


def test_summary_says_where_the_draws_come_from(fit):
    text = str(fit)
    assert "  Draws: 1 chains, each with iter = 1000; warmup = 0; thin = 1;\n" in text
    assert "\nDraws were sampled using variational(fullrank). Pareto k-hat is " in text
    assert "Rhat" not in text
    assert list(fit.summary().fixed) == ["Estimate", "Est.Error", "l-95% CI", "u-95% CI"]
    assert "variational(fullrank)" in fit._repr_html_()


@pytest.mark.validate
def test_loo_corrects_for_the_approximation():
    """Pathfinder's draws are too narrow and off their place; by the ratios of densities they give NUTS's value."""
    expected = fitted("poisson", iter=6000).loo().estimates["Estimate"]
    fit = fitted("poisson", "pathfinder", output_samples=20_000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "observations? ha")
        found = fit.loo().estimates["Estimate"]
        as_they_are = loo(LogLikelihood.of_array(fit.log_lik()[None])).estimates["Estimate"]
    # In 20 000 draws of either, elpd_loo varies by about 0.07.
    assert found["elpd_loo"] == pytest.approx(expected["elpd_loo"], abs=0.3)
    assert found["p_loo"] == pytest.approx(expected["p_loo"], abs=0.3)
    assert as_they_are["elpd_loo"] - expected["elpd_loo"] > 0.5
    with pytest.raises(bm.BayesmlmError, match="moment_match=True needs draws from the posterior"):
        fit.loo(moment_match=True)


def test_what_cannot_be_trusted_warns():
    """Two rows for each of forty groups: the effects' scale and the effects bend the posterior into a funnel."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.binomial(1, 0.5, 80), "g": np.repeat(np.arange(40), 2)})
    priors = [bm.set_prior("student_t(1, 0, 5)", class_="sd")]
    with pytest.warns(bm.ConvergenceWarning, match="do not trust"):
        fit = bm.brm(
            "y ~ 1 + (1 | g)", data, "bernoulli", priors, algorithm="meanfield", seed=2, progress=False
        )
    assert not fit.approximation.trusted
    with pytest.warns(bm.BayesmlmWarning, match="elpd_loo is not reliable"):
        fit.loo()


def test_too_few_steps_warn():
    with pytest.warns(bm.ConvergenceWarning, match="had not converged after 100 steps"):
        bm.brm(MODELS["gaussian"], DATA, algorithm="meanfield", iter=100, seed=1, progress=False)


def test_a_file_is_used_again_for_the_same_algorithm_only(tmp_path):
    arguments = {"file": tmp_path / "fit", "file_refit": "on_change"}
    first = fitted("gaussian", "pathfinder", **arguments)
    same = fitted("gaussian", "pathfinder", **{**arguments, "seed": 5})
    pd.testing.assert_frame_equal(first.as_draws_df(), same.as_draws_df())
    other = fitted("gaussian", "fullrank", **arguments)
    assert other.approximation.algorithm == "fullrank"


@pytest.mark.validate
def test_nuts_is_another_name_of_sampling():
    short = {"iter": 100, "chains": 1}
    one, two = (fitted("gaussian", name, **short) for name in ("nuts", "sampling"))
    pd.testing.assert_frame_equal(one.as_draws_df(), two.as_draws_df())
    assert one.approximation is None
    assert one.settings.algorithm == "sampling"


def test_nuts_from_a_laplace_start_samples_the_same_posterior(sampled):
    fit = fitted(sampled.family.name, init="laplace")
    found, expected = fit.posterior_summary(), sampled.posterior_summary()
    error = expected["Est.Error"] * np.sqrt(1 / found["Bulk_ESS"] + 1 / expected["Bulk_ESS"])
    assert (abs(found["Estimate"] - expected["Estimate"]) < 5 * error).all()
    assert (found["Rhat"] < 1.02).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"algorithm": "vb"}, 'Algorithms: "sampling"'),
        ({"algorithm": "fixed_param"}, "draws nothing"),
        ({"algorithm": "pathfinder", "checkpoint": "folder"}, "keeps no checkpoints"),
        ({"algorithm": "pathfinder", "output_samples": 0}, "output_samples must be at least 1"),
        ({"algorithm": "pathfinder", "output_samples": 2.5}, "output_samples must be a whole number"),
        ({"algorithm": "fullrank", "control": {"importance_resampling": "yes"}}, "must be True or False"),
        ({"init": "mode"}, '"laplace"'),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(bm.BayesmlmError, match=words):
        fitted("gaussian", **{"algorithm": "sampling", **arguments})


def test_a_model_without_parameters_is_refused():
    priors = [bm.set_prior("constant(0)", class_="Intercept"), bm.set_prior("constant(1)", class_="sigma")]
    with pytest.raises(bm.SamplingError, match="nothing to sample"):
        bm.brm("y ~ 1", DATA, prior=priors, algorithm="meanfield", seed=1, progress=False)


def test_controls_of_another_algorithm_are_ignored_with_a_word(capsys):
    fitted("gaussian", "pathfinder", control={"adapt_delta": 0.9}, output_samples=50)
    assert (
        'control argument `adapt_delta` has no meaning for algorithm="pathfinder"' in capsys.readouterr().err
    )
