"""The marginal likelihood at given relative factors, by eliminating one grouping factor after the other.

With b = Lambda u, u ~ N(0, sigma^2 I), A = Z'WZ and D = Lambda'A Lambda + I, integrating the effects of one
block-diagonal factor leaves the cross products of everything else less C' H C, where H = Lambda D^-1 Lambda' and C
are the factor's cross products with it (Schur complement; H is defined for singular Lambda too). After the last
factor only the population columns and the response are left, and with them beta and the penalised residual sum of
squares (Bates, Maechler, Bolker and Walker 2015, JSS 67(1), eqs. 18 to 42). The gradient runs the same road
backwards; the adjoint of A for log|M| alone is Lambda M^-1 Lambda', the conditional covariance of the effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .plan import Plan
from .small import (
    by_level,
    cholesky,
    gram,
    left,
    levels_last,
    sum_by,
    times,
    transposed_times,
    triangular_inverse,
)
from .statistics import Statistics
from .trailing import Trailing, eliminate_trailing
from .wide import DenseWide, Wide

__all__ = ["Factorisation", "factorise"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Stack = NDArray[np.float64]

ROUNDING = 1e-15
"""Smallest share of the response's sum of squares that a residual sum of squares is taken to have."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One chain factor eliminated. ``T``: (k, k) its relative factor; ``A``: (k, k, J); ``K``: with H = K K';
    ``TE``: T D^-1; ``crosses``: by place of the later factor, its cross products; ``wide``: those with the rest."""

    T: Matrix
    A: Stack
    K: Stack
    H: Stack
    TE: Stack
    crosses: dict[int, Stack]
    wide: Wide


@dataclass(frozen=True, eq=False)
class Adjoint:
    """Derivatives of a function of log|M| and of what is left, by the relative factors and by the cross products.

    ``factors``: (k, k) for each factor of the plan; ``own``: for each factor the (k, k, J) blocks of levels. Asked
    for in full also ``crosses`` and ``wides``, as in `Statistics` (of a sparse one the entries, (k, m)), and
    ``dense`` (w, w).
    """

    factors: tuple[Matrix, ...]
    own: tuple[Stack, ...]
    crosses: Mapping[tuple[int, int], Stack]
    wides: tuple[NDArray[np.float64], ...]
    dense: Matrix


@dataclass(frozen=True, eq=False)
class Factorisation:
    """The marginal likelihood at one value of the relative factors.

    ``log_det_M``: log|Lambda'Z'WZ Lambda + I|; ``rest``: (p + 1, p + 1) cross products of basis and residual given
    the effects' integration: [[Q'V^-1Q, Q'V^-1e], [., e'V^-1e]].
    """

    statistics: Statistics
    factors: tuple[Matrix, ...]
    stages: tuple[Stage, ...]
    trailing: Trailing | None
    log_det_M: float  # noqa: N815
    rest: Matrix

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.statistics.plan

    @cached_property
    def root(self) -> Matrix:
        """Lower Cholesky factor of Q'V^-1Q."""
        p = self.statistics.columns
        return np.linalg.cholesky(self.rest[:p, :p])

    @cached_property
    def coefficients(self) -> Vector:
        """(p,) generalised least squares coefficients of the residual on the basis."""
        p = self.statistics.columns
        if not p:
            return np.zeros(0)
        half = np.linalg.solve(self.root, self.rest[:p, p])
        return np.linalg.solve(self.root.T, half)

    @cached_property
    def pwrss(self) -> float:
        """Penalised weighted residual sum of squares at its minimum."""
        p = self.statistics.columns
        half = np.linalg.solve(self.root, self.rest[:p, p])
        # Below the rounding of the cross products nothing is known; an optimiser must not see a negative number.
        return max(float(self.rest[p, p] - half @ half), ROUNDING * float(self.statistics.dense[-1, -1]))

    @cached_property
    def log_det_basis(self) -> float:
        """log|Q'V^-1Q| / 2, to which log|R| of the basis is still to be added."""
        return float(np.log(np.diag(self.root)).sum())

    @cached_property
    def basis_vcov(self) -> Matrix:
        """(p, p): (Q'V^-1Q)^-1."""
        inverse = np.linalg.inv(self.root)
        return inverse.T @ inverse

    def adjoint(self, by_log_det: float, by_rest: Matrix) -> Adjoint:
        """Derivatives of a function of which those by ``log_det_M`` and by ``rest`` (symmetric) are given."""
        return _backward(self, by_log_det, by_rest)

    def conditional_blocks(self) -> tuple[Stack, ...]:
        """For each factor (k, k, J): the blocks of levels of Lambda M^-1 Lambda' (times sigma^2: Var(b | y, beta))."""
        return _backward(self, 1.0, np.zeros_like(self.rest)).own

    def covariances(self) -> Adjoint:
        """The elements of Lambda M^-1 Lambda' that meet those of Z'WZ, as the derivatives of log|M| by these."""
        return _backward(self, 1.0, np.zeros_like(self.rest), full=True)

    def effects(self) -> tuple[Stack, ...]:
        """For each factor (k, J): the conditional means b of the effects at the estimated coefficients."""
        vectors = np.append(-self.coefficients, 1.0)[:, None]
        sides = [stage.wide.apply(_padded(vectors, self.plan.width)) for stage in self.stages]
        top = None if self.trailing is None else self.trailing.B @ vectors
        return tuple(b[:, 0] for b in self._back(sides, top))

    def solve_effects(self, right: Sequence[Stack]) -> tuple[Stack, ...]:
        """Lambda M^-1 Lambda' times right-hand sides given by factor as (k, r, J)."""
        plan = self.plan
        sides = [np.array(block, dtype=float) for block in right[: len(plan.chain)]]
        r = sides[0].shape[1]
        top = None
        if plan.trailing:
            top = np.concatenate([by_level(block) for block in right[len(plan.chain) :]])
        for i, stage in enumerate(self.stages):
            HS = times(stage.H, sides[i])
            for j, C in stage.crosses.items():
                moved = sum_by(plan.parents[i, j], transposed_times(C, HS), plan.chain[j].levels)
                sides[j] = sides[j] - moved
            if top is not None:
                top = top - stage.wide.apply_transposed(HS)[: plan.width, :r]
        return self._back(sides, top)

    def _back(self, sides: list[Stack], top: Matrix | None) -> tuple[Stack, ...]:
        """Back substitution: b_i = H_i (s_i - what later factors explain)."""
        plan = self.plan
        trailing = np.zeros((0, sides[0].shape[1]))
        if self.trailing is not None and top is not None:
            trailing = self.trailing.solve(top)
        rest = np.zeros((self.statistics.columns + 1, trailing.shape[1]))
        found: dict[int, Stack] = {}
        for i in range(len(self.stages) - 1, -1, -1):
            stage, side = self.stages[i], sides[i]
            for j, C in stage.crosses.items():
                side = side - times(C, found[j][:, :, plan.parents[i, j]])
            if len(trailing):
                side = side - stage.wide.apply(np.concatenate([trailing, rest]))
            found[i] = times(stage.H, side)
        chain = [found[i] for i in range(len(self.stages))]
        ends = [start + f.effects for start, f in zip(plan.starts, plan.trailing, strict=True)]
        blocks = [trailing[a:b] for a, b in zip(plan.starts, ends, strict=True)]
        cut = [levels_last(block, f.size) for block, f in zip(blocks, plan.trailing, strict=True)]
        return (*chain, *cut)


def factorise(statistics: Statistics, factors: Sequence[Matrix]) -> Factorisation:
    """Eliminate every factor of the plan; ``factors``: its relative factor (k, k) for each, on the scaled columns."""
    plan = statistics.plan
    own, wides = list(statistics.own), list(statistics.wides)
    crosses = dict(statistics.crosses)
    dense = statistics.dense
    stages, log_det = [], 0.0
    last = len(plan.chain)
    for i in range(last):
        T, A = factors[i], own[i]
        D = left(T.T, left(T.T, A).swapaxes(0, 1))
        for a in range(len(T)):
            D[a, a] += 1.0
        L = cholesky(D)
        inverse = triangular_inverse(L)
        K = left(T, inverse.swapaxes(0, 1))
        H = times(K, K.swapaxes(0, 1))
        log_det += 2.0 * sum(float(np.log(L[a, a]).sum()) for a in range(len(T)))
        stage = Stage(T, A, K, H, times(K, inverse), {j: crosses[i, j] for j in range(i + 1, last)}, wides[i])
        stages.append(stage)
        for j, C in stage.crosses.items():
            levels, parent = plan.chain[j].levels, plan.parents[i, j]
            CH = transposed_times(C, H)
            own[j] = own[j] - sum_by(parent, times(CH, C), levels)
            for m in range(j + 1, last):
                crosses[j, m] = crosses[j, m] - sum_by(parent, times(CH, stage.crosses[m]), levels)
            lifted = stage.wide.lift(C, H, parent, levels)
            later = wides[j]
            assert isinstance(later, DenseWide)
            wides[j] = DenseWide(later.values - lifted)
        dense = dense - stage.wide.weighted_gram(H, K)
    if not plan.width:
        return Factorisation(statistics, tuple(factors), tuple(stages), None, log_det, dense)
    trailing, more, rest = eliminate_trailing(plan, dense, factors[last:])
    return Factorisation(statistics, tuple(factors), tuple(stages), trailing, log_det + more, rest)


def _backward(f: Factorisation, by_log_det: float, by_rest: Matrix, full: bool = False) -> Adjoint:
    plan, last = f.plan, len(f.stages)
    by_factor: dict[int, Matrix] = {}
    by_own: dict[int, Stack] = {}
    by_dense = by_rest
    if f.trailing is not None:
        by_dense, trailing_factors, blocks = f.trailing.adjoint(by_log_det, by_rest)
        for t in range(len(plan.trailing)):
            by_factor[last + t], by_own[last + t] = trailing_factors[t], blocks[t]
    by_cross: dict[tuple[int, int], Stack] = {}
    by_wide: dict[int, NDArray[np.float64]] = {}
    for i in range(last - 1, -1, -1):
        stage = f.stages[i]
        H = stage.H
        by_H = -stage.wide.quadratic(by_dense)
        for j, C in stage.crosses.items():
            parent = plan.parents[i, j]
            by_H -= times(times(C, by_own[j][:, :, parent]), C.swapaxes(0, 1))
            mixed = times(C, stage.wide.met(by_wide[j], parent).swapaxes(0, 1))
            for m in range(j + 1, last):
                mixed = mixed + times(times(C, by_cross[j, m][:, :, parent]), stage.crosses[m].swapaxes(0, 1))
            by_H -= 0.5 * (mixed + mixed.swapaxes(0, 1))
        if i or full:
            _crosses_backward(f, i, by_own, by_cross, by_wide, by_dense)
        HbyH = times(H, by_H)
        inner = by_log_det * stage.A + by_H - times(stage.A, HbyH)
        by_factor[i] = 2.0 * gram(inner.swapaxes(0, 1), stage.TE)
        by_own[i] = by_log_det * H - times(HbyH, H)
    order = range(len(plan.factors))
    wides = tuple(by_wide[i] for i in range(last) if i in by_wide)
    return Adjoint(
        tuple(by_factor[i] for i in order), tuple(by_own[i] for i in order), by_cross, wides, by_dense
    )


def _crosses_backward(
    f: Factorisation,
    i: int,
    by_own: dict[int, Stack],
    by_cross: dict[tuple[int, int], Stack],
    by_wide: dict[int, NDArray[np.float64]],
    by_dense: Matrix,
) -> None:
    """Derivatives by the cross products of factor i, which the elimination of earlier factors has changed."""
    plan, stage = f.plan, f.stages[i]
    H, last = stage.H, len(f.stages)
    to_wide = stage.wide.adjoint(H, by_dense)
    for j, C in stage.crosses.items():
        parent = plan.parents[i, j]
        HC = times(H, C)
        to_wide -= stage.wide.lifted(HC, by_wide[j], parent)
        to_cross = -2.0 * times(HC, by_own[j][:, :, parent])
        to_cross -= times(H, stage.wide.met(by_wide[j], parent))
        for m in range(j + 1, last):
            to_cross -= times(times(H, stage.crosses[m]), by_cross[j, m][:, :, parent].swapaxes(0, 1))
        for m in range(i + 1, j):
            to_cross -= times(times(H, stage.crosses[m]), by_cross[m, j][:, :, plan.parents[i, m]])
        by_cross[i, j] = to_cross
    by_wide[i] = to_wide


def _padded(vectors: Matrix, width: int) -> Matrix:
    """Zeros for the trailing effects above coefficients of the right-hand sides."""
    return np.concatenate([np.zeros((width, vectors.shape[1])), vectors])
