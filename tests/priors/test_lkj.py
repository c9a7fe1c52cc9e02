"""The LKJ prior of Cholesky factors against NumPyro's, and its bijector's Jacobian against autodiff."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import distributions as dist
from numpyro.distributions import biject_to

from bayesmlm.priors.lkj import LKJCholesky, lkj_constants


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("eta", [0.5, 1.0, 4.0])
def test_density_is_numpyros(size, eta):
    with jax.enable_x64(True):
        factor = dist.LKJCholesky(size, 2.0).sample(jax.random.key(size))
        ours = LKJCholesky(lkj_constants(eta, size), (size, size)).log_prob(factor)
        assert float(ours) == pytest.approx(float(dist.LKJCholesky(size, eta).log_prob(factor)), rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_jacobian_is_that_of_the_entries_below_the_diagonal(size):
    with jax.enable_x64(True):
        prior = LKJCholesky(lkj_constants(1.0, size), (size, size))
        transform = biject_to(prior.support)
        x = np.random.default_rng(size).normal(size=size * (size - 1) // 2)
        below = np.tril_indices(size, -1)
        jacobian = jax.jacobian(lambda x: transform(x)[below])(jnp.asarray(x))
        expected = np.linalg.slogdet(jacobian)[1]
        assert float(transform.log_abs_det_jacobian(x, transform(x))) == pytest.approx(expected, rel=1e-12)


def test_two_matrices_at_once_and_extreme_values():
    with jax.enable_x64(True):
        both = LKJCholesky(lkj_constants(2.0, 3), (2, 3, 3))
        one = LKJCholesky(lkj_constants(2.0, 3), (3, 3))
        transform = biject_to(both.support)
        x = np.random.default_rng(1).normal(size=(2, 3))
        factors = transform(x)
        assert float(both.log_prob(factors)) == pytest.approx(
            sum(float(one.log_prob(f)) for f in factors), rel=1e-12
        )
        assert both.sample(jax.random.key(0)).shape == (2, 3, 3)

        def density(x):
            return jnp.sum(transform.log_abs_det_jacobian(x, transform(x)))

        assert np.isfinite(jax.grad(density)(np.array([[30.0, -40.0, 0.0]] * 2))).all()
