"""Least-squares means: predictions for the levels of factors, averaged over a balanced grid of all others.

Every combination of the levels of the factors counts equally, numeric variables are at their means (Searle, Speed and
Milliken 1980, The American Statistician 34, 216-221). As columns of the model matrix are products of columns of
single variables, the average over the grid is the product of the averages, and no grid is made.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..data.levels import listing, number_names
from ..errors import BayesmlmError, BayesmlmWarning
from ..formula.evaluate import evaluate
from ..terms.contrasts import full_dummy
from ..terms.population import PopulationCoding, Variable
from .design import MixedDesign
from .fixed_tests import Fixed, Method, contrast_table, method_of
from .r_print import coefficient_lines

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit

__all__ = ["LeastSquaresMeans", "asymptotic_means", "ls_means"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class LeastSquaresMeans(pd.DataFrame):
    """Estimate, Std. Error, df, t value, lower, upper, Pr(>|t|); prints as lmerTest's. Of generalised models without
    df, and z value, Pr(>|z|).

    ``hypotheses``: a DataFrame of the contrasts; ``level`` of the intervals; ``method`` of the degrees of freedom.
    """

    _metadata = ("hypotheses", "level", "method")  # pandas: attributes that are no columns
    hypotheses: pd.DataFrame
    level: float = 0.95
    method: str = ""

    def __repr__(self) -> str:
        if self.empty:
            return "Least Squares Means table:\n\n<the model has no terms of factors only>"
        shown = pd.DataFrame(self)
        if "df" in shown:
            shown["df"] = shown["df"].round(1)
        joint = ("Estimate", "Std. Error", "lower", "upper")
        lines = coefficient_lines(shown, 5, estimates=joint, statistics=("t value", "z value"))
        tail = [
            "",
            f"  Confidence level: {100 * self.level:.2g}%",
            f"  Degrees of freedom method: {self.method}",
        ]
        return "\n".join(["Least Squares Means table:", "", *lines, *tail])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def ls_means(
    fit: MixedFit, which: str | Sequence[str] | None, level: float, ddf: str, pairwise: bool
) -> LeastSquaresMeans:
    """See `TestingMethods.ls_means`."""
    return _means_table(fit, which, level, method_of(fit, ddf), pairwise)


def _means_table(
    fit: MixedFit | GeneralisedFit,
    which: str | Sequence[str] | None,
    level: float,
    method: Method,
    pairwise: bool,
) -> LeastSquaresMeans:
    design, coding = fit.design, fit.design.population.coding
    factors = {
        label: term
        for label, term in zip(coding.labels, coding.terms, strict=True)
        if all(coding.variables[v].levels is not None for v, _ in term)
    }
    wanted = list(factors) if which is None else [which] if isinstance(which, str) else list(which)
    factors |= _two_valued_terms(design, [name for name in wanted if name not in factors])
    for name in wanted:
        if name not in factors:
            there = listing(list(factors)) if factors else "no such term"
            raise BayesmlmError(
                f"`{name}` is no term of factors (or of numbers with two values) only; the model has {there}"
            )
    names: list[str] = []
    parts = [np.empty((0, len(coding.r_names)))]
    averages = _averages(design)
    for label in wanted:
        levels = {v: _levels_of(design, v, averages[v]) for v, _ in factors[label]}
        labels, L = _means(coding, levels, averages)
        if pairwise:
            pairs = list(combinations(range(len(labels)), 2))
            L = np.array([L[i] - L[j] for i, j in pairs]).reshape(-1, L.shape[1])
            labels = [f"{labels[i]} - {labels[j]}" for i, j in pairs]
        names += labels
        parts.append(L)
    full = np.concatenate(parts)
    L = full[:, list(design.kept)]
    table = LeastSquaresMeans(contrast_table(fit, L, names, method, level=level))
    missing = ~_estimable(design, full)
    if missing.any():
        table.loc[missing] = np.nan
        which_ones = listing([n for n, m in zip(names, missing, strict=True) if m])
        warnings.warn(
            f"the data do not determine the least-squares means of {which_ones}: a combination of levels that they "
            "average over was never observed",
            BayesmlmWarning,
            stacklevel=4,
        )
    table.hypotheses = pd.DataFrame(L, index=names, columns=list(design.coefficients))
    table.level, table.method = level, method.label
    return table


def asymptotic_means(
    fit: GeneralisedFit, which: str | Sequence[str] | None, level: float, pairwise: bool
) -> LeastSquaresMeans:
    """See `GeneralisedTableMethods.ls_means`."""
    method = Fixed(fit.covariance, float("inf"), "asymptotic")
    found = _means_table(fit, which, level, method, pairwise)
    renamed = {"t value": "z value", "Pr(>|t|)": "Pr(>|z|)"}
    table = LeastSquaresMeans(found.drop(columns="df").rename(columns=renamed))
    table.hypotheses, table.level, table.method = found.hypotheses, level, found.method
    return table


def _averages(design: MixedDesign) -> list[tuple[Matrix, Matrix]]:
    """For each variable rows of its columns, coded by contrasts and in full: for a factor one for each level, for
    numbers one, at the means of the data's columns."""
    coding, frame = design.population.coding, design.frame
    rows = [_rows_of(variable, coding, frame) for variable in coding.variables]
    return rows


def _rows_of(variable: Variable, coding: PopulationCoding, frame: Frame) -> tuple[Matrix, Matrix]:
    if variable.levels is not None:
        assert variable.coding is not None
        return variable.coding.matrix, full_dummy(variable.levels).matrix
    used = {name: frame[name] for name in _names_in(variable, frame)}
    means = {
        name: replace(column, values=column.values.mean(axis=0, keepdims=True), logical=False)
        for name, column in used.items()
        if isinstance(column, Numeric)
    }
    first = {name: column for name, column in used.items() if name not in means}
    one = Frame.from_columns(
        {**means, **Frame.from_columns(first).take(np.array([0])).columns} if first else means
    )
    value = evaluate(variable.node, one, coding.state.frozen(), coding.functions)
    assert isinstance(value, Numeric)
    row = value.values.reshape(1, -1)
    return row, row


def _names_in(variable: Variable, frame: Frame) -> list[str]:
    from ..formula.walk import variables

    return [name for name in variables(variable.node) if name in frame.columns]


def _two_valued_terms(design: MixedDesign, names: list[str]) -> dict[str, Any]:
    """Those of the terms ``names`` whose numbers have two values (a 0/1 column): these are then taken for levels."""
    coding = design.population.coding
    found = {}
    for label, term in zip(coding.labels, coding.terms, strict=True):
        numbers = [v for v, _ in term if coding.variables[v].levels is None]
        if label in names and all(len(_values_of(design, v)) == 2 for v in numbers):
            found[label] = term
    return found


def _values_of(design: MixedDesign, v: int) -> Vector:
    """Distinct values of a variable that is one column of numbers; nothing for a matrix (poly)."""
    coding = design.population.coding
    value = evaluate(coding.variables[v].node, design.frame, coding.state.frozen(), coding.functions)
    assert isinstance(value, Numeric)
    return np.unique(value.values) if value.values.ndim == 1 else np.zeros(0)


class _Levels(NamedTuple):
    """Names of the levels of a variable, and its columns for each, coded by contrasts (first) and in full."""

    names: list[str]
    rows: tuple[Matrix, Matrix]


def _levels_of(design: MixedDesign, v: int, rows: tuple[Matrix, Matrix]) -> _Levels:
    variable = design.population.coding.variables[v]
    if variable.levels is not None:
        return _Levels([variable.label + level for level in variable.levels], rows)
    values = _values_of(design, v)
    names = [f"{variable.label}{name}" for name in number_names(values)]
    return _Levels(names, (values[:, None], values[:, None]))


def _means(
    coding: PopulationCoding,
    own: Mapping[int, _Levels],
    averages: Sequence[tuple[Matrix, Matrix]],
) -> tuple[list[str], Matrix]:
    """Names and (m, K) rows for all combinations of the levels of the variables ``own``, the first fastest."""
    names, rows = [], []
    for reverse in product(*(range(len(levels.names)) for levels in reversed(list(own.values())))):
        chosen = dict(zip(own, reversed(reverse), strict=True))
        names.append(":".join(own[v].names[i] for v, i in chosen.items()))
        pieces = [np.ones(int(coding.constant))]
        for term in coding.terms:
            columns = [
                own[v].rows[int(full)][chosen[v]] if v in chosen else averages[v][int(full)].mean(axis=0)
                for v, full in term
            ]
            pieces.append(reduce(lambda a, b: np.outer(b, a).ravel(), columns))
        rows.append(np.concatenate(pieces))
    return names, np.array(rows)


def _estimable(design: MixedDesign, L: Matrix) -> NDArray[np.bool_]:
    """Whether each row of ``L`` (m, K), on all columns, gives the same number whichever columns are left out."""
    X, kept = design.population.matrix, list(design.kept)
    dropped = [i for i in range(X.shape[1]) if i not in kept]
    if not dropped:
        return np.ones(len(L), dtype=bool)
    made_of = np.linalg.lstsq(X[:, kept], X[:, dropped], rcond=None)[0]
    gap = np.abs(L[:, dropped] - L[:, kept] @ made_of)
    return np.asarray((gap < 1e-6 * (1.0 + np.abs(L).max(initial=0.0))).all(axis=1))
