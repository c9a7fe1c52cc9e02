"""Modules that are imported when something of them is first used.

The table of families must be readable (by `lmer`, by the prior table, by error messages) without waiting for
JAX to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["LazyModule", "jax", "jnp", "jsp", "lax", "random"]


class LazyModule:
    """Stands for the module called ``name`` and imports it at the first attribute access."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


jax = LazyModule("jax")
jnp = LazyModule("jax.numpy")
jsp = LazyModule("jax.scipy.special")
lax = LazyModule("jax.lax")
random = LazyModule("jax.random")
