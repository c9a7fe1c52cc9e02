"""Proportional hazards: the hazard at time t is a baseline hazard, the same for all rows or strata, times mu.

The baseline is a combination of M-splines whose coefficients, a simplex, are estimated with everything else
(`model.parts.baseline_hazard`); what it supplies is described in `spline_hazard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BayesmlmError
from . import common
from .base import Family
from .common import guarded
from .lazy import jnp, lax, random
from .links import LINKS
from .spline_hazard import cumulated_hazard, hazard
from .support import Support

__all__ = ["COX"]

Array = Any
Values = Mapping[str, Array]

HALVINGS = 60
"""Of the interval in which a time with a given cumulated hazard is sought: down to its last digits."""


def _log_positive(x: Array) -> Array:
    """log(x), minus infinity with gradient zero where x is 0."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), -np.inf)


def _kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_mu = LINKS[link].log_mu(p["eta"])
    value = _log_positive(hazard(y, p)) + log_mu - cumulated_hazard(y, p) * jnp.exp(log_mu)
    return guarded(value, p["eta"], link, 0.0, np.inf, closed=False)


def _log_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """log(1 - S) and log(S), where S = exp(-H) is the survival function."""
    legal = p["mu"] > 0
    log_mu = jnp.log(jnp.where(legal, p["mu"], 1.0))
    cumulated = cumulated_hazard(y, p)
    happens = cumulated > 0
    log_H = jnp.log(jnp.where(happens, cumulated, 1.0)) + log_mu
    below = jnp.where(happens, LINKS["cloglog"].log_mu(log_H), -np.inf)
    above = -jnp.where(happens, jnp.exp(jnp.where(log_H < 700, log_H, 700.0)), 0.0)
    return jnp.where(legal, below, -np.inf), jnp.where(legal, above, -np.inf)


def _time_at(target: Array, p: Values) -> Array:
    """The time at which the cumulated baseline hazard is ``target``: bisection up to the last knot, and beyond it the
    hazard is constant. Infinite where that constant is 0."""
    first, last = p["hazard_breaks"][0, 0], p["hazard_breaks"][-1, 0]
    low, end = jnp.full(target.shape, first), jnp.full(target.shape, last)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = cumulated_hazard(middle, p) < target
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    _, time = lax.fori_loop(0, HALVINGS, halve, (low, end))
    beyond = target - cumulated_hazard(end, p)
    return jnp.where(beyond > 0, last + beyond / hazard(end, p), time)


def _sample(key: Array, p: Values, extra: Values) -> Array:
    return _time_at(random.exponential(key, jnp.shape(p["mu"])) / p["mu"], p)


def _quantile(probability: Array, p: Values, extra: Values) -> Array:
    target = -jnp.log1p(-probability) / p["mu"]
    return _time_at(target, p)


def _mean(p: Values, extra: Values) -> Array:
    raise BayesmlmError(
        "the expected time of a cox model is not there: its hazard is known up to the last time observed only. "
        'Look at survival_curve(), or with dpar="mu" at what multiplies the baseline hazard'
    )


COX = Family(
    name="cox",
    code="ProportionalHazards(hazard=M(y) @ sbhaz * mu)",
    description="hazard h₀(t) mu; h₀ a combination of M-splines with coefficients sbhaz",
    parameters=(common.mu(("log", "identity", "softplus", "squareplus"), lower=0.0),),
    support=Support(lower=0.0, advice="Times count from the start of observation."),
    log_kernel=_kernel,
    sample=_sample,
    mean=_mean,
    log_tails=_log_tails,
    quantile=_quantile,
    additions=frozenset({"cens", "trunc", "bhaz"}),
    parts=("baseline_hazard",),
)
