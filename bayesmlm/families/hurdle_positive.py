"""Families of positive measurements with zeros of their own: hurdle_gamma and hurdle_lognormal.

With probability hu the response is 0, else it is a draw from the plain family, which is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import log_odds_pair, shape_of
from .continuous import GAMMA, LOGNORMAL
from .lazy import jnp, jsp, random
from .links import LINKS
from .special import log_add
from .support import Support
from .tails import log1m_exp, log_incomplete_gamma

__all__ = ["HURDLE_GAMMA", "HURDLE_LOGNORMAL"]

Array = Any
Values = Mapping[str, Array]
LogTails = Callable[[Array, Values], tuple[Array, Array]]

_NOT_NEGATIVE = Support(
    lower=0.0,
    advice="For values of both signs use `gaussian` or `student`.",
)


def _hurdle(
    plain: Family,
    log_tails: LogTails,
    code: str,
    description: str,
    quantile: Callable[[Array, Values, Values], Array] | None = None,
) -> Family:
    """The family that is 0 with probability hu and else ``plain``. ``log_tails(y, p)``: those of ``plain`` for finite
    y > 0. ``quantile``: its quantile function, or None."""

    def kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        log_hu, log_rest = log_odds_pair(p, "hu")
        positive = y > 0
        plain_value = plain.log_kernel(jnp.where(positive, y, 1.0), p, extra, link)
        # Zeros say nothing of mu, but a mu outside its range is impossible for them, too.
        at_zero = jnp.where(plain_value > -np.inf, log_hu, -np.inf)
        value = jnp.where(positive, log_rest + plain_value, at_zero)
        possible = True if "logit_hu" in p else (p["hu"] >= 0) & (p["hu"] <= 1)
        return jnp.where(possible, value, -np.inf)

    def base_measure(y: Array, extra: Values) -> Array:
        return -jnp.log(jnp.where(y > 0, y, 1.0))

    def sample(key: Array, p: Values, extra: Values) -> Array:
        key_zero, key_plain = random.split(key)
        zero = random.bernoulli(key_zero, p["hu"], shape_of(p))
        return jnp.where(zero, 0.0, plain.sample(key_plain, p, extra))

    def mean(p: Values, extra: Values) -> Array:
        return (1 - p["hu"]) * plain.mean(p, extra)

    def variance(p: Values, extra: Values) -> Array:
        assert plain.variance is not None
        rest = 1 - p["hu"]
        return rest * (plain.variance(p, extra) + p["hu"] * plain.mean(p, extra) ** 2)

    def tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        log_hu, log_rest = log_odds_pair(p, "hu")
        inside = (y > 0) & (y < np.inf)
        lower, upper = log_tails(jnp.where(inside, y, 1.0), p)
        above = jnp.where(
            inside, log_rest + upper, jnp.where(y < 0, 0.0, jnp.where(y > 0, -np.inf, log_rest))
        )
        # P(Y <= y) near 1 has its digits in what is left to 1.
        rare = inside & (above < -1.0)
        sum_of_both = log_add(log_hu, log_rest + jnp.where(inside, lower, -1.0))
        below = jnp.where(rare, log1m_exp(jnp.where(rare, above, -1.0)), sum_of_both)
        ends = jnp.where(y < 0, -np.inf, jnp.where(y > 0, 0.0, log_hu))
        return jnp.where(inside, below, ends), above

    def hurdle_quantile(probability: Array, p: Values, extra: Values) -> Array:
        assert quantile is not None
        left = jnp.maximum(probability - p["hu"], 0.0) / (1 - p["hu"])
        positive = probability > p["hu"]
        return jnp.where(positive, quantile(jnp.where(positive, left, 0.5), p, extra), 0.0)

    return Family(
        name=f"hurdle_{plain.name}",
        code=code,
        description=description,
        parameters=(*plain.parameters, common.HU),
        support=_NOT_NEGATIVE,
        log_kernel=kernel,
        log_base_measure=base_measure,
        sample=sample,
        mean=mean,
        variance=variance,
        log_tails=tails,
        quantile=None if quantile is None else hurdle_quantile,
        additions=frozenset({"cens", "trunc"}),
        logscale=plain.logscale,
    )


def _gamma_tails(y: Array, p: Values) -> tuple[Array, Array]:
    legal = (p["mu"] > 0) & (p["shape"] > 0)
    shape, mu = (jnp.where(legal, p[name], 1.0) for name in ("shape", "mu"))
    lower, upper = log_incomplete_gamma(shape, y * (shape / mu))
    return jnp.where(legal, lower, -np.inf), jnp.where(legal, upper, -np.inf)


def _lognormal_tails(y: Array, p: Values) -> tuple[Array, Array]:
    z = (jnp.log(y) - p["mu"]) / p["sigma"]
    return LINKS["probit"].log_mu(z), LINKS["probit"].log_complement(z)


HURDLE_GAMMA = _hurdle(
    GAMMA,
    _gamma_tails,
    code="HurdleGamma(shape, shape / mu, gate=hu)",
    description="0 with probability hu, else gamma with mean mu and shape; mean (1 − hu) mu",
)

HURDLE_LOGNORMAL = _hurdle(
    LOGNORMAL,
    _lognormal_tails,
    code="HurdleLogNormal(mu, sigma, gate=hu)",
    description="0 with probability hu, else `lognormal`: log(y) is normal with mean mu and standard deviation sigma; "
    "mean (1 − hu) exp(mu + sigma² / 2)",
    quantile=lambda probability, p, extra: jnp.exp(p["mu"] + p["sigma"] * jsp.ndtri(probability)),
)
