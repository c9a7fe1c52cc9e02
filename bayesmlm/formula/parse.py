"""Tokens to a syntax tree: a precedence-climbing (Pratt) parser with R's operator table.

Precedence and associativity are those of R's ``?Syntax``: from loose to tight ``~``, ``| ||``, ``& &&``,
``!``, comparison (which does not chain), ``+ -``, ``* /``, ``%any%``, ``:``, unary ``+ -``, ``^`` (to the
right).
(Pratt, V. R., 1973, Top down operator precedence, POPL '73.)
"""

from __future__ import annotations

from ..errors import FormulaError
from .formulas import Formula, formula_from_node
from .nodes import Argument, Binary, Call, Index, Name, Node, Number, Paren, String, Unary
from .operators import COMPARISON, PREFIX, power_of
from .tokens import RESERVED, Token, tokenize
from .walk import children

__all__ = ["MAX_DEPTH", "MAX_NESTING", "parse_expression", "parse_formula", "read_tree"]

MAX_NESTING = 100
"""Most brackets, prefix operators and ``^`` inside each other: what the parser itself recurses over."""

MAX_DEPTH = 200
"""Deepest tree (a sum of 100 terms is 100 deep): walks over a tree recurse this deep."""

_FORMULA_OPERATORS = frozenset(("~", "|", "||", "+", "-", "*", "/", ":", "^", "%in%"))


def parse_expression(text: str) -> Node:
    """The syntax tree of one R expression: ``log(x) + s(z, k = 5)``.

    Raises `FormulaError` (with a caret) for anything that R's grammar of expressions does not produce, for R
    syntax that formulas do not use (assignment, ``$``, blocks), and for nesting deeper than `MAX_NESTING`.
    """
    node = read_tree(text)
    _check_depth(node, text, long_sums=False)
    return node


def parse_formula(text: str) -> Formula:
    """The formula in ``text``: ``y | trials(n) ~ x + (1 | g)`` or, one-sided, ``~ x``.

    Raises `FormulaError` as `parse_expression`, and when there is no ``~`` or more than one, or when an
    addition on the left-hand side is unknown or said twice.
    """
    return formula_from_node(read_tree(text), text)


def read_tree(text: str) -> Node:
    """As `parse_expression`, but a sum outside brackets may have any number of terms."""
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, such as 'y ~ x'; this is {type(text).__name__}")
    parser = _Parser(text)
    node = parser.expression(0)
    parser.expect_end()
    _check_depth(node, text, long_sums=True)
    return node


def _check_depth(node: Node, source: str, long_sums: bool) -> None:
    """Refuse trees too deep to walk. With ``long_sums`` the outermost run of operators counts once."""
    waiting = [(node, 0, long_sums)]
    while waiting:
        current, depth, outermost = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(source, current.span)
        if outermost and isinstance(current, Binary) and current.operator in _FORMULA_OPERATORS:
            waiting += [(current.left, depth, True), (current.right, depth + 1, current.operator == "~")]
        else:
            one_sided = outermost and isinstance(current, Unary) and current.operator == "~"
            waiting += [(child, depth + 1, one_sided) for child in children(current)]


def _too_deep(source: str, span: tuple[int, int]) -> FormulaError:
    return FormulaError(
        "this is nested too deeply, or too many terms are added in brackets: compute inner parts as columns",
        source,
        (span[0], span[0] + 1),
    )


class _Parser:
    """A cursor over the tokens of one text."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.position = 0
        self.depth = 0
        self.open: list[Token] = []

    @property
    def current(self) -> Token:
        return self.tokens[self.position]

    def is_operator(self, *texts: str) -> bool:
        return self.current.kind == "operator" and self.current.text in texts

    def advance(self) -> Token:
        token = self.current
        self.position += 1
        return token

    def expression(self, weakest: int) -> Node:
        """An expression whose binary operators bind at least as tightly as ``weakest``."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _too_deep(self.source, self.current.span)
        left = self.operand()
        while self.current.kind == "operator":
            operator = self.current
            power = power_of(operator.text)
            if power is None or power < weakest:
                break
            self.advance()
            right = self.expression(power if operator.text == "^" else power + 1)
            left = Binary(operator.text, left, right, span=(left.span[0], right.span[1]))
            if (
                power == COMPARISON
                and self.current.kind == "operator"
                and power_of(self.current.text) == power
            ):
                reason = f"comparisons do not chain: write `a {operator.text} b & b {self.current.text} c`"
                raise FormulaError(reason, self.source, self.current.span)
        self.depth -= 1
        return left

    def operand(self) -> Node:
        """A prefix operator with its operand, or a name, literal or parenthesis with what follows it."""
        token = self.current
        if token.kind == "operator" and token.text in PREFIX:
            self.advance()
            inner = self.expression(PREFIX[token.text])
            return Unary(token.text, inner, span=(token.start, inner.span[1]))
        node = self.primary()
        while self.is_operator("(", "["):
            node = self.call(node) if self.current.text == "(" else self.index(node)
        return node

    def primary(self) -> Node:
        token = self.current
        match token.kind:
            case "number":
                self.advance()
                return Number(token.value, token.text, span=token.span)
            case "string":
                self.advance()
                return String(token.text, span=token.span)
            case "name":
                return self.name()
            case "operator" if token.text == "(":
                self.open.append(self.advance())
                inner = self.expression(0)
                return Paren(inner, span=(token.start, self.close(")")))
            case _:
                raise self.missing_operand()

    def name(self) -> Node:
        token = self.advance()
        if token.text in RESERVED and not token.quoted:
            reason = f"`{token.text}` is a key word of R: as a variable's name it needs back-ticks"
            raise FormulaError(reason, self.source, token.span)
        if not self.is_operator("::", ":::"):
            return Name(token.text, span=token.span)
        colons = self.advance()
        if self.current.kind != "name" or self.tokens[self.position + 1].text != "(":
            reason = f"`{colons.text}` stands between a package and a call: `brms::s(x)`"
            raise FormulaError(reason, self.source, colons.span)
        function = self.advance()
        return Name(function.text, span=(token.start, function.end))

    def call(self, function: Node) -> Call:
        if not isinstance(function, Name):
            reason = "only a named function can be called; if a product is meant write `*` or `:`"
            raise FormulaError(reason, self.source, self.current.span)
        self.open.append(self.advance())
        arguments = self.arguments(")")
        return Call(function.name, arguments, span=(function.span[0], self.close(")")))

    def index(self, value: Node) -> Index:
        self.open.append(self.advance())
        arguments = self.arguments("]")
        return Index(value, arguments, span=(value.span[0], self.close("]")))

    def arguments(self, closing: str) -> tuple[Argument, ...]:
        if self.is_operator(closing):
            return ()
        arguments = [self.argument(closing)]
        while self.is_operator(","):
            self.advance()
            arguments.append(self.argument(closing))
        return tuple(arguments)

    def argument(self, closing: str) -> Argument:
        start = self.current.start
        name = None
        following = self.tokens[min(self.position + 1, len(self.tokens) - 1)]
        if self.current.kind in ("name", "string") and following.kind == "operator" and following.text == "=":
            name = self.advance().text
            self.advance()
        if self.is_operator(closing, ","):
            return Argument(
                None, name, span=(start, start if name is None else self.tokens[self.position - 1].end)
            )
        value = self.expression(0)
        return Argument(value, name, span=(start, value.span[1]))

    def close(self, closing: str) -> int:
        """Read the bracket that closes the innermost open one; return the position after it."""
        opening = self.open[-1]
        if self.current.kind == "end":
            raise FormulaError(f"this `{opening.text}` is never closed", self.source, opening.span)
        if not self.is_operator(closing):
            raise self.unexpected()
        self.open.pop()
        return self.advance().end

    def expect_end(self) -> None:
        if self.current.kind != "end":
            raise self.unexpected()

    def unexpected(self) -> FormulaError:
        """A whole operand has been read and this token cannot follow it."""
        token = self.current
        shown = self.source[token.start : token.end]
        before = self.tokens[self.position - 1]
        if token.kind != "operator":
            previous = self.source[before.start : before.end]
            reason = f"an operator such as `+` is missing between `{previous}` and `{shown}`"
        elif token.text in (")", "]"):
            wanted = {"(": ")", "[": "]"}
            opened = self.open[-1].text if self.open else ""
            reason = (
                f"`{opened}` must be closed with `{wanted[opened]}` before this `{shown}`"
                if opened
                else f"this `{shown}` closes nothing"
            )
        elif token.text == "=":
            reason = "`=` belongs inside a call, after an argument's name; compare with `==`, model with `~`"
        elif token.text == ",":
            reason = "a comma belongs inside a call, between two arguments"
        else:
            reason = f"`{shown}` cannot stand here"
        return FormulaError(reason, self.source, token.span)

    def missing_operand(self) -> FormulaError:
        """An operand must start at this token and does not."""
        token = self.current
        if self.position == 0:
            if token.kind == "end":
                return FormulaError("the formula is empty: write something like `y ~ x`", self.source, (0, 0))
            return FormulaError(f"nothing stands left of `{self.shown(token)}`", self.source, token.span)
        before = self.tokens[self.position - 1]
        shown = self.shown(before)
        if before.text in ("(", "[") and token.text in (")", "]"):
            return FormulaError(
                "nothing stands between these brackets", self.source, (before.start, token.end)
            )
        if token.kind == "end" and before.text in ("(", "["):
            return FormulaError(f"this `{shown}` is never closed", self.source, before.span)
        if token.kind == "end":
            return FormulaError(f"nothing stands right of `{shown}`", self.source, before.span)
        reason = f"a variable, number or call is missing between `{shown}` and `{self.shown(token)}`"
        return FormulaError(reason, self.source, token.span)

    def shown(self, token: Token) -> str:
        return self.source[token.start : token.end]
