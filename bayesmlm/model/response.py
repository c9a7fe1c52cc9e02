"""The left-hand side: the coded response, and what its additions (`trials()`, `weights()`) supply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..errors import DataError, FormulaError, NewDataError
from ..families.base import Family
from ..families.response import addition_problem, code_response
from ..formula import Formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.nodes import Call, Name, Node, Number
from ..formula.unparse import unparse

__all__ = ["ResponseDesign", "numeric_column"]

Functions = Mapping[str, Callable[..., Any]]
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class ResponseDesign:
    """``values``: (n,) coded response; ``extra``: (n,) arrays the additions supply (``trials``); ``weights``: (n,)
    multipliers of the log-likelihood or None; ``levels``: names of the two values coded as 0 and 1, if any;
    ``is_factor``: they were not numbers."""

    name: str
    values: Rows
    extra: Mapping[str, Rows]
    weights: Rows | None
    levels: tuple[str, ...] = ()
    is_factor: bool = False

    @classmethod
    def build(
        cls, formula: Formula, family: Family, frame: Frame, state: TransformState, functions: Functions
    ) -> ResponseDesign:
        """Code the response. Raises `FormulaError` for additions that do not go with the family, `DataError` for
        values outside its support."""
        if formula.response is None:
            raise FormulaError("the formula has no response; write `y ~ ...`", formula.source, (0, 1))
        given = {call.function: call for call in formula.additions}
        name = unparse(formula.response)
        problem = addition_problem(family, given, name)
        if problem is not None:
            at, reason = problem
            raise FormulaError(reason, formula.source, given.get(at, formula.response).span)
        column = evaluate(formula.response, frame, state, functions, formula.source)
        values, levels = code_response(family, column, name)
        extra = additions(formula, given, frame, state, functions)
        weights = extra.pop("weights", None)
        family.check(values, extra, frame.rows.tolist())
        is_factor = not isinstance(column, Numeric) or column.logical
        return cls(name, values, extra, weights, levels, is_factor)

    def arrays(self) -> dict[str, Rows]:
        """The response as ``y`` and, if the model has them, ``weights``."""
        return {"y": self.values, **({} if self.weights is None else {"weights": self.weights})}

    def new_arrays(
        self, formula: Formula, family: Family, frame: Frame, state: TransformState, functions: Functions
    ) -> dict[str, Rows]:
        """`arrays` of new data, coded as the training data's.

        Raises `NewDataError` when the response is missing, `DataError` when it is outside the support.
        """
        assert formula.response is not None
        column = evaluate(formula.response, frame, state, functions, formula.source)
        values, _ = code_response(family, column, self.name, levels=self.levels)
        if np.isnan(values).any():
            raise NewDataError(f"the response `{self.name}` has missing values in the new data")
        wanted = [*self.extra, *(() if self.weights is None else ("weights",))]
        extra = additions(formula, wanted, frame, state, functions)
        weights = extra.pop("weights", None)
        family.check(values, extra, frame.rows.tolist())
        return {"y": values, **({} if weights is None else {"weights": weights})}


def additions(
    formula: Formula, names: Any, frame: Frame, state: TransformState, functions: Functions
) -> dict[str, Rows]:
    """What the additions called ``names`` supply, each (n,)."""
    calls = {call.function: call for call in formula.additions}
    out = {name: _addition(calls[name], frame, state, functions, formula.source) for name in names}
    weights = out.get("weights")
    if weights is not None and (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise DataError(f"weights must not be negative; {frame.row_name(row)} has {weights[row]:g}")
    return out


def _addition(call: Call, frame: Frame, state: TransformState, functions: Functions, source: str) -> Rows:
    value, scale = None, False
    for argument in call.arguments:
        if argument.name == "scale" and call.function == "weights":
            scale = isinstance(argument.value, Name) and argument.value.name in ("TRUE", "T")
        elif value is None and argument.value is not None:
            value = argument.value
        else:
            raise FormulaError(f"`{call.function}()` takes one variable", source, call.span)
    if value is None:
        raise FormulaError(f"`{call.function}()` needs a variable or a number", source, call.span)
    if isinstance(value, Number):
        return np.full(frame.n_rows, value.value)
    values = numeric_column(value, frame, state, functions, source, f"`{call.function}()`")
    return values / values.mean() if scale else values


def numeric_column(
    node: Node, frame: Frame, state: TransformState, functions: Functions, source: str, what: str
) -> Rows:
    """``node`` as one numeric column without missing values; ``what`` names its role in messages."""
    column = evaluate(node, frame, state, functions, source)
    if not isinstance(column, Numeric) or column.values.ndim != 1:
        raise FormulaError(f"{what} needs one numeric variable", source, node.span)
    missing = np.flatnonzero(np.isnan(column.values))
    if missing.size:
        raise NewDataError(f"{what} is missing in {frame.row_name(int(missing[0]))} of the new data")
    return column.values
