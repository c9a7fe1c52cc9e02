"""Families of counts without an upper limit: poisson, negbinomial, nbinom1, geometric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import draw_poisson, guarded, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import incomplete_beta, incomplete_gamma, log_gamma_ratio, log_rising, times
from .support import Support

__all__ = [
    "COUNTS",
    "GEOMETRIC",
    "NBINOM1",
    "NEGBINOMIAL",
    "POISSON",
    "log_negbinomial",
    "log_negbinomial_hazard",
    "log_poisson",
    "log_poisson_hazard",
]

Array = Any
Values = Mapping[str, Array]

_ADDITIONS = frozenset({"cens", "trunc", "rate"})
COUNTS = Support(
    lower=0.0,
    integer=True,
    advice="Use `gamma` or `lognormal` for positive measurements, `gaussian` for others.",
)


_MU = common.mu(common.COUNT, lower=0.0)


def _log1p_exp(x: Array) -> Array:
    return LINKS["softplus"].inverse(x)


def _minus_log_factorial(y: Array, extra: Values) -> Array:
    return -jsp.gammaln(y + 1)


def _at_counts(y: Array, probability_at: Array) -> Array:
    return jnp.where(y < 0, 0.0, probability_at)


def log_poisson(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of exp(-mu) mu^y, without a guard for mu < 0."""
    record, eta = LINKS[link], p["eta"]
    return times(y, record.log_mu(eta)) - record.inverse(eta)


def log_poisson_hazard(p: Values, link: str) -> Array:
    """log(-log(f(0))) of the Poisson probability f(0) of no event."""
    return LINKS[link].log_mu(p["eta"])


def _poisson_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return guarded(log_poisson(y, p, extra, link), p["eta"], link, 0.0, np.inf)


def _poisson_sample(key: Array, p: Values, extra: Values) -> Array:
    return draw_poisson(key, jnp.broadcast_to(p["mu"], shape_of(p)))


def _poisson_cdf(y: Array, p: Values, extra: Values) -> Array:
    return _at_counts(y, incomplete_gamma(jnp.floor(jnp.maximum(y, 0.0)) + 1, p["mu"])[1])


POISSON = Family(
    name="poisson",
    code="Poisson(mu)",
    description="Poisson with mean mu; variance mu",
    parameters=(_MU,),
    support=COUNTS,
    log_kernel=_poisson_kernel,
    log_base_measure=_minus_log_factorial,
    sample=_poisson_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"],
    cdf=_poisson_cdf,
    additions=_ADDITIONS,
)


def log_negbinomial(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of Gamma(y + shape) / Gamma(shape) * (shape / (mu + shape))^shape * (mu / (mu + shape))^y, without a guard
    for mu < 0."""
    shape = p["shape"]
    log_odds = LINKS[link].log_mu(p["eta"]) - jnp.log(shape)  # log(mu / shape)
    return log_gamma_ratio(shape, y) - shape * _log1p_exp(log_odds) - times(y, _log1p_exp(-log_odds))


def log_negbinomial_hazard(p: Values, link: str) -> Array:
    """log(-log(f(0))) of the negative binomial probability f(0) = (shape / (mu + shape))^shape."""
    log_shape = jnp.log(p["shape"])
    return log_shape + LINKS["softplus"].log_mu(LINKS[link].log_mu(p["eta"]) - log_shape)


def _negbinomial_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return guarded(log_negbinomial(y, p, extra, link), p["eta"], link, 0.0, np.inf)


def _draw(key: Array, size: Array, scale: Array, shape: tuple[int, ...]) -> Array:
    """Poisson variables whose means are gamma variables of shape ``size`` and this scale."""
    key_mean, key_count = random.split(key)
    mean = random.gamma(key_mean, jnp.maximum(size, 1e-300), shape) * scale
    return draw_poisson(key_count, mean)


def _cumulated(y: Array, size: Array, zero: Array) -> Array:
    """P(Y <= y) of the number of failures before ``size`` successes of probability ``zero``."""
    return _at_counts(y, incomplete_beta(size, jnp.floor(jnp.maximum(y, 0.0)) + 1, zero))


def _negbinomial_sample(key: Array, p: Values, extra: Values) -> Array:
    return _draw(key, p["shape"], p["mu"] / p["shape"], shape_of(p))


def _negbinomial_cdf(y: Array, p: Values, extra: Values) -> Array:
    return _cumulated(y, p["shape"], p["shape"] / (p["shape"] + p["mu"]))


NEGBINOMIAL = Family(
    name="negbinomial",
    code="NegativeBinomial2(mu, shape)",
    description="negative binomial with mean mu and shape; variance mu + mu² / shape",
    parameters=(_MU, common.SHAPE),
    support=COUNTS,
    log_kernel=_negbinomial_kernel,
    log_base_measure=_minus_log_factorial,
    sample=_negbinomial_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] + p["mu"] ** 2 / p["shape"],
    cdf=_negbinomial_cdf,
    additions=_ADDITIONS,
)


def _nbinom1_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of Gamma(y + size) / Gamma(size) * (1 + phi)^-size * (phi / (1 + phi))^y with size = mu / phi."""
    log_phi = jnp.log(p["phi"])
    log_size = LINKS[link].log_mu(p["eta"]) - log_phi
    size = jnp.exp(log_size)
    value = log_rising(size, log_size, y) - size * jnp.log1p(p["phi"]) - times(y, _log1p_exp(-log_phi))
    return guarded(value, p["eta"], link, 0.0, np.inf)


NBINOM1 = Family(
    name="nbinom1",
    code="NegativeBinomial2(mu, mu / phi)",
    description="negative binomial with mean mu and overdispersion phi (shape mu / phi); variance mu (1 + phi). "
    "glmmTMB's; brms has no such family",
    parameters=(_MU, common.PHI),
    support=COUNTS,
    log_kernel=_nbinom1_kernel,
    log_base_measure=_minus_log_factorial,
    sample=lambda key, p, extra: _draw(key, p["mu"] / p["phi"], p["phi"], shape_of(p)),
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] * (1 + p["phi"]),
    cdf=lambda y, p, extra: _cumulated(y, p["mu"] / p["phi"], 1 / (1 + p["phi"])),
    additions=_ADDITIONS,
)


def _geometric_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of mu^y / (1 + mu)^(y + 1)."""
    log_mu = LINKS[link].log_mu(p["eta"])
    value = -_log1p_exp(log_mu) - times(y, _log1p_exp(-log_mu))
    return guarded(value, p["eta"], link, 0.0, np.inf)


GEOMETRIC = Family(
    name="geometric",
    code="GeometricProbs(1 / (1 + mu))",
    description="geometric with mean mu (`negbinomial` with shape 1); variance mu + mu²",
    parameters=(_MU,),
    support=COUNTS,
    log_kernel=_geometric_kernel,
    sample=lambda key, p, extra: _draw(key, jnp.ones(()), p["mu"], shape_of(p)),
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] + p["mu"] ** 2,
    cdf=lambda y, p, extra: _cumulated(y, jnp.ones(()), 1 / (1 + p["mu"])),
    additions=_ADDITIONS,
)
