"""What stands right of the bar of a group term: ``g``, ``a:b``, ``a/b``, ``gr(g, by = z)``, ``mm(a, b)``."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FormulaError
from .expansion import expand
from .nodes import Argument, Binary, Call, Name, Node, Number, Paren, String
from .predictor import Grouping
from .unparse import unparse
from .walk import walk

__all__ = ["Bar", "read_bar", "read_groupings"]

_OPTIONS = {
    "gr": ("by", "cor", "id", "pw", "cov", "dist"),
    "mm": ("weights", "scale", "by", "cor", "id", "pw", "cov", "dist"),
}
_READ_HERE = ("by", "cor", "id")
"""Options that become fields of the group term; the others stay in ``Grouping.options``."""


@dataclass(frozen=True)
class Bar:
    """``effects | id | group`` taken apart; ``correlated`` is False for ``||``."""

    effects: Node
    group: Node
    id: str | None
    correlated: bool


@dataclass(frozen=True)
class ReadGrouping:
    """A grouping and what its ``gr()`` or ``mm()`` says about the term it belongs to."""

    grouping: Grouping
    correlated: bool = True
    id: str | None = None


def read_bar(bar: Binary, source: str) -> Bar:
    """Take ``effects | g``, ``effects || g`` or ``effects | ID | g`` apart; else `FormulaError`."""
    left = bar.left
    if not (isinstance(left, Binary) and left.operator in ("|", "||")):
        return Bar(left, bar.right, None, bar.operator == "|")
    identifier = left.right
    simple = isinstance(identifier, Name | Number)
    nested = isinstance(left.left, Binary) and left.left.operator in ("|", "||")
    if not simple or nested or left.operator != "|" or bar.operator != "|":
        reason = (
            "a group term is `(effects | g)`, `(effects || g)` or, with a name to share, `(effects | ID | g)`"
        )
        raise FormulaError(reason, source, bar.span)
    return Bar(left.left, bar.right, unparse(identifier), True)


def read_groupings(node: Node, source: str) -> tuple[ReadGrouping, ...]:
    """The groupings of ``node``: ``a/b`` gives ``a`` and ``a:b``, ``a * b`` gives ``a``, ``b`` and ``a:b``.

    Raises `FormulaError` when a grouping is no variable, product of variables, ``gr()`` or ``mm()``.
    """
    terms = expand(node, source).terms
    if not terms:
        raise _illegal(node, source)
    return tuple(_read(factors, node, source) for factors in terms)


def _read(factors: tuple[Node, ...], node: Node, source: str) -> ReadGrouping:
    if len(factors) == 1 and isinstance(factors[0], Call) and factors[0].function in _OPTIONS:
        return _read_call(factors[0], source)
    return ReadGrouping(_product(factors, node, source))


def _product(factors: tuple[Node, ...], node: Node, source: str) -> Grouping:
    names = []
    for factor in factors:
        if not isinstance(factor, Name):
            raise _illegal(factor, source)
        names.append(factor.name)
    nested = len(names) > 1 and any(isinstance(n, Binary) and n.operator == "/" for n in walk(node))
    return Grouping(tuple(names), ":".join(names), nested=nested, span=node.span)


def _illegal(node: Node, source: str) -> FormulaError:
    reason = (
        f"`{unparse(node)}` cannot be a grouping factor: write names of columns joined by `:` or `/`, "
        "gr(g) or mm(g1, g2); compute anything else as a column first"
    )
    return FormulaError(reason, source, node.span)


def _read_call(call: Call, source: str) -> ReadGrouping:
    """``gr(...)`` or ``mm(...)``: unnamed arguments are grouping factors, the named ones options."""
    members = [argument for argument in call.arguments if argument.name is None]
    options = _options(call, source)
    groupings = [_member(member, source) for member in members]
    if call.function == "gr":
        if len(groupings) != 1:
            reason = "gr() takes one grouping factor; its options are named: gr(g, by = z)"
            raise FormulaError(reason, source, call.span)
        variables, label = groupings[0].variables, groupings[0].label
    else:
        if len(groupings) < 2:
            reason = "mm() takes two or more grouping factors: mm(g1, g2)"
            raise FormulaError(reason, source, call.span)
        if any(len(grouping.variables) > 1 for grouping in groupings):
            reason = "mm() takes single columns: compute interactions as columns first"
            raise FormulaError(reason, source, call.span)
        variables = tuple(grouping.label for grouping in groupings)
        label = "mm" + "".join(variables)
    by, correlated, identifier = _by(options, source), _flag(options, "cor", source), _id(options, source)
    rest = tuple((name, node) for name, node in options.items() if name not in _READ_HERE)
    return ReadGrouping(
        Grouping(variables, label, call.function, by, rest, span=call.span), correlated, identifier
    )


def _options(call: Call, source: str) -> dict[str, Node]:
    known = _OPTIONS[call.function]
    options: dict[str, Node] = {}
    for argument in call.arguments:
        if argument.name is None:
            continue
        if argument.name not in known:
            reason = f"{call.function}() has no argument `{argument.name}`; it has {', '.join(known)}"
            raise FormulaError(reason, source, argument.span)
        if argument.name in options:
            raise FormulaError(f"`{argument.name}` is given twice", source, argument.span)
        if argument.value is None:
            raise FormulaError(f"`{argument.name} =` needs a value", source, argument.span)
        if not (isinstance(argument.value, Name) and argument.value.name == "NULL"):
            options[argument.name] = argument.value
    return options


def _member(argument: Argument, source: str) -> Grouping:
    """A grouping factor inside gr() or mm(): a name, or names joined by ``:``."""
    if argument.value is None:
        raise FormulaError("a grouping factor is missing here", source, argument.span)
    names: list[Node] = []
    node = argument.value
    while isinstance(node, Binary) and node.operator == ":":
        names.append(node.right)
        node = node.left
    return _product((node, *reversed(names)), argument.value, source)


def _by(options: dict[str, Node], source: str) -> str | None:
    by = options.get("by")
    if by is None:
        return None
    if isinstance(by, Name):
        return by.name
    raise FormulaError("`by` takes the name of a column; compute anything else first", source, by.span)


def _flag(options: dict[str, Node], name: str, source: str) -> bool:
    value = options.get(name)
    if value is None or (isinstance(value, Name) and value.name in ("TRUE", "T")):
        return True
    if isinstance(value, Name) and value.name in ("FALSE", "F"):
        return False
    raise FormulaError(f"`{name}` takes TRUE or FALSE", source, value.span)


def _id(options: dict[str, Node], source: str) -> str | None:
    value = options.get("id")
    if isinstance(value, Paren):
        value = value.inner
    match value:
        case None:
            return None
        case String():
            return value.value
        case Name(name="NA"):
            return None
        case Number():
            return unparse(value)
        case _:
            raise FormulaError('`id` takes text in quotes: id = "p"', source, value.span)
