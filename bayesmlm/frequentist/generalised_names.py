"""Names of the coefficients of all parts of a generalised model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .generalised_design import ParameterDesign

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["all_coefficient_names", "coefficient_names"]


def coefficient_names(fit: GeneralisedFit, part: str) -> tuple[list[str], str]:
    """Names of a part's coefficients: R's of mu, brms's of others (``zi_x``), of a constant its own (``shape``); and of
    a constant the link on whose scale the coefficient is."""
    design = fit.part(part)
    if not isinstance(design, ParameterDesign):
        return list(design.coefficients), ""
    if design.population is None:
        return [part] * len(design.coefficients), design.link
    return [f"{part}_{design.population.names[i]}" for i in design.kept], ""


def all_coefficient_names(fit: GeneralisedFit) -> list[str]:
    """(P,) names, part by part."""
    return [name for part in fit.parts for name in coefficient_names(fit, part)[0]]
