"""Correlations of the log ratios of a logistic-normal response: ``lncor`` (LKJ prior)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...priors.prior import Prior
from ..blocks import pair_indices
from .part import Part, PriorVector

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...priors.resolve import ResolvedPriors
    from ...results.layout import Variable
    from ..design import Design
    from ..site import Site

__all__ = ["LogRatioCorrelations", "log_ratio_correlations"]

Array = Any
Values = Mapping[str, Array]

FACTOR = "L_lncor"


@dataclass(frozen=True)
class LogRatioCorrelations:
    """``categories``: names of the categories other than the reference, as in the names of parameters."""

    categories: tuple[str, ...]
    name = "lncor"

    @property
    def size(self) -> int:
        """K, the number of log ratios."""
        return len(self.categories)

    @property
    def key(self) -> str:
        """Compiled code depends on the number of log ratios alone."""
        return f"lncor{self.size}"

    @property
    def pairs(self) -> tuple[str, ...]:
        """Labels of the correlations in brms's order: ``b__c``."""
        places = zip(*pair_indices(self.size), strict=True)
        return tuple(f"{self.categories[i]}__{self.categories[j]}" for i, j in places)

    def prior_rows(self) -> tuple[Prior, ...]:
        """One row: brms's ``lkj(1)``."""
        return (Prior("lkj(1)", "lncor", lb="", ub="", source="default"),)

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """None: a correlation matrix has one prior."""
        return ()

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """The Cholesky factor (K, K)."""
        from ...priors.lkj import lkj_constants
        from ..site import Site

        eta = priors.lkj("", "lncor")
        names = tuple(f"lncor__{pair}" for pair in self.pairs)
        shape, free = (self.size, self.size), (len(names),)
        constants = lkj_constants(eta, self.size)
        return [Site(FACTOR, "lkj", shape, free, names, None, constants, f"lkj({eta:g})")]

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Nothing by row."""
        return {}

    def new_arrays(self, design: Design, frame: Frame) -> dict[str, NDArray[np.float64]]:
        """Nothing by row."""
        return {}

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """The factor as (K, K, 1): the same in every row."""
        factor = values[FACTOR] if FACTOR in values else self.hidden(values)[FACTOR]
        return {FACTOR: factor[:, :, None]}

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """The correlations, by pair."""
        return {self.name: (values[FACTOR] @ values[FACTOR].T)[pair_indices(self.size)]}

    def hidden(self, values: Values) -> dict[str, Array]:
        """The factor, from the correlations."""
        import jax.numpy as jnp

        row, column = pair_indices(self.size)
        matrix = (
            jnp.eye(self.size).at[row, column].set(values[self.name]).at[column, row].set(values[self.name])
        )
        return {FACTOR: jnp.linalg.cholesky(matrix)}

    def variables(self) -> list[tuple[Variable, str]]:
        """``lncor`` [lncor_pair]."""
        from ...results import layout

        return [(layout.response_correlations(self.name, self.pairs), self.name)]


def log_ratio_correlations(design: Design) -> Part:
    """The part of a logistic-normal response."""
    return LogRatioCorrelations(tuple(name.removeprefix("mu") for name in design.family.main))
