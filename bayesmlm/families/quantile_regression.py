"""Families whose mu is a quantile: asym_laplace and zero_inflated_asym_laplace (Bayesian quantile regression)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import DistributionalParameter, Family
from .common import log_odds_pair, shape_of
from .lazy import jnp, random
from .special import log_add
from .support import Support
from .tails import log1m_exp

__all__ = ["ASYM_LAPLACE", "ZERO_INFLATED_ASYM_LAPLACE"]

Array = Any
Values = Mapping[str, Array]

_QUANTILE = DistributionalParameter(
    "quantile",
    ("logit", "identity"),
    lower=0.0,
    upper=1.0,
    default_prior="beta(1, 1)",
    default_prior_predicted="logistic(0, 1)",
)
_ANY = Support(advice="Drop the row or give it a finite value.")


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of q (1 - q) / sigma exp(-x (q - [x < 0])), where x = (y - mu) / sigma and q = quantile (Yu and Moyeed
    2001, Statistics and Probability Letters 54(4))."""
    log_below, log_above = log_odds_pair(p, "quantile")
    x = (y - p["mu"]) / p["sigma"]
    fall = jnp.where(x < 0, -jnp.exp(log_above), jnp.exp(log_below))
    return log_below + log_above - jnp.log(p["sigma"]) - x * fall


def _tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    log_below, log_above = log_odds_pair(p, "quantile")
    x = (y - p["mu"]) / p["sigma"]
    low = x < 0
    known = jnp.where(low, log_below + jnp.exp(log_above) * x, log_above - jnp.exp(log_below) * x)
    other = log1m_exp(known)
    return jnp.where(low, known, other), jnp.where(low, other, known)


def _sample(key: Array, p: Values, extra: Values) -> Array:
    """The difference of two exponential variables, with rates q and 1 - q."""
    key_above, key_below = random.split(key)
    shape, q = shape_of(p), p["quantile"]
    above, below = random.exponential(key_above, shape) / q, random.exponential(key_below, shape) / (1 - q)
    return p["mu"] + p["sigma"] * (above - below)


def _quantile(probability: Array, p: Values, extra: Values) -> Array:
    q = p["quantile"]
    low = probability < q
    lower = jnp.log(jnp.where(low, probability, q) / q) / (1 - q)
    upper = jnp.log(jnp.where(low, 1 - q, 1 - probability) / (1 - q)) / q
    return p["mu"] + p["sigma"] * (lower - upper)


def _mean(p: Values, extra: Values) -> Array:
    q = p["quantile"]
    return p["mu"] + p["sigma"] * (1 - 2 * q) / (q * (1 - q))


def _variance(p: Values, extra: Values) -> Array:
    q = p["quantile"]
    return p["sigma"] ** 2 * (1 - 2 * q + 2 * q**2) / (q * (1 - q)) ** 2 + 0.0 * p["mu"]


ASYM_LAPLACE = Family(
    name="asym_laplace",
    code="AsymmetricLaplaceQuantile(mu, sigma, quantile)",
    description="asymmetric Laplace whose quantile of probability `quantile` is mu, with scale sigma: quantile "
    "regression when `quantile` is fixed; mean mu + sigma (1 − 2 quantile) / (quantile (1 − quantile))",
    parameters=(common.mu(common.REAL[:5]), common.SIGMA, _QUANTILE),
    support=_ANY,
    log_kernel=_kernel,
    sample=_sample,
    mean=_mean,
    variance=_variance,
    log_tails=_tails,
    quantile=_quantile,
    additions=frozenset({"cens", "trunc", "mi"}),
)


def _zero_inflated_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """Zeros belong to the point mass: the continuous part has none."""
    log_zi, log_rest = log_odds_pair(p, "zi")
    return jnp.where(y == 0, log_zi, log_rest + _kernel(y, p, extra, link))


def _zero_inflated_sample(key: Array, p: Values, extra: Values) -> Array:
    key_zero, key_value = random.split(key)
    return jnp.where(random.bernoulli(key_zero, p["zi"], shape_of(p)), 0.0, _sample(key_value, p, extra))


def _zero_inflated_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    log_zi, log_rest = log_odds_pair(p, "zi")
    lower, upper = (log_rest + tail for tail in _tails(y, p, extra))
    return jnp.where(y < 0, lower, log_add(log_zi, lower)), jnp.where(y < 0, log_add(log_zi, upper), upper)


def _zero_inflated_quantile(probability: Array, p: Values, extra: Values) -> Array:
    rest = 1 - p["zi"]
    below = rest * jnp.exp(_tails(jnp.zeros(()), p, extra)[0])
    positive = _quantile(jnp.maximum((probability - p["zi"]) / rest, below / rest), p, extra)
    negative = _quantile(jnp.minimum(probability, below) / rest, p, extra)
    return jnp.where(probability < below, negative, jnp.where(probability <= below + p["zi"], 0.0, positive))


def _zero_inflated_variance(p: Values, extra: Values) -> Array:
    mean = _mean(p, extra)
    return (1 - p["zi"]) * (_variance(p, extra) + p["zi"] * mean**2)


ZERO_INFLATED_ASYM_LAPLACE = Family(
    name="zero_inflated_asym_laplace",
    code="ZeroInflated(AsymmetricLaplaceQuantile(mu, sigma, quantile), gate=zi)",
    description="0 with probability zi, else `asym_laplace`",
    parameters=(*ASYM_LAPLACE.parameters, common.ZI),
    support=_ANY,
    log_kernel=_zero_inflated_kernel,
    sample=_zero_inflated_sample,
    mean=lambda p, extra: (1 - p["zi"]) * _mean(p, extra),
    variance=_zero_inflated_variance,
    log_tails=_zero_inflated_tails,
    quantile=_zero_inflated_quantile,
    additions=frozenset({"cens", "trunc"}),
)
