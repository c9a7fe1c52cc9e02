"""Whether models were fitted to the same responses; if not, which rows and columns make the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.model_frame import complete_rows
from ..errors import DataError
from ..formula.walk import variables

__all__ = ["check_same_rows", "different_rows"]

SHOWN = 5
"""How many rows a message names."""


def check_same_rows(fits: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse models of different rows, responses or weights: likelihoods of different data cannot be compared.

    Raises `DataError` that names rows and columns, and what to write.
    """
    first = fits[0]
    for fit, name in zip(fits[1:], names[1:], strict=True):
        if len(fit.design.y) != len(first.design.y):
            raise DataError(different_rows(fits, names))
        if fit.design.response != first.design.response:
            raise DataError(
                f"{names[0]} is a model of `{first.design.response}` and {name} of `{fit.design.response}`: the "
                "likelihoods of different responses cannot be compared"
            )
        if not np.array_equal(fit.design.y, first.design.y):
            raise DataError(different_rows(fits, names))
        ours, theirs = _weights(first), _weights(fit)
        if not np.allclose(ours, theirs, rtol=1e-12):
            raise DataError(
                f"{names[0]} and {name} have different weights: give both the same weights= before they are compared"
            )


def _weights(fit: Any) -> NDArray[np.float64]:
    return np.ones(len(fit.design.y)) if fit.design.weights is None else fit.design.weights


def different_rows(fits: Sequence[Any], names: Sequence[str]) -> str:
    """The message that models were fitted to different rows: which rows, which columns make the difference, and what
    to write."""
    used = "; ".join(f"{name} used {len(f.design.y)}" for f, name in zip(fits, names, strict=True))
    opening = f"the models were not all fitted to the same rows: {used}. Their likelihoods cannot be compared"
    frames = [Frame.from_any(f.data) for f in fits]
    wanted = [_variables(f, frame) for f, frame in zip(fits, frames, strict=True)]
    missing = {
        column: int(len(complete) - complete.sum())
        for columns, frame in zip(wanted, frames, strict=True)
        for column in columns
        for complete in [complete_rows(frame, [column])[0]]
        if not complete.all()
    }
    partly = [c for c in missing if any(c not in columns for columns in wanted)]
    rows = _rows_apart(fits, frames[0])
    where = f" ({rows})" if rows else ""
    if not partly:
        return f"{opening}{where}. Fit all to the same data=, with the same subset="
    columns = ", ".join(f"`{c}` ({missing[c]} missing)" for c in partly)
    listed = "[" + ", ".join(f'"{c}"' for c in missing) + "]"
    return (
        f"{opening}. Not every model uses {columns}{where}. Fit all to the rows that are complete in every column: "
        f"subset=data[{listed}].notna().all(axis=1)"
    )


def _variables(fit: Any, frame: Frame) -> list[str]:
    """Columns that a model reads, those of further distributional parameters included."""
    formula, more = fit.formula, getattr(fit.design, "bayes_formula", None)
    found = [*formula.response_variables, *variables(formula.right)]
    for other in () if more is None else more.parameters.values():
        found += variables(other.right)
    return [name for name in dict.fromkeys(found) if name in frame.columns]


def _rows_apart(fits: Sequence[Any], frame: Frame) -> str:
    """The rows that some of the models used and others not, if they were made from data of one length."""
    masks = [fit.design.used for fit in fits]
    if len({len(mask) for mask in masks}) != 1 or len(masks[0]) != frame.n_rows:
        return ""
    apart = np.flatnonzero(np.any(masks, axis=0) & ~np.all(masks, axis=0))
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return ", ".join(frame.row_name(int(i)) for i in apart[:SHOWN]) + more
