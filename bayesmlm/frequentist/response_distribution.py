"""The response distribution of a fitted generalised model at linear predictors of its parts, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..families.links import natural_parameters

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["DISPERSIONS", "MEAN_IS_MU", "ZERO_PARTS", "expected", "natural_values", "without_zero_part"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Values = Mapping[str, Vector]

MEAN_IS_MU = frozenset(
    (
        *("gaussian", "student", "gamma", "exponential", "inverse.gaussian", "beta", "bernoulli", "binomial"),
        *("beta_binomial", "poisson", "negbinomial", "nbinom1", "geometric"),
    )
)
"""Families whose expected value (of trials the expected proportion) is mu, whatever their other parameters are."""
ZERO_PARTS = ("zi", "hu")
"""Parameters that are the probability of a zero of another kind."""
DISPERSIONS = ("sigma", "shape", "phi")
"""Parameters that say how far responses scatter about their mean."""


def natural_values(
    fit: GeneralisedFit, eta: Matrix, weights: Vector, sigma: float | None = None
) -> dict[str, Vector]:
    """By parameter (n,) values on its own scale at linear predictors ``eta`` (D, n) of ``fit.parts``.

    Where the dispersion is plugged in (lme4's Gamma and inverse Gaussian) ``shape`` is weight / sigma^2: the prior
    ``weights`` (n,) divide the dispersion, as in lme4. Those of other families multiply log likelihoods, which says
    nothing of how responses scatter. ``sigma``: another value than the fit's.
    """
    kernel = fit.problem.kernel
    etas = dict(zip(kernel.parameters, eta, strict=True))
    values = natural_parameters(etas, dict(zip(kernel.parameters, kernel.links, strict=True)))
    if fit.has_scale:
        scale = fit.sigma if sigma is None else sigma
        values["shape"] = np.broadcast_to(weights / scale**2, eta[0].shape).copy()
    return values


def expected(fit: GeneralisedFit, values: Values) -> Vector:
    """(n,) E(y) of natural ``values``; of trials the proportion."""
    # Of successes out of trials the proportion does not depend on how many trials there are.
    extra = {"trials": np.ones_like(values["mu"])}
    with np.errstate(all="ignore"):
        return np.asarray(fit.family.mean(values, extra), dtype=np.float64)


def without_zero_part(values: Values) -> dict[str, Vector]:
    """The distribution without the zeros of another kind: zi or hu is 0."""
    gone = {name: np.zeros_like(values[name]) for name in ZERO_PARTS if name in values}
    return {**values, **gone}
