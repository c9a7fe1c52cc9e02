"""Columns as the model sees them: numbers, or R factors as (codes, levels)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "Factor", "Numeric"]


@dataclass(frozen=True)
class Numeric:
    """A numeric column. ``values``: float64, shape (n,), or (n, k) for a matrix (``poly(x, 2)``); NaN is missing.

    ``integer``: the column held integers (Stan and R treat these apart in a few places).
    ``columns``: for a matrix, what R appends to its name for each column (``("1", "2")``).
    ``logical``: it held booleans (R shows ``xTRUE``; in arithmetic it is 0/1).
    """

    values: NDArray[np.float64]
    integer: bool = False
    logical: bool = False
    columns: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Factor:
    """A categorical column. ``codes``: int32, shape (n,), -1 is missing; ``levels``: names in R's order.

    ``ordered`` factors get polynomial contrasts, others treatment contrasts, unless ``contrasts`` names another
    coding: a tuple (name or matrix (len(levels), k), column names or None).
    """

    codes: NDArray[np.int32]
    levels: tuple[str, ...]
    ordered: bool = False
    contrasts: str | NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.codes)


Column = Numeric | Factor
