"""The likelihood of all rows as a NumPyro distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from numpyro import distributions as dist

from ..families import conditional
from ..families.additions import log_density
from ..families.base import Family

__all__ = ["ResponseDistribution"]

Array = Any
Values = Mapping[str, Array]


class ResponseDistribution(dist.Distribution):  # type: ignore[misc]
    """The family as a NumPyro distribution over all rows; ``weights`` multiply the log density (brms)."""

    support = dist.constraints.real
    reparametrized_params: ClassVar[list[str]] = []

    def __init__(self, family: Family, parameters: Values, extra: Values, weights: Array | None) -> None:
        self.family, self.parameters, self.extra, self.weights = (
            family,
            dict(parameters),
            dict(extra),
            weights,
        )
        rows = jnp.broadcast_shapes(*(jnp.shape(value)[-1:] for value in parameters.values()))
        super().__init__(batch_shape=rows)

    def log_prob(self, value: Array) -> Array:
        """(n,) weighted log density."""
        terms = log_density(self.family, value, self.parameters, self.extra)
        return terms if self.weights is None else terms * self.weights

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Responses drawn from the family, rows last."""
        shape = (*sample_shape, *self.batch_shape)
        return conditional.sample(self.family, key, conditional.over_rows(self.parameters, shape), self.extra)
