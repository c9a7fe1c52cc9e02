"""Sampling a program whose group effects are integrated out by Laplace's approximation, and the effects afterwards.

Few parameters are left, and their posterior is close to normal around its mode. So they are first drawn by importance
sampling: proposals from a split Student distribution at the mode, weights smoothed by a generalised Pareto distribution
(Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25), systematic resampling. Where the weights' k-hat says that this
did not work, or where the parameters are many, NUTS draws them. Then each draw gets effects from their normal
approximation, and the ratio of the joint densities, whose k-hat says how good the whole is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .approximation import USABLE_K, importance_weights, quality
from .density import Density
from .drawing import CHANCE, NOTED_SHIFT
from .integrated import Evaluator, IntegratedProgram, compile_evaluator
from .optimise import Limits, ascend
from .protocol import Draws, SamplerSettings, Timings
from .sample import sample
from .split_student import SplitStudent

__all__ = ["laplace"]

Vector = NDArray[np.float64]

STREAM = 6  # sets these random numbers apart from others drawn from the user's seed
MOST_DIMENSIONS = 50
"""Parameters beyond which importance sampling is not tried."""
FEWEST_PROPOSALS = 1000
"""Proposals of the parameters that are made, and judged, at a time: no fewer than the draws that are wanted."""
MOST_PROPOSALS = 6
"""How many times that many are made for the sake of their effective sample size."""
POOL = 5
"""Joint draws that one is chosen from by importance resampling."""
FREEDOM = 5.0
"""Of the Student distribution of proposals: its tails are heavier than a posterior's."""
PROBES = (2**0.5, 4.0)
"""How far from the mode, in standard deviations, the log density is looked at: near, for its skewness (Rue, Martino and
Chopin 2009, section 6.5), and far, for a tail that is heavier than that of a normal, as that of the logarithm of a
standard deviation towards zero."""
SCALES = (0.4, 4.0)
"""Between which the scales of proposals stay, as multiples of those of the curvature."""
DIFFERENCE = 0.02
"""Step, in rough standard deviations, of the differences of gradients that make the Hessian."""
LEAST_CURVATURE = 1e-2
"""Of the largest one: a direction with less counts as having this much, so that proposals stay in reach."""
COARSE = 1e-8
"""Squared Newton decrement with which modes are left in sampling: far below what draws can show."""


@dataclass(frozen=True)
class _Centred:
    """The program in coordinates whose origin is its mode; ``scales``: of proposals; whether the search ``converged``,
    and the ``steps`` it took."""

    evaluator: Evaluator
    proposals: SplitStudent
    converged: bool
    steps: int


@dataclass(frozen=True)
class _Sampled:
    """Draws of the parameters: ``points`` (chains, draws, dimension), their ``log_density`` (chains, draws), and the
    log of its integral where it is known, else NaN. ``k_hat``: of the importance weights that chose them."""

    points: Vector
    log_density: Vector
    log_integral: float
    k_hat: float
    complete: bool


def laplace(program: IntegratedProgram, settings: SamplerSettings, *, progress: bool = True) -> Draws:
    """Draws of all parameters from the Laplace approximation of the posterior.

    ``settings.output_samples`` independent draws as one chain; where NUTS is needed for the parameters, chains as NUTS
    gives them. With ``settings.importance_resampling`` the draws are chosen by joint importance weights, and are one
    chain in any case. ``settings.init`` says where the search for the mode starts. ``stats`` has ``lp`` and ``lq``, log
    densities of the joint posterior and of its approximation.

    Raises `SamplingError` when no starting point has a finite density.
    """
    began = time.perf_counter()
    deadline = began + (settings.time_budget or np.inf)
    evaluator = compile_evaluator(program)
    timings = Timings(compile=time.perf_counter() - began)
    began = time.perf_counter()
    centred = _centre(evaluator, settings, Limits(settings.iterations, deadline))
    timings.warmup = time.perf_counter() - began
    began = time.perf_counter()
    sampled = _by_importance(centred, settings, deadline)
    if sampled.k_hat > USABLE_K:
        chains = _by_nuts(centred, settings, deadline, progress)
        timings.compile += chains.timings.compile
        timings.warmup += chains.timings.warmup
        began += chains.timings.compile + chains.timings.warmup
        draws = _from_chains(centred, chains, sampled.k_hat, settings)
    else:
        draws = _joint(centred, sampled, settings, {}, ())
    timings.draws = time.perf_counter() - began
    return replace(draws, timings=timings)


def _centre(evaluator: Evaluator, settings: SamplerSettings, limits: Limits) -> _Centred:
    """Find the mode, and move the coordinates there."""
    density = Density(evaluator.program, evaluator.data, evaluator.programs)
    path = ascend(density, _start(density, settings), limits)
    at = path.positions[-1]
    program = evaluator.program.recentred(at, _root(evaluator, at))
    evaluator = evaluator.of(program)
    places = [_axes(program.dimension, distance) for distance in PROBES]
    values, modes = evaluator.modes(np.concatenate([np.zeros((1, program.dimension)), *places]))
    falls = np.split(values[0] - values[1:], len(PROBES))
    return _Centred(evaluator.of(_guessing(program, modes)), _proposals(falls), path.converged, path.steps)


def _axes(size: int, distance: float) -> Vector:
    """(2 size, size): points at ``distance`` from zero on every axis, the positive ones first."""
    return distance * np.concatenate([np.eye(size), -np.eye(size)])


def _proposals(falls: Sequence[Vector]) -> SplitStudent:
    """Proposals as wide as a normal density that would fall by as much: ``falls`` of the log density from the mode to
    `_axes`, for each of `PROBES`; the widest counts."""
    scales = []
    for fall, distance in zip(falls, PROBES, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = distance / np.sqrt(2 * fall)
        # Where the density does not fall there is no scale; the curvature's, which is 1, has to serve.
        scales.append(np.clip(np.where(np.isfinite(scale), scale, 1.0), *SCALES))
    above, below = np.split(np.max(scales, axis=0), 2)
    return SplitStudent(below, above, FREEDOM)


def _start(density: Density, settings: SamplerSettings) -> Vector:
    """Where the search starts: as ``init`` says if it says anything, else at the program's own rough estimate."""
    origin = np.zeros(density.program.dimension)
    if not isinstance(settings.init, np.ndarray):
        value, gradient = density.value_and_gradient(origin)
        if np.isfinite(value) and np.isfinite(gradient).all():
            return origin
    return density.start(settings, 0)


def _root(evaluator: Evaluator, at: Vector) -> Vector:
    """(dimension, dimension) lower triangular: of the inverse of minus the Hessian at ``at``."""
    size = len(at)
    columns = []
    for direction in DIFFERENCE * np.eye(size):
        above = evaluator.value_and_gradient(at + direction)[1]
        below = evaluator.value_and_gradient(at - direction)[1]
        columns.append((below - above) / (2 * DIFFERENCE))
    curvature = np.array(columns)
    if not np.isfinite(curvature).all():
        return np.eye(size)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    values = np.maximum(values, LEAST_CURVATURE * max(values[-1], LEAST_CURVATURE))
    return np.linalg.cholesky((vectors / values) @ vectors.T)


def _guessing(program: IntegratedProgram, modes: object) -> IntegratedProgram:
    """With the guess of the effects' mode that goes through ``modes``: at 0, and at the nearer of `PROBES`."""
    import jax

    size, distance = program.dimension, PROBES[0]

    def tables(of: Vector) -> tuple[Vector, Vector, Vector]:
        centre, above, below = of[0], of[1 : size + 1], of[size + 1 : 2 * size + 1]
        return centre, (above - below) / (2 * distance), (above + below - 2 * centre) / (2 * distance**2)

    split = [tables(leaf) for leaf in jax.tree.leaves(modes)]
    structure = jax.tree.structure(modes)
    mode, slopes, bends = (jax.tree.unflatten(structure, [one[i] for one in split]) for i in range(3))
    return program.guessing(mode, slopes, bends, COARSE)


def _by_importance(centred: _Centred, settings: SamplerSettings, deadline: float) -> _Sampled:
    """``output_samples`` draws of the parameters, or as many as joint draws are to be chosen from; of so many proposals
    that their effective number is no less, if that can be had."""
    evaluator, proposals = centred.evaluator, centred.proposals
    size = evaluator.program.dimension
    if size > MOST_DIMENSIONS:
        return _failed(size, np.inf)
    count = settings.output_samples * (POOL if settings.importance_resampling else 1)
    batch = max(count, FEWEST_PROPOSALS)
    random = np.random.default_rng([settings.seed, STREAM])
    points, lp = np.zeros((0, size)), np.zeros(0)
    late = enough = False
    while not (late or enough):
        proposed = proposals.draw(random, batch)
        lp = np.concatenate([lp, evaluator.log_density(proposed)])
        points = np.concatenate([points, proposed])
        ratios = lp - proposals.log_density(points)
        weights, k_hat = importance_weights(ratios, np.zeros_like(ratios))
        effective = 1 / np.sum(weights**2) if weights.any() else 0.0
        enough = effective >= count or len(lp) >= MOST_PROPOSALS * batch
        late = not enough and time.perf_counter() > deadline
    if k_hat > USABLE_K:
        return _failed(size, k_hat)
    chosen = systematic(weights, count, random)
    top = ratios.max()
    log_integral = float(top + np.log(np.mean(np.exp(ratios - top))))
    return _Sampled(points[chosen][None], lp[chosen][None], log_integral, k_hat, complete=not late)


def _failed(size: int, k_hat: float) -> _Sampled:
    """No draws: importance sampling did not work, or was not tried."""
    return _Sampled(np.zeros((1, 0, size)), np.zeros((1, 0)), np.nan, k_hat, complete=False)


def systematic(weights: Vector, count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """``count`` positions, each as often as its share of ``weights`` says, rounded up or down; in random order.

    Systematic resampling (Kitagawa 1996, JCGS 5).
    """
    places = (random.random() + np.arange(count)) / count
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), places), len(weights) - 1)
    return random.permutation(chosen)


def _by_nuts(centred: _Centred, settings: SamplerSettings, deadline: float, progress: bool) -> Draws:
    """The parameters by NUTS, from starting points around the mode."""
    random = np.random.default_rng([settings.seed, STREAM, 1])
    init = centred.proposals.draw(random, settings.chains)
    left = None if settings.time_budget is None else max(deadline - time.perf_counter(), 1e-3)
    return sample(
        centred.evaluator.program, replace(settings, init=init, time_budget=left), progress=progress
    )


def _from_chains(centred: _Centred, chains: Draws, k_hat: float, settings: SamplerSettings) -> Draws:
    why = f"had a Pareto k-hat of {k_hat:.2f}" if np.isfinite(k_hat) else "was not possible"
    note = f"Importance sampling of the parameters {why}, so that NUTS drew them; the group effects come as always."
    lp = chains.stats["lp"]
    sampled = _Sampled(chains.unconstrained, lp, np.nan, k_hat, chains.complete)
    return _joint(centred, sampled, settings, chains.stats, (*chains.notes, note))


def _joint(
    centred: _Centred,
    sampled: _Sampled,
    settings: SamplerSettings,
    stats: dict[str, NDArray],
    notes: tuple[str, ...],
) -> Draws:
    """Effects for every draw of the parameters, the joint densities, and what they say of the approximation."""
    chains, length, size = sampled.points.shape
    points = sampled.points.reshape(-1, size)
    joint = centred.evaluator.draw(points, np.random.default_rng([settings.seed, STREAM, 2]))
    marginal = sampled.log_density.reshape(-1)
    normalised = marginal if np.isnan(sampled.log_integral) else marginal - sampled.log_integral
    lq = normalised + joint.log_normal
    lp = marginal + joint.log_normal + joint.log_ratio
    weights, _ = importance_weights(lp, lq)
    moved, shift = _shift(centred.evaluator.program, points, weights)
    record = quality(
        settings.algorithm,
        lp,
        lq,
        resampled=settings.importance_resampling,
        converged=centred.converged,
        steps=centred.steps,
    )
    if not np.isfinite(
        sampled.log_integral
    ):  # the approximation's constant, and with it the bound, is not known
        record = replace(record, elbo=np.nan, elbo_error=np.nan)
    record = replace(record, moved=moved, shift=shift)
    shape, samples = (chains, length), joint.samples
    if settings.importance_resampling:
        random = np.random.default_rng([settings.seed, STREAM, 3])
        kept = systematic(weights, settings.output_samples, random)
        samples = {name: values[kept] for name, values in samples.items()}
        lp, lq, points, shape, stats = lp[kept], lq[kept], points[kept], (1, len(kept)), {}
    return Draws(
        samples={name: values.reshape(*shape, *values.shape[1:]) for name, values in samples.items()},
        stats={**stats, "lp": lp.reshape(shape), "lq": lq.reshape(shape)},
        unconstrained=points.reshape(*shape, size),
        timings=Timings(),
        settings=settings,
        complete=sampled.complete,
        notes=notes,
        approximation=record,
    )


def _shift(program: IntegratedProgram, points: Vector, weights: Vector) -> tuple[str, float]:
    """The parameter whose mean the approximation moves most, by its importance weights, and by how many posterior
    standard deviations; no name where that is little, or may be chance."""
    x = program.parameters(points)
    with np.errstate(invalid="ignore"):  # a parameter that does not vary has no scale
        centred = np.nan_to_num((x - x.mean(axis=0)) / x.std(axis=0))
    shift = -weights @ centred
    error = np.sqrt((weights - 1 / len(weights)) ** 2 @ centred**2)
    worst = int(np.argmax(np.abs(shift)))
    if not abs(shift[worst]) > NOTED_SHIFT + CHANCE * error[worst]:
        return "", 0.0
    return program.coordinate_names[worst], float(shift[worst])
