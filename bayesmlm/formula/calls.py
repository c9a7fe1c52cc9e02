"""What a function of the formula language is given when it is called, and what it may remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor, Numeric
from ..data.frame import Frame
from ..errors import DataError, FormulaError, NewDataError
from .nodes import Call, Node
from .unparse import unparse

__all__ = ["CallContext", "Transform", "TransformState", "Value"]

LARGEST = 10_000
"""Most columns, intervals or elements that a formula may ask for."""

Value = Numeric | Factor | float | bool | str | None | NDArray[Any] | tuple[str, ...]
"""A column; a scalar (NULL is None); a vector ``c(...)`` of numbers (array) or of text (tuple)."""


@dataclass
class TransformState:
    """What transforms learned on the data the model was fitted to, as plain JSON values.

    ``columns``: for each variable whether it was numeric or a factor, and its levels. ``calls``: by the
    call's text, the means, knots and levels it found. One state belongs to one set of rows: a call that is
    there twice is learned once. A state that `is_frozen` is only read, so new data are transformed exactly as
    the old.
    """

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_frozen: bool = False

    def frozen(self) -> TransformState:
        """The same record for new data: never learned anew."""
        return TransformState(self.columns, self.calls, is_frozen=True)

    def learn(self, key: str, fit: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``key`` learned; found by ``fit`` the first time. Raises `NewDataError` when frozen without
        it.
        """
        if key not in self.calls:
            if self.is_frozen:
                raise NewDataError(
                    f"`{key}` is not part of the fitted model, which has learned nothing about it"
                )
            self.calls[key] = fit()
        return self.calls[key]

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able dict."""
        return {"columns": self.columns, "calls": self.calls}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TransformState:
        """The inverse of `to_json`; frozen, because the data it was learned on are not here."""
        return cls(dict(record["columns"]), dict(record["calls"]), is_frozen=True)


@dataclass(frozen=True)
class CallContext:
    """One call: its arguments by R's parameter names, evaluated (``arguments``) and as written (``nodes``).

    ``rest``: the values of the arguments that go to ``...``; as written they are ``nodes["..1"]``,
    ``["..2"]``.
    """

    call: Call
    arguments: Mapping[str, Value]
    nodes: Mapping[str, Node]
    rest: tuple[Value, ...]
    frame: Frame
    state: TransformState
    source: str

    def error(self, reason: str, name: str | None = None) -> FormulaError:
        """A `FormulaError` with the caret under the argument ``name``, or under the whole call."""
        node = self.call if name is None else self.nodes.get(name, self.call)
        return FormulaError(reason, self.source or None, node.span)

    def data_error(self, reason: str) -> DataError:
        """A `DataError`, or `NewDataError` when the rows are new data."""
        return (NewDataError if self.state.is_frozen else DataError)(reason)

    def text_of(self, name: str) -> str:
        """An argument as R deparses it, for messages."""
        return unparse(self.nodes[name])

    def learn(self, fit: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What this call learned on the data the model was fitted to; ``fit`` finds it there."""
        return self.state.learn(unparse(self.call), fit)

    def column(self, name: str) -> Numeric | Factor:
        """An argument that must be a column."""
        value = self.arguments.get(name)
        if isinstance(value, Numeric | Factor):
            return value
        raise self.error(f"`{self.call.function}()` needs a variable as its argument `{name}`", name)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, shape (n,)."""
        column = self.column(name)
        if isinstance(column, Factor):
            raise self.error(factor_advice(self.text_of(name), column), name)
        if column.values.ndim != 1:
            raise self.error(matrix_advice(self.text_of(name)), name)
        return column.values

    def number(self, name: str, default: float) -> float:
        """A scalar number, finite."""
        value = self.arguments.get(name, default)
        if isinstance(value, bool | int | float) and np.isfinite(value):
            return float(value)
        raise self.error(f"the argument `{name}` of `{self.call.function}()` must be one finite number", name)

    def whole(self, name: str, default: int, smallest: int) -> int:
        """A scalar whole number from ``smallest`` to `LARGEST`: a formula must not be able to fill the
        memory.
        """
        value = self.number(name, default)
        if not (smallest <= value <= LARGEST and value == int(value)):
            reason = (
                f"the argument `{name}` of `{self.call.function}()` must be a whole number "
                f"from {smallest} to {LARGEST}"
            )
            raise self.error(reason, name)
        return int(value)

    def flag(self, name: str, default: bool) -> bool:
        """TRUE or FALSE."""
        value = self.arguments.get(name, default)
        if isinstance(value, bool):
            return value
        raise self.error(f"the argument `{name}` of `{self.call.function}()` must be TRUE or FALSE", name)

    def vector(self, name: str) -> NDArray[np.float64] | None:
        """Numbers ``c(1, 2)``, or one number, none of them NA; None when not given or NULL."""
        value = self.arguments.get(name)
        if value is None:
            return None
        if isinstance(value, bool | int | float | np.ndarray):
            numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
            if not np.isnan(numbers).any():
                return numbers
        raise self.error(f"the argument `{name}` of `{self.call.function}()` must be numbers: c(1, 2)", name)


@dataclass(frozen=True)
class Transform:
    """A function of the formula language.

    ``parameters``: R's parameter names in order; the last may be ``...``. ``unevaluated``: those whose
    meaning is in how they are written (``C(f, contr.sum)``).
    """

    function: Callable[[CallContext], Value]
    parameters: tuple[str, ...]
    unevaluated: frozenset[str] = frozenset()
    named_rest: bool = False
    """Whether what goes to ``...`` may have names of its own (``cbind(a = x, b = y)``)."""


def factor_advice(text: str, factor: Factor) -> str:
    """Why a factor is no number, and what to write instead."""
    example = factor.levels[0] if factor.levels else "a"
    kind = "text" if factor.text else "a factor"
    return (
        f'`{text}` is {kind}, not numbers: compare it (`{text} == "{example}"`), '
        f"or take the numbers of its levels with `as.numeric({text})`"
    )


def matrix_advice(text: str) -> str:
    """Why a matrix is no column, and what to write instead."""
    return f"`{text}` has several columns: take one of them, `{text}[, 1]`"
