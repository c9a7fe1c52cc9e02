"""A statistic's bootstrap replicates in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from ..plots.style import DARK, FILL, MID, Picture, figure_with_axes, no_y_axis, panel_title

if TYPE_CHECKING:
    from .bootstrap import Bootstrap

__all__ = ["plot_replicates"]


def plot_replicates(found: Bootstrap, name: str) -> Picture:
    """Histogram of the finite replicates with the estimate dashed; beside it their quantiles against the normal's."""
    t = found.t[name].to_numpy()
    t = np.sort(t[np.isfinite(t)])
    figure, axes = figure_with_axes(1, 2, (8.6, 3.6))
    left, right = axes[0]
    left.hist(t, bins="fd" if np.ptp(t) > 0 else 1, color=FILL, edgecolor="white", linewidth=0.4)
    left.axvline(float(found.t0[name]), color=DARK, linestyle="--", linewidth=1.2)
    left.set_xlabel("t*")
    no_y_axis(left)
    panel_title(left, name)
    z = norm.ppf((np.arange(len(t)) + 0.5) / max(len(t), 1))
    right.plot(z, t, ".", color=MID, markersize=3)
    right.axline((0.0, float(t.mean())), slope=float(t.std()), color=DARK, linewidth=1.0)
    right.set_xlabel("Quantiles of Standard Normal")
    right.set_ylabel("t*")
    return figure
