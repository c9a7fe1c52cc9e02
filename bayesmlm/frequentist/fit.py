"""`MixedFit`: a linear mixed model fitted by REML or maximum likelihood, and what can be read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .bootstrap_methods import BootstrapMethods
from .design import MixedDesign
from .diagnostic_methods import DiagnosticMethods
from .interval_methods import IntervalMethods
from .mixed_base import MixedModel
from .optimise import Optimum
from .prediction_methods import PredictionMethods
from .problem import Evaluation, Problem
from .selection_methods import SelectionMethods
from .summary_methods import SummaryMethods
from .testing_methods import TestingMethods

if TYPE_CHECKING:
    pass

__all__ = ["MixedFit"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MixedFit(
    SummaryMethods,
    TestingMethods,
    IntervalMethods,
    SelectionMethods,
    BootstrapMethods,
    PredictionMethods,
    DiagnosticMethods,
    MixedModel,
):
    """A fitted linear mixed model. Names, orders and layouts are lme4's.

    ``design``: formula and data as arrays; ``problem``: their statistics; ``reml``: by which criterion it was fitted;
    ``optimum``: where; ``call``: arguments to fit it again; ``messages``: what lme4 would have said.
    """

    design: MixedDesign
    problem: Problem
    reml: bool
    optimum: Optimum
    call: Mapping[str, Any]
    data: Any
    messages: tuple[str, ...]

    # -- the fit ---------------------------------------------------------------------------------------------

    @property
    def evaluation(self) -> Evaluation:
        """The marginal likelihood at the optimum, with everything that follows from it."""
        return self.optimum.evaluation

    @property
    def npar(self) -> int:
        """Number of parameters: coefficients, covariance parameters, sigma."""
        return self.p + len(self.optimum.parameters) + 1

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self.evaluation.sigma

    @property
    def criterion(self) -> float:
        """REML criterion, or the deviance of a maximum likelihood fit, at the optimum."""
        return self.evaluation.criterion

    def criterion_at(self, theta: Any, sigma: float | None = None, reml: bool | None = None) -> float:
        """-2 log (restricted) likelihood at other covariance parameters, beta (and sigma, if not given) at their best.

        ``theta``: as ``m.parameters`` (for unstructured and diagonal covariances lme4's theta); ``reml``: as the fit,
        unless given.
        """
        evaluation = self.evaluation_at(theta, reml)
        return evaluation.criterion if sigma is None else evaluation.deviance(float(sigma))

    def evaluation_at(self, theta: Any, reml: bool | None = None) -> Evaluation:
        """The marginal likelihood at other covariance parameters."""
        values = np.atleast_1d(np.asarray(theta, dtype=np.float64))
        if values.shape != self.parameters.shape or not np.isfinite(values).all():
            raise BayesmlmError(f"theta must be {self.parameters.size} finite numbers, as `m.theta`")
        return self.problem.evaluate(self.problem.scaled(values), self.reml if reml is None else bool(reml))

    def logLik(self, REML: bool | None = None) -> float:  # noqa: N802
        """Log likelihood, restricted for a REML fit; ``REML=False`` gives the likelihood at the REML estimates."""
        reml = self.reml if REML is None else bool(REML)
        if reml == self.reml:
            return -0.5 * self.criterion
        return -0.5 * self.problem.evaluate(self.optimum.parameters, reml).criterion

    def deviance(self, REML: bool | None = None) -> float:
        """-2 logLik; of a REML fit the REML criterion."""
        return -2.0 * self.logLik(REML)

    # -- coefficients and effects ------------------------------------------------------------------------------

    @cached_property
    def beta(self) -> Vector:
        """(p,) population coefficients."""
        return self.evaluation.beta

    def fixef(self, add_dropped: bool = False) -> pd.Series:
        """Population coefficients under R's names; ``add_dropped``: those left out too, as NaN."""
        found = pd.Series(self.beta, index=list(self.design.coefficients), name="Estimate")
        return found.reindex(list(self.design.population.r_names)) if add_dropped else found

    @cached_property
    def covariance(self) -> Matrix:
        """(p, p) covariance of the coefficients, sigma^2 (X'V^-1X)^-1, at the estimated variances."""
        return self.sigma**2 * self.evaluation.vcov_unscaled

    @cached_property
    def b(self) -> list[Matrix]:
        """For each term (J, k): conditional means of the effects."""
        return self.evaluation.effects()

    @cached_property
    def linear_predictor(self) -> Vector:
        """(n,) fitted values on the rows used."""
        eta = self.design.X @ self.beta
        for term, b in zip(self.design.terms, self.b, strict=True):
            eta += np.einsum("nk,nk->n", term.Z, b[term.codes])
        return eta if self.design.offset is None else eta + self.design.offset

    def fitted(self) -> Vector:
        """(n,) fitted values, group effects included; with na_action="exclude" NaN for rows with missing values."""
        return self.padded(self.linear_predictor)

    @property
    def root_weights(self) -> Vector:
        """(n,) square roots of the prior weights, 1 without any."""
        return np.ones(self.n) if self.design.weights is None else np.sqrt(self.design.weights)

    @cached_property
    def pearson(self) -> Vector:
        """(n,) residuals times the roots of the weights, on the rows used."""
        return (self.design.y - self.linear_predictor) * self.root_weights

    def residuals(self, type: str = "response", scaled: bool = False) -> Vector:
        """(n,) residuals: "response" (y - fitted), "pearson" (times the root of the weights); ``scaled``: by sigma."""
        if type not in ("response", "working", "deviance", "pearson"):
            raise BayesmlmError(f'residuals are "response", "pearson", "working" or "deviance", not {type!r}')
        weighted = scaled or type in ("pearson", "deviance")
        values = self.pearson if weighted else self.design.y - self.linear_predictor
        return self.padded(values / self.sigma if scaled else values)

    resid = residuals

    def getME(self, name: str) -> Any:  # noqa: N802
        """Parts of the model under lme4's names (``X``, ``Z``, ``theta``, ``Lambda``, ``u``, ``b``, ``RX``, ...)."""
        from .parts import part

        return part(self, name)

    # -- other fits of the same data ---------------------------------------------------------------------------

    def refit(self, y: Any) -> MixedFit:
        """The same model for another response: (n,) values for the rows used."""
        from .refit import refit

        return refit(self, y)

    def refit_ml(self) -> MixedFit:
        """The maximum likelihood fit of the same model (lme4's ``refitML``)."""
        from .refit import refit_criterion

        return refit_criterion(self, reml=False)

    def update(self, formula: Any = None, data: Any = None, **arguments: Any) -> MixedFit:
        """Fit again; what is not given is taken from this fit. ``formula`` may use ``.`` for the old sides."""
        from .refit import update

        return update(self, formula, data, **arguments)
