"""Responses drawn from a fitted generalised mixed model: effects first, then the response distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError
from ..families.links import LINKS
from ..families.numpy_draws import draw
from ..messages import inform
from .generalised_predict import known_weights, linear_predictors
from .generalised_prediction_rows import (
    GeneralisedRows,
    effects_of_parts,
    fitted_generalised_rows,
    new_generalised_rows,
)
from .prediction_rows import refuse_new_levels, row_index
from .response_distribution import natural_values
from .simulate import (
    checked_count,
    checked_theta,
    coefficients_by_name,
    finite_values,
    generators,
    refuse_missing_groups,
    simulation_table,
    templates_of,
)

if TYPE_CHECKING:
    from ..families.base import Family
    from .generalised_design import ParameterDesign
    from .generalised_fit import GeneralisedFit

__all__ = ["GeneralisedSource", "parametric_responses", "part_coefficients", "simulate_fit", "source"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GeneralisedSource:
    """What responses are drawn from: ``known`` (D, m), the linear predictors without effects that are drawn; by term of
    these ``feeds``, the place of its linear predictor, columns ``Z`` (m, k), ``codes`` (m,) of ``levels`` levels, and
    ``roots`` (k, k): Var(b) = root root'. ``natural``: from linear predictors to natural parameters; ``trials``: (m,)
    or None."""

    family: Family
    known: Matrix
    feeds: tuple[int, ...]
    Z: tuple[Matrix, ...]
    codes: tuple[Codes, ...]
    levels: tuple[int, ...]
    roots: tuple[Matrix, ...]
    natural: Callable[[Matrix], Mapping[str, Vector]]
    trials: Vector | None

    def predictors(self, rng: np.random.Generator) -> Matrix:
        """(D, m) linear predictors with effects drawn term by term."""
        eta = self.known.copy()
        for d, Z, codes, levels, root in zip(
            self.feeds, self.Z, self.codes, self.levels, self.roots, strict=True
        ):
            b = rng.standard_normal((levels, len(root))) @ root.T
            eta[d] += np.einsum("mk,mk->m", Z, b[codes])
        return eta

    def draw(self, rng: np.random.Generator) -> Vector:
        """(m,) one response; of trials the number of successes. Raises `FamilyError`."""
        eta = self.predictors(rng)
        with np.errstate(over="ignore"):
            values = self.natural(eta)
        return draw(rng, self.family, values, {} if self.trials is None else {"trials": self.trials})


def parametric_responses(fit: GeneralisedFit, nsim: int, seed: int | None = None) -> Iterator[Vector]:
    """``nsim`` responses (n,) of the rows used, one after the other, with effects drawn anew."""
    drawn = source(fit)
    return (drawn.draw(rng) for rng in generators(seed, checked_count(nsim)))


def source(
    fit: GeneralisedFit,
    re_formula: Any = "NA",
    newdata: Any = None,
    newparams: Mapping[str, Any] | None = None,
    allow_new_levels: bool = False,
) -> GeneralisedSource:
    """What a fit's responses are drawn from; see `GeneralisedPredictionMethods.simulate`."""
    terms = fit.design.all_terms
    kept = effects_of_parts(fit, re_formula, fit.parts)
    rows = _rows(fit, newdata)
    if not allow_new_levels:
        refuse_new_levels(rows, terms, kept)
    beta, theta, sigma = _parameters(fit, newparams or {})
    known = known_weights(fit, rows, kept)
    eta = linear_predictors(fit, rows, known, beta=beta)
    drawn = [t for t, (Z, used) in enumerate(zip(rows.Z, known, strict=True)) if Z is not used]
    refuse_missing_groups(rows, terms, drawn)
    templates = templates_of([t.covariance for t in terms], theta)
    owners = fit.design.term_parameters
    return GeneralisedSource(
        fit.family,
        eta,
        tuple(fit.parts.index(owners[t]) for t in drawn),
        tuple(rows.Z[t] - known[t] for t in drawn),
        tuple(rows.codes[t] for t in drawn),
        tuple(len(terms[t].levels) + len(rows.unseen[t]) for t in drawn),
        tuple(sigma * templates[t] for t in drawn),
        lambda at: natural_values(fit, at, rows.weights, sigma),
        _trials(fit, newdata, rows.frame),
    )


def simulate_fit(
    fit: GeneralisedFit,
    nsim: int,
    *,
    seed: int | None,
    re_formula: Any,
    newdata: Any,
    newparams: Mapping[str, Any] | None,
    allow_new_levels: bool,
) -> pd.DataFrame:
    """See `GeneralisedPredictionMethods.simulate`."""
    drawn = source(fit, re_formula, newdata, newparams, allow_new_levels)
    if newdata is None and fit.design.weights is not None and not fit.has_scale:
        inform(
            f"simulate() ignores the prior weights: they multiply log likelihoods, and the family `{fit.family.name}` "
            "has no dispersion that they would divide"
        )
    index = row_index(fit.design.frame if newdata is None else Frame.from_any(newdata))
    return simulation_table(drawn, nsim, seed, index)


def _rows(fit: GeneralisedFit, newdata: Any) -> GeneralisedRows:
    if newdata is None:
        return fitted_generalised_rows(fit)
    every = [True] * len(fit.design.all_terms)
    return new_generalised_rows(fit, newdata, parts=fit.parts, columns=every, groups=every, na_action="fail")


def _trials(fit: GeneralisedFit, newdata: Any, frame: Frame) -> Vector | None:
    """(m,) numbers of trials to draw successes out of."""
    trials = fit.design.trials if newdata is None else fit.design.new_trials(frame)
    wrong = np.flatnonzero([] if trials is None else trials != np.round(trials))
    if trials is not None and wrong.size:
        raise BayesmlmError(
            f"{frame.row_name(int(wrong[0]))} has {trials[wrong[0]]:g} trials: successes are drawn out of whole numbers"
        )
    return trials


def _parameters(fit: GeneralisedFit, given: Mapping[str, Any]) -> tuple[Vector, Vector, float]:
    """Coefficients of all parts, covariance parameters and the scale: those given, checked, else the estimates."""
    others = [p for p in fit.design.parameters if p.name in fit.parts and p.fixed is None]
    allowed = ["beta", "theta", *(["sigma"] if fit.has_scale else []), *(p.name for p in others)]
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise BayesmlmError(f"newparams has `{unknown[0]}`; it may have {', '.join(allowed)}")
    beta = fit.beta_all.copy()
    if "beta" in given:
        beta[fit.part_slices["mu"]] = coefficients_by_name(given["beta"], list(fit.design.coefficients))
    for part in others:
        if part.name in given:
            beta[fit.part_slices[part.name]] = part_coefficients(part, given[part.name])
    covariances = [t.covariance for t in fit.design.all_terms]
    theta = checked_theta(given.get("theta", fit.parameters), fit.parameters, covariances)
    sigma = float(finite_values(given.get("sigma", fit.sigma), "sigma")[0])
    if sigma <= 0:
        raise BayesmlmError(f"sigma={sigma} must be above 0")
    return beta, theta, sigma


def part_coefficients(part: ParameterDesign, given: Any) -> Vector:
    """A part's coefficients, of a constant its value through the link. Raises `BayesmlmError`."""
    if part.predicted:
        return coefficients_by_name(given, list(part.coefficients), part.name)
    value = finite_values(given, part.name)
    with np.errstate(all="ignore"):
        linked = np.asarray(LINKS[part.link].link(value))
    if value.shape != (1,) or not np.isfinite(linked).all():
        raise BayesmlmError(
            f"{part.name} must be one number inside the range of its link {part.link}, not {given!r}"
        )
    return linked
