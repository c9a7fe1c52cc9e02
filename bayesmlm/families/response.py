"""From a response column to the numbers a family's density takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor
from ..errors import DataError
from .base import Family
from .category_response import code_category, code_columns
from .coded_levels import Coded, code_levels, number_text, refuse_matrix, shown_levels
from .ordinal_response import code_ordinal

__all__ = ["addition_problem", "code_response"]

ALWAYS_ACCEPTED = frozenset({"weights", "subset", "index"})


def code_response(
    family: Family, column: Column, name: str, levels: tuple[str, ...] = ()
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The response as float64 numbers, NaN where missing, and the names of its levels or categories.

    (n,), or (columns, n) of a family whose response has several columns. bernoulli codes any two distinct values as 0
    and 1, in level order. The names are to be passed as ``levels`` when new data are coded; none of plain numbers.
    ``name`` is the response in messages. Whether the numbers are in the family's support is for
    `Family.check`.

    Raises `DataError` for text or a factor where numbers are needed, a matrix, or more than two values, and
    `NewDataError` for a value that is not among ``levels``.
    """
    return CODINGS[family.response](family, column, name, levels)


def _code_number(family: Family, column: Column, name: str, levels: tuple[str, ...]) -> Coded:
    refuse_matrix(column, name)
    if isinstance(column, Factor):
        raise DataError(
            f"the family `{family.name}` needs numbers, but the response `{name}` is text or a factor "
            f"with levels {shown_levels(column.levels)}; use `bernoulli` for two levels, or convert it to numbers"
        )
    if column.logical:
        raise DataError(
            f"the family `{family.name}` needs numbers, but the response `{name}` is TRUE/FALSE; "
            "use `bernoulli`"
        )
    return column.values, ()


def _code_binary(family: Family, column: Column, name: str, levels: tuple[str, ...]) -> Coded:
    refuse_matrix(column, name)
    known = levels or binary_levels(family, column, name)
    return code_levels(column, known, name), known


CODINGS: dict[str, Callable[[Family, Column, str, tuple[str, ...]], Coded]] = {
    "number": _code_number,
    "binary": _code_binary,
    "category": code_category,
    "columns": code_columns,
    "ordinal": code_ordinal,
}
"""How responses are coded, by what `Family.response` names: family, column, name and known levels (empty in training)
to numbers, (n,) or (columns, n), and names of levels or categories."""


def binary_levels(family: Family, column: Column, name: str) -> tuple[str, ...]:
    """The values that count as 0 and 1, as text, in this order.

    The levels observed, in level order; numbers by size; a single number v other than 0 counts as 1 (brms),
    and so does TRUE alone (where brms has 0).
    """
    if isinstance(column, Factor):
        found = tuple(level for code, level in enumerate(column.levels) if (column.codes == code).any())
    elif column.logical:
        found = ("FALSE", "TRUE")
    else:
        values = np.unique(column.values[~np.isnan(column.values)])
        if values.size == 1 and values[0] != 0:
            values = np.array([0.0, values[0]])
        found = tuple(number_text(v) for v in values)
    if len(found) > 2:
        raise DataError(
            f"the family `{family.name}` needs a response with two different values; "
            f"`{name}` has {len(found)}: {shown_levels(found)}"
        )
    return found


def addition_problem(family: Family, given: Iterable[str], response: str) -> tuple[str, str] | None:
    """What is wrong with the additions ``given`` (``weights``, ``trials``, ...) for this family, if anything.

    Returns the addition at fault and a sentence for the user that says what to write, or None. ``response``:
    the left-hand side without additions, as text.
    """
    names = list(given)
    for name in names:
        if name not in family.additions | ALWAYS_ACCEPTED:
            hint = "; use `binomial`" if name == "trials" else ""
            return name, f"the family `{family.name}` does not take `{name}()`{hint}"
    missing = sorted(family.required_additions - set(names))
    return (missing[0], _missing_addition(family, missing[0], response)) if missing else None


def _missing_addition(family: Family, name: str, response: str) -> str:
    needs = f"the family `{family.name}` needs `{name}()`: write "
    parts = [part.strip() for part in response.removeprefix("cbind(").removesuffix(")").split(",")]
    if not response.startswith("cbind("):
        example = (
            "cbind(a, b, c) | trials(a + b + c)"
            if family.response == "columns"
            else f"{response} | {name}(n)"
        )
        return f"{needs}`{example} ~ ...`"
    if family.response == "columns":
        return f"{needs}`{response} | {name}({' + '.join(parts)}) ~ ...`"
    if len(parts) == 2:
        return f"{needs}`{parts[0]} | {name}({' + '.join(parts)}) ~ ...` instead of `{response} ~ ...`"
    return f"{needs}`y | {name}(n) ~ ...`; `{response}` is for counts of several categories, family `multinomial`"
