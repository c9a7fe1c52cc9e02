"""Ordinal families: log probabilities and derivatives against definitions in 400 digits, probabilities against brms's
own functions, draws against probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayesmlm.families.base import FamilyError
from bayesmlm.families.ordinal import ACAT, CRATIO, CUMULATIVE, HURDLE_CUMULATIVE, SRATIO
from bayesmlm.families.registry import family

from ..compiling import quickly
from ..support import reference

FAMILIES = {record.name: record for record in (CUMULATIVE, SRATIO, CRATIO, ACAT)}
LINKED = [(name, link) for name, record in FAMILIES.items() for link in record.parameter("mu").links]
THRESHOLDS = np.array([-0.7, 0.4, 1.1])
BRMS = (-1.3, 0.2, 2.0)
"""Linear predictors in brms's reference, with disc = 1.7."""


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def at(eta, disc=1.0, thresholds=THRESHOLDS, **more):
    thresholds = thresholds if isinstance(thresholds, jax.Array) else np.asarray(thresholds)
    return {"thresholds": thresholds[:, None], "eta": jnp.asarray(eta), "disc": disc, **more}


def exact_points():
    """Thresholds (3, n), linear predictor, disc and y of the points of both references: definitions, then brms."""
    rows = [
        *reference("ordinal")["points"],
        *([list(THRESHOLDS), eta, 1.7, y] for eta in BRMS for y in (1, 2, 3, 4)),
    ]
    tau = np.array([row[0] for row in rows]).T
    return tau, *(np.array([float(row[i]) for row in rows]) for i in (1, 2, 3))


@pytest.mark.parametrize(("name", "link"), LINKED)
def test_log_probabilities_and_derivatives_are_exact(name, link):
    """Thresholds from 1e-9 to 30 apart, linear predictors from -300 to 60: 1e-8 relative, as is asked of families."""
    tau, eta, disc, y = exact_points()

    @quickly
    def log_p(eta, tau):
        p = {"thresholds": tau, "eta": eta, "disc": disc}
        value, pullback = jax.vjp(
            lambda e, t: FAMILIES[name].log_kernel(y, {**p, "eta": e, "thresholds": t}, {}, link), eta, tau
        )
        by_eta, by_tau = pullback(jnp.ones_like(value))
        return value, by_eta, by_tau[1]

    ours = np.stack([np.asarray(v) for v in log_p(eta, tau)], axis=1)
    exact = np.array(reference("ordinal")["values"][f"{name} {link}"], dtype=float)
    brms, ours = np.exp(ours[len(exact) :, 0]), ours[: len(exact)]
    known = ~np.isnan(exact)
    assert np.isfinite(ours[known[:, 0]]).all()
    # A derivative is a sum of terms, of which small ones lose digits beside large ones.
    scale = np.where(known, np.abs(exact), 0)
    scale[:, 1:] = scale[:, 1:].max(axis=1, keepdims=True)
    assert (np.abs(ours - exact)[known] <= 1e-8 * scale[known]).all()
    if link != "probit_approx":  # for which brms's R code takes the normal distribution itself
        expected = np.array(reference("ordinal_brms")["probabilities"][f"{name} {link}"])
        np.testing.assert_allclose(brms.reshape(3, 4), expected, rtol=1e-10, atol=2e-16)


@pytest.mark.parametrize("name", ["cumulative", "sratio", "acat"])
def test_thresholds_may_differ_between_rows(name):
    """Effects by category, eta (K - 1, n), move the thresholds of each row; rows may have fewer thresholds."""
    record, y = FAMILIES[name], np.array([1.0, 2.0, 3.0, 4.0])
    shift = np.array([[0.1], [-0.2], [0.3]]) * np.arange(4)

    @quickly
    def both(eta, moved, shortened):
        log_p = [record.log_kernel(y, {**at(e), "thresholds": t}, {}, "logit") for e, t in (moved, eta)]
        return log_p, record.mean(at(jnp.ones(2), thresholds=THRESHOLDS[:2]), {}), record.mean(shortened, {})

    tables = (jnp.zeros(4), THRESHOLDS[:, None] - shift), (jnp.asarray(shift), THRESHOLDS[:, None])
    (first, second), short, padded = both(*tables, at(jnp.ones(2), threshold_count=jnp.array([2.0, 2.0])))
    np.testing.assert_allclose(first, second, rtol=1e-12)
    np.testing.assert_allclose(padded, np.vstack([short, [0, 0]]), rtol=1e-13)


def test_hurdle_comes_before_the_categories():
    y, hu = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0.2, 0.7, 0.1, 0.5, 0.6])

    @quickly
    def log_p(y, p):
        plain = CUMULATIVE.log_kernel(jnp.maximum(y, 1), p, {}, "logit")
        return plain, HURDLE_CUMULATIVE.log_kernel(y, p, {}, "logit")

    plain, found = log_p(y, at(np.linspace(-1, 1, 5), hu=hu))
    positive = np.log1p(-hu) + np.asarray(plain)
    np.testing.assert_allclose(found, np.where(y > 0, positive, np.log(hu)), rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit", "cauchit"])
def test_thresholds_out_of_order_are_impossible_not_nan(link):
    def log_p(thresholds):
        p = {"thresholds": thresholds[:, None], "eta": jnp.zeros(1), "disc": 1.0}
        return CUMULATIVE.log_kernel(jnp.array([2.0]), p, {}, link)[0]

    value, slope = quickly(jax.value_and_grad(log_p))(np.array([0.5, 0.5, 1.0]))
    assert value == -np.inf
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("record", [CUMULATIVE, ACAT, HURDLE_CUMULATIVE], ids=lambda r: r.name)
def test_draws_follow_the_probabilities(record):
    """Chi-square test of 4000 draws at the level 0.001 (fixed seed)."""
    p = at(np.full(4000, 0.4), disc=np.full(4000, 0.8), hu=np.full(4000, 0.3))
    start = int(record.support.lower)
    ends = np.array([start - 0.5, start + 1.0, *[9.0] * 3998])

    @quickly
    def sampled(p):
        stacked = record.cdf(np.stack([ends, ends + 1]), p, {})
        return record.sample(jax.random.key(1), p, {}), record.mean(p, {}), record.cdf(ends, p, {}), stacked

    draws, chances, below, stacked = (np.asarray(v) for v in sampled(p))
    chances = chances[:, 0]
    counts = np.bincount(draws.astype(int) - start, minlength=len(chances))
    assert stats.chisquare(counts, 4000 * chances).pvalue > 0.001
    np.testing.assert_allclose(chances.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(below[:3], [0, chances[:2].sum(), 1], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stacked[0], below, rtol=1e-12, atol=1e-15)


def test_threshold_is_an_option_of_the_family():
    chosen = family("cumulative(probit, threshold = equidistant)")
    assert chosen.options == {"threshold": "equidistant"}
    assert type(chosen).from_json(chosen.to_json()) == chosen != family("cumulative(probit)")
    with pytest.raises(FamilyError, match="'flexible', 'equidistant', 'sum_to_zero'"):
        family("acat", threshold="equal")
    with pytest.raises(FamilyError, match="takes no argument `threshold`"):
        family("gaussian", threshold="equidistant")
    with pytest.raises(FamilyError, match="'softit' is not a link"):
        family("sratio", "softit")
