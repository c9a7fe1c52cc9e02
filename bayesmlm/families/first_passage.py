"""When a Wiener process with drift first leaves an interval: densities, mean and random draws.

The process starts at ``start`` times the width ``separation``, has unit variance and the drift ``drift`` towards the
upper end. All functions are elementwise.
"""

from __future__ import annotations

from math import log, pi
from typing import Any

from .lazy import jnp, jsp, lax, random
from .links import numpy_of

__all__ = ["draw_exit", "log_passage_density", "mean_exit_time"]

Array = Any

# Below this time (of a process on the unit interval) the sum over reflections is used, above it the sum over
# frequencies. What is left out of either is less than exp(-45) of the whole.
_SPLIT = 0.3
_REFLECTIONS, _FREQUENCIES = 2, 5


def log_passage_density(t: Array, start: Array, rest: Array) -> Array:
    """Log density of the time ``t`` > 0 at which a process without drift on the unit interval, started at ``start``,
    leaves it at 0. ``rest``: 1 - start, given apart so that neither loses digits; both positive.

    Navarro and Fuss (2009), Journal of Mathematical Psychology 53(4), with fixed numbers of terms: each of the two
    series only has to serve one range of t, where it converges at once.
    """
    short = t < _SPLIT
    by_reflections = _log_by_reflections(jnp.where(short, t, _SPLIT), start, rest)
    return jnp.where(short, by_reflections, _log_by_frequencies(jnp.where(short, _SPLIT, t), start, rest))


def _log_by_reflections(t: Array, start: Array, rest: Array) -> Array:
    """log of (2 pi t^3)^(-1/2) sum over k of (start + 2 k) exp(-(start + 2 k)^2 / (2 t)).

    Terms that nearly cancel are taken together: k and -k where the start is near 0, k and -k - 1 where it is near 1.
    So the sum keeps its relative accuracy though it vanishes at both ends.
    """
    near = start < 0.5
    low = _reflections_from_below(t, jnp.where(near, start, 0.5))
    high = _reflections_from_above(t, jnp.where(near, 0.5, start), jnp.where(near, 0.5, rest))
    return jnp.where(near, low, high) - start * start / (2 * t) - 0.5 * (log(2 * pi) + 3 * jnp.log(t))


def _reflections_from_below(t: Array, start: Array) -> Array:
    total = jnp.zeros_like(t + start)
    for k in range(1, _REFLECTIONS + 1):
        # 2 w cosh(q) - 4 k sinh(q) with q = 2 k w / t, times exp(-2 k^2 / t), over w
        decay = jnp.exp(-4 * k * start / t)
        bracket = 1 + decay + 2 * k / start * jnp.expm1(-4 * k * start / t)
        total = total + jnp.exp(-2 * k * (k - start) / t) * bracket
    return jnp.log(start) + jnp.log1p(total)


def _reflections_from_above(t: Array, start: Array, rest: Array) -> Array:
    total = jnp.zeros_like(t + start)
    for m in range(1, 2 * _REFLECTIONS + 2, 2):
        # (m - e) exp(m e / t) - (m + e) exp(-m e / t) with e = 1 - w, over e and the first exponential
        q = 2 * m * rest / t
        pair = -(m - 1 + start) * jnp.expm1(-q) / rest - 2 * jnp.exp(-q)
        total = total + jnp.exp(-(m - 1) * (m + 1 - 2 * rest) / (2 * t)) * pair
    return jnp.log(rest) + jnp.log(total)


def _log_by_frequencies(t: Array, start: Array, rest: Array) -> Array:
    """log of pi sum over k of k exp(-k^2 pi^2 t / 2) sin(k pi start), as the first term times Chebyshev polynomials
    (sin(k x) / sin(x) as a polynomial in cos(x)), so that nothing is lost near 0 and 1."""
    near = start < 0.5
    nearest = pi * jnp.where(near, start, rest)
    cosine = jnp.cos(nearest) * jnp.where(near, 1.0, -1.0)
    before, chebyshev = 1.0, 2 * cosine
    total = jnp.zeros_like(t + start)
    for k in range(2, _FREQUENCIES + 1):
        total = total + k * jnp.exp(-0.5 * (k * k - 1) * pi**2 * t) * chebyshev
        before, chebyshev = chebyshev, 2 * cosine * chebyshev - before
    return log(pi) + jnp.log(jnp.sin(nearest)) - 0.5 * pi**2 * t + jnp.log1p(total)


_NO_DRIFT = 2e-3


def mean_exit_time(drift: Array, separation: Array, start: Array) -> Array:
    """E(time until either end is reached), also of numpy arrays: (separation P(upper end) - distance) / drift.

    For a small x = drift * separation, where that is 0 / 0, the expansion of P(upper end) - start in Bernoulli
    polynomials (Abramowitz and Stegun 23.1.1).
    """
    xp = numpy_of(drift)
    x, w = drift * separation, start
    small = xp.abs(x) < _NO_DRIFT
    b = -2 * xp.where(small, x, 0.0)
    terms = (w * w - w) / 2, w * (w - 1) * (w - 0.5) / 6, w**2 * (w - 1) ** 2 / 24
    series = -2 * (terms[0] + b * (terms[1] + b * terms[2]))
    x = xp.where(small, 1.0, x)
    # P(upper end) = (1 - exp(-2 x w)) / (1 - exp(-2 x)), without the larger exponential above and below the line
    size = xp.abs(x)
    upper = xp.expm1(-2 * size * w) / xp.expm1(-2 * size)
    upper = xp.where(x > 0, 1.0, xp.exp(-2 * size * (1 - w))) * upper
    return separation**2 * xp.where(small, series, (upper - w) / x)


# ---- random draws
# --------------------------------------------------------------------------------------------------

_JOIN = 0.64  # where the two series of the exit time from (-1, 1) change places (Devroye 2009)
_TAIL_OF_JOIN = 0.10564977366685525  # P(N > 1 / sqrt(0.64)) of a standard normal N
_TILT = 1.5  # from this drift on, times below the join are proposed from an inverse Gaussian distribution


def draw_exit(key: Array, drift: Array, separation: Array, start: Array) -> tuple[Array, Array]:
    """Random times at which the process leaves the interval, and whether it does so at the upper end.

    Exact, by steps of simple processes (Drugowitsch 2016, Scientific Reports 6, 20490): out of the largest interval
    that is symmetric about the present position, at either end of it with odds exp(2 drift half-width), whatever the
    time that this takes; until that end is one of the whole interval. Exit times are drawn by rejection, all rows at
    once; a row whose proposal is refused proposes again in the next round.
    """
    drift, separation, start = jnp.broadcast_arrays(drift, separation, start)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        key, time, below, above, done, upper = state  # distances to the two ends, of a unit interval
        key, key_time, key_side = random.split(key, 3)
        half = jnp.minimum(below, above)
        push = drift * separation * half
        duration, accepted = _propose_exit_time(key_time, jnp.abs(push))
        up = random.uniform(key_side, time.shape, time.dtype) * (1 + jnp.exp(-2 * jnp.abs(push))) < 1
        up = up == (push >= 0)
        accepted = accepted & ~done
        ends = jnp.where(up, half == above, half == below)
        moved = jnp.where(up, half, -half)
        return (
            key,
            time + jnp.where(accepted, half * half * duration, 0.0),
            jnp.where(accepted & ~ends, below + moved, below),
            jnp.where(accepted & ~ends, above - moved, above),
            done | (accepted & ends),
            jnp.where(accepted & ends, up, upper),
        )

    # Parameters that are no numbers must not keep the loop from ending.
    legal = (start > 0) & (start < 1) & (separation > 0) & jnp.isfinite(drift * separation)
    nothing = jnp.zeros_like(start)
    state = (
        key,
        nothing,
        jnp.where(legal, start, 0.5),
        jnp.where(legal, 1 - start, 0.5),
        ~legal,
        nothing > 0,
    )
    _, time, _, _, _, upper = lax.while_loop(lambda state: ~jnp.all(state[4]), step, state)
    return jnp.where(legal, separation**2 * time, jnp.nan), upper


def _propose_exit_time(key: Array, drift: Array) -> tuple[Array, Array]:
    """A proposal for the exit time of (-1, 1), started at 0, with ``drift`` >= 0; and whether it is accepted.

    Devroye (2009), Statistics and Probability Letters 79(21), in the form of Polson, Scott and Windle (2013), JASA
    108(504): above the join an exponential envelope. Below it, with little drift, that of the first passage without
    drift (one over the square of a normal tail); with more, an inverse Gaussian one, all of it, so that what it puts
    above the join is refused. More than two in three proposals are accepted.
    """
    key_part, key_square, key_choice, key_right, key_accept = random.split(key, 5)
    shape = drift.shape
    little = drift < _TILT
    tail = _TAIL_OF_JOIN
    rate = pi**2 / 8 + drift**2 / 2
    log_right = log(pi / 2) - jnp.log(rate) - rate * _JOIN
    log_left = jnp.where(little, log(4 * tail), log(2.0) - drift)
    left = random.uniform(key_part, shape, drift.dtype) * (1 + jnp.exp(log_right - log_left)) < 1
    # 1 / N^2 for a normal N beyond 1 / sqrt(join)
    quantile = jnp.maximum(random.uniform(key_square, shape, drift.dtype), 1e-300) * tail
    from_tail = 1 / jsp.ndtri(quantile) ** 2
    x_left = jnp.where(
        little, from_tail, _inverse_gaussian(key_square, key_choice, jnp.where(little, _TILT, drift))
    )
    x_right = _JOIN + random.exponential(key_right, shape, drift.dtype) / rate
    x = jnp.where(left, x_left, x_right)
    # What the alternating series leaves of the envelope.
    scaled = jnp.where(left, 4 / x, pi**2 * x)
    kept = 1 - 3 * jnp.exp(-scaled) + 5 * jnp.exp(-3 * scaled) - 7 * jnp.exp(-6 * scaled)
    kept = jnp.where(left & little, kept * jnp.exp(-0.5 * drift**2 * x), kept)
    accepted = random.uniform(key_accept, shape, drift.dtype) < kept
    return x, accepted & (~left | (x <= _JOIN))


def _inverse_gaussian(key_square: Array, key_choice: Array, drift: Array) -> Array:
    """Inverse Gaussian variables with mean 1 / drift and shape 1 (Michael, Schucany and Haas 1976)."""
    half = random.normal(key_square, drift.shape, drift.dtype) ** 2 / (2 * drift)
    ratio = 1 + half + jnp.sqrt(half * (half + 2))
    smaller = random.uniform(key_choice, drift.shape, drift.dtype) <= ratio / (1 + ratio)
    return jnp.where(smaller, 1 / ratio, ratio) / drift
