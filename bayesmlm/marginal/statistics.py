"""One pass over the data: the cross products that the marginal likelihood needs, in the blocks of a plan.

Plain cross products lose digits when columns or response are large beside their spread. So the population columns
are replaced by an orthonormal basis of their span (weighted), the response by its residual from it, and the group
columns are scaled to unit root mean square; what is computed with these is transformed back by their owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .plan import Factor, Plan, make_plan
from .small import by_level, sum_by
from .wide import DenseWide, Pattern, SparseWide, Wide

__all__ = ["Basis", "Rows", "Statistics", "collect", "column_scales", "prepare_rows", "with_response"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Stack = NDArray[np.float64]

BLOCK = 131_072
"""Rows that are multiplied at a time."""
MOST_PAIRS = 100_000_000
"""Products of two entries of one level that are kept for the sparse form of a crossed factor."""


@dataclass(frozen=True, eq=False)
class Basis:
    """sqrt(w) X = Q R with Q'Q = 1: the triangle is kept, Q is made of rows of X when it is needed."""

    R: Matrix

    @property
    def log_det(self) -> float:
        """log |det R|."""
        return float(np.log(np.abs(np.diag(self.R))).sum())


@dataclass(frozen=True, eq=False)
class Rows:
    """The data of a model, read block of rows by block of rows; only references to the user's arrays are held.

    ``X``: (n, p); ``columns``: Z (n, k) of each term; ``scales``: for each factor of the plan (k,) what its columns
    are divided by; ``root_weights``: (n,) or None.
    """

    plan: Plan
    basis: Basis
    X: Matrix
    columns: tuple[Matrix, ...]
    scales: tuple[Vector, ...]
    root_weights: Vector | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.X)

    @property
    def Z(self) -> tuple[Matrix, ...]:  # noqa: N802
        """For each factor of the plan (k, n): scaled columns times the roots of the weights."""
        return tuple(self.factor_columns(f, slice(None)) for f in range(len(self.plan.factors)))

    def blocks(self) -> Iterator[slice]:
        """Slices of rows: large beside the number of levels, small beside memory."""
        size = max(BLOCK, 2 * max(f.levels for f in self.plan.factors))
        return (slice(a, min(a + size, self.n)) for a in range(0, self.n, size))

    def weighted(self, values: Matrix, rows: slice) -> Matrix:
        """``values`` of these rows (last axis) times the roots of their weights."""
        return values if self.root_weights is None else values * self.root_weights[rows]

    def factor_columns(self, f: int, rows: slice) -> Matrix:
        """(k, m): columns of factor ``f`` of the plan on these rows."""
        factor, scale = self.plan.factors[f], self.scales[f]
        parts = [self.columns[t][rows].T for t, _ in factor.terms]
        Z = self.weighted(np.concatenate(parts) if len(parts) > 1 else parts[0], rows)
        return np.ascontiguousarray(Z) if (scale == 1.0).all() else Z / scale[:, None]

    def basis_columns(self, rows: slice) -> Matrix:
        """(p, m): the basis on these rows."""
        from scipy.linalg import solve_triangular

        X = self.weighted(self.X[rows].T, rows)
        return solve_triangular(self.basis.R, X, trans="T", check_finite=False)


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
    columns = tuple(Z for _, _, Z in groups)
    scales = column_scales(plan, columns, weights, common_scales)
    return Rows(plan, Basis(_triangle(X, root)), X, columns, scales, root)


def column_scales(
    plan: Plan,
    columns: Sequence[Matrix],
    weights: Vector | None,
    common_scales: Sequence[Callable[[Vector], Vector]] | None,
) -> tuple[Vector, ...]:
    """For each factor of the plan (k,) the root mean squares of its terms' ``columns`` (n, k)."""
    scales = []
    for factor in plan.factors:
        scale = np.concatenate([_root_mean_square(columns[t], weights) for t, _ in factor.terms])
        if common_scales is not None:
            for number, part in factor.terms:
                scale[part] = common_scales[number](scale[part])
        scales.append(scale)
    return tuple(scales)


def _root_mean_square(Z: Matrix, weights: Vector | None) -> Vector:
    """(k,) of the weighted columns; 1 for a column of zeros."""
    squares = np.einsum("nk,nk->k", Z, Z) if weights is None else np.einsum("nk,nk,n->k", Z, Z, weights)
    scale = np.sqrt(squares / len(Z))
    scale[scale == 0.0] = 1.0
    return scale


def _triangle(X: Matrix, root: Vector | None) -> Matrix:
    """R of the QR decomposition of the weighted columns, by blocks of rows."""
    if X.shape[1] == 0:
        return np.zeros((0, 0))
    scale = _root_mean_square(X, None if root is None else root**2) * np.sqrt(len(X))
    R = np.zeros((0, X.shape[1]))
    for start in range(0, len(X), BLOCK):
        rows = slice(start, start + BLOCK)
        block = X[rows] / scale
        if root is not None:
            block *= root[rows, None]
        R = np.linalg.qr(np.concatenate([R, block]) if len(R) else block, mode="r")
    return R * scale


def collect(rows: Rows, y: Vector) -> Statistics:
    """Cross products of all blocks, for a response ``y`` (n,) from which the offset has been taken."""
    plan, chain = rows.plan, range(len(rows.plan.chain))
    residual, projection = _residual(rows, y)
    width = rows.X.shape[1] + 1
    own = [np.zeros((f.size, f.size, f.levels)) for f in plan.chain]
    sides = [np.zeros((f.size, width, f.levels)) for f in plan.chain]
    crosses = {
        (i, j): np.zeros((plan.chain[i].size, plan.chain[j].size, plan.chain[i].levels))
        for i, j in plan.parents
    }
    dense = np.zeros((plan.width + width, plan.width + width))
    for block in rows.blocks():
        right = np.vstack([rows.basis_columns(block), residual[block]])
        Z = [rows.factor_columns(f, block) for f in range(len(plan.factors))]
        for i in chain:
            codes = plan.chain[i].codes[block]
            _add_products(own[i], Z[i], Z[i], codes)
            _add_products(sides[i], Z[i], right, codes)
            for j in range(i + 1, len(plan.chain)):
                _add_products(crosses[i, j], Z[i], Z[j], codes)
        _add_dense(dense, plan, Z[len(plan.chain) :], right, block)
    _mirror(dense, plan)
    wides = tuple(_wide(rows, i, sides[i]) for i in chain)
    return Statistics(plan, tuple(own), crosses, wides, dense, projection)


def with_response(statistics: Statistics, rows: Rows, y: Vector) -> Statistics:
    """The statistics of another response: everything that does not depend on it is kept."""
    plan = statistics.plan
    residual, projection = _residual(rows, y)
    columns = [np.zeros((f.size, f.levels)) for f in plan.factors]
    basis = np.zeros(len(projection))
    for block in rows.blocks():
        basis += rows.basis_columns(block) @ residual[block]
        for f, factor in enumerate(plan.factors):
            product = rows.factor_columns(f, block) * residual[block]
            columns[f] += sum_by(factor.codes[block], product, factor.levels)
    wides = []
    for i, wide in enumerate(statistics.wides):
        new = (wide.B if isinstance(wide, SparseWide) else wide.values[:, plan.width :]).copy()
        new[:, -1] = columns[i]
        wides.append(wide.with_right_hand_sides(new))
    dense = statistics.dense.copy()
    dense[plan.width : -1, -1] = dense[-1, plan.width : -1] = basis
    dense[-1, -1] = residual @ residual
    for factor, start, column in zip(plan.trailing, plan.starts, columns[len(plan.chain) :], strict=True):
        part = slice(start, start + factor.effects)
        dense[part, -1] = dense[-1, part] = column.T.reshape(-1)
    return replace(statistics, wides=tuple(wides), dense=dense, projection=projection)


def _residual(rows: Rows, y: Vector) -> tuple[Vector, Vector]:
    """The weighted response without its projection on the basis, and that projection; twice, for the digits."""
    residual = y.copy() if rows.root_weights is None else y * rows.root_weights
    projection = np.zeros(rows.X.shape[1])
    for _ in range(2):
        step = np.zeros(len(projection))
        for block in rows.blocks():
            step += rows.basis_columns(block) @ residual[block]
        for block in rows.blocks():
            residual[block] -= step @ rows.basis_columns(block)
        projection += step
    return residual, projection


def _add_products(out: Stack, first: Matrix, second: Matrix, codes: NDArray[np.int64]) -> None:
    """Add to ``out`` (k, l, J) the sums by level of products of rows of ``first`` (k, m) and ``second`` (l, m)."""
    same, levels = first is second, out.shape[2]
    for a, left in enumerate(first):
        ones = bool((left == 1.0).all())
        for b, right in enumerate(second):
            if same and b < a:
                out[a, b] = out[b, a]
                continue
            out[a, b] += np.bincount(codes, weights=right if ones else left * right, minlength=levels)


def _wide(rows: Rows, i: int, right: Stack) -> Wide:
    plan, factor = rows.plan, rows.plan.chain[i]
    if not plan.trailing:
        return DenseWide(right)
    if i == 0:
        sparse = _sparse(rows, right)
        count = np.diff(sparse.pattern.starts)
        pairs = int((count * (count + 1) // 2).sum()) * factor.size**2
        if pairs <= min(MOST_PAIRS, factor.effects * plan.width**2 // 4):
            return sparse
    out = np.empty((factor.size, plan.width + right.shape[1], factor.levels))
    own = rows.factor_columns(i, slice(None))
    for t, start, Z in _trailing(rows):
        target = t.codes * factor.levels + factor.codes
        for a in range(factor.size):
            for b in range(t.size):
                sums = np.bincount(target, weights=own[a] * Z[b], minlength=t.levels * factor.levels)
                out[a, start + b : start + t.effects : t.size] = sums.reshape(t.levels, factor.levels)
    out[:, plan.width :] = right
    return DenseWide(out)


def _sparse(rows: Rows, right: Stack) -> SparseWide:
    """The first chain factor's entries with the trailing factors, sorted by level, then by trailing effect."""
    factor, Z = rows.plan.chain[0], rows.factor_columns(0, slice(None))
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
    return SparseWide(Pattern(row, column, starts, rows.plan.width, factor.size), entries, right)


def _trailing(rows: Rows) -> list[tuple[Factor, int, Matrix]]:
    """Each trailing factor with its place in the block and its columns (k, n)."""
    plan, chain = rows.plan, len(rows.plan.chain)
    Z = [rows.factor_columns(chain + t, slice(None)) for t in range(len(plan.trailing))]
    return list(zip(plan.trailing, plan.starts, Z, strict=True))


def _add_dense(out: Matrix, plan: Plan, columns: Sequence[Matrix], right: Matrix, block: slice) -> None:
    """Add the cross products of trailing effects and right-hand sides: the upper triangle, in blocks."""
    parts = list(zip(plan.trailing, plan.starts, columns, strict=True))
    for place, (t, start, Z) in enumerate(parts):
        codes, rows = t.codes[block], slice(start, start + t.effects)
        own = np.zeros((t.size, t.size, t.levels))
        _add_products(own, Z, Z, codes)
        at = start + np.arange(t.levels) * t.size
        for a in range(t.size):
            for b in range(t.size):
                out[at + a, at + b] += own[a, b]
        for other, begin, Y in parts[place + 1 :]:
            target = codes * other.levels + other.codes[block]
            for a in range(t.size):
                for b in range(other.size):
                    sums = np.bincount(target, weights=Z[a] * Y[b], minlength=t.levels * other.levels)
                    cell = slice(begin + b, begin + other.effects, other.size)
                    out[start + a : start + t.effects : t.size, cell] += sums.reshape(t.levels, other.levels)
        side = np.zeros((t.size, len(right), t.levels))
        _add_products(side, Z, right, codes)
        out[rows, plan.width :] += by_level(side)
    out[plan.width :, plan.width :] += right @ right.T


def _mirror(out: Matrix, plan: Plan) -> None:
    """Fill what is below the blocks that `_add_dense` has filled."""
    for t, start in zip(plan.trailing, plan.starts, strict=True):
        stop = start + t.effects
        out[stop:, start:stop] = out[start:stop, stop:].T
