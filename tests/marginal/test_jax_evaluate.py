"""The evaluator that JAX differentiates against dense algebra, and against the evaluator of `lmer`."""

from __future__ import annotations

from functools import cache

import jax
import numpy as np
import pytest

from bayesmlm.inference.x64 import x64
from bayesmlm.marginal import jax_evaluate as evaluator
from bayesmlm.marginal.evaluate import factorise
from bayesmlm.marginal.statistics import collect, prepare_rows

from ..compiling import quickly

ROWS = 120

# (number of levels or name of the factor that is split, number of effects) of each term
CASES = {
    "intercepts": [("g", 1)],
    "two effects": [("g", 2)],
    "seven effects": [("small", 7)],
    "two terms of a factor": [("g", 1), ("g", 2)],
    "nested": [("inner", 2), ("outer", 1)],
    "three nested": [("innermost", 1), ("inner", 2), ("outer", 2)],
    "crossed": [("g", 2), ("other", 2)],
    "nested and crossed": [("inner", 1), ("outer", 2), ("other", 2), ("third", 1)],
}


def make_codes(rng):
    inner = rng.integers(0, 12, ROWS)
    inner[:12] = np.arange(12)
    codes = {"inner": inner, "outer": inner // 4, "innermost": inner * 2 + rng.integers(0, 2, ROWS)}
    codes |= {
        "g": rng.integers(0, 15, ROWS),
        "other": rng.integers(0, 5, ROWS),
        "third": rng.integers(0, 4, ROWS),
    }
    codes["small"] = rng.integers(0, 6, ROWS)
    return {name: np.unique(c, return_inverse=True)[1] for name, c in codes.items()}


def model(case, weighted, seed=1):
    rng = np.random.default_rng(seed)
    codes = make_codes(rng)
    terms = CASES[case]
    groups = []
    for name, k in terms:
        Z = rng.normal(size=(ROWS, k))
        groups.append((codes[name], int(codes[name].max()) + 1, Z))
    X = np.column_stack([np.ones(ROWS), rng.normal(size=ROWS)])
    y = 3.0 + rng.normal(size=ROWS)
    weights = rng.uniform(0.2, 3.0, ROWS) if weighted else None
    factors = [np.tril(rng.normal(size=(k, k))) for _, k in terms]
    return X, groups, y, weights, factors


def dense(groups, weights, factors):
    """Z Lambda (n, q) with its rows multiplied by the roots of the weights."""
    columns = []
    for (codes, levels, Z), T in zip(groups, factors, strict=True):
        scaled = Z @ T
        for a in range(Z.shape[1]):
            block = np.zeros((len(codes), levels))
            block[np.arange(len(codes)), codes] = scaled[:, a]
            columns.append(block)
    ZL = np.concatenate(columns, axis=1)
    return ZL if weights is None else ZL * np.sqrt(weights)[:, None]


def by_factor(rows, factors):
    """Relative factors of the plan's factors, on the scaled columns."""
    out = []
    for factor, scale in zip(rows.plan.factors, rows.scales, strict=True):
        T = np.zeros((factor.size, factor.size))
        for number, part in factor.terms:
            T[part, part] = factors[number]
        out.append(T * scale[:, None])
    return out


@cache
def program(case):
    """log|M|, L^-1 a and M^-1 a of one vector over the effects: compiled once for the models with and without weights,
    which have the same plan."""
    X, groups, *_ = model(case, weighted=False)
    plan = prepare_rows(X, groups, None).plan

    def evaluate(T, blocks, right):
        elimination = evaluator.eliminate(plan, blocks, T)
        halves = evaluator.half_solve(plan, blocks, elimination, T, right)
        return elimination.log_det, halves, evaluator.back_solve(blocks, elimination, halves)

    return quickly(evaluate)


def jax_values(case, rows, statistics, factors, coefficients):
    """log|M|, e'V^-1e for e = residual - Q coefficients, and the effects' conditional means by factor (k, J)."""
    plan = rows.plan
    side = np.append(-coefficients, 1.0)
    sides = []
    for i, factor in enumerate(plan.chain):
        wide = statistics.wides[i]
        right = wide.B if hasattr(wide, "B") else wide.values[:, plan.width :]
        sides.append(np.einsum("arj,r->aj", right, side))
        assert sides[-1].shape == (factor.size, factor.levels)
    top = statistics.dense[: plan.width, plan.width :] @ side if plan.width else None

    T = [t[:, :, None] for t in by_factor(rows, factors)]
    with x64():
        found = program(case)(T, evaluator.blocks_of(statistics), evaluator.Sides(tuple(sides), top))
        log_det, halves, u = jax.device_get(found)
    explained = sum(np.sum(np.square(h)) for h in jax.tree.leaves(halves))
    total = side @ statistics.dense[plan.width :, plan.width :] @ side - explained
    effects = [np.einsum("ab,bj->aj", t[:, :, 0], v) for t, v in zip(T, u.chain, strict=False)]
    return float(log_det), float(total), effects


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_evaluators_agree_with_each_other_and_with_dense_algebra(case, weighted):
    X, groups, y, weights, factors = model(case, weighted)
    rows = prepare_rows(X, groups, weights)
    statistics = collect(rows, y)
    numpy_one = factorise(statistics, by_factor(rows, factors))
    log_det, total, effects = jax_values(case, rows, statistics, factors, numpy_one.coefficients)

    ZL = dense(groups, weights, factors)
    V = ZL @ ZL.T + np.eye(ROWS)
    assert log_det == pytest.approx(np.linalg.slogdet(V)[1], rel=1e-10)
    assert log_det == pytest.approx(numpy_one.log_det_M, rel=1e-10)
    assert total == pytest.approx(numpy_one.pwrss, rel=1e-10)
    root = 1.0 if weights is None else np.sqrt(weights)
    Q = rows.basis_columns(slice(None)).T
    e = root * y - Q @ (statistics.projection + numpy_one.coefficients)
    assert total == pytest.approx(e @ np.linalg.solve(V, e), rel=1e-9)
    for ours, theirs in zip(effects, numpy_one.effects(), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)
