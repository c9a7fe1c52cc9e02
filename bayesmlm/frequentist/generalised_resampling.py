"""How the bootstrap of a generalised mixed model makes its replicates: responses drawn, or clusters of rows.

Parametric as lme4's ``bootMer``; cases after van der Leeden, Meijer and Busing (2008, Handbook of Multilevel Analysis,
ch. 11). Bootstraps of residuals need residuals that may change places, which counts and binary responses do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, DataError
from ..families.links import LINKS
from ..terms.population import aliased_columns
from .bootstrap import effect_statistics
from .case_resampling import case_resampler, deletions, resampled_terms
from .generalised_names import coefficient_names
from .generalised_refit import refit_design
from .generalised_simulate import source
from .resampling import KINDS, Options
from .response_checks import refuse_constant

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign, ParameterDesign
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = ["default_statistics", "leave_one_out", "resampler"]

Codes = NDArray[np.int64]


def resampler(
    fit: GeneralisedFit, kind: str, options: Options
) -> Callable[[np.random.Generator], GeneralisedFit]:
    """From a random generator to a refitted model. Raises `BayesmlmError` for what the model does not allow."""
    if kind == "case":
        return case_resampler(fit, options, _fit_rows)
    if kind == "parametric":
        drawn = source(fit, options.re_formula)
        return lambda rng: fit.refit(drawn.draw(rng))
    if kind in KINDS:
        raise BayesmlmError(
            f"kind={kind!r} resamples residuals, which is for linear mixed models: a response of `{fit.family.name}` "
            'is no sum of a mean and a residual that might be another row\'s. Use kind="parametric" or "case"'
        )
    raise BayesmlmError(f"kind={kind!r} is no bootstrap; there are parametric, case")


def leave_one_out(fit: GeneralisedFit, group: str | None) -> list[tuple[GeneralisedFit, float]]:
    """The model without each level of the outermost factor, and n over the number of rows left out."""
    return deletions(fit, group, _fit_rows)


def default_statistics(fit: GeneralisedFit) -> pd.Series:
    """Coefficients of all parts (``zi_x``), constants on their own scale (``shape``), then standard deviations and
    correlations of each term under lme4's names (``sd_(Intercept)|herd``), sigma where the dispersion is plugged in."""
    out: dict[str, float] = {}
    for part, at in fit.part_slices.items():
        names, link = coefficient_names(fit, part)
        values = LINKS[link].inverse(fit.beta_all[at]) if link else fit.beta_all[at]
        out |= dict(zip(names, map(float, np.asarray(values)), strict=True))
    terms = zip(fit.design.all_terms, fit.design.term_parameters, fit.templates, strict=True)
    for term, part, T in terms:
        out |= effect_statistics(term, fit.sigma * T, "" if part == "mu" else f"{part}_")
    return pd.Series({**out, "sigma": fit.sigma} if fit.has_scale else out)


def _fit_rows(fit: GeneralisedFit, clusters: MixedTerm, rows: Codes, copies: Codes) -> GeneralisedFit:
    """The model fitted to some rows; ``copies``: (m,) which drawn unit each belongs to. Raises `DataError`."""
    design = fit.design
    resampled: GeneralisedDesign = replace(
        design,
        frame=design.frame.take(rows),
        y=design.y[rows],
        offset=None if design.offset is None else design.offset[rows],
        weights=None if design.weights is None else design.weights[rows],
        trials=None if design.trials is None else design.trials[rows],
        population=replace(design.population, matrix=design.population.matrix[rows]),
        terms=resampled_terms(design.terms, clusters, rows, copies),
        parameters=tuple(_taken(part, clusters, rows, copies) for part in design.parameters),
        used=np.ones(len(rows), dtype=bool),
        na_action="omit",
        messages=(),
    )
    everything: list[GeneralisedDesign | ParameterDesign] = [resampled, *resampled.parameters]
    for part in everything:
        lost = aliased_columns(part.X)
        if lost:
            name = part.coefficients[lost[0]]
            raise DataError(f"`{name}` cannot be estimated from the rows that were drawn")
    refuse_constant(
        resampled.y, resampled.trials, resampled.weights, design.family, design.formula, design.levels
    )
    return refit_design(fit, resampled)


def _taken(part: ParameterDesign, clusters: MixedTerm, rows: Codes, copies: Codes) -> ParameterDesign:
    """A further part's predictor on some rows."""
    population = part.population
    return replace(
        part,
        n=len(rows),
        population=None if population is None else replace(population, matrix=population.matrix[rows]),
        offset=None if part.offset is None else part.offset[rows],
        terms=resampled_terms(part.terms, clusters, rows, copies),
    )
