"""Laplace's approximation to the likelihood of a model whose response is not normal.

With linear predictors eta = X beta + offset + Zb, b = Lambda u, u ~ N(0, I), the effects' log density given the data
has its mode u* where u = Lambda'Z's, s the derivative of the rows' log densities by eta. Minus twice the log
likelihood is then about -2 log p(y | eta*) + |u*|^2 + log|M|, M = Lambda'Z'WZ Lambda + I, W minus the second
derivative (observed information) or its expectation (Bates, Maechler, Bolker and Walker 2015, JSS 67(1); Kristensen
et al. 2016, JSS 70(5)). The effects are carried as v with u = Lambda'v and b = Lambda Lambda'v, so Lambda may be
singular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .evaluate import Factorisation, factorise
from .kernel import Kernel, Local
from .weighted import WeightedRows

__all__ = ["Approximation", "LaplaceModel", "Mode", "approximate", "find_mode"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Stack = NDArray[np.float64]
Effects = tuple[Matrix, ...]

FAR = 1.0
"""Decrement of a first step from nearby beyond which its end is compared with no effects at all."""
ROUNDED = 1e-10
"""Decrement below which a step that does not make it smaller shows that only rounding is left."""
UNFINISHED = 1e-2
"""Decrement at which a place is no mode at all."""
MOST_STEPS, MOST_HALVINGS = 100, 30


@dataclass(frozen=True, eq=False)
class LaplaceModel:
    """``expected``: whether M is made of the expected information (lme4's definition) or the observed one (TMB's).

    ``offsets``: (D, n) known parts of the linear predictors; ``tolerance``: Newton's decrement, in units of twice the
    log density, below which the mode is taken to be found: the step that is left out is of the order of its root.
    """

    rows: WeightedRows
    kernel: Kernel
    offsets: Matrix
    expected: bool
    tolerance: float = 1e-18


@dataclass(frozen=True, eq=False)
class Mode:
    """The mode of the effects, and of the ``coefficients`` (P,) too where these are found with them.

    ``v``, ``b``: (k, J) for each factor; ``penalty``: |u|^2; ``eta``: (D, n); ``local``: the rows' densities there;
    ``factorisation``: of M with the observed information; ``decrement``: what Newton's next step would still gain;
    ``steps``: how many were taken; ``definite``: whether the observed information served as it is.
    """

    model: LaplaceModel
    factors: tuple[Matrix, ...]
    coefficients: Vector
    v: Effects
    b: Effects
    penalty: float
    eta: Matrix
    local: Local
    factorisation: Factorisation
    decrement: float
    steps: int
    definite: bool

    @property
    def converged(self) -> bool:
        """Whether the mode was found."""
        return self.decrement < ROUNDED


@dataclass(frozen=True, eq=False)
class _Point:
    """A place on the way to the mode."""

    coefficients: Vector
    v: Effects
    b: Effects
    eta: Matrix
    local: Local

    @property
    def penalty(self) -> float:
        """|u|^2 = v'b."""
        return sum(float((v * b).sum()) for v, b in zip(self.v, self.b, strict=True))

    @property
    def value(self) -> float:
        """What the mode minimises."""
        penalty = self.penalty
        value = -2.0 * self.local.log_density + penalty
        # A negative square is rounding, of effects so large that nothing else is left.
        return value if np.isfinite(value) and penalty > -ROUNDED * abs(value) else np.inf


def find_mode(
    model: LaplaceModel,
    factors: Sequence[Matrix],
    coefficients: Vector,
    *,
    joint: bool = False,
    begin: Matrix | None = None,
) -> Mode:
    """Newton's iterations to the mode of the effects; ``joint``: and of the coefficients.

    ``factors``: relative factors on the scaled columns; ``begin``: (D, n) linear predictors of a place nearby. Steps
    are halved until the density rises; where the observed information is not positive definite its rows are made so.
    """
    rows = model.rows
    fixed = model.offsets if joint else rows.population(coefficients) + model.offsets
    zero = tuple(np.zeros((f.size, f.levels)) for f in rows.plan.factors)
    here, taken = None, 0
    if begin is not None:
        # A place that need not be among the effects that Lambda allows: the first step leads there.
        near = _Point(coefficients, zero, zero, begin, model.kernel.local(begin))
        if np.isfinite(near.local.log_density):
            step = _newton(model, factors, near, fixed, joint)
            here, taken = _moved(model, near, step, 1.0), 1
    if here is None or not here.value < np.inf or (step.decrement > FAR and not joint):
        flat = _flat(model) if joint else coefficients
        eta = rows.population(flat) + model.offsets
        origin = _Point(flat, zero, zero, eta, model.kernel.local(eta))
        if here is None or not here.value < origin.value:
            here, taken = origin, 0
    before = np.inf
    while True:
        step = _newton(model, factors, here, fixed, joint)
        small = step.decrement < ROUNDED
        if (
            step.decrement < model.tolerance
            or (small and step.decrement > 0.25 * before)
            or taken >= MOST_STEPS
        ):
            return _finished(model, factors, here, step, taken)
        length, moved = 1.0, _moved(model, here, step, 1.0)
        while not small and not moved.value < here.value + 1e-12 * abs(here.value):
            length *= 0.5
            if length < 0.5**MOST_HALVINGS:
                return _finished(model, factors, here, step, taken)
            moved = _moved(model, here, step, length)
        here, before, taken = moved, step.decrement if length == 1.0 else np.inf, taken + 1


def _flat(model: LaplaceModel) -> Vector:
    """(P,) coefficients of linear predictors that are the same in all rows, as far as the columns allow it: a place
    with a finite density also for links that allow only some linear predictors."""
    level = np.broadcast_to(model.kernel.start().mean(axis=1)[:, None], model.offsets.shape)
    parts = zip(model.rows.bases, level - model.offsets, strict=True)
    return np.concatenate([np.linalg.lstsq(X, values, rcond=None)[0] for X, values in parts])


@dataclass(frozen=True, eq=False)
class _Step:
    coefficients: Vector
    v: Effects
    b: Effects
    eta: Matrix
    factorisation: Factorisation
    decrement: float
    definite: bool


def _newton(
    model: LaplaceModel, factors: Sequence[Matrix], here: _Point, fixed: Matrix, joint: bool
) -> _Step:
    """Where Newton's step from ``here`` leads; ``fixed`` (D, n): what no step changes of the linear predictors."""
    rows, W = model.rows, here.local.observed
    if not np.isfinite(W).all():
        W = np.nan_to_num(W, nan=0.0, posinf=1e100, neginf=0.0)
    linear = here.eta - fixed
    attempt = _factorised(model, factors, here, W, linear, joint)
    definite = attempt is not None
    if attempt is None:
        W = _semidefinite(W)
        attempt = _factorised(model, factors, here, W, linear, joint)
        if attempt is None:
            raise np.linalg.LinAlgError("the information on coefficients and effects is singular")
    f, right = attempt
    b = tuple(f.effects())
    coefficients = f.coefficients if joint else here.coefficients
    new = rows.varying(b)
    if joint:
        new += rows.population(coefficients)
    v = tuple(rows.transposed_varying(right - _weighted(W, new)))
    moves = zip(here.v, b, here.b, strict=True)
    gained = float((here.local.score * (new - linear)).sum())
    gained -= sum(float((v_old * (b_new - b_old)).sum()) for v_old, b_new, b_old in moves)
    decrement = abs(2.0 * gained) if np.isfinite(gained) else np.inf
    return _Step(coefficients, v, b, new + fixed, f, decrement, definite)


def _factorised(
    model: LaplaceModel, factors: Sequence[Matrix], here: _Point, W: Stack, linear: Matrix, joint: bool
) -> tuple[Factorisation, Matrix] | None:
    """M at these weights with the working response as right-hand side; None where it is not positive definite."""
    right = here.local.score + _weighted(W, linear)
    try:
        with np.errstate(all="ignore"):
            f = factorise(model.rows.statistics(W, right, joint), factors)
            if joint:
                _ = f.root
    except np.linalg.LinAlgError:
        return None
    return (f, right) if np.isfinite(f.log_det_M) else None


def _weighted(W: Stack, values: Matrix) -> Matrix:
    """(D, n): the rows' (D, D) weights times their ``values``."""
    return W[0] * values if len(W) == 1 else np.einsum("den,en->dn", W, values)


def _semidefinite(W: Stack) -> Stack:
    """The weights of rows with the signs of their negative eigenvalues turned: steps stay as long as the curvature
    says, and lead down (Nocedal and Wright 2006, Numerical Optimization, sec. 3.4)."""
    if len(W) == 1:
        return np.abs(W)
    values, vectors = np.linalg.eigh(np.moveaxis(W, -1, 0))
    return np.einsum("nda,na,nea->den", vectors, np.abs(values), vectors)


def _moved(model: LaplaceModel, here: _Point, step: _Step, length: float) -> _Point:
    """``length`` of the way from ``here`` along the step."""
    if length == 1.0:
        return _Point(step.coefficients, step.v, step.b, step.eta, model.kernel.local(step.eta))
    coefficients = here.coefficients + length * (step.coefficients - here.coefficients)
    v = tuple(old + length * (new - old) for old, new in zip(here.v, step.v, strict=True))
    b = tuple(old + length * (new - old) for old, new in zip(here.b, step.b, strict=True))
    eta = here.eta + length * (step.eta - here.eta)
    return _Point(coefficients, v, b, eta, model.kernel.local(eta))


def _finished(model: LaplaceModel, factors: Sequence[Matrix], here: _Point, step: _Step, taken: int) -> Mode:
    return Mode(
        model,
        tuple(factors),
        here.coefficients,
        here.v,
        here.b,
        here.penalty,
        here.eta,
        here.local,
        step.factorisation,
        step.decrement,
        taken,
        step.definite,
    )


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of minus twice the log likelihood: by the relative factors of the plan's factors (k, k), by the
    coefficients (P,), and by known parts of the linear predictors (D, n)."""

    factors: tuple[Matrix, ...]
    coefficients: Vector
    eta: Matrix


@dataclass(frozen=True, eq=False)
class Approximation:
    """The Laplace approximation at a ``mode``. ``joint``: the coefficients were found with the effects."""

    mode: Mode
    joint: bool

    @cached_property
    def penalised(self) -> Factorisation:
        """M with the information that its determinant is defined with."""
        model, local = self.mode.model, self.mode.local
        if not model.expected or local.expected is local.observed:
            return self.mode.factorisation
        nothing = np.zeros_like(self.mode.eta)
        return factorise(model.rows.statistics(local.expected, nothing), self.mode.factors)

    @cached_property
    def information(self) -> Stack:
        """(D, D, n): the weights that the mode's Hessian was made of."""
        observed = self.mode.local.observed
        return observed if self.mode.definite else _semidefinite(observed)

    @cached_property
    def _criterion(self) -> tuple[float, Matrix | None]:
        return self.mode.model.kernel.criterion(self.mode.eta)

    @property
    def minus_two_log_density(self) -> float:
        """-2 log p(y | eta*), constants included."""
        return self._criterion[0]

    @property
    def value(self) -> float:
        """-2 log likelihood; infinite where no mode was found."""
        if self.mode.decrement > UNFINISHED:
            return np.inf
        return self.minus_two_log_density + self.mode.penalty + self.penalised.log_det_M

    @cached_property
    def slopes(self) -> Slopes:
        """Derivatives of `value`, by the implicit function theorem.

        With s and W at the mode, h the derivative of log|M| by eta, and t the linear predictor of what solves the
        mode's Hessian for Z'h, the total derivative by eta is -2 s + h - W t.
        """
        mode, model = self.mode, self.mode.model
        rows, s = model.rows, mode.local.score
        leverages = rows.leverages(self.penalised)
        h = model.kernel.contract(mode.eta, leverages, model.expected)
        _, by_density = self._criterion
        if by_density is not None:
            # The mode is not where this density has its: the effects' move counts for it too.
            h = h + by_density + 2.0 * s
        return self.slopes_from(h, self.penalised)

    def slopes_from(self, h: Matrix, penalised: Factorisation | None) -> Slopes:
        """Derivatives of -2 log density + penalty + a function of eta at the mode with derivative ``h`` (D, n), and of
        log|M| by the factors if ``penalised`` is given."""
        mode, rows = self.mode, self.mode.model.rows
        rest = h - _weighted(self.information, self._solved(h))
        e = rows.transposed_varying(rest)
        by_factor = []
        for T, v, one in zip(mode.factors, mode.v, e, strict=True):
            half = (one - 2.0 * v) @ v.T + v @ one.T
            by_factor.append(half @ T)
        if penalised is not None:
            p = len(penalised.rest)
            direct = penalised.adjoint(1.0, np.zeros((p, p))).factors
            by_factor = [one + other for one, other in zip(by_factor, direct, strict=True)]
        by_eta = rest - 2.0 * mode.local.score
        return Slopes(tuple(by_factor), rows.transposed_population(by_eta), by_eta)

    def _solved(self, h: Matrix) -> Matrix:
        """(D, n): the linear predictor of the mode's inverse Hessian times the derivatives ``h`` by eta."""
        rows = self.mode.model.rows
        t = self._solved_effects(h)
        if not self.joint:
            return t
        f, W = self.mode.factorisation, self.information
        p = f.statistics.columns
        right = rows.transposed_population(h - _weighted(W, t))
        X = rows.population(np.linalg.solve(f.rest[:p, :p], right))
        return t + X - self._solved_effects(_weighted(W, X))

    def _solved_effects(self, values: Matrix) -> Matrix:
        """(D, n): Z Lambda M^-1 Lambda'Z' times values of the rows, M with the observed information."""
        rows = self.mode.model.rows
        sides = [side[:, None] for side in rows.transposed_varying(values)]
        return rows.varying([c[:, 0] for c in self.mode.factorisation.solve_effects(sides)])


def approximate(
    model: LaplaceModel,
    factors: Sequence[Matrix],
    coefficients: Vector,
    *,
    joint: bool = False,
    begin: Matrix | None = None,
) -> Approximation:
    """The Laplace approximation at given relative factors and coefficients; ``joint``: at the best coefficients, as
    far as the mode's density says (lme4's ``nAGQ = 0``)."""
    return Approximation(find_mode(model, factors, coefficients, joint=joint, begin=begin), joint)
