"""The picture of a calibration: how far the ranks' distribution functions are from a uniform's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import BLUE, DARK, LIGHT, WARNING, Picture, figure_with_axes, panel_title

if TYPE_CHECKING:
    from ..calibration import Calibration

__all__ = ["plot_calibration"]

COLUMNS = 4
DOUBTFUL = 0.01


def plot_calibration(
    found: Calibration, variables: Sequence[str] | None = None, *, prob: float = 0.95
) -> Picture:
    """One panel for each quantity (all if ``variables`` is None): the empirical distribution function of its ranks less
    that of a uniform variable, and the band in which the whole curve lies with probability ``prob`` when the sampler is
    calibrated. A curve whose p value is below 0.01 is red. A hill says that the posterior lies too high, a valley too
    low; first up and then down, that it is too narrow."""
    names = [str(name) for name in found.ranks] if variables is None else list(variables)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure, axes = figure_with_axes(rows, columns, (2.8 * columns + 0.4, 2.4 * rows + 0.3))
    for name, ax in zip(names, axes.flat, strict=False):
        u = found.uniformity(name)
        lower, upper = u.band(prob)
        points = np.concatenate([[0.0], u.points, [1.0]])
        ends = [np.concatenate([[0.0], edge - u.points, [0.0]]) for edge in (lower, upper)]
        ax.fill_between(points, *ends, color=LIGHT, linewidth=0, step="mid")
        ax.axhline(0.0, color=BLUE, linewidth=0.7)
        colour = WARNING if u.p < DOUBTFUL else DARK
        curve = np.concatenate([[0.0], u.ecdf - u.points, [0.0]])
        ax.step(points, curve, where="mid", color=colour, linewidth=1.2)
        ax.set_xlim(0, 1)
        panel_title(ax, f"{name}   p {u.p:.2f}" if u.p >= DOUBTFUL else f"{name}   p {u.p:.1g}")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("Rank, from 0 to 1")
    for ax in axes[:, 0]:
        ax.set_ylabel("ECDF − uniform")
    return figure
