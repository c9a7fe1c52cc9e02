"""Codings of factors as columns of numbers, with R's names for the columns.

The matrices are R's ``contr.treatment``, ``contr.sum``, ``contr.helmert``, ``contr.poly`` and ``contr.SAS``
(Chambers & Hastie, 1992, section 2.3.2): one row for each level, one column for each coefficient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Contrast
from ..data.levels import listing
from ..errors import DataError

__all__ = ["Coding", "as_contrast", "coding", "full_dummy"]


@dataclass(frozen=True)
class Coding:
    """``matrix``: shape (levels, columns); ``names``: what R appends to the factor's name for each column."""

    matrix: NDArray[np.float64]
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return {"matrix": self.matrix.tolist(), "names": list(self.names)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Coding:
        """The inverse of `to_json`."""
        return cls(np.array(record["matrix"], dtype=np.float64), tuple(record["names"]))


def full_dummy(levels: Sequence[str]) -> Coding:
    """An indicator for each level: what a factor gets whose margin is not in the model."""
    return Coding(np.eye(len(levels)), tuple(levels))


def coding(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    """The contrast matrix for a factor with these levels; ``label`` names the factor in messages.

    Raises `DataError` for fewer than two levels, an unknown contrast or base, or a matrix that does not fit.
    """
    if len(levels) < 2:
        only = f"only the level `{levels[0]}`" if levels else "no level"
        raise DataError(
            f"the factor `{label}` has {only} in the rows used: contrasts need 2 or more levels; "
            "leave it out of the formula"
        )
    if contrast.kind not in _MAKERS:
        raise DataError(
            f"unknown contrasts `{contrast.kind}` for `{label}`: they are {listing(tuple(_MAKERS))}"
        )
    return _MAKERS[contrast.kind](levels, contrast, label)


def as_contrast(given: Any, label: str) -> Contrast:
    """What a user may pass for a factor: a name (``"sum"``, ``"contr.sum"``), a matrix, a data frame whose
    columns name the coefficients, or a `Contrast`. Raises `DataError` for anything else.
    """
    if isinstance(given, Contrast):
        return given
    if isinstance(given, str):
        kind = given.removeprefix("contr.")
        if kind not in _MAKERS or kind == "matrix":
            known = listing([name for name in _MAKERS if name != "matrix"])
            raise DataError(f"unknown contrasts `{given}` for `{label}`: they are {known}, or a matrix")
        return Contrast(kind)
    names = tuple(str(name) for name in given.columns) if hasattr(given, "columns") else None
    try:
        matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"the contrasts of `{label}` must be a name or a matrix of numbers") from None
    return Contrast("matrix", matrix=matrix, names=names)


def _treatment(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    base = contrast.base
    if base is None:
        place = 0
    elif isinstance(base, str) and base in levels:
        place = list(levels).index(base)
    elif isinstance(base, int) and 1 <= base <= len(levels):
        place = base - 1
    else:
        raise DataError(f"the base `{base}` is no level of `{label}`, which has {listing(levels)}")
    kept = [i for i in range(len(levels)) if i != place]
    names = contrast.names or levels
    return Coding(np.eye(len(levels))[:, kept], tuple(names[i] for i in kept))


def _sas(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    return Coding(np.eye(len(levels))[:, :-1], tuple((contrast.names or levels)[:-1]))


def _from_formulaic(kind: str, levels: Sequence[str], **options: Any) -> NDArray[np.float64]:
    """formulaic's matrix of a contrast; imported late, since only some models need it."""
    from formulaic.transforms import contrasts

    matrix = getattr(contrasts, kind)(**options).get_coding_matrix(list(levels))
    return np.asarray(matrix, dtype=np.float64)


def _sum(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    return Coding(_from_formulaic("SumContrasts", levels), _numbered(len(levels) - 1))


def _helmert(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    """Column j compares level j + 1 with the mean of the levels before it."""
    matrix = _from_formulaic("HelmertContrasts", levels, reverse=True, scale=False)
    return Coding(matrix, _numbered(len(levels) - 1))


def _poly(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    count = len(levels)
    scores = np.arange(1.0, count + 1) if contrast.scores is None else np.array(contrast.scores)
    if len(scores) != count or len(np.unique(scores)) < count:
        raise DataError(f"the scores of `{label}` must be {count} different numbers, one for each level")
    matrix = _from_formulaic("PolyContrasts", levels, scores=scores.tolist())
    names = (".L", ".Q", ".C", *(f"^{degree}" for degree in range(4, count)))
    return Coding(matrix, names[: count - 1])


def _matrix(levels: Sequence[str], contrast: Contrast, label: str) -> Coding:
    matrix, count = contrast.matrix, len(levels)
    if matrix is None or matrix.shape != (count, count - 1) or not np.isfinite(matrix).all():
        shape = "none" if matrix is None else " x ".join(map(str, matrix.shape))
        raise DataError(
            f"the contrast matrix of `{label}` must be {count} x {count - 1} finite numbers, a row for each of "
            f"the levels {listing(levels)}; it is {shape}"
        )
    if np.linalg.matrix_rank(np.column_stack([np.ones(count), matrix])) < count:
        raise DataError(
            f"the contrast matrix of `{label}` is singular: its columns and a constant are dependent"
        )
    return Coding(matrix, contrast.names or _numbered(count - 1))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(j + 1) for j in range(count))


_MAKERS: Mapping[str, Callable[[Sequence[str], Contrast, str], Coding]] = {
    "treatment": _treatment,
    "sum": _sum,
    "helmert": _helmert,
    "poly": _poly,
    "SAS": _sas,
    "matrix": _matrix,
}
