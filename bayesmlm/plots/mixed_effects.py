"""Pictures of a mixed model's group effects: caterpillars, and effects against normal quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .mixed_residuals import normal_quantiles
from .style import BLUE, DARK, MID, Picture, figure_title, figure_with_axes, panel_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..frequentist.fit import MixedFit
    from ..frequentist.generalised_fit import GeneralisedFit

__all__ = ["plot_caterpillar", "plot_effect_quantiles"]

Vector = NDArray[np.float64]

MOST_NAMES = 60
"""With more levels their names cannot be read any more."""


def plot_caterpillar(
    fit: MixedFit | GeneralisedFit,
    group: str | None = None,
    level: float = 0.95,
    sort: bool = True,
    part: str | None = None,
) -> Picture:
    """A panel for each effect: levels from the smallest effect to the largest, with intervals. ``part``: of this
    distributional parameter of a generalised model."""
    name, table, sd = _effects(fit, group, part)
    z = _half_width(level)
    count, named = len(table), len(table) <= MOST_NAMES
    height = float(np.clip(0.19 * count + 1.0, 2.4, 9.0)) if named else 5.5
    columns = table.shape[1]
    figure, axes = figure_with_axes(1, columns, (min(3.1 * columns + 0.8, 14.0), height))
    for position in range(columns):
        ax: Axes = axes[0, position]
        values, spread = table.iloc[:, position].to_numpy(), z * sd.iloc[:, position].to_numpy()
        order = np.argsort(values, kind="stable") if sort else np.arange(count)[::-1]
        place = np.arange(count, dtype=float)
        _intervals(ax, place, values[order], spread[order], vertical=False)
        ax.axvline(0.0, color=DARK, linewidth=0.8, alpha=0.6, zorder=1)
        ax.set_ylim(-0.8, count - 0.2)
        if named:
            ax.set_yticks(place, [str(table.index[i]) for i in order], fontsize=7.5)
        else:
            ax.set_yticks([])
            ax.set_ylabel(f"{count} levels" if position == 0 else "")
        panel_title(ax, str(table.columns[position]))
    figure_title(figure, name)
    figure.supxlabel(f"Effect with {100 * level:g} % interval", fontsize=10)
    return figure


def plot_effect_quantiles(
    fit: MixedFit | GeneralisedFit, group: str, level: float = 0.95, part: str | None = None
) -> Picture:
    """A panel for each effect: sorted effects with intervals against the quantiles of a normal distribution. ``part``
    as above."""
    name, table, sd = _effects(fit, group, part)
    z = _half_width(level)
    columns = table.shape[1]
    figure, axes = figure_with_axes(1, columns, (min(3.6 * columns + 0.6, 14.0), 4.0))
    expected = normal_quantiles(len(table))
    for position in range(columns):
        ax: Axes = axes[0, position]
        values, spread = table.iloc[:, position].to_numpy(), z * sd.iloc[:, position].to_numpy()
        order = np.argsort(values, kind="stable")
        _intervals(ax, expected, values[order], spread[order], vertical=True)
        ax.axhline(0.0, color=DARK, linewidth=0.8, alpha=0.6, zorder=1)
        panel_title(ax, str(table.columns[position]))
    axes[0, 0].set_ylabel(f"Effect with {100 * level:g} % interval")
    figure_title(figure, name)
    figure.supxlabel("Standard normal quantiles", fontsize=10)
    return figure


def _effects(
    fit: MixedFit | GeneralisedFit, group: str | None, part: str | None
) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """A factor's name, its effects and their conditional standard deviations."""
    options = {} if part is None else {"part": part}
    which = None if group is None else [group]
    effects: Any = fit.ranef(cond_var=True, which=which, **options)
    name = next(iter(effects))
    return name, effects[name], effects.sd(name)


def _half_width(level: float) -> float:
    from scipy.special import ndtri

    if not 0.0 < level < 1.0:
        raise BayesmlmError(f"level must lie between 0 and 1, not {level!r}")
    return float(ndtri(0.5 + level / 2.0))


def _intervals(ax: Axes, place: Vector, values: Vector, spread: Vector, vertical: bool) -> None:
    """Points with lines to both ends; those that do not cross zero are darker."""
    colours = np.where(np.abs(values) > spread, BLUE, MID)
    many = len(values) > 200
    width, size = (0.6, 4.0) if many else (1.2, 16.0)
    draw = ax.vlines if vertical else ax.hlines
    draw(place, values - spread, values + spread, color=colours, linewidth=width, zorder=2, rasterized=many)
    x, y = (place, values) if vertical else (values, place)
    ax.scatter(x, y, s=size, c=DARK, linewidths=0, zorder=3)
