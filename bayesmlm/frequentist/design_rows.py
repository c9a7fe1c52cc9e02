"""What designs of mixed models have in common: the rows of a model's data, and one predictor coded on them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor, Numeric
from ..data.frame import Frame
from ..data.model_frame import complete_rows
from ..errors import DataError, FormulaError, NewDataError
from ..formula import Formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.nodes import Name, Node
from ..formula.parse import parse_expression
from ..formula.predictor import Predictor
from ..formula.unparse import unparse
from ..formula.walk import variables
from ..terms.population import PopulationDesign, aliased_columns
from .design_checks import check_contrasts, check_sizes, repeated_terms, undetermined_effects
from .mixed_terms import MixedTerm, make_terms

__all__ = [
    "CodedPredictor",
    "ModelRows",
    "Piece",
    "code_predictor",
    "formula_offset",
    "given_column",
    "model_rows",
    "numeric_values",
    "one_numeric_column",
    "predictor_pieces",
    "total_offset",
]

Functions = Mapping[str, Callable[..., Any]]
Vector = NDArray[np.float64]
Piece = tuple[Node, str]
"""An expression of a model, and the text that its span refers to."""


@dataclass(frozen=True, eq=False)
class ModelRows:
    """The rows a model uses.

    ``frame``: these rows, factors without levels that none of them has; ``used``: (N,) which rows of the data they
    are; ``arguments``: weights and offset, where given, as expressions over ``frame``; ``state``: what transforms
    learned; ``fitter``: the function in whose name messages speak, ``lmer()``.
    """

    frame: Frame
    used: NDArray[np.bool_]
    arguments: Mapping[str, Node]
    state: TransformState
    functions: Functions
    contrasts: Mapping[str, Any]
    na_action: str
    fitter: str


@dataclass(frozen=True, eq=False)
class CodedPredictor:
    """One right-hand side as arrays: population columns, of which ``kept`` are linearly independent, group terms in
    lme4's order, and the sum of its offset() terms (n,). ``messages``: what the user should know of them."""

    predictor: Predictor
    population: PopulationDesign
    kept: tuple[int, ...]
    terms: tuple[MixedTerm, ...]
    offset: Vector | None
    messages: tuple[str, ...]


def predictor_pieces(predictor: Predictor, models: str) -> list[Piece]:
    """Every expression of a right-hand side. Raises `FormulaError` for brms's special terms, which ``models`` lack."""
    for special in predictor.special_terms:
        raise FormulaError(
            f"`{special.label}` is not a term of {models} by maximum likelihood; fit it with brm()",
            predictor.source,
            special.call.span,
        )
    nodes: list[Node] = [factor for term in predictor.terms for factor in term.factors]
    nodes += predictor.offsets
    pieces = [(node, predictor.source) for node in nodes]
    for group in predictor.group_terms:
        pieces += predictor_pieces(group.effects, models)
        pieces += [(Name(name), predictor.source) for name in group.grouping.variables]
    return pieces


def model_rows(
    pieces: Sequence[Piece],
    frame: Frame,
    extra: Mapping[str, Any],
    *,
    contrasts: Mapping[str, Any] | None,
    na_action: str,
    functions: Functions | None,
    fitter: str,
) -> ModelRows:
    """The rows of the subset without a missing value in any piece, weights or offset.

    ``extra``: the arguments weights, offset and subset: None, a column's name or expression, or an array. Raises
    `DataError` and `FormulaError`.
    """
    functions, contrasts = dict(functions or {}), dict(contrasts or {})
    everything, arguments, used, na_action = _used_rows(pieces, frame, extra, na_action)
    pieces = [*pieces, *((node, "") for node in arguments.values())]
    names = variables(*[node for node, _ in pieces])
    check_contrasts(contrasts, everything, names)
    frame = everything.take(np.flatnonzero(used)) if not used.all() else everything
    frame, _ = frame.drop_unused_levels([name for name in names if name in frame.columns])
    state = TransformState() if used.all() else _learned(pieces, frame, everything, functions)
    return ModelRows(frame, used, arguments, state, functions, contrasts, na_action, fitter)


def _used_rows(
    pieces: Sequence[Piece], frame: Frame, extra: Mapping[str, Any], na_action: str
) -> tuple[Frame, dict[str, Node], NDArray[np.bool_], str]:
    """All rows, arrays given for weights and offset as columns of them, and which are used: the subset, without
    missing values."""
    action = na_action.removeprefix("na.")
    if action not in ("omit", "exclude", "fail"):
        raise DataError(f'na_action must be "omit", "exclude" or "fail", not {na_action!r}')
    nodes: dict[str, Node] = {}
    for name, value in extra.items():
        if value is None:
            continue
        if isinstance(value, str):
            nodes[name] = Name(value) if value in frame.columns else parse_expression(value)
            continue
        values = np.asarray(value)
        if values.ndim == 0 and name != "subset":
            values = np.full(frame.n_rows, values)
        if values.shape != (frame.n_rows,):
            raise DataError(f"{name} has shape {values.shape}; the data have {frame.n_rows} rows")
        column = Numeric(values.astype(np.float64), logical=values.dtype == bool)
        frame = replace(frame, columns=ChainMap({f"({name})": column}, frame.columns))  # type: ignore[arg-type]
        nodes[name] = Name(f"({name})")
    mask = _subset(nodes.pop("subset"), frame) if "subset" in nodes else np.ones(frame.n_rows, dtype=bool)
    used_names = variables(*[node for node, _ in pieces], *nodes.values())
    used_names = tuple(name for name in used_names if name in frame.columns)
    complete, dropped = complete_rows(frame, used_names)
    if dropped and action == "fail" and (mask & ~complete).any():
        row = int(np.flatnonzero(mask & ~complete)[0])
        raise DataError(f'{frame.row_name(row)} has missing values and na_action="fail"')
    mask &= complete
    if not mask.any():
        raise DataError(
            "no row is left: every row has a missing value in one of "
            + ", ".join(f"`{v}`" for v in used_names)
            + " or is outside the subset"
        )
    return frame, nodes, mask, action


def _learned(
    pieces: Sequence[Piece], frame: Frame, everything: Frame, functions: Functions
) -> TransformState:
    """What scale(), poly() and their like learned on all rows of the data, as R's ``model.frame`` does: it takes the
    subset and drops rows with missing values afterwards. Levels of factors are those of the rows that stay."""
    calls: dict[str, Any] = {}
    for node, source in pieces:
        if isinstance(node, Name):
            continue
        state = TransformState()
        evaluate(node, frame, state, functions, source)
        if any("levels" not in found for found in state.calls.values()):
            state = TransformState()
            evaluate(node, everything, state, functions, source)
        calls |= {key: found for key, found in state.calls.items() if "levels" not in found}
    return TransformState(calls=calls)


def _subset(node: Node, frame: Frame) -> NDArray[np.bool_]:
    column = evaluate(node, frame, TransformState())
    if not isinstance(column, Numeric) or column.values.ndim != 1:
        raise DataError(f"subset `{unparse(node)}` is no logical column")
    if not column.logical and not np.isin(column.values[~np.isnan(column.values)], (0, 1)).all():
        raise DataError("subset must be logical: one True or False for each row of the data")
    return np.nan_to_num(column.values) != 0


def code_predictor(
    predictor: Predictor, formula: Formula, rows: ModelRows, *, cell_means: bool = True
) -> CodedPredictor:
    """The right-hand side of ``formula``, read as ``predictor``, on the rows of the model.

    ``cell_means``: False for brms's ``cmc = FALSE``. Raises `FormulaError` and `DataError`.
    """
    frame, state, functions, contrasts = rows.frame, rows.state, rows.functions, rows.contrasts
    population = PopulationDesign.build(predictor, frame, state, functions, contrasts, cell_means)
    check_sizes("the column", population.r_names, population.matrix)
    aliased = aliased_columns(population.matrix)
    kept = tuple(i for i in range(len(population.r_names)) if i not in aliased)
    messages = repeated_terms(formula)
    if aliased:
        count = len(aliased)
        what = "1 column / coefficient" if count == 1 else f"{count} columns / coefficients"
        messages.append(f"fixed-effect model matrix is rank deficient so dropping {what}")
    terms = make_terms(predictor.group_terms, population, frame, state, functions, contrasts)
    for one in terms:
        check_sizes("the column", one.names, one.Z)
    messages += [text for one in terms if (text := undetermined_effects(one)) is not None]
    offset = formula_offset(predictor, frame, state, functions)
    return CodedPredictor(predictor, population, kept, terms, offset, tuple(messages))


def given_column(rows: ModelRows, name: str, what: str) -> Vector | None:
    """(n,) the argument ``name``, weights or offset; None where it was not given."""
    if name not in rows.arguments:
        return None
    return numeric_values(rows.arguments[name], rows, "", what)


def total_offset(from_formula: Vector | None, rows: ModelRows) -> Vector | None:
    """(n,) offset() terms and the argument offset; None where there is neither."""
    given = given_column(rows, "offset", "the offset")
    if given is None or from_formula is None:
        return from_formula if given is None else given
    return from_formula + given


def numeric_values(node: Node, rows: ModelRows, source: str, what: str) -> Vector:
    """(n,) an expression on the rows of the model; ``what`` it is, for messages. Raises `DataError` for what is no
    column of finite numbers."""
    column = evaluate(node, rows.frame, rows.state, rows.functions, source)
    return one_numeric_column(column, node, rows, what)


def one_numeric_column(column: Numeric | Factor, node: Node, rows: ModelRows, what: str) -> Vector:
    """(n,) the numbers of ``column``, which ``node`` evaluates to. Raises as `numeric_values`."""
    if isinstance(column, Factor):
        raise DataError(
            f"{what} `{unparse(node)}` is a factor with {len(column.levels)} levels; {rows.fitter} needs numbers"
        )
    values = column.values
    if values.ndim != 1:
        raise DataError(f"{what} `{unparse(node)}` has {values.shape[1]} columns; {rows.fitter} takes one")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise DataError(
            f"{what} `{unparse(node)}` is {values[wrong[0]]} in {rows.frame.row_name(int(wrong[0]))}"
        )
    return values


def formula_offset(
    predictor: Predictor, frame: Frame, state: TransformState, functions: Functions
) -> Vector | None:
    """(n,) the sum of the offset() terms of a right-hand side, None without any."""
    if not predictor.offsets:
        return None
    parts = []
    for node in predictor.offsets:
        column = evaluate(node, frame, state, functions, predictor.source)
        if not isinstance(column, Numeric) or column.values.ndim != 1:
            raise FormulaError("an offset needs one numeric variable", predictor.source, node.span)
        missing = np.flatnonzero(np.isnan(column.values))
        if missing.size:
            raise NewDataError(f"the offset is missing in {frame.row_name(int(missing[0]))}")
        parts.append(column.values)
    return np.sum(parts, axis=0)
