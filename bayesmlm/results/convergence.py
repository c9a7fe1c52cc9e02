"""Rank-normalised split-Rhat, effective sample sizes and Monte Carlo errors of many parameters at once.

Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization, folding, and localization: an
improved Rhat for assessing convergence of MCMC", Bayesian Analysis 16(2), as R's `posterior` computes them
(constant parameters give NaN; short and odd chains differ from ArviZ in detail). The array functions of
arviz-stats loop over parameters in Python; with a thousand group effects in a table that takes seconds, hence
this module.

Every function takes draws of shape (parameter, chain, draw) and returns one number for each parameter; a
parameter whose draws are constant or not finite gets NaN.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Convergence",
    "convergence",
    "ess_bulk",
    "ess_mean",
    "ess_quantile",
    "ess_tail",
    "ess_unsplit",
    "in_blocks",
    "mcse_mean",
    "mcse_quantile",
    "mcse_sd",
    "rhat",
]

Array = NDArray[np.float64]

# Values worked on at a time: a few arrays of this size stay near the processor's cache.
_BLOCK_VALUES = 1 << 17


@dataclass(frozen=True)
class Convergence:
    """What a summary table shows for each parameter; each field has shape (parameter,)."""

    rhat: Array
    ess_bulk: Array
    ess_tail: Array


def convergence(draws: Array) -> Convergence:
    """Rhat, bulk and tail effective sample size, sharing the sorting between the three."""
    rows = _blockwise(_rhat_bulk_tail, draws)
    return Convergence(rows[:, 0], rows[:, 1], rows[:, 2])


def rhat(draws: Array) -> Array:
    """The larger of the rank-normalised split-Rhat and the same of the draws folded about their median."""
    return _blockwise(lambda x: _rank_rhat(x, _split_normal_scores(x)), draws)


def ess_bulk(draws: Array) -> Array:
    """Effective sample size of the rank-normalised split chains."""
    return _blockwise(lambda x: ess_unsplit(_split_normal_scores(x)), draws)


def ess_mean(draws: Array) -> Array:
    """Effective sample size for the posterior mean (split chains, no ranks)."""
    return _blockwise(lambda x: ess_unsplit(_split(x)), draws)


def ess_quantile(draws: Array, probability: float) -> Array:
    """Effective sample size for the quantile: that of the indicator of being at or below it."""
    return _blockwise(lambda x: _ess_below(x, _quantiles(x, (probability,))[0]), draws)


def ess_tail(draws: Array) -> Array:
    """The smaller effective sample size of the 5 % and the 95 % quantile."""
    return np.minimum(ess_quantile(draws, 0.05), ess_quantile(draws, 0.95))


def mcse_mean(draws: Array) -> Array:
    """Monte Carlo standard error of the posterior mean."""
    return _flat(draws).std(axis=1, ddof=1) / np.sqrt(ess_mean(draws))


def mcse_sd(draws: Array) -> Array:
    """Monte Carlo standard error of the posterior standard deviation, by the delta method."""
    squared = (draws - draws.mean(axis=(1, 2), keepdims=True)) ** 2
    variance = squared.mean(axis=(1, 2))
    variance_of_variance = ((squared**2).mean(axis=(1, 2)) - variance**2) / ess_mean(squared)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(variance_of_variance / variance / 4)


def mcse_quantile(draws: Array, probability: float) -> Array:
    """Monte Carlo standard error of a quantile: half its central 68 % interval, from order statistics."""
    from scipy.special import betaincinv

    effective = ess_quantile(draws, probability)
    ordered = np.sort(_flat(draws), axis=1)
    size = ordered.shape[1]
    a, b = effective * probability + 1, effective * (1 - probability) + 1
    known = np.isfinite(effective)
    low = np.floor(np.where(known, betaincinv(a, b, 0.1586553), 0) * size).clip(1)
    high = np.ceil(np.where(known, betaincinv(a, b, 0.8413447), 0) * size).clip(1, size)
    pick = np.take_along_axis(ordered, np.stack([low, high], 1).astype(np.intp) - 1, axis=1)
    return np.where(known, (pick[:, 1] - pick[:, 0]) / 2, np.nan)


def ess_unsplit(chains: Array) -> Array:
    """Effective sample size of the chains as they are (section 3.2 of the paper).

    Autocovariances averaged over chains, summed by Geyer's initial monotone sequence. `loo`'s relative
    efficiency is this, of the likelihood.
    """
    count, chain_count, length = chains.shape
    if length < 3:
        return np.full(count, np.nan)
    means = chains.mean(axis=2, keepdims=True)
    covariance = _mean_autocovariance(chains - means)
    variance = covariance[:, 0].copy()
    if chain_count > 1:
        variance += means[:, :, 0].var(axis=1, ddof=1)
    within = covariance[:, 0] * length / (length - 1)
    last = max(0, -(-(length - 5) // 2))  # the last pair of lags that Geyer's rule may look at
    lags = 2 * (last + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1 - (within[:, None] - covariance[:, :lags]) / variance[:, None]
    rho[:, 0] = 1.0
    pairs = rho[:, 0::2] + rho[:, 1::2]
    stops = pairs <= 0
    stop = np.where(stops.any(axis=1), stops.argmax(axis=1), last)
    decreasing = np.minimum.accumulate(pairs, axis=1)
    kept = np.arange(last + 1) < stop[:, None]
    even = np.maximum(np.take_along_axis(rho, 2 * stop[:, None], axis=1)[:, 0], 0)
    tau = -1 + 2 * (decreasing * kept).sum(axis=1) + even
    total = chain_count * length
    result = total / np.maximum(tau, 1 / np.log10(total))
    constant = (chains.max(axis=(1, 2)) - chains.min(axis=(1, 2))) < np.finfo(float).eps
    return np.where(constant, np.nan, result)


def _rhat_bulk_tail(draws: Array) -> Array:
    scores = _split_normal_scores(draws)
    low, high = _quantiles(draws, (0.05, 0.95))
    tail = np.minimum(_ess_below(draws, low), _ess_below(draws, high))
    return np.stack([_rank_rhat(draws, scores), ess_unsplit(scores), tail], axis=1)


def in_blocks(function: Callable[[Array], Array], rows: Array) -> Array:
    """``function`` of blocks of rows, joined again; on several threads, for numpy sorts outside the GIL."""
    step = max(1, _BLOCK_VALUES // max(1, rows[0].size if len(rows) else 1))
    blocks = [rows[i : i + step] for i in range(0, max(1, len(rows)), step)]
    if len(blocks) == 1:
        return function(blocks[0])
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(function, blocks)))


def _blockwise(function: Callable[[Array], Array], draws: Array) -> Array:
    """``function`` applied to blocks of proper parameters; NaN for constant and non-finite ones."""
    draws = np.asarray(draws, dtype=np.float64)
    if draws.ndim != 3:
        raise ValueError(f"draws must have shape (parameter, chain, draw), not {draws.shape}")
    return in_blocks(lambda block: _on_proper(function, block), draws)


def _on_proper(function: Callable[[Array], Array], draws: Array) -> Array:
    low, high = draws.min(axis=(1, 2), initial=np.inf), draws.max(axis=(1, 2), initial=-np.inf)
    with np.errstate(invalid="ignore"):
        proper = np.isfinite(low) & np.isfinite(high) & (high - low >= np.finfo(float).eps)
    if len(draws) and proper.all():
        return function(draws)
    shape = function(np.zeros((1, *draws.shape[1:]))).shape[1:]
    result = np.full((len(draws), *shape), np.nan)
    if proper.any():
        result[proper] = function(draws[proper])
    return result


def _flat(draws: Array) -> Array:
    return draws.reshape(len(draws), -1)


def _split(draws: Array) -> Array:
    """Chains cut in halves, (parameter, 2 chain, draw // 2); an odd number's middle draw is left out."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, draws.shape[2] - half :]], axis=1)


def _split_normal_scores(draws: Array) -> Array:
    return _normal_scores(_split(draws))


def _rank_rhat(draws: Array, scores: Array) -> Array:
    folded = np.abs(draws - np.median(_flat(draws), axis=1)[:, None, None])
    return np.maximum(_plain_rhat(scores), _plain_rhat(_split_normal_scores(folded)))


def _plain_rhat(chains: Array) -> Array:
    length = chains.shape[2]
    if length < 2 or chains.shape[1] < 2:
        return np.full(len(chains), np.nan)
    between = length * chains.mean(axis=2).var(axis=1, ddof=1)
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt((between / within + length - 1) / length)


def _normal_scores(chains: Array) -> Array:
    """Ranks (average for ties) turned into normal quantiles with Blom's offset 3/8."""
    from scipy.special import ndtri

    flat = _flat(chains)
    size = flat.shape[1]
    doubled_ranks = np.arange(2 * size + 1)  # an average rank is a multiple of one half
    scores = ndtri((doubled_ranks / 2 - 0.375) / (size + 0.25))
    order = flat.argsort(axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    result = np.empty_like(flat)
    np.put_along_axis(result, order, np.broadcast_to(scores[2::2], flat.shape), axis=1)
    equal = ordered[:, 1:] == ordered[:, :-1]
    tied = np.flatnonzero(equal.any(axis=1))
    if tied.size:
        ranks = _doubled_average_ranks(equal[tied])
        ranked = np.empty((tied.size, size))
        np.put_along_axis(ranked, order[tied], scores[ranks], axis=1)
        result[tied] = ranked
    return result.reshape(chains.shape)


def _doubled_average_ranks(equal: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Twice the average ranks of sorted rows; ``equal[:, i]``: positions i and i + 1 are tied."""
    rows, size = equal.shape[0], equal.shape[1] + 1
    position = np.arange(size)
    edge = np.ones((rows, 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, ~equal]), position, 0), axis=1)
    backwards = np.where(np.hstack([~equal, edge]), position, size)[:, ::-1]
    last = np.minimum.accumulate(backwards, axis=1)[:, ::-1]
    return first + last + 2


def _quantiles(draws: Array, probabilities: tuple[float, ...]) -> Array:
    """R's type 7 quantiles, shape (probability, parameter, 1, 1)."""
    return np.quantile(_flat(draws), probabilities, axis=1)[:, :, None, None]


def _ess_below(draws: Array, quantile: Array) -> Array:
    return ess_unsplit(_split((draws <= quantile).astype(np.float64)))


def _mean_autocovariance(centred: Array) -> Array:
    """Autocovariance (divisor: the number of draws) averaged over chains, shape (parameter, draw)."""
    length = centred.shape[2]
    padded = _fast_length(2 * length)
    spectrum = np.fft.rfft(centred, padded, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.fft.irfft(power, padded, axis=1)[:, :length] / length


def _fast_length(least: int) -> int:
    """The smallest 2^a, 3 2^a or 5 2^a that is not less than ``least``: lengths that the FFT likes."""
    power = 1 << max(0, (least - 1).bit_length())
    return min(n for n in (power, 3 * power // 4, 5 * power // 8) if n >= least)
