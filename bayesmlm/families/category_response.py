"""Responses that are categories (one column) or counts and shares of categories (a column for each)."""

from __future__ import annotations

import numpy as np

from ..data.columns import Column, Factor, Numeric
from ..errors import DataError, NewDataError
from .base import Family
from .coded_levels import Coded, code_levels, level_names, number_text, refuse_matrix
from .column_support import SUM_TOLERANCE, ShareColumns

__all__ = ["code_category", "code_columns"]


def code_category(family: Family, column: Column, name: str, levels: tuple[str, ...]) -> Coded:
    """Factors, text, whole numbers and TRUE/FALSE as the numbers 1, 2, ... of their categories, in level order."""
    refuse_matrix(column, name)
    if isinstance(column, Numeric) and not levels:
        broken = column.values[~np.isnan(column.values) & (column.values != np.floor(column.values))]
        if broken.size:
            raise DataError(
                f"the family `{family.name}` needs categories, but the response `{name}` holds numbers such as "
                f"{broken[0]:g}; if they are names of categories, convert them to text"
            )
    known = levels or level_names(column)
    if len(known) < 2:
        only = f", `{known[0]}`," if known else ""
        raise DataError(
            f"the family `{family.name}` needs a response with at least two categories; `{name}` has one{only} only"
        )
    return code_levels(column, known, name) + 1.0, known


def code_columns(family: Family, column: Column, name: str, levels: tuple[str, ...]) -> Coded:
    """The columns of a matrix, (columns, n), and their names. Rows of shares are divided by their sum, which is one
    but for rounding."""
    if isinstance(column, Factor) or column.values.ndim != 2 or column.values.shape[1] < 2:
        addition = " | trials(a + b + c)" if "trials" in family.required_additions else ""
        raise DataError(
            f"the family `{family.name}` needs a response of at least two columns, one for each category; "
            f"`{name}` is one: write `cbind(a, b, c){addition} ~ ...` with the names of the columns"
        )
    values = np.ascontiguousarray(column.values.T)
    names = column.columns or tuple(number_text(k + 1) for k in range(len(values)))
    if levels and len(levels) != len(values):
        raise NewDataError(
            f"the response `{name}` has {len(values)} columns in the new data; the model knows {len(levels)}"
        )
    if isinstance(family.support, ShareColumns):
        total = values.sum(axis=0)
        values = values / np.where(np.abs(total - 1) <= SUM_TOLERANCE, total, 1.0)
    return values, levels or names
