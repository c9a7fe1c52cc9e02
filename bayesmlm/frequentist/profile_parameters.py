"""The parameters of a linear mixed model as profiles and intervals name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..covariance import Diagonal, Unstructured
from ..errors import BayesmlmError
from ..families.links import LINKS
from .held import Held, Point, held_correlation, held_deviation, plain

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "Parameter",
    "parameter_values",
    "profile_parameters",
    "select_parameters",
    "table_of_point",
    "term_parameters",
    "theta_values",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parameter:
    """``name`` ``.sig01``, ``long_name`` ``sd_(Intercept)|g`` (of sigma and coefficients nearly the same).

    ``estimate``, ``lower``, ``upper`` and ``scale`` (a length over which it may change) are coordinates, which for an
    unstructured correlation are its arc sine (``sine``), and of a constant of the family its ``link``; ``open``: the
    lower bound itself is not a value; ``part``: the distributional parameter that it belongs to.
    """

    name: str
    long_name: str
    held: Held
    estimate: float
    lower: float
    upper: float
    scale: float
    sine: bool = False
    open: bool = False
    link: str = ""
    part: str = "mu"

    def label(self, old_names: bool) -> str:
        """The name in use."""
        return self.name if old_names else self.long_name

    def value(self, coordinate: float) -> float:
        """The parameter at a coordinate."""
        if self.link:
            return float(LINKS[self.link].inverse(np.float64(coordinate)))
        return float(np.sin(coordinate)) if self.sine else coordinate

    @property
    def is_theta(self) -> bool:
        """Whether it is a parameter of the covariances: what R means by ``theta_``."""
        return self.held.kind != "beta"


def profile_parameters(fit: MixedFit) -> tuple[Parameter, ...]:
    """All parameters in lme4's order: of each term the lower triangle of standard deviations and correlations by
    columns, then sigma and the coefficients."""
    out: list[Parameter] = []
    for term in range(len(fit.design.terms)):
        lengths = 0.2 * fit.sigma / fit.problem.scales[term]
        out += term_parameters(fit, fit.design.terms, term, len(out), lengths)
    sigma, charts = fit.sigma, plain(fit.problem)
    held = Held("sigma", charts)
    out.append(Parameter(".sigma", "sigma", held, sigma, 0.0, np.inf, sigma, open=True))
    errors = np.sqrt(np.diag(fit.covariance))
    for column, name in enumerate(fit.design.coefficients):
        held = Held("beta", charts, column=column)
        at = float(fit.beta[column])
        out.append(Parameter(name, name, held, at, -np.inf, np.inf, float(errors[column])))
    return tuple(out)


def term_parameters(
    fit: MixedFit | GeneralisedFit,
    terms: Sequence[MixedTerm],
    term: int,
    count: int,
    lengths: Vector,
    prefix: str = "",
    part: str = "mu",
) -> list[Parameter]:
    """The parameters of one of ``terms``, after ``count`` others. ``lengths``: (k,) over which its standard deviations
    may change if they are zero; ``prefix``: of the long names' effects; ``part``: whose term it is."""
    design, problem = terms[term], fit.problem
    covariance, group, names = design.covariance, design.group, design.names
    sds, correlations = deviations(fit.templates[term], fit.sigma)
    out: list[Parameter] = []

    def add(long_name: str, held: Held, estimate: float, bounds: tuple[float, float], scale: float) -> None:
        name = f".sig{count + len(out) + 1:02d}"
        sine = held.kind == "cor" and isinstance(covariance, Unstructured)
        out.append(Parameter(name, long_name, held, estimate, *bounds, scale, sine, part=part))

    def add_sd(place: int, label: str) -> None:
        width = max(float(sds[place]), float(lengths[place]))
        add(label, held_deviation(problem, term, place), float(sds[place]), (0.0, np.inf), width)

    if isinstance(covariance, Unstructured):
        for column in range(covariance.size):
            add_sd(column, f"sd_{prefix}{names[column]}|{group}")
            for row in range(column + 1, covariance.size):
                held = held_correlation(problem, term, column, row)
                angle = float(np.arcsin(np.clip(np.nan_to_num(correlations[row, column]), -1.0, 1.0)))
                label = f"cor_{prefix}{names[row]}.{names[column]}|{group}"
                add(label, held, angle, (-np.pi / 2, np.pi / 2), 1.0)
        return out
    suffix = "" if part == "mu" else f"_{part}"
    count_sds = len(covariance.start) - (not isinstance(covariance, Diagonal) and covariance.size > 1)
    for place in range(count_sds):
        add_sd(
            place,
            f"sd_{prefix}{names[place]}|{group}" if count_sds == covariance.size else f"sd{suffix}|{group}",
        )
    if count_sds < len(covariance.start):
        rho = float(fit.parameters[problem.slices[term]][-1])
        bounds = (float(covariance.lower[-1]), float(covariance.upper[-1]))
        add(f"cor{suffix}|{group}", held_correlation(problem, term), rho, bounds, 1.0)
    return out


def deviations(template: Matrix, sigma: float) -> tuple[Vector, Matrix]:
    """Standard deviations (k,) and correlations (k, k; NaN with an effect without variance) of a relative factor."""
    covariance = sigma**2 * template @ template.T
    sds = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        return sds, covariance / np.outer(sds, sds)


def table_of_point(fit: MixedFit, point: Point) -> list[float]:
    """The values of all parameters at a point of a profile, in the order of `profile_parameters`."""
    scales = fit.problem.scales
    templates = [T / scale[:, None] for T, scale in zip(point.templates, scales, strict=True)]
    found = theta_values(fit.design.terms, templates, point.sigma)
    return [*found, point.sigma, *map(float, point.beta)]


def parameter_values(fit: MixedFit) -> Vector:
    """The estimates of all parameters, in the order of `profile_parameters`."""
    return np.array([*theta_values(fit.design.terms, fit.templates, fit.sigma), fit.sigma, *fit.beta])


def theta_values(terms: Sequence[MixedTerm], templates: Sequence[Matrix], sigma: float) -> list[float]:
    """Standard deviations and correlations of all terms, in the order of `profile_parameters`."""
    values: list[float] = []
    for term, T in zip(terms, templates, strict=True):
        sds, correlations = deviations(T, sigma)
        covariance = term.covariance
        if isinstance(covariance, Unstructured):
            for column in range(covariance.size):
                values += [float(sds[column]), *map(float, correlations[column + 1 :, column])]
            continue
        count = len(covariance.start) - (not isinstance(covariance, Diagonal) and covariance.size > 1)
        values += [float(x) for x in sds[:count]]
        values += [float(correlations[1, 0])] * (len(covariance.start) - count)
    return values


def select_parameters(parameters: Sequence[Parameter], which: Any) -> list[Parameter]:
    """Those meant by ``which``: None (all), "theta_", "beta_", or names, short or long. Raises `BayesmlmError`."""
    if which is None:
        return list(parameters)
    wanted = [which] if isinstance(which, str) else list(which)
    out: list[Parameter] = []
    for name in wanted:
        if name in ("theta_", "beta_"):
            found = [p for p in parameters if p.is_theta == (name == "theta_")]
        else:
            found = [p for p in parameters if name in (p.name, p.long_name)]
        if not found:
            known = ", ".join(p.name for p in parameters)
            raise BayesmlmError(
                f'the model has no parameter {name!r}; it has {known}, or "theta_" and "beta_"'
            )
        out += [p for p in found if not any(p is q for q in out)]
    return out
