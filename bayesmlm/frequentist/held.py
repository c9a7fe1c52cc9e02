"""The best fit of a mixed model while one of its parameters is held at a value.

What is held are parameters as users read them: a standard deviation, a correlation, sigma, a coefficient. The
criterion lives on the relative Cholesky factors, so the effects of the term are reordered until the held one comes
first: then a standard deviation is one entry of the factor, and a correlation the angle of its second row. Everything
else stays free within simple bounds, up to and including the boundary of the space, and derivatives are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance, Unstructured
from .covariance_parameters import CovarianceParameters

__all__ = [
    "Chart",
    "Held",
    "HeldModel",
    "HeldState",
    "Point",
    "all_coordinates",
    "chart_coordinates",
    "held_correlation",
    "held_deviation",
    "plain",
    "shape_of",
    "solve_held",
    "without_either",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

OFF_BOUNDARY = 0.03
"""Where a relative standard deviation of zero starts: at zero the criterion has no slope that would lead away."""


FLAT = 1.0
"""Least curvature a search reckons with, in the units of its coordinates: relative standard deviations are not moved
by more than about one at once."""

TOO_FAR = 1e6
"""How much worse the deviance is said to be where it cannot be computed."""

LONG = 1e4
"""Unit of length for searches by BFGS, see `optimise.LONG`."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Coordinates of one term's relative factor, one of which (``held``) may be set from outside.

    ``order``: the effects as the coordinates count them; ``polar``: whether entry (1, 1) of the reordered factor is
    written s^2, and (2, 1) and (2, 2) r^2 sin(a), r^2 cos(a), so that the coordinate a is the arc sine of the first
    correlation, and s and r are any numbers.
    """

    covariance: Covariance
    order: tuple[int, ...]
    held: int | None = None
    polar: bool = False

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Between which the free coordinates are searched: across zero where a sign makes no difference."""
        lower = np.where(self.covariance.unsigned, -np.inf, self.covariance.lower)
        return self.free(lower), self.free(self.covariance.upper)

    @property
    def may_vanish(self) -> NDArray[np.bool_]:
        """Which free coordinates are standard deviations, or those given other effects."""
        zero = self.covariance.lower == 0.0
        if self.polar:
            zero[1] = True
        return self.free(zero)

    def free(self, values: Any) -> Any:
        """``values`` of the coordinates without that of the held one."""
        return values if self.held is None else np.delete(values, self.held)

    def _entries(self, coordinates: Vector) -> Vector:
        if not self.polar:
            return coordinates
        entries, k = coordinates.copy(), len(self.order)
        entries[0] = coordinates[0] ** 2
        entries[1] = coordinates[1] ** 2 * np.sin(coordinates[k])
        entries[k] = coordinates[1] ** 2 * np.cos(coordinates[k])
        return entries

    def factor(self, coordinates: Vector) -> Matrix:
        """(k, k) with T T' the relative covariance, effects in the model's order."""
        T = np.empty((len(self.order), len(self.order)))
        T[list(self.order)] = self.covariance.factor(self._entries(coordinates))
        return T

    def pullback(self, coordinates: Vector, gradient: Matrix) -> Vector:
        """The gradient by `factor` as one by the coordinates."""
        by = self.covariance.pullback(self._entries(coordinates), gradient[list(self.order)])
        if self.polar:
            k = len(self.order)
            r, sine, cosine = coordinates[1], np.sin(coordinates[k]), np.cos(coordinates[k])
            by = by.copy()
            by[0] *= 2.0 * coordinates[0]
            by[1], by[k] = 2.0 * r * (by[1] * sine + by[k] * cosine), r**2 * (by[1] * cosine - by[k] * sine)
        return by

    def coordinates(self, parameters: Vector) -> Vector:
        """The coordinates of a term's parameters (of the model's own order)."""
        if not isinstance(self.covariance, Unstructured):
            return parameters.copy()
        R = np.linalg.qr(self.covariance.factor(parameters)[list(self.order)].T, mode="r")
        L = (R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None]).T
        column, row = np.triu_indices(self.covariance.size)
        out = L[row, column]
        if self.polar:
            k = len(self.order)
            out[0] = np.sqrt(L[0, 0])
            out[1], out[k] = np.sqrt(np.hypot(L[1, 0], L[1, 1])), np.arctan2(L[1, 0], L[1, 1])
        return out


@dataclass(frozen=True, eq=False)
class Held:
    """Which parameter is held. ``kind`` "sd" (its coordinate is the value over sigma, times the scale of the column),
    "cor" (the coordinate itself), "sigma" or "beta" (coefficient ``column``)."""

    kind: Literal["sd", "cor", "sigma", "beta"]
    charts: tuple[Chart, ...]
    term: int = -1
    scale: float = 1.0
    column: int = -1


@dataclass(frozen=True, eq=False)
class Point:
    """The best fit at one held value: deviance, its ``slope`` by the held value, and everything else there.

    ``free``: the coordinates found; ``sigma``: residual standard deviation (1 of a generalised model); ``beta``: all
    coefficients, of the user's columns; ``templates``: relative factors by term on the scaled columns.
    """

    value: float
    deviance: float
    slope: float
    free: Vector
    sigma: float
    beta: Vector
    templates: tuple[Matrix, ...]


def plain(problem: CovarianceParameters) -> tuple[Chart, ...]:
    """Charts that are the terms' own parameters."""
    return tuple(Chart(c, tuple(range(c.size))) for c in problem.covariances)


def held_deviation(problem: CovarianceParameters, term: int, place: int) -> Held:
    """Hold standard deviation ``place`` of a term (of a homogeneous structure: its only one)."""
    covariance = problem.covariances[term]
    order = tuple(range(covariance.size))
    held = place
    if isinstance(covariance, Unstructured):
        order, held = (place, *(i for i in order if i != place)), 0
    charts = list(plain(problem))
    charts[term] = Chart(covariance, order, held)
    return Held("sd", tuple(charts), term, float(problem.scales[term][place]))


def held_correlation(problem: CovarianceParameters, term: int, first: int = 0, second: int = 1) -> Held:
    """Hold the correlation of two effects, as the arc sine of it; of a structure with one correlation that itself."""
    covariance = problem.covariances[term]
    charts = list(plain(problem))
    if isinstance(covariance, Unstructured):
        order = (first, second, *(i for i in range(covariance.size) if i not in (first, second)))
        charts[term] = Chart(covariance, order, covariance.size, polar=True)
    else:
        charts[term] = Chart(covariance, tuple(range(covariance.size)), len(covariance.start) - 1)
    return Held("cor", tuple(charts), term)


class HeldState(Protocol):
    """A model at a held value and free coordinates."""

    @property
    def deviance(self) -> float:
        """-2 log likelihood."""

    @property
    def gradient(self) -> Vector:
        """Its derivatives by the free coordinates."""

    @property
    def slope(self) -> float:
        """Its derivative by the held value."""


class HeldModel(Protocol):
    """A model one parameter of which is ``held``.

    Its free coordinates are those of the charts without the held one, then others that have no bounds. ``units``: for
    each a length over which it may change; ``approximate``: the likelihood is an approximation, dear to compute, that
    may break down far from the fit.
    """

    @property
    def held(self) -> Held:
        """What is held."""

    @property
    def units(self) -> Vector:
        """(d,) lengths."""

    @property
    def approximate(self) -> bool:
        """See above; it is searched by BFGS from ``shape``, else by L-BFGS-B."""

    @property
    def start(self) -> Vector:
        """(d,) free coordinates of the fit."""

    def evaluate(self, value: float, free: Vector) -> Any:
        """The `HeldState` at ``value``; `numpy.linalg.LinAlgError` where it cannot be computed."""

    def point(self, value: float, free: Vector, state: Any) -> Point:
        """What is kept of an evaluation."""


def chart_coordinates(held: Held, problem: CovarianceParameters, parameters: Vector) -> list[Vector]:
    """For each term the free coordinates of its parameters."""
    parts = zip(held.charts, problem.slices, strict=True)
    return [chart.free(chart.coordinates(parameters[at])) for chart, at in parts]


def free_bounds(model: HeldModel) -> tuple[Vector, Vector]:
    """Bounds of the free coordinates."""
    bounds = [chart.bounds for chart in model.held.charts]
    lower, upper = (np.concatenate(side) for side in zip(*bounds, strict=True))
    more = np.full(len(model.units) - len(lower), np.inf)
    return np.append(lower, -more), np.append(upper, more)


def away_from_zero(model: HeldModel, free: Vector) -> Vector:
    """``free`` with standard deviations that are (almost) zero made small ones: at zero the deviance has no slope."""
    may = np.concatenate([chart.may_vanish for chart in model.held.charts])
    may = np.append(may, np.zeros(len(free) - len(may), dtype=bool))
    vanished = may & (np.abs(free) < OFF_BOUNDARY)
    return np.where(vanished, OFF_BOUNDARY, free)


def all_coordinates(held: Held, entry: float, free: Vector) -> list[Vector]:
    """Coordinates by term, the held one, ``entry``, among them."""
    out, at = [], 0
    for chart in held.charts:
        size = len(chart.covariance.start) - (chart.held is not None)
        own = free[at : at + size]
        out.append(own if chart.held is None else np.insert(own, chart.held, entry))
        at += size
    return out


def without_either(held: Held, free: Vector) -> list[Vector]:
    """Of a held unstructured correlation, coordinates near those of a model in which one of the two effects has no
    variance: there the correlation makes no difference, so that hill reaches over all of its values."""
    if held.kind != "cor" or not held.charts[held.term].polar:
        return []
    at = sum(len(chart.covariance.start) for chart in held.charts[: held.term])
    out = []
    for place in (at, at + 1):
        moved = free.copy()
        moved[place] = 0.0
        out.append(moved)
    return out


def solve_held(model: HeldModel, value: float, start: Vector, shape: Matrix) -> Point:
    """The minimum over the free coordinates, from ``start``; ``shape``: see `shape_of`."""
    lower, upper = free_bounds(model)
    begin = away_from_zero(model, np.clip(start, lower, upper))
    best: tuple[HeldState, Vector] | None = None

    def objective(z: Vector) -> tuple[float, Vector]:
        nonlocal best
        free = np.clip(begin + shape @ z, lower, upper)
        try:
            state = model.evaluate(value, free)
            defined = bool(np.isfinite(state.deviance))
        except np.linalg.LinAlgError:
            defined = False
        if not defined:  # a search step to variances that drown everything else: to be taken back
            if best is None:
                raise np.linalg.LinAlgError("the likelihood is not defined where the search begins")
            return best[0].deviance + TOO_FAR, np.zeros(len(z))
        if best is None or state.deviance < best[0].deviance:
            best = state, free
        return state.deviance, shape.T @ state.gradient

    if model.approximate and not _bounded(model):
        _by_bfgs(objective, len(begin))
    else:
        bounds = None
        if _bounded(model):
            length = np.diag(shape)
            bounds = list(zip((lower - begin) / length, (upper - begin) / length, strict=True))
        _by_l_bfgs_b(objective, len(begin), bounds)
    assert best is not None
    state, free = best
    return model.point(value, free, state)


def _by_l_bfgs_b(objective: Any, size: int, bounds: Any) -> None:
    from scipy.optimize import minimize

    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-6, "maxcor": 20}
    minimize(  # type: ignore[call-overload]
        objective, np.zeros(size), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )


def _by_bfgs(objective: Any, size: int) -> None:
    """From second derivatives of 2 in every direction, which is what `shape_of` makes them, until the deviance is
    within about 1e-8 of its minimum."""
    from scipy.optimize import minimize

    def far(z: Vector) -> tuple[float, Vector]:
        value, gradient = objective(LONG * z)
        return value, LONG * gradient

    options: dict[str, Any] = {
        "maxiter": 200,
        "gtol": LONG * 1e-4,
        "hess_inv0": np.eye(size) / (2.0 * LONG**2),
    }
    minimize(far, np.zeros(size), jac=True, method="BFGS", options=options)  # type: ignore[call-overload]


def _bounded(model: HeldModel) -> bool:
    return bool(np.isfinite(np.concatenate(free_bounds(model))).any())


def shape_of(model: HeldModel, value: float, free: Vector) -> Matrix:
    """(d, d): directions and lengths in which the deviance rises by about one, to search along: the inverse root of
    half its second derivatives (differences of exact gradients); diagonal where the coordinates have bounds."""
    lower, upper = free_bounds(model)
    here, units = away_from_zero(model, np.clip(free, lower, upper)), model.units
    H = np.empty((len(free), len(free)))
    for k, unit in enumerate(units):
        ahead, behind, step = here.copy(), here.copy(), 1e-5 * unit
        ahead[k], behind[k] = min(here[k] + step, upper[k]), max(here[k] - step, lower[k])
        change = model.evaluate(value, ahead).gradient - model.evaluate(value, behind).gradient
        H[k] = change * units * unit / (ahead[k] - behind[k])
    if _bounded(model):
        return np.diag(units / np.sqrt(np.maximum(0.5 * np.abs(np.diag(H)), FLAT)))
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    return units[:, None] * vectors / np.sqrt(np.maximum(0.5 * np.abs(values), FLAT))
