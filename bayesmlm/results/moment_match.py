"""Moment matching for observations whose Pareto k is too large.

Paananen, Piironen, Bürkner and Vehtari (2021), "Implicitly adaptive importance sampling", Statistics and Computing
31: the posterior draws are shifted, scaled and rotated towards the posterior without the observation, until
importance sampling from them is reliable. The algorithm is ArviZ's; here it is given the model, and only those rows
that need it, so that memory stays small.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .psis import log_mean_exp, log_weights
from .unconstrain import Evaluator, unconstrained_draws

if TYPE_CHECKING:
    from .fit import BayesFit

__all__ = ["Matched", "moment_match"]


@dataclass(frozen=True)
class Matched:
    """What moment matching found for ``rows``; arrays have as many entries, or rows.

    ``elpd``: expected log predictive densities; ``pareto_k``; ``effective``: effective numbers of draws;
    ``log_likelihood`` and ``log_weights`` (row, draw): at the transformed draws, the weights normalised.
    """

    rows: NDArray[np.intp]
    elpd: NDArray[np.float64]
    pareto_k: NDArray[np.float64]
    effective: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    log_weights: NDArray[np.float64]


def moment_match(
    fit: BayesFit, rows: NDArray[np.intp], efficiency: NDArray[np.float64], k_threshold: float
) -> Matched:
    """Match moments for ``rows`` until their Pareto k is at most ``k_threshold``, or no longer falls.

    ``efficiency``: relative efficiency of each of ``rows``. Rows that cannot be improved keep what importance
    sampling from the posterior gave them.
    """
    from arviz_stats.loo import loo_moment_match

    shape = (fit.nchains, fit.ndraws // fit.nchains)
    model = Evaluator(fit)
    q = unconstrained_draws(fit)
    # Rows are counted without those whose response is missing.
    places = np.flatnonzero(fit.design.response.observed)[rows]
    values = np.stack([model.log_likelihood(q, int(place)) for place in places])
    weights, k = log_weights(values, efficiency)
    latest = dict(enumerate(values))

    def log_likelihood(draws: Any, position: int) -> Any:
        # ArviZ does not say what the log-likelihood is at the draws it ends with: they are the last ones it asks for.
        latest[position] = model.log_likelihood(_flat(draws), int(places[position]))
        return _by_chain(latest[position], shape)

    with warnings.catch_warnings():
        # Which rows could not be helped is said by the caller, once and in our words.
        warnings.simplefilter("ignore")
        found = loo_moment_match(
            _tree(values, shape),
            _importance_sampling(values, weights, k, shape),
            log_prob_upars_fn=lambda draws: _by_chain(model.log_posterior(_flat(draws)), shape),
            log_lik_i_upars_fn=log_likelihood,
            upars=_by_chain(q, shape, "parameter"),
            reff=_by_row(efficiency),
            k_threshold=k_threshold,
            pointwise=True,
        )
    improved = found.pareto_k.to_numpy() < k
    weights = np.where(improved[:, None], _rows(found.log_weights), weights)
    values = np.where(improved[:, None], np.stack([latest[i] for i in range(len(rows))]), values)
    effective = efficiency / np.exp(2 * weights).sum(axis=1)
    elpd = log_mean_exp(weights + values) + np.log(fit.ndraws)
    return Matched(rows, elpd, np.minimum(k, found.pareto_k.to_numpy()), effective, values, weights)


def _importance_sampling(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: NDArray[np.float64], shape: tuple[int, int]
) -> Any:
    """What ArviZ takes for the result that is to be improved."""
    from arviz_stats.utils import ELPDDataLOO

    elpd = log_mean_exp(weights + values) + np.log(values.shape[1])
    return ELPDDataLOO(
        elpd=float(elpd.sum()),
        se=0.0,
        p=0.0,
        n_samples=values.shape[1],
        n_data_points=len(values),
        scale="log",
        warning=True,
        good_k=0.7,
        elpd_i=_by_row(elpd),
        pareto_k=_by_row(k),
        log_weights=_by_chain(weights.T, shape, "row"),
    )


def _tree(values: NDArray[np.float64], shape: tuple[int, int]) -> Any:
    import xarray as xr

    return xr.DataTree.from_dict({"log_likelihood": xr.Dataset({"y": _by_chain(values.T, shape, "row")})})


def _by_row(values: NDArray[np.float64]) -> Any:
    import xarray as xr

    return xr.DataArray(np.array(values), dims=("row",))


def _by_chain(values: NDArray[np.float64], shape: tuple[int, int], *last: str) -> Any:
    """A DataArray (chain, draw, *last) of draws whose chains are joined."""
    import xarray as xr

    coordinates = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    array = np.array(values).reshape(*shape, *values.shape[1:])
    return xr.DataArray(array, dims=("chain", "draw", *last), coords=coordinates)


def _flat(draws: Any) -> NDArray[np.float64]:
    return draws.transpose("chain", "draw", ...).to_numpy().reshape(-1, draws.shape[-1])


def _rows(weights: Any) -> NDArray[np.float64]:
    array = weights.transpose("row", "chain", "draw").to_numpy()
    return array.reshape(len(array), -1)
