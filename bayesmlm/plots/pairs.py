"""Pairs of parameters: densities on the diagonal, draws below it, divergent transitions marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .style import (
    BLUE,
    LIGHT,
    WARNING,
    Picture,
    density,
    figure_with_axes,
    legend_outside,
    no_y_axis,
    panel_title,
)
from .trace import divergent_draws, select_draws, tree_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_pairs"]

MOST_VARIABLES = 8
MOST_POINTS = 4000


def plot_pairs(
    fit: Any,
    variables: str | Iterable[str] | None = None,
    *,
    regex: bool = False,
    divergences: bool = True,
) -> Picture:
    """Scatter plots of the draws of each pair of parameters, as brms's ``pairs(fit)``.

    ``variables``, ``regex``: as in `as_draws_df`; default the parameters of the summary, the first 8 of them.
    The numbers above the diagonal are correlations of the draws. Divergent transitions are red: where they
    gather, the sampler could not follow the posterior. Of more than 4000 draws every k-th is shown, the
    divergent ones all.
    """
    names, draws = select_draws(fit, variables, regex)
    if variables is None:
        names, draws = names[:MOST_VARIABLES], draws[:MOST_VARIABLES]
    if not 2 <= len(names) <= 15:
        raise BayesmlmError(
            f"pairs are shown of 2 to 15 parameters, not {len(names)}; name some with `variables`"
        )
    values = draws.reshape(len(names), -1)
    marked = divergent_draws(tree_of(fit))
    red = np.zeros(values.shape[1], dtype=bool) if marked is None or not divergences else marked.ravel()
    size = float(np.clip(1.75 * len(names), 4.5, 14.0))
    figure, axes = figure_with_axes(len(names), len(names), (size, size))
    for i, row in enumerate(axes):
        for j, ax in enumerate(row):
            if i == j:
                _diagonal(ax, values[i], names[i])
            elif i > j:
                _scatter(ax, values[j], values[i], red)
            else:
                _correlation(ax, values[j], values[i])
            _keep_outer_labels(ax, i, j, len(names))
    if red.any():
        _divergence_legend(axes[0, -1], int(red.sum()))
    return figure


def _diagonal(ax: Axes, values: NDArray[np.float64], name: str) -> None:
    grid, height = density(values)
    ax.fill_between(grid, height, color=LIGHT, linewidth=0)
    ax.plot(grid, height, color=BLUE, linewidth=1.1)
    ax.set_ylim(0, None)
    no_y_axis(ax)
    panel_title(ax, name)
    ax.title.set_fontsize(8.5)


def _scatter(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], red: NDArray[np.bool_]) -> None:
    step = -(-x.size // MOST_POINTS)
    rest = np.flatnonzero(~red)[::step]
    alpha = float(np.clip(15 / np.sqrt(max(rest.size, 1)), 0.12, 0.6))
    ax.scatter(x[rest], y[rest], s=3, color=BLUE, alpha=alpha, linewidths=0, rasterized=True)
    if red.any():
        ax.scatter(x[red], y[red], s=16, color=WARNING, edgecolor="white", linewidths=0.5, zorder=5)


def _correlation(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    constant = x.std() == 0 or y.std() == 0
    r = 0.0 if constant else float(np.corrcoef(x, y)[0, 1])
    ax.text(
        0.5,
        0.5,
        "constant" if constant else f"{round(r, 2) + 0.0:.2f}",
        ha="center",
        va="center",
        transform=ax.transAxes,
        fontsize=9 + 5 * abs(r),
        color="#222222" if abs(r) > 0.3 else "#888888",
    )
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])


def _keep_outer_labels(ax: Axes, i: int, j: int, count: int) -> None:
    if i < j:
        return
    ax.xaxis.set_major_locator(MaxNLocator(3))
    if i > j:
        ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(labelbottom=i == count - 1, labelleft=j == 0 and i > 0)


def _divergence_legend(ax: Axes, count: int) -> None:
    from matplotlib.lines import Line2D

    dot = Line2D([], [], marker="o", linestyle="", color=WARNING, markersize=4, label=f"{count} divergent")
    legend_outside(ax, handles=[dot])
