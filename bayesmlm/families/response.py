"""From a response column to the numbers a family's density takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor, Numeric
from ..errors import DataError, NewDataError
from .base import Family

__all__ = ["addition_problem", "code_response"]

ALWAYS_ACCEPTED = frozenset({"weights", "subset", "index"})


def code_response(
    family: Family, column: Column, name: str, levels: tuple[str, ...] = ()
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The response as float64 numbers of shape (n,), NaN where missing, and the names of its two levels.

    A family that takes factors (bernoulli) codes any two distinct values as 0 and 1, in level order; the
    names are then given back, to be passed as ``levels`` when new data are coded. Other families give ``()``.
    ``name`` is the response in messages. Whether the numbers are in the family's support is for
    `Family.check`.

    Raises `DataError` for text or a factor where numbers are needed, a matrix, or more than two values, and
    `NewDataError` for a value that is not among ``levels``.
    """
    if isinstance(column, Numeric) and column.values.ndim != 1:
        raise DataError(f"the response `{name}` has {column.values.shape[1]} columns; it must be one")
    if family.factor_response:
        known = levels or binary_levels(family, column, name)
        return _code(column, known, name), known
    if isinstance(column, Factor):
        raise DataError(
            f"the family `{family.name}` needs numbers, but the response `{name}` is text or a factor "
            f"with levels {_shown(column.levels)}; use `bernoulli` for two levels, or convert it to numbers"
        )
    if column.logical:
        raise DataError(
            f"the family `{family.name}` needs numbers, but the response `{name}` is TRUE/FALSE; "
            "use `bernoulli`"
        )
    return column.values, ()


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
        found = tuple(_number(v) for v in values)
    if len(found) > 2:
        raise DataError(
            f"the family `{family.name}` needs a response with two different values; "
            f"`{name}` has {len(found)}: {_shown(found)}"
        )
    return found


def _code(column: Column, levels: tuple[str, ...], name: str) -> NDArray[np.float64]:
    if isinstance(column, Factor):
        lookup = np.array([levels.index(v) if v in levels else -1 for v in (*column.levels, "")], dtype=float)
        coded, missing = lookup[column.codes], column.codes < 0
        shown = [column.levels[code] for code in column.codes[(coded < 0) & ~missing][:1]]
    else:
        numbers = [_level_number(level) for level in levels]
        coded = np.select([column.values == v for v in numbers], range(len(levels)), default=-1).astype(float)
        missing = np.isnan(column.values)
        shown = [_number(v) for v in column.values[(coded < 0) & ~missing][:1]]
    if shown:
        row = int(np.flatnonzero((coded < 0) & ~missing)[0]) + 1
        raise NewDataError(
            f"the response `{name}` is `{shown[0]}` in row {row}; the model knows {_shown(levels)}"
        )
    coded[missing] = np.nan
    return coded


def _level_number(level: str) -> float:
    """What a level's name is as a number; NaN, which equals nothing, for words."""
    logical = {"FALSE": 0.0, "TRUE": 1.0}
    try:
        return logical[level] if level in logical else float(level)
    except ValueError:
        return np.nan


def _number(value: float) -> str:
    plain = value == 0 or 1e-5 <= abs(value) < 1e15
    return np.format_float_positional(value, trim="-") if plain else repr(float(value))


def _shown(levels: Iterable[str]) -> str:
    names = [f"`{level}`" for level in levels]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


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
    for name in sorted(family.required_additions - set(names)):
        if response.startswith("cbind("):
            parts = [part.strip() for part in response.removeprefix("cbind(").removesuffix(")").split(",")]
            if len(parts) == 2:
                successes, failures = parts
                return name, (
                    f"the family `{family.name}` needs `{name}()`: write "
                    f"`{successes} | {name}({successes} + {failures}) ~ ...` instead of `{response} ~ ...`"
                )
        return name, f"the family `{family.name}` needs `{name}()`: write `{response} | {name}(n) ~ ...`"
    return None
