"""What linear and generalised mixed models have in common, whatever they were fitted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .covariance_parameters import CovarianceParameters
from .design import MixedDesign

if TYPE_CHECKING:
    from ..formula import Formula

__all__ = ["MixedModel", "with_gaps"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class MixedModel:
    """``design``, ``problem``, ``optimum`` and ``npar`` are those of the kind of fit."""

    if TYPE_CHECKING:
        design: Any
        problem: Any
        optimum: Any

        @property
        def npar(self) -> int:
            """Number of parameters."""
            ...

        @property
        def criterion(self) -> float:
            """-2 log likelihood, restricted or not, at the optimum."""
            ...

        def logLik(self) -> float:  # noqa: N802
            """Log likelihood."""
            ...

    @property
    def formula(self) -> Formula:
        """The model formula, of mu where there are several."""
        return cast(MixedDesign, self.design).formula

    @property
    def n(self) -> int:
        """Number of rows used."""
        return cast(MixedDesign, self.design).n

    nobs = n

    @property
    def p(self) -> int:
        """Number of population coefficients that were estimated, of mu where there are several parts."""
        return len(self.design.kept)

    @property
    def df_residual(self) -> int:
        """n - npar."""
        return self.n - self.npar

    @property
    def ngrps(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        terms = getattr(self.design, "all_terms", self.design.terms)
        return {t.group: len(t.levels) for t in terms}

    @property
    def _covariance_parameters(self) -> Vector:
        """Covariance parameters on the scaled columns."""
        found: Vector = self.optimum.parameters[: len(self._covariances.start)]
        return found

    @property
    def _covariances(self) -> CovarianceParameters:
        return cast(CovarianceParameters, self.problem)

    @property
    def parameters(self) -> Vector:
        """Covariance parameters on the scale of the user's columns, relative to sigma, term by term."""
        return self._covariances.unscaled(self._covariance_parameters)

    @property
    def theta(self) -> Vector:
        """lme4's theta: entries of the relative Cholesky factors, by columns, terms by decreasing number of levels."""
        parts = zip(self._covariances.covariances, self._covariances.slices, strict=True)
        return np.concatenate([c.theta(self.parameters[at]) for c, at in parts])

    @property
    def templates(self) -> list[Matrix]:
        """For each term its relative factor T (k, k): Var(b) = sigma^2 T T'."""
        return self._covariances.templates(self._covariance_parameters)

    @property
    def is_singular(self) -> bool:
        """Whether the fit is on the boundary of the covariance parameters (lme4's ``isSingular``, tolerance 1e-4)."""
        from .lmer import is_singular

        return is_singular(self._covariances, self._covariance_parameters)

    def AIC(self) -> float:  # noqa: N802
        """-2 logLik + 2 npar."""
        return -2.0 * self.logLik() + 2.0 * self.npar

    def BIC(self) -> float:  # noqa: N802
        """-2 logLik + npar log n."""
        return -2.0 * self.logLik() + self.npar * float(np.log(self.n))

    def padded(self, values: Vector) -> Vector:
        """Values of the rows used, with NaN for rows that na_action="exclude" keeps a place for."""
        return with_gaps(values, self.design.used) if self.design.na_action == "exclude" else values


def with_gaps(values: Vector, used: NDArray[np.bool_]) -> Vector:
    """Values of the rows ``used`` (N,), NaN in the places of the others."""
    if used.all():
        return values
    out = np.full(len(used), np.nan)
    out[used] = values
    return out
