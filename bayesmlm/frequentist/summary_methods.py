"""Printed summaries and tables of a fit: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from .effects_table import GroupTables, RandomEffects
    from .fit import MixedFit
    from .summary import MixedSummary

__all__ = ["SummaryMethods"]


class SummaryMethods:
    """Printed summaries and tables of a fit."""

    def summary(self: MixedFit, ddf: str = "satterthwaite") -> MixedSummary:  # type: ignore[misc]
        """The summary that lmerTest prints; ``print(m.summary())``.

        ``ddf``: degrees of freedom of the t tests: "satterthwaite", "kenward-roger" (a REML fit), or "lme4" for
        none and no p values. Raises `BayesmlmError` for another name, and for Kenward-Roger on a maximum
        likelihood fit.
        """
        from .summary import summarise

        return summarise(self, ddf)

    def __str__(self: MixedFit) -> str:  # type: ignore[misc]
        from .summary import fit_lines

        return "\n".join(fit_lines(self))

    def __repr__(self: MixedFit) -> str:  # type: ignore[misc]
        return str(self)

    def _repr_html_(self: MixedFit) -> str:  # type: ignore[misc]
        import html

        return f"<pre>{html.escape(str(self))}</pre>"

    def VarCorr(self: MixedFit, order: str = "cov.last") -> pd.DataFrame:  # type: ignore[misc]  # noqa: N802
        """Variances, standard deviations and correlations of the group effects, and of the residuals.

        Columns grp, var1, var2, vcov (variance or covariance), sdcor (standard deviation or correlation), as
        ``as.data.frame(VarCorr(m))``; the second term of a factor ``g`` is called ``g.1``. ``order``: "cov.last"
        (a term's variances, then its covariances) or "lower.tri". Raises `BayesmlmError` for another order.
        """
        from .var_corr import var_corr_frame

        return var_corr_frame(self, order)

    def VarCorr_text(  # type: ignore[misc]  # noqa: N802
        self: MixedFit, components: Sequence[str] = ("Std.Dev.",), digits: int = 5
    ) -> str:
        """The table that lme4 prints for ``VarCorr(m)``; ``components``: "Variance", "Std.Dev." or both."""
        from .var_corr import var_corr_lines

        return "\n".join(var_corr_lines(self, digits, components))

    def ranef(  # type: ignore[misc]
        self: MixedFit, cond_var: bool = False, which: str | Iterable[str] | None = None
    ) -> RandomEffects:
        """Conditional means of the group effects, by grouping factor: tables of levels by effects.

        Terms of one factor stand side by side. ``cond_var``: with conditional covariances too: ``.postVar[group]``
        is lme4's array (k, k, J), or a list of arrays, one for each term of the factor; ``.sd(group)`` has the
        standard deviations. ``.to_frame()`` is the long form (grpvar, term, grp, condval, condsd). ``which``: these
        factors only. Raises `BayesmlmError` for a factor the model does not have.
        """
        from .effects_table import random_effects

        return random_effects(self, cond_var, which)

    def coef(self: MixedFit) -> GroupTables:  # type: ignore[misc]
        """Coefficients of each level: population coefficients plus the level's effects, by grouping factor."""
        from .effects_table import coefficients_by_group

        return coefficients_by_group(self)

    def rePCA(self: MixedFit) -> dict[str, pd.DataFrame]:  # type: ignore[misc]  # noqa: N802
        """Principal components of each factor's effects, relative to sigma (lme4's ``summary(rePCA(m))``)."""
        from .var_corr import random_effect_pca

        return random_effect_pca(self)
