"""Several increasing vectors in one: the transformation against its definition and its own Jacobian."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import biject_to, constraints

from bayesmlm.priors.ordered_runs import ordered_runs

X = np.array([0.3, -1.0, 0.2, -2.0, 0.5])


def test_runs_increase_and_come_back():
    with jax.enable_x64(True):
        constraint = ordered_runs((3, 2))
        transform = biject_to(constraint)
        y = transform(jnp.asarray(X))
        expected = [0.3, 0.3 + np.exp(-1.0), 0.3 + np.exp(-1.0) + np.exp(0.2), -2.0, -2.0 + np.exp(0.5)]
        np.testing.assert_allclose(y, expected, rtol=1e-15)
        np.testing.assert_allclose(transform.inv(y), X, rtol=1e-13)
        jacobian = jax.jacfwd(transform)(jnp.asarray(X))
        np.testing.assert_allclose(
            transform.log_abs_det_jacobian(jnp.asarray(X), y), np.linalg.slogdet(jacobian)[1], rtol=1e-13
        )
        assert constraint(y)
        assert not constraint(jnp.array([0.0, 1.0, 0.5, 1.0, 2.0]))
        # The second vector may start below the end of the first.
        assert constraint(jnp.array([0.0, 1.0, 2.0, 1.0, 2.0]))
        assert constraint(constraint.feasible_like(y))


def test_one_run_is_numpyros_ordered_vector():
    with jax.enable_x64(True):
        ours, theirs = (
            biject_to(c)(jnp.asarray(X)) for c in (ordered_runs((5,)), constraints.ordered_vector)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)
