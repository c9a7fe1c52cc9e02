"""The family of maxima, gen_extreme_value: Gumbel, Frechet and reversed Weibull distributions in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import gammaln, shape_of
from .lazy import jnp, random
from .links import LINKS, numpy_of
from .support import Support

__all__ = ["GEN_EXTREME_VALUE"]

Array = Any
Values = Mapping[str, Array]

_XI = DistributionalParameter(
    "xi",
    ("log1p", "identity"),
    default_prior="normal(0, 2.5)",
    default_prior_predicted="normal(0, 4)",
)
_EULER = 0.5772156649015329
_ZETA = (
    1.6449340668482264,
    1.2020569031595943,
    1.0823232337111382,
    1.03692775514337,
    1.0173430619844491,
    1.0083492773819228,
)
"""zeta(2), zeta(3), ..."""


def _log1p_over(u: Array) -> Array:
    """log(1 + u) / u for u > -1, by its series near 0, so that three derivatives keep their digits."""
    close = jnp.abs(u) < 0.1
    small, other = jnp.where(close, u, 0.0), jnp.where(close, 1.0, u)
    series = jnp.zeros_like(small)
    for n in reversed(range(20)):
        series = 1 / (n + 1) - small * series
    return jnp.where(close, series, jnp.log1p(other) / other)


def _gumbel_scale(y: Array, p: Values) -> tuple[Array, Array]:
    """(whether y is inside the support, w) where w = log(1 + xi x) / xi, x = (y - mu) / sigma: a standard Gumbel
    variable, x itself for xi = 0. 0 outside the support."""
    x = (y - p["mu"]) / p["sigma"]
    inside = p["xi"] * x > -1
    x = jnp.where(inside, x, 0.0)
    return inside, x * _log1p_over(p["xi"] * x)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    inside, w = _gumbel_scale(y, p)
    return jnp.where(inside, -jnp.log(p["sigma"]) - (1 + p["xi"]) * w - jnp.exp(-w), -np.inf)


def _tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """log F = -exp(-w). Below the support's lower end (xi > 0), and above its upper one (xi < 0), a tail is empty."""
    inside, w = _gumbel_scale(y, p)
    outside_lower = jnp.where(p["xi"] > 0, -np.inf, 0.0)
    outside_upper = jnp.where(p["xi"] > 0, 0.0, -np.inf)
    log_upper = LINKS["cloglog"].log_mu(-w)
    return jnp.where(inside, -jnp.exp(-w), outside_lower), jnp.where(inside, log_upper, outside_upper)


def _from_gumbel(w: Array, p: Values) -> Array:
    """The response whose standard Gumbel variable is ``w``."""
    u = p["xi"] * w
    flat = jnp.abs(u) < 1e-8
    other = jnp.where(flat, 1.0, u)
    return p["mu"] + p["sigma"] * w * jnp.where(flat, 1 + u / 2, jnp.expm1(other) / other)


def _sample(key: Array, p: Values, extra: Values) -> Array:
    return _from_gumbel(random.gumbel(key, shape_of(p)), p)


def _quantile(probability: Array, p: Values, extra: Values) -> Array:
    return _from_gumbel(-jnp.log(-jnp.log(probability)), p)


def _log_gamma_of_one_minus_over(xi: Array) -> Array:
    """log Gamma(1 - xi) / xi for xi < 1; Euler's constant at 0."""
    xp = numpy_of(xi)
    close = xp.abs(xi) < 1e-3
    small, other = xp.where(close, xi, 0.0), xp.where(close, 0.5, xi)
    series = xp.zeros_like(small)
    for k, zeta in reversed(list(enumerate(_ZETA, 2))):
        series = small * (zeta / k + series)
    return xp.where(close, _EULER + series, gammaln(1 - other) / other)


def _expm1_over(x: Array, u: Array) -> Array:
    """(exp(x u) - 1) / x; u at x = 0."""
    xp = numpy_of(u)
    flat = xp.abs(x * u) < 1e-8
    other = xp.where(flat, 1.0, x)
    return xp.where(flat, u * (1 + x * u / 2), xp.expm1(other * u) / other)


def _mean(p: Values, extra: Values) -> Array:
    """mu + sigma (Gamma(1 - xi) - 1) / xi; infinite for xi >= 1."""
    xp = numpy_of(p["mu"])
    finite = p["xi"] < 1
    xi = xp.where(finite, p["xi"], 0.5)
    centre = _expm1_over(xi, _log_gamma_of_one_minus_over(xi))
    return p["mu"] + p["sigma"] * xp.where(finite, centre, np.inf)


def _variance(p: Values, extra: Values) -> Array:
    """sigma^2 (Gamma(1 - 2 xi) - Gamma(1 - xi)^2) / xi^2; infinite for xi >= 1/2.

    The difference is Gamma(1 - xi)^2 (exp(d) - 1) with d = log Gamma(1 - 2 xi) - 2 log Gamma(1 - xi), whose series
    begins with xi^2 pi^2 / 6.
    """
    xp = numpy_of(p["mu"])
    finite = p["xi"] < 0.5
    xi = xp.where(finite, p["xi"], 0.25)
    close = xp.abs(xi) < 1e-3
    small, other = xp.where(close, xi, 0.0), xp.where(close, 0.25, xi)
    series = xp.zeros_like(small)
    for k, zeta in reversed(list(enumerate(_ZETA, 2))):
        series = series * small + zeta * (2**k - 2) / k
    slope = 2 * (_log_gamma_of_one_minus_over(2 * other) - _log_gamma_of_one_minus_over(other)) / other
    ratio = xp.where(close, series, slope)  # d / xi^2
    root = xp.exp(2 * xi * _log_gamma_of_one_minus_over(xi))
    inside = root * _expm1_over(xi * xi, ratio)
    return p["sigma"] ** 2 * xp.where(finite, inside, np.inf) + 0.0 * p["mu"]


GEN_EXTREME_VALUE = Family(
    name="gen_extreme_value",
    code="GeneralizedExtremeValue(mu, sigma, xi)",
    description="generalised extreme value with location mu, scale sigma and shape xi; mean "
    "mu + sigma (Γ(1 − xi) − 1) / xi, infinite for xi ≥ 1; 0 where 1 + xi (y − mu) / sigma ≤ 0",
    parameters=(common.mu(common.REAL[:5]), common.SIGMA, _XI),
    support=Support(advice="Drop the row or give it a finite value."),
    log_kernel=_kernel,
    sample=_sample,
    mean=_mean,
    variance=_variance,
    log_tails=_tails,
    quantile=_quantile,
    additions=frozenset({"cens", "trunc", "mi"}),
)
