"""Predictions of linear models with standard errors and intervals, as R's ``predict.lm``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..data.frame import Frame
from ..errors import BayesmlmError, BayesmlmWarning

if TYPE_CHECKING:
    from .linear import LinearFit

__all__ = ["INTERVALS", "predict"]

INTERVALS = ("confidence", "prediction")


def predict(
    fit: LinearFit, newdata: Any, *, se: bool, interval: str | None, level: float, weights: Any
) -> Any:
    """See `LinearFit.predict`."""
    if interval not in (None, *INTERVALS):
        raise BayesmlmError(f'interval must be "confidence" or "prediction", not {interval!r}')
    design = fit.design
    if newdata is None:
        X, offset, index = design.X, design.offset, fit.row_names()
        precision = fit.prior_weights if weights is None else np.asarray(weights, dtype=float)
    else:
        frame = Frame.from_any(newdata)
        X, offset = design.new_arrays(frame)
        index = pd.RangeIndex(len(X)) if frame.row_labels is None else pd.Index(frame.row_labels)
        precision = np.asarray(1.0 if weights is None else weights, dtype=float)
        if fit.rank < len(fit.coefficients):
            warnings.warn(
                "some coefficients are not defined: predictions are right only for rows with the same dependence",
                BayesmlmWarning,
                stacklevel=3,
            )
    X = X[:, fit.kept]
    columns = {"fit": X @ fit.coefficients[fit.kept] + offset}
    variance = fit.sigma**2 * np.einsum("ij,ij->i", X @ fit.unscaled, X)
    if interval is not None:
        with np.errstate(divide="ignore"):
            spread = variance + (fit.sigma**2 / precision if interval == "prediction" else 0.0)
        half = fit.t_quantile(level) * np.sqrt(spread)
        columns |= {"lwr": columns["fit"] - half, "upr": columns["fit"] + half}
    if se:
        columns["se.fit"] = np.sqrt(variance)
    if newdata is None:
        columns = {name: design.pad(values) for name, values in columns.items()}
    if not se and interval is None:
        return columns["fit"]
    return pd.DataFrame(columns, index=index if len(index) == len(columns["fit"]) else None)
