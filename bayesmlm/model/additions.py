"""The additions of a response, right of ``|`` in its formula: their arguments, and what each supplies.

`ADDITIONS` has a row for each. What reaches the family are the arrays of ``extra`` that `bayesmlm.families.additions`
describes; weights, known parameters, measurement errors and row indices have places of their own in `Supplied`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor, Numeric
from ..data.frame import Frame
from ..errors import DataError, FormulaError, NewDataError
from ..families.base import Family
from ..families.continuous import GAUSSIAN
from ..formula import Formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.nodes import Call, Name, Node, Number, String, Unary
from ..formula.walk import variables
from .limits import censoring, refuse_rows, truncation

__all__ = [
    "ADDITIONS",
    "OF_THE_RESPONSE",
    "Supplied",
    "addition_values",
    "may_be_missing",
    "numeric_column",
    "read_additions",
    "subset_rows",
]

Functions = Mapping[str, Callable[..., Any]]
Rows = NDArray[np.float64]

OF_THE_RESPONSE = frozenset({"weights", "cens", "dec", "subset", "index", "mi"})
"""Additions that say something about observed responses: predictions of new data do not need them."""


@dataclass(frozen=True)
class Supplied:
    """What additions supply, arrays over rows.

    ``extra``: what the family's functions take; ``weights``: multipliers of the log-likelihood; ``fixed``: parameters
    of the family that get a value; ``noise``: standard deviations of measurement errors (``mi(sdy)``), NaN where the
    response is missing; ``index``: names of the rows for other models of a multivariate formula; ``standata``: brms's
    arrays.
    """

    extra: Mapping[str, Rows] = field(default_factory=dict)
    weights: Rows | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    noise: Rows | None = None
    index: Rows | None = None
    standata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """One addition as it was written, and what is needed to compute it."""

    call: Call
    family: Family
    frame: Frame
    state: TransformState
    functions: Functions
    source: str

    @property
    def name(self) -> str:
        """As messages call it: `` `trials()` ``."""
        return f"`{self.call.function}()`"

    def error(self, reason: str, node: Node | None = None) -> FormulaError:
        return FormulaError(reason, self.source, (node or self.call).span)

    def refuse(self, wrong: NDArray[np.bool_], rule: str, values: Sequence[str] | Rows) -> None:
        """Raise `DataError` with the ``rule`` that the first of the wrong rows breaks, and its value."""
        refuse_rows(wrong, rule, values, self.frame)

    def arguments(self, *names: str) -> dict[str, Node]:
        """The arguments by name; those without a name take the free ones in order. ``NA`` and ``NULL`` are none."""
        out: dict[str, Node] = {}
        for argument in self.call.arguments:
            free = [name for name in names if name not in out]
            name = argument.name or (free[0] if free else None)
            if name is None or name not in names or name in out or argument.value is None:
                raise self.error(f"{self.name} takes {_listed(names)}", argument)
            out[name] = argument.value
        nothing = [n for n, v in out.items() if isinstance(v, Name) and v.name in ("NA", "NULL")]
        return {name: value for name, value in out.items() if name not in nothing}

    def required(self, arguments: Mapping[str, Node], name: str) -> Node:
        if name not in arguments:
            raise self.error(f"{self.name} needs a variable or a number")
        return arguments[name]

    def flag(self, arguments: Mapping[str, Node], name: str) -> bool:
        """An argument that is TRUE or FALSE (the default)."""
        value = arguments.get(name)
        if value is None:
            return False
        if not (isinstance(value, Name) and value.name in ("TRUE", "T", "FALSE", "F")):
            raise self.error(f"{self.name}: `{name}` is TRUE or FALSE", value)
        return value.name in ("TRUE", "T")

    def numbers(self, node: Node, missing: bool = False) -> Rows:
        """(n,) values of a number, a column or an expression; ``missing``: NaN is allowed."""
        literal = _literal(node)
        if literal is not None:
            return np.full(self.frame.n_rows, literal)
        what = self.name
        return numeric_column(
            node, self.frame, self.state, self.functions, self.source, what, missing=missing
        )

    def column(self, node: Node) -> Column:
        """A column of codes, which may be text; one word stands for all rows. New codes in new data are no error here:
        whoever reads them knows the legal ones."""
        if isinstance(node, String):
            return Factor(np.zeros(self.frame.n_rows, dtype=np.int32), (node.value,), text=True)
        column = evaluate(node, self.frame, TransformState(), self.functions, self.source)
        values = column.codes if isinstance(column, Factor) else column.values
        if values.ndim != 1:
            raise self.error(f"{self.name} needs one variable", node)
        absent = values < 0 if isinstance(column, Factor) else np.isnan(values)
        self.refuse(absent, f"{self.name} must not be missing", ["no value"] * len(values))
        return column


def _listed(names: Collection[str]) -> str:
    if len(names) == 1:
        return "one variable"
    return "the arguments " + ", ".join(f"`{name}`" for name in names)


def _literal(node: Node) -> float | None:
    """The value of a number or infinity, with its sign; None of anything else."""
    match node:
        case Number(value=value):
            return float(value)
        case Name(name="Inf"):
            return np.inf
        case Unary(operator="-" | "+" as sign, operand=operand):
            inner = _literal(operand)
            return None if inner is None else -inner if sign == "-" else inner
    return None


def read_additions(
    formula: Formula,
    family: Family,
    frame: Frame,
    state: TransformState,
    functions: Functions,
    without: Collection[str] = (),
) -> Supplied:
    """What the additions of ``formula`` supply, those called ``without`` left out.

    Raises `FormulaError` for wrong arguments, `DataError` for values that make no sense, `NewDataError` for what new
    data lack.
    """
    out = Supplied()
    for call in formula.additions:
        if call.function not in without:
            one = ADDITIONS[call.function](Given(call, family, frame, state, functions, formula.source))
            out = Supplied(
                {**out.extra, **one.extra},
                out.weights if one.weights is None else one.weights,
                {**out.fixed, **one.fixed},
                out.noise if one.noise is None else one.noise,
                out.index if one.index is None else one.index,
                {**out.standata, **one.standata},
            )
    return out


def subset_rows(formula: Formula, family: Family, frame: Frame, functions: Functions) -> Frame:
    """The rows that ``subset()`` keeps; all when the formula has none.

    Raises `DataError` for missing values in it and when it keeps no row.
    """
    call = formula.addition("subset")
    if call is None:
        return frame
    given = Given(call, family, frame, TransformState(), functions, formula.source)
    keep = _truth(given, given.required(given.arguments("x"), "x"))
    if not keep.any():
        raise DataError("subset() keeps no row: it must be TRUE (or 1) for at least one")
    return frame if keep.all() else frame.take(keep)


def addition_values(
    formula: Formula, name: str, frame: Frame, state: TransformState, functions: Functions
) -> Rows:
    """(n,) numbers of an addition that is one number, column or expression: ``trials``, ``weights``, ``rate``."""
    call = formula.addition(name)
    assert call is not None, name
    supplied = ADDITIONS[name](Given(call, GAUSSIAN, frame, state, functions, formula.source))
    return supplied.extra[name] if supplied.weights is None else supplied.weights


def may_be_missing(formula: Formula) -> set[str]:
    """Variables of the left-hand side whose missing values do not drop a row: with ``mi()`` the response and its
    measurement errors, and the upper ends of intervals, which only interval-censored rows need."""
    out: set[str] = set()
    imputed, censored = formula.addition("mi"), formula.addition("cens")
    if imputed is not None and formula.response is not None:
        out |= set(variables(formula.response, imputed))
    if censored is not None:
        ends = [a.value for a in censored.arguments if a.name == "y2"]
        ends += [a.value for a in censored.arguments if a.name is None][1:]
        out |= set(variables(*(node for node in ends if node is not None)))
    return out


def numeric_column(
    node: Node,
    frame: Frame,
    state: TransformState,
    functions: Functions,
    source: str,
    what: str,
    *,
    missing: bool = False,
) -> Rows:
    """``node`` as one numeric column, without missing values unless ``missing``; ``what`` names its role in
    messages."""
    column = evaluate(node, frame, state, functions, source)
    if not isinstance(column, Numeric) or column.values.ndim != 1:
        raise FormulaError(f"{what} needs one numeric variable", source, node.span)
    absent = np.flatnonzero(np.isnan(column.values))
    if absent.size and not missing:
        raise NewDataError(f"{what} is missing in {frame.row_name(int(absent[0]))} of the new data")
    return column.values


# ---- one function for each addition ---------------------------------------------------------------------------


def _weights(given: Given) -> Supplied:
    arguments = given.arguments("x", "scale")
    weights = given.numbers(given.required(arguments, "x"))
    given.refuse(weights < 0, "weights must not be negative", weights)
    if given.flag(arguments, "scale"):
        weights = weights / weights.mean()
    return Supplied(weights=weights, standata={"weights": weights})


def _se(given: Given) -> Supplied:
    arguments = given.arguments("x", "sigma")
    se = given.numbers(given.required(arguments, "x"))
    estimated = given.flag(arguments, "sigma")
    needed = "must not be negative" if estimated else "must be positive (sigma is 0)"
    given.refuse(se < 0 if estimated else se <= 0, f"standard errors {needed}", se)
    fixed = {} if estimated else {"sigma": 0.0}
    return Supplied({"se": se}, fixed=fixed, standata={"se": se})


def _trials(given: Given) -> Supplied:
    trials = given.numbers(given.required(given.arguments("x"), "x"))
    return Supplied({"trials": trials}, standata={"trials": trials})


def _rate(given: Given) -> Supplied:
    denominator = given.numbers(given.required(given.arguments("denom"), "denom"))
    given.refuse(denominator <= 0, "rate() must be positive", denominator)
    return Supplied({"rate": denominator}, standata={"denom": denominator})


def _dec(given: Given) -> Supplied:
    column = given.column(given.required(given.arguments("x"), "x"))
    if isinstance(column, Factor):
        words = {"lower": 0.0, "upper": 1.0}
        codes = np.array([words.get(level, np.nan) for level in column.levels])[column.codes]
        shown: Sequence[str] | Rows = [f"`{column.levels[code]}`" for code in column.codes]
    else:
        codes = np.where(np.isin(column.values, (0.0, 1.0)), column.values, np.nan)
        shown = column.values
    given.refuse(np.isnan(codes), "decisions are 'lower' or 'upper', FALSE or TRUE, 0 or 1", shown)
    return Supplied({"dec": codes}, standata={"dec": codes})


def _truth(given: Given, node: Node) -> NDArray[np.bool_]:
    column = given.column(node)
    if isinstance(column, Factor):
        raise given.error(f"{given.name} needs TRUE/FALSE or 0/1, not text", node)
    return np.asarray(column.values != 0)


def _index(given: Given) -> Supplied:
    index = given.numbers(given.required(given.arguments("x"), "x"))
    first = {value: row for row, value in reversed(list(enumerate(index)))}
    repeated = np.array([first[value] != row for row, value in enumerate(index)], dtype=bool)
    given.refuse(repeated, "index() must name each row by a number of its own", index)
    return Supplied(index=index)


def _mi(given: Given) -> Supplied:
    arguments = given.arguments("sdy")
    if "sdy" not in arguments:
        return Supplied()
    noise = given.numbers(arguments["sdy"], missing=True)
    given.refuse(noise <= 0, "measurement errors must be positive", noise)
    return Supplied(noise=noise)


def _vectors(given: Given) -> Supplied:
    nodes = [argument.value for argument in given.call.arguments]
    if not nodes or any(a.name is not None or a.value is None for a in given.call.arguments):
        raise given.error(f"{given.name} takes one or more variables without names")
    out = {
        f"{given.call.function}{k}": given.numbers(n) for k, n in enumerate(nodes, start=1) if n is not None
    }
    return Supplied(out, standata=out)


def _whole_vectors(given: Given) -> Supplied:
    supplied = _vectors(given)
    for values in supplied.extra.values():
        given.refuse(values != np.floor(values), "vint() takes whole numbers", values)
    return supplied


def _cens(given: Given) -> Supplied:
    arguments = given.arguments("x", "y2")
    column = given.column(given.required(arguments, "x"))
    end = given.numbers(arguments["y2"], missing=True) if "y2" in arguments else None
    extra, shown = censoring(column, end, given.frame, given.error)
    return Supplied(extra, standata=shown)


def _trunc(given: Given) -> Supplied:
    arguments = given.arguments("lb", "ub")
    if not arguments:
        raise given.error("`trunc()` needs a lower bound, an upper bound or both: `trunc(lb = 0, ub = 10)`")
    rows = given.frame.n_rows
    lower = given.numbers(arguments["lb"]) if "lb" in arguments else np.full(rows, -np.inf)
    upper = given.numbers(arguments["ub"]) if "ub" in arguments else np.full(rows, np.inf)
    return Supplied(truncation(lower, upper, given.family, given.frame), standata={"lb": lower, "ub": upper})


def _nothing(given: Given) -> Supplied:
    return Supplied()


ADDITIONS: dict[str, Callable[[Given], Supplied]] = {
    "weights": _weights,
    "se": _se,
    "trials": _trials,
    "cens": _cens,
    "trunc": _trunc,
    "rate": _rate,
    "dec": _dec,
    "index": _index,
    "mi": _mi,
    "vreal": _vectors,
    "vint": _whole_vectors,
    # Read where they matter: by `subset_rows`, and by the parts of the response distribution.
    "subset": _nothing,
    "cat": _nothing,
    "thres": _nothing,
    "bhaz": _nothing,
}
"""What each addition supplies."""
