"""A right-hand side to a `Predictor`: population terms, group terms, special terms and offsets.

`bayesmlm.formula.expansion` multiplies the formula out by R's rules; this module says what each product is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..errors import FormulaError
from .expansion import expand, is_bar
from .grouping import read_bar, read_groupings
from .nodes import Binary, Call, Name, Node, Paren
from .predictor import GroupTerm, Predictor, SpecialTerm, Term
from .unparse import unparse
from .walk import children

__all__ = ["AUTOCORRELATION", "SMOOTHS", "SPECIALS", "STRUCTURES", "is_structured", "right_hand_side"]

SMOOTHS = frozenset({"s", "t2"})
AUTOCORRELATION = frozenset({"ar", "ma", "arma", "cosy", "unstr", "sar", "car", "fcor"})
_MULTIPLIABLE = frozenset({"mo", "me", "mi", "cs"})
"""Special terms that may stand in a product, ``mo(x):z``."""

SPECIALS = SMOOTHS | {"gp", "mmc"} | AUTOCORRELATION | _MULTIPLIABLE
"""Functions that make a term special; ``cse`` is an old name of ``cs``."""

STRUCTURES = frozenset({"us", "diag", "cs", "ar1"})
"""lme4's covariance structures, written around a group term: ``ar1(1 + x | g)``."""

_HELPERS = frozenset({"bf", "lf", "nlf", "acformula", "set_nl", "set_rescor", "set_mecor"})
_RESERVED_INTERCEPT = ("Intercept", "intercept")


@dataclass
class _Parts:
    """The terms met so far, by kind."""

    terms: list[Term] = field(default_factory=list)
    group_terms: list[GroupTerm] = field(default_factory=list)
    special_terms: list[SpecialTerm] = field(default_factory=list)
    offsets: list[Node] = field(default_factory=list)
    explicit_intercept: bool = False


def right_hand_side(
    node: Node, source: str, columns: Sequence[str] = (), response: Node | None = None, in_group: bool = False
) -> Predictor:
    """What the right-hand side ``node`` means.

    ``columns`` is what ``.`` stands for; ``response`` may not be a term; ``in_group`` applies the narrower
    rules for the effects of a group term. Raises `FormulaError` for an illegal term, a product of terms that
    cannot be multiplied, and a group-level effect that is there twice.
    """
    expansion = expand(node, source, columns)
    parts = _Parts()
    for factors in expansion.terms:
        _sort_in(parts, factors, source, expansion.intercept, in_group)
    if response is not None:
        _refuse_response(parts, response, source)
    _refuse_duplicates(parts.group_terms, source)
    intercept = expansion.intercept
    if in_group and any(term.kind == "cs" for term in parts.special_terms):
        if parts.terms or any(term.kind != "cs" for term in parts.special_terms):
            reason = "category-specific effects need a group term of their own: `(cs(x) | g) + (z | g)`"
            raise FormulaError(reason, source, parts.special_terms[0].call.span)
        intercept = False  # cs(1) is the intercept, one for each threshold
    return Predictor(
        intercept,
        tuple(parts.terms),
        tuple(parts.group_terms),
        tuple(parts.special_terms),
        tuple(parts.offsets),
        parts.explicit_intercept,
        source,
    )


def _sort_in(parts: _Parts, factors: tuple[Node, ...], source: str, intercept: bool, in_group: bool) -> None:
    """Put one product where it belongs."""
    for factor in factors:
        _refuse_misplaced(factor, factors, source, in_group)
    first = factors[0]
    special = next((factor for factor in factors if _special_kind(factor) is not None), None)
    if isinstance(first, Paren):
        parts.group_terms.extend(_group_terms(first.inner, first.span, source))
    elif isinstance(first, Call) and is_structured(first):
        parts.group_terms.extend(_structured_terms(first, source))
    elif isinstance(first, Call) and first.function == "offset":
        parts.offsets.append(_offset(first, source))
    elif isinstance(special, Call):
        kind = _special_kind(special) or ""
        parts.special_terms.append(SpecialTerm(kind, special, factors, _label(factors)))
    elif isinstance(first, Name) and first.name in _RESERVED_INTERCEPT:
        if intercept:
            reason = f"`{first.name}` is a reserved word: write `0 + Intercept + ...` or leave it out"
            raise FormulaError(reason, source, first.span)
        parts.explicit_intercept = True
    else:
        parts.terms.append(Term(factors, _label(factors)))


def _refuse_misplaced(factor: Node, factors: tuple[Node, ...], source: str, in_group: bool) -> None:
    """Everything that some kind of factor may not do: stand in a product, or inside a group term."""
    kind = _special_kind(factor)
    if isinstance(factor, Paren) or (isinstance(factor, Call) and is_structured(factor)):
        what, alone, outside = "a group term", True, True
    elif isinstance(factor, Call) and factor.function == "offset":
        what, alone, outside = "offset()", True, True
    elif isinstance(factor, Name) and factor.name in _RESERVED_INTERCEPT:
        what, alone, outside = "the reserved word `Intercept`", True, False
    elif kind is not None:
        what, alone = f"`{kind}()`", kind not in _MULTIPLIABLE
        outside = kind not in _MULTIPLIABLE | {"mmc"}
    else:
        _refuse_call(factor, source)
        return
    if alone and len(factors) > 1:
        advice = "; use its `by` argument" if kind in SMOOTHS | {"gp"} else ""
        reason = f"{what} cannot be multiplied with other terms{advice}"
        raise FormulaError(reason, source, factor.span)
    if outside and in_group:
        raise FormulaError(f"{what} cannot stand among the effects of a group term", source, factor.span)
    if kind == "mmc" and not in_group:
        reason = "mmc() belongs into a multi-membership term: `(1 + mmc(x1, x2) | mm(g1, g2))`"
        raise FormulaError(reason, source, factor.span)


def _refuse_call(factor: Node, source: str) -> None:
    """Calls that are no columns and have no meaning as a term."""
    if not isinstance(factor, Call):
        return
    name = factor.function
    if name in ("te", "ti"):
        reason = f"tensor product smooths `{name}()` cannot be written as random effects: use t2()"
    elif name in _HELPERS:
        reason = f"`{name}()` is not part of a right-hand side: it goes into or after bf(...)"
    elif name in ("gr", "mm"):
        reason = f"`{name}()` stands right of the bar of a group term: `(1 | {unparse(factor)})`"
    elif name in ("cbind", "mvbind"):
        reason = f"`{name}()` stands on the left-hand side only"
    else:
        return
    raise FormulaError(reason, source, factor.span)


def _special_kind(factor: Node) -> str | None:
    if not isinstance(factor, Call) or is_structured(factor):
        return None
    name = "cs" if factor.function == "cse" else factor.function
    return name if name in SPECIALS else None


def is_structured(call: Call) -> bool:
    """Whether ``call`` is a covariance structure around a group term: ``cs(1 | g)`` is, ``cs(x)`` is not."""
    return call.function in STRUCTURES and any(
        is_bar(part) for one in call.arguments for part in children(one)
    )


def _offset(call: Call, source: str) -> Node:
    if len(call.arguments) != 1 or call.arguments[0].value is None:
        raise FormulaError("offset() takes one expression: `offset(log(time))`", source, call.span)
    return call.arguments[0].value


def _structured_terms(call: Call, source: str) -> list[GroupTerm]:
    """The group terms of lme4's ``cs(effects | group, hom = TRUE)``."""
    bar, *options = call.arguments
    homogeneous = None
    for option in options:
        said = option.value.name if isinstance(option.value, Name) else ""
        if option.name not in (None, "hom") or said not in ("TRUE", "T", "FALSE", "F") or len(options) > 1:
            reason = f"`{call.function}()` takes a group term and hom = TRUE or FALSE"
            raise FormulaError(reason, source, option.span)
        homogeneous = said in ("TRUE", "T")
    if not (isinstance(bar.value, Binary) and bar.value.operator == "|"):
        reason = f"write `{call.function}(effects | group)`: a structure says which correlations there are"
        raise FormulaError(reason, source, call.span)
    terms = _group_terms(bar.value, call.span, source)
    return [replace(term, structure=(call.function, homogeneous)) for term in terms]


def _group_terms(bar_node: Node, span: tuple[int, int], source: str) -> list[GroupTerm]:
    """The group terms that ``(effects | group)`` stands for, nested groups taken apart."""
    assert isinstance(bar_node, Binary)  # the expansion keeps parentheses around bars only
    bar = read_bar(bar_node, source)
    effects = right_hand_side(bar.effects, source, in_group=True)
    text = unparse(bar.effects)
    group_terms = []
    for read in read_groupings(bar.group, source):
        correlated = bar.correlated and read.correlated
        if bar.id is not None and read.id not in (None, bar.id):
            reason = f"two names for what is to be shared: `{bar.id}` and `{read.id}`"
            raise FormulaError(reason, source, bar_node.span)
        if bar.id is not None and not correlated:
            reason = f"`|{bar.id}|` shares correlations, and cor = FALSE says there are none"
            raise FormulaError(reason, source, bar_node.span)
        grouping = read.grouping
        if grouping.kind != "mm":
            _refuse_mmc(effects, source)
        if not _has_effects(effects):
            reason = "this group term has no effects: write `(1 | g)` or `(x | g)`"
            raise FormulaError(reason, source, span)
        identifier = bar.id or read.id
        label = f"{text} | {grouping.label}"
        group_terms.append(GroupTerm(effects, grouping, correlated, identifier, label, span=span))
    return group_terms


def _has_effects(effects: Predictor) -> bool:
    return bool(effects.intercept or effects.explicit_intercept or effects.terms or effects.special_terms)


def _refuse_mmc(effects: Predictor, source: str) -> None:
    for term in effects.special_terms:
        if term.kind == "mmc":
            reason = "mmc() needs a multi-membership group: `(1 + mmc(x1, x2) | mm(g1, g2))`"
            raise FormulaError(reason, source, term.call.span)


def _refuse_duplicates(group_terms: list[GroupTerm], source: str) -> None:
    """One effect of one group must be there once, however its products are ordered (``a:b`` is ``b:a``)."""
    seen: set[tuple[str, frozenset[str], frozenset[str]]] = set()
    by_of: dict[tuple[str, frozenset[str]], str] = {}
    for term in group_terms:
        group = (term.grouping.kind, frozenset(term.grouping.variables))
        for effect in _effect_keys(term.effects):
            key = (*group, effect)
            if key in seen:
                reason = (
                    "Duplicated group-level effects are not allowed: "
                    f"`{':'.join(sorted(effect))}` of group `{term.grouping.label}` is there twice"
                )
                raise FormulaError(reason, source, term.span)
            seen.add(key)
        if term.grouping.by is not None and by_of.setdefault(group, term.grouping.by) != term.grouping.by:
            reason = f"group `{term.grouping.label}` can have one `by` variable only"
            raise FormulaError(reason, source, term.span)


def _effect_keys(effects: Predictor) -> list[frozenset[str]]:
    keys = [frozenset({"Intercept"})] if effects.intercept or effects.explicit_intercept else []
    products = [term.factors for term in effects.terms] + [term.factors for term in effects.special_terms]
    return keys + [frozenset(unparse(factor) for factor in factors) for factors in products]


def _refuse_response(parts: _Parts, response: Node, source: str) -> None:
    for term in parts.terms:
        for factor in term.factors:
            if factor == response:
                reason = f"the response `{unparse(response)}` cannot be a predictor of itself"
                raise FormulaError(reason, source, factor.span)


def _label(factors: tuple[Node, ...]) -> str:
    return ":".join(unparse(factor) for factor in factors)
