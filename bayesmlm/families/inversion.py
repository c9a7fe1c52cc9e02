"""Quantiles of any family whose distribution function is known, by bisection.

Continuous responses are searched for on a scale on which the support is the whole line, so that a quantile has its
relative accuracy whether it is 1e-200 or 1e200; counts among whole numbers. Probabilities are given as logarithms of
both tails: far out in either tail nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .additions import CENSORED, TRUNCATED, log_interval, tails_at
from .additions import log_density as log_likelihood
from .base import Family, FamilyError
from .lazy import jax, jnp, lax

__all__ = ["conditional_tails", "find_quantile", "has_tails", "log_density", "log_tails", "quantile"]

Array = Any
Values = Mapping[str, Array]
Tails = tuple[Array, Array]

LIMIT = 700.0
"""exp(LIMIT) is near the largest number."""
LARGEST_COUNT = 2.0**53
DOUBLINGS = 12
"""Of a bracket, until it reaches LIMIT."""


def has_tails(family: Family) -> bool:
    """Whether probabilities and quantiles of the family can be had."""
    return family.log_tails is not None or family.cdf is not None


def log_tails(family: Family, y: Array, p: Values, extra: Values) -> Tails:
    """log P(Y <= y) and log P(Y > y) of the response, given that it lies between its bounds if it is truncated.

    Censoring does not matter. ``p``: adjusted parameters. Raises `FamilyError` for a family without distribution
    function.
    """
    return conditional_tails(family, p, extra)(y)


def conditional_tails(family: Family, p: Values, extra: Values) -> Callable[[Array], Tails]:
    """`log_tails` as a function of y alone: what belongs to the bounds is computed once."""
    tails = _tails_of(family)
    points = {name: extra[name] for name in TRUNCATED if name in extra}
    if not points:
        return lambda y: tails(y, p, extra)
    bounds = tails_at(tails, points, 1.0, p, extra)
    above, up_to = (bounds.get(name) for name in TRUNCATED)
    whole = log_interval(above, up_to)
    low, high = extra.get("above", -jnp.inf), extra.get("up_to", jnp.inf)

    def of(y: Array) -> Tails:
        at = tails(y, p, extra)
        below, beyond = log_interval(above, at) - whole, log_interval(at, up_to) - whole
        below = jnp.where(y <= low, -jnp.inf, jnp.where(y >= high, 0.0, below))
        beyond = jnp.where(y <= low, 0.0, jnp.where(y >= high, -jnp.inf, beyond))
        return below, beyond

    return of


def log_density(family: Family, y: Array, p: Values, extra: Values) -> Array:
    """(n,) log density of the response at y, given its bounds if it is truncated; censoring does not matter."""
    plain = {name: value for name, value in extra.items() if name not in CENSORED}
    value = log_likelihood(family, y, p, plain)
    inside = (y >= extra.get("above", -jnp.inf)) & (y <= extra.get("up_to", jnp.inf))
    if family.support.integer:
        inside = inside & (y > extra.get("above", -jnp.inf)) & (y == jnp.floor(y))
    closed, low, high = family.support.closed, family.support.lower, family.support.upper
    inside = inside & ((y >= low) & (y <= high) if closed else (y > low) & (y < high))
    return jnp.where(inside, value, -jnp.inf)


def quantile(family: Family, log_p: Array, log_q: Array, p: Values, extra: Values) -> Array:
    """The smallest y with P(Y <= y) >= p, ``log_p`` = log p and ``log_q`` = log(1 - p): by the family's closed form
    where it has one and the response is not truncated, else by bisection."""
    if family.quantile is not None and not any(name in extra for name in TRUNCATED):
        return family.quantile(jnp.exp(log_p), p, extra)
    return find_quantile(family, log_p, log_q, p, extra)


def find_quantile(
    family: Family, log_p: Array, log_q: Array, p: Values, extra: Values, halvings: int = 64
) -> Array:
    """`quantile` by bisection; ``halvings`` of the bracket, for a continuous response: 64 give all digits."""

    tails = conditional_tails(family, p, extra)

    def reached(y: Array) -> Array:
        below, beyond = tails(y)
        return jnp.where(log_p < log_q, below >= log_p, beyond <= log_q)

    shape = jnp.broadcast_shapes(
        jnp.shape(log_p), *(jnp.shape(v) for v in _relevant(family, p, extra).values())
    )
    if family.support.integer:
        return _whole(family, reached, extra, shape)
    y = _real(family, reached, halvings, shape)
    return jnp.clip(y, extra.get("above", -jnp.inf), extra.get("up_to", jnp.inf))


def _relevant(family: Family, p: Values, extra: Values) -> dict[str, Array]:
    own = {parameter.name: p[parameter.name] for parameter in family.parameters if parameter.name in p}
    return {**own, **{name: extra[name] for name in ("trials", *TRUNCATED) if name in extra}}


def _whole(family: Family, reached: Callable[[Array], Array], extra: Values, shape: tuple[int, ...]) -> Array:
    """Among whole numbers: a bracket that doubles until it is wide enough, then halves."""
    lowest = jnp.maximum(family.support.lower, extra.get("above", -jnp.inf) + 1.0)
    start = jnp.broadcast_to(jnp.where(jnp.isfinite(lowest), lowest, 0.0), shape)
    highest = jnp.minimum(family.support.upper, extra.get("up_to", jnp.inf))
    highest = jnp.minimum(jnp.minimum(highest, extra.get("trials", jnp.inf)), LARGEST_COUNT)

    def step(state: Any) -> Any:
        low, high, wide = state
        at = jnp.where(wide, jnp.floor((low + high) / 2), high)
        enough = reached(at)
        longer = jnp.minimum(start + 2 * (high - start), highest)
        return (
            jnp.where(enough, low, at),
            jnp.where(wide, jnp.where(enough, at, high), jnp.where(enough, high, longer)),
            wide | enough | (high >= highest),
        )

    def unfinished(state: Any) -> Array:
        low, high, wide = state
        return jnp.any(~wide | (high - low > 1))

    first = (start - 1.0, jnp.minimum(start + 1.0, highest), jnp.zeros(shape, dtype=bool))
    return lax.while_loop(unfinished, step, first)[1]


def _real(family: Family, reached: Callable[[Array], Array], halvings: int, shape: tuple[int, ...]) -> Array:
    """Among real numbers, on a scale t on which the support is the whole line: a bracket around 0 that doubles on the
    sides where it must, then halves."""
    low, high = family.support.lower, family.support.upper
    to = _scale(low, high)

    def step(_: int, state: Any) -> Any:
        lower, upper, has_lower, has_upper = state
        at = jnp.where(~has_lower, lower, jnp.where(~has_upper, upper, (lower + upper) / 2))
        enough = reached(to(at))
        halving = has_lower & has_upper
        searching_up = has_lower & ~has_upper
        new_lower = jnp.where(has_lower, jnp.where(~enough, at, lower), jnp.where(enough, 2 * lower, lower))
        new_upper = jnp.where(
            halving, jnp.where(enough, at, upper), jnp.where(searching_up & ~enough, 2 * upper, upper)
        )
        new_upper = jnp.where(~has_lower & enough, lower, new_upper)
        found_lower = has_lower | ~enough | (lower < -LIMIT)
        found_upper = has_upper | (~has_lower & enough) | (searching_up & (enough | (upper > LIMIT)))
        return new_lower, new_upper, found_lower, found_upper

    no = jnp.zeros(shape, dtype=bool)
    start = (jnp.full(shape, -1.0), jnp.ones(shape), no, no)
    lower, upper, _, _ = lax.fori_loop(0, halvings + DOUBLINGS, step, start)
    y = to(upper)
    if np.isinf(low) and np.isinf(high):
        return jnp.where((to(lower) < 0) & (y >= 0), 0.0, y)  # zeros that are more frequent than others
    return jnp.where(reached(jnp.full(shape, low)), low, y) if family.support.closed else y


def _scale(low: float, high: float) -> Callable[[Array], Array]:
    if np.isinf(low):
        return jnp.sinh if np.isinf(high) else lambda t: high - jnp.exp(-t)
    if np.isinf(high):
        return lambda t: low + jnp.exp(t)
    return lambda t: low + (high - low) * jax.nn.sigmoid(t)


def _tails_of(family: Family) -> Callable[[Array, Values, Values], Tails]:
    if family.log_tails is not None:
        return family.log_tails
    cdf = family.cdf
    if cdf is None:
        raise FamilyError(f"the distribution function of the family `{family.name}` is not known here")

    def tails(y: Array, p: Values, extra: Values) -> Tails:
        below = cdf(y, p, extra)
        return jnp.log(below), jnp.log1p(-below)

    return tails
