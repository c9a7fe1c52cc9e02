"""Families of continuous responses: gaussian, student, lognormal, gamma, beta.

Densities are in brms's parameterisation (brms vignette "Parameterization of Response Distributions in brms").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import guarded, log_density_of_normal, shape_of
from .lazy import jnp, jsp, random
from .links import LINKS, numpy_of
from .special import (
    incomplete_beta,
    incomplete_gamma,
    log_gamma_ratio,
    stirling_remainder,
    student_t_cdf,
)
from .support import Support
from .tails import log_incomplete_beta, log_incomplete_gamma, log_student_tails

__all__ = ["BETA", "GAMMA", "GAUSSIAN", "LOGNORMAL", "STUDENT", "log_beta"]

Array = Any
Values = Mapping[str, Array]
Tails = tuple[Array, Array]

_CENSORED = frozenset({"cens", "trunc", "mi"})


def _mu(p: Values, extra: Values) -> Array:
    return p["mu"]


def _gaussian_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return log_density_of_normal((y - p["mu"]) / p["sigma"], p["sigma"])


def _gaussian_sample(key: Array, p: Values, extra: Values) -> Array:
    return p["mu"] + p["sigma"] * random.normal(key, shape_of(p))


def _gaussian_cdf(y: Array, p: Values, extra: Values) -> Array:
    return jsp.ndtr((y - p["mu"]) / p["sigma"])


def _normal_tails(z: Array) -> Tails:
    log_cdf = LINKS["probit"].log_mu
    return log_cdf(z), log_cdf(-z)


def _gaussian_tails(y: Array, p: Values, extra: Values) -> Tails:
    return _normal_tails((y - p["mu"]) / p["sigma"])


def _gaussian_quantile(probability: Array, p: Values, extra: Values) -> Array:
    return p["mu"] + p["sigma"] * jsp.ndtri(probability)


GAUSSIAN = Family(
    name="gaussian",
    code="Normal(mu, sigma)",
    description="normal with mean mu and standard deviation sigma",
    parameters=(common.mu(common.REAL), common.SIGMA),
    support=Support(advice="Drop the row or give it a finite value."),
    log_kernel=_gaussian_kernel,
    sample=_gaussian_sample,
    mean=_mu,
    variance=lambda p, extra: p["sigma"] ** 2 + 0.0 * p["mu"],
    cdf=_gaussian_cdf,
    log_tails=_gaussian_tails,
    quantile=_gaussian_quantile,
    additions=_CENSORED | {"se"},
)


def _student_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    nu, sigma = p["nu"], p["sigma"]
    z = (y - p["mu"]) / sigma
    normaliser = log_gamma_ratio(nu / 2, 0.5) - 0.5 * jnp.log(np.pi * nu) - jnp.log(sigma)
    return normaliser - 0.5 * (nu + 1) * jnp.log1p(z * z / nu)


def _student_sample(key: Array, p: Values, extra: Values) -> Array:
    return p["mu"] + p["sigma"] * random.t(key, p["nu"], shape_of(p))


def _student_cdf(y: Array, p: Values, extra: Values) -> Array:
    return student_t_cdf((y - p["mu"]) / p["sigma"], p["nu"])


def _student_tails(y: Array, p: Values, extra: Values) -> Tails:
    return log_student_tails((y - p["mu"]) / p["sigma"], p["nu"])


def _student_variance(p: Values, extra: Values) -> Array:
    xp = numpy_of(p["nu"])
    finite = p["nu"] > 2
    ratio = xp.where(finite, p["nu"] / (xp.where(finite, p["nu"], 3.0) - 2), np.inf)
    return p["sigma"] ** 2 * ratio + 0.0 * p["mu"]


STUDENT = Family(
    name="student",
    code="StudentT(nu, mu, sigma)",
    description="Student t with nu degrees of freedom, location mu and scale sigma; variance "
    "sigma² nu / (nu − 2), infinite for nu ≤ 2",
    parameters=(common.mu(common.REAL), common.SIGMA, common.NU),
    support=Support(advice="Drop the row or give it a finite value."),
    log_kernel=_student_kernel,
    sample=_student_sample,
    mean=_mu,
    variance=_student_variance,
    cdf=_student_cdf,
    log_tails=_student_tails,
    additions=_CENSORED | {"se"},
)


def _lognormal_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return log_density_of_normal((jnp.log(y) - p["mu"]) / p["sigma"], p["sigma"])


def _lognormal_sample(key: Array, p: Values, extra: Values) -> Array:
    return jnp.exp(_gaussian_sample(key, p, extra))


def _lognormal_mean(p: Values, extra: Values) -> Array:
    return numpy_of(p["mu"]).exp(p["mu"] + p["sigma"] ** 2 / 2)


def _lognormal_variance(p: Values, extra: Values) -> Array:
    xp, s2 = numpy_of(p["mu"]), p["sigma"] ** 2
    return xp.expm1(s2) * xp.exp(2 * p["mu"] + s2)


def _lognormal_cdf(y: Array, p: Values, extra: Values) -> Array:
    positive = y > 0
    z = (jnp.log(jnp.where(positive, y, 1.0)) - p["mu"]) / p["sigma"]
    return jnp.where(positive, jsp.ndtr(z), 0.0)


def _lognormal_tails(y: Array, p: Values, extra: Values) -> Tails:
    positive = y > 0
    lower, upper = _normal_tails((jnp.log(jnp.where(positive, y, 1.0)) - p["mu"]) / p["sigma"])
    return jnp.where(positive, lower, -jnp.inf), jnp.where(positive, upper, 0.0)


def _lognormal_quantile(probability: Array, p: Values, extra: Values) -> Array:
    return jnp.exp(_gaussian_quantile(probability, p, extra))


LOGNORMAL = Family(
    name="lognormal",
    code="LogNormal(mu, sigma)",
    description="log(y) is normal with mean mu and standard deviation sigma; mean exp(mu + sigma² / 2)",
    parameters=(common.mu(common.LOG_NORMAL), common.SIGMA),
    support=Support(
        lower=0.0,
        closed=False,
        advice="Zeros need a model of their own (`hurdle_lognormal`); "
        "for values of both signs use `gaussian` or `student`.",
    ),
    log_kernel=_lognormal_kernel,
    log_base_measure=lambda y, extra: -jnp.log(y),
    sample=_lognormal_sample,
    mean=_lognormal_mean,
    variance=_lognormal_variance,
    cdf=_lognormal_cdf,
    log_tails=_lognormal_tails,
    quantile=_lognormal_quantile,
    additions=_CENSORED,
    logscale=True,
)


def _gamma_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    shape, eta = p["shape"], p["eta"]
    log_ratio = jnp.log(y) - LINKS[link].log_mu(eta)  # log(y / mu)
    remainder = stirling_remainder(shape, jnp.log(shape))
    value = shape * (log_ratio - jnp.expm1(log_ratio)) - remainder
    return guarded(value, eta, link, 0.0, np.inf, closed=False)


def _gamma_sample(key: Array, p: Values, extra: Values) -> Array:
    return random.gamma(key, p["shape"], shape_of(p)) * (p["mu"] / p["shape"])


def _gamma_cdf(y: Array, p: Values, extra: Values) -> Array:
    scaled = jnp.maximum(y, 0.0) * (p["shape"] / p["mu"])
    return incomplete_gamma(p["shape"], scaled)[0]


def _gamma_tails(y: Array, p: Values, extra: Values) -> Tails:
    return log_incomplete_gamma(p["shape"], y * (p["shape"] / p["mu"]))


GAMMA = Family(
    name="gamma",
    code="Gamma(shape, shape / mu)",
    description="gamma with mean mu and shape (rate shape / mu); variance mu² / shape",
    parameters=(common.mu(common.POSITIVE, lower=0.0), common.SHAPE),
    support=Support(
        lower=0.0,
        closed=False,
        advice="Zeros need a model of their own (`hurdle_gamma`); "
        "for values of both signs use `gaussian` or `student`.",
    ),
    log_kernel=_gamma_kernel,
    log_base_measure=lambda y, extra: -jnp.log(y),
    sample=_gamma_sample,
    mean=_mu,
    variance=lambda p, extra: p["mu"] ** 2 / p["shape"],
    cdf=_gamma_cdf,
    log_tails=_gamma_tails,
    additions=_CENSORED,
)


def log_beta(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of y^a (1 - y)^b / B(a, b) with a = mu phi and b = (1 - mu) phi, without a guard for mu outside 0 to 1:
    minus phi times a Kullback-Leibler divergence, and remainders of Stirling's formula. So neither a large phi nor a
    mu near 0 or 1 loses digits."""
    phi, eta = p["phi"], p["eta"]
    log_phi = jnp.log(phi)
    log_mu, log_complement = LINKS[link].log_mu(eta), LINKS[link].log_complement(eta)
    a, b = phi * jnp.exp(log_mu), phi * jnp.exp(log_complement)
    # Side by side: the formula is compiled once for both shapes.
    shapes, log_shapes = jnp.stack([a, b]), jnp.stack([log_phi + log_mu, log_phi + log_complement])
    remainders = stirling_remainder(phi, log_phi) - jnp.sum(stirling_remainder(shapes, log_shapes), axis=0)
    return a * (jnp.log(y) - log_mu) + b * (jnp.log1p(-y) - log_complement) + remainders


def _beta_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    return guarded(log_beta(y, p, extra, link), p["eta"], link, 0.0, 1.0, closed=False)


def _beta_sample(key: Array, p: Values, extra: Values) -> Array:
    return random.beta(key, p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"], shape_of(p))


def _beta_cdf(y: Array, p: Values, extra: Values) -> Array:
    return incomplete_beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"], jnp.clip(y, 0.0, 1.0))


def _beta_tails(y: Array, p: Values, extra: Values) -> Tails:
    return log_incomplete_beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"], y)


BETA = Family(
    name="beta",
    code="Beta(mu * phi, (1 - mu) * phi)",
    description="beta with mean mu and precision phi (shapes mu phi and (1 − mu) phi); variance "
    "mu (1 − mu) / (1 + phi)",
    parameters=(common.mu(common.PROBABILITY, lower=0.0, upper=1.0), common.PHI),
    support=Support(
        lower=0.0,
        upper=1.0,
        closed=False,
        advice="Zeros need `zero_inflated_beta`; zeros and ones `zero_one_inflated_beta`, `ordered_beta` or `xbeta`; "
        "percentages must be divided by 100.",
    ),
    log_kernel=_beta_kernel,
    log_base_measure=lambda y, extra: -jnp.log(y) - jnp.log1p(-y),
    sample=_beta_sample,
    mean=_mu,
    variance=lambda p, extra: p["mu"] * (1 - p["mu"]) / (1 + p["phi"]),
    cdf=_beta_cdf,
    log_tails=_beta_tails,
    additions=_CENSORED,
)
