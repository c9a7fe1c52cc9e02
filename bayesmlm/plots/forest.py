"""Interval plots: parameters one below the other, and group effects in order of size (caterpillar plots)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..results.layout import FlatName, gather, select
from ..results.tables import FIXED_KINDS, quantile_levels
from .style import BLUE, DARK, MID, PALETTE, Picture, figure_with_axes, legend_outside, panel_title
from .trace import select_draws, tree_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_caterpillar", "plot_forest"]


def plot_forest(
    fit: Any,
    variables: str | Iterable[str] | None = None,
    *,
    regex: bool = False,
    prob: float = 0.5,
    prob_outer: float = 0.95,
    order: str | None = None,
    models: Sequence[Any] = (),
    model_names: Sequence[str] | None = None,
) -> Picture:
    """Posterior medians with central intervals, a row for each parameter.

    Args:
        fit: a fit or its DataTree.
        variables: as in `as_draws_df`; default the population-level effects without the intercepts, or with them
            if there is nothing else. Group effects (``"r_id"``) get a panel for each coefficient.
        prob: width of the thick interval.
        prob_outer: width of the thin one.
        order: "value" sorts by the median (default for group effects), "name" keeps the order of the draws.
        models: further fits to show beside this one, in other colours, named by ``model_names``.
    """
    for width in (prob, prob_outer):
        quantile_levels(width)
    if order not in (None, "value", "name"):
        raise BayesmlmError(f'order must be "value" or "name", not {order!r}')
    tree = tree_of(fit)
    wanted = _default(fit) if variables is None else variables
    places = select(tree, wanted, regex)
    if places and all(place.kind == "r" for place in places.values()):
        if models:
            raise BayesmlmError("group effects are shown for one model at a time; leave `models` out")
        return _panels(fit, places, prob, prob_outer, order)
    fits = [fit, *models]
    names = list(model_names or [f"model {i + 1}" for i in range(len(fits))])
    if len(names) != len(fits):
        raise BayesmlmError(f"model_names has {len(names)} names for {len(fits)} models")
    return _rows(fits, list(places), names, (prob, prob_outer), order)


def plot_caterpillar(fit: Any, group: str, *, prob: float = 0.5, prob_outer: float = 0.95) -> Picture:
    """The effects of a grouping factor in order of size, a panel for each coefficient."""
    tree = tree_of(fit)
    variables = [n for n, a in tree["posterior"].dataset.data_vars.items() if a.attrs.get("kind") == "r"]
    groups = {tree["posterior"].dataset[n].attrs["group"] for n in variables}
    own = [str(n) for n in variables if tree["posterior"].dataset[n].attrs["group"] == group]
    if not own:
        raise BayesmlmError(
            f"`{group}` has no group effects among the draws; these do: {', '.join(sorted(groups))}"
        )
    return plot_forest(fit, own, prob=prob, prob_outer=prob_outer)


def _default(fit: Any) -> list[str]:
    from ..results.layout import flat_names

    slopes = list(flat_names(tree_of(fit), ("b",)))
    return slopes or list(flat_names(tree_of(fit), FIXED_KINDS)) or list(select_draws(fit)[0])


def _rows(
    fits: Sequence[Any],
    rows: list[str],
    names: Sequence[str],
    probs: tuple[float, float],
    order: str | None,
) -> Picture:
    known = [dict(zip(*select_draws(f, [n for n in rows if n in _names(f)]), strict=True)) for f in fits]
    for other in known[1:]:
        rows = list(dict.fromkeys([*rows, *other]))
    if order == "value":
        rows = sorted(rows, key=lambda n: -max(float(np.median(k[n])) for k in known if n in k))
    longest = max(map(len, rows))
    figure, axes = figure_with_axes(
        size=(4.2 + 0.085 * longest, 0.9 + 0.3 * len(rows) * (1 + 0.5 * (len(fits) - 1)))
    )
    ax = axes[0, 0]
    shifts = np.linspace(-0.18, 0.18, len(fits)) if len(fits) > 1 else [0.0]
    for position, draws in enumerate(known):
        own = [n for n in rows if n in draws]
        y = np.array([rows.index(n) for n in own]) + shifts[position]
        colours = (MID, BLUE, DARK) if len(fits) == 1 else (PALETTE[position % len(PALETTE)],) * 3
        values = np.stack([draws[n].ravel() for n in own])
        _intervals(ax, y, values, probs, colours, label=names[position])
    _finish(ax, rows)
    ax.set_xlabel("Posterior median with {:g} % and {:g} % intervals".format(*(100 * p for p in probs)))
    if len(fits) > 1:
        legend_outside(ax)
    return figure


def _panels(
    fit: Any, places: dict[str, FlatName], prob: float, prob_outer: float, order: str | None
) -> Picture:
    panels: dict[tuple[str, str], list[FlatName]] = {}
    for place in places.values():
        panels.setdefault((place.variable, place.label[1]), []).append(place)
    most = max(map(len, panels.values()))
    few = most <= 60
    height = 0.9 + (0.19 * most if few else 6.0)
    figure, axes = figure_with_axes(1, len(panels), (min(3.3 * len(panels) + 0.6, 14.0), height))
    for ax, ((variable, coefficient), own) in zip(axes.flat, panels.items(), strict=True):
        draws = gather(tree_of(fit), own).reshape(len(own), -1)
        index = np.arange(len(own)) if order == "name" else np.argsort(np.median(draws, axis=1))[::-1]
        _intervals(
            ax, np.arange(len(own)), draws[index], (prob, prob_outer), (MID, BLUE, DARK), small=not few
        )
        labels = [own[i].label[0] for i in index]
        _finish(ax, labels if few else [], len(own))
        panel_title(ax, f"{variable}: {coefficient}")
        if not few and ax is axes[0, 0]:
            ax.set_ylabel(f"{len(own)} levels" + ("" if order == "name" else ", sorted"))
    figure.supxlabel(
        f"Deviation from the population effect: median, {100 * prob:g} % and {100 * prob_outer:g} % intervals",
        fontsize=10,
    )
    return figure


def _intervals(
    ax: Axes,
    y: Any,
    draws: NDArray[np.float64],
    probs: tuple[float, float],
    colours: tuple[str, str, str],
    *,
    label: str | None = None,
    small: bool = False,
) -> None:
    inner, outer = (np.quantile(draws, quantile_levels(p), axis=1) for p in probs)
    thin, thick, size = (0.5, 1.0, 1.6) if small else (1.3, 3.6, 5.5)
    ax.hlines(y, *outer, color=colours[0], linewidth=thin, zorder=3)
    ax.hlines(y, *inner, color=colours[1], linewidth=thick, zorder=4)
    style: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.0 if small else 0.7}
    ax.plot(
        np.median(draws, axis=1), y, "o", color=colours[2], markersize=size, label=label, zorder=5, **style
    )


def _finish(ax: Axes, labels: Sequence[str], count: int | None = None) -> None:
    count = len(labels) if count is None else count
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(count - 0.4, -0.6)
    ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=1)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if not labels:
        ax.set_yticks([])


def _names(fit: Any) -> set[str]:
    return set(select(tree_of(fit)))
