"""The Conway-Maxwell-Poisson family in brms's parameterisation: P(y) proportional to (mu^y / y!)^shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import guarded, on_numpy, shape_of
from .count import COUNTS, tails_at_count
from .lazy import jnp, lax, random
from .links import LINKS
from .summation import TermSum, log_poisson_term, sum_over

__all__ = ["COM_POISSON"]

Array = Any
Values = Mapping[str, Array]

_LOG_OF_RANGE = (-1e5, 650.0)


def _sum(log_mu: Array, shape: Array, first: Array, last: Array) -> TermSum:
    """The sum of (exp(-mu) mu^k / k!)^shape from ``first`` to ``last``: (exp(-mu))^shape is a factor of every
    probability, so it need not be known."""
    mu = jnp.exp(log_mu)
    return sum_over(lambda k: shape * log_poisson_term(k, mu, log_mu), first, last, jnp.floor(mu))


def _bounded(log_mu: Array) -> Array:
    """log(mu), kept where numbers are finite: beyond, probabilities are 0 or 1."""
    return jnp.clip(log_mu, *_LOG_OF_RANGE)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_mu, shape = LINKS[link].log_mu(p["eta"]), p["shape"]
    inside = _bounded(log_mu)
    start = jnp.zeros(jnp.broadcast_shapes(jnp.shape(inside), jnp.shape(shape)))
    value = _sum(inside, shape, start, jnp.inf + start).log_share(
        shape * log_poisson_term(y, jnp.exp(inside), inside)
    )
    possible = (log_mu < _LOG_OF_RANGE[1]) & ((log_mu > -jnp.inf) | (y == 0))
    return guarded(jnp.where(possible, value, -jnp.inf), p["eta"], link, 0.0, np.inf)


def _log_mu(p: Values) -> Array:
    return _bounded(LINKS["identity"].log_mu(p["mu"]))


def _log_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Both sums; together they are the normaliser."""
    log_mu, shape = _log_mu(p), p["shape"]

    def at(count: Array) -> tuple[Array, Array]:
        start = jnp.zeros(jnp.broadcast_shapes(jnp.shape(count), jnp.shape(log_mu), jnp.shape(shape)))
        below = _sum(log_mu, shape, start, start + count).log
        above = _sum(log_mu, shape, start + count + 1, start + jnp.inf).log
        log_odds = below - above
        return LINKS["logit"].log_mu(log_odds), LINKS["logit"].log_complement(log_odds)

    return tails_at_count(y, at)


@on_numpy
def _mean(p: Values, extra: Values) -> Array:
    return _moments(p)[0]


@on_numpy
def _variance(p: Values, extra: Values) -> Array:
    return _moments(p)[1]


def _moments(p: Values) -> tuple[Array, Array]:
    log_mu = _log_mu(p)
    start = jnp.zeros(shape_of({"mu": p["mu"], "shape": p["shape"]}))
    return _sum(log_mu, p["shape"], start, start + jnp.inf).moments()


def _sample(key: Array, p: Values, extra: Values) -> Array:
    """Devroye's rejection for log-concave probabilities with a known mode (1987, A simple generator for discrete
    log-concave distributions, Computing 39): about five proposals for a draw, whatever the parameters."""
    shape = shape_of({"mu": p["mu"], "shape": p["shape"]})
    log_mu, power = (jnp.broadcast_to(x, shape) for x in (_log_mu(p), p["shape"]))
    mu = jnp.exp(log_mu)
    mode = jnp.floor(mu)
    at_mode = power * log_poisson_term(mode, mu, log_mu)
    everything = _sum(log_mu, power, jnp.zeros(shape), jnp.full(shape, jnp.inf))
    top = jnp.exp(everything.log_share(at_mode))
    width = 1 + top / 2

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, count, done = state
        key, *keys = random.split(key, 5)
        u, v, w = (random.uniform(k, shape, top.dtype, minval=1e-300) for k in keys[:3])
        flat = u <= width / (1 + width)
        distance = jnp.where(flat, v * width, width - jnp.log(v)) / top
        k = mode + jnp.round(distance) * random.rademacher(keys[3], shape, top.dtype)
        log_ratio = power * log_poisson_term(jnp.maximum(k, 0.0), mu, log_mu) - at_mode
        log_hat = jnp.minimum(0.0, width - top * distance)
        accept = (k >= 0) & (jnp.log(w) + log_hat <= log_ratio)
        return key, jnp.where(accept & ~done, k, count), done | accept

    start = (key, mode, jnp.zeros(shape, dtype=bool))
    return lax.while_loop(lambda state: ~jnp.all(state[2]), propose, start)[1]


COM_POISSON = Family(
    name="com_poisson",
    code="ConwayMaxwellPoisson(mu, shape)",
    description="Conway-Maxwell-Poisson, P(y) proportional to (mu^y / y!)^shape; less dispersed than Poisson for a "
    "shape above 1. mu is near the mode; mean near mu + 1 / (2 shape) − 1/2, variance near mu / shape",
    parameters=(common.mu(common.COUNT, lower=0.0), common.SHAPE),
    support=COUNTS,
    log_kernel=_kernel,
    sample=_sample,
    mean=_mean,
    variance=_variance,
    log_tails=_log_tails,
    additions=frozenset({"cens", "trunc"}),
)
