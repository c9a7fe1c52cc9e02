"""Values of a response as the numbers of its levels: what the ways of coding responses have in common."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor, Numeric
from ..errors import DataError, NewDataError

__all__ = ["Coded", "code_levels", "level_names", "number_text", "refuse_matrix", "shown_levels"]

Coded = tuple[NDArray[np.float64], tuple[str, ...]]
"""The coded response, (n,) or (columns, n), and the names of its levels or categories."""


def refuse_matrix(column: Column, name: str) -> None:
    """Raise `DataError` when the response ``name`` has more than one column."""
    if isinstance(column, Numeric) and column.values.ndim != 1:
        raise DataError(
            f"the response `{name}` has {column.values.shape[1]} columns; it must be one (counts of several "
            "categories are `multinomial`, shares that sum to one `dirichlet`)"
        )


def level_names(column: Column) -> tuple[str, ...]:
    """The different values that occur, as text: a factor's in the order of its levels, numbers by size."""
    if isinstance(column, Factor):
        return tuple(level for code, level in enumerate(column.levels) if (column.codes == code).any())
    values = np.unique(column.values[~np.isnan(column.values)])
    return tuple(("FALSE", "TRUE")[int(v)] if column.logical else number_text(v) for v in values)


def code_levels(column: Column, levels: tuple[str, ...], name: str) -> NDArray[np.float64]:
    """(n,) numbers of the levels, from 0, NaN where missing. Raises `NewDataError` for a value not among ``levels``."""
    if isinstance(column, Factor):
        lookup = np.array([levels.index(v) if v in levels else -1 for v in (*column.levels, "")], dtype=float)
        coded, missing = lookup[column.codes], column.codes < 0
        shown = [column.levels[code] for code in column.codes[(coded < 0) & ~missing][:1]]
    else:
        numbers = [_level_number(level) for level in levels]
        coded = np.select([column.values == v for v in numbers], range(len(levels)), default=-1).astype(float)
        missing = np.isnan(column.values)
        shown = [number_text(v) for v in column.values[(coded < 0) & ~missing][:1]]
    if shown:
        row = int(np.flatnonzero((coded < 0) & ~missing)[0]) + 1
        raise NewDataError(
            f"the response `{name}` is `{shown[0]}` in row {row}; the model knows {shown_levels(levels)}"
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


def number_text(value: float) -> str:
    """A number as the name of a level."""
    plain = value == 0 or 1e-5 <= abs(value) < 1e15
    return np.format_float_positional(value, trim="-") if plain else repr(float(value))


def shown_levels(levels: Iterable[str]) -> str:
    """The first few levels, for a message."""
    names = [f"`{level}`" for level in levels]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
