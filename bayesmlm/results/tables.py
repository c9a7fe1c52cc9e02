"""Tables of a fit: posterior summaries, population effects, group effects, coefficients by level,
(co)variances.

Estimates are what brms shows: the mean and standard deviation of the draws or, with ``robust``, the median
and the MAD (times 1.4826); quantiles are R's type 7. Everything is on the scale of the parameter itself (the
link scale for coefficients). Functions take the DataTree of `bayesmlm.results.layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .convergence import convergence, in_blocks
from .layout import FlatName, flat_names, gather, has_chains, select

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "VarCorr",
    "coef",
    "fixef",
    "posterior_summary",
    "ranef",
    "summarise_columns",
    "summarise_draws",
]

FIXED_KINDS = ("b_Intercept", "b")
MAD_CONSTANT = 1.4826
"""What R's `mad` multiplies by."""

_BLOCK_VALUES = 1 << 23


def posterior_summary(
    tree: xr.DataTree,
    variables: str | Iterable[str] | None = None,
    regex: bool = False,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
) -> pd.DataFrame:
    """One row for each draw name: Estimate, Est.Error, Q2.5, Q97.5, Rhat, Bulk_ESS, Tail_ESS.

    ``variables``, ``regex``: as in `layout.select`. ``prob``: the width of the central interval, which names
    the quantile columns; ``probs`` gives the quantiles themselves, as brms does. Rhat and effective sample
    sizes are NaN where the draws are constant, and of the independent draws of an approximation.
    """
    return _summary_table(tree, select(tree, variables, regex), quantile_levels(prob, probs), robust)


def summarise_draws(
    draws: NDArray[np.float64], probs: Sequence[float] = (0.025, 0.975), robust: bool = False
) -> NDArray[np.float64]:
    """Estimate, Est.Error and quantiles of draws with shape (row, ...): shape (row, 2 + len(probs))."""
    rows = draws.reshape(len(draws), -1)
    return in_blocks(lambda block: _estimates(block, probs, robust), rows)


def _estimates(flat: NDArray[np.float64], probs: Sequence[float], robust: bool) -> NDArray[np.float64]:
    if robust:
        centre = np.median(flat, axis=1)
        spread = MAD_CONSTANT * np.median(np.abs(flat - centre[:, None]), axis=1)
    else:
        centre = flat.mean(axis=1)
        spread = flat.std(axis=1, ddof=1)
    return np.column_stack([centre, spread, np.quantile(flat, list(probs), axis=1).T])


def summarise_columns(
    draws: NDArray[np.float64],
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Estimate, Est.Error and quantiles of each column of draws (draw, row): one row of the table for
    each."""
    import pandas as pd

    quantiles = quantile_levels(prob, probs)
    return pd.DataFrame(summarise_draws(draws.T, quantiles, robust), columns=estimate_columns(quantiles))


def quantile_levels(prob: float = 0.95, probs: Sequence[float] | None = None) -> tuple[float, ...]:
    """``probs``, or the two ends of the central interval of width ``prob``. Raises for values outside (0,
    1)."""
    if probs is None:
        if not 0 < prob < 1:
            raise BayesmlmError(f"prob={prob:g} must lie between 0 and 1: it is the width of the interval")
        return ((1 - prob) / 2, (1 + prob) / 2)
    if any(not 0 <= p <= 1 for p in probs):
        raise BayesmlmError(f"probs={tuple(probs)} must lie between 0 and 1: they are the quantiles shown")
    return tuple(probs)


def estimate_columns(probs: Sequence[float]) -> list[str]:
    """Estimate, Est.Error and the quantiles' names as R writes them: Q2.5, Q97.5."""
    return ["Estimate", "Est.Error", *(f"Q{_as_r_writes(100 * p)}" for p in probs)]


def fixef(
    tree: xr.DataTree,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
    pars: Iterable[str] | None = None,
) -> Any:
    """Population-level effects, named as in the formula (``Intercept``, ``x``, ``sigma_x``); the columns of
    `posterior_summary`. ``pars``: only these. With ``summary=False`` draws: DataArray (chain, draw, coef). Raises
    `BayesmlmError` when there are none."""
    places = fixed_places(tree)
    if not places:
        raise BayesmlmError("the model has no population-level effects")
    if pars is not None:
        places = {name: places[name] for name in _known(pars, places, "population-level effect")}
    if not summary:
        draws = gather(tree, list(places.values()))
        return _as_draws(tree, np.moveaxis(draws, 0, -1), {"coef": list(places)})
    return _summary_table(tree, places, quantile_levels(prob, probs), robust)


def ranef(
    tree: xr.DataTree,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
    groups: Iterable[str] | None = None,
) -> Any:
    """Group effects: one row for each group, level and coef (in draws' order), with Estimate, Est.Error and
    quantiles. Coefficients of distributional parameters are prefixed (``sigma_Intercept``).

    With ``summary=False`` draws: a Dataset with a variable (chain, draw, <group>_level, <group>_coef) by
    group.
    """
    effects = _effects_by_group(tree, groups)
    return _tidy_levels(effects, quantile_levels(prob, probs), robust) if summary else _dataset(tree, effects)


def coef(
    tree: xr.DataTree,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
    groups: Iterable[str] | None = None,
    thresholds: int = 1,
) -> Any:
    """Coefficients of each level: population effect plus group effect; the columns (or draws) of `ranef`.

    As in brms, coefficients without group effects follow, repeated for every level, and a group effect
    without a population effect stands alone. ``thresholds``: 1 for thresholds less the group's intercepts, -1 for the
    negative of that.
    """
    effects = _coefs_by_group(tree, groups, thresholds)
    return _tidy_levels(effects, quantile_levels(prob, probs), robust) if summary else _dataset(tree, effects)


def VarCorr(  # noqa: N802 - the name that lme4 and brms users know
    tree: xr.DataTree,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
) -> Any:
    """Standard deviations, correlations and covariances of the group effects, and sigma as group
    ``residual__``.

    Columns group, kind (sd, cor, cov), coef1, coef2, Estimate, Est.Error and quantiles. As in brms there are
    covariances (variances included: coef1 equal to coef2) only for groups with correlations; each pair is
    there once. ``coef2`` is empty for an sd.

    With ``summary=False`` draws: a Dataset with ``sd_<group>`` (chain, draw, <group>_coef1), where there are
    correlations the full matrices ``cor_<group>`` and ``cov_<group>`` (chain, draw, <group>_coef1,
    <group>_coef2), and ``sd_residual__`` (chain, draw).
    """
    if not summary:
        return _matrices(tree)
    import pandas as pd

    quantiles = quantile_levels(prob, probs)
    keys: list[tuple[str, str, str, str]] = []
    blocks: list[NDArray[np.float64]] = []
    for group in _groups_of(tree, "sd"):
        for kind, coef1, coef2, draws in _components(tree, group):
            keys.append((group, kind, coef1, coef2))
            blocks.append(summarise_draws(draws[None], quantiles, robust))
    names = flat_names(tree, ("dpar",))
    if "sigma" in names:
        keys.append(("residual__", "sd", "", ""))
        blocks.append(summarise_draws(gather(tree, [names["sigma"]]), quantiles, robust))
    if not keys:
        raise BayesmlmError("the model has neither group effects nor a residual standard deviation")
    table = pd.DataFrame(keys, columns=["group", "kind", "coef1", "coef2"])
    table[estimate_columns(quantiles)] = np.concatenate(blocks)
    return table


def _matrices(tree: xr.DataTree) -> xr.Dataset:
    import xarray as xr

    arrays: dict[str, xr.DataArray] = {}
    for group in _groups_of(tree, "sd"):
        components = list(_components(tree, group))
        labels = [coef1 for kind, coef1, _, _ in components if kind == "sd"]
        sds = np.stack([draws for kind, _, _, draws in components if kind == "sd"], axis=-1)
        first, second = f"{group}_coef1", f"{group}_coef2"
        arrays[f"sd_{group}"] = _as_draws(tree, sds, {first: labels})
        pairs = [(a, b, draws) for kind, a, b, draws in components if kind == "cor"]
        if pairs:
            cor = np.zeros((*sds.shape, len(labels))) + np.eye(len(labels))
            for a, b, draws in pairs:
                i, j = labels.index(a), labels.index(b)
                cor[..., i, j] = cor[..., j, i] = draws
            cov = cor * sds[..., :, None] * sds[..., None, :]
            arrays[f"cor_{group}"] = _as_draws(tree, cor, {first: labels, second: labels})
            arrays[f"cov_{group}"] = _as_draws(tree, cov, {first: labels, second: labels})
    names = flat_names(tree, ("dpar",))
    if "sigma" in names:
        arrays["sd_residual__"] = _as_draws(tree, gather(tree, [names["sigma"]])[0], {})
    return xr.Dataset(arrays)


def fixed_places(tree: xr.DataTree) -> dict[str, FlatName]:
    """Population-level effects by their names in a table, in brms's order (intercepts first)."""
    return {coefficient_name(place): place for place in flat_names(tree, FIXED_KINDS).values()}


def coefficient_name(place: FlatName) -> str:
    """The name of a coefficient with its distributional parameter: ``Intercept``, ``sigma_x``."""
    own = "Intercept" if place.kind == "b_Intercept" else place.label[-1]
    if place.kind == "b_Intercept" and place.label:  # thresholds
        own = f"Intercept[{place.label[-1]}]"
    return f"{place.dpar}_{own}" if place.dpar else own


def split_pairs(tree: xr.DataTree, group: str) -> dict[str, tuple[str, str]]:
    """Pair labels of ``cor_<group>`` (``a__b``) to the pair itself; names may contain ``__`` themselves."""
    labels = [
        coefficient_name(place) for place in flat_names(tree, ("sd",)).values() if place.factor == group
    ]
    return {f"{a}__{b}": (a, b) for a, b in permutations(labels, 2)}


def _groups_of(tree: xr.DataTree, kind: str) -> list[str]:
    return list(dict.fromkeys(place.factor for place in flat_names(tree, (kind,)).values()))


def _components(tree: xr.DataTree, group: str) -> Iterator[tuple[str, str, str, NDArray[np.float64]]]:
    """(kind, coef1, coef2, draws (chain, draw)) of a group: its sds, then correlations, then covariances."""
    places = [place for place in flat_names(tree, ("sd", "cor")).values() if place.factor == group]
    scales = [place for place in places if place.kind == "sd"]
    sds = dict(zip(map(coefficient_name, scales), gather(tree, scales), strict=True))
    for name, draws in sds.items():
        yield "sd", name, "", draws
    pairs = [place for place in places if place.kind == "cor"]
    if not pairs:
        return
    labels = split_pairs(tree, group)
    cors = {labels[place.label[0]]: draws for place, draws in zip(pairs, gather(tree, pairs), strict=True)}
    for (a, b), draws in cors.items():
        yield "cor", a, b, draws
    for name, draws in sds.items():
        yield "cov", name, name, draws**2
    for (a, b), draws in cors.items():
        yield "cov", a, b, draws * sds[a] * sds[b]


Effects = dict[str, tuple[list[str], list[str], NDArray[np.float64]]]
"""By group: levels, coefficients, draws (chain, draw, level, coef)."""


def _effects_by_group(tree: xr.DataTree, groups: Iterable[str] | None) -> Effects:
    posterior = tree["posterior"].dataset
    result: Effects = {}
    for name, array in posterior.data_vars.items():
        if array.attrs.get("kind") != "r":
            continue
        group, dpar = array.attrs["group"], array.attrs.get("dpar", "")
        levels, own = ([str(x) for x in posterior[dim].to_numpy().tolist()] for dim in array.dims[2:])
        coefs = [f"{dpar}_{c}" if dpar else c for c in own]
        draws = posterior[name].to_numpy()
        if group in result:
            coefs = [*result[group][1], *coefs]
            draws = np.concatenate([result[group][2], draws], axis=3)
        result[group] = (levels, coefs, draws)
    if not result:
        raise BayesmlmError(
            "there are no group effects among the draws: the model has none, or they were not kept"
        )
    if groups is not None:
        names = [groups] if isinstance(groups, str) else groups
        result = {group: result[group] for group in _known(names, result, "grouping factor")}
    return result


def _coefs_by_group(tree: xr.DataTree, groups: Iterable[str] | None, sign: int) -> Effects:
    places = fixed_places(tree)
    population = dict(zip(places, gather(tree, list(places.values())), strict=True))
    # The group effect that moves each threshold: Intercept, or that of a component (mu1_Intercept).
    moved_by = {
        name: name.partition("[")[0]
        for name, place in places.items()
        if place.kind == "b_Intercept" and place.label
    }
    result: Effects = {}
    for group, (levels, own, effects) in _effects_by_group(tree, groups).items():
        coefs = [name for name in own if name not in moved_by.values()]
        names = [*coefs, *(name for name in population if name not in coefs)]
        draws = np.zeros((*effects.shape[:3], len(names)))
        for position, name in enumerate(names):
            effect = (
                effects[..., own.index(moved_by.get(name, name))] if moved_by.get(name, name) in own else 0.0
            )
            fixed = population[name][:, :, None] if name in population else 0.0
            draws[..., position] = sign * (fixed - effect) if name in moved_by else fixed + effect
        result[group] = (levels, names, draws)
    return result


def _tidy_levels(effects: Effects, probs: Sequence[float], robust: bool) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for group, (levels, coefs, draws) in effects.items():
        # Coefficient by coefficient, as brms prints the array: all levels of the first, then of the second.
        # One at a time, because with many levels a copy of all draws would not fit in memory.
        parts = [summarise_draws(draws[..., i].transpose(2, 0, 1), probs, robust) for i in range(len(coefs))]
        table = pd.DataFrame(
            {"group": group, "level": levels * len(coefs), "coef": np.repeat(coefs, len(levels))}
        )
        table[estimate_columns(probs)] = np.concatenate(parts)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _dataset(tree: xr.DataTree, effects: Effects) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            group: _as_draws(tree, draws, {f"{group}_level": levels, f"{group}_coef": coefs})
            for group, (levels, coefs, draws) in effects.items()
        }
    )


def _as_draws(tree: xr.DataTree, draws: NDArray[Any], labels: dict[str, list[str]]) -> xr.DataArray:
    import xarray as xr

    posterior = tree["posterior"].dataset
    coordinates: dict[str, Any] = {
        "chain": posterior["chain"].to_numpy(),
        "draw": posterior["draw"].to_numpy(),
    }
    coordinates.update({dim: np.array(names, dtype=str) for dim, names in labels.items()})
    return xr.DataArray(draws, dims=("chain", "draw", *labels), coords=coordinates)


def _blocks(tree: xr.DataTree, places: Iterable[FlatName]) -> Iterator[NDArray[np.float64]]:
    every = list(places)
    sizes = tree["posterior"].dataset.sizes
    step = max(1, _BLOCK_VALUES // (sizes["chain"] * sizes["draw"]))
    for start in range(0, max(1, len(every)), step):
        yield gather(tree, every[start : start + step])


def _summary_table(
    tree: xr.DataTree, places: Mapping[str, FlatName], probs: Sequence[float], robust: bool
) -> pd.DataFrame:
    import pandas as pd

    blocks = [_estimates_and_convergence(draws, probs, robust) for draws in _blocks(tree, places.values())]
    columns = [*estimate_columns(probs), "Rhat", "Bulk_ESS", "Tail_ESS"]
    table = pd.DataFrame(np.concatenate(blocks), index=list(places), columns=columns)
    if not has_chains(tree):
        table[["Rhat", "Bulk_ESS", "Tail_ESS"]] = np.nan
    return table


def _estimates_and_convergence(
    draws: NDArray[np.float64], probs: Sequence[float], robust: bool
) -> NDArray[np.float64]:
    found = convergence(draws)
    return np.column_stack(
        [summarise_draws(draws, probs, robust), found.rhat, found.ess_bulk, found.ess_tail]
    )


def _known(wanted: Iterable[str], available: Iterable[str], what: str) -> list[str]:
    names, known = list(wanted), list(available)
    for name in names:
        if name not in known:
            raise BayesmlmError(f"`{name}` is not a {what} of this model; these are: {', '.join(known)}")
    return names


def _as_r_writes(number: float) -> str:
    return f"{number:.15g}"
