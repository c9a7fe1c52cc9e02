"""The left-hand side of a generalised mixed model: the response as numbers, trials, and prior weights.

What R's ``glm`` takes for a binomial response and what brms takes are the same thing here: ``cbind(successes,
failures)``, ``successes | trials(n)``, a proportion with ``weights=n``, and single trials as 0/1, TRUE/FALSE or a
factor.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, Factor
from ..data.frame import Frame
from ..data.levels import listing
from ..errors import BayesmlmWarning, DataError, NewDataError
from ..families.base import Family
from ..families.response import code_response
from ..formula import Formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.nodes import Call, Name, Node
from ..formula.unparse import unparse
from ..model.additions import addition_values
from .design_rows import ModelRows, Piece, given_column, numeric_values, one_numeric_column
from .response_checks import check_weights, proportion_refusal, refuse_constant, trials_missing

__all__ = ["GeneralisedResponse", "build_response", "log_rate", "new_trials", "response_pieces"]

Functions = Mapping[str, Callable[..., Any]]
Vector = NDArray[np.float64]

WHOLE = 1e-8
"""A number that is nearer than this (times its size) to a whole one is that one: 0.1 * 30 is 3."""
R_WHOLE = 1e-3
"""R's ``binomial()`` warns of numbers of successes that are further than this from whole ones."""


@dataclass(frozen=True, eq=False)
class GeneralisedResponse:
    """``y``: (n,) numbers the family's density takes: of trials the successes; ``trials``: (n,) or None; ``weights``:
    (n,) multipliers of the log likelihood or None; ``levels``: what y = 0 and y = 1 were called, empty for counts and
    measurements; ``messages``: what the user should know."""

    y: Vector
    trials: Vector | None
    weights: Vector | None
    levels: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


def response_pieces(formula: Formula) -> list[Piece]:
    """The expressions of the left-hand side, of ``cbind(a, b)`` and of additions their arguments."""
    assert formula.response is not None
    pieces = list(_two_columns(formula) or [formula.response])
    for call in formula.additions:
        pieces += [one.value for one in call.arguments if one.name is None and one.value is not None]
    return [(node, formula.source) for node in pieces]


def build_response(formula: Formula, family: Family, rows: ModelRows) -> GeneralisedResponse:
    """Code the response on the rows of the model; `response_checks.refuse_left_side` has seen the formula.

    Raises `DataError` for values outside the family's support and for responses without variation; warns as R of
    proportions that are no whole number of successes.
    """
    assert formula.response is not None
    prior = _prior_weights(formula, rows)
    if "trials" in family.additions:
        response = _out_of_trials(formula, family, rows, prior)
    else:
        column = evaluate(formula.response, rows.frame, rows.state, rows.functions, formula.source)
        response = _coded(column, formula, family, rows, prior)
    refuse_constant(response.y, response.trials, response.weights, family, formula, response.levels)
    return response


def log_rate(formula: Formula, frame: Frame, state: TransformState, functions: Functions) -> Vector | None:
    """(n,) logarithm of what ``rate()`` holds: an offset under the log link. None without this addition."""
    if formula.addition("rate") is None:
        return None
    rate = addition_values(formula, "rate", frame, state, functions)
    wrong = np.flatnonzero(~((rate > 0) & np.isfinite(rate)))
    if wrong.size:
        raise DataError(
            f"rate() must be positive; {frame.row_name(int(wrong[0]))} has {float(rate[wrong[0]]):g}"
        )
    return np.log(rate)


def new_trials(
    formula: Formula, weights: Any, single: bool, frame: Frame, state: TransformState, functions: Functions
) -> Vector:
    """(m,) numbers of trials of new data. ``weights``: the argument, which holds them for a response of proportions;
    ``single``: the response is 0/1, one trial in each row.

    Raises `NewDataError` when the new data do not say, and for what is no number of trials.
    """
    columns = _two_columns(formula)
    if formula.addition("trials") is not None:
        found = addition_values(formula, "trials", frame, state, functions)
    elif columns is not None and len(columns) == 2:
        successes, failures = (evaluate(node, frame, state, functions, formula.source) for node in columns)
        if isinstance(successes, Factor) or isinstance(failures, Factor):
            raise NewDataError("successes and failures of the new data are no numbers")
        found = successes.values + failures.values
    elif formula.addition("weights") is not None and not single:
        found = addition_values(formula, "weights", frame, state, functions)
    elif weights is None or single:
        return np.ones(frame.n_rows)
    elif isinstance(weights, str):
        from ..formula.parse import parse_expression

        node: Node = Name(weights) if weights in frame.columns else parse_expression(weights)
        column = evaluate(node, frame, state, functions)
        if isinstance(column, Factor) or column.values.ndim != 1:
            raise NewDataError(f"the numbers of trials `{weights}` are no numeric column of the new data")
        found = column.values
    else:
        raise NewDataError(
            "the numbers of trials were given as values, weights=, which new data do not have: name the column, "
            'weights="n", or write `successes | trials(n) ~ ...`'
        )
    wrong = np.flatnonzero(~((found >= 0) & np.isfinite(found)))
    if wrong.size:
        raise NewDataError(
            f"the number of trials is {float(found[wrong[0]]):g} in {frame.row_name(int(wrong[0]))} of the new data"
        )
    return found


def _prior_weights(formula: Formula, rows: ModelRows) -> Vector | None:
    """The argument weights, or the addition ``weights()``, which is the same."""
    prior = given_column(rows, "weights", "weights")
    call = formula.addition("weights")
    if call is not None:
        if prior is not None:
            raise DataError("weights are given twice: by weights= and by `| weights()`")
        prior = addition_values(formula, "weights", rows.frame, rows.state, rows.functions)
    if prior is not None:
        check_weights(prior, rows.frame)
    return prior


def _two_columns(formula: Formula) -> tuple[Node, ...] | None:
    """The arguments of ``cbind()``, None for another response."""
    call = formula.response
    if not (isinstance(call, Call) and call.function == "cbind"):
        return None
    return tuple(one.value for one in call.arguments if one.value is not None)


def _out_of_trials(
    formula: Formula, family: Family, rows: ModelRows, prior: Vector | None
) -> GeneralisedResponse:
    """Successes out of trials, in whichever way they are written."""
    assert formula.response is not None
    source = formula.source
    columns = _two_columns(formula)
    if columns is not None and len(columns) == 2:
        parts = [
            numeric_values(node, rows, source, what)
            for node, what in zip(columns, ("successes", "failures"), strict=True)
        ]
        return _successes_and_failures(parts[0], parts[1], family, rows, prior)
    node = formula.response if columns is None else columns[0]
    column = evaluate(node, rows.frame, rows.state, rows.functions, source)
    if not isinstance(column, Factor) and column.values.ndim == 2 and column.values.shape[1] == 2:
        return _successes_and_failures(column.values[:, 0], column.values[:, 1], family, rows, prior)
    if formula.addition("trials") is not None:
        y = _whole(one_numeric_column(column, node, rows, "the response"))
        trials = _whole(addition_values(formula, "trials", rows.frame, rows.state, rows.functions))
        _check_support(family, y, trials, rows)
        return GeneralisedResponse(y, trials, prior)
    single = family.name == "binomial"
    if single and (isinstance(column, Factor) or column.logical):
        response = _coded(column, formula, family, rows, prior)
        return replace(response, trials=np.ones(len(response.y)))
    return _numbers_without_trials(formula, family, rows, prior, column)


def _numbers_without_trials(
    formula: Formula, family: Family, rows: ModelRows, prior: Vector | None, column: Column
) -> GeneralisedResponse:
    """0/1 as single trials, or proportions whose trials are the weights, as R's ``binomial()`` reads them."""
    assert formula.response is not None
    y = one_numeric_column(column, formula.response, rows, "the response")
    whole = bool((_whole(y) == np.round(y)).all())
    if (y < 0).any() or (y > 1).any():
        raise trials_missing(y, whole, prior, formula, rows.frame)
    if whole and (family.name == "binomial" or prior is None):
        if family.name != "binomial":
            raise trials_missing(y, whole, prior, formula, rows.frame)
        return GeneralisedResponse(np.round(y), np.ones(len(y)), prior, ("0", "1"))
    if prior is None:
        raise proportion_refusal(y, formula, rows.frame)
    trials = _whole(prior)
    successes = _whole(y * trials)
    _warn_of_fractions(successes, trials, rows.frame)
    return GeneralisedResponse(successes, trials, None)


def _successes_and_failures(
    successes: Vector, failures: Vector, family: Family, rows: ModelRows, prior: Vector | None
) -> GeneralisedResponse:
    successes, failures = _whole(successes), _whole(failures)
    for values, what in ((successes, "successes"), (failures, "failures")):
        wrong = np.flatnonzero(~((values >= 0) & (values == np.floor(values))))
        if wrong.size:
            raise DataError(
                f"the number of {what} is {float(values[wrong[0]]):g} in {rows.frame.row_name(int(wrong[0]))}, and "
                f"`{family.name}` counts: it must be a whole number of at least 0. Fractions of a success can be "
                "given as a proportion with weights=, the number of trials"
            )
    return GeneralisedResponse(successes, successes + failures, prior)


def _coded(
    column: Column, formula: Formula, family: Family, rows: ModelRows, prior: Vector | None
) -> GeneralisedResponse:
    """One number for each row: counts, measurements, or two values as 0 and 1."""
    assert formula.response is not None
    name = unparse(formula.response)
    messages: tuple[str, ...] = ()
    if isinstance(column, Factor) and (family.response == "binary" or "trials" in family.additions):
        y, levels, messages = _not_the_first_level(column, name)
    elif not isinstance(column, Factor) and column.logical and "trials" in family.additions:
        y, levels = column.values, ("FALSE", "TRUE")
    else:
        y, levels = code_response(family, column, name)
    if not isinstance(column, Factor):
        one_numeric_column(replace(column, values=y), formula.response, rows, "the response")
    y = _whole(y) if family.integer_response else y
    _check_support(family, y, None, rows)
    return GeneralisedResponse(y, None, prior, levels, messages)


def _not_the_first_level(column: Factor, name: str) -> tuple[Vector, tuple[str, ...], tuple[str, ...]]:
    """R's ``glm``: the first level is failure, every other one success. (n,) 0/1, their names, and a message where
    several levels are taken together."""
    present = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels)) > 0
    found = [level for level, there in zip(column.levels, present, strict=True) if there]
    y = (column.codes != column.levels.index(found[0])).astype(np.float64)
    if len(found) <= 2:
        return y, tuple(found), ()
    message = (
        f"the response `{name}` has {len(found)} levels: `{found[0]}` is failure and all others "
        f"({listing(found[1:], 5)}) are success, as in R's glm()"
    )
    return y, (found[0], f"not {found[0]}"), (message,)


def _check_support(family: Family, y: Vector, trials: Vector | None, rows: ModelRows) -> None:
    extra = {} if trials is None else {"trials": trials}
    family.check(y, extra, rows.frame.rows)  # type: ignore[arg-type]  # an array is as good as a sequence here


def _whole(values: Vector) -> Vector:
    """Numbers that are whole but for rounding, as whole numbers."""
    nearest = np.round(values)
    close = np.abs(values - nearest) <= WHOLE * np.maximum(1.0, np.abs(values))
    return np.where(close, nearest, values)


def _warn_of_fractions(successes: Vector, trials: Vector, frame: Frame) -> None:
    """R's warning, with the first row it is about."""
    for values, what in ((successes, "#successes"), (trials, "#trials")):
        wrong = np.flatnonzero(np.abs(values - np.round(values)) > R_WHOLE)
        if wrong.size:
            row = int(wrong[0])
            text = (
                f"non-integer {what} in a binomial glm! {frame.row_name(row)} has {successes[row]:g} successes "
                f"in {trials[row]:g} trials"
            )
            warnings.warn(text, BayesmlmWarning, stacklevel=7)
            return
