"""Which rows a response of several columns may have: counts that sum to their trials, shares that sum to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .support import Support, refuse, row_label

__all__ = ["SUM_TOLERANCE", "CountColumns", "ShareColumns"]

Values = NDArray[np.float64]

SUM_TOLERANCE = 1e-6
"""How far from one the shares of a row may sum: what single precision leaves. They are divided by their sum."""


@dataclass(frozen=True)
class CountColumns(Support):
    """Whole numbers of at least 0, (columns, n), that sum to the trials of their row."""

    lower: float = 0.0
    integer: bool = True

    def describe(self) -> str:
        """In words."""
        return "columns of counts that sum to `trials()`"

    def check(
        self, family: str, y: Values, extra: Mapping[str, Values], rows: Sequence[object] | None = None
    ) -> None:
        """Raise `DataError` for the first row with another value than a count, or whose sum is not its trials."""
        inside = self.contains(y)
        refuse(
            ~inside.all(axis=0),
            lambda row: (
                f"the response is {_first(y, inside, row)} in {row_label(rows, row)}, "
                f"but the family `{family}` needs whole numbers of at least 0"
            ),
            "Give the counts of each category, not proportions.",
        )
        total, trials = y.sum(axis=0), np.broadcast_to(np.asarray(extra["trials"], dtype=float), y.shape[1:])
        refuse(
            total != trials,
            lambda row: (
                f"the counts of {row_label(rows, row)} sum to {total[row]:g}, and its trials are {trials[row]:g}"
            ),
            "trials() holds the sum of the columns: write trials(a + b + c) with their names.",
        )


@dataclass(frozen=True)
class ShareColumns(Support):
    """Numbers strictly between 0 and 1, (columns, n), that sum to one in each row."""

    lower: float = 0.0
    upper: float = 1.0
    closed: bool = False

    def describe(self) -> str:
        """In words."""
        return "columns of numbers between 0 and 1 that sum to 1"

    def check(
        self, family: str, y: Values, extra: Mapping[str, Values], rows: Sequence[object] | None = None
    ) -> None:
        """Raise `DataError` for the first row with a value outside (0, 1), or whose sum is not one."""
        inside = self.contains(y)
        refuse(
            ~inside.all(axis=0),
            lambda row: (
                f"the response is {_first(y, inside, row)} in {row_label(rows, row)}, "
                f"but the family `{family}` needs {super(ShareColumns, self).describe()}"
            ),
            "Shares of exactly 0 need another model (for counts: `multinomial`), or a small number in their place.",
        )
        total = y.sum(axis=0)
        refuse(
            np.abs(total - 1) > SUM_TOLERANCE,
            lambda row: (
                f"the response sums to {total[row]:.8g} in {row_label(rows, row)}, "
                f"but the family `{family}` needs shares that sum to 1"
            ),
            "Divide each row by its sum, or model counts with `multinomial`.",
        )


def _first(y: Values, inside: NDArray[np.bool_], row: int) -> str:
    column = int(np.flatnonzero(~inside[:, row])[0])
    return f"{y[column, row]:g} in column {column + 1}"
