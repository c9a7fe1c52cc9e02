"""Whether an optimum is one: the same model through other optimisers, and the criterion's derivatives there."""

from __future__ import annotations

import html
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    from .fit import MixedFit
    from .optimise import Evaluated
    from .problem import Evaluation

__all__ = [
    "AllFit",
    "Convergence",
    "all_fit",
    "check_convergence",
    "chosen_methods",
    "comparison",
    "criterion_hessian",
]

Vector = NDArray[np.float64]

METHODS: dict[str, tuple[bool, dict[str, Any]]] = {
    "L-BFGS-B": (True, {"ftol": 1e-14, "gtol": 1e-7, "maxiter": 2000}),
    "Nelder-Mead": (False, {"fatol": 1e-9, "xatol": 1e-7, "maxfev": 20_000, "adaptive": True}),
    "Powell": (False, {"ftol": 1e-12, "xtol": 1e-7, "maxfev": 20_000}),
    "COBYQA": (False, {"final_tr_radius": 1e-7, "maxfev": 20_000}),
    "trust-constr": (True, {"gtol": 1e-8, "xtol": 1e-10, "maxiter": 2000}),
    "SLSQP": (True, {"ftol": 1e-12, "maxiter": 1000}),
    "TNC": (True, {"ftol": 1e-13, "gtol": 1e-8, "maxfun": 5000}),
}
"""scipy's methods: whether they use the gradient, and their options. COBYQA is of the family of BOBYQA."""

AGREEMENT = 1e-4
"""Criteria that differ by less are the same optimum to any reader."""
GRADIENT = 2e-3
"""lme4's ``check.conv.grad``: of the gradient, scaled by the Hessian."""
EIGENVALUE = 1e-6
"""lme4's ``check.conv.hess``: ratio of the Hessian's eigenvalues below which a direction is flat."""


@dataclass(frozen=True, repr=False)
class AllFit:
    """A row for each optimiser, this fit's first.

    ``table``: criterion, difference (to the lowest), evaluations, seconds, message; ``theta``: as ``m.parameters``;
    ``fixef``: coefficients; ``sdcor``: standard deviations and correlations, sigma last.
    """

    table: pd.DataFrame
    theta: pd.DataFrame
    fixef: pd.DataFrame
    sdcor: pd.DataFrame

    @property
    def max_difference(self) -> pd.Series:
        """By how much the optimisers differ at most: in the criterion, a coefficient, a standard deviation."""
        spread = {"criterion": float(np.ptp(self.table["criterion"]))}
        for name, table in (("fixef", self.fixef), ("sdcor", self.sdcor)):
            values = table.to_numpy()
            spread[name] = float(np.nan_to_num(values.max(axis=0) - values.min(axis=0)).max(initial=0.0))
        return pd.Series(spread)

    def verdict(self) -> str:
        """Whether this fit is the best that was found, in words."""
        worse = self.table.index[self.table["difference"] > AGREEMENT]
        if "this fit" in worse:
            return "An optimiser found a better optimum than this fit: do not trust this fit."
        if len(worse):
            return f"This fit is the best found; {', '.join(worse)} stopped short of it."
        return f"All optimisers agree: their criteria differ by {np.ptp(self.table['criterion']):.1g}."

    def __str__(self) -> str:
        shown = self.table.to_string(
            formatters={
                "criterion": "{:.6f}".format,
                "difference": "{:.2g}".format,
                "seconds": "{:.3f}".format,
            }
        )
        return f"{shown}\n\n{self.verdict()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<div>{self.table.to_html(escape=True)}<p>{html.escape(self.verdict())}</p></div>"


def all_fit(fit: MixedFit, optimizers: Sequence[str] | None = None, from_optimum: bool = False) -> AllFit:
    """See `DiagnosticMethods.all_fit`."""
    chosen = chosen_methods(optimizers)
    start = fit.optimum.parameters if from_optimum else fit.problem.start
    done = fit.optimum.problem or "converged"
    found: dict[str, tuple[Evaluation, int, float, str]] = {
        "this fit": (fit.evaluation, fit.optimum.evaluations, float("nan"), done)
    }
    for name in chosen:
        found[name] = _run(fit, name, start)
    table = comparison(found)
    evaluations = [evaluation for evaluation, *_ in found.values()]
    theta = np.array([fit.problem.unscaled(e.parameters) for e in evaluations])
    labels, sdcor = _deviations(fit, evaluations)
    return AllFit(
        table,
        pd.DataFrame(theta, index=table.index, columns=[f"theta{i + 1}" for i in range(theta.shape[1])]),
        pd.DataFrame([e.beta for e in evaluations], index=table.index, columns=list(fit.design.coefficients)),
        pd.DataFrame(sdcor, index=table.index, columns=labels),
    )


def chosen_methods(optimizers: Sequence[str] | None) -> list[str]:
    """The optimisers asked for. Raises `BayesmlmError` for an unknown name."""
    chosen = list(METHODS) if optimizers is None else list(optimizers)
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise BayesmlmError(f"{unknown[0]!r} is no optimiser of all_fit(); it has {', '.join(METHODS)}")
    return chosen


def comparison(found: Mapping[str, tuple[Evaluated, int, float, str]]) -> pd.DataFrame:
    """`AllFit.table` of evaluations, with how many it took, seconds and messages, by name of the optimiser."""
    criteria = np.array([evaluation.criterion for evaluation, *_ in found.values()])
    return pd.DataFrame(
        {
            "criterion": criteria,
            "difference": criteria - criteria.min(),
            "evaluations": [count for _, count, *_ in found.values()],
            "seconds": [seconds for *_, seconds, _ in found.values()],
            "message": [message for *_, message in found.values()],
        },
        index=list(found),
    )


def _run(fit: MixedFit, name: str, start: Vector) -> tuple[Evaluation, int, float, str]:
    from scipy.optimize import Bounds, minimize

    uses_gradient, options = METHODS[name]
    lower, upper = fit.problem.bounds
    best: list[Evaluation] = []
    count = 0

    def criterion(parameters: Vector) -> Any:
        nonlocal count
        count += 1
        evaluation = fit.problem.evaluate(np.clip(parameters, lower, upper), fit.reml)
        value = evaluation.criterion
        if not best or value < best[0].criterion:
            best[:] = [evaluation]
        return (value, evaluation.gradient()) if uses_gradient else value

    began = time.perf_counter()
    with warnings.catch_warnings():
        # What scipy has to say is in the message of its result.
        warnings.simplefilter("ignore")
        result = minimize(  # type: ignore[call-overload]
            criterion,
            start.copy(),
            jac=uses_gradient,
            method=name,
            bounds=Bounds(lower, upper),
            options=options,
        )
    seconds = time.perf_counter() - began
    return best[0], count, seconds, str(result.message)


def _deviations(fit: MixedFit, evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[float]]]:
    """Names and values of standard deviations and correlations, sigma last, at each evaluation."""
    from .var_corr import EffectCovariance, component_names

    terms = fit.design.terms
    names = component_names([t.group for t in terms])
    labels: list[str] = []
    rows = []
    for evaluation in evaluations:
        labels = []
        row: list[float] = []
        for name, term, T in zip(names, terms, fit.problem.templates(evaluation.parameters), strict=True):
            part = EffectCovariance(name, term.names, evaluation.sigma**2 * T @ T.T)
            labels += [f"sd_{effect}|{name}" for effect in term.names]
            row += part.sd.tolist()
            for a in range(term.size):
                for b in range(a + 1, term.size):
                    labels.append(f"cor_{term.names[b]}.{term.names[a]}|{name}")
                    row.append(float(part.correlation[a, b]))
        rows.append([*row, evaluation.sigma])
        labels.append("sigma")
    return labels, rows


@dataclass(frozen=True)
class Convergence:
    """Derivatives of the criterion at the optimum, by the parameters that are inside their bounds.

    ``gradient``: largest absolute derivative; ``scaled_gradient``: the same divided by the Hessian (the distance to
    the optimum); ``eigenvalues``: of the Hessian; ``problems``: what is wrong, in words; ``is_singular``: whether the
    fit is on a boundary, where the checks do not apply to the parameters there.
    """

    gradient: float
    scaled_gradient: float
    eigenvalues: Vector
    problems: tuple[str, ...]
    is_singular: bool

    @property
    def converged(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        words = list(self.problems) or ["The optimiser converged: the criterion is flat and curves upwards."]
        if self.is_singular:
            words.append("boundary (singular) fit: parameters on their boundary are not checked.")
        numbers = f"max|grad| = {self.gradient:.3g}, scaled by the Hessian {self.scaled_gradient:.3g}"
        return "\n".join([*words, numbers])


def criterion_hessian(fit: MixedFit) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The parameters that are inside their bounds, and the criterion's second derivatives by them."""
    here, problem = fit.optimum.parameters, fit.problem
    lower, upper = problem.bounds
    free = np.flatnonzero((here > lower + 1e-6) & (here < upper - 1e-6))
    H = np.empty((free.size, free.size))
    for row, place in enumerate(free):
        step = np.zeros_like(here)
        step[place] = 1e-5 * max(abs(here[place]), 1e-2)
        ahead, behind = (problem.evaluate(here + s, fit.reml).gradient()[free] for s in (step, -step))
        H[row] = (ahead - behind) / (2.0 * step[place])
    return free, 0.5 * (H + H.T)


def check_convergence(fit: MixedFit) -> Convergence:
    """See `DiagnosticMethods.convergence`; the Hessian is from differences of exact gradients."""
    free, H = criterion_hessian(fit)
    gradient = fit.evaluation.gradient()[free]
    values = np.linalg.eigvalsh(H) if free.size else np.zeros(0)
    scaled = np.linalg.lstsq(H, gradient, rcond=None)[0] if free.size else np.zeros(0)
    largest, largest_scaled = (float(np.abs(x).max(initial=0.0)) for x in (gradient, scaled))
    problems = []
    if min(largest, largest_scaled) > GRADIENT:
        problems.append(f"Model failed to converge with max|grad| = {largest:.3g} (tol = {GRADIENT})")
    negative = int((values < -1e-6 * max(float(np.abs(values).max(initial=0.0)), 1.0)).sum())
    if negative:
        problems.append(f"Model failed to converge: degenerate Hessian with {negative} negative eigenvalues")
    elif values.size and not fit.is_singular and values[0] < EIGENVALUE * values[-1]:
        problems.append(
            "Model is nearly unidentifiable: large eigenvalue ratio - Rescale variables, or leave effects out?"
        )
    return Convergence(largest, largest_scaled, values, tuple(problems), fit.is_singular)
