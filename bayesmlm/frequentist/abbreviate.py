"""R's ``abbreviate()``: short names that can still be recognised and differ from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["abbreviate"]

VOWELS = frozenset("aeiou")


def abbreviate(names: Sequence[str], length: int) -> list[str]:
    """``names`` cut to about ``length`` characters, as documented in ``?abbreviate`` (method "left.kept").

    Lower case vowels go first, from the right, then lower case letters, then anything but the first character of a
    word; what would be the same for two names is cut less.
    """
    unique = list(dict.fromkeys(name.strip(" ") for name in names))
    short = {name: _short(name, length) for name in unique}
    allowed = length
    while True:
        seen: dict[str, str] = {}
        again = {short[name] for name in unique if seen.setdefault(short[name], name) != name}
        if not again:
            return [short[name.strip(" ")] for name in names]
        allowed += 1
        for name in unique:
            if short[name] in again:
                short[name] = _short(name, allowed)


def _short(name: str, length: int) -> str:
    letters = list(name)
    tests: tuple[Callable[[list[str], int], bool], ...] = (
        lambda s, i: s[i] in VOWELS and _ends(s, i),
        lambda s, i: s[i] in VOWELS and s[i - 1] != " ",
        lambda s, i: _is_lower(s[i]) and _ends(s, i),
        lambda s, i: _is_lower(s[i]) and s[i - 1] != " ",
        lambda s, i: s[i - 1] != " " and s[i] != " ",
    )
    for test in tests:
        for i in range(len(letters) - 1, 0, -1):
            if len(letters) - letters.count(" ") <= length:
                return "".join(letters) if len(letters) <= length else "".join(letters).replace(" ", "")
            if test(letters, i):
                del letters[i]
    return "".join(letters).replace(" ", "")


def _ends(letters: list[str], i: int) -> bool:
    """Whether the character is the last of its word, and not the first."""
    return letters[i - 1] != " " and (i + 1 == len(letters) or letters[i + 1] == " ")


def _is_lower(character: str) -> bool:
    return "a" <= character <= "z"
