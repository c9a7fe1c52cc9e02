"""What the left-hand side of a generalised mixed model must not be, said before anything is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import DataError, FormulaError
from ..families.base import Family
from ..families.response import ALWAYS_ACCEPTED, addition_problem
from ..formula import Formula
from ..formula.nodes import Call
from ..formula.unparse import unparse

__all__ = ["check_weights", "proportion_refusal", "refuse_constant", "refuse_left_side", "trials_missing"]

Vector = NDArray[np.float64]


def refuse_left_side(formula: Formula, family: Family) -> None:
    """Responses and additions that are not for glmer(). Raises `FormulaError` with a caret."""
    if formula.response is None:
        raise FormulaError("the formula has no response; write `y ~ ...`", formula.source, (0, 1))
    _refuse_columns(formula, family)
    for call in formula.additions:
        _refuse_addition(call, formula, family)


def _refuse_columns(formula: Formula, family: Family) -> None:
    response = formula.response
    if not isinstance(response, Call) or response.function not in ("cbind", "mvbind"):
        return
    if response.function == "mvbind":
        reason = "several responses, `mvbind()`, are for brm(); glmer() has one"
    elif "trials" not in family.additions:
        reason = (
            f"`cbind()` is a number of successes and of failures, for the family `binomial`; `{family.name}` takes one "
            "number for each row"
        )
    elif len(response.arguments) > 2:
        reason = f"`cbind()` takes successes and failures; here are {len(response.arguments)} columns"
    elif formula.addition("trials") is not None:
        reason = "`cbind(successes, failures)` says how many trials there are: leave out `trials()`"
    else:
        return
    raise FormulaError(reason, formula.source, response.span)


def _refuse_addition(call: Call, formula: Formula, family: Family) -> None:
    """Raises `FormulaError` for an addition that brm() reads and the Laplace approximation does not."""
    name = call.function
    reason = None
    if name not in family.additions | ALWAYS_ACCEPTED:
        problem = addition_problem(family, [name], formula.left_text)
        reason = None if problem is None else problem[1]
    elif name == "subset":
        reason = "`subset()` on the left-hand side is brms's; pass it as glmer(..., subset=)"
    elif name == "rate" and family.name == "poisson":
        if family.link("mu") != "log":
            reason = (
                "`rate()` needs the link log, under which it is an offset; with other links write the rate out as a "
                "predictor, or fit the model with brm()"
            )
    elif name == "rate":
        reason = (
            f"`rate()` also multiplies brms's `shape` of `{family.name}`: fit the model with brm(), or write "
            "`offset(log(d))`, which leaves the shape as it is"
        )
    elif name not in ("weights", "trials"):
        reason = f"`{name}()` is not available in glmer(); brm() has it"
    if reason is not None:
        raise FormulaError(reason, formula.source, call.span)


def check_weights(weights: Vector, frame: Frame) -> None:
    """Prior weights are finite and not negative, and some are positive. Raises `DataError`."""
    wrong = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if wrong.size:
        raise DataError(
            f"weights must not be negative; {frame.row_name(int(wrong[0]))} has {float(weights[wrong[0]]):g}"
        )
    if not weights.any():
        raise DataError("weights are zero in every row: no row counts")


def trials_missing(y: Vector, whole: bool, prior: Vector | None, formula: Formula, frame: Frame) -> DataError:
    """Why numbers that are neither 0/1 nor proportions are no binomial response."""
    name = unparse(formula.response) if formula.response is not None else ""
    outside = np.flatnonzero((y < 0) | (y > 1))
    row = int(outside[0]) if outside.size else 0
    value, where = float(y[row]), frame.row_name(row)
    if value < 0:
        return DataError(
            f"the response is {value:g} in {where}; numbers of successes and proportions of them are not negative"
        )
    if not whole:
        return DataError(
            f"the response is {value:g} in {where}; a proportion of successes lies between 0 and 1, and a number of "
            f"successes is whole: write `successes | trials(n) ~ ...`"
        )
    also = "" if prior is None else ". weights= are numbers of trials only where the response is a proportion"
    return DataError(
        f"the response is {value:g} in {where}, and nothing says of how many trials: write `{name} | trials(n) ~ ...` "
        f"or `cbind({name}, n - {name}) ~ ...`{also}"
    )


def proportion_refusal(y: Vector, formula: Formula, frame: Frame) -> DataError:
    """What to do about proportions without numbers of trials."""
    row = int(np.flatnonzero(y != np.round(y))[0])
    return DataError(
        f"the response is the proportion {float(y[row]):g} in {frame.row_name(row)}, and nothing says of how many "
        "trials: pass their numbers, weights=n, or write `successes | trials(n) ~ ...`. Proportions of no number of "
        "trials are for the family `beta`"
    )


def refuse_constant(
    y: Vector,
    trials: Vector | None,
    weights: Vector | None,
    family: Family,
    formula: Formula,
    levels: tuple[str, ...] = (),
) -> None:
    """Responses whose likelihood has no maximum, or in which nothing varies. Raises `DataError`."""
    name = unparse(formula.response) if formula.response is not None else ""
    counted = np.ones(len(y), dtype=bool) if weights is None else weights > 0
    if trials is not None:
        counted &= trials > 0
    y = y[counted]
    possible = np.ones(len(y)) if trials is None else trials[counted]
    if not len(y):
        raise DataError("every row has 0 trials: there is nothing to fit")
    binary = trials is not None or (family.integer_response and family.support.upper == 1.0)
    if binary and (not y.any() or (y == possible).all()):
        every, end, way = ("failure", 0, "minus ") if not y.any() else ("success", 1, "")
        shown = f" (`{name}` is `{levels[min(end, len(levels) - 1)]}` in every row)" if levels else ""
        raise DataError(
            f"every trial is a {every}{shown}: the likelihood has no maximum; the probability of success goes to {end} "
            f"and the intercept to {way}infinity"
        )
    if not binary and family.integer_response and not y.any():
        raise DataError(
            f"the response `{name}` is 0 in every row: the likelihood has no maximum; the mean goes to 0 and the "
            "intercept to minus infinity"
        )
    _refuse_without_zeros(y, family, name)
    shares = y / possible
    if (shares == shares[0]).all():
        what = "proportion of successes" if trials is not None else "response"
        why = "" if family.integer_response else ", and the likelihood has no maximum"
        raise DataError(f"the {what} `{name}` is {float(shares[0]):g} in every row: nothing varies{why}")


def _refuse_without_zeros(y: Vector, family: Family, name: str) -> None:
    """A probability of zeros in a response that has none goes to 0. Raises `DataError`."""
    for parameter in ("zi", "hu"):
        if any(p.name == parameter for p in family.parameters) and y.all():
            plain = family.name.removeprefix("zero_inflated_").removeprefix("hurdle_")
            advice = f"use the family `{plain}`" if parameter == "zi" else "use a family without a hurdle"
            raise DataError(
                f"the response `{name}` has no zeros, so `{parameter}` of the family `{family.name}` goes to 0, where "
                f"the likelihood has no maximum: {advice}"
            )
