"""Population-level terms: R's ``model.matrix``, and the same coding again for new data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Contrast, Factor, Numeric
from ..data.frame import Frame
from ..data.levels import as_factor, recode
from ..errors import DataError, FormulaError, NewDataError
from ..formula.evaluate import TransformState, evaluate
from ..formula.names import rename_all
from ..formula.nodes import Node
from ..formula.parse import parse_expression
from ..formula.predictor import Predictor
from ..formula.unparse import unparse
from .contrasts import Coding, as_contrast, coding, full_dummy

__all__ = ["PopulationCoding", "PopulationDesign", "aliased_columns", "report_rank"]

TOLERANCE = 1e-7
"""R's ``qr``: a column is aliased when less than this part of its length is left by the columns before it."""

Functions = Mapping[str, Callable[..., Any]]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Variable:
    """A variable or call that terms are made of. ``label``: its text, as R deparses it.

    A factor has ``levels`` and its contrast ``coding``; for numbers both are None, and ``suffixes`` is what R
    appends to the label for each column (``("",)``, or ``("1", "2")`` for ``poly(x, 2)``).
    """

    label: str
    node: Node
    suffixes: tuple[str, ...] = ("",)
    levels: tuple[str, ...] | None = None
    ordered: bool = False
    coding: Coding | None = None

    def columns(self, column: Column, full: bool) -> Matrix:
        """(n, k): the numbers, or the factor's indicators (``full``) or contrasts."""
        if isinstance(column, Numeric):
            return column.values.reshape(len(column), -1)
        assert self.coding is not None
        return (full_dummy(column.levels) if full else self.coding).matrix[column.codes]

    def names(self, full: bool) -> tuple[str, ...]:
        """R's names of these columns."""
        suffixes = self.suffixes
        if self.coding is not None and self.levels is not None:
            suffixes = self.levels if full else self.coding.names
        return tuple(self.label + suffix for suffix in suffixes)


@dataclass(frozen=True)
class PopulationCoding:
    """How the columns of a model matrix are made of data: all that coding new data takes.

    ``variables``: what the terms are made of. ``terms``: for each term its factors, as (place in
    ``variables``, full dummy coding or not). ``constant``: whether the first column is 1, the intercept or
    the reserved word `Intercept`. ``state``, ``functions``: what the evaluation of expressions needs.
    """

    variables: tuple[Variable, ...]
    terms: tuple[tuple[tuple[int, bool], ...], ...]
    labels: tuple[str, ...]
    constant: bool
    state: TransformState = field(repr=False)
    functions: Functions = field(repr=False)
    source: str = ""

    @property
    def r_names(self) -> tuple[str, ...]:
        """R's names of the columns."""
        names = ["(Intercept)"] if self.constant else []
        return (*names, *(name for term in self.terms for name in self._term_names(term)))

    @property
    def names(self) -> tuple[str, ...]:
        """brms's names of the columns. Raises `FormulaError` when two columns get the same."""
        names = self.r_names
        return rename_all(("Intercept", *names[1:]) if self.constant else names)

    @property
    def assign(self) -> tuple[int, ...]:
        """For each column the number of its term, counted from 1; 0 is the intercept."""
        terms = [i + 1 for i, term in enumerate(self.terms) for _ in self._term_names(term)]
        return tuple([0] * self.constant + terms)

    def new_data(self, frame: Frame) -> Matrix:
        """(n, K) matrix of the rows of ``frame``, with the levels, contrasts, means and knots of the fit.

        Raises `NewDataError` for a missing column, an unseen level, a missing or infinite value.
        """
        state = self.state.frozen()
        columns = []
        for variable in self.variables:
            column = _evaluate(variable.node, frame, state, self.functions, self.source)
            if (variable.levels is None) == isinstance(column, Factor):
                kinds = ("numbers", "a factor") if variable.levels is None else ("a factor", "numbers")
                raise NewDataError(
                    f"`{variable.label}` was {kinds[0]} in the fit; the new data give {kinds[1]}"
                )
            if isinstance(column, Factor):
                assert variable.levels is not None
                column = recode(column, variable.levels, variable.ordered, variable.label, frame)
            _check_complete(column, variable.label, frame, new=True)
            columns.append(column)
        return self.matrix(columns, frame.n_rows)

    def matrix(self, columns: Sequence[Column], n_rows: int) -> Matrix:
        """(n, K) model matrix from the evaluated ``variables``."""
        counts = [len(self._term_names(term)) for term in self.terms]
        out = np.ones((n_rows, self.constant + sum(counts)))
        place = int(self.constant)
        for term, count in zip(self.terms, counts, strict=True):
            blocks = [self.variables[variable].columns(columns[variable], full) for variable, full in term]
            out[:, place : place + count] = reduce(_row_products, blocks)
            place += count
        return out

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict; ``state`` is saved by its owner, functions are not saved."""
        variables = [
            {
                "label": v.label,
                "suffixes": list(v.suffixes),
                "levels": None if v.levels is None else list(v.levels),
                "ordered": v.ordered,
                "coding": None if v.coding is None else v.coding.to_json(),
            }
            for v in self.variables
        ]
        return {
            "variables": variables,
            "terms": [[list(factor) for factor in term] for term in self.terms],
            "labels": list(self.labels),
            "constant": self.constant,
        }

    @classmethod
    def from_json(
        cls, record: Mapping[str, Any], state: TransformState, functions: Functions | None = None
    ) -> PopulationCoding:
        """The inverse of `to_json`, given the saved ``state`` and the user's functions again."""
        variables = tuple(
            Variable(
                v["label"],
                parse_expression(v["label"]),
                tuple(v["suffixes"]),
                None if v["levels"] is None else tuple(v["levels"]),
                v["ordered"],
                None if v["coding"] is None else Coding.from_json(v["coding"]),
            )
            for v in record["variables"]
        )
        terms = tuple(tuple((int(i), bool(full)) for i, full in term) for term in record["terms"])
        return cls(
            variables, terms, tuple(record["labels"]), record["constant"], state, dict(functions or {})
        )

    def _term_names(self, term: tuple[tuple[int, bool], ...]) -> list[str]:
        names = [""]
        for variable, full in term:
            parts = self.variables[variable].names(full)
            names = [f"{name}:{part}" if name else part for part in parts for name in names]
        return names


@dataclass(frozen=True)
class PopulationDesign:
    """The model matrix of one predictor's population-level terms.

    ``matrix``: float64, shape (n, K); the intercept, if there is one, is the first column and called
    ``Intercept``. ``names``: brms's names of the columns. ``coding``: how the columns are made.
    """

    matrix: Matrix
    names: tuple[str, ...]
    coding: PopulationCoding

    @classmethod
    def build(
        cls,
        predictor: Predictor,
        frame: Frame,
        state: TransformState,
        functions: Functions | None = None,
        contrasts: Mapping[str, Any] | None = None,
        cell_means: bool = True,
    ) -> PopulationDesign:
        """R's model matrix of ``predictor.terms`` on the rows of ``frame``, which must be complete.

        A factor of a term is coded by contrasts when the term without it is a margin of a term before it,
        else by an indicator for each level (R's rule). Without an intercept the first factor gets an
        indicator for each level, except with ``0 + Intercept`` and with ``cell_means`` False (brms's ``cmc =
        FALSE``). ``contrasts``: for a factor, by its label, the name of its contrasts or a matrix (see
        `as_contrast`).

        Raises `FormulaError` and `DataError`, the latter for missing and infinite values and for factors with
        one level; never for constant or dependent columns, which `report_rank` names.
        """
        if predictor.intercept and predictor.explicit_intercept:
            raise FormulaError("the intercept is there twice: write `0 + Intercept + ...`")
        functions, contrasts = dict(functions or {}), dict(contrasts or {})
        nodes = {unparse(node): node for term in predictor.terms for node in term.factors}
        places = {label: place for place, label in enumerate(nodes)}
        columns, variables = [], []
        for label, node in nodes.items():
            column = _evaluate(node, frame, state, functions, predictor.source)
            _check_complete(column, label, frame, new=state.is_frozen)
            columns.append(column)
            variables.append(_variable(label, node, column, contrasts.get(label)))
        terms = [tuple(places[unparse(node)] for node in term.factors) for term in predictor.terms]
        constant = predictor.intercept or predictor.explicit_intercept
        is_factor = [variable.levels is not None for variable in variables]
        plan = _full_or_contrasts(terms, is_factor, dummies_for_first=cell_means and not constant)
        labels = tuple(term.label for term in predictor.terms)
        rule = PopulationCoding(tuple(variables), plan, labels, constant, state, functions, predictor.source)
        return cls(rule.matrix(columns, frame.n_rows), rule.names, rule)

    @property
    def r_names(self) -> tuple[str, ...]:
        """R's names of the columns."""
        return self.coding.r_names

    @property
    def assign(self) -> tuple[int, ...]:
        """For each column the number of its term, counted from 1; 0 is the intercept."""
        return self.coding.assign

    @property
    def terms(self) -> tuple[str, ...]:
        """Labels of the terms, in R's order."""
        return self.coding.labels

    def new_data(self, frame: Frame) -> Matrix:
        """The (n, K) matrix of new data; see `PopulationCoding.new_data`."""
        return self.coding.new_data(frame)


def report_rank(design: PopulationDesign) -> list[str]:
    """A sentence for each column that is constant zero or depends on the columns before it."""
    triangle = _triangle(design.matrix)
    aliased = _aliased(triangle)
    kept = [place for place in range(design.matrix.shape[1]) if place not in aliased]
    return [_dependence(triangle, design.names, place, [k for k in kept if k < place]) for place in aliased]


def aliased_columns(matrix: Matrix) -> tuple[int, ...]:
    """Places of the columns that depend linearly on columns before them, at R's tolerance 1e-7.

    As LINPACK's ``dqrdc2`` in R's ``lm``: columns are taken in order, and one of which less than 1e-7 of its
    length is left after projecting on those kept is set aside. Here this is done on the triangular factor.
    """
    return _aliased(_triangle(matrix))


def _aliased(triangle: Matrix) -> tuple[int, ...]:
    basis = np.empty((triangle.shape[0], 0))
    aliased = []
    for place, column in enumerate(triangle.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice is enough (Giraud et al., 2005)
        left = np.linalg.norm(rest)
        if left <= TOLERANCE * np.linalg.norm(column):
            aliased.append(place)
        else:
            basis = np.column_stack([basis, rest / left])
    return tuple(aliased)


def _row_products(left: Matrix, right: Matrix) -> Matrix:
    """(n, k l): each column of ``left`` times each of ``right``, those of ``left`` varying fastest."""
    return (right[:, :, None] * left[:, None, :]).reshape(len(left), -1)


def _triangle(matrix: Matrix, rows: int = 100_000) -> Matrix:
    """R of the QR decomposition, (min(n, K), K), in blocks of rows: the matrix may be large."""
    triangle = np.empty((0, matrix.shape[1]))
    for start in range(0, len(matrix), rows):
        triangle = np.linalg.qr(np.vstack([triangle, matrix[start : start + rows]]), mode="r")
    return triangle


def _dependence(triangle: Matrix, names: Sequence[str], place: int, before: list[int]) -> str:
    column = triangle[:, place]
    if not column.any():
        return f"`{names[place]}` is zero in every row"
    weights = np.linalg.lstsq(triangle[:, before], column, rcond=None)[0]
    sizes = np.abs(weights) * np.linalg.norm(triangle[:, before], axis=0)
    involved = [
        names[k] for k, size in zip(before, sizes, strict=True) if size > 1e-6 * np.linalg.norm(column)
    ]
    if involved == ["Intercept"]:
        return f"`{names[place]}` is constant"
    if len(involved) == 1:
        return f"`{names[place]}` is a multiple of `{involved[0]}`"
    return f"`{names[place]}` is a linear combination of {', '.join(f'`{name}`' for name in involved)}"


def _evaluate(node: Node, frame: Frame, state: TransformState, functions: Functions, source: str) -> Column:
    """A variable of the model matrix; logical values are factors with the levels FALSE and TRUE, as in R."""
    column = evaluate(node, frame, state, functions, source)
    return as_factor(column, unparse(node)) if isinstance(column, Numeric) and column.logical else column


def _variable(label: str, node: Node, column: Column, contrast: Any) -> Variable:
    if isinstance(column, Numeric):
        if contrast is not None:
            raise DataError(f"contrasts are for factors, and `{label}` is numeric: use `factor({label})`")
        count = 1 if column.values.ndim == 1 else column.values.shape[1]
        # R writes no suffix for a matrix of one column
        suffixes = ("",) if count == 1 else column.columns or tuple(str(j + 1) for j in range(count))
        return Variable(label, node, suffixes)
    usual = Contrast("poly" if column.ordered else "treatment")
    chosen = (column.contrasts or usual) if contrast is None else as_contrast(contrast, label)
    made = coding(column.levels, chosen, label)
    return Variable(label, node, levels=column.levels, ordered=column.ordered, coding=made)


def _check_complete(column: Column, label: str, frame: Frame, new: bool) -> None:
    if isinstance(column, Factor):
        bad, what = column.codes < 0, "missing"
    else:
        values = column.values.reshape(len(column), -1)
        bad, what = np.isnan(values).any(axis=1), "missing"
        if not bad.any():
            bad, what = np.isinf(values).any(axis=1), "infinite"
    if bad.any():
        where = frame.row_name(int(np.flatnonzero(bad)[0]))
        error, data = (NewDataError, " of the new data") if new else (DataError, "")
        raise error(f"`{label}` is {what} in {where}{data}; correct the value or leave out the row")


def _full_or_contrasts(
    terms: Sequence[tuple[int, ...]], is_factor: Sequence[bool], dummies_for_first: bool
) -> tuple[tuple[tuple[int, bool], ...], ...]:
    """For each factor of each term whether it gets an indicator for each level (True) or contrasts.

    R's ``terms.formula`` (Chambers & Hastie, 1992, p. 38): contrasts when the term without this factor is
    contained in a term before it, or is empty. ``dummies_for_first``: R's ``model.matrix`` without intercept
    gives the first factor it meets an indicator for each level.
    """
    plan = []
    for place, term in enumerate(terms):
        margins = [set(term) - {variable} for variable in term]
        earlier = [set(other) for other in terms[:place]]
        full = [bool(margin) and not any(margin <= other for other in earlier) for margin in margins]
        if dummies_for_first and any(is_factor[variable] for variable in term):
            full[[is_factor[variable] for variable in term].index(True)] = True
            dummies_for_first = False
        plan.append(tuple(zip(term, full, strict=True)))
    return tuple(plan)
