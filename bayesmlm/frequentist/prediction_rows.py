"""Rows to predict for: population columns, offset, and for each group term its columns and levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..data.levels import listing
from ..data.model_frame import complete_rows
from ..errors import BayesmlmError, FormulaError, NewDataError
from ..formula import as_bayes_formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.formulas import BayesFormula
from ..formula.nodes import Node
from ..formula.parse import parse_expression
from ..formula.walk import variables
from ..terms.population import PopulationDesign
from .mixed_base import with_gaps
from .mixed_terms import group_name

if TYPE_CHECKING:
    from ..formula.predictor import GroupTerm
    from .design import MixedDesign
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "NA_ACTIONS",
    "CodedRows",
    "PredictionRows",
    "complete_new_rows",
    "fitted_rows",
    "included_effects",
    "new_offset",
    "new_rows",
    "offset_nodes",
    "refuse_new_levels",
    "row_index",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

NA_ACTIONS = ("pass", "exclude", "omit", "fail")


@dataclass(frozen=True, eq=False)
class PredictionRows:
    """Complete rows. ``X``: (m, p); ``offset``: (m,); ``weights``: (m,) precisions of the residuals.

    By term: ``Z``: (m, k); ``codes``: (m,) its levels, those that the fit did not have counted on from J,
    -1 where the grouping variable is missing or was not read; ``unseen``: the names of the new levels.
    ``used``: (N,) which rows of the data these are; ``index``: (N,) their names; ``frame``: the complete rows.
    """

    X: Matrix
    offset: Vector
    weights: Vector
    Z: tuple[Matrix, ...]
    codes: tuple[Codes, ...]
    unseen: tuple[tuple[str, ...], ...]
    used: Mask
    index: pd.Index
    frame: Frame

    @property
    def m(self) -> int:
        """Number of complete rows."""
        return len(self.X)

    def padded(self, values: Vector) -> Vector:
        """Values of the complete rows with NaN in the places of the others."""
        return with_gaps(values, self.used)


def fitted_rows(design: MixedDesign, data: Any = None) -> PredictionRows:
    """The rows of the fit. ``data``: what it was fitted to; with it and na_action="exclude" rows that were left out for
    missing values keep their places."""
    padded = data is not None and design.na_action == "exclude"
    used = design.used if padded else np.ones(design.n, dtype=bool)
    index = row_index(Frame.from_any(data) if padded else design.frame)
    return PredictionRows(
        design.X,
        np.zeros(design.n) if design.offset is None else design.offset,
        np.ones(design.n) if design.weights is None else design.weights,
        tuple(t.Z for t in design.terms),
        tuple(t.codes for t in design.terms),
        tuple(() for _ in design.terms),
        used,
        index,
        design.frame,
    )


def row_index(frame: Frame) -> pd.Index:
    """The index of a pandas frame, else numbers counted from 1 as R's row names."""
    return pd.Index(frame.rows if frame.row_labels is None else frame.row_labels)


def new_rows(
    fit: MixedFit,
    newdata: Any,
    *,
    population: bool = True,
    columns: Sequence[bool],
    groups: Sequence[bool],
    na_action: str,
) -> PredictionRows:
    """Rows of new data. ``population``: whether X and the offset are needed; ``columns``, ``groups``: by term whether
    its columns and its levels are. Raises `NewDataError`."""
    design = fit.design
    frame = Frame.from_any(newdata)
    used = _complete(fit, frame, population, columns, na_action)
    index = row_index(frame)
    if not used.all():
        frame = frame.take(np.flatnonzero(used))
    if na_action == "omit":
        index, used = index[used], np.ones(frame.n_rows, dtype=bool)
    X, offset = np.zeros((frame.n_rows, fit.p)), np.zeros(frame.n_rows)
    if not frame.n_rows:  # no row is complete: there is nothing to code
        population, columns, groups = False, [False] * len(columns), [False] * len(groups)
    if population:
        X, offset = design.new_X(frame), new_offset(fit, frame)
    Z, codes, unseen = [], [], []
    for term, with_columns, with_groups in zip(design.terms, columns, groups, strict=True):
        Z.append(term.effects.new_data(frame) if with_columns else np.zeros((frame.n_rows, term.size)))
        unread: tuple[Codes, tuple[str, ...]] = np.full(frame.n_rows, -1, dtype=np.int64), ()
        found, names = term.new_codes(frame) if with_groups else unread
        codes.append(found)
        unseen.append(names)
    weights = np.ones(frame.n_rows)
    return PredictionRows(X, offset, weights, tuple(Z), tuple(codes), tuple(unseen), used, index, frame)


class CodedRows(Protocol):
    """Rows of new data with the levels of each term."""

    @property
    def codes(self) -> Sequence[Codes]:
        """By term (m,)."""
        ...

    @property
    def unseen(self) -> Sequence[tuple[str, ...]]:
        """By term the names of levels that the fit did not have."""
        ...

    @property
    def frame(self) -> Frame:
        """The rows."""
        ...


def refuse_new_levels(rows: CodedRows, terms: Sequence[MixedTerm], wanted: Sequence[Mask]) -> None:
    """Raise `NewDataError` for the first row whose group effects are wanted and not known."""
    for term, codes, unseen, mask in zip(terms, rows.codes, rows.unseen, wanted, strict=True):
        wrong = np.flatnonzero((codes < 0) | (codes >= len(term.levels)))
        if not wrong.size or not mask.any():
            continue
        row = int(wrong[0])
        where, code = rows.frame.row_name(row), int(codes[row])
        what = f"has level `{unseen[code - len(term.levels)]}` in" if code >= 0 else "has no value in"
        raise NewDataError(
            f"{where} of the new data {what} `{term.group}`, whose effects were estimated for "
            f"{listing(term.levels)}. Pass allow_new_levels=True to predict the population's mean for such rows, or "
            're_formula="NA" to leave all group effects out'
        )


def _complete(fit: MixedFit, frame: Frame, population: bool, columns: Sequence[bool], na_action: str) -> Mask:
    """(N,) rows without missing values in the variables that are read (grouping variables may be missing)."""
    design = fit.design
    codings = [t.effects.coding for t, needed in zip(design.terms, columns, strict=True) if needed]
    nodes = [v.node for coding in codings for v in coding.variables]
    if population:
        nodes += [v.node for v in design.population.coding.variables] + list(design.predictor.offsets)
        nodes += offset_nodes(fit)
    return complete_new_rows(frame, nodes, na_action)


def offset_nodes(fit: MixedFit | GeneralisedFit) -> list[Node]:
    """The offset= argument as an expression, if it is one."""
    given = fit.call.get("offset")
    return [parse_expression(given)] if isinstance(given, str) else []


def complete_new_rows(frame: Frame, nodes: Sequence[Node], na_action: str) -> Mask:
    """(N,) rows of new data without missing values in the variables of expressions. Raises `NewDataError` for one with
    some where na_action is "fail", `BayesmlmError` for another word."""
    action = na_action.removeprefix("na.")
    if action not in NA_ACTIONS:
        raise BayesmlmError(f'na_action must be "pass", "omit" or "fail", not {na_action!r}')
    names = tuple(name for name in variables(*nodes) if name in frame.columns)
    complete, dropped = complete_rows(frame, names)
    if dropped and action == "fail":
        row = int(np.flatnonzero(~complete)[0])
        raise NewDataError(f'{frame.row_name(row)} of the new data has missing values and na_action="fail"')
    return complete


def new_offset(fit: MixedFit | GeneralisedFit, frame: Frame) -> Vector:
    """(m,) offset() terms of the formula, and the offset= argument if it names something the new data can have."""
    total = fit.design.new_offset(frame)
    offset = np.zeros(frame.n_rows) if total is None else total
    given = fit.call.get("offset")
    if given is None:
        return offset
    if not isinstance(given, str):
        raise NewDataError(
            "the model was fitted with offset= given as values, which new data do not have: write offset(column) in "
            'the formula, or name the column, offset="column"'
        )
    column = evaluate(parse_expression(given), frame, TransformState(), fit.design.functions)
    if not isinstance(column, Numeric) or column.values.ndim != 1:
        raise NewDataError(f"the offset `{given}` is no numeric column of the new data")
    return offset + column.values


def included_effects(
    fit: MixedFit | GeneralisedFit, re_formula: Any, among: Sequence[MixedTerm] | None = None
) -> list[Mask]:
    """For each term (k,) which of its effects take part. ``among``: the terms, by default those of the design.

    ``re_formula``: None for all, ``"NA"``, ``"~0"`` or NaN for none, or a formula of group terms, ``"~ (1 | g)"``,
    whose effects must be among the model's. Raises `FormulaError`.
    """
    terms = fit.design.terms if among is None else among
    if re_formula is None:
        return [np.ones(t.size, dtype=bool) for t in terms]
    masks = [np.zeros(t.size, dtype=bool) for t in terms]
    text = "NA" if isinstance(re_formula, float) and np.isnan(re_formula) else str(re_formula).strip()
    if text == "NA" or text.replace(" ", "") == "~0":
        return masks
    for wanted in _group_terms(fit, text):
        group, names = group_name(wanted.grouping), _effect_names(fit, wanted)
        for name in names:
            found = [
                (i, t.names.index(name)) for i, t in enumerate(terms) if t.group == group and name in t.names
            ]
            if not found:
                there = listing([f"{name} | {t.group}" for t in terms for name in t.names])
                raise FormulaError(
                    f"re_formula names the effect `{name}` of `{group}`, which is not in the model; its effects are "
                    f"{there}",
                    wanted.effects.source,
                    wanted.span,
                )
            for i, place in found:
                masks[i][place] = True
    return masks


def _group_terms(fit: MixedFit | GeneralisedFit, text: str) -> tuple[GroupTerm, ...]:
    parsed = as_bayes_formula(text)
    if not isinstance(parsed, BayesFormula) or parsed.main.response is not None:
        raise FormulaError("re_formula is one-sided: `~ (1 | g)`", text, (0, len(text)))
    found = parsed.main.predictor(fit.design.frame.names)
    if found.terms or not found.group_terms:
        raise FormulaError(
            're_formula has group terms only: None for all of the model, "NA" for none, or some of them, '
            '"~ (1 | g)"',
            text,
            (0, len(text)),
        )
    return found.group_terms


def _effect_names(fit: MixedFit | GeneralisedFit, term: GroupTerm) -> tuple[str, ...]:
    """R's names of the effects that a group term asks for, coded as the model codes them."""
    design = fit.design
    contrasts = fit.call.get("contrasts") or {}
    built = PopulationDesign.build(
        term.effects, design.frame, design.state.frozen(), design.functions, contrasts
    )
    return built.r_names
