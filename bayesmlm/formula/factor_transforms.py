"""Functions of the formula language that make, order, cut or read factors, as R's functions of these names
do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Contrast, Factor, Numeric
from ..data.levels import as_factor, drop_unused, listing, match_levels, number_names, recode
from .calls import CallContext, Transform, Value
from .nodes import Argument, Call, Name, Node, Number, String, Unary

__all__ = ["FACTOR_TRANSFORMS"]

CONTRASTS = ("treatment", "sum", "helmert", "poly", "SAS")


def _names(context: CallContext, name: str) -> tuple[str, ...] | None:
    """Level names given as text or numbers, ``c("lo", "hi")`` or ``c(3, 1)``; None when not given."""
    value = context.arguments.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple):
        return value
    numbers = context.vector(name)
    assert numbers is not None
    return tuple(number_names(numbers))


def _factor(ordered: bool | None, context: CallContext) -> Value:
    """``factor`` and ``ordered``: levels in use, or those given; ``labels`` renames them."""
    given = as_factor(context.column("x"), context.text_of("x"))
    levels, labels = _names(context, "levels"), _names(context, "labels")
    is_ordered = context.flag("ordered", given.ordered) if ordered is None else ordered
    learned = context.learn(lambda: {"levels": list(levels or drop_unused(given).levels)})
    stored = tuple(learned["levels"])
    if levels is None:
        result = recode(given, stored, is_ordered, context.text_of("x"), context.frame)
    else:  # a level that is not listed is a missing value, in R and here
        places = np.append(match_levels(given.levels, stored), np.int32(-1))
        result = replace(given, codes=places[given.codes], levels=stored, ordered=is_ordered)
    for what, names in (("levels", stored), ("labels", labels or ())):
        if len(set(names)) < len(names):
            raise context.error(f"the {what} of a factor must be different from each other", what)
    if labels is not None and len(labels) != len(stored):
        raise context.error(
            f"{len(labels)} labels do not fit the {len(stored)} levels {listing(stored)}", "labels"
        )
    return replace(result, levels=labels or stored, text=False, contrasts=None)


def _as_factor(ordered: bool, context: CallContext) -> Value:
    """``as.factor`` leaves a factor as it is; ``as.ordered`` makes it ordered."""
    column = context.column("x")
    given = as_factor(column, context.text_of("x"))
    learned = context.learn(lambda: {"levels": list(given.levels)})
    keep = ordered or given.ordered
    result = recode(given, tuple(learned["levels"]), keep, context.text_of("x"), context.frame)
    return replace(result, text=False)


def _relevel(context: CallContext) -> Value:
    factor = context.column("x")
    if not isinstance(factor, Factor) or factor.ordered:
        raise context.error("`relevel()` is for unordered factors: use `factor(x, levels = c(...))`", "x")
    reference = _level(context, context.arguments.get("ref"), factor, "ref")
    order = [reference, *(i for i in range(len(factor.levels)) if i != reference)]
    places = np.full(len(order) + 1, -1, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return replace(
        factor, codes=places[factor.codes], levels=tuple(factor.levels[i] for i in order), text=False
    )


def _level(context: CallContext, value: Value, factor: Factor, argument: str) -> int:
    """The place of a level given by name or by number from 1."""
    if isinstance(value, str) and value in factor.levels:
        return factor.levels.index(value)
    if isinstance(value, int | float) and 1 <= value <= len(factor.levels) and value == int(value):
        return int(value) - 1
    reason = f"`{argument}` must name a level of `{context.text_of('x')}`, which are {listing(factor.levels)}"
    raise context.error(reason, argument)


def _coded(context: CallContext) -> Value:
    """``C(f, sum)``, ``C(f, contr.treatment, base = 2)``, ``C(f, contr.treatment(base = "b"))``."""
    factor = as_factor(context.column("x"), context.text_of("x"))
    written = context.nodes.get("contr")
    options: dict[str, Any] = {name: context.arguments.get(name) for name in ("base", "scores")}
    if isinstance(written, Call):
        options |= _contrast_arguments(context, written)
        written = Name(written.function, span=written.span)
    if written is None:
        return factor
    kind = written.name if isinstance(written, Name) else written.value if isinstance(written, String) else ""
    # R's function contr.treatment is told how many levels there are, not their names: its columns have numbers.
    by_number = isinstance(written, Name) and kind.startswith("contr.")
    names = tuple(str(i + 1) for i in range(len(factor.levels))) if by_number else None
    kind = kind.removeprefix("contr.")
    if kind not in CONTRASTS:
        raise context.error(
            f"contrasts are {', '.join(f'`{name}`' for name in CONTRASTS)}; pass a matrix with "
            f"the argument contrasts={{'{context.text_of('x')}': matrix}} of the model",
            "contr",
        )
    base, scores = options["base"], options["scores"]
    if (base is not None and kind != "treatment") or (scores is not None and kind != "poly"):
        raise context.error("`base` belongs to treatment contrasts, `scores` to polynomial ones", "contr")
    if base is not None:
        base = factor.levels[_level(context, base, factor, "base")]
    if scores is not None:
        scores = tuple(np.atleast_1d(np.asarray(scores, dtype=np.float64)).tolist())
    return replace(factor, contrasts=Contrast(kind, base=base, scores=scores, names=names))


def _contrast_arguments(context: CallContext, call: Call) -> dict[str, Any]:
    """``contr.treatment(3, base = 2)``: the number of levels is known anyway."""
    options: dict[str, Any] = {}
    for position, argument in enumerate(call.arguments):
        name = argument.name or ("n", "base")[min(position, 1)]
        if name == "n":
            continue
        value = _literal(argument)
        if name not in ("base", "scores") or value is None:
            raise context.error(f"`{call.function}()` takes `base = ` (a level or its number)", "contr")
        options[name] = value
    return options


def _literal(argument: Argument) -> Any:
    """A number, text, or ``c(...)`` of numbers as written; None for anything else."""
    node: Node | None = argument.value
    if isinstance(node, Unary) and node.operator == "-" and isinstance(node.operand, Number):
        return -node.operand.value
    if isinstance(node, Number | String):
        return node.value
    if isinstance(node, Call) and node.function == "c":
        values = [_literal(inner) for inner in node.arguments]
        return values if all(isinstance(value, float) for value in values) else None
    return None


def _as_numeric(integer: bool, context: CallContext) -> Value:
    """Numbers as they are, a factor's level numbers from 1, and the numbers that text spells."""
    column = context.column("x")
    if isinstance(column, Numeric):
        return Numeric(np.trunc(column.values) if integer else column.values, integer or column.integer)
    if not column.text:
        return Numeric(np.where(column.codes < 0, np.nan, column.codes + 1.0), integer=True)
    numbers = np.full(len(column.levels) + 1, np.nan)
    for place, level in enumerate(column.levels):
        try:
            numbers[place] = float(level)
        except ValueError:
            row = context.frame.row_name(int(np.flatnonzero(column.codes == place)[0]))
            reason = f"`{context.text_of('x')}` has `{level}` in {row}, which is no number"
            raise context.data_error(f"{reason}; number the levels with `as.numeric(factor(...))`") from None
    values = numbers[column.codes]
    return Numeric(np.trunc(values) if integer else values, integer=integer)


def _as_character(context: CallContext) -> Value:
    factor = as_factor(context.column("x"), context.text_of("x"))
    return _text(factor.codes, factor.levels)


def _text(codes: NDArray[np.int32], levels: tuple[str, ...]) -> Factor:
    """Text: a factor with the levels in use, sorted by code point."""
    used = drop_unused(Factor(codes, levels))
    order = sorted(range(len(used.levels)), key=used.levels.__getitem__)
    places = np.full(len(order) + 1, -1, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return Factor(places[used.codes], tuple(used.levels[i] for i in order), text=True)


_TRUTH = {"TRUE": 1.0, "true": 1.0, "T": 1.0, "True": 1.0, "FALSE": 0.0, "false": 0.0, "F": 0.0, "False": 0.0}


def _as_logical(context: CallContext) -> Value:
    column = context.column("x")
    if isinstance(column, Numeric):
        return Numeric(np.where(np.isnan(column.values), np.nan, column.values != 0), logical=True)
    truth = np.array([*(_TRUTH.get(level, np.nan) for level in column.levels), np.nan])
    return Numeric(truth[column.codes], logical=True)


def _cut(context: CallContext) -> Value:
    """R's ``cut``: intervals (a, b], or [a, b) with ``right = FALSE``; values outside all of them are
    missing.
    """
    x, right = context.numbers("x"), context.flag("right", True)
    lowest, ordered = context.flag("include.lowest", False), context.flag("ordered_result", False)
    given = context.vector("breaks")
    if given is None:
        raise context.error("`cut()` needs `breaks`: the ends of the intervals, or how many there shall be")
    learned = context.learn(lambda: {"breaks": [_spell(b) for b in _breaks(context, x, given)]})
    breaks = np.array([float(b) for b in learned["breaks"]])
    codes = np.searchsorted(breaks, x, side="left" if right else "right") - 1
    if lowest:
        codes[x == (breaks[0] if right else breaks[-1])] = 0 if right else len(breaks) - 2
    codes[np.isnan(x) | (codes < 0) | (codes > len(breaks) - 2)] = -1
    if context.arguments.get("labels") is False:
        return Numeric(np.where(codes < 0, np.nan, codes + 1.0), integer=True)
    labels = _names(context, "labels") or _interval_names(
        breaks, context.whole("dig.lab", 3, 1), right, lowest
    )
    if len(labels) != len(breaks) - 1:
        raise context.error(f"{len(labels)} labels do not fit {len(breaks) - 1} intervals", "labels")
    return Factor(codes.astype(np.int32), labels, ordered=ordered)


def _spell(number: float) -> float | str:
    """JSON has no infinity; ``float`` reads these words back."""
    return float(number) if np.isfinite(number) else ("Inf" if number > 0 else "-Inf")


def _breaks(context: CallContext, x: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    """The breaks given, or that many intervals of equal width, the outer ones widened by a thousandth (as R)."""
    if len(given) > 1:
        if len(np.unique(given)) < len(given):
            raise context.error("the breaks of `cut()` must be different from each other", "breaks")
        return np.sort(given)
    count = context.whole("breaks", 2, 2)
    present = x[np.isfinite(x)]
    if not present.size:
        raise context.data_error(f"`{context.text_of('x')}` has no values to cut")
    low, high = float(present.min()), float(present.max())
    margin = (high - low or abs(low)) / 1000
    if low == high:
        return np.linspace(low - margin, high + margin, count + 1)
    breaks = np.linspace(low, high, count + 1)
    breaks[0], breaks[-1] = low - margin, high + margin
    return breaks


def _interval_names(breaks: NDArray[np.float64], digits: int, right: bool, lowest: bool) -> tuple[str, ...]:
    """``(0,1]``: as many digits as it takes to tell the breaks apart, at least ``digits``."""
    for precision in range(digits, max(12, digits) + 1):
        ends = [f"{b:.{precision}g}" if np.isfinite(b) else ("Inf" if b > 0 else "-Inf") for b in breaks]
        if len(set(ends)) == len(ends):
            break
    opening, closing = ("(", "]") if right else ("[", ")")
    ends = [" Inf" if end == "Inf" else end for end in ends]  # as R pads it
    names = [f"{opening}{a},{b}{closing}" for a, b in pairwise(ends)]
    if lowest and right:
        names[0] = "[" + names[0][1:]
    elif lowest:
        names[-1] = names[-1][:-1] + "]"
    return tuple(names)


def _ifelse(context: CallContext) -> Value:
    test = context.column("test")
    if not isinstance(test, Numeric) or test.values.ndim != 1:
        raise context.error('`ifelse()` needs a condition, such as `x > 0` or `f == "a"`', "test")
    branches = [context.arguments.get(name) for name in ("yes", "no")]
    chosen = np.where(np.isnan(test.values), -1, np.where(test.values != 0, 0, 1))
    if any(isinstance(b, Numeric) and b.values.ndim != 1 for b in branches):
        raise context.error("`ifelse()` chooses between single columns: take one of a matrix, `m[, 1]`")
    if all(isinstance(b, bool | int | float | Numeric) for b in branches):
        values = [b.values if isinstance(b, Numeric) else np.float64(b) for b in branches]  # type: ignore[arg-type]
        logical = all(b.logical if isinstance(b, Numeric) else isinstance(b, bool) for b in branches)
        result = np.where(chosen < 0, np.nan, np.where(chosen == 0, values[0], values[1]))
        return Numeric(result, logical=logical)
    if all(isinstance(b, str | Factor) and not (isinstance(b, Factor) and not b.text) for b in branches):
        texts = [Factor(np.zeros(len(chosen), np.int32), (b,)) if isinstance(b, str) else b for b in branches]
        first, second = (t for t in texts if isinstance(t, Factor))
        offset = np.where(second.codes < 0, -1, second.codes + len(first.levels))
        codes = np.where(chosen < 0, -1, np.where(chosen == 0, first.codes, offset))
        levels = tuple(dict.fromkeys([*first.levels, *second.levels]))
        places = np.append(match_levels([*first.levels, *second.levels], levels), np.int32(-1))
        return _text(places[codes], levels)
    raise context.error(
        "the two values of `ifelse()` must both be numbers or both be text; "
        "read a factor with as.character() or as.numeric()"
    )


def _interaction(context: CallContext) -> Value:
    """R's ``interaction``: all combinations of levels, ``a.b``, the first factor varying fastest."""
    factors = [as_factor(v, "interaction()") for v in context.rest if isinstance(v, Numeric | Factor)]
    if len(factors) != len(context.rest) or not factors:
        raise context.error("`interaction()` takes variables")
    result = factors[0]
    for factor in factors[1:]:
        missing = (result.codes < 0) | (factor.codes < 0)
        codes = np.where(missing, -1, result.codes + len(result.levels) * factor.codes)
        levels = tuple(f"{a}.{b}" for b in factor.levels for a in result.levels)
        result = Factor(codes.astype(np.int32), levels)
    if len(set(result.levels)) < len(result.levels):
        raise context.error(
            "two combinations of levels would have the same name: remove dots from the levels"
        )
    return replace(result, text=False, ordered=False, contrasts=None)


FACTOR_TRANSFORMS: Mapping[str, Transform] = {
    "factor": Transform(partial(_factor, None), ("x", "levels", "labels", "ordered")),
    "ordered": Transform(partial(_factor, True), ("x", "levels", "labels")),
    "as.factor": Transform(partial(_as_factor, False), ("x",)),
    "as.ordered": Transform(partial(_as_factor, True), ("x",)),
    "relevel": Transform(_relevel, ("x", "ref")),
    "C": Transform(_coded, ("x", "contr", "base", "scores"), unevaluated=frozenset({"contr"})),
    "as.numeric": Transform(partial(_as_numeric, False), ("x",)),
    "as.double": Transform(partial(_as_numeric, False), ("x",)),
    "as.integer": Transform(partial(_as_numeric, True), ("x",)),
    "as.character": Transform(_as_character, ("x",)),
    "as.logical": Transform(_as_logical, ("x",)),
    "cut": Transform(_cut, ("x", "breaks", "labels", "include.lowest", "right", "dig.lab", "ordered_result")),
    "ifelse": Transform(_ifelse, ("test", "yes", "no")),
    "interaction": Transform(_interaction, ("...",)),
}
"""Functions on factors, by R's name."""
