"""Posterior predictive checks: the observed responses beside responses drawn from the model.

`pp_check` chooses draws and data, as brms's function of that name; what is drawn for each type is a row of the
table `TYPES`, whose functions live in `ppc_distributions` and `ppc_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError
from ..messages import inform
from ..results.effects_grid import as_text
from . import ppc_distributions as distributions
from . import ppc_rows as rows
from . import survival
from .ppc_data import Check, statistic
from .style import Picture, figure_with_axes, legend_outside, panel_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.fit import BayesFit
    from ..results.survival import Observations

__all__ = ["TYPES", "pp_check"]

FEW_DRAWS = 10


@dataclass(frozen=True)
class CheckType:
    """One kind of picture. ``panel(ax, check)`` draws one panel; ``each_draw``: a panel for y and each draw.

    ``all_draws``: brms uses all draws unless told otherwise. ``grouped``: a panel for each level of ``group``;
    ``by_group``: one panel that needs ``group``. ``loo``: needs leave-one-out weights. ``statistics``: how many
    statistics it shows. ``counts``: for whole-number responses only. ``survival``: looks at censoring and delayed
    entry.
    """

    panel: Callable[[Axes, Check], None]
    all_draws: bool = False
    grouped: bool = False
    by_group: bool = False
    each_draw: bool = False
    needs_x: bool = False
    loo: bool = False
    statistics: int = 0
    counts: bool = False
    survival: bool = False
    legend: bool = True


TYPES: dict[str, CheckType] = {
    "bars": CheckType(distributions.bars, counts=True),
    "boxplot": CheckType(distributions.boxplot, legend=False),
    "dens": CheckType(distributions.dens, each_draw=True, legend=False),
    "dens_overlay": CheckType(distributions.dens_overlay),
    "ecdf_overlay": CheckType(distributions.ecdf_overlay),
    "error_hist": CheckType(distributions.error_hist, each_draw=True, legend=False),
    "error_scatter": CheckType(rows.error_scatter, each_draw=True, legend=False),
    "error_scatter_avg": CheckType(rows.error_scatter_avg, all_draws=True, legend=False),
    "error_scatter_avg_vs_x": CheckType(
        rows.error_scatter_avg_vs_x, all_draws=True, needs_x=True, legend=False
    ),
    "hist": CheckType(distributions.hist, each_draw=True, legend=False),
    "intervals": CheckType(rows.intervals, all_draws=True),
    "km_overlay": CheckType(survival.km_overlay, survival=True),
    "loo_intervals": CheckType(rows.loo_intervals, all_draws=True, loo=True),
    "loo_pit": CheckType(rows.loo_pit_ecdf, all_draws=True, loo=True, legend=False),
    "loo_pit_ecdf": CheckType(rows.loo_pit_ecdf, all_draws=True, loo=True, legend=False),
    "loo_pit_overlay": CheckType(rows.loo_pit_overlay, all_draws=True, loo=True),
    "pit_ecdf": CheckType(rows.pit_ecdf, all_draws=True, legend=False),
    "ribbon": CheckType(rows.ribbon, all_draws=True),
    "rootogram": CheckType(distributions.rootogram, all_draws=True, counts=True),
    "scatter": CheckType(rows.scatter, each_draw=True, legend=False),
    "scatter_avg": CheckType(rows.scatter_avg, all_draws=True, legend=False),
    "stat": CheckType(distributions.stat, all_draws=True, statistics=1),
    "stat_2d": CheckType(distributions.stat_2d, all_draws=True, statistics=2),
    "violin_grouped": CheckType(distributions.violin_grouped, all_draws=True, by_group=True),
}
_GROUPED = (
    *("bars", "dens_overlay", "ecdf_overlay", "error_hist", "error_scatter_avg", "intervals"),
    *("km_overlay", "pit_ecdf", "ribbon", "scatter_avg", "stat"),
)
TYPES |= {f"{name}_grouped": replace(TYPES[name], grouped=True, each_draw=False) for name in _GROUPED}


def pp_check(
    fit: BayesFit,
    type: str = "dens_overlay",
    ndraws: int | None = None,
    *,
    group: str | None = None,
    x: str | None = None,
    stat: str | Callable[..., Any] | Sequence[str | Callable[..., Any]] | None = None,
    newdata: Any = None,
    draw_ids: Any = None,
    seed: int = 0,
    prob: float = 0.5,
    prob_outer: float = 0.9,
    bins: int = 30,
    style: str = "standing",
    **kwargs: Any,
) -> Picture:
    """Observed against replicated responses, on the response scale.

    Args:
        fit: the fitted model.
        type: the kind of picture; an unknown one lists all. For counts "dens_overlay" shows relative frequencies
            of the whole numbers, and "bars" and "rootogram" are made for them.
        ndraws: how many draws; default 10, or all for types that summarise draws (a message says which).
            ``draw_ids`` names them instead (counted from 0).
        group: a variable of the model, for types that end in ``_grouped``. x: a variable for the horizontal axis
            of "intervals", "ribbon" and "error_scatter_avg_vs_x".
        stat: for "stat" a name (mean, median, sd, var, mad, min, max) or a function of a vector; for "stat_2d" two.
        newdata: other data, the response included. seed: of the draws.
        prob: width of the inner intervals.
        prob_outer: width of the outer ones. bins: of histograms.
        style: of the rootogram: "standing", "hanging" or "suspended".
        kwargs: ``re_formula``, ``allow_new_levels``, ``sample_new_levels`` of `posterior_predict`.

    Raises `BayesmlmError` for an unknown type, a missing ``group`` or ``x`` and types that do not fit the response.
    """
    kind = _kind(type, fit.family.integer_response, group, x)
    _refuse_columns(fit, type, kind)
    data, y = _observed(fit, newdata)
    chosen = _number_of_draws(type, kind, ndraws, draw_ids)
    yrep = fit.posterior_predict(newdata, ndraws=chosen, draw_ids=draw_ids, seed=seed, **kwargs)
    weights = None
    if kind.loo:
        if newdata is not None or chosen is not None or draw_ids is not None or kwargs:
            raise BayesmlmError(f'type="{type}" needs all draws of the data the model was fitted to')
        weights = _loo_weights(fit)
    times = _times(fit, newdata, type) if kind.survival else None
    check = Check(
        y=y,
        yrep=np.asarray(yrep),
        name=fit.design.response.name,
        discrete=fit.family.integer_response,
        group=None if group is None else _labels(_column(data, group)),
        x=None if x is None else _numbers(_column(data, x)),
        x_name=x or "Observation",
        weights=weights,
        statistics=_statistics(type, kind, stat),
        prob=prob,
        prob_outer=prob_outer,
        bins=bins,
        style=style,
        seed=seed,
        event=None if times is None else times.event,
        entry=None if times is None else times.entry,
        categories=_categories(fit),
        columns=fit.family.categories if fit.family.response == "columns" else (),
    )
    missing = np.isnan(y) if y.ndim == 1 else np.zeros(len(y), dtype=bool)
    if missing.any():
        inform(f"{missing.sum()} missing responses are not shown.")
        check = check.rows(~missing)
    return _draw(kind, check, group, _levels(data, group))


def _categories(fit: BayesFit) -> dict[float, str]:
    """Names of the numbers that a response of one column codes."""
    family = fit.family
    if family.response not in ("category", "ordinal"):
        return {}
    return {family.support.lower + k: name for k, name in enumerate(family.categories)}


def _refuse_columns(fit: BayesFit, type: str, kind: CheckType) -> None:
    """Raise `BayesmlmError` for pictures that have panels of their own, where the response's columns need them."""
    if fit.family.response != "columns":
        return
    if kind.grouped or kind.by_group or kind.each_draw or kind.loo or kind.survival:
        raise BayesmlmError(
            f'type="{type}" is not there for a response of several columns, each of which has a panel: '
            'use "dens_overlay", "ecdf_overlay", "stat", "scatter_avg" or "intervals", and of counts "bars"'
        )


def _kind(type: str, integer: bool, group: str | None, x: str | None) -> CheckType:
    if type not in TYPES:
        raise BayesmlmError(f'type="{type}" is no kind of check; there are {", ".join(sorted(TYPES))}')
    kind = TYPES[type]
    if (kind.grouped or kind.by_group) and group is None:
        raise BayesmlmError(f'type="{type}" needs `group`, the name of a variable of the model')
    if group is not None and not (kind.grouped or kind.by_group):
        others = ", ".join(name for name, k in sorted(TYPES.items()) if k.grouped or k.by_group)
        raise BayesmlmError(f'type="{type}" takes no `group`; those that do are {others}')
    if kind.needs_x and x is None:
        raise BayesmlmError(f'type="{type}" needs `x`, the name of a variable of the model')
    if kind.counts and not integer:
        raise BayesmlmError(f'type="{type}" is for whole-number responses; use "hist" or "dens_overlay"')
    return kind


def _number_of_draws(type: str, kind: CheckType, ndraws: int | None, draw_ids: Any) -> int | None:
    if ndraws is not None or draw_ids is not None:
        return ndraws
    if kind.all_draws:
        inform(f"Using all posterior draws for ppc type '{type}' by default.")
        return None
    inform(f"Using {FEW_DRAWS} posterior draws for ppc type '{type}' by default.")
    return FEW_DRAWS


def _observed(fit: BayesFit, newdata: Any) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    if newdata is None:
        return fit.data, fit.design.response.values
    frame = fit.design.new_rows(Frame.from_any(newdata))
    return frame.to_pandas(), fit.design.new_response(frame)["y"]


def _times(fit: BayesFit, newdata: Any, type: str) -> Observations:
    from ..results.survival import observations

    response = fit.design.response
    values, extra, weights = response.values, response.extra, response.weights
    if newdata is not None:
        new = fit.design.new_response(fit.design.new_rows(Frame.from_any(newdata)))
        values, extra, weights = new["y"], new["extra"], new.get("weights")
    found = observations(values, extra, weights, fit.family.integer_response)
    if isinstance(found, str):
        raise BayesmlmError(f'type="{type}" needs times that are known or right-censored: {found}')
    return found


def _column(data: pd.DataFrame, name: str) -> pd.Series:
    if name not in data.columns:
        raise BayesmlmError(
            f"`{name}` is no variable of the model, which has {', '.join(map(str, data.columns))}"
        )
    return data[name]


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    if isinstance(column.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Categorical(column).codes.astype(float)
    return column.to_numpy(float)


def _labels(column: pd.Series) -> NDArray[Any]:
    return np.array([as_text(value, 10) for value in column], dtype=object)


def _levels(data: pd.DataFrame, group: str | None) -> list[str]:
    """The labels of the groups that occur, in the order of their levels."""
    if group is None:
        return []
    column = data[group]
    present = set(column)
    ordered = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else sorted(present)
    return [as_text(level, 10) for level in ordered if level in present]


def _statistics(type: str, kind: CheckType, stat: Any) -> tuple[tuple[str, Callable[..., Any]], ...]:
    if not kind.statistics:
        if stat is not None:
            raise BayesmlmError(f'type="{type}" takes no `stat`; "stat", "stat_2d" and "stat_grouped" do')
        return ()
    default = ("mean", "sd")[: kind.statistics]
    given = default if stat is None else (stat,) if isinstance(stat, str) or callable(stat) else tuple(stat)
    if len(given) != kind.statistics:
        raise BayesmlmError(f'type="{type}" shows {kind.statistics} statistics, not {len(given)}')
    return tuple(statistic(s) for s in given)


def _loo_weights(fit: BayesFit) -> NDArray[np.float64]:
    """Normalised leave-one-out weights (draws, rows)."""
    from ..results.psis import LogLikelihood, log_weights, relative_efficiency

    likelihood = LogLikelihood.of_fit(fit)
    out = np.empty((fit.ndraws, likelihood.rows))
    for where, values in likelihood.by_row():
        efficiency = relative_efficiency(values)
        logs, _ = log_weights(values.reshape(len(values), -1), efficiency, likelihood.log_ratios)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        out[:, where] = (weights / weights.sum(axis=1, keepdims=True)).T
    return out


def _draw(kind: CheckType, check: Check, group: str | None, levels: list[str]) -> Picture:
    panels = _panels(kind, check, levels)
    columns = 1 if len(panels) == 1 else min(4, max(3, int(np.ceil(np.sqrt(len(panels))))), len(panels))
    count = -(-len(panels) // columns)
    width, height = (3.1, 2.7) if columns <= 3 and not kind.each_draw else (2.4, 2.0)
    size = (6.0, 4.0) if len(panels) == 1 else (width * columns + 0.8, height * count + 0.4)
    share = kind.each_draw
    figure, axes = figure_with_axes(count, columns, size, sharex=share, sharey=share, count=len(panels))
    for position, (title, part) in enumerate(panels):
        ax = axes.flat[position]
        kind.panel(ax, part)
        if title:
            panel_title(ax, title)
        if len(panels) > 1:
            if position < len(panels) - columns:
                ax.set_xlabel("")
            elif share:
                ax.tick_params(labelbottom=True)
            if position % columns:
                ax.set_ylabel("")
    if kind.legend and axes[0, 0].get_legend_handles_labels()[0]:
        legend_outside(axes[0, columns - 1], handles=axes[0, 0].get_legend_handles_labels()[0])
    if group is not None and kind.grouped:
        figure.suptitle(f"by {group}", x=0.01, ha="left", fontsize=9, color="#555555")
    return figure


def _panels(kind: CheckType, check: Check, levels: list[str]) -> list[tuple[str, Check]]:
    if check.columns:
        return [
            (name, replace(check, y=check.y[k], yrep=check.yrep[:, :, k], columns=(), name=name))
            for k, name in enumerate(check.columns)
        ]
    if kind.grouped:
        assert check.group is not None
        return [(level, check.rows(check.group == level)) for level in levels]
    if kind.by_group:
        return [("", replace(check, levels=tuple(levels)))]
    if not kind.each_draw:
        return [("", check)]
    if kind.panel in (distributions.dens, distributions.hist):
        own = [("y", replace(check, yrep=check.y[None], observed=True))]
    else:
        own = []
    return own + [(f"draw {i + 1}", replace(check, yrep=row[None])) for i, row in enumerate(check.yrep)]
