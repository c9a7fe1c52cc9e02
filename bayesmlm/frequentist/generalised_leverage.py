"""Leverage in a generalised mixed model with one linear predictor, at the weights of the last iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .generalised_prediction_rows import fitted_generalised_rows
from .generalised_prediction_variance import prediction_variance

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["cooks_distance", "hat_values", "standardised_residuals", "studentised_residuals"]

Vector = NDArray[np.float64]


def hat_values(fit: GeneralisedFit) -> Vector:
    """(n,) of the rows used: W times the variance of the linear predictor at fixed covariance parameters. See
    `GeneralisedDiagnosticMethods.hatvalues`."""
    if len(fit.parts) > 1:
        raise BayesmlmError(
            f"leverage is defined for one linear predictor; this model has several: {', '.join(fit.parts)}. "
            'residuals(type="quantile") and simulation_residuals() serve all models'
        )
    rows = fitted_generalised_rows(fit)
    local = fit.evaluation.mode.local
    W = local.expected if fit.problem.model.expected else local.observed
    variance = prediction_variance(fit, rows.X, rows.Z, rows.codes, np.ones((1, fit.n)), use_hessian=False)
    return np.asarray(W[0, 0] * variance / fit.sigma**2)


def standardised_residuals(fit: GeneralisedFit) -> Vector:
    """(n,) Pearson residuals over sigma sqrt(1 - leverage)."""
    return fit.residual_values("pearson") / (fit.sigma * np.sqrt(_rest(fit)))


def studentised_residuals(fit: GeneralisedFit) -> Vector:
    """(n,) lme4's: sign(d) sqrt(d^2 + h p^2 / (1 - h)) / sigma of deviance and Pearson residuals d and p."""
    deviance, pearson = fit.residual_values("deviance"), fit.residual_values("pearson")
    rest = _rest(fit)
    return np.sign(deviance) * np.sqrt(deviance**2 + (1.0 - rest) * pearson**2 / rest) / fit.sigma


def cooks_distance(fit: GeneralisedFit) -> Vector:
    """(n,) (p / (1 - h))^2 h / (sigma^2 k), p the Pearson residual and k the number of coefficients."""
    rest, pearson = _rest(fit), fit.residual_values("pearson")
    return (pearson / rest) ** 2 * (1.0 - rest) / (fit.sigma**2 * fit.p)


def _rest(fit: GeneralisedFit) -> Vector:
    """(n,) 1 - leverage. Raises `BayesmlmError` for a row of leverage 1."""
    rest = 1.0 - hat_values(fit)
    wrong = np.flatnonzero(rest < 1e-10)
    if wrong.size:
        where = fit.design.frame.row_name(int(wrong[0]))
        raise BayesmlmError(
            f"{where} has leverage 1: the fit goes through it, and its residual has no variance"
        )
    return rest
