"""Random draws of the common families with NumPy, so that simulating from a fit needs no JAX.

One table by family name, in the parameterisation of the families' records. `draw` takes what is not in it from the
record's own ``sample``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from .base import Family, FamilyError

__all__ = ["DRAWS", "draw"]

Vector = NDArray[np.float64]
Values = Mapping[str, Vector]
Draw = Callable[[np.random.Generator, Values, Values], Vector]

LARGEST_MEAN = 9e18
"""NumPy's Poisson variables are 64-bit integers."""
TINY = 1e-300
"""Shapes that have underflowed to zero are as good as this one."""


def draw(rng: np.random.Generator, family: Family, parameters: Values, extra: Values) -> Vector:
    """(n,) one response for each row.

    ``parameters``: (n,) natural scales, as `links.natural_parameters` gives them; ``extra``: (n,) ``trials``.
    Raises `FamilyError` for parameters outside their range.
    """
    for record in family.parameters:
        _check_range(family.name, record.name, parameters[record.name], record.lower, record.upper)
    known = DRAWS.get(family.name)
    if known is not None:
        return np.asarray(known(rng, parameters, extra), dtype=np.float64)
    import jax

    from ..inference.x64 import x64

    with x64():
        key = jax.random.key(int(rng.integers(2**32)))
        return np.asarray(family.sample(key, parameters, extra), dtype=np.float64)


def _check_range(family: str, name: str, values: Vector, lower: float | None, upper: float | None) -> None:
    low, high = -np.inf if lower is None else lower, np.inf if upper is None else upper
    wrong = np.flatnonzero(~((values >= low) & (values <= high) & np.isfinite(values)))
    if wrong.size:
        raise FamilyError(
            f"a response of the family `{family}` cannot be drawn with {name} = {values[wrong[0]]:g} (row "
            f"{wrong[0] + 1}): the link does not keep {name} inside its range for all effects, or their variance is "
            "too large"
        )


def _poisson(rng: np.random.Generator, mean: Vector) -> Vector:
    return rng.poisson(np.minimum(mean, LARGEST_MEAN)).astype(np.float64)


def _gamma_poisson(rng: np.random.Generator, size: Vector, scale: Vector) -> Vector:
    """Negative binomial: Poisson variables whose means are gamma variables of shape ``size``."""
    return _poisson(rng, rng.standard_gamma(size) * scale)


def _binomial(rng: np.random.Generator, probability: Vector, trials: Vector) -> Vector:
    return rng.binomial(np.round(trials).astype(np.int64), probability).astype(np.float64)


def _draw_gaussian(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return p["mu"] + p["sigma"] * rng.standard_normal(p["mu"].shape)


def _draw_student(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return p["mu"] + p["sigma"] * rng.standard_t(p["nu"])


def _draw_lognormal(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return np.asarray(np.exp(_draw_gaussian(rng, p, extra)))


def _draw_gamma(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return rng.standard_gamma(p["shape"]) * (p["mu"] / p["shape"])


def _draw_exponential(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return p["mu"] * rng.standard_exponential(p["mu"].shape)


def _draw_inverse_gaussian(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    """Michael, Schucany and Haas (1976), The American Statistician 30(2): one of two roots whose product is mu^2; the
    larger is computed, so that nothing cancels."""
    half = p["mu"] / (2 * p["shape"]) * rng.standard_normal(p["mu"].shape) ** 2
    ratio = 1 + half + np.sqrt(half * (half + 2))
    smaller = rng.random(ratio.shape) <= ratio / (1 + ratio)
    return p["mu"] * np.where(smaller, 1 / ratio, ratio)


def _draw_beta(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return rng.beta(np.maximum(p["mu"] * p["phi"], TINY), np.maximum((1 - p["mu"]) * p["phi"], TINY))


def _draw_bernoulli(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return (rng.random(p["mu"].shape) < p["mu"]).astype(np.float64)


def _draw_binomial(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _binomial(rng, p["mu"], extra["trials"])


def _draw_beta_binomial(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _binomial(rng, _draw_beta(rng, p, extra), extra["trials"])


def _draw_poisson(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _poisson(rng, p["mu"])


def _draw_negbinomial(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _gamma_poisson(rng, p["shape"], p["mu"] / p["shape"])


def _draw_nbinom1(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _gamma_poisson(rng, p["mu"] / p["phi"], p["phi"])


def _draw_geometric(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    return _gamma_poisson(rng, np.ones_like(p["mu"]), p["mu"])


def _zero_inflated(plain: Draw) -> Draw:
    def zero_or_draw(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
        return np.where(rng.random(p["mu"].shape) < p["zi"], 0.0, plain(rng, p, extra))

    return zero_or_draw


def _first_event(rng: np.random.Generator, hazard: Vector) -> Vector:
    """When the first event comes, in cumulated hazard, given that it comes: exponential, below ``hazard``."""
    return np.asarray(-np.log1p(rng.random(hazard.shape) * np.expm1(-hazard)))


def _draw_hurdle_poisson(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    """The count of events in a unit of time, given that there is one: the first by inversion, then the rest."""
    first = _first_event(rng, p["mu"])
    count = 1 + _poisson(rng, np.maximum(p["mu"] - first, 0.0))
    return np.where(rng.random(first.shape) < p["hu"], 0.0, count)


def _draw_hurdle_negbinomial(rng: np.random.Generator, p: Values, extra: Values) -> Vector:
    """The rate of the events is a gamma variable; after a first one at time t its shape is larger by 1 and its scale
    smaller by the factor 1 + t scale (the conjugate posterior)."""
    first = _first_event(rng, p["shape"] * np.log1p(p["mu"] / p["shape"]))
    grown = np.expm1(first / p["shape"])
    left = np.maximum(p["mu"] / p["shape"] - grown, 0.0) / (1 + grown)
    count = 1 + _gamma_poisson(rng, p["shape"] + 1, left)
    return np.where(rng.random(first.shape) < p["hu"], 0.0, count)


DRAWS: Mapping[str, Draw] = {
    "gaussian": _draw_gaussian,
    "student": _draw_student,
    "lognormal": _draw_lognormal,
    "gamma": _draw_gamma,
    "exponential": _draw_exponential,
    "inverse.gaussian": _draw_inverse_gaussian,
    "beta": _draw_beta,
    "bernoulli": _draw_bernoulli,
    "binomial": _draw_binomial,
    "beta_binomial": _draw_beta_binomial,
    "poisson": _draw_poisson,
    "negbinomial": _draw_negbinomial,
    "nbinom1": _draw_nbinom1,
    "geometric": _draw_geometric,
    "zero_inflated_poisson": _zero_inflated(_draw_poisson),
    "zero_inflated_negbinomial": _zero_inflated(_draw_negbinomial),
    "zero_inflated_binomial": _zero_inflated(_draw_binomial),
    "hurdle_poisson": _draw_hurdle_poisson,
    "hurdle_negbinomial": _draw_hurdle_negbinomial,
}
"""By family name: draws of (n,) responses from natural parameters and ``trials``."""
