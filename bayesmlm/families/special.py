"""Log-gamma differences and incomplete beta and gamma functions that stay accurate for large arguments.

Everything here is elementwise JAX code.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

import numpy as np

from .lazy import jnp, jsp, lax

__all__ = [
    "incomplete_beta",
    "incomplete_gamma",
    "log_add",
    "log_gamma_ratio",
    "log_rising",
    "stirling_remainder",
    "student_t_cdf",
    "times",
]

Array = Any

_LARGE, _SHIFT = 20.0, 9
# B_2k / (2k (2k - 1)); the first term left out is 0.03 / y^15, below 2e-16 from y = 9 on.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
# Above this, the library's incomplete beta and gamma functions lose digits (all of them at 1e8).
_ASYMPTOTIC = 1e4
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


def times(count: Array, value: Array) -> Array:
    """``count * value``, 0 where the count is 0 even if the value is infinite; so are its derivatives."""
    return count * jnp.where(count > 0, value, 0.0)


def stirling_remainder(x: Array, log_x: Array) -> Array:
    """lgamma(x) - (x log x - x), for x >= 0 with its logarithm given apart (x may have underflowed to 0).

    Differences of log-gamma functions become differences of small numbers: lgamma(1e10) has lost five digits
    after the point. Stirling's series (Abramowitz and Stegun 6.1.41) where x is large, else at x + 9 and the
    recurrence down to x (6.1.15): faster than XLA's lgamma and digamma, and as accurate.
    """
    large = x > _LARGE
    y = jnp.where(large, x, x + _SHIFT)
    z = 1 / (y * y)
    series = jnp.zeros_like(y)
    for coefficient in reversed(_STIRLING):
        series = series * z + coefficient
    at_y = 0.5 * (log(2 * pi) - jnp.log(y)) + series / y
    small = jnp.where(large, 0.0, x)
    # (x + 1) ... (x + 8), in pairs (x + k) (x + 9 - k).
    square = small * (small + _SHIFT)
    product = (square + 8) * (square + 14) * (square + 18) * (square + 20)
    shifted = small + _SHIFT
    step_down = shifted * jnp.log(shifted) - _SHIFT - jnp.log(product) - log_x - small * log_x
    return jnp.where(large, at_y, at_y + step_down)


def log_gamma_ratio(x: Array, a: Array) -> Array:
    """lgamma(x + a) - lgamma(x) for x > 0, a >= 0."""
    log_sum = jnp.log(x + a)
    remainder = stirling_remainder(x + a, log_sum) - stirling_remainder(x, jnp.log(x))
    return x * jnp.log1p(a / x) + a * (log_sum - 1) + remainder


def log_rising(x: Array, log_x: Array, count: Array) -> Array:
    """log of x (x + 1) ... (x + count - 1) for whole numbers ``count`` >= 0 and x >= 0, given with its logarithm:
    Gamma(x + count) / Gamma(x) where x may be so small that 1/x overflows."""
    above = log_gamma_ratio(x + 1, jnp.where(count > 0, count - 1, 0.0))
    return jnp.where(count > 0, log_x + above, 0.0)


# exp(x) is 0 below.
_LOG_OF_ZERO = -746.0


def log_add(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)), either of which may be minus infinity. Derivatives of every order stay finite where one
    is far below the other, whatever its own."""
    larger = jnp.where(a > b, a, b)
    gap = jnp.where(a > b, b - a, a - b)
    return larger + jnp.log1p(jnp.exp(jnp.where(gap > _LOG_OF_ZERO, gap, _LOG_OF_ZERO)))


def incomplete_gamma(shape: Array, x: Array) -> tuple[Array, Array]:
    """P(shape, x) and Q(shape, x): the cdf of a Gamma(shape, rate 1) variable and its complement, x >= 0."""
    a = jnp.minimum(shape, _ASYMPTOTIC)
    large = jnp.maximum(shape, _ASYMPTOTIC)
    normaliser = stirling_remainder(large, jnp.log(large))

    def log_density(t: Array) -> Array:
        relative = (t - large) / large
        return large * (jnp.log1p(relative) - relative) - jnp.log(t) - normaliser

    lower, upper = _tails(log_density, x, large, jnp.sqrt(large), (0.0, jnp.inf))
    far = shape > _ASYMPTOTIC
    return jnp.where(far, lower, jsp.gammainc(a, x)), jnp.where(far, upper, jsp.gammaincc(a, x))


def incomplete_beta(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b): the cdf of a Beta(a, b) variable, a, b > 0 and 0 <= x <= 1.

    Relative error about 1e-10 or less for a, b up to 1e5 and for both above; about 1e-7 for one of them 1e8.
    """
    far = jnp.minimum(a, b) > _ASYMPTOTIC
    p, q = jnp.where(far, a, 2 * _ASYMPTOTIC), jnp.where(far, b, 2 * _ASYMPTOTIC)
    total = p + q
    mean = p / total
    normaliser = [stirling_remainder(z, jnp.log(z)) for z in (total, p, q)]

    def log_density(t: Array) -> Array:
        divergence = p * jnp.log1p((t - mean) / mean) + q * jnp.log1p((mean - t) / (1 - mean))
        return divergence + normaliser[0] - normaliser[1] - normaliser[2] - jnp.log(t) - jnp.log1p(-t)

    lower, _ = _tails(log_density, x, mean, jnp.sqrt(mean * (1 - mean) / (total + 1)), (0.0, 1.0))
    near = jsp.betainc(jnp.where(far, 1.0, a), jnp.where(far, 1.0, b), x)
    return jnp.where(far, lower, near)


def _tails(
    log_density: Callable[[Array], Array], x: Array, mean: Array, sd: Array, bounds: tuple[float, float]
) -> tuple[Array, Array]:
    """Probabilities below and above ``x`` of a nearly normal density, by Gauss-Legendre quadrature.

    The tail away from the mean is integrated from x to where the density has fallen by about exp(-40), so
    both tails keep their relative accuracy.
    """
    z = (x - mean) / sd
    outwards = jnp.where(z < 0, -1.0, 1.0)
    end = jnp.clip(mean + sd * outwards * jnp.sqrt(z * z + 80), *bounds)
    nodes, weights = jnp.asarray((1 + _NODES) / 2), jnp.asarray(_WEIGHTS / 2)

    def add(i: int, total: Array) -> Array:
        return total + weights[i] * jnp.exp(log_density(x + (end - x) * nodes[i]))

    tail = lax.fori_loop(0, len(_NODES), add, jnp.zeros_like(end)) * jnp.abs(end - x)
    return jnp.where(z < 0, tail, 1 - tail), jnp.where(z < 0, 1 - tail, tail)


def student_t_cdf(t: Array, nu: Array) -> Array:
    """P(T <= t) for a Student t variable with ``nu`` degrees of freedom.

    The incomplete beta function up to nu = 1000, Hill's expansion (1970, Algorithm 395, Communications of the
    ACM 13(10)) above.
    """
    small = jnp.minimum(nu, 1e3)
    tail = 0.5 * jsp.betainc(small / 2, 0.5, small / (small + t * t))
    big = jnp.maximum(nu, 1e3)
    a = big - 0.5
    b = 48 * a * a
    y = a * jnp.log1p(t * t / big)
    correction = (((-0.4 * y - 3.3) * y - 24) * y - 85.5) / (0.8 * y * y + 100 + b)
    expanded = jsp.ndtr(-(1 + (correction + y + 3) / b) * jnp.sqrt(y))
    tail = jnp.where(nu > 1e3, expanded, tail)
    return jnp.where(t < 0, tail, 1 - tail)
