"""What the engine "laplace" needs of a program whose group effects are integrated, compiled.

Three programs: density and gradient at one point; densities of a block of points, with the modes of the effects there;
and joint draws at a block of points. All are compiled at the same time. Arrays come and go as numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .compile_cache import Request, compiled_together
from .protocol import FlatProgram
from .x64 import x64

__all__ = ["Evaluator", "IntegratedProgram", "JointDraws", "compile_evaluator"]

Vector = NDArray[np.float64]
Placed = Mapping[int, tuple[Any, Any]]
"""Arrays of the data with their copies on the device, by identity, which lasts because the array is kept."""


class IntegratedProgram(FlatProgram, Protocol):
    """A program over the parameters that are left when effects are integrated out around their mode."""

    @property
    def keeps_effects(self) -> bool:
        """Whether draws of the effects are wanted."""
        ...

    @property
    def effects(self) -> int:
        """How many effects are integrated."""
        ...

    @property
    def together(self) -> int:
        """Points that are best worked on as one array."""
        ...

    def mode(self, q: Any, data: Any) -> tuple[Any, Any]:
        """Log density at q, and the mode of the effects given q, a pytree; traced by JAX."""
        ...

    def draw(self, q: Any, mode: Any, noise: Any, data: Any) -> Any:
        """A joint draw at q, a `bayesmlm.model.laplace_program.JointDraw`; ``mode``: of the effects given q; ``noise``:
        standard normal numbers of its shapes. Traced by JAX."""
        ...

    def parameters(self, points: Vector) -> Vector:
        """(points, dimension): the coordinates that `coordinate_names` names."""
        ...

    def recentred(self, q: Vector, root: Vector) -> IntegratedProgram:
        """The same program in coordinates c with q + root c in the present ones."""
        ...

    def guessing(self, mode: Any, slopes: Any, bends: Any, tolerance: float) -> IntegratedProgram:
        """The same program with a guess of the mode at q: mode + slopes q + bends q^2, the latter two with a leading
        axis over q; and with another tolerance of modes."""
        ...


@dataclass(frozen=True)
class JointDraws:
    """Draws at given points: ``samples`` by name (points, ...), the parameters and, if kept, the effects;
    ``log_normal`` and ``log_ratio`` (points,) as in `bayesmlm.model.laplace_program.JointDraw`."""

    samples: dict[str, NDArray]
    log_normal: Vector
    log_ratio: Vector


@dataclass(frozen=True)
class Evaluator:
    """``program`` with its compiled programs and its data on the device; make it with `compile_evaluator`."""

    program: IntegratedProgram
    programs: dict[str, Any]
    data: Any
    placed: Placed

    def of(self, program: IntegratedProgram) -> Evaluator:
        """The evaluator of the same program with data of which a few arrays are others."""
        return replace(self, program=program, data=_on_device(program.data, self.placed)[0])

    def value_and_gradient(self, q: Vector) -> tuple[float, Vector]:
        """Log density at ``q`` (dimension,), and its gradient. Either may be non-finite."""
        with x64():
            value, gradient = self.programs["gradient"](q, self.data)
            return -float(value), -np.asarray(gradient)

    def log_density(self, points: Vector) -> Vector:
        """(points,) at ``points`` (points, dimension), NaN as -inf."""
        order, blocks = self._blocks(points)
        with x64():
            # All are asked for before the first is waited for: they run side by side where there are processors.
            found = [self.programs["modes"](block, self.data)[0] for block in blocks]
            values = np.concatenate([np.asarray(one) for one in found])[: len(points)]
        return _in_place(np.where(np.isnan(values), -np.inf, values), order)

    def modes(self, points: Vector) -> tuple[Vector, Any]:
        """Log densities at ``points``, and the modes of the effects there, a pytree of arrays (points, ...)."""
        order, blocks = self._blocks(points)
        with x64():
            found = [self.programs["modes"](block, self.data) for block in blocks]
            values, modes = _joined(found, order)
        return values, modes

    def draw(self, points: Vector, random: np.random.Generator) -> JointDraws:
        """A joint draw at each of ``points`` (points, dimension)."""
        order, blocks = self._blocks(points)
        found = []
        with x64():
            for block in blocks:
                _, modes = self.programs["modes"](block, self.data)
                found.append(self.programs["draw"](block, modes, _noise(modes, random), self.data))
            return JointDraws(*_joined(found, order))

    def _blocks(self, points: Vector) -> tuple[NDArray[np.intp], list[Vector]]:
        """An order of ``points``, and the points in blocks of `IntegratedProgram.together`, the last one filled up.

        A block is done when the last of its points is, and far from the centre the search for the mode takes longer: so
        points of about the same distance go together.
        """
        order, size = np.argsort(np.linalg.norm(points, axis=1), kind="stable"), self.program.together
        starts = range(0, len(points), size)
        places = [np.minimum(np.arange(start, start + size), len(points) - 1) for start in starts]
        return order, [points[order[place]] for place in places]


def _in_place(values: NDArray, order: NDArray[np.intp]) -> NDArray:
    """``values`` of points in ``order``, in the points' own."""
    out = np.empty_like(values)
    out[order] = values
    return out


def _joined(blocks: list[Any], order: NDArray[np.intp]) -> Any:
    """Pytrees of arrays by block, as one pytree in the points' own order."""
    import jax

    def together(*parts: Any) -> NDArray:
        return _in_place(np.concatenate([np.asarray(part) for part in parts])[: len(order)], order)

    return jax.tree.map(together, *blocks)


def _noise(like: Any, random: np.random.Generator) -> Any:
    """Standard normal numbers of the shapes of ``like``; what numbers a draw gets does not depend on the blocks."""
    import jax

    leaves = jax.tree.leaves(like)
    sizes = [int(np.prod(leaf.shape[1:])) for leaf in leaves]
    numbers = random.standard_normal((len(leaves[0]), sum(sizes)))
    pieces = np.split(numbers, np.cumsum(sizes)[:-1], axis=1)
    shaped = [piece.reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(like), shaped)


def compile_evaluator(program: IntegratedProgram) -> Evaluator:
    """The evaluator of ``program``, compiled unless this process has seen its structure."""
    import jax

    functions = _functions(program)
    key = f"{program.key}|{program.dimension}|{program.together}|{program.keeps_effects}"
    with x64():
        data, placed = _on_device(program.data, {})
        point = jax.ShapeDtypeStruct((program.dimension,), np.float64)
        points = jax.ShapeDtypeStruct((program.together, program.dimension), np.float64)

        def of_draw(outputs: list[Any]) -> tuple[Any, ...]:
            modes = outputs[-1][1]
            return points, modes, modes, data

        arguments: dict[str, Any] = {"gradient": (point, data), "modes": (points, data), "draw": of_draw}
        requests = [Request(functions[name], of, f"integrated_{name}", key) for name, of in arguments.items()]
        programs = dict(zip(arguments, compiled_together(requests), strict=True))
    return Evaluator(program, programs, data, placed)


def _on_device(data: Any, placed: Placed) -> tuple[Any, Placed]:
    """``data`` on the device, and what is there now; ``placed``: what is there already."""
    import jax

    with x64():
        leaves, structure = jax.tree.flatten(data)
        missing = {id(leaf): leaf for leaf in leaves if id(leaf) not in placed}
        moved = jax.device_put(missing)
        placed = {**placed, **{key: (leaf, moved[key]) for key, leaf in missing.items()}}
        return jax.tree.unflatten(structure, [placed[id(leaf)][1] for leaf in leaves]), placed


def _functions(program: IntegratedProgram) -> dict[str, Callable[..., Any]]:
    import jax
    import jax.numpy as jnp

    def gradient(q: Any, data: Any) -> Any:
        return jax.value_and_grad(program.potential)(q, data)

    def modes(points: Any, data: Any) -> Any:
        return jax.vmap(lambda q: program.mode(q, data))(points)

    def draw(points: Any, modes: Any, noise: Any, data: Any) -> Any:
        def one(q: Any, mode: Any, noise: Any) -> Any:
            drawn = program.draw(q, mode, noise, data)
            samples = {name: jnp.asarray(value) for name, value in program.constrain(q, data).items()}
            samples |= drawn.effects if program.keeps_effects else {}
            return samples, drawn.log_normal, drawn.log_ratio

        return jax.vmap(one)(points, modes, noise)

    return {"gradient": gradient, "modes": modes, "draw": draw}
