"""Families of counts without an upper limit: poisson, negbinomial, negbinomial2, nbinom1, geometric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import draw_poisson, guarded, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import log_gamma_ratio, log_rising, times
from .support import Support
from .tails import log1m_exp, log_incomplete_beta, log_incomplete_gamma

__all__ = [
    "COUNTS",
    "GEOMETRIC",
    "NBINOM1",
    "NEGBINOMIAL",
    "NEGBINOMIAL2",
    "POISSON",
    "log_negbinomial",
    "log_negbinomial_hazard",
    "log_poisson",
    "log_poisson_hazard",
    "tails_at_count",
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


# Counts are whole numbers up to 2^53 = 9e15; beyond this one its tails are meant.
_LARGEST_COUNT = 1e15


def tails_at_count(y: Array, tails: Callable[[Array], tuple[Array, Array]]) -> tuple[Array, Array]:
    """log P(Y <= y) and log P(Y > y) of a count at any real y, from ``tails`` at whole numbers of at least 0."""
    inside = (y >= 0) & (y < jnp.inf)
    lower, upper = tails(jnp.floor(jnp.where(inside, jnp.minimum(y, _LARGEST_COUNT), 0.0)))
    below = y < 0
    ends = jnp.where(below, -jnp.inf, 0.0), jnp.where(below, 0.0, -jnp.inf)
    return jnp.where(inside, lower, ends[0]), jnp.where(inside, upper, ends[1])


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


def _poisson_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    def at(count: Array) -> tuple[Array, Array]:
        upper, lower = log_incomplete_gamma(count + 1, p["mu"])
        return lower, upper

    return tails_at_count(y, at)


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
    log_tails=_poisson_tails,
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


def _tails(y: Array, size: Array, scale: Array) -> tuple[Array, Array]:
    """log P(Y <= y) and log P(Y > y) of a Poisson variable whose mean is a gamma variable of shape ``size`` and this
    scale: the number of failures of probability scale / (1 + scale) before ``size`` successes."""

    def at(count: Array) -> tuple[Array, Array]:
        return log_incomplete_beta(size, count + 1, 1 / (1 + scale), scale / (1 + scale))

    return tails_at_count(y, at)


def _negbinomial_sample(key: Array, p: Values, extra: Values) -> Array:
    return _draw(key, p["shape"], p["mu"] / p["shape"], shape_of(p))


def _negbinomial_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    return _tails(y, p["shape"], p["mu"] / p["shape"])


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
    log_tails=_negbinomial_tails,
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
    log_tails=lambda y, p, extra: _tails(y, p["mu"] / p["phi"], p["phi"]),
    additions=_ADDITIONS,
)


def _geometric_shape(extra: Values) -> Array:
    """The sum of geometric counts over an exposure ``rate`` is negative binomial with that shape."""
    return extra.get("rate", 1.0)


def _geometric_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of mu^y / (1 + mu)^(y + 1)."""
    if "rate" in extra:
        return _negbinomial_kernel(y, {**p, "shape": extra["rate"]}, extra, link)
    log_mu = LINKS[link].log_mu(p["eta"])
    value = -_log1p_exp(log_mu) - times(y, _log1p_exp(-log_mu))
    return guarded(value, p["eta"], link, 0.0, np.inf)


def _geometric_sample(key: Array, p: Values, extra: Values) -> Array:
    exposure = {"rate": extra["rate"]} if "rate" in extra else {}
    size = jnp.asarray(_geometric_shape(extra))
    return _draw(key, size, p["mu"] / size, shape_of(p, exposure))


def _geometric_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    if "rate" in extra:
        return _negbinomial_tails(y, {**p, "shape": extra["rate"]}, extra)

    def at(count: Array) -> tuple[Array, Array]:
        upper = (count + 1) * -jnp.log1p(1 / jnp.maximum(p["mu"], 1e-300))
        return log1m_exp(upper), upper

    return tails_at_count(y, at)


GEOMETRIC = Family(
    name="geometric",
    code="GeometricProbs(1 / (1 + mu))",
    description="geometric with mean mu (`negbinomial` with shape 1); variance mu + mu²",
    parameters=(_MU,),
    support=COUNTS,
    log_kernel=_geometric_kernel,
    log_base_measure=lambda y, extra: (
        _minus_log_factorial(y, extra) if "rate" in extra else jnp.zeros_like(y)
    ),
    sample=_geometric_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] + p["mu"] ** 2 / _geometric_shape(extra),
    log_tails=_geometric_tails,
    additions=_ADDITIONS,
)


def _with_shape(p: Values) -> Values:
    return {**p, "shape": 1 / p["sigma"]}


NEGBINOMIAL2 = Family(
    name="negbinomial2",
    code="NegativeBinomial2(mu, 1 / sigma)",
    description="`negbinomial` with shape 1 / sigma; variance mu + sigma mu²",
    parameters=(_MU, common.SIGMA),
    support=COUNTS,
    log_kernel=lambda y, p, extra, link: _negbinomial_kernel(y, _with_shape(p), extra, link),
    log_base_measure=_minus_log_factorial,
    sample=lambda key, p, extra: _draw(key, 1 / p["sigma"], p["mu"] * p["sigma"], shape_of(p)),
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] + p["sigma"] * p["mu"] ** 2,
    log_tails=lambda y, p, extra: _tails(y, 1 / p["sigma"], p["mu"] * p["sigma"]),
    additions=_ADDITIONS,
)
