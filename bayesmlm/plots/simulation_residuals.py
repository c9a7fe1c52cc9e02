"""The picture of simulation residuals: are they uniform, and are they so all along the fitted values?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .mixed_residuals import points_style
from .style import DARK, PALETTE, WARNING, Picture, figure_with_axes, panel_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..frequentist.simulation_residuals import SimulationResiduals

__all__ = ["plot_simulation_residuals", "running_quartiles"]

Vector = NDArray[np.float64]

QUARTILES = (0.25, 0.5, 0.75)
FEW = 12
"""With no more distinct fitted values than this, quartiles are those of the rows of each."""
DOUBTFUL = 0.05
TREND = PALETTE[1]


def plot_simulation_residuals(found: SimulationResiduals) -> Picture:
    """Left: sorted residuals against uniform quantiles, with the tests' p values. Right: residuals against the ranks of
    the fitted responses, with running quartiles; dashed lines are where these should be. Responses outside all
    simulations are red."""
    figure, axes = figure_with_axes(1, 2, (9.6, 4.3))
    _quantile_panel(axes[0, 0], found)
    _fitted_panel(axes[0, 1], found)
    return figure


def _quantile_panel(ax: Axes, found: SimulationResiduals) -> None:
    n = len(found.values)
    expected = (np.arange(1, n + 1) - 0.5) / n
    ax.plot([0, 1], [0, 1], color=TREND, linewidth=1.2, zorder=3)
    ax.scatter(expected, np.sort(found.values), **points_style(n))
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_aspect("equal")
    ax.set_xlabel("Uniform quantiles")
    ax.set_ylabel("Simulation residuals")
    panel_title(ax, "Quantiles")
    # The points run from the lower left to the upper right corner: these two corners are free.
    for place, (name, p) in enumerate(found.tests["p"].items()):
        upper = place < 2
        ax.text(
            0.03 if upper else 0.98,
            0.97 - 0.07 * place if upper else 0.03 + 0.07 * (len(found.tests) - 1 - place),
            f"{name}  p {_p(float(p))}",
            transform=ax.transAxes,
            ha="left" if upper else "right",
            va="top" if upper else "bottom",
            fontsize=8.5,
            color=WARNING if p < DOUBTFUL else DARK,
            zorder=5,
        )


def _p(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _fitted_panel(ax: Axes, found: SimulationResiduals) -> None:
    from scipy.stats import rankdata

    n = len(found.values)
    x = (rankdata(found.fitted) - 0.5) / n
    outside = (found.values <= 0.0) | (found.values >= 1.0)
    ax.scatter(x[~outside], found.values[~outside], **points_style(n))
    style = {**points_style(n), "color": WARNING, "alpha": 0.9}
    ax.scatter(x[outside], found.values[outside], **style)
    at, quartiles = running_quartiles(x, found.values)
    for q, line in zip(QUARTILES, quartiles, strict=True):
        ax.axhline(q, color=DARK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7, zorder=3)
        marker = "o" if len(at) <= FEW else None
        ax.plot(at, line, color=TREND, linewidth=1.4, marker=marker, markersize=4, zorder=4)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("Fitted responses (ranks, scaled)")
    ax.set_ylabel("Simulation residuals")
    panel_title(ax, "Residuals and their quartiles")


def running_quartiles(x: Vector, values: Vector) -> tuple[Vector, NDArray[np.float64]]:
    """Places (k,), and quartiles (3, k) of the nearest quarter of the rows (at least 20) there; of few distinct ``x``,
    of the rows of each."""
    distinct = np.unique(x)
    if len(distinct) <= FEW:
        groups = [values[x == one] for one in distinct]
        return distinct, np.stack([np.quantile(group, QUARTILES) for group in groups], axis=1)
    order = np.argsort(x, kind="stable")
    x, values = x[order], values[order]
    near = min(len(x), max(20, len(x) // 4))
    # A window that would run over an end would be the same for a while: places are the windows' middles.
    starts = np.unique(np.linspace(0, len(x) - near, 60).astype(int))
    at = np.array([x[start : start + near].mean() for start in starts])
    found = [np.quantile(values[start : start + near], QUARTILES) for start in starts]
    return at, np.stack(found, axis=1)
