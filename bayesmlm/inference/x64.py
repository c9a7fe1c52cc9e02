"""64-bit arithmetic for our own JAX work, without touching the user's configuration."""

from __future__ import annotations

from contextlib import AbstractContextManager

__all__ = ["x64"]


def x64() -> AbstractContextManager[None]:
    """A context in which JAX computes in float64, in this thread only.

    The setting does not reach threads that are started inside the context, and numpy float64 arrays handed to
    JAX outside it silently become float32. So every worker function and every post-processing entry enters it
    itself, and results leave it as numpy arrays.
    """
    import jax

    return jax.enable_x64(True)
