"""Cross products against plain sums over rows, however rows are cut into blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bayesmlm.marginal import statistics as statistics_module
from bayesmlm.marginal.statistics import Rows, Statistics, collect, prepare_rows
from bayesmlm.marginal.wide import SparseWide

N = 500
RNG = np.random.default_rng(2)
CLASS = RNG.permutation(np.arange(N) % 40)
SCHOOL, ITEM, RATER = CLASS // 5, RNG.integers(0, 6, N), RNG.integers(0, 4, N)
x = RNG.normal(3.0, 0.5, N)
ONE, TWO = np.ones((N, 1)), np.column_stack([np.ones(N), 100.0 * x])
X = np.column_stack([np.ones(N), x, x**2])
Y = 1e3 + x + RNG.normal(size=N)
WEIGHTS = RNG.uniform(0.2, 3.0, N)
GROUPS = {
    "nested": [(CLASS, TWO), (SCHOOL, ONE)],
    "crossed": [(CLASS, TWO), (ITEM, TWO), (RATER, ONE)],
    "each level with few": [(CLASS, TWO), ((3 * CLASS + RNG.integers(0, 2, N)) % 30, ONE)],
    "both": [(CLASS, ONE), (ITEM, TWO), (SCHOOL, TWO)],
}


def indicators(rows: Rows, f: int) -> np.ndarray:
    """(n, J k) weighted and scaled columns of a factor, level by level."""
    factor = rows.plan.factors[f]
    Z = rows.factor_columns(f, slice(None))
    out = np.zeros((N, factor.levels, factor.size))
    out[np.arange(N), factor.codes] = Z.T
    return out.reshape(N, -1)


def dense_products(rows: Rows, y: np.ndarray) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Cross products of all effects, the basis and the residual; where each factor starts; the projection."""
    root = np.ones(N) if rows.root_weights is None else rows.root_weights
    Q, R = np.linalg.qr(rows.X * root[:, None])
    Q *= np.sign(np.diag(R)) * np.sign(np.diag(rows.basis.R))
    projection = Q.T @ (y * root)
    parts = [indicators(rows, f) for f in range(len(rows.plan.factors))]
    everything = np.column_stack([*parts, Q, y * root - Q @ projection])
    starts = np.cumsum([0, *(part.shape[1] for part in parts)]).tolist()
    return everything.T @ everything, starts, projection


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("block", [64, 10**6])
def test_cross_products(name: str, weighted: bool, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "BLOCK", block)
    groups = [(codes, int(codes.max()) + 1, Z) for codes, Z in GROUPS[name]]
    rows = prepare_rows(X, groups, WEIGHTS if weighted else None)
    found = collect(rows, Y)
    want, starts, projection = dense_products(rows, Y)
    close: dict[str, Any] = {"atol": 1e-9, "rtol": 1e-9}
    np.testing.assert_allclose(found.projection, projection, rtol=1e-9, atol=1e-7)
    chain = rows.plan.chain
    for i, factor in enumerate(chain):
        own = want[starts[i] : starts[i + 1], starts[i] : starts[i + 1]]
        level = np.arange(factor.levels)
        blocks = own.reshape(factor.levels, factor.size, factor.levels, factor.size)[level, :, level]
        np.testing.assert_allclose(np.moveaxis(found.own[i], -1, 0), blocks, **close)
        check_crosses(found, want, starts, i)
        check_wide(found, want, starts, i)
    tail = starts[len(chain)]
    np.testing.assert_allclose(found.dense, want[tail:, tail:], **close)


def check_crosses(found: Statistics, want: np.ndarray, starts: list[int], i: int) -> None:
    chain = found.plan.chain
    for j in range(i + 1, len(chain)):
        inner, outer = chain[i], chain[j]
        block = want[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
        block = block.reshape(inner.levels, inner.size, outer.levels, outer.size)
        picked = block[np.arange(inner.levels), :, found.plan.parents[i, j]]
        np.testing.assert_allclose(np.moveaxis(found.crosses[i, j], -1, 0), picked, atol=1e-9, rtol=1e-9)


def check_wide(found: Statistics, want: np.ndarray, starts: list[int], i: int) -> None:
    """What a chain factor shares with trailing effects and right-hand sides, in either form."""
    factor, wide, tail = found.plan.chain[i], found.wides[i], starts[len(found.plan.chain)]
    block = want[starts[i] : starts[i + 1], tail:].reshape(factor.levels, factor.size, -1)
    vectors = np.random.default_rng(1).normal(size=(block.shape[2], 2))
    np.testing.assert_allclose(np.moveaxis(wide.apply(vectors), -1, 0), block @ vectors, atol=1e-8, rtol=1e-9)
    assert isinstance(wide, SparseWide) == (found.plan.width > 20)


def test_scales_are_root_mean_squares() -> None:
    rows = prepare_rows(X, [(CLASS, 40, np.column_stack([TWO, np.zeros(N)]))], WEIGHTS)
    expected = np.sqrt((WEIGHTS[:, None] * TWO**2).mean(axis=0))
    np.testing.assert_allclose(rows.scales[0], [*expected, 1.0])


def test_basis_is_orthonormal_for_columns_of_any_size() -> None:
    wild = np.column_stack([np.ones(N), 1e8 * (x + 10.0), 1e-8 * x**2])
    rows = prepare_rows(wild, [(CLASS, 40, ONE)], WEIGHTS)
    Q = rows.basis_columns(slice(None))
    np.testing.assert_allclose(Q @ Q.T, np.eye(3), atol=1e-9)
    assert rows.basis.log_det == pytest.approx(
        0.5 * np.linalg.slogdet((wild * WEIGHTS[:, None] / [1, 1e8, 1e-8]).T @ (wild / [1, 1e8, 1e-8]))[1]
        + np.log(1e8) + np.log(1e-8),
        rel=1e-9,
        abs=1e-6,
    )  # fmt: skip


def test_no_population_columns() -> None:
    rows = prepare_rows(np.zeros((N, 0)), [(CLASS, 40, ONE)], None)
    found = collect(rows, Y)
    assert found.columns == 0
    assert found.dense.shape == (1, 1)
    assert found.dense[0, 0] == pytest.approx(Y @ Y)
