"""Families of yes/no responses and of their sums: bernoulli and binomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import guarded, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import incomplete_beta, times
from .support import Support

__all__ = ["BERNOULLI", "BINOMIAL"]

Array = Any
Values = Mapping[str, Array]

_MU = common.mu(common.PROBABILITY, lower=0.0, upper=1.0)


def _bernoulli_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    record, eta = LINKS[link], p["eta"]
    if record.symmetric:  # one evaluation for both values
        value = record.log_mu(jnp.where(y > 0.5, eta, -eta))
    else:
        value = jnp.where(y > 0.5, record.log_mu(eta), record.log_complement(eta))
    return guarded(value, eta, link, 0.0, 1.0)


def _bernoulli_sample(key: Array, p: Values, extra: Values) -> Array:
    probability = jnp.broadcast_to(p["mu"], shape_of(p))
    return random.bernoulli(key, probability).astype(probability.dtype)


def _bernoulli_cdf(y: Array, p: Values, extra: Values) -> Array:
    return jnp.where(y < 0, 0.0, jnp.where(y < 1, 1 - p["mu"], 1.0))


BERNOULLI = Family(
    name="bernoulli",
    code="BernoulliProbs(mu)",
    description="1 with probability mu, else 0; variance mu (1 − mu)",
    parameters=(_MU,),
    support=Support(lower=0.0, upper=1.0, integer=True, advice="For counts out of n use `binomial`."),
    log_kernel=_bernoulli_kernel,
    sample=_bernoulli_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] * (1 - p["mu"]),
    cdf=_bernoulli_cdf,
    factor_response=True,
)


def _binomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    record, eta = LINKS[link], p["eta"]
    successes = times(y, record.log_mu(eta))
    failures = times(extra["trials"] - y, record.log_complement(eta))
    return guarded(successes + failures, eta, link, 0.0, 1.0)


def _log_choose(y: Array, extra: Values) -> Array:
    """log of the number of ways to choose y of n."""
    n = extra["trials"]
    return jsp.gammaln(n + 1) - jsp.gammaln(y + 1) - jsp.gammaln(n - y + 1)


def _binomial_sample(key: Array, p: Values, extra: Values) -> Array:
    shape = shape_of(p, {"trials": extra["trials"]})
    return random.binomial(key, extra["trials"], p["mu"], shape).astype(jnp.result_type(float))


def _binomial_cdf(y: Array, p: Values, extra: Values) -> Array:
    n, count = extra["trials"], jnp.floor(jnp.maximum(y, 0.0))
    inside = jnp.where(count < n, count, 0.0)
    probability = incomplete_beta(jnp.maximum(n - inside, 1.0), inside + 1, 1 - p["mu"])
    return jnp.where(y < 0, 0.0, jnp.where(count < n, probability, 1.0))


BINOMIAL = Family(
    name="binomial",
    code="BinomialProbs(mu, trials)",
    description="number of successes in `trials` trials of probability mu; mean mu trials, variance "
    "mu (1 − mu) trials",
    parameters=(_MU,),
    support=Support(lower=0.0, integer=True, advice="Give the number of successes, not a proportion."),
    log_kernel=_binomial_kernel,
    log_base_measure=_log_choose,
    sample=_binomial_sample,
    mean=lambda p, extra: p["mu"] * extra["trials"],
    variance=lambda p, extra: p["mu"] * (1 - p["mu"]) * extra["trials"],
    cdf=_binomial_cdf,
    additions=frozenset({"trials", "cens", "trunc"}),
    required_additions=frozenset({"trials"}),
)
