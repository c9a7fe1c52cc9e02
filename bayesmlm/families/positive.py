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
from .support import Support

__all__ = ["EXPONENTIAL", "INVERSE_GAUSSIAN"]

Array = Any
Values = Mapping[str, Array]

_CENSORED = frozenset({"cens", "trunc", "mi"})
_POSITIVE = Support(
    lower=0.0,
    closed=False,
    advice="Zeros need a model of their own (`hurdle_gamma`, not available yet); "
    "for values of both signs use `gaussian` or `student`.",
)


def _mu(p: Values, extra: Values) -> Array:
    return p["mu"]


def _exponential_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_mu = LINKS[link].log_mu(p["eta"])
    return guarded(-log_mu - y * jnp.exp(-log_mu), p["eta"], link, 0.0, np.inf, closed=False)


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
    additions=_CENSORED,
)
