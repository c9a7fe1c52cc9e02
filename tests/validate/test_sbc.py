"""Simulation-based calibration of one model or more of every kind of family, by the public `sbc`.

Ranks of every parameter and of the log-likelihood are uniform, or the test fails: with the odds `LEVEL` for all of the
file if the samplers are right (the seeds are fixed, so it fails once or never). Parameters and responses are drawn by
the package's own priors and families, whose draws tests/families and tests/priors hold against other sources.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

pytestmark = pytest.mark.validate

REPLICATIONS = 128
LEVEL = 1e-3

GROUPS, EACH = 8, 6
ROWS = GROUPS * EACH
RNG = np.random.default_rng(5)
prior = bm.set_prior


def data(y: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"y": y, "x": RNG.normal(1, 1, ROWS), "g": np.repeat(list("abcdefgh"), EACH), "n": 7, "a": 0.4}
    )


COUNTS = data(RNG.poisson(3, ROWS))
REAL = data(RNG.normal(size=ROWS))
POSITIVE = data(RNG.exponential(size=ROWS))
UNIT = data(RNG.uniform(0.1, 0.9, ROWS))
BINARY = data(RNG.integers(0, 2, ROWS))
FOUR = data(np.resize([1, 2, 3, 4], ROWS))
THREE = data(np.resize(["p", "q", "r"], ROWS))
PARTS = UNIT.assign(u=lambda d: d["y"] / 2, v=lambda d: d["y"] / 3, w=lambda d: 1 - d["u"] - d["v"])

USUAL = prior("normal(0.5, 0.7)", class_="Intercept") + prior("normal(0, 0.5)", class_="b")
SPREAD = prior("exponential(2)", class_="sd")

MODELS = {
    "skew_normal": (
        "y ~ x + (1 | g)",
        REAL,
        "skew_normal",
        USUAL + SPREAD + prior("gamma(4, 4)", class_="sigma") + prior("normal(0, 2)", class_="alpha"),
    ),
    "student": (
        "y ~ x + (1 | g)",
        REAL,
        "student",
        USUAL + SPREAD + prior("gamma(4, 4)", class_="sigma") + prior("gamma(4, 0.5)", class_="nu"),
    ),
    "weibull": (
        "y ~ x + (1 | g)",
        POSITIVE,
        "weibull",
        USUAL + SPREAD + prior("gamma(6, 4)", class_="shape"),
    ),
    "negbinomial": (
        "y ~ x + (1 | g)",
        COUNTS,
        "negbinomial",
        USUAL + SPREAD + prior("gamma(4, 2)", class_="shape"),
    ),
    "zero_inflated_poisson": (
        bm.bf("y ~ x + (1 | g)", "zi ~ x"),
        COUNTS,
        "zero_inflated_poisson",
        USUAL
        + SPREAD
        + prior("normal(-1, 0.7)", class_="Intercept", dpar="zi")
        + prior("normal(0, 0.5)", class_="b", dpar="zi"),
    ),
    "truncated counts": (
        "y | trunc(lb = 0, ub = 12) ~ x",
        COUNTS.assign(y=np.minimum(COUNTS["y"], 12)),
        "poisson",
        USUAL,
    ),
    "bernoulli": ("y ~ x + (1 | g)", BINARY, "bernoulli", USUAL + SPREAD),
    "beta_binomial": (
        "y | trials(n) ~ x",
        COUNTS.assign(y=np.minimum(COUNTS["y"], 7)),
        "beta_binomial",
        USUAL + prior("gamma(4, 0.5)", class_="phi"),
    ),
    # Tight enough that no share is rounded to 0 or 1.
    "beta": (
        "y ~ x + (1 | g)",
        UNIT,
        "beta",
        prior("normal(0, 0.5)", class_="Intercept")
        + prior("normal(0, 0.3)", class_="b")
        + prior("exponential(5)", class_="sd")
        + prior("gamma(40, 2)", class_="phi"),
    ),
    "cumulative": (
        "y ~ x + (1 | g)",
        FOUR,
        "cumulative",
        prior("normal(0, 1.5)", class_="Intercept") + prior("normal(0, 0.5)", class_="b") + SPREAD,
    ),
    "sratio": (
        "y ~ x + (1 | g)",
        FOUR,
        "sratio",
        prior("normal(0, 1)", class_="Intercept") + prior("normal(0, 0.5)", class_="b") + SPREAD,
    ),
    "categorical": (
        "y ~ x",
        THREE,
        "categorical",
        sum(
            (
                prior("normal(0, 1)", class_="Intercept", dpar=dpar)
                + prior("normal(0, 0.7)", class_="b", dpar=dpar)
                for dpar in ("muq", "mur")
            ),
            start=prior("normal(0, 1)", class_="Intercept", dpar="muq")[:0],
        ),
    ),
    "dirichlet": (
        "cbind(u, v, w) ~ x",
        PARTS,
        "dirichlet",
        sum(
            (
                prior("normal(0, 0.5)", class_="Intercept", dpar=dpar)
                + prior("normal(0, 0.3)", class_="b", dpar=dpar)
                for dpar in ("muv", "muw")
            ),
            start=prior("gamma(40, 2)", class_="phi"),
        ),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_ranks_of_the_true_values_are_uniform(name: str) -> None:
    formula, table, family, priors = MODELS[name]
    found = bm.sbc(formula, table, family, priors, n=REPLICATIONS, seed=11)
    p = found.summary()["p"]
    assert found.diagnostics["divergences"].sum() < 0.01 * REPLICATIONS * found.draws
    assert p.min() > LEVEL / (len(MODELS) * len(p)), found
