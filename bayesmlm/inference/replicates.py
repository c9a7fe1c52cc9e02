"""One model and many data sets: a program each of whose chains samples the posterior of its own data.

Chains advance together, vectorized, so that a model which takes microseconds a gradient costs hardly more for a
hundred data sets than for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import SamplingError
from .protocol import FlatProgram

__all__ = ["ReplicatedProgram", "replicated"]

Array = Any


@dataclass(frozen=True, eq=False)
class ReplicatedProgram:
    """``single``: the program of one of the data sets; ``data``: of all of them, joined as ``data_axes`` says."""

    single: FlatProgram
    data: Any
    data_axes: Any

    @property
    def key(self) -> str:
        """The structure, which all data sets share."""
        return self.single.key

    @property
    def dimension(self) -> int:
        """Number of unconstrained coordinates."""
        return self.single.dimension

    @property
    def stored(self) -> int:
        """Number of leading coordinates kept with the draws."""
        return self.single.stored

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        """Parameter of each coordinate."""
        return self.single.coordinate_names

    def potential(self, q: Array, data: Any) -> Array:
        """Of one data set, as the single program's."""
        return self.single.potential(q, data)

    def constrain(self, q: Array, data: Any) -> Mapping[str, Array]:
        """Of one data set, as the single program's."""
        return self.single.constrain(q, data)


def replicated(programs: Sequence[FlatProgram]) -> ReplicatedProgram:
    """The programs, at least two, of models that differ in their numbers only.

    Raises `SamplingError` when their structures or the shapes of their arrays differ.
    """
    import jax

    first = programs[0]
    if len(programs) < 2 or any(program.key != first.key for program in programs):
        raise SamplingError("only two or more programs of one structure can be sampled together")
    leaves, structure = zip(*(jax.tree.flatten(program.data) for program in programs), strict=True)
    if any(other != structure[0] for other in structure):
        raise SamplingError("the data of programs to be sampled together differ in structure")
    joined, axes = [], []
    for same in zip(*leaves, strict=True):
        arrays = [np.asarray(leaf) for leaf in same]
        if any(array.shape != arrays[0].shape for array in arrays):
            raise SamplingError("the data of programs to be sampled together differ in shape")
        shared = all(np.array_equal(array, arrays[0]) for array in arrays)
        joined.append(arrays[0] if shared else np.stack(arrays))
        axes.append(None if shared else 0)
    # None is no leaf of a tree to JAX, but a prefix that says so is one to vmap.
    data_axes = structure[0].unflatten(axes)
    return ReplicatedProgram(first, structure[0].unflatten(joined), data_axes)
