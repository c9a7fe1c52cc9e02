"""Small readings of a fit that brms users know by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from . import layout, tables

if TYPE_CHECKING:
    import xarray as xr

    from .fit import BayesFit

__all__ = ["as_draws_array", "interval_table", "log_posterior", "thinned", "to_datatree", "vcov"]


def vcov(tree: xr.DataTree, correlation: bool = False) -> pd.DataFrame:
    """Posterior covariances (or correlations) of the population-level effects."""
    places = tables.fixed_places(tree)
    if not places:
        raise BayesmlmError("the model has no population-level effects")
    draws = layout.gather(tree, list(places.values())).reshape(len(places), -1)
    matrix = np.atleast_2d(np.corrcoef(draws) if correlation else np.cov(draws))
    return pd.DataFrame(matrix, index=list(places), columns=list(places))


def interval_table(draws: NDArray[np.float64], names: Iterable[Any], prob: float) -> pd.DataFrame:
    """Central intervals of width ``prob`` of draws (row, ...); columns as R names them (``2.5%``, ``97.5%``)."""
    rows = draws.reshape(len(draws), -1)
    levels = tables.quantile_levels(prob)
    columns = [f"{100 * level:.15g}%" for level in levels]
    return pd.DataFrame(np.quantile(rows, levels, axis=1).T, index=list(names), columns=columns)


def as_draws_array(tree: xr.DataTree, variables: Any = None, regex: bool = False) -> xr.DataArray:
    """Draws under brms's flat names as one array (chain, draw, variable)."""
    import xarray as xr

    names, draws = layout.draws_array(tree, variables, regex)
    posterior = tree["posterior"].dataset
    coordinates = {
        "chain": posterior["chain"],
        "draw": posterior["draw"],
        "variable": np.array(names, dtype=str),
    }
    return xr.DataArray(np.moveaxis(draws, 0, -1), dims=("chain", "draw", "variable"), coords=coordinates)


def log_posterior(tree: xr.DataTree) -> pd.DataFrame:
    """``lp__`` of each draw, long: Chain, Iteration (from 1), Value."""
    lp = tree["sample_stats"]["lp"].to_numpy()
    chains, draws = lp.shape
    return pd.DataFrame(
        {
            "Chain": np.repeat(np.arange(1, chains + 1), draws),
            "Iteration": np.tile(np.arange(1, draws + 1), chains),
            "Value": lp.ravel(),
        }
    )


def to_datatree(
    fit: BayesFit,
    *,
    log_likelihood: bool = True,
    posterior_predictive: bool = False,
    ndraws: int | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """``fit.idata`` with the groups that ArviZ's functions look for added.

    ``log_likelihood``, ``posterior_predictive``: under the response's name, (chain, draw, obs_id), computed here and
    held in memory: 8 bytes for each draw of each row. ``ndraws``: thin all groups to about so many draws, equally
    spaced within the chains. ``seed``: of the predictive draws.
    """
    import xarray as xr

    kept = thinned(fit, ndraws)
    groups = {
        name: group.to_dataset().isel(draw=kept) if "draw" in group.dims else group.to_dataset()
        for name, group in fit.idata.children.items()
    }
    length = fit.ndraws // fit.nchains
    ids = (np.arange(fit.nchains)[:, None] * length + kept).ravel()
    coordinates = {name: groups["posterior"][name] for name in ("chain", "draw")}

    def by_row(values: NDArray[np.float64]) -> xr.Dataset:
        shaped = values.reshape(fit.nchains, len(kept), *values.shape[1:])
        # A response of several columns has a last dimension, called as in observed_data.
        dims = ("chain", "draw", "obs_id", f"{_response(fit)}_dim_1")[: shaped.ndim]
        return xr.Dataset({_response(fit): (dims, shaped)}, coords=coordinates)

    if log_likelihood:
        groups["log_likelihood"] = by_row(fit.log_lik(draw_ids=ids))
    if posterior_predictive:
        groups["posterior_predictive"] = by_row(fit.posterior_predict(draw_ids=ids, seed=seed))
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(fit.idata.attrs)
    return tree


def thinned(fit: BayesFit, ndraws: int | None) -> NDArray[np.int64]:
    """Positions within a chain of about ``ndraws`` draws in all, equally spaced."""
    length = fit.ndraws // fit.nchains
    if ndraws is None:
        return np.arange(length)
    if not 1 <= ndraws <= fit.ndraws:
        raise BayesmlmError(f"ndraws must lie between 1 and {fit.ndraws}, not {ndraws}")
    count = -(-ndraws // fit.nchains)
    return np.arange(count) * length // count


def _response(fit: BayesFit) -> str:
    return str(next(iter(fit.idata["observed_data"].data_vars)))
