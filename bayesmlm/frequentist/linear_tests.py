"""Analysis of variance of linear models: terms in turn, and models against each other, as R's ``anova``."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import BayesmlmError
from .r_print import coefficient_lines

if TYPE_CHECKING:
    from .linear import LinearFit

__all__ = ["AnovaTable", "compare", "sequential"]


class AnovaTable(pd.DataFrame):
    """A DataFrame with R's column names that prints as R's ``anova`` does; parts of it are plain DataFrames."""

    _metadata = ("heading",)  # pandas: attributes that are no columns
    heading: str = ""

    def __repr__(self) -> str:
        return "\n".join([self.heading, *self._lines()])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _lines(self) -> list[str]:
        sums = [str(c) for c in self.columns if c in ("RSS", "Sum Sq", "Mean Sq", "Sum of Sq")]
        return coefficient_lines(
            self, 5, estimates=(), statistics=("F value", "F"), small_to_zero=sums, missing=""
        )


def sequential(fit: LinearFit) -> pd.DataFrame:
    """Type I table: Df, Sum Sq, Mean Sq, F value, Pr(>F) of each term, given those before it, and the residuals.

    Sums of squares are squared lengths of the response's projections (Q'y of the QR decomposition of the weighted
    model matrix). Terms whose columns are all aliased have no row.
    """
    from scipy.special import fdtrc

    weights = np.ones(fit.design.n) if fit.design.weights is None else fit.design.weights
    root = np.sqrt(weights)[:, None]
    X = root * fit.design.X[:, fit.kept]
    basis, _ = np.linalg.qr(X / np.linalg.norm(X, axis=0))
    squares = (basis.T @ (root[:, 0] * (fit.design.y - fit.design.offset))) ** 2
    assign = np.array(fit.design.population.assign)[fit.kept]
    terms = [k for k in dict.fromkeys(assign.tolist()) if k > 0]
    labels = [fit.design.population.terms[k - 1] for k in terms]
    df = np.array([*((assign == k).sum() for k in terms), fit.df_residual], dtype=float)
    sums = np.array([*(squares[assign == k].sum() for k in terms), fit.deviance])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / df
        F = mean[:-1] / mean[-1]
        p = fdtrc(df[:-1], fit.df_residual, F) if fit.df_residual else np.full(len(F), np.nan)
    columns = {"Df": df.astype(int), "Sum Sq": sums, "Mean Sq": mean}
    columns |= {"F value": np.append(F, np.nan), "Pr(>F)": np.append(p, np.nan)}
    table = AnovaTable(columns, index=[*labels, "Residuals"])
    table.heading = f"Analysis of Variance Table\n\nResponse: {fit.design.response}"
    return table


def compare(fits: Sequence[LinearFit]) -> pd.DataFrame:
    """F tests between models: Res.Df, RSS, Df, Sum of Sq, F, Pr(>F); the scale is that of the largest model.

    Raises `BayesmlmError` when the models were not fitted to the same responses.
    """
    from scipy.special import fdtrc

    _check_comparable(fits)
    res_df = np.array([fit.df_residual for fit in fits], dtype=float)
    rss = np.array([fit.deviance for fit in fits])
    df, gain = -np.diff(res_df), -np.diff(rss)
    largest = fits[int(np.argmin(res_df))]
    with np.errstate(divide="ignore", invalid="ignore"):
        F = np.where(df == 0, np.nan, gain / df / largest.sigma**2)
        p = fdtrc(np.abs(df), largest.df_residual, F) if largest.df_residual else np.full(len(F), np.nan)
    columns = {"Res.Df": res_df.astype(int), "RSS": rss, "Df": np.append(np.nan, df)}
    columns |= {
        "Sum of Sq": np.append(np.nan, gain),
        "F": np.append(np.nan, F),
        "Pr(>F)": np.append(np.nan, p),
    }
    table = AnovaTable(columns, index=[str(i + 1) for i in range(len(fits))])
    models = "\n".join(f"Model {i}: {fit.formula}" for i, fit in enumerate(fits, start=1))
    table.heading = f"Analysis of Variance Table\n\n{models}"
    return table


def _check_comparable(fits: Sequence[LinearFit]) -> None:
    from .linear import LinearFit

    first = fits[0]
    for i, other in enumerate(fits[1:], start=2):
        if not isinstance(other, LinearFit):
            raise BayesmlmError(
                f"anova() of linear models compares results of lm(), not {type(other).__name__}"
            )
        if other.nobs != first.nobs:
            raise BayesmlmError(
                f"model 1 was fitted to {first.nobs} rows and model {i} to {other.nobs}; models can be compared only "
                "on the same rows: fit all to the rows that are complete in every variable used"
            )
        if not np.array_equal(other.design.y, first.design.y):
            raise BayesmlmError(
                f"models 1 and {i} have different responses or rows; models can be compared only on the same data"
            )
