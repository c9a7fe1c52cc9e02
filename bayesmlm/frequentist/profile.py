"""Likelihood profiles: how much worse the best fit gets when one parameter is held away from its estimate.

zeta, the signed root of the rise in deviance, is a straight line through 0 where the likelihood is normal (Bates and
Watts 1988, ch. 6; Bates, Maechler, Bolker and Walker 2015, JSS 67(1), sec. 5.1). The profile is that of the maximum
likelihood fit, for a model fitted by REML too. Points are joined by cubics through the exact slopes of zeta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from .held import Held, Point, evaluate_held, shape_of, solve_held, start_free, without_either
from .profile_parameters import Parameter, profile_parameters, select_parameters, table_of_point

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit

__all__ = ["Curve", "Profile", "profile"]

Vector = NDArray[np.float64]

STEPS = 8
"""Steps from the estimate to the cutoff."""
LOWER = 1e-4
"""A deviance this much below the optimum's means that the fit had not converged."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The profile of one parameter: ``coordinates`` increasing (the parameter itself, of an unstructured correlation
    its arc sine), with ``zeta``, its ``slopes`` and the best fits there."""

    parameter: Parameter
    coordinates: Vector
    zeta: Vector
    slopes: Vector
    points: tuple[Point, ...]

    def limits(self, z: float) -> tuple[float, float]:
        """Where zeta is -z and z, next to the estimate; a bound of the parameter where zeta does not get there."""
        return self._limit(z, -1), self._limit(z, 1)

    def _limit(self, z: float, side: int) -> float:
        from scipy.optimize import brentq

        centre = int(np.argmin(np.abs(self.zeta)))
        places = range(centre, len(self.zeta) if side > 0 else -1, side)
        beyond = next((i for i in places if side * self.zeta[i] >= z), None)
        end = len(self.zeta) - 1 if side > 0 else 0
        if beyond is None:
            bound = self.parameter.upper if side > 0 else self.parameter.lower
            if not _reached(float(self.coordinates[end]), bound):
                raise BayesmlmError(
                    f"the profile of {self.parameter.name} reaches zeta = {self.zeta[end]:.3g} only, and the interval "
                    f"needs {side * z:.3g}; make it wider: profile(alphamax=) with a smaller value"
                )
            return self.parameter.value(bound)
        before = beyond - side
        if beyond == centre:
            return self.parameter.value(float(self.coordinates[centre]))
        spline = self.spline()
        ends = sorted((float(self.coordinates[before]), float(self.coordinates[beyond])))
        crossing = brentq(lambda c: float(spline(c)) - side * z, ends[0], ends[1], xtol=1e-14)
        return self.parameter.value(float(crossing))

    def spline(self) -> Any:
        """zeta as a function of the coordinate: monotone between points at which zeta is."""
        from scipy.interpolate import CubicHermiteSpline

        secants = np.diff(self.zeta) / np.diff(self.coordinates)
        # A cubic is monotone when its end slopes are at most three times the secant (Fritsch and Carlson 1980)
        roof = 3.0 * np.minimum(np.append(np.inf, np.abs(secants)), np.append(np.abs(secants), np.inf))
        return CubicHermiteSpline(self.coordinates, self.zeta, np.minimum(np.maximum(self.slopes, 0.0), roof))


@dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """Profiles of the parameters of a linear mixed model, as `MixedFit.profile` makes them.

    ``fit``: the maximum likelihood fit that was profiled; ``parameters``: all of its parameters; ``curves``: of those
    that were asked for; ``old_names``: whether they go by ``.sig01`` or by ``sd_(Intercept)|g``.
    """

    fit: MixedFit
    parameters: tuple[Parameter, ...]
    curves: tuple[Curve, ...]
    old_names: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the profiled parameters."""
        return tuple(c.parameter.label(self.old_names) for c in self.curves)

    def __getitem__(self, name: str) -> Curve:
        found = {n: c for c in self.curves for n in (c.parameter.name, c.parameter.long_name)}
        if name not in found:
            raise BayesmlmError(f"`{name}` has not been profiled; there are {', '.join(self.names)}")
        return found[name]

    def to_frame(self) -> pd.DataFrame:
        """One row for each point, as R's ``as.data.frame(profile(m))``: ``.zeta``, all parameters of the best fit there
        (a correlation with an effect without variance is NaN), ``.par`` and ``.focal``, the value held."""
        import pandas as pd

        labels = [p.label(self.old_names) for p in self.parameters]
        rows = []
        for curve, name in zip(self.curves, self.names, strict=True):
            for zeta, c, point in zip(curve.zeta, curve.coordinates, curve.points, strict=True):
                values = dict(zip(labels, table_of_point(self.fit, point), strict=True))
                focal = curve.parameter.value(float(c))
                rows.append({".zeta": zeta, **values, name: focal, ".par": name, ".focal": focal})
        return pd.DataFrame(rows, columns=[".zeta", *labels, ".par", ".focal"])

    def confint(self, parm: Any = None, level: float = 0.95) -> pd.DataFrame:
        """Profile confidence intervals; see `MixedFit.confint`."""
        from .confint import interval_table, normal_quantile

        z = normal_quantile(level)
        chosen = select_parameters([c.parameter for c in self.curves], parm)
        limits = [next(c for c in self.curves if c.parameter is p).limits(z) for p in chosen]
        labels = [p.label(self.old_names) for p in chosen]
        table = interval_table(labels, np.array(limits).reshape(-1, 2), level)
        table.notes = [
            f"{label}: the data do not rule out {' or '.join(f'{x:g}' for x in at)}, where its range ends"
            for label, parameter, pair in zip(labels, chosen, limits, strict=True)
            if (
                at := [
                    x
                    for x in pair
                    if x in (parameter.value(parameter.lower), parameter.value(parameter.upper))
                ]
            )
        ]
        return table

    def plot(self, kind: str = "zeta", levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99)) -> Any:
        """A picture with a panel for each parameter: "zeta" (straight where the likelihood is normal, with intervals of
        the given ``levels``), "abs" (its absolute value, as R's), or "density" (what zeta being normal would imply)."""
        from .profile_plot import plot_profile

        return plot_profile(self, kind, levels)

    def __repr__(self) -> str:
        title = f"Profile of {self.fit.formula}: {', '.join(self.names)}"
        try:
            return f"{title}\n\n{self.confint()!r}"
        except BayesmlmError as reason:  # not profiled that far
            return f"{title}\n\n{reason}"


def profile(
    fit: MixedFit,
    which: Any = None,
    alphamax: float = 0.01,
    old_names: bool = True,
    reach: float | None = None,
) -> Profile:
    """See `MixedFit.profile`. ``reach``: how far zeta goes, instead of what ``alphamax`` says."""
    from scipy.stats import chi2

    if not 0.0 < alphamax < 1.0:
        raise BayesmlmError(f"alphamax={alphamax:g} must lie between 0 and 1")
    best = fit.refit_ml()
    parameters = profile_parameters(best)
    chosen = select_parameters(parameters, which)
    cutoff = float(np.sqrt(chi2.ppf(1.0 - alphamax, len(parameters)))) if reach is None else reach
    return Profile(best, parameters, tuple(_curve(best, p, cutoff) for p in chosen), old_names)


def _curve(fit: MixedFit, parameter: Parameter, cutoff: float) -> Curve:
    """The points of one parameter, from the estimate outwards to both sides."""
    problem, held = fit.problem, parameter.held
    free = start_free(problem, held, fit.optimum.parameters, fit.sigma)
    shape = shape_of(problem, held, parameter.estimate, free)
    state = evaluate_held(problem, held, parameter.estimate, free)
    centre = replace(state.point(problem, parameter.estimate, free), deviance=fit.criterion, slope=0.0)
    arms = {}
    for side in (-1, 1):
        arm = _march(fit, parameter, centre, shape, cutoff, side)
        arms[side] = _from_outside(fit, held, arm, shape)
    points = [*reversed(arms[-1]), centre, *arms[1]]
    lowest = min(p.deviance for p in points) - centre.deviance
    if lowest < -LOWER:
        import warnings

        warnings.warn(
            f"profiling {parameter.name} found a deviance lower by {-lowest:.3g} than the fit's: the fit had not "
            "converged, and its profile is off; fit again from another start=",
            BayesmlmWarning,
            stacklevel=2,
        )
    c = np.array([p.value for p in points])
    sides = np.sign(c - centre.value)
    zeta = sides * np.sqrt(np.maximum([p.deviance - centre.deviance for p in points], 0.0))
    return Curve(parameter, c, zeta, _slopes(c, zeta, np.array([p.slope for p in points])), tuple(points))


def _march(
    fit: MixedFit, parameter: Parameter, centre: Point, shape: NDArray[np.float64], cutoff: float, side: int
) -> list[Point]:
    """Points on one side of the estimate, about ``cutoff / STEPS`` of zeta apart, until the cutoff or the bound."""
    problem, held = fit.problem, parameter.held
    bound = parameter.upper if side > 0 else parameter.lower
    step = parameter.scale * 1e-2
    if _reached(centre.value, bound):
        return []
    probe = min(step, 0.5 * abs(bound - centre.value))
    first = solve_held(problem, held, centre.value + side * probe, centre.free, shape)
    rise = first.deviance - centre.deviance
    step = min(max(probe * (cutoff / STEPS) / np.sqrt(max(rise, 1e-12)), 0.1 * probe), 30.0 * parameter.scale)
    before, here, points = centre, centre, []
    for _ in range(100):
        value = here.value + side * step
        if side * (value - bound) >= -0.02 * step:
            value = bound
        if parameter.open and side * (value - bound) > -0.4 * abs(here.value - bound):
            value = bound + 0.4 * (here.value - bound)
        span = here.value - before.value
        ahead = (
            here.free if span == 0.0 else here.free + (here.free - before.free) * (value - here.value) / span
        )
        before, here = here, solve_held(problem, held, value, ahead, shape)
        if here.deviance - centre.deviance > cutoff**2 or value == bound:
            others = [solve_held(problem, held, value, x, shape) for x in without_either(held, centre.free)]
            here = min([here, *others], key=lambda point: point.deviance)
        points.append(here)
        zeta = float(np.sqrt(max(here.deviance - centre.deviance, 0.0)))
        if zeta > cutoff or value == bound:
            break
        slope = max(side * here.slope, 0.0) / (2.0 * zeta) if zeta > 0.0 else 0.0
        wanted = (cutoff / STEPS) / slope if slope > 0.0 else np.inf
        step = min(wanted, 2.0 * abs(here.value - before.value))
    return points


def _reached(value: float, bound: float) -> bool:
    return bool(np.isfinite(bound)) and abs(value - bound) <= 1e-9 * max(1.0, abs(bound))


def _from_outside(fit: MixedFit, held: Held, arm: list[Point], shape: NDArray[np.float64]) -> list[Point]:
    """The same points, each found again from its outer neighbour where that leads lower: the likelihood may have two
    hills (a variance that may be zero or not), and the profile follows the higher one."""
    out = list(arm)
    for i in range(len(arm) - 2, -1, -1):
        there = evaluate_held(fit.problem, held, out[i].value, out[i + 1].free)
        if there.deviance < out[i].deviance - 1e-7:
            other = solve_held(fit.problem, held, out[i].value, out[i + 1].free, shape)
            out[i] = other if other.deviance < out[i].deviance else out[i]
    return out


def _slopes(c: Vector, zeta: Vector, by_deviance: Vector) -> Vector:
    """d zeta / d c = d deviance / d c / (2 zeta); at the estimate, where that is 0 / 0, the slope that makes the second
    derivative continuous (as in a cubic spline), or zero where the estimate is a bound (the deviance is even there)."""
    inside = np.abs(zeta) > 1e-6
    slopes = np.where(inside, by_deviance / np.where(inside, 2.0 * zeta, 1.0), 0.0)
    if len(c) < 2:
        return slopes
    h, secant = np.diff(c), np.diff(zeta) / np.diff(c)
    for i in np.flatnonzero(~inside):
        if i == 0:
            slopes[i] = (3.0 * secant[0] - slopes[1]) / 2.0
        elif i == len(c) - 1:
            slopes[i] = (3.0 * secant[-1] - slopes[-2]) / 2.0
        else:
            known = slopes[i - 1] / h[i - 1] + slopes[i + 1] / h[i]
            slopes[i] = (3.0 * (secant[i - 1] / h[i - 1] + secant[i] / h[i]) - known) / (
                2.0 / h[i - 1] + 2.0 / h[i]
            )
    return slopes
