"""Explained variance of generalised mixed models: marginal and conditional R2, intraclass correlations.

Nakagawa, Johnson and Schielzeth (2017, J R Soc Interface 14:20170213), as ``MuMIn::r.squaredGLMM``: on the scale of
the link, the variance of the predictions from the population coefficients, the group effects' (for random slopes its
mean over the rows: Johnson 2014, Methods Ecol Evol 5:944), and that which the response distribution adds to a row. The
last is known for a latent variable ("theoretical") or approximated: by the delta method, by the variance of a
lognormal variable, or by the trigamma function. It is evaluated at the mean of the model without predictors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.links import LINKS
from ..formula.predictor import Predictor
from ..messages import inform
from ..terms.population import PopulationDesign
from .r_squared import effect_variances

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = [
    "GeneralisedVariances",
    "has_r_squared",
    "icc",
    "icc_by_group",
    "null_model",
    "r_squared",
    "variances",
]

Vector = NDArray[np.float64]

LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}
"""Variances of the latent variables whose sign a binomial response is."""
SUPPORTED = {
    "binomial": ("logit", "probit", "cloglog"),
    "bernoulli": ("logit", "probit", "cloglog"),
    "poisson": ("log", "sqrt"),
    "negbinomial": ("log",),
    "nbinom1": ("log",),
    "geometric": ("log",),
    "gamma": ("log",),
}


@dataclass(frozen=True)
class GeneralisedVariances:
    """On the scale of mu's link. ``fixed``: variance of X beta over the rows (denominator n - 1); ``random``: by
    grouping factor the mean over the rows of Var(z'b); ``distribution``: by method what the response distribution adds.
    """

    fixed: float
    random: Mapping[str, float]
    distribution: Mapping[str, float]

    @property
    def effects(self) -> float:
        """Variance of all group effects."""
        return sum(self.random.values())


def variances(fit: GeneralisedFit, per_trial: bool = False) -> GeneralisedVariances:
    """The parts of a fit's variance. Raises `BayesmlmError` where the last is not known."""
    _refuse(fit)
    own = fit.design.terms
    random = effect_variances(own, [fit.sigma * T for T in fit.templates[: len(own)]], fit.n)
    fixed = float(np.var(fit.design.X @ fit.beta, ddof=1)) if fit.p else 0.0
    return GeneralisedVariances(fixed, random, _distribution(fit, per_trial))


def r_squared(fit: GeneralisedFit, per_trial: bool) -> pd.DataFrame:
    """Rows: methods; columns R2m, R2c. See `GeneralisedDiagnosticMethods.r2`."""
    parts = variances(fit, per_trial)
    if fit.is_singular:
        inform(
            "the fit is singular: some group effects have no variance of their own, and the conditional R2 counts what "
            "is left of them"
        )
    explained, varying = parts.fixed, parts.effects
    rows = {
        method: ((explained / total), (explained + varying) / total)
        for method, v in parts.distribution.items()
        for total in (explained + varying + v,)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["R2m", "R2c"])


def icc(fit: GeneralisedFit, per_trial: bool) -> pd.DataFrame:
    """Rows: methods; columns ICC_adjusted, ICC_unadjusted. See `GeneralisedDiagnosticMethods.icc`."""
    parts = variances(fit, per_trial)
    rows = {
        method: (parts.effects / (parts.effects + v), parts.effects / (parts.fixed + parts.effects + v))
        for method, v in parts.distribution.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["ICC_adjusted", "ICC_unadjusted"])


def icc_by_group(fit: GeneralisedFit, per_trial: bool) -> pd.DataFrame:
    """Rows: methods; columns: each grouping factor's share of the variance that the population coefficients leave."""
    parts = variances(fit, per_trial)
    rows = {
        method: [value / (parts.effects + v) for value in parts.random.values()]
        for method, v in parts.distribution.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(parts.random))


def has_r_squared(fit: GeneralisedFit) -> bool:
    """Whether the variance that the response distribution adds is known."""
    return fit.design.link in SUPPORTED.get(fit.family.name, ()) and not _varying_distribution(fit)


def _varying_distribution(fit: GeneralisedFit) -> list[str]:
    return [p.name for p in fit.design.parameters if p.predicted]


def _refuse(fit: GeneralisedFit) -> None:
    name, link = fit.family.name, fit.design.link
    if link not in SUPPORTED.get(name, ()):
        known = "; ".join(f"{family}: {', '.join(links)}" for family, links in SUPPORTED.items())
        raise BayesmlmError(
            f"R2 and ICC are not defined for the family `{name}` with the link {link}: the variance that it adds on "
            f"the scale of the link is known for {known}"
        )
    varying = _varying_distribution(fit)
    if varying:
        raise BayesmlmError(
            f"R2 and ICC need one response distribution for all rows; here `{varying[0]}` has a formula"
        )


# -- what the distribution adds -----------------------------------------------------------------------------------


def _distribution(fit: GeneralisedFit, per_trial: bool) -> dict[str, float]:
    match fit.family.name:
        case "binomial" | "bernoulli":
            return _of_trials(fit, per_trial)
        case "poisson" if fit.design.link == "sqrt":
            return {"delta": 0.25}
        case "poisson":
            return _of_log_mean(1.0 / _null_mean(fit))
        case "nbinom1":
            return _of_log_mean((1.0 + _constant(fit, "phi")) / _null_mean(fit))
        case "negbinomial":
            return _of_log_mean(1.0 / _null_mean(fit) + 1.0 / _constant(fit, "shape"))
        case "geometric":
            return _of_log_mean(1.0 / _null_mean(fit) + 1.0)
        case _:
            dispersion = fit.sigma**2 if fit.has_scale else 1.0 / _constant(fit, "shape")
            return _of_log_mean(dispersion)


def _constant(fit: GeneralisedFit, name: str) -> float:
    """The value of a parameter of the response distribution that is the same in all rows."""
    known = next(p.fixed for p in fit.design.parameters if p.name == name)
    return fit.constants[name] if known is None else known


def _of_log_mean(relative: float) -> dict[str, float]:
    """Variance of log(y) from ``relative``, the variance of y over its squared mean."""
    from scipy.special import polygamma

    return {
        "delta": relative,
        "lognormal": float(np.log1p(relative)),
        "trigamma": float(polygamma(1, 1.0 / relative)),
    }


def _of_trials(fit: GeneralisedFit, per_trial: bool) -> dict[str, float]:
    """MuMIn's of binomial responses, of a row of the mean number of trials."""
    link, trials = fit.design.link, fit.design.trials
    p = _null_proportion(fit)
    match link:
        case "logit":
            delta = 1.0 / (p * (1.0 - p))
        case "probit":
            delta = 2.0 * np.pi * p * (1.0 - p) * np.exp(float(LINKS["probit"].link(np.array(p))) ** 2)
        case _:
            delta = p / (np.log1p(-p) ** 2 * (1.0 - p))
    size = 1.0 if per_trial or trials is None else float(trials.mean())
    return {"theoretical": LATENT[link] / size, "delta": float(delta) / size}


def _null_mean(fit: GeneralisedFit) -> float:
    """exp(intercept + half the variance of the effects) of the model without predictors."""
    intercept, variance = _null_parameters(fit)
    return float(np.exp(intercept + 0.5 * variance))


def _null_proportion(fit: GeneralisedFit) -> float:
    """The mean proportion of the model without predictors, its effects integrated out approximately (McCulloch, Searle
    and Neuhaus 2008, Generalized, Linear, and Mixed Models; so Nakagawa, Johnson and Schielzeth 2017). As in MuMIn the
    formula, which is made for logit, serves all links."""
    intercept, v = _null_parameters(fit)
    moved = intercept - 0.5 * v * np.tanh(intercept * (1.0 + 2.0 * np.exp(-0.5 * v)) / 6.0)
    return float(LINKS[fit.design.link].inverse(np.array(moved)))


def _null_parameters(fit: GeneralisedFit) -> tuple[float, float]:
    null = fit.null_model
    own = null.design.terms
    random = effect_variances(own, [null.sigma * T for T in null.templates[: len(own)]], null.n)
    return float(null.beta[0]), sum(random.values())


def null_model(fit: GeneralisedFit) -> GeneralisedFit:
    """The model with an intercept instead of population columns and offsets, its group terms kept (as MuMIn)."""
    from .generalised_problem import make_generalised_problem
    from .generalised_refit import MOST_EVALUATIONS
    from .generalised_search import optimise_generalised

    design = fit.design
    predictor = Predictor(True, (), ())
    population = PopulationDesign.build(predictor, design.frame, design.state.frozen(), design.functions, {})
    null = replace(design, predictor=predictor, population=population, kept=(0,), offset=None)
    problem = make_generalised_problem(null, fit.nodes, fit.definition)
    limit = int((fit.call.get("control") or {}).get("max_evaluations", MOST_EVALUATIONS))
    optimum, metric = optimise_generalised(problem, None, limit)
    return replace(fit, design=null, problem=problem, optimum=optimum, metric=metric, messages=())
