"""Deviance of a linear mixed model while one of its parameters is held, with its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..marginal.evaluate import Factorisation, factorise
from .held import Held, Point, all_coordinates, chart_coordinates
from .problem import Problem

__all__ = ["HeldLinear", "evaluate_held", "start_free"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


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
    found = chart_coordinates(held, problem, parameters)
    return np.concatenate([*found, [np.log(sigma)] if held.kind == "sd" else []])


@dataclass(frozen=True, eq=False)
class HeldLinear:
    """A linear mixed model as a `HeldModel`. ``start``: free coordinates of its maximum likelihood fit."""

    problem: Problem
    held: Held
    start: Vector

    approximate = False

    @property
    def units(self) -> Vector:
        """Relative standard deviations and log sigma are in units of their own."""
        return np.ones(len(self.start))

    def evaluate(self, value: float, free: Vector) -> _State:
        """See `evaluate_held`."""
        return evaluate_held(self.problem, self.held, value, free)

    def point(self, value: float, free: Vector, state: _State) -> Point:
        """With coefficients of the user's columns."""
        return state.point(self.problem, value, free)


def evaluate_held(problem: Problem, held: Held, value: float, free: Vector) -> _State:
    """Deviance (maximum likelihood) at ``value`` and ``free``, with its derivatives.

    A held coefficient changes only what is left of the response: with A = Q'V^-1Q the constrained coefficients of the
    basis are g + A^-1 w (t - w'g) / w'A^-1w, and the derivative of the minimum is that of the sum of squares there.
    """
    sigma = float(np.exp(free[-1])) if held.kind == "sd" else value
    entry = value * held.scale / sigma if held.kind == "sd" else value
    coordinates = all_coordinates(held, entry, free)
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
