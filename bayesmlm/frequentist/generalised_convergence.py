"""What is to be said of a finished generalised fit, in lme4's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .all_fit import EIGENVALUE, GRADIENT, Convergence
from .generalised_hessian import Curvature, curvature
from .glmer import warn_of
from .lmer import MOST_ROWS, say

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["check_generalised_convergence", "generalised_messages"]

MOST_PARAMETERS = 20
"""lme4's ``check.conv.nparmax`` of glmer."""
EXTREME = 15.0
"""Linear predictors beyond this mean probabilities (or expected counts) of zero to six digits."""
LARGE_ERROR = 10.0
"""Standard errors, in units of a column's standard deviation, above this mean that a coefficient is not determined."""


def generalised_messages(fit: GeneralisedFit, settings: Mapping[str, Any]) -> list[str]:
    """What lme4 would say, and what separates the response; it is also said aloud."""
    messages = []
    if fit.is_singular:
        messages.append("boundary (singular) fit: see help('isSingular')")
        how = settings["check_conv_singular"]
        say(messages[-1], "message" if how == "stop" else how)
    failures = []
    if fit.optimum.problem is not None:
        failures.append(f"Model failed to converge: {fit.optimum.problem}")
    if not fit.evaluation.mode.converged:
        failures.append("The conditional modes of the effects were not found: the last step was not small")
    failures += _separation(fit)
    small = fit.n <= MOST_ROWS and len(fit.optimum.parameters) <= MOST_PARAMETERS
    if small and fit.nodes and settings["check_conv_grad"] != "ignore" and not fit.is_singular:
        failures += check_generalised_convergence(fit, curvature(fit, rough=True)).problems
    warn_of(failures, settings["check_conv_grad"])
    return messages + failures


def _separation(fit: GeneralisedFit) -> list[str]:
    """Coefficients that have no finite estimate, by name, looked for where the fit shows signs of it."""
    fixed = fit.design.X @ fit.beta
    spread = np.abs(fixed - np.median(fixed)).max(initial=0.0)
    if spread < EXTREME or fit.problem.kernel.links[0] in ("identity", "inverse", "1/mu^2"):
        return []
    from .separation import separation

    return separation(fit.design)


def check_generalised_convergence(fit: GeneralisedFit, found: Curvature | None = None) -> Convergence:
    """lme4's ``checkConv``: gradient and Hessian of the criterion at the optimum (``found``: these, if known)."""
    found = fit.curvature if found is None else found
    inverse_metric = np.linalg.pinv(found.metric[found.free])
    hessian = inverse_metric.T @ found.hessian @ inverse_metric
    gradient = fit.optimum.gradient[found.free]
    scaled = np.linalg.lstsq(hessian, gradient, rcond=None)[0] if found.free.size else np.zeros(0)
    largest, largest_scaled = (float(np.abs(x).max(initial=0.0)) for x in (gradient, scaled))
    values = found.eigenvalues
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
