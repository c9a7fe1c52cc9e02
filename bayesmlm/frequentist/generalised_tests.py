"""Tables of coefficients, covariances and Wald tests of generalised mixed models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..terms.population import PopulationCoding
from .anova_table import TYPES, TermTests, sequential_table
from .fixed_tests import contrast_rows
from .generalised_names import coefficient_names
from .likelihood_ratio import LikelihoodRatioTable
from .type_hypotheses import type_hypotheses

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = [
    "all_names",
    "coefficient_covariance",
    "coefficient_table",
    "contest",
    "covariance_table",
    "part_names",
    "term_table",
    "wald_lines",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

SAME = 1e-10
"""Singular values of contrasts, relative to the largest, below which they depend on each other."""


def part_names(fit: GeneralisedFit, part: str) -> list[str]:
    """Names of a part's coefficients where those of several parts meet: R's for mu, else brms's (``zi_Intercept``),
    also of a constant, which is a coefficient on the scale of its link."""
    names, link_of_constant = coefficient_names(fit, part)
    return [f"{part}_Intercept" for _ in names] if link_of_constant else names


def all_names(fit: GeneralisedFit) -> list[str]:
    """Names of all P coefficients; see `part_names`."""
    return [name for part in fit.parts for name in part_names(fit, part)]


def coefficient_covariance(fit: GeneralisedFit, use_hessian: bool | None = None) -> Matrix:
    """(P, P) covariance of all coefficients.

    ``use_hessian``: from the second derivatives by all parameters (True), given the covariance parameters (False;
    lme4's RX), or the first where it is available (None). Raises `BayesmlmError` where it is asked for and is not.
    """
    if use_hessian is None:
        return fit.covariance_all
    if not use_hessian:
        return fit.evaluation.vcov_RX * fit.sigma**2
    if fit.nodes == 0:
        raise BayesmlmError(
            "use_hessian=True: with nAGQ=0 the coefficients are found with the effects, and the likelihood has no "
            "Hessian by them; leave it out, or fit with nAGQ=1"
        )
    found = fit.curvature.coefficient_covariance
    if found is None:
        raise BayesmlmError(
            "use_hessian=True: the Hessian of the likelihood is not positive definite, the fit is no inner maximum; "
            "use_hessian=False gives the covariance at fixed covariance parameters"
        )
    return found


def covariance_table(fit: GeneralisedFit, part: str, use_hessian: bool | None, full: bool) -> pd.DataFrame:
    """See `GeneralisedTableMethods.vcov`."""
    V = coefficient_covariance(fit, use_hessian)
    if full:
        return pd.DataFrame(V, index=all_names(fit), columns=all_names(fit))
    names, at = list(fit.part(part).coefficients), fit.part_slices[part]
    return pd.DataFrame(V[at, at], index=names, columns=names)


def coefficient_table(fit: GeneralisedFit, part: str, use_hessian: bool | None) -> pd.DataFrame:
    """See `GeneralisedTableMethods.coef_table`."""
    names, at = list(fit.part(part).coefficients), fit.part_slices[part]
    V = coefficient_covariance(fit, use_hessian)[at, at]
    return wald_lines(np.eye(len(V)), fit.beta_all[at], V, names, "t" if fit.has_scale else "z")


def wald_lines(
    L: Matrix,
    beta: Vector,
    V: Matrix,
    names: list[str],
    letter: str = "z",
    rhs: Vector | float = 0.0,
    level: float | None = None,
) -> pd.DataFrame:
    """Estimate, Std. Error, z value (lower, upper with a ``level``), Pr(>|z|) of each row of ``L`` (m, p).

    ``letter``: what the ratio is called; its reference distribution is the normal one.
    """
    from scipy.special import ndtr, ndtri

    estimate = L @ beta
    # Where a fit has not converged variances may be negative: not a number, as in R, and the fit's messages say why.
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(np.einsum("mp,pq,mq->m", L, V, L))
        z = (estimate - rhs) / se
    columns = {"Estimate": estimate, "Std. Error": se, f"{letter} value": z}
    if level is not None:
        if not 0.0 < level < 1.0:
            raise BayesmlmError(f"level must be between 0 and 1, not {level!r}")
        reach = float(ndtri(0.5 * (1.0 + level))) * se
        columns |= {"lower": estimate - reach, "upper": estimate + reach}
    columns["Pr(>|z|)"] = 2.0 * ndtr(-np.abs(z))
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def contest(
    fit: GeneralisedFit,
    L: Any,
    joint: bool,
    part: str,
    rhs: Any,
    confint: bool,
    level: float,
    use_hessian: bool | None,
) -> pd.DataFrame:
    """See `GeneralisedTableMethods.contest`."""
    matrix, names = contrast_rows(fit.part(part).coefficients, L)
    right = np.atleast_1d(np.asarray(rhs, dtype=np.float64))
    if right.size not in (1, len(matrix)) or not np.isfinite(right).all():
        raise BayesmlmError(f"rhs must be one number, or {len(matrix)}, one for each row of L")
    right = np.broadcast_to(right, len(matrix))
    at = fit.part_slices[part]
    beta, V = fit.beta_all[at], coefficient_covariance(fit, use_hessian)[at, at]
    if not joint:
        return wald_lines(matrix, beta, V, names, "z", right, level if confint else None)
    shift = np.linalg.pinv(matrix) @ right
    if not np.allclose(matrix @ shift, right, rtol=1e-8, atol=1e-10):
        raise BayesmlmError(
            "no coefficients satisfy L beta = rhs: rows of L depend on each other, values of rhs do not"
        )
    if not matrix.any():
        raise BayesmlmError("L is zero: there is nothing to test")
    statistic, df = _wald(matrix, beta - shift, V)
    return _chi_square_table({names[0] if len(names) == 1 else "1": (statistic, df)})


def _wald(L: Matrix, beta: Vector, V: Matrix) -> tuple[float, int]:
    """The Wald statistic of L beta = 0 and its degrees of freedom, the rank of ``L``."""
    if not L.size:
        return 0.0, 0
    _, sizes, rows = np.linalg.svd(L, full_matrices=False)
    rows = rows[sizes > SAME * sizes.max(initial=0.0)]
    value = rows @ beta
    return float(value @ np.linalg.solve(rows @ V @ rows.T, value)), len(rows)


def _chi_square_table(tests: Mapping[str, tuple[float, int]]) -> LikelihoodRatioTable:
    """Chisq, Df, Pr(>Chisq) of each test."""
    from scipy.special import chdtrc

    values = np.array([x for x, _ in tests.values()], dtype=float)
    df = np.array([d for _, d in tests.values()], dtype=int)
    columns = {"Chisq": values, "Df": df, "Pr(>Chisq)": chdtrc(df, np.maximum(values, 0.0))}
    return LikelihoodRatioTable(columns, index=pd.Index(list(tests), dtype=object))


# -- tests of terms ------------------------------------------------------------------------------------------------


def term_table(fit: GeneralisedFit, type_: Any, use_hessian: bool | None) -> TermTests | LikelihoodRatioTable:
    """See `GeneralisedTableMethods.anova`."""
    mu = fit.part_slices["mu"]
    if type_ is None:
        V = fit.evaluation.vcov_RX[mu, mu]
        return sequential_table(fit, np.linalg.cholesky(np.linalg.inv(V)).T)
    kind = TYPES.get(str(type_).upper())
    if kind is None:
        raise BayesmlmError(
            f"type must be 1, 2 or 3 (or I, II, III), or left out for lme4's table, not {type_!r}"
        )
    V = coefficient_covariance(fit, use_hessian)[mu, mu]
    tests = _type_two(fit, V) if kind == 2 else _type_one(fit, V) if kind == 1 else _type_three(fit, V)
    table = _chi_square_table(tests)
    table.heading = (
        f"Analysis of Deviance Table (Type {'I' * kind} Wald chisquare tests)\n\n"
        f"Response: {fit.design.formula.left_text}"
    )
    return table


def _places(fit: GeneralisedFit) -> dict[str, NDArray[np.intp]]:
    """For each term the places of its coefficients; terms whose columns were all left out are not there."""
    assign = np.array(fit.design.assign)
    labels = fit.design.population.terms
    return {labels[k - 1]: np.flatnonzero(assign == k) for k in dict.fromkeys(assign.tolist()) if k > 0}


def _type_one(fit: GeneralisedFit, V: Matrix) -> dict[str, tuple[float, int]]:
    """Each term given those before it: squares of R beta, R'R the inverse of Var(beta)."""
    squares = (np.linalg.cholesky(np.linalg.inv(V)).T @ fit.beta) ** 2
    return {label: (float(squares[at].sum()), len(at)) for label, at in _places(fit).items()}


def _type_two(fit: GeneralisedFit, V: Matrix) -> dict[str, tuple[float, int]]:
    """Each term given all that do not contain it: the Wald statistic of the term and those that contain it, less that
    of the latter (Fox and Weisberg 2019, An R Companion to Applied Regression, 3rd ed., 5.3.4)."""
    places, above = _places(fit), _relatives(fit.design.population.coding)
    tests, unit = {}, np.eye(len(V))
    for label, own in places.items():
        higher = [i for name in above[label] for i in places.get(name, ())]
        whole, _ = _wald(unit[[*own, *higher]], fit.beta, V)
        rest, _ = _wald(unit[higher], fit.beta, V)
        tests[label] = (whole - rest, len(own))
    return tests


def _relatives(coding: PopulationCoding) -> dict[str, list[str]]:
    """For each term those with all of its variables and more."""
    sets = [frozenset(variable for variable, _ in term) for term in coding.terms]
    return {
        label: [other for other, more in zip(coding.labels, sets, strict=True) if own < more]
        for label, own in zip(coding.labels, sets, strict=True)
    }


def _type_three(fit: GeneralisedFit, V: Matrix) -> dict[str, tuple[float, int]]:
    """Hypotheses that depend neither on the coding nor on how often cells were observed."""
    return {label: _wald(L, fit.beta, V) for label, L in type_hypotheses(fit.design, 3).items()}
