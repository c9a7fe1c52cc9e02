"""The priors of a parameter vector as a NumPyro distribution whose numbers are arguments of the program."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
from jax import lax, random
from numpyro import distributions as dist
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import Transform

from ..errors import PriorError
from .densities import DENSITIES, Library
from .ordered_runs import ordered_runs
from .vector import CONSTANT, FLAT, VectorStructure

__all__ = ["OrderedPrior", "PriorDistribution", "vector_log_density"]

Array = Any
Constants = Mapping[str, Array]
JAX = Library(jnp, jax.scipy.special)

MAX_ROUNDS = 10_000
"""Rounds of rejection after which an element that has not fallen between its bounds is given up as NaN."""


def vector_log_density(structure: VectorStructure, x: Array, constants: Constants) -> Array:
    """Log prior density of x, (..., elements), summed over its elements: (...).

    Truncated to the bounds and normalised there; flat and fixed elements contribute nothing (as in brms).
    ``constants``: what `VectorPrior.constants` gives, possibly traced.
    """
    total = jnp.zeros(jnp.shape(x)[:-1]) + constants["normaliser"]
    for name, positions in structure.groups.items():
        if name not in (FLAT, CONSTANT):
            total = total + jnp.sum(DENSITIES[name].kernel(JAX, _take(x, positions), *constants[name]), -1)
    if not (structure.lower or structure.upper):
        return total
    return jnp.where(jnp.all(_between(structure, x, constants), -1), total, -jnp.inf)


def _take(x: Array, positions: tuple[int, ...]) -> Array:
    return x if len(positions) == jnp.shape(x)[-1] else x[..., np.array(positions)]


def _between(structure: VectorStructure, x: Array, constants: Constants) -> Array:
    inside = jnp.ones(jnp.shape(x), bool)
    if structure.lower:
        inside = inside & (x >= constants["lower"])
    if structure.upper:
        inside = inside & (x <= constants["upper"])
    return inside


class PriorDistribution(dist.Distribution):  # type: ignore[misc]
    """Independent priors of the elements of one vector, or of a scalar.

    ``structure`` and ``constants``: from a `VectorPrior`; the constants may be traced. ``shape``: of the value,
    (elements,) or () for a scalar. Elements fixed by ``constant()`` take no unconstrained coordinate.
    """

    pytree_data_fields = ("constants",)
    pytree_aux_fields = ("structure",)

    def __init__(self, structure: VectorStructure, constants: Constants, shape: tuple[int, ...]) -> None:
        if prod(shape) != len(structure.elements) or len(shape) > 1:
            raise ValueError(f"a prior of {len(structure.elements)} elements cannot have the shape {shape}")
        self.structure, self.constants = structure, dict(constants)
        super().__init__(event_shape=shape)

    @property
    def support(self) -> constraints.Constraint:
        """The bounds, and the fixed elements if there are any."""
        free = _interval(self.structure, self.constants)
        if CONSTANT in self.structure.groups:
            return _PartlyFixed(free, self.constants[CONSTANT], self.structure.free, self.event_shape)
        return constraints.independent(free, 1) if self.event_shape else free

    def log_prob(self, value: Array) -> Array:
        """Log density of each vector: the sum over its elements."""
        value = jnp.asarray(value)
        x = value if self.event_shape else value[..., None]
        return vector_log_density(self.structure, x, self.constants)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws; truncated elements by rejection. A prior with less than about 1e-3 of its mass between the
        bounds may come out as NaN: `draw_prior` has no such limit. Raises `PriorError` for flat elements."""
        bounded = self.structure.lower and self.structure.upper
        if FLAT in self.structure.groups and not bounded:
            raise PriorError("flat priors cannot be sampled: give every parameter a proper prior")
        # The loop starts from NaN, which lies between no bounds: so the samplers are compiled once, inside it.
        x = jnp.full((*sample_shape, len(self.structure.elements)), jnp.nan)
        x = lax.while_loop(self._unfinished, self._redraw, (key, x, jnp.zeros((), jnp.int32)))[1]
        return x if self.event_shape else x[..., 0]

    def _unfinished(self, state: tuple[Array, Array, Array]) -> Array:
        _, x, rounds = state
        return jnp.any(jnp.isnan(x)) & (rounds < MAX_ROUNDS)

    def _redraw(self, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """Draw again what is still missing; draws outside the bounds stay missing."""
        key, x, rounds = state
        key, own = random.split(key)
        proposal = self._untruncated(own, x.shape)
        fixed = np.array([name == CONSTANT for name in self.structure.elements])
        accepted = jnp.isnan(x) & (fixed | _between(self.structure, proposal, self.constants))
        return key, jnp.where(accepted, proposal, x), rounds + 1

    def _untruncated(self, key: Array, shape: tuple[int, ...]) -> Array:
        x = jnp.zeros(shape)
        for name, positions in self.structure.groups.items():
            key, own = random.split(key)
            size, index = (*shape[:-1], len(positions)), np.array(positions)
            if name == CONSTANT:
                part = jnp.broadcast_to(self.constants[CONSTANT], size)
            elif name == FLAT:
                part = random.uniform(
                    own, size, minval=self.constants["lower"], maxval=self.constants["upper"]
                )
            else:
                part = DENSITIES[name].draw(random, own, size, *self.constants[name])
            x = x.at[..., index].set(part)
        return x


class OrderedPrior(PriorDistribution):
    """The same priors of a vector whose elements increase, or of several in a row, ``runs`` being how long they are;
    not normalised over such vectors, as in Stan."""

    pytree_aux_fields = ("runs",)

    def __init__(
        self,
        structure: VectorStructure,
        constants: Constants,
        shape: tuple[int, ...],
        runs: tuple[int, ...] = (),
    ) -> None:
        self.runs = runs or shape
        super().__init__(structure, constants, shape)

    @property
    def support(self) -> constraints.Constraint:
        """Increasing vectors."""
        return constraints.ordered_vector if len(self.runs) == 1 else ordered_runs(self.runs)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws in increasing order: put in order where all elements of a vector have the same prior, else drawn
        again until they come in order (NaN after `MAX_ROUNDS` rounds)."""
        draw = super().sample

        def redraw(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            key, x, rounds = state
            key, own = random.split(key)
            return key, jnp.where(jnp.isnan(x), self._in_order(draw(own, sample_shape)), x), rounds + 1

        x = jnp.full((*sample_shape, *self.event_shape), jnp.nan)
        return lax.while_loop(self._unfinished, redraw, (key, x, jnp.zeros((), jnp.int32)))[1]

    def _in_order(self, x: Array) -> Array:
        """The vectors among ``x`` that are draws of increasing ones, put in order; NaN for the others."""
        stops = np.cumsum(self.runs)
        pieces = []
        for start, stop in zip(stops - self.runs, stops, strict=True):
            piece = x[..., start:stop]
            accepted = jnp.all(piece[..., 1:] > piece[..., :-1], axis=-1, keepdims=True)
            accepted = accepted | self._alike(range(start, stop))
            pieces.append(jnp.where(accepted, jnp.sort(piece, axis=-1), jnp.nan))
        return jnp.concatenate(pieces, axis=-1)

    def _alike(self, elements: range) -> Array:
        """Whether these elements have the same prior."""
        name, *others = {self.structure.elements[i] for i in elements}
        if others or name in (CONSTANT, FLAT):
            return jnp.array(not others)
        numbers = self.constants[name][:, np.isin(self.structure.groups[name], elements)]
        return jnp.all(numbers == numbers[:, :1])


def _interval(structure: VectorStructure, constants: Constants) -> constraints.Constraint:
    match structure.lower, structure.upper:
        case True, True:
            return constraints.interval(constants["lower"], constants["upper"])
        case True, False:
            return constraints.greater_than(constants["lower"])
        case False, True:
            return constraints.less_than(constants["upper"])
        case _:
            return constraints.real


class _PartlyFixed(constraints.Constraint):  # type: ignore[misc]
    """Elements at the positions ``free`` satisfy ``base``, all others have the values ``fixed``."""

    def __init__(
        self, base: constraints.Constraint, fixed: Array, free: tuple[int, ...], shape: tuple[int, ...]
    ) -> None:
        self.base, self.fixed, self.free, self.shape = base, fixed, free, shape

    @property
    def event_dim(self) -> int:
        """As of the distribution: a scalar or a vector."""
        return len(self.shape)

    @property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the free elements and of the fixed ones."""
        free = np.array(self.free, dtype=np.int64)
        return free, np.setdiff1d(np.arange(prod(self.shape)), free)

    def __call__(self, x: Array) -> Array:
        x = jnp.reshape(x, (*jnp.shape(x)[: jnp.ndim(x) - self.event_dim], prod(self.shape)))
        free, fixed = self.positions
        return jnp.all(self.base(x[..., free]), -1) & jnp.all(x[..., fixed] == self.fixed, -1)

    def feasible_like(self, prototype: Array) -> Array:
        return _fill(self, self.base.feasible_like(jnp.zeros((*_batch(self, prototype), len(self.free)))))

    def tree_flatten(self) -> Any:
        return (self.base, self.fixed), (("base", "fixed"), {"free": self.free, "shape": self.shape})


def _batch(constraint: _PartlyFixed, x: Array) -> tuple[int, ...]:
    shape = jnp.shape(x)
    return shape[: len(shape) - constraint.event_dim]


def _fill(constraint: _PartlyFixed, values: Array) -> Array:
    """The whole vector (..., *shape) from its free elements (..., free)."""
    free, fixed = constraint.positions
    batch = jnp.shape(values)[:-1]
    whole = jnp.zeros((*batch, prod(constraint.shape)))
    whole = whole.at[..., free].set(values).at[..., fixed].set(constraint.fixed)
    return whole.reshape((*batch, *constraint.shape))


class _Fill(Transform):  # type: ignore[misc]
    """From the free elements, unconstrained, to the whole vector."""

    domain = constraints.real_vector

    def __init__(self, constraint: _PartlyFixed) -> None:
        self.constraint = constraint

    @property
    def codomain(self) -> constraints.Constraint:
        return self.constraint

    def __call__(self, x: Array) -> Array:
        return _fill(self.constraint, biject_to(self.constraint.base)(x))

    def _free(self, y: Array) -> Array:
        y = jnp.reshape(y, (*_batch(self.constraint, y), prod(self.constraint.shape)))
        return y[..., self.constraint.positions[0]]

    def _inverse(self, y: Array) -> Array:
        return biject_to(self.constraint.base).inv(self._free(y))

    def log_abs_det_jacobian(self, x: Array, y: Array, intermediates: Any = None) -> Array:
        if not self.constraint.free:  # NumPyro's composed transforms cannot take arrays without elements
            return jnp.zeros(jnp.shape(x)[:-1])
        return jnp.sum(biject_to(self.constraint.base).log_abs_det_jacobian(x, self._free(y)), -1)

    def forward_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], *self.constraint.shape)

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[: len(shape) - self.constraint.event_dim], len(self.constraint.free))

    def tree_flatten(self) -> Any:
        return (self.constraint,), (("constraint",), {})


@biject_to.register(_PartlyFixed)  # type: ignore[untyped-decorator]
def _biject_to_partly_fixed(constraint: _PartlyFixed) -> Transform:
    return _Fill(constraint)
