"""Parts of response distributions: thresholds, baseline hazards, weights of mixtures, missing responses.

`PARTS` has a row for each kind that a family may name (`Family.parts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .baseline_hazard import baseline_hazard
from .log_ratio_correlations import log_ratio_correlations
from .missing import latent_response
from .mixture_weights import mixture_weights
from .part import Part, PriorVector
from .thresholds import thresholds

if TYPE_CHECKING:
    from ..design import Design

__all__ = ["PARTS", "Part", "PriorVector", "make_parts"]

PARTS: Mapping[str, Callable[[Design], Part]] = {
    "baseline_hazard": baseline_hazard,
    "log_ratio_correlations": log_ratio_correlations,
    "mixture_weights": mixture_weights,
    "thresholds": thresholds,
}
"""By kind, what makes a part from a design whose predictors and response are complete."""


def make_parts(design: Design) -> tuple[Part, ...]:
    """The parts of the family of ``design``, in its order, and missing responses."""
    own = tuple(PARTS[kind](design) for kind in design.family.parts)
    latent = latent_response(design)
    return own if latent is None else (*own, latent)
