"""The density with group effects integrated by Laplace's approximation, against the joint density and dense algebra."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.errors import BayesmlmError
from bayesmlm.inference.x64 import x64
from bayesmlm.model import laplace_data

from ..compiling import quickly

ROWS = 60

MODELS = {
    "slopes, weights": ("count | weights(w) ~ x + (x | g)", "poisson"),
    "nested and crossed": ("count ~ x + (1 | h/k) + (1 | c)", "negbinomial"),
    "covariance by level, offset": ("y01 ~ x + offset(o) + (x | gr(k, by = h))", "bernoulli"),
    "shared by two parameters": (("y ~ x + (1 | a | g)", "sigma ~ (1 | a | g)"), "gaussian"),
    "effects of another parameter": (("count ~ x + (1 | g)", "shape ~ (1 | c)"), "negbinomial"),
    "not concave": ("y ~ (1 | g)", "student"),
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    g, c, k = rng.integers(0, 9, ROWS), rng.integers(0, 4, ROWS), rng.integers(0, 6, ROWS)
    x = rng.normal(size=ROWS)
    eta = 0.5 + 0.5 * x + 0.7 * rng.normal(size=9)[g]
    numbers = {
        "x": x,
        "w": rng.uniform(0, 2, ROWS) * (np.arange(ROWS) > 2),
        "o": rng.normal(size=ROWS),
        "y": eta + rng.normal(size=ROWS),
        "count": rng.poisson(np.exp(eta)),
        "y01": (rng.random(ROWS) < 1 / (1 + np.exp(-eta))).astype(int),
    }
    names = {"g": [f"g{i}" for i in g], "c": [f"c{i}" for i in c], "k": [f"k{i}" for i in k]}
    return pd.DataFrame({**numbers, **names, "h": [f"h{i % 3}" for i in k]})


def specify(frame, formula, family, **arguments):
    formula = bm.bf(*formula) if isinstance(formula, tuple) else formula
    return specification(prepare(formula, frame, family), None, laplace=True, **arguments)


def by_hand(spec, rest):
    """Minus the log density of the coordinates ``rest`` of all parameters but the effects, from the joint density: its
    mode over the standardised effects by Newton's method, and its Hessian there."""
    joint, data = spec.structure, spec.data

    @quickly
    def evaluate(z):
        """The potential, its gradient and its Hessian."""

        def slopes(z):
            value, gradient = jax.value_and_grad(lambda z: joint.potential(jnp.concatenate([rest, z]), data))(
                z
            )
            return gradient, (value, gradient)

        hessian, (value, gradient) = jax.jacfwd(slopes, has_aux=True)(z)
        return value, gradient, hessian

    z = np.zeros(joint.dimension - len(rest))
    value, gradient, hessian = jax.device_get(evaluate(z))
    for _ in range(100):
        values, vectors = np.linalg.eigh(hessian)
        step = -vectors @ (vectors.T @ gradient / np.maximum(np.abs(values), 0.1))
        while not (found := jax.device_get(evaluate(z + step)))[0] <= value + 1e-10:
            step /= 2
        z, (value, gradient, hessian) = z + step, found
        if np.abs(step).max() < 1e-11:
            break
    sign, log_det = np.linalg.slogdet(hessian)
    assert sign > 0
    # The constant of the effects' normal prior and that of the integral cancel.
    return float(value) - len(z) / 2 * np.log(2 * np.pi) + log_det / 2


@pytest.mark.parametrize("name", MODELS)
def test_density_is_that_of_the_joint_model_at_its_mode(name, frame):
    spec = specify(frame, *MODELS[name])
    program = spec.program
    data = {**program.data, "tolerance": np.float64(1e-20)}
    with x64():
        density = quickly(lambda rest, data: program.potential(program.structure.whiten(rest, data), data))
        rest = np.random.default_rng(0).uniform(-0.7, 0.7, program.dimension)
        assert float(density(rest, data)) == pytest.approx(by_hand(spec, rest), rel=1e-10)


def test_the_printed_model_says_so(frame):
    assert "integrated out by Laplace's approximation" in str(specify(frame, *MODELS["slopes, weights"]))
    exact = specify(frame, "y ~ x + (x | g)", "gaussian")
    assert "integrated out, drawn exactly" in str(exact)
    assert exact.algorithm("laplace") == "sampling"
    assert specify(frame, "count ~ x", "poisson").algorithm("laplace") == "sampling"


def test_what_cannot_be_approximated_is_refused_with_a_reason(frame, monkeypatch):
    with pytest.raises(BayesmlmError, match="leaves no likelihood to approximate"):
        specify(frame, "count ~ (1 | g)", "poisson", sample_prior="only")
    monkeypatch.setattr(laplace_data, "LARGEST_DENSE", 3)
    with pytest.raises(BayesmlmError, match="4 effects of `c` are crossed with `g`"):
        specify(frame, "count ~ (1 | g) + (1 | c)", "poisson")
