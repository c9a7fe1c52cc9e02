"""The model's specification: design, family and priors in one frozen, printable object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BayesmlmError, PriorError
from ..families.additions import CENSORED, TRUNCATED, log_base
from ..inference.x64 import x64
from ..priors.lkj import lkj_constants
from ..priors.outline import GroupOutline, ModelOutline, PredictorOutline, dpar_of
from ..priors.resolve import ResolvedPriors, VectorPrior
from .blocks import GroupBlock
from .design import Design
from .integrate import Integration, decide
from .parameterisation import Parameterisation, parameterise
from .parts.mixture_weights import ORDERED
from .program import BlockStructure, PredictorStructure, Program, Structure
from .site import Site

if TYPE_CHECKING:
    from .laplace_program import LaplaceProgram
    from .marginal_program import MarginalProgram

__all__ = ["ModelSpec", "outline", "specify"]


@dataclass(frozen=True, repr=False, eq=False)
class ModelSpec:
    """What will be sampled. ``print(spec)`` shows the model with its parameters and priors."""

    design: Design
    priors: ResolvedPriors
    structure: Structure
    numbers: Any
    integration: Integration
    """Which group effects are integrated out, and why the others are not."""
    parameterisation: tuple[Parameterisation, ...] = ()
    """How the effects of each block are parameterised for the sampler, and why."""

    @cached_property
    def data(self) -> Any:
        """The numbers of the joint model: ``numbers``, which are few, and the rows. Made when first asked for: a
        program that needs no rows must not copy them."""
        return {**self.numbers, **self.design.response.arrays(), "design": self.design.arrays()}

    @property
    def program(self) -> Program | MarginalProgram | LaplaceProgram:
        """The model as an engine takes it: the joint one, or what is left of it when effects are integrated out."""
        if self.integration.blocks:
            return self.marginal
        return Program(self.structure, self.data, self.coordinate_names, self.design.frame.row_name)

    def algorithm(self, asked: str) -> str:
        """The algorithm that serves: "sampling" where Laplace's approximation has nothing to approximate."""
        return "sampling" if asked == "laplace" and self.integration.exact else asked

    @property
    def sampled(self) -> Structure:
        """The structure whose sites NUTS moves: the joint one without what is integrated out."""
        return self.marginal.structure.rest if self.integration.blocks else self.structure

    @cached_property
    def marginal(self) -> MarginalProgram | LaplaceProgram:
        """The program without the effects that are integrated out; only for a model that has such."""
        from .laplace_data import laplace_program
        from .marginal_data import marginal_program

        return marginal_program(self) if self.integration.exact else laplace_program(self)

    def coordinate_names(self, sites: Sequence[Site] | None = None) -> tuple[str, ...]:
        """Which parameter, in brms's names, each unconstrained coordinate of ``sites`` (all of them) belongs to."""
        names: list[str] = []
        blocks = {f"z_{b.site}": b for b in self.design.blocks}
        for site in self.structure.sites if sites is None else sites:
            block = blocks.get(site.name)
            if block is not None:
                names += [f"r_{block.group}[{v},{c.label}]" for v in block.levels for c in block.columns]
            elif site.prior is not None:
                names += [site.names[i] for i in site.prior.free]
            else:
                names += site.names[: site.size]
        return tuple(names)

    def __repr__(self) -> str:
        from .describe import describe

        return describe(self)

    def _repr_latex_(self) -> str:
        from .describe import latex

        return latex(self)


def outline(design: Design) -> ModelOutline:
    """What the prior table needs to know of a design."""
    predictors = tuple(
        PredictorOutline(
            p.parameter,
            tuple(p.coefficients),
            p.has_intercept,
            0.0 if p.offset is None else float(np.mean(p.offset)),
            p.link,
        )
        for p in design.predictors.values()
    )
    groups = tuple(
        GroupOutline(
            block.group,
            tuple((c.parameter, c.coefficient) for c in block.columns),
            block.has_correlations,
            () if block.by is None else block.by.labels,
        )
        for block in design.blocks
    )
    # A factor's codes say nothing about the scale of its linear predictor.
    numeric = not design.response.is_factor and design.response.values.ndim == 1
    response = design.response.values[design.response.observed] if numeric else None
    rows = tuple(row for part in design.parts for row in part.prior_rows())
    vectors = tuple(vector for part in design.parts for vector in part.prior_vectors())
    return ModelOutline(design.family, response, predictors, groups, design.scalars, rows, vectors)


def specify(
    design: Design,
    priors: ResolvedPriors,
    *,
    likelihood: bool = True,
    keep_effects: bool = True,
    marginalize: bool = True,
    parameterisation: Any = "auto",
    laplace: bool = False,
) -> ModelSpec:
    """Put design and priors together into a program structure and its data; further arguments as `brm` takes them.

    ``laplace``: integrate group effects by Laplace's approximation where they cannot all be integrated exactly. Raises
    `BayesmlmError` if that is not possible.
    """
    if not likelihood:
        # Nothing is known of missing responses without it: their priors are flat.
        design = replace(design, parts=tuple(part for part in design.parts if part.name != "mi"))
    predictors, sites = [], []
    for p in design.predictors.values():
        place = design.ordered.index(p.parameter) if p.parameter in design.ordered else None
        predictors.append(
            PredictorStructure(p.parameter, p.link, p.has_intercept, len(p.coefficients), p.slots, place)
        )
        suffix = predictors[-1].suffix
        dpar = dpar_of(p.parameter)
        if p.has_intercept and place is None:
            prior = priors.vector("Intercept", dpar=dpar)
            sites.append(prior_site(f"Intercept{suffix}", (), (f"Intercept{suffix}",), prior))
        if p.coefficients:
            names = tuple(f"b{suffix}_{c}" for c in p.coefficients)
            prior = priors.vector("b", dpar=dpar, coefs=p.coefficients)
            sites.append(prior_site(f"b{suffix}", (len(names),), names, prior))
    if design.ordered:
        sites.append(_ordered_site(design.ordered, priors))
    for part in design.parts:
        sites += part.sites(priors)
    for block in design.blocks:
        sites += _block_sites(block, priors)
    for name in design.scalars:
        sites.append(prior_site(name, (), (name,), priors.vector(name)))
    free = any(site.size for site in sites if site.kind != "standard_normal")
    integration = decide(design, marginalize=marginalize, likelihood=likelihood, free=free)
    if laplace and design.blocks and free and not integration.complete:
        from .laplace_data import by_laplace

        _refuse_laplace(design)
        integration = by_laplace(design, likelihood=likelihood)
    choices = parameterise(design, parameterisation, likelihood=likelihood, integrated=integration.blocks)
    blocks = tuple(
        BlockStructure(
            b.site,
            len(b.levels),
            b.size,
            b.has_correlations,
            b.by_count,
            c.kind != "noncentred",
            c.coefficients,
        )
        for b, c in zip(design.blocks, choices, strict=True)
    )
    sites.sort(key=lambda site: site.kind == "standard_normal")
    structure = Structure(
        design.family,
        tuple(predictors),
        blocks,
        design.scalars,
        tuple(design.fixed),
        tuple(sites),
        likelihood,
        keep_effects,
        design.parts,
        tuple(design.tied.items()),
    )
    numbers = _numbers(design, sites, priors)
    information = {b.site: dict(c.arrays) for b, c in zip(design.blocks, choices, strict=True) if c.arrays}
    numbers |= {"information": information} if information else {}
    return ModelSpec(design, priors, structure, numbers, integration, choices)


def _refuse_laplace(design: Design) -> None:
    """Raise `BayesmlmError` for a likelihood that Laplace's approximation of the effects does not cover."""
    limited = [name for name in (*CENSORED, *TRUNCATED, "se", "rate") if name in design.response.extra]
    if not design.family.elementwise or design.parts or limited:
        what = (
            f"a response that is {limited[0].replace('_', ' ')}"
            if limited
            else f"the family `{design.family.name}`"
        )
        raise BayesmlmError(
            f'algorithm="laplace" is not there for {what}: use algorithm="sampling", or "pathfinder" for a quick look'
        )


def prior_site(name: str, shape: tuple[int, ...], names: tuple[str, ...], prior: VectorPrior) -> Site:
    """A site with a prior; elements fixed by ``constant()`` take no unconstrained coordinate."""
    free = prior.free
    unconstrained = shape if len(free) == len(names) else (len(free),)
    return Site(name, "prior", shape, unconstrained, names, prior)


def _ordered_site(parameters: tuple[str, ...], priors: ResolvedPriors) -> Site:
    """The intercepts of ``parameters`` as one vector of increasing elements, each with its own prior."""
    each = [priors.vector("Intercept", dpar=dpar_of(parameter)) for parameter in parameters]
    names = tuple(f"Intercept_{parameter}" for parameter in parameters)
    prior = VectorPrior(
        tuple(name for one in each for name in one.names),
        tuple(density for one in each for density in one.densities),
    )
    bounded = any(np.isfinite([one.lower, one.upper]).any() for one in each)
    if bounded or len(prior.free) < len(names):
        raise PriorError(
            "intercepts in increasing order can have neither bounds nor constant() as priors: leave these out, or "
            'write mixture(..., order="none")'
        )
    size = (len(names),)
    return Site(ORDERED, "ordered", size, size, names, prior)


def _block_sites(block: GroupBlock, priors: ResolvedPriors) -> list[Site]:
    k, count, levels = block.size, block.by_count, len(block.levels)
    sd_names = tuple(f"sd_{block.group}__{label}" for label in block.sd_labels)
    prior = priors.vector(
        "sd", group=block.group, coefs=tuple((c.parameter, c.coefficient) for c in block.columns) * count
    )
    sites = [prior_site(f"sd_{block.site}", (k * count,), sd_names, prior)]
    if block.has_correlations:
        shape = (k, k) if count == 1 else (count, k, k)
        pairs = k * (k - 1) // 2
        free = (pairs,) if count == 1 else (count, pairs)
        cor_names = tuple(f"cor_{block.group}__{pair}" for pair in block.pair_labels)
        sites.append(Site(f"L_{block.site}", "lkj", shape, free, cor_names))
    # Named on demand (`ModelSpec.coordinate_names`): there may be a million.
    sites.append(Site(f"z_{block.site}", "standard_normal", (levels, k), (levels, k), ()))
    return sites


def _numbers(design: Design, sites: list[Site], priors: ResolvedPriors) -> dict[str, Any]:
    """Everything numeric that does not grow with the rows."""
    constants: dict[str, Any] = {}
    for site in sites:
        constants[site.name] = (site.constants or {}) if site.prior is None else site.prior.constants()
    for block in design.blocks:
        if block.has_correlations:
            constants[f"L_{block.site}"] = lkj_constants(priors.lkj(block.group), block.size)
    numbers: dict[str, Any] = {
        "priors": constants,
        "means": {p.parameter: p.means for p in design.predictors.values() if p.centred},
        "by": {b.site: b.by.of_level for b in design.blocks if b.by is not None},
        "fixed": {name: np.float64(value) for name, value in design.fixed.items()},
    }
    # A response that is a parameter has all of its density in the terms.
    latent = any(part.name == "mi" for part in design.parts)
    if design.family.log_base_measure is not None and not latent:
        numbers["log_base"] = _log_base(design)
    return numbers


def _log_base(design: Design) -> np.float64:
    """The sum of the parts of the log density that no parameter enters (factorials of counts)."""
    with x64():
        terms = np.asarray(log_base(design.family, design.response.values, design.response.extra))
    weights = design.response.weights
    return np.float64(np.sum(terms if weights is None else terms * weights))
