"""Covariance structures of lme4 2.x: their factors, derivatives, and the models they make, against dense algebra."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.covariance import Autoregressive, CompoundSymmetry, Covariance, Diagonal, Unstructured
from bayesmlm.errors import FormulaError

from ..support import reference

STRUCTURES: list[Covariance] = [
    build(size, homogeneous)
    for build in (Diagonal, CompoundSymmetry, Autoregressive)
    for size in (1, 2, 4)
    for homogeneous in (False, True)
]
STRUCTURES += [Unstructured(size) for size in (1, 2, 4)]
every = pytest.mark.parametrize(
    "structure",
    STRUCTURES,
    ids=[f"{c.tag}-{c.size}-{len(c.start)}" for c in STRUCTURES],
)


def some_parameters(structure: Covariance) -> np.ndarray:
    """Away from every bound, and from the start."""
    rng = np.random.default_rng(structure.size)
    values = structure.start + rng.uniform(0.1, 0.6, len(structure.start))
    return np.clip(values, structure.lower + 0.05, structure.upper - 0.05)


def correlations(structure: Covariance, rho: float) -> np.ndarray:
    k = structure.size
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    return rho**distance if structure.tag == "ar1" else np.where(distance == 0, 1.0, rho)


@every
def test_covariance_matrix(structure: Covariance) -> None:
    parameters = some_parameters(structure)
    T = structure.factor(parameters)
    assert np.array_equal(T, np.tril(T))
    assert (np.diag(T) > 0).all()
    if structure.tag == "us":
        assert np.array_equal(T.T[np.triu_indices(structure.size)], parameters)
        return
    one_rho = structure.tag != "diag" and structure.size > 1
    sds = np.broadcast_to(parameters[: len(parameters) - one_rho], structure.size)
    R = correlations(structure, parameters[-1]) if one_rho else np.eye(structure.size)
    np.testing.assert_allclose(T @ T.T, sds[:, None] * R * sds, rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.3, 0.9])
def test_factors_that_lme4_documents(rho: float) -> None:
    """The entries of the Cholesky factors of correlations as lme4 2.x states them."""
    k, a = 4, 0.0
    T = CompoundSymmetry(k, True).factor(np.array([1.0, rho]))
    for j in range(k):
        assert T[j, j] == pytest.approx(np.sqrt(1 - rho**2 * a))
        np.testing.assert_allclose(T[j + 1 :, j], (rho - rho**2 * a) / T[j, j], atol=1e-12)
        a += (1 - rho * a) ** 2 / (1 - rho**2 * a)
    T = Autoregressive(k, True).factor(np.array([1.0, rho]))
    np.testing.assert_allclose(T[:, 0], rho ** np.arange(k), atol=1e-12)
    for j in range(1, k):
        np.testing.assert_allclose(T[j:, j], rho ** np.arange(k - j) * np.sqrt(1 - rho**2), atol=1e-12)


@every
def test_pullback(structure: Covariance) -> None:
    parameters = some_parameters(structure)
    weights = np.random.default_rng(3).normal(size=(structure.size, structure.size))
    found = structure.pullback(parameters, weights)
    for place in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[place] = 1e-6
        change = structure.factor(parameters + step) - structure.factor(parameters - step)
        assert found[place] == pytest.approx((change * weights).sum() / 2e-6, rel=1e-6, abs=1e-8)


@every
def test_scales_signs_and_neighbours(structure: Covariance) -> None:
    parameters = some_parameters(structure)
    T = structure.factor(parameters)
    scale = structure.common_scale(np.geomspace(0.1, 10.0, structure.size) * 3.0)
    np.testing.assert_allclose(structure.factor(structure.rescale(parameters, scale)), scale[:, None] * T)
    back = structure.rescale(structure.rescale(parameters, scale), 1.0 / scale)
    np.testing.assert_allclose(back, parameters)
    theta = structure.theta(parameters)
    entries = T.T[np.triu_indices(structure.size)]
    np.testing.assert_allclose(theta, parameters if structure.tag == "diag" else entries)
    again = structure.approximate(T @ T.T)
    np.testing.assert_allclose(structure.factor(again), T, rtol=1e-9, atol=1e-12)
    if structure.unsigned:
        S = structure.factor(structure.normalise(-parameters))
        np.testing.assert_allclose(S @ S.T, T @ T.T, rtol=1e-12)


@every
def test_boundary(structure: Covariance) -> None:
    inside = some_parameters(structure)
    assert not structure.is_singular(inside, 1e-4)
    edge = inside.copy()
    edge[np.flatnonzero(structure.lower == 0.0)[0]] = 0.0
    assert structure.is_singular(edge, 1e-4)
    if np.isfinite(structure.upper).any():
        for limit in (structure.lower[-1], structure.upper[-1]):
            assert structure.is_singular(np.append(inside[:-1], limit), 1e-4)
            assert np.isfinite(structure.factor(np.append(inside[:-1], limit))).all()


RNG = np.random.default_rng(8)
N = 160
DATA = pd.DataFrame(
    {
        "g": RNG.integers(0, 12, N).astype(str),
        "h": RNG.integers(0, 5, N).astype(str),
        "f": np.array(list("abc"))[RNG.integers(0, 3, N)],
        "x": RNG.normal(1.0, 2.0, N),
        "w": RNG.uniform(0.5, 2.0, N),
    }
)
DATA["y"] = (
    DATA["x"] + RNG.normal(size=12)[DATA["g"].astype(int)] * (1 + 0.3 * DATA["x"]) + RNG.normal(size=N)
)

MODELS = [
    "y ~ x + us(x | g)",
    "y ~ x + diag(x | g)",
    "y ~ x + diag(x | g, hom = TRUE)",
    "y ~ x + cs(0 + f | g)",
    "y ~ x + cs(0 + f | g, hom = TRUE)",
    "y ~ x + ar1(0 + f | g)",
    "y ~ x + ar1(0 + f | g, hom = FALSE)",
    "y ~ x + cs(x | g) + ar1(0 + f | h)",
    "y ~ x + diag(0 + f | g) + (1 | h)",
]


def dense_deviance(m: Any, parameters: np.ndarray, reml: bool) -> float:
    """-2 log (restricted) likelihood from the n x n covariance, beta and sigma at their best."""
    V, y, X = np.diag(1.0 / m.design.weights), m.design.y, m.design.X
    for term, at in zip(m.design.terms, m.problem.slices, strict=True):
        T = term.covariance.factor(parameters[at])
        same = term.codes[:, None] == term.codes[None, :]
        V += same * (term.Z @ T @ T.T @ term.Z.T)
    inverse = np.linalg.inv(V)
    XVX = X.T @ inverse @ X
    rest = y - X @ np.linalg.solve(XVX, X.T @ inverse @ y)
    degrees = len(y) - reml * X.shape[1]
    value = np.linalg.slogdet(V)[1] + degrees * (1 + np.log(2 * np.pi * (rest @ inverse @ rest) / degrees))
    return float(value + reml * np.linalg.slogdet(XVX)[1])


@pytest.mark.parametrize("formula", MODELS)
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_models_against_dense_algebra(formula: str, reml: bool) -> None:
    m = bm.lmer(formula, DATA, REML=reml, weights="w")
    rng = np.random.default_rng(4)
    lower, upper = m.problem.bounds
    for here in (m.parameters, np.clip(m.parameters + rng.uniform(0, 0.3, m.parameters.size), lower, upper)):
        assert m.criterion_at(here) == pytest.approx(dense_deviance(m, here, reml), abs=1e-7)
        evaluation = m.evaluation_at(here)
        gradient = evaluation.gradient()
        for place, (value, slope) in enumerate(zip(evaluation.parameters, gradient, strict=True)):
            step = np.zeros_like(gradient)
            step[place] = 1e-5
            if lower[place] < value - 1e-4 and value + 1e-4 < upper[place]:
                ends = [m.problem.evaluate(evaluation.parameters + s, reml).criterion for s in (step, -step)]
                assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-4)
    neighbours = [
        m.criterion_at(np.clip(m.parameters + d, lower, upper)) for d in rng.normal(0, 0.05, (20, len(lower)))
    ]
    assert min(neighbours) > m.criterion - 1e-9


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("us(x | g)", "(x | g)"),
        ("diag(x | g)", "(x || g)"),
        ("diag(0 + f | g)", "(0 + dummya | g) + (0 + dummyb | g) + (0 + dummyc | g)"),
        ("cs(x | g)", "(x | g)"),
        ("ar1(x | g, hom = FALSE)", "(x | g)"),
        ("cs(0 + f | g, hom = TRUE)", "(1 | g) + (1 | g:f)"),
    ],
)
def test_structures_that_are_others(one: str, other: str) -> None:
    """With two effects there is one correlation; equal correlations are a shared effect and one for each level."""
    data = DATA.assign(**{f"dummy{level}": (DATA["f"] == level).astype(float) for level in "abc"})
    found, expected = (bm.lmer(f"y ~ x + {term}", data).criterion for term in (one, other))
    assert found == pytest.approx(expected, abs=1e-6)


def test_autoregression_without_residuals_is_glmmTMBs() -> None:  # noqa: N802
    """glmmTMB's pure AR(1) model has a residual sd of 1e-4: ours at its estimates."""
    want = reference("glmmTMB_sleepstudy_ar1")["values"]
    m = bm.lmer(
        "Reaction ~ Days + ar1(0 + factor(Days) | Subject)",
        bm.load_dataset("sleepstudy"),
        REML=False,
        control={"check_nobs_vs_nRE": "ignore"},
    )
    assert -2.0 * want["logLik"] > m.criterion  # it is the same model with sigma fixed
    own = want["VarCorr"]["cond"]["Subject"]
    sigma = 1e-3 * own["sd"][0]
    evaluation = m.evaluation_at([own["sd"][0] / sigma, own["corr"][0][1]])
    # ours still has residuals, of a thousandth of that sd
    assert evaluation.deviance(sigma) == pytest.approx(-2.0 * want["logLik"], abs=2e-3)
    np.testing.assert_allclose(evaluation.beta, list(want["fixef"]["cond"].values()), rtol=1e-5)
    se = sigma * np.sqrt(np.diag(evaluation.vcov_unscaled))
    np.testing.assert_allclose(
        se, want["coef_tables"]["cond"]["Std. Error"], rtol=1e-3
    )  # theirs: of the joint Hessian


def test_names_and_tables() -> None:
    m = bm.lmer("y ~ x + cs(0 + f | g)", DATA)
    table = m.VarCorr()
    assert list(table["grp"]) == ["g"] * 6 + ["Residual"]
    assert np.ptp(table["sdcor"][3:6].astype(float)) < 1e-12  # one correlation
    assert m.npar == 2 + 4 + 1
    assert len(m.theta) == 6
    assert m.getME("theta").index[0] == "g.fa"
    assert "g" in str(m.summary())
    np.testing.assert_allclose(m.getME("Lambda").toarray()[:3, :3], m.templates[0])


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("cs(x, g)", "cs"),
        ("ar1(x | g, hom = 2)", "hom = TRUE or FALSE"),
        ("diag(x || g)", "write `diag(effects | group)`"),
    ],
)
def test_wrong_structures_are_refused(term: str, text: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(text)):
        bm.lmer(f"y ~ x + {term}", DATA)
