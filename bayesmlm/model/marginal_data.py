"""The numbers of a marginal program: cross products of the rows, or the rows themselves where they are needed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..marginal.evaluate import factorise
from ..marginal.jax_evaluate import blocks_of
from ..marginal.statistics import Rows, Statistics, collect, prepare_rows
from ..marginal.wide import SparseWide
from ..priors.vector import VectorPrior
from ..terms.population import aliased_columns
from .integrate import columns_of
from .marginal_program import MarginalProgram, MarginalStructure, normalising_constant
from .program import Structure

if TYPE_CHECKING:
    from .design import Design
    from .spec import ModelSpec

__all__ = ["marginal_program", "without"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

GRID = 4.0 ** np.arange(-4, 4)
"""Scales of group effects, in residual standard deviations, among which the rough estimate chooses."""


def marginal_program(spec: ModelSpec) -> MarginalProgram:
    """The program of ``spec`` without the effects that its `Integration` names."""
    design, integration = spec.design, spec.integration
    rest = without(spec.structure, integration.blocks)
    blocks = tuple(spec.structure.blocks[i] for i in integration.blocks)
    response = design.response
    logarithm = design.family.name == "lognormal"
    target = np.log(response.values) if logarithm else response.values
    weights = response.weights
    X = _population(design)
    dependent = aliased_columns(X if weights is None else X * np.sqrt(weights)[:, None])
    kept = [place for place in range(X.shape[1]) if place not in dependent]
    groups = [
        (design.blocks[i].codes, len(design.blocks[i].levels), columns_of(design, i))
        for i in integration.blocks
    ]
    rows = prepare_rows(X[:, kept] if dependent else X, groups, weights)
    offset = design.predictors["mu"].offset
    statistics = collect(rows, target if offset is None else target - offset)
    shift, scale, spread = _coordinates(rest, statistics, rows.basis.R, bool(dependent))
    total = float(design.n if weights is None else weights.sum())
    jacobian = -float(np.sum(target if weights is None else target * weights)) if logarithm else 0.0
    data = {
        **spec.numbers,
        "priors": {site.name: spec.numbers["priors"][site.name] for site in rest.sites},
        "total": np.float64(total),
        "constant": normalising_constant(total, jacobian),
        "scales": rows.scales,
        "shift": shift,
        "scale": scale,
        "spread": spread,
    }
    if integration.form == "statistics":
        data |= {**_cross_products(statistics), "R": _on_basis(rows, X, kept)}
    else:
        data |= _of_rows(spec, rest, rows, statistics, target)
    structure = MarginalStructure(rest, blocks, rows.plan, integration.form, len(spread))
    return MarginalProgram(structure, data, partial(spec.coordinate_names, rest.sites), design.frame.row_name)


def without(joint: Structure, integrated: tuple[int, ...]) -> Structure:
    """The joint structure without the effects of some blocks; their scales and correlations stay."""
    kept = [i for i in range(len(joint.blocks)) if i not in integrated]
    place = {old: new for new, old in enumerate(kept)}
    predictors = tuple(
        replace(p, slots=tuple(replace(s, block=place[s.block]) for s in p.slots if s.block in place))
        for p in joint.predictors
    )
    gone = {f"z_{joint.blocks[i].site}" for i in integrated}
    sites = tuple(site for site in joint.sites if site.name not in gone)
    return replace(joint, predictors=predictors, blocks=tuple(joint.blocks[i] for i in kept), sites=sites)


def _population(design: Design) -> NDArray[np.float64]:
    """(n, p): what the intercept and the coefficients of mu multiply."""
    mu = design.predictors["mu"]
    if not mu.centred:
        return mu.population.matrix
    return np.concatenate([np.ones((design.n, 1)), mu.population.matrix[:, 1:] - mu.means], axis=1)


def _coordinates(
    rest: Structure, statistics: Statistics, R: Matrix, dependent: bool
) -> tuple[Vector, Vector, Matrix]:
    """``shift`` and ``scale`` of all coordinates, and the root (p, p) of the coefficients' covariance matrix, from a
    rough estimate; parameters with bounds of their own, and coefficients that are not determined, stay as they are.

    Without this, the narrow posterior of sigma given a million rows would set the step size of all coordinates: the
    sampler's own adaptation stops at standard deviations of about 0.003.
    """
    shift, scale = np.zeros(rest.dimension), np.ones(rest.dimension)
    spread = np.zeros((0, 0))
    place = {site.name: start for site, start in zip(rest.sites, rest.offsets[:-1], strict=True)}
    coefficients, root, sigma = _rough_estimate(statistics, R)
    moved = [site for site in rest.sites if site.name in ("Intercept", "b")]
    if not dependent and all(_free(site.prior, -np.inf) for site in moved):
        shift[: len(coefficients)], spread = coefficients, root
    positive = [site for site in rest.sites if site.name == "sigma" and _free(site.prior, 0.0)]
    for site in positive:
        shift[place[site.name]] = np.log(sigma)
        scale[place[site.name]] = 1 / np.sqrt(2 * len(statistics.plan.chain[0].codes))
    return shift, scale, spread


def _free(prior: VectorPrior | None, lower: float) -> bool:
    """Whether all elements are sampled, between ``lower`` and infinity."""
    return (
        prior is not None
        and (prior.lower, prior.upper) == (lower, np.inf)
        and len(prior.free) == len(prior.names)
    )


def _rough_estimate(statistics: Statistics, R: Matrix) -> tuple[Vector, Matrix, float]:
    """Generalised least squares with one relative scale for all effects, the most likely on a grid: coefficients (p,),
    a root (p, p) of their covariance matrix, and sigma."""
    plan = statistics.plan
    rows = len(plan.chain[0].codes)
    tried = [factorise(statistics, [scale * np.eye(f.size) for f in plan.factors]) for scale in GRID]
    best = min(tried, key=lambda f: f.log_det_M + rows * np.log(f.pwrss))
    coefficients = np.linalg.solve(R, statistics.projection + best.coefficients)
    sigma = np.sqrt(best.pwrss / rows)
    return coefficients, sigma * np.linalg.solve(R, np.linalg.inv(best.root).T), float(sigma)


def _on_basis(rows: Rows, X: Matrix, kept: list[int]) -> Matrix:
    """R with X = Q R on the weighted scale, for all columns of X: ``kept`` are those that Q spans."""
    R = np.zeros((len(kept), X.shape[1]))
    R[:, kept] = rows.basis.R
    dependent = [place for place in range(X.shape[1]) if place not in kept]
    for block in rows.blocks() if dependent else ():
        R[:, dependent] += rows.basis_columns(block) @ rows.weighted(X[block][:, dependent].T, block).T
    return R


def _cross_products(statistics: Statistics) -> dict[str, Any]:
    plan = statistics.plan
    sides = [
        wide.B if isinstance(wide, SparseWide) else wide.values[:, plan.width :] for wide in statistics.wides
    ]
    return {
        "blocks": blocks_of(statistics),
        "sides": tuple(np.ascontiguousarray(side.swapaxes(0, 1)) for side in sides),
        "top": np.ascontiguousarray(statistics.dense[: plan.width, plan.width :].T) if plan.width else None,
        "projection": statistics.projection,
        "squares": np.float64(statistics.dense[-1, -1]),
    }


def _of_rows(
    spec: ModelSpec, rest: Structure, rows: Rows, statistics: Statistics, target: Vector
) -> dict[str, Any]:
    """What is needed of every row: residuals, and where sigma is predicted precisions."""
    design, plan = spec.design, rows.plan
    arrays = design.arrays()
    sampled = {block.site for block in rest.blocks}
    mu = design.predictors["mu"]
    kept = [design.blocks[slot.block].site in sampled for slot in mu.slots]
    columns = arrays["predictors"]["mu"]["Z"]
    arrays["predictors"]["mu"]["Z"] = tuple(Z for Z, keep in zip(columns, kept, strict=True) if keep)
    arrays["codes"] = {site: codes for site, codes in arrays["codes"].items() if site in sampled}
    data = {
        "design": arrays,
        "target": target,
        "Z": rows.Z,
        "codes": tuple(factor.codes.astype(np.int32) for factor in plan.factors),
    }
    if design.response.weights is not None:
        data |= {"weights": design.response.weights, "root_weights": rows.root_weights}
    blocks = blocks_of(statistics)
    if spec.integration.form == "residual":
        return {**data, "blocks": blocks}
    return {**data, "parents": blocks.parents}
