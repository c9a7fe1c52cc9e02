"""What Stirling's formula leaves of the log-gamma function, and derivatives of log-gamma differences (NumPy).

R(x) = lgamma(x) - (x log x - x). Likelihoods in which gamma functions nearly cancel (negative binomial, beta and
Student densities near their limits) keep their digits when written with R. From 12 on R comes from Stirling's series
(Abramowitz and Stegun 6.1.41 and 6.4.11 to 14), below that from digamma and polygamma functions. Callers silence
NumPy's warnings.
"""

from __future__ import annotations

from math import log, pi

import numpy as np
from scipy import special

from .kernel import Vector

__all__ = ["by_logarithm", "log1p_and_excess", "log_rising", "remainder_by_log", "remainder_differences"]

_SERIES_FROM = 12.0
# B_2j / (2j (2j - 1)): R(x) = log(2 pi / x) / 2 + sum of these over x^(2j - 1); the next term is 1e-19 at x = 12.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)


def log1p_and_excess(t: Vector) -> tuple[Vector, Vector]:
    """log(1 + t) and log(1 + t) - t, by its series where that is small."""
    value = np.log1p(t)
    near = np.abs(t) < 0.05
    small = np.where(near, t, 0.0)
    series = np.zeros_like(t)
    for j in range(13, 1, -1):
        series = (series + (1.0 if j % 2 else -1.0) / j) * small
    return value, np.where(near, series * small, value - t)


def by_logarithm(x: Vector, derivatives: list[Vector]) -> list[Vector]:
    """Derivatives by log(x) from the first three, or fewer, by x."""
    result = []
    for order, first in enumerate(derivatives, start=1):
        if order == 1:
            result.append(x * first)
        elif order == 2:
            result.append(result[0] + x * (x * first))
        else:
            result.append(result[0] + x * (x * (3 * derivatives[1] + x * first)))
    return result


def remainder_by_log(x: Vector, log_x: Vector, orders: int) -> list[Vector]:
    """R(x) and its first ``orders`` (at most 3) derivatives by log(x), x >= 0 given with its logarithm (x may have
    underflowed)."""
    large = x >= _SERIES_FROM
    if large.all():
        return _remainder_by_series(x, log_x, orders)
    if not large.any():
        return _remainder_by_recurrence(x, log_x, orders)
    result = [np.empty_like(x) for _ in range(orders + 1)]
    for rows, function in ((large, _remainder_by_series), (~large, _remainder_by_recurrence)):
        for whole, part in zip(result, function(x[rows], log_x[rows], orders), strict=True):
            whole[rows] = part
    return result


def _remainder_by_series(x: Vector, log_x: Vector, orders: int) -> list[Vector]:
    """The series is one in powers of x: a derivative by log(x) multiplies each term by its exponent."""
    z = 1 / (x * x)
    result = []
    for order in range(orders + 1):
        series = np.zeros_like(x)
        for j in range(len(_STIRLING) - 1, -1, -1):
            series = series * z + _STIRLING[j] * (-(2 * j + 1)) ** order
        half_log: Vector | float = 0.5 * (log(2 * pi) - log_x) if order == 0 else -0.5 * (order == 1)
        result.append(half_log + series / x)
    return result


def _remainder_by_recurrence(x: Vector, log_x: Vector, orders: int) -> list[Vector]:
    """lgamma(x) = lgamma(x + 1) - log(x): nothing is infinite at 0 but the logarithm."""
    above = x + 1
    entropy = x * log_x
    gamma = by_logarithm(x, [special.digamma(above), *(_polygamma(m, above) for m in (1, 2))][:orders])
    result = [special.gammaln(above) - log_x - entropy + x]
    corrections = (-1.0 - entropy, -entropy - x, -entropy - 2 * x)
    return result + [one + other for one, other in zip(gamma, corrections, strict=False)]


def _polygamma(order: int, x: Vector) -> Vector:
    values: Vector = special.polygamma(order, x)
    return values


def log_rising(x: Vector, log_x: Vector, count: Vector, orders: int) -> list[Vector]:
    """log of x (x + 1) ... (x + count - 1) = lgamma(x + count) - lgamma(x) and its first ``orders`` (at most 3)
    derivatives by log(x); ``count`` whole numbers, x >= 0 given with its logarithm.

    The factor x is taken out, so that x may be so small that 1/x overflows.
    """
    above, more = x + 1, np.maximum(count - 1, 0.0)
    top = above + more
    remainders = remainder_differences(more, above, orders)
    growth = np.log1p(more / above)
    value = log_x + above * growth + more * (np.log(top) - 1) + remainders[0]
    differences = (growth, -more / (above * top), more * (above + top) / (above * top) ** 2)
    by_x = [one + other for one, other in zip(differences, remainders[1:], strict=False)]
    derivatives = by_logarithm(x, by_x)
    if orders > 0:
        derivatives[0] = derivatives[0] + 1
    if count.all():
        return [value, *derivatives]
    return [np.where(count > 0, one, 0.0) for one in (value, *derivatives)]


def remainder_differences(y: Vector, k: Vector, orders: int) -> list[Vector]:
    """R(y + k) - R(k) for y >= 0, k > 0 and its first ``orders`` (at most 3) derivatives by k, term by term of the
    series."""
    large = k >= _SERIES_FROM
    if large.all():
        return _by_series(y, k, orders)
    if not large.any():
        return _by_polygamma(y, k, orders)
    result = [np.empty_like(k) for _ in range(orders + 1)]
    for rows, function in ((large, _by_series), (~large, _by_polygamma)):
        for whole, part in zip(result, function(y[rows], k[rows], orders), strict=True):
            whole[rows] = part
    return result


def _by_series(y: Vector, k: Vector, orders: int) -> list[Vector]:
    growth = np.log1p(y / k)
    factors = {2 * j + 1: coefficient for j, coefficient in enumerate(_STIRLING)}
    result = [-0.5 * growth]
    for m in range(orders + 1):
        total = result.pop() if m == 0 else np.zeros_like(growth)
        for power, factor in factors.items():
            total = total + factor * _power_difference(growth, k, power)
        result.append(total)
        factors = {power + 1: -power * factor for power, factor in factors.items()}
        if m == 0:
            factors[1] = -0.5  # the derivative of -log(x) / 2
    return result


def _power_difference(growth: Vector, k: Vector, power: int) -> Vector:
    """(y + k)^-power - k^-power, ``growth`` being log(1 + y / k)."""
    return np.expm1(-power * growth) / k**power


def _by_polygamma(y: Vector, k: Vector, orders: int) -> list[Vector]:
    """R' = digamma - log, R'' = trigamma - 1/x, R''' = tetragamma + 1/x^2."""
    x = y + k
    log_x, log_k = np.log(x), np.log(k)
    result = [special.gammaln(x) - special.gammaln(k) - x * log_x + k * log_k + y]
    if orders > 0:
        result.append(special.digamma(x) - special.digamma(k) - log_x + log_k)
    if orders > 1:
        result.append(_polygamma(1, x) - _polygamma(1, k) - 1 / x + 1 / k)
    if orders > 2:
        result.append(_polygamma(2, x) - _polygamma(2, k) + 1 / x**2 - 1 / k**2)
    return result
