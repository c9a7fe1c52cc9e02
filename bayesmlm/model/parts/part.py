"""A part of a response distribution with parameters that are neither predicted nor scalar: what each must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...priors.prior import Prior
    from ...priors.resolve import ResolvedPriors
    from ...results.layout import Variable
    from ..design import Design
    from ..site import Site

__all__ = ["Part", "PriorVector"]

Array = Any
Values = Mapping[str, Array]
Arrays = Mapping[str, NDArray[np.float64]]
PriorVector = tuple[str, str, str, tuple[str, ...]]
"""Class, dpar, group and coefficients of a vector whose elements have priors of one number each."""


class Part(Protocol):
    """Thresholds of an ordinal response, weights of a mixture, a baseline hazard, missing responses.

    Made from the design by a function in `parts.PARTS`. It is carried by the program, whose compiled code depends on
    ``key`` alone: numbers stay in ``arrays``.
    """

    @property
    def name(self) -> str:
        """Under which its arrays stand in the design; one of a kind in a model."""

    @property
    def key(self) -> str:
        """All that compiled code depends on, as text."""

    def prior_rows(self) -> tuple[Prior, ...]:
        """Its rows of the default prior table, source "default"."""

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """Its vectors of parameters, for checks of the user's priors."""

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """Its sample sites."""

    def arrays(self) -> Arrays:
        """Of each row of the data, rows last."""

    def new_arrays(self, design: Design, frame: Frame) -> Arrays:
        """`arrays` of new data."""

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """What it supplies to the family's functions, rows last; ``natural``: predicted parameters so far (see
        `natural_parameters`), of which it may replace some."""

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """What is stored with each draw besides its sites; ``means``: of the centred columns, by parameter."""

    def hidden(self, values: Values) -> dict[str, Array]:
        """Values of those of its sites that are not stored, from what is: the inverse of `derived`."""

    def variables(self) -> list[tuple[Variable, str]]:
        """Its entries in the DataTree, each with the name of a site or of a derived value. Every site of kind prior,
        ordered or simplex must be among them, so that fits can be read back."""
