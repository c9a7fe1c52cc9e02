"""Conditional effects: what the model says about one or two predictors, the others held at chosen values.

Names, defaults and columns are those of brms's `conditional_effects`; the grids come from `effects_grid`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..formula.nodes import Node
from ..formula.walk import variables
from ..messages import inform
from ..model.additions import OF_THE_RESPONSE
from .categories import expected_category, warn_of_numbers
from .effects_categories import by_category, check_categorical, single_variables
from .effects_grid import (
    EffectGrid,
    ModelVariables,
    as_text,
    choose_effects,
    effect_grid,
    far_from_data,
    make_conditions,
    points_frame,
    reference_rows,
)
from .tables import quantile_levels, summarise_draws

if TYPE_CHECKING:
    from ..formula.predictor import Predictor
    from .fit import BayesFit

__all__ = ["ConditionalEffects", "Effect", "conditional_effects", "make_conditions"]

METHODS = ("posterior_epred", "posterior_predict", "posterior_linpred")
WHOLE_NUMBER_ADDITIONS = ("trials", "thres", "vint")


@dataclass(frozen=True, eq=False)
class Effect:
    """One conditional effect.

    ``table``: one row for each grid point: the effect's variables, the held ones, ``cond__``, ``effect1__``,
    ``effect2__`` (labels of the second variable), ``estimate__``, ``se__``, ``lower__``, ``upper__``.
    ``effects``: names of its one or two variables; ``response``: what the estimates are of; ``points``: the
    data's own points (``resp__``, ``cond__`` and the effect's variables); ``draws``: (draws, rows) when
    spaghetti lines were asked for; ``surface``: whether both variables have a grid.
    """

    table: pd.DataFrame
    effects: tuple[str, ...]
    response: str
    points: pd.DataFrame
    draws: NDArray[np.float64] | None = None
    surface: bool = False
    shares: NDArray[np.float64] | None = None
    """(rows,) posterior means of the estimates where the second "variable" is the response's category, ``cats__``:
    those of the categories add up."""


class ConditionalEffects(Mapping[str, pd.DataFrame]):
    """Effects by name (``x``, ``x:z``): each a data frame; `plot` makes the pictures, a notebook shows them.

    ``details[name]`` holds the `Effect` with the data's points and the draws of spaghetti lines.
    """

    def __init__(self, details: Mapping[str, Effect]) -> None:
        self.details = dict(details)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.details:
            raise BayesmlmError(f"there is no effect `{name}` here; there are {', '.join(self.details)}")
        return self.details[name].table

    def __contains__(self, name: object) -> bool:
        return name in self.details

    def __iter__(self) -> Iterator[str]:
        return iter(self.details)

    def __len__(self) -> int:
        return len(self.details)

    def plot(self, **options: Any) -> Any:
        """A list with one figure for each effect; arguments as in `bayesmlm.plots.effects.plot_effects`."""
        from ..plots.effects import plot_effects

        return plot_effects(self, **options)

    def __repr__(self) -> str:
        parts = ["Conditional effects (one data frame each; .plot() makes the pictures)"]
        for name, effect in self.details.items():
            shown = effect.table[[c for c in effect.table if not _is_inner(str(c))]].head(3)
            parts.append(
                f"{name}: {effect.response}, {len(effect.table)} rows\n{shown.to_string(index=False)}"
            )
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        return str(self.plot()._repr_html_())


def conditional_effects(
    fit: BayesFit,
    effects: str | Sequence[str] | None = None,
    *,
    conditions: Any = None,
    int_conditions: Mapping[str, Any] | None = None,
    re_formula: str | float | None = "NA",
    prob: float = 0.95,
    robust: bool = True,
    method: str = "posterior_epred",
    spaghetti: bool = False,
    surface: bool = False,
    categorical: bool = False,
    transform: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    resolution: int = 100,
    select_points: float = 0.0,
    too_far: float = 0.0,
    dpar: str | None = None,
    **kwargs: Any,
) -> ConditionalEffects:
    """Predictions over the range of one or two predictors, everything else held fixed.

    Args:
        fit: the fitted model.
        effects: ``"x"``, ``"x:z"`` (any pair of predictors) or a list; default all main effects and two-way
            interactions of any distributional parameter. Of a pair the first is drawn along the axis; the
            second, if numeric, takes mean - sd, mean and mean + sd.
        conditions: data frame or mapping with values of other predictors; each row makes a panel, labelled by
            the column ``cond__`` or the row's number. Others: numbers at their mean, factors at their first
            level, ``trials()`` at 1, grouping variables missing. See `make_conditions`.
        int_conditions: values for variables of the effect: ``{"z": [0, 1]}``, ``{"z": {"low": 0, "high":
            1}}`` with labels, or a function of the column.
        re_formula: ``"NA"`` without group effects (default), None with all (missing groups count as new
            ones), or a formula.
        prob: width of the interval. robust: median and MAD (default) instead of mean and sd.
        method: "posterior_epred" (response scale), "posterior_predict" or "posterior_linpred" (link scale).
        spaghetti: keep each draw's line (choose ``ndraws``). surface: two numeric predictors as a surface;
        categorical: a curve for each category of the response, its probability (of multinomial kinds its count), over
            single variables; without it ordered categories count as numbers, with a warning.
        too_far: leave out grid points that far from any data, as a fraction of the range.
        transform: applied to draws and points, with ``method="posterior_predict"``.
        resolution: grid points of a numeric predictor. select_points: see `effects_grid.points_frame`.
        dpar: this distributional parameter instead of the response's mean.
        kwargs: ``ndraws``, ``draw_ids``, ``seed``, ``sample_new_levels`` of `posterior_epred`.

    Raises `BayesmlmError` for effects that are not in the model and arguments that exclude each other.
    """
    _check_arguments(method, spaghetti, surface, transform)
    if categorical:
        check_categorical(fit.family, method, surface, dpar)
    elif dpar is None and method != "posterior_linpred":
        warn_of_numbers("conditional_effects", fit.family, "; categorical=True shows each category")
    probs = quantile_levels(prob)
    model = model_variables(fit, re_formula)
    chosen = choose_effects(model, effects)
    if categorical:
        chosen = single_variables(chosen, asked=effects is not None)
    reference = reference_rows(model, conditions)
    _announce_trials(model, conditions)
    grids = [
        effect_grid(
            model,
            effect,
            reference,
            int_conditions,
            resolution=resolution,
            surface=surface,
            reorder=effects is None,
        )
        for effect in chosen
    ]
    if too_far > 0:
        grids = [_without_far(grid, model.data, too_far) for grid in grids]
    arguments = {"re_formula": re_formula, "allow_new_levels": True, "dpar": dpar, **kwargs}
    draws = _predict(fit, model, grids, method, arguments)
    details: dict[str, Effect] = {}
    for grid, own in zip(grids, draws, strict=True):
        if own.ndim == 3 and categorical:
            grid, own = by_category(grid, own, fit.family)
        elif own.ndim == 3:
            own = expected_category(fit.family, own)
        own = own if transform is None else np.asarray(transform(own), dtype=float)
        response = fit.design.response.values
        response = (
            response if response.ndim == 1 else response[0]
        )  # columns of counts or shares have no points
        if transform is not None:
            response = np.asarray(transform(response), dtype=float)
        points = points_frame(
            model, grid.effect[:1] if categorical else grid.effect, reference, response, select_points
        )
        summary = summarise_draws(np.ascontiguousarray(own.T), probs, robust)
        details[":".join(grid.effect)] = Effect(
            _table(grid, summary, int_conditions or {}),
            grid.effect,
            dpar or fit.formula.main.left_text,
            points if categorical else _with_effect_columns(points, grid),
            own if spaghetti and grid.numeric[0] else None,
            grid.surface,
            own.mean(axis=0) if categorical else None,
        )
    return ConditionalEffects(details)


def model_variables(fit: BayesFit, re_formula: str | float | None = "NA") -> ModelVariables:
    """The model's variables and the roles they play in predictions with these group effects."""
    from .predict import included_effects

    design = fit.design
    include = included_effects(fit, re_formula)
    data = design.frame.to_pandas()[list(design.variables)]
    known = set(data.columns)
    effects: list[tuple[str, ...]] = []
    predictors: list[str] = []
    groups: list[str] = []
    whole: list[str] = []
    for name, p in design.predictors.items():
        for nodes in _terms(p.predictor):
            effects.append(tuple(v for v in variables(*nodes) if v in known))
            predictors += effects[-1]
        predictors += [v for v in variables(*p.predictor.offsets) if v in known]
        whole += [v for t in p.predictor.special_terms if t.kind == "mo" for v in variables(t.call)]
        for part in p.groups:
            if include is None or any(include(part.group, name, c) for c in part.names):
                groups += part.term.grouping.variables
                predictors += [
                    v for nodes in _terms(part.term.effects) for v in variables(*nodes) if v in known
                ]
                predictors += [part.term.grouping.by] if part.term.grouping.by else []
    main = design.formula.main
    counted = [v for c in main.additions if c.function in WHOLE_NUMBER_ADDITIONS for v in variables(c)]
    trials = variables(*[c for c in main.additions if c.function == "trials"])
    # A variable that is a predictor too keeps its own type; only a pure grouping variable is missing by
    # default.
    groups = [g for g in dict.fromkeys(groups) if g not in predictors]
    left = tuple(v for v in main.response_variables if v in known)
    return ModelVariables(
        data,
        tuple(effects),
        tuple(dict.fromkeys(predictors)),
        tuple(groups),
        trials,
        (*counted, *whole),
        left,
    )


def _terms(predictor: Predictor) -> list[tuple[Node, ...]]:
    return [t.factors for t in predictor.terms] + [t.factors for t in predictor.special_terms]


def _check_arguments(
    method: str, spaghetti: bool, surface: bool, transform: Callable[..., Any] | None
) -> None:
    if method not in METHODS:
        raise BayesmlmError(f"method={method!r} is none of {', '.join(METHODS)}")
    if spaghetti and surface:
        raise BayesmlmError("spaghetti and surface exclude each other; choose one")
    if transform is not None and method != "posterior_predict":
        raise BayesmlmError(
            'transform needs method="posterior_predict": it is applied to predicted responses'
        )


def _announce_trials(model: ModelVariables, conditions: Any) -> None:
    given = [] if conditions is None else list(conditions)
    if any(v not in given for v in model.trials):
        inform("Setting all 'trials' variables to 1 by default if not specified otherwise.")


def _without_far(grid: EffectGrid, data: pd.DataFrame, distance: float) -> EffectGrid:
    if not grid.surface:
        return grid
    kept = grid.rows[~far_from_data(grid.rows, data, grid.effect, distance)]
    if kept.empty:
        raise BayesmlmError(f"too_far={distance:g} leaves no point of the surface; use a larger number")
    return EffectGrid(grid.effect, grid.numeric, kept.reset_index(drop=True), True)


def _predict(
    fit: BayesFit, model: ModelVariables, grids: Sequence[EffectGrid], method: str, arguments: dict[str, Any]
) -> list[NDArray[np.float64]]:
    # One prediction for all effects: one shape, so one compilation. Only variables that matter are passed on.
    main = fit.formula.main
    # Additions that say something of observed responses are not needed; without its variable subset() keeps all rows.
    needed = [call for call in main.additions if call.function not in OF_THE_RESPONSE]
    wanted = {*model.predictors, *model.groups, *variables(*needed)}
    columns = [name for name in model.data.columns if name in wanted]
    newdata = pd.concat([grid.rows[columns] for grid in grids], ignore_index=True)
    values = np.asarray(getattr(fit, method)(newdata, **arguments))
    ends = np.cumsum([len(grid.rows) for grid in grids])
    return np.split(values, ends[:-1], axis=1)


def _table(grid: EffectGrid, summary: NDArray[np.float64], int_conditions: Mapping[str, Any]) -> pd.DataFrame:
    table = grid.rows.copy()
    table["effect1__"] = _axis(grid.rows[grid.effect[0]], grid.numeric[0])
    if len(grid.effect) == 2:
        second = grid.rows[grid.effect[1]]
        if grid.numeric[1] and not grid.surface:
            table["effect2__"] = _number_labels(second, int_conditions.get(grid.effect[1]))
        else:
            table["effect2__"] = _axis(second, grid.numeric[1])
    table[["estimate__", "se__", "lower__", "upper__"]] = summary
    return table


def _axis(column: pd.Series, numeric: bool) -> pd.Series:
    """The effect's variable as plotted: numbers as they are, levels as categories of text in their order."""
    if numeric:
        return column.astype(float)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.rename_categories([str(c) for c in column.cat.categories])
    levels = [as_text(v, 10) for v in sorted(column.unique().tolist())]
    return pd.Series(pd.Categorical([as_text(v, 10) for v in column], categories=levels), index=column.index)


def _number_labels(column: pd.Series, given: Any) -> Any:
    """The second variable's few values as labels, largest first: rounded to 2 digits, or the user's."""
    text = {value: as_text(value) for value in sorted(column.unique(), reverse=True)}
    if isinstance(given, Mapping):
        names = {float(value): str(name) for name, value in given.items()}
        if len(set(text.values())) == len(names):
            text = {value: names[float(value)] for value in text}
    return pd.Categorical([text[v] for v in column], categories=list(dict.fromkeys(text.values())))


def _with_effect_columns(points: pd.DataFrame, grid: EffectGrid) -> pd.DataFrame:
    for i, (name, numeric) in enumerate(zip(grid.effect, grid.numeric, strict=True)):
        points[f"effect{i + 1}__"] = _axis(points[name], numeric)
    return points


def _is_inner(name: str) -> bool:
    return name in ("cond__", "effect1__", "effect2__")
