"""The LKJ prior of Cholesky factors against NumPyro's, and its bijector's Jacobian against autodiff."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import distributions as dist
from numpyro.distributions import biject_to

from bayesmlm.priors.lkj import LKJCholesky, draw_correlations, lkj_constants

from ..compiling import quickly


@quickly
def densities(constants, factor):
    """Ours and NumPyro's."""
    theirs = dist.LKJCholesky(len(factor), constants["eta"])
    return LKJCholesky(constants, factor.shape).log_prob(factor), theirs.log_prob(factor)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("eta", [0.5, 1.0, 4.0])
def test_density_is_numpyros(size, eta):
    factor = np.linalg.cholesky(draw_correlations(2.0, size, np.random.default_rng(size), 1)[0])
    with jax.enable_x64(True):
        ours, theirs = densities(lkj_constants(eta, size), factor)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_jacobian_is_that_of_the_entries_below_the_diagonal(size):
    transform = biject_to(LKJCholesky(lkj_constants(1.0, size), (size, size)).support)
    below = np.tril_indices(size, -1)

    @quickly
    def evaluate(x):
        jacobian = jax.jacobian(lambda x: transform(x)[below])(x)
        return jacobian, transform.log_abs_det_jacobian(x, transform(x))

    with jax.enable_x64(True):
        jacobian, log_determinant = evaluate(np.random.default_rng(size).normal(size=size * (size - 1) // 2))
        expected = np.linalg.slogdet(jacobian)[1]
        assert float(log_determinant) == pytest.approx(expected, rel=1e-12)


def test_two_matrices_at_once_and_extreme_values():
    both = LKJCholesky(lkj_constants(2.0, 3), (2, 3, 3))
    one = LKJCholesky(lkj_constants(2.0, 3), (3, 3))
    transform = biject_to(both.support)

    @quickly
    def evaluate(x, key):
        factors = transform(x)
        slope = jax.grad(lambda x: jnp.sum(transform.log_abs_det_jacobian(x, transform(x))))(x)
        return both.log_prob(factors), sum(one.log_prob(f) for f in factors), both.sample(key), slope

    with jax.enable_x64(True):
        key = jax.random.key(0)
        together, one_by_one, drawn, _ = evaluate(np.random.default_rng(1).normal(size=(2, 3)), key)
        assert float(together) == pytest.approx(float(one_by_one), rel=1e-12)
        assert drawn.shape == (2, 3, 3)
        slope = evaluate(np.array([[30.0, -40.0, 0.0]] * 2), key)[-1]
        assert np.isfinite(np.asarray(slope)).all()
