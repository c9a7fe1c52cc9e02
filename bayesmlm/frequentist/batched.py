"""Least squares for many small groups at once: groups of equal size are one stack of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..terms.population import TOLERANCE
from .linear_design import LinearDesign, Rows

__all__ = ["Solution", "empty_solution", "solve_groups"]

BLOCK = 1 << 22
"""Most numbers in a stack of model matrices."""


@dataclass(frozen=True)
class Solution:
    """Least squares of J groups with coefficients ``names`` (K).

    ``coefficients`` (J, K), NaN where not defined; ``unscaled`` (J, K, K), NaN likewise: (X'WX)^-1; ``rss`` (J,)
    weighted residual sums of squares; ``nobs`` (J,) rows of positive weight; ``rank`` (J,); ``log_weights`` (J,) sums
    of the log weights.
    """

    names: tuple[str, ...]
    coefficients: Rows
    unscaled: Rows
    rss: Rows
    nobs: NDArray[np.int64]
    rank: NDArray[np.int64]
    log_weights: Rows


def empty_solution(names: tuple[str, ...], groups: int) -> Solution:
    """A solution without rows, to be filled group by group."""
    count, K = groups, len(names)
    whole = np.zeros((2, count), dtype=np.int64)
    return Solution(
        names,
        np.full((count, K), np.nan),
        np.full((count, K, K), np.nan),
        np.zeros(count),
        whole[0],
        whole[1],
        np.zeros(count),
    )


def solve_groups(design: LinearDesign, codes: NDArray[np.int64], groups: int) -> Solution:
    """Least squares of each group's rows of ``design``; ``codes`` (n,): the group of each row."""
    out = empty_solution(design.names, groups)
    weights = np.ones(design.n) if design.weights is None else design.weights
    counted = np.flatnonzero(weights > 0)
    order = counted[np.argsort(codes[counted], kind="stable")]
    root = np.sqrt(weights[order])
    X = design.X[order] * root[:, None]
    y = (design.y - design.offset)[order] * root
    out.nobs[:] = np.bincount(codes[order], minlength=groups)
    out.log_weights[:] = np.bincount(codes[order], weights=2 * np.log(root), minlength=groups)
    starts = np.concatenate([[0], np.cumsum(out.nobs)[:-1]])
    for size, members in _by_size(out.nobs, X.shape[1]):
        rows = starts[members][:, None] + np.arange(size)
        beta, unscaled, rss, rank = _solve(X[rows], y[rows])
        out.coefficients[members], out.unscaled[members] = beta, unscaled
        out.rss[members], out.rank[members] = rss, rank
    return out


def _by_size(sizes: NDArray[np.int64], K: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(rows, groups with that many rows), in blocks that fit in memory."""
    for size in np.unique(sizes[sizes > 0]).tolist():
        members = np.flatnonzero(sizes == size)
        step = max(1, BLOCK // (size * max(K, 1)))
        for start in range(0, len(members), step):
            yield size, members[start : start + step]


def _solve(X: Rows, y: Rows) -> tuple[Rows, Rows, Rows, NDArray[np.int64]]:
    """Coefficients (J, K), (X'X)^-1, residual sums of squares and ranks of stacks X (J, n, K) and y (J, n).

    Columns are orthogonalised in order, twice (Giraud et al., 2005); one of which less than R's tolerance of its
    length is left gets no coefficient.
    """
    J, _, K = X.shape
    Q = np.zeros_like(X)
    R = np.zeros((J, K, K))
    aliased = np.zeros((J, K), dtype=bool)
    for k in range(K):
        column = X[:, :, k]
        rest = column.copy()
        for _ in range(2):
            part = np.einsum("jnk,jn->jk", Q[:, :, :k], rest)
            rest -= np.einsum("jnk,jk->jn", Q[:, :, :k], part)
            R[:, :k, k] += part
        left = np.linalg.norm(rest, axis=1)
        aliased[:, k] = left <= TOLERANCE * np.linalg.norm(column, axis=1)
        good = ~aliased[:, k]
        R[good, k, k] = left[good]
        R[~good, :, k] = 0.0
        R[~good, k, k] = 1.0
        Q[good, :, k] = rest[good] / left[good, None]
    target = np.einsum("jnk,jn->jk", Q, y)
    inverse = np.linalg.inv(R)
    beta = np.einsum("jkl,jl->jk", inverse, target)
    residuals = y - np.einsum("jnk,jk->jn", X, beta)
    unscaled = np.einsum("jkm,jlm->jkl", inverse, inverse)
    beta[aliased] = np.nan
    unscaled[aliased[:, :, None] | aliased[:, None, :]] = np.nan
    return beta, unscaled, (residuals**2).sum(axis=1), K - aliased.sum(axis=1)
