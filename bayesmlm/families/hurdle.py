"""Families of counts whose zeros are a matter of their own: hurdle_poisson and hurdle_negbinomial.

With probability hu the response is 0, else it is a draw from the plain family that is not 0: P(0) = hu,
P(y) = (1 - hu) f(y) / (1 - f(0)). Parameterised as in brms: mu is the mean of the untruncated f.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import common
from .base import Family
from .common import draw_poisson, log_odds_pair, shape_of
from .count import (
    NEGBINOMIAL,
    POISSON,
    log_negbinomial,
    log_negbinomial_hazard,
    log_poisson,
    log_poisson_hazard,
)
from .lazy import jnp, random
from .links import LINKS, numpy_of
from .special import incomplete_beta, incomplete_gamma

__all__ = ["HURDLE_NEGBINOMIAL", "HURDLE_POISSON"]

Array = Any
Values = Mapping[str, Array]
LogDensity = Callable[[Array, Values, Values, str], Array]
OfParameters = Callable[[Values], Array]


def _kernel(log_density: LogDensity, log_hazard: Callable[[Values, str], Array]) -> LogDensity:
    """The log kernel, from the plain family's log density without a guard and the log of -log(f(0)).

    1 - f(0) = 1 - exp(-exp(log hazard)) is the inverse of the cloglog link, whose logarithm keeps its digits for a
    mu near 0 and for a large one.
    """
    log_positive = LINKS["cloglog"].log_mu

    def kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        log_hu, log_rest = log_odds_pair(p, "hu")
        possible = LINKS[link].log_mu(p["eta"]) > -np.inf
        # Zeros say nothing of mu: any eta that keeps numbers finite will do for them.
        inner = {**p, "eta": jnp.where((y > 0) & possible, p["eta"], 1.0)}
        truncated = log_density(y, inner, extra, link) - log_positive(log_hazard(inner, link))
        value = jnp.where(y > 0, log_rest + truncated, log_hu)
        if "logit_hu" not in p:
            possible = possible & (p["hu"] >= 0) & (p["hu"] <= 1)
        return jnp.where(possible, value, -jnp.inf)

    return kernel


def _hurdle(
    plain: Family,
    log_density: LogDensity,
    log_hazard: Callable[[Values, str], Array],
    hazard: OfParameters,
    above: Callable[[Array, Values], Array],
    draw_further: Callable[[Array, Array, Values], Array],
    code: str,
    description: str,
) -> Family:
    """The family that is 0 with probability hu and else ``plain`` without its zeros.

    ``hazard(p)``: -log(f(0)), also of numpy arrays; ``above(y, p)``: P(Y > y) of the plain family for y >= 0;
    ``draw_further(key, t, p)``: how many events follow the first, which has come when the cumulated hazard was t.
    """
    plain_cdf = plain.cdf
    assert plain_cdf is not None

    def positive(p: Values) -> Array:
        return -numpy_of(p["mu"]).expm1(-hazard(p))

    def truncated_moment(p: Values, moment: Array) -> Array:
        """``moment`` / P(Y > 0): both vanish with mu, and 1 is then all that is left."""
        xp, probability = numpy_of(p["mu"]), positive(p)
        possible = probability > 0
        return xp.where(possible, moment / xp.where(possible, probability, 1.0), 1.0)

    def mean(p: Values, extra: Values) -> Array:
        return (1 - p["hu"]) * truncated_moment(p, plain.mean(p, extra))

    def variance(p: Values, extra: Values) -> Array:
        centre = plain.mean(p, extra)
        square = truncated_moment(p, plain.variance(p, extra) + centre**2)
        return (1 - p["hu"]) * square - mean(p, extra) ** 2

    def cdf(y: Array, p: Values, extra: Values) -> Array:
        zero, count = jnp.exp(-hazard(p)), jnp.floor(jnp.maximum(y, 0.0))
        # Each form where it subtracts from the larger number.
        from_below = (plain_cdf(count, p, extra) - zero) / positive(p)
        truncated = jnp.where(zero < 0.5, from_below, 1 - above(count, p) / positive(p))
        return jnp.where(y < 0, 0.0, p["hu"] + jnp.where(y < 1, 0.0, (1 - p["hu"]) * truncated))

    def sample(key: Array, p: Values, extra: Values) -> Array:
        """The count of events in a unit of time, given that there is one: the first by inversion, then the rest."""
        key_zero, key_first, key_further = random.split(key, 3)
        shape = shape_of(p)
        uniform = random.uniform(key_first, shape, positive(p).dtype)
        first = -jnp.log1p(-uniform * positive(p))  # exponential, given that it is below the hazard
        count = 1 + draw_further(key_further, first, p)
        return jnp.where(random.bernoulli(key_zero, p["hu"], shape), 0.0, count)

    return Family(
        name=f"hurdle_{plain.name}",
        code=code,
        description=description,
        parameters=(*plain.parameters, common.HU),
        support=plain.support,
        log_kernel=_kernel(log_density, log_hazard),
        log_base_measure=plain.log_base_measure,
        sample=sample,
        mean=mean,
        variance=variance,
        cdf=cdf,
        additions=plain.additions & {"cens", "trunc"},
    )


def _further_poisson(key: Array, first: Array, p: Values) -> Array:
    return draw_poisson(key, jnp.maximum(p["mu"] - first, 0.0))


HURDLE_POISSON = _hurdle(
    POISSON,
    log_poisson,
    log_poisson_hazard,
    hazard=lambda p: p["mu"],
    above=lambda y, p: incomplete_gamma(y + 1, p["mu"])[0],
    draw_further=_further_poisson,
    code="HurdlePoisson(rate=mu, gate=hu)",
    description="0 with probability hu, else Poisson with mean mu without its zeros; mean "
    "(1 − hu) mu / (1 − exp(−mu))",
)


def _further_negbinomial(key: Array, first: Array, p: Values) -> Array:
    """A gamma variable is the rate of the events; after a first one at time t its shape is larger by 1 and its scale
    smaller by the factor 1 + t scale (the conjugate posterior)."""
    key_rate, key_count = random.split(key)
    grown = jnp.expm1(first / p["shape"])  # t scale
    left = jnp.maximum(p["mu"] / p["shape"] - grown, 0.0) / (1 + grown)
    return draw_poisson(key_count, random.gamma(key_rate, p["shape"] + 1, first.shape) * left)


HURDLE_NEGBINOMIAL = _hurdle(
    NEGBINOMIAL,
    log_negbinomial,
    log_negbinomial_hazard,
    hazard=lambda p: p["shape"] * numpy_of(p["mu"]).log1p(p["mu"] / p["shape"]),
    above=lambda y, p: incomplete_beta(y + 1, p["shape"], p["mu"] / (p["shape"] + p["mu"])),
    draw_further=_further_negbinomial,
    code="HurdleNegativeBinomial2(mu, shape, gate=hu)",
    description="0 with probability hu, else `negbinomial` with mean mu and shape without its zeros; mean "
    "(1 − hu) mu / (1 − (shape / (mu + shape))^shape)",
)
