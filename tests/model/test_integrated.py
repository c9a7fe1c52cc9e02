"""The density without group effects against dense algebra, and what is said about it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.bayes import prepare, sampler_settings, specification
from bayesmlm.inference.x64 import x64
from bayesmlm.model import integrate
from bayesmlm.model.initial import initial_values
from bayesmlm.model.integrate import columns_of

from ..compiling import quickly

ROWS = 60

# formula, family, how it is evaluated, blocks integrated
MODELS = {
    "two effects": ("y ~ x + (x | g)", "gaussian", "statistics", 1),
    "uncorrelated": ("y ~ x + (x || g)", "gaussian", "statistics", 1),
    "two terms of one factor": ("y ~ x + (1 | g) + (0 + x | g)", "gaussian", "statistics", 2),
    "joined by an ID": ("y ~ x + (1 | a | g) + (0 + x | a | g)", "gaussian", "statistics", 1),
    "nested": ("y ~ x + (x | h) + (1 | h:g)", "gaussian", "statistics", 2),
    "crossed": ("y ~ x + (1 | g) + (x | c)", "gaussian", "statistics", 2),
    "covariance by level": ("y ~ x + (x | gr(g, by = h))", "gaussian", "statistics", 1),
    "weights": ("y | weights(w) ~ x + (x | g) + (1 | c)", "gaussian", "statistics", 2),
    "offset, no coefficients": ("y ~ 0 + offset(o) + (1 | g)", "gaussian", "statistics", 1),
    "no centring": ("y ~ 0 + Intercept + x + (x | g)", "gaussian", "statistics", 1),
    "dependent columns": ("y ~ x + I(2 * x) + I(0 * x) + (1 | g)", "gaussian", "statistics", 1),
    "lognormal, weights": ("exp(y) | weights(w) ~ x + (x | g)", "lognormal", "statistics", 1),
    "fixed sigma": (("y ~ x + (1 | g)", "sigma = 0.7"), "gaussian", "statistics", 1),
    "predicted sigma": (("y | weights(w) ~ x + (x | g) + (1 | c)", "sigma ~ x"), "gaussian", "precision", 2),
    "effects in sigma": (("y ~ x + (x | h) + (1 | h:g)", "sigma ~ x + (1 | c)"), "gaussian", "precision", 2),
    "a block of mu and sigma": (
        ("y ~ x + (1 | a | g) + (1 | c)", "sigma ~ (1 | a | g)"),
        "gaussian",
        "precision",
        1,
    ),
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    g, c = rng.integers(0, 9, ROWS), rng.integers(0, 4, ROWS)
    x, w = rng.normal(size=ROWS), rng.uniform(0, 2, ROWS)
    w[:3] = 0.0
    y = 2 + x + rng.normal(size=9)[g] + rng.normal(size=ROWS)
    names = {"g": [f"g{i}" for i in g], "h": [f"h{i // 3}" for i in g], "c": [f"c{i}" for i in c]}
    return pd.DataFrame({"y": y, "x": x, "w": w, "o": rng.normal(size=ROWS), **names})


def specify(frame, formula, family="gaussian", **arguments):
    if isinstance(formula, tuple):
        main, other = formula
        formula = bm.bf(main, other) if "~" in other else bm.bf(main, sigma=float(other.split("=")[1]))
    return specification(prepare(formula, frame, family), None, **arguments)


def evaluator(spec):
    """The program's density at ``q`` and ``q`` by way of its unconstrained values and back; of the joint structure
    there: log prior with Jacobian, parameters without the integrated effects, and factors of these' covariances."""
    program = spec.program
    structure, rest = program.structure, program.structure.rest

    @quickly
    def evaluate(q, data, joint_data):
        unconstrained = structure.unconstrained(q, data)
        values, log_priors, jacobian = rest.transformed(unconstrained, data)
        zeros = {f"r_{b.site}": jnp.zeros((b.levels, b.size)) for b in structure.blocks}
        everything = {**rest.with_effects(values, data), **zeros}
        joint = {
            "log_prior": jacobian + sum(log_priors.values()),
            "parameters": spec.structure.parameters(everything, joint_data["design"]),
            "factors": [block.factors(values) for block in structure.blocks],
        }
        return structure.potential(q, data), structure.whiten(unconstrained, data), joint

    return lambda q: jax.device_get(evaluate(q, program.data, spec.data))


def by_hand(spec, log_prior, parameters, factors):
    """From what `evaluator` gives of the joint structure: minus the log posterior density with the effects integrated
    out by dense algebra, and the conditional mean and covariance of all integrated effects (site by site, level by
    level)."""
    marginal, data = spec.marginal.structure, spec.data
    n = spec.design.n
    sigma = np.broadcast_to(parameters["sigma"], n)
    lognormal = spec.design.family.name == "lognormal"
    y = np.log(data["y"]) if lognormal else data["y"]
    e = y - parameters["eta"]
    ZC, C = [], []
    for number, block, own_factors in zip(spec.integration.blocks, marginal.blocks, factors, strict=True):
        own = spec.design.blocks[number]
        of_level = data["by"][block.site] if block.by_count > 1 else np.zeros(block.levels, int)
        for j in range(block.levels):
            ZC.append(columns_of(spec.design, number) * (own.codes == j)[:, None])
            C.append(own_factors[of_level[j]] @ own_factors[of_level[j]].T)
    Z = np.concatenate(ZC, axis=1)
    G = np.zeros((Z.shape[1], Z.shape[1]))
    start = 0
    for block in C:
        G[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    w = np.asarray(data.get("weights", np.ones(n)))
    precision = np.linalg.inv(G) + Z.T @ (Z * (w / sigma**2)[:, None])
    covariance = np.linalg.inv(precision)
    mean = covariance @ Z.T @ (e * w / sigma**2)
    # The integral of exp(quadratic) around its maximum; weights multiply the log density of each row.
    rest = e - Z @ mean
    terms = -0.5 * np.log(2 * np.pi) - np.log(sigma) - 0.5 * (rest / sigma) ** 2 - (y if lognormal else 0.0)
    log_likelihood = w @ terms - 0.5 * mean @ np.linalg.solve(G, mean)
    log_likelihood -= 0.5 * (np.linalg.slogdet(G)[1] + np.linalg.slogdet(precision)[1])
    return -(float(log_prior) + log_likelihood), mean, covariance


@pytest.mark.parametrize("name", MODELS)
def test_density_and_conditional_effects_are_those_of_dense_algebra(name, frame):
    formula, family, form, count = MODELS[name]
    spec = specify(frame, formula, family)
    assert (spec.integration.form, len(spec.integration.blocks)) == (form, count)
    check(spec)


def check(spec):
    program, evaluate = spec.program, evaluator(spec)
    with x64():
        for seed in range(2):
            q = np.random.default_rng(seed).uniform(-1, 1, program.dimension)
            density, back, joint = evaluate(q)
            expected, mean, covariance = by_hand(spec, **joint)
            assert float(density) == pytest.approx(expected, rel=1e-9)
            count = program.structure.coefficients
            np.testing.assert_allclose(back[:count], q[:count], atol=1e-8)
        check_draws(program, q, mean, covariance)


def check_draws(program, q, mean, covariance):
    """4000 draws of the effects: mean and variances of each, and of their sum, within four standard errors."""
    structure, count = program.structure, 4000
    numbers = np.stack([np.zeros(count), np.arange(count)], axis=1).astype(np.int32)

    @quickly
    @partial(jax.vmap, in_axes=(None, 0, None))
    def draw(q, number, data):
        drawn = structure.draw(q, number, 5, data)
        return jnp.concatenate([drawn[f"r_{b.site}"].reshape(-1) for b in structure.blocks])

    b = np.asarray(draw(q, numbers, program.data))
    spread = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(b.mean(0) - mean) < 4.5 * spread / np.sqrt(count))
    assert np.all(np.abs(b.var(0) / spread**2 - 1) < 4.5 * np.sqrt(2 / count))
    direction = np.random.default_rng(0).normal(size=len(mean))
    variance = direction @ covariance @ direction
    assert np.var(b @ direction) == pytest.approx(variance, rel=4.5 * np.sqrt(2 / count))


# formula, family, further arguments, what print(fit.spec) says of the first and of the second block
REASONS = {
    "nothing to say": ("y ~ x + (x | g)", "gaussian", {}, ["integrated out, drawn exactly after sampling"]),
    "turned off": ("y ~ (1 | g)", "gaussian", {"marginalize": False}, ["marginalize=False"]),
    "no likelihood": (
        "y ~ (1 | g)",
        "gaussian",
        {"sample_prior": "only"},
        ["leaves no likelihood to integrate"],
    ),
    "family": ("y ~ (1 | g)", "student", {}, ["the student likelihood is not normal in the effects"]),
    "link": (
        "exp(y) ~ (1 | g)",
        "gaussian(log)",
        {},
        ["with the link log the mean is not linear in the effects"],
    ),
    "sigma": (
        ("y ~ (1 | g)", "sigma ~ (1 | c)"),
        "gaussian",
        {},
        ["integrated out, drawn", "its effects enter sigma, not mu"],
    ),
    "shared": (("y ~ (1 |a| g)", "sigma ~ (1 |a| g)"), "gaussian", {}, ["enter mu and sigma, not mu alone"]),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_printed_model_says_what_is_integrated_and_why_not(name, frame):
    formula, family, arguments, said = REASONS[name]
    formula = bm.bf(*formula) if isinstance(formula, tuple) else formula
    spec = specification(prepare(formula, frame, family), None, **arguments)
    lines = [line for line in str(spec).splitlines() if "integrate" in line]
    assert len(lines) == len(spec.design.blocks)
    assert all(words in line for words, line in zip(said, lines, strict=True))


def test_factors_that_are_crossed_on_a_large_scale_stay_sampled(frame, monkeypatch):
    monkeypatch.setattr(integrate, "LARGEST_DENSE", 3)
    spec = specify(frame, "y ~ x + (1 | g) + (1 | c)")
    assert spec.integration.blocks == (1,)
    assert spec.integration.form == "residual"
    assert "`c` is crossed with `g`, and their joint matrix would be dense and of size 4, more than 3" in str(
        spec
    )


def test_density_given_the_effects_that_are_kept(frame, monkeypatch):
    monkeypatch.setattr(integrate, "LARGEST_DENSE", 3)
    check(specify(frame, "y | weights(w) ~ x + (x | g) + (1 | c)"))


def test_chains_start_where_init_says(frame):
    start = {"Intercept": 1.5, "b": [-0.5], "sd_g": [0.5, 2.0], "sigma": 3.0}
    spec = specify(frame, "y ~ x + (x | g)")
    settings = initial_values(spec, sampler_settings(1, 20, None, 1, None, 1, None), start)
    with x64():
        values = quickly(spec.program.constrain)(settings.init[0], spec.program.data)
    for name, expected in start.items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-10)


def test_program_without_rows_holds_none(frame):
    large = pd.concat([frame] * 20, ignore_index=True)
    leaves = jax.tree.leaves(specify(large, "y ~ x + (x | g)").program.data)
    assert max(np.size(leaf) for leaf in leaves) < 100
