"""The best covariance parameters: bounded quasi-Newton steps, a second look at every boundary, Newton's last digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

if TYPE_CHECKING:
    from .problem import Problem

__all__ = ["Evaluated", "Optimum", "Searchable", "optimise", "search"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EDGE = 1e-5
"""Relative standard deviations below this are tried at zero (lme4's ``boundary.tol``)."""
EM_STEPS = 2
"""Steps of the EM algorithm before anything else: they come near from anywhere, and never touch a boundary."""
RESTARTS = 3
"""How often a search that ended at a boundary is begun again from inside."""
LONG = 1e4
"""Unit of length for searches without bounds."""
STRIDE = 0.1
"""Length of the first quasi-Newton step, which has no scale yet, in relative standard deviations."""
WALL = 1e4
"""How much worse than the best place one is taken to be at which the criterion is not defined."""
ENOUGH = 1e-16
"""How much of the criterion Newton's step may still promise."""


class Evaluated(Protocol):
    """A model at given parameters."""

    @property
    def parameters(self) -> Vector:
        """The parameters."""

    @property
    def criterion(self) -> float:
        """What is minimised, on the scale of -2 log likelihood."""

    def gradient(self) -> Vector:
        """Its derivatives."""


class Searchable(Protocol):
    """A criterion of parameters: see `CovarianceParameters`."""

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds of the parameters."""

    @property
    def search_bounds(self) -> tuple[Vector, Vector]:
        """Bounds while searching."""

    def normalise(self, parameters: Vector) -> Vector:
        """Parameters inside `bounds` of the same model."""

    def inside(self, parameters: Vector) -> Vector:
        """Parameters of a model nearby, away from every boundary."""

    def without_zero_columns(self, parameters: Vector) -> Vector:
        """Parameters with those set to zero of which the data say nothing."""

    def evaluate(self, parameters: Vector, reml: bool) -> Evaluated:
        """The criterion there."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """``parameters`` at the minimum, its ``evaluation``, the ``gradient`` there, how many evaluations it took, and
    what the optimiser said if it gave up."""

    parameters: Vector
    evaluation: Any
    gradient: Vector
    evaluations: int
    problem: str | None


class _Objective:
    """The criterion with its gradient; remembers the best place it has seen."""

    def __init__(self, problem: Searchable, reml: bool, step: Matrix, enough: float | None) -> None:
        self.problem, self.reml, self.enough = problem, reml, enough
        self.count = 0
        self.best: tuple[float, Evaluated, Vector] | None = None
        # What the last search believes is left to gain, by its own second derivatives.
        self.promised = np.inf
        # (m, m): directions of the search, each as long as the parameters are expected to be off along it.
        self.step = step

    def __call__(self, parameters: Vector) -> tuple[float, Vector]:
        self.count += 1
        try:
            evaluation = self.problem.evaluate(parameters.copy(), self.reml)
            value = evaluation.criterion
            gradient = evaluation.gradient() if np.isfinite(value) else np.full(parameters.shape, np.nan)
        except np.linalg.LinAlgError:
            value = np.inf
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            # A finite wall, so that a line search turns back from it by a definite length.
            wall = np.inf if self.best is None else self.best[0] + WALL
            return wall, np.zeros(parameters.shape)
        if self.best is None or value < self.best[0]:
            self.best = value, evaluation, gradient
        return value, gradient

    @property
    def value(self) -> float:
        """The best criterion so far."""
        assert self.best is not None
        return self.best[0]

    @property
    def parameters(self) -> Vector:
        """Where that was, inside the bounds; the best place is moved there."""
        assert self.best is not None
        found = self.best[1].parameters
        inside = self.problem.normalise(found)
        if not np.array_equal(found, inside):
            self.prefer(inside)
        return inside

    def take(self, parameters: Vector, inverse: Matrix) -> bool:
        """Make ``parameters`` the best place if the gradient is smaller there, by the metric ``inverse``, and the
        criterion no worse but for rounding."""
        before = self.best
        assert before is not None
        self.best = None
        value, gradient = self(parameters)
        smaller = gradient @ inverse @ gradient < before[2] @ inverse @ before[2]
        if not smaller or value > before[0] + 1e-12 * abs(before[0]):
            self.best = before
        return self.best is not before

    def prefer(self, parameters: Vector) -> None:
        """Make ``parameters`` the best place if they are as good as it, to rounding."""
        before = self.best
        self.best = None
        self(parameters)
        assert before is not None
        if self.best is None or self.value > before[0] + 1e-12 * abs(before[0]):
            self.best = before


def optimise(
    problem: Problem, reml: bool, start: Vector | None = None, max_evaluations: int = 1000, verbose: int = 0
) -> Optimum:
    """Minimise the criterion of a linear mixed model. ``start``: parameters on the scaled columns (default: a few
    steps of EM)."""
    lower, upper = problem.bounds
    begin = problem.start if start is None else np.clip(start, lower, upper)
    strides = np.full(begin.size, STRIDE)
    for _ in range(EM_STEPS if start is None else 0):
        begin, strides = problem.evaluate(begin, reml).em_step()
    return search(problem, begin, problem.whitening * strides, max_evaluations, verbose, reml=reml)


def search(
    problem: Searchable,
    begin: Vector,
    step: Matrix,
    max_evaluations: int = 1000,
    verbose: int = 0,
    *,
    reml: bool = False,
    enough: float | None = None,
) -> Optimum:
    """Minimise a criterion from ``begin``; ``step``: see `_Objective`.

    ``enough``: what may be left to gain as the second derivatives say that ``step`` stands for, or that the search has
    gathered from there; by default the last digits are got with second derivatives taken at the end.
    """
    objective = _Objective(problem, reml, step, enough)
    message = _descend(objective, begin, max_evaluations, verbose)
    if objective.best is None:
        raise DataError(
            "the likelihood is not finite where its search begins: values of the response are outside of what the link "
            "allows there, or far beyond what the family expects. Give start=, or another link"
        )
    for _ in range(RESTARTS):
        value = objective.value
        edge = _at_boundary(objective)
        if not edge.size:
            break
        # To first order nothing changes where a factor loses rank, so a search may stop there too early.
        again = _descend(objective, problem.inside(objective.parameters), max_evaluations, verbose)
        message = message or again
        if objective.value > value - 1e-7:
            break
    _settle_on_boundary(objective)
    if objective.promised > (ENOUGH if enough is None else enough):
        _polish(objective)
    assert objective.best is not None
    _, evaluation, gradient = objective.best
    return Optimum(evaluation.parameters, evaluation, gradient, objective.count, message)


def _at_boundary(objective: _Objective) -> NDArray[np.intp]:
    """Places of the parameters that are (almost) at a bound."""
    lower, upper = objective.problem.bounds
    here = objective.parameters
    return np.flatnonzero((here - lower < 100 * EDGE) | (upper - here < 100 * EDGE))


def _settle_on_boundary(objective: _Objective) -> None:
    """Parameters that are almost zero, or without effect, are set to zero, if the criterion is no worse for it."""
    here = objective.parameters
    simpler = objective.problem.without_zero_columns(here)
    if not np.array_equal(here, simpler):
        objective.prefer(simpler)
    lower, _ = objective.problem.bounds
    for place in np.flatnonzero((lower == 0.0) & (objective.parameters < 100 * EDGE)):
        here = objective.parameters
        if here[place] > 0.0:
            zero = here.copy()
            zero[place] = 0.0
            objective.prefer(zero)


def _descend(objective: _Objective, start: Vector, max_evaluations: int, verbose: int) -> str | None:
    """Search from ``start``: by BFGS, or by L-BFGS-B where a correlation has bounds."""
    from scipy.optimize import minimize

    lower, upper = objective.problem.search_bounds
    # Bounded parameters are not mixed with others, so their bounds stay bounds.
    step = objective.step

    def shown(position: Vector) -> tuple[float, Vector]:
        parameters = np.clip(step @ position, lower, upper)
        value, gradient = objective(parameters)
        if verbose:
            print(f"{objective.count:4d}: {value:16.8f}  {np.array2string(parameters, precision=6)}")
        return value, step.T @ gradient

    bounds = None
    options: dict[str, Any] = {"maxiter": max_evaluations}
    if np.isfinite(lower).any() or np.isfinite(upper).any():
        lengths = np.diag(step)
        bounds = list(zip(lower / lengths, upper / lengths, strict=True))
        options |= {"maxfun": max_evaluations, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 20}
    else:
        # SciPy's first step is never longer than one over the gradient: in units this long that is no limit, and
        # the expected second derivatives, one over the squares of the strides, give the first step its length.
        step = step * LONG
        options |= {"gtol": LONG * 1e-5, "hess_inv0": np.eye(len(start)) / LONG**2}
    found = minimize(  # type: ignore[call-overload]
        shown,
        np.linalg.solve(step, start),
        jac=True,
        method="L-BFGS-B" if bounds else "BFGS",
        bounds=bounds,
        options=options,
    )
    objective.promised = np.inf
    if (
        objective.best is not None
        and bounds is None
        and (found.nit > len(start) or objective.enough is not None)
    ):
        _refine(objective, step @ found.hess_inv @ step.T)
    return str(found.message) if found.nit >= max_evaluations or found.nfev >= max_evaluations else None


def _refine(objective: _Objective, inverse: Matrix) -> None:
    """Steps with the second derivatives that a search has gathered, as long as the gradient becomes smaller.

    Where the criterion's digits end, its gradient has some left: a line search would stop here.
    """
    for _ in range(4):
        assert objective.best is not None
        _, evaluation, gradient = objective.best
        objective.promised = 0.5 * float(gradient @ inverse @ gradient)
        if objective.promised < (ENOUGH if objective.enough is None else objective.enough):
            return
        if not objective.take(evaluation.parameters - inverse @ gradient, inverse):
            return


def _polish(objective: _Objective) -> None:
    """Newton steps on the parameters inside their bounds, with second derivatives from differences of gradients."""
    lower, upper = objective.problem.bounds
    for _ in range(4):
        assert objective.best is not None
        _, evaluation, gradient = objective.best
        here = evaluation.parameters
        free = np.flatnonzero((here > lower + 1e-6) & (here < upper - 1e-6))
        if not free.size or free.size > 30:
            return
        values, vectors = np.linalg.eigh(_hessian(objective, here, gradient, free))
        values = np.maximum(np.abs(values), 1e-8 * max(float(np.abs(values).max()), 1e-300))
        inverse = np.zeros((here.size, here.size))
        inverse[np.ix_(free, free)] = (vectors / values) @ vectors.T
        if 0.5 * float(gradient @ inverse @ gradient) < ENOUGH:
            return
        if not objective.take(np.clip(here - inverse @ gradient, lower, upper), inverse):
            return


def _hessian(objective: _Objective, here: Vector, gradient: Vector, free: NDArray[np.intp]) -> Matrix:
    H = np.empty((free.size, free.size))
    for row, place in enumerate(free):
        moved = here.copy()
        step = 1e-5 * max(abs(here[place]), 1e-2)
        moved[place] += step
        H[row] = (objective(moved)[1] - gradient)[free] / step
    return 0.5 * (H + H.T)
