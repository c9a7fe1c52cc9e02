"""Kernels whose log density is simple in log(mu), the link adding the chain rule: Poisson, gamma, inverse Gaussian.

NumPy only. As in lme4, the modes of the gamma and inverse Gaussian families maximise the log density of dispersion 1
(minus half the deviance), while the criterion is R's ``family$aic``: minus twice the log density at the dispersion
deviance / sum(weights), plus 2.
"""

from __future__ import annotations

from abc import abstractmethod
from math import inf, log, pi

import numpy as np
from scipy import special

from ..families.links import LINKS
from .chain_rule import Derivatives, from_partials, through_links
from .glm_kernels import GLMKernel, as_local, inside, or_minus_infinity
from .kernel import Local, Predictors, Vector
from .link_derivatives import log_mean_derivatives, slopes_of_log
from .stirling import remainder_by_log

__all__ = [
    "GammaKernel",
    "InverseGaussianKernel",
    "LogMeanKernel",
    "PoissonKernel",
    "away_from_zero",
    "positive",
]

# The open interval of linear predictors whose mean is positive, where not every real number is legal.
_LEGAL = {"identity": (0.0, inf), "inverse": (0.0, inf), "1/mu^2": (0.0, inf)}

SMALLEST_ROOT = 1e-8
"""With the link sqrt the information of a zero mean is of the form 0 / 0; eta is kept this far from zero."""


def positive(x: Vector, link: str) -> bool:
    """Whether all linear predictors ``x`` give a positive mean."""
    return inside(x, _LEGAL.get(link))


def away_from_zero(x: Vector, link: str) -> Vector:
    """``x``, for the link sqrt at least `SMALLEST_ROOT` from zero."""
    if link == "sqrt" and np.abs(x).min() < SMALLEST_ROOT:
        return np.copysign(np.maximum(np.abs(x), SMALLEST_ROOT), x)
    return x


class LogMeanKernel(GLMKernel):
    """A kernel whose log density is simple in log(mu): what a link adds is the chain rule."""

    def __init__(self, y: Vector, weights: Vector | None, link: str) -> None:
        super().__init__(y, weights, link)
        self._canonical = link == self.canonical_link
        self.constant = float(self._weighted(self.base_measure()).sum())

    @abstractmethod
    def base_measure(self) -> Vector:
        """(n,) what `densities` leaves out of the log density of dispersion 1."""

    @abstractmethod
    def densities(self, mu: Vector, log_mu: Vector) -> Vector:
        """(n,) log densities of weight 1 and dispersion 1."""

    @abstractmethod
    def slopes(self, mu: Vector, log_mu: Vector) -> tuple[Vector, Vector, Vector]:
        """First three derivatives of `densities` by log(mu)."""

    @abstractmethod
    def informations(self, mu: Vector) -> tuple[Vector, Vector]:
        """The expectation of minus the second derivative by log(mu), and its derivative by log(mu)."""

    def _means(self, x: Vector) -> tuple[Vector, Vector]:
        """mu and log(mu)."""
        return LINKS[self.link].inverse(x), LINKS[self.link].log_mu(x)

    def _sum(self, values: Vector) -> float:
        return or_minus_infinity(float(values.sum() if self.weights is None else values @ self.weights))

    def value(self, eta: Predictors) -> float:
        """See `Kernel.value`."""
        x = away_from_zero(eta[0], self.link)
        if not positive(x, self.link):
            return -inf
        with np.errstate(all="ignore"):
            return self._sum(self.densities(*self._means(x)))

    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""
        x = away_from_zero(eta[0], self.link)
        if not positive(x, self.link):
            return np.full_like(x, -inf)
        with np.errstate(all="ignore"):
            return self._weighted(self.densities(*self._means(x)))

    def legal(self, eta: Predictors) -> bool:
        """Whether mu is positive in every row."""
        return positive(away_from_zero(eta[0], self.link), self.link)

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Log densities of weight 1 less `base_measure`, and their derivatives by ``eta`` up to ``order``, at legal
        predictors."""
        x = away_from_zero(eta[0], self.link)
        by_log = self.log_derivatives(*self._means(x), order)
        by_log_mean = from_partials(1, order, lambda *indices: by_log[len(indices)], len(x))
        return through_links(by_log_mean, [slopes_of_log(self.link, x)])

    def log_derivatives(self, mu: Vector, log_mu: Vector, order: int) -> list[Vector]:
        """`densities` and their first ``order`` derivatives by log(mu)."""
        slopes = self.slopes(mu, log_mu) if order else ()
        return [self.densities(mu, log_mu), *slopes[:order]]

    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""
        x = away_from_zero(eta[0], self.link)
        with np.errstate(all="ignore"):
            mu, log_mu = self._means(x)
            value = self._sum(self.densities(mu, log_mu)) if positive(x, self.link) else -inf
            d1, d2, _ = self.slopes(mu, log_mu)
            information, _ = self.informations(mu)
            if self.link == "log":
                score, observed, expected = d1, -d2, information
            else:
                m1, m2, _ = log_mean_derivatives(self.link, x)
                score, expected = d1 * m1, information * m1 * m1
                observed = expected if self._canonical else -(d2 * m1 * m1 + d1 * m2)
            expected = self._weighted(expected)
            observed = expected if self._canonical else self._weighted(observed)
            return as_local(value, self._weighted(score), observed, expected)

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`."""
        x = away_from_zero(eta[0], self.link)
        with np.errstate(all="ignore"):
            slope = self._weighted(self._information_slope(x, expected or self._canonical))
        result: Predictors = slope[None] * by_weights[0]
        return result

    def _information_slope(self, x: Vector, expected: bool) -> Vector:
        mu, log_mu = self._means(x)
        if self.link == "log":
            return self.informations(mu)[1] if expected else -self.slopes(mu, log_mu)[2]
        m1, m2, m3 = log_mean_derivatives(self.link, x)
        if expected:
            information, slope = self.informations(mu)
            return slope * m1**3 + 2 * information * m1 * m2
        d1, d2, d3 = self.slopes(mu, log_mu)
        return -(d3 * m1**3 + 3 * d2 * m1 * m2 + d1 * m3)

    def start(self) -> Predictors:
        """The response through the link."""
        start: Vector = LINKS[self.link].link(self.y)
        return start[None]

    def deviance(self, eta: Predictors) -> float:
        """Sum of `deviance_residual_squares`."""
        return float(self.deviance_residual_squares(eta).sum())


class PoissonKernel(LogMeanKernel):
    """Counts; the weights multiply the log density."""

    canonical_link = "log"

    def base_measure(self) -> Vector:
        """-log(y!)."""
        factorials: Vector = special.gammaln(self.y + 1)
        return -factorials

    def densities(self, mu: Vector, log_mu: Vector) -> Vector:
        """y log(mu) - mu."""
        return self.y * log_mu - mu

    def slopes(self, mu: Vector, log_mu: Vector) -> tuple[Vector, Vector, Vector]:
        """By log(mu)."""
        minus = -mu
        return self.y - mu, minus, minus

    def informations(self, mu: Vector) -> tuple[Vector, Vector]:
        """mu, twice."""
        return mu, mu

    def start(self) -> Predictors:
        """y + 0.1 through the link."""
        start: Vector = LINKS[self.link].link(self.y + 0.1)
        return start[None]

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) mu."""
        return self.mean(eta)

    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) 2 w (y log(y / mu) - (y - mu))."""
        mu, log_mu = self._means(away_from_zero(eta[0], self.link))
        entropy = special.xlogy(self.y, self.y) - self.y * log_mu
        return self._weighted(2 * np.maximum(entropy - self.y + mu, 0.0))


class _DispersionKernel(LogMeanKernel):
    """Families with a dispersion: the mode takes it as 1, the criterion as deviance over the sum of the weights."""

    def __init__(self, y: Vector, weights: Vector | None, link: str) -> None:
        super().__init__(y, weights, link)
        self._log_y = np.log(y)
        self._weighted_log_y = float(self._weighted(self._log_y).sum())
        self._sum_of_weights = float(len(y) if weights is None else weights.sum())

    @abstractmethod
    def aic(self, deviance: float) -> tuple[float, float]:
        """R's ``family$aic`` (its ``+ 2`` for the dispersion included) and its derivative by the deviance."""

    def criterion(self, eta: Predictors) -> tuple[float, Predictors | None]:
        """R's ``family$aic``, minus twice the log density at dispersion = deviance / sum of weights, plus 2."""
        here = self.local(eta)
        if here.log_density == -inf:
            return inf, here.score
        value, slope = self.aic(-2 * here.log_density)
        return value, -2 * slope * here.score


class GammaKernel(_DispersionKernel):
    """Positive responses of constant coefficient of variation. ``log_density`` is minus half the deviance."""

    canonical_link = "inverse"

    def base_measure(self) -> Vector:
        """-log(y) - 1: the log density of an exponential variable that equals its mean."""
        return -np.log(self.y) - 1

    def densities(self, mu: Vector, log_mu: Vector) -> Vector:
        """log(y / mu) - y / mu + 1."""
        log_ratio = self._log_y - log_mu
        return log_ratio - np.expm1(log_ratio)

    def slopes(self, mu: Vector, log_mu: Vector) -> tuple[Vector, Vector, Vector]:
        """By log(mu)."""
        ratio = self.y / mu
        return ratio - 1, -ratio, ratio

    def informations(self, mu: Vector) -> tuple[Vector, Vector]:
        """1 and 0."""
        return np.ones_like(mu), np.zeros_like(mu)

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) mu^2."""
        return self.mean(eta) ** 2

    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) -2 w (log(y / mu) - (y - mu) / mu)."""
        return self._weighted(np.maximum(-2 * self.densities(*self._means(eta[0])), 0.0))

    def aic(self, deviance: float) -> tuple[float, float]:
        """With a = sum(w) / deviance the shape: the log densities sum to n (a log a - a - lgamma(a) - 1/2) - ..."""
        n = self._sum_of_weights
        shape = n / deviance
        remainder, slope = (
            float(term[0]) for term in remainder_by_log(np.array([shape]), np.log([shape]), 1)
        )
        value = 2 * (n * (0.5 + remainder) + self._weighted_log_y) + 2
        return value, -2 * slope * shape


class InverseGaussianKernel(_DispersionKernel):
    """Positive responses of variance mu^3. ``log_density`` is minus half the deviance."""

    canonical_link = "1/mu^2"

    def base_measure(self) -> Vector:
        """-log(2 pi y^3) / 2."""
        return -1.5 * np.log(self.y) - 0.5 * log(2 * pi)

    def densities(self, mu: Vector, log_mu: Vector) -> Vector:
        """-(y - mu)^2 / (2 y mu^2)."""
        return -((self.y / mu - 1) ** 2) / (2 * self.y)

    def slopes(self, mu: Vector, log_mu: Vector) -> tuple[Vector, Vector, Vector]:
        """By log(mu)."""
        q = 1 / mu
        ratio = self.y * q
        return q * (ratio - 1), -q * (2 * ratio - 1), q * (4 * ratio - 1)

    def informations(self, mu: Vector) -> tuple[Vector, Vector]:
        """1 / mu and -1 / mu."""
        return 1 / mu, -1 / mu

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) mu^3."""
        return self.mean(eta) ** 3

    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) w (y - mu)^2 / (y mu^2)."""
        return self._weighted(-2 * self.densities(*self._means(eta[0])))

    def aic(self, deviance: float) -> tuple[float, float]:
        """n (1 + log(2 pi deviance / n)) + 3 sum(w log y) + 2, n the sum of the weights."""
        n = self._sum_of_weights
        value = n * (1 + log(2 * pi * deviance / n)) + 3 * self._weighted_log_y + 2
        return value, n / deviance
