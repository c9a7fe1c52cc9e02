"""The marginal likelihood in jax.numpy: the same plan and cross products as `evaluate.py`, differentiable by JAX.

Notation as there: b = Lambda u, M = Lambda'Z'WZ Lambda + I = L L'. Matrices of levels are arrays (k, l, J),
levels last. Factors of the plan's chain are eliminated one after the other, each taking its Schur complement off
what comes later; the trailing effects form one dense block (Bates, Maechler, Bolker and Walker 2015, JSS 67(1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular

from .wide import SparseWide

if TYPE_CHECKING:
    from .plan import Plan
    from .statistics import Statistics

__all__ = [
    "Blocks",
    "Elimination",
    "Sides",
    "back_solve",
    "blocks_of",
    "eliminate",
    "forward_solve",
    "half_solve",
    "sum_by",
    "times_factors",
]

Array = Any
UNROLLED = 6
"""Up to this size Cholesky factors are written out over k, so that XLA fuses them over the levels."""


class Blocks(NamedTuple):
    """Z'WZ in the blocks of a plan. ``own``: (k, k, J) for each chain factor; ``crosses[i]``: (k_i, k_j, J_i) for each
    later chain factor j, ``parents[i]`` the levels of j; ``border``: (k, w, J) with the trailing effects; ``corner``:
    (w, w). Without trailing effects these are () and None."""

    own: tuple[Array, ...]
    crosses: tuple[tuple[Array, ...], ...]
    parents: tuple[tuple[Array, ...], ...]
    border: tuple[Array, ...]
    corner: Array


class Sides(NamedTuple):
    """A vector over all effects: ``chain`` (k, J) for each chain factor, ``top`` (w,) trailing or None."""

    chain: tuple[Array, ...]
    top: Array


class Elimination(NamedTuple):
    """L, by place: ``roots`` (k, k, J) on the diagonal, ``lower[i]`` its blocks with later chain factors (transposed),
    ``border`` those with the trailing effects, ``corner`` (w, w); ``log_det``: log|M|."""

    roots: tuple[Array, ...]
    lower: tuple[tuple[Array, ...], ...]
    border: tuple[Array, ...]
    corner: Array
    log_det: Array


def blocks_of(statistics: Statistics) -> Blocks:
    """The cross products of group columns in ``statistics``, as numpy arrays."""
    plan = statistics.plan
    chain, width = range(len(plan.chain)), plan.width
    after = [range(i + 1, len(plan.chain)) for i in chain]
    return Blocks(
        own=statistics.own,
        crosses=tuple(tuple(statistics.crosses[i, j] for j in after[i]) for i in chain),
        parents=tuple(tuple(plan.parents[i, j].astype(np.int32) for j in after[i]) for i in chain),
        border=tuple(_border(statistics, i) for i in chain) if width else (),
        corner=statistics.dense[:width, :width] if width else None,
    )


def _border(statistics: Statistics, i: int) -> Array:
    wide, width = statistics.wides[i], statistics.plan.width
    if isinstance(wide, SparseWide):
        factor = statistics.plan.chain[i]
        out = np.zeros((factor.size, width, factor.levels))
        out[:, wide.columns, wide.rows] = wide.values
        return out
    return wide.values[:, :width]


def eliminate(plan: Plan, blocks: Blocks, factors: Sequence[Array]) -> Elimination:
    """Factor M at relative factors T, one for each factor of the plan: (k, k, 1), or (k, k, J) where levels differ."""
    last = len(plan.chain)
    own, crosses, border, corner = _scaled(plan, blocks, factors)
    roots: list[Array] = []
    lower: list[tuple[Array, ...]] = []
    edges: list[Array] = []
    log_det: Array = 0.0
    for i in range(last):
        L = _cholesky(own[i])
        log_det = log_det + 2.0 * jnp.sum(jnp.log(jnp.diagonal(L)))
        below = tuple(_forward(L, C) for C in crosses[i])
        edge = _forward(L, border[i]) if plan.width else None
        for j, (B, parent) in enumerate(zip(below, blocks.parents[i], strict=True), start=i + 1):
            levels = plan.chain[j].levels
            own[j] = own[j] - sum_by(_transposed_times(B, B), parent, levels)
            for m in range(j + 1, last):
                product = _transposed_times(B, below[m - i - 1])
                crosses[j][m - j - 1] -= sum_by(product, parent, levels)
            if edge is not None:
                border[j] = border[j] - sum_by(_transposed_times(B, edge), parent, levels)
        if edge is not None:
            corner = corner - jnp.einsum("awj,avj->wv", edge, edge)
            edges.append(edge)
        roots.append(L)
        lower.append(below)
    if corner is not None:
        corner = jnp.linalg.cholesky(corner)
        log_det = log_det + 2.0 * jnp.sum(jnp.log(jnp.diagonal(corner)))
    return Elimination(tuple(roots), tuple(lower), tuple(edges), corner, log_det)


def _scaled(
    plan: Plan, blocks: Blocks, factors: Sequence[Array]
) -> tuple[list[Array], list[list[Array]], list[Array], Array]:
    """The blocks of M: everything multiplied by the relative factors, and 1 added on the diagonal."""
    last = len(plan.chain)
    own = [
        _from_right(_from_left(T, A), T) + jnp.eye(len(T))[:, :, None]
        for T, A in zip(factors, blocks.own, strict=False)
    ]
    crosses = [
        [
            _from_right(_from_left(factors[i], C), _of_parent(factors[j], parent))
            for j, (C, parent) in enumerate(
                zip(blocks.crosses[i], blocks.parents[i], strict=True), start=i + 1
            )
        ]
        for i in range(last)
    ]
    if blocks.corner is None:
        return own, crosses, [], None
    trailing = factors[last:]
    border = [
        _times_trailing(plan, trailing, _from_left(T, D))
        for T, D in zip(factors, blocks.border, strict=False)
    ]
    half = _times_trailing(plan, trailing, blocks.corner[:, :, None])[:, :, 0]
    corner = _times_trailing(plan, trailing, half.T[:, :, None])[:, :, 0] + jnp.eye(plan.width)
    return own, crosses, border, corner


def half_solve(
    plan: Plan, blocks: Blocks, elimination: Elimination, factors: Sequence[Array], right: Sides
) -> Sides:
    """L^-1 Lambda' times ``right``."""
    return forward_solve(plan, blocks, elimination, times_factors(plan, factors, right))


def times_factors(plan: Plan, factors: Sequence[Array], right: Sides) -> Sides:
    """Lambda' times ``right``."""
    chain = tuple(_from_left(T, g[:, None])[:, 0] for T, g in zip(factors, right.chain, strict=False))
    if right.top is None:
        return Sides(chain, None)
    top = _times_trailing(plan, factors[len(plan.chain) :], right.top[None, :, None])[0, :, 0]
    return Sides(chain, top)


def forward_solve(plan: Plan, blocks: Blocks, elimination: Elimination, right: Sides) -> Sides:
    """L^-1 times ``right``."""
    sides, top = list(right.chain), right.top
    for i, L in enumerate(elimination.roots):
        sides[i] = _forward(L, sides[i][:, None])[:, 0]
        for j, (B, parent) in enumerate(
            zip(elimination.lower[i], blocks.parents[i], strict=True), start=i + 1
        ):
            moved = _transposed_times(B, sides[i][:, None])[:, 0]
            sides[j] = sides[j] - sum_by(moved, parent, plan.chain[j].levels)
        if top is not None:
            top = top - jnp.einsum("awj,aj->w", elimination.border[i], sides[i])
    if top is not None:
        top = solve_triangular(elimination.corner, top, lower=True)
    return Sides(tuple(sides), top)


def back_solve(blocks: Blocks, elimination: Elimination, halves: Sides) -> Sides:
    """L'^-1 times ``halves``: M^-1 Lambda' g, when ``halves`` comes from `half_solve` of g."""
    top = halves.top
    if top is not None:
        top = solve_triangular(elimination.corner, top, lower=True, trans=1)
    found = list(halves.chain)
    for i in range(len(found) - 1, -1, -1):
        side = found[i]
        for j, (B, parent) in enumerate(
            zip(elimination.lower[i], blocks.parents[i], strict=True), start=i + 1
        ):
            side = side - sum(B[:, b] * found[j][b][parent] for b in range(B.shape[1]))
        if top is not None:
            side = side - jnp.einsum("awj,w->aj", elimination.border[i], top)
        found[i] = _backward(elimination.roots[i], side)
    return Sides(tuple(found), top)


def sum_by(stack: Array, codes: Array, levels: int) -> Array:
    """Sums over the last axis by ``codes``: (..., n) to (..., levels)."""
    rows = stack.reshape(-1, stack.shape[-1]).T
    # What belongs to a row lies together in memory: several times faster than one scatter for each element.
    sums = jnp.zeros((levels, rows.shape[1]), stack.dtype).at[codes].add(rows)
    return sums.T.reshape(*stack.shape[:-1], levels)


def _from_left(T: Array, stack: Array) -> Array:
    """T' A for lower triangular T (k, k, 1 or J) and A (k, l, J)."""
    size = len(T)
    return jnp.stack([sum(T[a, b] * stack[a] for a in range(b, size)) for b in range(size)])


def _from_right(stack: Array, T: Array) -> Array:
    """A T for A (l, k, J)."""
    return jnp.swapaxes(_from_left(T, jnp.swapaxes(stack, 0, 1)), 0, 1)


def _of_parent(T: Array, parent: Array) -> Array:
    return T if T.shape[-1] == 1 else T[:, :, parent]


def _times_trailing(plan: Plan, factors: Sequence[Array], stack: Array) -> Array:
    """A Lambda of the trailing block for A (m, w, J): its effects lie level by level."""
    parts = []
    for factor, start, T in zip(plan.trailing, plan.starts, factors, strict=True):
        part = stack[:, start : start + factor.effects]
        blocks = part.reshape(len(stack), factor.levels, factor.size, stack.shape[-1])
        columns = [
            sum(blocks[:, :, a] * T[a, b][None, :, None] for a in range(b, factor.size))
            for b in range(factor.size)
        ]
        parts.append(jnp.stack(columns, axis=2).reshape(part.shape))
    return jnp.concatenate(parts, axis=1)


def _transposed_times(first: Array, second: Array) -> Array:
    """``first[:, :, j].T @ second[:, :, j]`` for every j."""
    return sum(first[a][:, None] * second[a][None] for a in range(len(first)))


def _cholesky(stack: Array) -> Array:
    """Lower triangular factors (k, k, J), column by column."""
    size = len(stack)
    if size > UNROLLED:
        return jnp.moveaxis(jnp.linalg.cholesky(jnp.moveaxis(stack, -1, 0)), 0, -1)
    columns: list[Array] = []
    for c in range(size):
        rest = stack[c:, c] - sum((L[c - i :] * L[c - i] for i, L in enumerate(columns)), jnp.zeros(()))
        column = rest / jnp.sqrt(rest[0])
        columns.append(column)
    zeros = jnp.zeros_like(stack[0, 0])[None]
    return jnp.stack(
        [jnp.concatenate([jnp.repeat(zeros, c, axis=0), L]) for c, L in enumerate(columns)], axis=1
    )


def _forward(L: Array, right: Array) -> Array:
    """L^-1 A for A (k, l, J)."""
    if len(L) > UNROLLED:
        solved = lax.linalg.triangular_solve(
            jnp.moveaxis(L, -1, 0), jnp.moveaxis(right, -1, 0), left_side=True, lower=True
        )
        return jnp.moveaxis(solved, 0, -1)
    rows: list[Array] = []
    for r in range(len(L)):
        rest = right[r] - sum((L[r, m] * rows[m] for m in range(r)), jnp.zeros(()))
        rows.append(rest / L[r, r])
    return jnp.stack(rows)


def _backward(L: Array, right: Array) -> Array:
    """L'^-1 a for a (k, J)."""
    if len(L) > UNROLLED:
        solved = lax.linalg.triangular_solve(
            jnp.moveaxis(L, -1, 0),
            jnp.moveaxis(right, -1, 0)[:, :, None],
            left_side=True,
            lower=True,
            transpose_a=True,
        )
        return jnp.moveaxis(solved[:, :, 0], 0, -1)
    rows: list[Array] = [None] * len(L)
    for r in range(len(L) - 1, -1, -1):
        rest = right[r] - sum((L[m, r] * rows[m] for m in range(r + 1, len(L))), jnp.zeros(()))
        rows[r] = rest / L[r, r]
    return jnp.stack(rows)
