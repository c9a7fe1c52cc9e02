"""Variational approximations: the normal, of diagonal or full covariance, nearest to the posterior.

Automatic differentiation variational inference (Kucukelbir, Tran, Ranganath, Gelman and Blei 2017, JMLR 18) by
NumPyro's `SVI`: the model is one flat latent vector with its log density, the guide a normal over it. The evidence
lower bound is climbed with Adam, in coordinates that Pathfinder standardises, so that one set of step sizes fits every
model. Each is kept until the bound no longer rises; the parameters at its end, which wander about the optimum, are
averaged and become the coordinates for the next one (Dhaka, Catalina, Andersen, Magnusson, Huggins and Vehtari 2020,
"Robust, accurate stochastic optimization for variational inference", NeurIPS).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .compile_cache import Request, compiled_together
from .density import build_density
from .drawing import Found, draw
from .normals import CholeskyNormal, DiagonalNormal, Drawable, QuasiNewtonNormal
from .optimise import Limits
from .pathfinder import find_paths
from .progress import make_step_progress
from .protocol import Draws, FlatProgram, SamplerSettings, Timings
from .x64 import x64

__all__ = ["STEP_SIZES", "variational"]

Vector = NDArray[np.float64]

PARTICLES = 8
"""Draws that a gradient of the evidence lower bound is estimated from."""
CHUNK = 50
"""Steps between two looks at the bound."""
WINDOW = 2
"""Chunks that are compared with as many before them."""
STEP_SIZES = (0.1, 0.03, 0.01, 0.003)
"""Of Adam, in posterior standard deviations."""
LARGEST_FULL = 1000
"""Coordinates of a full-rank approximation; its covariance has half their square."""
PRELIMINARY = 1000
"""Draws whose spread gives the coordinates of the search."""
STREAM = 6  # sets these random numbers apart from others drawn from the user's seed


def variational(program: FlatProgram, settings: SamplerSettings, *, progress: bool = True) -> Draws:
    """Draws from the normal whose evidence lower bound is highest after at most ``settings.iterations`` steps.

    ``settings.algorithm``: "meanfield" or "fullrank". The search starts at the best of ``settings.chains`` Pathfinder
    paths, from the points that ``settings.init`` gives. Raises `SamplingError` as `find_paths` does, and
    `BayesmlmError` for a full covariance of too many coordinates.
    """
    began = time.perf_counter()
    full = settings.algorithm == "fullrank"
    if full and program.dimension > LARGEST_FULL:
        raise BayesmlmError(
            f"a full-rank approximation of {program.dimension} coordinates has {program.dimension**2 // 2} "
            f'covariances; more than {LARGEST_FULL} coordinates are refused: use algorithm="meanfield" or "pathfinder"'
        )
    density = build_density(program, ("gradient", "log_densities", "parameters"))
    limits = Limits(settings.iterations, began + (settings.time_budget or np.inf))
    best = max(find_paths(density, settings, limits), key=lambda one: one.elbo)
    random = np.random.default_rng([settings.seed, STREAM])
    coordinates = _Coordinates.of(best.normal, full, random)
    started = time.perf_counter()
    search = _Search.build(program, density.data, coordinates)
    compiled = time.perf_counter()
    outcome = _climb(search, coordinates, settings, limits, progress)
    timings = Timings(compile=compiled - started, warmup=time.perf_counter() - compiled + started - began)
    found = Found(outcome.distribution, outcome.converged, outcome.steps, timings, not limits.over)
    return draw(density, found, settings)


@dataclass(frozen=True)
class _Coordinates:
    """q = centre + factor x, where x is about standard normal; ``factor``: (dimension,), or lower triangular."""

    centre: Vector
    factor: Vector

    @classmethod
    def of(cls, normal: QuasiNewtonNormal, full: bool, random: np.random.Generator) -> _Coordinates:
        """In which ``normal`` is standard; with a diagonal factor, in its standard deviations."""
        if full:
            return cls(normal.mean, np.linalg.cholesky(normal.covariance()))
        return cls(normal.mean, normal.draw(random, PRELIMINARY).std(axis=0))

    def moved(self, parameters: Vector) -> _Coordinates:
        """In which the normal of these ``parameters`` is standard: location, log scales, and with a full factor a
        matrix of which counts what lies below the diagonal."""
        d = len(self.centre)
        location, scale = parameters[:d], np.exp(parameters[d : 2 * d])
        if self.factor.ndim == 1:
            return _Coordinates(self.centre + self.factor * location, self.factor * scale)
        unit = np.eye(d) + np.tril(parameters[2 * d :].reshape(d, d), -1) / np.sqrt(d)
        return _Coordinates(self.centre + self.factor @ location, self.factor @ (scale[:, None] * unit))

    @property
    def distribution(self) -> Drawable:
        """The normal that is standard in these coordinates."""
        if self.factor.ndim == 1:
            return DiagonalNormal(self.centre, self.factor)
        return CholeskyNormal(self.centre, self.factor)


@dataclass(frozen=True)
class _Outcome:
    distribution: Drawable
    converged: bool
    steps: int


def _climb(
    search: _Search, coordinates: _Coordinates, settings: SamplerSettings, limits: Limits, progress: bool
) -> _Outcome:
    """Up the evidence lower bound with one step size after the other, each from where the one before has ended."""
    shown = make_step_progress(progress)
    steps = 0
    for phase, size in enumerate(STEP_SIZES):
        state = search.start(settings.seed, phase, coordinates)
        averages, bounds = list[Vector](), list[Vector]()
        while not _flat(bounds) and steps < settings.iterations and not limits.over:
            count = min(CHUNK, settings.iterations - steps)
            state, average, bound = search.advance(state, size, count, coordinates)
            averages, bounds = [*averages, average][-WINDOW:], [*bounds, bound]
            steps += count
            shown.update(f"step {steps} of at most {settings.iterations}", steps / settings.iterations)
        if averages:
            coordinates = coordinates.moved(np.mean(averages, axis=0))
        if not _flat(bounds):
            return _Outcome(coordinates.distribution, False, steps)
    shown.update(f"{steps} steps", 1.0, last=True)
    return _Outcome(coordinates.distribution, True, steps)


def _flat(bounds: list[Vector]) -> bool:
    """Whether the last chunks' bounds are not higher than those before by more than their noise."""
    if len(bounds) < 2 * WINDOW:
        return False
    late, early = np.concatenate(bounds[-WINDOW:]), np.concatenate(bounds[-2 * WINDOW : -WINDOW])
    late, early = late[np.isfinite(late)], early[np.isfinite(early)]
    if len(late) < 2 or len(early) < 2:
        return False
    noise = np.sqrt(late.var(ddof=1) / len(late) + early.var(ddof=1) / len(early))
    return not late.mean() - early.mean() > noise


@dataclass(frozen=True)
class _Search:
    """The compiled steps of one program; a state is NumPyro's, opaque."""

    data: Any
    start_program: Any
    chunk_program: Any

    @classmethod
    def build(cls, program: FlatProgram, data: Any, coordinates: _Coordinates) -> _Search:
        """Compiled unless this process has seen the structure before."""
        full = coordinates.factor.ndim == 2
        start, chunk = _programs(program, full)
        key = f"{program.key}|{program.dimension}|{full}|{PARTICLES}|{CHUNK}"
        with x64():
            where = (coordinates.centre, coordinates.factor, data)
            first = (np.int64(0), np.int32(0), *where)
            rest = (np.float64(0.1), np.int32(1), *where)
            requests = [
                Request(start, first, "variational_start", key),
                Request(chunk, lambda outputs: (outputs[0], *rest), "variational_chunk", key),
            ]
            return cls(data, *compiled_together(requests))

    def start(self, seed: int, phase: int, coordinates: _Coordinates) -> Any:
        """The state at the standard normal of ``coordinates``; random numbers depend on seed and phase."""
        with x64():
            where = (coordinates.centre, coordinates.factor, self.data)
            return self.start_program(np.int64(seed), np.int32(phase), *where)

    def advance(
        self, state: Any, step_size: float, steps: int, coordinates: _Coordinates
    ) -> tuple[Any, Vector, Vector]:
        """The state after so many more steps (at most `CHUNK`), the parameters on average over them, and each step's
        estimate of the bound (up to a constant)."""
        with x64():
            where = (coordinates.centre, coordinates.factor, self.data)
            arguments = (state, np.float64(step_size), np.int32(steps), *where)
            state, average, bounds = self.chunk_program(*arguments)
            return state, np.asarray(average), np.asarray(bounds)[:steps]


def _programs(program: FlatProgram, full: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`start` and `chunk`, as functions for JAX to trace."""
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.infer import SVI, Trace_ELBO

    d = program.dimension

    def model(centre: Any, factor: Any, data: Any) -> None:
        anywhere = dist.ImproperUniform(
            dist.constraints.independent(dist.constraints.real, 2), (), (PARTICLES, d)
        )
        x = numpyro.sample("x", anywhere)
        q = centre + (x @ factor.T if full else x * factor)
        potentials = jax.vmap(lambda point: program.potential(point, data))(q)
        numpyro.factor("log_posterior", -jnp.mean(potentials))

    def guide(*_: Any) -> None:
        location = numpyro.param("location", jnp.zeros(d))
        log_scale = numpyro.param("log_scale", jnp.zeros(d))
        u = jax.random.normal(numpyro.prng_key(), (PARTICLES, d))
        if full:
            # Adam moves every element by its step size: divided so that a long row does not move further than a short.
            below = jnp.tril(numpyro.param("below", jnp.zeros((d, d))), -1) / np.sqrt(d)
            x = location + jnp.exp(log_scale) * (u + u @ below.T)
        else:
            x = location + jnp.exp(log_scale) * u
        log_q = jnp.mean(jnp.sum(dist.Normal(0.0, 1.0).log_prob(u), axis=1)) - jnp.sum(log_scale)
        # The derivative of x'u - sum(scale) is zero on average. Where q is the posterior, and standard in these
        # coordinates, it is minus the noise of the bound's own (Roeder, Wu and Duvenaud 2017, "Sticking the landing").
        variate = jnp.mean(jnp.sum(x * u, axis=1)) - jnp.sum(jnp.exp(log_scale))
        log_q = log_q - (variate - jax.lax.stop_gradient(variate))
        numpyro.sample("x", dist.Delta(x, log_density=log_q, event_dim=2))

    def engine(step_size: Any) -> SVI:
        # Made inside every trace, as NUTS is: it keeps its transformations in closures.
        return SVI(model, guide, numpyro.optim.Adam(step_size), Trace_ELBO())

    def flat(svi: SVI, state: Any) -> Any:
        values = svi.get_params(state)
        names = ("location", "log_scale", "below")[: 2 + full]
        return jnp.concatenate([values[name].reshape(-1) for name in names])

    def start(seed: Any, phase: Any, centre: Any, factor: Any, data: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), STREAM)
        return engine(0.1).init(jax.random.fold_in(key, phase), centre, factor, data)

    def chunk(state: Any, step_size: Any, steps: Any, centre: Any, factor: Any, data: Any) -> Any:
        svi = engine(step_size)
        svi.init(state.rng_key, centre, factor, data)  # only for the closures that it fills

        def step(i: Any, carry: Any) -> Any:
            state, total, bounds = carry
            # A step from a bound that is not finite is left out.
            state, loss = svi.stable_update(state, centre, factor, data)
            return state, total + flat(svi, state), bounds.at[i].set(-loss)

        empty = (state, jnp.zeros_like(flat(svi, state)), jnp.zeros(CHUNK))
        state, total, bounds = jax.lax.fori_loop(0, steps, step, empty)
        return state, total / jnp.maximum(steps, 1), bounds

    return start, chunk
