"""A syntax tree back to text, as R deparses it: ``a * b``, ``x:y``, ``I(x^2)``, ``(1 | g)``."""

from __future__ import annotations

from decimal import Decimal

from .nodes import Argument, Binary, Call, Index, Name, Node, Number, Paren, String, Unary
from .operators import COMPARISON, PREFIX, power_of
from .tokens import is_syntactic

__all__ = ["deparse_number", "quote_name", "quote_string", "unparse"]

_TIGHT = frozenset(("^", ":", "/", "%%", "%/%"))
_ATOM = 1000
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
_ESCAPES |= {"\f": "\\f", "\v": "\\v"}


def unparse(node: Node) -> str:
    """``node`` as R prints it; reading it again gives an equal tree.

    Parentheses are those of the tree (`Paren`); a tree put together by hand gets the ones it needs.
    """
    match node:
        case Name():
            return quote_name(node.name)
        case Number():
            return deparse_number(node.value, node.text)
        case String():
            return quote_string(node.value)
        case Paren():
            return f"({unparse(node.inner)})"
        case Unary():
            loose = isinstance(node.operand, Binary) and _power(node.operand) < PREFIX[node.operator]
            return node.operator + _guard(unparse(node.operand), loose)
        case Binary():
            return _binary(node)
        case Call():
            return f"{quote_name(node.function)}({_arguments(node.arguments)})"
        case Index():
            inner = _guard(unparse(node.value), _power(node.value) < _ATOM)
            return f"{inner}[{_arguments(node.arguments)}]"
        case Argument():
            return _argument(node)
        case _:
            raise TypeError(f"not a node of a formula: {node!r}")


def quote_name(name: str) -> str:
    """``name``, in back-ticks when R needs them."""
    if is_syntactic(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def quote_string(value: str) -> str:
    """``value`` in double quotes, escaped as R does."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def deparse_number(value: float, text: str = "") -> str:
    """``value`` in R's shortest form: 15 significant digits, fixed unless scientific is shorter.

    ``text``, the literal as written, decides whether it is an integer (``2L``). Where 15 digits would change
    the value all 17 are kept (R would lose them).
    """
    if value < 0:
        return "-" + deparse_number(-value, text)
    if text.endswith("L") and value == int(value):
        return f"{int(value)}L"
    precise = f"{value:.15g}"
    if float(precise) != value:
        precise = repr(value)
    digits = precise.partition("e")[0].replace(".", "").strip("0") or "0"
    significant = len(digits)
    power = Decimal(precise).adjusted()
    mantissa = digits[0] + ("." + digits[1:] if significant > 1 else "")
    scientific = f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    decimals = max(significant - 1 - power, 0)
    # R compares widths: 1e+05 is shorter than 100000, 123456 shorter than 1.23456e+05. Ties go to fixed.
    width = (power + 1 if power >= 0 else 1) + (decimals + 1 if decimals else 0)
    if width > len(scientific):
        return scientific
    return f"{value:.{decimals}f}"


def _binary(node: Binary) -> str:
    """The left spine is walked in a loop: a sum may have thousands of terms."""
    spine = [node]
    while isinstance(spine[-1].left, Binary) and not _needs_left_guard(spine[-1]):
        spine.append(spine[-1].left)
    bottom = spine[-1]
    pieces = [_guard(unparse(bottom.left), _needs_left_guard(bottom))]
    for part in reversed(spine):
        power = _power(part)
        right = _power(part.right)
        # A prefix operator on the right needs no parentheses, however loosely it binds.
        loose = right < power if part.operator == "^" else right <= power
        guarded = isinstance(part.right, Binary) and loose
        operator = part.operator if part.operator in _TIGHT else f" {part.operator} "
        pieces.append(operator + _guard(unparse(part.right), guarded))
    return "".join(pieces)


def _needs_left_guard(node: Binary) -> bool:
    power, left = _power(node), _power(node.left)
    if left < power or _trailing_prefix(node.left) < power:
        return True
    return left == power and isinstance(node.left, Binary) and (node.operator == "^" or power == COMPARISON)


def _trailing_prefix(node: Node) -> int:
    """Power of the loosest prefix operator that ends ``node``: what follows would be read as its operand."""
    loosest = _ATOM
    while isinstance(node, Binary | Unary):
        if isinstance(node, Unary):
            loosest = min(loosest, PREFIX[node.operator])
        node = node.operand if isinstance(node, Unary) else node.right
    return loosest


def _power(node: Node) -> int:
    match node:
        case Binary():
            return power_of(node.operator) or _ATOM
        case Unary():
            return PREFIX[node.operator]
        case _:
            return _ATOM


def _guard(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _arguments(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(_argument(argument) for argument in arguments)


def _argument(argument: Argument) -> str:
    value = "" if argument.value is None else unparse(argument.value)
    return value if argument.name is None else f"{quote_name(argument.name)} = {value}"
