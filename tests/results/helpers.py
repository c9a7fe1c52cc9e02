"""Made-up draws in the layout of a fit, and the reference files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesmlm.results import layout

REFERENCE = Path(__file__).resolve().parent.parent / "reference"


@cache
def reference(name: str) -> Any:
    """A file of tests/reference."""
    return json.loads((REFERENCE / f"{name}.json").read_text())


SLEEP = ("308", "309", "new york")


def variables() -> list[layout.Variable]:
    """Reaction ~ Days + (Days | p | Subject), sigma ~ Days + (1 | p | Subject), and (1 | day:week)."""
    inner = ("Intercept", "Days", "sigma_Intercept")
    return [
        layout.population(("Days",)),
        layout.intercept(),
        layout.centred_intercept(),
        layout.population(("Days",), "sigma"),
        layout.intercept("sigma"),
        layout.centred_intercept("sigma"),
        layout.group_sds("Subject", inner[:2]),
        layout.group_effects("Subject", SLEEP, inner[:2]),
        layout.group_sds("day:week", ("Intercept",)),
        layout.group_effects("day:week", ("a_1", "b_1"), ("Intercept",)),
        layout.group_sds("Subject", ("Intercept",), "sigma"),
        layout.group_effects("Subject", SLEEP, ("Intercept",), "sigma"),
        layout.correlations("Subject", layout.coefficient_pairs(inner)),
        layout.quantity("nu"),
    ]


def tree(chains: int = 4, draws: int = 50, which: list[layout.Variable] | None = None) -> xr.DataTree:
    """Independent normal draws (correlations within (-1, 1)) of `variables`."""
    rng = np.random.default_rng(5)
    chosen = variables() if which is None else which
    samples = {v.name: rng.normal(size=(chains, draws, *map(len, v.labels))) for v in chosen}
    samples = {name: np.tanh(x) if name.startswith("cor_") else x for name, x in samples.items()}
    stats = {
        "lp": rng.normal(size=(chains, draws)),
        "energy": rng.normal(size=(chains, draws)),
        "diverging": np.zeros((chains, draws), dtype=bool),
        "reached_max_treedepth": np.zeros((chains, draws), dtype=bool),
        "n_steps": np.full((chains, draws), 7),
    }
    return layout.build_tree(
        chosen,
        samples,
        sample_stats=stats,
        log_prior={"lprior": stats["lp"] - 1},
        observed_data={"Reaction": np.arange(5.0)},
        constant_data={"Days": np.arange(5.0), "x/y": np.arange(2.0)},
        rows=["1", "2", "3", "4", "5"],
    )
