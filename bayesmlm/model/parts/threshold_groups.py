"""``thres(x, gr = g)``: numbers of thresholds, and groups of rows that have thresholds of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data.columns import Column, Factor
from ...errors import DataError, FormulaError, NewDataError
from ...families.coded_levels import code_levels, level_names, number_text, shown_levels
from ...formula.evaluate import TransformState, evaluate
from ...formula.nodes import Call, Name, Node, Number

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...formula import Formula
    from ..design import Design

__all__ = ["ThresholdGroups", "has_groups", "ordinal_categories", "threshold_groups"]

Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class ThresholdGroups:
    """``counts``: of thresholds, one number, or one for each of the groups ``names``; ``codes``, (n,): the group of
    each row, None where there are no groups; ``variable``: what the groups are read from."""

    counts: tuple[int, ...]
    names: tuple[str, ...] = ()
    codes: NDArray[np.int32] | None = None
    variable: Node | None = None

    def arrays(self, codes: NDArray[np.int32] | None) -> dict[str, NDArray[Any]]:
        """``codes`` and ``count``, (n,): the number of thresholds of each row; nothing without groups."""
        if codes is None:
            return {}
        return {"codes": codes, "count": np.array(self.counts, dtype=np.float64)[codes]}

    def standata(self) -> dict[str, Any]:
        """brms's arrays: the number of thresholds, or of each group, with the places of each row's in all of them."""
        if self.codes is None:
            return {"nthres": self.counts[0]}
        stops = np.cumsum(self.counts)
        places = np.column_stack([stops - self.counts + 1, stops])[self.codes]
        return {"nthres": np.array(self.counts), "ngrthres": len(self.counts), "Jthres": places}

    def new_arrays(self, design: Design, frame: Frame) -> dict[str, NDArray[Any]]:
        """`arrays` of new data. Raises `NewDataError` for a group that is not known."""
        if self.variable is None:
            return {}
        source = design.formula.main.source
        column = evaluate(self.variable, frame, TransformState(), design.functions, source)
        for row, name in enumerate(_row_names(column)):
            if name not in self.names:
                raise NewDataError(
                    f"`thres(gr = )` is `{name}` in {frame.row_name(row)} of the new data; the model knows "
                    + shown_levels(self.names)
                )
        codes = code_levels(column, self.names, "thres(gr = )")
        return self.arrays(codes.astype(np.int32))


def _row_names(column: Column) -> list[str]:
    """Each row's value as the name of a level."""
    if isinstance(column, Factor):
        return [column.levels[code] if code >= 0 else "NA" for code in column.codes]
    return [number_text(value) for value in column.values]


def _thres_call(formula: Formula) -> Call | None:
    """The addition ``thres()`` or its older form ``cat()``."""
    return formula.addition("thres") or formula.addition("cat")


def has_groups(formula: Formula) -> bool:
    """Whether groups of rows have thresholds of their own."""
    call = _thres_call(formula)
    return call is not None and _arguments(call, formula.source)[1] is not None


def ordinal_categories(
    formula: Formula,
    levels: tuple[str, ...],
    first: int,
    frame: Frame,
    state: TransformState,
    functions: Functions,
) -> tuple[str, ...]:
    """The names of all categories: the response's own, and numbers for those that ``thres()`` adds after them.
    ``first``: the number of the first category."""
    call = _thres_call(formula)
    given = None if call is None else _arguments(call, formula.source)[0]
    if given is None:
        return levels
    most = int(_numbers(given, call, formula, frame, state, functions).max()) + 2 - first  # type: ignore[arg-type]
    return (*levels, *(str(k + first) for k in range(len(levels), most)))


def threshold_groups(
    formula: Formula,
    y: NDArray[np.float64],
    default: int,
    frame: Frame,
    state: TransformState,
    functions: Functions,
) -> ThresholdGroups:
    """What ``thres()`` says of the rows; without it ``default`` thresholds for all. ``y``: the coded response.

    Raises `FormulaError` for wrong arguments, and `DataError` for numbers that are not whole, differ within a group or
    are too small for the response.
    """
    call = _thres_call(formula)
    if call is None:
        return ThresholdGroups((default,))
    given, grouping = _arguments(call, formula.source)
    wanted = None if given is None else _numbers(given, call, formula, frame, state, functions)
    names: tuple[str, ...] = ("",)
    codes = np.zeros(len(y), dtype=np.int32)
    if grouping is not None:
        column: Column = evaluate(grouping, frame, state, functions, formula.source)
        names = level_names(column)
        codes = code_levels(column, names, "thres(gr = )").astype(np.int32)
    counts = [_count(call, wanted, y, codes == g, frame, names[g]) for g in range(len(names))]
    if grouping is None:
        # Without numbers of its own the response counts all of its levels, those without rows too.
        return ThresholdGroups((default,) if wanted is None else (counts[0],))
    return ThresholdGroups(tuple(counts), names, codes, grouping)


def _arguments(call: Call, source: str) -> tuple[Node | None, Node | None]:
    """The number and the groups, as they were written."""
    found: dict[str, Node] = {}
    names = ("x", "gr") if call.function == "thres" else ("x",)
    for argument in call.arguments:
        free = [name for name in names if name not in found]
        name = argument.name or (free[0] if free else None)
        if name is None or name not in names or name in found or argument.value is None:
            takes = (
                "a number of thresholds and `gr`" if call.function == "thres" else "a number of categories"
            )
            raise FormulaError(f"`{call.function}()` takes {takes}", source, argument.span)
        found[name] = argument.value
    found = {k: v for k, v in found.items() if not (isinstance(v, Name) and v.name in ("NA", "NULL"))}
    if not found:
        raise FormulaError(f"`{call.function}()` needs a number or a variable", source, call.span)
    return found.get("x"), found.get("gr")


def _numbers(
    node: Node, call: Call, formula: Formula, frame: Frame, state: TransformState, functions: Functions
) -> NDArray[np.float64]:
    """(n,) numbers of thresholds: what ``cat()`` counts are categories, one more."""
    from ..additions import numeric_column

    if isinstance(node, Number):
        values = np.full(frame.n_rows, float(node.value))
    else:
        values = numeric_column(node, frame, state, functions, formula.source, f"`{call.function}()`")
    values = values - 1 if call.function == "cat" else values
    if np.any((values < 1) | (values != np.floor(values))):
        raise FormulaError(f"`{call.function}()` needs whole numbers", formula.source, call.span)
    return values


def _count(
    call: Call,
    wanted: NDArray[np.float64] | None,
    y: NDArray[np.float64],
    rows: NDArray[np.bool_],
    frame: Frame,
    group: str,
) -> int:
    needed = max(int(y[rows].max()) - 1, 1)
    if wanted is None:
        return needed
    own = np.unique(wanted[rows])
    of = f" of the group `{group}`" if group else ""
    if own.size > 1:
        hint = "" if group else "; groups of rows with numbers of their own are `thres(x, gr = g)`"
        raise DataError(
            f"`{call.function}()` must be one number for all rows{of}; it is {own[0]:g} and {own[1]:g}" + hint
        )
    if own[0] < needed:
        row = frame.row_name(int(np.flatnonzero(rows & (y > own[0] + 1))[0]))
        raise DataError(
            f"`{call.function}()` gives {own[0]:g} thresholds{of}, too few for the response, which is "
            f"{int(y[rows].max())} in {row}: it needs {needed}"
        )
    return int(own[0])
