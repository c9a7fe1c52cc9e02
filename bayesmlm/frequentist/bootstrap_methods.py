"""Bootstrap and simulation-based tests of a fit: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bootstrap import Bootstrap
    from .fit import MixedFit

__all__ = ["BootstrapMethods"]


class BootstrapMethods:
    """Bootstrap and simulation-based tests of a fit."""

    def bootstrap(  # type: ignore[misc]
        self: MixedFit,
        fn: Callable[[MixedFit], Any] | None = None,
        nsim: int = 1999,
        kind: str = "parametric",
        seed: int | None = None,
        use_u: bool = False,
        re_formula: Any = "NA",
        group: str | None = None,
        lv1_resample: bool = False,
        reb_scale: bool = False,
        progress: bool = False,
    ) -> Bootstrap:
        """Statistics of this fit and of refits to ``nsim`` data sets drawn or resampled from it.

        Args:
            fn: from a fit to a number, array, Series or dict: ``lambda m: m.fixef()``. Default: coefficients,
                standard deviations, correlations, sigma.
            nsim: number of replicates.
            kind: what is drawn anew.

                - "parametric": effects and residuals from their normal distributions (lme4's ``bootMer``)
                - "semiparametric": residuals resampled around the fitted values, effects kept
                - "residual": resampled effects, inflated to the estimated covariance, and residuals over
                  sqrt(1 - leverage): bootmlm's residual bootstrap (Lai 2021)
                - "residual_cgr": both centred and transformed to the estimated covariance in the sample (Carpenter,
                  Goldstein and Rasbash 2003)
                - "residual_trans": marginal residuals made uncorrelated, resampled, correlated again
                - "reb": random effect blocks (Chambers and Chandra 2013), for one grouping factor
                - "case": whole groups, with their rows as they are
            seed: makes the replicates repeatable; replicate i is the same whatever ``nsim`` is.
            use_u: parametric: keep the estimated effects (``re_formula=None``).
            re_formula: parametric: effects that are kept, as in `predict`; default none.
            group: case and bca intervals: the grouping factor whose levels are the units; default the one in which
                all others are nested.
            lv1_resample: case: resample rows within the groups too.
            reb_scale: reb: centre the blocks' residuals and scale them to the estimated covariances (REB/1).
            progress: say how far it is.

        Returns:
            `Bootstrap`: ``.summary()``, ``.confint()``, ``.bias_corrected``, ``.plot()``; print it for R's table.
            Refits that fail are left out, counted and warned about; singular ones are counted.
        """
        from .bootstrap import bootstrap
        from .resampling import Options

        options = Options(None if use_u else re_formula, group, lv1_resample, reb_scale)
        return bootstrap(self, fn, nsim, kind=kind, seed=seed, options=options, progress=progress)
