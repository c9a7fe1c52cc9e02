"""Residuals of generalised mixed models: lme4's kinds, and randomised quantile residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.numpy_cdf import cumulated
from ..marginal.glm_kernels import GLMKernel
from ..marginal.link_derivatives import mean_derivatives
from ..marginal.log_mean_kernels import GammaKernel, InverseGaussianKernel
from ..marginal.negbinomial_kernel import NegativeBinomialKernel
from .response_distribution import MEAN_IS_MU, natural_values

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["TYPES", "default_type", "observed", "quantile_residuals", "residuals", "uniform_residuals"]

Vector = NDArray[np.float64]

TYPES = ("deviance", "pearson", "working", "response", "quantile")
SMALLEST = 2.0**-53
"""Probabilities nearer to 0 or 1 have no normal quantile of any use."""


def residuals(fit: GeneralisedFit, type: str | None, scaled: bool, seed: int | None) -> Vector:
    """(n,) of the rows used; see `GeneralisedDiagnosticMethods.residuals`."""
    kind = default_type(fit) if type is None else type
    if kind not in TYPES:
        raise BayesmlmError(f"residuals are of type {', '.join(TYPES)}, not {type!r}")
    kernel, eta = fit.problem.kernel, fit.evaluation.mode.eta
    match kind:
        case "deviance":
            values = _deviance(fit)
        case "pearson":
            values = kernel.pearson_residuals(eta)
        case "working":
            values = _working(fit)
        case "response":
            values = observed(fit) - kernel.mean(eta)
        case _:
            return quantile_residuals(fit, seed)
    return values / fit.sigma if scaled else values


def default_type(fit: GeneralisedFit) -> str:
    """lme4's default, "deviance", where the family has a deviance; else glmmTMB's, "response"."""
    return "response" if _deviance_or_none(fit) is None else "deviance"


def observed(fit: GeneralisedFit) -> Vector:
    """(n,) the response, of trials as a proportion (0 where there are no trials)."""
    design = fit.design
    if design.trials is None:
        return design.y
    return design.y / np.where(design.trials > 0, design.trials, 1.0)


def uniform_residuals(fit: GeneralisedFit, seed: int | None) -> Vector:
    """(n,) P(Y <= y), for counts a uniform draw between P(Y < y) and that (Dunn and Smyth 1996, JCGS 5(3)), Y the
    response given the group effects: uniform on 0 to 1 if the model holds."""
    design, family = fit.design, fit.family
    weights = np.ones(fit.n) if design.weights is None else design.weights
    values = natural_values(fit, fit.evaluation.mode.eta, weights)
    extra = {} if design.trials is None else {"trials": design.trials}
    above = cumulated(family, design.y, values, extra)
    if not family.integer_response:
        return above
    below = cumulated(family, design.y - 1.0, values, extra)
    return below + (above - below) * np.random.default_rng(seed).random(fit.n)


def quantile_residuals(fit: GeneralisedFit, seed: int | None) -> Vector:
    """(n,) normal quantiles of `uniform_residuals`."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(uniform_residuals(fit, seed), SMALLEST, 1.0 - SMALLEST)))


def _deviance(fit: GeneralisedFit) -> Vector:
    found = _deviance_or_none(fit)
    if found is None:
        raise BayesmlmError(
            f'the family `{fit.family.name}` has no deviance residuals; use type="pearson", or "quantile", which are '
            "normal if the model holds"
        )
    return found


def _deviance_or_none(fit: GeneralisedFit) -> Vector | None:
    """(n,) signed roots of the unit deviances times weights. Other parameters than mu count as known."""
    kernel, eta = fit.problem.kernel, fit.evaluation.mode.eta
    design, link = fit.design, fit.design.link
    if isinstance(kernel, GLMKernel | NegativeBinomialKernel):
        return kernel.deviance_residuals(eta)
    match fit.family.name:
        case "gamma" | "exponential":
            return GammaKernel(design.y, design.weights, link).deviance_residuals(eta[:1])
        case "inverse.gaussian":
            return InverseGaussianKernel(design.y, design.weights, link).deviance_residuals(eta[:1])
        case "geometric":  # negative binomial of shape 1
            alike = NegativeBinomialKernel(design.y, design.weights, link, "log")
            return alike.deviance_residuals(np.stack([eta[0], np.zeros(fit.n)]))
        case "gaussian":
            weights = np.ones(fit.n) if design.weights is None else design.weights
            return (design.y - kernel.mean(eta)) * np.sqrt(weights)
        case _:
            return None


def _working(fit: GeneralisedFit) -> Vector:
    """(n,) (y - mu) / (d mu / d eta)."""
    if fit.family.name not in MEAN_IS_MU:
        raise BayesmlmError(
            f"working residuals are for families whose mean is mu, which that of `{fit.family.name}` is not; use "
            'type="response" or "pearson"'
        )
    kernel, eta = fit.problem.kernel, fit.evaluation.mode.eta
    return (observed(fit) - kernel.mean(eta)) / mean_derivatives(kernel.links[0], eta[0])[1]
