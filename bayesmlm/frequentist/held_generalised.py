"""Deviance of a generalised mixed model while one of its parameters is held, with its derivatives.

The coefficients of all linear predictors are free coordinates too: beta = value * along + across z on the bases of
their columns. ``along`` is how the others follow the held one where the likelihood is normal, so that z hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..marginal.laplace import approximate
from ..marginal.quadrature import Quadrature
from .generalised_problem import GeneralisedProblem, Memory
from .held import Held, Point, all_coordinates, chart_coordinates

__all__ = ["HeldGeneralised", "held_generalised"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LENGTH = 0.3
"""A length over which relative standard deviations may change."""


@dataclass(frozen=True, eq=False)
class _State:
    """One evaluation: deviance, gradient by the free coordinates, slope by the held value."""

    deviance: float
    gradient: Vector
    slope: float
    coefficients: Vector
    templates: tuple[Matrix, ...]


@dataclass(frozen=True, eq=False)
class HeldGeneralised:
    """A generalised mixed model as a `HeldModel`, with Laplace's approximation or quadrature as its problem has it.

    ``along`` (P,), ``across`` (P, q): see above; without a held coefficient ``along`` is zero and q = P.
    """

    problem: GeneralisedProblem
    held: Held
    along: Vector
    across: Matrix
    start: Vector
    units: Vector
    memory: Memory = field(default_factory=Memory)

    approximate = True

    def evaluate(self, value: float, free: Vector) -> _State:
        """-2 log likelihood and its derivatives. Raises `numpy.linalg.LinAlgError` where it is not defined."""
        problem, held = self.problem, self.held
        entry = value * held.scale if held.kind == "sd" else value
        coordinates = all_coordinates(held, entry, free)
        templates = tuple(c.factor(x) for c, x in zip(held.charts, coordinates, strict=True))
        coefficients = value * self.along + self.across @ free[len(free) - self.across.shape[1] :]
        fixed = problem.rows.population(coefficients) + problem.model.offsets
        last = self.memory.varying
        begin = None if last is None else last + fixed
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = approximate(problem.model, _factors(problem, templates), coefficients, begin=begin)
            quadrature = Quadrature(found, problem.nodes) if problem.nodes > 1 else None
            deviance = found.value if quadrature is None else quadrature.value
            if not np.isfinite(deviance):
                raise np.linalg.LinAlgError("the likelihood is not defined here")
            slopes = found.slopes if quadrature is None else quadrature.slopes
        self.memory.varying = found.mode.eta - fixed
        gradient, by_entry = [], 0.0
        for chart, x, (place, part) in zip(held.charts, coordinates, problem.places, strict=True):
            by = chart.pullback(x, slopes.factors[place][part, part])
            if chart.held is not None:
                by_entry = float(by[chart.held])
            gradient.append(chart.free(by))
        gradient.append(self.across.T @ slopes.coefficients)
        by_value = float(self.along @ slopes.coefficients)
        slope = {"sd": by_entry * held.scale, "cor": by_entry}.get(held.kind, by_value)
        return _State(float(deviance), np.concatenate(gradient), slope, coefficients, templates)

    def point(self, value: float, free: Vector, state: _State) -> Point:
        """With coefficients of the user's columns."""
        beta = self.problem.unrotated(state.coefficients)
        return Point(value, state.deviance, state.slope, free, 1.0, beta, state.templates)


def held_generalised(
    problem: GeneralisedProblem, held: Held, parameters: Vector, metric: Matrix
) -> HeldGeneralised:
    """The model at its optimum ``parameters``, ready to be held elsewhere; ``metric``: see `GeneralisedFit`."""
    m, P = problem.covariance_count, problem.p
    gamma = parameters[m:]
    spread = metric[m:] @ metric[m:].T
    along, across, rest = np.zeros(P), np.eye(P), gamma
    if held.kind == "beta":
        w = problem.rotation[held.column]
        along = spread @ w / float(w @ spread @ w)
        across = np.linalg.qr(w[:, None], mode="complete")[0][:, 1:]
        rest = gamma - float(w @ gamma) * along
    start = np.concatenate([*chart_coordinates(held, problem, parameters[:m]), across.T @ rest])
    lengths = np.sqrt(2.0 * np.einsum("pq,pr,rq->q", across, spread, across))
    units = np.append(np.full(len(start) - len(lengths), LENGTH), lengths)
    return HeldGeneralised(problem, held, along, across, start, units)


def _factors(problem: GeneralisedProblem, templates: Sequence[Matrix]) -> list[Matrix]:
    factors = [np.zeros((f.size, f.size)) for f in problem.plan.factors]
    for T, (place, part) in zip(templates, problem.places, strict=True):
        factors[place][part, part] = T
    return factors
