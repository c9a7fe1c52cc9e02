"""Kernels of beta and beta_binomial responses, exact to third derivatives (NumPy).

The shapes are a = mu phi and b = (1 - mu) phi. The log density is a sum of a function of log(mu) and log(phi), one of
log(1 - mu) and log(phi), and one of log(phi), so that neither tail of mu loses digits. Densities are those of
`bayesmlm.families.continuous` and `families.binary`.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ..families.links import LINKS
from .chain_rule import Derivatives, from_partials, through_links
from .glm_kernels import inside, legal_interval_of_probability, log_choices
from .kernel import Predictors, Vector
from .link_derivatives import log_complement_derivatives, log_mean_derivatives, slopes_of_log
from .log_mean_kernels import positive
from .row_kernel import RowKernel
from .stirling import log_rising, remainder_by_log

__all__ = ["BetaBinomialKernel", "BetaKernel"]

OfShape = list[list[Vector]]
"""[i][j]: derivative i times by log(mu) and j times by log(phi)."""


class _ShapesKernel(RowKernel):
    """What both families share."""

    @abstractmethod
    def of_shape(self, log_share: Vector, log_phi: Vector, upper: bool, order: int) -> OfShape:
        """The part of the log density with the shape mu phi, and its derivatives; ``log_share``: log(mu). ``upper``:
        the one with (1 - mu) phi, by log(1 - mu)."""

    @abstractmethod
    def of_phi(self, log_phi: Vector, order: int) -> list[Vector]:
        """The part with phi alone, and its first ``order`` derivatives by log(phi)."""

    def legal(self, eta: Predictors) -> bool:
        """Whether in every row mu is between 0 and 1 and phi positive."""
        return inside(eta[0], legal_interval_of_probability(self.links[0])) and positive(
            eta[1], self.links[1]
        )

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        x, link = eta[0], self.links[0]
        log_phi = LINKS[self.links[1]].log_mu(eta[1])
        log_mu, log_complement = LINKS[link].log_mu(x), LINKS[link].log_complement(x)
        result = self._through_mu(log_mu, log_phi, False, order, log_mean_derivatives(link, x))
        other = self._through_mu(log_complement, log_phi, True, order, log_complement_derivatives(link, x))
        for m, of_phi in enumerate(self.of_phi(log_phi, order)):
            result[m] = result[m] + other[m]
            result[m][(1,) * m] += of_phi
        return through_links(result, [None, slopes_of_log(self.links[1], eta[1])])

    def _through_mu(
        self,
        log_share: Vector,
        log_phi: Vector,
        upper: bool,
        order: int,
        slopes: tuple[Vector, Vector, Vector],
    ) -> Derivatives:
        """`of_shape` with derivatives by mu's predictor in place of log(mu)."""
        terms = self.of_shape(log_share, log_phi, upper, order)

        def partial(*indices: int) -> Vector:
            by_phi = sum(indices)
            return terms[len(indices) - by_phi][by_phi]

        return through_links(from_partials(2, order, partial, len(log_phi)), [slopes, None])


class BetaKernel(_ShapesKernel):
    """Responses between 0 and 1: minus phi times a Kullback-Leibler divergence, and Stirling's remainders."""

    def base_measure(self) -> Vector:
        """-log(y) - log(1 - y)."""
        return -np.log(self.y) - np.log1p(-self.y)

    def of_shape(self, log_share: Vector, log_phi: Vector, upper: bool, order: int) -> OfShape:
        """a (log(y) - log(mu)) - R(a)."""
        log_a = log_phi + log_share
        a = np.exp(log_a)
        log_ratio = (np.log1p(-self.y) if upper else np.log(self.y)) - log_share
        remainders = remainder_by_log(a, log_a, order)
        return [
            [a * (log_ratio - i) - remainders[i + j] for j in range(order + 1 - i)] for i in range(order + 1)
        ]

    def of_phi(self, log_phi: Vector, order: int) -> list[Vector]:
        """R(phi)."""
        return remainder_by_log(np.exp(log_phi), log_phi, order)


class BetaBinomialKernel(_ShapesKernel):
    """Successes out of ``extra["trials"]`` trials whose probability is beta distributed."""

    def base_measure(self) -> Vector:
        """Log of the number of ways to choose the successes."""
        return log_choices(self.y, self.extra["trials"] - self.y)

    def of_shape(self, log_share: Vector, log_phi: Vector, upper: bool, order: int) -> OfShape:
        """log of a (a + 1) ... (a + y - 1); of the other shape with the failures for y."""
        log_a = log_phi + log_share
        count = self.extra["trials"] - self.y if upper else self.y
        terms = log_rising(np.exp(log_a), log_a, count, order)
        return [[terms[i + j] for j in range(order + 1 - i)] for i in range(order + 1)]

    def of_phi(self, log_phi: Vector, order: int) -> list[Vector]:
        """Minus that of phi and the trials."""
        return [-term for term in log_rising(np.exp(log_phi), log_phi, self.extra["trials"], order)]
