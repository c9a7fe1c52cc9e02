"""The program that is left when group effects are integrated out by Laplace's approximation, and draws of them.

With theta the other parameters, u the standardised effects and u* their mode given theta (`marginal.jax_laplace`),

    p(theta | y)    ~ p(theta) p(y, u* | theta) |M|^-1/2       what is sampled
    u | theta, y    ~ normal(m, M^-1)                          drawn afterwards

(Rue, Martino and Chopin 2009, JRSS B 71; Margossian, Vehtari, Simpson and Agrawal 2020, NeurIPS). How far the two
together are from the posterior is known for every joint draw: the log ratio of the densities is f(u) - f(u*) + e'e/2
for u = m + L'^-1 e, M = LL', f the log density of y and u, and m the mean of the normal distribution. That is u* and
the first term by which skewness moves the mean off the mode (Tierney and Kadane 1986).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log, pi
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..families.links import natural_parameters
from ..inference.x64 import x64
from ..marginal.jax_effect_rows import by_factor
from ..marginal.jax_evaluate import Sides, back_solve
from ..marginal.jax_laplace import LaplaceProblem, conditional, find_mode, laplace, log_joint
from .program import BlockStructure, Structure, Values

if TYPE_CHECKING:
    from ..marginal.effect_rows import Arrangement

__all__ = ["JointDraw", "LaplaceProgram", "LaplaceStructure"]

Array = Any
FARTHEST = 4.0
"""Coordinates beyond which the guess of the mode is no longer extrapolated."""
VALUES_TOGETHER, MOST_TOGETHER = 60_000, 256
"""Rows times points that are worked on as one array, a dozen of which fit in a processor's cache; and points."""


class JointDraw(NamedTuple):
    """Group effects drawn for one value of the other parameters. ``effects``: r_<site> (J, k); ``log_normal``: log
    density of the standardised ones under the normal they come from; ``log_ratio``: log of the joint posterior density
    over that of the approximation, up to the constant that normalises either."""

    effects: Mapping[str, Array]
    log_normal: Array
    log_ratio: Array


@dataclass(frozen=True, eq=False)
class LaplaceStructure:
    """``rest``: the joint structure without ``blocks``, which are integrated; ``predictors``: names of the linear
    predictors that their effects enter, in the order of ``arrangement``.

    Coordinates q are those of ``rest`` on a scale on which the posterior is roughly standard normal: shift + spread q.
    The map is linear, so that its Jacobian is constant; ``lp`` leaves it out.
    """

    rest: Structure
    blocks: tuple[BlockStructure, ...]
    arrangement: Arrangement
    predictors: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        """All of it as text."""
        return f"laplace|{self.blocks}|{self.predictors}|{self.arrangement.key}|{self.rest.key}"

    @cached_property
    def problem(self) -> LaplaceProblem:
        """The likelihood as a function of what the effects add to the linear predictors."""
        return LaplaceProblem(self.arrangement, self._log_density)

    def unconstrained(self, q: Array, data: Any) -> Array:
        """The coordinates of ``rest`` at the sampler's ``q``."""
        return data["shift"] + data["spread"] @ q

    def whiten(self, q: Array, data: Any) -> Array:
        """The inverse: the sampler's coordinates of those of ``rest``."""
        return jnp.linalg.solve(data["spread"], q - data["shift"])

    def potential(self, q: Array, data: Any) -> Array:
        """Minus the log posterior density of the parameters left, by Laplace's approximation."""
        values, log_prior = self._transformed(q, data)
        arguments = self._arguments(values, q, data)
        return -(log_prior + data.get("log_base", 0.0) + laplace(self.problem, *arguments))

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """As `Structure.constrain`, without the integrated effects."""
        q = self.unconstrained(q, data)
        values, _, _ = self.rest.transformed(q, data)
        out = self.rest.constrain(q, data)
        for block in self.blocks:
            out |= block.correlations(values)
        return out

    def mode(self, q: Array, data: Any) -> tuple[Array, Sides]:
        """The log density, and the mode of the standardised effects."""
        values, log_prior = self._transformed(q, data)
        found = find_mode(self.problem, *self._arguments(values, q, data))
        return log_prior + data.get("log_base", 0.0) + found.log_marginal, found.u

    def draw(self, q: Array, mode: Sides, noise: Sides, data: Any) -> JointDraw:
        """Effects given the other parameters and the effects' ``mode``; ``noise``: standard normal, of its shapes."""
        values, _ = self._transformed(q, data)
        parameters, factors, rows, constants, *_ = self._arguments(values, q, data)
        normal = conditional(self.problem, parameters, factors, rows, constants, mode)
        moved = back_solve(normal.blocks, normal.elimination, noise)
        u = jax.tree.map(jnp.add, normal.mean, moved)
        half = 0.5 * sum(jnp.sum(jnp.square(e)) for e in jax.tree.leaves(noise))
        log_ratio = log_joint(self.problem, parameters, factors, rows, constants, u) - normal.value + half
        constant = 0.5 * self.arrangement.effects * log(2 * pi)
        log_normal = 0.5 * normal.elimination.log_det - half - constant
        return JointDraw(self._effects(u, factors), log_normal, log_ratio)

    def _effects(self, u: Sides, factors: tuple[Array, ...]) -> dict[str, Array]:
        out: dict[str, Array] = {}
        plan = self.arrangement.plan
        for factor, T, own in zip(plan.factors, factors, by_factor(self.arrangement, u), strict=True):
            effects = jnp.stack([sum(T[a, b] * own[b] for b in range(a + 1)) for a in range(factor.size)])
            for number, part in factor.terms:
                out[f"r_{self.blocks[number].site}"] = effects[part].T
        return out

    def _transformed(self, q: Array, data: Any) -> tuple[dict[str, Array], Array]:
        """Values of the other parameters, and their log prior density with the Jacobian."""
        values, log_priors, jacobian = self.rest.transformed(self.unconstrained(q, data), data)
        return values, jacobian + sum(log_priors.values())

    def _arguments(self, values: Values, q: Array, data: Any) -> tuple[Any, ...]:
        """What `marginal.jax_laplace` takes after the problem."""
        everything = {**values, **data["fixed"]}
        constants = {name: everything[name] for name in (*self.rest.scalars, *self.rest.fixed)}
        etas = self.rest.linear_predictors(everything, data["design"])
        rows = {"y": data["y"], "weights": data["weights"], "extra": data["design"]["extra"]}
        near = jnp.clip(q, -FARTHEST, FARTHEST)

        def guess(mode: Array, slopes: Array, bends: Array) -> Array:
            # Where tables would be too large, they have no entries.
            near_it = near[: len(slopes)]
            return mode + jnp.tensordot(near_it, slopes, 1) + jnp.tensordot(near_it**2, bends, 1)

        start = jax.tree.map(guess, *data["guess"])
        parameters = {"etas": etas, "constants": constants}
        return parameters, self._factors(values, data), data["effect_rows"], rows, start, data["tolerance"]

    def _log_density(self, eta: Array, parameters: Any, data: Any) -> Array:
        """(m,) weighted log density of every row; ``eta`` (D, m): what the effects add."""
        etas = dict(parameters["etas"])
        for name, added in zip(self.predictors, eta, strict=True):
            etas[name] = etas[name] + added
        links = {p.parameter: p.link for p in self.rest.predictors}
        family = self.rest.family

        def one(etas: Values, y: Array, extra: Values) -> Array:
            natural = {**natural_parameters(etas, links), **parameters["constants"]}
            return family.log_kernel(y, natural, extra, family.link("mu"))

        # Row by row, because JAX 0.12 cannot differentiate erfcx, which is in the link probit, twice at an array.
        return jax.vmap(one)(etas, data["y"], data["extra"]) * data["weights"]

    def _factors(self, values: Values, data: Any) -> tuple[Array, ...]:
        """T of the plan's factors, (k, k, 1), or (k, k, J) where levels differ."""
        out = []
        for factor in self.arrangement.plan.factors:
            parts = []
            for number, part in factor.terms:
                block = self.blocks[number]
                T = jnp.moveaxis(block.factors(values), 0, -1)
                parts.append((part, T if block.by_count == 1 else T[:, :, data["by"][block.site]]))
            width = max(T.shape[-1] for _, T in parts)
            whole = jnp.zeros((factor.size, factor.size, width))
            for part, T in parts:
                whole = whole.at[part, part].set(jnp.broadcast_to(T, (*T.shape[:2], width)))
            out.append(whole)
        return tuple(out)


@dataclass(frozen=True, eq=False)
class LaplaceProgram:
    """A Laplace structure with its data: a `bayesmlm.inference.integrated.IntegratedProgram`."""

    structure: LaplaceStructure
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
        return self.structure.rest.dimension

    @property
    def stored(self) -> int:
        """Number of leading coordinates kept with the draws."""
        return self.structure.rest.stored

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        """Which parameter, in brms's names, each coordinate belongs to."""
        return self.names()

    @property
    def keeps_effects(self) -> bool:
        """Whether draws of the integrated effects are wanted."""
        return self.structure.rest.keep_effects

    @property
    def effects(self) -> int:
        """How many effects are integrated."""
        return self.structure.arrangement.effects

    @property
    def together(self) -> int:
        """Points that are best worked on as one array."""
        arrangement = self.structure.arrangement
        width = arrangement.plan.width
        chain = sum(factor.effects for factor in arrangement.plan.chain)
        points = VALUES_TOGETHER // (len(self.data["y"]) + width * (width + chain))
        return max(1, min(MOST_TOGETHER, points))

    def potential(self, q: Array, data: Any) -> Array:
        """See `LaplaceStructure.potential`."""
        return self.structure.potential(q, data)

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """See `LaplaceStructure.constrain`."""
        return self.structure.constrain(q, data)

    def mode(self, q: Array, data: Any) -> tuple[Array, Sides]:
        """See `LaplaceStructure.mode`."""
        return self.structure.mode(q, data)

    def draw(self, q: Array, mode: Sides, noise: Sides, data: Any) -> JointDraw:
        """See `LaplaceStructure.draw`."""
        return self.structure.draw(q, mode, noise, data)

    def parameters(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(points, dimension): the coordinates that `coordinate_names` names, at ``points`` in those of the sampler."""
        return np.asarray(self.data["shift"] + points @ self.data["spread"].T)

    def recentred(self, q: NDArray[np.float64], root: NDArray[np.float64]) -> LaplaceProgram:
        """The same program in coordinates c with q + root c in the present ones."""
        shift, spread = self.data["shift"], self.data["spread"]
        return replace(self, data={**self.data, "shift": shift + spread @ q, "spread": spread @ root})

    def guessing(self, mode: Any, slopes: Any, bends: Any, tolerance: float) -> LaplaceProgram:
        """The same program with another guess of the effects' mode at coordinates q: that at 0, and what is added for
        q and for its square: pytrees as `mode` returns them, slopes and bends with a leading axis over q.
        ``tolerance``: squared Newton decrement with which modes are left."""
        if not len(jax.tree.leaves(self.data["guess"][1])[0]):  # no room for tables
            slopes, bends = self.data["guess"][1:]
        data = {**self.data, "guess": (mode, slopes, bends), "tolerance": np.float64(tolerance)}
        return replace(self, data=data)

    def explain(self, q: Array) -> str | None:
        """In words, what keeps the log density from being finite at ``q``, if that can be told."""
        rest, data = self.structure.rest, self.data
        with x64():
            q = self.structure.unconstrained(jnp.asarray(q), data)
            site, _ = replace(rest, likelihood=False).explain(q, data)
            if site is not None:
                return f"The prior density of {site} is not finite there."
            values, _, _ = rest.transformed(q, data)
            parameters, *_ = self.structure._arguments(values, q, data)
            eta = jnp.zeros((len(self.structure.predictors), len(data["y"])))
            rows = {"y": data["y"], "weights": data["weights"], "extra": data["design"]["extra"]}
            wrong = np.flatnonzero(~np.isfinite(self.structure._log_density(eta, parameters, rows)))
        if not wrong.size:
            return "No mode of the group effects was found there."
        row = self.row_name(int(data["rows"][wrong[0]]))
        return (
            f"The first row whose log density is not finite is {row}, with response {data['y'][wrong[0]]:g}."
        )
