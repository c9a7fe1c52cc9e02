"""Logarithms of both tails of the gamma, beta and Student t distributions, differentiable by every argument.

Censored and truncated responses need log P(Y <= y) and log P(Y > y) far out, where the probabilities themselves have
underflowed, and their derivatives by every parameter (JAX has none of the incomplete beta function by its shapes).

The tail on the outer side of the mean is a known factor times an integral whose integrand falls from 1, without a
bend upwards in its logarithm: Gauss-Legendre quadrature takes it to about 1e-13. The other tail is the complement of
that one. Near the end of the support an outer tail may spread over many orders of magnitude; there the inner tail is
a power series and the outer one its complement. Everything is elementwise JAX code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .lazy import jax, jnp, lax
from .links import LINKS
from .quadrature import FALL, log_integral, positive_root
from .special import log_gamma_ratio, stirling_remainder

__all__ = [
    "log1m_exp",
    "log_gamma_of_one_plus",
    "log_incomplete_beta",
    "log_incomplete_gamma",
    "log_student_tails",
]

Array = Any
Tails = tuple[Array, Array]

_SERIES_TERMS = 26
_EULER = 0.5772156649015329
# zeta(k) - 1 for k = 2, 3, ...: the coefficients of log Gamma(2 + x) (Abramowitz and Stegun 6.1.33).
_ZETA_LESS_ONE = (
    0.6449340668482264, 0.2020569031595943, 0.08232323371113819, 0.03692775514336993, 0.01734306198444914,
    0.008349277381922827, 0.00407735619794434, 0.0020083928260822143, 0.0009945751278180853, 0.0004941886041194645,
    0.0002460865533080483, 0.00012271334757848915, 6.124813505870483e-05, 3.058823630702049e-05, 1.528225940865187e-05,
    7.637197637899763e-06, 3.81729326499984e-06, 1.908212716553939e-06, 9.539620338727962e-07, 4.76932986787806e-07,
    2.38450502727733e-07, 1.192199259653111e-07, 5.96081890512595e-08, 2.98035035146523e-08, 1.4901554828365e-08,
    7.45071178983543e-09, 3.72533402478846e-09, 1.86265972351305e-09,
)  # fmt: skip


def log1m_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x <= 0; minus infinity, with gradient zero, at 0."""
    return LINKS["log"].log_complement(x)


def log_gamma_of_one_plus(x: Array) -> Array:
    """lgamma(1 + x) for x >= 0, with its relative accuracy near x = 0."""
    small = jnp.where(x < 0.5, x, 0.5)
    series = jnp.zeros_like(small)
    for k in reversed(range(len(_ZETA_LESS_ONE))):
        series = _ZETA_LESS_ONE[k] / (k + 2) - small * series
    near = small * (1 - _EULER + small * series) - jnp.log1p(small)
    large = jnp.where(x < 0.5, 0.5, x) + 1
    log_large = jnp.log(large)
    return jnp.where(x < 0.5, near, large * (log_large - 1) + stirling_remainder(large, log_large))


def log_incomplete_gamma(shape: Array, x: Array) -> Tails:
    """log P(shape, x) and log Q(shape, x): the log cdf of a Gamma(shape, rate 1) variable and its log complement.

    shape > 0. For x <= 0 the first is minus infinity and for infinite x the second, with gradient zero.
    """
    inside = (x > 0) & (x < np.inf)
    z, a = jnp.broadcast_arrays(jnp.where(inside, x, 1.0), shape * 1.0)
    far, above = z >= 1, z > a
    series = _gamma_series(a, jnp.where(far, 1.0, z))
    outer = _gamma_outer(jnp.where(far, a, 1.0), jnp.where(far, z, 1.0))
    known = jnp.where(far, outer, series)  # log Q where both, else log P
    upper_known = far & above
    other = log1m_exp(known)
    return _at_ends(jnp.where(upper_known, other, known), jnp.where(upper_known, known, other), inside, x > 0)


def log_incomplete_beta(a: Array, b: Array, x: Array, complement: Array | None = None) -> Tails:
    """log I_x(a, b) and log(1 - I_x(a, b)): the log cdf of a Beta(a, b) variable and its log complement.

    a, b > 0. ``complement``: 1 - x where the caller knows more digits of it than the difference has. For x <= 0
    the first is minus infinity and for x >= 1 the second, with gradient zero.
    """
    y = 1 - x if complement is None else complement
    inside = (x > 0) & (y > 0)
    a, b, u, v = jnp.broadcast_arrays(a * 1.0, b * 1.0, jnp.where(inside, x, 0.5), jnp.where(inside, y, 0.5))
    below = u * b <= v * a  # x is not above the mean
    p, q = jnp.where(below, a, b), jnp.where(below, b, a)
    u, v = jnp.where(below, u, v), jnp.where(below, v, u)
    near = v * jnp.maximum(p + q, 4.0) < 1
    inner = _beta_series(*(jnp.where(near, argument, 0.1) for argument in (q, p, v)))
    outer = _beta_outer(*(jnp.where(near, 0.5, argument) for argument in (p, q, u, v)))
    known = jnp.where(near, inner, outer)
    other = log1m_exp(known)
    lower_known = below ^ near
    return _at_ends(jnp.where(lower_known, known, other), jnp.where(lower_known, other, known), inside, x > 0)


def log_student_tails(t: Array, nu: Array, log_ratio: Array | None = None) -> Tails:
    """log P(T <= t) and log P(T > t) of a Student t variable with ``nu`` degrees of freedom. ``log_ratio``: the log of
    Gamma(nu / 2 + 1 / 2) / Gamma(nu / 2) where the caller knows it.

    T = sqrt(nu) sinh(w) makes an integral of cosh(w)^-nu of the tail away from 0; taken by parts once, it is of
    cosh(w)^-(nu + 2), which is as smooth for few degrees of freedom as for many.
    """
    ratio = jnp.clip(t / jnp.sqrt(nu), -1e150, 1e150)
    sinh = jnp.where(t < 0, -ratio, ratio)
    cosh_squared = 1 + sinh * sinh
    tanh = sinh / jnp.sqrt(cosh_squared)
    power, share = jnp.broadcast_arrays(nu + 2, 0.5 * (1 - tanh))
    # log(cosh(w + s) / cosh(w)) is at least s tanh(w) and, being convex in w, at least log(cosh(s)) > s^2 / (2 + s).
    least = FALL / power
    end = jnp.minimum(0.5 * (least + jnp.sqrt(least * (least + 8))), least / jnp.maximum(tanh, 1e-300))
    integral = jnp.exp(log_integral(_student_exponent)(lax.stop_gradient(end), power, share))
    log_ratio = log_gamma_ratio(0.5 * nu, 0.5) if log_ratio is None else log_ratio
    log_factor = log_ratio - 0.5 * np.log(np.pi) - 0.5 * nu * jnp.log1p(sinh * sinh)
    outer = log_factor + jnp.log(((nu + 1) / cosh_squared * integral + tanh) / nu)
    inner = log1m_exp(outer)
    return jnp.where(t < 0, outer, inner), jnp.where(t < 0, inner, outer)


def _student_exponent(s: Array, power: Array, share: Array) -> tuple[Array, tuple[Array, Array]]:
    """-power log(cosh(w + s) / cosh(w)), by share = 1 / (1 + exp(2 w))."""
    fall = jnp.expm1(-2 * s)
    log_ratio = s + jnp.log1p(share * fall)
    return -power * log_ratio, (-log_ratio, -power * fall / (1 + share * fall))


def _at_ends(lower: Array, upper: Array, inside: Array, right: Array) -> Tails:
    """Both tails, with their values at and beyond the ends of the support; ``right``: which end."""
    lower_end, upper_end = jnp.where(right, 0.0, -np.inf), jnp.where(right, -np.inf, 0.0)
    return jnp.where(inside, lower, lower_end), jnp.where(inside, upper, upper_end)


@cache
def _series(ratio: Callable[[Array, Array, Array], tuple[Array, Array, Array]]) -> Callable[..., Array]:
    """The function (b, y, a) -> the sum over n >= 1 of t_n / (b + n), where t_n = ratio(n, y, a) t_(n-1) and t_0 = 1.

    ``ratio`` also gives its own derivatives by y and a. A loop, since XLA takes seconds to compile the terms and their
    derivatives side by side.
    """

    def value(b: Array, y: Array, a: Array) -> Array:
        def add(n: int, so_far: tuple[Array, Array]) -> tuple[Array, Array]:
            term = so_far[0] * ratio(n * 1.0, y, a)[0]
            return term, so_far[1] + term / (b + n)

        return lax.fori_loop(1, _SERIES_TERMS, add, (jnp.ones_like(b), jnp.zeros_like(b)))[1]

    def value_and_tangent(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        b, y, a = primals

        def add(n: int, so_far: tuple[Array, ...]) -> tuple[Array, ...]:
            (term, term_y, term_a), sums = so_far[:3], so_far[3:]
            factor, factor_y, factor_a = ratio(n * 1.0, y, a)
            terms = (factor * term, factor * term_y + factor_y * term, factor * term_a + factor_a * term)
            share = 1 / (b + n)
            by_b = -terms[0] * share * share
            return *terms, *(s + t for s, t in zip(sums, (*(t * share for t in terms), by_b), strict=True))

        zero = jnp.zeros_like(b)
        total, by_y, by_a, by_b = lax.fori_loop(1, _SERIES_TERMS, add, (zero + 1.0, *[zero] * 6))[3:]
        return total, by_b * tangents[0] + by_y * tangents[1] + by_a * tangents[2]

    function = jax.custom_jvp(value)
    function.defjvp(value_and_tangent)
    return function


# ---- the gamma distribution


def _gamma_series(a: Array, x: Array) -> Array:
    """log P(a, x) for 0 < x <= 1: Kummer's series x^a / Gamma(1 + a) (1 + a sum_n (-x)^n / (n! (a + n))).

    Of relative accuracy also where P is nearly 1, for a small ``a``.
    """
    total = _series(_gamma_ratio)(a, x, jnp.zeros_like(x))
    return a * jnp.log(x) - log_gamma_of_one_plus(a) + jnp.log1p(a * total)


def _gamma_ratio(n: Array, x: Array, _: Array) -> tuple[Array, Array, Array]:
    return -x / n, -1 / n, jnp.zeros_like(x)


def _gamma_outer(a: Array, x: Array) -> Array:
    """The log of the outer tail, Q if x > a and else P, for x >= 1: x^a e^-x / Gamma(a) times the integral over s
    from 0 of exp(a t - x (e^t - 1)), with t = s or t = -s (the variable is x e^t)."""
    relative = (x - a) / a
    close = jnp.abs(relative) < 0.5
    log_ratio = jnp.where(close, jnp.log1p(jnp.where(close, relative, 0.0)), jnp.log(x) - jnp.log(a))
    log_factor = a * (log_ratio - relative) - stirling_remainder(a, jnp.log(a))
    end = lax.stop_gradient(_gamma_end(a, x))
    return log_factor + log_integral(_gamma_exponent)(end, a, x)


def _gamma_exponent(t: Array, a: Array, x: Array) -> tuple[Array, tuple[Array, ...]]:
    grown = jnp.expm1(t)
    return a * t - x * grown, (t, -grown)


def _gamma_end(a: Array, x: Array) -> Array:
    """Where the integrand's logarithm is about -40, with the sign of t. By e^t - 1 - t >= t^2 / 2 for t > 0 and
    e^-s - 1 + s >= s^2 / (2 + s), which give an end too far out; then Newton steps, which come no nearer than the
    root since the logarithm is concave."""
    distance = jnp.abs(x - a)
    to_right = 2 * FALL / (distance + jnp.hypot(distance, jnp.sqrt(2 * FALL * x)))
    t = jnp.where(x > a, to_right, -positive_root(distance - FALL / 2, a))
    for _ in range(2):
        t = t - (a * t - x * jnp.expm1(t) + FALL) / (a - x * jnp.exp(t))
    return t


# ---- the beta distribution


def _beta_sum(b: Array, a: Array, y: Array) -> Array:
    """The sum over n >= 1 of (1 - a)_n y^n / (n! (b + n)), for y max(a + b, 4) <= 1."""
    return _series(_beta_ratio)(*jnp.broadcast_arrays(b * 1.0, y, a))


def _beta_ratio(n: Array, y: Array, a: Array) -> tuple[Array, Array, Array]:
    return (n - a) * y / n, (n - a) / n, -y / n


def _beta_series(b: Array, a: Array, y: Array) -> Array:
    """log I_y(b, a) for y max(a + b, 4) <= 1: the binomial series under the integral."""
    log_constant = log_gamma_of_one_plus(b) - log_gamma_ratio(a, b)  # log(b B(a, b))
    return b * jnp.log(y) - log_constant + jnp.log1p(b * _beta_sum(b, a, y))


def _beta_outer(a: Array, b: Array, x: Array, y: Array) -> Array:
    """log I_x(a, b) for x, with y = 1 - x, not above the mean and y max(a + b, 4) >= 1.

    It is x^a y^b / (a B(a, b)) (1 + (a + b) x J), where J is the integral over s from 0 of
    exp(-(a + 1) s) (y + x e^-s)^-(a + b + 1) (the variable's odds are those of x times e^-s).
    """
    total = a + b
    log_total, log_a, log_b = jnp.log(total), jnp.log(a), jnp.log(b)
    remainders = (
        stirling_remainder(total, log_total) - stirling_remainder(a, log_a) - stirling_remainder(b, log_b)
    )
    difference = x * b - y * a  # (x - mean) (a + b)
    to_mean = a * _log_ratio(difference / a, jnp.log(x) - log_a + log_total)
    from_mean = b * _log_ratio(-difference / b, jnp.log(y) - log_b + log_total)
    end = _beta_end(*lax.stop_gradient((a, b, x, y)))
    integral = log_integral(_beta_exponent)(end, a, b, x, y)
    return to_mean + from_mean + remainders - log_a + jnp.log1p(total * x * jnp.exp(integral))


def _log_ratio(relative: Array, log_ratio: Array) -> Array:
    """log(1 + relative), which is ``log_ratio`` where the two are far apart."""
    close = jnp.abs(relative) < 0.5
    return jnp.where(close, jnp.log1p(jnp.where(close, relative, 0.0)), log_ratio)


def _beta_exponent(s: Array, a: Array, b: Array, x: Array, y: Array) -> tuple[Array, tuple[Array, ...]]:
    """The derivative by y is that of x with the sign changed, and is counted with x."""
    # log(y + x e^-s) and log(x + y e^s), each where the other would be lost beside s.
    low = x < 0.5
    shift = jnp.log1p(jnp.where(low, x, y) * jnp.expm1(jnp.where(low, -s, s)))
    log_left, log_right = jnp.where(low, shift, shift - s), jnp.where(low, shift + s, shift)
    by_x = -(a + b + 1) * jnp.expm1(-s) * jnp.exp(-log_left)
    return -(a + 1) * log_right - b * log_left, (-log_right, -log_left, by_x, jnp.zeros_like(s))


def _beta_end(a: Array, b: Array, x: Array, y: Array) -> Array:
    """Where the integrand's logarithm is about -40: the nearest of three ends that are too far out, then Newton steps.

    The curvature of the logarithm is (a + b + 1) t (1 - t) for the variable t. It is at least what x y e^-s makes of
    it, which gives the bound of `_gamma_end`; at least x y as far as t > y; and y + x e^-s >= y.
    """
    first, total = a + 1, a + b + 1
    slope, curvature = jnp.maximum(first * y - b * x, 0.0), total * x * y
    nearer = positive_root(slope, curvature)
    s = jnp.minimum(positive_root(slope - FALL / 2, slope + curvature), (FALL - total * jnp.log(y)) / first)
    s = jnp.where(nearer < 2 * jnp.log(x / y), jnp.minimum(s, nearer), s)

    def newton(_: int, s: Array) -> Array:
        left = y + x * jnp.exp(-s)
        value, _slopes = _beta_exponent(s, a, b, x, y)
        return s + (value + FALL) / ((first * y - b * x * jnp.exp(-s)) / left)

    return lax.fori_loop(0, 3, newton, s)
