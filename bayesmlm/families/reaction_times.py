"""Families of reaction times: shifted_lognormal, and wiener for times together with decisions.

Both have a non-decision time ndt, which no response can be below: where it is not predicted, its upper bound is the
smallest response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import log_density_of_normal, log_odds_pair, shape_of
from .first_passage import draw_exit, log_passage_density, mean_exit_time
from .lazy import jnp, jsp, random
from .links import LINKS, numpy_of
from .support import Support

__all__ = ["SHIFTED_LOGNORMAL", "WIENER", "draw_times_and_decisions"]

Array = Any
Values = Mapping[str, Array]

_SCALE_LINKS = ("log", "identity", "softplus", "squareplus")
_NDT = DistributionalParameter(
    "ndt",
    _SCALE_LINKS,
    lower=0.0,
    below_response=True,
    default_prior="uniform(0, min_Y)",
    default_prior_predicted="",
)
_TIMES = Support(
    lower=0.0,
    closed=False,
    advice="Response times are positive; leave out the row, or correct the time.",
)


# ---- shifted lognormal
# --------------------------------------------------------------------------------------------------


def _decision_time(y: Array, p: Values) -> tuple[Array, Array]:
    """y - ndt where that is positive (1 elsewhere), and where it is."""
    time = y - p["ndt"]
    return jnp.where(time > 0, time, 1.0), time > 0


def _shifted_lognormal_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    time, possible = _decision_time(y, p)
    log_time = jnp.log(time)
    value = log_density_of_normal((log_time - p["mu"]) / p["sigma"], p["sigma"]) - log_time
    return jnp.where(possible, value, -np.inf)


def _shifted_lognormal_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    time, possible = _decision_time(y, p)
    finite = time < np.inf
    z = (jnp.log(jnp.where(finite, time, 1.0)) - p["mu"]) / p["sigma"]
    below = jnp.where(finite, LINKS["probit"].log_mu(z), 0.0)
    above = jnp.where(finite, LINKS["probit"].log_complement(z), -np.inf)
    return jnp.where(possible, below, -np.inf), jnp.where(possible, above, 0.0)


def _shifted_lognormal_sample(key: Array, p: Values, extra: Values) -> Array:
    return p["ndt"] + jnp.exp(p["mu"] + p["sigma"] * random.normal(key, shape_of(p)))


def _shifted_lognormal_mean(p: Values, extra: Values) -> Array:
    return p["ndt"] + numpy_of(p["mu"]).exp(p["mu"] + p["sigma"] ** 2 / 2)


def _shifted_lognormal_variance(p: Values, extra: Values) -> Array:
    xp, s2 = numpy_of(p["mu"]), p["sigma"] ** 2
    return xp.expm1(s2) * xp.exp(2 * p["mu"] + s2) + 0.0 * p["ndt"]


SHIFTED_LOGNORMAL = Family(
    name="shifted_lognormal",
    code="LogNormal(mu, sigma) + ndt",
    description="log(y − ndt) is normal with mean mu and standard deviation sigma; mean ndt + exp(mu + sigma² / 2)",
    parameters=(common.mu(common.LOG_NORMAL), common.SIGMA, _NDT),
    support=_TIMES,
    log_kernel=_shifted_lognormal_kernel,
    sample=_shifted_lognormal_sample,
    mean=_shifted_lognormal_mean,
    variance=_shifted_lognormal_variance,
    log_tails=_shifted_lognormal_tails,
    quantile=lambda probability, p, extra: p["ndt"] + jnp.exp(p["mu"] + p["sigma"] * jsp.ndtri(probability)),
    additions=frozenset({"cens", "trunc"}),
    logscale=True,
)


# ---- Wiener
# --------------------------------------------------------------------------------------------------

_BS = DistributionalParameter(
    "bs", _SCALE_LINKS, lower=0.0, default_prior="gamma(1, 1)", default_prior_predicted="normal(-0.6, 1.3)"
)
_BIAS = DistributionalParameter(
    "bias",
    ("logit", "identity"),
    lower=0.0,
    upper=1.0,
    default_prior="beta(1, 1)",
    default_prior_predicted="logistic(0, 1)",
)


def _wiener_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    """Of the passage at the lower end when ``dec`` is 0; at the upper end that is the passage at the lower end of the
    mirrored process."""
    upper = extra["dec"] > 0.5
    decision_time, possible = _decision_time(y, p)
    log_bias, log_rest = log_odds_pair(p, "bias")
    inside = (log_bias > -np.inf) & (log_rest > -np.inf) & (p["bs"] > 0)
    separation = jnp.where(inside, p["bs"], 1.0)
    bias, rest = (jnp.exp(jnp.where(inside, v, np.log(0.5))) for v in (log_bias, log_rest))
    start, other = jnp.where(upper, rest, bias), jnp.where(upper, bias, rest)
    drift = jnp.where(upper, -p["mu"], p["mu"])
    passage = log_passage_density(decision_time / separation**2, start, other)
    # Girsanov's factor of the drift
    tilt = -drift * separation * start - 0.5 * drift**2 * decision_time
    value = passage + tilt - 2 * jnp.log(separation)
    return jnp.where(possible & inside & (p["ndt"] >= 0), value, -np.inf)


def draw_times_and_decisions(key: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Response times and decisions (True: the upper boundary), of the shape to which parameters and extra broadcast.

    Two-choice data are both: a time by itself says less than a time with its decision.
    """
    at = jnp.zeros(shape_of(p, extra))
    times, upper = draw_exit(key, at + p["mu"], at + p["bs"], at + p["bias"])
    return p["ndt"] + times, upper


def _wiener_sample(key: Array, p: Values, extra: Values) -> Array:
    return draw_times_and_decisions(key, p, extra)[0]


def _wiener_mean(p: Values, extra: Values) -> Array:
    return p["ndt"] + mean_exit_time(p["mu"], p["bs"], p["bias"])


WIENER = Family(
    name="wiener",
    code="WienerFirstPassage(drift=mu, separation=bs, start=bias) + ndt",
    description="time ndt + T and boundary (`dec()`: 1 upper, 0 lower) at which a Wiener process with drift mu, "
    "started at bias · bs, first leaves the interval from 0 to bs; mean ndt + (bs P(upper) − bias bs) / mu",
    parameters=(common.mu(("identity", "log", "softplus", "squareplus")), _BS, _NDT, _BIAS),
    support=_TIMES,
    log_kernel=_wiener_kernel,
    sample=_wiener_sample,
    mean=_wiener_mean,
    additions=frozenset({"dec"}),
    required_additions=frozenset({"dec"}),
)
