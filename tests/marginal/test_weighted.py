"""Weighted cross products, and the way back from them to the rows, against dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from bayesmlm.marginal.evaluate import factorise
from bayesmlm.marginal.statistics import prepare_rows
from bayesmlm.marginal.weighted import WeightedRows, make_weighted_rows

from .test_evaluate import MODELS, N, X, relative_factors

SIZES = [1, 2]
"""Numbers of linear predictors; the terms of a model take turns."""


class Case:
    """A model with D linear predictors, random weights and factors, and the same as dense matrices."""

    def __init__(self, groups: list[tuple[np.ndarray, np.ndarray]], D: int) -> None:
        rng = np.random.default_rng(7)
        feeds = [i % D for i in range(len(groups))]
        rows = prepare_rows(X, [(codes, int(codes.max()) + 1, Z) for codes, Z in groups], None)
        terms = [(Z, d) for (_, Z), d in zip(groups, feeds, strict=True)]
        self.rows: WeightedRows = make_weighted_rows(rows.plan, terms, rows.scales, [X] * D)
        square = rng.normal(size=(N, D, D))
        self.W = np.einsum("nij,nkj->ikn", square, square)
        self.right = rng.normal(size=(D, N))
        templates = [np.tril(rng.normal(size=(Z.shape[1], Z.shape[1]))) for _, Z in groups]
        self.factors = relative_factors(rows, templates)
        columns, blocks = [], []
        for (codes, Z), T, d in zip(groups, templates, feeds, strict=True):
            k = Z.shape[1]
            dense = np.zeros((D, N, (codes.max() + 1) * k))
            for a in range(k):
                dense[d, np.arange(N), codes * k + a] = Z[:, a]
            columns.append(dense)
            blocks.append(np.kron(np.eye(codes.max() + 1), T))
        self.Z = np.concatenate(columns, axis=2)
        self.Lambda = scipy.linalg.block_diag(*blocks)
        ZWZ = np.einsum("dnq,den,enr->qr", self.Z, self.W, self.Z, optimize=True)
        self.M = self.Lambda.T @ ZWZ @ self.Lambda + np.eye(len(self.Lambda))
        self.H = self.Lambda @ np.linalg.inv(self.M) @ self.Lambda.T


@pytest.fixture(
    params=[(name, D) for name in MODELS for D in SIZES], ids=lambda p: f"{p[0]}, {p[1]}", scope="module"
)
def case(request: Any) -> Case:
    name, D = request.param
    return Case(MODELS[name], D)


def test_determinant(case: Case) -> None:
    f = factorise(case.rows.statistics(case.W, case.right), case.factors)
    assert f.log_det_M == pytest.approx(np.linalg.slogdet(case.M)[1], abs=1e-10)


def test_effects_solve_the_weighted_system(case: Case) -> None:
    f = factorise(case.rows.statistics(case.W, case.right), case.factors)
    b = case.H @ np.einsum("dnq,dn->q", case.Z, case.right)
    expected = np.einsum("dnq,q->dn", case.Z, b)
    np.testing.assert_allclose(case.rows.varying(f.effects()), expected, atol=1e-10 * np.abs(expected).max())


def test_leverages_are_derivatives_of_the_determinant(case: Case) -> None:
    f = factorise(case.rows.statistics(case.W, case.right), case.factors)
    found = case.rows.leverages(f)
    # What counts is the sum of both elements of a pair of linear predictors.
    found = 0.5 * (found + found.swapaxes(0, 1))
    expected = np.einsum("dnq,qr,enr->den", case.Z, case.H, case.Z, optimize=True)
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_information_on_coefficients(case: Case) -> None:
    D = len(case.W)
    f = factorise(case.rows.statistics(case.W, case.right, population=True), case.factors)
    XX = scipy.linalg.block_diag(*[X] * D)
    W = np.block([[np.diag(case.W[d, e]) for e in range(D)] for d in range(D)])
    Z = np.concatenate(list(case.Z))
    expected = XX.T @ W @ XX - XX.T @ W @ Z @ case.H @ Z.T @ W @ XX
    np.testing.assert_allclose(f.rest[:-1, :-1], expected, atol=1e-9 * np.abs(expected).max())


def test_sparse_and_dense_forms_are_both_used() -> None:
    assert Case(MODELS["crossed"], 1).rows.entries is not None
    assert Case(MODELS["crossed threefold"], 1).rows.entries is None
