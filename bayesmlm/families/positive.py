"""Further families of positive measurements: exponential and inverse.gaussian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import guarded, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import log_add
from .support import Support
from .tails import log1m_exp

__all__ = ["EXPONENTIAL", "INVERSE_GAUSSIAN"]

Array = Any
Values = Mapping[str, Array]

_CENSORED = frozenset({"cens", "trunc", "mi"})
_POSITIVE = Support(
    lower=0.0,
    closed=False,
    advice="Zeros need a model of their own (`hurdle_gamma`); "
    "for values of both signs use `gaussian` or `student`.",
)


def _mu(p: Values, extra: Values) -> Array:
    return p["mu"]


def _exponential_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_mu = LINKS[link].log_mu(p["eta"])
    return guarded(-log_mu - y * jnp.exp(-log_mu), p["eta"], link, 0.0, np.inf, closed=False)


def _exponential_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    inside = (y > 0) & (y < np.inf) & (p["mu"] > 0)
    above = -jnp.where(inside, y, 1.0) / jnp.where(inside, p["mu"], 1.0)
    return _within(inside, y, p["mu"] > 0, log1m_exp(above), above)


def _within(inside: Array, y: Array, legal: Array, below: Array, above: Array) -> tuple[Array, Array]:
    """Both logarithms of tails with their values at 0 and infinity; minus infinity where parameters are not legal."""
    below = jnp.where(inside, below, jnp.where(y > 0, 0.0, -np.inf))
    above = jnp.where(inside, above, jnp.where(y > 0, -np.inf, 0.0))
    return jnp.where(legal, below, -np.inf), jnp.where(legal, above, -np.inf)


EXPONENTIAL = Family(
    name="exponential",
    code="Exponential(1 / mu)",
    description="exponential with mean mu (`gamma` with shape 1); variance mu²",
    parameters=(common.mu(common.POSITIVE, lower=0.0),),
    support=_POSITIVE,
    log_kernel=_exponential_kernel,
    sample=lambda key, p, extra: p["mu"] * random.exponential(key, shape_of(p)),
    mean=_mu,
    variance=lambda p, extra: p["mu"] ** 2,
    cdf=lambda y, p, extra: -jnp.expm1(-jnp.maximum(y, 0.0) / p["mu"]),
    log_tails=_exponential_tails,
    quantile=lambda probability, p, extra: -p["mu"] * jnp.log1p(-probability),
    additions=_CENSORED,
)


def _inverse_gaussian_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of sqrt(shape) exp(-shape (y - mu)^2 / (2 mu^2 y)); (y - mu) / mu is expm1(log(y / mu))."""
    relative = jnp.expm1(jnp.log(y) - LINKS[link].log_mu(p["eta"]))
    value = 0.5 * jnp.log(p["shape"]) - 0.5 * p["shape"] / y * relative**2
    return guarded(value, p["eta"], link, 0.0, np.inf, closed=False)


def _inverse_gaussian_sample(key: Array, p: Values, extra: Values) -> Array:
    """Michael, Schucany and Haas (1976), The American Statistician 30(2): one of the two roots, whose product is
    mu^2; the larger is computed, so that nothing cancels."""
    key_square, key_choice = random.split(key)
    shape = shape_of(p)
    half = p["mu"] / (2 * p["shape"]) * random.normal(key_square, shape) ** 2
    ratio = 1 + half + jnp.sqrt(half * (half + 2))  # the larger root over mu
    smaller = random.uniform(key_choice, shape, half.dtype) <= ratio / (1 + ratio)
    return p["mu"] * jnp.where(smaller, 1 / ratio, ratio)


def _inverse_gaussian_cdf(y: Array, p: Values, extra: Values) -> Array:
    """Shuster (1968), JASA 63(324); exp(2 shape / mu) times a normal tail through erfcx, so that neither
    overflows."""
    inside = jnp.where((y > 0) & (y < np.inf), y, 1.0)
    root = jnp.sqrt(p["shape"] / inside)
    z = root * (inside / p["mu"] - 1)
    mirrored = root * (inside / p["mu"] + 1)
    second = 0.5 * jsp.erfcx(mirrored * np.sqrt(0.5)) * jnp.exp(-0.5 * z * z)
    return jnp.where(y > 0, jnp.where(y < np.inf, jsp.ndtr(z) + second, 1.0), 0.0)


def _inverse_gaussian_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Shuster's formula, P = Phi(z) + exp(2 shape / mu) Phi(-z') with z = root (y / mu - 1), z' = root (y / mu + 1) and
    root = sqrt(shape / y), in logarithms: its second term is erfcx(z' / sqrt(2)) exp(-z^2 / 2) / 2.

    P is a sum. Its complement Phi(-z) - exp(2 shape / mu) Phi(-z') is a difference of two values of erfcx.
    """
    legal = (p["mu"] > 0) & (p["shape"] > 0)
    inside = (y > 0) & (y < np.inf) & legal
    at, mean, shape = (jnp.where(inside, value, 1.0) for value in (y, p["mu"], p["shape"]))
    root = jnp.sqrt(shape / at)
    z, step = root * ((at - mean) / mean), np.sqrt(2.0) * root
    s = z * np.sqrt(0.5)
    log_half_exp = -s * s - np.log(2.0)
    total = log_add(LINKS["probit"].log_mu(z), log_half_exp + jnp.log(jsp.erfcx(s + step)))
    by_difference = (z > 0) | (step < 0.1)
    # Where the complement serves, any place that keeps numbers finite will do for the difference.
    s, step = jnp.where(by_difference, s, 0.0), jnp.where(by_difference, step, 1.0)
    difference = log_half_exp + jnp.log(_erfcx_difference(s, step))
    above = jnp.where(by_difference, difference, log1m_exp(jnp.where(by_difference, -1.0, total)))
    rare = above < -1.0
    below = jnp.where(rare, log1m_exp(jnp.where(rare, above, -1.0)), total)
    return _within(inside, y, legal, below, above)


_LEGENDRE, _WEIGHTS = np.polynomial.legendre.leggauss(6)


def _erfcx_difference(s: Array, step: Array) -> Array:
    """erfcx(s) - erfcx(s + step) for step > 0, of relative accuracy: for a short step by integrating the slope."""
    short = step < 0.1 * jnp.maximum(1.0, s)
    h = jnp.where(short, step, 0.1)
    # All nodes along an axis of their own: XLA takes seconds to compile as many copies of erfcx side by side.
    nodes, weights = (0.5 * a.reshape(-1, *[1] * jnp.ndim(s)) for a in (1 + _LEGENDRE, _WEIGHTS))
    integral = jnp.sum(weights * _erfcx_fall(jnp.where(short, s, 0.0) + nodes * h), axis=0)
    return jnp.where(short, h * integral, jsp.erfcx(s) - jsp.erfcx(s + step))


def _erfcx_fall(s: Array) -> Array:
    """Minus the derivative of erfcx, 2 / sqrt(pi) - 2 s erfcx(s); by the asymptotic series (Abramowitz and Stegun
    7.1.23) where the two nearly cancel."""
    far = s > 8
    near = jnp.where(far, 0.0, s)
    ratio = 0.5 / jnp.where(far, s, 8.0) ** 2
    series = jnp.ones_like(s)
    for n in range(15, 1, -1):
        series = 1 - (2 * n - 1) * ratio * series
    direct = 2 / np.sqrt(np.pi) - 2 * near * jsp.erfcx(near)
    return jnp.where(far, 2 / np.sqrt(np.pi) * ratio * series, direct)


INVERSE_GAUSSIAN = Family(
    name="inverse.gaussian",
    code="InverseGaussian(mu, shape)",
    description="inverse Gaussian with mean mu and shape; variance mu³ / shape",
    parameters=(common.mu(common.INVERSE_SQUARE, lower=0.0), common.SHAPE),
    support=_POSITIVE,
    log_kernel=_inverse_gaussian_kernel,
    log_base_measure=lambda y, extra: -0.9189385332046728 - 1.5 * jnp.log(y),  # -log(2 pi) / 2
    sample=_inverse_gaussian_sample,
    mean=_mu,
    variance=lambda p, extra: p["mu"] ** 3 / p["shape"],
    cdf=_inverse_gaussian_cdf,
    log_tails=_inverse_gaussian_tails,
    additions=_CENSORED,
)
