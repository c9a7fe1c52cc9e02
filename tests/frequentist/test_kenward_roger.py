"""Kenward and Roger's method: pbkrtest's values, and the paper's formulas with matrices of all observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import block_diag

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError
from bayesmlm.frequentist import level_blocks
from bayesmlm.frequentist.fit import MixedFit
from tests.frequentist.fixed_references import MODELS, QUIET, agree, fitted, small_data, table
from tests.support import reference


@pytest.mark.parametrize("name", [m for m in MODELS if "kenward_roger_coef" in reference(m)["values"]])
def test_tables_and_covariances_are_pbkrtests(name: str) -> None:
    values = reference(name)["values"]
    found, expected = fitted(name).coef_table("kenward-roger"), table(values["kenward_roger_coef"])
    # where lme4's default optimum is
    agree(found[["df"]], expected[["df"]], df=1e-4)
    agree(found[["Std. Error"]], expected[["Std. Error"]], rest=1e-3)
    adjusted = np.array(values["kenward_roger_vcovAdj"]["values"]).reshape(len(found), -1)
    size = np.sqrt(np.diag(adjusted))
    gap = (fitted(name).vcov(adjusted=True).to_numpy() - adjusted) / np.outer(size, size)
    assert np.abs(gap).max() < 1e-3


def directions(m: MixedFit) -> list[np.ndarray]:
    """dV/d parameter (n, n) for each variance parameter of each term, by central differences, and W^-1."""
    out = []
    for term, T in zip(m.design.terms, m.templates, strict=True):
        Z = np.zeros((m.n, term.count))
        for a in range(term.size):
            Z[np.arange(m.n), term.codes * term.size + a] = term.Z[:, a]
        for small in natural_slopes(term.covariance, m.sigma**2 * T @ T.T):
            out.append(Z @ block_diag(*[small] * len(term.levels)) @ Z.T)
    return [*out, np.diag(1.0 / m.getME("weights"))]


def natural_slopes(covariance: Any, S: np.ndarray) -> list[np.ndarray]:
    k, unit = len(S), np.eye(len(S))
    if covariance.tag == "us":
        pairs = [(a, b) for a in range(k) for b in range(a + 1)]
        return [
            np.where(np.outer(unit[a], unit[b]) + np.outer(unit[b], unit[a]) > 0, 1.0, 0.0) for a, b in pairs
        ]
    homogeneous = bool(covariance.homogeneous)
    if covariance.tag == "diag":
        return [unit] if homogeneous else [np.outer(row, row) for row in unit]
    sds, rho = np.sqrt(np.diag(S)), S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])
    distance = np.abs(np.subtract.outer(range(k), range(k)))

    def made(parameters: np.ndarray) -> np.ndarray:
        scale = np.broadcast_to(parameters[:-1], k)
        power = distance if covariance.tag == "ar1" else (distance > 0).astype(int)
        return np.outer(scale, scale) * parameters[-1] ** power

    start = np.append(sds[:1] if homogeneous else sds, rho)
    steps = 1e-5 * np.eye(len(start))
    return [(made(start + h) - made(start - h)) / 2e-5 for h in steps]


def dense(m: MixedFit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Adjusted covariance, and what tests need: unadjusted one, P_r, W (Halekoh and Hojsgaard 2014, sec. 2)."""
    root = m.getME("Z").toarray() @ m.getME("Lambda").toarray()
    V = m.sigma**2 * (np.diag(1.0 / m.getME("weights")) + root @ root.T)
    X, inverse, G = m.design.X, np.linalg.inv(V), directions(m)
    phi = np.linalg.inv(X.T @ inverse @ X)
    SG = [inverse @ g for g in G]
    P = np.array([-X.T @ A @ inverse @ X for A in SG])
    Q = np.array([[X.T @ A @ B @ inverse @ X for B in SG] for A in SG])
    information = np.array(
        [
            [
                np.trace(A @ B) - 2 * np.trace(phi @ Q[r, s]) + np.trace(phi @ P[r] @ phi @ P[s])
                for s, B in enumerate(SG)
            ]
            for r, A in enumerate(SG)
        ]
    )
    W = 2.0 * np.linalg.inv(information)
    U = sum(W[r, s] * (Q[r, s] - P[r] @ phi @ P[s]) for r in range(len(G)) for s in range(len(G)))
    return phi + 2.0 * phi @ U @ phi, phi, P, W


def dense_test(m: MixedFit, L: np.ndarray) -> tuple[float, float]:
    """F and its denominator degrees of freedom, by the steps of the paper."""
    adjusted, phi, P, W = dense(m)
    q = len(L)
    theta = L.T @ np.linalg.solve(L @ phi @ L.T, L)
    parts = [theta @ phi @ p @ phi for p in P]
    A1 = sum(W[r, s] * np.trace(a) * np.trace(b) for r, a in enumerate(parts) for s, b in enumerate(parts))
    A2 = sum(W[r, s] * np.trace(a @ b) for r, a in enumerate(parts) for s, b in enumerate(parts))
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    mean, variance = 1 / (1 - A2 / q), 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * mean**2)
    ddf = 4 + (q + 2) / (q * rho - 1)
    b = L @ m.beta
    return ddf / (mean * (ddf - 2)) * b @ np.linalg.solve(L @ adjusted @ L.T, b) / q, ddf


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "weights": ("y ~ a * x + (1 | g)", {"weights": "w"}),
    "crossed_slopes_weights": ("y ~ a + x + (x | g) + (1 | h)", {"weights": "w"}),
    "nested": ("y ~ a + x + (1 | g / h)", {}),
    "two_terms_of_one_factor": ("y ~ x + (1 | g) + (0 + x | g)", {}),
    "compound_symmetry": ("y ~ x + cs(0 + b | g, hom = TRUE)", {}),
    "compound_symmetry_variances": ("y ~ x + cs(0 + b | g)", {}),
    "autoregressive": ("y ~ x + ar1(0 + b | g)", {}),
    "equal_variances": ("y ~ a + diag(0 + b | g, hom = TRUE)", {"weights": "w"}),
    "offset_no_intercept": ("y ~ 0 + a + offset(x) + diag(1 + x | g)", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_blocks_give_what_all_observations_give(name: str) -> None:
    formula, arguments = CASES[name]
    data = small_data()
    # group differences by b, so that no variance is estimated at zero
    shift = np.random.default_rng(3).normal(size=(9, 3)) @ np.array([[1.0, 0.6, 0.3], [0, 1, 0.5], [0, 0, 1]])
    data = data.assign(y=data.y + shift[data.g.astype(int) - 1, data.b.astype(int) - 1])
    m = bm.lmer(formula, data, control=QUIET, **arguments)
    assert not m.is_singular
    adjusted, *_ = dense(m)
    np.testing.assert_allclose(m.vcov(adjusted=True), adjusted, rtol=1e-6, atol=1e-9)
    for L in (np.eye(m.p)[-1:], np.eye(m.p)[1:] - 0.3 * np.eye(m.p)[:-1]):
        found = m.contest(L, ddf="kenward-roger").iloc[0]
        assert (found["F value"], found["DenDF"]) == pytest.approx(dense_test(m, L), rel=1e-6)


def test_a_maximum_likelihood_fit_is_refused_with_the_remedy() -> None:
    m = fitted("lmer_sleepstudy_slope_ML")
    for call in (m.coef_table, lambda ddf: m.anova(ddf=ddf), lambda ddf: m.vcov(adjusted=True)):
        with pytest.raises(BayesmlmError, match=r"m.update\(REML=True\)"):
            call("kenward-roger")


def test_comparing_maximum_likelihood_fits_refits_by_reml_and_says_so(capsys: pytest.CaptureFixture) -> None:
    m, reml = fitted("lmer_sleepstudy_slope_ML"), fitted("lmer_sleepstudy_slope_REML")
    np.testing.assert_allclose(m.kr_modcomp({"Days": 1}), reml.kr_modcomp({"Days": 1}), rtol=1e-6)
    assert "by REML" in capsys.readouterr().err


def test_too_many_connected_effects_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    m = bm.lmer("y ~ x + (1 | g) + (1 | h)", small_data())
    monkeypatch.setattr(level_blocks, "MOST_CELLS", 1000)
    with pytest.raises(BayesmlmError, match=r"14 group effects.*Satterthwaite"):
        m.coef_table("kenward-roger")
