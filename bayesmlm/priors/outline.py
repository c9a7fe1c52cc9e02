"""What the priors need to know of a model: its parameters, and the response for the default scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..families.base import Family
from .prior import Prior

__all__ = ["GroupOutline", "ModelOutline", "PredictorOutline"]


@dataclass(frozen=True)
class PredictorOutline:
    """One predicted distributional parameter.

    ``coefficients``: brms's names of the class-b coefficients, without a centred intercept but with an
    explicit one (``0 + Intercept``). ``intercept``: whether there is a centred one (class Intercept).
    ``offset_mean``: mean of the offset over the rows, on the link scale.
    """

    parameter: str
    coefficients: tuple[str, ...]
    intercept: bool
    offset_mean: float
    link: str

    @property
    def dpar(self) -> str:
        """brms's column ``dpar``: empty for mu."""
        return dpar_of(self.parameter)


@dataclass(frozen=True)
class GroupOutline:
    """One block of group effects. ``coefficients``: (parameter, coefficient) of each effect; ``by``: labels
    of the levels of ``gr(by=)``, each of which has standard deviations of its own under the same priors."""

    group: str
    coefficients: tuple[tuple[str, str], ...]
    correlated: bool
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelOutline:
    """The parameters of a model of one response.

    ``response``: numeric values, (n,), or None when the response is a factor (the default scales then do not
    depend on it). ``scalars``: distributional parameters that are neither predicted nor fixed.
    """

    family: Family
    response: NDArray[np.float64] | None
    predictors: tuple[PredictorOutline, ...]
    groups: tuple[GroupOutline, ...] = ()
    scalars: tuple[str, ...] = ()
    rows: tuple[Prior, ...] = ()
    """Rows of the default table that the parts of the response distribution bring along."""
    vectors: tuple[tuple[str, str, str, tuple[str, ...]], ...] = ()
    """Their parameter vectors: class, dpar, group and coefficients of each."""

    @property
    def by_category(self) -> bool:
        """Whether each category of the response has a predictor of its own (brms: ``conv_cats_dpars``)."""
        return bool(self.family.categories) and "mu" not in self.family.main


def dpar_of(parameter: str) -> str:
    """The name of a distributional parameter as brms's table writes it: nothing for mu."""
    return "" if parameter == "mu" else parameter
