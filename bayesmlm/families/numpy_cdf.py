"""Distribution functions of the common families with NumPy and SciPy, so that residuals need no JAX.

One table by family name, in the parameterisation of the families' records. `cumulated` takes what is not in it from
the record's own ``cdf``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from .base import Family, FamilyError

__all__ = ["CDFS", "cumulated"]

Vector = NDArray[np.float64]
Values = Mapping[str, Vector]
Cdf = Callable[[Vector, Values, Values], Vector]


def cumulated(family: Family, y: Vector, parameters: Values, extra: Values) -> Vector:
    """(n,) P(Y <= y). ``parameters``: (n,) natural scales; ``extra``: (n,) ``trials``.

    Raises `FamilyError` for a family whose distribution function is not known.
    """
    known = CDFS.get(family.name)
    if known is not None:
        with np.errstate(all="ignore"):
            return np.asarray(known(y, parameters, extra), dtype=np.float64)
    if family.cdf is None:
        raise FamilyError(f"the distribution function of the family `{family.name}` is not known")
    from ..inference.x64 import x64

    with x64():
        return np.asarray(family.cdf(y, parameters, extra), dtype=np.float64)


def _at_counts(y: Vector, of_count: Callable[[Vector], Vector]) -> Vector:
    """A distribution function of counts, anywhere on the line."""
    return np.where(y < 0, 0.0, of_count(np.floor(np.maximum(y, 0.0))))


def _normal(z: Vector) -> Vector:
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def _beta_cdf(a: Vector, b: Vector, x: Vector) -> Vector:
    from scipy.special import betainc

    return np.asarray(betainc(a, b, x))


def _gaussian(y: Vector, p: Values, extra: Values) -> Vector:
    return _normal((y - p["mu"]) / p["sigma"])


def _student(y: Vector, p: Values, extra: Values) -> Vector:
    from scipy.special import stdtr

    return np.asarray(stdtr(p["nu"], (y - p["mu"]) / p["sigma"]))


def _lognormal(y: Vector, p: Values, extra: Values) -> Vector:
    return np.where(y > 0, _normal((np.log(y) - p["mu"]) / p["sigma"]), 0.0)


def _gamma(y: Vector, p: Values, extra: Values) -> Vector:
    from scipy.special import gammainc

    return np.asarray(gammainc(p["shape"], np.maximum(y, 0.0) * (p["shape"] / p["mu"])))


def _exponential(y: Vector, p: Values, extra: Values) -> Vector:
    return np.asarray(-np.expm1(-np.maximum(y, 0.0) / p["mu"]))


def _inverse_gaussian(y: Vector, p: Values, extra: Values) -> Vector:
    """Shuster (1968), JASA 63(324); exp(2 shape / mu) times a normal tail through erfcx, so that neither
    overflows."""
    from scipy.special import erfcx

    root = np.sqrt(p["shape"] / y)
    z, mirrored = root * (y / p["mu"] - 1), root * (y / p["mu"] + 1)
    value = _normal(z) + 0.5 * erfcx(mirrored * np.sqrt(0.5)) * np.exp(-0.5 * z * z)
    return np.where(y > 0, np.where(y < np.inf, value, 1.0), 0.0)


def _beta(y: Vector, p: Values, extra: Values) -> Vector:
    return _beta_cdf(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"], np.clip(y, 0.0, 1.0))


def _bernoulli(y: Vector, p: Values, extra: Values) -> Vector:
    return np.where(y < 0, 0.0, np.where(y < 1, 1 - p["mu"], 1.0))


def _binomial(y: Vector, p: Values, extra: Values) -> Vector:
    n = extra["trials"]

    def of_count(count: Vector) -> Vector:
        inside = np.where(count < n, count, 0.0)
        value = _beta_cdf(np.maximum(n - inside, 1.0), inside + 1, 1 - p["mu"])
        return np.where(count < n, value, 1.0)

    return _at_counts(y, of_count)


def _beta_binomial(y: Vector, p: Values, extra: Values) -> Vector:
    """The sum of the probabilities of 0 to y, each from the one before: P(k + 1) / P(k) is a ratio of products."""
    from scipy.special import betaln

    n, a, b = extra["trials"], p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]
    last = np.minimum(np.floor(y), n)
    log_probability = betaln(a, b + n) - betaln(a, b)
    total = np.zeros(np.broadcast(last, log_probability).shape)
    for k in range(int(last.max(initial=-1.0)) + 1):
        total += np.where(k <= last, np.exp(log_probability), 0.0)
        odds = (n - k) / (k + 1) * (k + a) / (np.maximum(n - k - 1, 0.0) + b)
        log_probability = log_probability + np.log(np.maximum(odds, 0.0))
    return np.where(last >= n, 1.0, np.minimum(total, 1.0))


def _poisson(y: Vector, p: Values, extra: Values) -> Vector:
    from scipy.special import gammaincc

    return _at_counts(y, lambda count: gammaincc(count + 1, p["mu"]))


def _failures(y: Vector, size: Vector, zero: Vector) -> Vector:
    """Of the number of failures before ``size`` successes of probability ``zero``."""
    return _at_counts(y, lambda count: _beta_cdf(size, count + 1, zero))


def _negbinomial(y: Vector, p: Values, extra: Values) -> Vector:
    return _failures(y, p["shape"], p["shape"] / (p["shape"] + p["mu"]))


def _nbinom1(y: Vector, p: Values, extra: Values) -> Vector:
    return _failures(y, p["mu"] / p["phi"], 1 / (1 + p["phi"]))


def _geometric(y: Vector, p: Values, extra: Values) -> Vector:
    return _failures(y, np.ones_like(p["mu"]), 1 / (1 + p["mu"]))


def _zero_inflated(plain: Cdf) -> Cdf:
    def mixture(y: Vector, p: Values, extra: Values) -> Vector:
        return np.where(y < 0, 0.0, p["zi"] + (1 - p["zi"]) * plain(y, p, extra))

    return mixture


def _hurdle(hazard: Callable[[Values], Vector], plain: Cdf, above: Callable[[Vector, Values], Vector]) -> Cdf:
    """0 with probability hu, else ``plain`` without its zeros; ``hazard``: -log of the plain probability of 0;
    ``above``: P(Y > count) of the plain family. Each form where it subtracts from the larger number."""

    def mixture(y: Vector, p: Values, extra: Values) -> Vector:
        zero, positive = np.exp(-hazard(p)), -np.expm1(-hazard(p))
        count = np.floor(np.maximum(y, 0.0))
        from_below = (plain(count, p, extra) - zero) / positive
        truncated = np.where(zero < 0.5, from_below, 1 - above(count, p) / positive)
        return np.where(y < 0, 0.0, p["hu"] + np.where(y < 1, 0.0, (1 - p["hu"]) * truncated))

    return mixture


def _poisson_above(count: Vector, p: Values) -> Vector:
    from scipy.special import gammainc

    return np.asarray(gammainc(count + 1, p["mu"]))


def _negbinomial_above(count: Vector, p: Values) -> Vector:
    return _beta_cdf(count + 1, p["shape"], p["mu"] / (p["shape"] + p["mu"]))


CDFS: Mapping[str, Cdf] = {
    "gaussian": _gaussian,
    "student": _student,
    "lognormal": _lognormal,
    "gamma": _gamma,
    "exponential": _exponential,
    "inverse.gaussian": _inverse_gaussian,
    "beta": _beta,
    "bernoulli": _bernoulli,
    "binomial": _binomial,
    "beta_binomial": _beta_binomial,
    "poisson": _poisson,
    "negbinomial": _negbinomial,
    "nbinom1": _nbinom1,
    "geometric": _geometric,
    "zero_inflated_poisson": _zero_inflated(_poisson),
    "zero_inflated_negbinomial": _zero_inflated(_negbinomial),
    "zero_inflated_binomial": _zero_inflated(_binomial),
    "hurdle_poisson": _hurdle(lambda p: p["mu"], _poisson, _poisson_above),
    "hurdle_negbinomial": _hurdle(
        lambda p: p["shape"] * np.log1p(p["mu"] / p["shape"]), _negbinomial, _negbinomial_above
    ),
}
"""By family name: P(Y <= y) of (n,) values from natural parameters and ``trials``."""
