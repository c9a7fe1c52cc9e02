"""Where the search for a generalised mixed model's parameters begins, and the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance
from .generalised_problem import GeneralisedEvaluation, GeneralisedProblem
from .lmer import is_singular
from .optimise import Optimum, search

__all__ = ["optimise_generalised"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EM_STEPS = 2
"""Steps of the EM algorithm before the search."""
STEEP = 1e-2
"""A derivative, in units of the metric, that is larger shows that a search has not ended at an optimum."""
RESTARTS = (0.1, 0.01, 3.0)
"""What the covariance parameters are multiplied by for a search from elsewhere."""
GAIN = 1e-6
"""By how much a search from elsewhere has to end lower to be preferred."""
ENOUGH = 1e-9
"""How much of the criterion may be left to gain at its end."""


def optimise_generalised(
    problem: GeneralisedProblem,
    start: Mapping[str, Vector] | None = None,
    max_evaluations: int = 1000,
    verbose: int = 0,
) -> tuple[Optimum, Matrix]:
    """Minimise -2 log likelihood; also the metric of the search, directions in which it has about unit curvature.

    ``start``: "theta", covariance parameters on the scaled columns, and "fixef", coefficients on the bases; what is not
    given is found.
    """
    begin, metric = _begin(problem)
    m = problem.covariance_count
    if start is not None:
        begin[:m] = np.clip(start.get("theta", begin[:m]), *problem.bounds)
        if problem.nodes:
            begin[m:] = start.get("fixef", begin[m:])

    def searched(begin: Vector) -> Optimum:
        return search(Bounded(problem), begin, metric, max_evaluations, verbose, enough=ENOUGH)

    best = searched(begin)
    lost, singular = not _settled(best, metric), is_singular(problem, best.parameters[:m])
    for size in RESTARTS if lost else RESTARTS[:1] if singular else ():
        # A variance of zero may be one local optimum of several.
        problem.memory.varying = None
        other = searched(np.append(size * begin[:m], begin[m:]))
        if _settled(other, metric) and (
            lost or other.evaluation.criterion < best.evaluation.criterion - GAIN
        ):
            best = other
            break
    return best, metric


def _settled(found: Optimum, metric: Matrix) -> bool:
    """Whether the gradient is small where a search ended, and M what it should be there.

    A density with several modes has places at which one of them vanishes: M is singular, and the approximation of the
    likelihood has no bound near them.
    """
    return (
        found.evaluation.mode.definite and float(np.abs(metric.T @ found.gradient).max(initial=0.0)) < STEEP
    )


@dataclass(frozen=True, eq=False)
class Bounded:
    """The problem as something to be searched: coefficients have no bounds."""

    problem: GeneralisedProblem

    @property
    def _count(self) -> int:
        return 0 if self.problem.nodes == 0 else self.problem.p

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Of the covariance parameters; none of coefficients."""
        return self._with_coefficients(self.problem.bounds)

    @property
    def search_bounds(self) -> tuple[Vector, Vector]:
        """See `CovarianceParameters.search_bounds`."""
        return self._with_coefficients(self.problem.search_bounds)

    def _with_coefficients(self, bounds: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        none = np.full(self._count, np.inf)
        return np.append(bounds[0], -none), np.append(bounds[1], none)

    def normalise(self, parameters: Vector) -> Vector:
        """See `CovarianceParameters.normalise`."""
        m = self.problem.covariance_count
        return np.append(self.problem.normalise(parameters[:m]), parameters[m:])

    def inside(self, parameters: Vector) -> Vector:
        """See `CovarianceParameters.inside`."""
        m = self.problem.covariance_count
        return np.append(self.problem.inside(parameters[:m]), parameters[m:])

    def without_zero_columns(self, parameters: Vector) -> Vector:
        """See `CovarianceParameters.without_zero_columns`."""
        m = self.problem.covariance_count
        return np.append(self.problem.without_zero_columns(parameters[:m]), parameters[m:])

    def evaluate(self, parameters: Vector, reml: bool) -> GeneralisedEvaluation:
        """The approximation there."""
        return self.problem.evaluate(parameters)


def _begin(problem: GeneralisedProblem) -> tuple[Vector, Matrix]:
    """Parameters to begin from, and the directions and lengths of first steps (see `optimise._Objective`).

    With one linear predictor the coefficients are found with the effects; with several, shapes and zero inflation
    would be taken to be what is left of a model whose effects explain too much, so they are first found without any.
    """
    joint = problem.with_nodes(0)
    m = problem.covariance_count
    parameters, strides = _unit_information(problem), np.full(m, 0.1)
    if len(problem.triangles) == 1:
        for _ in range(EM_STEPS):
            evaluation = joint.evaluate(parameters)
            parameters, strides = evaluation.em_step()
        coefficients = evaluation.mode.coefficients
    else:
        coefficients = joint.evaluate(np.zeros(m)).mode.coefficients
        given = problem.with_nodes(1)
        for _ in range(EM_STEPS):
            evaluation = given.evaluate(np.append(parameters, coefficients))
            parameters, strides = evaluation.em_step()
    covariance_step = problem.whitening * strides
    if problem.nodes == 0:
        problem.memory.varying = joint.memory.varying
        return parameters, covariance_step
    problem.memory.varying = evaluation.mode.eta - problem.model.offsets
    problem.memory.varying = problem.memory.varying - problem.rows.population(evaluation.mode.coefficients)
    information = evaluation.coefficient_information
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(np.abs(values), 1e-6 * max(float(np.abs(values).max(initial=0.0)), 1e-300))
    step = np.zeros((m + problem.p, m + problem.p))
    step[:m, :m] = covariance_step
    step[m:, m:] = np.linalg.cholesky((vectors / values) @ vectors.T / 2.0)
    return np.append(parameters, coefficients), step


def _unit_information(problem: GeneralisedProblem) -> Vector:
    """Standard deviations with which the effects of a typical level have ten times as much information as their
    prior; at most 1 for links that make effects of that size large."""
    local = problem.kernel.local(problem.kernel.start())
    parts: list[Vector] = []
    for c, at, (f, part) in zip(problem.covariances, problem.slices, problem.places, strict=True):
        factor = problem.plan.factors[f]
        feeds = problem.rows.feeds[f][part.start]
        information = float(np.abs(local.expected[feeds, feeds]).sum()) / factor.levels
        size = min(1.0, np.sqrt(10.0 / information)) if information > 0 else 1.0
        if problem.kernel.links[feeds] in ("identity", "inverse", "1/mu^2", "sqrt"):
            size = np.sqrt(10.0 / information) if information > 0 else 1.0
        parts.append(_sized(c, problem.start[at], size))
    return np.concatenate(parts)


def _sized(covariance: Covariance, start: Vector, size: float) -> Vector:
    return covariance.rescale(start, np.full(covariance.size, size))
