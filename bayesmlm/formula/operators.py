"""R's operator table (``?Syntax``): how tightly each operator of a formula binds."""

from __future__ import annotations

__all__ = ["BINARY", "COMPARISON", "PREFIX", "power_of"]

COMPARISON = 50
"""Power of the comparisons, the only operators that do not chain."""

BINARY: dict[str, int] = {
    "~": 10,
    **dict.fromkeys(("|", "||"), 20),
    **dict.fromkeys(("&", "&&"), 30),
    **dict.fromkeys(("<", ">", "<=", ">=", "==", "!="), COMPARISON),
    **dict.fromkeys(("+", "-"), 60),
    **dict.fromkeys(("*", "/"), 70),
    "%": 80,
    ":": 90,
    "^": 110,
}
"""Binary operators, loose to tight; ``%`` stands for every ``%any%``. All group to the left except ``^``."""

PREFIX: dict[str, int] = {"~": 11, "!": 40, "+": 100, "-": 100}
"""Prefix operators: their operand takes in every binary operator of at least this power."""


def power_of(operator: str) -> int | None:
    """Binding power of a binary operator, None for text that is no binary operator."""
    return BINARY["%"] if operator.startswith("%") else BINARY.get(operator)
