"""`GeneralisedFit`: a generalised mixed model fitted by Laplace's approximation or by quadrature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.links import LINKS
from .generalised_bootstrap_methods import GeneralisedBootstrapMethods
from .generalised_design import GeneralisedDesign, ParameterDesign
from .generalised_diagnostic_methods import GeneralisedDiagnosticMethods
from .generalised_hessian import Curvature, curvature
from .generalised_interval_methods import GeneralisedIntervalMethods
from .generalised_prediction_methods import GeneralisedPredictionMethods
from .generalised_problem import GeneralisedEvaluation, GeneralisedProblem
from .generalised_refit_methods import GeneralisedRefitMethods
from .generalised_table_methods import GeneralisedTableMethods
from .mixed_base import MixedModel
from .optimise import Optimum

if TYPE_CHECKING:
    from ..families.base import Family

__all__ = ["GeneralisedFit"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class GeneralisedFit(
    GeneralisedTableMethods,
    GeneralisedPredictionMethods,
    GeneralisedDiagnosticMethods,
    GeneralisedIntervalMethods,
    GeneralisedBootstrapMethods,
    GeneralisedRefitMethods,
    MixedModel,
):
    """A fitted generalised mixed model. Names, orders and layouts are lme4's, of further parts glmmTMB's.

    ``design``: formulas and data as arrays; ``problem``: the approximated likelihood; ``nodes``: lme4's ``nAGQ``;
    ``definition``: the information in Laplace's determinant, "fisher" (lme4) or "observed" (glmmTMB); ``optimum``:
    where; ``metric``: (m, m) directions in which the criterion has about unit curvature; ``call``: arguments to fit
    it again; ``messages``: what lme4 would have said.
    """

    design: GeneralisedDesign
    problem: GeneralisedProblem
    nodes: int
    definition: str
    optimum: Optimum
    metric: Matrix
    call: Mapping[str, Any]
    data: Any
    messages: tuple[str, ...]

    # -- the fit ---------------------------------------------------------------------------------------------

    @property
    def family(self) -> Family:
        """The response distribution with its links."""
        return self.design.family

    @property
    def evaluation(self) -> GeneralisedEvaluation:
        """The approximated likelihood at the optimum, with everything that follows from it."""
        return self.optimum.evaluation

    @property
    def has_scale(self) -> bool:
        """Whether the dispersion is plugged in from the residuals (lme4's Gamma and inverse Gaussian)."""
        return len(self.parts) < 1 + len(self.design.parameters)

    @property
    def npar(self) -> int:
        """Number of parameters: coefficients of all parts, covariance parameters, a dispersion that is plugged in."""
        return self.problem.p + self.problem.covariance_count + int(self.has_scale)

    @property
    def parts(self) -> tuple[str, ...]:
        """The distributional parameters that have a linear predictor or are estimated as constants, mu first."""
        return self.problem.kernel.parameters

    def part(self, name: str) -> GeneralisedDesign | ParameterDesign:
        """The design of a distributional parameter. Raises `BayesmlmError` for one the model does not estimate."""
        if name not in self.parts:
            raise BayesmlmError(
                f"the model estimates no `{name}`; its family's parameters are {', '.join(self.parts)}"
            )
        if name == "mu":
            return self.design
        return next(parameter for parameter in self.design.parameters if parameter.name == name)

    @property
    def part_slices(self) -> dict[str, slice]:
        """Where each part's coefficients are among all (P,)."""
        return dict(zip(self.parts, self.problem.rows.slices, strict=True))

    @property
    def coefficient_names(self) -> list[tuple[str, str]]:
        """Of all P coefficients the part and R's name."""
        return [(part, name) for part in self.parts for name in self.part(part).coefficients]

    @cached_property
    def sigma(self) -> float:
        """1; where the dispersion is plugged in its root, lme4's sqrt of (Pearson residuals' squares + |u|^2) / n."""
        if not self.has_scale:
            return 1.0
        mode, kernel = self.evaluation.mode, self.problem.kernel
        pearson = (self.design.y - kernel.mean(mode.eta)) ** 2 / kernel.variance(mode.eta)
        return float(np.sqrt((pearson.sum() + mode.penalty) / self.n))

    @property
    def constants(self) -> dict[str, float]:
        """Distributional parameters that are one constant, on their own scale (``shape``, ``sigma``, ``zi``, ...)."""
        found = {}
        for name, at in self.part_slices.items():
            part = self.part(name)
            if isinstance(part, ParameterDesign) and not part.predicted and part.fixed is None:
                found[name] = float(LINKS[part.link].inverse(self.beta_all[at][0]))
        return found

    @property
    def criterion(self) -> float:
        """-2 log likelihood at the optimum."""
        return self.evaluation.criterion

    def evaluation_at(self, theta: Any, beta: Any = None) -> GeneralisedEvaluation:
        """The approximated likelihood at other parameters: ``theta`` as ``m.parameters``, ``beta`` (P,) coefficients
        of all parts (by default the estimates; not used where they are found with the effects, ``nAGQ = 0``)."""
        values = np.atleast_1d(np.asarray(theta, dtype=np.float64))
        coefficients = self.beta_all if beta is None else np.asarray(beta, dtype=np.float64)
        if values.shape != self.parameters.shape or coefficients.shape != self.beta_all.shape:
            raise BayesmlmError(
                f"theta must be {self.parameters.size} numbers, as `m.parameters`, and beta {self.beta_all.size}"
            )
        if not (np.isfinite(values).all() and np.isfinite(coefficients).all()):
            raise BayesmlmError("theta and beta must be finite numbers")
        where = self.problem.scaled(values)
        if self.nodes:
            where = np.append(where, self.problem.rotated(coefficients))
        return self.problem.evaluate(where)

    def logLik(self) -> float:  # noqa: N802
        """Log likelihood, constants of the family included (lme4 leaves them out where nAGQ > 1)."""
        return -0.5 * self.criterion

    # -- coefficients and effects ------------------------------------------------------------------------------

    @cached_property
    def beta_all(self) -> Vector:
        """(P,) coefficients of all parts, on the scales of their links."""
        return self.evaluation.beta

    @property
    def beta(self) -> Vector:
        """(p,) coefficients of mu, on the link scale."""
        return self.beta_all[self.part_slices["mu"]]

    def fixef(self, part: str = "mu", add_dropped: bool = False) -> pd.Series:
        """Population coefficients of a part under R's names; ``add_dropped``: those left out too, as NaN."""
        design = self.part(part)
        found = pd.Series(
            self.beta_all[self.part_slices[part]], index=list(design.coefficients), name="Estimate"
        )
        if not add_dropped or design.population is None:
            return found
        return found.reindex(list(design.population.r_names))

    @cached_property
    def curvature(self) -> Curvature:
        """Second derivatives of the criterion at the optimum, from differences of its exact gradient."""
        return curvature(self)

    @cached_property
    def covariance_all(self) -> Matrix:
        """(P, P) covariance of all coefficients: from the Hessian by all parameters, as lme4 and glmmTMB; given the
        covariance parameters where the Hessian does not serve (`curvature` says so) or ``nAGQ = 0``."""
        found = self.curvature.coefficient_covariance if self.nodes else None
        return self.evaluation.vcov_RX * self.sigma**2 if found is None else found

    @property
    def covariance(self) -> Matrix:
        """(p, p) covariance of the coefficients of mu."""
        at = self.part_slices["mu"]
        return self.covariance_all[at, at]

    @cached_property
    def b(self) -> list[Matrix]:
        """For each of ``design.all_terms`` (J, k): conditional modes of the effects, on the scale of the link."""
        return self.evaluation.effects()

    @property
    def linear_predictor(self) -> Vector:
        """(n,) linear predictor of mu on the rows used, effects and offset included."""
        return self.evaluation.mode.eta[0]

    def fitted(self) -> Vector:
        """(n,) E(y) of the rows, effects included (of trials the proportion); with na_action="exclude" NaN for rows
        with missing values."""
        return self.padded(self.problem.kernel.mean(self.evaluation.mode.eta))

    # -- other fits of the same data ---------------------------------------------------------------------------

    def update(self, formula: Any = None, data: Any = None, **arguments: Any) -> Any:
        """Fit again; what is not given is taken from this fit. ``formula`` may use ``.`` for the old sides."""
        from ..formula.update import update_formula
        from .glmer import glmer

        new: Any = self.design.bayes_formula
        if formula is not None:
            new = update_formula(new, formula)
        return glmer(new, self.data if data is None else data, **{**self.call, **arguments})
