"""Which models `brm` can integrate by Laplace's approximation, and the numbers of the program that is left."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, DataError
from ..marginal.effect_rows import Arrangement, GroupTerm, arrange
from ..marginal.jax_evaluate import Sides
from ..marginal.plan import make_plan
from .integrate import Integration
from .laplace_program import LaplaceProgram, LaplaceStructure
from .marginal_data import without
from .working_fit import WorkingFit, working_fit

if TYPE_CHECKING:
    from .design import Design
    from .program import Structure
    from .spec import ModelSpec

__all__ = ["by_laplace", "laplace_program"]

LARGEST_DENSE = 1000
"""Effects that may be crossed with the largest factor: their dense matrix is factored a few times in an evaluation."""
CONCAVE = {
    "bernoulli": ("logit", "probit", "cloglog"),
    "binomial": ("logit", "probit", "cloglog"),
    "poisson": ("log", "identity", "sqrt"),
    "negbinomial": ("log",),
    "gamma": ("log",),
}
"""Families and links with which a row's log density is concave in mu's linear predictor: Newton's step is then always
one of ascent, and M positive definite."""
TOLERANCE = 1e-12
"""Squared Newton decrement with which modes are left."""
MOST_TABLED = 5_000_000
"""Entries of the tables from which the mode is guessed; beyond, the guess is the mode at the centre."""
CRUDE_SCALE = 0.5
"""Spread of a coordinate of which the rough fit says nothing."""


def by_laplace(design: Design, *, likelihood: bool) -> Integration:
    """All blocks of ``design`` integrated by Laplace's approximation; `BayesmlmError` if that is not possible."""
    if not likelihood:
        raise BayesmlmError(
            'sample_prior="only" leaves no likelihood to approximate; use algorithm="sampling"'
        )
    blocks = design.blocks
    try:
        plan = make_plan([(block.codes, len(block.levels), block.size) for block in blocks])
        width = plan.width
    except DataError as error:
        raise BayesmlmError(f'algorithm="laplace" is not possible: {error}') from error
    if width > LARGEST_DENSE:
        largest = max(blocks, key=lambda block: len(block.levels) * block.size)
        crossed = ", ".join(f"`{group}`" for group in {b.group: None for b in blocks if b is not largest})
        raise BayesmlmError(
            f'algorithm="laplace" is not possible: {width} effects of {crossed} are crossed with `{largest.group}`, '
            f"and their joint matrix would be dense; at most {LARGEST_DENSE} are possible. Use "
            'algorithm="sampling", or leave out a term'
        )
    return Integration(tuple(range(len(blocks))), {}, "laplace")


def laplace_program(spec: ModelSpec) -> LaplaceProgram:
    """The program of ``spec`` without its group effects."""
    design, joint = spec.design, spec.structure
    rest = without(joint, spec.integration.blocks)
    terms, names = _terms(design)
    concave = names == ("mu",) and design.family.link("mu") in CONCAVE.get(design.family.name, ())
    arrangement, effect_rows, order, real = arrange(terms, concave=concave)
    response = design.response
    weights = real.astype(np.float64) if response.weights is None else response.weights[order] * real
    arrays = design.arrays()
    for predictor in arrays["predictors"].values():
        predictor["Z"] = ()
    arrays["codes"] = {}
    shift, spread = _coordinates(rest, design, terms)
    data: dict[str, Any] = {
        **spec.numbers,
        "priors": {site.name: spec.numbers["priors"][site.name] for site in rest.sites},
        "design": _rows_taken(arrays, order),
        "y": response.values[order],
        "weights": weights,
        "rows": order.astype(np.int32),
        "effect_rows": effect_rows,
        "guess": _no_guess(arrangement, rest.dimension),
        "tolerance": np.float64(TOLERANCE),
        "shift": shift,
        "spread": spread,
    }
    data.pop("information", None)
    structure = LaplaceStructure(rest, joint.blocks, arrangement, names)
    return LaplaceProgram(structure, data, partial(spec.coordinate_names, rest.sites), design.frame.row_name)


def _terms(design: Design) -> tuple[list[GroupTerm], tuple[str, ...]]:
    """One term for each block, and the names of the predictors that their effects enter."""
    fed = {column.parameter for block in design.blocks for column in block.columns}
    names = tuple(name for name in design.predictors if name in fed)
    terms = []
    for number, block in enumerate(design.blocks):
        Z = np.empty((design.n, block.size))
        for p in design.predictors.values():
            for part, slot in zip(p.groups, p.slots, strict=True):
                if slot.block == number:
                    Z[:, slot.start : slot.stop] = part.Z
        predictors = tuple(names.index(column.parameter) for column in block.columns)
        terms.append(GroupTerm(block.codes, len(block.levels), Z, predictors))
    return terms, names


def _rows_taken(arrays: Any, order: NDArray[np.intp]) -> Any:
    """The rows in their new order, of a design as `Design.arrays` gives it: rows are the last axis."""
    if isinstance(arrays, dict):
        return {name: _rows_taken(value, order) for name, value in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(_rows_taken(value, order) for value in arrays)
    return np.ascontiguousarray(arrays[..., order])


def _no_guess(arrangement: Arrangement, dimension: int) -> tuple[Sides, Sides, Sides]:
    plan = arrangement.plan
    entries = dimension if dimension * arrangement.effects <= MOST_TABLED else 0

    def zeros(*leading: int) -> Sides:
        chain = tuple(np.zeros((*leading, f.size, f.levels)) for f in plan.chain)
        return Sides(chain, np.zeros((*leading, plan.width)) if plan.width else None)

    return zeros(), zeros(entries), zeros(entries)


def _coordinates(rest: Structure, design: Design, terms: list[GroupTerm]) -> tuple[NDArray, NDArray]:
    """``shift`` and ``spread`` of the coordinates of ``rest``: from a rough fit of mu and its group effects, where
    parameters have no bounds of their own; of the others 0 and `CRUDE_SCALE`."""
    shift, spread = np.zeros(rest.dimension), CRUDE_SCALE * np.eye(rest.dimension)
    in_mu = [i for i, b in enumerate(design.blocks) if {c.parameter for c in b.columns} == {"mu"}]
    rough = working_fit(design, in_mu) if in_mu else None
    if rough is None:
        return shift, spread
    place = {
        site.name: slice(a, b) for site, a, b in zip(rest.sites, rest.offsets, rest.offsets[1:], strict=False)
    }
    free = {site.name: site.prior.free if site.prior else () for site in rest.sites}
    unbounded = [
        site.name
        for site in rest.sites
        if site.prior is not None and (site.prior.lower, site.prior.upper) == (-np.inf, np.inf)
    ]
    moved = [name for name in ("Intercept", "b") if name in place]
    if all(name in unbounded and len(free[name]) == place[name].stop - place[name].start for name in moved):
        at = [i for name in moved for i in range(place[name].start, place[name].stop)]
        root = _root_of_covariance(rough)
        if len(at) == len(rough.beta) and root is not None:
            shift[at] = rough.beta
            spread[np.ix_(at, at)] = root
    for block in rough.blocks:
        name = f"sd_{design.blocks[block.position].site}"
        own = place[name]
        if own.stop - own.start == len(block.variances) and _positive(rest, name):
            shift[own] = 0.5 * np.log(block.variances)
            spread[own, own] = np.diag(1 / np.sqrt(2 * np.maximum(block.share().sum(axis=0), 1.0)))
    return shift, spread


def _positive(rest: Structure, name: str) -> bool:
    """Whether all elements of a site are sampled, on the scale of logarithms."""
    prior = next(site.prior for site in rest.sites if site.name == name)
    return (
        prior is not None
        and (prior.lower, prior.upper) == (0.0, np.inf)
        and len(prior.free) == len(prior.names)
    )


def _root_of_covariance(rough: WorkingFit) -> NDArray[np.float64] | None:
    """(q, q) lower triangular, of the coefficients' covariance matrix when effects are unknown (as if each block were
    the only one); None if they are not determined."""
    WX = rough.weights[:, None] * rough.X
    information = rough.X.T @ WX
    for block in rough.blocks:
        K = block.sums(WX)
        left = information - np.einsum("jki,jkl->il", K, np.linalg.solve(block.precision, K))
        values = np.linalg.eigvalsh(left)
        if values[0] > 1e-10 * values[-1]:
            information = left
    scale = np.sqrt(np.diagonal(information))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return None
    correlation = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < 1e-10:
        return None
    covariance = np.linalg.inv(correlation) / np.outer(scale, scale)
    return np.linalg.cholesky((covariance + covariance.T) / 2)
