"""Likelihood profiles of a generalised mixed model, and its parameters as profiles and intervals name them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.links import LINKS
from .generalised_names import coefficient_names
from .held import Held, Point, plain
from .held_generalised import held_generalised
from .profile import Profile, cutoff_of
from .profile_curve import profile_curve
from .profile_parameters import Parameter, select_parameters, term_parameters, theta_values

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["generalised_parameters", "generalised_values", "profile", "select_generalised"]

Vector = NDArray[np.float64]

ADVICE = (
    "the fit had not converged (fit again from another start=), or effects are so large there that Laplace's "
    "approximation breaks down (with one scalar effect, use quadrature: nAGQ=)"
)
WIDEST = 3.0
"""Most that a linear predictor changes, by root mean square, over the length that a coefficient's steps begin with:
under separation standard errors have no bounds."""


def profile(
    fit: GeneralisedFit,
    which: Any = None,
    alphamax: float = 0.01,
    old_names: bool = True,
    reach: float | None = None,
    parts: Any = None,
) -> Profile:
    """See `GeneralisedFit.profile`. ``reach``: how far zeta goes, instead of what ``alphamax`` says."""
    _refuse(fit)
    parameters = generalised_parameters(fit)
    cutoff = cutoff_of(alphamax, len(parameters)) if reach is None else reach
    curves = []
    for parameter in select_generalised(fit, parameters, which, parts):
        model = held_generalised(fit.problem, parameter.held, fit.optimum.parameters, fit.metric)
        curves.append(profile_curve(model, parameter, fit.criterion, cutoff, ADVICE))
    return Profile(fit, parameters, tuple(curves), old_names, partial(_values_of_point, fit))


def _refuse(fit: GeneralisedFit) -> None:
    if fit.has_scale:
        raise BayesmlmError(
            f"the dispersion of `{fit.family.name}` is taken from the residuals, as in lme4, which has no profile of "
            'such a model either: fit with laplace="observed", where it is a parameter like any other, or use '
            'method="wald" or "boot"'
        )
    if fit.nodes == 0:
        raise BayesmlmError(
            "with nAGQ=0 the coefficients are found with the effects, and have no likelihood of their own to profile: "
            'fit with nAGQ=1, or use method="wald" or "boot"'
        )


def generalised_parameters(fit: GeneralisedFit) -> tuple[Parameter, ...]:
    """All parameters: of each term the lower triangle of standard deviations and correlations by columns, mu's terms
    first; sigma where the dispersion is plugged in; the coefficients of mu, of further parts under brms's names, and
    constants under their own."""
    out: list[Parameter] = []
    for term, part in enumerate(fit.design.term_parameters):
        prefix = "" if part == "mu" else f"{part}_"
        out += term_parameters(fit, fit.design.all_terms, term, len(out), _lengths(fit, term), prefix, part)
    charts = plain(fit.problem)
    if fit.has_scale:
        sigma = fit.sigma
        out.append(Parameter(".sigma", "sigma", Held("sigma", charts), sigma, 0.0, np.inf, sigma, open=True))
    errors = np.sqrt(np.maximum(np.diag(fit.covariance_all), 0.0))
    for part, at in fit.part_slices.items():
        names, link = coefficient_names(fit, part)
        for column, name in zip(range(at.start, at.stop), names, strict=True):
            scale = min(float(errors[column]), _widest(fit, part, column - at.start))
            estimate = float(fit.beta_all[column])
            held = Held("beta", charts, column=column)
            out.append(Parameter(name, name, held, estimate, -np.inf, np.inf, scale, link=link, part=part))
    return tuple(out)


def _widest(fit: GeneralisedFit, part: str, column: int) -> float:
    """The length over which a coefficient changes its linear predictor by `WIDEST`."""
    design = fit.part(part)
    link = design.link
    if link in ("identity", "inverse", "1/mu^2", "sqrt"):
        return np.inf
    size = float(np.sqrt((design.X[:, column] ** 2).mean()))
    return WIDEST / size if size > 0.0 else np.inf


def _lengths(fit: GeneralisedFit, term: int) -> Vector:
    """(k,) standard deviations of the effects that may be told from zero, as far as the search's metric knows."""
    problem = fit.problem
    at, covariance = problem.slices[term], problem.covariances[term]
    places = np.flatnonzero(covariance.lower == 0.0)
    step = np.linalg.norm(fit.metric[at], axis=1)[places]
    found: Vector = np.sqrt(2.0) * step / problem.scales[term][: len(step)]
    return found


def generalised_values(fit: GeneralisedFit) -> Vector:
    """The estimates of all parameters, in the order of `generalised_parameters`."""
    sigma = [fit.sigma] if fit.has_scale else []
    found = theta_values(fit.design.all_terms, fit.templates, fit.sigma)
    return np.array([*found, *sigma, *_natural(fit, fit.beta_all)])


def _values_of_point(fit: GeneralisedFit, point: Point) -> list[float]:
    scales = fit.problem.scales
    templates = [T / scale[:, None] for T, scale in zip(point.templates, scales, strict=True)]
    return [*theta_values(fit.design.all_terms, templates, 1.0), *_natural(fit, point.beta)]


def _natural(fit: GeneralisedFit, beta: Vector) -> list[float]:
    """Coefficients, and constants on their own scale."""
    out: list[float] = []
    for part, at in fit.part_slices.items():
        _, link = coefficient_names(fit, part)
        out += [float(LINKS[link].inverse(np.float64(b))) if link else float(b) for b in beta[at]]
    return out


def select_generalised(
    fit: GeneralisedFit, parameters: tuple[Parameter, ...], which: Any, parts: Any
) -> list[Parameter]:
    """Those meant by ``which`` (see `select_parameters`) that belong to ``parts`` (None: all). Raises
    `BayesmlmError`."""
    chosen = select_parameters(parameters, which)
    if parts is None:
        return chosen
    wanted = [parts] if isinstance(parts, str) else list(parts)
    for name in wanted:
        fit.part(name)
    return [p for p in chosen if p.part in wanted]
