"""The profiled criterion of a linear mixed model as a function of its covariance parameters.

Bates, Maechler, Bolker and Walker (2015, JSS 67(1), sec. 3): beta and sigma are profiled out, what is left are the
relative covariance parameters. They are moved on the scale of the scaled group columns, so that a model whose
columns differ by many orders of magnitude is as easy as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance
from ..errors import DataError
from ..marginal.evaluate import Factorisation, factorise
from ..marginal.plan import Plan
from ..marginal.statistics import Rows, Statistics, collect, prepare_rows, with_response
from .covariance_parameters import CovarianceParameters, solved_by_term
from .design import MixedDesign

__all__ = ["Evaluation", "Problem", "make_problem"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

ROUNDING = 1e-13
"""Residuals that are smaller, relative to the largest response, are rounding errors."""


@dataclass(frozen=True, eq=False)
class Problem(CovarianceParameters):
    """The data of a linear mixed model as statistics. ``log_weights``: sum of log prior weights."""

    covariances: tuple[Covariance, ...]
    rows: Rows
    statistics: Statistics
    n: int
    log_weights: float
    y: Vector

    @property
    def p(self) -> int:
        """Number of population coefficients."""
        return self.statistics.columns

    @property
    def plan(self) -> Plan:
        """The grouping factors, in order of elimination."""
        return self.rows.plan

    @property
    def factor_scales(self) -> tuple[Vector, ...]:
        """For each factor of the plan (k,) what its columns were divided by."""
        return self.rows.scales

    @cached_property
    def mean_products(self) -> list[Matrix]:
        """For each term (k, k): Z'WZ of its scaled columns, summed over levels and divided by n."""
        plan, statistics = self.rows.plan, self.statistics
        means = [own.sum(axis=2) / self.n for own in statistics.own]
        for factor, start in zip(plan.trailing, plan.starts, strict=True):
            at = start + np.arange(factor.levels)[:, None] * factor.size + np.arange(factor.size)
            means.append(statistics.dense[at[:, :, None], at[:, None, :]].sum(axis=0) / self.n)
        return [means[f][part, part] for f, part in self.places]

    def factorise(self, parameters: Vector) -> Factorisation:
        """The marginal likelihood's parts at ``parameters``."""
        return factorise(self.statistics, self.factors(parameters))

    def evaluate(self, parameters: Vector, reml: bool) -> Evaluation:
        """Criterion and what follows from it at ``parameters``."""
        return Evaluation(self, parameters, reml, self.factorise(parameters))

    def with_response(self, y: Vector) -> Problem:
        """The same model of another response (n,), from which the offset has been taken."""
        return replace(self, statistics=with_response(self.statistics, self.rows, y), y=y)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A linear mixed model at given covariance parameters, with beta and sigma at their best."""

    problem: Problem
    parameters: Vector
    reml: bool
    factorisation: Factorisation

    @property
    def degrees(self) -> int:
        """What the residual sum of squares is divided by: n, or n - p for REML."""
        return self.problem.n - self.problem.p * self.reml

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(np.sqrt(self.factorisation.pwrss / self.degrees))

    @property
    def log_det_X(self) -> float:  # noqa: N802
        """log|R_X|: half of log|X'V^-1X|."""
        return self.factorisation.log_det_basis + self.problem.rows.basis.log_det

    @property
    def criterion(self) -> float:
        """-2 log of the profiled (restricted) likelihood."""
        f, m = self.factorisation, self.degrees
        value = f.log_det_M + m * (1.0 + np.log(2.0 * np.pi * f.pwrss / m)) - self.problem.log_weights
        return float(value + (2.0 * self.log_det_X if self.reml else 0.0))

    def deviance(self, sigma: float) -> float:
        """-2 log (restricted) likelihood at another residual standard deviation, beta profiled out."""
        f, m = self.factorisation, self.degrees
        value = (
            f.log_det_M + m * np.log(2.0 * np.pi * sigma**2) + f.pwrss / sigma**2 - self.problem.log_weights
        )
        return float(value + (2.0 * self.log_det_X if self.reml else 0.0))

    @property
    def beta(self) -> Vector:
        """(p,) population coefficients."""
        total = self.problem.statistics.projection + self.factorisation.coefficients
        return np.linalg.solve(self.problem.rows.basis.R, total)

    @property
    def vcov_unscaled(self) -> Matrix:
        """(p, p): (X'V^-1X)^-1 with V in units of sigma^2."""
        inverse = np.linalg.inv(self.problem.rows.basis.R)
        return inverse @ self.factorisation.basis_vcov @ inverse.T

    def gradient(self, sigma: float | None = None) -> Vector:
        """Derivatives by the parameters: of `criterion`, or of `deviance` at ``sigma``."""
        f, p = self.factorisation, self.problem.p
        weight = self.degrees / f.pwrss if sigma is None else 1.0 / sigma**2
        vector = np.append(-f.coefficients, 1.0)
        by_rest = weight * np.outer(vector, vector)
        if self.reml:
            by_rest[:p, :p] += f.basis_vcov
        return self.pullback(f.adjoint(1.0, by_rest).factors)

    def pullback(self, by_factor: Sequence[Matrix]) -> Vector:
        """Derivatives by the relative factors as derivatives by the parameters."""
        return self.problem.pullback(self.parameters, by_factor)

    def em_step(self) -> tuple[Vector, Vector]:
        """See `CovarianceParameters.em_step`."""
        f = self.factorisation
        return self.problem.em_step([b / self.sigma for b in f.effects()], f.conditional_blocks())

    def effects(self) -> list[Matrix]:
        """For each term (J, k): conditional means of the effects."""
        found = self.factorisation.effects()
        problem = self.problem
        return [
            (found[f][part] / scale[:, None]).T
            for (f, part), scale in zip(problem.places, problem.scales, strict=True)
        ]

    def effect_covariances(self) -> list[Stack]:
        """For each term (J, k, k): Var(b | y, beta, theta) in units of sigma^2."""
        blocks = self.factorisation.conditional_blocks()
        problem = self.problem
        out = []
        for (f, part), scale in zip(problem.places, problem.scales, strict=True):
            block = blocks[f][part, part] / scale[:, None, None] / scale[None, :, None]
            out.append(np.ascontiguousarray(np.moveaxis(block, -1, 0)))
        return out

    def solve_effects(self, right: Sequence[Stack]) -> list[Stack]:
        """Lambda M^-1 Lambda' times right-hand sides, both by term as (J, k, r), on the user's scale."""
        return solved_by_term(self.problem, self.factorisation, right)


def make_problem(design: MixedDesign) -> Problem:
    """Statistics of a design. Raises `DataError` for a model that has nothing to estimate its residuals from."""
    n, p = design.n, len(design.kept)
    if n <= p:
        raise DataError(
            f"the model has {p} population coefficients and only {n} rows: nothing is left for the residuals"
        )
    y = design.y if design.offset is None else design.y - design.offset
    groups = [(t.codes, len(t.levels), t.Z) for t in design.terms]
    covariances = tuple(t.covariance for t in design.terms)
    rows = prepare_rows(design.X, groups, design.weights, [c.common_scale for c in covariances])
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights).sum())
    problem = Problem(covariances, rows, collect(rows, y), n, log_weights, y)
    check_response(problem, design.y, design.weights)
    return problem


def check_response(problem: Problem, y: Vector, weights: Vector | None) -> None:
    """Refuse a response (n,) that the population columns explain exactly, but for rounding. Raises `DataError`."""
    left = float(problem.statistics.dense[-1, -1])
    squares = max(float(np.square(values).max()) for values in (y, problem.y))
    if left > ROUNDING**2 * squares * (len(y) if weights is None else float(weights.sum())):
        return
    if float(np.ptp(y)) == 0.0:
        raise DataError(f"the response is {y[0]:g} in every row: there is no variance to explain")
    raise DataError(
        "the population coefficients explain the response exactly: no variance is left for groups and residuals. Is "
        "the response computed from a predictor?"
    )
