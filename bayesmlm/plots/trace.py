"""Pictures of chains: densities with traces, and rank histograms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..results.layout import draws_array, flat_names
from .style import (
    BLUE,
    CHAINS,
    FILL,
    LIGHT,
    WARNING,
    Pictures,
    density,
    figure_with_axes,
    legend_outside,
    no_y_axis,
    panel_title,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["divergent_draws", "plot_rank", "plot_trace", "select_draws", "tree_of"]

SUMMARY_KINDS = ("b_Intercept", "b", "sd", "cor", "dpar", "response_cor")
COMBINATIONS = ("dens", "hist", "dens_overlay", "trace", "rank_overlay")


def tree_of(fit: Any) -> xr.DataTree:
    """The DataTree of a fit, or the tree itself."""
    return getattr(fit, "idata", fit)


def select_draws(
    fit: Any, variables: str | Iterable[str] | None = None, regex: bool = False
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Flat names and draws (name, chain, draw); default: those of the summary, as in brms's `plot`."""
    tree = tree_of(fit)
    wanted = list(flat_names(tree, SUMMARY_KINDS)) if variables is None else variables
    names, draws = draws_array(tree, wanted, regex)
    if not names:
        raise BayesmlmError("the fit has no draws to show")
    return names, draws


def plot_trace(
    fit: Any,
    variables: str | Iterable[str] | None = None,
    *,
    regex: bool = False,
    nvariables: int = 5,
    combo: tuple[str, str] = ("dens", "trace"),
) -> Pictures:
    """brms's ``plot(fit)``: for each parameter its posterior density and the chains' paths.

    ``variables``, ``regex``: as in `as_draws_df`; default the parameters of the summary. ``nvariables``: rows on
    a page; the result is a list with one figure a page. ``combo``: the two columns, out of "dens" (chains
    together), "hist", "dens_overlay" (a line for each chain), "trace" and "rank_overlay". Red marks below a
    trace are divergent transitions.
    """
    if nvariables < 1:
        raise BayesmlmError(f"nvariables={nvariables} must be at least 1: it is the number of rows on a page")
    for name in combo:
        if name not in COMBINATIONS:
            raise BayesmlmError(f"combo has `{name}`, which is none of {', '.join(COMBINATIONS)}")
    names, draws = select_draws(fit, variables, regex)
    divergent = divergent_draws(tree_of(fit))
    pages = []
    for start in range(0, len(names), nvariables):
        page = names[start : start + nvariables]
        figure, axes = figure_with_axes(len(page), len(combo), (8.6, 0.5 + 1.55 * len(page)), widths=[1, 1.5])
        for row, name in enumerate(page):
            for column, kind in enumerate(combo):
                _DRAW[kind](axes[row, column], draws[start + row], divergent)
                panel_title(axes[row, column], name if column == 0 else "")
            if row < len(page) - 1:
                _hide_iteration_labels(axes[row], combo)
        _label_last(axes[-1], combo)
        if draws.shape[1] > 1 and set(combo) & {"trace", "dens_overlay", "rank_overlay"}:
            legend_outside(axes[0, -1], "Chain", _chain_handles(draws.shape[1]))
        pages.append(figure)
    return Pictures(pages, [", ".join(names[i : i + nvariables]) for i in range(0, len(names), nvariables)])


def plot_rank(
    fit: Any,
    variables: str | Iterable[str] | None = None,
    *,
    regex: bool = False,
    nvariables: int = 12,
    bins: int = 20,
) -> Pictures:
    """Histograms of the ranks of each chain's draws among all draws, drawn as lines: level lines mean that the
    chains agree (Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, section 5).

    The grey band holds 95 % of the counts if they agree (and draws were independent). Other arguments as in
    `plot_trace`, but with ``nvariables`` panels on a page.
    """
    names, draws = select_draws(fit, variables, regex)
    pages = []
    for start in range(0, len(names), nvariables):
        page = names[start : start + nvariables]
        columns = min(3, len(page))
        rows = -(-len(page) // columns)
        figure, axes = figure_with_axes(
            rows, columns, (2.9 * columns + 0.7, 0.4 + 1.9 * rows), count=len(page)
        )
        for position, name in enumerate(page):
            ax = axes.flat[position]
            _rank_overlay(ax, draws[start + position], None, bins)
            panel_title(ax, name)
            ax.set_xlabel("Rank" if position >= len(page) - columns else "")
        if draws.shape[1] > 1:
            legend_outside(axes[0, columns - 1], "Chain", _chain_handles(draws.shape[1]))
        pages.append(figure)
    return Pictures(pages, [", ".join(names[i : i + nvariables]) for i in range(0, len(names), nvariables)])


def divergent_draws(tree: xr.DataTree) -> NDArray[np.bool_] | None:
    """(chain, draw) which transitions diverged; None when the tree does not say."""
    if "sample_stats" not in tree.children or "diverging" not in tree["sample_stats"].dataset:
        return None
    return tree["sample_stats"].dataset["diverging"].to_numpy().astype(bool)


def _density(ax: Axes, draws: NDArray[np.float64], divergent: Any) -> None:
    grid, height = density(draws)
    ax.fill_between(grid, height, color=LIGHT, linewidth=0)
    ax.plot(grid, height, color=BLUE, linewidth=1.2)
    ax.set_ylim(0, None)
    no_y_axis(ax)


def _density_overlay(ax: Axes, draws: NDArray[np.float64], divergent: Any) -> None:
    for chain, own in enumerate(draws):
        ax.plot(*density(own), color=_colour(chain), linewidth=1.1)
    ax.set_ylim(0, None)
    no_y_axis(ax)


def _histogram(ax: Axes, draws: NDArray[np.float64], divergent: Any) -> None:
    ax.hist(draws.ravel(), bins=30, color=FILL, edgecolor="white", linewidth=0.4)
    no_y_axis(ax)


def _trace(ax: Axes, draws: NDArray[np.float64], divergent: NDArray[np.bool_] | None) -> None:
    iterations = np.arange(1, draws.shape[1] + 1)
    for chain, own in enumerate(draws):
        ax.plot(iterations, own, color=_colour(chain), linewidth=0.45, alpha=0.85, rasterized=own.size > 2000)
    ax.set_xlim(1, draws.shape[1])
    if divergent is not None and divergent.any():
        where = np.flatnonzero(divergent.any(axis=0)) + 1
        ax.plot(where, np.full(where.size, 0.03), "|", color=WARNING, markersize=9, **_along_x(ax))


def _rank_overlay(ax: Axes, draws: NDArray[np.float64], divergent: Any, bins: int = 20) -> None:
    from scipy.stats import binom, rankdata

    chains, length = draws.shape
    ranks = rankdata(draws, method="average").reshape(draws.shape)
    edges = np.linspace(0.5, chains * length + 0.5, bins + 1)
    low, high = np.asarray(binom.ppf([0.025, 0.975], length, 1 / bins)).tolist()
    ax.axhspan(low, high, color="#EEEEEE", linewidth=0, zorder=0)
    ax.axhline(length / bins, color="#999999", linewidth=0.8, linestyle="--", zorder=1)
    for chain, own in enumerate(ranks):
        ax.stairs(np.histogram(own, edges)[0], edges, baseline=None, color=_colour(chain), linewidth=1.1)
    top = max(ax.get_ylim()[1], high)
    ax.set_ylim(0, 1.15 * top)
    ax.set_xlim(edges[0], edges[-1])


_DRAW = {
    "dens": _density,
    "hist": _histogram,
    "dens_overlay": _density_overlay,
    "trace": _trace,
    "rank_overlay": _rank_overlay,
}


def _along_x(ax: Axes) -> dict[str, Any]:
    return {"transform": ax.get_xaxis_transform(), "markeredgewidth": 1.3, "clip_on": False, "zorder": 5}


def _colour(chain: int) -> str:
    return CHAINS[chain % len(CHAINS)]


def _chain_handles(chains: int) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=_colour(c), linewidth=2, label=str(c + 1)) for c in range(chains)]


def _hide_iteration_labels(row: NDArray[Any], combo: tuple[str, str]) -> None:
    for ax, kind in zip(row, combo, strict=True):
        if kind == "trace":
            ax.tick_params(labelbottom=False)


def _label_last(row: NDArray[Any], combo: tuple[str, str]) -> None:
    for ax, kind in zip(row, combo, strict=True):
        ax.set_xlabel({"trace": "Iteration after warm-up", "rank_overlay": "Rank"}.get(kind, ""))
