"""Which rows a model uses: one joint mask over all its variables, as R's model frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .columns import Column, Factor
from .frame import Frame

__all__ = ["check_finite", "complete_rows"]


def complete_rows(frame: Frame, variables: Sequence[str]) -> tuple[NDArray[np.bool_], int]:
    """(mask, dropped): the rows, shape (n,), without a missing value in any of ``variables``, and how many
    have one.

    Transforms such as ``scale(x)`` are to be evaluated on the rows kept (as brms does; lme4 and lm evaluate
    them before they drop rows). Raises `DataError` for a variable that is not in the data, and for infinite
    values.
    """
    check_finite(frame, variables)
    mask = np.ones(frame.n_rows, dtype=bool)
    for name in variables:
        mask &= ~_missing(frame[name])
    return mask, int(frame.n_rows - mask.sum())


def check_finite(frame: Frame, variables: Sequence[str] | None = None) -> None:
    """Raise `DataError` naming column and row when a number is infinite.

    ``variables`` None: every column that holds numbers; columns of types that no model can use are passed
    over.
    """
    for name in frame.names if variables is None else variables:
        try:
            column = frame[name]
        except DataError:
            if variables is None:
                continue
            raise
        if isinstance(column, Factor) or not np.isinf(column.values).any():
            continue
        row = int(np.flatnonzero(np.isinf(column.values.reshape(frame.n_rows, -1)).any(axis=1))[0])
        raise DataError(
            f"column `{name}` is infinite in {frame.row_name(row)}; "
            "models need finite numbers: correct the value or mark it as missing"
        )


def _missing(column: Column) -> NDArray[np.bool_]:
    if isinstance(column, Factor):
        return column.codes < 0
    missing = np.isnan(column.values)
    return missing if missing.ndim == 1 else missing.any(axis=1)
