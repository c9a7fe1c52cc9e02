"""Formula and data of a linear model without group effects: the model frame and matrix that R's ``lm()`` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor, Numeric
from ..data.frame import Frame
from ..errors import BayesmlmError, DataError, FormulaError, NewDataError
from ..formula import BayesFormula, Formula, MultivariateFormula, as_bayes_formula, parse_expression, unparse
from ..formula.evaluate import TransformState, evaluate
from ..formula.nodes import Call, Name, Node
from ..formula.predictor import Predictor
from ..formula.walk import variables
from ..terms.population import PopulationDesign

__all__ = [
    "LinearDesign",
    "Rows",
    "build_linear_design",
    "column_argument",
    "one_formula",
    "read_na_action",
    "subset_mask",
]

Rows = NDArray[np.float64]
Functions = Mapping[str, Callable[..., Any]]
NA_ACTIONS = ("omit", "exclude", "fail")


@dataclass(frozen=True)
class LinearDesign:
    """The arrays of ``y ~ X`` on the rows used.

    ``y`` (n,), ``X`` (n, K) with all columns, aliased ones too, ``offset`` (n,) zeros if there is none, ``weights``
    (n,) or None; ``frame`` holds the rows used. ``used``: which rows of the data (after ``subset``) these are,
    ``na_action`` what was done with the others; ``offset_argument``: what was given beside the formula.
    """

    formula: Formula
    predictor: Predictor
    frame: Frame
    response: str
    y: Rows
    population: PopulationDesign
    offset: Rows
    weights: Rows | None
    used: NDArray[np.bool_]
    na_action: str
    offset_argument: Any = None
    functions: Functions = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows used, those of weight zero included."""
        return len(self.y)

    @property
    def X(self) -> Rows:  # noqa: N802
        """(n, K) model matrix."""
        return self.population.matrix

    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the columns of `X`."""
        return self.population.r_names

    def new_arrays(self, data: Any) -> tuple[Rows, Rows]:
        """(X, offset) of new data, coded as the data of the fit.

        Raises `NewDataError` for a missing column or value, an unseen level, and when the offset was given as an
        array, which new data do not have.
        """
        frame = Frame.from_any(data)
        state = self.population.coding.state.frozen()
        source = self.formula.source
        total = np.zeros(frame.n_rows)
        for node in self.predictor.offsets:
            column = evaluate(node, frame, state, self.functions, source)
            total += _one_numeric(column, f"the offset `{unparse(node)}`")
        if self.offset_argument is not None:
            if not isinstance(self.offset_argument, str):
                raise NewDataError(
                    "the offset was given as an array, so it is not known for new data: give offset= the name of a "
                    "column, or write offset(...) in the formula"
                )
            values = column_argument(self.offset_argument, frame, "offset")
            assert values is not None
            total += values
        missing = np.flatnonzero(~np.isfinite(total))
        if missing.size:
            raise NewDataError(f"the offset is missing in {frame.row_name(int(missing[0]))} of the new data")
        return self.population.new_data(frame), total

    def pad(self, values: Rows) -> Rows:
        """``values`` of the rows used; with ``na_action="exclude"`` NaN where rows were left out, as R."""
        if self.na_action != "exclude" or self.used.all():
            return values
        out = np.full((len(self.used), *values.shape[1:]), np.nan)
        out[self.used] = values
        return out


def one_formula(formula: Any) -> Formula:
    """``formula`` as one two-sided formula. Raises `FormulaError` for anything that is more than that."""
    parsed = BayesFormula(formula) if isinstance(formula, Formula) else as_bayes_formula(formula)
    if isinstance(parsed, MultivariateFormula) or parsed.parameters or parsed.fixed:
        raise FormulaError(
            "a linear model takes one formula, `y ~ x`; formulas of other parameters need brm()"
        )
    main = parsed.main
    if main.response is None:
        raise FormulaError("the formula has no response; write `y ~ ...`", main.source, (0, 1))
    if isinstance(main.response, Call) and main.response.function in ("cbind", "mvbind"):
        reason = "a linear model has one response: fit one model for each"
        raise FormulaError(reason, main.source, main.response.span)
    if main.additions:
        call = main.additions[0]
        advice = "use the argument weights=" if call.function == "weights" else "use brm()"
        raise FormulaError(f"`{call.function}()` is brms's notation: {advice}", main.source, call.span)
    return main


def build_linear_design(
    formula: Formula,
    predictor: Predictor,
    frame: Frame,
    *,
    weights: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    offset: Any = None,
    na_action: str = "omit",
    functions: Functions | None = None,
) -> LinearDesign:
    """Formula and data to arrays; arguments as in `bayesmlm.frequentist.linear.lm`.

    As in R, transforms that learn from data (``scale(x)``) do so on all rows, before those outside ``subset`` and those
    with missing values are left out; levels that no remaining row has are dropped.
    Raises `FormulaError` and `DataError`.
    """
    _refuse_other_terms(predictor)
    functions, contrasts = dict(functions or {}), dict(contrasts or {})
    for name in contrasts:
        frame[name]  # raises for a column that is not there
    given_weights = column_argument(weights, frame, "weights")
    given_offset = column_argument(offset, frame, "offset")
    chosen = subset_mask(subset, frame)
    everything, frame = frame, frame.take(chosen)
    extra = [None if x is None else x[chosen] for x in (given_weights, given_offset)]
    assert formula.response is not None
    nodes = [formula.response, *(f for term in predictor.terms for f in term.factors), *predictor.offsets]
    state, used = _complete(nodes, extra, (everything, frame), functions, formula.source)
    frame = _without_missing(frame, used, na_action)
    extra = [None if x is None else x[used] for x in extra]
    frame, _ = frame.drop_unused_levels([v for v in variables(*nodes) if v in frame.columns])
    response = unparse(formula.response)
    y = _one_numeric(evaluate(formula.response, frame, state, functions, formula.source), f"`{response}`")
    population = PopulationDesign.build(predictor, frame, state, functions, contrasts)
    total = np.zeros(frame.n_rows) if extra[1] is None else extra[1]
    for node in predictor.offsets:
        column = evaluate(node, frame, state, functions, formula.source)
        total = total + _one_numeric(column, f"the offset `{unparse(node)}`")
    for values, what in ((y, f"`{response}`"), (total, "the offset"), (extra[0], "the weight")):
        _check_finite(values, what, frame)
    _check_weights(extra[0], frame)
    return LinearDesign(
        formula,
        predictor,
        frame,
        response,
        y,
        population,
        total,
        extra[0],
        used,
        na_action,
        offset,
        functions,
    )


def read_na_action(na_action: str) -> str:
    """``omit``, ``exclude`` or ``fail``, with or without R's ``na.`` before it. Raises `BayesmlmError`."""
    name = str(na_action).removeprefix("na.").removeprefix("na_")
    if name not in NA_ACTIONS:
        raise BayesmlmError(f'na_action must be "na.omit", "na.exclude" or "na.fail", not {na_action!r}')
    return name


def column_argument(value: Any, frame: Frame, what: str) -> Rows | None:
    """``weights=`` or ``offset=``: the name of a column, an expression of columns, or an array; (n,) or None."""
    if value is None:
        return None
    if isinstance(value, str):
        node = _expression(value, frame)
        column = evaluate(node, frame, TransformState(), source=value)
        return _one_numeric(column, f"{what} `{value}`")
    values = np.asarray(value, dtype=np.float64)
    if values.shape != (frame.n_rows,):
        raise DataError(f"{what} must have one value for each of the {frame.n_rows} rows, not {values.shape}")
    return values


def _expression(text: str, frame: Frame) -> Node:
    """The expression ``text``; a column whose name is no R name is found by its name."""
    return Name(text) if text in frame.columns else parse_expression(text)


def subset_mask(subset: Any, frame: Frame) -> NDArray[np.bool_]:
    """Which rows ``subset`` keeps: a condition on columns as text, a mask (n,), or positions from 0."""
    if subset is None:
        return np.ones(frame.n_rows, dtype=bool)
    if isinstance(subset, str):
        column = evaluate(_expression(subset, frame), frame, TransformState(), source=subset)
        if not isinstance(column, Numeric) or not column.logical:
            raise DataError(f"subset `{subset}` is no condition: write something like `x > 3`")
        mask = column.values == 1
    else:
        given = np.asarray(subset)
        if given.dtype == bool and given.shape != (frame.n_rows,):
            raise DataError(
                f"subset must have one value for each of the {frame.n_rows} rows, not {len(given)}"
            )
        mask = np.zeros(frame.n_rows, dtype=bool)
        if given.dtype != bool and (given.dtype.kind not in "iu" or given.size == 0):
            raise DataError(
                "subset takes a condition as text, True or False for each row, or row numbers from 0"
            )
        if given.dtype != bool and (given.min() < -frame.n_rows or given.max() >= frame.n_rows):
            raise DataError(f"subset names rows outside 0 to {frame.n_rows - 1}")
        mask[given] = True
    if not mask.any():
        raise DataError("subset keeps no row")
    return mask


def _complete(
    nodes: list[Node],
    extra: list[Rows | None],
    frames: tuple[Frame, Frame],
    functions: Functions,
    source: str,
) -> tuple[TransformState, NDArray[np.bool_]]:
    """What transforms learned on all rows of the data, and which rows of the subset have every variable.

    ``frames``: all rows, and the subset. What factors learned is forgotten: their levels are those of the rows that
    stay.
    """
    everything, frame = frames
    calls: dict[str, Any] = {}
    used = np.ones(frame.n_rows, dtype=bool)
    for node in nodes:
        state = TransformState()
        used &= ~_is_missing(evaluate(node, frame, state, functions, source))
        if frame.n_rows < everything.n_rows and _learned(state):
            state = TransformState()
            evaluate(node, everything, state, functions, source)
        calls |= _learned(state)
    for values in extra:
        used &= True if values is None else ~np.isnan(values)
    return TransformState(calls=calls), used


def _learned(state: TransformState) -> dict[str, Any]:
    return {key: learned for key, learned in state.calls.items() if "levels" not in learned}


def _without_missing(frame: Frame, used: NDArray[np.bool_], na_action: str) -> Frame:
    if used.all():
        return frame
    if na_action == "fail":
        row = frame.row_name(int(np.flatnonzero(~used)[0]))
        raise DataError(f'{row} has a missing value, and na_action="na.fail" allows none')
    if not used.any():
        raise DataError("no row is complete: every row has a missing value in a variable of the model")
    return frame.take(used)


def _is_missing(column: Column) -> NDArray[np.bool_]:
    if isinstance(column, Factor):
        return column.codes < 0
    missing = np.isnan(column.values)
    return missing if missing.ndim == 1 else missing.any(axis=1)


def _one_numeric(column: Column, what: str) -> Rows:
    if isinstance(column, Factor):
        raise DataError(
            f"{what} is a factor (levels {', '.join(column.levels[:4])}...): a linear model needs numbers"
        )
    if column.values.ndim != 1:
        raise DataError(f"{what} is a matrix of {column.values.shape[1]} columns: a linear model needs one")
    return column.values


def _check_finite(values: Rows | None, what: str, frame: Frame) -> None:
    bad = np.zeros(0, dtype=np.intp) if values is None else np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(f"{what} is infinite in {frame.row_name(int(bad[0]))}: models need finite numbers")


def _check_weights(weights: Rows | None, frame: Frame) -> None:
    if weights is None:
        return
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise DataError(f"weights must not be negative; {frame.row_name(row)} has {weights[row]:g}")
    if not weights.any():
        raise DataError("all weights are zero: no row counts")


def _refuse_other_terms(predictor: Predictor) -> None:
    source = predictor.source or None
    if predictor.group_terms:
        term = predictor.group_terms[0]
        raise FormulaError(
            f"`({term.label})` is a group-level term: use lmer() for models with group effects",
            source,
            term.span,
        )
    if predictor.special_terms:
        special = predictor.special_terms[0]
        raise FormulaError(
            f"`{special.label}` is a term for brm(), not for linear models", source, special.call.span
        )
