"""Flat programs with known posteriors, small enough to compile in a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmlm.inference.protocol import Draws, SamplerSettings


@dataclass(frozen=True)
class Toy:
    """A `FlatProgram` from two functions."""

    key: str
    dimension: int
    data: Any
    density: Callable[[Any, Any], Any]
    parameters: Callable[[Any, Any], Mapping[str, Any]]
    coordinate_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.coordinate_names:
            object.__setattr__(self, "coordinate_names", tuple(f"q[{i + 1}]" for i in range(self.dimension)))

    @property
    def stored(self) -> int:
        return self.dimension

    def potential(self, q: Any, data: Any) -> Any:
        return -self.density(q, data)

    def constrain(self, q: Any, data: Any) -> Mapping[str, Any]:
        return self.parameters(q, data)


MEAN = np.array([1.0, -2.0, 30.0])
COVARIANCE = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, -1.5], [0.0, -1.5, 9.0]])


def gaussian(mean: Any = MEAN, covariance: Any = COVARIANCE) -> Toy:
    """A multivariate normal; everything numeric is data."""

    def density(q: Any, data: Any) -> Any:
        deviation = q - data["mean"]
        return -0.5 * deviation @ data["precision"] @ deviation

    def parameters(q: Any, data: Any) -> Mapping[str, Any]:
        return {"x": q, "exp_first": data["one"] * np.e ** q[0]}

    data = {"mean": np.array(mean), "precision": np.linalg.inv(covariance), "one": np.array(1.0)}
    return Toy("gaussian", len(data["mean"]), data, density, parameters)


def beta_binomial(successes: int, failures: int) -> Toy:
    """A probability with uniform prior on the logit scale of q: its posterior is a Beta."""
    from jax.nn import log_sigmoid, sigmoid

    def density(q: Any, data: Any) -> Any:
        return (data["a"] + 1) * log_sigmoid(q[0]) + (data["b"] + 1) * log_sigmoid(-q[0])

    data = {"a": np.array(float(successes)), "b": np.array(float(failures))}
    return Toy("beta_binomial", 1, data, density, lambda q, data: {"p": sigmoid(q[0])}, ("p",))


def funnel() -> Toy:
    """Neal's funnel, milder: v ~ N(0, 1.5), five x ~ N(0, exp(v / 2)); it makes large steps diverge."""
    import jax.numpy as jnp

    def density(q: Any, data: Any) -> Any:
        v, x = q[0], q[1:]
        return -0.5 * (v / data["sd"]) ** 2 - 0.5 * jnp.sum(x**2) * jnp.exp(-v) - 0.5 * x.size * v

    return Toy("funnel", 6, {"sd": np.array(1.5)}, density, lambda q, data: {"v": q[0]})


SETTINGS = SamplerSettings(chains=4, iterations=600, warmup=300, cores=2, seed=11)
"""What most tests sample with; one warm-up length, one compilation."""


def bits(draws: Draws) -> dict[str, bytes]:
    """Everything that was drawn, as bytes by name: equal if and only if all bits are."""
    arrays = {"unconstrained": draws.unconstrained} | draws.samples | draws.stats
    return {name: np.ascontiguousarray(values).tobytes() for name, values in arrays.items()}
