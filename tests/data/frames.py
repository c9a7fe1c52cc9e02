"""Data frames for the tests of this room and of `bayesmlm.terms`."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["data_of"]


def data_of(columns: dict[str, Any]) -> pd.DataFrame:
    """The data frame that make_model_matrix.R wrote: factors with their levels, the rest as it is."""
    return pd.DataFrame({name: _values(given) for name, given in columns.items()})


def _values(given: Any) -> Any:
    if isinstance(given, dict):
        return pd.Categorical(given["values"], given["levels"], ordered=given["ordered"])
    return given
