"""Laplace's approximation in JAX against its definition by dense algebra, and its gradient against differences."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from bayesmlm.inference.x64 import x64
from bayesmlm.marginal.effect_rows import GroupTerm, arrange
from bayesmlm.marginal.jax_effect_rows import by_factor
from bayesmlm.marginal.jax_evaluate import Sides
from bayesmlm.marginal.jax_laplace import LaplaceProblem, conditional, laplace, log_joint

from ..compiling import quickly

ROWS = 70

# terms: factor, effects, the linear predictors that these enter
CASES = {
    "one effect": [("g", (0,))],
    "three effects": [("g", (0, 0, 0))],
    "two terms of one factor": [("g", (0,)), ("g", (0, 0))],
    "nested three deep": [("g", (0,)), ("h", (0, 0)), ("k", (0,))],
    "crossed": [("g", (0, 0)), ("c", (0,))],
    "nested and crossed": [("g", (0,)), ("h", (0,)), ("c", (0, 0)), ("d", (0,))],
    "a level without rows": [("e", (0, 0))],
}
SEVERAL = {
    "one block of both predictors": [("g", (0, 1))],
    "crossed factors": [("g", (0,)), ("c", (1,))],
}


def poisson(y, eta, theta):
    """Terms, derivatives and minus second derivatives; the last two (D, n) and (D, D, n)."""
    mu = np.exp(eta[0])
    return y * eta[0] - mu, (y - mu)[None], mu[None, None]


def bernoulli(y, eta, theta):
    p = special.expit(eta[0])
    return y * eta[0] - np.logaddexp(0, eta[0]), (y - p)[None], (p * (1 - p))[None, None]


def student(y, eta, theta):
    """Not concave where a row lies far from its centre; ``theta``: log of the degrees of freedom."""
    nu, r = np.exp(theta), y - eta[0]
    terms = -(nu + 1) / 2 * np.log1p(r**2 / nu)
    W = (nu + 1) * (nu - r**2) / (nu + r**2) ** 2
    return terms, ((nu + 1) * r / (nu + r**2))[None], W[None, None]


def location_scale(y, eta, theta):
    r, precision = y - eta[0], np.exp(-2 * eta[1])
    square = r**2 * precision
    W = np.array([[precision, 2 * r * precision], [2 * r * precision, 2 * square]])
    return -0.5 * square - eta[1], np.array([r * precision, square - 1]), W


# In jax.numpy, the log density alone; rows of the arrangement, with their weights.
DENSITIES = {
    "poisson": lambda eta, y, theta: y * eta[0] - jnp.exp(eta[0]),
    "bernoulli": lambda eta, y, theta: y * eta[0] - jnp.logaddexp(0.0, eta[0]),
    "student": lambda eta, y, theta: (
        -(jnp.exp(theta) + 1) / 2 * jnp.log1p((y - eta[0]) ** 2 / jnp.exp(theta))
    ),
    "location_scale": lambda eta, y, theta: -0.5 * (y - eta[0]) ** 2 * jnp.exp(-2 * eta[1]) - eta[1],
}
BY_HAND = {
    "poisson": poisson,
    "bernoulli": bernoulli,
    "student": student,
    "location_scale": location_scale,
}


class Model:
    """A model with random data: its groups, its relative factors T, and its rows."""

    def __init__(self, terms, family, seed=0, scale=0.6):
        rng = np.random.default_rng(seed)
        g = np.concatenate([np.arange(12), rng.integers(0, 12, ROWS - 12)])
        codes = {
            "g": g,
            "h": g // 2,
            "k": g // 6,
            "c": rng.integers(0, 5, ROWS),
            "d": rng.integers(0, 3, ROWS),
        }
        codes["e"] = np.where(g == 5, 6, g)
        self.terms = []
        for name, predictors in terms:
            Z = rng.normal(size=(ROWS, len(predictors)))
            Z[:, 0] = 1.0
            levels = 12 if name == "e" else int(codes[name].max()) + 1
            self.terms.append(GroupTerm(codes[name], levels, Z, predictors))
        self.T = [scale * np.tril(rng.normal(size=(len(t.predictors),) * 2)) for t in self.terms]
        self.count = 1 + max(p for _, own in terms for p in own)
        self.base = rng.normal(size=(self.count, ROWS)) * 0.5
        self.weights = rng.uniform(0.3, 2.0, ROWS)
        self.theta = 0.7
        self.family = family
        y = {"poisson": rng.poisson(1.5, ROWS), "bernoulli": rng.integers(0, 2, ROWS)}
        self.y = y.get(family, 2 * rng.standard_t(2, size=ROWS)).astype(float)

    def problem(self):
        """What `laplace` takes: problem, and its arguments."""
        concave = self.family in ("poisson", "bernoulli")
        arrangement, rows, order, real = arrange(self.terms, concave=concave)
        density = DENSITIES[self.family]

        def log_density(eta, parameters, data):
            return density(eta + parameters["base"], data["y"], parameters["theta"]) * data["weights"]

        data = {"y": self.y[order], "weights": self.weights[order] * real}
        parameters = {"base": self.base[:, order], "theta": np.float64(self.theta)}
        plan = arrangement.plan
        start = Sides(
            tuple(np.zeros((f.size, f.levels)) for f in plan.chain),
            np.zeros(plan.width) if plan.width else None,
        )
        rest = rows, data, start, np.float64(1e-20)
        return LaplaceProblem(arrangement, log_density), parameters, self.factors(arrangement), rest

    def factors(self, arrangement):
        out = []
        for factor in arrangement.plan.factors:
            T = np.zeros((factor.size, factor.size, 1))
            for number, part in factor.terms:
                T[part, part, 0] = self.T[number]
            out.append(T)
        return tuple(out)

    def ZL(self):  # noqa: N802
        """(D, n, q): Z Lambda of every linear predictor; effects by term, level by level."""
        columns = []
        for term, T in zip(self.terms, self.T, strict=True):
            block = np.zeros((self.count, ROWS, term.levels, len(T)))
            for a, predictor in enumerate(term.predictors):
                block[predictor, np.arange(ROWS), term.codes] += term.Z[:, a, None] * T[a]
            columns.append(block.reshape(self.count, ROWS, -1))
        return np.concatenate(columns, axis=2)

    def derivatives(self, ZL, u):
        """f, its gradient and minus its Hessian at ``u``."""
        terms, s, W = BY_HAND[self.family](self.y, self.base + ZL @ u, self.theta)
        w = self.weights
        f = w @ terms - u @ u / 2
        gradient = np.einsum("dnq,dn->q", ZL, w * s) - u
        return f, gradient, np.einsum("dnq,den,enr->qr", ZL, w * W, ZL, optimize=True) + np.eye(len(u))

    def by_hand(self):
        """The definition: the mode by Newton's method on the dense Hessian, and log p at it."""
        ZL = self.ZL()
        u = np.zeros(ZL.shape[2])
        for _ in range(300):
            f, gradient, M = self.derivatives(ZL, u)
            values, vectors = np.linalg.eigh(M)
            step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 0.1))
            length = 1.0
            while self.derivatives(ZL, u + length * step)[0] < f - 1e-12 * abs(f):
                length /= 2
            u = u + length * step
            if np.abs(step).max() < 1e-13:
                break
        f, gradient, M = self.derivatives(ZL, u)
        assert np.abs(gradient).max() < 1e-9
        sign, log_det = np.linalg.slogdet(M)
        assert sign > 0
        assert np.linalg.eigvalsh(M)[0] > 0
        return f - log_det / 2, u


MODELS = [
    ("poisson", "one effect"),
    ("poisson", "two terms of one factor"),
    ("poisson", "nested three deep"),
    ("poisson", "nested and crossed"),
    ("bernoulli", "three effects"),
    ("bernoulli", "a level without rows"),
    ("student", "one effect"),
    ("student", "crossed"),
    ("location_scale", "one block of both predictors"),
    ("location_scale", "crossed factors"),
]


@pytest.mark.parametrize(("family", "name"), MODELS, ids=[": ".join(pair) for pair in MODELS])
def test_log_density_is_that_of_the_definition_and_its_gradient_that_of_differences(family, name):
    model = Model({**CASES, **SEVERAL}[name], family)
    expected, _ = model.by_hand()
    problem, parameters, factors, rest = model.problem()
    # Directions in which all parameters move together; T stays lower triangular.
    rng = np.random.default_rng(3)
    directions = [
        jax.tree.map(lambda leaf: rng.normal(size=np.shape(leaf)), (parameters, factors)) for _ in "12"
    ]
    for _, moves in directions:
        for move in moves:
            move *= np.tril(np.ones(move.shape[:2]))[:, :, None]

    def along(steps, rest):
        p, T = jax.tree.map(
            lambda a, first, second: a + steps[0] * first + steps[1] * second,
            (parameters, factors),
            *directions,
        )
        return laplace(problem, p, T, *rest)

    with x64():
        evaluate = quickly(jax.value_and_grad(along))
        value, gradient = evaluate(np.zeros(2), rest)
        assert float(value) == pytest.approx(expected, abs=1e-10 * (1 + abs(expected)))
        for axis in np.eye(2):
            near, far = (
                float(evaluate(h * axis, rest)[0]) - float(evaluate(-h * axis, rest)[0]) for h in (1e-3, 2e-3)
            )
            # The error of the differences: of the fourth order in the step, and rounding.
            assert float(gradient @ axis) == pytest.approx((8 * near - far) / 0.012, rel=1e-6, abs=1e-6)


def test_integral_over_one_effect_is_close():
    """One level, many rows: Laplace's relative error falls with their number (Tierney and Kadane 1986)."""
    errors = []
    for copies in (1, 16):
        model = Model([("g", (0,))], "poisson")
        codes = np.zeros(ROWS, int)
        model.terms = [GroupTerm(codes, 1, np.ones((ROWS, 1)), (0,))]
        model.T = [np.array([[0.8]])]
        model.weights = np.full(ROWS, copies / 10)
        problem, parameters, factors, rest = model.problem()
        with x64():
            value = float(jitted(problem)(parameters, factors, *rest))
        _, mode = model.by_hand()
        ZL = model.ZL()
        top = model.derivatives(ZL, mode)[0]

        def density(u, model=model, ZL=ZL, top=top):
            return np.exp(model.derivatives(ZL, np.array([u]))[0] - top)

        exact = np.log(
            integrate.quad(density, mode[0] - 12, mode[0] + 12, epsabs=0, epsrel=1e-10, limit=200)[0]
        )
        errors.append(abs(value - (top + exact - 0.5 * np.log(2 * np.pi))))
    assert errors[0] < 0.01
    assert errors[1] < errors[0] / 8


def jitted(problem):
    return quickly(partial(laplace, problem))


def test_neither_the_guess_nor_company_changes_the_mode():
    """Under vmap too, with guesses so far away that the density there is not finite."""
    model = Model(CASES["nested and crossed"], "poisson")
    problem, parameters, factors, rest = model.problem()
    rows, data, start, tolerance = rest
    rng = np.random.default_rng(0)
    distances = np.array([0.0, 0.5, 30.0, 1e6])
    starts = jax.tree.map(
        lambda u: distances.reshape(-1, *[1] * u.ndim) * rng.normal(size=(4, *u.shape)), start
    )
    with x64():
        several = quickly(
            jax.vmap(lambda s: laplace(problem, parameters, factors, rows, data, s, tolerance))
        )(starts)
    expected, _ = model.by_hand()
    np.testing.assert_allclose(several, expected, rtol=1e-11)


def test_normal_approximation_of_the_effects():
    """The density at its mode, M there, and the mean with the first term of skewness: by dense algebra."""
    model = Model(CASES["nested and crossed"], "bernoulli")
    _, mode = model.by_hand()
    problem, parameters, factors, rest = model.problem()
    u = sides(problem.arrangement, model.terms, mode)

    @quickly
    def evaluate(*arguments):
        found = conditional(problem, *arguments)
        return found, log_joint(problem, *arguments), by_factor(problem.arrangement, found.mean)

    with x64():
        found, joint, mean = jax.device_get(evaluate(parameters, factors, rest[0], rest[1], u))
    ZL = model.ZL()
    f, _, M = model.derivatives(ZL, mode)
    assert float(joint) == pytest.approx(f, rel=1e-12)
    assert float(found.value) == pytest.approx(f, rel=1e-12)
    assert float(found.elimination.log_det) == pytest.approx(np.linalg.slogdet(M)[1], rel=1e-10)
    p = special.expit(model.base[0] + ZL[0] @ mode)
    third = model.weights * p * (1 - p) * (1 - 2 * p)
    leverages = np.einsum("nq,nq->n", ZL[0], np.linalg.solve(M, ZL[0].T).T)
    expected = mode - np.linalg.solve(M, ZL[0].T @ (leverages * third)) / 2
    expected = by_factor(problem.arrangement, sides(problem.arrangement, model.terms, expected))
    for ours, theirs in zip(mean, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


def sides(arrangement, terms, effects):
    """Effects by term and level (q,) in the order of the plan."""
    stops = np.cumsum([term.levels * len(term.predictors) for term in terms])
    by_term = [
        part.reshape(t.levels, -1) for t, part in zip(terms, np.split(effects, stops[:-1]), strict=True)
    ]
    plan = arrangement.plan
    factors = [np.concatenate([by_term[number] for number, _ in f.terms], axis=1) for f in plan.factors]
    chain = tuple(own.T for own in factors[: len(plan.chain)])
    top = [own.reshape(-1) for own in factors[len(plan.chain) :]]
    return Sides(chain, np.concatenate(top) if top else None)


def test_no_mode_is_no_density():
    """A base that is not finite: minus infinity, and not a loop without end."""
    model = Model(CASES["one effect"], "poisson")
    problem, parameters, factors, rest = model.problem()
    with x64():
        value = jitted(problem)({**parameters, "base": parameters["base"] * np.nan}, factors, *rest)
    assert float(value) == -np.inf
