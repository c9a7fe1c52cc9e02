"""Gradients of functions made of loops whose number of steps is not known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lazy import jax, jnp

__all__ = ["elementwise_gradients"]

Array = Any
Function = Callable[..., tuple[Array, ...]]


def elementwise_gradients(function: Function, constants: int) -> Function:
    """``function(*arrays)``, several elementwise functions of arrays of one shape, with gradients in reverse mode.

    JAX cannot run a loop of unknown length backwards, but it can carry derivatives along. Elements do not depend on
    each other, so that one pass for each argument gives all partial derivatives. The first ``constants`` arguments
    are not differentiated by. Derivatives of any order: each is made in the same way.
    """

    wrapped = jax.custom_jvp(lambda *arguments: function(*arguments))

    def rule(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Any, Any]:
        values = wrapped(*primals)
        total = [jnp.zeros_like(value) for value in values]
        for i in range(constants, len(primals)):
            partial = elementwise_gradients(_partial(function, i), constants)(*primals)
            total = [t + slope * tangents[i] for t, slope in zip(total, partial, strict=True)]
        return values, tuple(total)

    def _partial(of: Function, i: int) -> Function:
        def slope(*arguments: Array) -> tuple[Array, ...]:
            directions = tuple(
                jnp.ones_like(a) if j == i else jnp.zeros_like(a) for j, a in enumerate(arguments)
            )
            slopes: tuple[Array, ...] = jax.jvp(of, arguments, directions)[1]
            return slopes

        return slope

    wrapped.defjvp(rule)
    result: Function = wrapped
    return result
