"""Compiling programs that a test runs a handful of times: compiling them is what takes the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

__all__ = ["quickly"]


def quickly(function: Callable[..., Any]) -> Any:
    """``jax.jit`` without optimisation. Operations outside of it are compiled one by one, 35 ms each."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
