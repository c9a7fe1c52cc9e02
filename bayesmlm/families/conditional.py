"""Truncated responses: draws and means given that the response lies between its bounds, for any family.

Draws are made by inverting the distribution function, so that bounds far out in a tail cost nothing (brms rejects
draws and gives up after a few). The mean is a sum or an integral of tail probabilities,

    E(Y) = c + integral of P(Y > y) over y > c - integral of P(Y <= y) over y < c,

around the median c. Everything is JAX code over rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .additions import TRUNCATED
from .base import Family
from .inversion import conditional_tails, find_quantile
from .lazy import jnp, lax, random

__all__ = ["MEAN_NODES", "mean", "over_rows", "sample", "truncated"]

Array = Any
Values = Mapping[str, Array]

_LEVELS = np.array([1e-14, 1e-11, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.5])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
MEAN_NODES = 14 * 16
"""Numbers of each row that the mean of a truncated continuous response takes at once."""
_NEGLIGIBLE = -45.0
"""Sums end when the logarithm of a tail probability falls below this."""
_STEPS = 30
"""Halvings that places for panels take: they need not be exact."""


def truncated(extra: Values) -> bool:
    """Whether the response is truncated."""
    return any(name in extra for name in TRUNCATED)


def over_rows(parameters: Values, shape: tuple[int, ...]) -> dict[str, Array]:
    """``parameters`` as `sample` takes them: numbers and vectors spread over ``shape``, whose last axis is the rows;
    tables (thresholds) as they are."""
    return {
        name: value if jnp.ndim(value) > 1 else jnp.broadcast_to(value, shape)
        for name, value in parameters.items()
    }


def sample(family: Family, key: Array, p: Values, extra: Values) -> Array:
    """Draws of the response, within its bounds; ``p``: adjusted parameters with the rows as their last axis."""
    if not truncated(extra):
        return family.sample(key, p, extra)
    own = [p[parameter.name] for parameter in family.parameters if parameter.name in p]
    shape = jnp.broadcast_shapes(*(jnp.shape(v) for v in own))
    u = random.uniform(key, shape, minval=2.0**-53, maxval=1.0)
    return find_quantile(family, jnp.log(u), jnp.log1p(-u), p, extra)


def mean(family: Family, p: Values, extra: Values) -> Array:
    """E(Y), given its bounds if it is truncated."""
    if not truncated(extra):
        return family.mean(p, extra)
    return _sum(family, p, extra) if family.support.integer else _integral(family, p, extra)


def _integral(family: Family, p: Values, extra: Values) -> Array:
    """Gauss-Legendre quadrature in panels whose ends are quantiles, dense in the tails."""
    log_p = np.concatenate([np.log(_LEVELS), np.log1p(-_LEVELS[-2::-1])])[:, None]
    log_q = log_p[::-1]
    ends = find_quantile(family, log_p, log_q, p, extra, _STEPS)
    middle = len(_LEVELS) - 1
    half = jnp.diff(ends, axis=0) / 2
    y = (ends[:-1] + half)[:, None] + half[:, None] * _NODES[:, None]
    below, beyond = conditional_tails(family, p, extra)(y)
    upper = (np.arange(len(half)) >= middle)[:, None, None]
    terms = jnp.where(upper, jnp.exp(beyond), -jnp.exp(below))
    return ends[middle] + jnp.sum(half * jnp.sum(_WEIGHTS[:, None] * terms, axis=1), axis=0)


def _sum(family: Family, p: Values, extra: Values) -> Array:
    """Sums outwards from the median until tail probabilities are negligible."""
    log_half = jnp.log(0.5) * jnp.ones(1)
    start = find_quantile(family, log_half, log_half, p, extra)
    tails = conditional_tails(family, p, extra)
    # Both directions at once: up from the median in the first row, down from below it in the second.
    step = np.array([[1.0], [-1.0]])

    def onwards(state: Any) -> Any:
        k, total, _ = state
        below, beyond = tails(k)
        tail = jnp.where(step > 0, beyond, below)
        return k + step, total + step * jnp.exp(tail), tail

    k = jnp.stack([start, start - 1.0])
    state = (k, jnp.zeros_like(k), jnp.zeros_like(k))
    _, total, _ = lax.while_loop(lambda state: jnp.any(state[2] > _NEGLIGIBLE), onwards, state)
    return start + total.sum(axis=0)
