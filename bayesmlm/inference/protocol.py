"""What an engine needs from a model and what it gives back; every engine is one file behind this protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .approximation import Approximation

__all__ = ["Draws", "Explains", "FlatProgram", "Replicated", "SamplerSettings", "Timings"]


class FlatProgram(Protocol):
    """A log posterior over one flat, unconstrained vector q of length ``dimension``, with its data as
    arguments.

    ``key`` is the model's structure as text: two programs with the same key and array shapes compile to the
    same code. ``data`` is a pytree (dicts and tuples of numpy arrays, float64 or int32); every number that
    may change between fits of the same structure is in it. ``coordinate_names[i]`` says which parameter q[i]
    belongs to.
    """

    @property
    def key(self) -> str:
        """The structure."""
        ...

    @property
    def dimension(self) -> int:
        """The length of q."""
        ...

    @property
    def stored(self) -> int:
        """How many leading elements of q are kept with the draws: all, unless they would fill the memory."""
        ...

    @property
    def data(self) -> Any:
        """The numbers."""
        ...

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        """Parameter of each element of q."""
        ...

    def potential(self, q: Any, data: Any) -> Any:
        """Minus the log posterior density of q (up to a constant), Jacobians included; traced by JAX."""
        ...

    def constrain(self, q: Any, data: Any) -> Mapping[str, Any]:
        """The parameters to be stored for one q, by name, on their natural scales; traced by JAX."""
        ...


@runtime_checkable
class Explains(Protocol):
    """What a `FlatProgram` may offer besides: a sentence on why the density of q is not finite, naming the
    row of the data if it can, or None. Asked only when sampling cannot start; q is (dimension,),
    unconstrained."""

    def explain(self, q: NDArray[np.float64]) -> str | None:
        """The sentence, ready to be shown to the user."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """What a `FlatProgram` has whose data are many data sets: each chain then samples the posterior of its own.

    ``data_axes``: of the structure of ``data``; 0 for arrays with one entry a chain, None for those that all share."""

    data_axes: Any


@dataclass(frozen=True)
class SamplerSettings:
    """brms's sampler arguments. ``iterations`` counts warm-up too; ``init`` as `brm`'s: a radius, one flat vector for
    each chain, or "laplace". What chains and iterations mean to an engine that approximates: docs/sampling.md."""

    chains: int = 4
    iterations: int = 2000
    warmup: int = 1000
    thin: int = 1
    seed: int = 0
    adapt_delta: float = 0.8
    max_treedepth: int = 10
    cores: int | None = None
    init: float | NDArray[np.float64] | Literal["laplace"] = 2.0
    chain_method: str | None = None
    """"threads" (default on a CPU) or "vectorized" (default on an accelerator)."""
    time_budget: float | None = None
    """Seconds after which sampling stops with the draws it has."""
    algorithm: str = "sampling"
    """A name of `engines.ENGINES`."""
    output_samples: int = 1000
    """Draws from an approximate posterior."""
    importance_resampling: bool = False
    """Whether these are chosen from ten times as many by importance weights."""


@dataclass
class Timings:
    """Seconds spent: building the design, compiling, warming up, drawing, and afterwards (tables,
    DataTree)."""

    setup: float = 0.0
    compile: float = 0.0
    warmup: float = 0.0
    draws: float = 0.0
    after: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.setup + self.compile + self.warmup + self.draws + self.after


@dataclass(frozen=True)
class Draws:
    """Post-warm-up draws. ``samples[name]``: (chain, draw, ...); ``stats``: (chain, draw) under ArviZ's names
    ``lp, step_size, n_steps, tree_depth, acceptance_rate, diverging, energy, reached_max_treedepth``; of an engine
    that draws from an approximation, ``lp`` and ``lq``, the log densities of posterior and approximation.
    ``unconstrained``: (chain, draw, stored). ``complete`` is False when sampling was interrupted or ran
    out of its time budget; all chains are then cut to the shortest. ``approximation``: how good it is, None where the
    draws are the posterior's."""

    samples: dict[str, NDArray]
    stats: dict[str, NDArray]
    unconstrained: NDArray[np.float64]
    timings: Timings
    settings: SamplerSettings
    complete: bool = True
    notes: tuple[str, ...] = field(default_factory=tuple)
    approximation: Approximation | None = None
