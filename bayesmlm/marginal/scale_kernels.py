"""Kernels of families with a location and a scale, exact to third derivatives (NumPy): gaussian, lognormal, student,
and gamma and inverse.gaussian with their shape as a parameter; exponential, which is gamma with shape 1.

But for student, with t the logarithm of sigma or of the shape the log density is exp(rho t) h(location) + c(t): h is
the log density of dispersion 1, the location mu or log(mu). Densities are those of `bayesmlm.families.continuous` and
`families.positive`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import comb, log, pi
from typing import ClassVar

import numpy as np

from ..families.base import Family
from ..families.links import LINKS
from .chain_rule import Derivatives, Three, from_partials, through_links
from .kernel import Predictors, Vector
from .link_derivatives import mean_derivatives, slopes_of_log
from .log_mean_kernels import GammaKernel, InverseGaussianKernel, LogMeanKernel, positive
from .row_kernel import RowKernel
from .stirling import by_logarithm, log1p_and_excess, remainder_by_log, remainder_differences

__all__ = [
    "ExponentialKernel",
    "GammaShapeKernel",
    "GaussianKernel",
    "InverseGaussianShapeKernel",
    "LognormalKernel",
    "StudentKernel",
]

_HALF_LOG_2PI = 0.5 * log(2 * pi)


def _slopes_of_mean(link: str, eta: Vector) -> Three | None:
    if link == "identity":
        return None
    _, first, second, third = mean_derivatives(link, eta)
    return first, second, third


class _ScaleKernel(RowKernel):
    """The log density exp(rho t) h(location) + c(t), t the logarithm of the second parameter."""

    rho: ClassVar[float]

    @abstractmethod
    def of_location(self, eta: Vector, order: int) -> list[Vector]:
        """h and its first ``order`` derivatives by the location."""

    @abstractmethod
    def location_slopes(self, eta: Vector) -> Three | None:
        """Derivatives of the location by mu's predictor, None where they are the same."""

    @abstractmethod
    def of_scale(self, log_scale: Vector, order: int) -> list[Vector]:
        """c and its first ``order`` derivatives by t."""

    def legal(self, eta: Predictors) -> bool:
        """Whether sigma or the shape is positive in every row, and mu where it must be."""
        mu_is_legal = self.family.parameter("mu").lower is None or positive(eta[0], self.links[0])
        return mu_is_legal and positive(eta[1], self.links[1])

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        log_scale = LINKS[self.links[1]].log_mu(eta[1])
        h, c = self.of_location(eta[0], order), self.of_scale(log_scale, order)
        precision = np.exp(self.rho * log_scale)

        def partial(*indices: int) -> Vector:
            by_scale = sum(indices)
            by_location = len(indices) - by_scale
            product = self.rho**by_scale * precision * h[by_location]
            return product if by_location else product + c[by_scale]

        derivatives = from_partials(2, order, partial, len(log_scale))
        slopes = [self.location_slopes(eta[0]), slopes_of_log(self.links[1], eta[1])]
        return through_links(derivatives, slopes)


class GaussianKernel(_ScaleKernel):
    """Normal responses: mu and sigma."""

    rho = -2.0

    def base_measure(self) -> Vector:
        """-log(2 pi) / 2."""
        return np.full_like(self.y, -_HALF_LOG_2PI)

    def response(self) -> Vector:
        """(n,) what is normal."""
        return self.y

    def of_location(self, eta: Vector, order: int) -> list[Vector]:
        """-(y - mu)^2 / 2."""
        residual = self.response() - LINKS[self.links[0]].inverse(eta)
        one = np.ones_like(residual)
        return [-0.5 * residual * residual, residual, -one, 0 * one][: order + 1]

    def location_slopes(self, eta: Vector) -> Three | None:
        """Of mu."""
        return _slopes_of_mean(self.links[0], eta)

    def of_scale(self, log_scale: Vector, order: int) -> list[Vector]:
        """-log(sigma)."""
        one = np.ones_like(log_scale)
        return [-log_scale, -one, 0 * one, 0 * one][: order + 1]


class LognormalKernel(GaussianKernel):
    """Positive responses whose logarithm is normal."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self._log_y = np.log(y)
        super().__init__(family, y, weights, extra)

    def base_measure(self) -> Vector:
        """-log(2 pi) / 2 - log(y)."""
        return super().base_measure() - self._log_y

    def response(self) -> Vector:
        """(n,) log(y)."""
        return self._log_y


class _ShapeKernel(_ScaleKernel):
    """Families with mu and a shape, whose log density of dispersion 1 a kernel of lme4's has."""

    rho = 1.0
    unit_class: ClassVar[type[LogMeanKernel]]

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self._unit = self.unit_class(y, None, family.link("mu"))
        super().__init__(family, y, weights, extra)

    def of_location(self, eta: Vector, order: int) -> list[Vector]:
        """Minus half the unit deviance, by log(mu)."""
        record = LINKS[self.links[0]]
        return self._unit.log_derivatives(record.inverse(eta), record.log_mu(eta), order)

    def location_slopes(self, eta: Vector) -> Three | None:
        """Of log(mu)."""
        return slopes_of_log(self.links[0], eta)


class GammaShapeKernel(_ShapeKernel):
    """Gamma responses: mu and shape."""

    unit_class = GammaKernel

    def base_measure(self) -> Vector:
        """-log(y)."""
        return -np.log(self.y)

    def of_scale(self, log_scale: Vector, order: int) -> list[Vector]:
        """-(lgamma(shape) - shape log(shape) + shape)."""
        return [-term for term in remainder_by_log(np.exp(log_scale), log_scale, order)]


class InverseGaussianShapeKernel(_ShapeKernel):
    """Inverse Gaussian responses: mu and shape."""

    unit_class = InverseGaussianKernel

    def base_measure(self) -> Vector:
        """-log(2 pi y^3) / 2."""
        return self._unit.base_measure()

    def of_scale(self, log_scale: Vector, order: int) -> list[Vector]:
        """log(shape) / 2."""
        one = np.ones_like(log_scale)
        return [0.5 * log_scale, 0.5 * one, 0 * one, 0 * one][: order + 1]


class ExponentialKernel(RowKernel):
    """Exponential responses: gamma with shape 1."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self._unit = GammaKernel(y, None, family.link("mu"))
        super().__init__(family, y, weights, extra)

    def base_measure(self) -> Vector:
        """-log(y) - 1: the log density at mu = y."""
        return self._unit.base_measure()

    def legal(self, eta: Predictors) -> bool:
        """Whether mu is positive in every row."""
        return self._unit.legal(eta)

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        return self._unit.row_derivatives(eta, order)


class StudentKernel(RowKernel):
    """Student t responses: mu, sigma and nu degrees of freedom.

    With w = (y - mu)^2 / (nu sigma^2) the log density is c(nu) - log(sigma) - (nu + 1) / 2 log(1 + w). Derivatives by
    log(sigma) and log(nu) are those by log(w), which is linear in both.
    """

    def base_measure(self) -> Vector:
        """Nothing: the constants are with nu's function."""
        return np.zeros_like(self.y)

    def legal(self, eta: Predictors) -> bool:
        """Whether sigma and nu are positive in every row."""
        return positive(eta[1], self.links[1]) and positive(eta[2], self.links[2])

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""
        of_mu, of_sigma, of_nu = (LINKS[link] for link in self.links)
        nu, log_sigma = of_nu.inverse(eta[2]), of_sigma.log_mu(eta[1])
        logarithm = _log1p_of_square(self.y - of_mu.inverse(eta[0]), log_sigma, nu)
        normaliser = _student_normaliser(nu, of_nu.log_mu(eta[2]), order)

        def partial(*indices: int) -> Vector:
            by_mu, by_sigma, by_nu = (indices.count(d) for d in range(3))
            # The product rule for (nu + 1) / 2 times a function of log(w): each derivative by log(nu) falls on either.
            scale = (-2.0) ** by_sigma
            value = -0.5 * (nu + 1) * scale * (-1.0) ** by_nu * logarithm[by_mu, by_sigma + by_nu]
            for rest in range(by_nu):
                factor = -0.5 * comb(by_nu, rest) * scale * (-1.0) ** rest
                value = value + factor * nu * logarithm[by_mu, by_sigma + rest]
            if by_mu == by_sigma == 0:
                value = value + normaliser[by_nu]
            if by_mu == by_nu == 0 and by_sigma < 2:
                value = value - (1.0 if by_sigma else log_sigma)
            return value

        slopes = [
            _slopes_of_mean(self.links[0], eta[0]),
            slopes_of_log(self.links[1], eta[1]),
            slopes_of_log(self.links[2], eta[2]),
        ]
        return through_links(from_partials(3, order, partial, len(nu)), slopes)


def _log1p_of_square(residual: Vector, log_sigma: Vector, nu: Vector) -> dict[tuple[int, int], Vector]:
    """Derivatives of log(1 + w) by mu (first index) and by log(w) at a given mu (second index)."""
    z = residual * np.exp(-log_sigma)
    w = z * (z / nu)
    small = 1 / (1 + w)
    u = np.where(w < 1, w * small, 1 - small)  # w / (1 + w), also of an infinite w
    first = -2 * np.exp(-log_sigma) * (z / nu) * small
    g = np.exp(-2 * log_sigma) / nu * small
    return {
        (0, 0): np.log1p(w),
        (0, 1): u,
        (0, 2): u * small,
        (0, 3): u * small * (small - u),
        (1, 0): first,
        (1, 1): first * small,
        (1, 2): first * small * (small - u),
        (2, 0): 2 * g * (1 - 2 * u),
        (2, 1): 2 * g * small * (1 - 4 * u),
        (3, 0): -2 * first * g * (3 - 4 * u),
    }


def _student_normaliser(nu: Vector, log_nu: Vector, order: int) -> list[Vector]:
    """lgamma((nu + 1) / 2) - lgamma(nu / 2) - log(pi nu) / 2 and its derivatives by log(nu); about -log(2 pi) / 2 for
    a large nu."""
    x = 0.5 * nu
    half = np.full_like(x, 0.5)
    remainders = remainder_differences(half, x, order)
    growth, excess = log1p_and_excess(0.5 / x)
    curvature = 0.25 / (x * x * (x + 0.5))
    value = (x + 0.5) * growth - 0.5 + remainders[0] - _HALF_LOG_2PI
    by_x = (excess, curvature, -curvature * (2 / x + 1 / (x + 0.5)))
    total = [one + other for one, other in zip(by_x, remainders[1:], strict=False)]
    return [value, *by_logarithm(x, total)]
