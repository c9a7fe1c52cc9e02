"""What a chain factor shares with everything that stays dense: the trailing effects and the right-hand sides.

Two forms of the same block W_l (k, w) for each level l, w = trailing effects + right-hand sides: `DenseWide` holds
it as an array, `SparseWide` holds only the trailing effects that occur together with a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .small import by_level, gram, left, levels_last, sum_by, times, transposed_times

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

__all__ = ["DenseWide", "Pattern", "SparseWide", "Wide"]

Stack = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DenseWide:
    """``values``: (k, w, J)."""

    values: Stack

    def weighted_gram(self, H: Stack, K: Stack) -> Matrix:
        """(w, w): the sum over levels of W' H W, H = K K'."""
        root = transposed_times(K, self.values)
        return gram(root, root)

    def lift(self, C: Stack, H: Stack, parent: Codes, levels: int) -> Stack:
        """(k_j, w, J_j): C' H W of each level, summed over the levels that lie in one parent."""
        return sum_by(parent, transposed_times(C, times(H, self.values)), levels)

    def quadratic(self, adjoint: Matrix) -> Stack:
        """(k, k, J): W A W' for a symmetric (w, w)."""
        moved = left(adjoint, self.values.swapaxes(0, 1))
        return np.einsum("awj,wbj->abj", self.values, moved)

    def adjoint(self, H: Stack, adjoint: Matrix) -> Stack:
        """Derivatives by W of the part of ``-sum_l W' H W`` that meets a symmetric (w, w)."""
        return -2.0 * np.einsum("awj,wv->avj", times(H, self.values), adjoint)

    def lifted(self, HC: Stack, adjoint: Stack, parent: Codes) -> Stack:
        """H C A[parent] where W has elements, for A (k_j, w, J_j)."""
        return times(HC, adjoint[:, :, parent])

    def met(self, adjoint: Stack, parent: Codes) -> Stack:
        """(k, k_j, J): W A[parent]' for A (k_j, w, J_j)."""
        return times(self.values, adjoint[:, :, parent].swapaxes(0, 1))

    def apply(self, vectors: Matrix) -> Stack:
        """(k, r, J): W times the (w, r) ``vectors``."""
        return np.einsum("awj,wr->arj", self.values, vectors)

    def apply_transposed(self, effects: Stack) -> Matrix:
        """(w, r): the sum over levels of W' times ``effects`` (k, r, J)."""
        return gram(self.values, effects)

    def with_right_hand_sides(self, B: Stack) -> DenseWide:
        """The block with the last columns, ``B`` (k, r, J), put in place of those there are."""
        keep = self.values.shape[1] - B.shape[1]
        return DenseWide(np.concatenate([self.values[:, :keep], B], axis=1))


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which trailing effects occur together with which levels of a chain factor.

    Entry e belongs to level ``rows[e]`` (ascending) and trailing effect ``columns[e]``; ``starts``: (J + 1,) where
    each level's entries begin; ``width``: number of trailing effects; ``size``: k, effects of a level.
    """

    rows: Codes
    columns: Codes
    starts: Codes
    width: int
    size: int

    @property
    def levels(self) -> int:
        """J."""
        return len(self.starts) - 1

    @cached_property
    def by_rows(self) -> tuple[Codes, Codes, Codes]:
        """Compressed rows of the (J k, width) matrix of entries: places of the values (k, m), columns, row starts."""
        counts = np.diff(self.starts)
        pointers = np.concatenate([[0], np.cumsum(np.repeat(counts, self.size))])
        first = pointers[self.rows * self.size] + (np.arange(len(self.rows)) - self.starts[self.rows])
        places = first + np.arange(self.size)[:, None] * counts[self.rows]
        indices = np.empty(self.size * len(self.rows), dtype=np.int64)
        indices[places] = self.columns
        return places, indices, pointers

    @cached_property
    def pairs(self) -> tuple[Codes, Codes]:
        """For every level all pairs of its entries, the second not after the first: two arrays of entries."""
        reach = np.arange(len(self.rows)) - self.starts[self.rows] + 1
        first = np.repeat(np.arange(len(self.rows)), reach)
        begin = np.cumsum(reach) - reach
        second = np.arange(len(first)) - np.repeat(begin, reach) + np.repeat(self.starts[self.rows], reach)
        return first, second

    @cached_property
    def pair_columns(self) -> tuple[Codes, Codes, Codes]:
        """Compressed columns of the (width^2, J k^2) matrix of products: places of the products (k, k, pairs), rows,
        column starts."""
        k, count = self.size, np.diff(self.starts)
        first, second = self.pairs
        size = count * (count + 1) // 2
        target = self.columns[first] * self.width + self.columns[second]
        pointers = np.concatenate([[0], np.cumsum(np.repeat(size, k * k))])
        offset = np.repeat(pointers[np.arange(self.levels) * k * k], size)
        within = np.arange(len(first)) - np.repeat(np.cumsum(size) - size, size)
        block = np.arange(k * k).reshape(k, k, 1)
        places = offset + within + block * np.repeat(size, size)
        indices = np.empty(len(first) * k * k, dtype=np.int64)
        indices[places] = target
        return places, indices, pointers


@dataclass(frozen=True, eq=False)
class SparseWide:
    """Trailing effects as entries of a ``pattern`` with ``values`` (k, m), right-hand sides ``B`` (k, r, J)."""

    pattern: Pattern
    values: Matrix
    B: Stack

    @property
    def rows(self) -> Codes:
        """(m,) level of each entry."""
        return self.pattern.rows

    @property
    def columns(self) -> Codes:
        """(m,) trailing effect of each entry."""
        return self.pattern.columns

    @property
    def width(self) -> int:
        """Number of trailing effects."""
        return self.pattern.width

    @cached_property
    def matrix(self) -> csr_array:
        """(J k, width): the entries as a sparse matrix, level by level."""
        from scipy.sparse import csr_array

        places, indices, pointers = self.pattern.by_rows
        data = np.empty(self.values.size)
        data[places] = self.values
        return csr_array((data, indices, pointers), shape=(len(pointers) - 1, self.width))

    @cached_property
    def pairs(self) -> csc_array:
        """(width^2, J k^2): what the elements of H_l contribute to the lower triangle of W' H W."""
        from scipy.sparse import csc_array

        first, second = self.pattern.pairs
        places, indices, pointers = self.pattern.pair_columns
        data = np.empty(places.size)
        data[places] = self.values[:, None, first] * self.values[None, :, second]
        return csc_array((data, indices, pointers), shape=(self.width**2, len(pointers) - 1))

    def adjoint(self, H: Stack, adjoint: Matrix) -> Matrix:
        """See `DenseWide.adjoint`; (k, m), for the entries."""
        first, second = self.pattern.pairs
        rows, columns, count = self.rows, self.columns, len(self.rows)
        products = adjoint[columns[first], columns[second]]
        out = np.empty_like(self.values)
        for a, values in enumerate(self.values):
            out[a] = np.bincount(first, weights=values[second] * products, minlength=count)
            out[a] += np.bincount(second, weights=values[first] * products, minlength=count)
            out[a] -= values * adjoint[columns, columns]
            out[a] += np.einsum("rm,rm->m", self.B[a][:, rows], adjoint[self.width :, columns])
        return -2.0 * np.einsum("abm,bm->am", H[:, :, rows], out)

    def lifted(self, HC: Stack, adjoint: Stack, parent: Codes) -> Matrix:
        """See `DenseWide.lifted`; (k, m), for the entries."""
        rows = self.rows
        return np.einsum("abm,bm->am", HC[:, :, rows], adjoint[:, self.columns, parent[rows]])

    def met(self, adjoint: Stack, parent: Codes) -> Stack:
        """See `DenseWide.met`."""
        at = adjoint[:, self.columns, parent[self.rows]]
        sums = sum_by(self.rows, self.values[:, None] * at[None], self.B.shape[2])
        return sums + np.einsum("arj,brj->abj", self.B, adjoint[:, self.width :, parent])

    def weighted_gram(self, H: Stack, K: Stack) -> Matrix:
        """See `DenseWide.weighted_gram`."""
        width, r = self.width, self.B.shape[1]
        out = np.empty((width + r, width + r))
        flat = np.ascontiguousarray(np.moveaxis(H, -1, 0)).reshape(-1)
        lower = (self.pairs @ flat).reshape(width, width)
        corner = out[:width, :width]
        np.add(lower, lower.T, out=corner)
        corner[np.diag_indices(width)] *= 0.5
        HB = times(H, self.B)
        out[:width, width:] = self.matrix.T @ by_level(HB)
        out[width:, :width] = out[:width, width:].T
        root = transposed_times(K, self.B)
        out[width:, width:] = gram(root, root)
        return out

    def lift(self, C: Stack, H: Stack, parent: Codes, levels: int) -> Stack:
        """See `DenseWide.lift`."""
        CH = transposed_times(C, H)
        size = CH.shape[0]
        out = np.empty((size, self.width + self.B.shape[1], levels))
        target = self.columns * levels + parent[self.rows]
        lifted = np.einsum("bam,am->bm", CH[:, :, self.rows], self.values)
        for b in range(size):
            sums = np.bincount(target, weights=lifted[b], minlength=self.width * levels)
            out[b, : self.width] = sums.reshape(self.width, levels)
        out[:, self.width :] = sum_by(parent, times(CH, self.B), levels)
        return out

    def quadratic(self, adjoint: Matrix) -> Stack:
        """See `DenseWide.quadratic`."""
        k, _, levels = self.B.shape
        width = self.width
        # Only the lower triangle is in `pairs`: elements off the diagonal count twice.
        doubled = 2.0 * adjoint[:width, :width]
        doubled[np.diag_indices(width)] *= 0.5
        corner = (self.pairs.T @ doubled.reshape(-1)).reshape(levels, k, k)
        corner = np.ascontiguousarray(np.moveaxis(0.5 * (corner + corner.swapaxes(1, 2)), 0, -1))
        side = levels_last(self.matrix @ adjoint[:width, width:], k)
        mixed = np.einsum("arj,brj->abj", side, self.B)
        moved = left(adjoint[width:, width:], self.B.swapaxes(0, 1))
        return corner + mixed + mixed.swapaxes(0, 1) + np.einsum("arj,rbj->abj", self.B, moved)

    def apply(self, vectors: Matrix) -> Stack:
        """See `DenseWide.apply`."""
        trailing = levels_last(self.matrix @ vectors[: self.width], self.values.shape[0])
        return trailing + np.einsum("awj,wr->arj", self.B, vectors[self.width :])

    def apply_transposed(self, effects: Stack) -> Matrix:
        """See `DenseWide.apply_transposed`."""
        return np.concatenate([self.matrix.T @ by_level(effects), gram(self.B, effects)])

    def with_right_hand_sides(self, B: Stack) -> SparseWide:
        """See `DenseWide.with_right_hand_sides`."""
        new = SparseWide(self.pattern, self.values, B)
        for name in ("matrix", "pairs"):
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name]
        return new


Wide = DenseWide | SparseWide
