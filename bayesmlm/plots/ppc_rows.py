"""Panels of predictive checks row by row: intervals, scatter plots, errors and leave-one-out checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .ppc_data import Array, Check
from .ppc_distributions import OBSERVED, REPLICATED
from .style import BLUE, DARK, LIGHT, MID, density, no_y_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "error_scatter",
    "error_scatter_avg",
    "error_scatter_avg_vs_x",
    "intervals",
    "loo_intervals",
    "loo_pit_ecdf",
    "loo_pit_overlay",
    "pit_ecdf",
    "pit_values",
    "ribbon",
    "scatter",
    "scatter_avg",
    "simultaneous_band",
]


def intervals(ax: Axes, check: Check) -> None:
    """For each row the draws' median with inner and outer interval, and y."""
    probs = (*check.tails(check.prob_outer), *check.tails(check.prob), 0.5)
    _draw_intervals(ax, check, np.quantile(check.yrep, probs, axis=0))


def loo_intervals(ax: Axes, check: Check) -> None:
    """As `intervals`, of the predictive distribution that leaves the row out; rows in order of its median."""
    probs = (*check.tails(check.prob_outer), *check.tails(check.prob), 0.5)
    levels = weighted_quantiles(check, probs)
    order = np.argsort(levels[-1], kind="stable")
    _draw_intervals(ax, check.rows(order), levels[:, order])
    ax.set_xlabel("Observation, in order of the prediction that leaves it out")


def ribbon(ax: Axes, check: Check) -> None:
    """As `intervals`, with bands over x."""
    x = _positions(check)
    order = np.argsort(x, kind="stable")
    probs = (*check.tails(check.prob_outer), *check.tails(check.prob), 0.5)
    low, high, inner_low, inner_high, middle = np.quantile(check.yrep[:, order], probs, axis=0)
    ax.fill_between(x[order], low, high, color=LIGHT, linewidth=0)
    ax.fill_between(x[order], inner_low, inner_high, color=MID, alpha=0.6, linewidth=0)
    ax.plot(x[order], middle, color=BLUE, linewidth=1.0, label=REPLICATED)
    size = 2.0 if x.size > 150 else 3.5
    ax.plot(x, check.y, "o", color=DARK, markersize=size, alpha=0.7, markeredgewidth=0, label=OBSERVED)
    _name_axes(ax, check)


def scatter(ax: Axes, check: Check) -> None:
    """y against one draw."""
    _scatter(ax, check.yrep[0], check.y)
    _diagonal(ax, check.y)
    ax.set_xlabel(REPLICATED)
    ax.set_ylabel(OBSERVED)


def scatter_avg(ax: Axes, check: Check) -> None:
    """y against the average of the draws."""
    _scatter(ax, check.yrep.mean(axis=0), check.y)
    _diagonal(ax, check.y)
    ax.set_xlabel(f"Average {REPLICATED}")
    ax.set_ylabel(check.name)


def error_scatter(ax: Axes, check: Check) -> None:
    """y against y minus one draw."""
    _scatter(ax, check.y - check.yrep[0], check.y)
    ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    ax.set_xlabel(f"{OBSERVED} $-$ {REPLICATED}")
    ax.set_ylabel(check.name)


def error_scatter_avg(ax: Axes, check: Check) -> None:
    """y against the average of y minus the draws."""
    _scatter(ax, check.y - check.yrep.mean(axis=0), check.y)
    ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    ax.set_xlabel(f"Average {OBSERVED} $-$ {REPLICATED}")
    ax.set_ylabel(check.name)


def error_scatter_avg_vs_x(ax: Axes, check: Check) -> None:
    """The average of y minus the draws against a variable."""
    _scatter(ax, _positions(check), check.y - check.yrep.mean(axis=0))
    ax.axhline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    ax.set_xlabel(check.x_name)
    ax.set_ylabel(f"Average {OBSERVED} $-$ {REPLICATED}")


def loo_pit_overlay(ax: Axes, check: Check) -> None:
    """The density of leave-one-out PIT values among densities of as many uniform values."""
    rng = np.random.default_rng(check.seed)
    for position in range(100):
        curve = density(rng.uniform(size=check.y.size), 128)
        ax.plot(*curve, color=MID, alpha=0.25, linewidth=0.7, label=None if position else "Uniform")
    ax.plot(*density(pit_values(check), 128), color=DARK, linewidth=1.8, label="LOO-PIT")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, None)
    ax.set_xlabel("Probability integral transform, leaving the row out")
    no_y_axis(ax)


def loo_pit_ecdf(ax: Axes, check: Check) -> None:
    """The distribution function of leave-one-out PIT values minus that of a uniform, with a simultaneous 95 % band
    (Säilynoja, Bürkner and Vehtari 2022, Statistics and Computing 32:32)."""
    _pit_difference(ax, check, "LOO-PIT")


def pit_ecdf(ax: Axes, check: Check) -> None:
    """As `loo_pit_ecdf` with PIT values of the draws themselves, which have seen the row."""
    _pit_difference(ax, check, "PIT")


def pit_values(check: Check) -> Array:
    """(rows,): the (weighted) proportion of draws below y; draws equal to y count as a random part of theirs, so
    that the values of a correct model are uniform for counts too."""
    weights = np.full(check.yrep.shape, 1 / len(check.yrep)) if check.weights is None else check.weights
    below = (weights * (check.yrep < check.y)).sum(axis=0)
    equal = (weights * (check.yrep == check.y)).sum(axis=0)
    return np.clip(below + np.random.default_rng(check.seed).uniform(size=check.y.size) * equal, 0, 1)


def simultaneous_band(
    n: int, points: NDArray[np.float64], prob: float = 0.95, seed: int = 0
) -> tuple[Array, Array]:
    """Limits within which the distribution function of ``n`` uniform values lies at all ``points`` at once with
    probability ``prob`` (algorithm 1 of Säilynoja, Bürkner and Vehtari 2022, by simulation)."""
    from scipy.stats import binom

    rng = np.random.default_rng(seed)
    steps = np.diff(np.concatenate([[0.0], points, [1.0]]))
    counts = rng.multinomial(n, steps / steps.sum(), size=2000)[:, :-1].cumsum(axis=1)
    tail = np.minimum(binom.cdf(counts, n, points), binom.sf(counts - 1, n, points))
    level = np.quantile(tail.min(axis=1), 1 - prob)
    return np.asarray(binom.ppf(level, n, points)) / n, np.asarray(binom.isf(level, n, points)) / n


def weighted_quantiles(check: Check, probs: tuple[float, ...]) -> Array:
    """(probs, rows): quantiles of the draws of each row under the leave-one-out weights."""
    assert check.weights is not None
    order = np.argsort(check.yrep, axis=0)
    draws = np.take_along_axis(check.yrep, order, axis=0)
    total = np.take_along_axis(check.weights, order, axis=0).cumsum(axis=0)
    rows = np.arange(check.y.size)
    last = len(draws) - 1
    return np.stack([draws[np.minimum((total < p).sum(axis=0), last), rows] for p in probs])


def _pit_difference(ax: Axes, check: Check, name: str) -> None:
    values = np.sort(pit_values(check))
    n = values.size
    points = np.linspace(0, 1, min(n, 200) + 2)[1:-1]
    low, high = simultaneous_band(n, points)
    ax.fill_between(points, low - points, high - points, color=LIGHT, step="mid", linewidth=0)
    ax.axhline(0, color="#999999", linewidth=0.8, linestyle="--")
    x = np.linspace(0, 1, 1001)
    ax.plot(x, np.searchsorted(values, x, side="right") / n - x, color=DARK, linewidth=1.4)
    ax.set_xlim(0, 1)
    ax.set_xlabel(name)
    ax.set_ylabel("ECDF difference from uniform")


def _draw_intervals(ax: Axes, check: Check, levels: Array) -> None:
    low, high, inner_low, inner_high, middle = levels
    x = _positions(check)
    many = x.size > 150
    ax.vlines(x, low, high, color=LIGHT, linewidth=0.6 if many else 1.2)
    ax.vlines(x, inner_low, inner_high, color=MID, linewidth=1.0 if many else 2.6)
    size = 2.0 if many else 4.5
    ax.plot(x, middle, "o", color=BLUE, markersize=size, alpha=0.8, markeredgewidth=0, label=REPLICATED)
    ax.plot(x, check.y, "o", color=DARK, markersize=size, markeredgewidth=0, label=OBSERVED)
    _name_axes(ax, check)


def _positions(check: Check) -> Array:
    return np.arange(1.0, check.y.size + 1) if check.x is None else check.x


def _name_axes(ax: Axes, check: Check) -> None:
    ax.set_xlabel(check.x_name)
    ax.set_ylabel(check.name)


def _scatter(ax: Axes, x: Array, y: Array) -> None:
    alpha = float(np.clip(15 / np.sqrt(max(x.size, 1)), 0.12, 0.75))
    ax.scatter(x, y, s=14, color=BLUE, alpha=alpha, linewidths=0, rasterized=x.size > 2000)


def _diagonal(ax: Axes, y: Array) -> None:
    # Through a point among the data: the origin may lie far away, and the axes would stretch to it.
    ax.axline(
        (float(y.mean()), float(y.mean())), slope=1, color="#999999", linewidth=0.8, linestyle="--", zorder=0
    )
