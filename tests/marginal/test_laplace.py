"""Laplace's approximation and quadrature against their definitions: dense algebra, optimisers, numerical integrals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.stats

from bayesmlm.families.registry import family
from bayesmlm.marginal.laplace import LaplaceModel, approximate, find_mode
from bayesmlm.marginal.make_kernel import make_kernel
from bayesmlm.marginal.plan import make_plan
from bayesmlm.marginal.quadrature import Quadrature
from bayesmlm.marginal.statistics import column_scales
from bayesmlm.marginal.weighted import make_weighted_rows

N = 120
RNG = np.random.default_rng(3)
G, H = RNG.integers(0, 12, N), RNG.integers(0, 7, N)
NESTED = np.unique(G * 3 + RNG.integers(0, 3, N), return_inverse=True)[1]
x = RNG.normal(size=N)
X, ONE = np.column_stack([np.ones(N), x]), np.ones((N, 1))
BETA = np.array([0.3, -0.4])
TRUTH = X @ BETA + RNG.normal(size=12)[G] + 0.5 * RNG.normal(size=7)[H]
WEIGHTS = RNG.uniform(0.5, 2.0, N)

GROUPS: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {
    "one effect": [(G, ONE)],
    "two effects": [(G, X)],
    "nested": [(NESTED, ONE), (G, X)],
    "crossed": [(G, X), (H, ONE)],
}
SUCCESSES, TRIALS = RNG.binomial(6, 1 / (1 + np.exp(-TRUTH))).astype(float), np.full(N, 6.0)
COUNTS = RNG.poisson(np.exp(TRUTH)).astype(float)
TIMES = RNG.gamma(3.0, np.exp(TRUTH) / 3.0)


class Model:
    """A model with coefficients and factors, as the engine has it and as dense matrices."""

    def __init__(
        self, groups: list[tuple[np.ndarray, np.ndarray]], kernel: Any, expected: bool, others: int = 0
    ) -> None:
        rng = np.random.default_rng(11)
        plan = make_plan([(codes, int(codes.max()) + 1, Z.shape[1]) for codes, Z in groups])
        scales = column_scales(plan, [Z for _, Z in groups], None, None)
        self.bases = [X, *[ONE] * others]
        # With further linear predictors, the last term belongs to the second of them.
        feeds = [1 if others and t == len(groups) - 1 and t else 0 for t in range(len(groups))]
        terms = [(Z, d) for (_, Z), d in zip(groups, feeds, strict=True)]
        rows = make_weighted_rows(plan, terms, scales, self.bases)
        self.offsets = np.zeros((1 + others, N))
        self.offsets[0] = 0.1 * x
        self.model = LaplaceModel(rows, kernel, self.offsets, expected)
        self.templates = [
            np.tril(0.4 * rng.normal(size=(Z.shape[1], Z.shape[1])) + 0.5 * np.eye(Z.shape[1]))
            for _, Z in groups
        ]
        self.coefficients = np.concatenate([BETA, *[np.array([0.2])] * others])
        columns, blocks = [], []
        for (codes, Z), T, d in zip(groups, self.templates, feeds, strict=True):
            k = Z.shape[1]
            dense = np.zeros((1 + others, N, (codes.max() + 1) * k))
            for a in range(k):
                dense[d, np.arange(N), codes * k + a] = Z[:, a]
            columns.append(dense)
            blocks.append(np.kron(np.eye(codes.max() + 1), T))
        self.Z = np.concatenate(columns, axis=2)
        self.Lambda = scipy.linalg.block_diag(*blocks)
        self.plan, self.scales = plan, scales

    def factors(self, templates: list[np.ndarray]) -> list[np.ndarray]:
        out = []
        for factor, scale in zip(self.plan.factors, self.scales, strict=True):
            whole = np.zeros((factor.size, factor.size))
            for number, part in factor.terms:
                whole[part, part] = templates[number]
            out.append(whole * scale[:, None])
        return out

    def fixed(self) -> np.ndarray:
        stops = np.cumsum([0, *(B.shape[1] for B in self.bases)])
        parts = [
            B @ self.coefficients[a:b] for B, a, b in zip(self.bases, stops[:-1], stops[1:], strict=True)
        ]
        return np.stack(parts) + self.offsets

    def eta(self, u: np.ndarray) -> np.ndarray:
        return self.fixed() + np.einsum("dnq,q->dn", self.Z, self.Lambda @ u)


def kernel_of(name: str, definition: str = "fisher", weights: Any = None) -> Any:
    y = {"binomial": SUCCESSES, "bernoulli": (SUCCESSES > 2).astype(float)}.get(name.split("(")[0], COUNTS)
    y = TIMES if name.startswith("Gamma") else y
    trials = TRIALS if name.startswith("binomial") else None
    return make_kernel(family(name), y, weights, trials, definition)


KERNELS = ["binomial", "binomial('cloglog')", "bernoulli", "poisson", "poisson('sqrt')"]


def by_definition(m: Model, log_density: Any, information: Any) -> float:
    """-2 log p(y | u*) + |u*|^2 + log|M| with u* from a general optimiser."""
    q = len(m.Lambda)
    ZL = np.einsum("dnq,qr->dnr", m.Z, m.Lambda)

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        eta = m.eta(u)
        local = m.model.kernel.local(eta)
        return -2 * log_density(eta) + u @ u, 2 * (u - np.einsum("dnq,dn->q", ZL, local.score))

    u = np.zeros(q)
    for _ in range(60):  # Newton's steps of a dense system
        eta = m.eta(u)
        local = m.model.kernel.local(eta)
        Hessian = np.einsum("dnq,den,enr->qr", ZL, local.observed, ZL, optimize=True) + np.eye(q)
        step = np.linalg.solve(Hessian, np.einsum("dnq,dn->q", ZL, local.score) - u)
        t = 1.0
        while objective(u + t * step)[0] > objective(u)[0] + 1e-12 and t > 1e-8:
            t /= 2
        u = u + t * step
    W = information(m.eta(u))
    M = np.einsum("dnq,den,enr->qr", ZL, W, ZL, optimize=True) + np.eye(q)
    return float(-2 * log_density(m.eta(u)) + u @ u + np.linalg.slogdet(M)[1])


def binomial_log_density(eta: np.ndarray) -> float:
    return float(scipy.stats.binom.logpmf(SUCCESSES, 6, 1 / (1 + np.exp(-eta[0]))).sum())


def poisson_log_density(eta: np.ndarray) -> float:
    return float(scipy.stats.poisson.logpmf(COUNTS, np.exp(eta[0])).sum())


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("response", ["binomial", "poisson"])
def test_value_is_the_definition(groups: str, response: str) -> None:
    m = Model(GROUPS[groups], kernel_of(response), True)
    density = {"binomial": binomial_log_density, "poisson": poisson_log_density}[response]

    def information(eta: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-eta[0]))
        return (6 * p * (1 - p) if response == "binomial" else np.exp(eta[0]))[None, None]

    found = approximate(m.model, m.factors(m.templates), m.coefficients)
    assert found.mode.converged
    assert found.value == pytest.approx(by_definition(m, density, information), abs=1e-10 * abs(found.value))


@pytest.mark.parametrize("shape", [0.5, 40.0])
def test_both_definitions_of_the_negative_binomial(shape: float) -> None:
    """Expected and observed information written down for NB2 with a log link (Hilbe 2011, sec. 8.2)."""
    for definition in ("fisher", "observed"):
        kernel = make_kernel(family("negbinomial"), COUNTS, None, None, definition)
        m = Model(GROUPS["crossed"], kernel, definition == "fisher", others=1)
        # The effects of both terms are mu's here.
        m.Z = np.stack([m.Z.sum(axis=0), 0 * m.Z[0]])
        rows = m.model.rows
        object.__setattr__(rows, "feeds", tuple((0,) * len(f) for f in rows.feeds))
        m.coefficients[-1] = np.log(shape)

        def density(eta: np.ndarray) -> float:
            return float(scipy.stats.nbinom.logpmf(COUNTS, shape, shape / (shape + np.exp(eta[0]))).sum())

        def information(eta: np.ndarray, definition: str = definition) -> np.ndarray:
            mu = np.exp(eta[0])
            W = np.zeros((2, 2, N))
            fisher = mu * shape / (mu + shape)
            W[0, 0] = fisher if definition == "fisher" else fisher * (COUNTS + shape) / (mu + shape)
            return W

        found = approximate(m.model, m.factors(m.templates), m.coefficients)
        assert found.value == pytest.approx(
            by_definition(m, density, information), abs=1e-9 * abs(found.value)
        )


def test_normal_responses_are_exact() -> None:
    """For a normal response Laplace's approximation is the multivariate normal density."""
    y = TRUTH + RNG.normal(size=N)
    m = Model(GROUPS["nested"], make_kernel(family("gaussian"), y), False, others=1)
    m.Z = np.stack([m.Z.sum(axis=0), 0 * m.Z[0]])
    object.__setattr__(m.model.rows, "feeds", tuple((0,) * len(f) for f in m.model.rows.feeds))
    ZL = m.Z[0] @ m.Lambda
    V = ZL @ ZL.T + np.exp(2 * 0.2) * np.eye(N)
    expected = -2 * scipy.stats.multivariate_normal.logpdf(y, m.fixed()[0], V)
    found = approximate(m.model, m.factors(m.templates), m.coefficients)
    assert found.value == pytest.approx(expected, abs=1e-9 * abs(expected))


def differences(function: Any, at: np.ndarray) -> np.ndarray:
    """Central differences, extrapolated once."""
    out = np.empty(len(at))
    for i in range(len(at)):
        step = np.zeros_like(at)
        step[i] = 1e-3
        fine, coarse = ((function(at + h * step) - function(at - h * step)) / (2e-3 * h) for h in (1.0, 2.0))
        out[i] = (4 * fine - coarse) / 3
    return out


def check_slopes(m: Model, evaluate: Any) -> None:
    """Derivatives by coefficients and by all elements of the factors."""
    base = m.factors(m.templates)

    def value(parameters: np.ndarray) -> float:
        factors, place = [], len(m.coefficients)
        for T in base:
            factors.append(parameters[place : place + T.size].reshape(T.shape))
            place += T.size
        return evaluate(factors, parameters[: len(m.coefficients)]).value

    at = np.concatenate([m.coefficients, *(T.ravel() for T in base)])
    slopes = evaluate(base, m.coefficients).slopes
    found = np.concatenate([slopes.coefficients, *(S.ravel() for S in slopes.factors)])
    np.testing.assert_allclose(found, differences(value, at), atol=2e-6 * np.abs(found).max())


def away_from_zero(m: Model) -> None:
    """With the link sqrt eta and -eta mean the same: effects have two modes unless the coefficients tell them apart."""
    m.coefficients = np.array([3.0, 0.2])
    m.templates = [0.2 * T for T in m.templates]


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("response", KERNELS)
@pytest.mark.parametrize("expected", [True, False], ids=["fisher", "observed"])
def test_slopes(groups: str, response: str, expected: bool) -> None:
    m = Model(GROUPS[groups], kernel_of(response, weights=WEIGHTS), expected)
    if "sqrt" in response:
        away_from_zero(m)
    check_slopes(m, lambda T, beta: approximate(m.model, T, beta))


@pytest.mark.parametrize("groups", ["two effects", "crossed"])
def test_slopes_where_the_dispersion_is_plugged_in(groups: str) -> None:
    """lme4's Gamma: the criterion is not what the mode maximises."""
    m = Model(GROUPS[groups], kernel_of("Gamma('log')"), True)
    check_slopes(m, lambda T, beta: approximate(m.model, T, beta))


@pytest.mark.parametrize("definition", ["fisher", "observed"])
def test_slopes_with_effects_in_two_parameters(definition: str) -> None:
    kernel = make_kernel(family("negbinomial"), COUNTS, None, None, definition)
    m = Model(GROUPS["crossed"], kernel, definition == "fisher", others=1)
    check_slopes(m, lambda T, beta: approximate(m.model, T, beta))


def test_coefficients_found_with_the_effects() -> None:
    """The joint mode is where the penalised scores of both vanish; its slopes are those of the criterion."""
    for groups in GROUPS.values():
        m = Model(groups, kernel_of("binomial"), True)
        factors = m.factors(m.templates)
        mode = find_mode(m.model, factors, np.zeros(2), joint=True, begin=m.model.kernel.start())
        assert np.abs(X.T @ mode.local.score[0]).max() < 1e-7
        found = approximate(m.model, factors, np.zeros(2), joint=True).slopes

        def value(parameters: np.ndarray, m: Model = m, factors: Any = factors) -> float:
            moved, place = [], 0
            for T in factors:
                moved.append(parameters[place : place + T.size].reshape(T.shape))
                place += T.size
            return approximate(m.model, moved, np.zeros(2), joint=True).value

        expected = differences(value, np.concatenate([T.ravel() for T in factors]))
        np.testing.assert_allclose(
            np.concatenate([S.ravel() for S in found.factors]), expected, atol=2e-6 * np.abs(expected).max()
        )


def test_no_variance_is_a_generalised_linear_model() -> None:
    m = Model(GROUPS["crossed"], kernel_of("poisson"), True)
    factors = [0 * T for T in m.factors(m.templates)]
    found = approximate(m.model, factors, m.coefficients)
    assert found.value == pytest.approx(-2 * poisson_log_density(m.fixed()), abs=1e-9)
    assert found.mode.penalty == 0.0


def test_quadrature_converges_to_the_integral() -> None:
    """Adaptive quadrature of one effect against scipy's integral, level by level."""
    m = Model(GROUPS["one effect"], kernel_of("binomial"), True)
    factors = m.factors(m.templates)
    sd = float(m.templates[0][0, 0])
    total = 0.0
    for level in range(12):
        rows = level == G

        def density(u: float, rows: np.ndarray = rows) -> float:
            p = 1 / (1 + np.exp(-(m.fixed()[0][rows] + sd * u)))
            return float(
                np.exp(scipy.stats.binom.logpmf(SUCCESSES[rows], 6, p).sum() + 50)
            ) * scipy.stats.norm.pdf(u)

        total += np.log(scipy.integrate.quad(density, -9, 9, epsabs=0, epsrel=1e-12, limit=200)[0]) - 50
    approximation = approximate(m.model, factors, m.coefficients)
    assert Quadrature(approximation, 1).value == pytest.approx(approximation.value, abs=1e-9)
    assert Quadrature(approximation, 60).value == pytest.approx(-2 * total, abs=1e-8)


@pytest.mark.parametrize("nodes", [2, 5, 25])
@pytest.mark.parametrize("response", ["binomial", "bernoulli", "poisson('sqrt')"])
def test_slopes_of_quadrature(nodes: int, response: str) -> None:
    m = Model([(G, x[:, None])], kernel_of(response, weights=WEIGHTS), True)
    if "sqrt" in response:
        away_from_zero(m)
    check_slopes(m, lambda T, beta: Quadrature(approximate(m.model, T, beta), nodes))
