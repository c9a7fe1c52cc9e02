"""The optimum of a generalised mixed model through other optimisers, over covariance parameters and coefficients."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .all_fit import METHODS, AllFit, chosen_methods, comparison
from .generalised_names import all_coefficient_names
from .generalised_problem import GeneralisedEvaluation
from .generalised_search import Bounded
from .var_corr import covariances_of

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["all_fit"]

Vector = NDArray[np.float64]

WALL = 1e4
"""How much worse than the best place one is said to be at which the likelihood is not defined."""


def all_fit(
    fit: GeneralisedFit, optimizers: Sequence[str] | None = None, from_optimum: bool = False
) -> AllFit:
    """See `GeneralisedRefitMethods.all_fit`."""
    start = fit.optimum.parameters if from_optimum else _start(fit)
    lengths = _lengths(fit)
    done = fit.optimum.problem or "converged"
    found: dict[str, tuple[GeneralisedEvaluation, int, float, str]] = {
        "this fit": (fit.evaluation, fit.optimum.evaluations, float("nan"), done)
    }
    for name in chosen_methods(optimizers):
        found[name] = _run(fit, name, start, lengths)
    fit.problem.evaluate(fit.optimum.parameters)
    table = comparison(found)
    evaluations = [evaluation for evaluation, *_ in found.values()]
    theta = np.array([fit.problem.unscaled(e.covariance_parameters) for e in evaluations])
    labels, sdcor = _deviations(fit, evaluations)
    return AllFit(
        table,
        pd.DataFrame(theta, index=table.index, columns=[f"theta{i + 1}" for i in range(theta.shape[1])]),
        pd.DataFrame([e.beta for e in evaluations], index=table.index, columns=all_coefficient_names(fit)),
        pd.DataFrame(sdcor, index=table.index, columns=labels),
    )


def _start(fit: GeneralisedFit) -> Vector:
    """Unit standard deviations, and the coefficients of a model without group effects."""
    problem = fit.problem
    theta = problem.start
    if problem.nodes == 0:
        return theta
    return np.append(theta, problem.with_nodes(0).evaluate(np.zeros_like(theta)).mode.coefficients)


def _lengths(fit: GeneralisedFit) -> Vector:
    """Units of the search: relative standard deviations have their own, coefficients about their standard errors."""
    m = fit.problem.covariance_count
    lengths = np.sqrt(2.0) * np.linalg.norm(fit.metric, axis=1)
    lengths[:m] = 1.0
    return lengths


def _run(
    fit: GeneralisedFit, name: str, start: Vector, lengths: Vector
) -> tuple[GeneralisedEvaluation, int, float, str]:
    from scipy.optimize import Bounds, minimize

    uses_gradient, options = METHODS[name]
    problem = Bounded(fit.problem)
    lower, upper = problem.bounds
    best: list[GeneralisedEvaluation] = []
    count = 0

    def criterion(position: Vector) -> Any:
        nonlocal count
        count += 1
        try:
            evaluation = problem.evaluate(np.clip(position * lengths, lower, upper), False)
            value = evaluation.criterion
            gradient = evaluation.gradient() * lengths if uses_gradient else None
        except np.linalg.LinAlgError:
            value, gradient = np.inf, None
        if not np.isfinite(value) or (gradient is not None and not np.isfinite(gradient).all()):
            value = (best[0].criterion if best else 0.0) + WALL
            return (value, np.zeros_like(position)) if uses_gradient else value
        if not best or value < best[0].criterion:
            best[:] = [evaluation]
        return (value, gradient) if uses_gradient else value

    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # What scipy has to say is in the message of its result.
        warnings.simplefilter("ignore")
        result = minimize(  # type: ignore[call-overload]
            criterion,
            start / lengths,
            jac=uses_gradient,
            method=name,
            bounds=Bounds(lower / lengths, upper / lengths),
            options=options,
        )
    seconds = time.perf_counter() - began
    return best[0] if best else problem.evaluate(start, False), count, seconds, str(result.message)


def _deviations(
    fit: GeneralisedFit, evaluations: Sequence[GeneralisedEvaluation]
) -> tuple[list[str], list[list[float]]]:
    """Names and values of standard deviations and correlations, sigma last where there is one, at each evaluation."""
    labels: list[str] = []
    rows = []
    for evaluation in evaluations:
        at = replace(fit, optimum=replace(fit.optimum, evaluation=evaluation))
        labels, row = [], []
        for part, own in zip(
            covariances_of(fit.design.all_terms, at.templates, at.sigma),
            fit.design.term_parameters,
            strict=True,
        ):
            prefix = "" if own == "mu" else f"{own}_"
            labels += [f"sd_{prefix}{name}|{part.component}" for name in part.names]
            row += part.sd.tolist()
            for a in range(len(part.names)):
                for b in range(a + 1, len(part.names)):
                    labels.append(f"cor_{prefix}{part.names[b]}.{part.names[a]}|{part.component}")
                    row.append(float(part.correlation[a, b]))
        if fit.has_scale:
            labels.append("sigma")
            row.append(at.sigma)
        rows.append(row)
    return labels, rows
