"""What a table of models shows of a result of `glmer`."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..families.links import LINKS
from .model_table_columns import RESIDUAL, Column, Estimate, RandomTerm, Request

if TYPE_CHECKING:
    from ..frequentist.generalised_fit import GeneralisedFit

__all__ = ["generalised_column"]

MOST_ROWS = 20_000
"""Rows up to which R2 and ICC, which need a fit of the model without predictors, are computed unasked."""
NEEDING_A_FIT = {"R2 Marg.", "R2 Cond.", "ICC"}


def generalised_column(fit: GeneralisedFit, request: Request) -> Column:
    """Coefficients of mu under R's names, those of other parts under brms's (``zi_Intercept``, ``zi_x``), all on the
    scale of their links; parameters that are constants (``shape``) on their own."""
    from ..frequentist.generalised_words import has_own_table

    fixed: dict[str, Estimate] = {}
    for part in fit.parts:
        if has_own_table(fit, part) and not (part != "mu" and part in fit.constants):
            fixed |= _coefficients(fit, part, request)
    notes = list(fit.messages)
    gof: dict[str, float] = {"Num.Obs.": fit.n}
    gof |= {f"Num.Groups {name}": count for name, count in fit.ngrps.items()}
    gof |= {"AIC": fit.AIC(), "BIC": fit.BIC(), "Log.Lik.": fit.logLik()}
    gof |= _explained(fit, request, notes)
    gof["RMSE"] = fit.rmse()
    return Column(fixed, _components(fit), gof, _constants(fit, request), tuple(notes))


def _coefficients(fit: GeneralisedFit, part: str, request: Request) -> dict[str, Estimate]:
    from scipy.special import ndtri

    from ..frequentist.generalised_tests import part_names

    reach = float(ndtri((1.0 + request.level) / 2.0))
    rows = fit.coef_table(part).to_numpy()
    return {
        name: Estimate(b, se, b - reach * se, b + reach * se, z, p)
        for name, (b, se, z, p) in zip(part_names(fit, part), rows.tolist(), strict=True)
    }


def _components(fit: GeneralisedFit) -> dict[RandomTerm, Estimate]:
    """Standard deviations and correlations, part by part: effects on zi are called as brms calls them,
    ``zi_Intercept``."""
    from ..frequentist.generalised_effects import effects_of, part_covariances, varying_parts

    out: dict[RandomTerm, Estimate] = {}
    for part in varying_parts(fit):
        own = effects_of(fit, part)
        for term, found in zip(own.terms, part_covariances(fit, part), strict=True):
            if part == "mu":
                names = [name.replace("(Intercept)", "Intercept") for name in term.names]
            else:
                names = [f"{part}_{name}" for name in term.effects.names]
            sds, correlation = found.sd, found.correlation
            out |= {RandomTerm(term.group, a): Estimate(float(sd)) for a, sd in zip(names, sds, strict=True)}
            for i, j in combinations(range(0 if found.is_diagonal else term.size), 2):
                out[RandomTerm(term.group, names[i], names[j])] = Estimate(float(correlation[j, i]))
    return {**out, RESIDUAL: Estimate(fit.sigma)} if fit.has_scale else out


def _constants(fit: GeneralisedFit, request: Request) -> dict[str, Estimate]:
    """Constants on their own scale: standard errors by the delta method, intervals from the scale of the link."""
    from scipy.special import ndtri

    from ..frequentist.generalised_design import ParameterDesign

    out = {}
    reach = float(ndtri((1.0 + request.level) / 2.0))
    for name, value in fit.constants.items():
        design, at = fit.part(name), fit.part_slices[name].start
        assert isinstance(design, ParameterDesign)
        inverse = LINKS[design.link].inverse
        x, se = float(fit.beta_all[at]), math.sqrt(float(fit.covariance_all[at, at]))
        ends = np.sort(np.asarray(inverse(np.array([x - reach * se, x + reach * se])), dtype=float))
        step = 1e-5 * max(abs(x), 1.0)
        slope = np.diff(np.asarray(inverse(np.array([x - step, x + step])), dtype=float))[0] / (2.0 * step)
        out[name] = Estimate(value, abs(float(slope)) * se, float(ends[0]), float(ends[1]))
    return out


def _explained(fit: GeneralisedFit, request: Request, notes: list[str]) -> dict[str, float]:
    """R2 and ICC as ``fit.performance()``, where they are defined and not costly, or are asked for."""
    from ..frequentist.generalised_r_squared import has_r_squared

    if not has_r_squared(fit):
        return {}
    cheap = fit.n <= MOST_ROWS if request.criteria is None else request.criteria
    if not cheap and not NEEDING_A_FIT & set(request.wanted):
        if request.criteria is None:
            notes.append("R2 and ICC need a fit of the model without predictors; criteria=True computes them")
        return {}
    found = fit.performance()
    labels = {"R2 Marg.": "R2_marginal", "R2 Cond.": "R2_conditional", "ICC": "ICC"}
    return {label: float(found[name]) for label, name in labels.items()}
