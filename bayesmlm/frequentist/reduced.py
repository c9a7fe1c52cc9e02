"""Smaller models of the same rows: a mixed model without some of its terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..data.frame import Frame
from ..formula.predictor import GroupTerm, Predictor, Term
from ..formula.unparse import quote_name, unparse

if TYPE_CHECKING:
    from .fit import MixedFit
    from .linear import LinearFit
    from .mixed_terms import MixedTerm

__all__ = [
    "Bar",
    "bars_of",
    "droppable",
    "model_formula",
    "refit_reduced",
    "right_side",
    "written_bars",
]


@dataclass(frozen=True)
class Bar:
    """One group term in parentheses, as lme4 sees it: ``||`` and ``a/b`` have been written out.

    ``effects``: what stands left of the bar, and ``written`` how; ``group``: the name of the factor, ``variables``
    those that make it; ``structure``: a tag such as ``cs``, and its ``hom``.
    """

    effects: Predictor
    written: str
    group: str
    variables: tuple[str, ...]
    structure: tuple[str, bool | None] | None

    @property
    def label(self) -> str:
        """``(x | g)``."""
        return self._text(self.group)

    @property
    def source(self) -> str:
        """The same for a formula that is to be read again."""
        return self._text(":".join(quote_name(v) for v in self.variables))

    def _text(self, group: str) -> str:
        tag, hom = self.structure or ("", None)
        option = "" if hom is None else f", hom = {'TRUE' if hom else 'FALSE'}"
        return f"{tag}({self.written} | {group}{option})"

    def without(self, term: Term) -> Bar:
        """The bar without one term of its effects; without its only one it is ``(1 | g)``."""
        terms = tuple(t for t in self.effects.terms if t.label != term.label)
        intercept = self.effects.intercept or not terms
        written = " + ".join([*([] if intercept and terms else ["01"[intercept]]), *(t.label for t in terms)])
        return replace(
            self,
            effects=replace(self.effects, terms=terms, intercept=intercept),
            written=written,
            structure=self.structure if terms else None,
        )


def bars_of(fit: MixedFit) -> list[Bar]:
    """The group terms of a model in the order of its formula, the inner of nested factors first, as lme4 finds them."""
    return written_bars(fit.design.predictor, fit.design.terms)


def written_bars(predictor: Predictor, mixed_terms: Sequence[MixedTerm]) -> list[Bar]:
    """The same of one linear predictor, whose ``mixed_terms`` were made of its group terms."""
    terms = list(predictor.group_terms)
    ordered: list[GroupTerm] = []
    while terms:
        same = [t for t in terms if t.span == terms[0].span]
        ordered += same[::-1]
        terms = terms[len(same) :]
    out: list[Bar] = []
    for term in ordered:
        found = next(t for t in mixed_terms if t.source is term)
        written = term.label.rsplit(" | ", 1)[0]
        whole = Bar(term.effects, written, found.group, found.variables, term.structure)
        out += [whole] if term.correlated else _apart(whole)
    return out


def _apart(bar: Bar) -> list[Bar]:
    """``(x || g)`` as ``(1 | g)`` and ``(0 + x | g)``."""
    effects = bar.effects
    parts = [replace(bar, effects=replace(effects, terms=()), written="1")] if effects.intercept else []
    for term in effects.terms:
        alone = replace(effects, terms=(term,), intercept=False)
        parts.append(replace(bar, effects=alone, written=f"0 + {term.label}"))
    return parts


def droppable(terms: Sequence[Term]) -> list[Term]:
    """Terms that are no margin of another one (R's ``drop.scope``)."""
    factors = [frozenset(unparse(node) for node in term.factors) for term in terms]
    return [t for t, own in zip(terms, factors, strict=True) if not any(own < other for other in factors)]


def model_formula(fit: Any, terms: Iterable[Term], bars: Iterable[Bar]) -> str:
    """The formula of a model with these population terms and group terms; intercept and offset are those of ``fit``."""
    return f"{fit.design.response} ~ {right_side(fit.design.predictor, terms, bars)}"


def right_side(predictor: Predictor, terms: Iterable[Term], bars: Iterable[Bar]) -> str:
    """The right-hand side with these terms, intercept and offsets those of ``predictor``."""
    terms = list(terms)
    parts = [] if predictor.intercept else ["0"]
    parts += [term.label for term in terms]
    parts += [f"offset({unparse(node)})" for node in predictor.offsets]
    parts += dict.fromkeys(bar.source for bar in bars)
    if predictor.intercept and (not parts or not terms):
        parts.insert(0, "1")
    return " + ".join(parts)


def refit_reduced(
    fit: MixedFit, terms: Sequence[Term], bars: Sequence[Bar], reml: bool | None = None
) -> MixedFit:
    """The mixed model of these terms, on the rows of ``fit`` and by the same criterion, unless ``reml`` is given.

    It says nothing aloud: that it is singular, say, is among its ``messages``.
    """
    from .design import build_mixed_design
    from .fit import MixedFit
    from .lmer import is_singular, main_formula
    from .optimise import optimise
    from .problem import make_problem

    call = {**fit.call, "subset": fit.design.used, "start": None}
    names = ("weights", "offset", "subset", "contrasts", "na_action", "functions")
    formula = main_formula(model_formula(fit, terms, bars))
    design = build_mixed_design(formula, Frame.from_any(fit.data), **{name: call[name] for name in names})
    problem = make_problem(design)
    criterion = fit.reml if reml is None else reml
    optimum = optimise(problem, criterion)
    said = ["boundary (singular) fit: see help('isSingular')"] * is_singular(problem, optimum.parameters)
    said += [] if optimum.problem is None else [f"Model failed to converge: {optimum.problem}"]
    messages = (*design.messages, *said)
    return MixedFit(design, problem, criterion, optimum, {**call, "REML": criterion}, fit.data, messages)


def without_groups(fit: MixedFit, terms: Sequence[Term]) -> LinearFit:
    """The linear model that is left without group terms, on the rows of ``fit``."""
    from .linear import lm

    names = ("weights", "offset", "contrasts", "functions")
    return lm(
        model_formula(fit, terms, ()), fit.data, subset=fit.design.used, **{n: fit.call[n] for n in names}
    )
