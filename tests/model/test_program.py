"""The flat log density against NumPyro's own evaluation of the joint model, and against closed forms."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from numpyro.infer.util import potential_energy
from scipy import stats

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification

from ..compiling import quickly

MODELS = {
    "correlated": ("Reaction ~ Days + (Days | Subject)", "gaussian", "sleepstudy"),
    "uncorrelated": ("Reaction ~ Days + (Days || Subject)", "student", "sleepstudy"),
    "sigma": (
        bm.bf("Reaction ~ Days + (1 |p| Subject)", "sigma ~ Days + (1 |p| Subject)"),
        "gaussian",
        "sleepstudy",
    ),
    "binomial": ("incidence | trials(size) ~ period + (1 | herd)", "binomial", "cbpp"),
    "poisson": ("count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)", "poisson", "epilepsy"),
    "by": ("count ~ zAge + (1 + zBase | gr(patient, by = Trt))", "negbinomial", "epilepsy"),
    "no intercept": ("Reaction ~ 0 + Intercept + Days", "gaussian", "sleepstudy"),
}


def spec_of(name, prior=None):
    formula, family, data = MODELS[name]
    # NumPyro's function is written in standardised effects; other coordinates: test_parameterisation.py.
    design = prepare(formula, bm.load_dataset(data), family)
    return specification(design, prior, parameterisation="noncentred")


@pytest.mark.parametrize("name", MODELS)
def test_potential_is_that_of_the_numpyro_model_and_its_gradient_that_of_differences(name):
    spec = spec_of(name)
    structure = spec.structure

    @quickly
    def evaluate(q, data):
        theirs = potential_energy(structure.model, (data,), {}, structure.unravel(q))
        return *jax.value_and_grad(structure.potential)(q, data), theirs

    with jax.enable_x64(True):
        q = np.random.default_rng(1).normal(0, 0.3, structure.dimension)
        ours, _, theirs = evaluate(q, spec.data)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-12)
        q = np.random.default_rng(2).normal(0, 0.3, structure.dimension)
        gradient = np.asarray(evaluate(q, spec.data)[1])
        direction = np.random.default_rng(3).normal(size=q.size)
        h = 1e-6
        above, below = (evaluate(q + step * direction, spec.data)[0] for step in (h, -h))
    assert np.isfinite(gradient).all()
    assert (float(above) - float(below)) / (2 * h) == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-5)


def test_log_density_of_a_regression_in_closed_form():
    """y ~ 1 with known numbers: likelihood, prior on the centred intercept, half-t prior on sigma, Jacobian."""
    data = {"y": np.array([1.0, 2.5, 3.0, 4.5])}
    spec = specification(prepare("y ~ 1", data), bm.set_prior("normal(1, 2)", class_="Intercept"))
    intercept, log_sigma = 1.7, 0.4
    sigma = np.exp(log_sigma)
    scale = max(2.5, round(1.4826 * np.median(np.abs(data["y"] - np.median(data["y"]))), 1))
    expected = (
        stats.norm.logpdf(data["y"], intercept, sigma).sum()
        + stats.norm.logpdf(intercept, 1, 2)
        + stats.t.logpdf(sigma, 3, 0, scale)
        + np.log(2)
        + log_sigma
    )
    with jax.enable_x64(True):
        got = -float(quickly(spec.structure.potential)(np.array([intercept, log_sigma]), spec.data))
    assert got == pytest.approx(expected, rel=1e-13)


def test_rows_and_level_names_do_not_matter():
    """Permuting rows and renaming levels in the same order leaves the log density as it was."""
    data = bm.load_dataset("sleepstudy")
    order = np.random.default_rng(4).permutation(len(data))
    shuffled = data.iloc[order].reset_index(drop=True)
    densities = []
    for frame in (data, shuffled):
        spec = specification(prepare("Reaction ~ Days + (Days | Subject)", frame), None)
        with jax.enable_x64(True):
            q = np.random.default_rng(5).normal(0, 0.3, spec.structure.dimension)
            densities.append(float(quickly(spec.structure.potential)(q, spec.data)))
    assert densities[0] == pytest.approx(densities[1], rel=1e-12)


def test_compiled_code_depends_on_structure_only():
    """New values of data and prior constants leave the program's key as it was; a new distribution changes it."""
    data = bm.load_dataset("sleepstudy")
    other = data.assign(Reaction=data["Reaction"] * 2 + 1)

    def key(frame, prior=None):
        return specification(prepare("Reaction ~ Days + (Days | Subject)", frame), prior).program.key

    normal = bm.set_prior("normal(0, 10)", class_="b")
    assert key(data) == key(other)
    assert key(data, normal) == key(other, bm.set_prior("normal(1, 3)", class_="b"))
    assert key(data) != key(data, normal)
