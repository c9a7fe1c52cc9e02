"""Analysis of variance of one mixed model: an F test for each term, as lmerTest's and lme4's ``anova``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .fixed_tests import joint_table, method_of
from .linear_tests import AnovaTable
from .r_print import coefficient_lines
from .type_hypotheses import type_hypotheses

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit

__all__ = ["TYPES", "TermTests", "anova_table", "sequential_table"]

TYPES = {"1": 1, "I": 1, "2": 2, "II": 2, "3": 3, "III": 3}


class TermTests(AnovaTable):
    """A table of F tests that prints as lmerTest's; ``hypotheses``: for each term a DataFrame of its contrasts."""

    _metadata = ("heading", "hypotheses")  # type: ignore[assignment]
    hypotheses: Mapping[str, pd.DataFrame]

    def _lines(self) -> list[str]:
        sums = ["Sum Sq", "Mean Sq", "DenDF"]
        return coefficient_lines(
            self, 5, estimates=(), statistics=("F value",), small_to_zero=sums, missing=""
        )


def anova_table(fit: MixedFit, type_: Any, ddf: str) -> TermTests:
    """See `TestingMethods.anova`."""
    if str(ddf).lower() == "lme4":
        return _sequential(fit)
    kind = TYPES.get(str(type_).upper())
    if kind is None:
        raise BayesmlmError(f"type must be 1, 2 or 3 (or I, II, III), not {type_!r}")
    method = method_of(fit, ddf)
    triangle = (
        fit.problem.rows.basis.R if fit.design.weights is None else None
    )  # types I and II ignore weights
    hypotheses = type_hypotheses(fit.design, kind, triangle)
    table = TermTests(joint_table(fit, hypotheses, method))
    how = f"{method.label}'s method" if method.label[0].isupper() else f"{method.label} degrees of freedom"
    table.heading = f"Type {'I' * kind} Analysis of Variance Table with {how}"
    table.hypotheses = _named(fit, hypotheses)
    return table


def _sequential(fit: MixedFit) -> TermTests:
    """lme4's table, R_X the Cholesky factor of X'V^-1 X in units of sigma^2."""
    root = np.linalg.cholesky(np.linalg.inv(fit.evaluation.vcov_unscaled)).T
    return sequential_table(fit, root)


def sequential_table(fit: MixedFit | GeneralisedFit, root: NDArray[np.float64]) -> TermTests:
    """lme4's table: npar, Sum Sq, Mean Sq, F value of each term given those before it, without p values.

    Sums of squares are those of R_X beta, R_X (p, p) the upper triangular ``root`` of the coefficients' information.
    """
    squares: NDArray[np.float64] = (root @ fit.beta) ** 2
    assign = np.array(fit.design.assign)
    numbers = [k for k in dict.fromkeys(assign.tolist()) if k > 0]
    count = np.array([(assign == k).sum() for k in numbers], dtype=int)
    sums = np.array([squares[assign == k].sum() for k in numbers])
    columns = {"npar": count, "Sum Sq": sums, "Mean Sq": sums / count, "F value": sums / count / fit.sigma**2}
    table = TermTests(columns, index=[fit.design.population.terms[k - 1] for k in numbers])
    table.heading = "Analysis of Variance Table"
    rows = {label: root[assign == k] for label, k in zip(table.index, numbers, strict=True)}
    table.hypotheses = _named(fit, rows)
    return table


def _named(
    fit: MixedFit | GeneralisedFit, hypotheses: Mapping[str, NDArray[np.float64]]
) -> dict[str, pd.DataFrame]:
    names = list(fit.design.coefficients)
    return {label: pd.DataFrame(L, columns=names) for label, L in hypotheses.items()}
