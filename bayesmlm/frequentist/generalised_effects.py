"""Group effects of generalised mixed models, by distributional parameter: modes, covariances, printed tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .effects_table import GroupTables, RandomEffects, effect_tables, level_coefficients
from .var_corr import EffectCovariance, covariances_of, frame_of, lines_of, principal_components

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "PartEffects",
    "coefficients_by_group",
    "effects_of",
    "part_covariances",
    "random_effect_pca",
    "random_effects",
    "var_corr_frame",
    "var_corr_lines",
    "varying_parts",
]

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PartEffects:
    """The group terms of one distributional parameter: ``places`` among all terms of the model, the ``terms``, and
    their relative factors ``templates`` (k, k)."""

    places: tuple[int, ...]
    terms: tuple[MixedTerm, ...]
    templates: tuple[Matrix, ...]


def effects_of(fit: GeneralisedFit, part: str) -> PartEffects:
    """The group terms of ``part``, which may be none. Raises `BayesmlmError` for a part the model does not have."""
    fit.part(part)
    places = tuple(i for i, name in enumerate(fit.design.term_parameters) if name == part)
    terms, templates = fit.design.all_terms, fit.templates
    return PartEffects(places, tuple(terms[i] for i in places), tuple(templates[i] for i in places))


def varying_parts(fit: GeneralisedFit) -> list[str]:
    """The distributional parameters that have group effects."""
    return [name for name in fit.parts if name in fit.design.term_parameters]


def random_effects(
    fit: GeneralisedFit, cond_var: bool, which: str | Iterable[str] | None, part: str
) -> RandomEffects:
    """See `GeneralisedTableMethods.ranef`."""
    own = effects_of(fit, part)
    if not own.terms:
        raise BayesmlmError(f"`{part}` has no group effects; {', '.join(varying_parts(fit))} has them")
    covariances = None
    if cond_var:
        unscaled = fit.evaluation.effect_covariances()
        covariances = [fit.sigma**2 * unscaled[i] for i in own.places]
    return effect_tables(own.terms, [fit.b[i] for i in own.places], covariances, which)


def coefficients_by_group(fit: GeneralisedFit, part: str) -> GroupTables:
    """See `GeneralisedTableMethods.coef`."""
    return level_coefficients(random_effects(fit, False, None, part), fit.fixef(part))


def part_covariances(fit: GeneralisedFit, part: str) -> list[EffectCovariance]:
    """For each term of a part the covariance matrix of its effects, on the scale of the link."""
    own = effects_of(fit, part)
    return covariances_of(own.terms, own.templates, fit.sigma)


def _residual(fit: GeneralisedFit, part: str) -> float | None:
    return fit.sigma if fit.has_scale and part == "mu" else None


def var_corr_frame(fit: GeneralisedFit, order: str, part: str | None) -> pd.DataFrame:
    """See `GeneralisedTableMethods.VarCorr`."""
    if part is not None:
        return frame_of(part_covariances(fit, part), _residual(fit, part), order)
    names = varying_parts(fit)
    frames = [frame_of(part_covariances(fit, name), _residual(fit, name), order) for name in names]
    if names == ["mu"]:
        return frames[0]
    for name, frame in zip(names, frames, strict=True):
        frame.insert(0, "part", name)
    return pd.concat(frames, ignore_index=True)


def var_corr_lines(fit: GeneralisedFit, part: str, digits: int, components: Sequence[str]) -> list[str]:
    """lme4's table of the group effects of one part."""
    return lines_of(part_covariances(fit, part), _residual(fit, part), digits, components)


def random_effect_pca(fit: GeneralisedFit, part: str) -> dict[str, pd.DataFrame]:
    """See `GeneralisedTableMethods.rePCA`."""
    own = effects_of(fit, part)
    return principal_components(own.terms, own.templates)
