"""Leverage, residuals on a common scale, and what the fit would be without a row or a group.

Leverage: d fitted / d y at the estimated variances, the diagonal of the hat matrix of the penalised least-squares
problem (Bates, Maechler, Bolker and Walker 2015, JSS 67(1), sec. 3.4). Deletion fits estimate all parameters again,
from the optimum of the whole fit (Nieuwenhuis, te Grotenhuis and Pelzer 2012, R Journal 4(2):38).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning, DataError
from ..terms.population import aliased_columns
from .all_fit import criterion_hessian
from .design import MixedDesign
from .mixed_terms import MixedTerm
from .optimise import Optimum, optimise
from .problem import Problem, make_problem
from .var_corr import component_names, effect_covariances

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["Influence", "cooks_distance", "hat_values", "influence", "standardised_residuals"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

BATCH = 256
"""Effects whose covariances with all others are held at a time."""


def hat_values(fit: MixedFit) -> Vector:
    """(n,) diagonal of the hat matrix.

    With C = Lambda M^-1 Lambda', r = x - Z'WX-adjusted population columns: w (z'Cz + r' (X'V^-1X)^-1 r).
    """
    design, evaluation = fit.design, fit.evaluation
    weights = np.ones(fit.n) if design.weights is None else design.weights
    out = _effect_leverage(fit)
    if fit.p:
        WX = design.X * weights[:, None]
        right = [_by_level(t, WX) for t in design.terms]
        G = evaluation.solve_effects(right)
        rest = design.X.copy()
        for term, g in zip(design.terms, G, strict=True):
            rest -= np.einsum("nk,nkp->np", term.Z, g[term.codes])
        out += np.einsum("np,pq,nq->n", rest, evaluation.vcov_unscaled, rest)
    return weights * out


def _by_level(term: MixedTerm, columns: Matrix) -> Stack:
    """(J, k, c): Z' columns of one term."""
    out = np.empty((len(term.levels), term.size, columns.shape[1]))
    for a in range(term.size):
        for c in range(columns.shape[1]):
            out[:, a, c] = np.bincount(term.codes, term.Z[:, a] * columns[:, c], len(term.levels))
    return out


def _effect_leverage(fit: MixedFit) -> Vector:
    """(n,) z' Lambda M^-1 Lambda' z: from the blocks of each level, and the columns of all factors but the largest."""
    problem, terms = fit.problem, fit.design.terms
    plan, blocks = problem.rows.plan, fit.evaluation.factorisation.conditional_blocks()
    out = np.zeros(fit.n)
    Zs = [
        np.concatenate([terms[t].Z for t, _ in factor.terms], axis=1) / scale
        for factor, scale in zip(plan.factors, problem.rows.scales, strict=True)
    ]
    codes = [terms[factor.terms[0][0]].codes for factor in plan.factors]
    for Z, code, block in zip(Zs, codes, blocks, strict=True):
        out += np.einsum("na,abn,nb->n", Z, block[:, :, code], Z)
    largest = max(range(len(plan.factors)), key=lambda f: plan.factors[f].levels * plan.factors[f].size)
    for f, factor in enumerate(plan.factors):
        if f == largest:
            continue
        others = [g for g in range(len(plan.factors)) if g == largest or g > f]
        order = np.argsort(codes[f], kind="stable")
        sorted_codes = codes[f][order]
        for first in range(0, factor.levels, max(1, BATCH // factor.size)):
            last = min(first + max(1, BATCH // factor.size), factor.levels)
            rows = order[np.searchsorted(sorted_codes, first) : np.searchsorted(sorted_codes, last)]
            out[rows] += 2.0 * _cross_leverage(fit, f, others, (first, last), rows, Zs, codes)
    return out


def _cross_leverage(
    fit: MixedFit,
    f: int,
    others: Sequence[int],
    levels: tuple[int, int],
    rows: NDArray[np.intp],
    Zs: Sequence[Matrix],
    codes: Sequence[NDArray[np.int64]],
) -> Vector:
    """z_f' C_fg z_g summed over the factors ``others``, for rows whose level of factor ``f`` is in a range."""
    factors = fit.problem.rows.plan.factors
    first, last = levels
    k = factors[f].size
    width = (last - first) * k
    sides = [np.zeros((factor.size, width, factor.levels)) for factor in factors]
    place = np.arange(last - first)
    for a in range(k):
        sides[f][a, place * k + a, first + place] = 1.0
    found = fit.evaluation.factorisation.solve_effects(sides)
    at = (codes[f][rows] - first)[:, None] * k + np.arange(k)
    out = np.zeros(len(rows))
    for g in others:
        # (k_g, rows, k_f): the rows' blocks of C
        block = found[g][:, at, codes[g][rows][:, None]]
        out += np.einsum("ng,gnf,nf->n", Zs[g][rows], block, Zs[f][rows])
    return out


def standardised_residuals(fit: MixedFit) -> Vector:
    """(n,) Pearson residuals over sigma sqrt(1 - leverage); infinite leverage is refused in words."""
    rest = 1.0 - hat_values(fit)
    if (rest <= 1e-12).any():
        row = int(np.argmin(rest))
        raise BayesmlmError(
            f"{fit.design.frame.row_name(row)} has leverage 1: the fit passes through it, and it has no residual"
        )
    return fit.pearson / (fit.sigma * np.sqrt(rest))


def cooks_distance(fit: MixedFit) -> Vector:
    """(n,) Cook's distances of rows at the estimated variances: r^2 h / ((1 - h)^2 sigma^2 p)."""
    _refuse_no_coefficients(fit.p)
    h = hat_values(fit)
    return standardised_residuals(fit) ** 2 * h / ((1.0 - h) * fit.p)


def _refuse_no_coefficients(p: int) -> None:
    if p == 0:
        raise BayesmlmError(
            "Cook's distance measures changes of population coefficients; this model has none"
        )


@dataclass(frozen=True, eq=False)
class Influence:
    """Fits without each row, or each group, in turn.

    ``group``: the factor whose levels were left out, or None for rows; ``deleted``: their names; ``full``: coefficients
    (p,) of the whole fit; ``fixef``: (deleted, p) coefficients without them; ``var_cov``: (deleted, parameters)
    variances and covariances, the residual's first; ``full_vcov``: (p, p), ``vcov``: (deleted, p, p) covariances of the
    coefficients.
    A coefficient that cannot be estimated without some rows is missing there, with a warning.
    """

    group: str | None
    deleted: tuple[str, ...]
    full: pd.Series
    fixef: pd.DataFrame
    var_cov: pd.DataFrame
    full_vcov: Matrix
    vcov: Stack

    def dfbeta(self) -> pd.DataFrame:
        """Coefficients without the row or group, less those of the whole fit, as lme4's ``dfbeta``."""
        return self.fixef - self.full

    def dfbetas(self) -> pd.DataFrame:
        """`dfbeta` in units of the standard errors of the deletion fits, as R's ``dfbetas``."""
        return self.dfbeta() / np.sqrt(np.einsum("dpp->dp", self.vcov))

    def cooks_distance(self) -> pd.Series:
        """dfbeta' V^-1 dfbeta (m - p) / (m p), as lme4: V the covariance of the whole fit, m the number of deletions.

        Coefficients that are missing without a row or group do not count there.
        """
        _refuse_no_coefficients(len(self.full))
        change, m = self.dfbeta().to_numpy(), len(self.deleted)
        values = []
        for d in change:
            there = np.isfinite(d)
            p = max(int(there.sum()), 1)
            V = self.full_vcov[np.ix_(there, there)]
            values.append(float(d[there] @ np.linalg.solve(V, d[there])) * (m - p) / (m * p))
        return pd.Series(values, index=self.fixef.index, name="cooks.distance", dtype=float)


def influence(fit: MixedFit, groups: str | None = None) -> Influence:
    """See `DiagnosticMethods.influence`."""
    full, full_vcov, p = fit.fixef(), fit.covariance, fit.p
    fixef, covariances, variances, names = [], [], [], []
    lost: dict[str, list[str]] = {}
    metric = _metric(fit)
    for name, rows in _deletions(fit, groups):
        reduced = _without(fit, rows, name, metric)
        kept = [list(fit.design.kept).index(i) for i in reduced.design.kept]
        beta, V = np.full(p, np.nan), np.full((p, p), np.nan)
        beta[kept], V[np.ix_(kept, kept)] = reduced.beta, reduced.covariance
        for i in set(range(p)) - set(kept):
            lost.setdefault(fit.design.coefficients[i], []).append(name)
        parts = effect_covariances(reduced)
        variances.append(
            np.concatenate([[reduced.sigma**2], *(_by_columns(part.covariance) for part in parts)])
        )
        fixef.append(beta)
        covariances.append(V)
        names.append(name)
    for coefficient, where in lost.items():
        some = ", ".join(where[:3]) + (", ..." if len(where) > 3 else "")
        warnings.warn(
            f"`{coefficient}` cannot be estimated without {some}: its influence there is missing",
            BayesmlmWarning,
            stacklevel=3,
        )
    index = pd.Index(names, name=groups)
    return Influence(
        groups,
        tuple(names),
        full,
        pd.DataFrame(np.array(fixef).reshape(len(names), p), index=index, columns=full.index),
        pd.DataFrame(variances, index=index, columns=_variance_names(fit)),
        full_vcov,
        np.array(covariances).reshape(len(names), p, p),
    )


def _by_columns(V: Matrix) -> Vector:
    """The lower triangle, column by column."""
    column, row = np.triu_indices(len(V))
    return V[row, column]


def _variance_names(fit: MixedFit) -> list[str]:
    names = ["sigma^2"]
    components = component_names([t.group for t in fit.design.terms])
    for component, term in zip(components, fit.design.terms, strict=True):
        prefix = f"{component}:" if len(components) > 1 else ""
        for a in range(term.size):
            names.append(f"{prefix}v[{term.names[a]}]")
            names += [f"{prefix}C[{term.names[b]},{term.names[a]}]" for b in range(a + 1, term.size)]
    return names


def _deletions(fit: MixedFit, groups: str | None) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Names of rows or groups with the rows that are left."""
    if groups is None:
        labels = np.flatnonzero(fit.design.used) + 1
        for row in range(fit.n):
            kept = np.ones(fit.n, dtype=bool)
            kept[row] = False
            yield str(labels[row]), kept
        return
    codes, levels = _grouping(fit, groups)
    for level, name in enumerate(levels):
        yield name, codes != level


def _grouping(fit: MixedFit, name: str) -> tuple[NDArray[np.int64], Sequence[str]]:
    """Codes and levels of a grouping factor of the model, or of another column of its data."""
    from .mixed_terms import grouping_codes

    found: Mapping[str, MixedTerm] = {t.group: t for t in fit.design.terms}
    if name in found:
        return found[name].codes, found[name].levels
    if name not in fit.design.frame.names:
        raise BayesmlmError(
            f"`{name}` is neither a grouping factor of the model ({', '.join(found)}) nor a column of its data"
        )
    codes, levels = grouping_codes(fit.design.frame, (name,))
    if (codes < 0).any():
        raise DataError(f"`{name}` is missing in {fit.design.frame.row_name(int(np.argmax(codes < 0)))}")
    return codes, levels


def _without(fit: MixedFit, rows: NDArray[np.bool_], name: str, metric: Matrix | None) -> MixedFit:
    """The model fitted to some of its rows, from where the whole fit ended."""
    design = _subset(fit.design, rows)
    few = next((t for t in design.terms if len(t.levels) < 2), None)
    if few is not None:
        raise DataError(f"without {name} the grouping factor `{few.group}` has fewer than two levels")
    problem = make_problem(design)
    start = problem.scaled(fit.parameters)
    optimum = None if metric is None else _nearby(problem, fit.reml, start, metric)
    if optimum is None:
        # Standard deviations that were zero begin a little above, so that they can grow again.
        optimum = optimise(problem, fit.reml, problem.inside(start))
    return replace(fit, design=design, problem=problem, optimum=optimum, messages=())


def _metric(fit: MixedFit) -> Matrix | None:
    """The inverse of the whole fit's Hessian, if all parameters are inside their bounds and it is a minimum."""
    free, H = criterion_hessian(fit)
    if fit.is_singular or len(free) < len(fit.parameters) or np.linalg.eigvalsh(H)[0] <= 0.0:
        return None
    return np.linalg.inv(H)


def _nearby(problem: Problem, reml: bool, start: Vector, metric: Matrix) -> Optimum | None:
    """The minimum near ``start`` by Newton steps with the whole fit's Hessian; None if it is not that near."""
    lower, upper = problem.bounds
    here, previous = start, np.inf
    for step in range(1, 13):
        evaluation = problem.evaluate(here, reml)
        gradient = evaluation.gradient()
        promised = 0.5 * float(gradient @ metric @ gradient)
        if promised < 1e-13:
            return Optimum(here, evaluation, gradient, step, None)
        if promised > 0.25 * previous:
            return None
        here, previous = here - metric @ gradient, promised
        if not ((here > lower + 1e-2) & (here < upper - 1e-2)).all():
            return None
    return None


def _subset(design: MixedDesign, rows: NDArray[np.bool_]) -> MixedDesign:
    """The design of some of its rows, without the levels and coefficients that nothing is left of."""
    places = np.flatnonzero(rows)
    population = replace(design.population, matrix=design.population.matrix[rows])
    kept_columns = population.matrix[:, list(design.kept)]
    aliased = aliased_columns(kept_columns) if len(design.kept) else ()
    used = design.used.copy()
    used[np.flatnonzero(design.used)[~rows]] = False
    return replace(
        design,
        frame=design.frame.take(places),
        y=design.y[rows],
        offset=None if design.offset is None else design.offset[rows],
        weights=None if design.weights is None else design.weights[rows],
        population=population,
        kept=tuple(k for i, k in enumerate(design.kept) if i not in set(aliased)),
        terms=tuple(_subset_term(term, rows) for term in design.terms),
        used=used,
        messages=(),
    )


def _subset_term(term: MixedTerm, rows: NDArray[np.bool_]) -> MixedTerm:
    codes = term.codes[rows]
    present = np.flatnonzero(np.bincount(codes, minlength=len(term.levels)))
    number = np.full(len(term.levels), -1)
    number[present] = np.arange(len(present))
    return replace(
        term,
        levels=tuple(term.levels[i] for i in present) if len(present) < len(term.levels) else term.levels,
        codes=number[codes],
        effects=replace(term.effects, matrix=term.effects.matrix[rows]),
    )
