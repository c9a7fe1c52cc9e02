"""Formula text to tokens: R's lexical rules, with a span on every token.

One regular expression knows the whole lexicon. What R has and a formula has no use for (assignment, ``$``,
braces) is recognised too, so that it can be refused with advice instead of as noise.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..errors import FormulaError

__all__ = ["RESERVED", "Token", "is_syntactic", "tokenize"]

_NAME = r"(?:[^\W\d_]|\.(?![0-9]))[\w.]*"
_TOKEN = re.compile(
    rf"""
      (?P<blank>\s+|\#[^\n]*)
    | (?P<number>0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?[0-9]+)?L?
                |(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?)
    | (?P<name>{_NAME})
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<refused><<-|<-|->>|->|:=|\|>|\[\[|\$|@|\{{|\}}|;|\?|\\)
    | (?P<operator>:::|::|\*\*|%[^%\n]*%|<=|>=|==|!=|&&|\|\||[-+*/^:~|&!<>()\[\],=])
    """,
    re.VERBOSE | re.DOTALL,
)
_SYNTACTIC = re.compile(_NAME)

RESERVED = frozenset(("if", "else", "repeat", "while", "function", "for", "next", "break", "in"))
"""R's key words: as variable names they need back-ticks."""

_ADVICE = {
    "$": "write the column's name alone: `x`, not `data$x`",
    "@": "formulas have no slots: write the column's name alone",
    "[[": "write `x[, 1]` for a column of a matrix, or the column's name alone",
    "<-": "this is assignment in R; to compare with a negative number write `x < -1`",
    "<<-": "this is assignment in R",
    "->": "this is assignment in R",
    "->>": "this is assignment in R",
    ":=": "write `=` inside a call, `~` between the two sides",
    "|>": "write the call directly: `f(x)`",
    ";": "one formula at a time; more of them go into bf(...)",
}
_LOOK_ALIKES = {
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "*",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u223c": "~",
    "\u02dc": "~",
}
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "`": "`",
    " ": " ",
    "\n": "\n",
}
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{1,2})|u\{?(?P<u>[0-9a-fA-F]{1,4})\}?|U\{?(?P<U>[0-9a-fA-F]{1,8})\}?|(?P<c>.))",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a formula. ``kind``: name, number, string, operator or end; ``text``: what it stands for.

    For names and strings ``text`` is free of quotes and escapes; for numbers it is the literal and ``value``
    its value. ``quoted`` marks a name that was written in back-ticks.
    """

    kind: str
    text: str
    start: int
    end: int
    value: float = 0.0
    quoted: bool = False

    @property
    def span(self) -> tuple[int, int]:
        """First and one-past-last character."""
        return (self.start, self.end)


def is_syntactic(name: str) -> bool:
    """Whether R reads ``name`` as one variable without back-ticks."""
    return _SYNTACTIC.fullmatch(name) is not None and name not in RESERVED


def tokenize(source: str) -> list[Token]:
    """The tokens of ``source``, blanks and comments left out, with an ``end`` token last.

    Raises `FormulaError` for a character that means nothing, an unfinished quotation, or R syntax that has no
    place in a formula.
    """
    tokens = []
    position = 0
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            raise _stray(source, position)
        if found.lastgroup != "blank":
            tokens.append(_token(source, str(found.lastgroup), found.group(), position))
        position = found.end()
    tokens.append(Token("end", "", len(source), len(source)))
    return tokens


def _token(source: str, kind: str, text: str, start: int) -> Token:
    end = start + len(text)
    match kind:
        case "number":
            return Token(kind, text, start, end, _number(source, text, start))
        case "string":
            return Token(kind, _unescape(source, text, start), start, end)
        case "quoted":
            name = _unescape(source, text, start)
            if not name:
                raise FormulaError("empty back-ticks: write a name between them", source, (start, end))
            return Token("name", name, start, end, quoted=True)
        case "refused":
            advice = _ADVICE.get(text, "it means nothing in a formula")
            raise FormulaError(f"`{text}` cannot be used here: {advice}", source, (start, end))
        case "operator" if text == "**":
            return Token(kind, "^", start, end)
        case _:
            return Token(kind, text, start, end)


def _number(source: str, text: str, start: int) -> float:
    digits = text.removesuffix("L")
    try:
        value = float.fromhex(digits) if digits[:2] in ("0x", "0X") else float(digits)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise FormulaError(f"the number {text} is too large", source, (start, start + len(text)))
    return value


def _unescape(source: str, text: str, start: int) -> str:
    """The characters between the quotes of ``text``, R's escapes replaced."""

    def replace(found: re.Match[str]) -> str:
        code = found["x"] or found["u"] or found["U"]
        place = (start + 1 + found.start(), start + 1 + found.end())
        if code is None:
            if found["c"] not in _ESCAPES:
                raise FormulaError(f"`{found.group()}` is not an escape that R knows", source, place)
            return _ESCAPES[found["c"]]
        point = int(code, 16)
        # R refuses the null character; surrogates cannot be written to a file.
        if point == 0 or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise FormulaError(f"`{found.group()}` is not a character", source, place)
        return chr(point)

    return _ESCAPE.sub(replace, text[1:-1])


def _stray(source: str, position: int) -> FormulaError:
    character = source[position]
    place = (position, position + 1)
    if character in "\"'`":
        return FormulaError(f"the quotation that starts here is never closed with {character}", source, place)
    if character == "%":
        return FormulaError("an operator such as `%in%` needs a second `%`", source, place)
    if character == "_":
        return FormulaError("a name cannot start with `_`: put it in back-ticks, `` `_x` ``", source, place)
    if character in _LOOK_ALIKES:
        plain = _LOOK_ALIKES[character]
        return FormulaError(f"`{character}` looks like `{plain}` but is not: write `{plain}`", source, place)
    return FormulaError(f"the character {character!r} means nothing in a formula", source, place)
