"""The program that NUTS moves over when group effects are integrated out, and their exact draws afterwards.

With T the relative Cholesky factor of the effects' covariance, e the residual at the parameters given and W the
weights (over the variances of the rows, where they differ):

    log p = -(log|M| + (e'We - |L^-1 Lambda'Z'We|^2) / sigma^2) / 2 - sum(w) log sigma - sum(w) log(2 pi) / 2
    u | rest ~ normal(M^-1 Lambda'Z'We, sigma^2 M^-1),  b = Lambda u

(Bates, Maechler, Bolker and Walker 2015, JSS 67(1); Lai, Domke and Sheldon, arXiv 2410.24079.) brms's weights multiply
the log likelihood, so that they count rows in the normalising terms. With ``form="statistics"`` all of this comes from
cross products, and no evaluation sees a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log, pi
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..inference.x64 import x64
from ..marginal.jax_evaluate import (
    Blocks,
    Elimination,
    Sides,
    back_solve,
    eliminate,
    half_solve,
    sum_by,
)
from .program import BlockStructure, Structure, Values

if TYPE_CHECKING:
    from ..marginal.plan import Plan
    from .integrate import Form

__all__ = ["MarginalProgram", "MarginalStructure"]

Array = Any
STREAM = 3  # sets the effects' random numbers apart from the sampler's, which fold in the chain alone


class Conditional(NamedTuple):
    """The normal distribution of the integrated effects given the rest, and what is left of the squares."""

    factors: tuple[Array, ...]
    blocks: Blocks
    elimination: Elimination
    halves: Sides
    sigma: Array
    squares: Array
    log_scale: Array


@dataclass(frozen=True, eq=False)
class MarginalStructure:
    """``rest``: the joint structure without the integrated ``blocks``; ``plan``: of these, in their order.

    NUTS moves coordinates q in which the posterior is roughly standard normal: those of ``rest`` are shift + scale q,
    and the first ``coefficients`` of them, mu's coefficients, are multiplied by the root of a rough covariance matrix.
    The map is linear, so that its Jacobian is constant; ``lp`` leaves it out.
    """

    rest: Structure
    blocks: tuple[BlockStructure, ...]
    plan: Plan
    form: Form
    coefficients: int

    @cached_property
    def key(self) -> str:
        """All of it as text."""
        terms = [
            [(f.levels, f.size, f.terms) for f in part] for part in (self.plan.chain, self.plan.trailing)
        ]
        return f"marginal|{self.form}|{self.coefficients}|{self.blocks}|{terms}|{self.rest.key}"

    def unconstrained(self, q: Array, data: Any) -> Array:
        """The coordinates of ``rest`` at the sampler's ``q``."""
        count = self.coefficients
        return data["shift"] + data["scale"] * jnp.concatenate([data["spread"] @ q[:count], q[count:]])

    def whiten(self, q: Array, data: Any) -> Array:
        """The inverse: the sampler's coordinates of those of ``rest``, whose group effects are standardised."""
        q, count = self.rest.whiten(q, data), self.coefficients
        q = (q - data["shift"]) / data["scale"]
        return jnp.concatenate([jnp.linalg.solve(data["spread"], q[:count]), q[count:]])

    def potential(self, q: Array, data: Any) -> Array:
        """Minus the log posterior density of the parameters left, the effects integrated out."""
        values, log_priors, jacobian = self.rest.transformed(self.unconstrained(q, data), data)
        given = self.conditional(values, data)
        explained = sum(jnp.sum(jnp.square(half)) for half in jax.tree.leaves(given.halves))
        quadratic = (given.squares - explained) / given.sigma**2
        log_likelihood = data["constant"] - 0.5 * (given.elimination.log_det + quadratic) - given.log_scale
        return -(jacobian + sum(log_priors.values()) + log_likelihood)

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """As `Structure.constrain`, without the integrated effects."""
        q = self.unconstrained(q, data)
        values, _, _ = self.rest.transformed(q, data)
        out = self.rest.constrain(q, data)
        for block in self.blocks:
            out |= block.correlations(values)
        return out

    def draw(self, q: Array, numbers: Array, seed: Array, data: Any) -> dict[str, Array]:
        """``r_<site>`` (J, k) of each integrated block, drawn given the other parameters; ``numbers``: of chain and
        draw, on which (with the seed) alone the random numbers depend."""
        values, _, _ = self.rest.transformed(self.unconstrained(q, data), data)
        given = self.conditional(values, data)
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), STREAM)
        key = jax.random.fold_in(jax.random.fold_in(key, numbers[0]), numbers[1])
        leaves, structure = jax.tree.flatten(given.halves)
        drawn = [
            half + given.sigma * jax.random.normal(jax.random.fold_in(key, i), half.shape)
            for i, half in enumerate(leaves)
        ]
        u = back_solve(given.blocks, given.elimination, jax.tree.unflatten(structure, drawn))
        out: dict[str, Array] = {}
        for factor, T, scale, own in zip(
            self.plan.factors, given.factors, data["scales"], self._by_factor(u), strict=True
        ):
            effects = jnp.stack(
                [sum(T[a, b] * own[b] for b in range(a + 1)) / scale[a] for a in range(factor.size)]
            )
            for number, part in factor.terms:
                out[f"r_{self.blocks[number].site}"] = effects[part].T
        return out

    def _by_factor(self, u: Sides) -> list[Array]:
        """(k, J) for each factor of the plan."""
        parts = [] if u.top is None else jnp.split(u.top, self.plan.starts[1:])
        trailing = [
            part.reshape(factor.levels, factor.size).T
            for factor, part in zip(self.plan.trailing, parts, strict=True)
        ]
        return [*u.chain, *trailing]

    def conditional(self, values: Values, data: Any) -> Conditional:
        """Everything about the integrated effects at one value of the other parameters."""
        everything = self.rest.with_effects(values, data)
        sigma, log_scale = jnp.ones(()), jnp.zeros(())
        if self.form != "precision":
            sigma = everything["sigma"]
            log_scale = data["total"] * jnp.log(sigma)
        if self.form == "statistics":
            blocks = data["blocks"]
            right, squares = self._from_statistics(everything, data)
        else:
            parameters = self.rest.parameters(everything, data["design"])
            error = (data["target"] - parameters["eta"]) * data.get("root_weights", 1.0)
            weighted = error
            if self.form == "precision":
                precision = parameters["sigma"] ** -2
                weighted = error * precision
                blocks = self._weighted_blocks(precision, data)
                log_scale = jnp.sum(jnp.log(parameters["sigma"]) * data.get("weights", 1.0))
            else:
                blocks = data["blocks"]
            right, squares = self._right_sides(weighted, data), jnp.sum(error * weighted)
        factors = self._factors(values, data, sigma)
        elimination = eliminate(self.plan, blocks, factors)
        halves = half_solve(self.plan, blocks, elimination, factors, right)
        return Conditional(factors, blocks, elimination, halves, sigma, squares, log_scale)

    def _factors(self, values: Values, data: Any, sigma: Array) -> tuple[Array, ...]:
        """Relative factors (k, k, 1 or J) of the plan's factors, on the scaled columns."""
        out = []
        for factor, scale in zip(self.plan.factors, data["scales"], strict=True):
            parts = []
            for number, part in factor.terms:
                block = self.blocks[number]
                T = jnp.moveaxis(block.factors(values), 0, -1)
                parts.append((part, T if block.by_count == 1 else T[:, :, data["by"][block.site]]))
            width = max(T.shape[-1] for _, T in parts)
            whole = jnp.zeros((factor.size, factor.size, width))
            for part, T in parts:
                whole = whole.at[part, part].set(jnp.broadcast_to(T, (*T.shape[:2], width)))
            out.append(whole * scale[:, None, None] / sigma)
        return tuple(out)

    def _from_statistics(self, values: Values, data: Any) -> tuple[Sides, Array]:
        """Z'We and e'We from cross products, with e = residual - Q d, Q orthonormal and Q'W residual = 0."""
        (mu,) = (p for p in self.rest.predictors if p.parameter == "mu")
        beta = [values["Intercept"][None]] if mu.intercept else []
        beta += [values["b"]] if mu.coefficients else []
        change = -data["projection"]
        if beta:
            change = change + data["R"] @ jnp.concatenate(beta)
        last = len(change)

        def side(columns: Array) -> Array:
            """(k, J) from (p + 1, k, J): the residual's column less those of Q times ``change``."""
            return columns[last] - sum((columns[c] * change[c] for c in range(last)), jnp.zeros(()))

        chain = tuple(side(columns) for columns in data["sides"])
        top = None if data["top"] is None else side(data["top"])
        return Sides(chain, top), data["squares"] + jnp.sum(jnp.square(change))

    def _right_sides(self, error: Array, data: Any) -> Sides:
        sums = [
            sum_by(columns * error, codes, factor.levels)
            for factor, columns, codes in zip(self.plan.factors, data["Z"], data["codes"], strict=True)
        ]
        last = len(self.plan.chain)
        top = jnp.concatenate([part.T.reshape(-1) for part in sums[last:]]) if self.plan.width else None
        return Sides(tuple(sums[:last]), top)

    def _weighted_blocks(self, precision: Array, data: Any) -> Blocks:
        """Z'WZ in the blocks of the plan; ``precision``: (n,) what multiplies brms's weights, which Z carries."""
        plan, codes, Z, last = self.plan, data["codes"], data["Z"], len(self.plan.chain)

        def products(i: int, j: int) -> Array:
            pairs = [(a, b) for a in range(len(Z[i])) for b in range(a + 1 if i == j else len(Z[j]))]
            columns = jnp.stack([Z[i][a] * Z[j][b] * precision for a, b in pairs])
            sums = dict(zip(pairs, sum_by(columns, codes[i], plan.factors[i].levels), strict=True))
            if i == j:
                sums |= {(b, a): values for (a, b), values in sums.items()}
            return jnp.stack([jnp.stack([sums[a, b] for b in range(len(Z[j]))]) for a in range(len(Z[i]))])

        own = tuple(products(i, i) for i in range(last))
        crosses = tuple(tuple(products(i, j) for j in range(i + 1, last)) for i in range(last))
        if not plan.width:
            return Blocks(own, crosses, data["parents"], (), None)
        # The trailing columns of a row: at most a few of the w, put in their places.
        places = [
            (start + codes[t] * factor.size + b, Z[t][b])
            for t, (factor, start) in enumerate(zip(plan.trailing, plan.starts, strict=True), start=last)
            for b in range(factor.size)
        ]
        border = []
        for i in range(last):
            out = jnp.zeros((plan.chain[i].size, plan.width, plan.chain[i].levels))
            for place, column in places:
                out = out.at[:, place, codes[i]].add(Z[i] * column * precision)
            border.append(out)
        corner = jnp.zeros((plan.width, plan.width))
        for place, column in places:
            for other, further in places:
                corner = corner.at[place, other].add(column * further * precision)
        return Blocks(own, crosses, data["parents"], tuple(border), corner)


@dataclass(frozen=True, eq=False)
class MarginalProgram:
    """A marginal structure with its data: what an engine samples (`bayesmlm.inference.protocol.FlatProgram`)."""

    structure: MarginalStructure
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

    def potential(self, q: Array, data: Any) -> Array:
        """See `MarginalStructure.potential`."""
        return self.structure.potential(q, data)

    def constrain(self, q: Array, data: Any) -> dict[str, Array]:
        """See `MarginalStructure.constrain`."""
        return self.structure.constrain(q, data)

    def explain(self, q: Array) -> str | None:
        """In words, what keeps the log density from being finite at ``q``, if that can be told."""
        rest, data = self.structure.rest, self.data
        with x64():
            q = self.structure.unconstrained(jnp.asarray(q), data)
            site, _ = replace(rest, likelihood=False).explain(q, data)
            if site is not None:
                return f"The prior density of {site} is not finite there."
            if self.structure.form == "statistics":
                return None
            values, _, _ = rest.transformed(q, data)
            parameters = rest.parameters(rest.with_effects(values, data), data["design"])
            finite = np.isfinite(parameters["eta"]) & np.isfinite(np.log(parameters["sigma"]))
            wrong = np.flatnonzero(~np.broadcast_to(np.asarray(finite), len(data["target"])))
        if not wrong.size:
            return None
        return f"The first row whose mean or sigma makes no sense there is {self.row_name(int(wrong[0]))}."


def normalising_constant(total: float, log_jacobian: float) -> np.float64:
    """The part of the log likelihood that no parameter enters; ``total``: the sum of the weights."""
    return np.float64(-0.5 * total * log(2 * pi) + log_jacobian)
