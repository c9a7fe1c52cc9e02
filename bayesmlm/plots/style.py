"""The look shared by all pictures, and the figure they are drawn on.

Nothing here touches matplotlib's global settings or its pyplot: a `Picture` belongs to nobody but the caller, so
it is shown once by a notebook that gets it as a cell's value, and it does not pile up in memory. In a script
write ``figure.savefig("name.png")``; `Picture.open` shows it in a window.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "CHAINS",
    "DARK",
    "LIGHT",
    "MID",
    "PALETTE",
    "Picture",
    "Pictures",
    "density",
    "figure_title",
    "figure_with_axes",
    "legend_outside",
    "no_y_axis",
    "panel_title",
    "tidy",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#6B6B6B")
"""Okabe and Ito's colours, which readers with colour-blind eyes tell apart."""
CHAINS = ("#08306B", "#2171B5", "#6BAED6", "#41ABA0", "#5B4B8A", "#8C8CC0", "#3D7A5A", "#9AA5B1")
"""Cool colours for chains: alike when the chains agree, yet each can be followed."""
DARK, BLUE, MID, FILL, LIGHT = "#08306B", "#2171B5", "#6BAED6", "#9ECAE1", "#C6DBEF"
"""Observed data; main estimates; intervals; bars; replicated data."""
WARNING = "#C8102E"
"""Divergent transitions and whatever else must be seen."""

_GREY = "#4D4D4D"
_SMALL, _NORMAL, _LARGE = 8.5, 10.0, 12.0


class Picture(Figure):
    """A matplotlib figure that a notebook shows by itself, whether or not pyplot is in use."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        return buffer.getvalue()

    def open(self) -> None:
        """Show the figure in a window of matplotlib's interactive backend, and wait until it is closed."""
        import matplotlib.pyplot as plt

        plt.figure(self)
        plt.show()


class Pictures(list[Figure]):
    """A list of figures that a notebook shows one below the other."""

    def __init__(self, figures: Sequence[Figure], names: Sequence[str] = ()) -> None:
        super().__init__(figures)
        self.names = tuple(names)

    def _repr_html_(self) -> str:
        parts = []
        for position, figure in enumerate(self):
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
            name = html.escape(self.names[position] if position < len(self.names) else "")
            data = base64.b64encode(buffer.getvalue()).decode("ascii")
            parts.append(f'<img alt="{name}" style="max-width:100%" src="data:image/png;base64,{data}"/>')
        return "<div>" + "\n".join(parts) + "</div>"


def figure_with_axes(
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] = (6.4, 4.2),
    *,
    sharex: bool = False,
    sharey: bool = False,
    widths: Sequence[float] | None = None,
    count: int | None = None,
) -> tuple[Picture, NDArray[Any]]:
    """A figure of ``size`` inches with (rows, columns) styled axes; of these the first ``count`` are used."""
    figure = Picture(figsize=size, layout="constrained", facecolor="white")
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        sharex=sharex,
        sharey=sharey,
        width_ratios=widths,
    )
    for position, ax in enumerate(axes.flat):
        tidy(ax)
        if count is not None and position >= count:
            ax.set_visible(False)
    return figure, axes


def tidy(ax: Axes) -> None:
    """Thin lower and left lines, few ticks, readable text."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_linewidth(0.7)
        ax.spines[side].set_color(_GREY)
    ax.tick_params(labelsize=_SMALL, width=0.7, length=3, color=_GREY, labelcolor="#222222")
    ax.xaxis.label.set_fontsize(_NORMAL)
    ax.yaxis.label.set_fontsize(_NORMAL)
    ax.title.set_fontsize(_NORMAL)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))


def no_y_axis(ax: Axes) -> None:
    """Hide the vertical axis, where heights (densities, counts) carry no information of their own."""
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])


def panel_title(ax: Axes, title: str) -> None:
    """A title left above the axes."""
    ax.set_title(title, loc="left", fontsize=_NORMAL)


def figure_title(figure: Figure, title: str) -> None:
    """A title above all axes, left-aligned."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=_LARGE)


def legend_outside(ax: Axes, title: str | None = None, handles: Sequence[Any] | None = None) -> None:
    """A frameless legend right of the axes, where it hides nothing."""
    options: Mapping[str, Any] = {} if handles is None else {"handles": handles}
    legend = ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize=_SMALL,
        title=title,
        title_fontsize=_SMALL,
        borderaxespad=0.0,
        **options,
    )
    legend.set_alignment("left")


def density(
    values: NDArray[np.float64], points: int = 512, *, bounded: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Gaussian kernel density estimate of ``values``: grid and heights, each (points,).

    Bandwidth: R's `bw.nrd0` (Silverman 1986, eq. 3.31). ``bounded``: the curve ends at the extremes, and mass
    beyond them is reflected, so that it does not sink at a bound (a standard deviation at 0); otherwise it runs
    out over three bandwidths either side. Values are binned and convolved by FFT.
    """
    x = np.asarray(values, dtype=float).ravel()
    x = x[np.isfinite(x)]
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if low == high:
        # A constant is shown as a narrow bump: there is nothing to smooth.
        width = abs(low) * 1e-3 or 1e-3
        grid = np.linspace(low - 4 * width, low + 4 * width, points)
        return grid, np.exp(-0.5 * ((grid - low) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    q1, q3 = np.quantile(x, [0.25, 0.75])
    bandwidth = 0.9 * min(s for s in (x.std(ddof=1), (q3 - q1) / 1.34) if s > 0) * x.size**-0.2
    if not bounded:
        low, high = low - 3 * bandwidth, high + 3 * bandwidth
    counts, edges = np.histogram(x, bins=points, range=(low, high))
    step = edges[1] - edges[0]
    edge = counts[::-1] if bounded else np.zeros_like(counts)
    extended = np.concatenate([edge, counts, edge])
    frequency = np.fft.rfftfreq(extended.size, d=step)
    kernel = np.exp(-0.5 * (2 * np.pi * frequency * bandwidth) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(extended) * kernel, n=extended.size)[points : 2 * points]
    return (edges[:-1] + edges[1:]) / 2, np.maximum(smooth, 0.0) / (x.size * step)
