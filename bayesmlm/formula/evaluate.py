"""A closed world: expressions of a formula evaluated over columns, by walking their syntax tree.

What an expression can see is the columns of the data, R's constants, R's operators, the table of functions in
`bayesmlm.formula.transforms`, and the functions that the user passed. No text ever reaches Python's own
evaluation, so a formula from a file or a web form can do no more than compute with the data.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor, Numeric
from ..data.convert import column_of_array
from ..data.frame import Frame
from ..data.levels import as_factor, recode
from ..errors import DataError, FormulaError, NewDataError
from .algebra import SPECIALS
from .calls import CallContext, TransformState, Value
from .nodes import Argument, Binary, Call, Index, Name, Node, Number, Paren, String, Unary
from .operators_on_columns import binary, unary
from .transforms import TRANSFORMS
from .unparse import unparse

__all__ = ["TransformState", "evaluate"]

_RESERVED: dict[str, Value] = {
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
    "NA": np.nan,
    "NaN": np.nan,
    "Inf": np.inf,
}
_VARIABLES: dict[str, Value] = {"pi": np.pi, "T": True, "F": False}
"""Constants that a column of that name hides, as in R."""

_NO_FUNCTIONS: Mapping[str, Callable[..., Any]] = {}


def evaluate(
    node: Node,
    frame: Frame,
    state: TransformState,
    functions: Mapping[str, Callable[..., Any]] = _NO_FUNCTIONS,
    source: str = "",
) -> Column:
    """The column that ``node`` stands for, with as many rows as ``frame``; a number is repeated for all rows.

    ``state`` learns what transforms need for new data (means, knots, levels) and, when frozen, gives it back.
    ``functions``: the user's own, by the name the formula calls; they get numpy arrays (numbers as float64,
    logical columns as bool, factors and text as objects) and return one value for each row. ``source`` is the
    text that spans refer to.

    Raises `FormulaError` with a caret for what the language does not have; `DataError` for a missing column
    or a value that a function is not defined for; `NewDataError`, when ``state`` is frozen, for new data that
    do not fit (an unseen level, text where numbers were).
    """
    evaluator = _Evaluator(frame, state, functions, source)
    return evaluator.as_column(evaluator.value(node), node)


@dataclass(frozen=True)
class _Evaluator:
    frame: Frame
    state: TransformState
    functions: Mapping[str, Callable[..., Any]]
    source: str

    def error(self, reason: str, node: Node) -> FormulaError:
        return FormulaError(reason, self.source or None, node.span)

    def value(self, node: Node) -> Value:
        match node:
            case Name():
                return self.name(node)
            case Number() | String():
                return node.value
            case Paren():
                return self.value(node.inner)
            case Unary():
                return unary(node, self.value(node.operand), self.error)
            case Binary():
                return binary(node, self.value(node.left), self.value(node.right), self.error)
            case Call():
                return self.call(node)
            case Index():
                return self.index(node)
            case _:
                raise self.error("this is no expression", node)

    def as_column(self, value: Value, node: Node) -> Column:
        if isinstance(value, Numeric | Factor):
            return value
        if isinstance(value, bool | int | float):
            return Numeric(np.full(self.frame.n_rows, float(value)), logical=isinstance(value, bool))
        raise self.error(f"`{unparse(node)}` is no column: it does not have a value for each row", node)

    def name(self, node: Name) -> Value:
        if node.name in _RESERVED:
            return _RESERVED[node.name]
        if node.name not in self.frame.columns and node.name in _VARIABLES:
            return _VARIABLES[node.name]
        if self.state.is_frozen and node.name not in self.frame.columns:
            raise NewDataError(f"the new data have no column `{node.name}`, which the model needs")
        column = self.frame[node.name]
        if self.state.is_frozen:
            return _as_before(column, self.state.columns.get(node.name), node.name, self.frame)
        self.state.columns[node.name] = _describe(column)
        return column

    def index(self, node: Index) -> Value:
        """``poly(x, 2)[, 1]``: a column of a matrix, by number."""
        value = self.value(node.value)
        if not isinstance(value, Numeric) or value.values.ndim != 2:
            raise self.error(
                f"`{unparse(node.value)}` is no matrix: brackets take a column of one, m[, 1]", node
            )
        row, *rest = node.arguments or (Argument(None),)
        column = self.value(rest[0].value) if len(rest) == 1 and rest[0].value is not None else None
        count = value.values.shape[1]
        if row.value is not None or not isinstance(column, int | float) or column not in range(1, count + 1):
            text = unparse(node.value)
            raise self.error(f"write `{text}[, k]` with a column number k from 1 to {count}", node)
        return Numeric(value.values[:, int(column) - 1])

    def call(self, node: Call) -> Value:
        if node.function in self.functions:
            return self.user_call(node, self.functions[node.function])
        if node.function not in TRANSFORMS:
            raise self.unknown_function(node)
        transform = TRANSFORMS[node.function]
        nodes, rest = self.match_arguments(node, transform.parameters, transform.named_rest)
        arguments = {name: self.value(n) for name, n in nodes.items() if name not in transform.unevaluated}
        values = tuple(self.value(n) for n in rest)
        nodes |= {f"..{position}": n for position, n in enumerate(rest, start=1)}
        return transform.function(
            CallContext(node, arguments, nodes, values, self.frame, self.state, self.source)
        )

    def match_arguments(
        self, node: Call, parameters: tuple[str, ...], named_rest: bool = False
    ) -> tuple[dict[str, Node], tuple[Node, ...]]:
        """Arguments to parameters: by name first, the others in order; what is left goes to ``...``, with
        ``named_rest`` also what has names of its own."""
        variadic = "..." in parameters
        known = [p for p in parameters if p != "..."]
        given: dict[str, Node] = {}
        unnamed: list[Node] = []
        for argument in node.arguments:
            if argument.value is None:
                raise self.error(f"an argument of `{node.function}()` is empty", node)
            if argument.name is None or (named_rest and argument.name not in known):
                unnamed.append(argument.value)
            elif argument.name not in known or argument.name in given:
                takes = (
                    f"it takes {', '.join(f'`{p}`' for p in known)}"
                    if known
                    else "its arguments have no names"
                )
                twice = " twice" if argument.name in given else ""
                raise self.error(
                    f"`{node.function}()` has no argument `{argument.name}`{twice}: {takes}", argument
                )
            else:
                given[argument.name] = argument.value
        free = [p for p in known if p not in given]
        if len(unnamed) > len(free) and not variadic:
            reason = f"`{node.function}()` takes {len(known)} arguments: {', '.join(known)}"
            raise self.error(reason, unnamed[len(free)])
        given |= dict(zip(free, unnamed, strict=False))
        return given, tuple(unnamed[len(free) :])

    def unknown_function(self, node: Call) -> FormulaError:
        name = node.function
        if name in SPECIALS:
            return self.error(f"`{name}()` is a term of its own and cannot stand inside an expression", node)
        known = [*TRANSFORMS, *self.functions]
        near = difflib.get_close_matches(name, known, n=3)
        hint = (
            f"did you mean {' or '.join(f'`{n}`' for n in near)}?"
            if near
            else f"known are {', '.join(known)};"
        )
        return self.error(
            f"the function `{name}` is not known here; {hint} Pass your own with functions={{'{name}': ...}}",
            node,
        )

    def user_call(self, node: Call, function: Callable[..., Any]) -> Column:
        positional = [self.plain(a) for a in node.arguments if a.name is None]
        named = {a.name: self.plain(a) for a in node.arguments if a.name is not None}
        result = np.asarray(function(*positional, **named))
        if result.ndim not in (1, 2) or len(result) != self.frame.n_rows:
            raise DataError(
                f"your function `{node.function}` must return one value for each of the "
                f"{self.frame.n_rows} rows; it returned an array of shape {result.shape}"
            )
        return column_of_array(result, unparse(node))

    def plain(self, argument: Argument) -> Any:
        """What a user's function gets: numpy arrays and Python scalars."""
        if argument.value is None:
            raise self.error("an argument is empty", argument)
        value = self.value(argument.value)
        if isinstance(value, Factor):
            return np.array([*value.levels, None], dtype=object)[value.codes]
        if isinstance(value, Numeric):
            whole = value.logical and not np.isnan(value.values).any()
            return value.values.astype(bool) if whole else value.values.copy()
        return value


def _describe(column: Column) -> dict[str, Any]:
    """What new data must match."""
    if isinstance(column, Numeric):
        return {"kind": "numeric", "logical": column.logical}
    kinds = {"ordered": column.ordered, "text": column.text}
    return {"kind": "factor", "levels": list(column.levels), **kinds}


def _as_before(column: Column, before: dict[str, Any] | None, name: str, frame: Frame) -> Column:
    """A column of new data as the kind of column it was when the model was fitted.

    Levels are matched by name. Raises `NewDataError` for an unseen level, and for text where numbers were.
    """
    if before is None:
        return column
    if before["kind"] == "factor":
        factor = recode(as_factor(column, name), tuple(before["levels"]), before["ordered"], name, frame)
        return replace(factor, text=before["text"])
    if isinstance(column, Factor):
        if (column.codes < 0).all():
            return Numeric(np.full(len(column), np.nan), logical=before["logical"])
        kind = "TRUE/FALSE" if before["logical"] else "numbers"
        row = int(np.flatnonzero(column.codes >= 0)[0])
        raise NewDataError(
            f"`{name}` held {kind} when the model was fitted, and in the new data it holds text: "
            f"`{column.levels[column.codes[row]]}` in {frame.row_name(row)}"
        )
    if before["logical"] and not column.logical:
        other = np.flatnonzero(~np.isin(column.values, (0.0, 1.0)) & ~np.isnan(column.values))
        if other.size:
            row = int(other[0])
            raise NewDataError(
                f"`{name}` held TRUE/FALSE when the model was fitted, and in the new data it is "
                f"{_first(column.values, row):g} in {frame.row_name(row)}"
            )
    return replace(column, logical=before["logical"])


def _first(values: NDArray[np.float64], row: int) -> float:
    return float(np.ravel(values[row])[0])
