"""Which values a response may take, and the check that names the first row that does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["Support", "refuse", "row_label"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Support:
    """An interval of real numbers or, with ``integer``, of whole numbers.

    Finite ends belong to it when ``closed``; the upper one does not when ``below_upper``. ``advice``: what to do about
    values outside, a sentence for the error message.
    """

    lower: float = -np.inf
    upper: float = np.inf
    closed: bool = True
    integer: bool = False
    advice: str = ""
    below_upper: bool = False

    def describe(self) -> str:
        """In words: ``whole numbers of at least 0``."""
        noun = "whole numbers" if self.integer else "numbers"
        if self.below_upper:
            return f"{noun} of at least {self.lower:g} and less than {self.upper:g}"
        if np.isfinite(self.lower) and np.isfinite(self.upper):
            between = f"from {self.lower:g} to {self.upper:g}" if self.closed else self._open_interval()
            return f"{noun} {between}"
        if np.isfinite(self.lower):
            return f"{noun} {'of at least' if self.closed else 'greater than'} {self.lower:g}"
        return f"finite {noun}"

    def _open_interval(self) -> str:
        return f"strictly between {self.lower:g} and {self.upper:g}"

    def contains(self, y: Values) -> NDArray[np.bool_]:
        """Which values lie in the support; missing and infinite ones do not."""
        inside = (y >= self.lower) & (y <= self.upper) & np.isfinite(y)
        if not self.closed:
            inside &= (y != self.lower) & (y != self.upper)
        if self.below_upper:
            inside &= y != self.upper
        return inside & (y == np.floor(y)) if self.integer else inside

    def check(
        self, family: str, y: Values, extra: Mapping[str, Values], rows: Sequence[object] | None = None
    ) -> None:
        """Raise `DataError` for the first row whose response or number of trials is impossible."""
        refuse(
            ~self.contains(y),
            lambda row: (
                f"the response is {y[row]:g} in {row_label(rows, row)}, "
                f"but the family `{family}` needs {self.describe()}"
            ),
            self.advice,
        )
        if "trials" in extra:
            _check_trials(y, np.broadcast_to(np.asarray(extra["trials"], dtype=float), y.shape), rows)


def _check_trials(y: Values, trials: Values, rows: Sequence[object] | None) -> None:
    refuse(
        ~Support(lower=0, integer=True).contains(trials),
        lambda row: (
            f"the number of trials is {trials[row]:g} in {row_label(rows, row)}; it must be a whole number "
            "of at least 0"
        ),
        "",
    )
    refuse(
        y > trials,
        lambda row: (
            f"the response is {y[row]:g} in {row_label(rows, row)}, more than its {trials[row]:g} trials"
        ),
        "Left of `|` stand the successes; `trials()` holds all trials, not the failures.",
    )


def refuse(bad: NDArray[np.bool_], describe: Callable[[int], str], advice: str) -> None:
    """Raise `DataError` with the description of the first bad row, if any, how many more there are, and ``advice``."""
    places = np.flatnonzero(bad)
    if places.size == 0:
        return
    more = f" (and {places.size - 1} more row{'s' if places.size > 2 else ''})" if places.size > 1 else ""
    raise DataError(f"{describe(int(places[0]))}{more}.{' ' + advice if advice else ''}")


def row_label(rows: Sequence[object] | None, row: int) -> str:
    """How a message calls a row: its own label, or its number counted from 1."""
    return f"row {row + 1 if rows is None else rows[row]}"
