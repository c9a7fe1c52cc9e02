"""Censored and truncated responses: codes and bounds to the arrays that `bayesmlm.families.additions` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor
from ..data.frame import Frame
from ..errors import DataError, FormulaError
from ..families.base import Family

__all__ = ["censoring", "limited", "refuse_rows", "truncation"]

Rows = NDArray[np.float64]

CODES = {"left": -1.0, "none": 0.0, "right": 1.0, "interval": 2.0}
KINDS = {"left_censored": -1.0, "right_censored": 1.0, "interval_censored": 2.0}
LEGAL = "censoring is 'none', 'left', 'right' or 'interval' (0, -1, 1 or 2; FALSE is 'none', TRUE 'right')"


def censoring(
    column: Column, end: Rows | None, frame: Frame, error: Callable[[str], FormulaError]
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The arrays of ``cens(x, y2)``, and brms's ``cens`` and ``rcens``.

    ``column``: the codes; words may be shortened. ``end``: y2, NaN where missing. ``interval_end`` is NaN where no
    interval is, until `limited` fills it in. Raises `DataError` for other codes and for intervals without an end.
    """
    codes = _codes(column, frame)
    extra = {kind: (codes == code).astype(float) for kind, code in KINDS.items() if (codes == code).any()}
    shown: dict[str, Rows] = {"cens": codes}
    interval = codes == CODES["interval"]
    if interval.any():
        if end is None:
            raise error("interval-censored rows need their upper ends: write `cens(x, y2)`")
        refuse_rows(
            interval & np.isnan(end), "interval-censored rows need y2", ["a missing value"] * len(end), frame
        )
        extra["interval_end"] = np.where(interval, end, np.nan)
    if end is not None:
        shown["rcens"] = np.where(interval, end, 0.0)
    return extra, shown


def _codes(column: Column, frame: Frame) -> Rows:
    if isinstance(column, Factor):
        words = [
            [code for word, code in CODES.items() if level and word.startswith(level)]
            for level in column.levels
        ]
        known = np.array([found[0] if len(found) == 1 else np.nan for found in words])
        codes = known[column.codes]
        shown: Sequence[str] | Rows = [f"`{column.levels[code]}`" for code in column.codes]
    else:
        codes = np.where(np.isin(column.values, list(CODES.values())), column.values, np.nan)
        shown = column.values
    refuse_rows(np.isnan(codes), LEGAL, shown, frame)
    return codes


def truncation(lower: Rows, upper: Rows, family: Family, frame: Frame) -> dict[str, Rows]:
    """``above`` and ``up_to`` of ``trunc(lb, ub)``, both bounds possible values of the response; a bound that cuts
    nothing off is left out. Raises `DataError` for bounds that leave nothing."""
    support = family.support
    bounds = [f"{low:g} and {high:g}" for low, high in zip(lower, upper, strict=True)]
    refuse_rows(lower >= upper, "trunc() needs lb < ub", bounds, frame)
    above = np.ceil(lower) - 1 if support.integer else lower
    up_to = np.floor(upper) if support.integer else upper
    refuse_rows(above >= up_to, "trunc() must leave a whole number between its bounds", bounds, frame)
    # A count lies above -1 anyway, a continuous response not below the end of its support.
    cuts = above >= support.lower if support.integer else lower > support.lower
    out = {"above": above} if (cuts & np.isfinite(lower)).any() else {}
    return {**out, "up_to": up_to} if ((upper < support.upper) & np.isfinite(upper)).any() else out


def limited(
    extra: Mapping[str, Rows], y: Rows, family: Family, frame: Frame, known: NDArray[np.bool_] | None = None
) -> dict[str, Rows]:
    """``extra`` with ``interval_end`` complete. Raises `DataError` for responses outside the bounds of truncation,
    intervals that are empty, and censored rows that truncation leaves no room."""
    out = dict(extra)
    known = np.ones(y.shape[-1], dtype=bool) if known is None else known
    if "interval_end" in out:
        end = out["interval_end"]
        ends = [f"{low:g} and {high:g}" for low, high in zip(y, end, strict=True)]
        empty = ~np.isnan(end) & ~(end > y)
        refuse_rows(empty, "y2 must be larger than the response of an interval-censored row", ends, frame)
        end = np.where(np.isnan(end), y, end)
        out["interval_end"] = np.minimum(end, np.maximum(out["up_to"], y)) if "up_to" in out else end
    if "above" in out:
        above = out["above"]
        lowest = above + 1 if family.support.integer else above
        bounds = [f"{value:g}, with the bound {bound:g}" for value, bound in zip(y, lowest, strict=True)]
        refuse_rows(known & (y < lowest), "responses must not be smaller than lb of trunc()", bounds, frame)
        gone = (out.get("left_censored", 0.0) > 0) & (y <= above)
        refuse_rows(gone, "trunc() must leave room below a left-censored response", bounds, frame)
    if "up_to" in out:
        up_to = out["up_to"]
        bounds = [f"{value:g}, with the bound {bound:g}" for value, bound in zip(y, up_to, strict=True)]
        refuse_rows(known & (y > up_to), "responses must not be larger than ub of trunc()", bounds, frame)
        censored = (out.get("right_censored", 0.0) > 0) | (out.get("interval_censored", 0.0) > 0)
        refuse_rows(
            censored & (y >= up_to), "trunc() must leave room above a censored response", bounds, frame
        )
    return out


def refuse_rows(wrong: NDArray[np.bool_], rule: str, values: Sequence[str] | Rows, frame: Frame) -> None:
    """Raise `DataError` with the ``rule`` that the first of the wrong rows breaks, its name and its value."""
    places = np.flatnonzero(wrong)
    if places.size:
        row = int(places[0])
        value = values[row]
        raise DataError(
            f"{rule}; {frame.row_name(row)} has {value if isinstance(value, str) else f'{value:g}'}"
        )
