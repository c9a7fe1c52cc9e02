"""Predictions of linear mixed models, and the uncertainty of what they are made of.

The joint covariance of (beta, b - b_hat) given the covariance parameters is that of Henderson's mixed model
equations (Henderson 1975, Biometrics 31, 423-447): with B = sigma^2 Lambda M^-1 Lambda' and D = B Z'WX / sigma^2, a
row (x, z) has variance z'Bz + (x - D'z)' Var(beta) (x - D'z).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .prediction_rows import PredictionRows, fitted_rows, included_effects, new_rows, refuse_new_levels

if TYPE_CHECKING:
    from ..marginal.evaluate import Factorisation
    from .covariance_parameters import CovarianceParameters
    from .fit import MixedFit
    from .mixed_terms import MixedTerm

__all__ = ["effect_weights", "effects_sum", "effects_variance", "predict", "prediction_variance"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
Stack = NDArray[np.float64]
Mask = NDArray[np.bool_]

INTERVALS = ("confidence", "prediction")
BLOCK = 50_000
"""Rows whose coefficients are held at a time."""
SOLUTION = 20_000_000
"""Numbers that one solution for several levels may hold."""


def predict(
    fit: MixedFit,
    newdata: Any,
    *,
    re_formula: Any,
    se: bool,
    interval: str | None,
    level: float,
    allow_new_levels: bool,
    random_only: bool,
    na_action: str,
) -> Any:
    """See `MixedFit.predict`."""
    if interval not in (None, *INTERVALS):
        raise BayesmlmError(f'interval must be "confidence" or "prediction", not {interval!r}')
    if not 0.0 < level < 1.0:
        raise BayesmlmError(f"level={level} must lie between 0 and 1")
    wanted = included_effects(fit, re_formula)
    rows = _rows(fit, newdata, wanted, interval == "prediction", not random_only, na_action)
    if not allow_new_levels:
        refuse_new_levels(rows, fit.design.terms, wanted)
    known = [
        effect_weights(Z, codes, b, mask)
        for Z, codes, b, mask in zip(rows.Z, rows.codes, fit.b, wanted, strict=True)
    ]
    eta = effects_sum(known, rows.codes, fit.b)
    if not random_only:
        eta += rows.X @ fit.beta + rows.offset
    if not se and interval is None:
        return rows.padded(eta)
    variance = fit.sigma**2 * prediction_variance(fit, None if random_only else rows.X, known, rows.codes)
    columns = {"fit": eta}
    if interval is not None:
        from scipy.stats import norm

        spread = variance if interval == "confidence" else variance + _new_variance(fit, rows, known)
        half = norm.ppf(0.5 + level / 2.0) * np.sqrt(spread)
        columns |= {"lwr": eta - half, "upr": eta + half}
    if se:
        columns["se.fit"] = np.sqrt(variance)
    return pd.DataFrame({name: rows.padded(v) for name, v in columns.items()}, index=rows.index)


def _rows(
    fit: MixedFit, newdata: Any, wanted: Sequence[Mask], all_columns: bool, population: bool, na_action: str
) -> PredictionRows:
    if newdata is None:
        return fitted_rows(fit.design, fit.data)
    groups = [bool(mask.any()) for mask in wanted]
    columns = [all_columns or group for group in groups]
    return new_rows(fit, newdata, population=population, columns=columns, groups=groups, na_action=na_action)


def effect_weights(Z: Matrix, codes: Codes, b: Matrix, mask: Mask) -> Matrix:
    """(m, k) what the estimated effects of each row's level are multiplied by: zero for effects that are left out and
    for levels that the fit did not have."""
    there = (codes >= 0) & (codes < len(b))
    return Z if mask.all() and there.all() else np.where(there[:, None] & mask, Z, 0.0)


def effects_sum(weights: Sequence[Matrix], codes: Sequence[Codes], effects: Sequence[Matrix]) -> Vector:
    """(m,) sum over terms of z'b; ``weights`` are zero where a level has no effects."""
    total = np.zeros(len(weights[0]))
    for z, at, b in zip(weights, codes, effects, strict=True):
        total += np.einsum("mk,mk->m", z, b[_inside(at, len(b))])
    return total


def _inside(codes: Codes, levels: int) -> Codes:
    """Codes with 0 for levels outside the fit, whose weights are zero."""
    return np.where((codes >= 0) & (codes < levels), codes, 0)


def _new_variance(fit: MixedFit, rows: PredictionRows, known: Sequence[Matrix]) -> Vector:
    """(m,) variance of a new observation about its expected value: the residual's and that of effects that were not
    predicted."""
    total = fit.sigma**2 / rows.weights
    for Z, used, T in zip(rows.Z, known, fit.templates, strict=True):
        total = total + fit.sigma**2 * (((Z - used) @ T) ** 2).sum(axis=1)
    return total


def prediction_variance(
    fit: MixedFit, X: Matrix | None, weights: Sequence[Matrix], codes: Sequence[Codes]
) -> Vector:
    """(m,) Var(x'beta + z'b - estimate) / sigma^2, given the covariance parameters.

    ``X``: (m, p), or None for z'b alone; ``weights``: by term (m, k), zero where a level is new; ``codes``: by term
    (m,).
    """
    levels = [len(t.levels) for t in fit.design.terms]
    codes = [_inside(c, j) for c, j in zip(codes, levels, strict=True)]
    active = [t for t, z in enumerate(weights) if z.any()]
    D = coefficient_shifts(fit)
    vcov = fit.evaluation.vcov_unscaled
    out = np.empty(len(weights[0]))
    for start in range(0, len(out), BLOCK):
        part = slice(start, start + BLOCK)
        shifted = np.zeros((len(out[part]), fit.p)) if X is None else X[part].copy()
        for t in active:
            for a in range(weights[t].shape[1]):
                shifted -= weights[t][part, a, None] * D[t][:, a, :][codes[t][part]]
        out[part] = np.einsum("mp,pq,mq->m", shifted, vcov, shifted, optimize=True)
    return out + effects_variance(fit.evaluation, fit.design.terms, weights, codes)


def coefficient_shifts(fit: MixedFit) -> list[Stack]:
    """For each term (J, k, p): Lambda M^-1 Lambda' Z'WX, how its effects answer to the coefficients."""
    design = fit.design
    X = design.X if design.weights is None else design.X * design.weights[:, None]
    sides = []
    for term in design.terms:
        side = np.empty((len(term.levels), term.size, fit.p))
        for a in range(term.size):
            for c in range(fit.p):
                side[:, a, c] = np.bincount(term.codes, term.Z[:, a] * X[:, c], len(term.levels))
        sides.append(side)
    return fit.evaluation.solve_effects(sides)


class EffectSolver(Protocol):
    """An evaluation of a likelihood that knows the conditional covariances of its effects."""

    @property
    def problem(self) -> CovarianceParameters:
        """What it was evaluated for."""
        ...

    @property
    def factorisation(self) -> Factorisation:
        """M, factorised."""
        ...

    def solve_effects(self, right: Sequence[Stack]) -> list[Stack]:
        """Lambda M^-1 Lambda' times right-hand sides, both by term (J, k, r)."""
        ...


def effects_variance(
    solver: EffectSolver, terms: Sequence[MixedTerm], weights: Sequence[Matrix], codes: Sequence[Codes]
) -> Vector:
    """(m,) z' Lambda M^-1 Lambda' z: blocks of levels for each pair of terms. ``weights``, ``codes``: by term (m, k)
    and (m,), the weights zero where a level is new."""
    total = np.zeros(len(weights[0]))
    active = [t for t, z in enumerate(weights) if z.any()]
    if not active:
        return total
    codes = [_inside(c, len(t.levels)) for c, t in zip(codes, terms, strict=True)]
    problem, blocks = solver.problem, solver.factorisation.conditional_blocks()
    for s in active:
        for t in (t for t in active if t <= s):
            (f, at), (g, there) = problem.places[s], problem.places[t]
            if f == g and (s == t or np.array_equal(codes[s], codes[t])):
                scale = problem.scales[s][:, None] * problem.scales[t]
                B = np.moveaxis(blocks[f][at, there], -1, 0) / scale
                value = np.einsum("ma,mab,mb->m", weights[s], B[codes[s]], weights[t])
            else:
                value = _cross_variance(solver, terms, (s, t), weights, codes)
            total += value if s == t else 2.0 * value
    return total


def _cross_variance(
    solver: EffectSolver,
    terms: Sequence[MixedTerm],
    pair: tuple[int, int],
    weights: Sequence[Matrix],
    codes: Sequence[Codes],
) -> Vector:
    """(m,) z_s' B_st z_t of two crossed or nested terms: B's columns for the levels of the term that has fewer."""
    occurring = {i: np.unique(codes[i]) for i in pair}
    s, t = sorted(pair, key=lambda i: -len(occurring[i]) * terms[i].size)
    k = terms[t].size
    step = max(1, min(256, SOLUTION // sum(term.count for term in terms)) // k)
    order = np.argsort(codes[t], kind="stable")
    out = np.zeros(len(weights[0]))
    for start in range(0, len(occurring[t]), step):
        levels = occurring[t][start : start + step]
        sides = [np.zeros((len(term.levels), term.size, len(levels) * k)) for term in terms]
        for a in range(k):
            sides[t][levels, a, np.arange(len(levels)) * k + a] = 1.0
        found = solver.solve_effects(sides)[s]
        first, last = np.searchsorted(codes[t][order], [levels[0], levels[-1] + 1])
        rows = order[first:last]
        place = np.searchsorted(levels, codes[t][rows])
        B = found.reshape(len(found), terms[s].size, len(levels), k)[codes[s][rows], :, place, :]
        out[rows] = np.einsum("ma,mab,mb->m", weights[s][rows], B, weights[t][rows])
    return out
