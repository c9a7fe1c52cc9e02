"""Pictures of likelihood profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BayesmlmError
from ..plots.style import BLUE, DARK, MID, Picture, figure_with_axes, no_y_axis, panel_title
from .confint import normal_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .profile import Profile
    from .profile_curve import Curve

__all__ = ["plot_profile"]

KINDS = ("zeta", "abs", "density")


def plot_profile(profile: Profile, kind: str, levels: Sequence[float]) -> Picture:
    """See `Profile.plot`."""
    if kind not in KINDS:
        raise BayesmlmError(f'plot(kind=) is "zeta", "abs" or "density", not {kind!r}')
    count = len(profile.curves)
    columns = min(3, count)
    rows = -(-count // columns)
    size = (2.9 * columns + 0.4, 2.4 * rows)
    figure, axes = figure_with_axes(rows, columns, size, sharey=kind != "density", count=count)
    for ax, curve, name in zip(axes.flat, profile.curves, profile.names, strict=False):
        if kind == "density":
            _density(ax, curve)
        else:
            _zeta(ax, curve, levels, absolute=kind == "abs")
        panel_title(ax, name)
    for ax in axes[:, 0]:
        ax.set_ylabel({"zeta": "ζ", "abs": "|ζ|", "density": ""}[kind])
    return figure


def _grid(curve: Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, values of the parameter and zeta along the curve."""
    c = np.linspace(curve.coordinates[0], curve.coordinates[-1], 400)
    return c, np.array([curve.parameter.value(float(x)) for x in c]), np.asarray(curve.spline()(c))


def _zeta(ax: Axes, curve: Curve, levels: Sequence[float], absolute: bool) -> None:
    if len(curve.coordinates) < 2:
        return
    _, value, zeta = _grid(curve)
    ax.plot(value, np.abs(zeta) if absolute else zeta, color=BLUE, linewidth=1.4)
    ax.axhline(0.0, color=MID, linewidth=0.6)
    for level in levels:
        z = normal_quantile(level)
        if z > np.abs(curve.zeta).max():
            continue
        try:
            low, high = curve.limits(z)
        except BayesmlmError:  # one side was not profiled that far
            continue
        ends = (z, z) if absolute else (-z, z)
        ax.vlines((low, high), (0.0, 0.0), ends, color=DARK, linewidth=0.7)
        if absolute:
            ax.hlines(z, low, high, color=DARK, linewidth=0.7)


def _density(ax: Axes, curve: Curve) -> None:
    """phi(zeta) d zeta / d value: the density of the parameter if zeta were standard normal."""
    if len(curve.coordinates) < 2:
        return
    c, value, zeta = _grid(curve)
    slope = np.asarray(curve.spline()(c, 1))
    by_value = np.gradient(value, c)
    inside = by_value > 1e-6
    height = np.exp(-0.5 * zeta[inside] ** 2) / np.sqrt(2.0 * np.pi) * slope[inside] / by_value[inside]
    ax.plot(value[inside], height, color=BLUE, linewidth=1.4)
    ax.fill_between(value[inside], height, color=MID, alpha=0.3, linewidth=0.0)
    ax.set_ylim(bottom=0.0)
    no_y_axis(ax)
