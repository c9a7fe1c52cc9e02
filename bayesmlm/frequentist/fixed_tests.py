"""Tables of coefficients and tests of contrasts, with degrees of freedom by a method of choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.levels import listing
from ..errors import BayesmlmError
from .satterthwaite import JointTest

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit

__all__ = [
    "Fixed",
    "Method",
    "coefficient_table",
    "contest",
    "contrast_matrix",
    "contrast_rows",
    "contrast_table",
    "joint_table",
    "method_of",
    "p_value_of_F",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

METHODS = {
    "satterthwaite": ("satterthwaite", "sat"),
    "kenward-roger": ("kenward-roger", "kenwardroger", "kr"),
    "residual": ("residual",),
    "asymptotic": ("asymptotic", "normal"),
}
"""Names of the methods for degrees of freedom, and what else they may be called."""


class Method(Protocol):
    """A covariance matrix of the coefficients, with degrees of freedom of what is tested by it."""

    @property
    def covariance(self) -> Matrix:
        """(p, p) Var(beta)."""

    @property
    def label(self) -> str:
        """The method's name."""

    def degrees(self, L: Matrix) -> Vector:
        """(m,) for the contrasts in the rows of ``L`` (m, p)."""

    def joint(self, L: Matrix, beta: Vector) -> JointTest | None:
        """The F test of L beta = 0; None when ``L`` is zero."""


@dataclass(frozen=True, eq=False)
class Fixed:
    """The same degrees of freedom ``df`` for every contrast."""

    covariance: Matrix
    df: float
    label: str

    def degrees(self, L: Matrix) -> Vector:
        """``df`` for each row."""
        return np.full(len(L), self.df)

    def joint(self, L: Matrix, beta: Vector) -> JointTest | None:
        """The Wald F test."""
        _, sizes, rows = np.linalg.svd(L, full_matrices=False)
        rows = rows[sizes > 1e-10 * sizes.max(initial=0.0)]
        if not len(rows):
            return None
        value = rows @ beta
        F = float(value @ np.linalg.solve(rows @ self.covariance @ rows.T, value)) / len(rows)
        return JointTest(F, F, len(rows), self.df)


def method_of(fit: MixedFit, ddf: str) -> Method:
    """The method called ``ddf``. Raises `BayesmlmError` for an unknown one."""
    key = str(ddf).lower().replace("_", "-")
    match next((name for name, names in METHODS.items() if key in names), None):
        case "satterthwaite":
            return fit.satterthwaite
        case "kenward-roger":
            return fit.kenward_roger
        case "residual":
            return Fixed(fit.covariance, float(fit.n - fit.p), "residual")
        case "asymptotic":
            return Fixed(fit.covariance, float("inf"), "asymptotic")
    raise BayesmlmError(f"ddf must be {listing((*METHODS, 'lme4'))}, not {ddf!r}")


def coefficient_table(fit: MixedFit, ddf: str) -> pd.DataFrame:
    """See `TestingMethods.coef_table`."""
    names = list(fit.design.coefficients)
    if str(ddf).lower() == "lme4":
        se = np.sqrt(np.diag(fit.covariance))
        return pd.DataFrame(
            {"Estimate": fit.beta, "Std. Error": se, "t value": fit.beta / se}, index=pd.Index(names)
        )
    return contrast_table(fit, np.eye(fit.p), names, method_of(fit, ddf))


def contrast_table(
    fit: MixedFit | GeneralisedFit,
    L: Matrix,
    names: Sequence[str],
    method: Method,
    rhs: Vector | float = 0.0,
    level: float | None = None,
) -> pd.DataFrame:
    """Estimate, Std. Error, df, t value (lower, upper with a ``level``), Pr(>|t|) of each row of ``L`` (m, p)."""
    from scipy.special import ndtri, stdtrit

    estimate = L @ fit.beta
    se = np.sqrt(np.einsum("mp,pq,mq->m", L, method.covariance, L))
    df = method.degrees(L)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (estimate - rhs) / se
    columns: dict[str, Any] = {"Estimate": estimate, "Std. Error": se, "df": df, "t value": t}
    if level is not None:
        if not 0.0 < level < 1.0:
            raise BayesmlmError(f"level must be between 0 and 1, not {level!r}")
        tail = 0.5 * (1.0 + level)
        reach = se * np.where(np.isinf(df), ndtri(tail), stdtrit(np.where(np.isinf(df), 1.0, df), tail))
        columns |= {"lower": estimate - reach, "upper": estimate + reach}
    columns["Pr(>|t|)"] = _p_values_of_t(t, df)
    return pd.DataFrame(columns, index=pd.Index(list(names)))


def _p_values_of_t(t: Vector, df: Vector) -> Vector:
    from scipy.special import ndtr, stdtr

    return np.where(
        np.isinf(df), 2.0 * ndtr(-np.abs(t)), 2.0 * stdtr(np.where(np.isinf(df), 1.0, df), -np.abs(t))
    )


def p_value_of_F(F: float, num_df: float, den_df: float) -> float:  # noqa: N802
    """Upper tail of the F distribution, also for infinite denominator degrees of freedom."""
    from scipy.special import chdtrc, fdtrc

    if np.isinf(den_df):
        return float(chdtrc(num_df, num_df * F))
    return float(fdtrc(num_df, den_df, F))


def joint_table(
    fit: MixedFit, hypotheses: Mapping[str, Matrix], method: Method, shift: Vector | None = None
) -> pd.DataFrame:
    """Sum Sq, Mean Sq, NumDF, DenDF, F value, Pr(>F) of each hypothesis L (beta - shift) = 0.

    As in lmerTest, Mean Sq is sigma^2 times F before any scaling. A hypothesis without rows has no row.
    """
    rows, names = [], []
    beta = fit.beta if shift is None else fit.beta - shift
    for name, L in hypotheses.items():
        test = method.joint(L, beta)
        if test is None:
            continue
        mean = test.unscaled * fit.sigma**2
        p = p_value_of_F(test.F, test.num_df, test.den_df)
        rows.append((mean * test.num_df, mean, test.num_df, test.den_df, test.F, p))
        names.append(name)
    columns = ["Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"]
    table = pd.DataFrame(rows, columns=columns, index=pd.Index(names, dtype=object))
    return table.astype({"NumDF": int})


def contest(
    fit: MixedFit, L: Any, joint: bool, ddf: str, rhs: Any, confint: bool, level: float
) -> pd.DataFrame:
    """See `TestingMethods.contest`."""
    matrix, names = contrast_matrix(fit, L)
    right = np.atleast_1d(np.asarray(rhs, dtype=np.float64))
    if right.size not in (1, len(matrix)) or not np.isfinite(right).all():
        raise BayesmlmError(f"rhs must be one number, or {len(matrix)}, one for each row of L")
    right = np.broadcast_to(right, len(matrix))
    method = method_of(fit, ddf)
    if not joint:
        return contrast_table(fit, matrix, names, method, right, level if confint else None)
    shift = np.linalg.pinv(matrix) @ right
    if not np.allclose(matrix @ shift, right, rtol=1e-8, atol=1e-10):
        raise BayesmlmError(
            "no coefficients satisfy L beta = rhs: rows of L depend on each other, values of rhs do not"
        )
    table = joint_table(fit, {"L": matrix}, method, shift)
    if table.empty:
        raise BayesmlmError("L is zero: there is nothing to test")
    return table.set_axis([names[0] if len(names) == 1 else "1"], axis=0)


def contrast_matrix(fit: MixedFit, L: Any) -> tuple[Matrix, list[str]]:
    """Contrasts of a fit's coefficients as (m, p) and their names; see `contrast_rows`."""
    return contrast_rows(list(fit.design.coefficients), L)


def contrast_rows(coefficients: Sequence[str], L: Any) -> tuple[Matrix, list[str]]:
    """Contrasts as (m, p) and their names, from what a user may write.

    An array (p,) or (m, p) in the order of ``fixef()``; a dict or Series of weights by coefficient; a DataFrame with
    a row for each contrast and coefficients as columns; a list of dicts. Raises `BayesmlmError`.
    """
    if isinstance(L, Mapping | pd.Series):
        L = [L]
    if isinstance(L, Sequence) and L and all(isinstance(row, Mapping | pd.Series) for row in L):
        L = pd.DataFrame([dict(row) for row in L], index=[str(i + 1) for i in range(len(L))])
    if isinstance(L, pd.DataFrame):
        unknown = [name for name in map(str, L.columns) if name not in coefficients]
        if unknown:
            raise BayesmlmError(f"no coefficient is called `{unknown[0]}`; there are {listing(coefficients)}")
        named = L.fillna(0.0).set_axis(list(map(str, L.columns)), axis=1)
        values = named.reindex(columns=list(coefficients), fill_value=0.0).to_numpy(dtype=np.float64)
        return _checked(values, len(coefficients)), [str(name) for name in L.index]
    values = _checked(np.atleast_2d(np.asarray(L, dtype=np.float64)), len(coefficients))
    return values, [str(i + 1) for i in range(len(values))]


def _checked(values: Matrix, p: int) -> Matrix:
    if values.ndim != 2 or values.shape[1] != p or not len(values) or not np.isfinite(values).all():
        raise BayesmlmError(
            f"L must be finite numbers, {p} in each row, as many as fixef() has; its shape is {values.shape}"
        )
    return values
