"""Pointwise log-likelihoods by blocks of rows, and Pareto-smoothed importance weights from them.

A pointwise log-likelihood of 4000 draws and a million rows would take 32 GB; everything here looks at a block
of rows at a time. The smoothing itself is ArviZ's (Vehtari, Simpson, Gelman, Yao and Gabry 2024, "Pareto
smoothed importance sampling", JMLR 25).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .convergence import ess_unsplit

if TYPE_CHECKING:
    from .fit import BayesFit

__all__ = [
    "LogLikelihood",
    "draws_of_all_sites",
    "log_mean_exp",
    "log_weights",
    "relative_efficiency",
    "take_rows",
]

BLOCK_VALUES = 1 << 22
"""Values in a block of rows: 32 MB, of which the criteria make some ten copies."""


@dataclass(frozen=True)
class LogLikelihood:
    """A pointwise log-likelihood that is computed when asked for.

    ``block(start, stop)``: the rows from ``start`` to ``stop``, shape (chains, draws, stop - start).
    ``response``: the observed values, if known, so that comparisons can tell data sets apart. ``log_ratios`` (all
    draws,): of the posterior's density to that of the approximation that the draws come from; None if they come from
    the posterior.
    """

    chains: int
    draws: int
    rows: int
    block: Callable[[int, int], NDArray[np.float64]]
    response: NDArray[Any] | None = None
    log_ratios: NDArray[np.float64] | None = None

    @classmethod
    def of_array(cls, values: NDArray[np.float64]) -> LogLikelihood:
        """From an array (chain, draw, row)."""
        chains, draws, rows = values.shape
        return cls(chains, draws, rows, lambda start, stop: values[:, :, start:stop])

    @classmethod
    def of_fit(cls, fit: BayesFit) -> LogLikelihood:
        """Of the rows that ``fit`` was fitted to, conditional on the group effects (as brms); those whose response is
        missing (``mi()``) are left out."""
        response = fit.design.response
        observed = np.flatnonzero(response.observed)
        chains, rows = fit.nchains, len(observed)
        draws = fit.ndraws // chains

        @cache  # made when the rows do not fit in one block, once for all of them
        def whole() -> tuple[Any, Any]:
            return draws_of_all_sites(fit), {**fit.design.arrays(), **fit.design.response.arrays()}

        def block(start: int, stop: int) -> NDArray[np.float64]:
            if (start, stop) == (0, rows):
                return fit.log_lik(None)[:, observed].reshape(chains, draws, rows)
            from .predict import run_blocks

            values, design = whole()
            own = observed[start:stop]
            cut = take_rows(design, int(own[0]), int(own[-1]) + 1)
            terms = run_blocks(fit.spec.structure, "log_likelihood", values, cut, "mu", 0)[:, own - own[0]]
            return terms.reshape(chains, draws, stop - start)

        return cls(chains, draws, rows, block, response.values[..., observed], _log_ratios(fit))

    def by_row(self) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Blocks of bounded size: the rows, and their values with shape (row, chain, draw)."""
        step = max(1, min(self.rows, BLOCK_VALUES // (self.chains * self.draws)))
        for start in range(0, self.rows, step):
            stop = min(start + step, self.rows)
            values = np.ascontiguousarray(np.moveaxis(self.block(start, stop), 2, 0))
            yield slice(start, stop), values


def _log_ratios(fit: BayesFit) -> NDArray[np.float64] | None:
    """What turns draws from an approximation into draws from the posterior; None where they count as such."""
    record = fit.approximation
    if record is None or record.resampled or record.even:
        return None
    stats = fit.idata["sample_stats"].dataset
    return np.asarray((stats["lp"] - stats["lq"]).to_numpy().reshape(-1))


def draws_of_all_sites(fit: BayesFit) -> dict[str, NDArray[np.float64]]:
    """All draws of all parameters by program name, chains joined. Raises `BayesmlmError` when those of group
    effects were not kept."""
    from .predict import effects_not_kept

    values = fit.site_values(np.arange(fit.ndraws))
    for block in fit.design.blocks:
        if f"r_{block.site}" not in values:
            raise effects_not_kept(block)
    return values


def take_rows(arrays: Any, start: int, stop: int) -> Any:
    """The rows from ``start`` to ``stop`` of a design as `Design.arrays` gives it: every array in it, but those with
    a last axis of one, which all rows share."""
    if isinstance(arrays, dict):
        return {name: take_rows(value, start, stop) for name, value in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(take_rows(value, start, stop) for value in arrays)
    return arrays if arrays.ndim > 1 and arrays.shape[-1] == 1 else arrays[..., start:stop]


def relative_efficiency(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Effective sample size of each row's likelihood (not its logarithm) divided by the number of draws.

    ``values``: log-likelihoods (row, chain, draw). A likelihood that does not vary counts as fully efficient.
    """
    likelihood = np.exp(values - values.max(axis=(1, 2), keepdims=True))
    efficiency = ess_unsplit(likelihood) / (values.shape[1] * values.shape[2])
    return np.where(np.isfinite(efficiency), efficiency, 1.0)


def log_weights(
    values: NDArray[np.float64],
    efficiency: NDArray[np.float64],
    log_ratios: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed leave-one-out log weights, normalised for each row, and the Pareto k of each row.

    ``values``: log-likelihoods (row, draw). ``log_ratios`` (draw,): see `LogLikelihood`; the weights then lead from the
    approximation to the posterior without the row at once (Magnusson, Andersen, Jonasson and Vehtari 2019, "Bayesian
    leave-one-out cross-validation for large data", ICML). Rows whose likelihood does not vary get equal weights and k =
    -inf; where a tail of equal ratios admits no Pareto fit the weights stay raw and k = inf.
    """
    from arviz_stats.base.array import array_stats

    values = values if log_ratios is None else values - log_ratios
    smoothed = np.empty_like(values)
    pareto_k = np.empty(len(values))
    for row, (ratios, r_eff) in enumerate(zip(values, efficiency, strict=True)):
        if np.ptp(ratios) < np.finfo(float).eps:
            smoothed[row], pareto_k[row] = -np.log(values.shape[1]), -np.inf
            continue
        try:
            smoothed[row], pareto_k[row] = array_stats.psislw(ratios, r_eff=float(r_eff))
        except ValueError:  # ArviZ's word for a tail whose values are all the same
            smoothed[row], pareto_k[row] = -ratios - _log_sum_exp(-ratios[None])[0], np.inf
    return smoothed, pareto_k


def log_mean_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log of the mean of exp along the last axis."""
    return _log_sum_exp(values) - np.log(values.shape[-1])


def _log_sum_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max(axis=-1)
    return top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
