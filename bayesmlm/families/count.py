"""Families of counts without an upper limit: poisson and negbinomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import draw_poisson, guarded, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import incomplete_beta, incomplete_gamma, log_gamma_ratio, times
from .support import Support

__all__ = ["NEGBINOMIAL", "POISSON"]

Array = Any
Values = Mapping[str, Array]

_ADDITIONS = frozenset({"cens", "trunc", "rate"})
_COUNTS = Support(
    lower=0.0,
    integer=True,
    advice="Use `gamma` or `lognormal` for positive measurements, `gaussian` for others.",
)


def _minus_log_factorial(y: Array, extra: Values) -> Array:
    return -jsp.gammaln(y + 1)


def _at_counts(y: Array, probability_at: Array) -> Array:
    return jnp.where(y < 0, 0.0, probability_at)


def _poisson_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    record, eta = LINKS[link], p["eta"]
    value = times(y, record.log_mu(eta)) - record.inverse(eta)
    return guarded(value, eta, link, 0.0, np.inf)


def _poisson_sample(key: Array, p: Values, extra: Values) -> Array:
    return draw_poisson(key, jnp.broadcast_to(p["mu"], shape_of(p)))


def _poisson_cdf(y: Array, p: Values, extra: Values) -> Array:
    return _at_counts(y, incomplete_gamma(jnp.floor(jnp.maximum(y, 0.0)) + 1, p["mu"])[1])


POISSON = Family(
    name="poisson",
    code="Poisson(mu)",
    description="Poisson with mean mu; variance mu",
    parameters=(common.mu(common.COUNT, lower=0.0),),
    support=_COUNTS,
    log_kernel=_poisson_kernel,
    log_base_measure=_minus_log_factorial,
    sample=_poisson_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"],
    cdf=_poisson_cdf,
    additions=_ADDITIONS,
)


def _negbinomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of Gamma(y + shape) / Gamma(shape) * (shape / (mu + shape))^shape * (mu / (mu + shape))^y."""
    shape, eta = p["shape"], p["eta"]
    log_odds = LINKS[link].log_mu(eta) - jnp.log(shape)  # log(mu / shape)
    log1p_exp = LINKS["softplus"].inverse
    value = log_gamma_ratio(shape, y) - shape * log1p_exp(log_odds) - times(y, log1p_exp(-log_odds))
    return guarded(value, eta, link, 0.0, np.inf)


def _negbinomial_sample(key: Array, p: Values, extra: Values) -> Array:
    """A Poisson variable whose mean is a gamma variable."""
    key_mean, key_count = random.split(key)
    mean = random.gamma(key_mean, p["shape"], shape_of(p)) * (p["mu"] / p["shape"])
    return draw_poisson(key_count, mean)


def _negbinomial_cdf(y: Array, p: Values, extra: Values) -> Array:
    count = jnp.floor(jnp.maximum(y, 0.0))
    return _at_counts(y, incomplete_beta(p["shape"], count + 1, p["shape"] / (p["shape"] + p["mu"])))


NEGBINOMIAL = Family(
    name="negbinomial",
    code="NegativeBinomial2(mu, shape)",
    description="negative binomial with mean mu and shape; variance mu + mu² / shape",
    parameters=(common.mu(common.COUNT, lower=0.0), common.SHAPE),
    support=_COUNTS,
    log_kernel=_negbinomial_kernel,
    log_base_measure=_minus_log_factorial,
    sample=_negbinomial_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] + p["mu"] ** 2 / p["shape"],
    cdf=_negbinomial_cdf,
    additions=_ADDITIONS,
)
