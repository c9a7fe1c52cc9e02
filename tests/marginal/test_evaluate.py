"""The blocked elimination against dense linear algebra, written down from the definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from bayesmlm.marginal import statistics as statistics_module
from bayesmlm.marginal.evaluate import Factorisation, factorise
from bayesmlm.marginal.statistics import Rows, collect, prepare_rows, with_response
from bayesmlm.marginal.wide import DenseWide, SparseWide

N = 240
RNG = np.random.default_rng(20)
SCHOOL = RNG.integers(0, 8, N)
CLASS = np.unique(SCHOOL * 5 + RNG.integers(0, 5, N), return_inverse=True)[1]
PUPIL = np.unique(CLASS * 50 + RNG.integers(0, 3, N), return_inverse=True)[1]
DISTRICT = SCHOOL // 3
STUDENT, ITEM = RNG.integers(0, 40, N), RNG.integers(0, 11, N)
x = RNG.normal(size=N)
X = np.column_stack([np.ones(N), x, RNG.normal(size=N)])
ONE, TWO, THREE = np.ones((N, 1)), np.column_stack([np.ones(N), 3.0 * x]), X
Y = X @ [1.0, 2.0, 3.0] + RNG.normal(size=N) + RNG.normal(size=8)[SCHOOL]
WEIGHTS = RNG.uniform(0.5, 2.0, N)

MODELS: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {
    "one factor": [(SCHOOL, TWO)],
    "three effects": [(SCHOOL, THREE)],
    "two terms of a factor": [(SCHOOL, ONE), (SCHOOL, x[:, None])],
    "nested": [(CLASS, ONE), (SCHOOL, TWO)],
    "nested in three": [(CLASS, TWO), (SCHOOL, TWO), (DISTRICT, ONE)],
    "nested in four": [(PUPIL, ONE), (CLASS, ONE), (SCHOOL, TWO), (DISTRICT, ONE)],
    "crossed": [(STUDENT, ONE), (ITEM, ONE)],
    "crossed, two effects": [(STUDENT, TWO), (ITEM, TWO)],
    "crossed threefold": [(STUDENT, TWO), (ITEM, ONE), (SCHOOL, TWO)],
    "nested and crossed": [(CLASS, TWO), (SCHOOL, TWO), (ITEM, TWO)],
}


@dataclass
class Dense:
    """The same quantities from n x n and q x q matrices."""

    log_det_M: float  # noqa: N815
    pwrss: float
    beta: np.ndarray
    XVX: np.ndarray
    covariance: np.ndarray
    """Lambda M^-1 Lambda', term by term."""
    b: np.ndarray


def dense(groups: Any, weights: np.ndarray, T: list[np.ndarray]) -> Dense:
    columns, factors = [], []
    for (codes, Z), template in zip(groups, T, strict=True):
        k = Z.shape[1]
        D = np.zeros((N, (codes.max() + 1) * k))
        for a in range(k):
            D[np.arange(N), codes * k + a] = Z[:, a]
        columns.append(D)
        factors.append(np.kron(np.eye(codes.max() + 1), template))
    Z, L = np.hstack(columns), scipy.linalg.block_diag(*factors)
    V = np.diag(1.0 / weights) + Z @ L @ L.T @ Z.T
    inverse = np.linalg.inv(V)
    XVX = X.T @ inverse @ X
    beta = np.linalg.solve(XVX, X.T @ inverse @ Y)
    rest = Y - X @ beta
    M = L.T @ Z.T @ np.diag(weights) @ Z @ L + np.eye(Z.shape[1])
    covariance = L @ np.linalg.inv(M) @ L.T
    return Dense(
        float(np.linalg.slogdet(M)[1]),
        float(rest @ inverse @ rest),
        beta,
        XVX,
        covariance,
        L @ L.T @ Z.T @ inverse @ rest,
    )


def relative_factors(rows: Rows, T: list[np.ndarray]) -> list[np.ndarray]:
    """Terms' factors put together by grouping factor, on the scaled columns."""
    out = []
    for factor, scale in zip(rows.plan.factors, rows.scales, strict=True):
        whole = np.zeros((factor.size, factor.size))
        for number, part in factor.terms:
            whole[part, part] = T[number]
        out.append(scale[:, None] * whole)
    return out


def by_term(rows: Rows, blocks: Any) -> np.ndarray:
    """Blocks (k, r, J) of factors as rows (q, r), term by term, on the scale of the user's columns."""
    found = {}
    for factor, scale, block in zip(rows.plan.factors, rows.scales, blocks, strict=True):
        for number, part in factor.terms:
            own = (block / scale[:, None, None])[part]
            found[number] = own.transpose(2, 0, 1).reshape(-1, own.shape[1])
    return np.concatenate([found[t] for t in range(len(found))])


def from_terms(rows: Rows, groups: Any, right: np.ndarray) -> list[np.ndarray]:
    """The inverse of `by_term` for right-hand sides (q, r)."""
    starts = np.cumsum([0, *((codes.max() + 1) * Z.shape[1] for codes, Z in groups)])
    out = []
    for factor, scale in zip(rows.plan.factors, rows.scales, strict=True):
        block = np.zeros((factor.size, right.shape[1], factor.levels))
        for number, part in factor.terms:
            own = right[starts[number] : starts[number + 1]].reshape(factor.levels, -1, right.shape[1])
            block[part] = own.transpose(1, 2, 0)
        out.append(block / scale[:, None, None])
    return out


def templates(groups: Any, singular: bool) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    out = []
    for _, Z in groups:
        T = np.tril(rng.normal(size=(Z.shape[1], Z.shape[1])))
        T[np.diag_indices(len(T))] = np.abs(np.diag(T))
        out.append(T)
    if singular:
        out[0][0, 0] = 0.0
    return out


def cases() -> list[Any]:
    options = [(name, form) for name in MODELS for form in ("sparse", "dense")]
    return [
        pytest.param(name, form, weighted, singular, id=f"{name}-{form}-{weighted:d}{singular:d}")
        for name, form in options
        for weighted, singular in ((False, False), (True, False), (True, True))
        if form == "dense" or "crossed" in name
    ]


@pytest.mark.parametrize(("name", "form", "weighted", "singular"), cases())
def test_against_dense_algebra(
    name: str, form: str, weighted: bool, singular: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_module, "MOST_PAIRS", 10**9 if form == "sparse" else 0)
    monkeypatch.setattr(statistics_module, "BLOCK", 100)  # so that there is more than one block of rows
    groups = MODELS[name]
    weights = WEIGHTS if weighted else np.ones(N)
    T = templates(groups, singular)
    rows = prepare_rows(X, [(c, c.max() + 1, Z) for c, Z in groups], WEIGHTS if weighted else None)
    statistics = collect(rows, Y)
    f = factorise(statistics, relative_factors(rows, T))
    want = dense(groups, weights, T)
    beta = np.linalg.solve(rows.basis.R, statistics.projection + f.coefficients)
    np.testing.assert_allclose(f.log_det_M, want.log_det_M, rtol=1e-11)
    np.testing.assert_allclose(f.pwrss, want.pwrss, rtol=1e-11)
    np.testing.assert_allclose(beta, want.beta, rtol=1e-9)
    log_det = 2.0 * (f.log_det_basis + rows.basis.log_det)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(want.XVX)[1], rtol=1e-10)
    effects = by_term(rows, [b[:, None] for b in f.effects()])[:, 0]
    np.testing.assert_allclose(effects, want.b, atol=1e-10)
    right = np.random.default_rng(1).normal(size=(len(want.b), 2))
    solved = by_term(rows, f.solve_effects(from_terms(rows, groups, right)))
    np.testing.assert_allclose(solved, want.covariance @ right, atol=1e-10)
    check_blocks(rows, groups, f, want)
    check_gradient(statistics, rows, T)


def check_blocks(rows: Rows, groups: Any, f: Factorisation, want: Dense) -> None:
    starts = np.cumsum([0, *((codes.max() + 1) * Z.shape[1] for codes, Z in groups)])
    for factor, scale, blocks in zip(rows.plan.factors, rows.scales, f.conditional_blocks(), strict=True):
        unscaled = blocks / scale[:, None, None] / scale[None, :, None]
        for number, part in factor.terms:
            k = part.stop - part.start
            for level in (0, factor.levels - 1):
                at = slice(starts[number] + level * k, starts[number] + (level + 1) * k)
                np.testing.assert_allclose(unscaled[part, part, level], want.covariance[at, at], atol=1e-11)


def check_gradient(statistics: Any, rows: Rows, T: list[np.ndarray]) -> None:
    """Of the profiled REML criterion, against central differences."""
    p = statistics.columns

    def criterion(factors: list[np.ndarray]) -> float:
        f = factorise(statistics, factors)
        return f.log_det_M + (N - p) * np.log(f.pwrss) + 2.0 * f.log_det_basis

    factors = relative_factors(rows, T)
    f = factorise(statistics, factors)
    vector = np.append(-f.coefficients, 1.0)
    by_rest = (N - p) / f.pwrss * np.outer(vector, vector)
    by_rest[:p, :p] += f.basis_vcov
    found = f.adjoint(1.0, by_rest).factors
    for place, factor in enumerate(factors):
        for row, column in zip(*np.tril_indices(len(factor)), strict=True):
            step = 1e-5 * max(1.0, abs(factor[row, column]))
            values = []
            for sign in (1.0, -1.0):
                moved = [part.copy() for part in factors]
                moved[place][row, column] += sign * step
                values.append(criterion(moved))
            expected = (values[0] - values[1]) / (2.0 * step)
            assert found[place][row, column] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", ["nested in three", "crossed, two effects", "nested and crossed"])
def test_another_response_gives_the_statistics_of_that_response(name: str) -> None:
    groups = [(c, int(c.max()) + 1, Z) for c, Z in MODELS[name]]
    rows = prepare_rows(X, groups, WEIGHTS)
    other = np.random.default_rng(2).normal(size=N)
    expected, found = collect(rows, other), with_response(collect(rows, Y), rows, other)
    np.testing.assert_allclose(found.dense, expected.dense, atol=1e-11)
    np.testing.assert_allclose(found.projection, expected.projection, atol=1e-12)
    for one, two in zip(found.wides, expected.wides, strict=True):
        left = one.B if isinstance(one, SparseWide) else one.values
        right = two.B if isinstance(two, SparseWide) else two.values
        np.testing.assert_allclose(left, right, atol=1e-11)


def test_forms_of_a_crossed_factor() -> None:
    sparse = collect(prepare_rows(X, [(STUDENT, 40, ONE), (ITEM, 11, ONE)], None), Y)
    assert isinstance(sparse.wides[0], SparseWide)
    nested = collect(prepare_rows(X, [(CLASS, int(CLASS.max()) + 1, ONE), (SCHOOL, 8, ONE)], None), Y)
    assert all(isinstance(wide, DenseWide) for wide in nested.wides)
    assert nested.plan.width == 0


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_shifts_and_scales_cost_no_digits(shift: float, scale: float) -> None:
    """log|M| and pwrss do not change with the origin of y and x, nor (with Z) the units of a column."""
    T = np.array([[0.7, 0.0], [0.3, 0.5]])
    moved = np.column_stack([np.ones(N), scale * (x + shift), X[:, 2]])
    Z = np.column_stack([np.ones(N), scale * x])
    rows = prepare_rows(moved, [(SCHOOL, 8, Z)], None)
    factors = [rows.scales[0][:, None] * (T / np.array([[1.0], [scale]]))]
    f = factorise(collect(rows, Y + shift), factors)
    want = dense([(SCHOOL, np.column_stack([np.ones(N), x]))], np.ones(N), [T])
    np.testing.assert_allclose(f.log_det_M, want.log_det_M, rtol=1e-9)
    np.testing.assert_allclose(f.pwrss, want.pwrss, rtol=1e-8)
