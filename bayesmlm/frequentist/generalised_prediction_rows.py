"""Rows to predict for from a generalised mixed model: columns and group levels of each linear predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.frame import Frame
from ..formula.nodes import Node
from .mixed_base import with_gaps
from .prediction_rows import (
    complete_new_rows,
    included_effects,
    new_offset,
    offset_nodes,
    row_index,
)

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign, ParameterDesign
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = ["GeneralisedRows", "effects_of_parts", "fitted_generalised_rows", "new_generalised_rows"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GeneralisedRows:
    """Complete rows.

    By linear predictor, in the order of ``fit.parts``: ``X`` (m, p_d), ``offsets`` (m,), zero for those that were not
    asked for. By term, in the order of ``design.all_terms``: ``Z`` (m, k); ``codes`` (m,) its
    levels, those that the fit did not have counted on from J, -1 where the grouping variable is missing or was not
    read; ``unseen``: the names of the new levels. ``weights``: (m,) prior weights besides trials; ``used``: (N,) which
    rows of the data these are; ``index``: (N,) their names; ``frame``: the complete rows.
    """

    X: tuple[Matrix, ...]
    offsets: tuple[Vector, ...]
    Z: tuple[Matrix, ...]
    codes: tuple[Codes, ...]
    unseen: tuple[tuple[str, ...], ...]
    weights: Vector
    used: Mask
    index: pd.Index
    frame: Frame

    @property
    def m(self) -> int:
        """Number of complete rows."""
        return len(self.weights)

    def padded(self, values: Vector) -> Vector:
        """Values of the complete rows with NaN in the places of the others."""
        return with_gaps(values, self.used)


def fitted_generalised_rows(fit: GeneralisedFit, data: Any = None) -> GeneralisedRows:
    """The rows of the fit. ``data``: what it was fitted to; with it and na_action="exclude" rows that were left out for
    missing values keep their places."""
    design = fit.design
    padded = data is not None and design.na_action == "exclude"
    parts = [fit.part(name) for name in fit.parts]
    terms = design.all_terms
    return GeneralisedRows(
        tuple(part.X for part in parts),
        tuple(np.zeros(design.n) if part.offset is None else part.offset for part in parts),
        tuple(t.Z for t in terms),
        tuple(t.codes for t in terms),
        tuple(() for _ in terms),
        np.ones(design.n) if design.weights is None else design.weights,
        design.used if padded else np.ones(design.n, dtype=bool),
        row_index(Frame.from_any(data) if padded else design.frame),
        design.frame,
    )


def new_generalised_rows(
    fit: GeneralisedFit,
    newdata: Any,
    *,
    parts: Sequence[str],
    population: bool = True,
    columns: Sequence[bool],
    groups: Sequence[bool],
    na_action: str,
) -> GeneralisedRows:
    """Rows of new data. ``parts``: the linear predictors that are needed; ``population``: whether their X and offsets
    are; ``columns``, ``groups``: by term of ``design.all_terms`` whether its columns and its levels are.

    Raises `NewDataError`.
    """
    terms = fit.design.all_terms
    frame = Frame.from_any(newdata)
    used = complete_new_rows(frame, _nodes(fit, parts if population else (), columns), na_action)
    index = row_index(frame)
    if not used.all():
        frame = frame.take(np.flatnonzero(used))
    if na_action.removeprefix("na.") == "omit":
        index, used = index[used], np.ones(frame.n_rows, dtype=bool)
    if not frame.n_rows:  # no row is complete: there is nothing to code
        population, columns, groups = False, [False] * len(terms), [False] * len(terms)
    X, offsets = [], []
    for name in fit.parts:
        part = fit.part(name)
        if population and name in parts:
            X.append(part.new_X(frame))
            offsets.append(_offset(fit, part, frame))
        else:
            X.append(np.zeros((frame.n_rows, len(part.coefficients))))
            offsets.append(np.zeros(frame.n_rows))
    Z, codes, unseen = [], [], []
    for term, with_columns, with_groups in zip(terms, columns, groups, strict=True):
        Z.append(term.effects.new_data(frame) if with_columns else np.zeros((frame.n_rows, term.size)))
        unread: tuple[Codes, tuple[str, ...]] = np.full(frame.n_rows, -1, dtype=np.int64), ()
        found, names = term.new_codes(frame) if with_groups else unread
        codes.append(found)
        unseen.append(names)
    weights = np.ones(frame.n_rows)
    return GeneralisedRows(
        tuple(X), tuple(offsets), tuple(Z), tuple(codes), tuple(unseen), weights, used, index, frame
    )


def effects_of_parts(fit: GeneralisedFit, re_formula: Any, parts: Sequence[str]) -> list[Mask]:
    """For each of ``design.all_terms`` (k,) which of its effects take part: those of ``re_formula`` that belong to the
    given linear predictors. An effect that is named takes part wherever the model has it. Raises `FormulaError`."""
    terms = fit.design.all_terms
    masks = included_effects(fit, re_formula, terms)
    owners = fit.design.term_parameters
    return [mask & (owner in parts) for mask, owner in zip(masks, owners, strict=True)]


def _nodes(fit: GeneralisedFit, parts: Sequence[str], columns: Sequence[bool]) -> list[Node]:
    """The expressions that are read of new data, grouping variables left out."""
    needed: list[MixedTerm] = [t for t, c in zip(fit.design.all_terms, columns, strict=True) if c]
    nodes = [variable.node for term in needed for variable in term.effects.coding.variables]
    for name in parts:
        part = fit.part(name)
        if part.population is not None:
            nodes += [variable.node for variable in part.population.coding.variables]
        if part.predictor is not None:
            nodes += list(part.predictor.offsets)
    if "mu" in parts:
        nodes += offset_nodes(fit)
        rate = fit.design.formula.addition("rate")
        nodes += [] if rate is None else [one.value for one in rate.arguments if one.value is not None]
    return nodes


def _offset(fit: GeneralisedFit, part: GeneralisedDesign | ParameterDesign, frame: Frame) -> Vector:
    """(m,) known part of a linear predictor for new data."""
    if part is fit.design:
        return new_offset(fit, frame)
    found = part.new_offset(frame)
    return np.zeros(frame.n_rows) if found is None else found
