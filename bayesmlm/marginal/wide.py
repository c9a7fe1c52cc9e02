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

__all__ = ["DenseWide", "SparseWide", "Wide"]

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

    def crossed(self, C: Stack, adjoint: Stack, parent: Codes) -> Stack:
        """(k, k, J): C A[parent] W' for A (k_j, w, J_j)."""
        return np.einsum("abj,bwj,cwj->acj", C, adjoint[:, :, parent], self.values, optimize=True)

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
class SparseWide:
    """Trailing effects as entries, right-hand sides ``B`` (k, r, J).

    Entry e belongs to level ``rows[e]`` (ascending) and trailing effect ``columns[e]``; ``values``: (k, m);
    ``starts``: (J + 1,) where each level's entries begin; ``width``: number of trailing effects.
    """

    rows: Codes
    columns: Codes
    values: Matrix
    starts: Codes
    width: int
    B: Stack

    @cached_property
    def matrix(self) -> csr_array:
        """(J k, width): the entries as a sparse matrix, level by level."""
        from scipy.sparse import csr_array

        k, levels = self.values.shape[0], self.B.shape[2]
        counts = np.repeat(np.diff(self.starts), k)
        pointers = np.concatenate([[0], np.cumsum(counts)])
        place = pointers[self.rows * k] + (np.arange(len(self.rows)) - self.starts[self.rows])
        data, indices = np.empty(k * len(self.rows)), np.empty(k * len(self.rows), dtype=np.int32)
        for a in range(k):
            at = place + a * np.diff(self.starts)[self.rows]
            data[at], indices[at] = self.values[a], self.columns
        return csr_array((data, indices, pointers), shape=(levels * k, self.width))

    @cached_property
    def pairs(self) -> csc_array:
        """(width^2, J k^2): what the elements of H_l contribute to the lower triangle of W' H W."""
        from scipy.sparse import csc_array

        k, levels = self.values.shape[0], self.B.shape[2]
        count = np.diff(self.starts)
        # For entry e of a level: all entries of the level up to e.
        reach = np.arange(len(self.rows)) - self.starts[self.rows] + 1
        first = np.repeat(np.arange(len(self.rows)), reach)
        begin = np.cumsum(reach) - reach
        second = np.arange(len(first)) - np.repeat(begin, reach) + np.repeat(self.starts[self.rows], reach)
        target = self.columns[first] * self.width + self.columns[second]
        size = count * (count + 1) // 2
        if k == 1:
            data = self.values[0, first] * self.values[0, second]
            pointers = np.concatenate([[0], np.cumsum(size)])
            return csc_array((data, target, pointers), shape=(self.width**2, levels))
        pointers = np.concatenate([[0], np.cumsum(np.repeat(size, k * k))])
        offset = np.repeat(pointers[np.arange(levels) * k * k], size)
        within = np.arange(len(first)) - np.repeat(np.cumsum(size) - size, size)
        data, indices = np.empty(len(first) * k * k), np.empty(len(first) * k * k, dtype=np.int64)
        for a in range(k):
            for b in range(k):
                at = offset + within + (a * k + b) * np.repeat(size, size)
                data[at] = self.values[a, first] * self.values[b, second]
                indices[at] = target
        return csc_array((data, indices, pointers), shape=(self.width**2, levels * k * k))

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

    def crossed(self, C: Stack, adjoint: Stack, parent: Codes) -> Stack:
        """See `DenseWide.crossed`."""
        k, _, levels = self.B.shape
        size = adjoint.shape[0]
        at = adjoint[:, self.columns, parent[self.rows]]
        product = np.einsum("bm,am->bam", at, self.values)
        sums = sum_by(self.rows, product, levels)
        sums = sums + np.einsum("brj,arj->baj", adjoint[:, self.width :, parent], self.B)
        assert sums.shape == (size, k, levels)
        return np.einsum("abj,bcj->acj", C, sums)

    def apply(self, vectors: Matrix) -> Stack:
        """See `DenseWide.apply`."""
        trailing = levels_last(self.matrix @ vectors[: self.width], self.values.shape[0])
        return trailing + np.einsum("awj,wr->arj", self.B, vectors[self.width :])

    def apply_transposed(self, effects: Stack) -> Matrix:
        """See `DenseWide.apply_transposed`."""
        return np.concatenate([self.matrix.T @ by_level(effects), gram(self.B, effects)])

    def with_right_hand_sides(self, B: Stack) -> SparseWide:
        """See `DenseWide.with_right_hand_sides`."""
        new = SparseWide(self.rows, self.columns, self.values, self.starts, self.width, B)
        for name in ("matrix", "pairs"):
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name]
        return new


Wide = DenseWide | SparseWide
