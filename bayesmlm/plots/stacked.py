"""Probabilities of categories piled up to one, over a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.effects import Effect

__all__ = ["in_order", "stack"]


def in_order(count: int) -> list[str]:
    """Colours of ordered categories, from light to dark, so that neighbours look alike."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps["viridis_r"](np.linspace(0.12, 0.95, count))]


def stack(ax: Axes, effect: Effect, chosen: Any, colours: Sequence[tuple[str | None, str]]) -> None:
    """Areas over a numeric predictor, bars over a factor's levels, the first category below. ``chosen``: the rows of
    the table that belong to the panel."""
    table = effect.table
    assert effect.shares is not None
    numeric = pd.api.types.is_numeric_dtype(table["effect1__"])
    levels = [] if numeric else [str(c) for c in table["effect1__"].cat.categories]
    present = [level for level in levels if (table["effect1__"] == level).any()]
    below: Any = 0.0
    for label, colour in colours:
        rows = np.flatnonzero(chosen & (table["effect2__"].astype(str) == label).to_numpy())
        height = effect.shares[rows]
        if numeric:
            x = table["effect1__"].to_numpy()[rows]
            ax.fill_between(x, below, below + height, color=colour, linewidth=0, label=label)
        else:
            x = table["effect1__"].astype(str).map({n: i for i, n in enumerate(present)}).to_numpy()[rows]
            ax.bar(x, height, 0.75, bottom=below, color=colour, edgecolor="white", linewidth=0.6, label=label)
        below = below + height
    ax.set_ylim(0, float(np.max(below)))
    if numeric:
        ax.margins(x=0)
    else:
        ax.set_xticks(range(len(present)), present)
