"""Families of counts of at least 1: truncated_poisson and truncated_negbinomial, P(y) = f(y) / (1 - f(0)).

mu is the mean of the untruncated f, as in brms's hurdle families (which are these with zeros of their own) and in
glmmTMB, whose names these are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Family
from .common import draw_poisson, shape_of
from .count import (
    NEGBINOMIAL,
    POISSON,
    log_negbinomial,
    log_negbinomial_hazard,
    log_poisson,
    log_poisson_hazard,
)
from .lazy import jnp, random
from .links import LINKS, numpy_of
from .support import Support
from .tails import log1m_exp

__all__ = [
    "NEGBINOMIAL_WITHOUT_ZEROS",
    "POISSON_WITHOUT_ZEROS",
    "TRUNCATED_NEGBINOMIAL",
    "TRUNCATED_POISSON",
    "WithoutZeros",
]

Array = Any
Values = Mapping[str, Array]
LogDensity = Callable[[Array, Values, Values, str], Array]

# 1 - f(0) = 1 - exp(-exp(log hazard)) is the inverse of this link, whose logarithm keeps its digits for a mu near 0
# and for a large one.
_POSITIVE = LINKS["cloglog"]


@dataclass(frozen=True)
class WithoutZeros:
    """The distribution of ``plain`` given that it is not 0.

    ``log_density``: that of ``plain`` without a guard; ``log_hazard``: log of -log(f(0)) by the linear predictor;
    ``hazard``: -log(f(0)), also of NumPy arrays; ``draw_further(key, t, p)``: how many events follow the first, which
    has come when the cumulated hazard was t.
    """

    plain: Family
    log_density: LogDensity
    log_hazard: Callable[[Values, str], Array]
    hazard: Callable[[Values], Array]
    draw_further: Callable[[Array, Array, Values], Array]

    def log_kernel(self, y: Array, p: Values, extra: Values, link: str) -> Array:
        """The log kernel for y of at least 1, minus infinity where mu is not positive; any number for y = 0."""
        possible = LINKS[link].log_mu(p["eta"]) > -np.inf
        # Zeros say nothing of mu: any eta that keeps numbers finite will do for them.
        inner = {**p, "eta": jnp.where((y > 0) & possible, p["eta"], 1.0)}
        value = self.log_density(y, inner, extra, link) - _POSITIVE.log_mu(self.log_hazard(inner, link))
        return jnp.where(possible, value, -jnp.inf)

    def _moment(self, p: Values, moment: Array) -> Array:
        """``moment`` / P(Y > 0): both vanish with mu, and 1 is then all that is left."""
        xp = numpy_of(p["mu"])
        probability = -xp.expm1(-self.hazard(p))
        possible = probability > 0
        return xp.where(possible, moment / xp.where(possible, probability, 1.0), 1.0)

    def mean(self, p: Values, extra: Values) -> Array:
        """E(Y), also of NumPy arrays."""
        return self._moment(p, self.plain.mean(p, extra))

    def mean_square(self, p: Values, extra: Values) -> Array:
        """E(Y²), also of NumPy arrays."""
        assert self.plain.variance is not None
        return self._moment(p, self.plain.variance(p, extra) + self.plain.mean(p, extra) ** 2)

    def log_tails(self, y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        """log P(Y <= y) and log P(Y > y)."""
        assert self.plain.log_tails is not None
        below, hazard = y < 1, self.hazard(p)
        lower, upper = self.plain.log_tails(jnp.where(below, 1.0, y), p, extra)
        log_positive = _POSITIVE.log_mu(LINKS["identity"].log_mu(hazard))
        upper = upper - log_positive
        # Each form where it subtracts from the larger number.
        from_above = (upper < _LOG_HALF) | (hazard < -_LOG_HALF)
        gap = jnp.where(from_above, -1.0, jnp.minimum(-hazard - lower, 0.0))
        from_below = lower + log1m_exp(gap) - log_positive
        complement = log1m_exp(jnp.where(from_above, jnp.minimum(upper, 0.0), -1.0))
        lower = jnp.where(from_above, complement, from_below)
        return jnp.where(below, -jnp.inf, lower), jnp.where(below, 0.0, jnp.minimum(upper, 0.0))

    def sample(self, key: Array, p: Values, extra: Values) -> Array:
        """The count of events in a unit of time, given that there is one: the first by inversion, then the rest."""
        key_first, key_further = random.split(key)
        positive = -jnp.expm1(-self.hazard(p))
        uniform = random.uniform(key_first, shape_of(p), positive.dtype)
        first = -jnp.log1p(-uniform * positive)  # exponential, given that it is below the hazard
        return 1 + self.draw_further(key_further, first, p)


_LOG_HALF = -0.6931471805599453


def _further_poisson(key: Array, first: Array, p: Values) -> Array:
    return draw_poisson(key, jnp.maximum(p["mu"] - first, 0.0))


def _further_negbinomial(key: Array, first: Array, p: Values) -> Array:
    """A gamma variable is the rate of the events; after a first one at time t its shape is larger by 1 and its scale
    smaller by the factor 1 + t scale (the conjugate posterior)."""
    key_rate, key_count = random.split(key)
    grown = jnp.expm1(first / p["shape"])  # t scale
    left = jnp.maximum(p["mu"] / p["shape"] - grown, 0.0) / (1 + grown)
    return draw_poisson(key_count, random.gamma(key_rate, p["shape"] + 1, first.shape) * left)


POISSON_WITHOUT_ZEROS = WithoutZeros(
    POISSON, log_poisson, log_poisson_hazard, hazard=lambda p: p["mu"], draw_further=_further_poisson
)
NEGBINOMIAL_WITHOUT_ZEROS = WithoutZeros(
    NEGBINOMIAL,
    log_negbinomial,
    log_negbinomial_hazard,
    hazard=lambda p: p["shape"] * numpy_of(p["mu"]).log1p(p["mu"] / p["shape"]),
    draw_further=_further_negbinomial,
)

_SUPPORT = Support(
    lower=1.0,
    integer=True,
    advice="Counts with zeros have the families `poisson`, `negbinomial` and, where zeros come about in another way, "
    "`hurdle_poisson` and `hurdle_negbinomial`.",
)


def _family(law: WithoutZeros, code: str, description: str) -> Family:
    return Family(
        name=f"truncated_{law.plain.name}",
        code=code,
        description=description,
        parameters=law.plain.parameters,
        support=_SUPPORT,
        log_kernel=law.log_kernel,
        log_base_measure=law.plain.log_base_measure,
        sample=law.sample,
        mean=law.mean,
        variance=lambda p, extra: law.mean_square(p, extra) - law.mean(p, extra) ** 2,
        log_tails=law.log_tails,
        additions=frozenset({"cens", "trunc"}),
    )


TRUNCATED_POISSON = _family(
    POISSON_WITHOUT_ZEROS,
    code="ZeroTruncatedPoisson(mu)",
    description="Poisson with mean mu without its zeros; mean mu / (1 − exp(−mu)). glmmTMB's; brms has no such family",
)
TRUNCATED_NEGBINOMIAL = _family(
    NEGBINOMIAL_WITHOUT_ZEROS,
    code="ZeroTruncatedNegativeBinomial2(mu, shape)",
    description="`negbinomial` with mean mu and shape without its zeros; mean mu / (1 − (shape / (mu + shape))^shape). "
    "glmmTMB's; brms has no such family",
)
