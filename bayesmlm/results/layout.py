"""The fixed layout of the DataTree that holds a fit, and the way from its entries to brms's flat draw names.

A `Variable` says what one posterior array is; `build_tree` puts arrays and variables together; `flat_names`,
`draws_array` and `as_draws_df` show the same draws under brms's names (``b_x``, ``sd_g__Intercept``,
``r_g[level,x]``) in brms's order. The layout is described, and tested, in ``docs/results.md``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain as concatenate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "FlatName",
    "Variable",
    "as_draws_df",
    "build_tree",
    "centred_intercept",
    "coefficient_pairs",
    "correlations",
    "draws_array",
    "flat_names",
    "group_effects",
    "group_sds",
    "has_chains",
    "intercept",
    "nuts_params",
    "population",
    "quantity",
    "response_correlations",
    "select",
]

KIND_ORDER = ("b_Intercept", "b", "sd", "cor", "dpar", "response_cor", "Intercept", "other", "r", "prior")
"""brms's order of the classes of draws; within a class, the order in which the variables were given."""

_FLAT_PATTERN = {
    "b": "b_{prefix}{0}",
    "sd": "sd_{group}__{prefix}{0}",
    "cor": "cor_{group}__{0}",
    "r": "r_{group}{suffix}[{0},{1}]",
    "response_cor": "{name}__{0}",
}
_FLAT_PATTERN_BY_NAME = {"theta": "theta{0}"}
_NUTS_PARAMETERS = {
    "accept_stat__": "acceptance_rate",
    "stepsize__": "step_size",
    "treedepth__": "tree_depth",
    "n_leapfrog__": "n_steps",
    "divergent__": "diverging",
    "energy__": "energy",
}
_BLANKS = re.compile(r"\s")


@dataclass(frozen=True)
class Variable:
    """One posterior variable: an array (chain, draw, ``*dims``).

    ``kind``: one of `KIND_ORDER`. ``dims``: names of the dimensions after chain and draw, ``labels``: their
    coordinates. ``dpar``: the distributional parameter (empty for mu), ``group``: the grouping factor, where
    the variable belongs to one. Use the functions below, which know the names.
    """

    name: str
    kind: str
    dims: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()
    dpar: str = ""
    group: str = ""


@dataclass(frozen=True)
class FlatName:
    """Where a flat draw name lives: group and variable of the tree, position in the variable, and what it is.

    ``label``: the coordinates at that position; ``kind``, ``dpar``, ``factor`` (the grouping factor): as in
    `Variable`.
    """

    tree_group: str
    variable: str
    index: tuple[int, ...] = ()
    label: tuple[str, ...] = ()
    kind: str = "other"
    dpar: str = ""
    factor: str = field(default="")


def population(coefs: Sequence[str], dpar: str = "") -> Variable:
    """``b`` [coef]: population-level coefficients other than the intercept (``b_sigma`` [sigma_coef])."""
    prefix = f"{dpar}_" if dpar else ""
    return Variable("b" + _suffix(dpar), "b", (f"{prefix}coef",), (tuple(coefs),), dpar)


def intercept(dpar: str = "") -> Variable:
    """``b_Intercept``: the intercept for uncentred predictors (``b_sigma_Intercept``)."""
    return Variable(f"b{_suffix(dpar)}_Intercept", "b_Intercept", dpar=dpar)


def centred_intercept(dpar: str = "") -> Variable:
    """``Intercept``: the intercept of centred predictors, which has the prior (``Intercept_sigma``)."""
    return Variable(f"Intercept{_suffix(dpar)}", "Intercept", dpar=dpar)


def group_sds(group: str, coefs: Sequence[str], dpar: str = "", by: bool = False) -> Variable:
    """``sd_<group>`` [<group>_coef].

    ``by=True`` for ``gr(by = )``: the coefficients are then ``Intercept:lev1``, more than the group effects
    have, and the dimension is ``<group>_by_coef``.
    """
    name = _group_name(group, dpar)
    return Variable(
        f"sd_{name}", "sd", (f"{name}_by_coef" if by else f"{name}_coef",), (tuple(coefs),), dpar, group
    )


def correlations(group: str, pairs: Sequence[tuple[str, str]]) -> Variable:
    """``cor_<group>`` [<group>_pair]; pairs of brms's coefficient names (``Intercept``,
    ``sigma_Intercept``)."""
    labels = tuple(f"{a}__{b}" for a, b in pairs)
    safe = _no_slash(group)
    return Variable(f"cor_{safe}", "cor", (f"{safe}_pair",), (labels,), group=group)


def group_effects(group: str, levels: Sequence[str], coefs: Sequence[str], dpar: str = "") -> Variable:
    """``r_<group>`` [<group>_level, <group>_coef]: deviations of the levels, on the scale of the
    predictor."""
    name = _group_name(group, dpar)
    dims = (f"{_no_slash(group)}_level", f"{name}_coef")
    return Variable(f"r_{name}", "r", dims, (tuple(levels), tuple(coefs)), dpar, group)


def quantity(name: str, labels: Sequence[str] | None = None, kind: str = "dpar") -> Variable:
    """A scalar (``sigma``), or with ``labels`` a vector with the dimension ``<name>_dim``."""
    if labels is None:
        return Variable(_no_slash(name), kind)
    return Variable(_no_slash(name), kind, (f"{_no_slash(name)}_dim",), (tuple(labels),))


def response_correlations(name: str, pairs: Sequence[str]) -> Variable:
    """``lncor`` [lncor_pair]: correlations of what a response is made of; pairs are written ``a__b``."""
    return Variable(name, "response_cor", (f"{name}_pair",), (tuple(pairs),))


def coefficient_pairs(coefs: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of coefficients in the order of brms's correlations: (1, 2), (1, 3), (2, 3), (1, 4), ..."""
    return [(coefs[i], coefs[j]) for j in range(1, len(coefs)) for i in range(j)]


def build_tree(
    variables: Sequence[Variable],
    samples: Mapping[str, NDArray[Any]],
    *,
    sample_stats: Mapping[str, NDArray[Any]] | None = None,
    observed_data: Mapping[str, NDArray[Any]] | None = None,
    constant_data: Mapping[str, NDArray[Any]] | None = None,
    log_prior: Mapping[str, NDArray[Any]] | None = None,
    rows: Sequence[str] | None = None,
    attributes: Mapping[str, str | int | float] | None = None,
) -> xr.DataTree:
    """The DataTree of a fit.

    ``samples[variable.name]``: (chain, draw, *labels). ``sample_stats``: ArviZ's names, (chain, draw).
    ``observed_data`` and ``constant_data``: arrays over rows of the data, first dimension ``obs_id`` with the
    row labels ``rows`` as coordinates if given (other lengths get a dimension of their own). ``log_prior``:
    ``lprior`` and, if wanted, its parts, (chain, draw). Groups without content are left out. Raises
    ValueError for arrays whose shape is not that of their variable: a programming error.
    """
    import xarray as xr

    groups: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=dict(attributes or {}))}
    groups["posterior"] = _posterior(variables, samples)
    for name, arrays in (("sample_stats", sample_stats), ("log_prior", log_prior)):
        if arrays:
            groups[name] = _by_draw(arrays)
    for name, arrays in (("observed_data", observed_data), ("constant_data", constant_data)):
        if arrays:
            groups[name] = _by_row(arrays, rows)
    return xr.DataTree.from_dict(groups)


def flat_names(tree: xr.DataTree, kinds: Collection[str] = ()) -> dict[str, FlatName]:
    """brms's draw names in brms's order, ``lprior`` and ``lp__`` last, and where each is found.

    ``kinds``: only these kinds of variables (a model can have 10^5 group effects; most tables need none).
    """
    names: dict[str, FlatName] = {}
    posterior = tree["posterior"].dataset
    for name in _in_order(posterior):
        if not kinds or posterior[name].attrs.get("kind", "other") in kinds:
            names.update(_flatten(posterior[name]))
    if kinds:
        return names
    for group, variable, flat in (("log_prior", "lprior", "lprior"), ("sample_stats", "lp", "lp__")):
        if group in tree.children and variable in tree[group].dataset:
            names[flat] = FlatName(group, variable)
    return names


def select(
    tree: xr.DataTree, variables: str | Iterable[str] | None = None, regex: bool = False
) -> dict[str, FlatName]:
    """The flat names asked for: all; or exact flat names, or names of tree variables (``r_id``: all its
    elements); or, with ``regex``, those in which a pattern is found. Raises `BayesmlmError` for no match."""
    names = flat_names(tree)
    if variables is None:
        return names
    wanted = [variables] if isinstance(variables, str) else list(variables)
    chosen = list(concatenate.from_iterable(_matches(names, each, regex) for each in wanted))
    return {name: names[name] for name in dict.fromkeys(chosen)}


def draws_array(
    tree: xr.DataTree, variables: str | Iterable[str] | None = None, regex: bool = False
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Flat names and their draws, shape (name, chain, draw)."""
    chosen = select(tree, variables, regex)
    return tuple(chosen), gather(tree, list(chosen.values()))


def as_draws_df(
    tree: xr.DataTree, variables: str | Iterable[str] | None = None, regex: bool = False
) -> pd.DataFrame:
    """Draws as rows, flat names as columns, and last ``.chain``, ``.iteration``, ``.draw`` (from 1, as in
    R)."""
    import pandas as pd

    names, draws = draws_array(tree, variables, regex)
    count, chains, length = draws.shape
    frame = pd.DataFrame(draws.reshape(count, -1).T, columns=list(names))
    frame[".chain"] = np.repeat(np.arange(1, chains + 1), length)
    frame[".iteration"] = np.tile(np.arange(1, length + 1), chains)
    frame[".draw"] = np.arange(1, chains * length + 1)
    return frame


def has_chains(tree: xr.DataTree) -> bool:
    """Whether the draws come from chains, whose mixing can be asked about; an approximation's are independent."""
    return (
        "sample_stats" not in tree.children
        or "lq" not in tree["sample_stats"].dataset
        or ("diverging" in tree["sample_stats"].dataset)
    )


def nuts_params(tree: xr.DataTree) -> pd.DataFrame:
    """The sampler's statistics, long, as brms's: columns Chain, Iteration (from 1), Parameter, Value."""
    import pandas as pd

    if not has_chains(tree):
        raise BayesmlmError("the draws come from an approximation, not from NUTS: see fit.approximation")
    stats = tree["sample_stats"].dataset
    found = {brms: stats[name].to_numpy() for brms, name in _NUTS_PARAMETERS.items() if name in stats}
    chains, draws = stats.sizes["chain"], stats.sizes["draw"]
    return pd.DataFrame(
        {
            "Chain": np.tile(np.repeat(np.arange(1, chains + 1), draws), len(found)),
            "Iteration": np.tile(np.arange(1, draws + 1), chains * len(found)),
            "Parameter": np.repeat(np.array(list(found), dtype=object), chains * draws),
            "Value": np.concatenate([values.ravel().astype(np.float64) for values in found.values()]),
        }
    )


def gather(tree: xr.DataTree, places: Sequence[FlatName]) -> NDArray[np.float64]:
    """The draws at ``places``, shape (place, chain, draw)."""
    posterior = tree["posterior"].dataset
    arrays: dict[tuple[str, str], NDArray[Any]] = {}
    result = np.empty((len(places), posterior.sizes["chain"], posterior.sizes["draw"]))
    for row, place in enumerate(places):
        key = (place.tree_group, place.variable)
        if key not in arrays:
            arrays[key] = tree[place.tree_group].dataset[place.variable].to_numpy()
        where: Any = (..., *place.index)
        result[row] = arrays[key][where]
    return result


def _suffix(dpar: str) -> str:
    return f"_{dpar}" if dpar else ""


def _group_name(group: str, dpar: str) -> str:
    return _no_slash(group) + (f"__{dpar}" if dpar else "")


def _no_slash(name: str) -> str:
    # "/" separates the groups of a DataTree; brms's own rule for names of coefficients turns it into "D".
    return name.replace("/", "D")


def _posterior(variables: Sequence[Variable], samples: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    import xarray as xr

    arrays: dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, str]]] = {}
    coordinates: dict[str, NDArray[Any]] = {}
    shape: tuple[int, ...] = ()
    for variable in variables:
        values = np.asarray(samples[variable.name])
        shape = values.shape[:2]
        expected = (*shape, *(len(labels) for labels in variable.labels))
        if variable.name in arrays or values.shape != expected:
            raise ValueError(f"`{variable.name}` is there twice, or has shape {values.shape} for {expected}")
        facts = {"kind": variable.kind, "dpar": variable.dpar, "group": variable.group}
        attributes = {key: text for key, text in facts.items() if text}
        arrays[variable.name] = (("chain", "draw", *variable.dims), values, attributes)
        for dim, labels in zip(variable.dims, variable.labels, strict=True):
            given = np.array(labels, dtype=str)
            if not np.array_equal(coordinates.setdefault(dim, given), given):
                raise BayesmlmError(
                    f"two different things would be called `{dim}` in the results "
                    f"(one is `{variable.name}`); rename the grouping column"
                )
    return xr.Dataset(arrays, coords={**_draw_coordinates(shape), **coordinates})


def _by_draw(arrays: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    import xarray as xr

    first = np.asarray(next(iter(arrays.values())))
    content = {name: (("chain", "draw"), np.asarray(values)) for name, values in arrays.items()}
    return xr.Dataset(content, coords=_draw_coordinates(first.shape))


def _by_row(arrays: Mapping[str, NDArray[Any]], rows: Sequence[str] | None) -> xr.Dataset:
    import xarray as xr

    content = {}
    length = len(rows) if rows is not None else max(len(np.atleast_1d(v)) for v in arrays.values())
    for name, given in arrays.items():
        values, safe = np.asarray(given), _no_slash(name)
        own = tuple(f"{safe}_dim_{i}" for i in range(values.ndim))
        if values.ndim and len(values) == length:
            own = ("obs_id", *own[1:])
        content[safe] = (own, values)
    coordinates = {} if rows is None else {"obs_id": np.array([str(row) for row in rows], dtype=str)}
    return xr.Dataset(content, coords=coordinates)


def _draw_coordinates(shape: tuple[int, ...]) -> dict[str, NDArray[np.int64]]:
    return {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])} if shape else {}


def _in_order(posterior: xr.Dataset) -> list[str]:
    """Names of the posterior's variables by class, group effects' scales by group, else as they were
    given."""
    names = [str(name) for name in posterior.data_vars]
    factors = list(dict.fromkeys(posterior[name].attrs.get("group", "") for name in names))

    def place(name: str) -> tuple[int, int]:
        attributes = posterior[name].attrs
        return KIND_ORDER.index(attributes.get("kind", "other")), factors.index(attributes.get("group", ""))

    return sorted(names, key=place)


def _flatten(array: xr.DataArray) -> dict[str, FlatName]:
    facts = array.attrs
    kind, dpar, factor = (facts.get(key, "") for key in ("kind", "dpar", "group"))
    parts = {
        "group": factor,
        "prefix": f"{dpar}_" if dpar else "",
        "suffix": f"__{dpar}" if dpar else "",
        "name": str(array.name),
    }
    name = str(array.name)
    pattern = _FLAT_PATTERN.get(kind) or _FLAT_PATTERN_BY_NAME.get(name)
    coordinates = [[str(label) for label in array[dim].to_numpy().tolist()] for dim in array.dims[2:]]
    result: dict[str, FlatName] = {}
    # Column by column, as Stan lists matrices: all levels of the first coefficient, then of the second.
    for reverse in np.ndindex(*array.shape[:1:-1]):
        index = reverse[::-1]
        label = tuple(coordinates[axis][i] for axis, i in enumerate(index))
        shown = [_BLANKS.sub(".", text) for text in label]
        flat = (
            pattern.format(*shown, **parts) if pattern else name + (f"[{','.join(shown)}]" if shown else "")
        )
        result[flat] = FlatName("posterior", name, index, label, kind or "other", dpar, factor)
    return result


def _matches(names: Mapping[str, FlatName], wanted: str, regex: bool) -> list[str]:
    if regex:
        pattern = _compile(wanted)
        found = [name for name in names if pattern.search(name)]
    elif wanted in names:
        found = [wanted]
    else:
        found = [name for name, place in names.items() if place.variable == wanted]
    if found:
        return found
    if regex:
        raise BayesmlmError(f"no draws have a name in which the pattern `{wanted}` is found")
    near = difflib.get_close_matches(wanted, names, n=3)
    hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else "."
    shown = ", ".join(list(names)[:12]) + (", ..." if len(names) > 12 else "")
    raise BayesmlmError(f"no draws are named `{wanted}`{hint} The draws are: {shown}")


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BayesmlmError(f"`{pattern}` is not a regular expression: {error}") from error
