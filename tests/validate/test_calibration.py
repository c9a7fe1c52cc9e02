"""Simulation-based calibration: over data simulated from the prior, the true values' ranks among the posterior draws
are uniform exactly when the draws come from the posterior (Talts, Betancourt, Simpson, Vehtari and Gelman, 2018,
"Validating Bayesian inference algorithms with simulation-based calibration"). The log-likelihood is ranked too: it
sees errors that leave each parameter's marginal ranks uniform (Modrák et al., 2023, Bayesian Analysis).

Parameters and responses are drawn by NumPy and SciPy, not by the package. Run by ``make validate``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmlm as bm

pytestmark = pytest.mark.validate

REPLICATIONS = 120
DRAWS = 119  # so that there are 120 ranks, in BINS of 10 each
THIN = 8  # leaves hardly any autocorrelation: draws must be independent for the ranks to be uniform
BINS = 12
LEVEL = 1e-3  # odds of a false alarm in the whole file; the seeds are fixed, so it comes once or never

GROUPS, EACH = 10, 6
RNG = np.random.default_rng(5)
X = RNG.normal(1, 1, GROUPS * EACH)
CODES = np.repeat(np.arange(GROUPS), EACH)
prior = bm.set_prior


def gaussian_slopes(rng):
    """y ~ x + (x | g): priors on the centred intercept, both spreads, their correlation (LKJ(2)) and sigma."""
    truth = {
        "Intercept": rng.normal(2, 1),
        "b_x": rng.normal(0, 1),
        "sd_g__Intercept": abs(rng.normal(0, 1)),
        "sd_g__x": rng.exponential(0.5),
        "cor_g__Intercept__x": 2 * rng.beta(2, 2) - 1,
        "sigma": rng.gamma(4, 0.25),
    }
    sds = np.array([truth["sd_g__Intercept"], truth["sd_g__x"]])
    rho = truth["cor_g__Intercept__x"]
    covariance = np.outer(sds, sds) * [[1, rho], [rho, 1]]
    r = rng.multivariate_normal([0, 0], covariance, GROUPS)
    eta = truth["Intercept"] + truth["b_x"] * (X - X.mean()) + r[CODES, 0] + r[CODES, 1] * X
    law = stats.norm(eta, truth["sigma"])
    return {**truth, "r_g[c,x]": r[2, 1]}, law


def poisson_intercepts(rng):
    """y ~ x + (1 | g) with the log link."""
    truth = {
        "Intercept": rng.normal(1, 0.7),
        "b_x": rng.normal(0, 0.5),
        "sd_g__Intercept": rng.exponential(0.5),
    }
    r = rng.normal(0, truth["sd_g__Intercept"], GROUPS)
    law = stats.poisson(np.exp(truth["Intercept"] + truth["b_x"] * (X - X.mean()) + r[CODES]))
    return {**truth, "r_g[c,Intercept]": r[2]}, law


MODELS = {
    "gaussian": (
        gaussian_slopes,
        "y ~ x + (x | g)",
        prior("normal(2, 1)", class_="Intercept")
        + prior("normal(0, 1)", class_="b")
        + prior("normal(0, 1)", class_="sd", coef="Intercept", group="g")
        + prior("exponential(2)", class_="sd", coef="x", group="g")
        + prior("lkj(2)", class_="cor")
        + prior("gamma(4, 4)", class_="sigma"),
    ),
    "poisson": (
        poisson_intercepts,
        "y ~ x + (1 | g)",
        prior("normal(1, 0.7)", class_="Intercept")
        + prior("normal(0, 0.5)", class_="b")
        + prior("exponential(2)", class_="sd"),
    ),
}


def ranks(family, seed):
    """How many of the draws lie below the true value: one number for each quantity, from 0 to DRAWS."""
    simulate, formula, priors = MODELS[family]
    rng = np.random.default_rng([seed, 1])
    truth, law = simulate(rng)
    y = law.rvs(random_state=rng)
    density = law.logpdf(y) if family == "gaussian" else law.logpmf(y)
    data = pd.DataFrame({"y": y, "x": X, "g": np.array(list("abcdefghij"))[CODES]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        fit = bm.brm(
            formula,
            data=data,
            family=family,
            prior=priors,
            seed=seed,
            chains=1,
            iter=700 + DRAWS * THIN,
            warmup=700,
            thin=THIN,
            progress=False,
            control={"adapt_delta": 0.95},
        )
    draws = fit.as_draws_df(list(truth))
    below = {name: int((draws[name] < value).sum()) for name, value in truth.items()}
    return {**below, "log_lik": int((fit.log_lik().sum(axis=1) < density.sum()).sum())}


@pytest.mark.parametrize("family", MODELS)
def test_ranks_of_the_true_values_are_uniform(family):
    table = pd.DataFrame([ranks(family, seed) for seed in range(REPLICATIONS)])
    counts = {
        name: np.bincount(column * BINS // (DRAWS + 1), minlength=BINS) for name, column in table.items()
    }
    p_values = {name: stats.chisquare(count).pvalue for name, count in counts.items()}
    threshold = LEVEL / (len(MODELS) * len(p_values))
    assert {name: p for name, p in p_values.items() if p < threshold} == {}, counts
