"""Responses that are ordered categories: ordered factors and whole numbers."""

from __future__ import annotations

import numpy as np

from ..data.columns import Column, Factor, Numeric
from ..errors import DataError, NewDataError
from ..messages import inform
from .base import Family
from .coded_levels import Coded, code_levels, refuse_matrix, shown_levels

__all__ = ["code_ordinal", "first_category"]


def first_category(family: Family) -> int:
    """The number of the first category: 0 where a hurdle stands before the others, else 1."""
    return int(family.support.lower)


def code_ordinal(family: Family, column: Column, name: str, levels: tuple[str, ...]) -> Coded:
    """Levels of an ordered factor as the numbers of their categories; whole numbers, which are those already.

    The categories of numbers are all from the first (1, of hurdle_cumulative 0) to the largest that occurs. Raises
    `DataError` for text, factors without an order, TRUE/FALSE and a single category.
    """
    refuse_matrix(column, name)
    first = first_category(family)
    if isinstance(column, Factor):
        _require_order(family, column, name)
        known = levels or column.levels
        _check_count(family, known, name, first)
        return code_levels(column, known, name) + first, known
    _check_numbers(family, column, name, first)
    known = levels or tuple(str(k) for k in range(first, _largest(column, first) + 1))
    _check_count(family, known, name, first)
    if levels and _largest(column, first) >= first + len(levels):
        raise NewDataError(
            f"the response `{name}` is {_largest(column, first)} in the new data; the model knows "
            + shown_levels(levels)
        )
    return column.values, known


def _require_order(family: Family, column: Factor, name: str) -> None:
    if column.ordered:
        return
    order = ", ".join(repr(level) for level in column.levels[:6]) + (
        ", ..." if len(column.levels) > 6 else ""
    )
    what = "text" if column.text else "a factor whose levels have no order"
    raise DataError(
        f"the family `{family.name}` needs ordered categories, but the response `{name}` is {what}: make it an ordered "
        f"factor, `pd.Categorical(data[{name!r}], categories=[{order}], ordered=True)` with the categories from lowest "
        "to highest; categories without an order are the family `categorical`"
    )


def _check_numbers(family: Family, column: Numeric, name: str, first: int) -> None:
    if column.logical:
        raise DataError(
            f"the family `{family.name}` needs ordered categories, but the response `{name}` is TRUE/FALSE; "
            "use `bernoulli`"
        )
    known = column.values[~np.isnan(column.values)]
    wrong = known[(known != np.floor(known)) | (known < first)]
    if wrong.size:
        hint = ": add 1, or use `hurdle_cumulative`" if first and (wrong == 0).all() else ""
        raise DataError(
            f"the family `{family.name}` needs an ordered factor or whole numbers from {first} on, but the response "
            f"`{name}` holds {wrong[0]:g}{hint}"
        )


def _largest(column: Numeric, first: int) -> int:
    known = column.values[~np.isnan(column.values)]
    return int(known.max()) if known.size else first


def _check_count(family: Family, levels: tuple[str, ...], name: str, first: int) -> None:
    count = len(levels) - (1 - first)
    if count < 2:
        only = f", `{levels[-1]}`," if levels else ""
        besides = " besides the hurdle's" if not first else ""
        raise DataError(
            f"the family `{family.name}` needs a response with at least two categories{besides}; `{name}` has "
            f"one{only} only"
        )
    if count == 2 and first:
        inform(f"the response `{name}` has two categories only: the family `bernoulli` is faster for such.")
