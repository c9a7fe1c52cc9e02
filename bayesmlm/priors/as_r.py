"""Rounding, printing and sorting as R does them: brms's table of priors depends on all three."""

from __future__ import annotations

import math
import unicodedata

__all__ = ["collation_key", "r_number", "r_round"]

PUNCTUATION = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
"""In the order of the Unicode Collation Algorithm's default table (which ICU, and so R, sorts by)."""


def r_round(x: float, digits: int) -> float:
    """R's ``round()`` since 4.0.0: the nearer of the two neighbours with that many decimals; when both are
    equally near in double precision, the one whose last digit is even."""
    scale = 10.0**digits
    low, high = math.floor(x * scale), math.ceil(x * scale)
    below, above = low / scale, high / scale
    if x - below == above - x:
        return below if low % 2 == 0 else above
    return below if x - below < above - x else above


def r_number(x: float) -> str:
    """x as R's ``as.character`` writes it: 15 significant digits, no trailing zeros, and the shorter of
    fixed and scientific notation (fixed when equally long)."""
    if x == 0 or not math.isfinite(x):
        return {0.0: "0", math.inf: "Inf", -math.inf: "-Inf"}.get(x, "NaN")
    mantissa, exponent = f"{x:.14e}".split("e")
    digits = mantissa.rstrip("0").rstrip(".")
    power = int(exponent)
    scientific = f"{digits}e{power:+03d}"
    decimals = len(digits.lstrip("-").replace(".", "")) - 1 - power
    fixed = f"{x:.{max(decimals, 0)}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def collation_key(text: str) -> tuple[tuple[tuple[int, str], ...], str, str]:
    """Sorts as R does in an English locale: punctuation, digits, letters; case and accents only break ties,
    lower case first."""
    decomposed = unicodedata.normalize("NFD", text)
    plain = [c for c in decomposed if not unicodedata.combining(c)]
    accents = "".join(c for c in decomposed if unicodedata.combining(c))
    return tuple(_weight(c) for c in plain), accents, "".join(plain).swapcase()


def _weight(character: str) -> tuple[int, str]:
    place = PUNCTUATION.find(character)
    if place >= 0:
        return place, ""
    return len(PUNCTUATION) + (not character.isdigit()), character.casefold()
