"""Families with more zeros than a count has by itself: zero_inflated_poisson, _negbinomial, _binomial and
_beta_binomial.

With probability zi the response is 0 whatever mu is, else it is a draw from the plain family, which may be 0 too:
P(y) = zi [y = 0] + (1 - zi) f(y). Parameterised as in brms, where mu is the mean of f.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import common
from .base import Family
from .binary import (
    BETA_BINOMIAL,
    BINOMIAL,
    log_beta_binomial,
    log_beta_binomial_zero,
    log_binomial,
    log_binomial_zero,
)
from .common import guarded, log_odds_pair, shape_of
from .count import NEGBINOMIAL, POISSON, log_negbinomial, log_poisson
from .lazy import jnp, random
from .links import LINKS
from .special import log_add

__all__ = [
    "ZERO_INFLATED_BETA_BINOMIAL",
    "ZERO_INFLATED_BINOMIAL",
    "ZERO_INFLATED_NEGBINOMIAL",
    "ZERO_INFLATED_POISSON",
    "inflated_tails",
]

Array = Any
Values = Mapping[str, Array]
LogDensity = Callable[[Array, Values, Values, str], Array]
LogZero = Callable[[Values, Values, str], Array]

_LARGEST_EXPONENT = 700.0


def _kernel(plain: Family, log_density: LogDensity, log_zero: LogZero) -> LogDensity:
    """The log kernel, from the plain family's log density without a guard and its value at 0."""
    mu = plain.parameters[0]
    lower, upper = float(mu.lower or 0.0), float("inf") if mu.upper is None else mu.upper

    def kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        log_zi, log_rest = log_odds_pair(p, "zi")
        if link == "log":
            # A zero stays possible when exp(eta) overflows, so its derivatives must be numbers.
            stopped = jnp.where((y > 0) | (p["eta"] < _LARGEST_EXPONENT), p["eta"], _LARGEST_EXPONENT)
            inner: Values = {**p, "eta": stopped}
        else:
            inner = p
        zero = log_add(log_zi, log_rest + log_zero(inner, extra, link))
        value = jnp.where(y > 0, log_rest + log_density(y, inner, extra, link), zero)
        if "logit_zi" not in p:
            value = jnp.where((p["zi"] >= 0) & (p["zi"] <= 1), value, -jnp.inf)
        return guarded(value, p["eta"], link, lower, upper)

    return kernel


def inflated_tails(y: Array, p: Values, plain: tuple[Array, Array]) -> tuple[Array, Array]:
    """Both log tails at y of a variable that is 0 with probability zi and else one whose tails are ``plain``."""
    log_zi, log_rest = log_odds_pair(p, "zi")
    below = y < 0
    inner = log_add(log_zi, log_rest + jnp.where(below, 0.0, plain[0]))
    return jnp.where(below, plain[0], inner), jnp.where(below, plain[1], log_rest + plain[1])


def _sample(plain: Family) -> Callable[[Array, Values, Values], Array]:
    def sample(key: Array, p: Values, extra: Values) -> Array:
        key_zero, key_count = random.split(key)
        inflated = random.bernoulli(key_zero, p["zi"], shape_of(p, extra))
        return jnp.where(inflated, 0.0, plain.sample(key_count, p, extra))

    return sample


def _zero_inflated(
    plain: Family, log_density: LogDensity, log_zero: LogZero, code: str, description: str
) -> Family:
    """The family that is 0 with probability zi and else ``plain``."""
    plain_tails, plain_variance = plain.log_tails, plain.variance
    assert plain_tails is not None
    assert plain_variance is not None

    def mean(p: Values, extra: Values) -> Array:
        return (1 - p["zi"]) * plain.mean(p, extra)

    def variance(p: Values, extra: Values) -> Array:
        return (1 - p["zi"]) * (plain_variance(p, extra) + p["zi"] * plain.mean(p, extra) ** 2)

    def log_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        return inflated_tails(y, p, plain_tails(y, p, extra))

    return Family(
        name=f"zero_inflated_{plain.name}",
        code=code,
        description=description,
        parameters=(*plain.parameters, common.ZI),
        support=plain.support,
        log_kernel=_kernel(plain, log_density, log_zero),
        log_base_measure=plain.log_base_measure,  # 0 at a count of 0
        sample=_sample(plain),
        mean=mean,
        variance=variance,
        log_tails=log_tails,
        additions=(plain.additions & {"cens", "trunc"}) | plain.required_additions,
        required_additions=plain.required_additions,
    )


def _log_poisson_zero(p: Values, extra: Values, link: str) -> Array:
    return -LINKS[link].inverse(p["eta"])


ZERO_INFLATED_POISSON = _zero_inflated(
    POISSON,
    log_poisson,
    _log_poisson_zero,
    code="ZeroInflatedPoisson(zi, mu)",
    description="0 with probability zi, else Poisson with mean mu; mean (1 − zi) mu, variance "
    "(1 − zi) (mu + zi mu²)",
)


def _log_negbinomial_zero(p: Values, extra: Values, link: str) -> Array:
    log_odds = LINKS[link].log_mu(p["eta"]) - jnp.log(p["shape"])
    return -p["shape"] * LINKS["softplus"].inverse(log_odds)


ZERO_INFLATED_NEGBINOMIAL = _zero_inflated(
    NEGBINOMIAL,
    log_negbinomial,
    _log_negbinomial_zero,
    code="ZeroInflatedNegativeBinomial2(mu, shape, gate=zi)",
    description="0 with probability zi, else `negbinomial` with mean mu and shape; mean (1 − zi) mu",
)

ZERO_INFLATED_BINOMIAL = _zero_inflated(
    BINOMIAL,
    log_binomial,
    log_binomial_zero,
    code="ZeroInflatedDistribution(BinomialProbs(mu, trials), gate=zi)",
    description="0 with probability zi, else the number of successes in `trials` trials of probability mu; mean "
    "(1 − zi) mu trials",
)

ZERO_INFLATED_BETA_BINOMIAL = _zero_inflated(
    # brms allows the log link here, though not for `beta_binomial`.
    replace(
        BETA_BINOMIAL, parameters=(common.mu(common.PROBABILITY, lower=0.0, upper=1.0), common.PHI), links={}
    ),
    log_beta_binomial,
    log_beta_binomial_zero,
    code="ZeroInflatedDistribution(BetaBinomial(mu * phi, (1 - mu) * phi, trials), gate=zi)",
    description="0 with probability zi, else `beta_binomial` with mean mu and precision phi; mean (1 − zi) mu trials",
)
