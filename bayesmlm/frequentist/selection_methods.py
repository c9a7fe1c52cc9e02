"""Tests of terms, and selection by them: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit
    from .pb_modcomp import BootstrapTest
    from .step import Step

__all__ = ["SelectionMethods"]


class SelectionMethods:
    """Tests of terms, and selection by them."""

    def ranova(self: MixedFit, reduce_terms: bool = True) -> pd.DataFrame:  # type: ignore[misc]
        """Likelihood-ratio tests of the group terms, each reduced or removed, as lmerTest's ``ranova``.

        ``(x | g)`` and ``(0 + x | g)`` are compared with ``(1 | g)``, ``(x + z | g)`` with ``(z | g)`` and with
        ``(x | g)``, ``(1 | g)`` with nothing; ``reduce_terms=False`` removes every term whole. Likelihoods are
        restricted for a REML fit; without any term left the model is a linear one.

        Returns a DataFrame with npar, logLik, AIC, LRT, Df, Pr(>Chisq) (not halved, as R), and Pr(>Chibar), the p value
        of the 50:50 mixture of chi-squares, where one variance is tested against zero (see `bayesmlm.anova`).
        """
        from .ranova import ranova

        return ranova(self, reduce_terms)

    def drop1(  # type: ignore[misc]
        self: MixedFit, scope: Any = None, test: str = "F", ddf: str = "satterthwaite", k: float = 2.0
    ) -> pd.DataFrame:
        """Tests of the population terms that can be dropped: those that are no margin of another.

        ``scope``: these terms instead, as a formula ``"~ a + b"`` or labels. ``test="F"``: lmerTest's table, with
        degrees of freedom ``ddf`` ("satterthwaite" or "kenward-roger"). ``test="Chisq"``: lme4's, by maximum
        likelihood: npar (how many fewer parameters), AIC with ``k`` per parameter, LRT, Pr(Chi); ``"none"``: npar and
        AIC only.
        Raises `BayesmlmError` for a term that the model does not have.
        """
        from .drop1 import drop1

        return drop1(self, scope, test, ddf, k)

    def step(  # type: ignore[misc]
        self: MixedFit,
        reduce_fixed: bool = True,
        reduce_random: bool = True,
        alpha_fixed: float = 0.05,
        alpha_random: float = 0.1,
        keep: Sequence[str] = (),
        ddf: str = "satterthwaite",
    ) -> Step:
        """Backward elimination, as lmerTest's ``step``: group terms by `ranova`, then population terms by `drop1`.

        The term with the largest p value is dropped as long as that is above ``alpha_random`` or ``alpha_fixed``;
        ``keep``: population terms that stay. p values after selection do not mean what they say: they are those of
        models chosen by looking at them. Returns a `Step` with ``.random``, ``.fixed`` and ``.model``.
        """
        from .step import step

        return step(self, reduce_fixed, reduce_random, alpha_fixed, alpha_random, keep, ddf)

    def pb_modcomp(  # type: ignore[misc]
        self: MixedFit, smaller: Any, nsim: int = 1000, seed: int | None = None
    ) -> BootstrapTest:
        """Parametric bootstrap of the likelihood-ratio test against a ``smaller`` model, as pbkrtest's ``PBmodcomp``.

        ``smaller``: a fit by `lmer` or `lm` to the same rows. Both are fitted by maximum likelihood to ``nsim``
        responses simulated from the smaller one; p is (1 + how many ratios exceed the observed one) / (1 + how many
        are positive). It holds for variances against zero too. ``print(test.summary())`` adds Bartlett's correction, a
        gamma and an F approximation.
        """
        from .pb_modcomp import pb_modcomp

        return pb_modcomp(self, smaller, nsim, seed)
