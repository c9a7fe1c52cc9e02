"""Kernels of generalised linear models with one linear predictor: what they share, and binomial responses.

NumPy only, and lme4's conventions: for binomial responses the mean is the proportion and the weights are trials
times prior weights. Families whose log density is simple in log(mu) are in `log_mean_kernels`.

The mean is inside its open range or the log density is minus infinity (as R's ``validmu``; links such as identity
can leave it). R caps the linear predictor of probit and cauchit and the tails of cloglog; nothing is capped here:
log mu, log(1 - mu) and their derivatives are evaluated in forms that hold in both tails, so that value, score and
information stay derivatives of each other. Source of the algebra: McCullagh and Nelder (1989), Generalized Linear
Models, chapter 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import inf, isfinite
from typing import ClassVar

import numpy as np
from scipy import special

from ..families.links import LINKS
from .chain_rule import Derivatives, from_partials
from .kernel import Local, Predictors, Vector
from .link_derivatives import log_complement_derivatives, log_mean_derivatives, mean_derivatives

__all__ = [
    "BinomialKernel",
    "GLMKernel",
    "as_local",
    "inside",
    "legal_interval_of_probability",
    "log_choices",
    "or_minus_infinity",
]

_LEGAL = {"identity": (0.0, 1.0), "log": (-inf, 0.0)}

BLOCK = 8192
"""Rows computed at a time, so that what lies between stays in the processor's cache."""


class GLMKernel(ABC):
    """A kernel with mu alone.

    ``y``: the response as lme4 keeps it (binomial: the proportion); ``weights`` (n,): prior weights (binomial: times
    trials), None for ones. ``link``: mu's.
    """

    parameters: tuple[str, ...] = ("mu",)
    has_expected = True
    canonical_link: ClassVar[str]
    constant: float

    def __init__(self, y: Vector, weights: Vector | None, link: str) -> None:
        self.y, self.weights = y, weights
        self.link = link
        self.links: tuple[str, ...] = (link,)

    @abstractmethod
    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""

    @abstractmethod
    def value(self, eta: Predictors) -> float:
        """See `Kernel.value`."""

    @abstractmethod
    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""

    @abstractmethod
    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`."""

    @abstractmethod
    def start(self) -> Predictors:
        """R's ``mustart`` through the link."""

    @abstractmethod
    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) V(mu): the variance of a response of weight 1 and dispersion 1."""

    @abstractmethod
    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) unit deviances times weights, R's ``dev.resids``."""

    def criterion(self, eta: Predictors) -> tuple[float, Predictors | None]:
        """-2 times the log density, constant included; see `Kernel.criterion`."""
        return -2 * (self.value(eta) + self.constant), None

    def mean(self, eta: Predictors) -> Vector:
        """(n,) mu; of binomial responses the probability."""
        mu: Vector = LINKS[self.link].inverse(eta[0])
        return mu

    def variance(self, eta: Predictors) -> Vector:
        """(n,) V(mu) / weights, infinite where the weight is zero."""
        with np.errstate(divide="ignore"):
            return self.unit_variance(eta) / self._weights_or_one()

    def deviance_residuals(self, eta: Predictors) -> Vector:
        """(n,) roots of `deviance_residual_squares` with the sign of y - mu."""
        return np.sign(self.y - self.mean(eta)) * np.sqrt(self.deviance_residual_squares(eta))

    def pearson_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mu) sqrt(weights / V(mu))."""
        return (self.y - self.mean(eta)) * np.sqrt(self._weights_or_one() / self.unit_variance(eta))

    def working_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mu) / (d mu / d eta)."""
        mu, slope, _, _ = mean_derivatives(self.link, eta[0])
        return (self.y - mu) / slope

    def _weights_or_one(self) -> Vector | float:
        return 1.0 if self.weights is None else self.weights

    def _weighted(self, values: Vector) -> Vector:
        return values if self.weights is None else values * self.weights


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def legal_interval_of_probability(link: str) -> tuple[float, float] | None:
    """The open interval of linear predictors whose mean is a probability, None where all are."""
    return _LEGAL.get(link)


def log_choices(successes: Vector, failures: Vector) -> Vector:
    """(n,) log of the number of ways in which so many successes and failures can come."""
    choices: Vector = special.gammaln(successes + failures + 1)
    return choices - special.gammaln(successes + 1) - special.gammaln(failures + 1)


def inside(x: Vector, legal: tuple[float, float] | None) -> bool:
    """Whether all of ``x`` lies in the open interval ``legal`` (None: the real line)."""
    return legal is None or (float(x.min()) > legal[0] and float(x.max()) < legal[1])


def or_minus_infinity(value: float) -> float:
    """``value``, minus infinity if it is infinite or not a number (a mean beyond what floats can hold)."""
    return value if isfinite(value) else -inf


def as_local(value: float, score: Vector, observed: Vector, expected: Vector) -> Local:
    """The `Local` of one predictor from arrays (n,)."""
    stacked = observed[None, None]
    same = observed is expected
    return Local(or_minus_infinity(value), score[None], stacked, stacked if same else expected[None, None])


class BinomialKernel(GLMKernel):
    """Successes out of trials (bernoulli: ``trials`` None, all 1).

    ``successes`` (n,): counts; ``prior_weights`` multiply the log density.
    """

    canonical_link = "logit"

    def __init__(
        self, successes: Vector, trials: Vector | None, prior_weights: Vector | None, link: str
    ) -> None:
        total = prior_weights if trials is None else trials
        if trials is not None and prior_weights is not None:
            total = trials * prior_weights
        self.trials = trials
        proportion = successes if trials is None else successes / np.where(trials > 0, trials, 1.0)
        super().__init__(proportion, total, link)
        self._counts = successes, (1.0 if trials is None else trials) - successes
        # Weighted numbers of successes and failures.
        self.successes = successes if prior_weights is None else successes * prior_weights
        self.failures = (1.0 if total is None else total) - self.successes
        base = self.base_measure()
        self.constant = float(base.sum() if prior_weights is None else base @ prior_weights)
        self._legal = legal_interval_of_probability(link)

    def base_measure(self) -> Vector:
        """(n,) log of the number of ways to choose the successes, which `row_derivatives` leaves out."""
        successes, failures = self._counts
        if self.trials is None:
            return np.zeros_like(successes)
        return log_choices(successes, failures)

    def legal(self, eta: Predictors) -> bool:
        """Whether mu is a probability in every row."""
        return inside(eta[0], self._legal)

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Log densities of weight 1 less `base_measure`, and their derivatives by ``eta`` up to ``order``, at legal
        predictors."""
        x, record = eta[0], LINKS[self.link]
        successes, failures = self._counts
        logs: list[tuple[Vector, ...]] = [(record.log_mu(x), record.log_complement(x))]
        if order:
            of_mean, of_complement = (
                f(self.link, x) for f in (log_mean_derivatives, log_complement_derivatives)
            )
            logs += zip(of_mean, of_complement, strict=True)

        def partial(*indices: int) -> Vector:
            of_success, of_failure = logs[len(indices)]
            return successes * of_success + failures * of_failure

        return from_partials(1, order, partial, len(x))

    def value(self, eta: Predictors) -> float:
        """See `Kernel.value`."""
        if self.link == "logit":
            return self._logit_value(eta[0])
        return self._value(eta[0]) if inside(eta[0], self._legal) else -inf

    def _value(self, x: Vector) -> float:
        record = LINKS[self.link]
        with np.errstate(all="ignore"):
            total = self.successes @ record.log_mu(x) + self.failures @ record.log_complement(x)
        return or_minus_infinity(float(total))

    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""
        x, record = eta[0], LINKS[self.link]
        if self.link == "logit":
            softplus = np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)
            return self.successes * x - self._weighted(softplus)
        if not inside(x, self._legal):
            return np.full_like(x, -inf)
        with np.errstate(all="ignore"):
            terms: Vector = self.successes * record.log_mu(x) + self.failures * record.log_complement(x)
        return terms

    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""
        x = eta[0]
        if self.link == "logit":
            return self._logit_local(x)
        with np.errstate(all="ignore"):
            value = self._value(x) if inside(x, self._legal) else -inf
            s1, s2, _ = log_mean_derivatives(self.link, x)
            f1, f2, _ = log_complement_derivatives(self.link, x)
            score = self.successes * s1 + self.failures * f1
            observed = -(self.successes * s2 + self.failures * f2)
            # (mu')^2 / (mu (1 - mu)) is the product of d log mu and -d log(1 - mu).
            return as_local(value, score, observed, self._weighted(-s1 * f1))

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`."""
        x = eta[0]
        if self.link == "logit":
            slopes: Predictors = self._logit_slopes(x) * by_weights[0]
            return slopes
        with np.errstate(all="ignore"):
            s1, s2, s3 = log_mean_derivatives(self.link, x)
            f1, f2, f3 = log_complement_derivatives(self.link, x)
            if expected:
                slope = self._weighted(-(s2 * f1 + s1 * f2))
            else:
                slope = -(self.successes * s3 + self.failures * f3)
        result: Predictors = slope[None] * by_weights[0]
        return result

    # The canonical link costs one exponential and one logarithm a row: with t = exp(-|eta|), mu (1 - mu) is
    # t / (1 + t)^2, and log(1 + exp(eta)) is max(eta, 0) + log(1 + t). Rows go through the processor's cache in blocks.

    def _logit_value(self, x: Vector) -> float:
        total = 0.0
        for rows in _blocks(len(x)):
            total += self._logit_sum(x[rows], np.exp(-np.abs(x[rows])), rows)
        return or_minus_infinity(total)

    def _logit_sum(self, x: Vector, tail: Vector, rows: slice) -> float:
        softplus = np.log(tail + 1)
        softplus += np.maximum(x, 0.0)
        total = softplus.sum() if self.weights is None else softplus @ self.weights[rows]
        return float(self.successes[rows] @ x - total)

    def _logit_local(self, eta: Vector) -> Local:
        score, information = np.empty_like(eta), np.empty_like(eta)
        value = 0.0
        for rows in _blocks(len(eta)):
            x = eta[rows]
            tail = np.exp(-np.abs(x))
            value += self._logit_sum(x, tail, rows)
            large = 1 / (1 + tail)
            small = np.multiply(tail, large, out=tail)
            fitted = np.where(x < 0, small, large)
            np.multiply(small, large, out=information[rows])
            if self.weights is not None:
                fitted *= self.weights[rows]
                information[rows] *= self.weights[rows]
            np.subtract(self.successes[rows], fitted, out=score[rows])
        return as_local(value, score, information, information)

    def _logit_slopes(self, eta: Vector) -> Vector:
        """Derivatives of the information: mu (1 - mu) (1 - 2 mu)."""
        slopes = np.empty_like(eta)
        for rows in _blocks(len(eta)):
            tail = np.exp(-np.abs(eta[rows]))
            odd = (tail - 1) * tail / (1 + tail) ** 3
            np.copysign(odd, -eta[rows], out=slopes[rows])
        return self._weighted(slopes)

    def start(self) -> Predictors:
        """(n y + 1/2) / (n + 1) through the link, n the trials."""
        n = 1.0 if self.trials is None else self.trials
        start: Vector = LINKS[self.link].link((self.y * n + 0.5) / (n + 1.0))
        return start[None]

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) mu (1 - mu)."""
        record = LINKS[self.link]
        product: Vector = np.exp(record.log_mu(eta[0]) + record.log_complement(eta[0]))
        return product

    def pearson_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mu) sqrt(weights / (mu (1 - mu))), exact where mu rounds to 0 or 1."""
        record, x = LINKS[self.link], eta[0]
        with np.errstate(all="ignore"):
            log_odds = record.log_mu(x) - record.log_complement(x)
            above = np.where(self.y > 0, self.y * np.exp(-log_odds / 2), 0.0)
            below = np.where(self.y < 1, (1 - self.y) * np.exp(log_odds / 2), 0.0)
        return (above - below) * np.sqrt(self._weights_or_one())

    def deviance_residual_squares(self, eta: Predictors) -> Vector:
        """(n,) 2 w (y log(y / mu) + (1 - y) log((1 - y) / (1 - mu))), y the proportion, w trials times weights."""
        record, x = LINKS[self.link], eta[0]
        saturated = special.xlogy(self.y, self.y) + special.xlog1py(1 - self.y, -self.y)
        with np.errstate(all="ignore"):
            # Counts of zero must not meet an infinite logarithm.
            fitted = np.where(self.y > 0, self.y * record.log_mu(x), 0.0)
            fitted += np.where(self.y < 1, (1 - self.y) * record.log_complement(x), 0.0)
        return self._weighted(2 * np.maximum(saturated - fitted, 0.0))
