"""Pictures of a mixed model's residuals: against fitted values, and against normal quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .style import BLUE, DARK, PALETTE, Picture, figure_with_axes, panel_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..frequentist.fit import MixedFit
    from ..frequentist.mixed_terms import MixedTerm

__all__ = [
    "normal_quantiles",
    "plot_normal_quantiles",
    "plot_quantiles",
    "plot_residuals",
    "points_style",
    "residual_panels",
]

Vector = NDArray[np.float64]

MOST_PANELS = 36
TREND = PALETTE[1]


def plot_residuals(fit: MixedFit, by: str | None = None) -> Picture:
    """Residuals in units of sigma against fitted values; ``by``: a panel for each level of a grouping factor."""
    return residual_panels(fit.linear_predictor, _scaled(fit), fit.design.terms, by, "Scaled residuals")


def residual_panels(
    fitted: Vector, residuals: Vector, terms: Sequence[MixedTerm], by: str | None, label: str
) -> Picture:
    """``residuals`` (n,), called ``label``, against ``fitted`` (n,), with a running mean; ``by``: the grouping factor
    of one of the ``terms``, with a panel for each level. Raises `BayesmlmError` for one that none has."""
    if by is None:
        figure, axes = figure_with_axes(1, 1, (6.4, 4.2))
        _residual_panel(axes[0, 0], fitted, residuals)
        _trend(axes[0, 0], fitted, residuals)
        axes[0, 0].set_xlabel("Fitted values")
        axes[0, 0].set_ylabel(label)
        return figure
    term = next((t for t in terms if t.group == by), None)
    if term is None:
        groups = ", ".join(dict.fromkeys(t.group for t in terms))
        raise BayesmlmError(f"`{by}` is no grouping factor of the model; it has {groups}")
    if len(term.levels) > MOST_PANELS:
        raise BayesmlmError(f"`{by}` has {len(term.levels)} levels; at most {MOST_PANELS} panels can be read")
    count = len(term.levels)
    columns = min(6, count, max(3, int(np.ceil(np.sqrt(count)))))
    rows = -(-count // columns)
    size = (1.6 * columns + 0.6, 1.5 * rows + 0.5)
    figure, axes = figure_with_axes(rows, columns, size, sharex=True, sharey=True, count=count)
    for position, level in enumerate(term.levels):
        mine, ax = term.codes == position, axes.flat[position]
        _residual_panel(ax, fitted[mine], residuals[mine])
        panel_title(ax, level)
        # A panel above an empty place still needs its numbers.
        ax.tick_params(labelbottom=position >= count - columns)
    figure.supxlabel("Fitted values", fontsize=10)
    figure.supylabel(label, fontsize=10)
    return figure


def plot_quantiles(fit: MixedFit) -> Picture:
    """Sorted residuals in units of sigma against normal quantiles, with a line through the quartiles."""
    return plot_normal_quantiles(_scaled(fit), "Scaled residuals")


def plot_normal_quantiles(residuals: Vector, label: str) -> Picture:
    """Sorted ``residuals`` (n,), which are called ``label``, against normal quantiles."""
    values = np.sort(residuals)
    expected = normal_quantiles(len(values))
    figure, axes = figure_with_axes(1, 1, (4.8, 4.4))
    ax = axes[0, 0]
    ax.scatter(expected, values, **points_style(len(values)))
    x, y = (np.quantile(v, [0.25, 0.75]) for v in (expected, values))
    slope = (y[1] - y[0]) / (x[1] - x[0])
    ax.axline((x[0], y[0]), slope=slope, color=TREND, linewidth=1.2, zorder=3)
    ax.set_xlabel("Standard normal quantiles")
    ax.set_ylabel(label)
    return figure


def normal_quantiles(count: int) -> Vector:
    """R's ``qnorm(ppoints(count))``."""
    from scipy.special import ndtri

    offset = 3 / 8 if count <= 10 else 0.5
    return np.asarray(ndtri((np.arange(1, count + 1) - offset) / (count + 1 - 2 * offset)))


def _scaled(fit: MixedFit) -> Vector:
    rest = (fit.design.y - fit.linear_predictor) / fit.sigma
    return rest if fit.design.weights is None else rest * np.sqrt(fit.design.weights)


def points_style(count: int) -> dict[str, Any]:
    """The more points, the smaller and fainter."""
    return {
        "s": float(np.clip(4000 / max(count, 1), 4, 22)),
        "color": BLUE,
        "alpha": float(np.clip(120 / max(count, 1) ** 0.7, 0.12, 0.75)),
        "linewidths": 0,
        "zorder": 2,
        "rasterized": count > 2000,
    }


def _residual_panel(ax: Axes, fitted: Vector, residuals: Vector) -> None:
    ax.axhline(0.0, color=DARK, linewidth=0.8, alpha=0.6, zorder=1)
    ax.scatter(fitted, residuals, **points_style(len(fitted)))


def _trend(ax: Axes, fitted: Vector, residuals: Vector) -> None:
    """A local linear smooth over the nearest third of the rows, tricube weights (Cleveland 1979)."""
    if len(fitted) < 20 or np.ptp(fitted) == 0:
        return
    order = np.argsort(fitted, kind="stable")
    x, y = fitted[order], residuals[order]
    near = max(10, len(x) // 3)
    grid = np.quantile(x, np.linspace(0.0, 1.0, 80))
    smooth = np.empty_like(grid)
    for i, at in enumerate(grid):
        first = int(np.clip(np.searchsorted(x, at) - near // 2, 0, len(x) - near))
        local, values = x[first : first + near] - at, y[first : first + near]
        width = max(float(np.abs(local).max()), 1e-12)
        weight = (1.0 - np.minimum(np.abs(local) / width, 1.0) ** 3) ** 3 + 1e-9
        moments = [float((weight * local**power).sum()) for power in range(3)]
        level, slope = float((weight * values).sum()), float((weight * local * values).sum())
        determinant = moments[0] * moments[2] - moments[1] ** 2
        flat = determinant <= 1e-10 * moments[0] * moments[2]
        smooth[i] = level / moments[0] if flat else (moments[2] * level - moments[1] * slope) / determinant
    ax.plot(grid, smooth, color=TREND, linewidth=1.5, zorder=4)
