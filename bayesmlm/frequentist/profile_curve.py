"""The profile of one parameter: points from the estimate outwards, and the curve through them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from .held import HeldModel, Point, shape_of, solve_held, without_either
from .profile_parameters import Parameter

__all__ = ["Curve", "profile_curve"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
End = Literal["flat", "lower"]

STEPS = 8
"""Steps from the estimate to the cutoff."""
LOWER = 1e-4
"""A deviance this much below the optimum's means that the fit had not converged."""
FAR = 5.0
"""Lengths of a parameter from its estimate beyond which its deviance may be found to rise no more ..."""
STALLED = 1e-3, 3
"""... when it rises by less than this in so many steps, each of which is up to twice as long as the one before."""
MOST_STEPS = 150
LEAP = 0.6
"""Share of the cutoff by which zeta may grow in one step; a jump from one hill of the likelihood to another is one of
any height, and is recognised by how short the step has become."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The profile of one parameter: ``coordinates`` increasing (the parameter itself, of an unstructured correlation
    its arc sine, of a constant its link), with ``zeta``, its ``slopes`` and the best fits there.

    ``ends``: sides, -1 or 1, on which the curve was given up: "flat", as the deviance does not rise far enough however
    far the parameter goes, or "lower", as it falls below that of the fit.
    """

    parameter: Parameter
    coordinates: Vector
    zeta: Vector
    slopes: Vector
    points: tuple[Point, ...]
    ends: dict[int, End] = field(default_factory=dict)

    def limits(self, z: float) -> tuple[float, float]:
        """Where zeta is -z and z, next to the estimate; a bound of the parameter where zeta does not get there, and NaN
        for a parameter without bounds."""
        return self._limit(z, -1), self._limit(z, 1)

    def _limit(self, z: float, side: int) -> float:
        from scipy.optimize import brentq

        centre = int(np.argmin(np.abs(self.zeta)))
        places = range(centre, len(self.zeta) if side > 0 else -1, side)
        beyond = next((i for i in places if side * self.zeta[i] >= z), None)
        end = len(self.zeta) - 1 if side > 0 else 0
        if beyond is None:
            bound = self.parameter.upper if side > 0 else self.parameter.lower
            if side in self.ends:
                known = self.ends[side] == "flat" and self.parameter.link
                return self.parameter.value(bound) if known else float("nan")
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


@dataclass(frozen=True, eq=False)
class _Arm:
    """Points on one side of the estimate; ``end``: see `Curve`; ``lowest``: how much the deviance is above that of the
    fit where that is least."""

    points: list[Point]
    end: End | None = None
    lowest: float = 0.0


def profile_curve(
    model: HeldModel, parameter: Parameter, criterion: float, cutoff: float, advice: str
) -> Curve:
    """The points of one parameter, from the estimate, whose deviance is ``criterion``, outwards to both sides.

    ``advice``: what to do if a lower deviance is found, which is warned about.
    """
    at, free = parameter.estimate, model.start
    shape = shape_of(model, at, free)
    state = model.evaluate(at, free)
    centre = replace(model.point(at, free, state), deviance=criterion, slope=0.0)
    below, above = (_march(model, parameter, centre, shape, cutoff, side) for side in (-1, 1))
    arms = [_from_outside(model, arm.points, shape) for arm in (below, above)]
    points = [*reversed(arms[0]), centre, *arms[1]]
    lowest = min(below.lowest, above.lowest, *(p.deviance - centre.deviance for p in points))
    if lowest < -LOWER:
        warnings.warn(
            f"profiling {parameter.name} found a deviance lower by {-lowest:.3g} than the fit's: {advice}",
            BayesmlmWarning,
            stacklevel=2,
        )
    c = np.array([p.value for p in points])
    sides = np.sign(c - centre.value)
    zeta = sides * np.sqrt(np.maximum([p.deviance - centre.deviance for p in points], 0.0))
    slopes = _slopes(c, zeta, np.array([p.slope for p in points]))
    ends: dict[int, End] = {side: arm.end for side, arm in ((-1, below), (1, above)) if arm.end is not None}
    return Curve(parameter, c, zeta, slopes, tuple(points), ends)


def _march(
    model: HeldModel, parameter: Parameter, centre: Point, shape: Matrix, cutoff: float, side: int
) -> _Arm:
    """Points on one side of the estimate, about ``cutoff / STEPS`` of zeta apart, until the cutoff or the bound."""
    bound = parameter.upper if side > 0 else parameter.lower
    if _reached(centre.value, bound):
        return _Arm([])
    step = _first_step(model, parameter, centre, shape, cutoff, side * abs(bound - centre.value))
    points: list[Point] = []
    before, here, stalled = centre, centre, 0
    for _ in range(MOST_STEPS):
        value = here.value + side * step
        if side * (value - bound) >= -0.02 * step:
            value = bound
        if parameter.open and side * (value - bound) > -0.4 * abs(here.value - bound):
            value = bound + 0.4 * (here.value - bound)
        found = _next(model, value, before, here, centre, shape, cutoff, value == bound)
        if found is None:
            step = 0.4 * abs(value - here.value)
            continue
        rise, height = found.deviance - here.deviance, found.deviance - centre.deviance
        if model.approximate and height < -LOWER:
            return _Arm(points, "lower", height)
        before, here = here, found
        points.append(here)
        zeta = float(np.sqrt(max(height, 0.0)))
        if zeta > cutoff or value == bound:
            return _Arm(points)
        away = np.isinf(bound) and abs(here.value - centre.value) > FAR * parameter.scale
        stalled = stalled + 1 if away and rise < STALLED[0] else 0
        if stalled >= STALLED[1]:
            return _Arm(points, "flat")
        slope = max(side * here.slope, 0.0) / (2.0 * zeta) if zeta > 0.0 else 0.0
        wanted = (cutoff / STEPS) / slope if slope > 0.0 else np.inf
        step = min(wanted, 2.0 * abs(here.value - before.value))
    return _Arm(points, "flat" if model.approximate else None)


def _first_step(
    model: HeldModel, parameter: Parameter, centre: Point, shape: Matrix, cutoff: float, room: float
) -> float:
    """Length of the first step, from the rise of the deviance over a short way; ``room``: signed, how far it is to the
    bound."""
    probe = min(parameter.scale * 1e-2, 0.5 * abs(room))
    first = solve_held(model, centre.value + np.sign(room) * probe, centre.free, shape)
    rise = max(first.deviance - centre.deviance, 1e-12)
    return min(max(probe * (cutoff / STEPS) / np.sqrt(rise), 0.1 * probe), 30.0 * parameter.scale)


def _next(
    model: HeldModel,
    value: float,
    before: Point,
    here: Point,
    centre: Point,
    shape: Matrix,
    cutoff: float,
    last: bool,
) -> Point | None:
    """The best fit at ``value``, looked for in line with the last two points; None where that is too far from them:
    the likelihood is not defined there, or zeta leaps."""
    span = here.value - before.value
    ahead = here.free if span == 0.0 else here.free + (here.free - before.free) * (value - here.value) / span
    try:
        found = solve_held(model, value, ahead, shape)
    except np.linalg.LinAlgError:
        return None
    if found.deviance - centre.deviance > cutoff**2 or last:
        others = [solve_held(model, value, x, shape) for x in without_either(model.held, centre.free)]
        found = min([found, *others], key=lambda point: point.deviance)
    root, old = (np.sqrt(max(p.deviance - centre.deviance, 0.0)) for p in (found, here))
    leaps = root - old > LEAP * cutoff and abs(value - here.value) > 1e-3 * (1e-3 + abs(value))
    return None if leaps else found


def _reached(value: float, bound: float) -> bool:
    return bool(np.isfinite(bound)) and abs(value - bound) <= 1e-9 * max(1.0, abs(bound))


def _from_outside(model: HeldModel, arm: list[Point], shape: Matrix) -> list[Point]:
    """The same points, each found again from its outer neighbour where that leads lower: the likelihood may have two
    hills (a variance that may be zero or not), and the profile follows the higher one."""
    out = list(arm)
    for i in range(len(arm) - 2, -1, -1):
        try:
            there = model.evaluate(out[i].value, out[i + 1].free).deviance
        except np.linalg.LinAlgError:
            continue
        if there < out[i].deviance - 1e-7:
            other = solve_held(model, out[i].value, out[i + 1].free, shape)
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
