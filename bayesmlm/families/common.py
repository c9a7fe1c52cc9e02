"""What several families share: link sets, records of parameters, guards and random draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any

import numpy as np

from .base import DistributionalParameter
from .lazy import jax, jnp, jsp, lax, random
from .links import LINKS, numpy_of

__all__ = [
    "COI",
    "COUNT",
    "HU",
    "INVERSE_SQUARE",
    "LOG_NORMAL",
    "NU",
    "PHI",
    "POSITIVE",
    "PROBABILITY",
    "PROBABILITY_WITHOUT_LOG",
    "REAL",
    "SHAPE",
    "SIGMA",
    "ZI",
    "ZOI",
    "draw_log_gamma",
    "draw_poisson",
    "gammaln",
    "guarded",
    "log_density_of_normal",
    "log_odds_pair",
    "mu",
    "on_numpy",
    "shape_of",
]

Array = Any
Values = Mapping[str, Array]

# The links brms 2.18 allows for mu, default first.
_TO_UNIT_INTERVAL = ("logit", "probit", "probit_approx", "cloglog", "cauchit", "softit")
REAL = ("identity", "log", "inverse", "softplus", "squareplus", *_TO_UNIT_INTERVAL)
LOG_NORMAL = ("identity", "inverse")
POSITIVE = ("log", "identity", "inverse", "softplus", "squareplus")
COUNT = ("log", "identity", "sqrt", "softplus", "squareplus")
PROBABILITY_WITHOUT_LOG = (*_TO_UNIT_INTERVAL, "identity")
PROBABILITY = (*PROBABILITY_WITHOUT_LOG, "log")
INVERSE_SQUARE = ("1/mu^2", "inverse", "identity", "log", "softplus", "squareplus")

_SCALE_LINKS = ("log", "identity", "softplus", "squareplus")
SIGMA = DistributionalParameter(
    "sigma", _SCALE_LINKS, lower=0.0, default_prior="scale", default_prior_predicted="scale"
)
SHAPE = DistributionalParameter("shape", _SCALE_LINKS, lower=0.0, default_prior="gamma(0.01, 0.01)")
PHI = DistributionalParameter("phi", _SCALE_LINKS, lower=0.0, default_prior="gamma(0.01, 0.01)")
NU = DistributionalParameter(
    "nu",
    ("logm1", "identity"),
    lower=1.0,
    default_prior="gamma(2, 0.1)",
    default_prior_predicted="normal(2.7, 0.8)",
)


def _zero_probability(name: str) -> DistributionalParameter:
    return DistributionalParameter(
        name,
        ("logit", "identity"),
        lower=0.0,
        upper=1.0,
        default_prior="beta(1, 1)",
        default_prior_predicted="logistic(0, 1)",
    )


ZI = _zero_probability("zi")
HU = _zero_probability("hu")
ZOI = _zero_probability("zoi")
COI = _zero_probability("coi")


def mu(
    links: tuple[str, ...], lower: float | None = None, upper: float | None = None
) -> DistributionalParameter:
    """The record of mu."""
    return DistributionalParameter(
        "mu", links, lower, upper, default_prior="scale", default_prior_predicted="scale"
    )


def guarded(value: Array, eta: Array, link: str, lower: float, upper: float, closed: bool = True) -> Array:
    """``value``, minus infinity where mu lies outside the interval from ``lower`` to ``upper``.

    Costs nothing for a link that cannot leave the interval (log for a positive mu); others (identity) can,
    and then the density has no meaning there. ``closed``: the ends are legal.
    """
    record = LINKS[link]
    if lower <= record.range[0] and record.range[1] <= upper:
        return value
    natural = record.inverse(eta)
    inside = (natural >= lower) & (natural <= upper)
    if not closed:
        inside = inside & (natural != lower) & (natural != upper)
    return jnp.where(inside, value, -jnp.inf)


def log_odds_pair(p: Values, name: str) -> tuple[Array, Array]:
    """log(q) and log(1 - q) of the probability ``q = p[name]``: by its linear predictor where the link is logit, so
    that neither loses digits. Minus infinity, with gradient zero, where q or 1 - q is not positive."""
    logit, plain = LINKS["logit"], LINKS["identity"]
    if (eta := p.get(f"logit_{name}")) is not None:
        return logit.log_mu(eta), logit.log_complement(eta)
    return plain.log_mu(p[name]), plain.log_complement(p[name])


def log_density_of_normal(z: Array, sigma: Array) -> Array:
    """Log density of a normal variable ``z`` standard deviations ``sigma`` from its mean."""
    return -0.5 * z * z - jnp.log(sigma) - 0.9189385332046728  # log(2 pi) / 2


def shape_of(*values: Mapping[str, Array]) -> tuple[int, ...]:
    """The shape to which all arrays broadcast: that of a draw."""
    arrays = [a for mapping in values for a in mapping.values()]
    return tuple(jnp.broadcast_shapes(*(jnp.shape(a) for a in arrays)))


def draw_log_gamma(key: Array, shape: Array) -> Array:
    """Logarithms of gamma variables with scale 1, one for each element of ``shape`` > 0, which may be tiny.

    By rejection from a cubed normal variable, all elements at once: Marsaglia and Tsang (2000), ACM Transactions on
    Mathematical Software 26(3); below a shape of one, a gamma variable of shape + 1 times U^(1 / shape).
    """
    key, key_power = random.split(key)
    boost = jnp.where(shape < 1, jnp.log1p(-random.uniform(key_power, shape.shape, shape.dtype)) / shape, 0.0)
    d = jnp.where(shape < 1, shape + 1, shape) - 1 / 3
    c = 1 / (3 * jnp.sqrt(d))

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, log_cube, done = state
        key, key_x, key_u = random.split(key, 3)
        x = random.normal(key_x, d.shape, d.dtype)
        root = 1 + c * x
        log_v = 3 * jnp.log(jnp.where(root > 0, root, 1.0))
        log_u = jnp.log1p(-random.uniform(key_u, d.shape, d.dtype))
        accept = (root > 0) & (log_u < 0.5 * x * x + d * (1 - jnp.exp(log_v) + log_v))
        return key, jnp.where(accept & ~done, log_v, log_cube), done | accept

    start = (key, jnp.zeros_like(d), jnp.zeros(d.shape, dtype=bool))
    _, log_v, _ = lax.while_loop(lambda state: ~jnp.all(state[2]), propose, start)
    return jnp.log(d) + log_v + boost


def draw_poisson(key: Array, mean: Array) -> Array:
    """Poisson variables, float64, one for each element of ``mean``.

    `jax.random.poisson` works in single precision and is visibly wrong from a mean of about 1e5 on, so means
    of 10 and more are drawn here by transformed rejection: Hoermann (1993), Insurance: Mathematics and
    Economics 12(1), algorithm PTRS.
    """
    return jax.jit(_draw_poisson)(key, mean)  # or its loop would be compiled at each call


def _draw_poisson(key: Array, mean: Array) -> Array:
    key_small, key_large = random.split(key)
    small = random.poisson(key_small, jnp.where(mean < 10, mean, 0.0)).astype(mean.dtype)
    m = jnp.where(mean < 10, 10.0, mean)
    b = 0.931 + 2.53 * jnp.sqrt(m)
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = jnp.log(1.1239 + 1.1328 / (b - 3.4))
    accept_at_once = 0.9277 - 3.6224 / (b - 2)

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, count, done = state
        key, key_u, key_v = random.split(key, 3)
        u = random.uniform(key_u, m.shape, m.dtype) - 0.5
        v = random.uniform(key_v, m.shape, m.dtype)
        s = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / s + b) * u + m + 0.43)
        log_ratio = k * jnp.log(m) - m - jsp.gammaln(jnp.maximum(k, 0.0) + 1)
        accept = jnp.log(v) + log_inverse_alpha - jnp.log(a / (s * s) + b) <= log_ratio
        impossible = (k < 0) | ((s < 0.013) & (v > s))
        accept = ((s >= 0.07) & (v <= accept_at_once)) | (accept & ~impossible)
        return key, jnp.where(accept & ~done, k, count), done | accept

    start = (key_large, jnp.zeros_like(m), mean < 10)
    _, large, _ = lax.while_loop(lambda state: ~jnp.all(state[2]), propose, start)
    return jnp.where(mean < 10, small, large)


def gammaln(x: Array) -> Array:
    """lgamma of NumPy or JAX arrays."""
    return import_module("scipy.special" if numpy_of(x) is np else "jax.scipy.special").gammaln(x)


def on_numpy(
    function: Callable[[Values, Values], Array], compiled: bool = True
) -> Callable[[Values, Values], Array]:
    """``function(parameters, extra)``, written with JAX, that also takes NumPy arrays and then returns one.

    ``compiled``: as a whole, not operation by operation; not for functions of users, who may have written NumPy.
    """

    @wraps(function)
    def either(p: Values, extra: Values) -> Array:
        if any(numpy_of(value) is not np for value in p.values()):
            return function(p, extra)
        from ..inference.x64 import x64

        with x64():
            return np.asarray((jax.jit(function) if compiled else function)(p, extra), dtype=np.float64)

    return either
