"""The functions a formula may call, as a table; nothing outside it can be called.

Those that learn something from the data (``scale``, ``poly``, ``bs``, ``mean``, ...) remember it in the
`TransformState`, so that new data are transformed as the data the model was fitted to. R does so for
``scale``, ``poly`` and ``bs`` only: ``x - mean(x)`` means the old mean here and the new one in R.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor, Numeric
from ..errors import BayesmlmWarning, FormulaError
from .basis import bspline_basis, bspline_knots, orthogonal_polynomials, polynomial_recurrence
from .calls import LARGEST, CallContext, Transform, Value, factor_advice, matrix_advice
from .factor_transforms import FACTOR_TRANSFORMS
from .unparse import unparse

__all__ = ["TRANSFORMS"]

Array = NDArray[np.float64]


def _numeric(context: CallContext, name: str = "x") -> Array:
    """A column, vector or scalar of numbers, as an array of 1 or 0 dimensions."""
    return _as_array(context, context.arguments.get(name), name)


def _as_array(context: CallContext, value: Value, name: str) -> Array:
    text = context.text_of(name) if name in context.nodes else context.call.function
    if isinstance(value, Factor):
        raise context.error(factor_advice(text, value), name)
    if isinstance(value, Numeric):
        if value.values.ndim != 1:
            raise context.error(matrix_advice(text), name)
        return value.values
    if isinstance(value, bool | int | float) or (isinstance(value, np.ndarray) and value.dtype.kind in "bf"):
        return np.asarray(value, dtype=np.float64)
    raise context.error(f"`{context.call.function}()` needs numbers", name)


def _like(context: CallContext, result: Any) -> Value:
    """Back from `_numeric`: a column when its argument was one."""
    if isinstance(context.arguments.get("x"), Numeric):
        return Numeric(result)
    return float(result) if np.ndim(result) == 0 else np.asarray(result)


_DOMAINS: dict[str, Callable[[Array], NDArray[np.bool_]]] = {
    "positive numbers": lambda x: x <= 0,
    "numbers that are not negative": lambda x: x < 0,
    "numbers above -1": lambda x: x <= -1,
}
_ELEMENTWISE: dict[str, tuple[Callable[[Array], Any], str | None]] = {
    "exp": (np.exp, None),
    "expm1": (np.expm1, None),
    "abs": (np.abs, None),
    "floor": (np.floor, None),
    "ceiling": (np.ceil, None),
    "trunc": (np.trunc, None),
    "sign": (np.sign, None),
    "sin": (np.sin, None),
    "cos": (np.cos, None),
    "tan": (np.tan, None),
    "log2": (np.log2, "positive numbers"),
    "log10": (np.log10, "positive numbers"),
    "log1p": (np.log1p, "numbers above -1"),
    "sqrt": (np.sqrt, "numbers that are not negative"),
}


def _elementwise(function: Callable[[Array], Any], domain: str | None, context: CallContext) -> Value:
    x = _numeric(context)
    if domain is not None:
        _check_domain(context, x, domain)
    with np.errstate(all="ignore"):
        return _like(context, function(x))


def _check_domain(context: CallContext, x: Array, domain: str) -> None:
    outside = np.flatnonzero(_DOMAINS[domain](x))
    if outside.size:
        first = int(outside[0])
        where = f" in {context.frame.row_name(first)}" if isinstance(context.arguments["x"], Numeric) else ""
        raise context.data_error(
            f"`{context.call.function}()` needs {domain}: `{context.text_of('x')}` is "
            f"{np.atleast_1d(x)[first]:g}{where}"
        )


def _log(context: CallContext) -> Value:
    x = _numeric(context)
    _check_domain(context, x, "positive numbers")
    base = context.number("base", np.e)
    if base <= 0 or base == 1:
        raise context.error("the base of a logarithm is positive and not 1", "base")
    return _like(context, np.log(x) if base == np.e else np.log(x) / np.log(base))


def _round(context: CallContext) -> Value:
    digits = context.number("digits", 0)
    if abs(digits) > 300:  # no double has more
        raise context.error("`digits` must lie between -300 and 300", "digits")
    return _like(context, np.round(_numeric(context), int(digits)))


_SUMMARIES: dict[str, Callable[[Array], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "sd": partial(np.std, ddof=1),
    "var": partial(np.var, ddof=1),
    "sum": np.sum,
}


def _summary(function: Callable[[Array], Any], context: CallContext) -> Value:
    x = _numeric(context)
    if context.flag("na.rm", False):
        x = x[~np.isnan(x)]
    return _remembered(context, function, x, isinstance(context.arguments["x"], Numeric))


def _extreme(function: Callable[[Any], Any], context: CallContext) -> Value:
    """``min`` and ``max`` of everything given."""
    parts = [np.atleast_1d(part) for part in _parts(context)]
    has_column = any(isinstance(value, Numeric) for value in context.rest)
    return _remembered(context, function, np.concatenate(parts), has_column)


def _remembered(context: CallContext, function: Callable[[Array], Any], x: Array, of_data: bool) -> float:
    """One number; when it summarises data, the number found in the data the model was fitted to."""
    if not of_data:
        return float(function(x))

    def fit() -> dict[str, Any]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # of no values; said better below
            value = float(function(x))
        if not np.isfinite(value):
            raise context.data_error(
                f"`{unparse(context.call)}` is no finite number: there are missing values or too few rows"
            )
        return {"value": value}

    return float(context.learn(fit)["value"])


def _parallel(function: Callable[[Any, Any], Any], context: CallContext) -> Value:
    """``pmin`` and ``pmax``: row by row."""
    result: Any = None
    for value, part in zip(context.rest, _parts(context), strict=True):
        if part.ndim == 1 and not isinstance(value, Numeric):
            raise context.error(f"`{context.call.function}()` takes columns and single numbers")
        result = part if result is None else function(result, part)
    return Numeric(result) if np.ndim(result) else float(result)


def _parts(context: CallContext) -> list[Array]:
    """The arguments that go to ``...`` as arrays, at least one."""
    if not context.rest:
        raise context.error(f"`{context.call.function}()` needs at least one argument")
    return [_as_array(context, value, f"..{k}") for k, value in enumerate(context.rest, start=1)]


def _scale(context: CallContext) -> Value:
    """R's ``scale``: centred at the mean and divided by the standard deviation (n - 1), or by given numbers."""
    x = context.numbers("x")
    center, scale = context.arguments.get("center", True), context.arguments.get("scale", True)

    def fit() -> dict[str, Any]:
        present = _present(context, x)
        middle = float(present.mean()) if center is True else context.number("center", 0.0)
        if scale is not True:
            return {"center": middle, "scale": context.number("scale", 1.0) if scale is not False else 1.0}
        # without centring, R divides by the root mean square
        spread = float(np.sqrt(((present - middle) ** 2).sum() / max(len(present) - 1, 1)))
        if spread == 0 or not np.isfinite(spread):
            raise context.data_error(
                f"`{context.text_of('x')}` cannot be scaled to a standard deviation of 1: it is {spread:g}"
            )
        return {"center": middle, "scale": spread}

    learned = context.learn(fit)
    return Numeric((x - learned["center"]) / learned["scale"])


def _center(context: CallContext) -> Value:
    x = context.numbers("x")
    return Numeric(x - context.learn(lambda: {"center": float(_present(context, x).mean())})["center"])


def _present(context: CallContext, x: Array) -> Array:
    """The values that are not missing, at least one and all finite."""
    present = x[~np.isnan(x)]
    if not present.size or np.isinf(present).any():
        what = "infinite values" if present.size else "no values"
        raise context.data_error(f"`{context.call.function}()` of `{context.text_of('x')}`, which has {what}")
    return present


def _poly(context: CallContext) -> Value:
    """R's ``poly``: orthonormal polynomials on the data the model was fitted to, or powers with ``raw``."""
    x, degree = context.numbers("x"), context.whole("degree", 1, 1)
    columns = tuple(str(j) for j in range(1, degree + 1))
    if context.flag("raw", False):
        return Numeric(x[:, None] ** np.arange(1, degree + 1), columns=columns)

    def fit() -> dict[str, Any]:
        distinct = len(np.unique(x))
        if not np.isfinite(x).all():
            raise context.data_error(
                f"`poly()` needs complete data: `{context.text_of('x')}` has missing or infinite values"
            )
        if degree >= distinct:
            raise context.data_error(
                f"`{context.text_of('x')}` has {distinct} distinct values: the degree of its polynomial "
                f"can be {distinct - 1} at most, not {degree}"
            )
        alpha, norm2 = polynomial_recurrence(x, degree)
        return {"alpha": alpha.tolist(), "norm2": norm2.tolist()}

    learned = context.learn(fit)
    values = orthogonal_polynomials(x, np.array(learned["alpha"]), np.array(learned["norm2"]))
    return Numeric(values, columns=columns)


def _bs(context: CallContext) -> Value:
    """``bs`` of R's package splines: a B-spline basis with knots at quantiles."""
    x, degree, intercept = (
        context.numbers("x"),
        context.whole("degree", 3, 1),
        context.flag("intercept", False),
    )
    smallest = degree + int(intercept)
    df = None if context.arguments.get("df") is None else context.whole("df", smallest, smallest)

    def fit() -> dict[str, Any]:
        given, boundary = context.vector("knots"), context.vector("Boundary.knots")
        present = _present(context, x)
        ends = np.array([present.min(), present.max()]) if boundary is None else np.sort(boundary)
        if len(ends) != 2 or ends[0] == ends[1] or not np.isfinite(ends).all():
            raise context.data_error(f"`bs()` needs two different boundary knots; these are {ends.tolist()}")
        inner = bspline_knots(x, df, degree, intercept, ends) if given is None else np.sort(given)
        if ((inner <= ends[0]) | (inner >= ends[1])).any():
            raise context.data_error(
                f"the knots of `bs()` must lie inside the boundary, from {ends[0]:g} to {ends[1]:g}; "
                f"they are {', '.join(f'{knot:g}' for knot in inner)}"
            )
        return {"knots": inner.tolist(), "boundary": ends.tolist()}

    learned = context.learn(fit)
    knots, ends = np.array(learned["knots"]), np.array(learned["boundary"])
    if ((x < ends[0]) | (x > ends[1])).any():
        warnings.warn(
            f"`{context.text_of('x')}` goes beyond the boundary knots of bs(), {ends[0]:g} to {ends[1]:g}: "
            "its splines are extrapolated there",
            BayesmlmWarning,
            stacklevel=2,
        )
    values = bspline_basis(x, knots, ends, degree, intercept)
    return Numeric(values, columns=tuple(str(j + 1) for j in range(values.shape[1])))


def _identity(context: CallContext) -> Value:
    if "x" not in context.arguments:
        raise context.error(f"`{context.call.function}()` needs an argument")
    return context.arguments["x"]


def _bind(context: CallContext) -> Value:
    """``cbind(a, b, c)``: columns side by side, called as they are written or named (``cbind(yes = a, no = b)``)."""
    columns: list[Array] = []
    names: list[str] = []
    integer = True
    for argument, value in zip(context.call.arguments, context.rest, strict=True):
        text = unparse(argument.value) if argument.value is not None else ""
        if not isinstance(value, Numeric):
            reason = factor_advice(text, value) if isinstance(value, Factor) else f"`{text}` is no column"
            raise FormulaError(reason, context.source or None, argument.span)
        matrix = value.values.reshape(len(value), -1)
        prefix = argument.name or text
        parts = (
            (value.columns or tuple(str(j + 1) for j in range(matrix.shape[1])))
            if value.values.ndim == 2
            else ()
        )
        names += [prefix + part for part in parts] or [prefix]
        columns.append(matrix)
        integer = integer and value.integer
    if not columns:
        raise context.error("`cbind()` joins columns: write `cbind(a, b, c)`")
    return Numeric(np.concatenate(columns, axis=1), integer=integer, columns=tuple(names))


def _combine(context: CallContext) -> Value:
    """``c(1, 2)``, ``c("a", "b")``."""
    parts = context.rest
    if parts and all(isinstance(part, str | tuple) for part in parts):
        return tuple(s for part in parts for s in ((part,) if isinstance(part, str) else part))  # type: ignore[union-attr]
    if parts and all(isinstance(part, bool | int | float | np.ndarray) for part in parts):
        return np.concatenate([np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in parts])
    raise context.error("`c()` takes numbers, or text in quotes")


def _seq(context: CallContext) -> Value:
    """``seq(0, 10, by = 2)``, ``seq(0, 1, length.out = 5)``."""
    start, end = context.number("from", 1), context.number("to", 1)
    if "length.out" in context.arguments:
        return np.linspace(start, end, context.whole("length.out", 1, 1))
    by = context.number("by", 1 if end >= start else -1)
    if by == 0 or (end - start) / by < 0 or (end - start) / by > LARGEST:
        raise context.error(f"there is no sequence from {start:g} to {end:g} by {by:g}")
    return start + by * np.arange(int((end - start) / by + 1e-10) + 1)


TRANSFORMS: Mapping[str, Transform] = {
    **{
        name: Transform(partial(_elementwise, function, domain), ("x",))
        for name, (function, domain) in _ELEMENTWISE.items()
    },
    **{name: Transform(partial(_summary, function), ("x", "na.rm")) for name, function in _SUMMARIES.items()},
    "log": Transform(_log, ("x", "base")),
    "round": Transform(_round, ("x", "digits")),
    "min": Transform(partial(_extreme, np.min), ("...",)),
    "max": Transform(partial(_extreme, np.max), ("...",)),
    "pmin": Transform(partial(_parallel, np.minimum), ("...",)),
    "pmax": Transform(partial(_parallel, np.maximum), ("...",)),
    "scale": Transform(_scale, ("x", "center", "scale")),
    "standardize": Transform(_scale, ("x", "center", "scale")),
    "center": Transform(_center, ("x",)),
    "poly": Transform(_poly, ("x", "degree", "raw", "simple")),
    "bs": Transform(_bs, ("x", "df", "knots", "degree", "intercept", "Boundary.knots")),
    "I": Transform(_identity, ("x",)),
    "offset": Transform(_identity, ("x",)),
    "c": Transform(_combine, ("...",)),
    "cbind": Transform(_bind, ("...",), named_rest=True),
    "seq": Transform(_seq, ("from", "to", "by", "length.out")),
    **FACTOR_TRANSFORMS,
}
"""Every function a formula may call without the user passing it, by R's name."""
