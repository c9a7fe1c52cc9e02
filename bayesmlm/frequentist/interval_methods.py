"""Profiles and intervals of a fit: methods of `MixedFit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit
    from .profile import Profile

__all__ = ["IntervalMethods"]


class IntervalMethods:
    """Profiles and intervals of a fit."""

    def confint(  # type: ignore[misc]
        self: MixedFit,
        method: str = "profile",
        parm: Any = None,
        level: float = 0.95,
        *,
        old_names: bool = True,
        nsim: int = 500,
        boot_type: str = "perc",
        seed: int | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Confidence intervals, as lme4's ``confint``.

        Rows are the parameters: standard deviations and correlations of the group effects (``.sig01``, ... in lme4's
        order), ``.sigma``, coefficients. Columns are ``2.5 %`` and ``97.5 %`` (for ``level=0.95``).

        Args:
            method: "profile": where the likelihood, maximised over all other parameters, falls below its maximum by
                what chi-square allows; of a REML fit the profile of its maximum likelihood refit, as in lme4. Where it
                does not fall that far before a bound, the limit is the bound: 0 of a standard deviation, -1 or 1 of a
                correlation. "wald": estimate plus or minus normal quantiles times standard error; coefficients only,
                the others are NaN (printed NA), as in lme4: their estimates are not normal. "boot": of ``nsim``
                parametric bootstrap samples.
            parm: names of parameters, "theta_" (all of the covariances) or "beta_" (all coefficients).
            level: coverage.
            old_names: False names ``sd_(Intercept)|g``, ``cor_x.(Intercept)|g`` and ``sigma`` instead.
            nsim, boot_type, seed: of the bootstrap: samples, "perc", "basic" or "norm", and random seed; ``options``
                go to `bootstrap`.

        Raises:
            BayesmlmError: for unknown methods and parameters, and a level outside (0, 1).
        """
        from .confint import confint

        return confint(self, method, parm, level, old_names, nsim, boot_type, seed, **options)

    def profile(  # type: ignore[misc]
        self: MixedFit, which: Any = None, alphamax: float = 0.01, old_names: bool = True
    ) -> Profile:
        """Likelihood profiles: zeta, the signed root of the rise in deviance, with one parameter held at values away
        from its estimate and all others at their best (lme4's ``profile``; scales are standard deviations and
        correlations). Of a REML fit it is the profile of the maximum likelihood refit.

        ``which``: names of parameters, "theta_" or "beta_"; ``alphamax``: how far out: to the root of the
        chi-square quantile at ``1 - alphamax``, with as many degrees of freedom as there are parameters.
        Returns a `Profile` with ``plot()``, ``confint()`` and ``to_frame()``.
        """
        from .profile import profile

        return profile(self, which, alphamax, old_names)
