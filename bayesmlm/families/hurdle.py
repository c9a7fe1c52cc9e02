"""Families of counts whose zeros are a matter of their own: hurdle_poisson and hurdle_negbinomial.

With probability hu the response is 0, else it is a draw from the plain family that is not 0: P(0) = hu,
P(y) = (1 - hu) f(y) / (1 - f(0)). Parameterised as in brms: mu is the mean of the untruncated f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .common import log_odds_pair, shape_of
from .lazy import jnp, random
from .links import LINKS
from .special import log_add
from .truncated import NEGBINOMIAL_WITHOUT_ZEROS, POISSON_WITHOUT_ZEROS, WithoutZeros

__all__ = ["HURDLE_NEGBINOMIAL", "HURDLE_POISSON"]

Array = Any
Values = Mapping[str, Array]


def _hurdle(law: WithoutZeros, code: str, description: str) -> Family:
    """The family that is 0 with probability hu and else a count of the law."""
    plain = law.plain

    def log_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        log_hu, log_rest = log_odds_pair(p, "hu")
        possible = LINKS[link].log_mu(p["eta"]) > -jnp.inf
        value = jnp.where(y > 0, log_rest + law.log_kernel(y, p, extra, link), log_hu)
        if "logit_hu" not in p:
            possible = possible & (p["hu"] >= 0) & (p["hu"] <= 1)
        return jnp.where(possible, value, -jnp.inf)

    def log_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        log_hu, log_rest = log_odds_pair(p, "hu")
        lower, upper = law.log_tails(y, p, extra)
        return jnp.where(y < 0, -jnp.inf, log_add(log_hu, log_rest + lower)), jnp.where(
            y < 0, 0.0, log_rest + upper
        )

    def mean(p: Values, extra: Values) -> Array:
        return (1 - p["hu"]) * law.mean(p, extra)

    def variance(p: Values, extra: Values) -> Array:
        return (1 - p["hu"]) * law.mean_square(p, extra) - mean(p, extra) ** 2

    def sample(key: Array, p: Values, extra: Values) -> Array:
        key_zero, key_count = random.split(key)
        zero = random.bernoulli(key_zero, p["hu"], shape_of(p))
        return jnp.where(zero, 0.0, law.sample(key_count, p, extra))

    return Family(
        name=f"hurdle_{plain.name}",
        code=code,
        description=description,
        parameters=(*plain.parameters, common.HU),
        support=plain.support,
        log_kernel=log_kernel,
        log_base_measure=plain.log_base_measure,
        sample=sample,
        mean=mean,
        variance=variance,
        log_tails=log_tails,
        additions=plain.additions & {"cens", "trunc"},
    )


HURDLE_POISSON = _hurdle(
    POISSON_WITHOUT_ZEROS,
    code="HurdlePoisson(rate=mu, gate=hu)",
    description="0 with probability hu, else Poisson with mean mu without its zeros; mean "
    "(1 − hu) mu / (1 − exp(−mu))",
)
HURDLE_NEGBINOMIAL = _hurdle(
    NEGBINOMIAL_WITHOUT_ZEROS,
    code="HurdleNegativeBinomial2(mu, shape, gate=hu)",
    description="0 with probability hu, else `negbinomial` with mean mu and shape without its zeros; mean "
    "(1 − hu) mu / (1 − (shape / (mu + shape))^shape)",
)
