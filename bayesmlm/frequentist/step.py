"""Backward elimination of group terms, then of population terms, as lmerTest's ``step``."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ..errors import BayesmlmError
from .drop1 import drop1, drop1_linear, terms_in_scope
from .fixed_tests import method_of
from .likelihood_ratio import LikelihoodRatioTable
from .linear import LinearFit, lm
from .ranova import ranova, reductions
from .reduced import bars_of, model_formula, refit_reduced, without_groups

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["Step", "step"]


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """Backward elimination: ``random`` and ``fixed`` tables, in which ``Eliminated`` counts the terms that were dropped
    in order and is 0 for those that stay, and the ``model`` that was found: a `LinearFit` when no group term stayed."""

    random: pd.DataFrame
    fixed: pd.DataFrame
    model: MixedFit | LinearFit

    def __repr__(self) -> str:
        return f"{self.random!r}\n\n{self.fixed!r}\n\nModel found:\n{self.model.formula}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def step(
    fit: MixedFit,
    reduce_fixed: bool = True,
    reduce_random: bool = True,
    alpha_fixed: float = 0.05,
    alpha_random: float = 0.1,
    keep: Sequence[str] = (),
    ddf: str = "satterthwaite",
) -> Step:
    """See `SelectionMethods.step`."""
    for name, alpha in (("alpha_fixed", alpha_fixed), ("alpha_random", alpha_random)):
        if not 0.0 <= alpha <= 1.0:
            raise BayesmlmError(
                f"{name}={alpha:g} must lie between 0 and 1: terms with a larger p value are dropped"
            )
    kept = {term.label for term in terms_in_scope(fit.design.predictor, keep)} if len(keep) else set[str]()
    method = method_of(fit, ddf)
    model, random = _reduce_random(fit, alpha_random if reduce_random else None)
    model, fixed = _reduce_fixed(model, alpha_fixed if reduce_fixed else None, kept, ddf)
    random.heading = "Backward reduced random-effect table:\n"
    fixed.heading = "Backward reduced fixed-effect table:" + (
        "" if isinstance(model, LinearFit) else f"\nDegrees of freedom method: {method.label}"
    )
    fixed.heading += "\n" if not isinstance(model, LinearFit) else ""
    return Step(random, fixed, model)


def _reduce_random(fit: MixedFit, alpha: float | None) -> tuple[MixedFit | LinearFit, LikelihoodRatioTable]:
    """Drop the group term (or effect) with the largest p value until all are below ``alpha``."""
    model: MixedFit | LinearFit = fit
    dropped: list[pd.DataFrame] = []
    rest = pd.DataFrame()
    first: pd.DataFrame | None = None
    while not isinstance(model, LinearFit):
        table = pd.DataFrame(ranova(model))
        first = table.iloc[:1] if first is None else first
        rest = table.iloc[1:]
        p = rest["Pr(>Chisq)"].fillna(0.0)
        if alpha is None or not len(p) or p.max() <= alpha:
            break
        place = int(p.to_numpy().argmax())
        dropped.append(rest.iloc[[place]])
        reduction = reductions(bars_of(model), True)[place]
        terms = model.design.predictor.terms
        if not reduction.bars:
            model, rest = without_groups(model, terms), rest.iloc[:0]
        else:
            model = refit_reduced(model, terms, reduction.bars)
    assert first is not None
    return model, _joined([first], dropped, rest)


def _reduce_fixed(
    model: MixedFit | LinearFit, alpha: float | None, keep: set[str], ddf: str
) -> tuple[MixedFit | LinearFit, LikelihoodRatioTable]:
    """Drop the population term with the largest p value until all are below ``alpha``."""
    dropped: list[pd.DataFrame] = []
    while True:
        linear = isinstance(model, LinearFit)
        rest = pd.DataFrame(drop1_linear(model) if isinstance(model, LinearFit) else drop1(model, ddf=ddf))
        rest = rest.iloc[1:] if linear else rest
        may = [name for name in rest.index if name not in keep]
        p = rest.loc[may, "Pr(>F)"].fillna(0.0)
        if alpha is None or not len(p) or p.max() <= alpha:
            return model, _joined([], dropped, rest)
        label = str(p.idxmax())
        dropped.append(rest.loc[[label]])
        left = [t for t in model.design.predictor.terms if t.label != label]
        if isinstance(model, LinearFit):
            model = _smaller_linear(model, label)
        else:
            model = refit_reduced(model, left, bars_of(model))


def _smaller_linear(model: LinearFit, label: str) -> LinearFit:
    left = [t for t in model.design.predictor.terms if t.label != label]
    return lm(model_formula(model, left, ()), model.data, **model.arguments)


def _joined(
    first: list[pd.DataFrame], dropped: list[pd.DataFrame], rest: pd.DataFrame
) -> LikelihoodRatioTable:
    """One table: ``Eliminated`` is missing for <none>, 1, 2, ... for dropped terms, 0 for those that stay."""
    parts = [
        *(part.assign(Eliminated=float("nan")) for part in first),
        *(part.assign(Eliminated=float(i)) for i, part in enumerate(dropped, start=1)),
        rest.assign(Eliminated=0.0),
    ]
    table = pd.concat([part for part in parts if len(part)] or parts)
    return LikelihoodRatioTable(table[["Eliminated", *(c for c in table.columns if c != "Eliminated")]])
