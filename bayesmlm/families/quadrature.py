"""Integrals of elementwise functions that fall from 1, by Gauss-Legendre quadrature, with their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .lazy import jax, jnp, lax

__all__ = ["FALL", "log_integral", "positive_root"]

Array = Any

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
FALL = 40.0
"""Quadrature may end where the integrand has fallen to exp(-40) = 4e-18."""


@cache
def log_integral(exponent: Callable[..., tuple[Array, tuple[Array, ...]]]) -> Callable[..., Array]:
    """The function (end, *arguments) -> log of the integral of exp(exponent(t, *arguments)) over t from 0 to ``end``,
    of positive sign also for an ``end`` below 0.

    ``exponent`` also gives its own derivatives by the arguments. Derivatives are quotients of sums over the same
    nodes, so that going backwards stores no nodes.
    """
    nodes, weights = (1 + _NODES) / 2, _WEIGHTS / 2

    def sums(end: Array, *arguments: Array) -> tuple[Array, ...]:
        u, w = jnp.asarray(nodes), jnp.asarray(weights)

        def add(i: int, so_far: tuple[Array, ...]) -> tuple[Array, ...]:
            value, slopes = exponent(end * u[i], *arguments)
            mass = w[i] * jnp.exp(value)
            return so_far[0] + mass, *(s + mass * slope for s, slope in zip(so_far[1:], slopes, strict=True))

        return tuple(lax.fori_loop(0, len(nodes), add, (jnp.zeros_like(end),) * (1 + len(arguments))))

    def value(end: Array, *arguments: Array) -> Array:
        return jnp.log(sums(end, *arguments)[0]) + jnp.log(jnp.abs(end))

    def value_and_tangent(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        end, *arguments = primals
        total, *slopes = sums(*primals)
        by_end = jnp.exp(exponent(end, *arguments)[0]) / end
        tangent = sum(s / total * t for s, t in zip((by_end, *slopes), tangents, strict=True))
        return jnp.log(total) + jnp.log(jnp.abs(end)), tangent

    function = jax.custom_jvp(value)
    function.defjvp(value_and_tangent)
    return function


def positive_root(half: Array, square: Array) -> Array:
    """The positive root s of square s^2 + 2 half s = 2 FALL."""
    root = jnp.hypot(half, jnp.sqrt(2 * FALL * square))
    return jnp.where(half > 0, 2 * FALL / (root + jnp.abs(half)), (root - half) / square)
