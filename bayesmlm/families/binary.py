"""Families of yes/no responses and of their sums: bernoulli, binomial, beta_binomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import guarded, shape_of
from .lazy import jnp, jsp, lax, random
from .links import LINKS
from .special import incomplete_beta, log_rising, times
from .support import Support

__all__ = ["BERNOULLI", "BETA_BINOMIAL", "BINOMIAL", "log_binomial", "log_binomial_zero"]

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


_TRIALS = frozenset({"trials"})
_ADDITIONS = _TRIALS | {"cens", "trunc"}
_SUCCESSES = Support(lower=0.0, integer=True, advice="Give the number of successes, not a proportion.")


def log_binomial(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of mu^y (1 - mu)^(trials - y), without a guard for mu outside 0 to 1."""
    record, eta = LINKS[link], p["eta"]
    return times(y, record.log_mu(eta)) + times(extra["trials"] - y, record.log_complement(eta))


def log_binomial_zero(p: Values, extra: Values, link: str) -> Array:
    """log of the probability of no success."""
    return times(extra["trials"], LINKS[link].log_complement(p["eta"]))


def _binomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return guarded(log_binomial(y, p, extra, link), p["eta"], link, 0.0, 1.0)


def _log_choose(y: Array, extra: Values) -> Array:
    """log of the number of ways to choose y of n."""
    n = extra["trials"]
    return jsp.gammaln(n + 1) - jsp.gammaln(y + 1) - jsp.gammaln(n - y + 1)


def _draw(key: Array, probability: Array, p: Values, extra: Values) -> Array:
    shape = shape_of(p, {"trials": extra["trials"]})
    return random.binomial(key, extra["trials"], probability, shape).astype(jnp.result_type(float))


def _binomial_sample(key: Array, p: Values, extra: Values) -> Array:
    return _draw(key, p["mu"], p, extra)


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
    support=_SUCCESSES,
    log_kernel=_binomial_kernel,
    log_base_measure=_log_choose,
    sample=_binomial_sample,
    mean=lambda p, extra: p["mu"] * extra["trials"],
    variance=lambda p, extra: p["mu"] * (1 - p["mu"]) * extra["trials"],
    cdf=_binomial_cdf,
    additions=_ADDITIONS,
    required_additions=_TRIALS,
)


def _beta_binomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of B(y + a, n - y + b) / B(a, b) with a = mu phi, b = (1 - mu) phi."""
    record, eta, n, phi = LINKS[link], p["eta"], extra["trials"], p["phi"]
    log_phi = jnp.log(phi)
    log_a, log_b = log_phi + record.log_mu(eta), log_phi + record.log_complement(eta)
    successes = log_rising(jnp.exp(log_a), log_a, y)
    failures = log_rising(jnp.exp(log_b), log_b, n - y)
    return guarded(successes + failures - log_rising(phi, log_phi, n), eta, link, 0.0, 1.0, closed=False)


def _beta_binomial_sample(key: Array, p: Values, extra: Values) -> Array:
    key_probability, key_count = random.split(key)
    shape = shape_of(p, {"trials": extra["trials"]})
    a, b = (jnp.maximum(share * p["phi"], 1e-300) for share in (p["mu"], 1 - p["mu"]))
    return _draw(key_count, random.beta(key_probability, a, b, shape), p, extra)


def _beta_binomial_cdf(y: Array, p: Values, extra: Values) -> Array:
    """The sum of the probabilities of 0 to y, each from the one before: P(k + 1) / P(k) is a ratio of products."""
    n, a, b = extra["trials"], p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]
    last = jnp.minimum(jnp.floor(y), n)
    shape = jnp.broadcast_shapes(jnp.shape(last), shape_of(p))
    first = log_rising(b, jnp.log(b), n) - log_rising(p["phi"], jnp.log(p["phi"]), n)

    def add(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        total, log_probability = state
        total = total + jnp.where(k <= last, jnp.exp(log_probability), 0.0)
        odds = (n - k) / (k + 1) * (k + a) / (jnp.maximum(n - k - 1, 0.0) + b)
        return total, log_probability + jnp.log(odds)

    start = jnp.zeros(shape), jnp.broadcast_to(first, shape)
    count = jnp.max(jnp.maximum(last, -1.0)).astype(int) + 1
    return jnp.where(last >= n, 1.0, lax.fori_loop(0, count, add, start)[0])


BETA_BINOMIAL = Family(
    name="beta_binomial",
    code="BetaBinomial(mu * phi, (1 - mu) * phi, trials)",
    description="binomial whose probability is beta with mean mu and precision phi; mean mu trials, variance "
    "mu (1 − mu) trials (phi + trials) / (phi + 1)",
    parameters=(common.mu(common.PROBABILITY_WITHOUT_LOG, lower=0.0, upper=1.0), common.PHI),
    support=_SUCCESSES,
    log_kernel=_beta_binomial_kernel,
    log_base_measure=_log_choose,
    sample=_beta_binomial_sample,
    mean=lambda p, extra: p["mu"] * extra["trials"],
    variance=lambda p, extra: (
        p["mu"] * (1 - p["mu"]) * extra["trials"] * (p["phi"] + extra["trials"]) / (p["phi"] + 1)
    ),
    cdf=_beta_binomial_cdf,
    additions=_ADDITIONS,
    required_additions=_TRIALS,
)
