"""Pictures of conditional effects: lines with bands, levels with intervals, spaghetti lines and surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import BayesmlmError
from ..results.effects_categories import CATEGORY
from .stacked import in_order, stack
from .style import BLUE, DARK, PALETTE, Pictures, figure_with_axes, legend_outside, panel_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.effects import ConditionalEffects, Effect

__all__ = ["plot_effects"]

SURFACES = ("contour", "raster")
DODGE = 0.4
"""Width over which the levels of a second variable are spread at one level of the first, as in brms."""


def plot_effects(
    effects: ConditionalEffects,
    *,
    points: bool = False,
    rug: bool = False,
    mean: bool = True,
    jitter_width: float = 0.0,
    ncol: int | None = None,
    stype: str = "contour",
    stacked: bool = False,
    ax: Axes | None = None,
) -> Pictures:
    """One figure for each effect, in a list; several conditions (``cond__``) make panels.

    Args:
        effects: what `conditional_effects` returned.
        points: add the data (those that belong to the panel's condition). rug: mark the data's values of a
            numeric predictor along the axis.
        mean: with spaghetti lines, draw the estimate over them.
        jitter_width: spread points sideways by up to this much, in units of the axis.
        ncol: panels in a row. stype: "contour" or "raster", for surfaces.
        stacked: of effects by category (``categorical=True``), posterior means piled up instead of curves with bands.
        ax: draw into these axes instead, for a single effect under a single condition.

    Raises `BayesmlmError` for an unknown ``stype``, for ``ax`` with more than one panel, and for ``stacked`` and
    ``points`` where they make no sense.
    """
    if stype not in SURFACES:
        raise BayesmlmError(f"stype={stype!r} is neither {' nor '.join(map(repr, SURFACES))}")
    by_category = any(effect.shares is not None for effect in effects.details.values())
    if stacked and not by_category:
        raise BayesmlmError("stacked=True is for conditional_effects(categorical=True)")
    if points and by_category:
        raise BayesmlmError(
            "points=True shows responses, and these are probabilities of categories: leave it out"
        )
    options = {
        "points": points,
        "rug": rug,
        "mean": mean,
        "jitter": jitter_width,
        "stype": stype,
        "stacked": stacked,
    }
    if ax is not None:
        if len(effects) != 1 or len(_conditions(next(iter(effects.values())))) != 1:
            raise BayesmlmError("`ax` holds one picture: ask for a single effect and a single condition")
        effect = next(iter(effects.details.values()))
        _panel(ax, effect, _conditions(effect.table)[0], options)
        return Pictures([ax.get_figure(root=True)], list(effects))  # type: ignore[list-item]
    return Pictures([_figure(effect, ncol, options) for effect in effects.details.values()], list(effects))


def _figure(effect: Effect, ncol: int | None, options: dict[str, Any]) -> Any:
    conditions = _conditions(effect.table)
    # brms's rule for the number of columns, but never more than there are panels.
    columns = min(len(conditions), ncol or max(int(np.sqrt(len(conditions))), 3))
    rows = -(-len(conditions) // columns)
    single = len(conditions) == 1
    width = 5.4 if single else 2.7 * columns + 0.5
    legend = 1.2 if len(effect.effects) == 2 else 0.0
    size = (width + legend, 3.9 if single else 2.5 * rows + 0.4)
    figure, axes = figure_with_axes(rows, columns, size, sharex=True, sharey=True, count=len(conditions))
    drawn: Any = None
    for position, condition in enumerate(conditions):
        ax = axes.flat[position]
        drawn = _panel(ax, effect, condition, options)
        if not single:
            panel_title(ax, condition)
        # Inner panels need no names; a panel above an empty place does.
        ax.set_xlabel(effect.effects[0] if position >= len(conditions) - columns else "")
        ax.tick_params(labelbottom=position >= len(conditions) - columns)
        ax.set_ylabel(_value_label(effect) if position % columns == 0 else "")
    if effect.surface:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.8, label=effect.response)
        bar.outline.set_visible(False)
    elif len(effect.effects) == 2:
        title = effect.response if effect.shares is not None else effect.effects[1]
        # Piled up, the first category is at the bottom.
        handles = axes[0, 0].get_legend_handles_labels()[0][::-1] if options["stacked"] else None
        legend_outside(axes[0, columns - 1], title, handles)
    return figure


def _panel(ax: Axes, effect: Effect, condition: str, options: dict[str, Any]) -> Any:
    chosen = (effect.table["cond__"] == condition).to_numpy()
    ax.set_xlabel(effect.effects[0])
    ax.set_ylabel(_value_label(effect))
    if effect.surface:
        return _surface(ax, effect.table[chosen], options["stype"])
    if options["stacked"]:
        stack(ax, effect, chosen, _colours(effect.table))
        return None
    data = effect.points[effect.points["cond__"] == condition]
    numeric = pd.api.types.is_numeric_dtype(effect.table["effect1__"])
    if options["points"]:
        _points(ax, effect, data, numeric, options["jitter"])
    if numeric:
        _lines(ax, effect, chosen, options["mean"])
        if options["rug"]:
            _rug(ax, effect, data)
    else:
        _levels(ax, effect, effect.table[chosen])
    return None


def _lines(ax: Axes, effect: Effect, chosen: Any, mean: bool) -> None:
    table = effect.table
    for label, colour in _colours(table):
        rows = np.flatnonzero(chosen & _of_level(table, label))
        x = table["effect1__"].to_numpy()[rows]
        estimate, lower, upper = (table[c].to_numpy()[rows] for c in ("estimate__", "lower__", "upper__"))
        if effect.draws is not None:
            _spaghetti(ax, x, effect.draws[:, rows], colour)
            if mean:
                ax.plot(x, estimate, color="white", linewidth=3.2, alpha=0.8, zorder=4)
                ax.plot(x, estimate, color=colour, linewidth=1.6, label=label, zorder=5)
            else:
                ax.plot([], [], color=colour, linewidth=1.6, label=label)
            continue
        ax.fill_between(x, lower, upper, color=colour, alpha=0.18 if label else 0.22, linewidth=0, zorder=2)
        ax.plot(x, estimate, color=colour, linewidth=1.8, label=label, zorder=4)


def _spaghetti(ax: Axes, x: Any, draws: Any, colour: str) -> None:
    from matplotlib.collections import LineCollection

    lines = np.stack([np.broadcast_to(x, draws.shape), draws], axis=-1)
    alpha = float(np.clip(8 / len(draws), 0.02, 0.35))
    # Thousands of lines would make a vector file of many megabytes.
    collection = LineCollection(
        list(lines), colors=colour, linewidths=0.6, alpha=alpha, rasterized=len(draws) > 50
    )
    ax.add_collection(collection)
    ax.autoscale_view()


def _levels(ax: Axes, effect: Effect, table: pd.DataFrame) -> None:
    names = list(effect.table["effect1__"].cat.categories)
    present = [n for n in names if (effect.table["effect1__"] == n).any()]
    place = {name: i for i, name in enumerate(present)}
    series = list(_colours(effect.table))
    for position, (label, colour) in enumerate(series):
        own = table[_of_level(table, label)]
        shift = 0.0 if len(series) == 1 else DODGE * (position / (len(series) - 1) - 0.5)
        x = own["effect1__"].astype(str).map(place).to_numpy(float) + shift
        y = own["estimate__"].to_numpy()
        ax.vlines(x, own["lower__"], own["upper__"], color=colour, linewidth=1.6, zorder=4)
        ax.plot(x, y, "o", color=colour, markersize=6, markeredgecolor="white", label=label, zorder=5)
    ax.set_xlim(-0.6, len(present) - 0.4)
    many = sum(len(n) for n in present) > 45
    ax.set_xticks(range(len(present)), present, rotation=45 if many else 0, ha="right" if many else "center")


def _points(ax: Axes, effect: Effect, data: pd.DataFrame, numeric: bool, jitter: float) -> None:
    names = list(effect.table["effect1__"].cat.categories) if not numeric else []
    present = [n for n in names if (effect.table["effect1__"] == n).any()]
    column = data["effect1__"]
    x = column.to_numpy(float) if numeric else column.astype(str).map({n: i for i, n in enumerate(present)})
    x = np.asarray(x, dtype=float)
    if jitter:
        x = x + np.random.default_rng(0).uniform(-jitter, jitter, len(x))
    colours: Any = "#555555"
    if "effect2__" in data and not pd.api.types.is_numeric_dtype(data["effect2__"]):
        by = dict(_colours(effect.table))
        colours = [by[label] for label in data["effect2__"].astype(str)]
    # The more points, the fainter: 100 stand out, 10 000 show where the data are dense.
    alpha = float(np.clip(12 / np.sqrt(max(len(x), 1)), 0.08, 0.7))
    size = float(np.clip(2500 / max(len(x), 1), 5, 16))
    ax.scatter(
        x, data["resp__"], s=size, c=colours, alpha=alpha, linewidths=0, zorder=1, rasterized=len(x) > 2000
    )


def _rug(ax: Axes, effect: Effect, data: pd.DataFrame) -> None:
    x = np.unique(data["effect1__"].to_numpy(float))
    height = np.full(x.size, 0.015)
    ax.plot(x, height, "|", color=DARK, alpha=0.5, markersize=8, transform=ax.get_xaxis_transform())


def _surface(ax: Axes, table: pd.DataFrame, stype: str) -> Any:
    wide = table.pivot(index="effect2__", columns="effect1__", values="estimate__")
    x, y, z = wide.columns.to_numpy(float), wide.index.to_numpy(float), wide.to_numpy(float)
    if stype == "raster":
        return ax.pcolormesh(x, y, z, cmap="viridis", shading="nearest", rasterized=True)
    filled = ax.contourf(x, y, z, levels=20, cmap="viridis")
    ax.contour(x, y, z, levels=np.asarray(filled.levels)[::2], colors="white", linewidths=0.4, alpha=0.6)
    return filled


def _colours(table: pd.DataFrame) -> list[tuple[str | None, str]]:
    """(label, colour) for each level of the second variable; one pair without a label if there is none."""
    if "effect2__" not in table:
        return [(None, BLUE)]
    labels = [str(c) for c in table["effect2__"].cat.categories if (table["effect2__"] == c).any()]
    if CATEGORY in table and table[CATEGORY].cat.ordered:
        return list(zip(labels, in_order(len(labels)), strict=True))
    return [(label, PALETTE[i % len(PALETTE)]) for i, label in enumerate(labels)]


def _of_level(table: pd.DataFrame, label: str | None) -> Any:
    if label is None:
        return np.ones(len(table), dtype=bool)
    return (table["effect2__"].astype(str) == label).to_numpy()


def _conditions(table: pd.DataFrame) -> list[str]:
    return [str(c) for c in table["cond__"].cat.categories if (table["cond__"] == c).any()]


def _value_label(effect: Effect) -> str:
    if effect.shares is not None:
        highest = float(effect.table["upper__"].max())
        return "Probability" if highest <= 1 else "Count"
    return effect.effects[1] if effect.surface else effect.response
