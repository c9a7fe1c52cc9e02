"""Parameters of the families of real-valued responses, found again by short fits of simulated data with a group effect.

An estimate may lie four posterior standard deviations from the truth: with four to six parameters in each of seven
fits, a false alarm somewhere has odds of about 1 in 400; the seeds are fixed, so it comes once or never. Run by
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

GROUPS, EACH = 12, 20
TRUTH = {
    "skew_normal": {"Intercept": 1.0, "x": 0.5, "sd": 0.6, "sigma": 1.2, "alpha": 4.0},
    "skew_t": {"Intercept": 1.0, "x": 0.5, "sd": 0.6, "sigma": 1.2, "alpha": 3.0, "nu": 5.0},
    "exgaussian": {"Intercept": 1.0, "x": 0.5, "sd": 0.6, "sigma": 0.5, "beta": 1.0},
    "gen_extreme_value": {"Intercept": 1.0, "x": 0.5, "sd": 0.6, "sigma": 0.8, "xi": 0.2},
    "asym_laplace": {"Intercept": 1.0, "x": 0.5, "sd": 0.6, "sigma": 0.4, "quantile": 0.3},
    "zero_inflated_asym_laplace": {
        "Intercept": 1.0,
        "x": 0.5,
        "sd": 0.6,
        "sigma": 0.4,
        "quantile": 0.3,
        "zi": 0.2,
    },
    "von_mises": {"Intercept": 0.3, "x": 0.3, "sd": 0.3, "kappa": 4.0},
}


def simulated(name: str, seed: int) -> pd.DataFrame:
    """240 rows of 12 groups; draws by the family's own sampler, which has tests of its own."""
    rng, truth = np.random.default_rng(seed), TRUTH[name]
    group, x = np.repeat(np.arange(GROUPS), EACH), rng.normal(size=GROUPS * EACH)
    effects = rng.normal(size=GROUPS)
    effects = truth["sd"] * (effects - effects.mean()) / effects.std()
    x -= x.mean()
    mu = LINKS[FAMILIES[name].link("mu")].inverse(truth["Intercept"] + truth["x"] * x + effects[group])
    further = {k: v for k, v in truth.items() if k not in ("Intercept", "x", "sd")}
    with jax.enable_x64(True):
        p = {"mu": jnp.asarray(mu), **{k: jnp.asarray(v) for k, v in further.items()}}
        y = FAMILIES[name].sample(jax.random.key(seed), p, {})
    return pd.DataFrame({"y": np.asarray(y), "x": x, "g": group})


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_are_found_again(name: str) -> None:
    truth = TRUTH[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            "y ~ x + (1 | g)",
            data=simulated(name, seed=7),
            family=name,
            chains=1,
            iter=700,
            warmup=350,
            seed=2,
        )
    draws = fit.as_draws_df()
    names = {"Intercept": "b_Intercept", "x": "b_x", "sd": "sd_g__Intercept"}
    for parameter, value in truth.items():
        draw = draws[names.get(parameter, parameter)]
        assert abs(draw.mean() - value) < 4 * draw.std(), (parameter, draw.mean(), draw.std())


def test_a_fixed_quantile_is_that_of_the_response() -> None:
    """With the quantile fixed, mu is the lower quartile of the response whatever its distribution."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=600)
    data = pd.DataFrame({"y": 2 + x + rng.exponential(size=600), "x": x})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            bm.bf("y ~ x", quantile=0.25),
            data=data,
            family="asym_laplace",
            chains=1,
            iter=600,
            warmup=300,
            seed=2,
        )
    draws = fit.as_draws_df()
    # Standard error of a quartile of n exponential variables: sqrt(p (1 - p) / n) / density = 0.024.
    assert draws["b_Intercept"].mean() == pytest.approx(2 - np.log(0.75), abs=4 * 0.024)
    assert draws["b_x"].mean() == pytest.approx(1.0, abs=4 * 0.024)
