"""Formula and data of a linear mixed model as arrays, in the order and under the names of lme4."""

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
from .design_checks import check_contrasts, check_sizes, refuse, repeated_terms, undetermined_effects
from .mixed_terms import MixedTerm, make_terms

__all__ = ["MixedDesign", "build_mixed_design"]

Functions = Mapping[str, Callable[..., Any]]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class MixedDesign:
    """Everything a linear mixed model knows about its data.

    ``y``: (n,) response; ``offset``, ``weights``: (n,) or None; ``population`` codes all population columns, of which
    ``kept`` are linearly independent; ``terms`` in lme4's order (decreasing number of levels). ``frame``: the rows
    used; ``used``: (N,) which rows of the data these are; ``na_action``: "omit", "exclude" or "fail".
    """

    formula: Formula
    predictor: Predictor
    frame: Frame
    y: Vector
    offset: Vector | None
    weights: Vector | None
    population: PopulationDesign
    kept: tuple[int, ...]
    terms: tuple[MixedTerm, ...]
    state: TransformState
    functions: Functions
    used: NDArray[np.bool_]
    na_action: str
    messages: tuple[str, ...]

    @property
    def response(self) -> str:
        """The response as R deparses it."""
        assert self.formula.response is not None
        return unparse(self.formula.response)

    @property
    def n(self) -> int:
        """Number of rows used."""
        return len(self.y)

    @property
    def X(self) -> Matrix:  # noqa: N802
        """(n, p) population columns, without those that depend on columns before them."""
        full = self.population.matrix
        return full if len(self.kept) == full.shape[1] else full[:, list(self.kept)]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """R's names of the columns of `X`."""
        return tuple(self.population.r_names[i] for i in self.kept)

    @property
    def dropped(self) -> tuple[str, ...]:
        """R's names of the population columns that were left out."""
        return tuple(name for i, name in enumerate(self.population.r_names) if i not in self.kept)

    @property
    def assign(self) -> tuple[int, ...]:
        """For each column of `X` the number of its term in ``population.terms``, from 1; 0 is the intercept."""
        return tuple(self.population.assign[i] for i in self.kept)

    def new_X(self, frame: Frame) -> Matrix:  # noqa: N802
        """(m, p) population columns of new data. Raises `NewDataError`."""
        return self.population.new_data(frame)[:, list(self.kept)]

    def new_offset(self, frame: Frame) -> Vector | None:
        """(m,) offset() terms of the formula for new data; an offset given as an array has no new values."""
        return _formula_offset(self.predictor, frame, self.state.frozen(), self.functions)


def build_mixed_design(
    formula: Formula,
    frame: Frame,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    functions: Functions | None = None,
) -> MixedDesign:
    """Formula and data to arrays. Raises `FormulaError` and `DataError`."""
    functions, contrasts = dict(functions or {}), dict(contrasts or {})
    predictor = formula.predictor(frame.names)
    refuse(formula, predictor)
    assert formula.response is not None
    extra = {"weights": weights, "offset": offset, "subset": subset}
    everything, extra_nodes, used, na_action = _rows(formula, predictor, frame, extra, na_action)
    nodes = [formula.response, *_nodes(predictor), *extra_nodes.values()]
    check_contrasts(contrasts, everything, variables(*nodes))
    frame = everything.take(np.flatnonzero(used)) if not used.all() else everything
    frame, _ = frame.drop_unused_levels([v for v in variables(*nodes) if v in frame.columns])
    state = TransformState() if used.all() else _learned(nodes, frame, everything, functions, formula.source)
    y = _numeric(formula.response, frame, state, functions, formula.source, "the response")
    population = PopulationDesign.build(predictor, frame, state, functions, contrasts)
    check_sizes("the response", [unparse(formula.response)], y[:, None])
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
    total = _formula_offset(predictor, frame, state, functions)
    if "offset" in extra_nodes:
        given = _numeric(extra_nodes["offset"], frame, state, functions, "", "the offset")
        total = given if total is None else total + given
    prior = None
    if "weights" in extra_nodes:
        prior = _numeric(extra_nodes["weights"], frame, state, functions, "", "weights")
        wrong = np.flatnonzero(~(prior > 0))
        if wrong.size:
            raise DataError(
                f"weights must be positive; {frame.row_name(int(wrong[0]))} has {prior[wrong[0]]:g}. A row that is not "
                "to count is left out with subset="
            )
    return MixedDesign(
        formula,
        predictor,
        frame,
        y,
        total,
        prior,
        population,
        kept,
        terms,
        state,
        functions,
        used,
        na_action,
        tuple(messages),
    )


def _rows(
    formula: Formula, predictor: Predictor, frame: Frame, extra: Mapping[str, Any], na_action: str
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
    everything = [formula.response, *_nodes(predictor), *nodes.values()]
    used_names = variables(*[node for node in everything if node is not None])
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
    nodes: Sequence[Node], frame: Frame, everything: Frame, functions: Functions, source: str
) -> TransformState:
    """What scale(), poly() and their like learned on all rows of the data, as R's ``model.frame`` does: it takes the
    subset and drops rows with missing values afterwards. Levels of factors are those of the rows that stay."""
    calls: dict[str, Any] = {}
    for node in nodes:
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


def _nodes(predictor: Predictor) -> list[Node]:
    nodes: list[Node] = [factor for term in predictor.terms for factor in term.factors]
    nodes += predictor.offsets
    for special in predictor.special_terms:
        raise FormulaError(
            f"`{special.label}` is not a term of linear mixed models by maximum likelihood; fit it with brm()",
            predictor.source,
            special.call.span,
        )
    for group in predictor.group_terms:
        nodes += _nodes(group.effects)
        nodes += [Name(name) for name in group.grouping.variables]
    return nodes


def _numeric(
    node: Node, frame: Frame, state: TransformState, functions: Functions, source: str, what: str
) -> Vector:
    column = evaluate(node, frame, state, functions, source)
    if isinstance(column, Factor):
        raise DataError(
            f"{what} `{unparse(node)}` is a factor with {len(column.levels)} levels; lmer() needs numbers"
        )
    values = column.values
    if values.ndim != 1:
        raise DataError(f"{what} `{unparse(node)}` has {values.shape[1]} columns; lmer() takes one")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise DataError(f"{what} `{unparse(node)}` is {values[wrong[0]]} in {frame.row_name(int(wrong[0]))}")
    return values


def _formula_offset(
    predictor: Predictor, frame: Frame, state: TransformState, functions: Functions
) -> Vector | None:
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
