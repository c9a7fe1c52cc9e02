"""`lmer()`: linear mixed models by REML or maximum likelihood."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError, BayesmlmWarning, ConvergenceWarning, DataError, FormulaError
from ..formula import as_bayes_formula
from ..formula.formulas import BayesFormula, Formula
from ..messages import inform
from .design import MixedDesign, build_mixed_design
from .design_checks import level_problems

if TYPE_CHECKING:
    from .covariance_parameters import CovarianceParameters
    from .fit import MixedFit
    from .problem import Evaluation, Problem

__all__ = ["lmer"]

SINGULAR = 1e-4
"""lme4's ``getSingTol()``."""
EXACT = 1e-13
"""Share of the response's sum of squares below which what is left over is rounding."""
MOST_ROWS, MOST_PARAMETERS = 10_000, 10
"""lme4's ``check.conv.nobsmax`` and ``check.conv.nparmax``: larger fits are not checked at their end."""

CHECKS = ("check_nobs_vs_nlev", "check_nobs_vs_nRE", "check_nlev_gtr_1", "check_nlev_gtreq_5")
CONTROL = {
    **dict.fromkeys(CHECKS[:3], "stop"),
    CHECKS[3]: "ignore",
    "check_conv_singular": "message",
    "check_conv_grad": "warning",
    "max_evaluations": 1000,
}
"""Settings with their defaults: lme4's checks ("ignore", "message", "warning", "stop") and the optimiser's limit."""


def lmer(
    formula: Any,
    data: Any = None,
    REML: bool = True,
    control: Mapping[str, Any] | None = None,
    start: Any = None,
    verbose: int = 0,
    subset: Any = None,
    weights: Any = None,
    na_action: str = "omit",
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> MixedFit:
    """Fit a linear mixed model by REML or maximum likelihood; arguments as in lme4.

    The profiled criterion (Bates, Maechler, Bolker and Walker 2015, JSS 67(1)) is minimised with its analytic
    gradient, so optima are exact to about ten digits.

    Args:
        formula: ``"y ~ x + (x | g)"``; group terms may be nested (``(1 | a/b)``), crossed, uncorrelated (``||``) or
            structured (``diag(x | g)``, ``cs()``, ``ar1()``, with ``hom = TRUE`` for equal variances).
        data: a pandas, polars or pyarrow table, or a dict of columns.
        REML: restricted likelihood (True) or likelihood.
        control: a dict with ``max_evaluations`` and lme4's checks, spelled with underscores:
            ``check_nobs_vs_nlev``, ``check_nobs_vs_nRE``, ``check_nlev_gtr_1``, ``check_nlev_gtreq_5``,
            ``check_conv_singular``, ``check_conv_grad``, each "ignore", "message", "warning" or "stop".
        start: lme4's theta to start from: an array, or a dict with ``theta``.
        verbose: 1 prints every evaluation.
        subset: rows to use: a logical array, a column's name or an expression, ``"Days > 1"``.
        weights: prior weights (the residual variance of a row is sigma^2 / weight): a column's name or an array.
        na_action: rows with missing values: "omit", "fail", or "exclude" (residuals and fitted values then have NaN
            in their places).
        offset: a known part of the predictor: a column's name or an array; added to offset() terms.
        contrasts: coding of factors, by column: ``"treatment"``, ``"sum"``, ... or a matrix.
        functions: your own functions that the formula may call, by name.

    Returns:
        A `MixedFit`; ``print(m.summary())`` shows lmerTest's summary.

    Raises:
        FormulaError, DataError: for what cannot be fitted, before anything is computed.
    """
    if data is None:
        raise DataError("lmer() needs data: pass a data frame, lmer(formula, data=df)")
    if not isinstance(REML, (bool, np.bool_)):
        raise BayesmlmError(f"REML must be True or False, not {REML!r}")
    settings = checked_control(control)
    frame = Frame.from_any(data)
    design = build_mixed_design(
        main_formula(formula),
        frame,
        weights=weights,
        offset=offset,
        subset=subset,
        contrasts=contrasts,
        na_action=na_action,
        functions=functions,
    )
    call = {
        "REML": REML,
        "control": control,
        "start": start,
        "subset": subset,
        "weights": weights,
        "na_action": na_action,
        "offset": offset,
        "contrasts": contrasts,
        "functions": functions,
    }
    return fit_design(design, bool(REML), settings, call, data, start=start, verbose=verbose)


def main_formula(formula: Any) -> Formula:
    """The one formula of a linear mixed model. Raises `FormulaError` for several."""
    parsed = as_bayes_formula(formula)
    if not isinstance(parsed, BayesFormula) or parsed.parameters or parsed.autocor is not None:
        raise FormulaError("lmer() takes one formula; formulas for other parameters are for brm()")
    return parsed.main


def fit_design(
    design: MixedDesign,
    reml: bool,
    settings: Mapping[str, Any],
    call: Mapping[str, Any],
    data: Any,
    *,
    start: Any = None,
    verbose: int = 0,
) -> MixedFit:
    """Check a design, fit it, and say what the user should know."""
    from .fit import MixedFit
    from .optimise import optimise
    from .problem import make_problem

    check_levels(design, settings)
    problem = make_problem(design)
    begin = None if start is None else start_values(start, problem, design)
    optimum = optimise(problem, reml, begin, int(settings["max_evaluations"]), verbose)
    check_residuals(optimum.evaluation)
    for message in design.messages:
        inform(message)
    messages = convergence_messages(problem, optimum.parameters, optimum.problem, settings)
    fit = MixedFit(design, problem, reml, optimum, dict(call), data, (*design.messages, *messages))
    return replace(fit, messages=(*fit.messages, *curvature_messages(fit, settings)))


def check_residuals(evaluation: Evaluation) -> None:
    """Refuse a fit without residuals, at which the likelihood has no maximum. Raises `DataError`."""
    f = evaluation.factorisation
    total = float(f.statistics.dense[-1, -1])
    if not f.pwrss > EXACT * total:
        raise DataError(
            "population coefficients and group effects fit the response exactly: the residual variance is zero, where "
            "the likelihood has no maximum. Is the response constant within each level of a group? Then it is a "
            "variable of the groups: use one row for each level"
        )


def checked_control(control: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings, lme4's dots taken for underscores. Raises `BayesmlmError` for one that is not known."""
    settings = dict(CONTROL)
    if control is not None and not isinstance(control, Mapping):
        raise BayesmlmError(f'control is a dict of settings, {{"max_evaluations": 500}}, not {control!r}')
    for name, value in (control or {}).items():
        key = name.replace(".", "_")
        if key not in CONTROL:
            raise BayesmlmError(f"control has no setting `{name}`; it has {', '.join(CONTROL)}")
        if key.startswith("check") and value not in ("ignore", "message", "warning", "stop"):
            raise BayesmlmError(f'control `{name}` must be "ignore", "message", "warning" or "stop"')
        if key == "max_evaluations" and not (isinstance(value, (int, np.integer)) and value > 0):
            raise BayesmlmError(f"control `max_evaluations` must be a positive whole number, not {value!r}")
        settings[key] = value
    return settings


def check_levels(design: MixedDesign, settings: Mapping[str, Any]) -> None:
    """lme4's checks of numbers of levels, effects and rows."""
    for term in design.terms:
        for name, text in level_problems(term, design.n).items():
            say(text, settings[name])


def say(text: str, how: str) -> None:
    """Stop, warn, tell or be silent, as a check is set."""
    if how == "stop":
        raise DataError(text)
    if how == "warning":
        warnings.warn(text, BayesmlmWarning, stacklevel=2)
    elif how == "message":
        inform(text)


def convergence_messages(
    problem: Problem, parameters: NDArray[np.float64], failure: str | None, settings: Mapping[str, Any]
) -> list[str]:
    """What is to be said of a finished fit, in lme4's words; it is also said aloud."""
    messages = []
    if is_singular(problem, parameters):
        messages.append("boundary (singular) fit: see help('isSingular')")
        say(
            messages[-1],
            "message" if settings["check_conv_singular"] == "stop" else settings["check_conv_singular"],
        )
    if failure is not None:
        messages.append(f"Model failed to converge: {failure}")
        if settings["check_conv_grad"] != "ignore":
            warnings.warn(messages[-1], ConvergenceWarning, stacklevel=2)
    return messages


def curvature_messages(fit: MixedFit, settings: Mapping[str, Any]) -> list[str]:
    """What the derivatives at the end of a small fit that is not singular say, as lme4's ``checkConv``."""
    small = fit.n <= MOST_ROWS and len(fit.optimum.parameters) <= MOST_PARAMETERS
    if not small or fit.is_singular or settings["check_conv_grad"] == "ignore":
        return []
    from .all_fit import check_convergence

    found = list(check_convergence(fit).problems)
    for text in found:
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    return found


def is_singular(
    problem: CovarianceParameters, parameters: NDArray[np.float64], tolerance: float = SINGULAR
) -> bool:
    """lme4's ``isSingular``: some combination of effects has (almost) no variance."""
    unscaled = problem.unscaled(parameters)
    parts = zip(problem.covariances, problem.slices, strict=True)
    return any(c.is_singular(unscaled[at], tolerance) for c, at in parts)


def start_values(start: Any, problem: Problem, design: MixedDesign) -> NDArray[np.float64]:
    """lme4's ``start``: theta as an array, or a dict that has it."""
    given = start.get("theta") if isinstance(start, Mapping) else start
    if given is None:
        raise BayesmlmError('start must be theta, or a dict with it: start={"theta": [1.0]}')
    try:
        values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        raise BayesmlmError(f"start must be theta, an array of numbers, not {given!r}") from None
    if not np.isfinite(values).all():
        raise BayesmlmError(f"start must be finite numbers, not {values}")
    if values.shape != problem.start.shape:
        labels = ", ".join(f"{t.source.label} ({len(t.covariance.start)})" for t in design.terms)
        raise BayesmlmError(
            f"start has {values.size} values; the model has {problem.start.size} covariance parameters: {labels}"
        )
    return problem.scaled(values)
