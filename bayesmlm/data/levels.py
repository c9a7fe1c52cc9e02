"""Names of levels, grouping factors as codes, and matching the levels of new data by name.

Levels are names everywhere: 1224 in an integer column, 1224.0 in a float column and "1224" in a text column
are the same level, so data may pass through a CSV file or another data frame library between fitting and
prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, NewDataError
from .columns import Column, Factor, Numeric

if TYPE_CHECKING:
    from .frame import Frame

__all__ = ["as_factor", "drop_unused", "group_codes", "match_codes", "match_levels", "number_names", "recode"]

EXACT_INTEGERS = 2.0**53
LOGICAL_LEVELS = ("FALSE", "TRUE")


def group_codes(frame: Frame, variables: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The level of a grouping factor in each row: codes (n,), -1 where a variable is missing, and the level
    names.

    One variable: factors keep their order of levels, numbers sort as numbers, text sorts by code point (R's C
    locale); levels that no row has are left out. Several variables (``a:b``): brms's names ``a_b``, sorted as
    text by code point. Raises `DataError` when two different combinations get the same name (``a_b:c`` and
    ``a:b_c``).
    """
    first, *others = (_group_factor(frame, name) for name in variables)
    if not others:
        factor = drop_unused(first)
        return factor.codes, factor.levels
    pairs = first.codes.astype(np.int64)
    names = list(first.levels)
    for factor in others:
        pairs, names = _cross(pairs, names, factor)
    order = sorted(range(len(names)), key=names.__getitem__)
    for left, right in pairwise(order):
        if names[left] == names[right]:
            both = " and ".join(f"`{v}`" for v in variables)
            raise DataError(
                f"two different combinations of {both} would both be called "
                f"`{names[left]}`: remove the underscore from the levels of one of these variables"
            )
    rank = np.full(len(names) + 1, -1, dtype=np.int32)  # the last place is for code -1
    rank[order] = np.arange(len(names), dtype=np.int32)
    return rank[pairs], tuple(names[i] for i in order)


def match_codes(frame: Frame, variables: Sequence[str], levels: Sequence[str]) -> NDArray[np.int32]:
    """The place in ``levels`` of each row's level of the grouping factor; -1 for a new level or a missing
    value.
    """
    codes, own = group_codes(frame, variables)
    positions = np.append(match_levels(own, levels), np.int32(-1))
    return positions[codes]


def match_levels(names: Sequence[str], levels: Sequence[str]) -> NDArray[np.int32]:
    """For each of ``names`` its place in ``levels``, -1 when it is not there."""
    place = {level: i for i, level in enumerate(levels)}
    return np.fromiter((place.get(name, -1) for name in names), dtype=np.int32, count=len(names))


def recode(factor: Factor, levels: tuple[str, ...], ordered: bool, label: str, frame: Frame) -> Factor:
    """``factor`` of new data on the levels of the data the model was fitted to, matched by name.

    Raises `NewDataError` naming the column, the row and the levels there are when a level was not there.
    """
    positions = np.append(match_levels(factor.levels, levels), np.int32(-1))
    codes = positions[factor.codes]
    unseen = np.flatnonzero((codes < 0) & (factor.codes >= 0))
    if unseen.size:
        row = int(unseen[0])
        raise NewDataError(
            f"{frame.row_name(row)} of the new data has level `{factor.levels[factor.codes[row]]}` in "
            f"`{label}`, which the data the model was fitted to did not have; it had {listing(levels)}"
        )
    return replace(factor, codes=codes, levels=levels, ordered=ordered)


def as_factor(column: Column, label: str) -> Factor:
    """Any column as a factor: numbers become levels in numeric order, logical values FALSE and TRUE."""
    if isinstance(column, Factor):
        return column
    if column.values.ndim != 1:
        raise DataError(f"`{label}` is a matrix of {column.values.shape[1]} columns, not one variable")
    missing = np.isnan(column.values)
    if column.logical:
        codes = np.where(missing, -1, column.values != 0).astype(np.int32)
        return Factor(codes, LOGICAL_LEVELS)
    distinct, inverse = _distinct(column.values if not missing.any() else column.values[~missing])
    names = number_names(distinct)
    # Numbers that agree to 15 digits have one name, and so are one level, as in R's factor().
    levels = tuple(dict.fromkeys(names))
    codes = np.full(len(missing), -1, dtype=np.int32)
    codes[~missing] = inverse if len(levels) == len(names) else match_levels(names, levels)[inverse]
    return Factor(codes, levels)


def _distinct(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Sorted distinct values, and the place of each value there; whole numbers close together are not sorted."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (high - low <= 2.0 * values.size + 1000.0) or (values != np.round(values)).any():
        return np.unique(values, return_inverse=True)
    codes = (values - low).astype(np.int64)
    present = np.bincount(codes, minlength=1) > 0
    places = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(present).astype(np.float64) + low, places[codes]


def drop_unused(factor: Factor) -> Factor:
    """``factor`` without the levels that no row has."""
    present = np.bincount(factor.codes[factor.codes >= 0], minlength=len(factor.levels)) > 0
    if present.all():
        return factor
    places = np.append(np.where(present, np.cumsum(present) - 1, -1), -1).astype(np.int32)
    levels = tuple(level for level, used in zip(factor.levels, present.tolist(), strict=True) if used)
    return replace(factor, codes=places[factor.codes], levels=levels)


def number_names(values: NDArray[np.float64]) -> list[str]:
    """Names of numbers used as levels: 15 significant digits in R's shorter notation, ``2.5``, ``1e-05``.

    Whole numbers are written out (``100000``), as R does for integer columns; R writes ``1e+05`` when the
    column happens to be stored as double.
    """
    whole = (values == np.round(values)) & (np.abs(values) < 1e15)
    if whole.all():
        return list(map(str, values.astype(np.int64).tolist()))
    return [
        str(int(value)) if is_whole else _number_name(value)
        for value, is_whole in zip(values.tolist(), whole.tolist(), strict=True)
    ]


def listing(names: Sequence[str], at_most: int = 10) -> str:
    """Names for a message: ``a``, ``b`` and 1000 more."""
    shown = ", ".join(f"`{name}`" for name in names[:at_most])
    return shown if len(names) <= at_most else f"{shown} and {len(names) - at_most} more"


def _number_name(value: float) -> str:
    if not np.isfinite(value):
        return "Inf" if value > 0 else "-Inf"
    mantissa, exponent = f"{value:.14e}".split("e")
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.replace(".", "").lstrip("-").rstrip("0")
    power = int(exponent)
    decimals = max(len(digits) - 1 - power, 0)
    fixed_width = max(power, 0) + 1 + (decimals + 1 if decimals else 0)
    scientific = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + f"e{power:+03d}"
    return f"{value:.{decimals}f}" if fixed_width <= len(scientific) else sign + scientific


def _group_factor(frame: Frame, name: str) -> Factor:
    column = frame[name]
    if isinstance(column, Numeric):
        infinite = np.flatnonzero(np.isinf(column.values))
        if infinite.size:
            row = frame.row_name(int(infinite[0]))
            raise DataError(f"the grouping variable `{name}` is infinite in {row}")
    return as_factor(column, name)


def _cross(pairs: NDArray[np.int64], names: list[str], factor: Factor) -> tuple[NDArray[np.int64], list[str]]:
    """The combinations that occur of the levels so far with those of one more factor."""
    size = max(len(factor.levels), 1)
    present = (pairs >= 0) & (factor.codes >= 0)
    distinct, inverse = np.unique(pairs[present] * size + factor.codes[present], return_inverse=True)
    crossed = np.full(len(pairs), -1, dtype=np.int64)
    crossed[present] = inverse
    left, right = np.divmod(distinct, size)
    joined = [f"{names[i]}_{factor.levels[j]}" for i, j in zip(left.tolist(), right.tolist(), strict=True)]
    return crossed, joined
