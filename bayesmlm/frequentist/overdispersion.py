"""Tests for overdispersion: more scatter about the fitted values than the family of the response has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BayesmlmError

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["Overdispersion", "overdispersion"]

DOUBTFUL = 0.05


@dataclass(frozen=True)
class Overdispersion:
    """``method``: "pearson", and then ``statistic`` is the sum of squared Pearson residuals and ``df`` the residual
    degrees of freedom; or "simulation": the variance of responses about their expectation, and ``df`` None. ``ratio``:
    the statistic over its expectation; ``p_value``: of the former one-sided (more scatter), of the latter two-sided;
    ``advice``: what to do."""

    method: str
    statistic: float
    df: int | None
    ratio: float
    p_value: float
    advice: str

    def __str__(self) -> str:
        of = "Pearson's chi-square" if self.df is not None else "variance about the expectation"
        degrees = "" if self.df is None else f" on {self.df} degrees of freedom"
        p = f"p = {self.p_value:.4g}" if self.p_value >= 1e-4 else "p < 0.0001"
        head = (
            f"Overdispersion test: {of} {self.statistic:.4g}{degrees}, dispersion ratio {self.ratio:.3f}, {p}"
        )
        return f"{head}\n{self.advice}"


def overdispersion(
    fit: GeneralisedFit, method: str, nsim: int, seed: int | None, use_u: bool
) -> Overdispersion:
    """See `GeneralisedDiagnosticMethods.overdispersion`."""
    if method == "simulation":
        row = fit.simulation_residuals(nsim, seed, use_u).tests.to_dict("index")["dispersion"]
        ratio, p = row["observed"] / row["expected"], row["p"]
        return Overdispersion(method, row["observed"], None, ratio, p, _advice(fit, ratio, p))
    if method != "pearson":
        raise BayesmlmError(f'method is "pearson" or "simulation", not {method!r}')
    _refuse(fit)
    from scipy.stats import chi2

    statistic = float(np.sum(fit.problem.kernel.pearson_residuals(fit.evaluation.mode.eta) ** 2))
    ratio, p = statistic / fit.df_residual, float(chi2.sf(statistic, fit.df_residual))
    return Overdispersion(method, statistic, fit.df_residual, ratio, p, _advice(fit, ratio, p))


def _refuse(fit: GeneralisedFit) -> None:
    family, trials = fit.family, fit.design.trials
    if family.name == "bernoulli" or (trials is not None and bool((trials <= 1).all())):
        raise BayesmlmError(
            "single trials cannot be overdispersed: 0 and 1 have no other variance than mu (1 - mu). The test is for "
            "counts and for successes out of several trials"
        )
    if not family.integer_response and family.name != "exponential":
        raise BayesmlmError(
            f"the dispersion of the family `{family.name}` is estimated from the data, so that it cannot be too large; "
            'overdispersion(method="simulation") compares the scatter with simulated responses'
        )
    if fit.df_residual <= 0:
        raise BayesmlmError(
            f"the model has {fit.npar} parameters for {fit.n} rows: no degrees of freedom are left for the test"
        )


def _advice(fit: GeneralisedFit, ratio: float, p: float) -> str:
    if p > 1.0 - DOUBTFUL and ratio < 1.0:
        return (
            "No overdispersion detected. Ratios below 1 are usual where estimated group effects follow the data; "
            'method="simulation" does not depend on them.'
        )
    if p >= DOUBTFUL:
        return "No overdispersion detected."
    if ratio < 1.0:
        return (
            "The response scatters less than simulated ones (underdispersion): standard errors are too large."
        )
    return f"Overdispersion detected: standard errors are too small. {_remedy(fit)}"


def _remedy(fit: GeneralisedFit) -> str:
    name = fit.family.name
    rows = "a group effect of each row, `(1 | row)` with row = 1, 2, ..."
    if fit.design.trials is not None and name != "beta_binomial":
        return f'Try {rows}, or family="beta_binomial".'
    if "poisson" in name:
        other = name.replace("poisson", "negbinomial")
        zero = "" if name != "poisson" else "; if there are too many zeros, zero inflation or a hurdle"
        return f'Try family="{other}" or {rows}{zero}.'
    if name == "exponential":
        return 'Try family="gamma".'
    return f"Try another family, a formula for the dispersion, predictors that are missing, or {rows}."
