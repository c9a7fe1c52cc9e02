"""Degrees of freedom of contrasts of coefficients by Satterthwaite's method.

For a contrast l its variance v = l'V l, V = Var(beta), is treated as a multiple of a chi-square: with g the
derivatives of v by the variance parameters and A their asymptotic covariance, df = 2 v^2 / g'A g (Satterthwaite
1946; Giesbrecht and Burns 1985; Kuznetsova, Brockhoff and Christensen 2017, JSS 82(13), sec. 2). F tests of several
contrasts: Fai and Cornelius (1996).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmWarning

if TYPE_CHECKING:
    from .fit import MixedFit
    from .problem import Evaluation

__all__ = ["JointTest", "Satterthwaite", "satterthwaite"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

STEP = 1e-4
"""Of differences of exact gradients, relative to the parameter's scale; their error is about its square."""
FLAT = 1e-6
"""Combinations of parameters with less curvature than this, relative to each one's own, are not determined."""
FLOOR = 1e-9
"""A parameter with less curvature than this, relative to the largest (all on relative scales), is not determined."""


@dataclass(frozen=True)
class JointTest:
    """An F test of several contrasts: ``F`` (scaled, as it is referred to the F distribution), ``unscaled`` F,
    degrees of freedom ``num_df`` and ``den_df``, and ``scaling`` with F = scaling * unscaled."""

    F: float
    unscaled: float
    num_df: int
    den_df: float
    scaling: float = 1.0


@dataclass(frozen=True, eq=False)
class Satterthwaite:
    """What the degrees of freedom are made of.

    ``covariance``: (p, p) Var(beta); ``slopes``: (r, p, p) its derivatives by the variance parameters; ``spread``:
    (r, r) the asymptotic covariance of their estimates.
    """

    covariance: Matrix
    slopes: NDArray[np.float64]
    spread: Matrix

    label = "Satterthwaite"

    def degrees(self, L: Matrix) -> Vector:
        """(m,) degrees of freedom of the contrasts in the rows of ``L`` (m, p); infinite if V does not vary."""
        variance = np.einsum("mp,pq,mq->m", L, self.covariance, L)
        slopes = np.einsum("mp,rpq,mq->mr", L, self.slopes, L)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * variance**2 / np.einsum("mr,rs,ms->m", slopes, self.spread, slopes)

    def joint(self, L: Matrix, beta: Vector) -> JointTest | None:
        """The F test of L beta = 0, (m, p); None when L is zero.

        L V L' is taken apart into its q principal components; each gives a squared t statistic with its own degrees
        of freedom, from which those of the mean of the squares follow.
        """
        values, vectors = np.linalg.eigh(L @ self.covariance @ L.T)
        keep = values > np.sqrt(np.finfo(float).eps) * max(values.max(initial=0.0), 0.0)
        q = int(keep.sum())
        if not q:
            return None
        parts = vectors[:, keep].T @ L
        F = float(((parts @ beta) ** 2 / values[keep]).sum() / q)
        return JointTest(F, F, q, _combined(self.degrees(parts)))


def _combined(each: Vector) -> float:
    """Denominator degrees of freedom of a mean of squared t statistics with ``each`` degrees of freedom."""
    if np.ptp(each) < 1e-8 * each.max() if np.isfinite(each).all() else np.isinf(each).all():
        return float(each.mean())
    if (each <= 2.0).any():
        return 2.0
    finite = each[np.isfinite(each)]
    mean = float((finite / (finite - 2.0)).sum()) + (each.size - finite.size)
    return 2.0 * mean / (mean - each.size)


def satterthwaite(fit: MixedFit) -> Satterthwaite:
    """The parts of the method for a fitted model, REML or maximum likelihood.

    The variance parameters are the covariance parameters on the scaled columns and log sigma (the degrees of freedom
    do not depend on this choice). Second derivatives are differences of the exact gradient; the same evaluations
    give the derivatives of Var(beta). Warns when the criterion is not at a minimum or does not determine some
    direction, which is then left out (Moore-Penrose inverse), as lmerTest does. A correlation (of ``cs`` or ``ar1``)
    that is estimated at its limit is taken as known: there the criterion has no minimum, only an end.
    """
    evaluation, sigma = fit.evaluation, fit.sigma
    here = evaluation.parameters
    lower, upper = fit.problem.bounds
    free = np.flatnonzero(np.isinf(upper) | (np.minimum(here - lower, upper - here) > STEP))
    count, scale = free.size, _scales(fit)[free]
    hessian = np.zeros((count + 1, count + 1))
    slopes = np.empty((count + 1, fit.p, fit.p))
    for i, place in enumerate(free):
        step = STEP * scale[i]
        before, after = _moved(fit, place, -step), _moved(fit, place, step)
        hessian[i, :count] = (after.gradient(sigma) - before.gradient(sigma))[free] / (2.0 * step)
        slopes[i] = sigma**2 * (after.vcov_unscaled - before.vcov_unscaled) / (2.0 * step)
    hessian[:count, :count] = 0.5 * (hessian[:count, :count] + hessian[:count, :count].T)
    hessian[count, :count] = hessian[:count, count] = -2.0 * _fit_gradient(evaluation)[free] / sigma**2
    hessian[count, count] = 4.0 * evaluation.factorisation.pwrss / sigma**2
    slopes[count] = 2.0 * fit.covariance
    return Satterthwaite(fit.covariance, slopes, 2.0 * _pseudo_inverse(hessian, np.append(scale, 1.0)))


def _scales(fit: MixedFit) -> Vector:
    """By how much each parameter can change before the model is another one: itself, or what is usual in its term."""
    values, (_, upper) = np.abs(fit.optimum.parameters), fit.problem.bounds
    usual = [np.full(values[at].shape, 0.1 * values[at].max(initial=0.0)) for at in fit.problem.slices]
    scale = np.maximum(np.maximum(values, np.concatenate(usual)), 0.01)
    return np.where(np.isfinite(upper), 1.0, scale)


def _moved(fit: MixedFit, place: np.intp, step: float) -> Evaluation:
    parameters = fit.optimum.parameters.copy()
    parameters[place] += step
    return fit.problem.evaluate(parameters, fit.reml)


def _fit_gradient(evaluation: Evaluation) -> Vector:
    """Derivatives of the penalised residual sum of squares by the covariance parameters."""
    vector = np.append(-evaluation.factorisation.coefficients, 1.0)
    return evaluation.pullback(evaluation.factorisation.adjoint(0.0, np.outer(vector, vector)).factors)


def _pseudo_inverse(hessian: Matrix, scale: Vector) -> Matrix:
    """The inverse over the directions of positive curvature. ``scale``: of the parameters."""
    curvature = np.abs(np.diag(hessian)) * scale**2
    flat = curvature < FLOOR * curvature.max()
    size = np.where(flat, 1.0, np.sqrt(curvature)) / scale
    relative = hessian / np.outer(size, size)
    relative[flat, :] = relative[:, flat] = 0.0
    values, vectors = np.linalg.eigh(relative)
    keep = values > FLAT
    negative = int((values < -FLAT).sum())
    if negative:
        warnings.warn(
            f"the criterion is not at a minimum: its Hessian has {negative} negative eigenvalue(s), which are left "
            "out; degrees of freedom may be wrong",
            BayesmlmWarning,
            stacklevel=2,
        )
    elif not keep.all():
        warnings.warn(
            f"{int((~keep).sum())} direction(s) of the variance parameters are not determined by the data and are left "
            "out of Satterthwaite's degrees of freedom",
            BayesmlmWarning,
            stacklevel=2,
        )
    used = vectors[:, keep]
    inverse = (used / values[keep]) @ used.T
    return np.asarray(inverse / np.outer(size, size))
