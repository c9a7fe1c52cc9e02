"""What the plot tests draw: one small fit with real draws, and responses of known distributions."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.results import layout


@pytest.fixture(scope="session")
def fit():
    """A short run: the tests look at pictures, not at estimates."""
    data = bm.load_dataset("sleepstudy")
    options = {"chains": 2, "iter": 400, "warmup": 200, "seed": 1, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.ConvergenceWarning)
        return bm.brm("Reaction ~ Days + (Days | Subject)", data=data, **options)


class CountFit:
    """Counts of a Poisson distribution with the mean of epilepsy's, and what `pp_check` needs of a fit."""

    def __init__(self):
        self.data = bm.load_dataset("epilepsy")
        values = self.data["count"].to_numpy(float)
        response = SimpleNamespace(values=values, name="count", extra={}, weights=None)
        self.design = SimpleNamespace(response=response)
        self.family = SimpleNamespace(integer_response=True, response="number", categories=())
        self.ndraws = 200

    def posterior_predict(self, newdata=None, ndraws=None, draw_ids=None, seed=0):
        size = (ndraws or self.ndraws, len(self.data))
        return np.random.default_rng(seed).poisson(8.25, size).astype(float)


@pytest.fixture
def counts():
    return CountFit()


@pytest.fixture(scope="session")
def tree():
    """Independent normal draws under the names of a model with a grouping factor of 30 levels."""
    rng = np.random.default_rng(0)
    shape = (4, 250)
    variables = [
        layout.intercept(),
        layout.population(["x", "z"]),
        layout.group_sds("g", ["Intercept", "x"]),
        layout.correlations("g", [("Intercept", "x")]),
        layout.group_effects("g", [f"level{i}" for i in range(30)], ["Intercept", "x"]),
        layout.quantity("sigma"),
    ]
    samples = {
        "b_Intercept": rng.normal(10, 1, shape),
        "b": rng.normal([1.0, -2.0], 0.5, (*shape, 2)),
        "sd_g": np.abs(rng.normal(0, 1, (*shape, 2))),
        "cor_g": rng.uniform(-1, 1, (*shape, 1)),
        "r_g": rng.normal(np.arange(30)[:, None] % 7, 1, (*shape, 30, 2)),
        "sigma": rng.normal(5, 0.1, shape),
    }
    diverging = np.zeros(shape, dtype=bool)
    diverging[0, [20, 200]] = diverging[2, 100] = True
    return layout.build_tree(variables, samples, sample_stats={"diverging": diverging})
