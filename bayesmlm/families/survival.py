"""Families of waiting times and extremes: weibull and frechet, both with mu as their mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import gammaln, guarded, shape_of
from .lazy import jnp, random
from .links import LINKS, numpy_of
from .support import Support
from .tails import log_gamma_of_one_plus

__all__ = ["FRECHET", "WEIBULL"]

Array = Any
Values = Mapping[str, Array]

_CENSORED = frozenset({"cens", "trunc", "mi"})
_POSITIVE = Support(
    lower=0.0,
    closed=False,
    advice="Zeros need a model of their own, such as `hurdle_gamma` or `hurdle_lognormal`; "
    "for values of both signs use `gaussian` or `student`.",
)


def _mu(p: Values, extra: Values) -> Array:
    return p["mu"]


def _tails(y: Array, mu: Array, legal: Array, log_hazard: Any) -> tuple[Array, Array]:
    """Logarithms of 1 - exp(-H) and exp(-H), H the exponential of ``log_hazard(log(y), log(mu))``; all mass is above a
    ``y`` that is not positive. Both minus infinity where the parameters are not legal."""
    legal = legal & (mu > 0)
    inside = (y > 0) & (y < np.inf)
    log_H = log_hazard(jnp.log(jnp.where(inside, y, 1.0)), jnp.log(jnp.where(mu > 0, mu, 1.0)))
    # Beyond, exp(-H) is below any number anyway; so no derivative is infinite times zero.
    below, above = LINKS["cloglog"].log_mu(log_H), -jnp.exp(jnp.where(log_H < 700, log_H, 700.0))
    below = jnp.where(inside, below, jnp.where(y > 0, 0.0, -np.inf))
    above = jnp.where(inside, above, jnp.where(y > 0, -np.inf, 0.0))
    return jnp.where(legal, below, -np.inf), jnp.where(legal, above, -np.inf)


# ---- Weibull
# --------------------------------------------------------------------------------------------------


def _weibull_log_hazard(log_y: Array, log_mu: Array, shape: Array) -> Array:
    """log of the cumulated hazard (y / scale)^shape with scale mu / Gamma(1 + 1 / shape)."""
    return shape * (log_y - log_mu + log_gamma_of_one_plus(1 / shape))


def _weibull_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_H = _weibull_log_hazard(jnp.log(y), LINKS[link].log_mu(p["eta"]), p["shape"])
    value = jnp.log(p["shape"]) + log_H - jnp.exp(log_H)
    return guarded(value, p["eta"], link, 0.0, np.inf, closed=False)


def _weibull_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    shape = p["shape"]
    return _tails(y, p["mu"], shape > 0, lambda log_y, log_mu: _weibull_log_hazard(log_y, log_mu, shape))


def _weibull_at(hazard: Array, p: Values) -> Array:
    """Where the cumulated hazard is ``hazard``."""
    return p["mu"] * jnp.exp(jnp.log(hazard) / p["shape"] - log_gamma_of_one_plus(1 / p["shape"]))


def _weibull_variance(p: Values, extra: Values) -> Array:
    inverse = 1 / p["shape"]
    return p["mu"] ** 2 * numpy_of(inverse).expm1(gammaln(1 + 2 * inverse) - 2 * gammaln(1 + inverse))


WEIBULL = Family(
    name="weibull",
    code="Weibull(scale=mu / Gamma(1 + 1 / shape), concentration=shape)",
    description="Weibull with mean mu and shape (scale mu / Γ(1 + 1 / shape)); variance "
    "mu² (Γ(1 + 2 / shape) / Γ(1 + 1 / shape)² − 1)",
    parameters=(common.mu(common.POSITIVE, lower=0.0), common.SHAPE),
    support=_POSITIVE,
    log_kernel=_weibull_kernel,
    log_base_measure=lambda y, extra: -jnp.log(y),
    sample=lambda key, p, extra: _weibull_at(random.exponential(key, shape_of(p)), p),
    mean=_mu,
    variance=_weibull_variance,
    log_tails=_weibull_tails,
    quantile=lambda probability, p, extra: _weibull_at(-jnp.log1p(-probability), p),
    additions=_CENSORED,
)


# ---- Frechet
# --------------------------------------------------------------------------------------------------


def _frechet_log_hazard(log_y: Array, log_mu: Array, nu: Array) -> Array:
    """log of -log P(Y <= y) = (y / scale)^-nu with scale mu / Gamma(1 - 1 / nu)."""
    nu = jnp.where(nu > 1, nu, 2.0)
    return -nu * (log_y - log_mu + _log_gamma_of_rest(nu))


def _log_gamma_of_rest(nu: Array) -> Array:
    """lgamma(1 - 1 / nu) = lgamma(2 - 1 / nu) - log(1 - 1 / nu): by the left side for a large nu, where 1 - 1 / nu has
    lost the digits of 1 / nu, by the right one for a nu near 1."""
    large = nu > 2
    far, near = jnp.where(large, nu, 4.0), jnp.where(large, 2.0, nu)
    rest = (near - 1) / near
    return jnp.where(large, log_gamma_of_one_plus(-1 / far), log_gamma_of_one_plus(rest) - jnp.log(rest))


def _frechet_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_H = _frechet_log_hazard(jnp.log(y), LINKS[link].log_mu(p["eta"]), p["nu"])
    value = jnp.log(jnp.where(p["nu"] > 1, p["nu"], 2.0)) + log_H - jnp.exp(log_H)
    value = guarded(value, p["eta"], link, 0.0, np.inf, closed=False)
    return jnp.where(p["nu"] > 1, value, -np.inf)


def _frechet_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Those of exp(-H) with an H that falls with y, so the two change places."""
    nu = p["nu"]
    at = jnp.where(y > 0, jnp.where(y < np.inf, y, -1.0), np.inf)  # the ends change places, too
    above, below = _tails(at, p["mu"], nu > 1, lambda log_y, log_mu: _frechet_log_hazard(log_y, log_mu, nu))
    return below, above


def _frechet_at(hazard: Array, p: Values) -> Array:
    """Where -log P(Y <= y) is ``hazard``."""
    return p["mu"] * jnp.exp(-jnp.log(hazard) / p["nu"] - _log_gamma_of_rest(p["nu"]))


def _frechet_variance(p: Values, extra: Values) -> Array:
    xp, finite = numpy_of(p["nu"]), p["nu"] > 2
    inverse = 1 / xp.where(finite, p["nu"], 4.0)
    ratio = xp.expm1(gammaln(1 - 2 * inverse) - 2 * gammaln(1 - inverse))
    return p["mu"] ** 2 * xp.where(finite, ratio, np.inf)


FRECHET = Family(
    name="frechet",
    code="Frechet(scale=mu / Gamma(1 - 1 / nu), concentration=nu)",
    description="Fréchet with mean mu and shape nu (scale mu / Γ(1 − 1 / nu)); variance "
    "mu² (Γ(1 − 2 / nu) / Γ(1 − 1 / nu)² − 1), infinite for nu ≤ 2",
    parameters=(common.mu(common.POSITIVE, lower=0.0), common.NU),
    support=_POSITIVE,
    log_kernel=_frechet_kernel,
    log_base_measure=lambda y, extra: -jnp.log(y),
    sample=lambda key, p, extra: _frechet_at(random.exponential(key, shape_of(p)), p),
    mean=_mu,
    variance=_frechet_variance,
    log_tails=_frechet_tails,
    quantile=lambda probability, p, extra: _frechet_at(-jnp.log(probability), p),
    additions=_CENSORED,
)
