"""One pass over the data: the cross products that the marginal likelihood needs, in the blocks of a plan.

Plain cross products lose digits when columns or response are large beside their spread. So the population columns
are replaced by an orthonormal basis of their span (weighted), the response by its residual from it, and the group
columns are scaled to unit root mean square; what is computed with these is transformed back by their owner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .plan import Factor, Plan, make_plan
from .small import sum_by
from .wide import DenseWide, SparseWide, Wide

__all__ = ["Basis", "Rows", "Statistics", "collect", "population_basis", "prepare_rows", "with_response"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Stack = NDArray[np.float64]

MOST_PAIRS = 100_000_000
"""Products of two entries of one level that are kept for the sparse form of a crossed factor."""


@dataclass(frozen=True, eq=False)
class Basis:
    """X = Q R on the weighted scale: ``Q`` (n, p) with Q'Q = 1 holds sqrt(w) X R^-1."""

    Q: Matrix
    R: Matrix

    @property
    def log_det(self) -> float:
        """log |det R|."""
        return float(np.log(np.abs(np.diag(self.R))).sum())


@dataclass(frozen=True, eq=False)
class Rows:
    """The data of a model, ready to be multiplied: everything here already carries the square root of the weights.

    ``Z``: for each factor of the plan (k, n), scaled by ``scales`` (k,); ``residual``: (n,) response without its
    projection on the basis; ``projection``: (p,) that projection.
    """

    plan: Plan
    basis: Basis
    Z: tuple[Matrix, ...]
    scales: tuple[Vector, ...]
    root_weights: Vector | None


@dataclass(frozen=True, eq=False)
class Statistics:
    """Cross products. Right-hand sides are the p columns of the basis and, last, the residual of the response.

    ``own``: (k, k, J) for each chain factor; ``crosses[i, j]``: (k_i, k_j, J_i); ``wides``: what each chain factor
    shares with trailing effects and right-hand sides; ``dense``: (w, w) their own cross product, w = trailing
    effects + p + 1. ``projection``: (p,) coefficients of the response on the basis.
    """

    plan: Plan
    own: tuple[Stack, ...]
    crosses: dict[tuple[int, int], Stack]
    wides: tuple[Wide, ...]
    dense: Matrix
    projection: Vector

    @property
    def columns(self) -> int:
        """p, the number of population columns."""
        return len(self.projection)


def population_basis(X: Matrix, root_weights: Vector | None) -> Basis:
    """An orthonormal basis of the columns of ``X`` (n, p), which must be independent, on the weighted scale."""
    weighted = X if root_weights is None else X * root_weights[:, None]
    size = np.linalg.norm(weighted, axis=0)
    Q, R = np.linalg.qr(weighted / size)
    return Basis(Q, R * size)


def prepare_rows(
    X: Matrix,
    groups: Sequence[tuple[NDArray[np.integer], int, Matrix]],
    weights: Vector | None,
    common_scales: Sequence[Callable[[Vector], Vector]] | None = None,
) -> Rows:
    """The rows of a model: ``X`` (n, p) with independent columns; for each term codes, number of levels and Z (n, k).

    ``common_scales``: for each term a function of its scales (k,), for structures whose variances are equal.
    """
    plan = make_plan([(codes, levels, Z.shape[1]) for codes, levels, Z in groups])
    root = None if weights is None else np.sqrt(weights)
    basis = population_basis(X, root)
    columns, scales = [], []
    for factor in plan.factors:
        Z = np.concatenate([np.ascontiguousarray(groups[t][2].T) for t, _ in factor.terms], axis=0)
        if root is not None:
            Z = Z * root
        scale = np.sqrt(np.einsum("kn,kn->k", Z, Z) / Z.shape[1])
        scale[scale == 0.0] = 1.0
        if common_scales is not None:
            for number, part in factor.terms:
                scale[part] = common_scales[number](scale[part])
        if (scale != 1.0).any():
            Z = Z / scale[:, None]
        columns.append(Z)
        scales.append(scale)
    return Rows(plan, basis, tuple(columns), tuple(scales), root)


def collect(rows: Rows, y: Vector) -> Statistics:
    """Cross products of all blocks, for a response ``y`` (n,) from which the offset has been taken."""
    plan = rows.plan
    residual, projection = _residual(rows, y)
    right = np.vstack([rows.basis.Q.T, residual])
    chain = range(len(plan.chain))
    own = tuple(_products(rows.Z[i], rows.Z[i], plan.chain[i].codes, plan.chain[i].levels) for i in chain)
    crosses = {
        (i, j): _products(rows.Z[i], rows.Z[j], plan.chain[i].codes, plan.chain[i].levels)
        for i, j in plan.parents
    }
    sides = [_products(rows.Z[i], right, plan.chain[i].codes, plan.chain[i].levels) for i in chain]
    wides = tuple(_wide(rows, i, sides[i]) for i in chain)
    return Statistics(plan, own, crosses, wides, _dense(rows, right), projection)


def with_response(statistics: Statistics, rows: Rows, y: Vector) -> Statistics:
    """The statistics of another response: everything that does not depend on it is kept."""
    plan = statistics.plan
    residual, projection = _residual(rows, y)
    wides = []
    for i, factor in enumerate(plan.chain):
        B = statistics.wides[i]
        old = B.B if isinstance(B, SparseWide) else B.values[:, plan.width :]
        new = old.copy()
        new[:, -1] = sum_by(factor.codes, rows.Z[i] * residual, factor.levels)
        wides.append(statistics.wides[i].with_right_hand_sides(new))
    dense = statistics.dense.copy()
    dense[plan.width : -1, -1] = dense[-1, plan.width : -1] = rows.basis.Q.T @ residual
    dense[-1, -1] = residual @ residual
    for factor, Z, start in zip(plan.trailing, rows.Z[len(plan.chain) :], plan.starts, strict=True):
        column = _flat(sum_by(factor.codes, Z * residual, factor.levels)[:, None])[:, 0]
        dense[start : start + factor.effects, -1] = dense[-1, start : start + factor.effects] = column
    return replace(statistics, wides=tuple(wides), dense=dense, projection=projection)


def _residual(rows: Rows, y: Vector) -> tuple[Vector, Vector]:
    """The weighted response without its projection on the basis, and that projection; twice, for the digits."""
    weighted = y if rows.root_weights is None else y * rows.root_weights
    Q = rows.basis.Q
    projection = Q.T @ weighted
    residual = weighted - Q @ projection
    again = Q.T @ residual
    return residual - Q @ again, projection + again


def _products(first: Matrix, second: Matrix, codes: NDArray[np.int64], levels: int) -> Stack:
    """(k, l, J): sums by level of the products of rows of ``first`` (k, n) and ``second`` (l, n)."""
    out = np.empty((len(first), len(second), levels))
    same = first is second
    for a, left in enumerate(first):
        ones = not same and bool((left == 1.0).all())
        for b, right in enumerate(second):
            if same and b < a:
                out[a, b] = out[b, a]
                continue
            product = right if ones else left * right
            out[a, b] = np.bincount(codes, weights=product, minlength=levels)
    return out


def _wide(rows: Rows, i: int, right: Stack) -> Wide:
    plan, factor = rows.plan, rows.plan.chain[i]
    if not plan.trailing:
        return DenseWide(right)
    if i == 0:
        sparse = _sparse(rows, right)
        count = np.diff(sparse.starts)
        pairs = int((count * (count + 1) // 2).sum()) * factor.size**2
        if pairs <= min(MOST_PAIRS, factor.effects * plan.width**2 // 4):
            return sparse
    out = np.empty((factor.size, plan.width + right.shape[1], factor.levels))
    for t, start, Z in _trailing(rows):
        target = t.codes * factor.levels + factor.codes
        for a in range(factor.size):
            for b in range(t.size):
                sums = np.bincount(target, weights=rows.Z[i][a] * Z[b], minlength=t.levels * factor.levels)
                out[a, start + b : start + t.effects : t.size] = sums.reshape(t.levels, factor.levels)
    out[:, plan.width :] = right
    return DenseWide(out)


def _sparse(rows: Rows, right: Stack) -> SparseWide:
    """The first chain factor's entries with the trailing factors, sorted by level, then by trailing effect."""
    factor, Z = rows.plan.chain[0], rows.Z[0]
    levels, columns, values = [], [], []
    for t, start, other in _trailing(rows):
        places, cell = np.unique(factor.codes * t.levels + t.codes, return_inverse=True)
        row, level = np.divmod(places, t.levels)
        for b in range(t.size):
            levels.append(row)
            columns.append(start + level * t.size + b)
            products = [np.bincount(cell, weights=z * other[b], minlength=len(places)) for z in Z]
            values.append(np.stack(products))
    row, column = np.concatenate(levels), np.concatenate(columns)
    order = np.lexsort((column, row)) if len(levels) > 1 else np.arange(len(row))
    row, column = row[order], column[order]
    starts = np.searchsorted(row, np.arange(factor.levels + 1))
    entries = np.concatenate(values, axis=1)[:, order]
    return SparseWide(row, column, entries, starts, rows.plan.width, right)


def _dense(rows: Rows, right: Matrix) -> Matrix:
    """The cross product of trailing effects and right-hand sides."""
    plan = rows.plan
    size = plan.width + len(right)
    out = np.zeros((size, size))
    parts = _trailing(rows)
    for place, (t, start, Z) in enumerate(parts):
        own = _products(Z, Z, t.codes, t.levels)
        for a in range(t.size):
            for b in range(t.size):
                at = start + np.arange(t.levels) * t.size
                out[at + a, at + b] = own[a, b]
        for other, begin, Y in parts[place + 1 :]:
            target = t.codes * other.levels + other.codes
            for a in range(t.size):
                for b in range(other.size):
                    sums = np.bincount(target, weights=Z[a] * Y[b], minlength=t.levels * other.levels)
                    block = sums.reshape(t.levels, other.levels)
                    out[
                        start + a : start + t.effects : t.size, begin + b : begin + other.effects : other.size
                    ] = block
            rest = slice(begin, begin + other.effects)
            out[rest, start : start + t.effects] = out[start : start + t.effects, rest].T
        side = _flat(_products(Z, right, t.codes, t.levels))
        out[start : start + t.effects, plan.width :] = side
        out[plan.width :, start : start + t.effects] = side.T
    out[plan.width :, plan.width :] = right @ right.T
    return out


def _trailing(rows: Rows) -> list[tuple[Factor, int, Matrix]]:
    """Each trailing factor with its place in the block and its columns (k, n)."""
    Z = rows.Z[len(rows.plan.chain) :]
    return list(zip(rows.plan.trailing, rows.plan.starts, Z, strict=True))


def _flat(stack: Stack) -> Matrix:
    """(k, r, J) to (J k, r)."""
    return np.ascontiguousarray(stack.transpose(2, 0, 1)).reshape(-1, stack.shape[1])
