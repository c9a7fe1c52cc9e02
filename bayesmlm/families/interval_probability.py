"""The log probability that a latent variable falls between two thresholds, for each link of ordinal families.

A difference F(upper) - F(lower) of two cumulative probabilities has no digits left where the thresholds are close or
lie in a tail. Most links have an exact form in the distance ``gap = upper - lower``, which the caller computes from
the thresholds themselves; the normal distribution has a short series for small distances.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .lazy import jax, jnp, jsp, lax
from .links import LINKS

__all__ = ["log_cdf", "log_one_minus_exp", "log_probability_between", "log_two_sigmoids"]

Array = Any

_CUBIC, _LINEAR = 0.07056, 1.5976  # of the link probit_approx, see families/links.py

_HALF_LOG_2PI, _HALF_ROOT = 0.9189385332046728, 0.7071067811865476

SMALL_GAP = 0.01
"""Up to this distance, in standard deviations of the local decay, the normal's series is used; its first omitted term
is then 5e-12 of the value."""


def log_probability_between(
    upper: Array, lower: Array, gap: Array, first: Array, last: Array, link: str
) -> Array:
    """log(F(upper) - F(lower)) elementwise, F being the inverse of ``link`` (logit, probit, probit_approx, cloglog,
    cauchit or softit); where ``first``, log F(upper), where ``last``, log(1 - F(lower)).

    ``gap``: upper - lower; minus infinity, with gradient zero, where it is not positive. What is not used (``lower``
    and ``gap`` where ``first``, ``upper`` and ``gap`` where ``last``) is any finite number.
    """
    end = first | last
    possible = end | (gap > 0)
    value = _BETWEEN[link](upper, lower, jnp.where(possible & ~end, gap, 1.0), first, last)
    return jnp.where(possible, value, -jnp.inf)


def _with_ends(between: Callable[[Array, Array, Array], Array], link: str) -> Callable[..., Array]:
    """``between(upper, lower, gap)``, and at the ends what the link has for them."""

    def whole(upper: Array, lower: Array, gap: Array, first: Array, last: Array) -> Array:
        record = LINKS[link]
        ends = jnp.where(first, record.log_mu(upper), record.log_complement(lower))
        high, low = jnp.where(last, lower + 1.0, upper), jnp.where(first, upper - 1.0, lower)
        return jnp.where(first | last, ends, between(high, low, gap))

    return whole


def log_cdf(link: str) -> Callable[[Array], Array]:
    """log of the inverse of ``link``; the normal distribution's with a shorter derivative than `links` has."""
    return _log_normal_cdf() if link == "probit" else LINKS[link].log_mu


def _log_expm1(x: Array) -> Array:
    """log(exp(x) - 1) for x > 0."""
    small = x < 1.0
    below = jnp.log(jnp.expm1(jnp.where(small, x, 0.5)))
    return jnp.where(small, below, x + jnp.log1p(-jnp.exp(-jnp.where(small, 1.5, x))))


def log_one_minus_exp(gap: Array) -> Array:
    """log(1 - exp(-gap)) for gap > 0."""
    small = gap < 0.7
    below = jnp.log(-jnp.expm1(-jnp.where(small, gap, 0.5)))
    return jnp.where(small, below, jnp.log1p(-jnp.exp(-jnp.where(small, 1.0, gap))))


def log_two_sigmoids(upper: Array, lower: Array) -> Array:
    """log F(upper) + log(1 - F(lower)) of the logistic distribution, with one logarithm."""
    above, below = jnp.exp(-_size(upper)), jnp.exp(-_size(lower))
    exponents = jnp.where(upper < 0, upper, 0.0) - jnp.where(lower > 0, lower, 0.0)
    return exponents - jnp.log1p(above + below + above * below)


def _size(x: Array) -> Array:
    # Not abs(), whose derivative at 0 is a matter of convention.
    return jnp.where(x > 0, x, -x)


_FAR = 1e3
"""Beyond this the logistic distribution has no mass in double precision."""


def _logit(upper: Array, lower: Array, gap: Array, first: Array, last: Array) -> Array:
    inside = jnp.where(first | last, 0.0, log_one_minus_exp(gap))
    return inside + log_two_sigmoids(jnp.where(last, _FAR, upper), jnp.where(first, -_FAR, lower))


def _probit_approx(upper: Array, lower: Array, gap: Array, first: Array, last: Array) -> Array:
    slope = _LINEAR + _CUBIC * (upper * upper + upper * lower + lower * lower)
    cubic = lambda x: x * (_CUBIC * x * x + _LINEAR)  # noqa: E731
    return _logit(cubic(upper), cubic(lower), jnp.where(first | last, 1.0, gap * slope), first, last)


@cache
def _log_normal_cdf() -> Callable[[Array], Array]:
    """log of the normal distribution function, with a derivative that is as short as it can be."""

    def value(x: Array) -> Array:
        # Computed once: XLA would copy these hundred operations into each of the loops that use the value.
        tail = lax.optimization_barrier(jsp.erfcx(_size(x) * _HALF_ROOT) / 2)
        lower = x < 0
        below = jnp.log(tail) - x * x / 2
        return jnp.where(lower, below, jnp.log1p(-tail * jnp.exp(-x * x / 2)))

    function = jax.custom_jvp(value)

    def rule(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (x,), (dx,) = primals, tangents
        at = function(x)
        return at, dx * jnp.exp(-x * x / 2 - _HALF_LOG_2PI - at)

    function.defjvp(rule)
    return function


def _probit(upper: Array, lower: Array, gap: Array, first: Array, last: Array) -> Array:
    # The interval is moved to the tail whose digits are not lost; an end is the tail itself.
    mirrored = last | (~first & (upper + lower > 0))
    high, low = jnp.where(mirrored, -lower, upper), jnp.where(mirrored, -upper, lower)
    end = first | last
    middle = (high + low) / 2
    small = ~end & (gap * jnp.maximum(1.0, -middle) < SMALL_GAP)
    correction = jnp.where(small, gap * gap * (middle * middle - 1) / 24, 0.0)
    series = jnp.log(gap) + jnp.log1p(correction) - middle * middle / 2 - _HALF_LOG_2PI
    log_cdf = _log_normal_cdf()
    top = log_cdf(high)
    bottom = log_cdf(low)
    # Where this is not used, the difference is taken of two other points: it may be zero.
    bottom = jnp.where(small | end | (bottom >= top), top - 1.0, bottom)
    difference = top + log_one_minus_exp(top - bottom)
    return jnp.where(end, top, jnp.where(small, series, difference))


def _cloglog(upper: Array, lower: Array, gap: Array) -> Array:
    # exp(-e^lower) - exp(-e^upper) = exp(-e^lower) (1 - exp(-d)), d = e^lower (e^gap - 1)
    log_distance = lower + _log_expm1(gap)
    tiny = log_distance < -36
    # Stopped where exp(-distance) is 0 anyway, so that no derivative is zero times infinity.
    distance = jnp.exp(jnp.where(tiny, 0.0, jnp.where(log_distance < 7.0, log_distance, 7.0)))
    log_chance = jnp.where(tiny, log_distance, log_one_minus_exp(distance))
    return log_chance - jnp.exp(jnp.where(lower < 700.0, lower, 700.0))


def _cauchit(upper: Array, lower: Array, gap: Array) -> Array:
    # The angle between two directions: exact, since no two angles are subtracted.
    return jnp.log(jnp.arctan2(gap, 1.0 + upper * lower)) - 1.1447298858494002


def _softit(upper: Array, lower: Array, gap: Array) -> Array:
    # F = s / (1 + s) with s = log(1 + e^x); s(upper) - s(lower) = log(1 + sigmoid(lower) (e^gap - 1)).
    softplus, log_sigmoid = LINKS["softplus"].inverse, LINKS["logit"].log_mu
    log_ratio = log_sigmoid(lower) + _log_expm1(gap)
    log_difference = LINKS["softplus"].log_mu(log_ratio)
    return log_difference - jnp.log1p(softplus(upper)) - jnp.log1p(softplus(lower))


_BETWEEN: dict[str, Callable[..., Array]] = {
    "logit": _logit,
    "probit": _probit,
    "probit_approx": _probit_approx,
    "cloglog": _with_ends(_cloglog, "cloglog"),
    "cauchit": _with_ends(_cauchit, "cauchit"),
    "softit": _with_ends(_softit, "softit"),
}
