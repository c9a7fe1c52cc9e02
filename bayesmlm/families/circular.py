"""The family of angles: von_mises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import shape_of
from .lazy import jnp, jsp, lax, random
from .quadrature import FALL, log_integral
from .special import log_add
from .support import Support
from .tails import log1m_exp

__all__ = ["VON_MISES"]

Array = Any
Values = Mapping[str, Array]

_KAPPA = DistributionalParameter(
    "kappa",
    ("log", "identity", "softplus", "squareplus"),
    lower=0.0,
    default_prior="gamma(2, 0.01)",
    default_prior_predicted="normal(5.0, 0.8)",
)
_LARGE_KAPPA = 30.0
_SMALLEST_KAPPA = 1e-150  # its square is not 0
# ((2 k - 1)!!)^2 / (k! 8^k): the coefficients of I_0's asymptotic series in 1 / kappa (Abramowitz and Stegun 9.7.1).
_HANKEL = tuple(float(c) for c in np.cumprod([1.0, *((2 * k - 1) ** 2 / (8 * k) for k in range(1, 17))]))


def _log_bessel(kappa: Array) -> Array:
    """log(exp(-kappa) I_0(kappa)), with derivatives that keep their digits for a large kappa."""
    large = kappa > _LARGE_KAPPA
    big = jnp.where(large, kappa, _LARGE_KAPPA)
    series = jnp.zeros_like(big)
    for coefficient in reversed(_HANKEL):
        series = coefficient + series / big
    small = jnp.log(jsp.i0e(jnp.where(large, 1.0, kappa)))
    return jnp.where(large, jnp.log(series) - 0.5 * jnp.log(2 * np.pi * big), small)


def _log_density(distance: Array, kappa: Array) -> Array:
    """kappa (cos(distance) - 1) less the log of 2 pi exp(-kappa) I_0(kappa)."""
    half = jnp.sin(0.5 * distance)
    return -2 * kappa * half * half - _log_bessel(kappa) - np.log(2 * np.pi)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return _log_density(y - p["mu"], p["kappa"])


def _wrapped(angle: Array) -> Array:
    return angle - 2 * np.pi * jnp.round(angle / (2 * np.pi))


def _tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Of the angle on the interval from -pi to pi.

    Sums of integrals over pieces on which the density falls with the distance from mu or from its copies mu - 2 pi
    and mu + 2 pi. For a mu > 0 (a negative one is mirrored) the density has its minimum at mu - pi.
    """
    y, mu, kappa = jnp.broadcast_arrays(y * 1.0, _wrapped(p["mu"]), p["kappa"] * 1.0)
    mirrored = mu < 0
    # Not quite 0, where the piece from -pi to the minimum is empty and its derivative would be lost.
    y, mu = jnp.where(mirrored, -y, y), jnp.where(mirrored, -mu, mu) + 1e-15
    inside = (y > -np.pi) & (y < np.pi)
    at = jnp.where(inside, y, 0.0)
    copy = np.pi - mu  # distance of the end -pi from mu - 2 pi, and of the end pi from mu
    low, high = at < mu - np.pi, at > mu
    # Below the minimum: from -pi to y. Above mu: from y to pi. Else: from -pi to the minimum, and from there to y.
    start = jnp.where(high, at - mu, copy)
    stop = jnp.where(low, at - mu + 2 * np.pi, jnp.where(high, copy, np.pi))
    between = ~low & ~high
    first = _log_mass(start, stop, kappa)
    second = _log_mass(jnp.where(between, mu - at, 0.0), jnp.full_like(at, np.pi), kappa)
    known = jnp.where(between, log_add(first, second), first)
    other = log1m_exp(known)
    lower, upper = jnp.where(high, other, known), jnp.where(high, known, other)
    lower = jnp.where(inside, lower, jnp.where(y > 0, 0.0, -np.inf))
    upper = jnp.where(inside, upper, jnp.where(y > 0, -np.inf, 0.0))
    return jnp.where(mirrored, upper, lower), jnp.where(mirrored, lower, upper)


def _log_mass(start: Array, stop: Array, kappa: Array) -> Array:
    """log of the probability of distances from ``start`` to ``stop`` on one side of mu, 0 <= start <= stop <= pi."""
    sine = jnp.sin(0.5 * start)
    fallen = 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(sine * sine + FALL / (2 * kappa), 1.0))) - start
    length = stop - start
    empty = length <= 0
    # `where` rather than a minimum, whose derivative is halved where both are the same.
    end = jnp.where(length <= fallen * (1 + 1e-9), length, lax.stop_gradient(fallen))
    end = jnp.where(empty, 1.0, end)
    mass = _log_density(start, kappa) + log_integral(_exponent)(end, start, kappa)
    return jnp.where(empty, -np.inf, mass)


def _exponent(s: Array, start: Array, kappa: Array) -> tuple[Array, tuple[Array, Array]]:
    """log f(start + s) - log f(start)."""
    step = jnp.sin(0.5 * s)
    product = jnp.sin(start + 0.5 * s) * step
    return -2 * kappa * product, (-2 * kappa * jnp.cos(start + 0.5 * s) * step, -2 * product)


def _sample(key: Array, p: Values, extra: Values) -> Array:
    """Best and Fisher (1979), Applied Statistics 28(2): rejection from a wrapped Cauchy distribution; written in
    s - 1 and 1 - cos, which keep their digits for a large kappa."""
    kappa = jnp.broadcast_to(jnp.maximum(p["kappa"], _SMALLEST_KAPPA), shape_of(p))
    ratio = (1 + jnp.sqrt(1 + 4 * kappa * kappa)) / (2 * kappa * kappa)
    beyond = ratio / (jnp.sqrt(1 + ratio) + 1)  # s - 1

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, drawn, done = state
        key, key_angle, key_accept, key_side = random.split(key, 4)
        # 1 - z and s + z of z = cos(pi u)
        cosine = jnp.cos(np.pi * random.uniform(key_angle, kappa.shape, kappa.dtype))
        lost = beyond * (1 - cosine) / (1 + beyond + cosine)  # 1 - cos(angle)
        c = kappa * (beyond + lost)
        accept = random.uniform(key_accept, kappa.shape, kappa.dtype)
        accepted = (c * (2 - c) > accept) | (jnp.log(c / accept) + 1 - c >= 0)
        angle = 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(0.5 * lost, 1.0)))
        side = jnp.where(random.bernoulli(key_side, 0.5, kappa.shape), angle, -angle)
        return key, jnp.where(accepted & ~done, side, drawn), done | accepted

    start = (key, jnp.zeros_like(kappa), jnp.zeros(kappa.shape, dtype=bool))
    _, drawn, _ = lax.while_loop(lambda state: ~jnp.all(state[2]), propose, start)
    return _wrapped(p["mu"] + drawn)


VON_MISES = Family(
    name="von_mises",
    code="VonMises(mu, kappa)",
    description="von Mises, of angles in radians, with mean direction mu and concentration kappa",
    parameters=(common.mu(("tan_half", "identity"), lower=-np.pi, upper=np.pi), _KAPPA),
    support=Support(
        lower=-np.pi,
        upper=np.pi,
        advice="Angles must be in radians, from -pi to pi: multiply degrees by pi / 180 and subtract 2 pi above pi.",
    ),
    log_kernel=_kernel,
    sample=_sample,
    mean=lambda p, extra: p["mu"] + 0.0 * p["kappa"],
    log_tails=_tails,
    additions=frozenset({"cens", "trunc", "mi"}),
)
