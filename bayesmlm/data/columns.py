"""Columns as the model sees them: numbers, or R factors as (codes, levels)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "Contrast", "Factor", "Numeric"]


@dataclass(frozen=True)
class Numeric:
    """A numeric column. ``values``: float64, shape (n,), or (n, k) for a matrix (``poly(x, 2)``); NaN is
    missing.

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
class Contrast:
    """How a factor is to be coded, still without numbers; `bayesmlm.terms.contrasts` makes the matrix.

    ``kind``: "treatment", "sum", "helmert", "poly", "SAS" or "matrix". ``base``: the reference of treatment
    coding, a level or its number counted from 1 (None: the first). ``scores``: where the levels lie, for "poly"
    (None: 1, 2, ...). ``matrix``: shape (levels, levels - 1), for "matrix". ``names``: of the columns of
    ``matrix``; for "treatment" and "SAS" what to call the levels instead of their names.
    """

    kind: str
    base: str | int | None = None
    scores: tuple[float, ...] | None = None
    matrix: NDArray[np.float64] | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Factor:
    """A categorical column. ``codes``: int32, shape (n,), -1 is missing; ``levels``: names in R's order.

    ``ordered`` factors get polynomial contrasts, others treatment contrasts, unless ``contrasts`` asks for
    another coding (``C(f, sum)``). ``text``: the column held strings (R: character), so its levels are sorted
    and it is text, not numbered levels, that ``as.numeric`` reads.
    """

    codes: NDArray[np.int32]
    levels: tuple[str, ...]
    ordered: bool = False
    contrasts: Contrast | None = None
    text: bool = False

    def __len__(self) -> int:
        return len(self.codes)


Column = Numeric | Factor
