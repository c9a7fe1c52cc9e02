"""Logarithms of incomplete gamma and beta functions and of Student t tails, with derivatives, against 60 digits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

from bayesmlm.families import tails
from bayesmlm.families.quadrature import log_integral

from ..compiling import quickly
from ..support import reference, with_slow

SPECIAL = reference("real_families")["special"]


def error_of_log(ours: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The smaller of the relative error of the probability and that of its logarithm."""
    relative = np.abs(ours - exact) / np.maximum(np.abs(exact), 1e-300)
    return np.minimum(np.abs(ours - exact), relative)


@pytest.mark.parametrize("name", with_slow(SPECIAL, "log_student_tails"))
def test_tails_and_their_derivatives(name: str) -> None:
    rows = SPECIAL[name]
    arguments = np.array([row["arguments"] for row in rows], dtype=float)
    exact = np.array([row["tails"] for row in rows])
    slopes = np.array([row["slopes"] for row in rows])
    function = getattr(tails, name)

    def tails_and_slopes(point: jax.Array) -> tuple[jax.Array, jax.Array]:
        both, pull = jax.vjp(lambda point: jnp.stack(function(*point)), point)
        return both, jnp.stack([pull(row)[0] for row in jnp.eye(2)])

    with jax.enable_x64(True):
        ours, derivatives = map(np.asarray, quickly(jax.vmap(tails_and_slopes))(arguments))
    assert error_of_log(ours, exact).max() < 2e-11
    # A difference of log-gamma functions leaves eps in the logarithm of a tail near 1, which is as small as the shape.
    np.testing.assert_allclose(derivatives, slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [2e4, 1e8, 1e12])
def test_gamma_tails_of_a_large_shape(shape: float) -> None:
    x = shape + np.array([-4.0, -2.5, -0.3, 0.0, 1.0, 4.0]) * np.sqrt(shape)
    with jax.enable_x64(True):
        lower, upper = quickly(tails.log_incomplete_gamma)(shape, x)
    # x is rounded to eps x, that is to sqrt(shape) eps standard deviations.
    np.testing.assert_allclose(np.exp(lower), st.gamma.cdf(x, shape), rtol=1e-9)
    np.testing.assert_allclose(np.exp(upper), st.gamma.sf(x, shape), rtol=1e-9)


@pytest.mark.validate
@pytest.mark.parametrize(("a", "b"), [(2e4, 3e4), (1e8, 1e8), (2e4, 1e9), (1e9, 2e4), (5.0, 1e8)])
def test_beta_tails_of_large_shapes(a: float, b: float) -> None:
    x = st.beta.ppf([1e-12, 1e-3, 0.3, 0.6, 0.99], a, b)
    with jax.enable_x64(True):
        lower, upper = jax.jit(tails.log_incomplete_beta)(a, b, x)
    # 1 - x is rounded to eps, that is to eps times the slope of the distribution function.
    slope = st.beta.pdf(x, a, b) * np.finfo(float).eps
    np.testing.assert_array_less(
        np.abs(np.exp(lower) - st.beta.cdf(x, a, b)), 2e-9 * st.beta.cdf(x, a, b) + slope
    )
    np.testing.assert_array_less(
        np.abs(np.exp(upper) - st.beta.sf(x, a, b)), 2e-9 * st.beta.sf(x, a, b) + slope
    )


def test_a_complement_known_to_more_digits() -> None:
    """Negative binomial of nearly Poisson counts: P(Y = 0) = x^size with x = 1 - 1e-12 rounded to four digits."""
    size, mean = 1e12, 1.0
    with jax.enable_x64(True):
        x, y = size / (size + mean), mean / (size + mean)
        lower, upper = quickly(tails.log_incomplete_beta)(size, 1.0, x, y)
    assert float(lower) == pytest.approx(-1.0, rel=1e-11)
    assert float(upper) == pytest.approx(np.log(-np.expm1(-1.0)), rel=1e-11)


def test_far_out_and_at_the_ends() -> None:
    with jax.enable_x64(True):
        lower, upper = map(
            np.asarray, quickly(tails.log_incomplete_gamma)(2.0, np.array([-1.0, 0.0, 1e6, np.inf, 0.0, 0.0]))
        )
        np.testing.assert_array_equal(lower[[0, 1, 3]], [-np.inf, -np.inf, 0.0])
        np.testing.assert_array_equal(upper[[0, 1, 3]], [0.0, 0.0, -np.inf])
        assert upper[2] == pytest.approx(-1e6 + np.log1p(1e6), rel=1e-15)
        lower, upper = map(
            np.asarray,
            quickly(tails.log_incomplete_beta)(2.0, 3.0, np.array([-1.0, 0.0, 1e-200, 1.0, 2.0])),
        )
        np.testing.assert_array_equal(lower[[0, 1, 3, 4]], [-np.inf, -np.inf, 0.0, 0.0])
        np.testing.assert_array_equal(upper, [0.0, 0.0, 0.0, -np.inf, -np.inf])
        assert lower[2] == pytest.approx(2 * np.log(1e-200) + np.log(6), rel=1e-14)


def test_log_gamma_of_one_plus() -> None:
    x = np.array([0.0, 1e-12, 1e-5, 0.3, 0.499, 0.5, 0.7, 3.0, 40.0])
    exact = np.where(
        x < 1e-4, x * (-np.euler_gamma + x * (np.pi**2 / 12 - x * sp.zeta(3) / 3)), sp.gammaln(1 + x)
    )
    with jax.enable_x64(True):
        ours = np.asarray(quickly(tails.log_gamma_of_one_plus)(x))
    np.testing.assert_allclose(ours, exact, rtol=2e-12)


def exponential(s: jax.Array, rate: jax.Array) -> tuple[jax.Array, tuple[jax.Array]]:
    return -rate * s, (-s,)


def test_an_integral_and_its_derivatives_of_two_orders() -> None:
    """log of (1 - exp(-rate end)) / rate."""
    end, rate = 1.3, 2.0

    def exact(end: jax.Array, rate: jax.Array) -> jax.Array:
        return jnp.log(-jnp.expm1(-rate * end) / rate)

    with jax.enable_x64(True):
        found = []
        for f in (log_integral(exponential), exact):
            orders = [quickly(derivative(f, (0, 1))) for derivative in (jax.value_and_grad, jax.hessian)]
            found.append([order(end, rate) for order in orders])
    (ours, *derivatives), (plain, *others) = (jax.tree.leaves(orders) for orders in found)
    assert float(ours) == pytest.approx(float(plain), rel=1e-14)
    np.testing.assert_allclose(derivatives, others, rtol=1e-12)
