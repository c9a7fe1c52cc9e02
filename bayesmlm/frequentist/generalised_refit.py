"""A generalised mixed model again: for another response, or for other rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, DataError
from ..marginal.make_kernel import make_kernel
from .generalised_problem import GeneralisedProblem, Memory, make_generalised_problem
from .generalised_search import Bounded, optimise_generalised
from .lmer import is_singular
from .optimise import Optimum, search
from .response_checks import refuse_constant

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign
    from .generalised_fit import GeneralisedFit

__all__ = ["carried", "optimise_from", "refit", "refit_design", "same_rows_problem"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

ENOUGH = 1e-9
"""How much of the criterion may be left to gain, as in `generalised_search`."""
MOST_EVALUATIONS = 1000


def refit(fit: GeneralisedFit, y: Any) -> GeneralisedFit:
    """See `GeneralisedRefitMethods.refit`."""
    design = _with_response(fit.design, y)
    problem = same_rows_problem(fit, design)
    start, metric = fit.optimum.parameters, fit.metric
    if is_singular(problem, start[: problem.covariance_count]):
        start = Bounded(problem).inside(start)
    return _finished(fit, design, problem, start, metric)


def refit_design(fit: GeneralisedFit, design: GeneralisedDesign) -> GeneralisedFit:
    """The model for other rows, ``design``, begun where this fit ended. Raises `DataError`, `BayesmlmError`."""
    problem = make_generalised_problem(design, fit.nodes, fit.definition)
    return _finished(fit, design, problem, *carried(fit, problem))


def same_rows_problem(fit: GeneralisedFit, design: GeneralisedDesign) -> GeneralisedProblem:
    """The fit's problem with the response (and trials) of ``design``; the rows are the same."""
    kernel = make_kernel(design.family, design.y, design.weights, design.trials, fit.definition)
    return replace(fit.problem, model=replace(fit.problem.model, kernel=kernel), memory=Memory())


def carried(fit: GeneralisedFit, problem: GeneralisedProblem) -> tuple[Vector, Matrix]:
    """The fit's optimum and metric as parameters of ``problem``, whose columns have other scales and bases.

    Relative standard deviations are moved by the ratios of the scales, coefficients by the triangles; the optimum is
    moved away from a boundary.
    """
    old, m = fit.problem, problem.covariance_count
    lower, _ = problem.bounds
    ratio = problem.scaled(old.unscaled(np.ones(m)))
    move = np.zeros((m, m)) if problem.nodes == 0 else np.zeros((m + problem.p, m + problem.p))
    # Correlations have no scale, and a matrix with unit entries everywhere need not be one: only their sizes matter.
    move[:m, :m] = np.diag(np.where(np.isfinite(lower) & (lower != 0.0), 1.0, ratio))
    if problem.nodes:
        parts = zip(problem.triangles, old.triangles, problem.rows.slices, strict=True)
        for new, before, at in parts:
            there = slice(m + at.start, m + at.stop)
            move[there, there] = np.linalg.solve(before.T, new.T).T
    start = move @ fit.optimum.parameters
    if is_singular(problem, start[:m]):
        start = Bounded(problem).inside(start)
    return start, move @ fit.metric


def optimise_from(
    problem: GeneralisedProblem, start: Vector, metric: Matrix, max_evaluations: int = MOST_EVALUATIONS
) -> tuple[Optimum, Matrix]:
    """Search from ``start`` in the directions of ``metric``, or afresh where the likelihood is not defined there.

    Raises `BayesmlmError` when there is no place from which it can be searched.
    """
    try:
        defined = bool(np.isfinite(problem.evaluate(start).criterion))
    except np.linalg.LinAlgError:
        defined = False
    if defined:
        return search(Bounded(problem), start, metric, max_evaluations, enough=ENOUGH), metric
    problem.memory.varying = None
    try:
        return optimise_generalised(problem, None, max_evaluations)
    except np.linalg.LinAlgError as reason:
        raise BayesmlmError(f"the likelihood of this response cannot be computed: {reason}") from None


def _finished(
    fit: GeneralisedFit,
    design: GeneralisedDesign,
    problem: GeneralisedProblem,
    start: Vector,
    metric: Matrix,
) -> GeneralisedFit:
    limit = int((fit.call.get("control") or {}).get("max_evaluations", MOST_EVALUATIONS))
    optimum, found = optimise_from(problem, start, metric, limit)
    again = replace(fit, design=design, problem=problem, optimum=optimum, metric=found, messages=())
    return replace(again, messages=tuple(_messages(again)))


def _messages(fit: GeneralisedFit) -> list[str]:
    """What can be said of a refit without second derivatives."""
    found = []
    if fit.is_singular:
        found.append("boundary (singular) fit: see help('isSingular')")
    if fit.optimum.problem is not None:
        found.append(f"Model failed to converge: {fit.optimum.problem}")
    if not fit.evaluation.mode.converged:
        found.append("The conditional modes of the effects were not found: the last step was not small")
    return found


# -- the response --------------------------------------------------------------------------------------------------


def _with_response(design: GeneralisedDesign, y: Any) -> GeneralisedDesign:
    """The design with another response, checked as that of a fit."""
    given: NDArray[Any] = y.to_numpy() if isinstance(y, pd.Series | pd.DataFrame) else np.asarray(y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    two = given.ndim == 2 and given.shape[1] == 2 and design.trials is not None
    if given.shape[:1] != (design.n,) or not (given.ndim == 1 or two):
        columns = ", or two columns of successes and failures" if design.trials is not None else ""
        raise DataError(
            f"the new response has shape {given.shape}; the model has {design.n} rows: pass one value for each{columns}"
        )
    values = _coded(design, given) if given.ndim == 1 else _numbers(design, given)
    wrong = np.flatnonzero(~np.isfinite(values.reshape(design.n, -1)).all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"the new response is {values[row]} in {design.frame.row_name(row)}")
    trials = design.trials
    if two:
        values, trials = values[:, 0], values.sum(axis=1)
    if design.family.integer_response:
        values = np.where(np.abs(values - np.round(values)) < 1e-8, np.round(values), values)
    if trials is None or not _has_fractions(design):
        extra = {} if trials is None else {"trials": trials}
        design.family.check(values, extra, design.frame.rows)  # type: ignore[arg-type]
    refuse_constant(values, trials, design.weights, design.family, design.formula, design.levels)
    return replace(design, y=values, trials=trials)


def _has_fractions(design: GeneralisedDesign) -> bool:
    """Whether the response was proportions that are no whole numbers of successes, which the user was warned of."""
    return bool((design.y != np.round(design.y)).any())


def _numbers(design: GeneralisedDesign, given: NDArray[Any]) -> NDArray[np.float64]:
    try:
        return given.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"the new response of the family `{design.family.name}` must be numbers, not {given.dtype}"
        ) from None


def _coded(design: GeneralisedDesign, given: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers as they are; the two values of a binary response, by name, as 0 and 1."""
    if not design.levels or given.dtype.kind in "fiub":
        return _numbers(design, given)
    no, yes = design.levels
    out = np.full(design.n, np.nan)
    for row, value in enumerate(given.tolist()):
        text = str(value)
        if text not in (no, yes) and not yes.startswith("not "):
            raise DataError(
                f"the new response is `{text}` in {design.frame.row_name(row)}; the model knows `{no}` and `{yes}`"
            )
        out[row] = float(text != no)
    return out
