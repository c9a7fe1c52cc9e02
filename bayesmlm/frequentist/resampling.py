"""How a bootstrap makes its replicates: responses drawn or resampled, or clusters of rows.

Parametric and semiparametric as lme4's ``bootMer``; residual bootstraps after Carpenter, Goldstein and Rasbash (2003,
JRSS C 52, 431-443) and Lai (2021, Multivariate Behavioral Research 56, 558-578); random effect blocks after Chambers
and Chandra (2013, JCGS 22, 452-470); cases after van der Leeden, Meijer and Busing (2008, Handbook of Multilevel
Analysis, ch. 11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, DataError
from ..terms.population import aliased_columns
from .case_resampling import case_resampler, deletions, resampled_terms
from .influence import hat_values
from .optimise import optimise
from .predict import coefficient_shifts, effects_sum
from .problem import make_problem
from .simulate import source

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "KINDS",
    "Engine",
    "Options",
    "engine_of",
    "leave_one_out",
    "reflated_effects",
    "resampler",
    "standard_residuals",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]
Codes = NDArray[np.int64]
Draw = Callable[[np.random.Generator], Vector]
Resample = Callable[[np.random.Generator], "MixedFit"]

NO_INFORMATION = 1e-8
"""Share of its variance below which an effect's estimate counts as fixed at zero."""
LARGEST_DENSE = 50_000_000
"""Entries that the covariance matrices of connected rows may have together."""


@dataclass(frozen=True)
class Options:
    """``re_formula``: effects kept by the parametric bootstrap; ``group``: the factor whose levels are resampled;
    ``lv1_resample``: also rows within them; ``reb_scale``: block residuals matched to the estimated variances."""

    re_formula: Any = "NA"
    group: str | None = None
    lv1_resample: bool = False
    reb_scale: bool = False


@dataclass(frozen=True)
class Engine:
    """What a bootstrap needs to know of a class of models.

    ``resampler``: from a fit, a kind and `Options` to what makes refits; ``leave_one_out``: from a fit and a group to
    fits without each of its levels, with n over the number of rows left out; ``statistics``: the default ones.
    """

    resampler: Callable[[Any, str, Options], Callable[[np.random.Generator], Any]]
    leave_one_out: Callable[[Any, str | None], list[tuple[Any, float]]]
    statistics: Callable[[Any], Any]


def engine_of(fit: MixedFit | GeneralisedFit) -> Engine:
    """The engine for a linear or a generalised fit."""
    from .fit import MixedFit

    if not isinstance(fit, MixedFit):
        from . import generalised_resampling as generalised

        return Engine(generalised.resampler, generalised.leave_one_out, generalised.default_statistics)
    from .bootstrap import default_statistics

    return Engine(resampler, leave_one_out, default_statistics)


def resampler(fit: MixedFit, kind: str, options: Options) -> Resample:
    """From a random generator to a refitted model. Raises `BayesmlmError` for what the model does not allow."""
    if kind == "case":
        return case_resampler(fit, options, _fit_rows)
    if kind not in KINDS:
        raise BayesmlmError(f"kind={kind!r} is no bootstrap; there are {', '.join((*KINDS, 'case'))}")
    draw = KINDS[kind](fit, options)
    return lambda rng: fit.refit(draw(rng))


def _parametric(fit: MixedFit, options: Options) -> Draw:
    """Effects and residuals from their normal distributions."""
    return source(fit, options.re_formula).draw


def _semiparametric(fit: MixedFit, options: Options) -> Draw:
    """Residuals resampled around the fitted values, effects kept (lme4: ``use.u = TRUE``)."""
    return _around(fit, fit.linear_predictor, fit.pearson)


def _residual(fit: MixedFit, options: Options) -> Draw:
    """Reflated effects and standardised residuals resampled, as bootmlm's default."""
    return _effects_and_residuals(fit, reflated_effects(fit), standard_residuals(fit))


def _residual_cgr(fit: MixedFit, options: Options) -> Draw:
    """Effects and residuals centred and transformed to have the estimated covariances in the sample itself."""
    variances = [fit.sigma**2 * T @ T.T for T in fit.templates]
    effects = [_with_covariance(b, G) for b, G in zip(fit.b, variances, strict=True)]
    residuals = _with_covariance(fit.pearson[:, None], np.array([[fit.sigma**2]]))[:, 0]
    return _effects_and_residuals(fit, effects, residuals)


def _residual_trans(fit: MixedFit, options: Options) -> Draw:
    """Marginal residuals made uncorrelated, resampled, and given the model's covariance again.

    They are centred, and stretched by sqrt(n / (n - p)) for the coefficients that were estimated.
    """
    blocks = _marginal_roots(fit)
    fixed = _population(fit)
    rest, white = fit.design.y - fixed, np.empty(fit.n)
    for rows, root in blocks:
        white[rows] = np.linalg.solve(root, rest[rows])
    white = (white - white.mean()) * np.sqrt(fit.n / (fit.n - fit.p))

    def draw(rng: np.random.Generator) -> Vector:
        drawn, y = white[rng.integers(fit.n, size=fit.n)], fixed.copy()
        for rows, root in blocks:
            y[rows] += root @ drawn[rows]
        return y

    return draw


def _blocks(fit: MixedFit, options: Options) -> Draw:
    """Random effect blocks: group effects and groups' residuals resampled apart, with nothing assumed of either.

    Effects are least squares coefficients of each group's marginal residuals; a group's residuals are drawn from
    those of one group. ``reb_scale``: both centred and scaled to the estimated covariances first (REB/1).
    """
    codes = fit.design.terms[0].codes
    if any(not np.array_equal(t.codes, codes) for t in fit.design.terms):
        raise BayesmlmError(
            'kind="reb" resamples the blocks of one grouping factor; the model has '
            f'{", ".join(dict.fromkeys(t.group for t in fit.design.terms))}: use kind="residual"'
        )
    root_weights = fit.root_weights
    Z = np.hstack([t.Z for t in fit.design.terms]) * root_weights[:, None]
    rest = (fit.design.y - _population(fit)) * root_weights
    levels = len(fit.design.terms[0].levels)
    own = np.zeros((levels, Z.shape[1], Z.shape[1]))
    right = np.zeros((levels, Z.shape[1]))
    np.add.at(own, codes, Z[:, :, None] * Z[:, None, :])
    np.add.at(right, codes, Z * rest[:, None])
    effects = np.einsum("jab,jb->ja", np.linalg.pinv(own, hermitian=True), right)
    residuals = rest - np.einsum("nk,nk->n", Z, effects[codes])
    if options.reb_scale:
        from scipy.linalg import block_diag

        T = block_diag(*fit.templates)
        effects = _with_covariance(effects, fit.sigma**2 * T @ T.T)
        residuals = _with_covariance(residuals[:, None], np.array([[fit.sigma**2]]))[:, 0]
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=levels)
    starts = np.cumsum(counts) - counts
    fixed = _population(fit)

    def draw(rng: np.random.Generator) -> Vector:
        b = effects[rng.integers(levels, size=levels)]
        givers = rng.integers(levels, size=levels)[codes]
        rows = order[starts[givers] + (rng.random(fit.n) * counts[givers]).astype(np.int64)]
        return fixed + (np.einsum("nk,nk->n", Z, b[codes]) + residuals[rows]) / root_weights

    return draw


KINDS: dict[str, Callable[[MixedFit, Options], Draw]] = {
    "parametric": _parametric,
    "semiparametric": _semiparametric,
    "residual": _residual,
    "residual_cgr": _residual_cgr,
    "residual_trans": _residual_trans,
    "reb": _blocks,
}
"""Bootstraps that draw a response; "case" draws rows."""


# -- residuals and effects ---------------------------------------------------------------------------------------


def reflated_effects(fit: MixedFit) -> list[Matrix]:
    """For each term (J, k) effects whose covariance is the estimated one.

    The estimates are shrunken: those of level j have covariance C_j = sigma^2 T T' - Var(b_j - b_hat_j), that of the
    coefficients included. On the scale u = T^-1 b each is multiplied by the symmetric root of C_j^-1.
    """
    evaluation, V = fit.evaluation, fit.evaluation.vcov_unscaled
    out = []
    parts = zip(fit.b, fit.templates, evaluation.effect_covariances(), coefficient_shifts(fit), strict=True)
    for b, T, B, D in parts:
        error = B + np.einsum("jap,pq,jbq->jab", D, V, D)
        size = np.linalg.norm(T, axis=1)
        size[size == 0.0] = 1.0
        root = T / size[:, None]
        back = np.linalg.pinv(root, rcond=NO_INFORMATION)
        C = back @ (root @ root.T - error / size[:, None] / size) @ back.T
        values, vectors = np.linalg.eigh(C)
        known = values > NO_INFORMATION
        inverse = np.where(known, 1.0 / np.sqrt(np.where(known, values, 1.0)), 0.0)
        u = np.einsum("jab,jb,jcb,jc->ja", vectors, inverse, vectors, (b / size) @ back.T)
        out.append(u @ T.T)
    return out


def standard_residuals(fit: MixedFit) -> Vector:
    """(n,) residuals times root weights over sqrt(1 - leverage): all have variance sigma^2.

    The leverage is the diagonal of the matrix that makes fitted values, effects included, of the response.
    """
    left = 1.0 - hat_values(fit)
    known = left > NO_INFORMATION
    return np.where(known, fit.pearson / np.sqrt(np.where(known, left, 1.0)), 0.0)


def _population(fit: MixedFit) -> Vector:
    fixed = fit.design.X @ fit.beta
    return fixed if fit.design.offset is None else fixed + fit.design.offset


def _around(fit: MixedFit, mean: Vector, residuals: Vector) -> Draw:
    root_weights = fit.root_weights
    return lambda rng: mean + residuals[rng.integers(fit.n, size=fit.n)] / root_weights


def _effects_and_residuals(fit: MixedFit, effects: list[Matrix], residuals: Vector) -> Draw:
    Z, codes = [t.Z for t in fit.design.terms], [t.codes for t in fit.design.terms]
    rest = _around(fit, _population(fit), residuals)

    def draw(rng: np.random.Generator) -> Vector:
        b = [values[rng.integers(len(values), size=len(values))] for values in effects]
        return effects_sum(Z, codes, b) + rest(rng)

    return draw


def _with_covariance(values: Matrix, wanted: Matrix) -> Matrix:
    """(J, k) values centred and transformed, by symmetric roots, to have the covariance ``wanted`` (divisor J)."""
    centred = values - values.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    size[size == 0.0] = 1.0
    centred = centred / size
    have = centred.T @ centred / len(centred)
    step = _power(wanted / size[:, None] / size, 0.5) @ _power(have, -0.5)
    return (centred @ step.T) * size


def _power(matrix: Matrix, exponent: float) -> Matrix:
    """A power of a positive semidefinite matrix on its range."""
    values, vectors = np.linalg.eigh(matrix)
    known = values > NO_INFORMATION * max(float(values[-1]), 0.0)
    powers = np.where(known, np.where(known, values, 1.0) ** exponent, 0.0)
    return (vectors * powers) @ vectors.T


def _marginal_roots(fit: MixedFit) -> list[tuple[Codes, Matrix]]:
    """Rows that share no effect with others, with the Cholesky factor of their covariance in units of sigma^2."""
    from scipy.sparse.csgraph import connected_components

    from .parts import relative_factor, sparse_Z

    root = (sparse_Z(fit) @ relative_factor(fit)).tocsr()
    pattern = abs(sparse_Z(fit))
    _, labels = connected_components(pattern @ pattern.T, directed=False)
    sizes = np.bincount(labels)
    if float((sizes.astype(float) ** 2).sum()) > LARGEST_DENSE:
        raise BayesmlmError(
            f'kind="residual_trans" needs the covariance matrix of rows that share effects, here {sizes.max()} x '
            f'{sizes.max()}: use kind="residual"'
        )
    noise = 1.0 / fit.root_weights**2
    blocks = []
    for rows in np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1]):
        part = root[rows]
        blocks.append((rows, np.linalg.cholesky((part @ part.T).toarray() + np.diag(noise[rows]))))
    return blocks


# -- rows --------------------------------------------------------------------------------------------------------


def leave_one_out(fit: MixedFit, group: str | None) -> list[tuple[MixedFit, float]]:
    """The model without each level of the outermost factor, and n over the number of rows left out."""
    return deletions(fit, group, _fit_rows)


def _fit_rows(fit: MixedFit, clusters: MixedTerm, rows: Codes, copies: Codes) -> MixedFit:
    """The model fitted to some rows; ``copies``: (m,) which drawn unit each belongs to. Raises `DataError`."""
    design = fit.design
    resampled = replace(
        design,
        frame=design.frame.take(rows),
        y=design.y[rows],
        offset=None if design.offset is None else design.offset[rows],
        weights=None if design.weights is None else design.weights[rows],
        population=replace(design.population, matrix=design.population.matrix[rows]),
        terms=resampled_terms(design.terms, clusters, rows, copies),
        used=np.ones(len(rows), dtype=bool),
        na_action="omit",
        messages=(),
    )
    lost = aliased_columns(resampled.X)
    if lost:
        raise DataError(f"`{design.coefficients[lost[0]]}` cannot be estimated from the rows that were drawn")
    problem = make_problem(resampled)
    optimum = optimise(problem, fit.reml)
    return replace(fit, design=resampled, problem=problem, optimum=optimum, messages=())
