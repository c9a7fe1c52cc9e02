"""Sums of smooth terms over whole numbers, a few or very many, with a number of evaluations that is fixed.

Probabilities of counts without a closed form are such sums. Everything here is elementwise JAX code; terms stand in
a first axis that is added, rows stay last.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np

from .lazy import jnp, lax
from .special import stirling_remainder

__all__ = ["TermSum", "log_poisson_term", "sum_over"]

Array = Any
LogTerm = Callable[[Array], Array]

_SMALL_MEAN = 10.0
_FIRST = 40  # terms added one by one from the first on: the terms may have a singularity below it
_AROUND = 32  # and on both sides of the largest
_GAUSS_RISE, _GAUSS_FALL = (np.polynomial.legendre.leggauss(n) for n in (48, 64))
_NEGLIGIBLE = 46.0  # exp(-46) is 1e-20
_STEPS = 14  # of the bisection for where terms become negligible: to a hundredth of the distance
_REACH = 4  # terms on both sides of an end from which its derivatives are taken


def _end_correction() -> tuple[float, ...]:
    """Weights c with sum_j c_j (g(+j) - g(-j)) = -g'/12 + g'''/720 - g^(5)/30240 + g^(7)/1209600 for polynomials:
    the terms of the Euler-Maclaurin formula (Abramowitz and Stegun 23.1.30) at an end, B_2i / (2i)! times the
    derivative of order 2i - 1, without asking for derivatives."""
    steps = np.arange(1, _REACH + 1)
    odd = 2 * steps - 1
    matrix = [[2.0 * float(j) ** k / factorial(k) for j in steps] for k in odd]
    return tuple(np.linalg.solve(matrix, [-1 / 12, 1 / 720, -1 / 30240, 1 / 1209600]).tolist())


_CORRECTION = _end_correction()


class TermSum:
    """The sum of exp(log_term(k)) over places ``k`` with ``weights``, which have a first axis; ``peak`` (one of the
    places, of weight 1 unless ``empty``) is where the largest term is."""

    def __init__(self, log_term: LogTerm, k: Array, weights: Array, peak: Array, empty: Array) -> None:
        others = (weights != 0) & (k != peak)
        self.peak, self.empty = peak, empty
        self.k = jnp.where(others, k, peak)
        self.log_peak = log_term(peak)
        relative = log_term(self.k) - self.log_peak
        self.others = jnp.where(others, weights * jnp.exp(jnp.where(others, relative, 0.0)), 0.0)

    @property
    def log(self) -> Array:
        """The logarithm of the sum, minus infinity when there is no term."""
        return jnp.where(self.empty, -jnp.inf, self.log_peak + jnp.log1p(jnp.sum(self.others, axis=0)))

    def log_share(self, log_value: Array) -> Array:
        """``log_value`` less ``log``, exactly 0 for the one term of a sum that has no other that counts."""
        return log_value - self.log_peak - jnp.log1p(jnp.sum(self.others, axis=0))

    def moments(self) -> tuple[Array, Array]:
        """Mean and variance of k when the terms are its probabilities but for a factor."""
        total = 1 + jnp.sum(self.others, axis=0)
        shift = jnp.sum(self.others * (self.k - self.peak), axis=0) / total
        square = jnp.sum(self.others * (self.k - self.peak) ** 2, axis=0) / total
        return self.peak + shift, square - shift**2


def sum_over(log_term: LogTerm, first: Array, last: Array, mode: Array) -> TermSum:
    """The sum of exp(log_term(k)) over the whole numbers from ``first`` to ``last``, which may be infinite.

    ``log_term``: elementwise, of real k, with one maximum, near the whole number ``mode``; smooth on the scale of 1
    except near and below k = 0. Where it is narrow the terms added one by one are all that count; where it is wide,
    the sum over the rest is an integral and corrections at its ends (Euler-Maclaurin), the integral by Gauss and
    Legendre's rule in log(k) up to where terms are negligible. Both in between. Relative error about 1e-13.

    Derivatives are those of the terms: places and weights are constants.
    """
    shape = jnp.broadcast_shapes(jnp.shape(first), jnp.shape(last), jnp.shape(mode))
    first, last, mode = (lax.stop_gradient(jnp.broadcast_to(x, shape)) for x in (first, last, mode))
    peak = jnp.maximum(jnp.minimum(jnp.maximum(mode, first), last), first)

    def constant(k: Array) -> Array:
        return lax.stop_gradient(log_term(k))

    floor = constant(peak) - _NEGLIGIBLE
    below, above = peak - _AROUND - 1, jnp.maximum(peak + _AROUND, first + _FIRST - 1) + 1
    start = first + _FIRST
    lowest = peak - _distance(lambda d: constant(jnp.maximum(peak - d, start)) > floor, peak - start)
    highest = peak + _distance(lambda d: constant(peak + d) > floor, jnp.minimum(last, 1e300) - peak)
    parts = [
        _one_by_one(first, 0, _FIRST, first, last),
        _one_by_one(peak, -_AROUND, _AROUND + 1, start, last),
        _integral(start, below, jnp.maximum(start, lowest), below, _GAUSS_RISE),
        _integral(above, last, above, jnp.minimum(last, highest), _GAUSS_FALL),
    ]
    k, weights = (jnp.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return TermSum(log_term, k, weights, peak, last < first)


def _column(values: Any, rows: Array) -> Array:
    return jnp.asarray(values, dtype=jnp.result_type(float)).reshape((-1,) + (1,) * jnp.ndim(rows))


def _one_by_one(origin: Array, start: int, stop: int, lower: Array, upper: Array) -> tuple[Array, Array]:
    k = origin + _column(np.arange(start, stop), origin)
    return k, jnp.where((k >= lower) & (k <= upper), 1.0, 0.0)


def _integral(
    first: Array, last: Array, start: Array, stop: Array, rule: tuple[Any, Any]
) -> tuple[Array, Array]:
    """Places and weights for the sum from ``first`` to ``last``, where only the terms from ``start`` to ``stop``
    count. All weights are 0 when there are none."""
    wanted = last >= first
    # Where the bisection did not stop before the end, the end itself; else the terms there are negligible.
    at_first, at_last = wanted & (start <= first + 0.5), wanted & (stop >= last - 0.5)
    start, stop = jnp.where(at_first, first, start), jnp.where(at_last, last, stop)
    start, stop = jnp.where(wanted, start, 1.0), jnp.where(wanted, jnp.maximum(stop, start), 1.0)
    logarithm = jnp.log1p((stop - start) / start)
    k = start + start * jnp.expm1(_column((1 + rule[0]) / 2, first) * logarithm)
    places, weights = [k], [jnp.where(wanted, k * logarithm * _column(rule[1] / 2, first), 0.0)]
    steps = np.arange(-_REACH, _REACH + 1)
    slope = np.concatenate([-np.array(_CORRECTION[::-1]), [0.0], _CORRECTION])
    for end, counts, sign in ((first, at_first, 1.0), (jnp.where(at_last, last, 1.0), at_last, -1.0)):
        places.append(jnp.where(counts, end, 1.0) + _column(steps, first))
        weights.append(jnp.where(counts, _column(sign * slope + 0.5 * (steps == 0), first), 0.0))
    return jnp.concatenate(places), jnp.concatenate(weights)


def _distance(counts: Callable[[Array], Array], largest: Array) -> Array:
    """How far from the peak terms count, by bisection of the logarithm: ``counts(d)`` says whether they do."""
    start = jnp.zeros_like(largest)
    stop = jnp.log(jnp.maximum(largest, 1.0))

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        inside = counts(jnp.exp(middle))
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    return jnp.exp(lax.fori_loop(0, _STEPS, halve, (start, stop))[1])


def log_poisson_term(k: Array, mu: Array, log_mu: Array) -> Array:
    """log of exp(-mu) mu^k / Gamma(k + 1) at real k >= 0. Where mu is large, a deviance is taken, in which the large
    terms of the formula have cancelled."""
    x = k + 1
    log_x = jnp.log(x)
    remainder = stirling_remainder(x, log_x)
    plain = k * log_mu - mu - (x * (log_x - 1) + remainder)
    large = jnp.where(mu > _SMALL_MEAN, mu, _SMALL_MEAN)
    relative = (x - large) / large
    near = jnp.abs(relative) < 0.5
    log_ratio = jnp.where(near, jnp.log1p(jnp.where(near, relative, 0.0)), log_x - log_mu)
    deviance = x * log_ratio - large * relative
    return jnp.where(mu > _SMALL_MEAN, -deviance - log_mu - remainder, plain)
