"""Several increasing vectors one after the other as one vector: a constraint for NumPyro and its transformation."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import ParameterFreeTransform

__all__ = ["ordered_runs"]

Array = Any


class ordered_runs(constraints.Constraint):  # type: ignore[misc]  # noqa: N801 - named as NumPyro's constraints are
    """Vectors whose first ``runs[0]`` elements increase, then the next ``runs[1]``, and so on."""

    event_dim = 1

    def __init__(self, runs: tuple[int, ...]) -> None:
        self.runs = runs

    def __call__(self, x: Array) -> Array:
        inside = np.ones(sum(self.runs) - 1, dtype=bool)
        inside[np.cumsum(self.runs[:-1]) - 1] = False
        return jnp.all((x[..., 1:] > x[..., :-1]) | ~inside, axis=-1)

    def feasible_like(self, prototype: Array) -> Array:
        return jnp.broadcast_to(
            jnp.concatenate([jnp.arange(float(n)) for n in self.runs]), jnp.shape(prototype)
        )

    def tree_flatten(self) -> Any:
        return (), ((), {"runs": self.runs})


class _OrderedRuns(ParameterFreeTransform):  # type: ignore[misc]
    """The first element of each run as it is, the others as logarithms of the steps to them (as Stan's ordered)."""

    domain = constraints.real_vector

    def __init__(self, runs: tuple[int, ...]) -> None:
        self.runs = runs

    @property
    def codomain(self) -> constraints.Constraint:
        return ordered_runs(self.runs)

    @property
    def _starts(self) -> np.ndarray:
        return np.isin(np.arange(sum(self.runs)), np.cumsum([0, *self.runs[:-1]]))

    def __call__(self, x: Array) -> Array:
        steps = jnp.where(self._starts, x, jnp.exp(jnp.where(self._starts, 0.0, x)))
        stops = np.cumsum(self.runs)
        pieces = [steps[..., stop - run : stop] for stop, run in zip(stops, self.runs, strict=True)]
        return jnp.concatenate([jnp.cumsum(piece, axis=-1) for piece in pieces], axis=-1)

    def _inverse(self, y: Array) -> Array:
        before = jnp.concatenate([y[..., :1], y[..., :-1]], axis=-1)
        return jnp.where(self._starts, y, jnp.log(jnp.where(self._starts, 1.0, y - before)))

    def log_abs_det_jacobian(self, x: Array, y: Array, intermediates: Any = None) -> Array:
        return jnp.sum(jnp.where(self._starts, 0.0, x), axis=-1)

    def tree_flatten(self) -> Any:
        return (), ((), {"runs": self.runs})


@biject_to.register(ordered_runs)  # type: ignore[untyped-decorator]
def _biject_to_ordered_runs(constraint: ordered_runs) -> _OrderedRuns:
    return _OrderedRuns(constraint.runs)
