"""Families of yes/no responses and of their sums: bernoulli, binomial, beta_binomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import guarded, shape_of
from .differentiation import elementwise_gradients
from .lazy import jnp, jsp, lax, random
from .links import LINKS
from .special import log_add, log_rising, times
from .support import Support
from .tails import log_incomplete_beta

__all__ = [
    "BERNOULLI",
    "BETA_BINOMIAL",
    "BINOMIAL",
    "log_beta_binomial",
    "log_beta_binomial_zero",
    "log_binomial",
    "log_binomial_zero",
]

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
    response="binary",
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


def _binomial_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    n, count = extra["trials"], jnp.floor(y)
    inside = (count >= 0) & (count < n)
    failures = jnp.where(inside, n - count, 1.0)
    upper, lower = log_incomplete_beta(jnp.where(inside, count, 0.0) + 1, failures, p["mu"])
    return _within_trials(inside, y, lower, upper)


def _within_trials(inside: Array, y: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Both log tails: below 0 and from the number of trials on nothing is uncertain."""
    below = y < 0
    ends = jnp.where(below, -jnp.inf, 0.0), jnp.where(below, 0.0, -jnp.inf)
    return jnp.where(inside, lower, ends[0]), jnp.where(inside, upper, ends[1])


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
    log_tails=_binomial_tails,
    additions=_ADDITIONS,
    required_additions=_TRIALS,
)


def _log_shares(p: Values, link: str) -> tuple[Array, Array, Array]:
    """Logarithms of the beta distribution's shapes mu phi and (1 - mu) phi, and of phi."""
    log_phi = jnp.log(p["phi"])
    return log_phi + LINKS[link].log_mu(p["eta"]), log_phi + LINKS[link].log_complement(p["eta"]), log_phi


def log_beta_binomial(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of B(y + a, n - y + b) / B(a, b) with a = mu phi, b = (1 - mu) phi, without a guard for mu outside 0 to
    1."""
    (log_a, log_b, log_phi), n = _log_shares(p, link), extra["trials"]
    # Side by side: the formula is compiled once for successes and failures.
    shapes = jnp.broadcast_arrays(log_a, log_b, y, n - y)
    log_shapes, counts = jnp.stack(shapes[:2]), jnp.stack(shapes[2:])
    rising = jnp.sum(log_rising(jnp.exp(log_shapes), log_shapes, counts), axis=0)
    return rising - log_rising(p["phi"], log_phi, n)


def log_beta_binomial_zero(p: Values, extra: Values, link: str) -> Array:
    """log of the probability of no success."""
    (_, log_b, log_phi), n = _log_shares(p, link), extra["trials"]
    return log_rising(jnp.exp(log_b), log_b, n) - log_rising(p["phi"], log_phi, n)


def _beta_binomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return guarded(log_beta_binomial(y, p, extra, link), p["eta"], link, 0.0, 1.0, closed=False)


def _beta_binomial_sample(key: Array, p: Values, extra: Values) -> Array:
    key_probability, key_count = random.split(key)
    shape = shape_of(p, {"trials": extra["trials"]})
    a, b = (jnp.maximum(share * p["phi"], 1e-300) for share in (p["mu"], 1 - p["mu"]))
    return _draw(key_count, random.beta(key_probability, a, b, shape), p, extra)


def _beta_binomial_sums(last: Array, n: Array, log_a: Array, log_b: Array) -> tuple[Array, Array]:
    """Logarithms of the sums of the probabilities of 0 to ``last`` and from there to n, each probability from the one
    before: P(k + 1) / P(k) is a ratio of products."""
    a, b = jnp.exp(log_a), jnp.exp(log_b)
    first = log_rising(b, log_b, n) - log_rising(a + b, jnp.log(a + b), n)

    def add(k: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        lower, upper, term = state
        lower = log_add(lower, jnp.where(k <= last, term, -jnp.inf))
        upper = log_add(upper, jnp.where((k > last) & (k <= n), term, -jnp.inf))
        more = k < n
        left = jnp.where(more, n - k, 1.0)
        step = jnp.log(left / (k + 1)) + jnp.log(k + a) - jnp.log(left - 1 + b)
        return lower, upper, term + jnp.where(more, step, 0.0)

    nothing = jnp.full_like(first, -jnp.inf)
    lower, upper, _ = lax.fori_loop(0, jnp.max(n).astype(int) + 1, add, (nothing, nothing, first))
    return lower, upper


def _beta_binomial_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    n, count = extra["trials"], jnp.floor(y)
    inside = (count >= 0) & (count < n)
    log_a, log_b = (jnp.log(jnp.maximum(share * p["phi"], 1e-300)) for share in (p["mu"], 1 - p["mu"]))
    arrays = (jnp.where(inside, count, 0.0), jnp.where(inside, n, 1.0), log_a, log_b)
    sums = elementwise_gradients(_beta_binomial_sums, constants=2)
    return _within_trials(inside, y, *sums(*jnp.broadcast_arrays(*(x * 1.0 for x in arrays))))


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
    log_tails=_beta_binomial_tails,
    additions=_ADDITIONS,
    required_additions=_TRIALS,
)
