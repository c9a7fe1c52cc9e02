"""Kernels of counts that are negative binomial of another kind: nbinom1 and geometric (NumPy)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..families.base import Family
from ..families.links import LINKS
from .chain_rule import Derivatives, linear, through_links
from .kernel import Predictors, Vector
from .link_derivatives import slopes_of_log
from .log_mean_kernels import away_from_zero, positive
from .negbinomial_kernel import NegativeBinomialKernel
from .row_kernel import RowKernel

__all__ = ["GeometricKernel", "Nbinom1Kernel"]

# log(mu) and log(shape) = log(mu) - log(phi) from log(mu) and log(phi).
_SHAPE_OF_PHI = np.array([[1.0, 0.0], [1.0, -1.0]])


class Nbinom1Kernel(RowKernel):
    """glmmTMB's ``nbinom1``, variance mu (1 + phi): `NegativeBinomialKernel` with the shape mu / phi."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self._alike = NegativeBinomialKernel(y, None, family.link("mu"), "log")
        super().__init__(family, y, weights, extra)

    def base_measure(self) -> Vector:
        """-log(y!)."""
        return self._alike.base_measure()

    def legal(self, eta: Predictors) -> bool:
        """Whether mu and phi are positive in every row."""
        return positive(away_from_zero(eta[0], self.links[0]), self.links[0]) and positive(
            eta[1], self.links[1]
        )

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        x = away_from_zero(eta[0], self.links[0])
        mu, log_mu = LINKS[self.links[0]].inverse(x), LINKS[self.links[0]].log_mu(x)
        shape = np.exp(log_mu - LINKS[self.links[1]].log_mu(eta[1]))
        derivatives = linear(self._alike.log_derivatives(mu, log_mu, shape, order), _SHAPE_OF_PHI)
        return through_links(
            derivatives, [slopes_of_log(self.links[0], x), slopes_of_log(self.links[1], eta[1])]
        )


class GeometricKernel(RowKernel):
    """Geometric counts: `NegativeBinomialKernel` with shape 1."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self._alike = NegativeBinomialKernel(y, None, family.link("mu"), "log")
        super().__init__(family, y, weights, extra)

    def base_measure(self) -> Vector:
        """-log(y!)."""
        return self._alike.base_measure()

    def legal(self, eta: Predictors) -> bool:
        """Whether mu is positive in every row."""
        return self._alike.legal(self._with_shape(eta))

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        of_both = self._alike.row_derivatives(self._with_shape(eta), order)
        return [array[(slice(1),) * m] for m, array in enumerate(of_both)]

    def _with_shape(self, eta: Predictors) -> Predictors:
        return np.stack([eta[0], np.zeros_like(eta[0])])
