"""R's formula algebra: a right-hand side becomes a list of products (Chambers & Hastie, 1992, section 2.4).

The rules are those of R's ``terms.formula``. A variable is a bit, a term the union of its variables' bits, so
that ``a:a`` is ``a`` and ``b:a`` is ``a:b``; terms are sorted by degree and then by first appearance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import FormulaError
from .nodes import Binary, Name, Node, Number, Paren, String, Unary
from .unparse import unparse
from .walk import walk

__all__ = ["Expansion", "expand", "is_bar"]

MAX_TERMS = 10_000
"""``(x1 + ... + x40)^9`` would ask for hundreds of millions."""

_NOT_VARIABLES = frozenset({"NA", "NaN", "Inf"})
_ALGEBRA = frozenset(("+", "-", "*", "/", ":", "^", "%in%"))


@dataclass(frozen=True)
class Expansion:
    """``terms``: the factors of each product, in R's order; ``intercept``: whether there is one."""

    intercept: bool
    terms: tuple[tuple[Node, ...], ...]


def expand(node: Node, source: str, columns: Sequence[str] = ()) -> Expansion:
    """Multiply out ``node``; ``.`` stands for the sum of ``columns``.

    A group term ``(1 | g)``, kept in its parentheses, and every call are variables here. Raises
    `FormulaError` for what cannot be a term (a number other than 0 and 1, a string, ``x | g`` unbracketed).
    """
    expander = _Expander(source, columns)
    terms = sorted(expander.terms(node), key=int.bit_count)
    nodes = list(expander.variables)
    return Expansion(expander.intercept, tuple(_factors(term, nodes) for term in terms))


def is_bar(node: Node) -> bool:
    """Whether ``node`` is ``effects | group`` (without its parentheses)."""
    return isinstance(node, Binary) and node.operator in ("|", "||")


class _Expander:
    """The variables seen so far (their order is the order of bits), and whether 1 or 0 was said last."""

    def __init__(self, source: str, columns: Sequence[str]) -> None:
        self.source = source
        self.columns = columns
        self.intercept = True
        self.adding = True
        self.variables: dict[Node, int] = {}

    def variable(self, node: Node) -> list[int]:
        return [self.variables.setdefault(node, 1 << len(self.variables))]

    def terms(self, node: Node) -> list[int]:
        """The terms of ``node``, each once. The left spine is a loop: sums may be thousands of terms long."""
        spine: list[Binary] = []
        while isinstance(node, Binary) and node.operator in _ALGEBRA:
            spine.append(node)
            node = node.left
        found = self.atom(node)
        for step in reversed(spine):
            found = self.combine(step, found)
        return list(found)

    def combine(self, step: Binary, left: dict[int, None]) -> dict[int, None]:
        """``left operator right``. Terms are the keys of a dict: ordered, each once, and cheap to add to."""
        if step.operator == "^":
            return self.power(step, left)
        if step.operator == "-":
            for term in self.subtracted(step.right):
                left.pop(term, None)
            return left
        right = self.terms(step.right)
        match step.operator:
            case "+":
                left.update(dict.fromkeys(right))
                return left
            case ":":
                return self.products(step, left, right)
            case "*":
                products = self.products(step, left, right)
                return left | dict.fromkeys(right) | products
            case "%in%":
                return self.products(step, left, [_union(right)])
            case _:  # a/b is a + a:b, and (a + b)/c is a + b + a:b:c
                return left | self.products(step, {_union(list(left)): None} if left else {}, right)

    def subtracted(self, node: Node) -> list[int]:
        self.adding = not self.adding
        terms = self.terms(node)
        self.adding = not self.adding
        return terms

    def products(self, step: Binary, left: dict[int, None], right: list[int]) -> dict[int, None]:
        if len(left) * len(right) > 20 * MAX_TERMS:
            raise self.too_many(step)
        found = dict.fromkeys(one | other for one in left for other in right)
        if len(found) > MAX_TERMS:
            raise self.too_many(step)
        return found

    def power(self, step: Binary, base: dict[int, None]) -> dict[int, None]:
        exponent = step.right.inner if isinstance(step.right, Paren) else step.right
        if not isinstance(exponent, Number) or exponent.value != int(exponent.value) or exponent.value < 1:
            reason = "in a formula `^` needs a whole number, as in `(a + b)^2`; for arithmetic write I(x^k)"
            raise FormulaError(reason, self.source, step.right.span)
        found = base
        for _ in range(int(min(exponent.value, MAX_TERMS)) - 1):
            larger = self.products(step, found, list(base))
            if larger.keys() == found.keys():
                break
            found = larger
        return found

    def atom(self, node: Node) -> dict[int, None]:
        match node:
            case Paren() if not is_bar(node.inner):
                return dict.fromkeys(self.terms(node.inner))
            case Number():
                return self.number(node)
            case Name():
                return self.name(node)
            case Unary() if node.operator == "+":
                return dict.fromkeys(self.terms(node.operand))
            case Unary() if node.operator == "-":
                self.subtracted(node.operand)
                return {}
            case String():
                reason = "text in quotes is no term: write the variable's name without quotes"
                raise FormulaError(reason, self.source, node.span)
            case Binary() if is_bar(node):
                reason = "a group term needs parentheses: write `(x | g)`"
                raise FormulaError(reason, self.source, node.span)
            case Binary() | Unary() if node.operator == "~":
                reason = "a formula inside a formula is no term"
                raise FormulaError(reason, self.source, node.span)
            case _:
                self.refuse_hidden_dot(node)
                return dict.fromkeys(self.variable(node))

    def refuse_hidden_dot(self, node: Node) -> None:
        for part in walk(node):
            if isinstance(part, Name) and part.name == ".":
                reason = (
                    "`.` stands for columns as terms, not inside a call or a group term: name the columns"
                )
                raise FormulaError(reason, self.source, part.span)

    def number(self, node: Number) -> dict[int, None]:
        """1 and 0 switch the intercept on and off; after a minus sign the other way round."""
        if node.value not in (0, 1):
            reason = f"the number {unparse(node)} is no term; only 1 and 0 (with and without intercept) are"
            raise FormulaError(reason, self.source, node.span)
        self.intercept = self.adding == bool(node.value)
        return {}

    def name(self, node: Name) -> dict[int, None]:
        match node.name:
            case "TRUE" | "FALSE":
                return self.number(Number(float(node.name == "TRUE"), span=node.span))
            case "NULL":
                return {}
            case ".":
                if not self.columns:
                    reason = "`.` stands for the other columns of the data, and here there are none"
                    raise FormulaError(reason, self.source, node.span)
                columns = [Name(column, span=node.span) for column in self.columns]
                return dict.fromkeys(bit for column in columns for bit in self.variable(column))
            case name if name in _NOT_VARIABLES:
                raise FormulaError(f"`{name}` is no variable", self.source, node.span)
            case _:
                return dict.fromkeys(self.variable(node))

    def too_many(self, step: Binary) -> FormulaError:
        return FormulaError(f"this multiplies out to more than {MAX_TERMS} terms", self.source, step.span)


def _union(terms: list[int]) -> int:
    union = 0
    for term in terms:
        union |= term
    return union


def _factors(term: int, nodes: list[Node]) -> tuple[Node, ...]:
    """The nodes whose bits are set, lowest bit first."""
    factors = []
    while term:
        lowest = term & -term
        factors.append(nodes[lowest.bit_length() - 1])
        term ^= lowest
    return tuple(factors)
