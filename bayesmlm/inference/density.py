"""The log posterior density of a flat program, compiled for what approximations need of it.

Three programs: density and gradient at one point, densities of a block of points, and the parameters at a block of
points. Only those that are asked for are compiled, at the same time. Arrays come and go as numpy's, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .compile_cache import Request, compiled_together
from .initial import ATTEMPTS, cannot_start, radius, starting_point
from .protocol import FlatProgram, SamplerSettings
from .x64 import x64

__all__ = ["Density", "build_density"]

Vector = NDArray[np.float64]
Kind = Literal["gradient", "log_densities", "parameters", "hessian_columns"]

BLOCK = 16
"""Points that one call of a program takes."""
TOGETHER = 4
"""Points of a block that are worked on at once; the others wait, so that memory stays that of a few."""


@dataclass(frozen=True)
class Density:
    """Minus the potential of ``program`` at its data; make it with `build_density`."""

    program: FlatProgram
    data: Any
    programs: dict[str, Any]

    def value_and_gradient(self, q: Vector) -> tuple[float, Vector]:
        """Log density at ``q`` (dimension,), and its gradient. Either may be non-finite."""
        with x64():
            value, gradient = self.programs["gradient"](q, self.data)
            return -float(value), -np.asarray(gradient)

    def log_density(self, points: Vector) -> Vector:
        """(points,) at ``points`` (points, dimension); NaN counts as no density, -inf."""
        if not len(points):
            return np.zeros(0)
        values = self._by_block("log_densities", points)
        return np.where(np.isnan(values), -np.inf, values)

    def parameters(self, points: Vector) -> dict[str, NDArray]:
        """What is stored of each point (points, dimension), by name: (points, ...)."""
        blocks = self._by_block("parameters", points)
        return {name: np.asarray(values) for name, values in blocks.items()}

    def hessian(self, q: Vector) -> Vector:
        """(dimension, dimension) second derivatives of the log density at ``q``."""
        columns = np.eye(len(q))
        return -np.asarray(self._by_block("hessian_columns", columns, np.asarray(q)))

    def start(self, settings: SamplerSettings, chain: int) -> Vector:
        """The starting point of a chain, of finite density and gradient: the one given, or, as NUTS does, a random one,
        tried a hundred times. Raises `SamplingError` if there is none."""
        random = not isinstance(settings.init, np.ndarray) and radius(settings) > 0
        for attempt in range(ATTEMPTS if random else 1):
            q = starting_point(settings, chain, attempt, self.program.dimension)
            if self._finite(q):
                return q
        raise SamplingError(
            cannot_start(
                self.program,
                settings,
                chain,
                q,
                self.value_and_gradient(q)[0],
                self._finite,
                lambda q: self.value_and_gradient(q)[1],
            )
        )

    def _finite(self, q: Vector) -> bool:
        value, gradient = self.value_and_gradient(q)
        return bool(np.isfinite(value) and np.isfinite(gradient).all())

    def _by_block(self, name: Kind, points: Vector, *further: Any) -> Any:
        """Results of one program for all points, a block at a time; the last block is filled up with its last point."""
        import jax

        results = []
        with x64():
            for start in range(0, len(points), BLOCK):
                take = np.minimum(np.arange(start, start + BLOCK), len(points) - 1)
                results.append(
                    jax.tree.map(np.asarray, self.programs[name](points[take], *further, self.data))
                )
        return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(points)], *results)


def build_density(program: FlatProgram, wanted: Sequence[Kind]) -> Density:
    """The density of ``program`` with the programs ``wanted``, compiled unless this process has seen its structure.

    Raises `SamplingError` for a model without parameters.
    """
    import jax

    if program.dimension == 0:
        raise SamplingError("the model has 0 parameters: nothing to sample")
    functions = _functions(program)
    key = f"{program.key}|{program.dimension}|{BLOCK}|{TOGETHER}"
    with x64():
        data = jax.device_put(program.data)
        point = jax.ShapeDtypeStruct((program.dimension,), np.float64)
        points = jax.ShapeDtypeStruct((BLOCK, program.dimension), np.float64)
        arguments: dict[Kind, tuple[Any, ...]] = {
            "gradient": (point, data),
            "log_densities": (points, data),
            "parameters": (points, data),
            "hessian_columns": (points, point, data),
        }
        requests = [Request(functions[name], arguments[name], f"density_{name}", key) for name in wanted]
        programs = dict(zip(wanted, compiled_together(requests), strict=True))
    return Density(program, data, {str(name): made for name, made in programs.items()})


def _functions(program: FlatProgram) -> dict[Kind, Callable[..., Any]]:
    import jax
    import jax.numpy as jnp

    def gradient(q: Any, data: Any) -> Any:
        return jax.value_and_grad(program.potential)(q, data)

    def log_densities(points: Any, data: Any) -> Any:
        return jax.lax.map(lambda q: -program.potential(q, data), points, batch_size=TOGETHER)

    def parameters(points: Any, data: Any) -> Any:
        def one(q: Any) -> Any:
            return {name: jnp.asarray(value) for name, value in program.constrain(q, data).items()}

        return jax.lax.map(one, points, batch_size=TOGETHER)

    def hessian_columns(columns: Any, q: Any, data: Any) -> Any:
        # Forward over reverse: one column costs about three gradients, and no more memory.
        slope = jax.grad(program.potential)
        return jax.lax.map(
            lambda column: jax.jvp(lambda q: slope(q, data), (q,), (column,))[1], columns, batch_size=TOGETHER
        )

    return {
        "gradient": gradient,
        "log_densities": log_densities,
        "parameters": parameters,
        "hessian_columns": hessian_columns,
    }
