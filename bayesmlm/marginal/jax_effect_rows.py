"""Sums over the rows of levels, and the way back, for an `effect_rows.Arrangement`, in jax.numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from .jax_evaluate import Blocks, Sides, sum_by

if TYPE_CHECKING:
    from .effect_rows import Arrangement, EffectRows

__all__ = ["by_factor", "effects_predictors", "information", "level_sums"]

Array = Any


def effects_predictors(
    arrangement: Arrangement, rows: EffectRows, factors: tuple[Array, ...], u: Sides
) -> Array:
    """(D, m): what the effects Lambda u add to every linear predictor."""
    out: list[Array] = [jnp.zeros(rows.Z[0].shape[-1])] * arrangement.count
    for f, (T, own) in enumerate(zip(factors, by_factor(arrangement, u), strict=True)):
        for a, predictor in enumerate(arrangement.predictors[f]):
            effect = sum(T[a, b] * own[b] for b in range(a + 1))
            out[predictor] = out[predictor] + rows.Z[f][a] * _on_rows(arrangement, rows, f, effect)
    return jnp.stack(out)


def by_factor(arrangement: Arrangement, u: Sides) -> list[Array]:
    """(k, J) for each factor of the plan."""
    plan = arrangement.plan
    parts = [] if u.top is None else jnp.split(u.top, plan.starts[1:])
    trailing = [
        part.reshape(factor.levels, factor.size).T for factor, part in zip(plan.trailing, parts, strict=True)
    ]
    return [*u.chain, *trailing]


def _on_rows(arrangement: Arrangement, rows: EffectRows, f: int, effect: Array) -> Array:
    """(m,): the value of each row's level; ``effect``: (J,) of factor ``f``."""
    if f >= len(arrangement.plan.chain):
        return effect[rows.row_codes[f]]
    if not (arrangement.whole and f == 0):
        effect = effect[rows.chunk_codes[f]]
    return jnp.broadcast_to(effect[:, None], (len(effect), arrangement.chunk)).reshape(-1)


def _sums(arrangement: Arrangement, rows: EffectRows, f: int, values: Array) -> Array:
    """(..., J): sums over the rows of each level of factor ``f``; ``values``: (..., m)."""
    levels = arrangement.plan.factors[f].levels
    if f >= len(arrangement.plan.chain):
        return sum_by(values, rows.row_codes[f], levels)
    of_chunks = jnp.sum(values.reshape(*values.shape[:-1], -1, arrangement.chunk), axis=-1)
    if arrangement.whole and f == 0:
        return of_chunks
    return sum_by(of_chunks, rows.chunk_codes[f], levels)


def level_sums(arrangement: Arrangement, rows: EffectRows, values: Array) -> Sides:
    """Z' times ``values`` (D, m)."""
    sums = []
    for f, own in enumerate(arrangement.predictors):
        columns = jnp.stack([rows.Z[f][a] * values[predictor] for a, predictor in enumerate(own)])
        sums.append(_sums(arrangement, rows, f, columns))
    last = len(arrangement.plan.chain)
    top = jnp.concatenate([part.T.reshape(-1) for part in sums[last:]]) if arrangement.plan.width else None
    return Sides(tuple(sums[:last]), top)


def information(arrangement: Arrangement, rows: EffectRows, W: Array) -> Blocks:
    """Z'WZ in the blocks of the plan; ``W``: (D, D, m)."""
    plan, Z, of = arrangement.plan, rows.Z, arrangement.predictors
    last = len(plan.chain)

    def products(i: int, j: int) -> Array:
        pairs = [(a, b) for a in range(len(Z[i])) for b in range(a + 1 if i == j else len(Z[j]))]
        columns = jnp.stack([Z[i][a] * Z[j][b] * W[of[i][a], of[j][b]] for a, b in pairs])
        sums = dict(zip(pairs, _sums(arrangement, rows, i, columns), strict=True))
        if i == j:
            sums |= {(b, a): values for (a, b), values in sums.items()}
        return jnp.stack([jnp.stack([sums[a, b] for b in range(len(Z[j]))]) for a in range(len(Z[i]))])

    own = tuple(products(i, i) for i in range(last))
    crosses = tuple(tuple(products(i, j) for j in range(i + 1, last)) for i in range(last))
    if not plan.width:
        return Blocks(own, crosses, rows.parents, (), None)
    # The trailing columns of a row: at most a few of the w, put in their places.
    places = [
        (start + rows.row_codes[t] * factor.size + b, Z[t][b], of[t][b])
        for t, (factor, start) in enumerate(zip(plan.trailing, plan.starts, strict=True), start=last)
        for b in range(factor.size)
    ]
    border = []
    for i in range(last):
        out = jnp.zeros((plan.chain[i].size, plan.width, plan.chain[i].levels))
        for place, column, predictor in places:
            weighted = jnp.stack([Z[i][a] * column * W[p, predictor] for a, p in enumerate(of[i])])
            out = out.at[:, place, rows.row_codes[i]].add(weighted)
        border.append(out)
    corner = jnp.zeros((plan.width, plan.width))
    for place, column, predictor in places:
        for other, further, second in places:
            corner = corner.at[place, other].add(column * further * W[predictor, second])
    return Blocks(own, crosses, rows.parents, tuple(border), corner)
