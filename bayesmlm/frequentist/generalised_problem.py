"""The approximated likelihood of a generalised mixed model as a function of its parameters.

Parameters are those of the covariances, then the coefficients of all linear predictors (with ``nAGQ = 0`` these are
found with the effects). Coefficients are moved on an orthonormal basis of each predictor's columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance
from ..errors import DataError
from ..marginal.evaluate import Factorisation, factorise
from ..marginal.kernel import Kernel
from ..marginal.laplace import Approximation, LaplaceModel, Mode, approximate
from ..marginal.make_kernel import make_kernel
from ..marginal.plan import Plan, make_plan
from ..marginal.quadrature import Quadrature
from ..marginal.statistics import column_scales
from ..marginal.weighted import WeightedRows, make_weighted_rows
from .covariance_parameters import CovarianceParameters, solved_by_term
from .generalised_design import GeneralisedDesign, ParameterDesign

__all__ = ["GeneralisedEvaluation", "GeneralisedProblem", "make_generalised_problem"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]


@dataclass(eq=False)
class Memory:
    """The varying part (D, n) of the linear predictors where the mode was found last: the next is near."""

    varying: Matrix | None = None


@dataclass(frozen=True, eq=False)
class GeneralisedProblem(CovarianceParameters):
    """``triangles``: for each linear predictor R with X = Q R; ``nodes``: 0 for coefficients found with the effects, 1
    for Laplace's approximation, more for adaptive quadrature (lme4's ``nAGQ``)."""

    covariances: tuple[Covariance, ...]
    column_scales: tuple[Vector, ...]
    model: LaplaceModel
    triangles: tuple[Matrix, ...]
    nodes: int
    memory: Memory = field(default_factory=Memory)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.model.rows.n

    @property
    def rows(self) -> WeightedRows:
        """The rows."""
        return self.model.rows

    @property
    def kernel(self) -> Kernel:
        """The response."""
        return self.model.kernel

    @property
    def plan(self) -> Plan:
        """The grouping factors, in order of elimination."""
        return self.rows.plan

    @property
    def factor_scales(self) -> tuple[Vector, ...]:
        """For each factor of the plan (k,) what its columns were divided by."""
        return self.column_scales

    @property
    def p(self) -> int:
        """P, the number of coefficients of all linear predictors."""
        return self.rows.coefficients

    @property
    def covariance_count(self) -> int:
        """Number of covariance parameters."""
        return len(self.start)

    @cached_property
    def mean_products(self) -> list[Matrix]:
        """For each term (k, k): the mean over rows of products of its scaled columns."""
        columns = self.rows.columns
        return [columns[f][part] @ columns[f][part].T / self.n for f, part in self.places]

    def evaluate(self, parameters: Vector, reml: bool = False) -> GeneralisedEvaluation:
        """The approximation at covariance parameters and, unless ``nodes`` is 0, coefficients on the basis."""
        m = self.covariance_count
        factors = self.factors(parameters[:m])
        joint = self.nodes == 0
        coefficients = np.zeros(self.p) if joint else parameters[m:]
        begin = self._begin(coefficients, joint)
        found = approximate(self.model, factors, coefficients, joint=joint, begin=begin)
        self.memory.varying = found.mode.eta if joint else found.mode.eta - self._fixed(coefficients)
        quadrature = Quadrature(found, self.nodes) if self.nodes > 1 else None
        return GeneralisedEvaluation(self, parameters, found, quadrature)

    def _fixed(self, coefficients: Vector) -> Matrix:
        return self.rows.population(coefficients) + self.model.offsets

    def _begin(self, coefficients: Vector, joint: bool) -> Matrix | None:
        last = self.memory.varying
        if joint:
            return self.kernel.start() if last is None else last
        return None if last is None else last + self._fixed(coefficients)

    def unrotated(self, coefficients: Vector) -> Vector:
        """Coefficients on the basis as coefficients of the user's columns."""
        parts = zip(self.triangles, self.rows.slices, strict=True)
        return np.concatenate([np.linalg.solve(R, coefficients[at]) for R, at in parts])

    def rotated(self, beta: Vector) -> Vector:
        """The inverse of `unrotated`."""
        parts = zip(self.triangles, self.rows.slices, strict=True)
        return np.concatenate([R @ beta[at] for R, at in parts])

    @cached_property
    def rotation(self) -> Matrix:
        """(P, P): from coefficients on the basis to those of the user's columns."""
        out = np.zeros((self.p, self.p))
        for R, at in zip(self.triangles, self.rows.slices, strict=True):
            out[at, at] = np.linalg.inv(R)
        return out

    def with_nodes(self, nodes: int) -> GeneralisedProblem:
        """The same model by another approximation."""
        return replace(self, nodes=nodes, memory=Memory())


@dataclass(frozen=True, eq=False)
class GeneralisedEvaluation:
    """A generalised mixed model at given parameters."""

    problem: GeneralisedProblem
    parameters: Vector
    approximation: Approximation
    quadrature: Quadrature | None

    @property
    def mode(self) -> Mode:
        """The conditional mode of the effects."""
        return self.approximation.mode

    @property
    def criterion(self) -> float:
        """-2 log likelihood."""
        return self.approximation.value if self.quadrature is None else self.quadrature.value

    def gradient(self) -> Vector:
        """Derivatives of `criterion` by the parameters."""
        slopes = self.approximation.slopes if self.quadrature is None else self.quadrature.slopes
        m = self.problem.covariance_count
        by_covariance = self.problem.pullback(self.parameters[:m], slopes.factors)
        return by_covariance if self.problem.nodes == 0 else np.append(by_covariance, slopes.coefficients)

    @property
    def covariance_parameters(self) -> Vector:
        """The parameters of the covariances, on the scaled columns."""
        return self.parameters[: self.problem.covariance_count]

    @property
    def beta(self) -> Vector:
        """(P,) coefficients of all linear predictors."""
        return self.problem.unrotated(self.mode.coefficients)

    def effects(self) -> list[Matrix]:
        """For each term (J, k): conditional modes of the effects."""
        problem, found = self.problem, self.mode.b
        return [
            (found[f][part] / scale[:, None]).T
            for (f, part), scale in zip(problem.places, problem.scales, strict=True)
        ]

    def effect_covariances(self) -> list[Stack]:
        """For each term (J, k, k): the inverse of the penalised information, given the coefficients."""
        problem, blocks = self.problem, self.approximation.penalised.conditional_blocks()
        out = []
        for (f, part), scale in zip(problem.places, problem.scales, strict=True):
            block = blocks[f][part, part] / scale[:, None, None] / scale[None, :, None]
            out.append(np.ascontiguousarray(np.moveaxis(block, -1, 0)))
        return out

    @property
    def factorisation(self) -> Factorisation:
        """M with the information that its determinant is defined with."""
        return self.approximation.penalised

    def solve_effects(self, right: Sequence[Stack]) -> list[Stack]:
        """Lambda M^-1 Lambda' times right-hand sides, both by term as (J, k, r), on the user's scale."""
        return solved_by_term(self.problem, self.factorisation, right)

    @cached_property
    def coefficient_information(self) -> Matrix:
        """(P, P) on the basis: X'V^-1X, what is left of the information on the coefficients after the effects'."""
        model, mode = self.problem.model, self.mode
        W = mode.local.expected if model.expected else mode.local.observed
        f = factorise(model.rows.statistics(W, np.zeros_like(mode.eta), population=True), mode.factors)
        return f.rest[:-1, :-1]

    @property
    def vcov_RX(self) -> Matrix:  # noqa: N802
        """(P, P) covariance of the coefficients given the covariance parameters (lme4's ``use.hessian = FALSE``)."""
        rotation = self.problem.rotation
        return rotation @ np.linalg.inv(self.coefficient_information) @ rotation.T

    def em_step(self) -> tuple[Vector, Vector]:
        """Covariance parameters after one step of the EM algorithm with the effects' normal approximation, and how far
        each may be expected to be off (see `Evaluation.em_step`)."""
        return self.problem.em_step(self.mode.b, self.mode.factorisation.conditional_blocks())


def make_generalised_problem(design: GeneralisedDesign, nodes: int, definition: str) -> GeneralisedProblem:
    """Arrays of a design. Raises `DataError` for a model with more coefficients than rows."""
    kernel = make_kernel(design.family, design.y, design.weights, design.trials, definition)
    # A dispersion that the kernel plugs in has no linear predictor.
    everything: list[GeneralisedDesign | ParameterDesign] = [design, *design.parameters]
    parts = [part for part in everything if _name(part) in kernel.parameters]
    terms = [(t, d) for d, part in enumerate(parts) for t in part.terms]
    matrices = [part.X for part in parts]
    n, p = design.n, sum(X.shape[1] for X in matrices)
    if n < p:
        raise DataError(f"the model has {p} population coefficients and only {n} rows")
    plan = make_plan([(t.codes, len(t.levels), t.size) for t, _ in terms])
    covariances = tuple(t.covariance for t, _ in terms)
    scales = column_scales(plan, [t.Z for t, _ in terms], None, [c.common_scale for c in covariances])
    triangles = tuple(np.linalg.qr(X, mode="r") for X in matrices)
    bases = [
        np.linalg.solve(R.T, X.T).T if X.shape[1] else X for X, R in zip(matrices, triangles, strict=True)
    ]
    rows = make_weighted_rows(plan, [(t.Z, d) for t, d in terms], scales, bases)
    offsets = np.stack([np.zeros(n) if part.offset is None else part.offset for part in parts])
    expected = kernel.has_expected and definition != "observed"
    model = LaplaceModel(rows, kernel, offsets, expected)
    return GeneralisedProblem(covariances, scales, model, triangles, nodes)


def _name(part: GeneralisedDesign | ParameterDesign) -> str:
    return part.name if isinstance(part, ParameterDesign) else "mu"
