"""R's arithmetic, comparisons and logic on columns and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor, Numeric
from ..data.levels import listing, match_levels, number_names
from ..errors import FormulaError
from .calls import LARGEST, Value, factor_advice, matrix_advice
from .nodes import Binary, Node, Unary
from .unparse import unparse

__all__ = ["binary", "unary"]

Complain = Callable[[str, Node], FormulaError]
Numbers = NDArray[Any]

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "%%": np.mod,
    "%/%": np.floor_divide,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def unary(node: Unary, value: Value, error: Complain) -> Value:
    """``-x``, ``+x``, ``!x``."""
    if node.operator not in ("-", "+", "!"):
        raise error(f"`{node.operator}` cannot stand inside an expression", node)
    numbers = _numbers(value, node.operand, error)
    if node.operator == "!":
        return _wrap(np.where(np.isnan(numbers), np.nan, numbers == 0), (value,), logical=True)
    return _wrap(-numbers if node.operator == "-" else numbers, (value,))


def binary(node: Binary, left: Value, right: Value, error: Complain) -> Value:
    """``left operator right``; a missing value makes the result missing, as in R."""
    operator = node.operator
    if operator in _COMPARISONS:
        if isinstance(left, Factor | str | tuple) or isinstance(right, Factor | str | tuple):
            return _compare_text(node, left, right, error)
        a, b = _pair(node, left, right, error)
        result = np.where(np.isnan(a) | np.isnan(b), np.nan, _COMPARISONS[operator](a, b))
        return _wrap(result, (left, right), logical=True)
    if operator == "%in%":
        return _is_in(node, left, right, error)
    a, b = _pair(node, left, right, error)
    if operator in _ARITHMETIC:
        with np.errstate(all="ignore"):  # what is not finite is reported where the design is made
            return _wrap(np.asarray(_ARITHMETIC[operator](a, b)), (left, right))
    if operator in ("&", "|"):
        return _wrap(_logic(operator, a, b), (left, right), logical=True)
    if operator == ":" and a.ndim == 0 and b.ndim == 0:
        return _sequence(node, float(a), float(b), error)
    advice = {"&&": "; write `&`", "||": "; write `|`", ":": " on columns; write `*` for the product"}
    raise error(f"`{operator}` cannot stand inside an expression{advice.get(operator, '')}", node)


def _sequence(node: Binary, start: float, end: float, error: Complain) -> Numbers:
    """``0:4``, ``4:0``."""
    if not abs(end - start) <= LARGEST:
        raise error("this sequence is too long", node)
    steps = np.arange(int(abs(end - start) + 1e-10) + 1)
    return start + steps if start <= end else start - steps


def _pair(node: Binary, left: Value, right: Value, error: Complain) -> tuple[Numbers, Numbers]:
    """Both sides as arrays that broadcast: a column with a vector c(...) does not."""
    a, b = _numbers(left, node.left, error), _numbers(right, node.right, error)
    vectors = [isinstance(value, np.ndarray) for value in (left, right)]
    columns = [isinstance(value, Numeric) for value in (left, right)]
    if (any(vectors) and any(columns)) or (all(vectors) and a.shape != b.shape):
        raise error(f"`{node.operator}` needs columns or single numbers, not a vector c(...)", node)
    return a, b


def _numbers(value: Value, node: Node, error: Complain) -> Numbers:
    if isinstance(value, Factor):
        raise error(factor_advice(unparse(node), value), node)
    if isinstance(value, Numeric):
        if value.values.ndim != 1:
            raise error(matrix_advice(unparse(node)), node)
        return value.values
    if isinstance(value, bool | int | float | np.ndarray):
        return np.asarray(value, dtype=np.float64)
    raise error(f"`{unparse(node)}` is no number", node)


def _wrap(result: Numbers, operands: tuple[Value, ...], logical: bool = False) -> Value:
    """A column when an operand was one, else a scalar or a vector."""
    if any(isinstance(value, Numeric | Factor) for value in operands):
        return Numeric(np.asarray(result, dtype=np.float64), logical=logical)
    if result.ndim:
        return result
    return bool(result) if logical and not np.isnan(result) else float(result)


def _logic(operator: str, a: Numbers, b: Numbers) -> Numbers:
    """R's three-valued logic: FALSE & NA is FALSE, TRUE | NA is TRUE."""
    decided = ((a == 0) | (b == 0)) if operator == "&" else (_true(a) | _true(b))
    unknown = np.isnan(a) | np.isnan(b)
    when_decided, otherwise = (0.0, 1.0) if operator == "&" else (1.0, 0.0)
    return np.where(decided, when_decided, np.where(unknown, np.nan, otherwise))


def _true(a: Numbers) -> NDArray[np.bool_]:
    return np.asarray((a != 0) & ~np.isnan(a))


def _compare_text(node: Binary, left: Value, right: Value, error: Complain) -> Value:
    """A factor or text with a level in quotes, or with another factor."""
    if not isinstance(left, Factor) and isinstance(right, Factor):
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(node.operator, node.operator)
        flipped = Binary(mirrored, node.right, node.left, span=node.span)
        return _compare_text(flipped, right, left, error)
    if not isinstance(left, Factor):
        text, other = (node.right, node.left) if isinstance(right, str) else (node.left, node.right)
        raise error(
            f"`{unparse(other)}` holds numbers, and {unparse(text)} is text: compare with a number", node
        )
    if isinstance(right, int | float) and not isinstance(right, bool):
        right = number_names(np.array([float(right)]))[0]
    if not isinstance(right, str | Factor):
        raise error(f"`{unparse(node.left)}` can be compared with one of its levels in quotes", node)
    compare = _COMPARISONS[node.operator]
    if node.operator not in ("==", "!="):
        if not left.ordered:
            raise error(
                f"the levels of `{unparse(node.left)}` have no order: make it `ordered()` first", node
            )
        if isinstance(right, Factor) or right not in left.levels:
            raise error(f"compare with one of the levels {listing(left.levels)} in quotes", node.right)
    if isinstance(right, Factor):
        codes: Any = np.append(match_levels(right.levels, left.levels), np.int32(-1))[right.codes]
        missing = (left.codes < 0) | (right.codes < 0)
    else:
        codes = np.int32(left.levels.index(right) if right in left.levels else -2)
        missing = left.codes < 0
    return Numeric(np.where(missing, np.nan, compare(left.codes, codes)), logical=True)


def _is_in(node: Binary, left: Value, right: Value, error: Complain) -> Value:
    """``f %in% c("a", "b")``, ``x %in% 1:3``; never missing, as in R."""
    if isinstance(left, Factor) and isinstance(right, str | tuple):
        wanted = (right,) if isinstance(right, str) else right
        member = np.array([level in wanted for level in left.levels] + [False])
        return Numeric(member[left.codes].astype(np.float64), logical=True)
    if (
        isinstance(left, Numeric)
        and left.values.ndim == 1
        and isinstance(right, bool | int | float | np.ndarray)
    ):
        return Numeric(np.isin(left.values, np.atleast_1d(right)).astype(np.float64), logical=True)
    raise error("`%in%` needs a variable left of it, and right of it numbers or text of the same kind", node)
