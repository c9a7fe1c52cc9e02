"""Z'V^-1 Z and Z'V^-1 X of a mixed model, in the blocks of effects that have rows in common.

Effects of levels that never meet, directly or through others, have no covariance given the data. With one grouping
factor each level is a block of its own, with nested factors each level of the outermost; levels of crossed factors
usually all hang together in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..marginal.statistics import Rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Batch", "LevelBlocks", "level_blocks"]

Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST_CELLS = 300_000_000
"""Numbers that are held at a time (2.4 GB); a block of s effects takes s^2 (r + 5), r variance parameters."""


@dataclass(frozen=True, eq=False)
class Batch:
    """All blocks of s effects. ``K``: (m, s, s) Z'V^-1 Z; ``C``: (m, s, p) Z'V^-1 X; ``levels``: for each factor
    where its levels begin among the m s effects, whose effects follow each other."""

    K: Stack
    C: Stack
    levels: tuple[Codes, ...]

    def scaled(self, factor: int, part: slice, D: Matrix, right: Stack) -> Stack:
        """(I x D) times ``right`` (m, s, c), D (k, k) acting on effects ``part`` of each level of ``factor``."""
        flat = right.reshape(-1, right.shape[-1])
        out = np.zeros_like(flat)
        at = self.levels[factor][:, None] + np.arange(part.start, part.stop)
        out[at] = np.einsum("ab,jbc->jac", D, flat[at])
        return out.reshape(right.shape)


@dataclass(frozen=True, eq=False)
class LevelBlocks:
    """The blocks, those of equal size together."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where effects are. ``order``: (q,) the effects, blocks after each other by increasing size; ``sizes``: of the
    blocks in that order; ``block``, ``place``: (q,) of each effect its block and its place there."""

    order: Codes
    sizes: Codes
    block: Codes
    place: Codes


def level_blocks(rows: Rows, factors: Sequence[Matrix], held: int) -> LevelBlocks:
    """The blocks for relative factors (k, k) of the plan's factors on the scaled columns, in units of sigma^2.

    ``held``: how many more matrices of their size the caller will hold. Raises `BayesmlmError` when that is too much.
    """
    from scipy.sparse import block_diag, csr_array, eye_array, kron

    starts = np.cumsum([0, *(f.effects for f in rows.plan.factors)])
    layout = _layout(rows, starts)
    cells = int((layout.sizes**2).sum())
    if cells * (held + 5) > MOST_CELLS:
        raise BayesmlmError(
            f"Kenward and Roger's method needs dense matrices of {int(layout.sizes[-1])} group effects, which are all "
            f"connected through crossed levels; with {held} covariance parameters at most "
            f"{int((MOST_CELLS / (held + 5)) ** 0.5)} are possible here. Use Satterthwaite's method, "
            "ddf='satterthwaite': with that many levels the two hardly differ"
        )
    Lt = csr_array(
        block_diag([kron(eye_array(f.levels), T) for f, T in zip(rows.plan.factors, factors, strict=True)])
    ).T
    A, B = _cross_products(rows, starts)
    LA = csr_array(Lt @ A)
    M = csr_array(LA @ Lt.T + eye_array(A.shape[0]))
    dense = [_dense(matrix, layout) for matrix in (A, LA, M)]
    right = [side[layout.order] for side in (B, Lt @ B)]
    batches, cell, effect = [], 0, 0
    for size, count in zip(*np.unique(layout.sizes, return_counts=True), strict=True):
        s, m = int(size), int(count)
        square = [flat[cell : cell + m * s * s].reshape(m, s, s) for flat in dense]
        sides = [side[effect : effect + m * s].reshape(m, s, -1) for side in right]
        levels = tuple(
            _within(layout, starts[f] + np.arange(factor.levels) * factor.size, effect, m * s)
            for f, factor in enumerate(rows.plan.factors)
        )
        batches.append(Batch(*_eliminated(*square, *sides), levels))
        cell, effect = cell + m * s * s, effect + m * s
    return LevelBlocks(tuple(batches))


def _cross_products(rows: Rows, starts: Codes) -> tuple[csr_array, Matrix]:
    """Z'WZ (q, q) and Z'WX (q, p), X in its orthonormal basis."""
    from scipy.sparse import coo_array, csr_array

    factors = rows.plan.factors
    q = int(starts[-1])
    A, B = csr_array((q, q)), np.zeros((q, rows.X.shape[1]))
    for part in rows.blocks():
        columns = [
            start + factor.codes[part] * factor.size + a
            for factor, start in zip(factors, starts, strict=False)
            for a in range(factor.size)
        ]
        data = np.concatenate([rows.factor_columns(f, part).reshape(-1) for f in range(len(factors))])
        n = len(columns[0])
        at = (np.tile(np.arange(n), len(columns)), np.concatenate(columns))
        Z = csr_array(coo_array((data, at), shape=(n, q)))
        A = csr_array(A + Z.T @ Z)
        B += Z.T @ rows.basis_columns(part).T
    return A, B


def _layout(rows: Rows, starts: Codes) -> _Layout:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    factors = rows.plan.factors
    nodes = np.cumsum([0, *(f.levels for f in factors)])
    first = np.tile(factors[0].codes, len(factors))
    other = np.concatenate([start + f.codes for f, start in zip(factors, nodes, strict=False)])
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, other)), shape=(nodes[-1], nodes[-1]))
    _, node_block = connected_components(graph, directed=False)
    size_of = np.concatenate([np.full(f.levels, f.size) for f in factors])
    block = np.repeat(node_block.astype(np.int64), size_of)
    sizes = np.bincount(block)
    rank = np.empty(len(sizes), dtype=np.int64)
    by_size = np.argsort(sizes, kind="stable")
    rank[by_size] = np.arange(len(sizes))
    block, sizes = rank[block], sizes[by_size]
    order = np.argsort(block, kind="stable")
    begin = np.cumsum(sizes) - sizes
    place = np.empty(int(starts[-1]), dtype=np.int64)
    place[order] = np.arange(len(order)) - begin[block[order]]
    return _Layout(order, sizes, block, place)


def _dense(matrix: csr_array, layout: _Layout) -> NDArray[np.float64]:
    """All blocks of a sparse matrix, one after the other, each by rows."""
    cells = layout.sizes**2
    begin = np.cumsum(cells) - cells
    entries = matrix.tocoo()
    row, column = entries.coords
    block = layout.block[row]
    out = np.zeros(int(cells.sum()))
    out[begin[block] + layout.place[row] * layout.sizes[block] + layout.place[column]] = entries.data
    return out


def _within(layout: _Layout, effects: Codes, start: int, count: int) -> Codes:
    """Where those of ``effects`` that are in the batch of ``count`` effects from ``start`` on are in it."""
    begin = np.cumsum(layout.sizes) - layout.sizes
    at = begin[layout.block[effects]] + layout.place[effects] - start
    return np.asarray(at[(at >= 0) & (at < count)])


def _eliminated(A: Stack, LA: Stack, M: Stack, B: Stack, LB: Stack) -> tuple[Stack, Stack]:
    """A - A L M^-1 L'A and B - A L M^-1 L'B (Woodbury)."""
    root = np.linalg.cholesky(M)
    sides = np.concatenate([LA, LB], axis=2)
    if len(M) == 1:
        from scipy.linalg import solve_triangular

        half = solve_triangular(root[0], sides[0], lower=True)[None]
    else:
        half = np.linalg.solve(root, sides)
    s = A.shape[1]
    left = half[:, :, :s].swapaxes(1, 2)
    return A - left @ half[:, :, :s], B - left @ half[:, :, s:]
