"""Variances of weighted sums of a generalised mixed model's linear predictors.

Given theta and coefficients the effects b have about the covariance B = Lambda M^-1 Lambda' about their mode, and the
mode moves with all parameters. So a row (x, z) has variance z'Bz + g'Vg, g the derivative of x'beta + z'b by the
parameters and V their covariance from the Hessian of the criterion (Kass and Steffey 1989, JASA 84; so TMB: Kristensen
et al. 2016, JSS 70(5)). Given the covariance parameters, as lme4 from 1.1-35 on, it is the joint distribution of
coefficients and effects that the penalised likelihood has at its mode: g is x - D'z with D = B Z'WX, V that of the
coefficients (see `predict`, Henderson's equations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .generalised_hessian import STEP
from .generalised_tests import coefficient_covariance
from .predict import BLOCK, effects_variance

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["Directions", "coefficient_shifts", "moves_along", "prediction_variance"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]
Codes = NDArray[np.int64]


def prediction_variance(
    fit: GeneralisedFit,
    X: Sequence[Matrix] | None,
    known: Sequence[Matrix],
    codes: Sequence[Codes],
    gradient: Matrix,
    use_hessian: bool | None = None,
) -> Vector:
    """(m,) variance of sums over the linear predictors of ``gradient`` (D, m) times x'beta + z'b.

    ``X``: by linear predictor (m, p_d), or None for z'b alone; ``known``, ``codes``: by term of ``design.all_terms``
    (m, k), zero where an effect is not known, and (m,).
    """
    terms = fit.design.all_terms
    places = [fit.parts.index(owner) for owner in fit.design.term_parameters]
    weights = [z * gradient[d][:, None] for z, d in zip(known, places, strict=True)]
    codes = [np.where((c >= 0) & (c < len(t.levels)), c, 0) for c, t in zip(codes, terms, strict=True)]
    directions, middle = _directions(fit, use_hessian, any(z.any() for z in weights))
    m = gradient.shape[1]
    out = np.empty(m)
    for start in range(0, m, BLOCK):
        part = slice(start, start + BLOCK)
        moved = np.zeros((len(out[part]), len(middle)))
        if X is not None:
            for d, at in enumerate(fit.part_slices.values()):
                moved += (X[d][part] * gradient[d][part, None]) @ directions.beta[at]
        for t, shift in enumerate(directions.effects):
            for a in range(weights[t].shape[1]):
                moved += weights[t][part, a, None] * shift[codes[t][part], a]
        out[part] = np.einsum("mr,rs,ms->m", moved, middle, moved, optimize=True)
    conditional = effects_variance(fit.evaluation, terms, weights, codes)
    return out + fit.sigma**2 * conditional


@dataclass(frozen=True, eq=False)
class Directions:
    """How coefficients, ``beta`` (P, r), and by term ``effects`` (J, k, r) move along r directions."""

    beta: Matrix
    effects: list[Stack]


def _directions(fit: GeneralisedFit, use_hessian: bool | None, effects: bool) -> tuple[Directions, Matrix]:
    """Directions, and (r, r) the covariance of the moves along them. ``effects``: whether any are predicted."""
    V = coefficient_covariance(fit, use_hessian)
    if not effects:
        return Directions(np.eye(len(V)), []), V
    if use_hessian is None:
        use_hessian = fit.nodes > 0 and fit.curvature.coefficient_covariance is not None
    if not use_hessian:
        return Directions(np.eye(len(V)), [-D for D in coefficient_shifts(fit)]), V
    return fit.directions, 2.0 * np.linalg.inv(fit.curvature.hessian)


def coefficient_shifts(fit: GeneralisedFit) -> list[Stack]:
    """For each of ``design.all_terms`` (J, k, P): Lambda M^-1 Lambda' Z'WX, by how much its effects fall when a
    coefficient rises by 1."""
    evaluation, problem = fit.evaluation, fit.problem
    rows, approximation = problem.rows, evaluation.approximation
    W = approximation.mode.local.expected if problem.model.expected else approximation.information
    sides = [np.zeros((f.size, rows.coefficients, f.levels)) for f in rows.plan.factors]
    for e, at in enumerate(rows.slices):
        for c, x in enumerate(rows.bases[e].T, at.start):
            for side, values in zip(sides, rows.transposed_varying(W[:, e] * x), strict=True):
                side[:, c] = values
    solved = evaluation.factorisation.solve_effects(sides)
    triangles = np.linalg.inv(problem.rotation)
    out = []
    for (f, part), scale in zip(problem.places, problem.scales, strict=True):
        on_basis = (solved[f][part] / scale[:, None, None]).transpose(2, 0, 1)
        out.append(on_basis @ triangles)
    return out


def moves_along(fit: GeneralisedFit, metric: Matrix) -> Directions:
    """Central differences of coefficients and modes of the effects along the columns of ``metric``."""
    here = fit.optimum.parameters
    beta, effects = [], []
    for direction in metric.T:
        ahead, behind = (fit.problem.evaluate(here + s * STEP * direction) for s in (1.0, -1.0))
        beta.append((ahead.beta - behind.beta) / (2.0 * STEP))
        pairs = zip(ahead.effects(), behind.effects(), strict=True)
        effects.append([(one - other) / (2.0 * STEP) for one, other in pairs])
    fit.problem.evaluate(here)
    by_term = [np.stack(list(moves), axis=-1) for moves in zip(*effects, strict=True)]
    return Directions(np.stack(beta, axis=1), by_term)
