"""Residuals, tests of the model and explained variance of a generalised fit: methods of `GeneralisedFit`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    import pandas as pd

    from ..plots.style import Picture
    from .generalised_fit import GeneralisedFit
    from .overdispersion import Overdispersion
    from .simulation_residuals import SimulationResiduals

__all__ = ["GeneralisedDiagnosticMethods"]

Vector = NDArray[np.float64]


class GeneralisedDiagnosticMethods:
    """Residuals, tests of the model and explained variance of a generalised fit."""

    # -- residuals ---------------------------------------------------------------------------------------------

    def residuals(  # type: ignore[misc]
        self: GeneralisedFit, type: str | None = None, scaled: bool = False, seed: int | None = None
    ) -> Vector:
        """(n,) residuals of the rows, of trials of the proportion; group effects are part of the fit.

        Args:
            type: "deviance", signed roots of unit deviances times weights (R's ``dev.resids``); "pearson", y - mean in
                standard deviations (of lme4's Gamma and inverse Gaussian without the dispersion); "working",
                (y - mu) / (d mu / d eta), on the link's scale; "response", y - mean; "quantile", normal quantiles of
                P(Y <= y), for counts of a random point between P(Y < y) and that: standard normal if the model holds
                (Dunn and Smyth 1996, JCGS 5(3)). None: "deviance" as lme4 where the family has a deviance, else
                "response" as glmmTMB.
            scaled: divide by sigma, which is 1 unless the dispersion is plugged in. Quantile residuals have a scale.
            seed: makes the random points of quantile residuals repeatable.

        Returns:
            (n,) array; with na_action="exclude" NaN for rows with missing values.

        Raises:
            BayesmlmError: for an unknown type, or one that the family does not have.
        """
        return self.padded(self.residual_values(type, scaled, seed))

    resid = residuals

    def residual_values(  # type: ignore[misc]
        self: GeneralisedFit, type: str | None = None, scaled: bool = False, seed: int | None = None
    ) -> Vector:
        """`residuals` of the rows used alone, whatever the na_action."""
        from .generalised_residuals import residuals

        return residuals(self, type, scaled, seed)

    def simulation_residuals(  # type: ignore[misc]
        self: GeneralisedFit,
        nsim: int = 250,
        seed: int | None = None,
        use_u: bool = False,
        re_formula: Any = "NA",
    ) -> SimulationResiduals:
        """Residuals as the share of simulated responses below the observed one, uniform if the model holds (as R's
        DHARMa), with tests of uniformity, dispersion, outliers and, for counts, zeros.

        ``nsim``: number of simulations; ``seed``: makes them repeatable; ``use_u``, ``re_formula``: which effects keep
        their estimates, as in `simulate`: by default all are drawn anew, so that residuals and tests are about the
        whole model. ``print`` shows the tests in words, ``.plot()`` a quantile plot and residuals against fitted
        values.
        """
        from .simulation_residuals import simulation_residuals

        return simulation_residuals(self, nsim, seed, use_u, re_formula)

    # -- tests and measures --------------------------------------------------------------------------------------

    def overdispersion(  # type: ignore[misc]
        self: GeneralisedFit,
        method: str = "pearson",
        nsim: int = 250,
        seed: int | None = None,
        use_u: bool = False,
    ) -> Overdispersion:
        """Does the response scatter more about the fitted values than its family says?

        ``method``: "pearson", the sum of squared Pearson residuals over the residual degrees of freedom (n - npar) with
        a chi-square test, as ``performance::check_overdispersion`` and Bolker's GLMM FAQ (approximate, and careful
        where counts are small); "simulation", the variance about the expected response against that of ``nsim``
        simulations, with effects drawn anew or, ``use_u``, as estimated (more powerful where effects vary much, but
        these have followed the data). The result has ``ratio``, ``p_value`` and ``advice`` in words.

        Raises `BayesmlmError` where the first has no meaning: single trials, and families whose dispersion is
        estimated.
        """
        from .overdispersion import overdispersion

        return overdispersion(self, method, nsim, seed, use_u)

    def rmse(self: GeneralisedFit) -> float:  # type: ignore[misc]
        """Root mean square of the response residuals, of trials of the proportion (group effects included)."""
        return float(np.sqrt(np.mean(self.residual_values("response") ** 2)))

    def r2(self: GeneralisedFit, per_trial: bool = False) -> pd.DataFrame:  # type: ignore[misc]
        """R2m, what the population coefficients explain, and R2c, what they and the group effects explain, on the
        scale of the link: Nakagawa, Johnson and Schielzeth (2017), as ``MuMIn::r.squaredGLMM``.

        Rows are approximations of the variance that the response distribution adds: "theoretical" (latent variable)
        and "delta" for binomial responses with logit, probit or cloglog; "delta", "lognormal" and "trigamma" for
        Poisson, negbinomial, nbinom1, geometric and Gamma with log; "delta" for Poisson with sqrt. All but theirs of
        Gamma, "theoretical" and sqrt need the mean of the model without predictors (`null_model`).

        ``per_trial``: for successes out of trials the variance of a single trial, as ``performance::r2_nakagawa``;
        MuMIn's is that of a row, divided by the mean number of trials. A singular fit is said to be one. Raises
        `BayesmlmError` for other families and links, and for a dispersion with a formula.
        """
        from .generalised_r_squared import r_squared

        return r_squared(self, per_trial)

    def icc(  # type: ignore[misc]
        self: GeneralisedFit, by_group: bool = False, per_trial: bool = False
    ) -> pd.DataFrame:
        """Intraclass correlations on the scale of the link, rows as in `r2`: ICC_adjusted (of the variance that the
        population coefficients leave) and ICC_unadjusted (of all variance); ``by_group``: for each grouping factor its
        share of the former. ``per_trial`` and errors as `r2`."""
        from .generalised_r_squared import icc, icc_by_group

        return icc_by_group(self, per_trial) if by_group else icc(self, per_trial)

    @cached_property
    def null_model(self: GeneralisedFit) -> GeneralisedFit:  # type: ignore[misc]
        """The model of the same data with an intercept instead of mu's population columns and offsets."""
        from .generalised_r_squared import null_model

        return null_model(self)

    def performance(self: GeneralisedFit) -> pd.Series:  # type: ignore[misc]
        """AIC, BIC, R2 (conditional and marginal), ICC (adjusted), RMSE and Sigma in one row.

        R2 and ICC are the "theoretical" ones of binomial responses and else the "lognormal" ones ("delta" with the
        link sqrt); they are left out where `r2` is not defined.
        """
        import pandas as pd

        from .generalised_r_squared import has_r_squared

        values = {"AIC": self.AIC(), "BIC": self.BIC()}
        if has_r_squared(self):
            r2, icc = self.r2().to_dict("index"), self.icc().to_dict("index")
            row = next(name for name in ("theoretical", "lognormal", "delta") if name in r2)
            values |= {"R2_conditional": r2[row]["R2c"], "R2_marginal": r2[row]["R2m"]}
            values["ICC"] = icc[row]["ICC_adjusted"]
        values |= {"RMSE": self.rmse(), "Sigma": self.sigma}
        return pd.Series(values, dtype=float)

    # -- leverage and influence ----------------------------------------------------------------------------------

    def hatvalues(self: GeneralisedFit) -> Vector:  # type: ignore[misc]
        """(n,) leverage at the weights of the last iteration and fixed covariance parameters; their sum is the
        effective number of effects.

        lme4 (1.1-31) multiplies by the prior weights instead of the iteration's, and warns. Raises `BayesmlmError` for
        a model with several linear predictors.
        """
        from .generalised_leverage import hat_values

        return self.padded(hat_values(self))

    def rstandard(self: GeneralisedFit) -> Vector:  # type: ignore[misc]
        """(n,) Pearson residuals over sigma sqrt(1 - leverage). Raises as `hatvalues`, and for a row of leverage 1."""
        from .generalised_leverage import standardised_residuals

        return self.padded(standardised_residuals(self))

    def rstudent(self: GeneralisedFit) -> Vector:  # type: ignore[misc]
        """(n,) lme4's: deviance residuals with the leverage's share of the Pearson residual. Raises as `rstandard`."""
        from .generalised_leverage import studentised_residuals

        return self.padded(studentised_residuals(self))

    def cooks_distance(self: GeneralisedFit) -> Vector:  # type: ignore[misc]
        """(n,) Cook's distances of the rows by one step from the fit, lme4's formula. Raises as `rstandard`."""
        from .generalised_leverage import cooks_distance

        return self.padded(cooks_distance(self))

    def influence(self: GeneralisedFit, groups: str | None = None) -> None:  # type: ignore[misc]
        """Not available for generalised models: raises `BayesmlmError` that says what to do instead."""
        without = "a row" if groups is None else f"a level of `{groups}`"
        raise BayesmlmError(
            f"influence() fits the model again without {without} in turn, which is available for lmer() alone; "
            "update(subset=...) fits without chosen rows, and cooks_distance() is a one-step approximation"
        )

    # -- plots -----------------------------------------------------------------------------------------------------

    def plot_residuals(self: GeneralisedFit, by: str | None = None) -> Picture:  # type: ignore[misc]
        """Pearson residuals in units of sigma against fitted values on the response scale, with a running mean (lme4's
        ``plot``); ``by``: one panel for each level of a grouping factor (at most 36). Raises `BayesmlmError` for an
        unknown factor. `simulation_residuals` has a picture that serves sparse counts and 0/1 responses too."""
        from ..plots.mixed_residuals import residual_panels

        fitted = self.problem.kernel.mean(self.evaluation.mode.eta)
        pearson = self.residual_values("pearson", scaled=True)
        return residual_panels(fitted, pearson, self.design.all_terms, by, "Pearson residuals")

    def qqmath(  # type: ignore[misc]
        self: GeneralisedFit,
        group: str | None = None,
        level: float = 0.95,
        part: str = "mu",
        seed: int | None = None,
    ) -> Picture:
        """Normal quantile plot of randomised quantile residuals (``seed`` makes them repeatable), or of the effects of
        a factor in ``part`` with intervals of ``level``. Raises `BayesmlmError` for an unknown factor or part."""
        from ..plots.mixed_effects import plot_effect_quantiles
        from ..plots.mixed_residuals import plot_normal_quantiles

        if group is not None:
            return plot_effect_quantiles(self, group, level, part)
        return plot_normal_quantiles(self.residual_values("quantile", seed=seed), "Quantile residuals")

    def caterpillar(  # type: ignore[misc]
        self: GeneralisedFit,
        group: str | None = None,
        level: float = 0.95,
        sort: bool = True,
        part: str = "mu",
    ) -> Picture:
        """A factor's effects in ``part`` in order of size, on the link's scale, with intervals of conditional standard
        deviations.

        ``group``: a grouping factor (default: the part's first); ``level``: probability of the intervals; ``sort``:
        each panel by its own effects, else in order of the levels. Raises `BayesmlmError` for an unknown factor or
        part.
        """
        from ..plots.mixed_effects import plot_caterpillar

        return plot_caterpillar(self, group, level, sort, part)
