"""Missing responses, and responses measured with a known error, as parameters: ``y | mi() ~ ...``.

With ``mi()`` the missing responses are parameters ``Ymi``; with ``mi(sdy)`` all true responses are, ``Yl``, and the
measured ones are normal around them. Their priors are flat between the bounds of the family: what is known of them is
the model (brms, vignette "Handle Missing Values with brms").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FormulaError
from ...families.lazy import jnp
from ...priors.vector import VectorPrior

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...priors.prior import Prior
    from ...priors.resolve import ResolvedPriors
    from ...results.layout import Variable
    from ..design import Design
    from ..site import Site
    from .part import PriorVector

__all__ = ["LatentResponse", "latent_response"]

Array = Any
Values = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class LatentResponse:
    """``site``: ``Ymi`` or ``Yl``; ``rows``: positions of the rows it holds values of; ``y``, (n,): measured
    responses, NaN where missing; ``noise``, (n,): standard deviations of their errors, NaN where missing, or None."""

    site: str
    rows: NDArray[np.intp]
    y: NDArray[np.float64]
    noise: NDArray[np.float64] | None
    lower: float
    upper: float

    name = "mi"

    @property
    def key(self) -> str:
        """All that compiled code depends on."""
        return f"mi:{self.site}:{self.noise is not None}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The rows' numbers among those used, counted from 1."""
        return tuple(str(row + 1) for row in self.rows)

    def prior_rows(self) -> tuple[Prior, ...]:
        """None: the prior is flat and cannot be set, as in brms."""
        return ()

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """None: see `prior_rows`."""
        return ()

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """One site with all values."""
        from ..site import Site

        names = tuple(f"{self.site}[{label}]" for label in self.labels)
        prior = VectorPrior(names, (None,) * len(names), self.lower, self.upper)
        return [Site(self.site, "prior", (len(names),), (len(names),), names, prior)]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """``position``: of each row's value in the site; ``latent``: whether it has one; ``y`` and ``noise``."""
        position = np.zeros(len(self.y), dtype=np.int32)
        position[self.rows] = np.arange(len(self.rows))
        latent = np.zeros(len(self.y))
        latent[self.rows] = 1.0
        known = np.where(np.isnan(self.y), 0.0, self.y)
        noise = {} if self.noise is None else {"noise": self.noise}
        return {"position": position, "latent": latent, "y": known, **noise}

    def new_arrays(self, design: Design, frame: Frame) -> Mapping[str, NDArray[Any]]:
        """Nothing: responses of new data are known, or predicted."""
        return {}

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """``latent``, (n,): the responses with the missing or true values among them; and ``noise``."""
        if "position" not in arrays:
            return {}
        own = values[self.site][arrays["position"]]
        latent = jnp.where(arrays["latent"] > 0, own, arrays["y"])
        return {"latent": latent, **({"noise": arrays["noise"]} if "noise" in arrays else {})}

    def code(self) -> list[str]:
        """What `fit.model_code` says."""
        if self.noise is None:
            return ["    y = y.at[missing].set(Ymi)"]
        return [
            "    numpyro.sample('measured', Normal(Yl, noise), obs=y)  # rows with a response",
            "    y = Yl",
        ]

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """Nothing besides the site."""
        return {}

    def hidden(self, values: Values) -> dict[str, Array]:
        """Nothing: the site is stored."""
        return {}

    def variables(self) -> list[tuple[Variable, str]]:
        """``Ymi[3]`` or ``Yl[3]``: the row's number in brackets."""
        from ...results.layout import quantity

        return [(quantity(self.site, self.labels, kind="other"), self.site)]


def latent_response(design: Design) -> LatentResponse | None:
    """The part of a response with ``mi()``; None when nothing is missing or measured with an error.

    Raises `FormulaError` for bounds of ``trunc()`` that differ between rows.
    """
    response = design.response
    measured = response.observed
    if not response.imputed or (response.noise is None and measured.all()):
        return None
    support = design.family.support
    lower, upper = support.lower, support.upper
    for name, bound in response.extra.items():
        if name in ("above", "up_to"):
            if np.ptp(bound) > 0:
                main = design.formula.main
                reason = "with `mi()` the bounds of `trunc()` must be the same in all rows"
                raise FormulaError(reason, main.source, (main.addition("trunc") or main.right).span)
            lower = float(bound[0]) if name == "above" else lower
            upper = float(bound[0]) if name == "up_to" else upper
    if response.noise is None:
        return LatentResponse("Ymi", np.flatnonzero(~measured), response.values, None, lower, upper)
    rows = np.arange(len(measured))
    return LatentResponse("Yl", rows, response.values, response.noise, lower, upper)
