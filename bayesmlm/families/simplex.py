"""Families of shares that sum to one, a column for each category: dirichlet, dirichlet2, logistic_normal."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import common
from .base import DistributionalParameter, Family, FamilyError
from .categorical import NONE_YET, SOFTMAX, log_dirichlet_draw
from .categories import (
    NO_REFERENCE,
    Categories,
    OfCategories,
    adapt_to_categories,
    log_softmax,
    log_sum,
    reference_category,
)
from .column_support import ShareColumns
from .lazy import jnp, lax, random
from .links import LINKS
from .special import stirling_remainder

__all__ = ["DIRICHLET", "DIRICHLET2", "LOGISTIC_NORMAL"]

Array = Any
Values = Mapping[str, Array]


def _log_shares(y: Array, extra: Values) -> Array:
    return -jnp.sum(jnp.log(y), axis=0)


def _log_dirichlet(y: Array, log_p: Array, log_phi: Array) -> Array:
    """The log density of shares ``y`` (C, n) with concentrations exp(log_phi) p, times the product of the shares.

    Minus phi times the Kullback-Leibler divergence of y from p, and remainders of Stirling's formula: so that a large
    phi costs no digits.
    """
    phi, p, log_a = jnp.exp(log_phi), jnp.exp(log_p), log_phi + log_p
    # p log(y / p) + p - y, whose sum is the divergence's: each term is negative, where p log(y / p) alone would cancel.
    near = jnp.abs(y - p) < 0.5 * p
    u = jnp.where(near, (y - p) / jnp.where(near, p, 1.0), 0.0)
    far = jnp.where(near, 0.0, p * (jnp.log(y) - log_p) + p - y)
    terms = jnp.where(near, p * (jnp.log1p(u) - u), far)
    remainders = jnp.sum(stirling_remainder(jnp.exp(log_a), log_a), axis=0)
    return phi * jnp.sum(terms, axis=0) + stirling_remainder(phi, log_phi) - remainders


def _dirichlet_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    return _log_dirichlet(y, c.log_probabilities(p), jnp.log(p["phi"]))


def _dirichlet_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    return jnp.exp(log_dirichlet_draw(key, jnp.log(p["phi"]) + c.log_probabilities(p)))


def _probabilities(c: Categories, p: Values, extra: Values) -> Array:
    return jnp.exp(c.log_probabilities(p))


def _dirichlet_variance(c: Categories, p: Values, extra: Values) -> Array:
    probability = _probabilities(c, p, extra)
    return probability * (1 - probability) / (p["phi"] + 1)


DIRICHLET = Family(
    name="dirichlet",
    code="Dirichlet(phi * softmax(mu))",
    description="shares of C categories with mean softmax(mu) and precision phi (concentrations phi softmax(mu)): a mu "
    "for each category but the reference",
    parameters=(SOFTMAX, common.PHI),
    support=ShareColumns(),
    log_kernel=OfCategories(_dirichlet_kernel, NONE_YET),
    log_base_measure=_log_shares,
    sample=OfCategories(_dirichlet_sample, NONE_YET),
    mean=OfCategories(_probabilities, NONE_YET),
    variance=OfCategories(_dirichlet_variance, NONE_YET),
    response="columns",
    option_checks={"refcat": reference_category},
    adapted=adapt_to_categories,
)


# ---- every concentration predicted

_CONCENTRATIONS = DistributionalParameter(
    "mu",
    ("log", "softplus", "squareplus", "identity", "logm1"),
    lower=0.0,
    default_prior="scale",
    default_prior_predicted="scale",
)


def _log_concentrations(c: Categories, p: Values) -> Array:
    """(C, n) logs of the concentrations, minus infinity where they are not positive."""
    return LINKS[c.link].log_mu(c.predictors(p))


def _dirichlet2_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    log_a = _log_concentrations(c, p)
    possible = jnp.all(log_a > -jnp.inf, axis=0)
    log_a = jnp.where(possible, log_a, 0.0)
    return jnp.where(possible, _log_dirichlet(y, log_softmax(log_a), log_sum(log_a)), -jnp.inf)


def _dirichlet2_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    return jnp.exp(log_dirichlet_draw(key, _log_concentrations(c, p)))


def _dirichlet2_mean(c: Categories, p: Values, extra: Values) -> Array:
    return jnp.exp(log_softmax(_log_concentrations(c, p)))


def _dirichlet2_variance(c: Categories, p: Values, extra: Values) -> Array:
    log_a = _log_concentrations(c, p)
    share = jnp.exp(log_softmax(log_a))
    return share * (1 - share) / (jnp.exp(log_sum(log_a)) + 1)


DIRICHLET2 = Family(
    name="dirichlet2",
    code="Dirichlet(mu)",
    description="shares of C categories with concentrations mu, one for each category; mean mu / sum(mu)",
    parameters=(_CONCENTRATIONS,),
    support=ShareColumns(),
    log_kernel=OfCategories(_dirichlet2_kernel, NONE_YET),
    log_base_measure=_log_shares,
    sample=OfCategories(_dirichlet2_sample, NONE_YET),
    mean=OfCategories(_dirichlet2_mean, NONE_YET),
    variance=OfCategories(_dirichlet2_variance, NONE_YET),
    response="columns",
    adapted=adapt_to_categories,
)


# ---- normal log ratios


def _factor(p: Values, size: int) -> Array:
    """(K, K) Cholesky factor of the correlations of the log ratios; one of them has none."""
    return p["L_lncor"][..., 0] if size > 1 else jnp.ones((1, 1))


def _log_ratios(c: Categories, y: Array) -> Array:
    """(K, n): log(y_k / y_reference) of the other categories."""
    logs = jnp.log(y)
    reference = c.reference or 0
    others = jnp.concatenate([logs[:reference], logs[reference + 1 :]])
    return others - logs[reference]


def _logistic_normal_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    mu, sigma = c.predictors(p), c.sigma(p)
    L = _factor(p, c.count - 1)
    z = lax.linalg.triangular_solve(L, (_log_ratios(c, y) - mu) / sigma, left_side=True, lower=True)
    log_scale = jnp.sum(jnp.log(sigma), axis=0) + jnp.sum(jnp.log(jnp.diagonal(L)))
    return -0.5 * (jnp.sum(z * z, axis=0) + (c.count - 1) * log(2 * pi)) - log_scale


def _logistic_normal_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    mu, sigma = jnp.broadcast_arrays(c.predictors(p), c.sigma(p))
    z = random.normal(key, mu.shape, mu.dtype)
    ratios = mu + sigma * jnp.tensordot(_factor(p, c.count - 1), z, axes=1)
    return jnp.exp(log_softmax(c.with_reference(ratios)))


def _normal_points(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (m, size) and weights (m,) that integrate against ``size`` independent standard normal variables:
    Gauss-Hermite products up to three, Korobov's lattice (mapped to normal quantiles) beyond."""
    if size <= 3:
        nodes, weights = np.polynomial.hermite_e.hermegauss((40, 24, 12)[size - 1])
        grids = np.meshgrid(*[nodes] * size, indexing="ij")
        products = np.prod(np.meshgrid(*[weights] * size, indexing="ij"), axis=0)
        return np.stack([g.ravel() for g in grids], axis=1), products.ravel() / products.sum()
    from scipy.special import ndtri

    count, generator = 1021, 76
    vector = np.array([pow(generator, k, count) for k in range(size)])
    points = ndtri((np.arange(count)[:, None] * vector[None, :] % count + 0.5) / count)
    return points, np.full(count, 1 / count)


def _logistic_normal_mean(c: Categories, p: Values, extra: Values) -> Array:
    """E(y), which has no closed form, by quadrature over the log ratios; point by point, so that memory stays small."""
    mu, sigma = jnp.broadcast_arrays(c.predictors(p), c.sigma(p))
    L = _factor(p, c.count - 1)
    points, weights = (jnp.asarray(a) for a in _normal_points(c.count - 1))

    def add(i: Array, total: Array) -> Array:
        deviation = (L @ points[i]).reshape(-1, *([1] * (mu.ndim - 1)))
        ratios = mu + sigma * deviation
        return total + weights[i] * jnp.exp(log_softmax(c.with_reference(ratios)))

    return lax.fori_loop(0, len(weights), add, jnp.zeros_like(c.with_reference(mu)))


def _reference_of_ratios(value: Any) -> str | None:
    category = reference_category(value)
    if category == NO_REFERENCE:
        raise FamilyError(
            "the family `logistic_normal` needs a reference category: the ratios are to its share"
        )
    return category


LOGISTIC_NORMAL = Family(
    name="logistic_normal",
    code="LogisticNormal(mu, diag(sigma) lncor diag(sigma))",
    description="shares of C categories whose logs of ratios to the reference's are normal with means mu, standard "
    "deviations sigma and correlations lncor",
    parameters=(common.mu(("identity",)), common.SIGMA),
    support=ShareColumns(),
    log_kernel=OfCategories(_logistic_normal_kernel, NONE_YET),
    log_base_measure=_log_shares,
    sample=OfCategories(_logistic_normal_sample, NONE_YET),
    mean=OfCategories(_logistic_normal_mean, NONE_YET),
    response="columns",
    parts=("log_ratio_correlations",),
    option_checks={"refcat": _reference_of_ratios},
    adapted=adapt_to_categories,
)
