"""The kernel of the negative binomial family with variance mu + mu^2 / shape, both parameters predicted (NumPy).

With k the shape and t = (y - mu) / (k + mu), the log density is, but for -log(y!),

    (y + k) log(1 + t) - y + y log(mu) + R(y + k) - R(k),

R the remainder of Stirling's formula for the log-gamma function. So written, it and its derivatives by log(k) go over
into those of the Poisson family for large k without cancellation: the first is k times (log(1 + t) - t + R'(y + k)
- R'(k)).
"""

from __future__ import annotations

from math import inf

import numpy as np
from scipy import special

from ..families.links import LINKS
from .chain_rule import Derivatives, contracted, from_partials, through_links
from .glm_kernels import or_minus_infinity
from .kernel import Local, Predictors, Vector
from .link_derivatives import log_mean_derivatives, slopes_of_log
from .log_mean_kernels import away_from_zero, positive
from .stirling import by_logarithm, log1p_and_excess, remainder_differences

__all__ = ["NegativeBinomialKernel"]


class NegativeBinomialKernel:
    """Counts ``y`` (n,); ``weights`` (n,) multiply the log density, None for ones. Predictors: mu, shape.

    The *expected* information is lme4's: the Fisher weights of mu, zero between mu and shape (their expectation
    indeed), and the observed value for shape, whose expectation has no closed form. In ``glmer.nb`` the shape is a
    constant outside the search for the mode, so that its information does not enter.
    """

    parameters: tuple[str, ...] = ("mu", "shape")
    has_expected = True

    def __init__(self, y: Vector, weights: Vector | None, link: str, link_shape: str) -> None:
        self.y, self.weights = y, weights
        self.links: tuple[str, ...] = (link, link_shape)
        self._distinct, self._at = np.unique(y, return_inverse=True)
        base = self.base_measure()
        self.constant = float(base.sum() if weights is None else base @ weights)

    def base_measure(self) -> Vector:
        """(n,) -log(y!), which `row_derivatives` leaves out."""
        factorials: Vector = special.gammaln(self.y + 1)
        return -factorials

    def legal(self, eta: Predictors) -> bool:
        """Whether mu and the shape are positive in every row."""
        return positive(away_from_zero(eta[0], self.links[0]), self.links[0]) and positive(
            eta[1], self.links[1]
        )

    def value(self, eta: Predictors) -> float:
        """See `Kernel.value`."""
        return or_minus_infinity(float(self.log_densities(eta).sum()))

    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""
        if not self.legal(eta):
            return np.full(eta.shape[1], -inf)
        with np.errstate(all="ignore"):
            return self._weighted(self.row_derivatives(eta, 0)[0])

    def _weighted(self, array: Predictors) -> Predictors:
        return array if self.weights is None else array * self.weights

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Log densities of weight 1 less `base_measure`, and their derivatives by ``eta`` up to ``order``, at legal
        predictors."""
        x = away_from_zero(eta[0], self.links[0])
        mu, k = (LINKS[link].inverse(at) for link, at in zip(self.links, (x, eta[1]), strict=True))
        by_logs = self.log_derivatives(mu, LINKS[self.links[0]].log_mu(x), k, order)
        slopes = [slopes_of_log(link, at) for link, at in zip(self.links, (x, eta[1]), strict=True)]
        return through_links(by_logs, slopes)

    def log_derivatives(self, mu: Vector, log_mu: Vector, k: Vector, order: int) -> Derivatives:
        """As `row_derivatives`, by the logarithms of mu and of the shape ``k``."""
        y = self.y
        remainders = self._remainders(k, order)
        log_ratio, excess = self._log_ratio(mu, k)
        partials: dict[tuple[int, ...], Vector] = {(): (y + k) * log_ratio - y + y * log_mu + remainders[0]}
        if order > 0:
            whole = k + mu
            share, rest = mu / whole, k / whole
            of_mu = (y - mu) * rest
            # Derivatives by k of the log density at a given mu.
            by_shape = [excess + remainders[1]]
            partials[0,] = of_mu
        if order > 1:
            t = (y - mu) / whole
            curvature = t * t / (k + y)
            by_shape.append(curvature + remainders[2])
            partials[0, 0] = twice = -(y + k) * share * rest
            partials[0, 1] = both = share * of_mu
        if order > 2:
            by_shape.append(remainders[3] - curvature * (2 / whole + 1 / (k + y)))
            partials[0, 0, 0] = twice * (rest - share)
            partials[0, 0, 1] = share * (rest * of_mu + twice)
            partials[0, 1, 1] = both * (share - rest)
        if order > 0:
            for m, of_shape in enumerate(by_logarithm(k, by_shape), start=1):
                partials[(1,) * m] = of_shape
        return from_partials(2, order, lambda *indices: partials[indices], len(y))

    def _remainders(self, k: Vector, orders: int) -> list[Vector]:
        """R(y + k) - R(k) and its first ``orders`` derivatives by k, (n,) each.

        If the shape is constant, they are evaluated once for each distinct count.
        """
        if not self._distinct.any():
            return [np.zeros_like(k)] * (orders + 1)
        if k.min() == k.max():
            terms = remainder_differences(self._distinct, np.full_like(self._distinct, k[0]), orders)
            return [term[self._at] for term in terms]
        return remainder_differences(self.y, k, orders)

    def _log_ratio(self, mu: Vector, k: Vector) -> tuple[Vector, Vector]:
        """log(1 + t) and log(1 + t) - t for t = (y - mu) / (k + mu), 1 + t = (k + y) / (k + mu)."""
        t = (self.y - mu) / (k + mu)
        log_ratio, excess = log1p_and_excess(t)
        far = np.abs(t) >= 0.5
        if far.any():
            log_ratio = np.where(far, np.log(k + self.y) - np.log(k + mu), log_ratio)
            excess = np.where(far, log_ratio - t, excess)
        return log_ratio, excess

    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""
        if not self.legal(eta):
            nothing = np.zeros((2, 2, eta.shape[1]))
            return Local(-inf, nothing[0], nothing, nothing)
        with np.errstate(all="ignore"):
            values, score, second = self.row_derivatives(eta, 2)
            observed = self._weighted(-second)
            fisher, _, _ = self._fisher(eta)
            expected = np.zeros_like(observed)
            expected[0, 0] = self._weighted(fisher)
            expected[1, 1] = observed[1, 1]
            value = or_minus_infinity(float(self._weighted(values).sum()))
            return Local(value, self._weighted(score), observed, expected)

    def _fisher(self, eta: Predictors) -> tuple[Vector, Vector, Vector]:
        """The expected information on mu's predictor, mu rest mu'^2 / mu^2, and its derivatives by both predictors."""
        x = away_from_zero(eta[0], self.links[0])
        mu, k = LINKS[self.links[0]].inverse(x), LINKS[self.links[1]].inverse(eta[1])
        m1, m2, _ = log_mean_derivatives(self.links[0], x)
        s1, _, _ = log_mean_derivatives(self.links[1], eta[1])
        share, rest = mu / (k + mu), k / (k + mu)
        fisher = mu * rest
        information = fisher * m1 * m1
        return information, information * rest * m1 + 2 * fisher * m1 * m2, information * share * s1

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`."""
        with np.errstate(all="ignore"):
            third = self.row_derivatives(eta, 3)[3]
            if not expected:
                return self._weighted(-contracted(third, by_weights))
            _, *fisher_slopes = self._fisher(eta)
            result = by_weights[0, 0] * np.stack(fisher_slopes) - by_weights[1, 1] * third[1, 1]
            return self._weighted(result)

    def criterion(self, eta: Predictors) -> tuple[float, Predictors | None]:
        """-2 times the log density, constant included."""
        return -2 * (self.value(eta) + self.constant), None

    def start(self) -> Predictors:
        """MASS's ``mustart`` (y, a sixth for zeros) and the shape that moments give, between 0.1 and 100."""
        mean, excess = float(self.y.mean()), float(self.y.var() - self.y.mean())
        shape = min(max(mean * mean / excess, 0.1), 100.0) if excess > 0 else 100.0
        mu: Vector = LINKS[self.links[0]].link(np.where(self.y > 0, self.y, 1 / 6))
        return np.stack([mu, np.full_like(mu, LINKS[self.links[1]].link(shape))])

    # ---- what is read off a fit

    def mean(self, eta: Predictors) -> Vector:
        """(n,) mu."""
        mu: Vector = LINKS[self.links[0]].inverse(eta[0])
        return mu

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) mu + mu^2 / shape."""
        mu, shape = self.mean(eta), LINKS[self.links[1]].inverse(eta[1])
        variance: Vector = mu + mu * (mu / shape)
        return variance

    def variance(self, eta: Predictors) -> Vector:
        """(n,) `unit_variance` / weights, infinite where the weight is zero."""
        variance = self.unit_variance(eta)
        with np.errstate(divide="ignore"):
            return variance if self.weights is None else variance / self.weights

    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) 2 w (y log(y / mu) - (y + k) log((y + k) / (mu + k))), as MASS's ``negative.binomial``."""
        mu, k = self.mean(eta), LINKS[self.links[1]].inverse(eta[1])
        log_ratio, _ = self._log_ratio(mu, k)
        entropy = special.xlogy(self.y, self.y) - self.y * LINKS[self.links[0]].log_mu(eta[0])
        squares = 2 * np.maximum(entropy - (self.y + k) * log_ratio, 0.0)
        return squares if self.weights is None else squares * self.weights

    def deviance_residuals(self, eta: Predictors) -> Vector:
        """(n,) roots of `deviance_residual_squares` with the sign of y - mu."""
        return np.sign(self.y - self.mean(eta)) * np.sqrt(self.deviance_residual_squares(eta))

    def pearson_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mu) sqrt(weights / V(mu))."""
        root = np.sqrt((1.0 if self.weights is None else self.weights) / self.unit_variance(eta))
        return (self.y - self.mean(eta)) * root
