"""Derivatives of inverse links, and of the logarithms of mu and of 1 - mu, by the linear predictor (NumPy).

`bayesmlm.families.links` has the functions themselves. The first three derivatives are what a Laplace
approximation and its gradient need of a link. In both tails they keep their relative accuracy (up to the rounding
of exp), because nowhere are two nearly equal numbers subtracted: the inverse Mills ratio of a normal variable comes
from Laplace's continued fraction (Abramowitz and Stegun 26.2.14), other differences from power series.

All functions are elementwise; where mu is outside its range the result is meaningless, not an error. Callers
silence NumPy's warnings of overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..families.links import LINKS

__all__ = [
    "log_complement_derivatives",
    "log_mean_derivatives",
    "mean_derivatives",
    "slopes_of_log",
]

Vector = NDArray[np.float64]
Three = tuple[Vector, Vector, Vector]
Four = tuple[Vector, Vector, Vector, Vector]

_CUBIC, _LINEAR = 0.07056, 1.5976  # of the link probit_approx, see families/links.py


def mean_derivatives(link: str, eta: Vector) -> Four:
    """mu = inverse(eta) and its first three derivatives. KeyError for a link that is not in the table."""
    return _MEAN[link](eta)


def log_mean_derivatives(link: str, eta: Vector) -> Three:
    """First three derivatives of log mu (itself ``LINKS[link].log_mu(eta)``). KeyError as above."""
    return _LOG_MEAN[link](eta)


def slopes_of_log(link: str, eta: Vector) -> Three | None:
    """`log_mean_derivatives`; None for the link log, whose predictor is log mu."""
    return None if link == "log" else _LOG_MEAN[link](eta)


def log_complement_derivatives(link: str, eta: Vector) -> Three:
    """First three derivatives of log(1 - mu), for links that make probabilities. KeyError as above."""
    if LINKS[link].symmetric:
        first, second, third = _LOG_MEAN[link](-eta)
        return -first, second, -third
    return _LOG_COMPLEMENT[link](eta)


def _chain(outer: Three, inner: Three) -> Three:
    """Derivatives of f(g(x)) from those of f at g(x) and of g at x."""
    f1, f2, f3 = outer
    g1, g2, g3 = inner
    return f1 * g1, f2 * g1 * g1 + f1 * g2, f3 * g1**3 + 3 * f2 * g1 * g2 + f1 * g3


# ---- mu on the whole line or above zero
# --------------------------------------------------------------------------------------------------


def _powers(power: float, value: Callable[[Vector], Vector]) -> Callable[[Vector], Four]:
    def derivatives(x: Vector) -> Four:
        mu = value(x)
        first = power * mu / x
        second = (power - 1) * first / x
        return mu, first, second, (power - 2) * second / x

    return derivatives


def _log_powers(power: float) -> Callable[[Vector], Three]:
    def derivatives(x: Vector) -> Three:
        first = power / x
        second = -first / x
        return first, second, -2 * second / x

    return derivatives


def _identity(x: Vector) -> Four:
    zero = np.zeros_like(x)
    return x, np.ones_like(x), zero, zero


def _square(x: Vector) -> Four:
    return x * x, 2 * x, np.full_like(x, 2.0), np.zeros_like(x)


def _exponential(x: Vector) -> Four:
    mu = np.exp(x)
    return mu, mu, mu, mu


def _constant_slope(x: Vector) -> Three:
    zero = np.zeros_like(x)
    return np.ones_like(x), zero, zero


def _sigmoids(x: Vector) -> tuple[Vector, Vector]:
    """1 / (1 + exp(-x)) and its complement, both with full relative accuracy."""
    tail = np.exp(-np.abs(x))
    large = 1 / (1 + tail)
    small = tail * large
    return np.where(x < 0, small, large), np.where(x < 0, large, small)


def _softplus(x: Vector) -> Four:
    up, down = _sigmoids(x)
    curvature = up * down
    return LINKS["softplus"].inverse(x), up, curvature, curvature * (down - up)


# Power series in u = exp(x) of (1 - s) - s / log(1 + u), s = u / (1 + u): the logarithmic derivative of the
# logarithmic derivative of log(1 + u). Needed where both terms are nearly 1.
_SOFTPLUS_SERIES = (-1 / 2, 7 / 12, -5 / 8, 469 / 720, -193 / 288, 41393 / 60480)


def _log_softplus_parts(x: Vector) -> tuple[Vector, Vector, Vector]:
    """r = d log(softplus), e = r' / r, and e'."""
    up, down = _sigmoids(x)
    r = np.where(x < -36, 1.0, up / LINKS["softplus"].inverse(x))
    u = np.exp(np.minimum(x, 0.0))
    series = np.zeros_like(x)
    for coefficient in reversed(_SOFTPLUS_SERIES):
        series = (series + coefficient) * u
    e = np.where(x < -6.5, series, down - r)
    return r, e, -up * down - r * e


def _log_softplus(x: Vector) -> Three:
    r, e, de = _log_softplus_parts(x)
    second = r * e
    return r, second, second * e + r * de


def _logm1(x: Vector) -> Four:
    above = np.exp(x)
    return 1 + above, above, above, above


def _log_logm1(x: Vector) -> Three:
    """log mu = log(1 + exp(x))."""
    _, first, second, third = _softplus(x)
    return first, second, third


def _squareplus(x: Vector) -> Four:
    mu, root = LINKS["squareplus"].inverse(x), np.sqrt(x * x + 4)
    cube = root**3
    return mu, mu / root, 2 / cube, -6 * x / (cube * root * root)


def _log_squareplus(x: Vector) -> Three:
    first = 1 / np.sqrt(x * x + 4)
    cube = first**3
    return first, -x * cube, cube * (3 * (x * first) ** 2 - 1)


# ---- mu between 0 and 1
# --------------------------------------------------------------------------------------------------


def _logit(x: Vector) -> Four:
    up, down = _sigmoids(x)
    variance = up * down
    return up, variance, variance * (down - up), variance * (1 - 6 * variance)


def _log_logit(x: Vector) -> Three:
    up, down = _sigmoids(x)
    variance = up * down
    return down, -variance, -variance * (down - up)


def _cubic(x: Vector) -> Three:
    square = x * x
    return 3 * _CUBIC * square + _LINEAR, 6 * _CUBIC * x, np.full_like(x, 6 * _CUBIC)


def _probit_approx(x: Vector) -> Four:
    mu, *outer = _logit(x * (_CUBIC * x * x + _LINEAR))
    return mu, *_chain((outer[0], outer[1], outer[2]), _cubic(x))


def _log_probit_approx(x: Vector) -> Three:
    return _chain(_log_logit(x * (_CUBIC * x * x + _LINEAR)), _cubic(x))


def _probit(x: Vector) -> Four:
    density = np.exp(-x * x / 2) / sqrt(2 * pi)
    return special.ndtr(x), density, -x * density, (x * x - 1) * density


_FRACTION_FROM, _FRACTION_DEPTH = 5.0, 24


def _log_probit(x: Vector) -> Three:
    """With h the inverse Mills ratio: h, h' = -h (x + h), h'' = -h' (x + h) - h (1 + h').

    Far below zero h = t + K with t = -x and the tails K = 1 / (t + L), L = 2 / (t + M), M = 3 / (t + ...) of its
    continued fraction, and then x + h = K, 1 + h' = K (L - K), h'' = h K^2 L (M - L).
    """
    h = sqrt(2 / pi) / special.erfcx(x * -sqrt(0.5))
    k = x + h
    second = -h * k
    third = -second * k - h * (1 + second)
    tail = np.flatnonzero(x < -_FRACTION_FROM)
    if tail.size:
        t = -x[tail]
        m = np.zeros_like(t)
        for j in range(_FRACTION_DEPTH, 2, -1):
            m = j / (t + m)
        l = 2 / (t + m)  # noqa: E741
        k = 1 / (t + l)
        h[tail] = t + k
        second[tail] = -h[tail] * k
        third[tail] = h[tail] * k * k * l * (m - l)
    return h, second, third


# u / (exp(u) - 1) + u - 1 = u/2 + u^2/12 - u^4/720 + ...: Bernoulli numbers over factorials, from u^2 on.
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600)


def _cloglog(x: Vector) -> Four:
    u = np.exp(np.minimum(x, 300.0))  # exp(-u) is 0 and u squared a number
    first = u * np.exp(-u)
    return -np.expm1(-u), first, first * (1 - u), first * ((1 - u) ** 2 - u)


def _log_cloglog(x: Vector) -> Three:
    u = np.exp(np.minimum(x, 300.0))
    h = np.where(u > 0, u / np.expm1(u), 1.0)
    square = np.minimum(u, 1.0) ** 2
    series = np.zeros_like(x)
    for coefficient in reversed(_BERNOULLI):
        series = (series + coefficient) * square
    g = np.where(u < 0.6, -u / 2 - series, 1 - u - h)
    second = h * g
    return h, second, second * g - h * (u + second)


def _log_complement_cloglog(x: Vector) -> Three:
    minus_u = -np.exp(np.minimum(x, 700.0))
    return minus_u, minus_u, minus_u


def _cauchit(x: Vector) -> Four:
    b = 1 / (1 + x * x)
    return LINKS["cauchit"].inverse(x), b / pi, -2 * x * b * b / pi, (6 * x * x - 2) * b**3 / pi


def _log_cauchit(x: Vector) -> Three:
    b = 1 / (1 + x * x)
    h = b / (pi * LINKS["cauchit"].inverse(x))
    g = -2 * x * b
    second = h * (g - h)
    return h, second, second * (g - h) + h * (2 * (x * x - 1) * b * b - second)


def _softit(x: Vector) -> Four:
    up, down = _sigmoids(x)
    rest = 1 / (1 + LINKS["softplus"].inverse(x))  # 1 - mu
    a = up * rest
    first, slope = a * rest, down - 2 * a
    second = first * slope
    return (
        LINKS["softit"].inverse(x),
        first,
        second,
        second * slope - first * (up * down + 2 * a * (down - a)),
    )


def _log_softit(x: Vector) -> Three:
    r, e, de = _log_softplus_parts(x)
    up, down = _sigmoids(x)
    rest = 1 / (1 + LINKS["softplus"].inverse(x))
    a = up * rest
    first, slope = r * rest, e - a
    second = first * slope
    return first, second, second * slope + first * (de - a * (down - a))


def _log_complement_softit(x: Vector) -> Three:
    up, down = _sigmoids(x)
    a = up / (1 + LINKS["softplus"].inverse(x))
    slope = down - a
    second = a * slope
    return -a, -second, -(second * slope - a * (up * down + second))


def _log_complement_identity(x: Vector) -> Three:
    first = -1 / (1 - x)
    second = -first * first
    return first, second, 2 * first * -second


def _log_complement_log(x: Vector) -> Three:
    h = -1 / np.expm1(-x)
    second = h * (1 - h)
    return h, second, second * (1 - 2 * h)


_MEAN: dict[str, Callable[[Vector], Four]] = {
    "identity": _identity,
    "log": _exponential,
    "inverse": _powers(-1.0, lambda x: 1 / x),
    "1/mu^2": _powers(-0.5, lambda x: 1 / np.sqrt(x)),
    "sqrt": _square,
    "softplus": _softplus,
    "squareplus": _squareplus,
    "logm1": _logm1,
    "logit": _logit,
    "probit": _probit,
    "probit_approx": _probit_approx,
    "cloglog": _cloglog,
    "cauchit": _cauchit,
    "softit": _softit,
}

_LOG_MEAN: dict[str, Callable[[Vector], Three]] = {
    "identity": _log_powers(1.0),
    "log": _constant_slope,
    "inverse": _log_powers(-1.0),
    "1/mu^2": _log_powers(-0.5),
    "sqrt": _log_powers(2.0),
    "softplus": _log_softplus,
    "squareplus": _log_squareplus,
    "logm1": _log_logm1,
    "logit": _log_logit,
    "probit": _log_probit,
    "probit_approx": _log_probit_approx,
    "cloglog": _log_cloglog,
    "cauchit": _log_cauchit,
    "softit": _log_softit,
}

_LOG_COMPLEMENT: dict[str, Callable[[Vector], Three]] = {
    "identity": _log_complement_identity,
    "log": _log_complement_log,
    "cloglog": _log_complement_cloglog,
    "softit": _log_complement_softit,
}
