"""More families of counts that vary more than Poisson ones: generalised_poisson and bell. brms has neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import common
from .base import DistributionalParameter, Family
from .common import draw_poisson, guarded, on_numpy, shape_of
from .count import COUNTS, tails_at_count
from .lazy import jnp, jsp, lax, random
from .links import LINKS
from .special import log_add, times
from .summation import log_poisson_term, sum_over
from .tails import log_incomplete_gamma

__all__ = ["BELL", "GENERALISED_POISSON"]

Array = Any
Values = Mapping[str, Array]

_MU = common.mu(common.COUNT, lower=0.0)
_ADDITIONS = frozenset({"cens", "trunc"})


def _minus_log_factorial(y: Array, extra: Values) -> Array:
    return -jsp.gammaln(y + 1)


def _safe_log(x: Array) -> Array:
    return LINKS["identity"].log_mu(x)


# ---- generalised Poisson
# Consul and Jain (1973, Technometrics 15(4)): P(y) = theta (theta + lambda y)^(y - 1) exp(-theta - lambda y) / y!,
# with mean theta / (1 - lambda) = mu and variance mu / (1 - lambda)^2 = mu phi.


def _rates(log_mu: Array, phi: Array) -> tuple[Array, Array]:
    """log(theta) and lambda."""
    half = 0.5 * jnp.log(phi)
    return log_mu - half, -jnp.expm1(-half)


def _generalised_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_theta, share = _rates(LINKS[link].log_mu(p["eta"]), p["phi"])
    log_later = jnp.where(y > 0, _safe_log(share) + jnp.log(jnp.where(y > 0, y, 1.0)), -jnp.inf)
    log_rate = log_add(log_theta, log_later)  # of theta + lambda y, of which the first may underflow
    first = jnp.where(y > 0, log_theta - log_rate, 0.0)
    value = first + times(y, log_rate) - jnp.exp(log_theta) - share * y
    possible = p["phi"] >= 1
    return guarded(jnp.where(possible, value, -jnp.inf), p["eta"], link, 0.0, np.inf)


def _generalised_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Sums from both ends, as mu and phi rarely allow anything shorter."""
    log_theta, share = _rates(_safe_log(p["mu"]), p["phi"])
    theta = jnp.exp(log_theta)

    def log_term(k: Array) -> Array:
        rate = theta + share * k
        log_rate = jnp.log(rate)
        return log_theta - log_rate + log_poisson_term(k, rate, log_rate)

    # The mode of the inverse Gaussian distribution of this mean and variance, which has the same tail k^(-3/2).
    skew = 1.5 * (p["phi"] - 1) / p["mu"]
    mode = jnp.floor(p["mu"] / (jnp.sqrt(1 + skew * skew) + skew))

    def at(count: Array) -> tuple[Array, Array]:
        start = jnp.zeros(jnp.broadcast_shapes(jnp.shape(count), jnp.shape(theta), jnp.shape(share)))
        below = sum_over(log_term, start, start + count, mode).log
        above = sum_over(log_term, start + count + 1, start + jnp.inf, mode).log
        log_odds = below - above
        return LINKS["logit"].log_mu(log_odds), LINKS["logit"].log_complement(log_odds)

    return tails_at_count(y, at)


def _generalised_sample(key: Array, p: Values, extra: Values) -> Array:
    """All generations of a population: Poisson(theta) founders, Poisson(lambda) children of each member."""
    key_founders, key_later = random.split(key)
    shape = shape_of({"mu": p["mu"], "phi": p["phi"]})
    log_theta, share = _rates(_safe_log(jnp.broadcast_to(p["mu"], shape)), p["phi"])
    founders = draw_poisson(key_founders, jnp.exp(log_theta))

    def next_generation(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, living, total = state
        key, key_children = random.split(key)
        children = draw_poisson(key_children, share * living)
        return key, children, total + children

    start = (key_later, founders, founders)
    return lax.while_loop(lambda state: jnp.any(state[1] > 0), next_generation, start)[2]


_DISPERSION = DistributionalParameter(
    "phi", ("logm1", "identity"), lower=1.0, default_prior="gamma(0.01, 0.01)"
)

GENERALISED_POISSON = Family(
    name="generalised_poisson",
    code="GeneralisedPoisson(mu / sqrt(phi), 1 - 1 / sqrt(phi))",
    description="Consul's generalised Poisson with mean mu and dispersion phi > 1; variance mu phi, with a longer tail "
    "than `nbinom1`. As glmmTMB's genpois; brms has no such family",
    parameters=(_MU, _DISPERSION),
    support=COUNTS,
    log_kernel=_generalised_kernel,
    log_base_measure=_minus_log_factorial,
    sample=_generalised_sample,
    mean=lambda p, extra: p["mu"],
    variance=lambda p, extra: p["mu"] * p["phi"],
    log_tails=_generalised_tails,
    additions=_ADDITIONS,
)


# ---- Bell
# Castellares, Ferrari and Lemonte (2018, Applied Mathematical Modelling 56): P(y) = theta^y exp(1 - exp(theta))
# B_y / y! with Bell's numbers B_y and mean theta exp(theta) = mu. It is a Poisson variable of mean theta J, where J is
# Poisson of mean exp(theta): by the generating function exp(exp(theta s) - exp(theta)).

_NEWTON_STEPS = 6


def _log_theta(log_mu: Array) -> Array:
    """w = log(theta), the solution of exp(w) + w = log(mu), by Newton's method. Two steps have derivatives, which
    makes those of the result right up to the third order."""
    w = lax.stop_gradient(jnp.where(log_mu < 1, log_mu, jnp.log(jnp.maximum(log_mu, 1.0))))
    # The function is convex and increasing: a step from anywhere leads above the solution, further ones down to it.
    for step in range(_NEWTON_STEPS):
        theta = jnp.exp(w)
        w = w - (theta + w - log_mu) / (1 + theta)
        if step < _NEWTON_STEPS - 2:
            w = lax.stop_gradient(w)
    return w


def _exp_theta(log_mu: Array, log_theta: Array) -> Array:
    return jnp.exp(jnp.minimum(log_mu, 700.0) - log_theta)


def _number(n: Array) -> Array:
    """n / W(n), rounded: 1 for 0."""
    n = jnp.maximum(n, 1e-300)
    return jnp.round(n / jnp.exp(_log_theta(jnp.log(n))))


def _bell_kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
    log_mu = LINKS[link].log_mu(p["eta"])
    possible = log_mu > -jnp.inf
    log_theta = _log_theta(jnp.where(possible, log_mu, 0.0))
    value = times(y, log_theta) - jnp.expm1(jnp.exp(log_theta))
    value = jnp.where(possible, value, jnp.where(y > 0, -jnp.inf, 0.0))
    return guarded(value, p["eta"], link, 0.0, np.inf)


_BELL_NODES = 64


def _log_bell_over_factorial(y: Array, extra: Values) -> Array:
    """log(B_y / y!) by Dobinski's formula, B_y = sum_k k^y / (e k!): around the largest term, at every k or, where the
    sum is wide, at fewer places that are as good as an integral (the trapezoidal rule)."""
    n = jnp.where(y > 0, y, 1.0)
    centre = _number(n)  # k log(k) = n at the largest term
    width = jnp.sqrt(centre / (1 + n / centre))
    step = jnp.maximum(1.0, 10 * width / _BELL_NODES)
    offsets = jnp.arange(-_BELL_NODES, _BELL_NODES + 1.0).reshape((-1,) + (1,) * jnp.ndim(y))
    k = centre + step * offsets
    positive = k > 0.5
    safe = jnp.where(positive, k, 1.0)
    terms = n * jnp.log(safe) - jsp.gammaln(safe + 1)
    largest = jnp.max(terms, axis=0)
    total = jnp.sum(jnp.where(positive, jnp.exp(terms - largest), 0.0), axis=0)
    value = jnp.log(total) + jnp.log(step) + largest - 1 - jsp.gammaln(n + 1)
    return jnp.where(y > 0, value, 0.0)


def _bell_theta(p: Values) -> tuple[Array, Array]:
    """theta and exp(theta)."""
    log_mu = jnp.log(jnp.maximum(p["mu"], 1e-300))
    log_theta = _log_theta(log_mu)
    return jnp.exp(log_theta), _exp_theta(log_mu, log_theta)


def _bell_tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
    """Those of Poisson variables of mean theta j, averaged over j. Where Y is n, j is about n / W(n)."""
    theta, mean = _bell_theta(p)

    def at(count: Array) -> tuple[Array, Array]:
        def log_term(upper: bool) -> Any:
            def term(j: Array) -> Array:
                tails = log_incomplete_gamma(count + 1, theta * jnp.maximum(j, 0.0))
                return log_poisson_term(j, mean, theta) + tails[0 if upper else 1]

            return term

        start = jnp.zeros(jnp.broadcast_shapes(jnp.shape(count), jnp.shape(theta)))
        modes = [_number(jnp.minimum(count, p["mu"])), _number(jnp.maximum(count + 1, p["mu"]))]
        below = sum_over(log_term(False), start, start + jnp.inf, modes[0]).log
        above = sum_over(log_term(True), start + 1, start + jnp.inf, modes[1]).log
        log_odds = below - above
        return LINKS["logit"].log_mu(log_odds), LINKS["logit"].log_complement(log_odds)

    return tails_at_count(y, at)


def _bell_sample(key: Array, p: Values, extra: Values) -> Array:
    key_number, key_count = random.split(key)
    theta, mean = _bell_theta({"mu": jnp.broadcast_to(p["mu"], shape_of({"mu": p["mu"]}))})
    return draw_poisson(key_count, theta * draw_poisson(key_number, mean))


@on_numpy
def _bell_variance(p: Values, extra: Values) -> Array:
    return p["mu"] * (1 + _bell_theta(p)[0])


BELL = Family(
    name="bell",
    code="Bell(lambertw(mu))",
    description="Bell with mean mu, without a parameter of its own for dispersion; variance mu (1 + W(mu)), Lambert's "
    "W. brms has no such family",
    parameters=(_MU,),
    support=COUNTS,
    log_kernel=_bell_kernel,
    log_base_measure=_log_bell_over_factorial,
    sample=_bell_sample,
    mean=lambda p, extra: p["mu"],
    variance=_bell_variance,
    log_tails=_bell_tails,
    additions=_ADDITIONS,
)
