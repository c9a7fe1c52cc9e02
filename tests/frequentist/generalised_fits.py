"""Small generalised fits that tests of predictions, simulations and residuals share, each fitted once."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import bayesmlm as bm
from bayesmlm.frequentist.generalised_fit import GeneralisedFit

__all__ = ["fitted", "head"]

TICKS = "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION)"
MODELS: dict[str, tuple[Any, str, str]] = {
    "cbpp": ("incidence | trials(size) ~ period + (1 | herd)", "cbpp", "binomial"),
    "grouseticks": ("TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)", "grouseticks", "poisson"),
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "Gamma('log')"),
    "zip": (bm.bf(TICKS, "zi ~ YEAR"), "grouseticks", "zero_inflated_poisson"),
    "hurdle": (bm.bf(TICKS, "hu ~ YEAR"), "grouseticks", "hurdle_poisson"),
    "nb": (TICKS, "grouseticks", "negbinomial"),
    "zi_groups": (
        bm.bf("TICKS ~ cHEIGHT + (1 | LOCATION)", "zi ~ 1 + (1 | YEAR)"),
        "grouseticks",
        "zero_inflated_poisson",
    ),
}


@cache
def fitted(name: str) -> GeneralisedFit:
    """The model of this name. Shared by all callers."""
    formula, data, family = MODELS[name]
    return bm.glmer(formula, bm.load_dataset(data), family=family)


def head(values: Any) -> np.ndarray:
    """The first six rows and the last, as the references."""
    values = np.asarray(values)
    return np.append(values[:6], values[-1])
