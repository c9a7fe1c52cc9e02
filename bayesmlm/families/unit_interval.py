"""Families of proportions with zeros, or zeros and ones, that a process of its own decides: zero_inflated_beta and
zero_one_inflated_beta. Parameterised as in brms: mu and phi are those of the beta distribution strictly between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import guarded, log_odds_pair, shape_of
from .continuous import BETA, log_beta
from .lazy import jnp, random
from .special import log_add
from .support import Support
from .tails import log_incomplete_beta

__all__ = [
    "ZERO_INFLATED_BETA",
    "ZERO_ONE_INFLATED_BETA",
    "beta_tails",
    "draw_beta",
    "inner_log_base",
    "log_inner",
]

Array = Any
Values = Mapping[str, Array]


def _strictly(y: Array) -> tuple[Array, Array]:
    """Which proportions are strictly between 0 and 1, and y with a number in the place of the others."""
    inside = (y > 0) & (y < 1)
    return inside, jnp.where(inside, y, 0.5)


def log_inner(y: Array, p: Values, extra: Values, link: str) -> Array:
    """The beta distribution's log density less its base measure; a number of no meaning for y of 0 or 1."""
    return log_beta(_strictly(y)[1], p, extra, link)


def inner_log_base(y: Array, extra: Values) -> Array:
    """The part of the log density that no parameter enters: the beta distribution's, 0 for y of 0 or 1."""
    inside, safe = _strictly(y)
    return jnp.where(inside, -jnp.log(safe) - jnp.log1p(-safe), 0.0)


def beta_tails(y: Array, p: Values) -> tuple[Array, Array]:
    """Both log tails of the beta distribution at real y."""
    a, b = (jnp.maximum(share * p["phi"], 1e-300) for share in (p["mu"], 1 - p["mu"]))
    return log_incomplete_beta(a, b, y)


def draw_beta(key: Array, p: Values, shape: tuple[int, ...]) -> Array:
    """Beta variables with mean mu and precision phi."""
    a, b = (jnp.maximum(share * p["phi"], 1e-300) for share in (p["mu"], 1 - p["mu"]))
    return random.beta(key, a, b, shape)


def _possible(value: Array, p: Values, names: tuple[str, ...]) -> Array:
    """``value``, minus infinity where a probability that may be anything (identity link) is outside 0 to 1."""
    for name in names:
        if f"logit_{name}" not in p:
            value = jnp.where((p[name] >= 0) & (p[name] <= 1), value, -jnp.inf)
    return value


def _inflated_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_zi, log_rest = log_odds_pair(p, "zi")
    value = jnp.where(y > 0, log_rest + log_inner(y, p, extra, link), log_zi)
    return guarded(_possible(value, p, ("zi",)), p["eta"], link, 0.0, 1.0, closed=False)


def _inflated_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    log_zi, log_rest = log_odds_pair(p, "zi")
    lower, upper = beta_tails(y, p)
    below = y < 0
    return jnp.where(below, -jnp.inf, log_add(log_zi, log_rest + lower)), jnp.where(
        below, 0.0, log_rest + upper
    )


def _inflated_sample(key: Array, p: Values, extra: Values) -> Array:
    key_zero, key_rest = random.split(key)
    shape = shape_of(p)
    return jnp.where(random.bernoulli(key_zero, p["zi"], shape), 0.0, draw_beta(key_rest, p, shape))


def _beta_square(p: Values) -> Array:
    """The mean square of the beta distribution."""
    return p["mu"] * (p["mu"] * p["phi"] + 1) / (p["phi"] + 1)


_MU = BETA.parameters[0]

ZERO_INFLATED_BETA = Family(
    name="zero_inflated_beta",
    code="ZeroInflatedBeta(mu * phi, (1 - mu) * phi, gate=zi)",
    description="0 with probability zi, else `beta` with mean mu and precision phi; mean (1 − zi) mu",
    parameters=(_MU, common.PHI, common.ZI),
    support=Support(
        lower=0.0,
        upper=1.0,
        below_upper=True,
        advice="Ones need `zero_one_inflated_beta`, `ordered_beta` or `xbeta`; percentages must be divided by 100.",
    ),
    log_kernel=_inflated_kernel,
    log_base_measure=inner_log_base,
    sample=_inflated_sample,
    mean=lambda p, extra: (1 - p["zi"]) * p["mu"],
    variance=lambda p, extra: (1 - p["zi"]) * (_beta_square(p) - (1 - p["zi"]) * p["mu"] ** 2),
    log_tails=_inflated_tails,
    additions=frozenset({"cens", "trunc"}),
)


def _one_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    (log_zoi, log_rest), (log_coi, log_zero) = log_odds_pair(p, "zoi"), log_odds_pair(p, "coi")
    inner = log_rest + log_inner(y, p, extra, link)
    value = jnp.where(y <= 0, log_zoi + log_zero, jnp.where(y >= 1, log_zoi + log_coi, inner))
    return guarded(_possible(value, p, ("zoi", "coi")), p["eta"], link, 0.0, 1.0, closed=False)


def _one_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    (log_zoi, log_rest), (log_coi, log_zero) = log_odds_pair(p, "zoi"), log_odds_pair(p, "coi")
    lower, upper = beta_tails(y, p)
    below, above = y < 0, y >= 1
    lower = jnp.where(above, 0.0, log_add(log_zoi + log_zero, log_rest + lower))
    upper = jnp.where(above, -jnp.inf, log_add(log_zoi + log_coi, log_rest + upper))
    return jnp.where(below, -jnp.inf, lower), jnp.where(below, 0.0, upper)


def _one_sample(key: Array, p: Values, extra: Values) -> Array:
    key_end, key_one, key_rest = random.split(key, 3)
    shape = shape_of(p)
    end = jnp.where(random.bernoulli(key_one, p["coi"], shape), 1.0, 0.0)
    return jnp.where(random.bernoulli(key_end, p["zoi"], shape), end, draw_beta(key_rest, p, shape))


def _one_mean(p: Values, extra: Values) -> Array:
    return p["zoi"] * p["coi"] + (1 - p["zoi"]) * p["mu"]


ZERO_ONE_INFLATED_BETA = Family(
    name="zero_one_inflated_beta",
    code="ZeroOneInflatedBeta(mu * phi, (1 - mu) * phi, zoi, coi)",
    description="0 or 1 with probability zoi, and then 1 with probability coi; else `beta` with mean mu and precision "
    "phi; mean zoi coi + (1 − zoi) mu",
    parameters=(_MU, common.PHI, common.ZOI, common.COI),
    support=Support(lower=0.0, upper=1.0, advice="Percentages must be divided by 100."),
    log_kernel=_one_kernel,
    log_base_measure=inner_log_base,
    sample=_one_sample,
    mean=_one_mean,
    variance=lambda p, extra: (
        p["zoi"] * p["coi"] + (1 - p["zoi"]) * _beta_square(p) - _one_mean(p, extra) ** 2
    ),
    log_tails=_one_tails,
)
