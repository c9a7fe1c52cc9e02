"""The dense block that is eliminated last: the effects of all factors that are crossed with the chain.

The block may have some thousand rows, so every pass over it counts: matrices are scaled in place, and only one
triangle of what is symmetric is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from .plan import Plan

__all__ = ["Trailing", "eliminate_trailing"]

Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trailing:
    """The dense block eliminated; D = Lambda'A Lambda + I.

    ``factors``: the relative factor of each trailing factor; ``A``: (q, q); ``B``: (q, r) with the right-hand sides;
    ``root``: the upper Cholesky factor of D; ``X``: (q, r) H B with H = Lambda D^-1 Lambda'.
    """

    plan: Plan
    factors: tuple[Matrix, ...]
    A: Matrix
    B: Matrix
    root: Matrix
    X: Matrix

    def solve(self, right: Matrix) -> Matrix:
        """H times ``right`` (q, c)."""
        solved = lapack.dpotrs(self.root, scale_rows(self.plan, self.factors, right, True), lower=0)[0]
        return scale_rows(self.plan, self.factors, solved, False)

    def adjoint(self, by_log_det: float, by_rest: Matrix) -> tuple[Matrix, list[Matrix], list[Stack]]:
        """Derivatives, given those by log|D| and by what is left (r, r).

        Returns those by the cross products (w, w), by the relative factors, and the blocks of levels of the first.
        """
        plan, factors, width = self.plan, self.factors, self.plan.width
        PL = scale_columns(plan, factors, self._inverse(), True)  # D^-1 Lambda'
        # (I - A H)(-B G B') Lambda D^-1 is of low rank.
        outer = (self.B - _product(self.A, self.X)) @ by_rest
        inner = _product(PL, self.B)
        by_factor = []
        for factor, start in zip(plan.trailing, plan.starts, strict=True):
            part, shape = slice(start, start + factor.effects), (factor.levels, factor.size, -1)
            # Blocks of A Lambda D^-1: rows of A by rows of D^-1 Lambda', which is the other's transpose.
            first, second = self.A[part].reshape(shape), PL[part].reshape(shape)
            if factor.size == 1:
                total = np.array(
                    [[sum(blas.ddot(a, b) for a, b in zip(first[:, 0], second[:, 0], strict=True))]]
                )
            else:
                total = np.einsum("jaq,jbq->ab", first, second, optimize=True)
            low = np.einsum("jar,jbr->ab", outer[part].reshape(shape), inner[part].reshape(shape))
            by_factor.append(2.0 * (by_log_det * total - low))
        dense = np.empty((width + len(by_rest), width + len(by_rest)))
        by_A = dense[:width, :width]
        by_A[:] = scale_rows(plan, factors, PL, False)
        if by_log_det != 1.0:
            by_A *= by_log_det
        by_A += _product(self.X @ by_rest, self.X.T)
        dense[:width, width:] = -self.X @ by_rest
        dense[width:, :width] = dense[:width, width:].T
        dense[width:, width:] = by_rest
        places = zip(plan.trailing, plan.starts, strict=True)
        return dense, by_factor, [_level_blocks(by_A, f.levels, f.size, start) for f, start in places]

    def _inverse(self) -> Matrix:
        """(q, q) D^-1, both triangles."""
        upper, failed = lapack.dpotri(self.root, lower=0)
        assert not failed
        out: Matrix = upper + upper.T  # `root` has zeros below its diagonal, and LAPACK leaves them there
        out[np.diag_indices(len(out))] *= 0.5
        return out


def eliminate_trailing(
    plan: Plan, dense: Matrix, factors: Sequence[Matrix]
) -> tuple[Trailing, float, Matrix]:
    """Eliminate the trailing effects from ``dense`` (w, w): the block, log|D|, and what is left (r, r)."""
    width = plan.width
    A, B = dense[:width, :width], dense[:width, width:]
    D = scale_columns(plan, factors, scale_rows(plan, factors, A, True), False)
    D[np.diag_indices(width)] += 1.0
    root, failed = lapack.dpotrf(D.T, lower=0, overwrite_a=1, clean=1)
    if failed:  # never for weights that are not negative
        raise np.linalg.LinAlgError("the penalised cross products are not positive definite")
    half = lapack.dtrtrs(root, scale_rows(plan, factors, B, True), lower=0, trans=1)[0]
    X = scale_rows(plan, factors, lapack.dtrtrs(root, half, lower=0, trans=0)[0], False)
    log_det = 2.0 * float(np.log(np.diag(root)).sum())
    return Trailing(plan, tuple(factors), A, B, root, X), log_det, dense[width:, width:] - half.T @ half


def scale_rows(plan: Plan, factors: Sequence[Matrix], matrix: Matrix, transposed: bool) -> Matrix:
    """Lambda (or Lambda', when ``transposed``) times ``matrix`` (q, c), a copy."""
    out = np.empty((plan.width, matrix.shape[1]))
    for factor, start, T in zip(plan.trailing, plan.starts, factors, strict=True):
        part = slice(start, start + factor.effects)
        if factor.size == 1:
            np.multiply(matrix[part], T[0, 0], out=out[part])
            continue
        blocks = matrix[part].reshape(factor.levels, factor.size, -1)
        out[part] = np.matmul(T.T if transposed else T, blocks).reshape(factor.effects, -1)
    return out


def scale_columns(plan: Plan, factors: Sequence[Matrix], matrix: Matrix, transposed: bool) -> Matrix:
    """``matrix`` (c, q) times Lambda (or Lambda', when ``transposed``), in place."""
    for factor, start, T in zip(plan.trailing, plan.starts, factors, strict=True):
        part = matrix[:, start : start + factor.effects]
        if factor.size == 1:
            part *= T[0, 0]
            continue
        blocks = part.reshape(len(matrix), factor.levels, factor.size)
        part[:] = np.matmul(blocks, T.T if transposed else T).reshape(len(matrix), -1)
    return matrix


def _product(first: Matrix, second: Matrix) -> Matrix:
    """``first @ second``, by the BLAS that SciPy's LAPACK uses.

    NumPy has a BLAS of its own, whose threads go on spinning for a while and would stand in the other's way.
    """
    return blas.dgemm(1.0, second.T, first.T).T


def _level_blocks(matrix: Matrix, levels: int, size: int, start: int) -> Stack:
    """(k, k, J): the blocks of levels on the diagonal of ``matrix``."""
    at = start + np.arange(levels) * size
    out = np.empty((size, size, levels))
    for a in range(size):
        for b in range(size):
            out[a, b] = matrix[at + a, at + b]
    return out
