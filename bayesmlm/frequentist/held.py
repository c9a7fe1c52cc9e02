"""The best fit of a linear mixed model while one of its parameters is held at a value.

What is held are parameters as users read them: a standard deviation, a correlation, sigma, a coefficient. The
criterion lives on the relative Cholesky factors, so the effects of the term are reordered until the held one comes
first: then a standard deviation is one entry of the factor, and a correlation the angle of its second row. Everything
else stays free within simple bounds, up to and including the boundary of the space, and derivatives are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance, Unstructured
from ..marginal.evaluate import Factorisation, factorise
from .problem import Problem

__all__ = [
    "Held",
    "Point",
    "evaluate_held",
    "held_correlation",
    "held_deviation",
    "shape_of",
    "solve_held",
    "start_free",
    "without_either",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

OFF_BOUNDARY = 0.03
"""Where a relative standard deviation of zero starts: at zero the criterion has no slope that would lead away."""


FLAT = 1.0
"""Least curvature a search reckons with: relative standard deviations are not moved by more than about one at once."""

TOO_FAR = 1e6
"""How much worse the deviance is said to be where it cannot be computed."""


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

    ``free``: the coordinates found; ``templates``: relative factors by term on the scaled columns.
    """

    value: float
    deviance: float
    slope: float
    free: Vector
    sigma: float
    beta: Vector
    templates: tuple[Matrix, ...]


def plain(problem: Problem) -> tuple[Chart, ...]:
    """Charts that are the terms' own parameters."""
    return tuple(Chart(c, tuple(range(c.size))) for c in problem.covariances)


def held_deviation(problem: Problem, term: int, place: int) -> Held:
    """Hold standard deviation ``place`` of a term (of a homogeneous structure: its only one)."""
    covariance = problem.covariances[term]
    order = tuple(range(covariance.size))
    held = place
    if isinstance(covariance, Unstructured):
        order, held = (place, *(i for i in order if i != place)), 0
    charts = list(plain(problem))
    charts[term] = Chart(covariance, order, held)
    return Held("sd", tuple(charts), term, float(problem.scales[term][place]))


def held_correlation(problem: Problem, term: int, first: int = 0, second: int = 1) -> Held:
    """Hold the correlation of two effects, as the arc sine of it; of a structure with one correlation that itself."""
    covariance = problem.covariances[term]
    charts = list(plain(problem))
    if isinstance(covariance, Unstructured):
        order = (first, second, *(i for i in range(covariance.size) if i not in (first, second)))
        charts[term] = Chart(covariance, order, covariance.size, polar=True)
    else:
        charts[term] = Chart(covariance, tuple(range(covariance.size)), len(covariance.start) - 1)
    return Held("cor", tuple(charts), term)


@dataclass(frozen=True, eq=False)
class _State:
    """One evaluation: deviance, gradient by the free coordinates, slope by the held value."""

    deviance: float
    gradient: Vector
    slope: float
    sigma: float
    basis_coefficients: Vector
    templates: tuple[Matrix, ...]

    def point(self, problem: Problem, value: float, free: Vector) -> Point:
        """With coefficients of the user's columns."""
        total = problem.statistics.projection + self.basis_coefficients
        beta = np.linalg.solve(problem.rows.basis.R, total)
        return Point(value, self.deviance, self.slope, free, self.sigma, beta, self.templates)


def start_free(problem: Problem, held: Held, parameters: Vector, sigma: float) -> Vector:
    """Free coordinates of a fit: those of the terms without the held one, then log sigma where that is free."""
    parts = zip(held.charts, problem.slices, strict=True)
    found = [chart.free(chart.coordinates(parameters[at])) for chart, at in parts]
    return np.concatenate([*found, [np.log(sigma)] if held.kind == "sd" else []])


def free_bounds(held: Held) -> tuple[Vector, Vector]:
    """Bounds of the free coordinates."""
    bounds = [chart.bounds for chart in held.charts]
    more = [np.inf] if held.kind == "sd" else []
    return (
        np.concatenate([*(lower for lower, _ in bounds), [-x for x in more]]),
        np.concatenate([*(upper for _, upper in bounds), more]),
    )


def away_from_zero(held: Held, free: Vector) -> Vector:
    """``free`` with standard deviations that are (almost) zero made small ones: at zero the deviance has no slope."""
    log_sigma = np.zeros(int(held.kind == "sd"), dtype=bool)
    may = np.concatenate([*(chart.may_vanish for chart in held.charts), log_sigma])
    vanished = may & (np.abs(free) < OFF_BOUNDARY)
    return np.where(vanished, OFF_BOUNDARY, free)


def evaluate_held(problem: Problem, held: Held, value: float, free: Vector) -> _State:
    """Deviance (maximum likelihood) at ``value`` and ``free``, with its derivatives.

    A held coefficient changes only what is left of the response: with A = Q'V^-1Q the constrained coefficients of the
    basis are g + A^-1 w (t - w'g) / w'A^-1w, and the derivative of the minimum is that of the sum of squares there.
    """
    sigma = float(np.exp(free[-1])) if held.kind == "sd" else value
    entry = value * held.scale / sigma if held.kind == "sd" else value
    coordinates = _all_coordinates(held, entry, free)
    templates = tuple(c.factor(x) for c, x in zip(held.charts, coordinates, strict=True))
    f = _factorise(problem, templates)
    gamma, squares, by_value = _coefficients(problem, f, held, value)
    n = problem.n
    if held.kind in ("cor", "beta"):
        sigma = float(np.sqrt(squares / n))
    weight = 1.0 / sigma**2
    deviance = f.log_det_M + n * np.log(2.0 * np.pi * sigma**2) + squares * weight - problem.log_weights
    vector = np.append(-gamma, 1.0)
    by_factor = f.adjoint(1.0, weight * np.outer(vector, vector)).factors
    by_log_sigma = 2.0 * n - 2.0 * squares * weight
    gradient, by_entry = [], 0.0
    for chart, x, (place, part) in zip(held.charts, coordinates, problem.places, strict=True):
        by = chart.pullback(x, by_factor[place][part, part])
        if chart.held is not None:
            by_entry = float(by[chart.held])
        gradient.append(chart.free(by))
    match held.kind:
        case "sd":
            gradient.append(np.array([by_log_sigma - by_entry * entry]))
            slope = by_entry * held.scale / sigma
        case "cor":
            slope = by_entry
        case "sigma":
            slope = by_log_sigma / sigma
        case _:
            slope = weight * by_value
    return _State(float(deviance), np.concatenate(gradient), float(slope), sigma, gamma, templates)


def _all_coordinates(held: Held, entry: float, free: Vector) -> list[Vector]:
    """Coordinates by term, the held one among them."""
    out, at = [], 0
    for chart in held.charts:
        size = len(chart.covariance.start) - (chart.held is not None)
        own = free[at : at + size]
        out.append(own if chart.held is None else np.insert(own, chart.held, entry))
        at += size
    return out


def _factorise(problem: Problem, templates: Sequence[Matrix]) -> Factorisation:
    factors = [np.zeros((f.size, f.size)) for f in problem.rows.plan.factors]
    for T, (place, part) in zip(templates, problem.places, strict=True):
        factors[place][part, part] = T
    return factorise(problem.statistics, factors)


def _coefficients(
    problem: Problem, f: Factorisation, held: Held, value: float
) -> tuple[Vector, float, float]:
    """Coefficients of the basis, sum of squares, and its derivative by a held coefficient."""
    if held.kind != "beta":
        return f.coefficients, f.pwrss, 0.0
    unit = np.zeros(problem.p)
    unit[held.column] = 1.0
    w = np.linalg.solve(problem.rows.basis.R.T, unit)
    lifted = f.basis_vcov @ w
    variance = float(w @ lifted)
    missing = value - float(w @ (problem.statistics.projection + f.coefficients))
    gamma = f.coefficients + lifted * (missing / variance)
    return gamma, f.pwrss + missing**2 / variance, 2.0 * missing / variance


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


def solve_held(problem: Problem, held: Held, value: float, start: Vector, shape: Matrix) -> Point:
    """The minimum over the free coordinates, from ``start``; ``shape``: see `shape_of`."""
    from scipy.optimize import minimize

    lower, upper = free_bounds(held)
    begin = away_from_zero(held, np.clip(start, lower, upper))
    best: tuple[_State, Vector] | None = None

    def objective(z: Vector) -> tuple[float, Vector]:
        nonlocal best
        free = np.clip(begin + shape @ z, lower, upper)
        try:
            state = evaluate_held(problem, held, value, free)
        except (
            np.linalg.LinAlgError
        ):  # a search step to variances that drown everything else: to be taken back
            assert best is not None
            return best[0].deviance + TOO_FAR, np.zeros(len(z))
        if best is None or state.deviance < best[0].deviance:
            best = state, free
        return state.deviance, shape.T @ state.gradient

    bounds = None
    if _bounded(held):
        length = np.diag(shape)
        bounds = list(zip((lower - begin) / length, (upper - begin) / length, strict=True))
    minimize(
        objective,
        np.zeros(len(begin)),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-6, "maxcor": 20},
    )
    assert best is not None
    state, free = best
    return state.point(problem, value, free)


def _bounded(held: Held) -> bool:
    return bool(np.isfinite(np.concatenate(free_bounds(held))).any())


def shape_of(problem: Problem, held: Held, value: float, free: Vector) -> Matrix:
    """(d, d): directions and lengths in which the deviance rises by about one, to search along: the inverse root of
    half its second derivatives (differences of exact gradients); diagonal where the coordinates have bounds."""
    lower, upper = free_bounds(held)
    here, step = away_from_zero(held, np.clip(free, lower, upper)), 1e-5
    H = np.empty((len(free), len(free)))
    for k in range(len(free)):
        ahead, behind = here.copy(), here.copy()
        ahead[k], behind[k] = min(here[k] + step, upper[k]), max(here[k] - step, lower[k])
        after = evaluate_held(problem, held, value, ahead).gradient
        H[k] = (after - evaluate_held(problem, held, value, behind).gradient) / (ahead[k] - behind[k])
    if _bounded(held):
        return np.diag(1.0 / np.sqrt(np.maximum(0.5 * np.abs(np.diag(H)), FLAT)))
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    return vectors / np.sqrt(np.maximum(0.5 * np.abs(values), FLAT))
