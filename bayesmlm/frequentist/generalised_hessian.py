"""Second derivatives of a generalised model's criterion at its optimum, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["Curvature", "curvature"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

STEP = 1e-3
"""Length of the differences, in units in which the criterion has about unit curvature."""
ROUGH = 1e-11
"""Newton's decrement that rough differences are content with."""
EDGE = 1e-5
"""Relative standard deviations below this are at their boundary, where the criterion does not depend on their sign."""
FLAT = 1e-10
"""Ratio of eigenvalues, in those units, below which a direction is not determined."""


@dataclass(frozen=True, eq=False)
class Curvature:
    """``free``: places of the parameters inside their bounds; ``hessian``: of the criterion by these, in directions
    ``metric`` (all parameters, free); ``gradient``: in the same directions.

    ``coefficient_covariance``: (P, P) of the coefficients on the user's columns, the uncertainty of the covariance
    parameters included; None where the Hessian is not positive definite.
    """

    free: NDArray[np.intp]
    metric: Matrix
    hessian: Matrix
    gradient: Vector
    coefficient_covariance: Matrix | None

    @property
    def eigenvalues(self) -> Vector:
        """Of the Hessian in the units of ``metric``, in which it should be about 1."""
        return np.linalg.eigvalsh(self.hessian) if len(self.hessian) else np.zeros(0)

    @property
    def is_definite(self) -> bool:
        """Whether the criterion rises in every direction."""
        values = self.eigenvalues
        return bool(values.size == 0 or values[0] > FLAT * max(values[-1], 1.0))

    @property
    def parameter_covariance(self) -> Matrix | None:
        """(m, m) covariance of all parameters as the search moves them, zero for those on a boundary."""
        if not self.is_definite:
            return None
        return 2.0 * self.metric @ np.linalg.inv(self.hessian) @ self.metric.T


def curvature(fit: GeneralisedFit, rough: bool = False) -> Curvature:
    """Differences of the gradient along the columns of the fit's metric; ``rough``: on one side only, to some three
    digits."""
    problem, here = fit.problem, fit.optimum.parameters
    if rough:
        problem = replace(problem, model=replace(problem.model, tolerance=ROUGH))
    m = problem.covariance_count
    lower, upper = problem.bounds
    inside = (here[:m] > lower + EDGE) & (here[:m] < upper - EDGE)
    free = np.flatnonzero(np.append(inside, np.ones(len(here) - m, dtype=bool)))
    metric = fit.metric[:, free].copy()
    metric[np.setdiff1d(np.arange(len(here)), free)] = 0.0
    H = np.empty((free.size, free.size))
    for i, direction in enumerate(metric.T):
        ahead = problem.evaluate(here + STEP * direction).gradient()
        behind = fit.optimum.gradient if rough else problem.evaluate(here - STEP * direction).gradient()
        H[i] = metric.T @ (ahead - behind) / (STEP if rough else 2.0 * STEP)
    found = Curvature(free, metric, 0.5 * (H + H.T), metric.T @ fit.optimum.gradient, None)
    joint = found.parameter_covariance
    if joint is None or problem.nodes == 0:
        return found
    rotation = problem.rotation
    return Curvature(found.free, metric, found.hessian, found.gradient, rotation @ joint[m:, m:] @ rotation.T)
