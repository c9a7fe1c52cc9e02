"""Pictures of survival curves: the model's with bands, the data's as Kaplan-Meier steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .ppc_distributions import OBSERVED, REPLICATED
from .style import DARK, MID, PALETTE, Picture, figure_with_axes, legend_outside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..results.survival import SurvivalCurve
    from .ppc_data import Check

__all__ = ["km_overlay", "plot_survival"]

Array = NDArray[np.float64]


def plot_survival(curve: SurvivalCurve, *, kaplan_meier: bool | None = None, band: bool = True) -> Picture:
    """Survival probabilities over time, one curve for each condition.

    ``kaplan_meier``: steps of the data's own estimate; default wherever there is one. ``band``: intervals of the
    model's curves. Raises `BayesmlmError` when steps are asked for and cannot be had.
    """
    if kaplan_meier and curve.observed is None:
        raise BayesmlmError(f"there is no Kaplan-Meier estimate: {curve.why_not}")
    figure, axes = figure_with_axes()
    ax = axes[0, 0]
    labels = list(curve.table["cond__"].cat.categories)
    end = float(curve.table["time"].max())
    for number, label in enumerate(labels):
        own = curve.table[curve.table["cond__"] == label]
        color = DARK if len(labels) == 1 else PALETTE[number % len(PALETTE)]
        if band:
            ax.fill_between(own["time"], own["lower__"], own["upper__"], color=color, alpha=0.18, linewidth=0)
        ax.plot(own["time"], own["estimate__"], color=color, linewidth=1.6, label=label)
        if curve.observed is not None and kaplan_meier is not False:
            steps = curve.observed[curve.observed["cond__"] == label]
            x, height = _steps(steps, float(own["time"].min()), end)
            name = "Kaplan-Meier" if number == len(labels) - 1 else None
            ax.plot(x, height, color=color, linewidth=1.0, linestyle="--", drawstyle="steps-post", label=name)
    ax.set_xlabel(curve.response)
    ax.set_ylabel(f"P({curve.response} > t)")
    ax.set_ylim(0, 1.01)
    if len(labels) > 1 or curve.observed is not None:
        legend_outside(ax)
    return figure


def km_overlay(ax: Axes, check: Check) -> None:
    """The Kaplan-Meier curve of y, censored and entered late as observed, among curves of draws, which are
    not censored."""
    from ..results.kaplan_meier import kaplan_meier

    start, end = min(0.0, float(check.y.min())), float(max(check.y.max(), np.quantile(check.yrep, 0.99)))
    alpha = float(np.clip(10 / len(check.yrep), 0.05, 0.6))
    for number, row in enumerate(check.yrep):
        x, height = _steps(kaplan_meier(row, None, check.entry), start, end)
        label = None if number else REPLICATED
        ax.plot(x, height, color=MID, alpha=alpha, linewidth=0.9, drawstyle="steps-post", label=label)
    x, height = _steps(kaplan_meier(check.y, check.event, check.entry), start, float(check.y.max()))
    ax.plot(x, height, color=DARK, linewidth=1.6, drawstyle="steps-post", label=OBSERVED)
    ax.set_xlim(start, end)
    ax.set_ylim(0, 1.01)
    ax.set_xlabel(check.name)
    ax.set_ylabel("Proportion surviving")


def _steps(estimate: pd.DataFrame, start: float, end: float) -> tuple[Array, Array]:
    """The corners of the step function from ``start``, where it is 1, to ``end``."""
    time, survival = estimate["time"].to_numpy(float), estimate["survival"].to_numpy(float)
    shown = time <= end
    x = np.concatenate([[min(start, time[0]) if time.size else start], time[shown], [end]])
    height = np.concatenate([[1.0], survival[shown]])
    return x, np.append(height, height[-1])
