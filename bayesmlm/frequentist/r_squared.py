"""Explained variance: marginal and conditional R2, intraclass correlations, root mean square error.

Nakagawa and Schielzeth (2013, Methods Ecol Evol 4:133), for random slopes Johnson (2014, Methods Ecol Evol 5:944),
and Nakagawa, Johnson and Schielzeth (2017, J R Soc Interface 14:20170213): the variance of the predictions from the
population coefficients, the mean over the rows of the group effects' variance, and the residual variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..messages import inform

if TYPE_CHECKING:
    from .fit import MixedFit
    from .mixed_terms import MixedTerm

Matrix = NDArray[np.float64]

__all__ = ["VarianceParts", "effect_variances", "icc", "icc_by_group", "r_squared", "rmse", "variance_parts"]


@dataclass(frozen=True)
class VarianceParts:
    """``fixed``: variance of X beta over the rows (denominator n - 1); ``random``: by grouping factor the mean over the
    rows of Var(z'b); ``residual``: sigma^2."""

    fixed: float
    random: dict[str, float]
    residual: float

    @property
    def effects(self) -> float:
        """Variance of all group effects."""
        return sum(self.random.values())

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return self.fixed + self.effects + self.residual


def variance_parts(fit: MixedFit) -> VarianceParts:
    """The three parts of a fit's variance."""
    random = effect_variances(fit.design.terms, [fit.sigma * T for T in fit.templates], fit.n)
    fixed = float(np.var(fit.design.X @ fit.beta, ddof=1)) if fit.p else 0.0
    return VarianceParts(fixed, random, fit.sigma**2)


def effect_variances(terms: Sequence[MixedTerm], roots: Sequence[Matrix], n: int) -> dict[str, float]:
    """By grouping factor the mean over n rows of Var(z'b), for effects with Var(b) = root root'."""
    random: dict[str, float] = dict.fromkeys((t.group for t in terms), 0.0)
    for term, root in zip(terms, roots, strict=True):
        spread = term.Z @ root
        random[term.group] += float(np.einsum("nk,nk->", spread, spread) / n)
    return random


def r_squared(fit: MixedFit) -> pd.Series:
    """R2m, R2c; see `DiagnosticMethods.r2`."""
    parts = variance_parts(fit)
    if fit.is_singular:
        inform(
            "the fit is singular: some group effects have no variance of their own, and the conditional R2 counts what "
            "is left of them"
        )
    values = {"R2m": parts.fixed / parts.total, "R2c": (parts.fixed + parts.effects) / parts.total}
    return pd.Series(values, name="R2")


def icc(fit: MixedFit) -> pd.Series:
    """ICC_adjusted, ICC_unadjusted; see `DiagnosticMethods.icc`."""
    parts = variance_parts(fit)
    values = {
        "ICC_adjusted": parts.effects / (parts.effects + parts.residual),
        "ICC_unadjusted": parts.effects / parts.total,
    }
    return pd.Series(values, name="ICC")


def icc_by_group(fit: MixedFit) -> pd.Series:
    """For each grouping factor its share of the variance that the population coefficients leave."""
    parts = variance_parts(fit)
    left = parts.effects + parts.residual
    return pd.Series({group: value / left for group, value in parts.random.items()}, name="ICC")


def rmse(fit: MixedFit) -> float:
    """Root mean square of the residuals, group effects included in the fit."""
    return float(np.sqrt(np.mean((fit.design.y - fit.linear_predictor) ** 2)))
