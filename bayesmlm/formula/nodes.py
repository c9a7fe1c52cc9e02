"""The syntax tree of the brms/lme4 formula language.

Every node is frozen and remembers the span of characters it came from (``span`` does not take part in
comparison, so two trees are equal when they mean the same). `unparse` in `bayesmlm.formula.unparse` prints a
tree back as R would deparse it. Nothing here is ever evaluated by Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Argument", "Binary", "Call", "Index", "Name", "Node", "Number", "Paren", "String", "Unary"]

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Any piece of a formula. ``span``: first and one-past-last character in the source text."""

    span: Span = field(default=(0, 0), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, as R names it (dots allowed; back-ticks removed): ``x``, ``x.2``, ``my var``."""

    name: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A numeric literal; ``text`` is how the user wrote it (``1e-3``, ``2L``, ``.5``)."""

    value: float
    text: str = field(compare=False, default="")


@dataclass(frozen=True, slots=True)
class String(Node):
    """A quoted string."""

    value: str


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call: ``k = 5`` has a name, ``x`` has none, an empty one (``x[, 1]``) no value."""

    value: Node | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call ``s(x, k = 5)``. ``function`` keeps R's dots (``as.factor``) and drops ``pkg::``."""

    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``x[, 1]`` or ``x$a``-like access by position; parsed and printed, evaluated only on matrix columns."""

    value: Node
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-x``, ``+x``, ``!x`` or a one-sided formula ``~ x``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """``left operator right``; operators are R's: ``~ | || + - * / : ^ %in% %% %/% < <= > >= == != & &&``.

    ``**`` is read as ``^``, as R does.
    """

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Paren(Node):
    """A parenthesised expression; kept, because ``(x | g)`` is a group term and ``x | g`` is not."""

    inner: Node
