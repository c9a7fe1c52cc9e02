"""R's ``summary()`` of a linear model, as text and as HTML."""

from __future__ import annotations

import html
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import BayesmlmWarning
from .r_print import (
    LEGEND,
    coefficient_lines,
    format_numbers,
    format_p_values,
    named_vector_lines,
    number,
    zapsmall,
)

if TYPE_CHECKING:
    from .linear import LinearFit
    from .linear_design import Rows

__all__ = ["LinearSummary", "fit_lines", "summarise"]

PERFECT = 1e-30
"""R's limit of a residual variance, relative to the size of the fitted values."""

QUANTILES = ("Min", "1Q", "Median", "3Q", "Max")


@dataclass(frozen=True, repr=False)
class LinearSummary:
    """A summary to print or to read from.

    ``coefficients``: Estimate, Std. Error, t value, Pr(>|t|) of the coefficients that were estimated; ``names``: of
    all; ``residuals``: weighted. ``fstatistic``: value, numdf, dendf and ``p_value``, or None.
    """

    call: str
    names: tuple[str, ...]
    coefficients: pd.DataFrame
    residuals: Rows
    is_weighted: bool
    sigma: float
    df_residual: int
    rows_dropped: int
    r_squared: float
    adj_r_squared: float
    fstatistic: pd.Series | None
    row_names: tuple[str, ...]
    digits: int = 4

    @property
    def residual_quantiles(self) -> pd.Series:
        """Minimum, quartiles and maximum of the residuals."""
        return pd.Series(np.quantile(self.residuals, [0, 0.25, 0.5, 0.75, 1]), index=list(QUANTILES))

    def to_text(self, digits: int | None = None, width: int = 80) -> str:
        """The summary as R prints it, with ``digits`` significant digits."""
        digits = self.digits if digits is None else digits
        table = self.coefficients.reindex(list(self.names))
        lines = ["", "Call:", self.call, "", *self._residual_lines(digits, width), "", self._title()]
        lines += coefficient_lines(table, digits, width=width)
        return "\n".join([*lines, "", *self._closing_lines(digits), ""])

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from .r_html import coefficient_table

        table = self.coefficients.reindex(list(self.names))
        head = html.escape("\n".join(["Call:", self.call, "", *self._residual_lines(self.digits, 80)]))
        foot = html.escape("\n".join(self._closing_lines(self.digits)))
        title = html.escape(self._title().rstrip(":"))
        return (
            f"<div><pre>{head}</pre><h4>{title}</h4>{coefficient_table(table, self.digits)}"
            f"<p><small>{html.escape(LEGEND)}</small></p><pre>{foot}</pre></div>"
        )

    def _title(self) -> str:
        missing = len(self.names) - len(self.coefficients)
        return (
            f"Coefficients: ({missing} not defined because of singularities)" if missing else "Coefficients:"
        )

    def _residual_lines(self, digits: int, width: int) -> list[str]:
        title = f"{'Weighted ' if self.is_weighted else ''}Residuals:"
        if self.df_residual == 0:
            count = len(self.coefficients)
            return [title, f"ALL {count} residuals are 0: no residual degrees of freedom!"]
        if self.df_residual > 5:
            values = zapsmall(self.residual_quantiles.tolist(), digits + 1)
            cells = dict(zip(QUANTILES, format_numbers(values, digits), strict=True))
        else:
            cells = dict(zip(self.row_names, format_numbers(self.residuals.tolist(), digits), strict=True))
        return [title, *named_vector_lines(cells, width)]

    def _closing_lines(self, digits: int) -> list[str]:
        lines = [
            f"Residual standard error: {number(self.sigma, digits)} on {self.df_residual} degrees of freedom"
        ]
        if self.rows_dropped:
            have = "observation" if self.rows_dropped == 1 else "observations"
            lines.append(f"  ({self.rows_dropped} {have} deleted due to missingness)")
        if self.fstatistic is not None:
            value, numdf, dendf, p = self.fstatistic[["value", "numdf", "dendf", "p_value"]]
            shown = format_p_values([p], digits)[0]
            parts = [
                f"{number(x, digits):>{digits + 1}}" for x in (self.r_squared, self.adj_r_squared, value)
            ]
            lines += [
                f"Multiple R-squared:  {parts[0]},\tAdjusted R-squared:  {parts[1]} ",
                f"F-statistic: {parts[2]} on {numdf:.0f} and {dendf:.0f} DF,  p-value: {shown}",
            ]
        return lines


def summarise(fit: LinearFit) -> LinearSummary:
    """The summary of a fit of `lm`."""
    from scipy.special import fdtrc

    design = fit.design
    linear = fit.design_fitted
    if fit.df_residual and fit.sigma**2 < (linear.mean() ** 2 + linear.var(ddof=1)) * PERFECT:
        warnings.warn(
            "the residuals are as small as rounding errors: the fit is essentially perfect, and standard errors and "
            "tests are not reliable",
            BayesmlmWarning,
            stacklevel=3,
        )
    F = fit.fstatistic
    if F is not None:
        has_df = fit.df_residual > 0
        F["p_value"] = float(fdtrc(F["numdf"], F["dendf"], F["value"])) if has_df else float("nan")
    weights = design.weights
    errors = design.y - fit.design_fitted
    return LinearSummary(
        call=f"lm(formula = {fit.formula}, data = data)",
        names=design.names,
        coefficients=fit.coef_table(),
        residuals=errors if weights is None else errors * np.sqrt(weights),
        is_weighted=weights is not None and bool(np.ptp(weights) > 0),
        sigma=fit.sigma,
        df_residual=fit.df_residual,
        rows_dropped=int((~design.used).sum()),
        r_squared=fit.r_squared,
        adj_r_squared=fit.adj_r_squared,
        fstatistic=F,
        row_names=tuple(str(label) for label in fit.row_names()),
    )


def fit_lines(fit: LinearFit) -> list[str]:
    """What R prints for the fit itself: the call and the coefficients."""
    cells = dict(zip(fit.design.names, format_numbers(fit.coefficients.tolist(), 4), strict=True))
    call = f"lm(formula = {fit.formula}, data = data)"
    return ["", "Call:", call, "", "Coefficients:", *named_vector_lines(cells, gap=2), ""]
