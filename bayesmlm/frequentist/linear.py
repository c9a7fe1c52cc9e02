"""`lm()`: linear models by (weighted) least squares, as R's ``lm``; statsmodels solves the least-squares problem."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError, BayesmlmWarning, DataError
from ..formula import BayesFormula, Formula
from ..messages import inform
from ..terms.population import aliased_columns, report_rank
from .linear_design import LinearDesign, Rows, build_linear_design, one_formula, read_na_action

if TYPE_CHECKING:
    from .linear_summary import LinearSummary

__all__ = ["LinearFit", "lm"]


def lm(
    formula: Any,
    data: Any = None,
    *,
    weights: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    offset: Any = None,
    na_action: str = "na.omit",
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> LinearFit:
    """Fit a linear model by least squares; arguments as in R's ``lm``.

    Args:
        formula: text, ``"y ~ x + offset(z)"``.
        data: a pandas, polars or pyarrow table, or a dict of columns.
        weights: precision weights (residual variance sigma^2 / w): a column's name or an array (row,). Rows of weight
            zero do not count.
        subset: the rows to use: a condition as text (``"age > 3"``), True or False for each row, or row numbers from 0.
        contrasts: coding of factors, by column: ``"treatment"``, ``"sum"``, ... or a matrix.
        offset: a column's name or an array (row,), added to the predictor besides ``offset()`` in the formula.
        na_action: rows with missing values: ``"na.omit"`` leaves them out, ``"na.exclude"`` too, but fitted values and
            residuals then have NaN in their places, ``"na.fail"`` refuses them.
        functions: your own functions that the formula may call, by name.

    Returns:
        A `LinearFit`; ``print(fit.summary())`` shows what R's ``summary()`` shows.

    Raises:
        FormulaError: for a formula that cannot be read, or that has group-level terms.
        DataError: for missing columns, values or weights that cannot be used, no rows.
    """
    if data is None:
        raise DataError("lm() needs data: pass a data frame, lm(formula, data=df)")
    frame = Frame.from_any(data)
    main = one_formula(formula)
    arguments = {
        "weights": weights,
        "subset": subset,
        "contrasts": contrasts,
        "offset": offset,
        "na_action": read_na_action(na_action),
        "functions": functions,
    }
    design = build_linear_design(main, main.predictor(frame.names), frame, **arguments)
    fit = replace(fit_linear(design), data=frame, arguments=arguments)
    for message in fit.messages:
        inform(message)
    if fit.df_residual == 0:
        warnings.warn(
            f"{fit.rank} coefficients were estimated from {fit.nobs} rows: there are no residual degrees of freedom, "
            "so that residuals are 0 and standard errors are not defined; use fewer terms or more rows",
            BayesmlmWarning,
            stacklevel=2,
        )
    return fit


def fit_linear(design: LinearDesign) -> LinearFit:
    """Least squares on a design: columns that depend on those before them get no coefficient, as in R.

    Columns are scaled to length 1 for the computation, so that units do not matter.
    """
    from statsmodels.regression.linear_model import WLS

    weights = np.ones(design.n) if design.weights is None else design.weights
    counted = weights > 0
    root = np.sqrt(weights[counted])[:, None]
    X = design.X[counted]
    aliased = set(aliased_columns(root * X))
    kept = np.array([k for k in range(X.shape[1]) if k not in aliased], dtype=np.intp)
    if not kept.size:
        raise DataError(f"`{design.formula}` has no coefficient that can be estimated")
    lengths = np.linalg.norm(root * X[:, kept], axis=0)
    target = (design.y - design.offset)[counted]
    solved = WLS(target, X[:, kept] / lengths, weights=weights[counted]).fit(method="qr")
    unscaled = np.asarray(solved.normalized_cov_params) / np.outer(lengths, lengths)
    coefficients = np.full(X.shape[1], np.nan)
    coefficients[kept] = np.asarray(solved.params) / lengths
    messages: tuple[str, ...] = ()
    if aliased:
        count = f"{len(aliased)} coefficient{'s are' if len(aliased) > 1 else ' is'}"
        r_named = replace(design.population, names=design.names)
        reasons = "; ".join(report_rank(r_named)).replace("a multiple of `(Intercept)`", "constant")
        reasons = reasons or "the rows of positive weight do not tell columns apart"
        messages = (f"{count} not defined because of singularities: {reasons}",)
    return LinearFit(design, coefficients, kept, unscaled, messages)


@dataclass(frozen=True, repr=False, eq=False)
class LinearFit:
    """What `lm` returns; nothing in it changes.

    ``design``: response, model matrix, offset, weights of the rows used. ``coefficients`` (K,) in the order of
    ``design.names``, NaN for aliased columns; ``kept``: places of the others; ``unscaled`` (rank, rank): their
    covariances divided by sigma^2, that is (X'WX)^-1. ``messages``: what was said about aliased columns.
    """

    design: LinearDesign
    coefficients: Rows
    kept: NDArray[np.intp]
    unscaled: Rows
    messages: tuple[str, ...] = ()
    data: Frame | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    # ---- what it is -------------------------------------------------------------------------------------------
    @property
    def formula(self) -> Formula:
        """The model formula."""
        return self.design.formula

    @property
    def rank(self) -> int:
        """Number of coefficients that were estimated."""
        return len(self.kept)

    @cached_property
    def nobs(self) -> int:
        """Number of rows that count: complete, and of positive weight."""
        return int((self.prior_weights > 0).sum())

    @property
    def n(self) -> int:
        """Number of rows that count (`nobs`)."""
        return self.nobs

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom: rows minus estimated coefficients."""
        return self.nobs - self.rank

    @property
    def npar(self) -> int:
        """Number of parameters of the likelihood: coefficients and sigma."""
        return self.rank + 1

    @cached_property
    def deviance(self) -> float:
        """Residual sum of squares, weighted."""
        return float(self.prior_weights @ self._residuals**2)

    @property
    def sigma(self) -> float:
        """Residual standard error: of a row of weight 1. NaN without residual degrees of freedom, as in R."""
        return float(np.sqrt(self.deviance / self.df_residual)) if self.df_residual else float("nan")

    @cached_property
    def prior_weights(self) -> Rows:
        """(n,) weights, 1 if none were given."""
        return np.ones(self.design.n) if self.design.weights is None else self.design.weights

    @cached_property
    def design_fitted(self) -> Rows:
        """(n,) fitted values of the rows used: `fitted` without the rows that ``na_action="na.exclude"`` adds."""
        return self.design.X[:, self.kept] @ self.coefficients[self.kept] + self.design.offset

    @cached_property
    def _residuals(self) -> Rows:
        return self.design.y - self.design_fitted

    # ---- coefficients -----------------------------------------------------------------------------------------
    def coef(self) -> pd.Series:
        """Coefficients by R's names; NaN (R: NA) for those that are not defined because of singularities."""
        return pd.Series(self.coefficients, index=list(self.design.names))

    def fixef(self) -> pd.Series:
        """The same as `coef`: a linear model has population-level effects only."""
        return self.coef()

    def vcov(self) -> pd.DataFrame:
        """Covariances of the coefficients; NaN where one is not defined."""
        names = list(self.design.names)
        out = np.full((len(names), len(names)), np.nan)
        out[np.ix_(self.kept, self.kept)] = self.sigma**2 * self.unscaled
        return pd.DataFrame(out, index=names, columns=names)

    def standard_errors(self) -> pd.Series:
        """Standard errors of the coefficients."""
        return pd.Series(np.sqrt(np.diag(self.vcov())), index=list(self.design.names))

    def coef_table(self) -> pd.DataFrame:
        """Estimate, Std. Error, t value and Pr(>|t|) of the coefficients that were estimated."""
        from scipy.special import stdtr

        names = [self.design.names[k] for k in self.kept]
        estimate = self.coefficients[self.kept]
        error = self.sigma * np.sqrt(np.diag(self.unscaled))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = estimate / error
        columns = {"Estimate": estimate, "Std. Error": error, "t value": t}
        return pd.DataFrame({**columns, "Pr(>|t|)": 2 * stdtr(self.df_residual, -np.abs(t))}, index=names)

    def confint(self, parm: Any = None, level: float = 0.95) -> pd.DataFrame:
        """Confidence intervals from the t distribution; columns ``2.5 %`` and ``97.5 %``.

        ``parm``: only these coefficients. Raises `BayesmlmError` for an unknown name, or a level outside (0, 1).
        """
        half = self.t_quantile(level) * self.standard_errors()
        tails = [f"{100 * tail:.3g} %" for tail in ((1 - level) / 2, (1 + level) / 2)]
        table = pd.DataFrame({tails[0]: self.coef() - half, tails[1]: self.coef() + half})
        if parm is None:
            return table
        wanted = [parm] if isinstance(parm, str) else list(parm)
        for name in wanted:
            if name not in table.index:
                raise BayesmlmError(
                    f"`{name}` is not a coefficient; they are {', '.join(map(str, table.index))}"
                )
        return table.loc[wanted]

    def t_quantile(self, level: float) -> float:
        """Half the width of a confidence interval, in standard errors. Raises for a level outside (0, 1)."""
        from scipy.special import stdtrit

        if not 0 < level < 1:
            raise BayesmlmError(f"level={level:g} must lie between 0 and 1: it is the width of the interval")
        return float(stdtrit(self.df_residual, (1 + level) / 2)) if self.df_residual else float("nan")

    # ---- rows -------------------------------------------------------------------------------------------------
    def fitted(self) -> Rows:
        """(n,) fitted values, offset included."""
        return self.design.pad(self.design_fitted)

    def residuals(self, type: str = "response") -> Rows:
        """(n,) residuals: ``"response"`` y - fitted, ``"pearson"`` (or ``"weighted"``) times the root of the weight."""
        if type not in ("response", "pearson", "weighted"):
            raise BayesmlmError(f'type must be "response", "pearson" or "weighted", not {type!r}')
        scale = 1.0 if type == "response" else np.sqrt(self.prior_weights)
        return self.design.pad(self._residuals * scale)

    def model_matrix(self) -> pd.DataFrame:
        """(n, K) model matrix, aliased columns included."""
        return pd.DataFrame(self.design.X, columns=list(self.design.names), index=self.row_names())

    def hatvalues(self) -> Rows:
        """(n,) leverages; 0 for rows of weight zero, which R leaves out."""
        return self.design.pad(self._leverage)

    @cached_property
    def _leverage(self) -> Rows:
        X = self.design.X[:, self.kept]
        return self.prior_weights * np.einsum("ij,ij->i", X @ self.unscaled, X)

    def rstandard(self) -> Rows:
        """(n,) residuals divided by their standard errors; NaN where the leverage is 1."""
        return self.design.pad(self._standardised(self.sigma))

    def rstudent(self) -> Rows:
        """(n,) as `rstandard`, sigma estimated without the row."""
        rest = 1 - self._leverage
        with np.errstate(divide="ignore", invalid="ignore"):
            without = (self.deviance - self.prior_weights * self._residuals**2 / rest) / (
                self.df_residual - 1
            )
            return self.design.pad(self._standardised(np.sqrt(without)))

    def _standardised(self, sigma: Any) -> Rows:
        rest = 1 - self._leverage
        rest = np.where(rest > 10 * np.finfo(float).eps, rest, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(self.prior_weights) * self._residuals / (sigma * np.sqrt(rest))

    def cooks_distance(self) -> Rows:
        """(n,) Cook's distances (Cook 1977, Technometrics 19)."""
        leverage = self._leverage
        return self.design.pad(self._standardised(self.sigma) ** 2 * leverage / ((1 - leverage) * self.rank))

    # ---- fit as a whole ---------------------------------------------------------------------------------------
    @cached_property
    def _sums_of_squares(self) -> tuple[float, int]:
        """(explained sum of squares, whether an intercept was taken out); an offset explains nothing."""
        w, linear = self.prior_weights, self.design_fitted - self.design.offset
        intercept = int(self.design.predictor.intercept)
        centre = float(w @ linear / w.sum()) if intercept else 0.0
        return float(w @ (linear - centre) ** 2), intercept

    @property
    def r_squared(self) -> float:
        """Multiple R2: explained part of the (weighted) variance; about 0 in models without intercept, as in R."""
        explained, _ = self._sums_of_squares
        total = explained + self.deviance
        return explained / total if total > 0 and self.rank > self._sums_of_squares[1] else 0.0

    @property
    def adj_r_squared(self) -> float:
        """R2 adjusted for the number of coefficients; NaN without residual degrees of freedom."""
        intercept = self._sums_of_squares[1]
        if not self.df_residual:
            return float("nan")
        return 1 - (1 - self.r_squared) * (self.nobs - intercept) / self.df_residual

    @property
    def fstatistic(self) -> pd.Series | None:
        """F test of all coefficients but the intercept: value, numdf, dendf; None when there are none."""
        explained, intercept = self._sums_of_squares
        count = self.rank - intercept
        if count == 0:
            return None
        with np.errstate(divide="ignore"):
            value = np.float64(explained / count) / self.sigma**2
        return pd.Series({"value": float(value), "numdf": count, "dendf": self.df_residual})

    def logLik(self) -> float:  # noqa: N802
        """Maximised log-likelihood."""
        w = self.prior_weights[self.prior_weights > 0]
        n = self.nobs
        with np.errstate(divide="ignore"):
            return float(0.5 * (np.log(w).sum() - n * (np.log(2 * np.pi * self.deviance / n) + 1)))

    def AIC(self) -> float:  # noqa: N802
        """-2 logLik + 2 npar."""
        return -2 * self.logLik() + 2 * self.npar

    def BIC(self) -> float:  # noqa: N802
        """-2 logLik + log(nobs) npar."""
        return -2 * self.logLik() + float(np.log(self.nobs)) * self.npar

    def summary(self) -> LinearSummary:
        """R's summary: prints as text, shows as HTML in a notebook, ``.coefficients`` is the table."""
        from .linear_summary import summarise

        return summarise(self)

    def anova(self, *others: LinearFit) -> pd.DataFrame:
        """F tests: of the terms in turn (type I), or, with ``others``, of each model against the one before it."""
        from .linear_tests import compare, sequential

        return compare((self, *others)) if others else sequential(self)

    def predict(
        self,
        newdata: Any = None,
        *,
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        weights: Any = None,
    ) -> Any:
        """Expected response, for the rows of the fit or of ``newdata``, on the response scale.

        ``se``: with standard errors of the expected response. ``interval``: ``"confidence"`` for the expected
        response, ``"prediction"`` for a new one, whose variance is sigma^2 divided by ``weights`` (default: 1,
        without ``newdata`` the weights of the fit). Returns an array (n,), or with ``se`` or ``interval`` a DataFrame
        with fit, lwr, upr and se.fit.

        Raises `NewDataError` for missing columns or values and unseen levels.
        """
        from .linear_predict import predict

        return predict(self, newdata, se=se, interval=interval, level=level, weights=weights)

    def update(self, formula: Any = None, data: Any = None, **arguments: Any) -> LinearFit:
        """Fit again with another formula (``". ~ . + x"`` allowed), other data or other arguments of `lm`."""
        from ..formula.update import update_formula

        changed = self.formula if formula is None else update_formula(BayesFormula(self.formula), formula)
        return lm(changed, self.data if data is None else data, **{**self.arguments, **arguments})

    def to_statsmodels(self) -> Any:
        """The same model as statsmodels' results object: robust covariances, further tests and diagnostics.

        Aliased columns are left out; an offset is subtracted from the response.
        """
        from statsmodels.regression.linear_model import WLS

        names = [self.design.names[k] for k in self.kept]
        X = pd.DataFrame(self.design.X[:, self.kept], columns=names)
        y = pd.Series(self.design.y - self.design.offset, name=self.design.response)
        counted = self.prior_weights > 0
        return WLS(y[counted], X[counted], weights=self.prior_weights[counted]).fit()

    def row_names(self) -> pd.Index:
        """Labels of the rows used: those of the data, or numbers from 0."""
        frame = self.design.frame
        return pd.RangeIndex(frame.n_rows) if frame.row_labels is None else pd.Index(frame.row_labels)

    def __str__(self) -> str:
        from .linear_summary import fit_lines

        return "\n".join(fit_lines(self))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
