"""Parameters of the families of counts and proportions, found again by short fits of simulated data with a group
effect.

An estimate may lie four posterior standard deviations from the truth: with three to six parameters in each of twelve
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
from bayesmlm.families.links import LINKS

pytestmark = pytest.mark.validate

GROUPS, EACH, TRIALS = 10, 20, 12
TRUTH = {
    "negbinomial2": {"Intercept": 1.2, "x": 0.4, "sd": 0.5, "sigma": 0.6},
    "discrete_weibull": {"Intercept": 1.0, "x": 0.5, "sd": 0.5, "shape": 1.4},
    "com_poisson": {"Intercept": 1.2, "x": 0.3, "sd": 0.4, "shape": 2.0},
    "generalised_poisson": {"Intercept": 1.2, "x": 0.4, "sd": 0.5, "phi": 2.0},
    "bell": {"Intercept": 1.2, "x": 0.4, "sd": 0.5},
    "truncated_poisson": {"Intercept": 0.7, "x": 0.4, "sd": 0.5},
    "truncated_negbinomial": {"Intercept": 1.2, "x": 0.4, "sd": 0.5, "shape": 2.0},
    "zero_inflated_beta_binomial": {"Intercept": 0.3, "x": 0.5, "sd": 0.5, "phi": 5.0, "zi": 0.2},
    "zero_inflated_beta": {"Intercept": 0.3, "x": 0.5, "sd": 0.5, "phi": 5.0, "zi": 0.2},
    "zero_one_inflated_beta": {"Intercept": 0.3, "x": 0.5, "sd": 0.5, "phi": 5.0, "zoi": 0.3, "coi": 0.6},
    "xbeta": {"Intercept": 0.3, "x": 0.5, "sd": 0.5, "phi": 3.0, "kappa": 0.2},
    "ordered_beta": {"Intercept": 0.3, "x": 0.5, "sd": 0.5, "phi": 5.0, "cutzero": -1.5, "cutdelta": 3.0},
}


def simulated(name: str, seed: int) -> pd.DataFrame:
    """200 rows of 10 groups; draws by the family's own sampler, which has tests of its own."""
    rng, truth, family = np.random.default_rng(seed), TRUTH[name], FAMILIES[name]
    group, x = np.repeat(np.arange(GROUPS), EACH), rng.normal(size=GROUPS * EACH)
    effects = rng.normal(size=GROUPS)
    effects = truth["sd"] * (effects - effects.mean()) / effects.std()
    eta = truth["Intercept"] + truth["x"] * (x - x.mean()) + effects[group]
    with jax.enable_x64(True):
        p = {k: jnp.asarray(v) for k, v in truth.items() if k not in ("Intercept", "x", "sd")}
        p |= {"eta": jnp.asarray(eta), "mu": LINKS[family.link("mu")].inverse(jnp.asarray(eta))}
        extra = {"trials": jnp.full(len(x), float(TRIALS))} if "trials" in family.required_additions else {}
        y = family.sample(jax.random.key(seed), p, extra)
    return pd.DataFrame({"y": np.asarray(y), "n": TRIALS, "x": x - x.mean(), "g": group})


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_are_found_again(name: str) -> None:
    data, truth = simulated(name, seed=11), TRUTH[name]
    left = "y | trials(n)" if "trials" in FAMILIES[name].required_additions else "y"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            f"{left} ~ x + (1 | g)",
            data=data,
            family=name,
            chains=1,
            iter=700,
            warmup=350,
            seed=3,
            cores=1,
            progress=False,
        )
    names = {"Intercept": "b_Intercept", "x": "b_x", "sd": "sd_g__Intercept"}
    draws = fit.as_draws_df([names.get(key, key) for key in truth])
    for key, value in truth.items():
        values = draws[names.get(key, key)].to_numpy()
        assert abs(values.mean() - value) < 4 * values.std(), (key, value, values.mean(), values.std())
    predicted = fit.posterior_predict(ndraws=20)
    assert predicted.shape == (20, len(data))
    assert np.isfinite(predicted).all()
