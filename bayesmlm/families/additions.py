"""What response additions make of a family: known errors, exposures, censoring and truncation.

``extra`` holds what the additions supply, by row: ``se``, ``rate``; ``left_censored``, ``right_censored`` and
``interval_censored`` (1 where a row is, and only those that occur), ``interval_end`` (the upper end of intervals, the
response elsewhere); ``above`` and ``up_to``, the bounds of a truncated response, which lies in (above, up_to];
infinite where a row has no bound.

A response that is itself a parameter (missing, or measured with an error) comes among the parameters, as ``latent``:
see `bayesmlm.model.parts.missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .base import Family
from .lazy import jax, jnp, jsp
from .links import LINKS

__all__ = [
    "CENSORED",
    "LATENT",
    "TRUNCATED",
    "adjusted",
    "log_base",
    "log_density",
    "log_interval",
    "log_measured",
    "log_terms",
    "tails_at",
]

Array = Any
Values = Mapping[str, Array]

CENSORED = ("left_censored", "right_censored", "interval_censored")
TRUNCATED = ("above", "up_to")
LATENT = ("latent", "noise")
"""Among the parameters: a response that is one, and the standard deviations of its measurement errors."""
# Of the interval that a response is truncated to. Logarithms are right to about 13 digits, so below this the difference
# of two of them is noise, in which a sampler may find modes of millions.
_LEAST_LOG_PROBABILITY = -1e10


def adjusted(family: Family, p: Values, extra: Values) -> dict[str, Array]:
    """The parameters of each row's distribution: ``se`` adds its square to sigma's, ``rate`` multiplies the mean.

    Counts over an exposure d are sums of d counts over 1: a negative binomial's shape grows with d, too. A mixture
    adjusts the parameters of its components itself.
    """
    if family.components:
        return dict(p)
    out = dict(p)
    if "se" in extra:
        out["sigma"] = jnp.sqrt(p["sigma"] ** 2 + extra["se"] ** 2)
    if "rate" in extra:
        d, link = extra["rate"], family.mu_link
        out["mu"] = p["mu"] * d
        out["eta"] = p["eta"] + jnp.log(d) if link == "log" else LINKS[link].link(out["mu"])
        if "shape" in p:
            out["shape"] = p["shape"] * d
        elif "sigma" in p:  # one over the shape
            out["sigma"] = p["sigma"] / d
    return out


def log_terms(family: Family, y: Array, p: Values, extra: Values) -> Array:
    """(n,) what the sampler adds up: the log likelihood of each row less `log_base`. ``p``: adjusted parameters.

    With a latent response nothing is left out: parameters enter all of it.
    """
    if "latent" in p:
        return log_density(family, y, p, extra)
    return _limited(family, family.log_kernel(y, p, extra, family.mu_link), y, p, extra)


def log_base(family: Family, y: Array, extra: Values) -> Array | None:
    """(n,) the part of the log likelihood that no parameter enters, None when there is none: rows that are censored
    have no such part."""
    if family.log_base_measure is None:
        return None
    base = family.log_base_measure(y, extra)
    for kind in CENSORED:
        if kind in extra:
            base = jnp.where(extra[kind] > 0, 0.0, base)
    return base


def log_density(family: Family, y: Array, p: Values, extra: Values) -> Array:
    """(n,) log likelihood of each row, as brms's ``log_lik``: of a censored row the log probability of where the
    response may be, of a truncated one the density given that it lies between the bounds.

    With a latent response the density of the latent value and, where it is measured with an error, of the measurement.
    """
    if "latent" in p:
        rest = {name: value for name, value in p.items() if name not in LATENT}
        density = log_density(family, p["latent"], rest, extra)
        return density + _measurement(y, p) if "noise" in p else density
    terms, base = log_terms(family, y, p, extra), log_base(family, y, extra)
    return terms if base is None else terms + base


def _limited(family: Family, observed: Array, y: Array, p: Values, extra: Values) -> Array:
    censored, truncated = [k for k in CENSORED if k in extra], [k for k in TRUNCATED if k in extra]
    if not (censored or truncated):
        return observed
    points = {name: extra[name] for name in (*truncated, "interval_end") if name in extra}
    at = tails_at(_tails_of(family), {**points, "y": y} if censored else points, y, p, extra)
    above, up_to = (at.get(name) for name in TRUNCATED)
    if "left_censored" in extra:
        observed = jnp.where(extra["left_censored"] > 0, log_interval(above, at["y"]), observed)
    if "right_censored" in extra:
        observed = jnp.where(extra["right_censored"] > 0, log_interval(at["y"], up_to), observed)
    if "interval_censored" in extra:
        inside = log_interval(at["y"], at["interval_end"])
        observed = jnp.where(extra["interval_censored"] > 0, inside, observed)
    if not truncated:
        return observed
    whole = log_interval(above, up_to)
    return jnp.where(whole > _LEAST_LOG_PROBABILITY, observed - whole, -jnp.inf)


def tails_at(
    tails: Callable[..., tuple[Array, Array]], points: Values, instead: Array, p: Values, extra: Values
) -> dict[str, tuple[Array, Array]]:
    """The log tails at several points of each row, by name; they may be infinite, and are then evaluated at
    ``instead``. All at once: the code of the distribution function is compiled for one call, not for each point."""
    shape = jnp.broadcast_shapes((1,), *(jnp.shape(value) for value in points.values()))
    at = jnp.stack([jnp.broadcast_to(value, shape) for value in points.values()])
    finite, up = jnp.isfinite(at), at > 0
    below, beyond = tails(jnp.where(finite, at, instead), p, extra)
    below = jnp.where(finite, below, jnp.where(up, 0.0, -jnp.inf))
    beyond = jnp.where(finite, beyond, jnp.where(up, -jnp.inf, 0.0))
    return {name: (below[i], beyond[i]) for i, name in enumerate(points)}


def log_measured(family: Family, y: Array, p: Values, extra: Values, noise: Array) -> Array:
    """(n,) log density of responses measured with normal errors of standard deviation ``noise``, the true responses
    integrated out: exactly for a normal response, by Gauss-Hermite quadrature with 32 nodes for others."""
    if family.name == "gaussian":
        spread = {**p, "sigma": jnp.sqrt(p["sigma"] ** 2 + noise**2)}
        return log_density(family, y, spread, extra)
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    points = y + noise * nodes[:, None]
    # Mapped rather than written out node by node: a program of a 32nd of the size.
    terms = jax.vmap(lambda latent: log_density(family, latent, p, extra))(points)
    terms = terms + np.log(weights / np.sqrt(2 * np.pi))[:, None]
    return jsp.logsumexp(jnp.where(_inside(family, points), terms, -jnp.inf), axis=0)


def _inside(family: Family, y: Array) -> Array:
    return (y >= family.support.lower) & (y <= family.support.upper)


def _measurement(y: Array, p: Values) -> Array:
    """log density of the measured values given the true ones; nothing where ``noise`` is missing."""
    known = jnp.isfinite(p["noise"])
    sd = jnp.where(known, p["noise"], 1.0)
    z = (jnp.where(known, y, p["latent"]) - p["latent"]) / sd
    return jnp.where(known, -0.5 * z * z - jnp.log(sd) - 0.5 * jnp.log(2 * jnp.pi), 0.0)


def _tails_of(family: Family) -> Callable[[Array, Values, Values], tuple[Array, Array]]:
    assert family.log_tails is not None, family.name
    return family.log_tails


def log_interval(start: tuple[Array, Array] | None, end: tuple[Array, Array] | None) -> Array:
    """log P(a < Y <= b) from the log tails at a and b: (log P(Y <= .), log P(Y > .)); None: no bound on that side.

    The difference is taken of the tails that are smaller, whose digits are not lost.
    """
    if start is None and end is None:
        return jnp.zeros(())
    if start is None or end is None:
        return end[0] if start is None else start[1]  # type: ignore[index]
    from_below = end[0] < start[1]
    large = jnp.where(from_below, end[0], start[1])
    small = jnp.where(from_below, start[0], end[1])
    possible = large > small
    gap = jnp.where(possible, small - jnp.where(possible, large, 0.0), -1.0)
    return jnp.where(possible, jnp.where(possible, large, 0.0) + jnp.log(-jnp.expm1(gap)), -jnp.inf)
