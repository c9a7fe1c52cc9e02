"""The discrete Weibull family in brms's parameterisation: P(Y > y) = mu^((y + 1)^shape)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import guarded, on_numpy, shape_of
from .count import COUNTS, tails_at_count
from .lazy import jnp, random
from .links import LINKS
from .summation import TermSum, sum_over

__all__ = ["DISCRETE_WEIBULL"]

Array = Any
Values = Mapping[str, Array]

_LARGEST_EXPONENT = 700.0
# log(1 - exp(-exp(x))) keeps its digits for every x.
_LOG_FAILURE = LINKS["cloglog"]


def _log_rate(log_mu: Array) -> Array:
    """log(-log(mu)): of the cumulated hazard -log(mu) (y + 1)^shape at y = 0."""
    return LINKS["identity"].log_mu(-log_mu)


def _log_hazard(y: Array, log_rate: Array, shape: Array) -> Array:
    """log of -log P(Y >= y) = -log(mu) y^shape for y >= 1."""
    return jnp.minimum(log_rate + shape * jnp.log(y), _LARGEST_EXPONENT)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of mu^(y^shape) - mu^((y + 1)^shape): survival to y, times failure in the step from there."""
    eta, shape = p["eta"], p["shape"]
    rate = LINKS["softplus"].log_mu(-eta) if link == "logit" else _log_rate(LINKS[link].log_mu(eta))
    positive = y > 0
    safe = jnp.where(positive, y, 1.0)
    before = _log_hazard(safe, rate, shape)
    growth = shape * jnp.log1p(1 / safe)
    step = jnp.minimum(before + growth + jnp.log(-jnp.expm1(-growth)), _LARGEST_EXPONENT)
    value = _LOG_FAILURE.log_mu(jnp.where(positive, step, rate)) - jnp.where(positive, jnp.exp(before), 0.0)
    return guarded(value, eta, link, 0.0, 1.0, closed=False)


def _log_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    def at(count: Array) -> tuple[Array, Array]:
        hazard = _log_hazard(count + 1, _log_rate(jnp.log(p["mu"])), p["shape"])
        return _LOG_FAILURE.log_mu(hazard), -jnp.exp(hazard)

    return tails_at_count(y, at)


def _quantile(probability: Array, p: Values, extra: Values) -> Array:
    """The tails inverted; one step on, or back, where rounding has led to the neighbour."""
    rate = -jnp.log(p["mu"])
    guess = (-jnp.log1p(-probability) / rate) ** (1 / p["shape"])
    count = jnp.maximum(jnp.ceil(guess) - 1, 0.0)
    reached = [-jnp.expm1(-rate * jnp.maximum(count + k, 0.0) ** p["shape"]) >= probability for k in (0, 1)]
    return jnp.where(reached[0] & (count > 0), count - 1, jnp.where(reached[1], count, count + 1))


def _sample(key: Array, p: Values, extra: Values) -> Array:
    shape = shape_of({"mu": p["mu"], "shape": p["shape"]})
    hazard = random.exponential(key, shape, jnp.result_type(float))
    return jnp.maximum(jnp.ceil((hazard / -jnp.log(p["mu"])) ** (1 / p["shape"])) - 1, 0.0)


def _log_sum(p: Values, squares: bool) -> Array:
    """log of the sum of P(Y >= y), or of (2 y - 1) P(Y >= y), over y >= 1: of the mean, or the mean square."""
    log_rate, shape = _log_rate(jnp.log(p["mu"])), p["shape"]
    first = jnp.ones(jnp.broadcast_shapes(jnp.shape(log_rate), jnp.shape(shape)))

    def log_term(y: Array) -> Array:
        factor = jnp.log(2 * y - 1) if squares else 0.0
        return factor - jnp.exp(_log_hazard(y, log_rate, shape))

    # Where the derivative of log(y) less the hazard is 0.
    largest = jnp.exp(jnp.clip(-(log_rate + jnp.log(shape)) / shape, 0.0, _LARGEST_LOG_COUNT))
    total: TermSum = sum_over(log_term, first, first + jnp.inf, jnp.floor(largest) if squares else first)
    return total.log


_LARGEST_LOG_COUNT = 300.0


@on_numpy
def _mean(p: Values, extra: Values) -> Array:
    return jnp.exp(_log_sum(p, squares=False))


@on_numpy
def _variance(p: Values, extra: Values) -> Array:
    return jnp.exp(_log_sum(p, squares=True)) - _mean(p, extra) ** 2


DISCRETE_WEIBULL = Family(
    name="discrete_weibull",
    code="DiscreteWeibull(mu, shape)",
    description="discrete Weibull, P(Y > y) = mu^((y + 1)^shape): mu is the probability of at least 1, not the mean; "
    "geometric for shape 1",
    parameters=(common.mu(common.PROBABILITY_WITHOUT_LOG, lower=0.0, upper=1.0), common.SHAPE),
    support=COUNTS,
    log_kernel=_kernel,
    sample=_sample,
    mean=_mean,
    variance=_variance,
    log_tails=_log_tails,
    quantile=_quantile,
    additions=frozenset({"cens", "trunc"}),
)
