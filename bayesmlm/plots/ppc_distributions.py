"""Panels of predictive checks that compare distributions: densities, frequencies, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .ppc_data import Array, Check
from .style import BLUE, DARK, FILL, LIGHT, MID, density, no_y_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "bars",
    "boxplot",
    "dens",
    "dens_overlay",
    "ecdf_overlay",
    "error_hist",
    "hist",
    "rootogram",
    "stat",
    "stat_2d",
    "violin_grouped",
]

OBSERVED = "$y$"
REPLICATED = "$y_{rep}$"
MOST_SINGLE_COUNTS = 60
"""Wider ranges of counts are put into classes of several whole numbers."""


def dens_overlay(ax: Axes, check: Check) -> None:
    """A density (counts: relative frequencies) for y and for each draw."""
    ax.set_xlabel(check.name)
    if check.discrete:
        edges = _whole_number_edges(check)
        middle = (edges[:-1] + edges[1:]) / 2
        curves = [(middle, np.histogram(row, edges)[0] / row.size) for row in (check.y, *check.yrep)]
        ax.set_ylabel("Relative frequency")
    else:
        curves = [density(row, bounded=False) for row in (check.y, *check.yrep)]
        no_y_axis(ax)
    alpha = _line_alpha(len(check.yrep))
    for position, (x, height) in enumerate(curves[1:]):
        ax.plot(x, height, color=MID, alpha=alpha, linewidth=0.9, label=None if position else REPLICATED)
    marker = "o" if check.discrete and len(curves[0][0]) <= 30 else ""
    ax.plot(*curves[0], color=DARK, linewidth=1.8, marker=marker, markersize=3.5, label=OBSERVED)
    ax.set_ylim(0, None)


def ecdf_overlay(ax: Axes, check: Check) -> None:
    """The empirical distribution function of y and of each draw."""
    alpha = _line_alpha(len(check.yrep))
    for position, row in enumerate(check.yrep):
        ax.plot(
            *_ecdf(row),
            color=MID,
            alpha=alpha,
            linewidth=0.9,
            label=None if position else REPLICATED,
            **_STEPS,
        )
    ax.plot(*_ecdf(check.y), color=DARK, linewidth=1.6, label=OBSERVED, **_STEPS)
    ax.set_xlabel(check.name)
    ax.set_ylabel("Cumulative proportion")
    ax.set_ylim(0, 1.01)


def dens(ax: Axes, check: Check) -> None:
    """The density of one vector."""
    x, height = density(check.yrep[0], bounded=False)
    ax.fill_between(
        x, height, color=DARK if check.observed else LIGHT, alpha=0.6 if check.observed else 1, linewidth=0
    )
    ax.plot(x, height, color=DARK if check.observed else BLUE, linewidth=1.2)
    ax.set_xlabel(check.name)
    no_y_axis(ax)


def hist(ax: Axes, check: Check) -> None:
    """The histogram of one vector; all panels have the classes of y, continued, so that they compare."""
    if check.discrete:
        edges = _whole_number_edges(check)
    else:
        width = float(np.ptp(check.y)) / check.bins or 1.0
        start, shown = check.y.min(), check.yrep[0]
        first, last = np.floor((shown.min() - start) / width), np.ceil((shown.max() - start) / width)
        edges = start + width * np.arange(first, max(last, first + 1) + 1)
    ax.hist(
        check.yrep[0],
        edges.tolist(),
        color=DARK if check.observed else FILL,
        edgecolor="white",
        linewidth=0.4,
    )
    ax.set_xlabel(check.name)
    no_y_axis(ax)


def error_hist(ax: Axes, check: Check) -> None:
    """The histogram of y minus the draws."""
    ax.hist((check.y - check.yrep).ravel(), check.bins, color=FILL, edgecolor="white", linewidth=0.4)
    ax.axvline(0, color="#777777", linewidth=0.8, linestyle="--")
    ax.set_xlabel(f"{check.name} $-$ {REPLICATED}")
    no_y_axis(ax)


def bars(ax: Axes, check: Check) -> None:
    """Frequencies of each value of y as bars; median and interval of the draws' frequencies as points."""
    edges = _whole_number_edges(check)
    middle = (edges[:-1] + edges[1:]) / 2
    width = 0.85 * (edges[1] - edges[0])
    ax.bar(middle, np.histogram(check.y, edges)[0], width, color=LIGHT, label=OBSERVED)
    counts = np.stack([np.histogram(row, edges)[0] for row in check.yrep])
    low, high = np.quantile(counts, check.tails(check.prob_outer), axis=0)
    ax.vlines(middle, low, high, color=BLUE, linewidth=1.4)
    ax.plot(middle, np.median(counts, axis=0), "o", color=DARK, markersize=4, label=REPLICATED)
    ax.set_xlabel(check.name)
    ax.set_ylabel("Count")
    _few_whole_ticks(ax, middle, check)


def rootogram(ax: Axes, check: Check) -> None:
    """Square roots of frequencies: y as bars, the draws' expectation as a line with its interval (Kleiber and
    Zeileis 2016, The American Statistician 70(3))."""
    if check.style not in ("standing", "hanging", "suspended"):
        raise BayesmlmError(f'style="{check.style}" is none of standing, hanging, suspended')
    edges = _whole_number_edges(check)
    middle = (edges[:-1] + edges[1:]) / 2
    width = 0.85 * (edges[1] - edges[0])
    observed = np.sqrt(np.histogram(check.y, edges)[0])
    counts = np.stack([np.histogram(row, edges)[0] for row in check.yrep])
    expected = np.sqrt(counts.mean(axis=0))
    low, high = np.sqrt(np.quantile(counts, check.tails(check.prob_outer), axis=0))
    bottom: Any = 0.0
    if check.style == "hanging":
        bottom = expected - observed
    elif check.style == "suspended":
        observed, low, high, expected = observed - expected, low - expected, high - expected, 0 * expected
    ax.bar(middle, observed, width, bottom=bottom, color=LIGHT, label="Observed")
    ax.fill_between(middle, low, high, color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(middle, expected, color=BLUE, linewidth=1.4, label="Expected")
    ax.axhline(0, color="#777777", linewidth=0.7)
    ax.set_xlabel(check.name)
    ax.set_ylabel("Square root of count")
    _few_whole_ticks(ax, middle, check)


def stat(ax: Axes, check: Check) -> None:
    """The statistic of each draw as a histogram, of y as a line."""
    name, own, values = check.statistics_of_draws()
    low, high = float(values.min()), float(values.max())
    if low == high:
        ax.bar([low], [len(values)], 0.1, color=FILL, label=f"T({REPLICATED})")
    else:
        distinct = np.unique(values).size
        ax.hist(
            values,
            min(check.bins, max(distinct, 5)),
            color=FILL,
            edgecolor="white",
            linewidth=0.4,
            label=f"T({REPLICATED})",
        )
    ax.axvline(own, color=DARK, linewidth=2.2, label=f"T({OBSERVED})")
    ax.set_xlabel(f"T = {name} of {check.name}")
    no_y_axis(ax)


def stat_2d(ax: Axes, check: Check) -> None:
    """Two statistics of each draw as points, of y as a cross-hair."""
    first, own_first, x = check.statistics_of_draws(0)
    second, own_second, y = check.statistics_of_draws(1)
    alpha = float(np.clip(20 / np.sqrt(len(x)), 0.15, 0.8))
    label = f"T({REPLICATED})"
    ax.scatter(x, y, s=9, color=MID, alpha=alpha, linewidths=0, label=label, rasterized=len(x) > 2000)
    ax.axvline(own_first, color=DARK, linewidth=0.8)
    ax.axhline(own_second, color=DARK, linewidth=0.8)
    ax.plot(
        own_first, own_second, "o", color=DARK, markersize=7, markeredgecolor="white", label=f"T({OBSERVED})"
    )
    ax.set_xlabel(f"{first} of {check.name}")
    ax.set_ylabel(f"{second} of {check.name}")


def boxplot(ax: Axes, check: Check) -> None:
    """Box plots of y and of each draw (box: quartiles; whiskers: 1.5 times its length; no outliers)."""
    sets = [check.y, *check.yrep]
    boxes = ax.boxplot(sets, widths=0.65, showfliers=False, patch_artist=True, medianprops={"color": "white"})
    for position, box in enumerate(boxes["boxes"]):
        box.set(facecolor=DARK if position == 0 else FILL, linewidth=0.7)
    if len(sets) <= 16:
        ax.set_xticks(range(1, len(sets) + 1), [OBSERVED, *(str(i) for i in range(1, len(sets)))])
    else:
        ax.set_xticks([1], [OBSERVED])
    ax.set_xlabel("Draw")
    ax.set_ylabel(check.name)


def violin_grouped(ax: Axes, check: Check) -> None:
    """For each group the density of all draws as a violin, y's values as points."""
    assert check.group is not None
    rng = np.random.default_rng(check.seed)
    for position, level in enumerate(check.levels):
        own = check.group == level
        grid, height = density(check.yrep[:, own], bounded=False)
        half = 0.42 * height / height.max()
        ax.fill_betweenx(
            grid, position - half, position + half, color=LIGHT, linewidth=0.8, edgecolor=MID, zorder=1
        )
        x = position + rng.uniform(-0.1, 0.1, int(own.sum()))
        label = OBSERVED if position == 0 else None
        size = float(np.clip(1500 / own.sum(), 3, 14))
        ax.scatter(x, check.y[own], s=size, color=DARK, alpha=0.6, linewidths=0, label=label, zorder=2)
    many = sum(map(len, check.levels)) > 50
    ax.set_xticks(range(len(check.levels)), check.levels, rotation=60 if many else 0)
    ax.set_ylabel(check.name)


_STEPS: dict[str, Any] = {"drawstyle": "steps-post"}


def _ecdf(values: Array) -> tuple[Array, Array]:
    x = np.sort(values)
    return np.concatenate([[x[0]], x]), np.concatenate([[0.0], np.arange(1, x.size + 1) / x.size])


def _line_alpha(lines: int) -> float:
    return float(np.clip(3.5 / np.sqrt(lines), 0.08, 0.9))


def _whole_number_edges(check: Check) -> NDArray[np.float64]:
    """Classes around the whole numbers of y and most of the draws: one number each, or several if there are many."""
    low = min(check.y.min(), check.yrep.min())
    # A few huge draws (of a negative binomial) must not squeeze everything else into one class.
    high = max(check.y.max(), np.quantile(check.yrep, 0.999))
    step = max(1.0, np.ceil((high - low + 1) / MOST_SINGLE_COUNTS))
    return np.arange(low - 0.5, high + 0.5 + step, step)


def _few_whole_ticks(ax: Axes, middle: Array, check: Check) -> None:
    if middle.size <= 12:
        ax.set_xticks(middle, [check.categories.get(float(m), f"{m:g}") for m in middle])
