"""Parameters of the families of positive responses, found again by short fits of simulated data with a group effect.

An estimate may lie four posterior standard deviations from the truth: with four to seven parameters in each of eight
fits, a false alarm somewhere has odds of about 1 in 300; the seeds are fixed, so it comes once or never. Run by
``make validate``.
"""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.families.reaction_times import draw_times_and_decisions

pytestmark = pytest.mark.validate

GROUPS, EACH = 12, 20
TRUTH = {
    "weibull": {"Intercept": 0.5, "x": 0.4, "sd": 0.5, "shape": 1.7},
    "frechet": {"Intercept": 0.5, "x": 0.4, "sd": 0.5, "nu": 3.0},
    "shifted_lognormal": {"Intercept": -0.7, "x": 0.3, "sd": 0.3, "sigma": 0.5, "ndt": 0.2},
    "wiener": {"Intercept": 0.6, "x": 0.7, "sd": 0.4, "bs": 1.6, "ndt": 0.25, "bias": 0.45},
    "hurdle_gamma": {"Intercept": 0.5, "x": 0.4, "sd": 0.5, "shape": 2.0, "hu": 0.25},
    "hurdle_lognormal": {"Intercept": 0.5, "x": 0.4, "sd": 0.5, "sigma": 0.7, "hu": 0.25},
    "tweedie": {"Intercept": 0.5, "x": 0.4, "sd": 0.5, "phi": 1.2, "power": 1.4},
}


def simulated(name: str, seed: int) -> pd.DataFrame:
    """240 rows of 12 groups; draws by the family's own sampler, which has tests of its own."""
    rng, truth = np.random.default_rng(seed), TRUTH[name]
    group, x = np.repeat(np.arange(GROUPS), EACH), rng.normal(size=GROUPS * EACH)
    effects = rng.normal(size=GROUPS)
    effects = truth["sd"] * (effects - effects.mean()) / effects.std()
    eta = truth["Intercept"] + truth["x"] * (x - x.mean()) + effects[group]
    mean = np.exp(eta) if FAMILIES[name].link("mu") == "log" else eta
    further = {k: v for k, v in truth.items() if k not in ("Intercept", "x", "sd")}
    with jax.enable_x64(True):
        p = {"mu": jnp.asarray(mean), **{k: jnp.asarray(v) for k, v in further.items()}}
        if name == "wiener":
            y, decision = draw_times_and_decisions(jax.random.key(seed), p, {})
        else:
            y, decision = FAMILIES[name].sample(jax.random.key(seed), p, {}), jnp.zeros(len(x))
    data = {"y": np.asarray(y), "decision": np.asarray(decision, dtype=float), "x": x - x.mean(), "g": group}
    return pd.DataFrame(data)


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_are_found_again(name: str) -> None:
    data = simulated(name, seed=7)
    left = "y | dec(decision)" if name == "wiener" else "y"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            f"{left} ~ x + (1 | g)",
            data=data,
            family=name,
            chains=2,
            iter=800,
            seed=3,
            cores=1,
            progress=False,
        )
    _compare(fit, TRUTH[name])
    predicted = fit.posterior_predict(ndraws=50)
    assert predicted.shape == (50, len(data))
    assert np.isfinite(predicted).all()


def test_predicted_non_decision_time_is_found_again() -> None:
    """Its bound is then a matter of the density, which is minus infinity for ndt above a response."""
    truth = {**TRUTH["shifted_lognormal"], "ndt_Intercept": -1.6, "ndt_x": 0.2}
    data = simulated("shifted_lognormal", seed=8)
    data["y"] += np.exp(truth["ndt_Intercept"] + truth["ndt_x"] * data["x"]) - truth.pop("ndt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            bm.bf("y ~ x + (1 | g)", "ndt ~ x"),
            data=data,
            family="shifted_lognormal",
            chains=2,
            iter=800,
            seed=3,
            cores=1,
            progress=False,
        )
    _compare(fit, truth)


def _compare(fit: bm.BayesFit, truth: dict[str, float]) -> None:
    names = {"Intercept": "b_Intercept", "x": "b_x", "sd": "sd_g__Intercept"}
    names |= {"ndt_Intercept": "b_ndt_Intercept", "ndt_x": "b_ndt_x"}
    draws = fit.as_draws_df([names.get(name, name) for name in truth])
    for name, value in truth.items():
        values = draws[names.get(name, name)].to_numpy()
        assert abs(values.mean() - value) < 4 * values.std(), (name, value, values.mean(), values.std())
