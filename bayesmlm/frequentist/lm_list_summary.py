"""What lme4 prints for ``lmList``: the fit and its summary."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ..results.summary import r_matrix
from .r_print import format_numbers

if TYPE_CHECKING:
    from .lm_list import LinearFitList

__all__ = ["LinearListSummary", "fit_lines", "summarise"]


@dataclass(frozen=True, repr=False)
class LinearListSummary:
    """A summary to print or to read from.

    ``coefficients``: columns (coefficient, statistic), one row a group. ``sigma``, ``df_residual``: pooled, None when
    each group has its own (``sigmas``).
    """

    model: str
    coefficients: pd.DataFrame
    sigma: float | None
    df_residual: int
    sigmas: pd.Series

    def __str__(self) -> str:
        lines = ["Call:", f"  Model: {self.model} ", "   Data: data ", "", "Coefficients:"]
        for name in dict.fromkeys(self.coefficients.columns.get_level_values(0)):
            lines += [f"   {name} ", *_matrix_lines(self.coefficients[name])]
        return "\n".join([*lines, "", *self._closing(), ""])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = html.escape(f"Model: {self.model}")
        foot = html.escape("\n".join(self._closing()))
        return f"<div><pre>{head}</pre>{self.coefficients.to_html()}<pre>{foot}</pre></div>"

    def _closing(self) -> list[str]:
        if self.sigma is None:
            return []
        shown = format_numbers([self.sigma])[0]
        return [f"Residual standard error: {shown} on {self.df_residual} degrees of freedom"]


def summarise(fits: LinearFitList, pool: bool) -> LinearListSummary:
    """The summary of what `lmList` returned."""
    sigma = fits.sigma if pool else None
    return LinearListSummary(str(fits.formula), fits.coef_table(pool), sigma, fits.df_residual, fits.sigmas())


def fit_lines(fits: LinearFitList) -> list[str]:
    """What lme4 prints for the fits: coefficients by group and the pooled standard deviation."""
    lines = [f"Call: lmList(formula = {fits.formula}, data = data) ", "Coefficients:"]
    lines += [*_matrix_lines(fits.coef()), ""]
    lines.append(f"Degrees of freedom: {fits.nobs} total; {fits.df_residual} residual")
    if fits.pool and fits.df_residual:
        lines.append(f"Residual standard error: {format_numbers([fits.sigma])[0]}")
    return lines


def _matrix_lines(table: pd.DataFrame) -> list[str]:
    columns = {str(name): format_numbers([float(x) for x in table[name]]) for name in table.columns}
    return r_matrix([str(name) for name in table.index], columns)
