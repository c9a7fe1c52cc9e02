"""Conditional effects on responses that are categories: a curve for each."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from .effects_grid import Effect, EffectGrid

if TYPE_CHECKING:
    from ..families.base import Family

__all__ = ["CATEGORY", "by_category", "check_categorical", "single_variables"]

CATEGORY = "cats__"
"""The column that holds the category, as brms calls it."""


def check_categorical(family: Family, method: str, surface: bool, dpar: str | None) -> None:
    """Raise `BayesmlmError` where ``categorical=True`` makes no sense."""
    if not family.categories:
        raise BayesmlmError(
            "categorical=True is for categorical and ordinal families, which this model is not"
        )
    if method != "posterior_epred":
        raise BayesmlmError('categorical=True goes with method="posterior_epred" only')
    if surface or dpar is not None:
        other = "surface" if surface else "dpar"
        raise BayesmlmError(f"categorical=True and {other} exclude each other; choose one")


def single_variables(effects: list[Effect], asked: bool) -> list[Effect]:
    """The effects of one variable: the other place is the category's. Warns of those left out that were ``asked`` for;
    raises `BayesmlmError` when none is left."""
    single: list[Effect] = [effect for effect in effects if len(effect) == 1]
    if asked and len(single) < len(effects):
        warnings.warn(
            "with categorical=True effects of two variables cannot be shown in one picture; give values of one of them "
            "in `conditions`",
            BayesmlmWarning,
            stacklevel=4,
        )
    if not single:
        raise BayesmlmError(
            "there are no effects of one variable to show by category; name one with `effects`"
        )
    return single


def by_category(
    grid: EffectGrid, draws: NDArray[np.float64], family: Family
) -> tuple[EffectGrid, NDArray[np.float64]]:
    """The grid's rows once for each category, named in `CATEGORY`, and the draws (draws, rows, categories) in that
    order, (draws, categories x rows)."""
    names = list(family.categories)
    rows = pd.concat([grid.rows] * len(names), ignore_index=True)
    ordered = family.response == "ordinal"
    rows[CATEGORY] = pd.Categorical(np.repeat(names, len(grid.rows)), categories=names, ordered=ordered)
    flat = np.moveaxis(draws, 2, 1).reshape(len(draws), -1)
    return EffectGrid((grid.effect[0], CATEGORY), (grid.numeric[0], False), rows), flat
