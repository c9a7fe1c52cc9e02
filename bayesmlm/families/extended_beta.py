"""Families of proportions in which the process that decides the numbers between also makes zeros and ones: xbeta and
ordered_beta."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import guarded, shape_of
from .continuous import BETA, log_beta
from .lazy import jnp, random
from .links import LINKS, numpy_of
from .special import log_add
from .support import Support
from .tails import log1m_exp, log_incomplete_beta
from .unit_interval import beta_tails, draw_beta, inner_log_base, log_inner

__all__ = ["ORDERED_BETA", "XBETA"]

Array = Any
Values = Mapping[str, Array]

_SUPPORT = Support(lower=0.0, upper=1.0, advice="Percentages must be divided by 100.")


# ---- extended-support beta
# Kosmidis and Zeileis (2025, Journal of the Royal Statistical Society C 74(1)): a beta variable stretched to the
# interval from -kappa to 1 + kappa, of which what lies outside 0 to 1 is recorded as 0 or 1.


def _shapes(p: Values) -> tuple[Array, Array]:
    a, b = (jnp.maximum(share * p["phi"], 1e-300) for share in (p["mu"], 1 - p["mu"]))
    return a, b


def _x_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    record, kappa, phi = LINKS[link], p["kappa"], p["phi"]
    width = 1 + 2 * kappa
    inside = (y > 0) & (y < 1)
    stretched = jnp.where(inside, y, 0.5) + kappa
    z = stretched / width
    log_z, log_rest = jnp.log(stretched / width), jnp.log((width - stretched) / width)
    inner = log_beta(z, p, extra, link) - log_z - log_rest - jnp.log(width)
    # P(Y = 1) is P(Y = 0) with the shapes exchanged.
    a, b = phi * jnp.exp(record.log_mu(p["eta"])), phi * jnp.exp(record.log_complement(p["eta"]))
    zero = y <= 0
    first = jnp.maximum(jnp.where(zero, a, b), 1e-300)
    second = jnp.maximum(jnp.where(zero, b, a), 1e-300)
    end = log_incomplete_beta(first, second, kappa / width, (1 + kappa) / width)[0]
    return guarded(jnp.where(inside, inner, end), p["eta"], link, 0.0, 1.0, closed=False)


def _x_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    width = 1 + 2 * p["kappa"]
    inside = (y >= 0) & (y < 1)
    safe = jnp.where(inside, y, 0.5)
    a, b = _shapes(p)
    lower, upper = log_incomplete_beta(a, b, (safe + p["kappa"]) / width, (1 - safe + p["kappa"]) / width)
    below = y < 0
    lower = jnp.where(inside, lower, jnp.where(below, -jnp.inf, 0.0))
    return lower, jnp.where(inside, upper, jnp.where(below, 0.0, -jnp.inf))


def _x_sample(key: Array, p: Values, extra: Values) -> Array:
    stretched = draw_beta(key, p, shape_of(p)) * (1 + 2 * p["kappa"]) - p["kappa"]
    return jnp.clip(stretched, 0.0, 1.0)


def _x_moments(p: Values) -> tuple[Array, Array]:
    """Mean and mean square: incomplete moments of the beta variable between the ends, and the mass at 1."""
    xp = numpy_of(p["mu"])
    betainc = import_module("scipy.special" if xp is np else "jax.scipy.special").betainc
    kappa, phi = p["kappa"], p["phi"]
    a, b, width = p["mu"] * phi, (1 - p["mu"]) * phi, 1 + 2 * kappa
    between = [
        1 - betainc(b, a + k, kappa / width) - betainc(a + k, b, kappa / width) for k in range(3)
    ]  # by the symmetry of the incomplete beta function, I_x(a, b) = 1 - I_(1 - x)(b, a)
    one = betainc(b, a, kappa / width)
    first = p["mu"] * between[1]
    second = p["mu"] * (a + 1) / (phi + 1) * between[2]
    mean = one + width * first - kappa * between[0]
    square = one + width**2 * second - 2 * kappa * width * first + kappa**2 * between[0]
    return mean, square


def _x_variance(p: Values, extra: Values) -> Array:
    mean, square = _x_moments(p)
    return square - mean**2


_KAPPA = DistributionalParameter("kappa", common.PHI.links, lower=0.0, default_prior="gamma(0.01, 0.01)")

XBETA = Family(
    name="xbeta",
    code="Censored(StretchedBeta(mu * phi, (1 - mu) * phi, -kappa, 1 + kappa), 0, 1)",
    description="`beta` with mean mu and precision phi stretched to the interval from −kappa to 1 + kappa; what lies "
    "below 0 is 0 and above 1 is 1",
    parameters=(BETA.parameters[0], common.PHI, _KAPPA),
    support=_SUPPORT,
    log_kernel=_x_kernel,
    sample=_x_sample,
    mean=lambda p, extra: _x_moments(p)[0],
    variance=_x_variance,
    log_tails=_x_tails,
)


# ---- ordered beta
# Kubinec (2022, Political Analysis 31(4)): a logistic variable around the linear predictor falls below the first
# cutpoint (0), above the second (1), or between them, where the response is beta with the same mu.


def _log_below(eta: Array, cut: Array) -> tuple[Array, Array]:
    """log of the probabilities below and above a cutpoint."""
    return LINKS["logit"].log_mu(cut - eta), LINKS["logit"].log_mu(eta - cut)


def _log_between(eta: Array, p: Values) -> Array:
    """log of the difference of two logistic probabilities: F(b) - F(a) = (1 - exp(a - b)) F(b) (1 - F(a))."""
    upper = _log_below(eta, p["cutzero"] + p["cutdelta"])[0]
    lower = _log_below(eta, p["cutzero"])[1]
    return log1m_exp(-p["cutdelta"]) + upper + lower


def _ordered_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    eta = p["eta"]
    inner = _log_between(eta, p) + log_inner(y, p, extra, link)
    zero = _log_below(eta, p["cutzero"])[0]
    one = _log_below(eta, p["cutzero"] + p["cutdelta"])[1]
    return jnp.where(y <= 0, zero, jnp.where(y >= 1, one, inner))


def _ordered_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    eta, between = p["eta"], _log_between(p["eta"], p)
    lower, upper = beta_tails(y, p)
    below, above = y < 0, y >= 1
    lower = log_add(_log_below(eta, p["cutzero"])[0], between + lower)
    upper = log_add(_log_below(eta, p["cutzero"] + p["cutdelta"])[1], between + upper)
    lower = jnp.where(below, -jnp.inf, jnp.where(above, 0.0, lower))
    return lower, jnp.where(above, -jnp.inf, jnp.where(below, 0.0, upper))


def _ordered_sample(key: Array, p: Values, extra: Values) -> Array:
    key_place, key_between = random.split(key)
    shape = shape_of(p)
    place = p["eta"] + random.logistic(key_place, shape, jnp.result_type(float))
    between = draw_beta(key_between, p, shape)
    top = p["cutzero"] + p["cutdelta"]
    return jnp.where(place <= p["cutzero"], 0.0, jnp.where(place > top, 1.0, between))


def _ordered_ends(p: Values) -> tuple[Array, Array]:
    """The probabilities of 1 and of the numbers between 0 and 1."""
    logistic = LINKS["logit"].inverse
    eta = LINKS["logit"].link(p["mu"])
    one = logistic(eta - p["cutzero"] - p["cutdelta"])
    return one, logistic(eta - p["cutzero"]) - one


def _ordered_mean(p: Values, extra: Values) -> Array:
    one, between = _ordered_ends(p)
    return one + between * p["mu"]


def _ordered_variance(p: Values, extra: Values) -> Array:
    one, between = _ordered_ends(p)
    square = p["mu"] * (p["mu"] * p["phi"] + 1) / (p["phi"] + 1)
    return one + between * square - _ordered_mean(p, extra) ** 2


_CUTZERO = DistributionalParameter("cutzero", ("identity",), default_prior="student_t(3, 0, 2.5)")
_CUTDELTA = DistributionalParameter(
    "cutdelta", common.PHI.links, lower=0.0, default_prior="student_t(3, 0, 2.5)"
)

ORDERED_BETA = Family(
    name="ordered_beta",
    code="OrderedBeta(mu * phi, (1 - mu) * phi, [cutzero, cutzero + cutdelta])",
    description="0, 1 or `beta` with mean mu and precision phi, as a logistic variable around logit(mu) is below "
    "cutzero, above cutzero + cutdelta, or between. As ordbetareg and glmmTMB's ordbeta; brms has no such family",
    parameters=(common.mu(("logit",), lower=0.0, upper=1.0), common.PHI, _CUTZERO, _CUTDELTA),
    support=_SUPPORT,
    log_kernel=_ordered_kernel,
    log_base_measure=inner_log_base,
    sample=_ordered_sample,
    mean=_ordered_mean,
    variance=_ordered_variance,
    log_tails=_ordered_tails,
)
