"""Profiles and intervals of a generalised fit: methods of `GeneralisedFit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .generalised_fit import GeneralisedFit
    from .profile import Profile

__all__ = ["GeneralisedIntervalMethods"]


class GeneralisedIntervalMethods:
    """Profiles and intervals of a generalised fit."""

    def confint(  # type: ignore[misc]
        self: GeneralisedFit,
        method: str = "profile",
        parm: Any = None,
        level: float = 0.95,
        *,
        old_names: bool = True,
        parts: Any = None,
        nsim: int = 500,
        boot_type: str = "perc",
        seed: int | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Confidence intervals, as lme4's ``confint``.

        Rows are the parameters: standard deviations and correlations of the group effects (``.sig01``, ... in lme4's
        order, those of mu first), the coefficients of mu on the scale of the link, those of further parts under
        brms's names (``zi_Intercept``, ``zi_x``; scale of their link), constants such as ``shape`` on their own
        scale, and ``.sigma`` where the dispersion is plugged in (Gamma and inverse Gaussian as in lme4).

        Args:
            method: "profile": where the likelihood, maximised over all other parameters, falls below its maximum by
                what chi-square allows. Where it does not fall that far before a bound, the limit is the bound: 0 of a
                standard deviation, -1 or 1 of a correlation; where it never does (separated responses), it is NaN,
                and a note below the table says so. "wald": estimate plus or minus normal quantiles times standard
                error; of covariance parameters NaN (printed NA), as in lme4; of constants on their link's scale.
                "boot": of ``nsim`` parametric bootstrap samples.
            parm: names of parameters, "theta_" (all of the covariances) or "beta_" (all coefficients, and constants).
            level: coverage.
            old_names: False names ``sd_(Intercept)|g``, ``cor_x.(Intercept)|g`` instead.
            parts: distributional parameters whose rows are wanted, ``"mu"`` or ``["mu", "zi"]``; default all.
            nsim, boot_type, seed: of the bootstrap: samples, "perc", "basic" or "norm", and random seed; ``options``
                go to `bootstrap`.

        Raises:
            BayesmlmError: for unknown methods, parameters and parts, a level outside (0, 1), and for the profile of a
            model whose dispersion is plugged in, or with ``nAGQ=0``.
        """
        from .generalised_confint import confint

        return confint(self, method, parm, level, old_names, parts, nsim, boot_type, seed, **options)

    def profile(  # type: ignore[misc]
        self: GeneralisedFit, which: Any = None, alphamax: float = 0.01, old_names: bool = True
    ) -> Profile:
        """Likelihood profiles: zeta, the signed root of the rise in -2 log likelihood, with one parameter held at
        values away from its estimate and all others, the coefficients too, at their best (lme4's ``profile``; scales
        are standard deviations and correlations). The likelihood is the fit's own: Laplace's or by quadrature.

        ``which``: names of parameters as `confint` has them, "theta_" or "beta_"; ``alphamax``: how far out: to the
        root of the chi-square quantile at ``1 - alphamax``, with as many degrees of freedom as there are parameters.
        Constants (``shape``) are profiled on the scale of their link and shown on their own.
        Returns a `Profile` with ``plot()``, ``confint()`` and ``to_frame()``. Raises `BayesmlmError` for unknown
        parameters and as `confint`.
        """
        from .generalised_profile import profile

        return profile(self, which, alphamax, old_names)
