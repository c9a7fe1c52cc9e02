"""What the marginal likelihood needs to know of a response that is not Gaussian: a *kernel*.

A kernel holds the response rows (values, prior weights, trials) and answers questions about their log density as a
function of the linear predictors: one for each distributional parameter of the family, in the family's order with
mu first, each including its offset. It knows nothing of designs, groups or optimisation. All arrays are NumPy's,
float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kernel", "Local", "Predictors", "Vector"]

Vector = NDArray[np.float64]
Predictors = NDArray[np.float64]
"""(D, n): one row for each distributional parameter; or (D, D, n) for second derivatives."""


@dataclass(frozen=True, eq=False)
class Local:
    """The log density of all rows near one value of the linear predictors.

    ``log_density``: the sum over rows of weight times log density that the mode maximises, without constants that
    no parameter enters; minus infinity if a predictor is outside the support, and then the arrays mean nothing.
    ``score`` (D, n): its derivative by the predictors. ``observed`` (D, D, n): minus its second derivative,
    symmetric in the first two axes. ``expected`` (D, D, n): the expectation of ``observed`` (Fisher information);
    the same object as ``observed`` where both agree (canonical links) and where no closed form is known.
    """

    log_density: float
    score: Predictors
    observed: Predictors
    expected: Predictors


class Kernel(Protocol):
    """The response rows as functions of the linear predictors ``eta`` (D, n).

    ``parameters``, ``links``: names and links of the D distributional parameters. ``has_expected``: a closed form
    of the expected information is known. ``constant``: the sum over rows of what ``log_density`` leaves out.
    """

    parameters: tuple[str, ...]
    links: tuple[str, ...]
    has_expected: bool
    constant: float

    def local(self, eta: Predictors) -> Local:
        """Log density, score and information at ``eta``."""
        ...

    def value(self, eta: Predictors) -> float:
        """``local(eta).log_density`` alone: minus infinity outside the support."""
        ...

    def log_densities(self, eta: Predictors) -> Vector:
        """(n,) the terms of ``value``."""
        ...

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """(D, n): the derivative by ``eta`` of the sum of ``by_weights`` (D, D, n) times the information.

        ``expected``: which information, the expected or the observed one.
        """
        ...

    def criterion(self, eta: Predictors) -> tuple[float, Predictors | None]:
        """-2 log density as it enters the Laplace criterion, constants included, and its derivative (D, n).

        The derivative is None where the value is ``-2 * (log_density + constant)``: it is ``-2 * score`` then.
        """
        ...

    def start(self) -> Predictors:
        """(D, n) linear predictors to begin the search for the mode from."""
        ...

    def mean(self, eta: Predictors) -> Vector:
        """(n,) E(y) on the response scale; of binomial responses the proportion of successes."""
        ...

    def variance(self, eta: Predictors) -> Vector:
        """(n,) variance of what ``mean`` is the mean of, divided by the prior weights (unit dispersion)."""
        ...

    def pearson_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mean) / sqrt(variance), of binomial responses of the proportion."""
        ...
