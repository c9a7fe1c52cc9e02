"""Printed summaries, tables and tests of a generalised fit: methods of `GeneralisedFit`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .effects_table import GroupTables, RandomEffects
    from .generalised_fit import GeneralisedFit
    from .generalised_summary import GeneralisedSummary
    from .ls_means import LeastSquaresMeans

__all__ = ["GeneralisedTableMethods"]


class GeneralisedTableMethods:
    """Printed summaries, tables and tests of a generalised fit.

    ``part`` throughout: a distributional parameter, "mu" (the main formula's) or another one of the model's ("zi",
    "shape", ...); its coefficients and effects are on the scale of its link. ``use_hessian``: where standard errors
    come from. True: from the second derivatives of the log likelihood by all parameters, so that the uncertainty of
    the covariance parameters counts (lme4's default); False: from the information on the coefficients at fixed
    covariance parameters (lme4's RX); None: the first, and the second where there is none (``nAGQ=0``, or a likelihood
    without an inner maximum). Tests are Wald's, with normal and chi-square reference distributions.
    """

    def summary(  # type: ignore[misc]
        self: GeneralisedFit, correlation: bool | None = None, use_hessian: bool | None = None
    ) -> GeneralisedSummary:
        """The summary that lme4 prints, or glmmTMB for models of several distributional parameters:
        ``print(m.summary())``.

        ``correlation``: show the correlations of the coefficients of mu (default: in lme4's layout, if there are at
        most 12). Coefficients are on the scale of the link. Log likelihood and AIC hold the family's constants, which
        lme4 leaves out with quadrature (nAGQ > 1); the summary then says what lme4 has. Raises `BayesmlmError` for
        ``use_hessian=True`` without a Hessian.
        """
        from .generalised_summary import summarise

        return summarise(self, correlation, use_hessian)

    def __str__(self: GeneralisedFit) -> str:  # type: ignore[misc]
        from .generalised_summary import fit_lines

        return "\n".join(fit_lines(self))

    def __repr__(self: GeneralisedFit) -> str:  # type: ignore[misc]
        return str(self)

    def _repr_html_(self: GeneralisedFit) -> str:  # type: ignore[misc]
        import html

        return f"<pre>{html.escape(str(self))}</pre>"

    # -- coefficients ------------------------------------------------------------------------------------------

    def coef_table(  # type: ignore[misc]
        self: GeneralisedFit, part: str = "mu", use_hessian: bool | None = None
    ) -> pd.DataFrame:
        """Coefficients of a part on the scale of its link: Estimate, Std. Error, z value, Pr(>|z|).

        Where the dispersion is plugged in (Gamma and inverse Gaussian as in lme4) the ratio is called t value, as in
        lme4; p values are those of the normal distribution all the same. Raises `BayesmlmError` for a part the model
        does not have, and for ``use_hessian=True`` without a Hessian.
        """
        from .generalised_tests import coefficient_table

        return coefficient_table(self, part, use_hessian)

    def vcov(  # type: ignore[misc]
        self: GeneralisedFit, part: str = "mu", use_hessian: bool | None = None, full: bool = False
    ) -> pd.DataFrame:
        """(p, p) covariance of the coefficients of a part, on the scale of its link.

        ``full``: of all parts, (P, P); those of mu under R's names, the others under brms's (``zi_Intercept``; a
        constant such as ``shape`` is the coefficient ``shape_Intercept`` on the scale of its link). Raises
        `BayesmlmError` as `coef_table`.
        """
        from .generalised_tests import covariance_table

        return covariance_table(self, part, use_hessian, full)

    def contest(  # type: ignore[misc]
        self: GeneralisedFit,
        L: Any,
        joint: bool = True,
        rhs: Any = 0.0,
        confint: bool = True,
        level: float = 0.95,
        *,
        part: str = "mu",
        use_hessian: bool | None = None,
    ) -> pd.DataFrame:
        """Wald tests of contrasts L beta = rhs of the coefficients of a part, on the scale of its link.

        ``L``: weights of the coefficients, an array (p,) or (m, p) in the order of `fixef`, a dict
        ``{"x": 1, "z": -1}`` or a list of these, or a DataFrame with coefficients as columns. ``rhs``: one number or
        m. ``joint``: one test of all rows (Chisq, Df, Pr(>Chisq)); else a z test of each (Estimate, Std. Error,
        z value, Pr(>|z|), with ``confint`` also lower and upper at ``level``). Raises `BayesmlmError` for contrasts
        that do not fit the model.
        """
        from .generalised_tests import contest

        return contest(self, L, joint, part, rhs, confint, level, use_hessian)

    def anova(  # type: ignore[misc]
        self: GeneralisedFit,
        *models: Any,
        type: int | str | None = None,
        use_hessian: bool | None = None,
        names: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Tests of the terms of mu; with other ``models``, likelihood ratio tests between them (`bayesmlm.anova`).

        ``type=None``: lme4's table, npar, Sum Sq, Mean Sq, F value of each term given those before it, at fixed
        covariance parameters and without p values. With a type: Wald tests, columns Chisq, Df, Pr(>Chisq). 1: each
        term given those before it; 2: given all that do not contain it (car's ``Anova``); 3: given all others,
        hypotheses that do not depend on the coding of factors nor on how often cells were observed (car's with
        contr.sum, without a row for the intercept). Raises `BayesmlmError` for another type.
        """
        from .generalised_tests import term_table

        if models:
            from .likelihood_ratio import anova

            return anova(self, *models, names=names)
        return term_table(self, type, use_hessian)

    def drop1(  # type: ignore[misc]
        self: GeneralisedFit, scope: Any = None, test: str = "Chisq", k: float = 2.0, *, part: str = "mu"
    ) -> pd.DataFrame:
        """Likelihood-ratio tests of the population terms of a part that can be dropped: those that are no margin of
        another, as lme4's ``drop1``.

        ``scope``: these terms instead, as a formula ``"~ a + b"`` or labels. Columns npar (how many fewer parameters),
        AIC with ``k`` per parameter and, for ``test="Chisq"``, LRT and Pr(Chi); ``test="none"``: without these. The
        model is fitted again without each. Raises `BayesmlmError` for a term that the part does not have.
        """
        from .generalised_selection import drop1

        return drop1(self, scope, test, k, part)

    def ranova(self: GeneralisedFit, reduce_terms: bool = True) -> pd.DataFrame:  # type: ignore[misc]
        """Likelihood-ratio tests of the group terms of all parts, each reduced or removed, as lmerTest's ``ranova``.

        ``(x | g)`` and ``(0 + x | g)`` are compared with ``(1 | g)``, ``(x + z | g)`` with ``(z | g)`` and with
        ``(x | g)``, ``(1 | g)`` with nothing; ``reduce_terms=False`` removes every term whole. Without any group term
        left the model is a generalised linear one.

        Returns a DataFrame with npar, logLik, AIC, LRT, Df, Pr(>Chisq) (not halved), and Pr(>Chibar), the p value of
        the 50:50 mixture of chi-squares, where one variance is tested against zero (see `bayesmlm.anova`).
        """
        from .generalised_selection import ranova

        return ranova(self, reduce_terms)

    # -- effects -----------------------------------------------------------------------------------------------

    def VarCorr(  # type: ignore[misc]  # noqa: N802
        self: GeneralisedFit, order: str = "cov.last", part: str | None = None
    ) -> pd.DataFrame:
        """Variances, standard deviations and correlations of the group effects, on the scale of the link.

        Columns grp, var1, var2, vcov (variance or covariance), sdcor (standard deviation or correlation), as
        ``as.data.frame(VarCorr(m))``; the second term of a factor ``g`` is called ``g.1``. Where the dispersion is
        plugged in, the last row is the Residual's and variances are in its units, as in lme4. ``part``: of this
        distributional parameter; None: of all, with a first column ``part`` if others than mu have group effects.
        ``order``: "cov.last" (a term's variances, then its covariances) or "lower.tri". Raises `BayesmlmError` for
        another order or part.
        """
        from .generalised_effects import var_corr_frame

        return var_corr_frame(self, order, part)

    def VarCorr_text(  # type: ignore[misc]  # noqa: N802
        self: GeneralisedFit, components: Sequence[str] = ("Std.Dev.",), digits: int = 5
    ) -> str:
        """The table that lme4 prints for ``VarCorr(m)``, or glmmTMB's, by part, where others than mu have group
        effects; ``components``: "Variance", "Std.Dev." or both."""
        from .generalised_effects import var_corr_lines, varying_parts
        from .generalised_words import part_title

        parts = varying_parts(self)
        if parts == ["mu"]:
            return "\n".join(var_corr_lines(self, "mu", digits, components))
        lines: list[str] = []
        for part in parts:
            lines += ["", f"{part_title(part)}:", *var_corr_lines(self, part, digits, components)]
        return "\n".join(lines)

    def ranef(  # type: ignore[misc]
        self: GeneralisedFit,
        cond_var: bool = False,
        which: str | Iterable[str] | None = None,
        part: str = "mu",
    ) -> RandomEffects:
        """Conditional modes of the group effects of a part, by grouping factor: tables of levels by effects.

        On the scale of the part's link. ``cond_var``: with conditional covariances, of the effects' normal
        approximation at the estimates: ``.postVar[group]`` is lme4's array (k, k, J), or a list of arrays, one for
        each term of the factor; ``.sd(group)`` has the standard deviations. ``.to_frame()`` is the long form (grpvar,
        term, grp, condval, condsd). ``which``: these factors only. Raises `BayesmlmError` for a factor or part
        without effects.
        """
        from .generalised_effects import random_effects

        return random_effects(self, cond_var, which, part)

    def coef(self: GeneralisedFit, part: str = "mu") -> GroupTables:  # type: ignore[misc]
        """Coefficients of each level of a part, on the scale of its link: population coefficients plus the level's
        effects, by grouping factor. Raises `BayesmlmError` for a part without group effects."""
        from .generalised_effects import coefficients_by_group

        return coefficients_by_group(self, part)

    def rePCA(self: GeneralisedFit, part: str = "mu") -> dict[str, pd.DataFrame]:  # type: ignore[misc]  # noqa: N802
        """Principal components of each factor's effects (lme4's ``summary(rePCA(m))``), relative to sigma where the
        dispersion is plugged in."""
        from .generalised_effects import random_effect_pca

        return random_effect_pca(self, part)

    def getME(self: GeneralisedFit, name: str, part: str = "mu") -> Any:  # type: ignore[misc]  # noqa: N802
        """Parts of the model under lme4's names (``X``, ``Z``, ``theta``, ``Lambda``, ``u``, ``b``, ``RX``,
        ``devcomp``, ``glmer.nb.theta``, ...); those that belong to a linear predictor are of ``part``. Raises
        `BayesmlmError` with the names there are."""
        from .generalised_me import component

        return component(self, name, part)

    # -- means -------------------------------------------------------------------------------------------------

    def ls_means(  # type: ignore[misc]
        self: GeneralisedFit,
        which: str | Sequence[str] | None = None,
        level: float = 0.95,
        pairwise: bool = False,
    ) -> LeastSquaresMeans:
        """Least-squares means of mu's terms made of factors, or their ``pairwise`` differences, on the scale of the
        link (emmeans's default), with z tests.

        All combinations of levels count equally; numeric variables are at their means. Columns Estimate, Std. Error,
        z value, lower, upper, Pr(>|z|). ``which``: labels of terms (default: all that are made of factors). Means that
        the data do not determine are NaN, with a warning. Raises `BayesmlmError` for a term that is not made of
        factors.
        """
        from .ls_means import asymptotic_means

        return asymptotic_means(self, which, level, pairwise)

    def difflsmeans(  # type: ignore[misc]
        self: GeneralisedFit, which: str | Sequence[str] | None = None, level: float = 0.95
    ) -> LeastSquaresMeans:
        """All pairwise differences of least-squares means; see `ls_means`."""
        return self.ls_means(which, level, pairwise=True)
