"""Bootstrap and simulation-based tests of a generalised fit: methods of `GeneralisedFit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bootstrap import Bootstrap
    from .generalised_fit import GeneralisedFit
    from .pb_modcomp import BootstrapTest

__all__ = ["GeneralisedBootstrapMethods"]


class GeneralisedBootstrapMethods:
    """Bootstrap and simulation-based tests of a generalised fit."""

    def bootstrap(  # type: ignore[misc]
        self: GeneralisedFit,
        fn: Callable[[GeneralisedFit], Any] | None = None,
        nsim: int = 1999,
        kind: str = "parametric",
        seed: int | None = None,
        use_u: bool = False,
        re_formula: Any = "NA",
        group: str | None = None,
        lv1_resample: bool = False,
        progress: bool = False,
    ) -> Bootstrap:
        """Statistics of this fit and of refits to ``nsim`` data sets drawn or resampled from it.

        Args:
            fn: from a fit to a number, array, Series or dict: ``lambda g: g.fixef()``. Default: coefficients of all
                parts (scale of the link), standard deviations and correlations, constants such as ``shape`` on their
                own scale, and sigma where the dispersion is plugged in.
            nsim: number of replicates.
            kind: what is drawn anew.

                - "parametric": effects from their normal distributions and responses from the family (lme4's
                  ``bootMer``)
                - "case": whole groups, with their rows as they are
            seed: makes the replicates repeatable; replicate i is the same whatever ``nsim`` is.
            use_u: parametric: keep the estimated effects (``re_formula=None``).
            re_formula: parametric: effects that are kept, as in `simulate`; default none.
            group: case and bca intervals: the grouping factor whose levels are the units; default the one in which
                all others are nested.
            lv1_resample: case: resample rows within the groups too.
            progress: say how far it is.

        Returns:
            `Bootstrap`: ``.summary()``, ``.confint()``, ``.bias_corrected``, ``.plot()``; print it for R's table.
            Refits that fail are left out, counted and warned about; singular ones are counted.

        Raises:
            BayesmlmError: for an unknown kind, and for the bootstraps of residuals that linear models have.
        """
        from .bootstrap import bootstrap
        from .resampling import Options

        options = Options(None if use_u else re_formula, group, lv1_resample)
        return bootstrap(self, fn, nsim, kind=kind, seed=seed, options=options, progress=progress)

    def pb_modcomp(  # type: ignore[misc]
        self: GeneralisedFit, smaller: Any, nsim: int = 1000, seed: int | None = None
    ) -> BootstrapTest:
        """Parametric bootstrap of the likelihood-ratio test against a ``smaller`` model, as pbkrtest's ``PBmodcomp``.

        ``smaller``: a fit by `glmer` to the same rows, of the same family. Both are fitted to ``nsim`` responses
        simulated from the smaller one; p is (1 + how many ratios exceed the observed one) / (1 + how many are
        positive). It holds for variances against zero too. Responses to which a model cannot be fitted are left out,
        and warned about.
        """
        from .generalised_pb_modcomp import pb_modcomp

        return pb_modcomp(self, smaller, nsim, seed)
