"""Which contrasts of the coefficients a term stands for: hypotheses of types I, II and III.

After Goodnight (1976) and SAS's four types of estimable functions, with the rows that lmerTest uses. Type I: rows of
the unit upper triangular factor of X'X. Type II: the same with the term's columns after those of all terms that do not
contain it. Type III: functions that do not involve other terms and are orthogonal to those of terms that contain it,
in a design with an indicator for each cell of these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Contrast
from ..messages import inform
from ..terms.contrasts import coding as make_coding
from ..terms.population import PopulationCoding, Variable, aliased_columns
from .design import MixedDesign

__all__ = ["containing_terms", "type_hypotheses"]

Matrix = NDArray[np.float64]
Places = NDArray[np.intp]


def type_hypotheses(design: MixedDesign, type_: int, triangle: Matrix | None = None) -> dict[str, Matrix]:
    """For each term (q, p) hypotheses about the coefficients; terms whose columns are all aliased are left out.

    With a single term all types are type I, as in lmerTest. ``triangle``: R of X = QR, if it is known.
    """
    assign = np.array(design.assign)
    labels = design.population.terms
    places = {labels[k - 1]: np.flatnonzero(assign == k) for k in dict.fromkeys(assign.tolist()) if k > 0}
    if len(labels) <= 1 or design.X.shape[1] <= 1 or type_ == 1:
        rows = _unit_triangle(_triangle(design.X) if triangle is None else triangle)
        return {label: rows[at] for label, at in places.items()}
    above = containing_terms(design.population.coding)
    if type_ == 2:
        triangle = _triangle(design.X) if triangle is None else triangle
        return {
            label: _adjusted_for_others(triangle, at, [places[t] for t in above[label] if t in places])
            for label, at in places.items()
        }
    return _type_three(design, above)


def containing_terms(coding: PopulationCoding) -> dict[str, list[str]]:
    """For each term those that contain it: with the same numeric variables and its factors among theirs.

    As lmerTest does, only variables count that are coded by contrasts because the term without them is in the model:
    in ``a / b`` nothing contains ``a``.
    """
    sets = [frozenset(variable for variable, _ in term) for term in coding.terms]
    by_contrasts = []
    for term, variables in enumerate(sets):
        margins = {v: variables - {v} for v in variables}
        before = sets[:term]
        by_contrasts.append({v for v, rest in margins.items() if not rest or any(rest <= b for b in before)})
    numeric = {v for v, variable in enumerate(coding.variables) if variable.levels is None}
    found: dict[str, list[str]] = {}
    for term, label in enumerate(coding.labels):
        own = by_contrasts[term]
        found[label] = [
            coding.labels[other]
            for other in range(len(sets))
            if own and own < by_contrasts[other] and sets[term] & numeric == sets[other] & numeric
        ]
    return found


def _triangle(X: Matrix) -> Matrix:
    return np.linalg.qr(X, mode="r")


def _unit_triangle(R: Matrix) -> Matrix:
    return np.triu(R / np.diag(R)[:, None])


def _adjusted_for_others(triangle: Matrix, own: Places, above: list[Places]) -> Matrix:
    """Rows of type II for the columns ``own``, which terms with the columns ``above`` contain."""
    p = triangle.shape[1]
    if not above:
        return np.eye(p)[own]
    later = np.concatenate([own, *above])
    order = np.concatenate([np.setdiff1d(np.arange(p), later), later])
    rows = np.empty((p, p))
    rows[:, order] = _unit_triangle(_triangle(triangle[:, order]))
    return rows[p - len(later) : p - len(later) + len(own)]


def _type_three(design: MixedDesign, above: dict[str, list[str]]) -> dict[str, Matrix]:
    """Rows in treatment coding, where a term's own coefficients have the unit matrix, moved to the model's coding.

    What is estimable depends only on the space of the rows, so after one QR decomposition n rows are no longer needed.
    """
    given = design.population.coding
    coding = _in_treatment_coding(given)
    same = all(_same_coding(a, b) for a, b in zip(given.variables, coding.variables, strict=True))
    full = design.population.matrix if same else coding.new_data(design.frame)
    kept = list(design.kept) if same else _independent(full)
    treatment, assign = full[:, kept], np.array(coding.assign)[kept]
    numbers = {label: k + 1 for k, label in enumerate(coding.labels)}
    cells = _cells(coding, [t for t in coding.labels if any(t in higher for higher in above.values())])
    indicators, owners = cells.new_data(design.frame), [cells.labels[k - 1] for k in cells.assign]
    _report_missing_cells(cells.r_names, indicators)
    model = np.empty((len(full), 0)) if same else design.X
    size, width = np.linalg.norm(treatment, axis=0), np.linalg.norm(model, axis=0)
    R = _triangle(np.column_stack([treatment / size, indicators, model / width]))
    stops = np.cumsum([treatment.shape[1], indicators.shape[1]])
    RX, RC = R[:, : stops[0]], R[:, stops[0] : stops[1]]
    to_model = np.linalg.lstsq(RX, R[:, stops[1] :], rcond=None)[0] * width / size[:, None]
    to_model[np.abs(to_model) < 1e-12 * np.abs(to_model).max(initial=0.0)] = 0.0
    found = {}
    for label, k in numbers.items():
        own = np.flatnonzero(assign == k)
        if not own.size:
            continue
        rows = np.eye(len(assign))[own]
        if above[label]:
            outside = ~np.isin(assign, [k, *(numbers[t] for t in above[label])])
            rows = _orthogonalised(RX, own, outside, RC[:, np.isin(owners, above[label])], size)
        found[label] = rows if same else rows @ to_model
    return found


def _same_coding(first: Variable, second: Variable) -> bool:
    if first.coding is None or second.coding is None:
        return True
    return np.array_equal(first.coding.matrix, second.coding.matrix)


def _independent(matrix: Matrix) -> list[int]:
    """Columns that do not depend on columns before them."""
    aliased = aliased_columns(matrix)
    return [i for i in range(matrix.shape[1]) if i not in aliased]


def _cells(coding: PopulationCoding, labels: list[str]) -> PopulationCoding:
    """The terms ``labels`` alone, with an indicator for each combination of levels."""
    chosen = [coding.labels.index(label) for label in labels]
    terms = tuple(tuple((variable, True) for variable, _ in coding.terms[i]) for i in chosen)
    return replace(coding, terms=terms, labels=tuple(labels), constant=False)


def _in_treatment_coding(coding: PopulationCoding) -> PopulationCoding:
    def treated(variable: Variable) -> Variable:
        if variable.levels is None:
            return variable
        return replace(variable, coding=make_coding(variable.levels, Contrast("treatment"), variable.label))

    return replace(coding, variables=tuple(treated(v) for v in coding.variables))


def _orthogonalised(
    RX: Matrix, own: Places, outside: NDArray[np.bool_], RC: Matrix, size: NDArray[np.float64]
) -> Matrix:
    """Estimable functions (q, p) in the coefficients of X for the term with columns ``own``.

    Functions are combinations of rows. They give zero weight to the columns ``outside`` (other terms), and are
    orthogonal, in their weights on own columns and cells of the terms that contain this one, to those that give zero
    weight to the own columns too. ``RX``, ``RC``: triangles of X, its columns divided by ``size``, and of the cells.
    """
    RC = RC / np.linalg.norm(RC, axis=0).max()
    space, values, _ = np.linalg.svd(np.column_stack([RX, RC]), full_matrices=False)
    basis = space[:, values > 1e-10 * values[0]].T  # combinations that differ in some weight
    functions = _null_space(basis @ RX[:, outside]) @ basis
    only_cells = _null_space(functions @ RX[:, own]) @ functions
    if len(only_cells):
        functions = _null_space((functions @ RC) @ (only_cells @ RC).T) @ functions
    rows = functions @ RX
    rows = np.linalg.pinv(rows[:, own] * size[own], rcond=1e-10) @ rows
    return np.where(np.abs(rows) * size[own].max() < 1e-10, 0.0, rows) * size


def _null_space(matrix: Matrix) -> Matrix:
    """(m, r) rows n with n @ matrix = 0, orthonormal; ``matrix``: (r, c)."""
    if not matrix.shape[1]:
        return np.eye(len(matrix))
    left, values, _ = np.linalg.svd(matrix, full_matrices=True)
    rank = int((values > 1e-9 * max(values.max(initial=0.0), 1e-300)).sum())
    return left[:, rank:].T


def _report_missing_cells(names: tuple[str, ...], indicators: Matrix) -> None:
    """Say which combinations of levels do not occur: type III hypotheses depend on which these are."""
    empty = [name for name, column in zip(names, indicators.T, strict=True) if not column.any()]
    if empty:
        inform(f"Missing cells for: {', '.join(empty)}. Interpret type III hypotheses with care.")
