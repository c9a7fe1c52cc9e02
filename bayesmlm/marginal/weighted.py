"""Cross products of group columns in which every row has weights of its own, and the way back from them to the rows.

A generalised model's weights change with its linear predictors, so they are summed anew in each step. A row has one
weight for each pair of linear predictors: W (D, D, n), for D distributional parameters of the response.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .evaluate import Factorisation
from .plan import Plan
from .small import by_level
from .statistics import MOST_PAIRS, Statistics
from .wide import DenseWide, Pattern, SparseWide, Wide

__all__ = ["WeightedRows", "make_weighted_rows"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Stack = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Meeting:
    """Two factors on the same rows. ``cells``: (n,) in which combination of levels each row is; ``shape``: (J_i, J_j),
    or (m,) when only the combinations that occur are counted."""

    cells: Codes
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Entries:
    """The sparse form of what the first factor of the chain shares with the trailing ones.

    ``cells[t][b]``: (n,) the entry of ``pattern`` that each row adds to for effect b of trailing factor t.
    """

    pattern: Pattern
    cells: tuple[tuple[Codes, ...], ...]


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """The rows of a generalised model.

    ``columns``: for each factor of the plan (k, n), scaled; ``feeds``: for each factor (k,) the linear predictor that
    each effect is part of; ``bases``: for each of the D linear predictors (n, p_d) its population columns.
    """

    plan: Plan
    columns: tuple[Matrix, ...]
    feeds: tuple[tuple[int, ...], ...]
    bases: tuple[Matrix, ...]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.bases[0])

    @property
    def size(self) -> int:
        """D, the number of linear predictors."""
        return len(self.bases)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each linear predictor's coefficients are among all."""
        stops = np.cumsum([0, *(X.shape[1] for X in self.bases)])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(stops))

    @property
    def coefficients(self) -> int:
        """P, the number of population coefficients of all linear predictors."""
        return self.slices[-1].stop

    @cached_property
    def ones(self) -> tuple[tuple[bool, ...], ...]:
        """For each factor, which of its columns are 1 in every row."""
        return tuple(tuple(bool((z == 1.0).all()) for z in Z) for Z in self.columns)

    @cached_property
    def entries(self) -> Entries | None:
        """The sparse form of the first chain factor's products with trailing effects; None where the dense form is
        smaller."""
        plan, first = self.plan, self.plan.chain[0]
        if not plan.trailing:
            return None
        levels: list[Codes] = []
        columns: list[Codes] = []
        cells: list[tuple[Codes, ...]] = []
        for t, start in zip(plan.trailing, plan.starts, strict=True):
            places, cell = np.unique(first.codes * t.levels + t.codes, return_inverse=True)
            row, level = np.divmod(places, t.levels)
            begin = sum(len(one) for one in levels)
            cells.append(tuple(begin + b * len(places) + cell for b in range(t.size)))
            levels += [row] * t.size
            columns += [start + level * t.size + b for b in range(t.size)]
        row, column = np.concatenate(levels), np.concatenate(columns)
        count = np.bincount(row, minlength=first.levels)
        pairs = int((count * (count + 1) // 2).sum()) * first.size**2
        if pairs > min(MOST_PAIRS, first.effects * plan.width**2 // 4):
            return None
        order = np.lexsort((column, row))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        starts = np.searchsorted(row[order], np.arange(first.levels + 1))
        pattern = Pattern(row[order], column[order], starts, plan.width, first.size)
        return Entries(pattern, tuple(tuple(place[one] for one in of_factor) for of_factor in cells))

    @cached_property
    def meetings(self) -> dict[tuple[int, int], Meeting]:
        """For each pair of factors (i < j) whose products are kept by cells: all but pairs of the chain, which are
        kept by the levels of the inner one."""
        plan, chain = self.plan, len(self.plan.chain)
        found = {}
        for i, one in enumerate(plan.factors):
            if i == 0 and self.entries is not None:
                continue
            for j in range(max(i + 1, chain), len(plan.factors)):
                other = plan.factors[j]
                shape = (other.levels, one.levels) if i < chain else (one.levels, other.levels)
                outer, inner = (other, one) if i < chain else (one, other)
                found[i, j] = Meeting(outer.codes * inner.levels + inner.codes, shape)
        return found

    # -- linear predictors ---------------------------------------------------------------------------------------

    def population(self, coefficients: Vector) -> Matrix:
        """(D, n): population part of the linear predictors, for all coefficients (P,)."""
        parts = zip(self.bases, self.slices, strict=True)
        return np.stack([X @ coefficients[at] for X, at in parts])

    def transposed_population(self, values: Matrix) -> Vector:
        """(P,): X' of values (D, n) of the rows."""
        return np.concatenate([X.T @ row for X, row in zip(self.bases, values, strict=True)])

    def varying(self, effects: Sequence[Matrix]) -> Matrix:
        """(D, n): Zb, for the effects (k, J) of each factor."""
        out = np.zeros((self.size, self.n))
        for f, (factor, Z, b) in enumerate(zip(self.plan.factors, self.columns, effects, strict=True)):
            for a, d in enumerate(self.feeds[f]):
                at = b[a][factor.codes]
                if not self.ones[f][a]:
                    at *= Z[a]
                out[d] += at
        return out

    def transposed_varying(self, values: Matrix) -> list[Matrix]:
        """For each factor (k, J): Z' of values (D, n) of the rows."""
        return [
            np.stack(
                [
                    self._sum(f, (a,), values[d], factor.codes, factor.levels)
                    for a, d in enumerate(self.feeds[f])
                ]
            )
            for f, factor in enumerate(self.plan.factors)
        ]

    # -- cross products ------------------------------------------------------------------------------------------

    def statistics(self, W: Stack, right: Matrix, population: bool = False) -> Statistics:
        """Cross products weighted by ``W`` (D, D, n), symmetric in its first axes; right-hand sides are the population
        columns, if asked for, and Z' and X' of ``right`` (D, n)."""
        plan, chain = self.plan, range(len(self.plan.chain))
        own = [self._own(f, W) for f in chain]
        crosses = {(i, j): self._nested(i, j, W) for i, j in plan.parents}
        p = self.coefficients if population else 0
        sides = self._sides(W, right, population)
        wides = tuple(self._wide(i, W, sides[i]) for i in chain)
        dense = np.zeros((plan.width + p + 1, plan.width + p + 1))
        self._fill_dense(dense, W, sides[len(plan.chain) :])
        if population:
            corner = dense[plan.width :, plan.width :]
            for d, rows in enumerate(self.slices):
                for e, columns in enumerate(self.slices):
                    corner[rows, columns] = self.bases[d].T @ (W[d, e][:, None] * self.bases[e])
            corner[:p, p] = corner[p, :p] = self.transposed_population(right)
        return Statistics(plan, tuple(own), crosses, wides, dense, np.zeros(p))

    def _sides(self, W: Stack, right: Matrix, population: bool) -> list[Stack]:
        """For each factor (k, p + 1, J): Z'WX, if asked for, and Z' of ``right``."""
        last = self.transposed_varying(right)
        if not population:
            return [side[:, None] for side in last]
        out = []
        for f, factor in enumerate(self.plan.factors):
            side = np.empty((factor.size, self.coefficients + 1, factor.levels))
            for a, d in enumerate(self.feeds[f]):
                for e, at in enumerate(self.slices):
                    for c, x in enumerate(self.bases[e].T, at.start):
                        side[a, c] = self._sum(f, (a,), W[d, e] * x, factor.codes, factor.levels)
            side[:, -1] = last[f]
            out.append(side)
        return out

    def _own(self, f: int, W: Stack) -> Stack:
        """(k, k, J): the products of a factor with itself."""
        factor, feeds = self.plan.factors[f], self.feeds[f]
        out = np.empty((factor.size, factor.size, factor.levels))
        for a in range(factor.size):
            for b in range(a, factor.size):
                weights = W[feeds[a], feeds[b]]
                out[a, b] = self._sum(f, (a, b), weights, factor.codes, factor.levels)
                out[b, a] = out[a, b]
        return out

    def _nested(self, i: int, j: int, W: Stack) -> Stack:
        """(k_i, k_j, J_i): the products of a chain factor with one in which it is nested."""
        inner, outer = self.plan.factors[i], self.plan.factors[j]
        out = np.empty((inner.size, outer.size, inner.levels))
        for a, b, weights in self._products(i, j, W):
            out[a, b] = np.bincount(inner.codes, weights=weights, minlength=inner.levels)
        return out

    def _wide(self, i: int, W: Stack, side: Stack) -> Wide:
        plan, chain = self.plan, len(self.plan.chain)
        if not plan.trailing:
            return DenseWide(side)
        if i == 0 and self.entries is not None:
            pattern = self.entries.pattern
            values = np.zeros((pattern.size, len(pattern.rows)))
            for t, cells in enumerate(self.entries.cells):
                for a, b, weights in self._products(0, chain + t, W):
                    values[a] += np.bincount(cells[b], weights=weights, minlength=values.shape[1])
            return SparseWide(pattern, values, side)
        factor = plan.chain[i]
        out = np.empty((factor.size, plan.width + side.shape[1], factor.levels))
        for t, (other, start) in enumerate(zip(plan.trailing, plan.starts, strict=True)):
            meeting = self.meetings[i, chain + t]
            for a, b, weights in self._products(i, chain + t, W):
                sums = np.bincount(meeting.cells, weights=weights, minlength=meeting.count)
                out[a, start + b : start + other.effects : other.size] = sums.reshape(meeting.shape)
        out[:, plan.width :] = side
        return DenseWide(out)

    def _fill_dense(self, out: Matrix, W: Stack, sides: Sequence[Stack]) -> None:
        """The cross products of trailing effects with each other and with the right-hand sides."""
        plan, chain = self.plan, len(self.plan.chain)
        for t, (factor, start) in enumerate(zip(plan.trailing, plan.starts, strict=True)):
            own, at = self._own(chain + t, W), start + np.arange(factor.levels) * factor.size
            for a in range(factor.size):
                for b in range(factor.size):
                    out[at + a, at + b] = own[a, b]
            for u in range(t + 1, len(plan.trailing)):
                other, begin = plan.trailing[u], plan.starts[u]
                meeting = self.meetings[chain + t, chain + u]
                for a, b, weights in self._products(chain + t, chain + u, W):
                    sums = np.bincount(meeting.cells, weights=weights, minlength=meeting.count)
                    rows = slice(start + a, start + factor.effects, factor.size)
                    columns = slice(begin + b, begin + other.effects, other.size)
                    out[rows, columns] = sums.reshape(meeting.shape)
                    out[columns, rows] = out[rows, columns].T
            part = slice(start, start + factor.effects)
            out[part, plan.width :] = by_level(sides[t])
            out[plan.width :, part] = out[part, plan.width :].T

    def _products(self, i: int, j: int, W: Stack) -> Iterator[tuple[int, int, Vector]]:
        """For each pair of columns of two factors the product of both and of the weights, (n,)."""
        for a, d in enumerate(self.feeds[i]):
            for b, e in enumerate(self.feeds[j]):
                weights = W[d, e]
                if not self.ones[i][a]:
                    weights = weights * self.columns[i][a]
                if not self.ones[j][b]:
                    weights = weights * self.columns[j][b]
                yield a, b, weights

    def _sum(self, f: int, columns: tuple[int, ...], weights: Vector, codes: Codes, levels: int) -> Vector:
        """(J,): sums by level of ``weights`` times columns of factor ``f``."""
        for a in columns:
            if not self.ones[f][a]:
                weights = weights * self.columns[f][a]
        return np.bincount(codes, weights=weights, minlength=levels)

    # -- and back ------------------------------------------------------------------------------------------------

    def leverages(self, f: Factorisation) -> Stack:
        """(D, D, n): z' Lambda M^-1 Lambda' z of the rows, the derivatives of log|M| by their weights.

        Of a weight off the diagonal, which stands in the matrix twice, both halves are to be counted.
        """
        plan, chain = self.plan, len(self.plan.chain)
        covariances = f.covariances()
        out = np.zeros((self.size, self.size, self.n))
        for i, factor in enumerate(plan.factors):
            self._add_leverage(out, i, i, covariances.own[i], factor.codes)
        for (i, j), block in covariances.crosses.items():
            self._add_leverage(out, i, j, block, plan.chain[i].codes)
        for i, wide in enumerate(covariances.wides):
            if i == 0 and self.entries is not None:
                self._add_entries(out, self.entries, wide)
                continue
            for t, (other, start) in enumerate(zip(plan.trailing, plan.starts, strict=True)):
                part = wide[:, start : start + other.effects].reshape(len(wide), other.levels, other.size, -1)
                block = np.ascontiguousarray(part.transpose(0, 2, 1, 3)).reshape(len(wide), other.size, -1)
                self._add_leverage(out, i, chain + t, block, self.meetings[i, chain + t].cells)
        for t, (factor, start) in enumerate(zip(plan.trailing, plan.starts, strict=True)):
            for u in range(t + 1, len(plan.trailing)):
                other, begin = plan.trailing[u], plan.starts[u]
                part = covariances.dense[start : start + factor.effects, begin : begin + other.effects]
                four = part.reshape(factor.levels, factor.size, other.levels, other.size)
                block = 2.0 * four.transpose(1, 3, 0, 2).reshape(factor.size, other.size, -1)
                self._add_leverage(
                    out, chain + t, chain + u, block, self.meetings[chain + t, chain + u].cells
                )
        return out

    def _add_leverage(self, out: Stack, i: int, j: int, block: Stack, cells: Codes) -> None:
        """Add what elements ``block`` (k_i, k_j, cells) of Lambda M^-1 Lambda' give to each row."""
        for a, d in enumerate(self.feeds[i]):
            for b, e in enumerate(self.feeds[j]):
                self._add_products(out[d, e], i, a, j, b, block[a, b][cells])

    def _add_entries(self, out: Stack, entries: Entries, values: Matrix) -> None:
        chain = len(self.plan.chain)
        for t, cells in enumerate(entries.cells):
            for a, d in enumerate(self.feeds[0]):
                for b, e in enumerate(self.feeds[chain + t]):
                    self._add_products(out[d, e], 0, a, chain + t, b, values[a][cells[b]])

    def _add_products(self, out: Vector, i: int, a: int, j: int, b: int, values: Vector) -> None:
        if not self.ones[i][a]:
            values = values * self.columns[i][a]
        if not self.ones[j][b]:
            values = values * self.columns[j][b]
        out += values


def make_weighted_rows(
    plan: Plan, groups: Sequence[tuple[Matrix, int]], scales: Sequence[Vector], bases: Sequence[Matrix]
) -> WeightedRows:
    """``groups``: for each term its columns (n, k) and the linear predictor it is part of; ``scales``: for each factor
    (k,) what its columns are divided by; ``bases``: for each linear predictor its population columns (n, p)."""
    columns, feeds = [], []
    for factor, scale in zip(plan.factors, scales, strict=True):
        Z = np.concatenate([groups[t][0].T for t, _ in factor.terms]) / scale[:, None]
        columns.append(np.ascontiguousarray(Z))
        feeds.append(tuple(groups[t][1] for t, part in factor.terms for _ in range(part.stop - part.start)))
    return WeightedRows(plan, tuple(columns), tuple(feeds), tuple(bases))
