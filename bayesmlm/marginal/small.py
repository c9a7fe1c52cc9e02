"""Many small matrices at once: arrays (k, l, J), levels last, so that every operation runs along memory.

For a handful of effects, factors written out over k are several times faster than LAPACK called J times.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "by_level",
    "cholesky",
    "gram",
    "left",
    "levels_last",
    "sum_by",
    "times",
    "transposed_times",
    "triangular_inverse",
]

Stack = NDArray[np.float64]
Matrix = NDArray[np.float64]


def left(matrix: Matrix, stack: Stack) -> Stack:
    """``matrix @ stack[:, :, j]`` for every j."""
    return (matrix @ stack.reshape(stack.shape[0], -1)).reshape(matrix.shape[0], *stack.shape[1:])


def times(first: Stack, second: Stack) -> Stack:
    """``first[:, :, j] @ second[:, :, j]`` for every j."""
    if first.shape[1] == 1:
        return first * second
    return np.einsum("abj,bcj->acj", first, second)


def transposed_times(first: Stack, second: Stack) -> Stack:
    """``first[:, :, j].T @ second[:, :, j]`` for every j."""
    if first.shape[0] == 1:
        return first.swapaxes(0, 1) * second
    return np.einsum("baj,bcj->acj", first, second)


def gram(first: Stack, second: Stack) -> Matrix:
    """The sum over j of ``first[:, :, j].T @ second[:, :, j]``."""
    a = first.swapaxes(0, 1).reshape(first.shape[1], -1)
    b = a if second is first else second.swapaxes(0, 1).reshape(second.shape[1], -1)
    return a @ b.T


def cholesky(stack: Stack) -> Stack:
    """Lower triangular factors of positive definite matrices."""
    size = stack.shape[0]
    if size > 6:
        return np.ascontiguousarray(np.moveaxis(np.linalg.cholesky(np.moveaxis(stack, -1, 0)), 0, -1))
    L = np.zeros_like(stack)
    for c in range(size):
        for r in range(c, size):
            rest = stack[r, c] - sum(L[r, m] * L[c, m] for m in range(c)) if c else stack[r, c]
            L[r, c] = np.sqrt(rest) if r == c else rest / L[c, c]
    return L


def triangular_inverse(L: Stack) -> Stack:
    """Inverses of lower triangular matrices."""
    size = L.shape[0]
    if size > 6:
        return np.ascontiguousarray(np.moveaxis(np.linalg.inv(np.moveaxis(L, -1, 0)), 0, -1))
    out = np.zeros_like(L)
    for c in range(size):
        out[c, c] = 1.0 / L[c, c]
        for r in range(c + 1, size):
            out[r, c] = -sum(L[r, m] * out[m, c] for m in range(c, r)) / L[r, r]
    return out


def sum_by(codes: NDArray[np.int64], stack: Stack, levels: int) -> Stack:
    """Sums over the last axis by ``codes``: (..., n) to (..., levels)."""
    flat = stack.reshape(-1, stack.shape[-1])
    out = np.empty((flat.shape[0], levels))
    for row, values in zip(out, flat, strict=True):
        row[:] = np.bincount(codes, weights=values, minlength=levels)
    return out.reshape(*stack.shape[:-1], levels)


def by_level(stack: Stack) -> Matrix:
    """(k, r, J) as rows, level by level: (J k, r)."""
    return np.ascontiguousarray(stack.transpose(2, 0, 1)).reshape(-1, stack.shape[1])


def levels_last(matrix: Matrix, size: int) -> Stack:
    """The inverse of `by_level` for ``size`` k: (J k, r) to (k, r, J)."""
    return np.ascontiguousarray(matrix.reshape(-1, size, matrix.shape[1]).transpose(1, 2, 0))
