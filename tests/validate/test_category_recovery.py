"""Parameters of the families of categories, counts and shares, found again by short fits of simulated data with group
effects on every category's predictor, correlated across them.

Responses are drawn by NumPy. An estimate may lie four posterior standard deviations from the truth: with five to ten
parameters in each of seven fits, a false alarm somewhere has odds of about 1 in 300; the seeds are fixed, so it comes
once or never. Run by ``make validate``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

pytestmark = pytest.mark.validate

GROUPS, EACH = 25, 12
TRUTH = {"b_mub_Intercept": 0.5, "b_mub_x": 0.8, "b_muc_Intercept": -0.4, "b_muc_x": -0.5}
SPREADS = {"sd_g__mub_Intercept": 0.8, "sd_g__muc_Intercept": 0.6}
CORRELATION = 0.5
TRIALS, PHI = 12, 9.0
SIGMA, LNCOR = (0.5, 0.8), -0.4


def predictors(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, group, and the linear predictors (rows, 3) of a, b and c, the first of which is 0. Effects are standardised
    exactly, so that the truth does not depend on which were drawn."""
    g, x = np.repeat(np.arange(GROUPS), EACH), rng.normal(size=GROUPS * EACH)
    x -= x.mean()
    raw = rng.normal(size=(GROUPS, 2))
    raw -= raw.mean(axis=0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / GROUPS)).T
    factor = np.linalg.cholesky(np.array([[1, CORRELATION], [CORRELATION, 1]]))
    effects = raw @ factor.T * list(SPREADS.values())
    b = TRUTH["b_mub_Intercept"] + TRUTH["b_mub_x"] * x + effects[g, 0]
    c = TRUTH["b_muc_Intercept"] + TRUTH["b_muc_x"] * x + effects[g, 1]
    return x, g, np.column_stack([np.zeros_like(x), b, c])


def drawn(name: str, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    if name == "categorical":
        return np.array([rng.choice(["a", "b", "c"], p=row) for row in p])
    if name == "multinomial":
        return np.array([rng.multinomial(TRIALS, row) for row in p])
    if name == "dirichlet_multinomial":
        return np.array([rng.multinomial(TRIALS, rng.dirichlet(PHI * row)) for row in p])
    if name == "dirichlet":
        return np.array([rng.dirichlet(PHI * row) for row in p])
    if name == "dirichlet2":
        return np.array([rng.dirichlet(np.exp(row + np.array([1.0, 0.0, 0.0]))) for row in eta])
    covariance = np.outer(SIGMA, SIGMA) * [[1, LNCOR], [LNCOR, 1]]
    ratios = eta[:, 1:] + rng.multivariate_normal([0, 0], covariance, len(eta))
    shares = np.exp(np.column_stack([np.zeros(len(eta)), ratios]))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "further"),
    [
        ("categorical", {}),
        ("multinomial", {}),
        ("dirichlet_multinomial", {"phi": PHI}),
        ("dirichlet", {"phi": PHI}),
        ("dirichlet2", {"b_mua_Intercept": 1.0}),
        ("logistic_normal", {"sigmab": SIGMA[0], "sigmac": SIGMA[1], "lncor__b__c": LNCOR}),
    ],
)
def test_parameters_are_found_again(name: str, further: dict[str, float]) -> None:
    rng = np.random.default_rng(21)
    x, g, eta = predictors(rng)
    y = drawn(name, eta, rng)
    data = pd.DataFrame({"x": x, "g": g, "n": TRIALS})
    right = "x + (1 |i| g)"
    if name == "categorical":
        formula, data = f"y ~ {right}", data.assign(y=y)
    else:
        trials = " | trials(n)" if "multinomial" in name else ""
        formula = f"cbind(a, b, c){trials} ~ {right}"
        data = data.assign(**dict(zip("abc", y.T, strict=True)))
    model = bm.bf(formula, "mua ~ 1") if name == "dirichlet2" else formula
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(model, data, name, chains=2, iter=1200, seed=5, progress=False)
    cor = "cor_g__mub_Intercept__muc_Intercept"
    table = fit.posterior_summary([*TRUTH, *SPREADS, cor, *further])
    truth = np.array([*TRUTH.values(), *SPREADS.values(), CORRELATION, *further.values()])
    distance = (table["Estimate"] - truth) / table["Est.Error"]
    # The intercepts' own spread contains that of the groups' mean, which is exactly zero here.
    assert (distance.abs() < 4).all(), distance.to_dict()
    assert (table["Rhat"] < 1.05).all()
    new = fit.posterior_epred({"x": [0.0, 1.0], "g": [3, 99], "n": [TRIALS] * 2}, allow_new_levels=True)
    assert new.shape == (fit.ndraws, 2, 3)
    total = TRIALS if "multinomial" in name else 1
    np.testing.assert_allclose(new.sum(axis=2), total, rtol=1e-9)


def test_every_category_predicted_is_identified_by_priors_alone() -> None:
    """Without a reference only differences of predictors are in the likelihood: they agree with the reference's fit."""
    rng = np.random.default_rng(22)
    x, _, eta = predictors(rng)
    data = pd.DataFrame({"x": x, "y": drawn("categorical", eta, rng)})
    priors = bm.set_prior("normal(0, 5)", class_="b") + bm.set_prior("normal(0, 5)", class_="Intercept")
    fits = [
        bm.brm(
            "y ~ x",
            data,
            bm.brmsfamily("categorical", refcat=r),
            priors,
            iter=2000,
            chains=2,
            seed=6,
            progress=False,
        )
        for r in (None, "NA")
    ]
    means = [fit.posterior_epred() for fit in fits]
    for a, b in zip(np.moveaxis(means[0], 2, 0), np.moveaxis(means[1], 2, 0), strict=True):
        # Priors of differences are wider by sqrt(2), which 300 rows hardly see.
        assert np.abs(a.mean(axis=0) - b.mean(axis=0)).max() < 0.25 * a.std(axis=0).max()
