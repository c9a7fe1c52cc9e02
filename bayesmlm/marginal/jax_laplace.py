"""Laplace's approximation of the integral over group effects, in jax.numpy, with its derivatives.

With b = Lambda u, u ~ normal(0, I), linear predictors eta = base + Z b and l_i the log density of row i,

    f(u) = sum l_i(eta_i) - u'u / 2,    u* = argmax f,    M = Lambda'Z'W Z Lambda + I,   W_i = -l_i''(eta_i*)
    log p(y) ~ f(u*) - log|M| / 2

(Tierney and Kadane 1986, JASA 81; with the observed Hessian, as TMB: Kristensen and others 2016, JSS 70).
u* is found by damped Newton steps and differentiated by the implicit function theorem in its adjoint form, which takes
one solve with M whatever the number of parameters (Margossian, Vehtari, Simpson and Agrawal 2020, NeurIPS; for the
normal part of the algebra see `jax_evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .jax_effect_rows import effects_predictors, information, level_sums
from .jax_evaluate import (
    Blocks,
    Elimination,
    Sides,
    back_solve,
    eliminate,
    forward_solve,
    times_factors,
)

if TYPE_CHECKING:
    from .effect_rows import Arrangement, EffectRows

__all__ = [
    "Conditional",
    "LaplaceProblem",
    "Mode",
    "conditional",
    "find_mode",
    "laplace",
    "log_joint",
]

Array = Any

MOST_STEPS = 100
"""Newton steps, halved ones included, after which a mode counts as not found."""
CONVERGED = 1e-6
"""A squared Newton decrement at which the mode counts as found if rounding errors prevent a smaller one."""
NEAR = 4.0
"""A squared Newton decrement, for each effect, up to which a guess of the mode is worth starting from."""
SHORTEST_GUESS = 0.2
"""Part of the way from 0 to the guess below which the search starts at 0."""
SLACK = 1e-12
"""By how much, relative to its size, f may fall in a step: its rounding errors."""


@dataclass(frozen=True, eq=False)
class LaplaceProblem:
    """What an evaluation is compiled for.

    ``log_density(eta, parameters, data) -> (m,)``: the weighted log density of every row of the arrangement, where eta
    (D, m) is what group effects add to the linear predictors, ``parameters`` a pytree of what derivatives are wanted
    by, and ``data`` a pytree of the rest.
    """

    arrangement: Arrangement
    log_density: Callable[[Array, Any, Any], Array]


class Mode(NamedTuple):
    """``u``: the mode; ``value``: f(u); ``log_det``: log|M|, NaN where M is not positive definite; ``decrement``: the
    square of the Newton decrement there; ``steps``: how many were made."""

    u: Sides
    value: Array
    log_det: Array
    decrement: Array
    steps: Array

    @property
    def log_marginal(self) -> Array:
        """Laplace's approximation; minus infinity if there is no mode or none was found."""
        # What a last Newton step would add to f is half the decrement.
        value = self.value + 0.5 * (self.decrement - self.log_det)
        return jnp.where((self.decrement <= CONVERGED) & jnp.isfinite(value), value, -jnp.inf)


class Conditional(NamedTuple):
    """The normal approximation of u: precision M = LL' in ``elimination``, and ``mean``, which is the mode and the
    first term by which skewness moves the mean away from it, -M^-1 d(log|M|/2)/du; ``value``: f at the mode."""

    value: Array
    mean: Sides
    blocks: Blocks
    elimination: Elimination


class _Point(NamedTuple):
    """f at u, and the Newton step from there."""

    u: Sides
    value: Array
    log_det: Array
    direction: Sides
    decrement: Array


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def laplace(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    start: Sides,
    tolerance: Array,
) -> Array:
    """log p(y) by Laplace's approximation; minus infinity where no mode is found.

    ``factors``: T of each factor of the plan, (k, k, 1), or (k, k, J) where levels differ; ``start``: a guess of the
    mode u, on which the result does not depend; ``tolerance``: the square of the Newton decrement with which the mode
    is left, whose root is about the error of log|M|. Differentiable once, in reverse, by ``parameters`` and
    ``factors``.
    """
    return find_mode(problem, parameters, factors, rows, data, start, tolerance).log_marginal


def find_mode(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    start: Sides,
    tolerance: Array,
) -> Mode:
    """The mode of f by Newton steps that are halved until f does not fall; arguments as of `laplace`. Where the Hessian
    is not negative definite the step is that of a majorant, which is one of ascent."""

    def at(u: Sides) -> _Point:
        return _point(problem, parameters, factors, rows, data, u)

    zero = jax.tree.map(jnp.zeros_like, start)
    infinite = jnp.asarray(jnp.inf)
    length = jnp.where(_dot(start, start) > 0, 1.0, 0.0)
    first = (_Point(zero, -infinite, infinite, start, infinite), length, jnp.zeros((), int))

    def unfinished(state: tuple[_Point, Array, Array]) -> Array:
        point, _, steps = state
        return (steps < MOST_STEPS) & ~(point.decrement <= tolerance)

    def step(state: tuple[_Point, Array, Array]) -> tuple[_Point, Array, Array]:
        point, length, steps = state
        trial = at(jax.tree.map(lambda u, d: u + length * d, point.u, point.direction))
        slack = SLACK * (1.0 + jnp.abs(trial.value))
        # The first step goes from u = 0 to the guess; where that is far off, part of the way, or none of it.
        guessing = jnp.isneginf(point.value)
        near = (trial.decrement <= NEAR * problem.arrangement.effects) | (length == 0.0)
        good = jnp.where(guessing, near, trial.value >= point.value - slack)
        taken = good & jnp.isfinite(trial.value)
        chosen = jax.tree.map(lambda new, old: jnp.where(taken, new, old), trial, point)
        shorter = jnp.where(guessing & (length < SHORTEST_GUESS), 0.0, length / 2)
        return chosen, jnp.where(taken, 1.0, shorter), steps + 1

    point, _, steps = lax.while_loop(unfinished, step, first)
    return Mode(point.u, point.value, point.log_det, point.decrement, steps)


def conditional(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    mode: Sides,
) -> Conditional:
    """The normal approximation at the ``mode``, for draws mean + L'^-1 e; other arguments as of `laplace`."""
    value, blocks, elimination, _, _, c = _log_det_part(problem, parameters, factors, rows, data, mode)
    return Conditional(value, jax.tree.map(jnp.add, mode, c), blocks, elimination)


def log_joint(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    u: Sides,
) -> Array:
    """f(u): the log density of rows and effects, but for the constant of the latter."""
    eta = effects_predictors(problem.arrangement, rows, factors, u)
    return jnp.sum(problem.log_density(eta, parameters, data)) - 0.5 * _dot(u, u)


def _forward_rule(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    start: Sides,
    tolerance: Array,
) -> tuple[Array, Any]:
    mode = find_mode(problem, parameters, factors, rows, data, start, tolerance)
    return mode.log_marginal, (parameters, factors, rows, data, mode.u)


def _backward_rule(problem: LaplaceProblem, residuals: Any, cotangent: Array) -> tuple[Any, ...]:
    """With q the leverages, dlog|M| / dW, and c = M^-1 df'/du of the log determinant's part, the total derivative is
    that of

        sum l(eta) - q'W(eta) / 2 + c'Lambda'Z's(eta) - <dlog|M|/dT, T> / 2,    s = l'

    with u, q, c and dlog|M|/dT held: at the mode f moves with the parameters alone, and the mode itself moves by
    M^-1 d(Lambda'Z's), which c weighs.
    """
    parameters, factors, rows, data, u = residuals
    arrangement = problem.arrangement
    _, _, _, leverages, by_factors, c = _log_det_part(problem, parameters, factors, rows, data, u)

    def surrogate(parameters: Any, factors: tuple[Array, ...]) -> Array:
        eta = effects_predictors(arrangement, rows, factors, u)
        terms, score, W = _derivatives(problem, eta, parameters, data)
        total = jnp.sum(terms) - 0.5 * jnp.sum(leverages * W)
        total += jnp.sum(score * effects_predictors(arrangement, rows, factors, c))
        return total - 0.5 * _dot(by_factors, factors)

    by_parameters, by_factors = jax.grad(surrogate, argnums=(0, 1))(parameters, factors)
    scaled = jax.tree.map(lambda g: cotangent * g, (by_parameters, by_factors))
    return (*scaled, None, None, None, None)


laplace.defvjp(_forward_rule, _backward_rule)


def _log_det_part(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    u: Sides,
) -> tuple[Array, Blocks, Elimination, Array, tuple[Array, ...], Sides]:
    """f(u), M and its factor at ``u``, the derivatives of log|M| by W and by T, and c = M^-1 d(-log|M| / 2)/du."""
    arrangement, plan = problem.arrangement, problem.arrangement.plan
    eta = effects_predictors(arrangement, rows, factors, u)
    terms, _, W = _derivatives(problem, eta, parameters, data)

    def log_det(W: Array, factors: tuple[Array, ...]) -> tuple[Array, Any]:
        blocks = information(arrangement, rows, W)
        elimination = eliminate(plan, blocks, factors)
        return elimination.log_det, (blocks, elimination)

    _, pull, (blocks, elimination) = jax.vjp(log_det, W, factors, has_aux=True)
    leverages, by_factors = pull(jnp.ones(()))

    def weighed(eta: Array) -> Array:
        return jnp.sum(leverages * _derivatives(problem, eta, parameters, data)[2])

    moved = level_sums(arrangement, rows, -0.5 * jax.grad(weighed)(eta))
    half = forward_solve(plan, blocks, elimination, times_factors(plan, factors, moved))
    value = jnp.sum(terms) - 0.5 * _dot(u, u)
    return value, blocks, elimination, leverages, by_factors, back_solve(blocks, elimination, half)


def _point(
    problem: LaplaceProblem,
    parameters: Any,
    factors: tuple[Array, ...],
    rows: EffectRows,
    data: Any,
    u: Sides,
) -> _Point:
    arrangement, plan = problem.arrangement, problem.arrangement.plan
    eta = effects_predictors(arrangement, rows, factors, u)
    # Computed once: XLA would do so again for each of the sums that follow.
    terms, score, W = lax.optimization_barrier(_derivatives(problem, eta, parameters, data))
    blocks = information(arrangement, rows, W)
    elimination = eliminate(plan, blocks, factors)
    log_det = elimination.log_det
    if not arrangement.concave:

        def majorised(_: None) -> tuple[Blocks, Elimination]:
            above = information(arrangement, rows, _majorant(W))
            return above, eliminate(plan, above, factors)

        def exact(_: None) -> tuple[Blocks, Elimination]:
            return blocks, elimination

        blocks, elimination = lax.cond(jnp.isfinite(log_det), exact, majorised, None)
    slope = times_factors(plan, factors, level_sums(arrangement, rows, score))
    slope = jax.tree.map(lambda g, u: g - u, slope, u)
    half = forward_solve(plan, blocks, elimination, slope)
    value = jnp.sum(terms) - 0.5 * _dot(u, u)
    return _Point(u, value, log_det, back_solve(blocks, elimination, half), _dot(half, half))


def _derivatives(
    problem: LaplaceProblem, eta: Array, parameters: Any, data: Any
) -> tuple[Array, Array, Array]:
    """Of every row the log density (m,), its derivative by its linear predictors (D, m), and minus the second ones
    (D, D, m)."""

    def terms(eta: Array) -> Array:
        return problem.log_density(eta, parameters, data)

    # A row depends on its own predictors only, so that one direction serves all rows.
    directions = [jnp.zeros_like(eta).at[d].set(1.0) for d in range(len(eta))]

    def slopes(eta: Array) -> tuple[Array, Array]:
        pairs = [jax.jvp(terms, (eta,), (direction,)) for direction in directions]
        return pairs[0][0], jnp.stack([slope for _, slope in pairs])

    curvatures = [jax.jvp(slopes, (eta,), (direction,)) for direction in directions]
    value, score = curvatures[0][0]
    return value, score, -jnp.stack([slope for _, (_, slope) in curvatures])


def _majorant(W: Array) -> Array:
    """A diagonal matrix for every row that exceeds W and is not negative (Gershgorin)."""
    size = len(W)
    off_diagonal = jnp.abs(W) * (1.0 - jnp.eye(size))[:, :, None]
    diagonal = jnp.maximum(jnp.diagonal(W).T, 0.0) + jnp.sum(off_diagonal, axis=1)
    return jnp.eye(size)[:, :, None] * diagonal


def _dot(first: Any, second: Any) -> Array:
    """The inner product of two pytrees of arrays."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), first, second)
    return sum(jax.tree.leaves(products))
