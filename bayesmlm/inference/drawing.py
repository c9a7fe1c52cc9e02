"""From an approximating distribution to draws: their parameters, log densities and the record of their quality.

Draws come in blocks whose random numbers depend on seed and block alone, so that a draw can be made again and need not
be kept while it is not known whether it will be wanted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .approximation import importance_weights, quality, resampled
from .density import Density
from .normals import Drawable
from .protocol import Draws, SamplerSettings, Timings

__all__ = ["Found", "draw"]

STREAM = 5  # sets these random numbers apart from others drawn from the user's seed
BLOCK = 256
POOL = 10
"""Draws that one draw is chosen from by importance resampling."""
NOTED_SHIFT = 0.1
"""Posterior standard deviations by which the approximation may move a mean before the record says so."""
CHANCE = 3.0
"""Standard errors that such a shift may be due to chance."""
MOST_TRIES = 10
"""Draws tried for each one wanted: where fewer have a finite density, something is wrong."""


@dataclass(frozen=True)
class Found:
    """What an engine found: the distribution, whether its optimiser ``converged``, the ``steps`` it took, how long
    compiling and optimising took, and whether it was left alone (``complete``)."""

    distribution: Drawable
    converged: bool
    steps: int
    timings: Timings
    complete: bool = True


def draw(density: Density, found: Found, settings: SamplerSettings) -> Draws:
    """``settings.output_samples`` draws as one chain, with ``lp`` and ``lq``; `Draws.approximation` is their quality.

    Draws where the posterior has no finite density are made again. Raises `SamplingError` if nearly all are such.
    """
    began = time.perf_counter()
    count, choose = settings.output_samples, settings.importance_resampling
    pool = _pool(density, found.distribution, settings, count * POOL if choose else count)
    weights, _ = importance_weights(pool.lp, pool.lq)
    record = quality(
        settings.algorithm,
        pool.lp,
        pool.lq,
        resampled=choose,
        converged=found.converged,
        steps=found.steps,
    )
    shifts = _shifts(found.distribution, settings, pool.number, weights)
    worst = int(np.argmax(np.abs(shifts)))
    if shifts[worst] != 0:
        record = replace(record, moved=density.program.coordinate_names[worst], shift=float(shifts[worst]))
    kept = np.arange(count)
    if choose:
        kept = resampled(weights, count, np.random.default_rng([settings.seed, STREAM, 0]))
    samples, unconstrained = _parameters(density, found.distribution, settings, pool.number[kept])
    timings = found.timings
    timings.draws += time.perf_counter() - began
    notes = []
    if pool.rejected:
        notes.append(
            f"{pool.rejected} of {pool.rejected + len(pool.lp)} draws from the approximation had no finite posterior "
            "density and were drawn again."
        )
    return Draws(
        samples={name: values[None] for name, values in samples.items()},
        stats={"lp": pool.lp[kept][None], "lq": pool.lq[kept][None]},
        unconstrained=unconstrained[None],
        timings=timings,
        settings=settings,
        complete=found.complete,
        notes=tuple(notes),
        approximation=record,
    )


@dataclass(frozen=True)
class _Pool:
    """Draws of finite density: the ``number`` of each among all, the two log densities; and how many had none."""

    number: NDArray[np.int64]
    lp: NDArray[np.float64]
    lq: NDArray[np.float64]
    rejected: int


def _block(distribution: Drawable, settings: SamplerSettings, block: int) -> NDArray[np.float64]:
    return distribution.draw(np.random.default_rng([settings.seed, STREAM, block + 1]), BLOCK)


def _pool(density: Density, distribution: Drawable, settings: SamplerSettings, wanted: int) -> _Pool:
    """The first ``wanted`` draws of finite density."""
    numbers, lps, lqs = [], [], []
    have = block = 0
    while have < wanted:
        points = _block(distribution, settings, block)
        lp, lq = density.log_density(points), distribution.log_density(points)
        finite = np.flatnonzero(np.isfinite(lp) & np.isfinite(lq))[: wanted - have]
        numbers.append(block * BLOCK + finite)
        lps.append(lp[finite])
        lqs.append(lq[finite])
        have += len(finite)
        block += 1
        if have < wanted and block * BLOCK > MOST_TRIES * max(wanted, BLOCK):
            raise SamplingError(
                f"Only {have} of {block * BLOCK} draws from the approximation have a finite posterior density: "
                f'algorithm="{settings.algorithm}" failed for this model; use algorithm="sampling".'
            )
    number = np.concatenate(numbers)
    return _Pool(number, np.concatenate(lps), np.concatenate(lqs), int(number[-1]) + 1 - wanted)


def _shifts(
    distribution: Drawable,
    settings: SamplerSettings,
    number: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """By how many of its standard deviations each coordinate's mean over the draws of these numbers (ascending) lies
    above the one by importance weights; zero where that is less than `NOTED_SHIFT`, or may be chance."""
    change = weights - 1 / len(weights)
    moments = np.zeros((5, 1))
    for block in np.unique(number // BLOCK):
        rows = number // BLOCK == block
        x = _block(distribution, settings, int(block))[number[rows] % BLOCK]
        c = change[rows]
        moments = moments + np.stack([x.sum(0), (x**2).sum(0), c @ x, c**2 @ x, c**2 @ x**2])
    total, squares, moved, first, second = moments
    mean = total / len(weights)
    sd = np.sqrt(np.maximum(squares / len(weights) - mean**2, np.finfo(float).tiny))
    shift = -moved / sd
    error = np.sqrt(np.maximum(second - 2 * mean * first + mean**2 * np.sum(change**2), 0)) / sd
    return np.where(np.abs(shift) > NOTED_SHIFT + CHANCE * error, shift, 0.0)


def _parameters(
    density: Density, distribution: Drawable, settings: SamplerSettings, number: NDArray[np.int64]
) -> tuple[dict[str, NDArray], NDArray[np.float64]]:
    """What is stored of the draws of these numbers (ascending, perhaps repeated): parameters, and unconstrained."""
    samples: dict[str, NDArray] = {}
    unconstrained = np.empty((len(number), density.program.stored))
    for block in np.unique(number // BLOCK):
        rows = np.flatnonzero(number // BLOCK == block)
        points = _block(distribution, settings, int(block))[number[rows] % BLOCK]
        unconstrained[rows] = points[:, : density.program.stored]
        for name, values in density.parameters(points).items():
            if name not in samples:
                samples[name] = np.empty((len(number), *values.shape[1:]), values.dtype)
            samples[name][rows] = values
    return samples, unconstrained
