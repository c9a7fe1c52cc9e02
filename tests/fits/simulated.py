"""A small simulated data set, and the fits that several test files make of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayesmlm as bm


def draw(formula, data, family="gaussian", **arguments):
    """A fit with enough draws for closed forms; what is given overrides."""
    defaults = {"seed": 31, "progress": False, "iter": 3000, "warmup": 1000, "chains": 2}
    return bm.brm(formula, data=data, family=family, **{**defaults, **arguments})


RNG = np.random.default_rng(77)
N = 24
DATA = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "o": RNG.normal(5, 2, N),
        "w": RNG.integers(1, 4, N).astype(float),
        "y": RNG.normal(3, 2, N),
        "count": RNG.poisson(3, N),
        "size": RNG.integers(5, 10, N),
        "g": np.repeat(["a", "b", "c", "d", "e", "f"], 4),
    }
)
DATA["hits"] = RNG.binomial(DATA["size"], 0.3)
DATA["zeros"] = np.where(RNG.random(N) < 0.4, 0, 1 + RNG.poisson(2, N))
