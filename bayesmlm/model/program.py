"""The joint model as one program: structure here, every number an argument.

A `Structure` says what is in the model (predictors, blocks, prior distributions) and holds no number that could
change between fits of the same model; data, prior constants and centring means arrive as the pytree ``data``. So
one compiled program serves every data set of the same shape. `model` is the same joint density as a NumPyro
function; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist
from numpyro.distributions import biject_to

from ..families.additions import LATENT, adjusted, log_density, log_measured, log_terms
from ..families.base import Family
from ..families.links import natural_parameters
from ..inference.x64 import x64
from .blocks import Slot, pair_indices
from .parts import Part
from .parts.mixture_weights import ORDERED
from .response_distribution import ResponseDistribution
from .site import STORED, Site
from .whitening import standardised, whitened

__all__ = ["BlockStructure", "PredictorStructure", "Program", "Structure"]

Array = Any
Values = Mapping[str, Array]


@dataclass(frozen=True)
class PredictorStructure:
    """What the program knows of one predictor; arrays come under its name."""

    parameter: str
    link: str
    intercept: bool
    coefficients: int
    slots: tuple[Slot, ...]
    place: int | None = None
    """Where its intercept stands in the vector of those in increasing order, if it is one of them."""

    def intercept_of(self, values: Values) -> Array:
        """The centred intercept."""
        return values["Intercept" + self.suffix] if self.place is None else values[ORDERED][..., self.place]

    @property
    def suffix(self) -> str:
        """Appended to site names: nothing for mu, ``_sigma`` for sigma."""
        return "" if self.parameter == "mu" else f"_{self.parameter}"


@dataclass(frozen=True)
class BlockStructure:
    """What the program knows of one block of group effects: J levels, k effects, ``by_count`` covariances.

    ``moved``: the sampler's coordinates are not the standardised effects themselves but what `whitening` makes of
    them, from ``data["information"][site]`` and, if ``takes_over``, mu's coefficients.
    """

    site: str
    levels: int
    size: int
    correlated: bool
    by_count: int
    moved: bool = False
    takes_over: bool = False

    def correlations(self, values: Values) -> dict[str, Array]:
        """``cor_<site>`` in brms's order, if the block has correlations."""
        if not self.correlated:
            return {}
        L = values[f"L_{self.site}"].reshape(self.by_count, self.size, self.size)
        row, column = pair_indices(self.size)
        correlation = L @ jnp.swapaxes(L, -1, -2)
        return {f"cor_{self.site}": correlation[:, row, column].reshape(-1)}

    def factors(self, values: Values) -> Array:
        """(by_count, k, k): Cholesky factors diag(sd) L of the effects' covariance matrices."""
        sd = values[f"sd_{self.site}"].reshape(self.by_count, self.size)
        if not self.correlated:
            return sd[:, :, None] * jnp.eye(self.size)
        return sd[:, :, None] * values[f"L_{self.site}"].reshape(self.by_count, self.size, self.size)


@dataclass(frozen=True)
class Structure:
    """The model without its numbers; hashable through ``key``."""

    family: Family
    predictors: tuple[PredictorStructure, ...]
    blocks: tuple[BlockStructure, ...]
    scalars: tuple[str, ...]
    fixed: tuple[str, ...]
    sites: tuple[Site, ...]
    likelihood: bool = True
    keep_effects: bool = True
    """Whether draws of the group effects are stored. Their standardised sites come last, so that without them a
    leading piece of the flat vector is what is kept."""
    parts: tuple[Part, ...] = ()
    tied: tuple[tuple[str, str], ...] = ()
    """Parameters that are equal to another one, with its name."""

    @cached_property
    def key(self) -> str:
        """All of it as text."""
        family = self.family
        # Where parameters are named after categories, their order is part of the program.
        categories = family.categories if "mu" not in family.main else len(family.categories)
        told = f"{sorted(family.options.items())}{categories}"
        named = f"{family.name}:{sorted(family.links.items())}{told}{[p.key for p in self.parts]}"
        parts = [
            named,
            repr(self.predictors),
            repr(self.blocks),
            repr(self.scalars),
            repr(self.fixed),
            repr(self.tied),
        ]
        return "|".join([*parts, *(s.key for s in self.sites), f"{self.likelihood}{self.keep_effects}"])

    @cached_property
    def dimension(self) -> int:
        """Number of unconstrained coordinates."""
        return sum(site.size for site in self.sites)

    @cached_property
    def stored(self) -> int:
        """How many leading coordinates of the flat vector are kept with the draws."""
        kept = [s.size for s in self.sites if self.keep_effects or s.kind != "standard_normal"]
        return sum(kept)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each site starts in the flat vector."""
        return tuple(int(i) for i in np.cumsum([0, *(site.size for site in self.sites)]))

    def distributions(self, data: Any) -> dict[str, dist.Distribution]:
        """The prior of every site; no prior depends on another parameter."""
        return {site.name: site.distribution(data["priors"][site.name]) for site in self.sites}

    def model(self, data: Any) -> None:
        """The joint model as a NumPyro function."""
        values = {name: numpyro.sample(name, d) for name, d in self.distributions(data).items()}
        derived = self.derived(values, data)
        for name, value in derived.items():
            numpyro.deterministic(name, value)
        if self.likelihood:
            parameters = self.parameters({**values, **derived, **data["fixed"]}, data["design"])
            response = ResponseDistribution(
                self.family, parameters, data["design"]["extra"], data.get("weights")
            )
            numpyro.sample("y", response, obs=data["y"])

    def unravel(self, q: Array) -> dict[str, Array]:
        """The flat vector cut into one unconstrained piece for each site."""
        return {
            site.name: q[start : start + site.size].reshape(site.unconstrained)
            for site, start in zip(self.sites, self.offsets[:-1], strict=True)
        }

    def transformed(self, q: Array, data: Any) -> tuple[dict[str, Array], dict[str, Array], Array]:
        """Values, log prior density of each site, and the log Jacobian of the transformation."""
        values, log_priors, jacobian = {}, {}, jnp.zeros(())
        pieces = self.unravel(q)
        moved = {f"z_{block.site}": block for block in self.blocks if block.moved}
        for name, d in self.distributions(data).items():
            piece = pieces[name]
            transform = biject_to(d.support)
            values[name] = transform(piece)
            jacobian = jacobian + jnp.sum(transform.log_abs_det_jacobian(piece, values[name]))
            if name in moved:
                # Standardised effects come after everything that they are standardised by.
                at = self._whitening(moved[name], values, data)
                values[name], log_determinant = standardised(piece, *at)
                jacobian = jacobian + log_determinant
            log_priors[name] = jnp.sum(d.log_prob(values[name]))
        return values, log_priors, jacobian

    def _whitening(self, block: BlockStructure, values: Values, data: Any) -> tuple[Array, Array | None, Any]:
        """What `standardised` and `whitened` need besides the effects."""
        factors = block.factors(values)
        T = factors[0] if block.by_count == 1 else jnp.moveaxis(factors[data["by"][block.site]], 0, -1)
        beta = None
        if block.takes_over:
            mu = next(p for p in self.predictors if p.parameter == "mu")
            names = ["Intercept"] * mu.intercept + ["b"] * (mu.coefficients > 0)
            beta = jnp.concatenate([jnp.atleast_1d(values[name]) for name in names])
        return T, beta, data["information"][block.site]

    def whiten(self, q: Array, data: Any) -> Array:
        """The sampler's coordinates of ``q``, whose group effects are given standardised (z)."""
        pieces, values = self.unravel(q), {}
        for name, d in self.distributions(data).items():
            values[name] = biject_to(d.support)(pieces[name])
        for block in self.blocks:
            if block.moved:
                name = f"z_{block.site}"
                pieces[name] = whitened(values[name], *self._whitening(block, values, data))
        return jnp.concatenate([pieces[site.name].reshape(-1) for site in self.sites])

    def potential(self, q: Array, data: Any) -> Array:
        """Minus the log posterior density of the unconstrained vector (Jacobians included)."""
        values, log_priors, jacobian = self.transformed(q, data)
        log_density = jacobian + sum(log_priors.values())
        if self.likelihood:
            design, family = data["design"], self.family
            parameters = self.parameters(self.with_effects(values, data), design)
            terms = log_terms(family, data["y"], parameters, design["extra"])
            log_density = log_density + jnp.sum(terms * data["weights"] if "weights" in data else terms)
            # The part of the likelihood that no parameter enters: computed once, by `log_base`.
            log_density = log_density + data.get("log_base", 0.0)
        return -log_density

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """What is stored of a draw: every parameter on its natural scale, correlations, effects, ``lprior``."""
        values, log_priors, _ = self.transformed(q, data)
        kept = {s.name: values[s.name] for s in self.sites if s.kind in STORED}
        derived = self.derived(values, data)
        if not self.keep_effects:
            derived = {name: value for name, value in derived.items() if not name.startswith("r_")}
        lprior = sum((v for name, v in log_priors.items() if not name.startswith("z_")), jnp.zeros(()))
        return {**kept, **derived, "lprior": lprior}

    def explain(self, q: Array, data: Any) -> tuple[str | None, int | None]:
        """What keeps the density from being finite at ``q``: a site's name, or a row (from 0)."""
        values, log_priors, _ = self.transformed(q, data)
        for name, value in log_priors.items():
            if not np.isfinite(value):
                return name, None
        if self.likelihood:
            p = self.parameters(self.with_effects(values, data), data["design"])
            terms = log_density(self.family, data["y"], p, data["design"]["extra"])
            wrong = np.flatnonzero(~np.isfinite(np.asarray(terms)))
            if wrong.size:
                return None, int(wrong[0])
        return None, None

    def derived(self, values: Values, data: Any) -> dict[str, Array]:
        """``b_Intercept`` of centred predictors, correlations and group effects."""
        out: dict[str, Array] = {}
        for p in self.predictors:
            if p.intercept:
                shift = data["means"][p.parameter] @ values["b" + p.suffix] if p.coefficients else 0.0
                out[f"b{p.suffix}_Intercept"] = p.intercept_of(values) - shift
        out |= {name: values[other] for name, other in self.tied if other in self.scalars}
        for part in self.parts:
            out |= part.derived(values, data["means"])
        for block in self.blocks:
            out |= block.correlations(values)
            out[f"r_{block.site}"] = self.effects(block, values, data)
        return out

    def effects(self, block: BlockStructure, values: Values, data: Any) -> Array:
        """Group effects (J, k) from standardised ones: r_j = diag(sd) L z_j."""
        sd = values[f"sd_{block.site}"].reshape(block.by_count, block.size)
        z = values[f"z_{block.site}"]
        if not block.correlated:
            return z * (sd[0] if block.by_count == 1 else sd[data["by"][block.site]])
        factor = sd[:, :, None] * values[f"L_{block.site}"].reshape(block.by_count, block.size, block.size)
        if block.by_count == 1:
            return z @ factor[0].T
        return jnp.einsum("jkl,jl->jk", factor[data["by"][block.site]], z)

    def with_effects(self, values: Values, data: Any) -> dict[str, Array]:
        """``values`` with the group effects ``r_<site>`` and the fixed parameters added."""
        effects = {f"r_{b.site}": self.effects(b, values, data) for b in self.blocks}
        return {**values, **effects, **data["fixed"]}

    def linear_predictors(self, values: Values, design: Any) -> dict[str, Array]:
        """(n,) on the link scale for each predicted parameter. ``values``: natural-scale parameters with
        ``r_<site>``; ``design``: as `Design.arrays` or `Design.new_arrays` give it."""
        etas = {}
        for p in self.predictors:
            arrays = design["predictors"][p.parameter]
            eta = jnp.zeros(arrays["X"].shape[-1])
            if p.intercept:
                eta = eta + p.intercept_of(values)
            if p.coefficients:
                eta = eta + values["b" + p.suffix] @ arrays["X"]
            for slot, Z in zip(p.slots, arrays["Z"], strict=True):
                site = self.blocks[slot.block].site
                effects = values[f"r_{site}"][:, slot.start : slot.stop].T
                eta = eta + jnp.sum(effects[:, design["codes"][site]] * Z, axis=0)
            etas[p.parameter] = eta + arrays["offset"] if "offset" in arrays else eta
        return etas

    def distributional_parameters(self, values: Values, design: Any) -> dict[str, Array]:
        """The parameters of the model as `natural_parameters` gives them, and what its parts supply."""
        etas = self.linear_predictors(values, design)
        links = {p.parameter: p.link for p in self.predictors}
        constants = {name: values[name] for name in (*self.scalars, *self.fixed)}
        out = {**natural_parameters(etas, links), **constants}
        for name, other in self.tied:
            out |= {
                f"{form}{name}": out[f"{form}{other}"] for form in ("", "logit_") if f"{form}{other}" in out
            }
        for part in self.parts:
            out |= part.parameters(values, design["parts"][part.name], out)
        return out

    def parameters(self, values: Values, design: Any) -> dict[str, Array]:
        """What the family's functions take: `distributional_parameters` as additions adjust them row by row."""
        return adjusted(self.family, self.distributional_parameters(values, design), design["extra"])

    def log_likelihood(self, values: Values, design: Any, y: Array) -> Array:
        """(n,) log density of each response (see `additions.log_density`), without weights.

        Of a response that ``mi()`` makes a parameter, the density of what was measured: NaN where it is missing.
        """
        p = self.parameters(values, design)
        measured = {name: value for name, value in p.items() if name not in LATENT}
        if "noise" in p:
            return log_measured(self.family, y, measured, design["extra"], p["noise"])
        return log_density(self.family, y, measured, design["extra"])


@dataclass(frozen=True)
class Program:
    """A structure with its data: what an engine samples (`bayesmlm.inference.protocol.FlatProgram`)."""

    structure: Structure
    data: Any = field(repr=False)
    names: Callable[[], tuple[str, ...]] = field(repr=False)
    row_name: Callable[[int], str] = field(repr=False)

    @property
    def key(self) -> str:
        """Structure as text."""
        return self.structure.key

    @property
    def dimension(self) -> int:
        """Number of unconstrained coordinates."""
        return self.structure.dimension

    @property
    def stored(self) -> int:
        """Number of leading coordinates kept with the draws."""
        return self.structure.stored

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        """Which parameter, in brms's names, each coordinate belongs to."""
        return self.names()

    def potential(self, q: Array, data: Any) -> Array:
        """See `Structure.potential`."""
        return self.structure.potential(q, data)

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """See `Structure.constrain`."""
        return self.structure.constrain(q, data)

    def explain(self, q: Array) -> str | None:
        """In words, what keeps the log density from being finite at ``q``, if that can be told."""
        with x64():
            site, row = self.structure.explain(jnp.asarray(q), self.data)
        if site is not None:
            return f"The prior density of {site} is not finite there."
        if row is not None:
            value = ", ".join(f"{y:g}" for y in np.atleast_1d(self.data["y"][..., row]))
            return f"The first row whose log density is not finite is {self.row_name(row)}, with response {value}."
        return None
