"""`lmList()`: a linear model for each group, as lme4's ``lmList``; thousands of groups are solved at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.levels import listing, match_levels
from ..errors import BayesmlmError, DataError, NewDataError
from ..formula import Formula, unparse
from ..formula.algebra import right_hand_side
from ..messages import inform
from .batched import Solution, solve_groups
from .linear import LinearFit, lm
from .linear_design import (
    LinearDesign,
    Rows,
    build_linear_design,
    one_formula,
    read_na_action,
    subset_mask,
)
from .lm_list_design import (
    missing_message,
    own_designs,
    rows_of_groups,
    shares_design,
    solve_apart,
    take_apart,
)
from .mixed_terms import grouping_codes

if TYPE_CHECKING:
    from .lm_list_summary import LinearListSummary

__all__ = ["LinearFitList", "lmList"]


def lmList(  # noqa: N802 - lme4's name
    formula: Any,
    data: Any = None,
    *,
    weights: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    offset: Any = None,
    na_action: str = "na.omit",
    pool: bool = True,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> LinearFitList:
    """Fit a linear model by least squares to each group: ``lmList("y ~ x | g", data)``.

    As in lme4 every group is a data set of its own: ``scale(x)`` uses the group's mean, and a factor has the levels
    that occur in the group. Groups with too few rows for all coefficients, or in which a predictor does not vary, get
    NaN (R: NA) for those that are not defined; a message names them.

    Args:
        formula: text; after ``|`` the grouping factor, ``g`` or ``g1:g2``.
        data: a pandas, polars or pyarrow table, or a dict of columns.
        weights, subset, contrasts, offset, na_action, functions: as in `bayesmlm.frequentist.linear.lm`.
        pool: whether summaries use one residual standard deviation for all groups.

    Raises:
        FormulaError: without a grouping factor.
        DataError: as `lm`.
    """
    if data is None:
        raise DataError("lmList() needs data: pass a data frame, lmList(formula, data=df)")
    main = one_formula(formula)
    effects, group = take_apart(main)
    everything = Frame.from_any(data)
    rest = tuple(c for c in everything.names if c not in (*main.response_variables, *group))
    predictor = right_hand_side(effects, main.source, rest, main.response)
    frame, codes, levels, arrays = rows_of_groups(everything, group, subset, weights, offset)
    design = build_linear_design(
        main,
        predictor,
        frame,
        **arrays,
        contrasts=contrasts,
        na_action=read_na_action(na_action),
        functions=functions,
    )
    design = replace(design, offset_argument=offset)
    if shares_design(design, codes[design.used], len(levels)):
        solution = solve_groups(design, codes[design.used], len(levels))
        own: tuple[LinearDesign | None, ...] = ()
        failures: dict[str, str] = {}
    else:
        options = {"contrasts": contrasts, "functions": functions}
        own, failures = own_designs(main, predictor, frame, codes, levels, arrays, options)
        solution = solve_apart(own)
    arguments = {
        "weights": weights,
        "subset": subset,
        "contrasts": contrasts,
        "offset": offset,
        "na_action": na_action,
        "functions": functions,
    }
    message = missing_message(solution, levels, failures)
    if message:
        inform(message)
    return LinearFitList(
        main,
        group,
        levels,
        design,
        codes[design.used],
        solution,
        own,
        pool,
        (message,) if message else (),
        everything,
        arguments,
    )


@dataclass(frozen=True, repr=False, eq=False)
class LinearFitList:
    """What `lmList` returns; nothing in it changes.

    ``levels``: names of the groups; ``codes`` (n,): the group of each row used; ``solution``: by group the
    coefficients, (X'WX)^-1, residual sum of squares, number of rows; ``own``: the design of each group where groups
    cannot share one. Fitted values and residuals are in the order of the data (R sorts them by group).
    """

    formula: Formula
    group: tuple[str, ...]
    levels: tuple[str, ...]
    design: LinearDesign
    codes: NDArray[np.int64]
    solution: Solution
    own: tuple[LinearDesign | None, ...]
    pool: bool
    messages: tuple[str, ...]
    data: Frame
    arguments: Mapping[str, Any] = field(default_factory=dict)

    # ---- what it is -------------------------------------------------------------------------------------------
    @property
    def group_name(self) -> str:
        """The grouping factor as in the formula: ``g``, ``g1:g2``."""
        return ":".join(self.group)

    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the coefficients."""
        return self.solution.names

    @property
    def nobs(self) -> int:
        """Number of rows that count, over all groups."""
        return int(self.solution.nobs.sum())

    def ngrps(self) -> dict[str, int]:
        """Number of groups, by grouping factor."""
        return {self.group_name: len(self.levels)}

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.levels)

    def __getitem__(self, level: Any) -> LinearFit:
        """The linear model of one group, a `LinearFit` with all its methods."""
        if str(level) not in self.levels:
            raise BayesmlmError(
                f"`{level}` is not a group of `{self.group_name}`; they are {listing(self.levels)}"
            )
        codes, names = grouping_codes(self.data, self.group)
        rows = subset_mask(self.arguments["subset"], self.data) & (codes == names.index(str(level)))
        effects, _ = take_apart(self.formula)
        text = f"{self.formula.left_text} ~ {unparse(effects)}"
        own: dict[str, Any] = {"subset": None}
        for name in ("weights", "offset"):
            given = self.arguments[name]
            own[name] = given if given is None or isinstance(given, str) else np.asarray(given)[rows]
        return lm(text, self.data.take(rows), **{**self.arguments, **own})

    # ---- coefficients -----------------------------------------------------------------------------------------
    def coef(self) -> pd.DataFrame:
        """Coefficients, one row a group; NaN (R: NA) for those that are not defined."""
        return pd.DataFrame(self.solution.coefficients, index=list(self.levels), columns=list(self.names))

    def fixef(self) -> pd.Series:
        """Means of the coefficients over the groups that have them."""
        return self.coef().mean()

    def ranef(self) -> pd.DataFrame:
        """Coefficients minus their means over groups."""
        return self.coef() - self.fixef()

    @cached_property
    def df_residual(self) -> int:
        """Residual degrees of freedom over all groups: rows minus coefficients that were estimated.

        lme4 also subtracts the coefficients that were not, so it has fewer where groups are too small.
        """
        return int((self.solution.nobs - self.solution.rank).sum())

    @cached_property
    def sigma(self) -> float:
        """Pooled residual standard deviation. Raises `BayesmlmError` without residual degrees of freedom."""
        if not self.df_residual:
            raise BayesmlmError(
                "there are no residual degrees of freedom for estimating the standard deviation: every group has as "
                "many coefficients as rows"
            )
        return float(np.sqrt(self.solution.rss.sum() / self.df_residual))

    def sigmas(self) -> pd.Series:
        """Residual standard deviation of each group; NaN for groups without residual degrees of freedom."""
        df = (self.solution.nobs - self.solution.rank).astype(float)
        variance = np.divide(self.solution.rss, df, out=np.full(len(df), np.nan), where=df > 0)
        return pd.Series(np.sqrt(variance), index=list(self.levels))

    def _scales(self, pool: bool) -> tuple[Rows, Rows]:
        """(J,) residual standard deviations and their degrees of freedom."""
        count = len(self.levels)
        if pool:
            return np.full(count, self.sigma), np.full(count, float(self.df_residual))
        return self.sigmas().to_numpy(), (self.solution.nobs - self.solution.rank).astype(float)

    def coef_table(self, pool: bool | None = None) -> pd.DataFrame:
        """Estimate, Std. Error, t value and Pr(>|t|) of each group; columns (coefficient, statistic).

        ``pool``: one residual standard deviation for all groups (default: as given to `lmList`).
        """
        from scipy.special import stdtr

        sigma, df = self._scales(self.pool if pool is None else pool)
        tables = {}
        for k, name in enumerate(self.names):
            estimate = self.solution.coefficients[:, k]
            error = sigma * np.sqrt(self.solution.unscaled[:, k, k])
            with np.errstate(divide="ignore", invalid="ignore"):
                t = estimate / error
            p = 2 * stdtr(np.where(df > 0, df, np.nan), -np.abs(t))
            columns = {"Estimate": estimate, "Std. Error": error, "t value": t, "Pr(>|t|)": p}
            tables[name] = pd.DataFrame(columns, index=list(self.levels))
        return pd.concat(tables, axis=1)

    def confint(self, level: float = 0.95, pool: bool = False) -> pd.DataFrame:
        """Confidence intervals by group; columns (coefficient, ``2.5 %``) and (coefficient, ``97.5 %``).

        As in lme4 each group's own residual standard deviation and degrees of freedom are used unless ``pool=True``.
        """
        from scipy.special import stdtrit

        if not 0 < level < 1:
            raise BayesmlmError(f"level={level:g} must lie between 0 and 1: it is the width of the interval")
        sigma, df = self._scales(pool)
        quantile = stdtrit(np.where(df > 0, df, np.nan), (1 + level) / 2)
        low, high = (f"{100 * tail:.3g} %" for tail in ((1 - level) / 2, (1 + level) / 2))
        tables = {}
        for k, name in enumerate(self.names):
            half = quantile * sigma * np.sqrt(self.solution.unscaled[:, k, k])
            estimate = self.solution.coefficients[:, k]
            columns = {low: estimate - half, high: estimate + half}
            tables[name] = pd.DataFrame(columns, index=list(self.levels))
        return pd.concat(tables, axis=1)

    # ---- rows -------------------------------------------------------------------------------------------------
    @cached_property
    def _fitted(self) -> Rows:
        if not self.own:
            return self._linear(self.design.X, self.codes) + self.design.offset
        out = np.full(self.design.n, np.nan)
        for j, design in enumerate(self.own):
            if design is not None:
                out[self.codes == j] = self._own_linear(j, design.X) + design.offset
        return out

    def _linear(self, X: Rows, codes: NDArray[np.int64]) -> Rows:
        """X times each row's coefficients; those not defined count as 0, groups without any give NaN."""
        coefficients = self.solution.coefficients
        known = np.where(np.isnan(coefficients), 0.0, coefficients)
        known[np.isnan(coefficients).all(axis=1)] = np.nan
        return np.einsum("ij,ij->i", X, known[codes])

    def _own_linear(self, j: int, X: Rows) -> Rows:
        return self._linear(self._placed(j, X), np.full(len(X), j))

    def _placed(self, j: int, X: Rows) -> Rows:
        """The columns of group j's own model matrix at the places of all groups' coefficients."""
        design = self.own[j]
        assert design is not None
        out = np.zeros((len(X), len(self.names)))
        out[:, [self.names.index(name) for name in design.names]] = X
        return out

    def fitted(self) -> Rows:
        """(n,) fitted values, in the order of the data."""
        return self.design.pad(self._fitted)

    def residuals(self, type: str = "response") -> Rows:
        """(n,) residuals, in the order of the data: ``"response"``; ``"pearson"``, divided by the standard deviation
        of the group; ``"pooled.pearson"``, by the pooled one."""
        errors = self.design.y - self._fitted
        if type == "response":
            return self.design.pad(errors)
        if type not in ("pearson", "pooled.pearson"):
            raise BayesmlmError(f'type must be "response", "pearson" or "pooled.pearson", not {type!r}')
        if self.design.weights is not None:
            errors = errors * np.sqrt(self.design.weights)
        scale = self.sigma if type == "pooled.pearson" else self.sigmas().to_numpy()[self.codes]
        return self.design.pad(errors / scale)

    def predict(self, newdata: Any = None, *, se: bool = False, pool: bool | None = None) -> Any:
        """Expected responses for the rows of the fit or of ``newdata``, each from its group's model.

        An array (n,), or with ``se`` a DataFrame with fit and se.fit. Raises `NewDataError` for a group that was not
        there, missing columns and unseen levels.
        """
        if newdata is None:
            X, offset, codes = self.design.X, self.design.offset, self.codes
            X = X if not self.own else self._own_columns(codes, lambda design, _: design.X)
            pad: Callable[[Rows], Rows] = self.design.pad
        else:
            frame = Frame.from_any(newdata)
            codes = self._new_codes(frame)
            if self.own:
                X = self._own_columns(codes, lambda design, rows: design.new_arrays(frame.take(rows))[0])
                offset = self._own_offsets(frame, codes)
            else:
                X, offset = self.design.new_arrays(frame)
            pad = _as_it_is
        fit = self._linear(X, codes) + offset
        if not se:
            return pad(fit)
        unscaled = np.nan_to_num(self.solution.unscaled)[codes]
        sigma, _ = self._scales(self.pool if pool is None else pool)
        errors = sigma[codes] * np.sqrt(np.einsum("ij,ijk,ik->i", X, unscaled, X))
        return pd.DataFrame({"fit": pad(fit), "se.fit": pad(np.where(np.isnan(fit), np.nan, errors))})

    def _own_columns(self, codes: NDArray[np.int64], columns: Callable[..., Rows]) -> Rows:
        out = np.full((len(codes), len(self.names)), np.nan)
        for j in np.unique(codes).tolist():
            design, rows = self.own[j], codes == j
            if design is not None:
                out[rows] = self._placed(j, columns(design, rows))
        return out

    def _own_offsets(self, frame: Frame, codes: NDArray[np.int64]) -> Rows:
        out = np.zeros(len(codes))
        for j in np.unique(codes).tolist():
            design, rows = self.own[j], codes == j
            if design is not None:
                out[rows] = design.new_arrays(frame.take(rows))[1]
        return out

    def _new_codes(self, frame: Frame) -> NDArray[np.int64]:
        for name in self.group:
            if name not in frame.columns:
                raise NewDataError(f"the new data have no column `{name}`, the grouping factor")
        codes, names = grouping_codes(frame, self.group)
        known = np.append(match_levels(names, self.levels).astype(np.int64), -1)[codes]
        bad = np.flatnonzero(known < 0)
        if bad.size:
            row = int(bad[0])
            what = f"the group `{names[int(codes[row])]}`" if codes[row] >= 0 else "no group"
            raise NewDataError(
                f"{frame.row_name(row)} of the new data has {what}, and models were fitted to the groups of "
                f"`{self.group_name}` in the data only: remove the row"
            )
        return known

    # ---- fit as a whole ---------------------------------------------------------------------------------------
    def logLik(self, pool: bool | None = None) -> float:  # noqa: N802
        """Log-likelihood: of one model with a common residual variance, or (``pool=False``) the sum over groups."""
        s = self.solution
        if self.pool if pool is None else pool:
            return _normal_log_likelihood(float(s.rss.sum()), self.nobs, float(s.log_weights.sum()))
        parts = zip(s.rss.tolist(), s.nobs.tolist(), s.log_weights.tolist(), strict=True)
        return sum(_normal_log_likelihood(*part) for part in parts)

    def npar(self, pool: bool | None = None) -> int:
        """Number of parameters of `logLik`: estimated coefficients and standard deviations."""
        pooled = self.pool if pool is None else pool
        return int(self.solution.rank.sum()) + (1 if pooled else len(self.levels))

    def AIC(self, pool: bool | None = None) -> float:  # noqa: N802
        """-2 logLik + 2 npar."""
        return -2 * self.logLik(pool) + 2 * self.npar(pool)

    def BIC(self, pool: bool | None = None) -> float:  # noqa: N802
        """-2 logLik + log(nobs) npar."""
        return -2 * self.logLik(pool) + float(np.log(self.nobs)) * self.npar(pool)

    def summary(self, pool: bool | None = None) -> LinearListSummary:
        """Tables of all groups: prints as lme4's summary; ``.coefficients`` is the table of `coef_table`."""
        from .lm_list_summary import summarise

        return summarise(self, self.pool if pool is None else pool)

    def __str__(self) -> str:
        from .lm_list_summary import fit_lines

        return "\n".join(fit_lines(self))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<div><p>{len(self.levels)} linear models</p>{self.coef().to_html()}</div>"


def _as_it_is(values: Rows) -> Rows:
    return values


def _normal_log_likelihood(rss: float, n: int, log_weights: float) -> float:
    """Maximised over the variance, of n rows with this (weighted) residual sum of squares."""
    if rss == 0 or n == 0:
        return float("inf") if n else 0.0
    return float((log_weights - n * (np.log(2 * np.pi * rss / n) + 1)) / 2)
