"""The densities that can be priors, in Stan's parameterisation (Stan Functions Reference, chapters on
continuous distributions).

Each is one record. What varies with the parameter (``kernel``) is all that a compiled program evaluates;
whatever depends on the arguments alone (the normalising constant, the mass between truncation bounds) is
computed once on the host. ``tails`` gives both tail probabilities, so that a bound far out in either tail
loses no digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, pi, sqrt
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ALIASES", "DENSITIES", "Alias", "Density", "Library"]

Array = Any
LOG_SQRT_2PI = 0.5 * log(2 * pi)


class Library(NamedTuple):
    """Where a kernel finds its functions: numpy and scipy.special, or jax.numpy and jax.scipy.special."""

    np: ModuleType
    special: ModuleType


@dataclass(frozen=True)
class Density:
    """A density with arguments ``a``, all scalars or arrays that broadcast with x.

    - ``kernel(library, x, *a)``: log density up to ``constant``; -inf outside the support, no NaN gradients
    - ``constant(*a)``: log of the normalising constant
    - ``tails(x, *a)``: (P(X <= x), P(X > x)) for x inside the support
    - ``quantile(p, *a)``, ``upper_quantile(q, *a)``: x with P(X <= x) = p, and with P(X > x) = q
    - ``draw(random, key, shape, *a)``: with the functions of jax.random
    - ``support(*a)``: its ends
    """

    arguments: tuple[str, ...]
    kernel: Callable[..., Array]
    constant: Callable[..., float]
    tails: Callable[..., tuple[Array, Array]]
    quantile: Callable[..., Array]
    upper_quantile: Callable[..., Array]
    draw: Callable[..., Array]
    positive: frozenset[str] = frozenset()
    support: Callable[..., tuple[float, float]] = lambda *_: (-inf, inf)


@dataclass(frozen=True)
class Alias:
    """A density that is another one with arguments computed from its own."""

    arguments: tuple[str, ...]
    density: str
    translate: Callable[..., tuple[float, ...]]
    positive: frozenset[str] = frozenset()


def _special() -> Any:
    import scipy.special

    return scipy.special


def _where(library: Library, inside: Array, x: Array, safe: float, kernel: Callable[[Array], Array]) -> Array:
    """``kernel(x)`` inside, -inf outside; x is replaced before the kernel, so that no gradient is NaN."""
    return library.np.where(inside, kernel(library.np.where(inside, x, safe)), -inf)


def _location_scale(
    kernel: Callable[..., Array],
    constant: Callable[..., float],
    cdf: Callable[..., Array],
    quantile: Callable[..., Array],
    draw: Callable[..., Array],
    shape: tuple[str, ...] = (),
) -> Density:
    """A density symmetric about mu, by functions of z = (x - mu) / sigma; ``shape`` arguments come first.

    For these ``constant`` leaves out -log(sigma), and ``cdf``, ``quantile`` are of the standard density.
    """

    def split(a: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any, Any]:
        return a[:-2], a[-2], a[-1]

    def density_kernel(library: Library, x: Array, *a: Any) -> Array:
        k, mu, sigma = split(a)
        return kernel(library, (x - mu) / sigma, *k)

    def tails(x: Array, *a: Any) -> tuple[Array, Array]:
        k, mu, sigma = split(a)
        z = (x - mu) / sigma
        return cdf(z, *k), cdf(-z, *k)

    def lower(p: Array, *a: Any) -> Array:
        k, mu, sigma = split(a)
        return mu + sigma * quantile(p, *k)

    def upper(q: Array, *a: Any) -> Array:
        k, mu, sigma = split(a)
        return mu - sigma * quantile(q, *k)

    def density_draw(random: ModuleType, key: Array, size: tuple[int, ...], *a: Any) -> Array:
        k, mu, sigma = split(a)
        return mu + sigma * draw(random, key, size, *k)

    return Density(
        arguments=(*shape, "mu", "sigma"),
        kernel=density_kernel,
        constant=lambda *a: constant(*a[:-2]) - log(a[-1]),
        tails=tails,
        quantile=lower,
        upper_quantile=upper,
        draw=density_draw,
        positive=frozenset((*shape, "sigma")),
    )


NORMAL = _location_scale(
    kernel=lambda library, z: -0.5 * z**2,
    constant=lambda: -LOG_SQRT_2PI,
    cdf=lambda z: _special().ndtr(z),
    quantile=lambda p: _special().ndtri(p),
    draw=lambda random, key, size: random.normal(key, size),
)


def _t_cdf(z: Array, nu: float) -> Array:
    """Through the incomplete beta function of nu / (nu + z^2), which keeps its digits in the tail."""
    tail = 0.5 * _special().betainc(0.5 * nu, 0.5, nu / (nu + np.square(z)))
    return np.where(z > 0, 1 - tail, tail)


def _t_quantile(p: Array, nu: float) -> Array:
    tail = np.minimum(p, 1 - p)
    ratio = _special().betaincinv(0.5 * nu, 0.5, 2 * tail)
    return np.where(p < 0.5, -1, 1) * np.sqrt(nu * (1 - ratio) / ratio)


STUDENT_T = _location_scale(
    shape=("nu",),
    kernel=lambda library, z, nu: -0.5 * (nu + 1) * library.np.log1p(z**2 / nu),
    constant=lambda nu: (
        float(_special().gammaln(0.5 * (nu + 1)) - _special().gammaln(0.5 * nu)) - 0.5 * log(nu * pi)
    ),
    cdf=_t_cdf,
    quantile=_t_quantile,
    draw=lambda random, key, size, nu: random.t(key, nu, size),
)

DOUBLE_EXPONENTIAL = _location_scale(
    kernel=lambda library, z: -library.np.abs(z),
    constant=lambda: -log(2),
    cdf=lambda z: np.where(z < 0, 0.5 * np.exp(-np.abs(z)), 1 - 0.5 * np.exp(-np.abs(z))),
    quantile=lambda p: np.where(p < 0.5, np.log(2 * np.minimum(p, 0.5)), -np.log(2 * np.minimum(1 - p, 0.5))),
    draw=lambda random, key, size: random.laplace(key, size),
)

LOGISTIC = _location_scale(
    kernel=lambda library, z: -library.np.abs(z) - 2 * library.np.log1p(library.np.exp(-library.np.abs(z))),
    constant=lambda: 0.0,
    cdf=lambda z: _special().expit(z),
    quantile=lambda p: _special().logit(p),
    draw=lambda random, key, size: random.logistic(key, size),
)

GUMBEL = Density(
    arguments=("mu", "beta"),
    positive=frozenset(("beta",)),
    kernel=lambda library, x, mu, beta: -(x - mu) / beta - library.np.exp(-(x - mu) / beta),
    constant=lambda mu, beta: -log(beta),
    tails=lambda x, mu, beta: (np.exp(-np.exp((mu - x) / beta)), -np.expm1(-np.exp((mu - x) / beta))),
    quantile=lambda p, mu, beta: mu - beta * np.log(-np.log(p)),
    upper_quantile=lambda q, mu, beta: mu - beta * np.log(-np.log1p(-q)),
    draw=lambda random, key, size, mu, beta: mu + beta * random.gumbel(key, size),
)


def _positive(
    arguments: tuple[str, ...],
    kernel: Callable[..., Array],
    constant: Callable[..., float],
    tails: Callable[..., tuple[Array, Array]],
    quantile: Callable[..., Array],
    upper_quantile: Callable[..., Array],
    draw: Callable[..., Array],
    real: frozenset[str] = frozenset(),
) -> Density:
    """A density on x > 0, by a kernel of (library, log x, x, *a); all arguments but ``real`` are > 0."""
    return Density(
        arguments=arguments,
        positive=frozenset(arguments) - real,
        kernel=lambda library, x, *a: _where(
            library, x > 0, x, 1.0, lambda safe: kernel(library, library.np.log(safe), safe, *a)
        ),
        constant=constant,
        tails=tails,
        quantile=quantile,
        upper_quantile=upper_quantile,
        draw=draw,
        support=lambda *_: (0.0, inf),
    )


LOGNORMAL = _positive(
    arguments=("mu", "sigma"),
    real=frozenset(("mu",)),
    kernel=lambda library, log_x, x, mu, sigma: -0.5 * ((log_x - mu) / sigma) ** 2 - log_x,
    constant=NORMAL.constant,
    tails=lambda x, mu, sigma: NORMAL.tails(np.log(x), mu, sigma),
    quantile=lambda p, mu, sigma: np.exp(NORMAL.quantile(p, mu, sigma)),
    upper_quantile=lambda q, mu, sigma: np.exp(NORMAL.upper_quantile(q, mu, sigma)),
    draw=lambda random, key, size, mu, sigma: _exp(mu + sigma * random.normal(key, size)),
)


def _exp(x: Array) -> Array:
    import jax.numpy as jnp

    return jnp.exp(x)


def _gamma_constant(alpha: float, beta: float) -> float:
    return alpha * log(beta) - float(_special().gammaln(alpha))


def _gamma_tails(x: Array, alpha: float, beta: float) -> tuple[Array, Array]:
    return _special().gammainc(alpha, beta * x), _special().gammaincc(alpha, beta * x)


GAMMA = _positive(
    arguments=("alpha", "beta"),
    kernel=lambda library, log_x, x, alpha, beta: (alpha - 1) * log_x - beta * x,
    constant=_gamma_constant,
    tails=_gamma_tails,
    quantile=lambda p, alpha, beta: _special().gammaincinv(alpha, p) / beta,
    upper_quantile=lambda q, alpha, beta: _special().gammainccinv(alpha, q) / beta,
    draw=lambda random, key, size, alpha, beta: random.gamma(key, alpha, size) / beta,
)

INV_GAMMA = _positive(
    arguments=("alpha", "beta"),
    kernel=lambda library, log_x, x, alpha, beta: -(alpha + 1) * log_x - beta / x,
    constant=_gamma_constant,
    tails=lambda x, alpha, beta: _gamma_tails(1 / x, alpha, beta)[::-1],
    quantile=lambda p, alpha, beta: beta / _special().gammainccinv(alpha, p),
    upper_quantile=lambda q, alpha, beta: beta / _special().gammaincinv(alpha, q),
    draw=lambda random, key, size, alpha, beta: beta / random.gamma(key, alpha, size),
)

WEIBULL = _positive(
    arguments=("alpha", "sigma"),
    kernel=lambda library, log_x, x, alpha, sigma: (alpha - 1) * log_x - (x / sigma) ** alpha,
    constant=lambda alpha, sigma: log(alpha) - alpha * log(sigma),
    tails=lambda x, alpha, sigma: (-np.expm1(-((x / sigma) ** alpha)), np.exp(-((x / sigma) ** alpha))),
    quantile=lambda p, alpha, sigma: sigma * (-np.log1p(-p)) ** (1 / alpha),
    upper_quantile=lambda q, alpha, sigma: sigma * (-np.log(q)) ** (1 / alpha),
    draw=lambda random, key, size, alpha, sigma: sigma * random.exponential(key, size) ** (1 / alpha),
)

FRECHET = _positive(
    arguments=("alpha", "sigma"),
    kernel=lambda library, log_x, x, alpha, sigma: -(alpha + 1) * log_x - (x / sigma) ** -alpha,
    constant=lambda alpha, sigma: log(alpha) + alpha * log(sigma),
    tails=lambda x, alpha, sigma: (np.exp(-((x / sigma) ** -alpha)), -np.expm1(-((x / sigma) ** -alpha))),
    quantile=lambda p, alpha, sigma: sigma * (-np.log(p)) ** (-1 / alpha),
    upper_quantile=lambda q, alpha, sigma: sigma * (-np.log1p(-q)) ** (-1 / alpha),
    draw=lambda random, key, size, alpha, sigma: sigma * random.exponential(key, size) ** (-1 / alpha),
)

PARETO_TYPE_2 = Density(
    arguments=("mu", "lambda", "alpha"),
    positive=frozenset(("lambda", "alpha")),
    kernel=lambda library, x, mu, scale, alpha: _where(
        library, x >= mu, x, mu, lambda safe: -(alpha + 1) * library.np.log1p((safe - mu) / scale)
    ),
    constant=lambda mu, scale, alpha: log(alpha / scale),
    tails=lambda x, mu, scale, alpha: (
        -np.expm1(-alpha * np.log1p((x - mu) / scale)),
        np.exp(-alpha * np.log1p((x - mu) / scale)),
    ),
    quantile=lambda p, mu, scale, alpha: mu + scale * np.expm1(-np.log1p(-p) / alpha),
    upper_quantile=lambda q, mu, scale, alpha: mu + scale * np.expm1(-np.log(q) / alpha),
    draw=lambda random, key, size, mu, scale, alpha: (
        mu + scale * (_exp(random.exponential(key, size) / alpha) - 1)
    ),
    support=lambda mu, *_: (mu, inf),
)

BETA = Density(
    arguments=("alpha", "beta"),
    positive=frozenset(("alpha", "beta")),
    kernel=lambda library, x, alpha, beta: _where(
        library,
        (x > 0) & (x < 1),
        x,
        0.5,
        lambda safe: (alpha - 1) * library.np.log(safe) + (beta - 1) * library.np.log1p(-safe),
    ),
    constant=lambda alpha, beta: -float(_special().betaln(alpha, beta)),
    tails=lambda x, alpha, beta: (_special().betainc(alpha, beta, x), _special().betaincc(alpha, beta, x)),
    quantile=lambda p, alpha, beta: _special().betaincinv(alpha, beta, p),
    upper_quantile=lambda q, alpha, beta: _special().betainccinv(alpha, beta, q),
    draw=lambda random, key, size, alpha, beta: random.beta(key, alpha, beta, size),
    support=lambda *_: (0.0, 1.0),
)

UNIFORM = Density(
    arguments=("alpha", "beta"),
    kernel=lambda library, x, a, b: library.np.where((x >= a) & (x <= b), 0.0, -inf),
    constant=lambda a, b: -log(b - a),
    tails=lambda x, a, b: ((x - a) / (b - a), (b - x) / (b - a)),
    quantile=lambda p, a, b: a + (b - a) * p,
    upper_quantile=lambda q, a, b: b - (b - a) * q,
    draw=lambda random, key, size, a, b: a + (b - a) * random.uniform(key, size),
    support=lambda a, b: (a, b),
)


def _skew_normal_tails(x: Array, xi: float, omega: float, alpha: float) -> tuple[Array, Array]:
    """Azzalini (1985), Scand. J. Statist. 12: Phi(z) - 2 T(z, alpha), with T Owen's function."""
    z = (x - xi) / omega
    owen = 2 * _special().owens_t(z, alpha)
    return np.maximum(_special().ndtr(z) - owen, 0), np.maximum(_special().ndtr(-z) + owen, 0)


def _skew_normal_quantile(p: Array, xi: float, omega: float, alpha: float) -> Array:
    """By bisection; 40 scales each way hold all of the mass that a double can tell from 0 and 1."""
    low, high = np.full(np.shape(p), -40.0), np.full(np.shape(p), 40.0)
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = _skew_normal_tails(middle, 0.0, 1.0, alpha)[0] < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return xi + omega * 0.5 * (low + high)


def _skew_normal_draw(
    random: Any, key: Array, size: tuple[int, ...], xi: Any, omega: Any, alpha: Any
) -> Array:
    """|u| delta + v sqrt(1 - delta^2) with standard normal u, v and delta = alpha / sqrt(1 + alpha^2)."""
    u, v = random.normal(key, (2, *size))
    return xi + omega * (alpha * abs(u) + v) / (1 + alpha**2) ** 0.5


SKEW_NORMAL = Density(
    arguments=("xi", "omega", "alpha"),
    positive=frozenset(("omega",)),
    kernel=lambda library, x, xi, omega, alpha: (
        -0.5 * ((x - xi) / omega) ** 2 + library.special.log_ndtr(alpha * (x - xi) / omega)
    ),
    constant=lambda xi, omega, alpha: log(2 / omega) - LOG_SQRT_2PI,
    tails=_skew_normal_tails,
    quantile=_skew_normal_quantile,
    upper_quantile=lambda q, xi, omega, alpha: 2 * xi - _skew_normal_quantile(q, xi, omega, -alpha),
    draw=_skew_normal_draw,
)

DENSITIES: dict[str, Density] = {
    "normal": NORMAL,
    "student_t": STUDENT_T,
    "double_exponential": DOUBLE_EXPONENTIAL,
    "logistic": LOGISTIC,
    "gumbel": GUMBEL,
    "lognormal": LOGNORMAL,
    "gamma": GAMMA,
    "inv_gamma": INV_GAMMA,
    "weibull": WEIBULL,
    "frechet": FRECHET,
    "beta": BETA,
    "uniform": UNIFORM,
    "pareto_type_2": PARETO_TYPE_2,
    "skew_normal": SKEW_NORMAL,
}

ALIASES: dict[str, Alias] = {
    "std_normal": Alias((), "normal", lambda: (0.0, 1.0)),
    "cauchy": Alias(("mu", "sigma"), "student_t", lambda mu, sigma: (1.0, mu, sigma), frozenset(("sigma",))),
    "exponential": Alias(("beta",), "gamma", lambda beta: (1.0, beta), frozenset(("beta",))),
    "chi_square": Alias(("nu",), "gamma", lambda nu: (0.5 * nu, 0.5), frozenset(("nu",))),
    "inv_chi_square": Alias(("nu",), "inv_gamma", lambda nu: (0.5 * nu, 0.5), frozenset(("nu",))),
    "scaled_inv_chi_square": Alias(
        ("nu", "sigma"),
        "inv_gamma",
        lambda nu, sigma: (0.5 * nu, 0.5 * nu * sigma**2),
        frozenset(("nu", "sigma")),
    ),
    "rayleigh": Alias(("sigma",), "weibull", lambda sigma: (2.0, sqrt(2) * sigma), frozenset(("sigma",))),
    "pareto": Alias(
        ("y_min", "alpha"),
        "pareto_type_2",
        lambda y_min, alpha: (y_min, y_min, alpha),
        frozenset(("y_min", "alpha")),
    ),
}
