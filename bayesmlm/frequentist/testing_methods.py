"""Tests of a fit: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit
    from .kenward_roger import KenwardRoger
    from .ls_means import LeastSquaresMeans
    from .satterthwaite import Satterthwaite

__all__ = ["TestingMethods"]


class TestingMethods:
    """Tests of a fit.

    ``ddf`` throughout: where degrees of freedom come from. "satterthwaite" (Kuznetsova et al. 2017, JSS 82(13));
    "kenward-roger" (1997, Biometrics 53; a REML fit), which adjusts standard errors too; "residual": n - p;
    "asymptotic": infinite.
    """

    @cached_property
    def satterthwaite(self: MixedFit) -> Satterthwaite:  # type: ignore[misc]
        """What Satterthwaite's degrees of freedom are made of: slopes of Var(beta), spread of the variances."""
        from .satterthwaite import satterthwaite

        return satterthwaite(self)

    @cached_property
    def kenward_roger(self: MixedFit) -> KenwardRoger:  # type: ignore[misc]
        """Kenward and Roger's adjusted covariance with what its degrees of freedom are made of. Raises
        `BayesmlmError` for a maximum likelihood fit, and for crossed factors with too many levels."""
        from .kenward_roger import kenward_roger

        return kenward_roger(self)

    def vcov(self: MixedFit, adjusted: bool = False) -> pd.DataFrame:  # type: ignore[misc]
        """(p, p) covariance of the population coefficients; ``adjusted``: for small samples, by Kenward and Roger
        (pbkrtest's ``vcovAdj``). Raises `BayesmlmError` as `kenward_roger`."""
        import pandas as pd

        names = list(self.design.coefficients)
        values = self.kenward_roger.covariance if adjusted else self.covariance
        return pd.DataFrame(values, index=names, columns=names)

    def coef_table(self: MixedFit, ddf: str = "satterthwaite") -> pd.DataFrame:  # type: ignore[misc]
        """Population coefficients with t tests: Estimate, Std. Error, df, t value, Pr(>|t|).

        ``ddf="lme4"``: without df and p values. Raises `BayesmlmError` for an unknown ``ddf``, and for
        Kenward-Roger on a maximum likelihood fit.
        """
        from .fixed_tests import coefficient_table

        return coefficient_table(self, ddf)

    def contest(  # type: ignore[misc]
        self: MixedFit,
        L: Any,
        joint: bool = True,
        ddf: str = "satterthwaite",
        rhs: Any = 0.0,
        confint: bool = True,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Test contrasts L beta = rhs of the population coefficients.

        ``L``: weights of the coefficients, an array (p,) or (m, p) in the order of `fixef`, a dict
        ``{"x": 1, "z": -1}`` or a list of these, or a DataFrame with coefficients as columns. ``rhs``: one number
        or m. ``joint``: one F test of all rows (Sum Sq, Mean Sq, NumDF, DenDF, F value, Pr(>F)); else a t test of
        each (Estimate, Std. Error, df, t value, Pr(>|t|), with ``confint`` also lower and upper at ``level``).
        Raises `BayesmlmError` for contrasts that do not fit the model.
        """
        from .fixed_tests import contest

        return contest(self, L, joint, ddf, rhs, confint, level)

    def anova(  # type: ignore[misc]
        self: MixedFit, *models: Any, type: int | str = 3, ddf: str = "satterthwaite", refit: bool = True
    ) -> pd.DataFrame:
        """F tests of the terms; with other ``models``, likelihood ratio tests between them (`bayesmlm.anova`).

        ``type``: 1 ("I"), each term given those before it; 2, given all that do not contain it; 3, hypotheses that
        do not depend on how often cells were observed (lmerTest's default). ``ddf="lme4"``: lme4's sequential table
        without p values. Columns Sum Sq, Mean Sq, NumDF, DenDF, F value, Pr(>F); ``.hypotheses`` holds each term's
        contrasts. ``refit``: refit REML models by maximum likelihood before they are compared.
        """
        from .anova_table import anova_table

        if models:
            from .likelihood_ratio import anova

            return anova(self, *models, refit=refit)
        return anova_table(self, type, ddf)

    def ls_means(  # type: ignore[misc]
        self: MixedFit,
        which: str | Sequence[str] | None = None,
        level: float = 0.95,
        ddf: str = "satterthwaite",
        pairwise: bool = False,
    ) -> LeastSquaresMeans:
        """Least-squares means of the terms made of factors, or their ``pairwise`` differences (not adjusted for how
        many they are).

        All combinations of levels count equally; numeric variables are at their means. Columns Estimate, Std. Error,
        df, t value, lower, upper, Pr(>|t|). ``which``: labels of terms (default: all that are made of factors); in a
        term that is named, a number with two values (a 0/1 column) counts as a factor. Means that the data do not
        determine are NaN, with a warning. Raises `BayesmlmError` for a term that is not made of factors.
        """
        from .ls_means import ls_means

        return ls_means(self, which, level, ddf, pairwise)

    def difflsmeans(  # type: ignore[misc]
        self: MixedFit,
        which: str | Sequence[str] | None = None,
        level: float = 0.95,
        ddf: str = "satterthwaite",
    ) -> LeastSquaresMeans:
        """All pairwise differences of least-squares means; see `ls_means`."""
        return self.ls_means(which, level, ddf, pairwise=True)

    def kr_modcomp(self: MixedFit, other: Any, beta0: Any = 0.0) -> pd.DataFrame:  # type: ignore[misc]
        """F test of a restriction by Kenward and Roger, as pbkrtest's ``KRmodcomp``.

        ``other``: the smaller (or larger) model on the same rows, its formula, or contrasts as in `contest`.
        ``beta0``: with contrasts, coefficients under the hypothesis L beta = L beta0. Rows Ftest (scaled) and
        FtestU (not), columns stat, ndf, ddf, F.scaling, p.value. A maximum likelihood fit is refitted by REML, which
        is said. Raises `BayesmlmError` for models that are not nested.
        """
        from .model_restriction import kr_modcomp

        return kr_modcomp(self, other, beta0)

    def sat_modcomp(self: MixedFit, other: Any, beta0: Any = 0.0) -> pd.DataFrame:  # type: ignore[misc]
        """The same by Satterthwaite's method (pbkrtest's ``SATmodcomp``): statistic, ndf, ddf, p.value."""
        from .model_restriction import sat_modcomp

        return sat_modcomp(self, other, beta0)
