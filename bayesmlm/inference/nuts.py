"""The No-U-Turn sampler as two compiled programs, `start` and `chunk`.

numpyro's kernel (Hoffman & Gelman 2014, with the multinomial trajectories of Betancourt 2017 and Stan's
windowed adaptation) does the sampling. What is ours is how it is run: iterations go in chunks inside one
compiled loop, and between chunks the state is on the host, which gives progress, checkpoints and
interruption. The number of iterations in a chunk is an argument, so that one program serves every chunk, and
the split into chunks changes no bit.

Everything numeric is an argument: a program is compiled for a structure, shapes, `warmup` and `max_treedepth`
only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile_cache import Request, compiled_together
from .protocol import FlatProgram, Replicated, SamplerSettings
from .x64 import x64

__all__ = ["STATISTICS", "Driver", "build_driver"]

CHUNK_ITERATIONS = 500
"""The most iterations of one chunk: enough that the call itself costs nothing."""
CHUNK_BYTES = 1 << 26
"""The most memory for the draws of one chunk, whatever the dimension."""

STATISTICS = {
    "lp": np.float64,
    "step_size": np.float64,
    "n_steps": np.int64,
    "tree_depth": np.int64,
    "acceptance_rate": np.float64,
    "diverging": np.bool_,
    "energy": np.float64,
    "reached_max_treedepth": np.bool_,
}
"""Statistics of one iteration, by ArviZ's names. ``tree_depth`` counts the doublings that were completed, as
Stan does: 2**depth - 1 leapfrog steps make a full tree of that depth."""


@dataclass(frozen=True)
class Driver:
    """The compiled sampler of one program for ``lane`` chains that advance together (1: no vectorization).

    Arrays have a leading axis of length ``lane``. A state is numpyro's ``HMCState``, opaque to the caller.
    """

    lane: int
    capacity: int
    warmup: int
    max_treedepth: int
    data: Any
    adapt_delta: float
    inverse_mass: NDArray[np.float64]
    start_program: Any
    chunk_program: Any

    def start(self, seed: int, chains: NDArray[np.int64], q: NDArray[np.float64]) -> Any:
        """The state before the first iteration, at ``q`` (lane, dimension); the random stream of chain c of a
        seed depends on nothing but the two. Potential energy and gradient may be non-finite: the caller
        checks."""
        with x64():
            chains = chains.astype(np.int32)
            return self.start_program(np.int64(seed), chains, q, self.inverse_mass, self.data)

    def advance(self, state: Any, iterations: int) -> tuple[Any, dict[str, NDArray]]:
        """The state after ``iterations`` (at most ``capacity``) more, and what they drew.

        Arrays (lane, iterations, ...) by name: ``unconstrained``, ``stats/<statistic>`` and
        ``samples/<parameter>``. The samples of warm-up iterations are zeros: nobody asks for them.
        """
        with x64():
            arguments = (state, np.int32(iterations), self.data, np.float64(self.adapt_delta))
            state, (q, numbers, samples) = self.chunk_program(*arguments)
            drawn = {"unconstrained": np.asarray(q)[:, :iterations]}
            drawn |= self._statistics(np.asarray(numbers)[:, :iterations])
            drawn |= {f"samples/{name}": np.asarray(v)[:, :iterations] for name, v in samples.items()}
        return state, drawn

    def draw_shapes(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Shape (of one draw) and type of what `advance` returns, by name."""
        _, (q, _, samples) = self.chunk_program.out_info
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "unconstrained": (q.shape[2:], np.dtype(np.float64))
        }
        shapes |= {f"stats/{name}": ((), np.dtype(kind)) for name, kind in STATISTICS.items()}
        shapes |= {f"samples/{name}": (v.shape[2:], np.dtype(v.dtype)) for name, v in samples.items()}
        return shapes

    def _statistics(self, numbers: NDArray[np.float64]) -> dict[str, NDArray]:
        potential, energy, step_size, steps, acceptance, diverging = np.moveaxis(numbers, -1, 0)
        depth = np.floor(np.log2(steps + 1.0))
        values = {
            "lp": -potential,
            "step_size": step_size,
            "n_steps": steps,
            "tree_depth": depth,
            "acceptance_rate": acceptance,
            "diverging": diverging,
            "energy": energy,
            "reached_max_treedepth": depth >= self.max_treedepth,
        }
        return {f"stats/{name}": values[name].astype(kind) for name, kind in STATISTICS.items()}


def build_driver(
    program: FlatProgram,
    settings: SamplerSettings,
    lane: int,
    inverse_mass: NDArray[np.float64] | None = None,
) -> Driver:
    """The sampler of ``program``, compiled unless this process has seen its structure before. ``inverse_mass``: of each
    coordinate, to begin adaptation with; ones if not given."""
    import jax

    start, chunk = _programs(program, settings.warmup, settings.max_treedepth)
    structure = (
        program.key,
        program.dimension,
        program.stored,
        settings.warmup,
        settings.max_treedepth,
        lane,
        CHUNK_ITERATIONS,
    )
    key = repr((*structure, repr(program.data_axes)) if isinstance(program, Replicated) else structure)
    with x64():
        data = jax.device_put(program.data)
        point = jax.ShapeDtypeStruct((lane, program.dimension), np.float64)
        chains = jax.ShapeDtypeStruct((lane,), np.int32)
        inverse_mass = np.ones(program.dimension) if inverse_mass is None else inverse_mass
        axes = program.data_axes if isinstance(program, Replicated) else None
        start = _over_chains(start, lane, (None, 0, 0, None, axes))
        chunk = _over_chains(chunk, lane, (0, None, axes, None))
        rest = (np.int32(1), data, np.float64(settings.adapt_delta))
        start_program, chunk_program = compiled_together(
            [
                Request(start, (np.int64(0), chains, point, inverse_mass, data), "nuts_start", key),
                Request(chunk, lambda outputs: (outputs[0], *rest), "nuts_chunk", key),
            ]
        )
    return Driver(
        lane=lane,
        capacity=chunk_program.out_info[1][0].shape[1],
        warmup=settings.warmup,
        max_treedepth=settings.max_treedepth,
        data=data,
        adapt_delta=settings.adapt_delta,
        inverse_mass=inverse_mass,
        start_program=start_program,
        chunk_program=chunk_program,
    )


def _programs(
    program: FlatProgram, warmup: int, max_treedepth: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`start` and `chunk` of one chain, as functions for JAX to trace."""
    import jax
    import jax.numpy as jnp
    from numpyro import infer
    from numpyro.infer.util import ParamInfo

    def kernel(data: Any, adapt_delta: Any, inverse_mass: Any = None) -> infer.NUTS:
        # Made inside every trace: it keeps its schedule and integrator in closures, and tracers would leak.
        return infer.NUTS(
            potential_fn=lambda q: program.potential(q, data),
            target_accept_prob=adapt_delta,
            max_tree_depth=max_treedepth,
            inverse_mass_matrix=inverse_mass,
        )

    def start(seed: Any, chain: Any, q: Any, inverse_mass: Any, data: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), chain)
        return kernel(data, 0.8, inverse_mass).init(key, warmup, q, (), {})

    def chunk(state: Any, iterations: Any, data: Any, adapt_delta: Any) -> Any:
        sampler = kernel(data, adapt_delta)
        # Only for the closures that it fills; with energy and gradient given, the density is not traced
        # again.
        sampler.init(state.rng_key, warmup, ParamInfo(state.z, state.potential_energy, state.z_grad), (), {})

        def constrain(q: Any) -> dict[str, Any]:
            return {name: jnp.asarray(value) for name, value in program.constrain(q, data).items()}

        constrained = jax.eval_shape(constrain, state.z)

        def zeros(q: Any) -> dict[str, Any]:
            return {name: jnp.zeros(v.shape, v.dtype) for name, v in constrained.items()}

        def iterate(i: Any, carry: Any) -> Any:
            state, buffers = carry
            state = sampler.sample(state, (), {})
            # One draw at a time, not over the buffer: its bits must not depend on its place in a chunk.
            samples = jax.lax.cond(state.i > warmup, constrain, zeros, state.z)
            row = (state.z[: program.stored], _numbers(state), samples)
            return state, jax.tree.map(lambda buffer, value: buffer.at[i].set(value), buffers, row)

        row = jax.eval_shape(lambda s: (s.z[: program.stored], _numbers(s), zeros(s.z)), state)
        size = _capacity(sum(v.size * v.dtype.itemsize for v in jax.tree.leaves(row)))
        buffers = jax.tree.map(lambda v: jnp.zeros((size, *v.shape), v.dtype), row)
        return jax.lax.fori_loop(0, iterations, iterate, (state, buffers))

    return start, chunk


def _numbers(state: Any) -> Any:
    """The statistics of one iteration as one float64 vector: one buffer compiles faster than six."""
    import jax.numpy as jnp

    values = (
        state.potential_energy,
        state.energy,
        state.adapt_state.step_size,
        state.num_steps,
        state.accept_prob,
        state.diverging,
    )
    return jnp.stack([jnp.asarray(value, float) for value in values])


def _capacity(bytes_per_iteration: int) -> int:
    return max(1, min(CHUNK_ITERATIONS, CHUNK_BYTES // max(1, bytes_per_iteration)))


def _over_chains(function: Callable[..., Any], lane: int, axes: tuple[Any, ...]) -> Callable[..., Any]:
    """``function`` over a leading axis of ``lane`` chains. A lane of one is not vmapped: under vmap both
    branches of every condition run, and the bits would differ from those of a chain by itself."""
    import jax

    if lane > 1:
        return jax.vmap(function, in_axes=axes)

    def alone(*args: Any) -> Any:
        first = [
            a if axis is None else jax.tree.map(lambda v: v[0], a) for a, axis in zip(args, axes, strict=True)
        ]
        return jax.tree.map(lambda v: v[None], function(*first))

    return alone
