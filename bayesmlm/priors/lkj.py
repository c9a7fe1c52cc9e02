"""The LKJ prior of correlation matrices, on their Cholesky factors (Lewandowski, Kurowicka and Joe 2009).

NumPyro's distribution and bijector, with two formulas written out: the normalising constant is computed once on the
host, and the Jacobian as one weighted sum. As part of every gradient they took half of the seed model's compile time.
"""

from __future__ import annotations

from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

# ArviZ leaves a lazy numpyro behind, of which an import of the submodule by its full name would load a second copy.
from numpyro import distributions as dist
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import CorrCholeskyTransform, IndependentTransform, Transform
from scipy.special import gammaln, multigammaln

__all__ = ["LKJCholesky", "draw_correlations", "lkj_constants"]

Array = Any


def lkj_constants(eta: float, size: int) -> dict[str, np.float64]:
    """The numbers of the prior of a ``size`` x ``size`` correlation matrix: shape and log normalising constant of
    the density of its Cholesky factor (page 1999 of the paper)."""
    below = size - 1
    alpha = eta + 0.5 * below
    # multigammaln would not take zero degrees: a 1 x 1 matrix has no prior.
    normaliser = 0.5 * below * np.log(np.pi) + multigammaln(alpha - 0.5, below) - gammaln(alpha) * below
    return {"eta": np.float64(eta), "normaliser": np.float64(normaliser)}


def draw_correlations(eta: float, size: int, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, size, size) correlation matrices drawn from LKJ(eta) by the onion method (section 3.2 of the paper): the
    squared length of row i of the factor, without its diagonal, is Beta(i/2, eta + (size - 1 - i)/2), its direction
    uniform."""
    factor = np.zeros((count, size, size))
    factor[:, 0, 0] = 1.0
    for i in range(1, size):
        squared = rng.beta(i / 2, eta + (size - 1 - i) / 2, count)
        direction = rng.standard_normal((count, i))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        factor[:, i, :i] = np.sqrt(squared)[:, None] * direction
        factor[:, i, i] = np.sqrt(1 - squared)
    return factor @ factor.swapaxes(1, 2)


class _Factors(constraints.Constraint):  # type: ignore[misc]
    """Cholesky factors of correlation matrices, (..., size, size)."""

    def __init__(self, event_dim: int) -> None:
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        """2, and one more for each leading axis."""
        return self._event_dim

    def __call__(self, x: Array) -> Array:
        return jnp.all(constraints.corr_cholesky(x))

    def feasible_like(self, prototype: Array) -> Array:
        return jnp.broadcast_to(jnp.eye(jnp.shape(prototype)[-1]), jnp.shape(prototype))

    def tree_flatten(self) -> Any:
        return (), ((), {"_event_dim": self._event_dim})


class _ToFactor(CorrCholeskyTransform):  # type: ignore[misc]
    """NumPyro's bijector from the partial correlations' arctanh, with its Jacobian as one weighted sum.

    Entry (i, j) is t_ij prod_{m<j} sqrt(1 - t_im^2), t = tanh(x); so its derivatives multiply to
    prod_{i>j} (1 - t_ij^2)^(1 + (i - 1 - j)/2).
    """

    def log_abs_det_jacobian(self, x: Array, y: Array, intermediates: Any = None) -> Array:
        size = jnp.shape(y)[-1]
        weights = np.array([1 + (i - 1 - j) / 2 for i in range(1, size) for j in range(i)])
        # log(1 - tanh(x)^2), stable in both tails
        log_terms = 2.0 * (np.log(2.0) - jnp.abs(x) - jnp.log1p(jnp.exp(-2.0 * jnp.abs(x))))
        return jnp.sum(weights * log_terms, axis=-1)


@biject_to.register(_Factors)  # type: ignore[untyped-decorator]
def _biject_to_factors(constraint: _Factors) -> Transform:
    extra = constraint.event_dim - 2
    return IndependentTransform(_ToFactor(), extra) if extra else _ToFactor()


class LKJCholesky(dist.Distribution):  # type: ignore[misc]
    """Cholesky factors (..., k, k) of correlation matrices with density proportional to det(correlation)^(eta - 1).

    ``constants``: of `lkj_constants`, possibly traced. ``shape``: of the value; leading axes are independent.
    """

    def __init__(self, constants: dict[str, Array], shape: tuple[int, ...]) -> None:
        self.constants = constants
        super().__init__(event_shape=shape)

    @property
    def support(self) -> constraints.Constraint:
        """Cholesky factors of correlation matrices."""
        return _Factors(len(self.event_shape))

    def log_prob(self, value: Array) -> Array:
        """Log density of the factors: eta's power of the determinant, times the Jacobian of correlation to factor."""
        size = self.event_shape[-1]
        order = 2.0 * (self.constants["eta"] - 1.0) + np.arange(size - 2, -1, -1)
        diagonal = jnp.diagonal(value, axis1=-2, axis2=-1)[..., 1:]
        matrices = prod(self.event_shape[:-2])
        return jnp.sum(order * jnp.log(diagonal)) - matrices * self.constants["normaliser"]

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Independent factors."""
        size = self.event_shape[-1]
        return dist.LKJCholesky(size, self.constants["eta"]).sample(
            key, (*sample_shape, *self.event_shape[:-2])
        )
