"""Where conditional effects are evaluated: which effects, at which values of their variables, the others
held.

The rules are brms's: variables of an effect run over a grid (numeric) or their levels (factors); a second
numeric variable takes its mean and one standard deviation either way; everything else is held at its mean
or its first level. Functions here work on data frames alone and know nothing of draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning, NewDataError

__all__ = [
    "EffectGrid",
    "ModelVariables",
    "as_text",
    "choose_effects",
    "effect_grid",
    "far_from_data",
    "is_factor",
    "make_conditions",
    "points_frame",
    "reference_rows",
]

Effect = tuple[str, ...]
IntConditions = Mapping[str, Any]


@dataclass(frozen=True)
class ModelVariables:
    """What a grid needs to know of a model.

    ``data``: the rows used, one column for each variable of the formula in order of appearance.
    ``effects``: the variables of each population-level term, in order. ``predictors``: variables that
    predictions depend on; ``groups``: grouping variables whose effects take part; ``trials``: variables in
    ``trials()``; ``whole``: variables that take whole numbers only.
    """

    data: pd.DataFrame
    effects: tuple[Effect, ...]
    predictors: tuple[str, ...]
    groups: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    left_side: tuple[str, ...] = ()

    @property
    def held(self) -> tuple[str, ...]:
        """Variables that get a value when the user names none; the others stay missing."""
        wanted = {*self.predictors, *self.left_side} - set(self.groups)
        return tuple(name for name in self.data.columns if name in wanted)

    def factor(self, name: str) -> bool:
        """Whether the variable has levels; a grouping variable counts as a factor whatever its type."""
        return name in self.groups or is_factor(self.data[name])


@dataclass(frozen=True)
class EffectGrid:
    """One effect's rows: its variables, the held ones, ``cond__``. ``numeric``: which variables are."""

    effect: Effect
    numeric: tuple[bool, ...]
    rows: pd.DataFrame
    surface: bool = False


def is_factor(column: pd.Series) -> bool:
    """Whether R would treat the column as a factor: categories, text or booleans."""
    return not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)


def choose_effects(model: ModelVariables, effects: str | Sequence[str] | None) -> list[Effect]:
    """The effects asked for (``"x"`` or ``"x:z"``, any pair), or all main effects and two-way interactions.

    Raises `BayesmlmError` when none is valid, warns when some are not, as brms does.
    """
    if effects is None:
        default = list(dict.fromkeys(e for e in model.effects if 1 <= len(e) <= 2))
        if not default:
            raise BayesmlmError("the model has no population-level effects to show; name one with `effects`")
        return default
    texts = [effects] if isinstance(effects, str) else list(effects)
    wanted = [tuple(part.strip() for part in text.split(":")) for text in texts]
    if any(len(e) > 2 for e in wanted):
        raise BayesmlmError(
            "effects of more than two variables cannot be shown in one picture; show two of them and "
            "give values of the others in `conditions`"
        )
    known = dict.fromkeys([v for e in model.effects for v in e] + list(model.groups))
    valid = [e for e in wanted if len(set(e)) == len(e) and all(v in known for v in e)]
    invalid = [":".join(e) for e in wanted if e not in valid]
    if not invalid:
        return list(dict.fromkeys(valid))
    text = (
        f"no effects of this model: {', '.join(f'`{e}`' for e in invalid)}; there are (combinations of) "
        + ", ".join(f"`{v}`" for v in known)
    )
    if not valid:
        raise BayesmlmError(text)
    warnings.warn(text, BayesmlmWarning, stacklevel=3)
    return list(dict.fromkeys(valid))


def reference_rows(model: ModelVariables, conditions: Any = None) -> pd.DataFrame:
    """One row for each condition: every variable at the user's value or brms's default, and the label
    ``cond__``.

    Defaults: the first level of a factor, the mean of a number (the rounded median of a whole number), 1 for
    trials, missing for grouping variables. ``conditions``: a data frame or mapping of some variables.
    """
    given = pd.DataFrame({}, index=[0]) if conditions is None else _conditions_frame(conditions)
    labels = _labels(given)
    unused = [name for name in given.columns if name != "cond__" and name not in model.data.columns]
    if unused:
        names = ", ".join(f"`{name}`" for name in unused)
        warnings.warn(
            f"conditions name variables that are not in the model: {names}", BayesmlmWarning, stacklevel=3
        )
    columns: dict[str, Any] = {}
    for name, column in model.data.items():
        if name in given:
            columns[str(name)] = _like(
                given[name].to_numpy(), column, str(name), missing=name in model.groups
            )
        elif name in model.held:
            columns[str(name)] = _like([_held_value(model, str(name))] * len(given), column, str(name))
        else:
            columns[str(name)] = _like([None] * len(given), column, str(name), missing=True)
    columns["cond__"] = pd.Categorical(labels, categories=labels)
    return pd.DataFrame(columns, index=range(len(given)))


def effect_grid(
    model: ModelVariables,
    effect: Effect,
    reference: pd.DataFrame,
    int_conditions: IntConditions | None = None,
    *,
    resolution: int = 100,
    surface: bool = False,
    reorder: bool = False,
) -> EffectGrid:
    """The rows at which ``effect`` is evaluated, for each condition in ``reference``.

    ``reorder`` puts the numeric variable first (brms does so for its own choice of effects, not for the
    user's). ``surface`` gives two numeric variables a grid each.
    """
    if reorder:
        effect = tuple(sorted(effect, key=model.factor))
    numeric = tuple(not model.factor(name) for name in effect)
    surface = surface and len(effect) == 2 and all(numeric)
    values = [
        _axis_values(
            model, name, (int_conditions or {}).get(name), resolution, spread=bool(i) and not surface
        )
        for i, name in enumerate(effect)
    ]
    sizes = [len(v) for v in values]
    product = np.indices(sizes).reshape(len(sizes), -1)
    count = product.shape[1]
    rows = {
        name: _like(np.asarray(v, dtype=object)[index], model.data[name], name)
        for name, v, index in zip(effect, values, product, strict=True)
    }
    grid = pd.DataFrame(rows)
    held = reference.drop(columns=list(effect))
    whole = pd.concat([grid] * len(reference), ignore_index=True)
    held = held.loc[held.index.repeat(count)].reset_index(drop=True)
    return EffectGrid(effect, numeric, pd.concat([whole, held], axis=1), surface)


def points_frame(
    model: ModelVariables,
    effect: Effect,
    reference: pd.DataFrame,
    response: NDArray[np.float64],
    select_points: float = 0.0,
) -> pd.DataFrame:
    """The data's own points: the effect's variables, ``resp__`` and the condition ``cond__`` they belong to.

    A row belongs to a condition when its held factors have the condition's levels and, with ``select_points``
    above 0, its held numbers lie that close to the condition's, as a fraction of their range. Variables of
    the left-hand side do not choose points (in brms the response does, and hides points far from its own
    mean).
    """
    if not 0 <= select_points <= 1:
        raise BayesmlmError(
            f"select_points={select_points:g} must lie between 0 and 1: it is a fraction of a range"
        )
    left = set(model.left_side) - {v for e in model.effects for v in e}
    others = [str(v) for v in model.data.columns if v not in effect and v not in left]
    pieces = []
    for _, row in reference.iterrows():
        keep = np.ones(len(model.data), dtype=bool)
        for name in others:
            column = model.data[name]
            if pd.isna(row[name]):
                continue
            if model.factor(name):
                keep &= (column.astype(object) == row[name]).to_numpy()
            elif select_points > 0:
                span = float(column.max() - column.min()) or 1.0
                keep &= (column - row[name]).abs().to_numpy() / span <= select_points
        piece = model.data.loc[keep, list(effect)].reset_index(drop=True)
        piece["resp__"] = response[keep]
        piece["cond__"] = pd.Categorical(
            [row["cond__"]] * int(keep.sum()), reference["cond__"].cat.categories
        )
        pieces.append(piece)
    return pd.concat(pieces, ignore_index=True)


def far_from_data(
    grid: pd.DataFrame, data: pd.DataFrame, effect: Effect, distance: float
) -> NDArray[np.bool_]:
    """Which grid rows lie further than ``distance`` from every data point.

    Both variables are scaled to 0..1 by the grid's range: the rule of mgcv's `exclude.too.far`.
    """
    nearest = np.full(len(grid), np.inf)
    g, d = grid[list(effect)].to_numpy(float), data[list(effect)].to_numpy(float)
    low, span = g.min(axis=0), np.ptp(g, axis=0)
    g, d = (g - low) / span, np.unique((d - low) / span, axis=0)
    for start in range(0, len(d), 256):
        block = d[start : start + 256]
        apart = np.sqrt(((g[:, None, :] - block[None]) ** 2).sum(axis=2))
        nearest = np.minimum(nearest, apart.min(axis=1))
    return nearest > distance


def make_conditions(
    data: Any, vars: str | Sequence[str], *, digits: int = 2, sep: str = " & ", incl_vars: bool = True
) -> pd.DataFrame:
    """All combinations of levels (factors) or mean - sd, mean, mean + sd (numbers) of ``vars``, with
    ``cond__``.

    ``data``: a data frame or a fit. Labels read ``x = 0.5 & f = a``; numbers rounded to ``digits``;
    ``incl_vars=False`` leaves the names out. For the argument ``conditions`` of `conditional_effects`.
    """
    from ..data.frame import Frame

    frame = data.data if hasattr(data, "posterior_epred") else Frame.from_any(data).to_pandas()
    names = [vars] if isinstance(vars, str) else list(vars)
    for name in names:
        if name not in frame.columns:
            raise BayesmlmError(
                f"`{name}` is no column of the data, which has {', '.join(map(str, frame.columns))}"
            )
    values = [_levels(frame[v]) if is_factor(frame[v]) else _mean_and_sd(frame[v]) for v in names]
    product = np.indices([len(v) for v in values]).reshape(len(values), -1)
    out = pd.DataFrame(
        {
            name: _like(np.asarray(v, dtype=object)[index], frame[name], name)
            for name, v, index in zip(names, values, product, strict=True)
        }
    )
    out["cond__"] = [
        sep.join((f"{name} = " if incl_vars else "") + as_text(row[name], digits) for name in names)
        for _, row in out.iterrows()
    ]
    return out


def as_text(value: Any, digits: int = 2) -> str:
    """A number as R writes it after rounding (``0.09``, ``0``); anything else as text."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return str(value)
    return f"{round(float(value), digits) + 0.0:.15g}"


def _conditions_frame(conditions: Any) -> pd.DataFrame:
    if isinstance(conditions, Mapping):
        single = {k: [v] if np.ndim(v) == 0 else v for k, v in conditions.items()}
        frame = pd.DataFrame(single)
    elif isinstance(conditions, pd.DataFrame):
        frame = conditions
    else:
        from ..data.frame import Frame

        frame = Frame.from_any(conditions).to_pandas()
    if not len(frame):
        raise BayesmlmError("conditions must have at least one row")
    return frame[~frame.duplicated()]


def _labels(conditions: pd.DataFrame) -> list[str]:
    if "cond__" in conditions:
        labels = [str(x) for x in conditions["cond__"]]
    elif pd.api.types.is_integer_dtype(conditions.index.dtype):
        labels = [str(i + 1) for i in range(len(conditions))]
    else:
        labels = [str(x) for x in conditions.index]
    if len(set(labels)) < len(labels):
        raise BayesmlmError("each row of conditions needs a label of its own in `cond__`")
    return labels


def _like(values: Any, column: pd.Series, name: str, missing: bool = False) -> Any:
    """``values`` with the type, and the levels, of the data's column."""
    values = np.asarray(values, dtype=object)
    absent = pd.isna(values)
    if absent.any() and not missing:
        raise NewDataError(
            f"the conditions have a missing value for `{name}`; give a value or leave `{name}` out"
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = {str(level): level for level in column.cat.categories}
        for value in values[~absent]:
            if str(value) not in known and not missing:
                raise NewDataError(f"`{value}` is no level of `{name}`, which has {', '.join(known)}")
        if all(str(value) in known for value in values[~absent]):
            return pd.Categorical(
                [None if a else known[str(v)] for v, a in zip(values, absent, strict=True)],
                dtype=column.dtype,
            )
        return values
    if absent.any():
        return values if is_factor(column) else values.astype(float)
    if is_factor(column):
        return (
            values.astype(bool)
            if pd.api.types.is_bool_dtype(column.dtype)
            else pd.array(values, dtype=column.dtype)
        )
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        bad = next(v for v in values if not isinstance(v, (int, float)))
        raise NewDataError(f"`{name}` is a number in the data; {bad!r} is none") from None


def _held_value(model: ModelVariables, name: str) -> Any:
    column = model.data[name]
    if name in model.trials:
        return 1.0
    if is_factor(column):
        return _levels(column)[0]
    if name in model.whole:
        return float(np.round(column.median()))
    return float(column.mean())


def _levels(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    return sorted(column.dropna().unique().tolist())


def _mean_and_sd(column: pd.Series) -> list[float]:
    centre, spread = float(column.mean()), float(column.std(ddof=1))
    return [centre - spread, centre, centre + spread]


def _axis_values(model: ModelVariables, name: str, given: Any, resolution: int, spread: bool) -> list[Any]:
    column = model.data[name]
    if given is not None:
        return _given_values(given, column, name)
    if model.factor(name):
        present = set(column.dropna().tolist())
        return [level for level in _levels(column) if level in present]
    if resolution < 2:
        raise BayesmlmError(
            f"resolution={resolution} must be at least 2: it is the number of points of a curve"
        )
    whole = name in model.whole
    if spread and whole:
        middle = float(column.median())
        mad = 1.4826 * float((column - middle).abs().median())
        return sorted({float(np.round(middle + k * mad)) for k in (-1, 0, 1)})
    if spread:
        return sorted(set(_mean_and_sd(column)))
    low, high = float(column.min()), float(column.max())
    return list(np.arange(low, high + 0.5)) if whole else list(np.unique(np.linspace(low, high, resolution)))


def _given_values(given: Any, column: pd.Series, name: str) -> list[Any]:
    values: Any = given(column) if callable(given) else given
    values = list(values.values()) if isinstance(values, Mapping) else list(np.atleast_1d(values))
    if not values:
        raise BayesmlmError(f"int_conditions gives no value for `{name}`")
    if is_factor(column):
        wanted = {str(v) for v in values}
        known = [level for level in _levels(column) if str(level) in wanted]
        if len(known) < len(wanted):
            extra = sorted(wanted - {str(level) for level in known})
            raise NewDataError(
                f"`{extra[0]}` is no level of `{name}`, which has {', '.join(map(str, _levels(column)))}"
            )
        return known
    return sorted({float(v) for v in values})
