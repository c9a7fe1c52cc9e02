"""Tests of the random part: each group term reduced or removed in turn, as lmerTest's ``ranova``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..formula.predictor import Term
from .boundary_null import Mixture, boundary_mixture
from .likelihood_ratio import MIXTURE, LikelihoodRatioTable, mixture_column, mixture_lines
from .reduced import Bar, bars_of, droppable, refit_reduced

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["Reduction", "ranova", "reductions"]


@dataclass(frozen=True)
class Reduction:
    """A smaller random part: R's name of what is tested, and the group terms that are left."""

    label: str
    bars: tuple[Bar, ...]


def reductions(bars: Sequence[Bar], reduce_terms: bool) -> list[Reduction]:
    """For each bar what it can be reduced to: without one of its effects (``(x | g)`` to ``(1 | g)``, and so
    ``(0 + x | g)``), those first of which others are margins; without all of it where there is only an intercept."""
    out = []
    for place, bar in enumerate(bars):
        rest = [*bars[:place], *bars[place + 1 :]]
        if not reduce_terms or not bar.effects.terms:
            out.append(Reduction(bar.label, tuple(rest)))
            continue
        for term in droppable(bar.effects.terms):
            smaller = bar.without(term)
            same = {b.source for b in rest}
            kept = [*bars[:place], *([] if smaller.source in same else [smaller]), *bars[place + 1 :]]
            out.append(Reduction(f"{term.label} in {bar.label}", tuple(kept)))
    return out


def ranova(
    fit: MixedFit, reduce_terms: bool = True, terms: Sequence[Term] | None = None
) -> LikelihoodRatioTable:
    """See `SelectionMethods.ranova`. ``terms``: the population terms of the model."""
    from scipy.stats import chi2

    population = fit.design.predictor.terms if terms is None else terms
    found = reductions(bars_of(fit), reduce_terms)
    log_likelihood, npar = [fit.logLik()], [fit.npar]
    mixtures: list[Mixture | None] = [None]
    for reduction in found:
        if reduction.bars:
            smaller = refit_reduced(fit, population, reduction.bars)
            log_likelihood.append(smaller.logLik())
            npar.append(smaller.npar)
            mixtures.append(boundary_mixture(smaller.design.terms, fit.design.terms))
        else:
            # Without any variance the (restricted) likelihood is that of the linear model
            nothing = np.zeros(len(fit.optimum.parameters))
            log_likelihood.append(-0.5 * fit.problem.evaluate(nothing, fit.reml).criterion)
            npar.append(fit.p + 1)
            mixtures.append(boundary_mixture((), fit.design.terms))
    values, counts = np.array(log_likelihood), np.array(npar)
    lrt = np.append(np.nan, 2.0 * (values[0] - values[1:]))
    df = np.append(np.nan, counts[0] - counts[1:])
    columns = {
        "npar": counts,
        "logLik": values,
        "AIC": 2.0 * counts - 2.0 * values,
        "LRT": lrt,
        "Df": df,
        "Pr(>Chisq)": [float(chi2.sf(x, d)) if d > 0 else np.nan for x, d in zip(lrt, df, strict=True)],
    }
    if any(mixtures):
        columns[MIXTURE] = mixture_column(mixtures, lrt)
    labels = ["<none>", *(r.label for r in found)]
    table = LikelihoodRatioTable(columns, index=labels)
    table.heading = f"ANOVA-like table for random-effects: Single term deletions\n\nModel:\n{fit.formula}"
    table.notes = mixture_lines(labels, mixtures, lrt)
    return table
