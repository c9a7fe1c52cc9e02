"""Parameters of the ordinal families, found again by short fits of simulated data with group effects.

Responses are drawn by NumPy from the definitions. An estimate may lie four posterior standard deviations from the
truth: with six parameters in each of ten fits, a false alarm somewhere has odds of about 1 in 250; the seeds are fixed,
so it comes once or never. Run by ``make validate``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmlm as bm

pytestmark = pytest.mark.validate

GROUPS, EACH = 30, 14
THRESHOLDS = np.array([-1.2, 0.1, 1.4])
SLOPE, SPREAD, HU, DISC = 0.8, 0.7, 0.25, 0.4
INVERSE = {
    "logit": lambda x: 1 / (1 + np.exp(-x)),
    "probit": stats.norm.cdf,
    "cloglog": lambda x: -np.expm1(-np.exp(x)),
    "cauchit": stats.cauchy.cdf,
}


def probabilities(family: str, link: str, x: np.ndarray) -> np.ndarray:
    """(rows, K) from disc (thresholds - eta), (rows, K - 1): the definitions."""
    F = INVERSE[link]
    if family in ("cumulative", "hurdle_cumulative"):
        up_to = np.column_stack([np.zeros(len(x)), F(x), np.ones(len(x))])
        return np.diff(up_to, axis=1)
    if family == "acat":
        up, stay = F(-x), 1 - F(-x)
        weights = [np.prod(up[:, :k], axis=1) * np.prod(stay[:, k:], axis=1) for k in range(x.shape[1] + 1)]
        return np.column_stack(weights) / np.sum(weights, axis=0)[:, None]
    stop = F(x) if family == "sratio" else 1 - F(-x)
    left = np.column_stack([np.ones(len(x)), np.cumprod(1 - stop, axis=1)])
    return np.column_stack([left[:, :-1] * stop, left[:, -1]])


def simulated(family: str, link: str, seed: int, *, disc: bool = False) -> pd.DataFrame:
    """x, z, group g and y. Effects and x are standardised exactly, so that the truth does not depend on the draw."""
    rng = np.random.default_rng(seed)
    g, x, z = (
        np.repeat(np.arange(GROUPS), EACH),
        rng.normal(size=GROUPS * EACH),
        rng.integers(0, 2, GROUPS * EACH),
    )
    effects = rng.normal(size=GROUPS)
    effects = SPREAD * (effects - effects.mean()) / effects.std()
    eta = SLOPE * (x - x.mean()) + effects[g]
    scale = np.exp(DISC * z) if disc else np.ones(len(x))
    chances = probabilities(family, link, scale[:, None] * (THRESHOLDS - eta[:, None]))
    y = 1 + (rng.uniform(size=len(x))[:, None] > np.cumsum(chances, axis=1)[:, :-1]).sum(axis=1)
    if family == "hurdle_cumulative":
        y = np.where(rng.uniform(size=len(x)) < HU, 0, y)
    return pd.DataFrame({"x": x - x.mean(), "z": z, "g": g, "y": y})


CASES = [
    ("cumulative", "logit", "flexible"),
    ("cumulative", "probit", "flexible"),
    ("cumulative", "cloglog", "equidistant"),
    ("sratio", "logit", "flexible"),
    ("cratio", "cloglog", "flexible"),
    ("acat", "logit", "flexible"),
    ("acat", "cauchit", "equidistant"),
    ("hurdle_cumulative", "logit", "flexible"),
]


def found_again(fit: bm.BayesFit, truth: dict[str, float]) -> list[str]:
    table = fit.posterior_summary(list(truth))
    assert (table["Rhat"] < 1.05).all()
    error = (table["Estimate"] - pd.Series(truth)) / table["Est.Error"]
    return [f"{name}: {value:.1f} sd" for name, value in error.items() if abs(value) > 4]


def quick(formula: object, data: pd.DataFrame, family: str) -> bm.BayesFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm(formula, data, family, seed=1, chains=2, iter=1000, progress=False)


@pytest.mark.parametrize(("family", "link", "threshold"), CASES)
def test_family_is_recovered(family: str, link: str, threshold: str) -> None:
    data = simulated(family, link, seed=CASES.index((family, link, threshold)))
    fit = quick("y ~ x + (1 | g)", data, f"{family}('{link}', threshold = '{threshold}')")
    truth = {f"b_Intercept[{k + 1}]": tau for k, tau in enumerate(THRESHOLDS)}
    truth |= {"b_x": SLOPE, "sd_g__Intercept": SPREAD}
    if threshold == "equidistant":
        truth["delta"] = float(np.diff(THRESHOLDS)[0])
    if family == "hurdle_cumulative":
        truth["hu"] = HU
    assert found_again(fit, truth) == []


def test_discrimination_is_recovered() -> None:
    data = simulated("cumulative", "probit", 20, disc=True)
    fit = quick(bm.bf("y ~ x + (1 | g)", "disc ~ 0 + z"), data, "cumulative('probit')")
    assert found_again(fit, {"b_disc_z": DISC, "b_x": SLOPE, "sd_g__Intercept": SPREAD}) == []


def test_groups_of_thresholds_are_recovered() -> None:
    data = pd.concat([simulated("sratio", "logit", 31), simulated("sratio", "logit", 32)], ignore_index=True)
    data["g"] += GROUPS * (np.arange(len(data)) >= len(data) // 2)
    data["item"] = np.where(np.arange(len(data)) < len(data) // 2, "easy", "hard")
    # The hard item has two categories put together.
    data["y"] = np.where(data["item"] == "hard", np.minimum(data["y"], 3), data["y"])
    data["k"] = np.where(data["item"] == "hard", 2, 3)
    fit = quick("y | thres(k, gr = item) ~ x + (1 | g)", data, "sratio")
    truth = {f"b_Intercept[easy,{k + 1}]": tau for k, tau in enumerate(THRESHOLDS)}
    truth |= {f"b_Intercept[hard,{k + 1}]": tau for k, tau in enumerate(THRESHOLDS[:2])}
    assert found_again(fit, {**truth, "b_x": SLOPE, "sd_g__Intercept": SPREAD}) == []
