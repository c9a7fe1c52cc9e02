"""Influence, residuals and explained variance of a fit: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ..plots.style import Picture
    from .all_fit import AllFit, Convergence
    from .fit import MixedFit
    from .influence import Influence

__all__ = ["DiagnosticMethods"]

Vector = NDArray[np.float64]


class DiagnosticMethods:
    """Influence, residuals and explained variance of a fit."""

    def r2(self: MixedFit) -> pd.Series:  # type: ignore[misc]
        """R2m, what the population coefficients explain, and R2c, what they and the group effects explain.

        Nakagawa and Schielzeth (2013) with Johnson's (2014) mean variance for random slopes, as
        ``MuMIn::r.squaredGLMM``: variance of X beta (denominator n - 1), mean over the rows of the effects'
        variance, sigma^2. A singular fit is said to be one; a variance of zero counts as zero.
        """
        from .r_squared import r_squared

        return r_squared(self)

    def icc(self: MixedFit, by_group: bool = False) -> pd.Series:  # type: ignore[misc]
        """Intraclass correlations: ICC_adjusted (of the variance the population coefficients leave) and
        ICC_unadjusted (of all variance); ``by_group``: for each grouping factor its share of the former."""
        from .r_squared import icc, icc_by_group

        return icc_by_group(self) if by_group else icc(self)

    def rmse(self: MixedFit) -> float:  # type: ignore[misc]
        """Root mean square of the residuals (group effects included)."""
        from .r_squared import rmse

        return rmse(self)

    def performance(self: MixedFit) -> pd.Series:  # type: ignore[misc]
        """AIC, BIC, R2 (conditional and marginal), ICC (adjusted), RMSE and Sigma in one row.

        AIC and BIC are of the criterion the model was fitted by.
        """
        import pandas as pd

        r2 = self.r2()
        values = {"AIC": self.AIC(), "BIC": self.BIC(), "R2_conditional": r2["R2c"], "R2_marginal": r2["R2m"]}
        values |= {"ICC": self.icc()["ICC_adjusted"], "RMSE": self.rmse(), "Sigma": self.sigma}
        return pd.Series(values, dtype=float)

    def hatvalues(self: MixedFit) -> Vector:  # type: ignore[misc]
        """(n,) leverage, d fitted / d y at the estimated variances; their sum is the effective number of effects."""
        from .influence import hat_values

        return self.padded(hat_values(self))

    def rstandard(self: MixedFit) -> Vector:  # type: ignore[misc]
        """(n,) Pearson residuals over sigma sqrt(1 - leverage). Raises `BayesmlmError` for a row of leverage 1."""
        from .influence import standardised_residuals

        return self.padded(standardised_residuals(self))

    rstudent = rstandard
    """lme4's ``rstudent`` does not estimate sigma again either, so for linear mixed models the two are the same."""

    def cooks_distance(self: MixedFit) -> Vector:  # type: ignore[misc]
        """(n,) Cook's distances of the rows, the variances held at their estimates. Raises as `rstandard`."""
        from .influence import cooks_distance

        return self.padded(cooks_distance(self))

    def influence(self: MixedFit, groups: str | None = None) -> Influence:  # type: ignore[misc]
        """Fit the model without each row, or without each level of ``groups``, in turn; variances are estimated anew.

        ``groups``: a grouping factor of the model or a column of its data. The result has ``fixef``, ``var_cov``,
        ``dfbeta()``, ``dfbetas()`` and ``cooks_distance()``, one row for each deletion. Raises `BayesmlmError` for an
        unknown name, `DataError` when a grouping factor has no second level without some rows.
        """
        from .influence import influence

        return influence(self, groups)

    def all_fit(  # type: ignore[misc]
        self: MixedFit, optimizers: Sequence[str] | None = None, from_optimum: bool = False
    ) -> AllFit:
        """Fit the model with several optimisers and compare where they end (lme4's ``allFit``).

        ``optimizers``: some of "L-BFGS-B", "Nelder-Mead", "Powell", "COBYQA", "trust-constr", "SLSQP", "TNC"
        (default: all); ``from_optimum``: start where this fit ended instead of at unit standard deviations. Raises
        `BayesmlmError` for an unknown name.
        """
        from .all_fit import all_fit

        return all_fit(self, optimizers, from_optimum)

    def convergence(self: MixedFit) -> Convergence:  # type: ignore[misc]
        """lme4's checks of an optimum: gradient and Hessian of the criterion, in numbers and in words."""
        from .all_fit import check_convergence

        return check_convergence(self)

    def plot_residuals(self: MixedFit, by: str | None = None) -> Picture:  # type: ignore[misc]
        """Scaled residuals against fitted values with a running mean; ``by``: one panel for each grouping factor's
        level instead of one for all (at most 36 levels). Raises `BayesmlmError` for an unknown factor."""
        from ..plots.mixed_residuals import plot_residuals

        return plot_residuals(self, by)

    def qqmath(self: MixedFit, group: str | None = None, level: float = 0.95) -> Picture:  # type: ignore[misc]
        """Normal quantile plot of the scaled residuals, or of a factor's effects with intervals of ``level``.

        Raises `BayesmlmError` for an unknown factor.
        """
        from ..plots.mixed_effects import plot_effect_quantiles
        from ..plots.mixed_residuals import plot_quantiles

        return plot_quantiles(self) if group is None else plot_effect_quantiles(self, group, level)

    def caterpillar(  # type: ignore[misc]
        self: MixedFit, group: str | None = None, level: float = 0.95, sort: bool = True
    ) -> Picture:
        """A factor's effects in order of size, with intervals of conditional standard deviations.

        ``group``: a grouping factor (default: the first); ``level``: probability of the intervals; ``sort``: each
        panel by its own effects, else in order of the levels. Raises `BayesmlmError` for an unknown factor.
        """
        from ..plots.mixed_effects import plot_caterpillar

        return plot_caterpillar(self, group, level, sort)
