"""Families of real responses with a skewed distribution: skew_normal, skew_t, exgaussian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import gammaln, log_density_of_normal, shape_of
from .lazy import jnp, jsp, lax, random
from .links import LINKS, numpy_of
from .quadrature import FALL, log_integral, positive_root
from .special import log_add, log_gamma_ratio
from .support import Support
from .tails import log1m_exp, log_student_tails

__all__ = ["EXGAUSSIAN", "SKEW_NORMAL", "SKEW_T"]

Array = Any
Values = Mapping[str, Array]
Tails = tuple[Array, Array]

_CENSORED = frozenset({"cens", "trunc", "mi"})
_ANY = Support(advice="Drop the row or give it a finite value.")
_ALPHA = DistributionalParameter(
    "alpha",
    ("identity", "log", "softplus", "squareplus"),
    default_prior="normal(0, 4)",
    default_prior_predicted="normal(0, 4)",
)
_BETA = DistributionalParameter(
    "beta",
    ("log", "identity", "softplus", "squareplus"),
    lower=0.0,
    default_prior="gamma(1, 0.1)",
    default_prior_predicted="normal(1.7, 1.3)",
)
# Beyond, all tails have underflowed and squares would overflow.
_FAR = 1e100
# Without influence on a probability, and far enough from 0 for logarithms.
_NEXT_TO_ZERO = 1e-15
_LOG_2 = float(np.log(2.0))
_MEAN_OF_HALF_NORMAL = float(np.sqrt(2 / np.pi))


def _log_cdf(x: Array) -> Array:
    """log Phi(x) of the normal distribution."""
    return LINKS["probit"].log_mu(x)


def _hazard(x: Array) -> Array:
    """phi(x) / Phi(-x), the normal hazard."""
    return jnp.exp(log_density_of_normal(x, 1.0) - _log_cdf(-x))


# ---- skew_normal


def _shift_and_scale(p: Values) -> tuple[Array, Array]:
    """The scale of the skew normal variable whose standard deviation is sigma, and how many scales its location lies
    below the mean."""
    shift = _MEAN_OF_HALF_NORMAL * p["alpha"] / jnp.sqrt(1 + p["alpha"] ** 2)
    return shift, p["sigma"] / jnp.sqrt(1 - shift**2)


def _skew_normal_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    shift, scale = _shift_and_scale(p)
    z = (y - p["mu"]) / scale + shift
    return _LOG_2 + log_density_of_normal(z, scale) + _log_cdf(p["alpha"] * z)


def _standard_skew_normal(key: Array, alpha: Array, shape: tuple[int, ...]) -> Array:
    """Azzalini (1985), Scandinavian Journal of Statistics 12(2): a half normal and a normal part."""
    key_half, key_rest = random.split(key)
    half = jnp.abs(random.normal(key_half, shape))
    return (alpha * half + random.normal(key_rest, shape)) / jnp.sqrt(1 + alpha**2)


def _skew_normal_sample(key: Array, p: Values, extra: Values) -> Array:
    shift, scale = _shift_and_scale(p)
    return p["mu"] + scale * (_standard_skew_normal(key, p["alpha"], shape_of(p)) - shift)


def _skew_normal_tails(y: Array, p: Values, extra: Values) -> Tails:
    shift, scale = _shift_and_scale(p)
    z, distance, skewness = _rightwards((y - p["mu"]) / scale + shift, p["alpha"])
    corner = _normal_corner(distance, skewness)
    centre = jsp.erf(distance * np.sqrt(0.5))
    return _combine(p["alpha"] < 0, z < 0, corner, _log_cdf(-distance), centre)


def _rightwards(z: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """z with the sign with which the variable is skewed to the right, |z| and |alpha|; z kept where its square is
    finite."""
    z, alpha = jnp.broadcast_arrays(jnp.clip(z, -_FAR, _FAR), alpha * 1.0)
    z = jnp.where(alpha < 0, -z, z)
    return z, jnp.where(z < 0, -z, z), jnp.where(alpha < 0, -alpha, alpha)


def _combine(mirrored: Array, left: Array, corner: Array, symmetric: Array, centre: Array) -> Tails:
    """Both tails at -d (where ``left``) or d >= 0 of a variable skewed to the right, so that nothing cancels.

    The variable is U given that |alpha| U > V, for U and V spherical (normal or t). ``corner``: the log of
    P(U > d, V > |alpha| U), half the probability of values below -d; ``symmetric``: the log of P(U > d); ``centre``:
    P(-d < U < d). ``mirrored``: exchange the tails.
    """
    outer = corner + _LOG_2  # below -d
    above = symmetric + _LOG_2 + jnp.log1p(-jnp.exp(corner - symmetric))  # above d
    below = jnp.log(jnp.exp(outer) + centre)  # below d
    lower, upper = jnp.where(left, outer, below), jnp.where(left, log1m_exp(outer), above)
    return jnp.where(mirrored, upper, lower), jnp.where(mirrored, lower, upper)


def _normal_corner(z: Array, alpha: Array) -> Array:
    """log of the integral of phi(s) Phi(-alpha s) over s from z, for z, alpha >= 0."""
    base = _log_cdf(-alpha * z)
    # The hazard exceeds its argument, so the integrand's logarithm falls faster than -(1 + alpha^2)(s^2/2 + z s).
    steep = 1 + alpha * alpha
    end = lax.stop_gradient(positive_root(steep * z, steep))
    return log_density_of_normal(z, 1.0) + base + log_integral(_normal_corner_exponent)(end, z, alpha, base)


def _normal_corner_exponent(
    s: Array, z: Array, alpha: Array, base: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    at = z + s
    hazard = _hazard(alpha * at)
    value = -s * (z + 0.5 * s) + _log_cdf(-alpha * at) - base
    return value, (-s - alpha * hazard, -at * hazard, -jnp.ones_like(s))


SKEW_NORMAL = Family(
    name="skew_normal",
    code="SkewNormal(mean=mu, sd=sigma, alpha)",
    description="skew normal with mean mu, standard deviation sigma and skewness parameter alpha (0: normal)",
    parameters=(common.mu(common.REAL), common.SIGMA, _ALPHA),
    support=_ANY,
    log_kernel=_skew_normal_kernel,
    sample=_skew_normal_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["sigma"] ** 2 + 0.0 * p["mu"],
    log_tails=_skew_normal_tails,
    additions=_CENSORED | {"se"},
)


# ---- skew_t


def _skew_t_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """Azzalini and Capitanio (2003), JRSS B 65(2): 2 t(z; nu) T(alpha z sqrt((nu + 1) / (nu + z^2)); nu + 1)."""
    nu, sigma = p["nu"], p["sigma"]
    z = (y - p["mu"]) / sigma
    log_ratio = log_gamma_ratio(nu / 2, 0.5)
    log_t = log_ratio - 0.5 * jnp.log(np.pi * nu) - jnp.log(sigma) - 0.5 * (nu + 1) * jnp.log1p(z * z / nu)
    skewed = p["alpha"] * z * jnp.sqrt((nu + 1) / (nu + z * z))
    # Gamma(nu / 2 + 1) / Gamma(nu / 2) is nu / 2.
    return _LOG_2 + log_t + log_student_tails(skewed, nu + 1, jnp.log(nu / 2) - log_ratio)[0]


def _skew_t_sample(key: Array, p: Values, extra: Values) -> Array:
    key_normal, key_scale = random.split(key)
    shape = shape_of(p)
    precision = random.gamma(key_scale, 0.5 * p["nu"], shape) / (0.5 * p["nu"])
    return p["mu"] + p["sigma"] * _standard_skew_normal(key_normal, p["alpha"], shape) / jnp.sqrt(precision)


def _skew_t_shift(p: Values) -> Array:
    """The mean less mu, over sigma; infinite for nu <= 1 (not a number for nu <= 1 and alpha 0)."""
    xp = numpy_of(p["nu"])
    finite = p["nu"] > 1
    nu = xp.where(finite, p["nu"], 2.0)
    factor = xp.sqrt(nu / np.pi) * xp.exp(gammaln((nu - 1) / 2) - gammaln(nu / 2))
    return xp.where(finite, factor, np.inf) * (p["alpha"] / xp.sqrt(1 + p["alpha"] ** 2))


def _skew_t_variance(p: Values, extra: Values) -> Array:
    xp = numpy_of(p["nu"])
    finite = p["nu"] > 2
    nu = xp.where(finite, p["nu"], 3.0)
    inside = nu / (nu - 2) - _skew_t_shift({**p, "nu": nu}) ** 2
    return p["sigma"] ** 2 * xp.where(finite, inside, np.inf) + 0.0 * p["mu"]


def _skew_t_tails(y: Array, p: Values, extra: Values) -> Tails:
    z, alpha, nu = jnp.broadcast_arrays((y - p["mu"]) / p["sigma"], p["alpha"] * 1.0, p["nu"] * 1.0)
    z, distance, skewness = _rightwards(z, alpha)
    corner = _t_corner(distance + _NEXT_TO_ZERO, skewness, nu)
    inner, outer = log_student_tails(distance, nu)
    return _combine(alpha < 0, z < 0, corner, outer, jnp.exp(inner) - jnp.exp(outer))


def _t_corner(z: Array, alpha: Array, nu: Array) -> Array:
    """log P(U > z, V > alpha U) for spherical t variables U, V and z > 0, alpha >= 0.

    In polar coordinates the distance from the origin has the closed tail (1 + r^2 / nu)^(-nu / 2), and the line
    U = z lies at r = z cosh(x) in the direction with sinh(x) = V / U: 1 / (2 pi) times the integral of
    (1 + z^2 cosh(x)^2 / nu)^(-nu / 2) / cosh(x) over x from arsinh(alpha). It falls like exp(-x) until z cosh(x)
    is about sqrt(nu), and like exp(-(nu + 1) x) from there, so it is taken in two parts.
    """
    start = jnp.arcsinh(alpha)
    bend = lax.stop_gradient(jnp.maximum(jnp.log(2 * jnp.sqrt(nu) / z), start + 1.0))
    first = _t_corner_part(start, jnp.minimum(bend - start, FALL + 1), z, nu)
    second = _t_corner_part(bend, lax.stop_gradient((FALL + 1) / jnp.minimum(nu + 1, FALL)), z, nu)
    return log_add(first, second) - np.log(2 * np.pi)


def _t_corner_part(start: Array, length: Array, z: Array, nu: Array) -> Array:
    base, _slopes = _t_corner_exponent(jnp.zeros_like(z), start, z, nu, jnp.zeros_like(z))
    return base + log_integral(_t_corner_exponent)(length, start, z, nu, base)


def _t_corner_exponent(
    s: Array, start: Array, z: Array, nu: Array, base: Array
) -> tuple[Array, tuple[Array, ...]]:
    x = start + s
    log_cosh = x + jnp.log1p(jnp.exp(-2 * x)) - _LOG_2
    square = jnp.exp(2 * log_cosh) * (z * z / nu)
    log_sum, share, tanh = jnp.log1p(square), square / (1 + square), jnp.tanh(x)
    value = -0.5 * nu * log_sum - log_cosh - base
    by_nu = 0.5 * (share - log_sum)
    return value, (-(nu * share + 1) * tanh, -nu * share / z, by_nu, -jnp.ones_like(s))


SKEW_T = Family(
    name="skew_t",
    code="SkewStudentT(nu, mu, sigma, alpha)",
    description="skew Student t with location mu (not the mean), scale sigma, skewness parameter alpha (0: `student`) "
    "and nu degrees of freedom; mean mu + sigma delta sqrt(nu / π) Γ((nu − 1) / 2) / Γ(nu / 2) with "
    "delta = alpha / sqrt(1 + alpha²); variance infinite for nu ≤ 2. Azzalini and Capitanio's; brms has no such family",
    parameters=(common.mu(common.REAL), common.SIGMA, _ALPHA, common.NU),
    support=_ANY,
    log_kernel=_skew_t_kernel,
    sample=_skew_t_sample,
    mean=lambda p, extra: p["mu"] + p["sigma"] * _skew_t_shift(p),
    variance=_skew_t_variance,
    log_tails=_skew_t_tails,
    additions=_CENSORED | {"se"},
)


# ---- exgaussian


def _standardised(y: Array, p: Values) -> Tails:
    """The distance from the normal part's mean and the ratio sigma / beta, both in standard deviations sigma."""
    return (y - p["mu"] + p["beta"]) / p["sigma"], p["sigma"] / p["beta"]


def _exgaussian_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of 1 / beta exp(k^2 / 2 - k z) Phi(z - k), where k = sigma / beta."""
    z, k = _standardised(y, p)
    return _log_tilted(z, k) - jnp.log(p["beta"])


def _log_tilted(z: Array, k: Array) -> Array:
    """k^2 / 2 - k z + log Phi(z - k); by erfcx, since for z < k the first terms cancel with the last."""
    below = z < k
    w = jnp.where(below, k - z, z - k)
    half = 0.5 * jsp.erfcx(w * np.sqrt(0.5))
    right = jnp.where(below, 0.0, w)
    upper = jnp.log1p(-jnp.exp(-0.5 * right * right) * half) - k * (right + 0.5 * k)
    return jnp.where(below, jnp.log(half) - 0.5 * z * z, upper)


def _exgaussian_sample(key: Array, p: Values, extra: Values) -> Array:
    key_normal, key_exponential = random.split(key)
    shape = shape_of(p)
    waiting = random.exponential(key_exponential, shape) - 1
    return p["mu"] + p["sigma"] * random.normal(key_normal, shape) + p["beta"] * waiting


def _exgaussian_tails(y: Array, p: Values, extra: Values) -> Tails:
    """P(Y > y) = Phi(-z) + beta f(y). P(Y <= y), where that is not near 1, is the integral over v from 0 of
    k exp(-k v) Phi(z - v)."""
    z, k = _standardised(y, p)
    z, k = jnp.broadcast_arrays(jnp.clip(z, -_FAR, _FAR), k * 1.0)
    upper = log_add(_log_cdf(-z), _log_tilted(z, k))
    near = jnp.where(z < 2, z, 0.0)
    base = _log_cdf(near)
    # The logarithm falls faster than -k v, and from where v exceeds z than -(v - z)^2 / 2.
    before, slope = jnp.maximum(near, 0.0), k + jnp.maximum(-near, 0.0)
    end = jnp.minimum(FALL / k, before + positive_root(slope, jnp.ones_like(k)))
    integral = log_integral(_exgaussian_exponent)(lax.stop_gradient(end), near, k, base)
    lower = jnp.where(z < 2, jnp.log(k) + base + integral, log1m_exp(upper))
    return lower, upper


def _exgaussian_exponent(
    v: Array, z: Array, k: Array, base: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    return -k * v + _log_cdf(z - v) - base, (_hazard(v - z), -v, -jnp.ones_like(v))


EXGAUSSIAN = Family(
    name="exgaussian",
    code="ExGaussian(mean=mu, sigma, beta)",
    description="sum of a normal variable with standard deviation sigma and an exponential one with mean beta; "
    "mean mu, variance sigma² + beta²",
    parameters=(common.mu(common.REAL[:5]), common.SIGMA, _BETA),
    support=_ANY,
    log_kernel=_exgaussian_kernel,
    sample=_exgaussian_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["sigma"] ** 2 + p["beta"] ** 2 + 0.0 * p["mu"],
    log_tails=_exgaussian_tails,
    additions=_CENSORED,
)
