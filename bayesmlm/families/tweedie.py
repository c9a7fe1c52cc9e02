"""The tweedie family: sums of a Poisson number of gamma variables, which are 0 when there are none.

An addition to brms's families. mu is the mean, the variance is phi mu^power, 1 < power < 2 (Jorgensen 1987, JRSS B
49(2)): as from a Poisson number of mean mu^(2 - power) / (phi (2 - power)) of gamma variables with shape
(2 - power) / (power - 1) and scale phi (power - 1) mu^(power - 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import draw_poisson, guarded, shape_of
from .lazy import jnp, lax, random
from .links import LINKS
from .special import log_add, stirling_remainder
from .support import Support
from .tails import log1m_exp, log_incomplete_gamma

__all__ = ["TWEEDIE"]

Array = Any
Values = Mapping[str, Array]

POWER = DistributionalParameter(
    "power",
    ("logitm1", "identity"),
    lower=1.0,
    upper=2.0,
    default_prior="uniform(1, 2)",
    default_prior_predicted="logistic(0, 1)",
)

_TERMS = 96
_SDS = 18.0
"""How many standard deviations of the number of gamma variables, given y, the terms cover in all."""


def _log_intensity(log_y: Array, phi: Array, power: Array) -> Array:
    """log of the Poisson mean that belongs to the mean ``y``: y^(2 - power) / (phi (2 - power))."""
    return (2 - power) * log_y - jnp.log(phi * (2 - power))


def _counts(intensity: Array, variance: Array) -> tuple[Array, Array]:
    """Numbers j of gamma variables, (terms, ...), at which a sum over all j >= 1 is evaluated, and their distance.

    All of 1, 2, ... or consecutive ones around the mode. Where these would not reach, numbers (not whole ones) at a
    larger distance: the terms are then a smooth function of j, much wider than the distance, so that the sum is
    that distance times fewer terms, the trapezoidal rule, to within exp(-2 pi^2 sd^2 / distance^2) (Poisson's summation
    formula). No derivative goes through them: the sum does not depend on where it is evaluated.
    """
    intensity, variance = lax.stop_gradient(intensity), lax.stop_gradient(variance)
    distance = jnp.maximum(1.0, _SDS / _TERMS * jnp.sqrt(variance))
    whole = jnp.maximum(jnp.round(intensity) - _TERMS // 2, 1.0)
    first = jnp.where(distance > 1, intensity - 0.5 * _TERMS * distance, whole)
    steps = jnp.arange(_TERMS).reshape(-1, *(1,) * jnp.ndim(first))
    return first + distance * steps, distance


def _log_poisson(count: Array, intensity: Array, log_intensity: Array) -> tuple[Array, Array]:
    """log of the Poisson probability of ``count`` > 0 (with a gamma function for the factorial); and minus the part of
    it that vanishes at the mean: count log(count / intensity) - count + intensity."""
    difference = count - intensity
    near = jnp.abs(difference) < 0.5 * intensity
    relative = jnp.where(near, difference / jnp.where(near, intensity, 1.0), 0.0)
    log_ratio = jnp.where(near, jnp.log1p(relative), jnp.log(count) - log_intensity)
    divergence = count * log_ratio - difference
    return -divergence - stirling_remainder(count, jnp.log(count)) - jnp.log(count), divergence


def _log_sum(terms: Array, distance: Array) -> Array:
    """log of distance times the sum over the first axis of exp(terms)."""
    largest = lax.stop_gradient(jnp.max(terms, axis=0))
    return largest + jnp.log(jnp.sum(jnp.exp(terms - largest), axis=0)) + jnp.log(distance)


def _log_series(log_intensity: Array, power: Array) -> Array:
    """log(y f(y)) of the density f at y when the mean is y: the sum over j of Poisson(j) times y times the density of
    the sum of j gamma variables. It depends on the intensity and the power only.

    Dunn and Smyth (2005), Statistics and Computing 15(4), without their search for the terms that count.
    """
    shape = (2 - power) / (power - 1)
    intensity = jnp.exp(log_intensity)
    count, distance = _counts(intensity, intensity * (power - 1))
    possible = count > 0
    count = jnp.where(possible, count, 1.0)
    log_poisson, divergence = _log_poisson(count, intensity, log_intensity)
    shapes = count * shape
    log_gamma = -shape * divergence - stirling_remainder(shapes, jnp.log(count) + jnp.log(shape))
    return _log_sum(jnp.where(possible, log_poisson + log_gamma, -np.inf), distance)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """The density at mean y, and minus half the deviance over phi for a mean other than y."""
    legal = (p["power"] > 1) & (p["power"] < 2)
    power, phi = jnp.where(legal, p["power"], 1.5), p["phi"]
    log_mu = LINKS[link].log_mu(p["eta"])
    positive = y > 0
    log_y = jnp.log(jnp.where(positive, y, 1.0))
    below, above = power - 1, 2 - power
    # Zeros do not see the ratio, positive responses not the intensity.
    possible = log_mu > -np.inf
    log_ratio = jnp.where(positive & possible, log_mu - log_y, 0.0)
    half_deviance = jnp.expm1(-below * log_ratio) / below + jnp.expm1(above * log_ratio) / above
    log_scale = above * log_y - jnp.log(phi)
    at_y = _log_series(_log_intensity(log_y, phi, power), power) - jnp.exp(log_scale) * half_deviance
    at_zero = -jnp.exp(_log_intensity(jnp.where(positive | ~possible, 0.0, log_mu), phi, power))
    value = guarded(jnp.where(positive, at_y, at_zero), p["eta"], link, 0.0, np.inf, closed=False)
    return jnp.where(legal, value, -np.inf)


def _tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """The tail on the side of y away from the mean: the sum over j of Poisson(j) times that tail of the sum of j gamma
    variables, with the j that count for the density at y. The other tail is its complement."""
    legal = (p["power"] > 1) & (p["power"] < 2) & (p["mu"] > 0) & (p["phi"] > 0)
    power, mu, phi = (
        jnp.where(legal, p[name], at) for name, at in (("power", 1.5), ("mu", 1.0), ("phi", 1.0))
    )
    inside = legal & (y > 0) & (y < np.inf)
    at = jnp.where(inside, y, 1.0)
    log_intensity = _log_intensity(jnp.log(mu), phi, power)
    intensity, around = jnp.exp(log_intensity), jnp.exp(_log_intensity(jnp.log(at), phi, power))
    count, distance = _counts(around, around)
    possible = count > 0
    count = jnp.where(possible, count, 1.0)
    log_poisson, _ = _log_poisson(count, intensity, log_intensity)
    scaled = at / (phi * (power - 1)) * jnp.exp((1 - power) * jnp.log(mu))
    lower, upper = log_incomplete_gamma(count * ((2 - power) / (power - 1)), scaled + 0.0 * count)
    outer = at < mu
    terms = log_poisson + jnp.where(outer, lower, upper)
    tail = _log_sum(jnp.where(possible, terms, -np.inf), distance)
    below = jnp.where(outer, log_add(-intensity, tail), log1m_exp(jnp.where(outer, -1.0, tail)))
    above = jnp.where(outer, log1m_exp(jnp.where(outer, below, -1.0)), tail)
    below = jnp.where(inside, below, jnp.where(y < 0, -np.inf, jnp.where(y > 0, 0.0, -intensity)))
    above = jnp.where(inside, above, jnp.where(y < 0, 0.0, jnp.where(y > 0, -np.inf, log1m_exp(-intensity))))
    return jnp.where(legal, below, -np.inf), jnp.where(legal, above, -np.inf)


def _sample(key: Array, p: Values, extra: Values) -> Array:
    key_count, key_size = random.split(key)
    power, shape = p["power"], shape_of(p)
    intensity = p["mu"] ** (2 - power) / (p["phi"] * (2 - power))
    count = draw_poisson(key_count, jnp.broadcast_to(intensity, shape))
    sizes = random.gamma(key_size, jnp.where(count > 0, count, 1.0) * ((2 - power) / (power - 1)), shape)
    return jnp.where(count > 0, sizes * (p["phi"] * (power - 1) * p["mu"] ** (power - 1)), 0.0)


TWEEDIE = Family(
    name="tweedie",
    code="Tweedie(mu, phi, power)",
    description="a Poisson number of gamma variables: zeros and positive values, mean mu, variance phi mu^power, "
    "P(0) = exp(−mu^(2 − power) / (phi (2 − power))). brms has no such family",
    parameters=(common.mu(common.POSITIVE, lower=0.0), common.PHI, POWER),
    support=Support(lower=0.0, advice="For values of both signs use `gaussian` or `student`."),
    log_kernel=_kernel,
    log_base_measure=lambda y, extra: -jnp.log(jnp.where(y > 0, y, 1.0)),
    sample=_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["phi"] * p["mu"] ** p["power"],
    log_tails=_tails,
    additions=frozenset({"cens", "trunc"}),
)
