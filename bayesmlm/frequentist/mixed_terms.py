"""Random-effects terms: what stands in parentheses, under lme4's names and in lme4's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..covariance import Autoregressive, CompoundSymmetry, Covariance, Diagonal, Unstructured
from ..data.frame import Frame
from ..data.levels import as_factor, match_levels
from ..errors import FormulaError
from ..formula.evaluate import TransformState
from ..formula.predictor import Grouping, GroupTerm, Predictor
from ..terms.population import PopulationDesign

__all__ = ["MixedTerm", "group_name", "grouping_codes", "make_terms"]

Functions = Mapping[str, Callable[..., Any]]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MixedTerm:
    """One random-effects term: k effects of each of J levels.

    ``group``: lme4's name of the factor (``classid:schoolid`` for ``schoolid/classid``); ``levels``: its level
    names (``160:1``); ``codes``: (n,); ``names``: R's names of the effects; ``Z``: (n, k).
    """

    group: str
    variables: tuple[str, ...]
    levels: tuple[str, ...]
    codes: Codes
    effects: PopulationDesign
    covariance: Covariance
    source: GroupTerm

    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the effects."""
        return self.effects.r_names

    @property
    def Z(self) -> Matrix:  # noqa: N802
        """(n, k) values that the effects multiply."""
        return self.effects.matrix

    @property
    def size(self) -> int:
        """k, the number of effects of a level."""
        return len(self.names)

    @property
    def count(self) -> int:
        """J k, all effects of the term."""
        return len(self.levels) * self.size

    def new_codes(self, frame: Frame) -> tuple[Codes, tuple[str, ...]]:
        """The level of each row of new data, and the names of levels that the fit did not have: these count on
        from ``len(levels)``; -1 where the grouping variable is missing."""
        codes, names = grouping_codes(frame, self.variables)
        known = match_levels(names, self.levels).astype(np.int64)
        unseen = np.flatnonzero(known < 0)
        known[unseen] = len(self.levels) + np.arange(len(unseen))
        return np.append(known, -1)[codes], tuple(names[i] for i in unseen)


def make_terms(
    group_terms: Sequence[GroupTerm],
    population: PopulationDesign,
    frame: Frame,
    state: TransformState,
    functions: Functions,
    contrasts: Mapping[str, Any],
) -> tuple[MixedTerm, ...]:
    """All terms, by decreasing number of levels; their columns are views of the population's where they begin these."""
    terms = _all_terms(group_terms, frame, state, functions, contrasts)
    return tuple(_ordered([_sharing(term, population) for term in terms]))


def grouping_codes(frame: Frame, names: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
    """Codes (n,) and level names of a grouping factor, -1 where a variable is missing.

    Of several variables the levels are R's of ``interaction``: ``a:b``, the first varying slowest, those that occur.
    """
    factors = [as_factor(frame[name], name) for name in names]
    codes = factors[0].codes.astype(np.int64)
    labels = list(factors[0].levels)
    for factor in factors[1:]:
        codes, labels = _present(codes, labels)
        size = max(len(factor.levels), 1)
        missing = (codes < 0) | (factor.codes < 0)
        codes = np.where(missing, -1, codes * size + factor.codes)
        labels = _Crossed(labels, factor.levels)  # type: ignore[assignment]
    codes, labels = _present(codes, labels)
    return codes, tuple(labels)


class _Crossed:
    """Names of all combinations, made when asked for: there may be far more of them than occur."""

    def __init__(self, first: Any, second: tuple[str, ...]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) * len(self.second)

    def __getitem__(self, place: int) -> str:
        return f"{self.first[place // len(self.second)]}:{self.second[place % len(self.second)]}"


def _present(codes: Codes, labels: Any) -> tuple[Codes, list[str]]:
    """The same without the levels that no row has."""
    if len(labels) <= 4 * len(codes):
        there = np.zeros(len(labels) + 1, dtype=bool)
        there[codes] = True
        there[-1] = False
        places = np.flatnonzero(there)
    else:
        places = np.unique(codes[codes >= 0])
    found = [labels[int(i)] for i in places]
    if len(found) == len(labels):
        return codes, found
    return np.where(codes < 0, -1, np.searchsorted(places, codes)), found


def _all_terms(
    group_terms: Sequence[GroupTerm],
    frame: Frame,
    state: TransformState,
    functions: Functions,
    contrasts: Mapping[str, Any],
) -> list[MixedTerm]:
    """One after the other as lme4 takes the formula apart: ``||`` before ``/``, the inner factor before the outer."""
    terms: list[MixedTerm] = []
    for _, written_together in groupby(group_terms, key=lambda term: term.span):
        parts = list(written_together)
        if any(term.grouping.nested for term in parts):
            parts.reverse()
        made = [_mixed_terms(term, frame, state, functions, contrasts) for term in parts]
        terms += chain.from_iterable(zip(*made, strict=True))
    return terms


def _ordered(terms: list[MixedTerm]) -> list[MixedTerm]:
    """By decreasing number of levels. Where they do not come so already, lme4 turns ties round (``rev(order(nl))``)."""
    if all(len(a.levels) >= len(b.levels) for a, b in pairwise(terms)):
        return terms
    return sorted(terms, key=lambda term: len(term.levels))[::-1]


def _mixed_terms(
    term: GroupTerm, frame: Frame, state: TransformState, functions: Functions, contrasts: Mapping[str, Any]
) -> list[MixedTerm]:
    """The term, or for ``||`` one for each effect: ``(1 + x || g)`` is ``(1 | g) + (0 + x | g)``."""
    grouping = term.grouping
    if grouping.kind != "gr" or grouping.by is not None or grouping.options or term.id is not None:
        raise FormulaError(
            "`gr()` with options, `mm()` and `|ID|` are brms's: fit this model with brm()",
            term.effects.source,
            term.span,
        )
    codes, levels = grouping_codes(frame, _variables(grouping))
    group = group_name(grouping)
    out = []
    for effects in [term.effects] if term.correlated else _apart(term.effects):
        design = PopulationDesign.build(effects, frame, state, functions, contrasts)
        size = len(design.r_names)
        if not size:
            raise FormulaError("this group term has no effects", term.effects.source, term.span)
        covariance = _covariance(term, size)
        out.append(MixedTerm(group, _variables(grouping), levels, codes, design, covariance, term))
    return out


def _sharing(term: MixedTerm, population: PopulationDesign) -> MixedTerm:
    """The term; where its columns begin the population's, as a view of these."""
    first = population.matrix[:, : term.size]
    if term.names != population.r_names[: term.size] or not np.array_equal(first, term.Z):
        return term
    return replace(term, effects=replace(term.effects, matrix=first))


def _variables(grouping: Grouping) -> tuple[str, ...]:
    """lme4 calls the inner factor of ``a/b`` ``b:a``."""
    return grouping.variables[::-1] if grouping.nested else grouping.variables


def group_name(grouping: Grouping) -> str:
    """lme4's name: ``b:a`` for ``a/b``, ``c:(b:a)`` for ``a/b/c``."""
    if not grouping.nested:
        return ":".join(grouping.variables)
    name = grouping.variables[0]
    for place, inner in enumerate(grouping.variables[1:]):
        name = f"{inner}:({name})" if place else f"{inner}:{name}"
    return name


def _apart(effects: Predictor) -> list[Predictor]:
    parts = [replace(effects, terms=())] if effects.intercept else []
    return [*parts, *(replace(effects, intercept=False, terms=(term,)) for term in effects.terms)]


def _covariance(term: GroupTerm, size: int) -> Covariance:
    tag, homogeneous = term.structure or ("us", None)
    match tag:
        case "us":
            return Unstructured(size)
        case "diag":
            return Diagonal(size, bool(homogeneous))
        case "cs":
            return CompoundSymmetry(size, bool(homogeneous))
        case _:
            return Autoregressive(size, homogeneous is not False)
