"""Predictions of generalised mixed models, with standard errors by the delta method.

A prediction is a function of one row's linear predictors: one of them, a parameter on its own scale, or the expected
response. Its derivative by these weights the row's columns of coefficients and effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.links import LINKS
from ..marginal.link_derivatives import mean_derivatives
from .generalised_prediction_rows import (
    GeneralisedRows,
    effects_of_parts,
    fitted_generalised_rows,
    new_generalised_rows,
)
from .generalised_prediction_variance import prediction_variance
from .predict import effect_weights, effects_sum
from .prediction_rows import refuse_new_levels
from .response_distribution import (
    DISPERSIONS,
    MEAN_IS_MU,
    ZERO_PARTS,
    expected,
    natural_values,
    without_zero_part,
)

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["TYPES", "linear_predictors", "predict"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

TYPES = ("link", "response", "conditional", "zprob", "zlink", "disp")
STEP = 6e-6
"""Step of central differences of a mean by its linear predictors: the error is of the order of 1e-10."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is predicted. ``parts``: the linear predictors it is a function of; ``value``: of all (D, m), those of other
    parts meaningless, to (m,); ``scale``: the link on whose scale intervals are symmetric; ``part``: the one that it is
    the inverse link of, None for a function of several; ``linear``: the linear predictor itself."""

    parts: tuple[str, ...]
    value: Callable[[Matrix], Vector]
    scale: str
    part: str | None = None
    linear: bool = False


def predict(
    fit: GeneralisedFit,
    newdata: Any,
    *,
    re_formula: Any,
    type: str,
    se: bool,
    interval: str | None,
    level: float,
    allow_new_levels: bool,
    random_only: bool,
    na_action: str,
    use_hessian: bool | None,
) -> Any:
    """See `GeneralisedPredictionMethods.predict`."""
    if interval not in (None, "confidence"):
        raise BayesmlmError(
            f'interval must be "confidence", not {interval!r}: of single new responses simulate(newdata=...) gives '
            "draws, whose quantiles are prediction limits"
        )
    if not 0.0 < level < 1.0:
        raise BayesmlmError(f"level={level} must lie between 0 and 1")
    target = _target(fit, type)
    if random_only and target.part != "mu":
        raise BayesmlmError(
            f'random_only is for the predictor of mu: type "link" or "response", not {type!r}'
        )
    wanted = effects_of_parts(fit, re_formula, target.parts)
    rows = _rows(fit, newdata, target.parts, wanted, not random_only, na_action)
    if not allow_new_levels:
        refuse_new_levels(rows, fit.design.all_terms, wanted)
    known = known_weights(fit, rows, wanted)
    eta = linear_predictors(fit, rows, known, population=not random_only)
    with np.errstate(all="ignore"):
        value = target.value(eta)
    if not se and interval is None:
        return rows.padded(value)
    gradient = _gradient(fit, target, eta)
    X = None if random_only else rows.X
    sd = np.sqrt(prediction_variance(fit, X, known, rows.codes, gradient, use_hessian))
    columns = {"fit": value}
    if interval is not None:
        columns["lwr"], columns["upr"] = _limits(target, eta, fit, value, sd, gradient, level)
    if se:
        columns["se.fit"] = sd
    return pd.DataFrame({name: rows.padded(v) for name, v in columns.items()}, index=rows.index)


def known_weights(fit: GeneralisedFit, rows: GeneralisedRows, wanted: Sequence[Mask]) -> list[Matrix]:
    """By term (m, k) what the estimated effects are multiplied by, zero for those that are not wanted or not known."""
    return [effect_weights(*one) for one in zip(rows.Z, rows.codes, fit.b, wanted, strict=True)]


def linear_predictors(
    fit: GeneralisedFit,
    rows: GeneralisedRows,
    known: Sequence[Matrix],
    population: bool = True,
    beta: Vector | None = None,
) -> Matrix:
    """(D, m) linear predictors of ``fit.parts``; ``known``: see `known_weights`; ``beta``: (P,) other coefficients."""
    beta = fit.beta_all if beta is None else beta
    eta = np.zeros((len(fit.parts), rows.m))
    owners = fit.design.term_parameters
    for d, (name, at) in enumerate(fit.part_slices.items()):
        mine = [t for t, owner in enumerate(owners) if owner == name]
        if mine:
            weights, codes = [known[t] for t in mine], [rows.codes[t] for t in mine]
            eta[d] = effects_sum(weights, codes, [fit.b[t] for t in mine])
        if population:
            eta[d] += rows.X[d] @ beta[at] + rows.offsets[d]
    return eta


def _rows(
    fit: GeneralisedFit,
    newdata: Any,
    parts: Sequence[str],
    wanted: Sequence[Mask],
    population: bool,
    na_action: str,
) -> GeneralisedRows:
    if newdata is None:
        return fitted_generalised_rows(fit, fit.data)
    needed = [bool(mask.any()) for mask in wanted]
    return new_generalised_rows(
        fit, newdata, parts=parts, population=population, columns=needed, groups=needed, na_action=na_action
    )


# -- what is predicted ---------------------------------------------------------------------------------------------


def _target(fit: GeneralisedFit, type: str) -> Target:
    if type not in TYPES:
        raise BayesmlmError(f"type is one of {', '.join(TYPES)}, not {type!r}")
    family = fit.family
    if type == "link":
        return _linear(fit, "mu")
    if type in ("zprob", "zlink"):
        name = next((n for n in fit.parts if n in ZERO_PARTS), None)
        if name is None:
            raise BayesmlmError(
                f'type "{type}" is for families with zero inflation or a hurdle; `{family.name}` has neither'
            )
        return _linear(fit, name) if type == "zlink" else _single(fit, name)
    if type == "disp":
        return _single(fit, _dispersion(fit))
    conditional = type == "conditional"
    inflated = family.name.startswith("zero_inflated_")
    if family.name in MEAN_IS_MU or (conditional and inflated):
        return _single(fit, "mu")
    parts = tuple(n for n in fit.parts if not (conditional and n in ZERO_PARTS))

    def mean(eta: Matrix) -> Vector:
        values = natural_values(fit, eta, np.ones(eta.shape[1]))
        return expected(fit, without_zero_part(values) if conditional else values)

    return Target(parts, mean, "log" if family.parameter("mu").upper is None else "logit")


def _dispersion(fit: GeneralisedFit) -> str:
    name = next((n for n in fit.parts if n in DISPERSIONS), None)
    if name is not None:
        return name
    plugged = "; lme4's dispersion is taken from the residuals, `sigma`" if fit.has_scale else ""
    raise BayesmlmError(f'type "disp": the model of `{fit.family.name}` estimates no dispersion{plugged}')


def _linear(fit: GeneralisedFit, part: str) -> Target:
    place = fit.parts.index(part)
    return Target((part,), lambda eta: eta[place], "identity", part, linear=True)


def _single(fit: GeneralisedFit, part: str) -> Target:
    """A parameter on its own scale."""
    place = fit.parts.index(part)
    link = fit.problem.kernel.links[place]
    return Target((part,), lambda eta: np.asarray(LINKS[link].inverse(eta[place])), link, part)


def _gradient(fit: GeneralisedFit, target: Target, eta: Matrix) -> Matrix:
    """(D, m) derivatives of what is predicted by the linear predictors."""
    out = np.zeros_like(eta)
    if target.part is not None:
        place = fit.parts.index(target.part)
        with np.errstate(all="ignore"):
            out[place] = 1.0 if target.linear else mean_derivatives(target.scale, eta[place])[1]
        return out
    for name in target.parts:
        place = fit.parts.index(name)
        step = np.zeros_like(eta)
        step[place] = STEP * np.maximum(1.0, np.abs(eta[place]))
        out[place] = (target.value(eta + step) - target.value(eta - step)) / (2.0 * step[place])
    return out


def _limits(
    target: Target,
    eta: Matrix,
    fit: GeneralisedFit,
    value: Vector,
    sd: Vector,
    gradient: Matrix,
    level: float,
) -> tuple[Vector, Vector]:
    """Limits that are symmetric about the prediction on the scale of a link, transformed from there."""
    from scipy.special import ndtri

    z = ndtri(0.5 + level / 2.0)
    with np.errstate(all="ignore"):
        if target.part is not None:
            place = fit.parts.index(target.part)
            centre, half = eta[place], z * sd / np.abs(gradient[place])
        else:
            centre = np.asarray(LINKS[target.scale].link(value))
            half = z * sd / np.abs(mean_derivatives(target.scale, centre)[1])
        return _transformed(target.scale, centre - half, centre + half)


def _transformed(link: str, low: Vector, high: Vector) -> tuple[Vector, Vector]:
    """The values between two linear predictors as an interval. Where an end lies beyond a pole of the link the interval
    is unbounded; of the link sqrt, whose inverse falls and rises, it begins at zero if the square does."""
    inverse = LINKS[link].inverse
    first, second = np.asarray(inverse(low)), np.asarray(inverse(high))
    lower, upper = np.minimum(first, second), np.maximum(first, second)
    if link in ("inverse", "1/mu^2"):
        beyond = (low <= 0) & (high > 0)
        return np.where(beyond, second, lower), np.where(beyond, np.inf, upper)
    if link == "sqrt":
        lower = np.where((low < 0) & (high > 0), 0.0, lower)
    return lower, upper
