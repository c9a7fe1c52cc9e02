"""``summary()`` and ``print()`` of a linear mixed model in the layout of lmerTest and lme4, as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..errors import BayesmlmError
from ..results.summary import r_matrix
from .abbreviate import abbreviate
from .r_print import (
    LEGEND,
    coefficient_columns,
    format_numbers,
    named_vector_lines,
    zapsmall,
)
from .var_corr import common_width, left_matrix, var_corr_frame, var_corr_lines

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit

__all__ = [
    "QUANTILES",
    "MixedSummary",
    "call_lines",
    "coefficient_table_lines",
    "correlation_lines",
    "criterion_lines",
    "fit_lines",
    "groups_line",
    "message_lines",
    "residual_lines",
    "summarise",
]

QUANTILES = ("Min", "1Q", "Median", "3Q", "Max")
MOST_CORRELATIONS = 12
"""lme4's ``lme4.summary.cor.max``: with more coefficients their correlations are shown on demand only."""

METHODS = {"satterthwaite": "Satterthwaite's", "kenward-roger": "Kenward-Roger's", "lme4": ""}


@dataclass(frozen=True, repr=False)
class MixedSummary:
    """A summary to print or to read from.

    ``head``: title, formula and arguments; ``coefficients``: Estimate, Std. Error, df, t value, Pr(>|t|) (without df
    and p values for ``ddf="lme4"``); ``residuals``: quantiles of the scaled residuals; ``varcor``: as
    ``m.VarCorr()``; ``correlation``: of the coefficients, (p, p); ``criterion``: the REML criterion, or AIC, BIC,
    logLik, deviance and df.resid of a maximum likelihood fit; ``ngrps``: levels of each grouping factor;
    ``messages``: what the fit had to say.
    """

    head: tuple[str, ...]
    criterion: pd.Series
    residuals: pd.Series
    varcor: pd.DataFrame
    varcor_lines: tuple[str, ...]
    nobs: int
    ngrps: dict[str, int]
    coefficients: pd.DataFrame
    correlation: pd.DataFrame
    messages: tuple[str, ...]
    digits: int = 4

    def to_text(self, correlation: bool | None = None, digits: int | None = None, width: int = 80) -> str:
        """The summary as R prints it.

        ``correlation``: show the correlations of the coefficients (default: if there are at most 12 of them);
        ``digits``: significant digits of coefficients and residuals.
        """
        digits = self.digits if digits is None else digits
        lines = [*self.head, "", *criterion_lines(self.criterion, 1), ""]
        lines += [*residual_lines(self.residuals, digits, width), ""]
        lines += ["Random effects:", *self.varcor_lines, groups_line(self.nobs, self.ngrps)]
        if len(self.coefficients):
            lines += ["", "Fixed effects:", *coefficient_table_lines(self.coefficients, digits, width)]
        lines += self._correlation_lines(correlation, width)
        return "\n".join([*lines, *message_lines(self.messages), ""])

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .r_html import coefficient_table

        top = [*self.head, "", *criterion_lines(self.criterion, 1), ""]
        top += [*residual_lines(self.residuals, self.digits, 80), ""]
        top += ["Random effects:", *self.varcor_lines, groups_line(self.nobs, self.ngrps)]
        bottom = [*self._correlation_lines(None, 80), *message_lines(self.messages)]
        middle = ""
        if len(self.coefficients):
            legend = LEGEND if "Pr(>|t|)" in self.coefficients else ""
            table = coefficient_table(self.coefficients, self.digits)
            middle = f"<h4>Fixed effects</h4>{table}<p><small>{html.escape(legend)}</small></p>"
        above, below = (html.escape("\n".join(lines)) for lines in (top, bottom))
        return f"<div><pre>{above}</pre>{middle}<pre>{below}</pre></div>"

    def _correlation_lines(self, wanted: bool | None, width: int) -> list[str]:
        return correlation_lines(self.correlation, wanted, width)


def correlation_lines(correlation: pd.DataFrame, wanted: bool | None, width: int) -> list[str]:
    """Correlations (p, p) of the coefficients below the diagonal; ``wanted=None``: if there are at most 12 of them."""
    p = len(correlation)
    if p < 2 or wanted is False:
        return []
    if wanted is None and p > MOST_CORRELATIONS:
        return [
            "",
            f"Correlation matrix not shown by default, as p = {p} > {MOST_CORRELATIONS}.",
            "Use print(summary.to_text(correlation=True))  or",
            "    m.vcov()        if you need it",
        ]
    R = correlation.to_numpy()
    cells = np.array(common_width([f"{round(x, 3) + 0.0:.3f}" for x in R.ravel()]), dtype=object)
    cells = np.where(np.tri(p, k=-1, dtype=bool), cells.reshape(p, p), "")
    names = [str(name) for name in correlation.index]
    rows, titles = abbreviate(names, 11), abbreviate(names, 6)
    columns = [(titles[b], cells[1:, b].tolist()) for b in range(p - 1)]
    return ["", "Correlation of Fixed Effects:", *left_matrix(rows[1:], columns, width)]


def coefficient_table_lines(table: pd.DataFrame, digits: int, width: int) -> list[str]:
    """The table of coefficients as lmerTest prints it: estimates, standard errors and df in one common format."""
    joint = [name for name in ("Estimate", "Std. Error", "df") if name in table.columns]
    columns = coefficient_columns(table, digits, estimates=joint)
    padded = iter(common_width([cell for name in joint for cell in columns[name]]))
    columns |= {name: [next(padded) for _ in range(len(table))] for name in joint}
    lines = r_matrix([str(name) for name in table.index], columns, width)
    return [*lines, "---", LEGEND] if any(not name.strip() for name in columns) else lines


def criterion_lines(criterion: pd.Series, places: int) -> list[str]:
    """The REML criterion, or the table of AIC, BIC, logLik, deviance and residual degrees of freedom."""
    if list(criterion.index) == ["REML"]:
        value = round(float(criterion["REML"]), places)
        return [f"REML criterion at convergence: {format_numbers([value], 7)[0]}"]
    values = [round(float(x), places) + 0.0 for x in criterion.iloc[:-1]]  # no negative zeros
    cells = format_numbers([*values, criterion.iloc[-1]], 7)
    cells[-1] = str(int(criterion.iloc[-1]))
    return named_vector_lines(dict(zip(criterion.index, cells, strict=True)))


def residual_lines(quantiles: pd.Series, digits: int, width: int) -> list[str]:
    """Quantiles of the scaled residuals."""
    cells = format_numbers(zapsmall(quantiles.tolist(), digits + 1), digits)
    return ["Scaled residuals: ", *named_vector_lines(dict(zip(QUANTILES, cells, strict=True)), width)]


def groups_line(nobs: int, ngrps: dict[str, int]) -> str:
    """Numbers of rows and of levels."""
    groups = "; ".join(f"{name}, {levels}" for name, levels in ngrps.items())
    return f"Number of obs: {nobs}, groups:  {groups}"


def message_lines(messages: Sequence[str]) -> list[str]:
    """What is to be known about the fit, at the end of what is printed."""
    ranks = [m for m in messages if "rank deficient" in m]
    others = [m for m in messages if m not in ranks]
    lines = ["fit warnings:", *ranks] if ranks else []
    if others:
        lines += ["optimizer (L-BFGS-B) convergence code: 0 (OK)", *others, ""]
    return lines


def title_of(fit: MixedFit, tests: str = "", kind: str = "lmerModLmerTest") -> str:
    """The first line of `summary` and `print`. Without population coefficients REML is maximum likelihood."""
    how = "REML" if fit.reml and fit.p else "maximum likelihood "
    return f"Linear mixed model fit by {how}{tests} ['{kind}']"


def call_lines(fit: MixedFit | GeneralisedFit) -> list[str]:
    """What was asked for, as far as it was given by name."""
    lines = [f"Formula: {fit.formula}"]
    for name, title in (("weights", "Weights"), ("offset", " Offset"), ("subset", " Subset")):
        if isinstance(fit.call.get(name), str):
            lines.append(f"{title}: {fit.call[name]}")
    return lines


def criteria_of(fit: MixedFit) -> pd.Series:
    """The REML criterion, or AIC, BIC, logLik, deviance and df.resid."""
    if fit.reml and fit.p:
        return pd.Series({"REML": fit.criterion})
    values = {"AIC": fit.AIC(), "BIC": fit.BIC(), "logLik": fit.logLik(), "deviance": fit.criterion}
    return pd.Series({**values, "df.resid": fit.df_residual})


def summarise(fit: MixedFit, ddf: str = "satterthwaite") -> MixedSummary:
    """The summary of a fit; see `SummaryMethods.summary`. Raises `BayesmlmError` for an unknown ``ddf``."""
    key = ddf.lower()
    if key not in METHODS:
        raise BayesmlmError(f"ddf must be one of {', '.join(map(repr, METHODS))}, not {ddf!r}")
    names = list(fit.design.coefficients)
    if key == "lme4":
        title = title_of(fit, kind="lmerMod")
    else:
        title = title_of(fit, f". t-tests use {METHODS[key]} method")
    table = wald_table(fit) if key == "lme4" else fit.coef_table(ddf=key)
    V = fit.covariance
    sd = np.sqrt(np.diag(V))
    scaled = fit.design.y - fit.linear_predictor
    scaled = (
        scaled / fit.sigma if fit.design.weights is None else scaled * np.sqrt(fit.design.weights) / fit.sigma
    )
    return MixedSummary(
        head=(title, *call_lines(fit)),
        criterion=criteria_of(fit),
        residuals=pd.Series(np.quantile(scaled, [0, 0.25, 0.5, 0.75, 1]), index=list(QUANTILES)),
        varcor=var_corr_frame(fit),
        varcor_lines=tuple(var_corr_lines(fit, 4, ("Variance", "Std.Dev."))),
        nobs=fit.n,
        ngrps=fit.ngrps,
        coefficients=table,
        correlation=pd.DataFrame(V / np.outer(sd, sd), index=names, columns=names),
        messages=fit.messages,
    )


def wald_table(fit: MixedFit) -> pd.DataFrame:
    """Estimates, standard errors and their ratios, as lme4 gives them: no degrees of freedom, no p values."""
    se = np.sqrt(np.diag(fit.covariance))
    columns = {"Estimate": fit.beta, "Std. Error": se, "t value": fit.beta / se}
    return pd.DataFrame(columns, index=list(fit.design.coefficients))


def fit_lines(fit: MixedFit, digits: int = 4) -> list[str]:
    """What R prints for the fit itself."""
    lines = [title_of(fit), *call_lines(fit), *criterion_lines(criteria_of(fit), 4)]
    lines += ["Random effects:", *var_corr_lines(fit, digits), groups_line(fit.n, fit.ngrps)]
    if fit.p:
        cells = format_numbers(fit.beta.tolist(), digits)
        named = dict(zip(fit.design.coefficients, cells, strict=True))
        lines += ["Fixed Effects:", *named_vector_lines(named, gap=2)]
    else:
        lines.append("No fixed effect coefficients")
    return [*lines, *message_lines(fit.messages)]
