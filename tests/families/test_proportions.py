"""Families of proportions with zeros and ones: the parts written out with scipy, probabilities that add up to 1, draws
against the distribution function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.families.links import LINKS

from ..support import with_slow

SETTINGS = {
    "zero_inflated_beta": {"mu": 0.3, "phi": 4.0, "zi": 0.2},
    "zero_one_inflated_beta": {"mu": 0.3, "phi": 4.0, "zoi": 0.2, "coi": 0.7},
    "xbeta": {"mu": 0.3, "phi": 4.0, "kappa": 0.15},
    "ordered_beta": {"mu": 0.3, "phi": 4.0, "cutzero": -1.5, "cutdelta": 2.5},
}
Y = np.array([0.0, 1e-6, 0.2, 0.7, 0.999])
DRAWS = 20_000


def parts(name):
    """P(Y = 0), P(Y = 1), and density and distribution function of what is between, times the probability of that."""
    p = SETTINGS[name]
    plain = st.beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"])
    if name == "xbeta":
        width, kappa = 1 + 2 * p["kappa"], p["kappa"]
        zero, one = plain.cdf(kappa / width), plain.sf((1 + kappa) / width)
        stretched = lambda y: (y + kappa) / width  # noqa: E731
        return zero, one, lambda y: plain.pdf(stretched(y)) / width, lambda y: plain.cdf(stretched(y)) - zero
    if name == "ordered_beta":
        eta = sp.logit(p["mu"])
        zero, one = sp.expit(p["cutzero"] - eta), sp.expit(eta - p["cutzero"] - p["cutdelta"])
    elif name == "zero_inflated_beta":
        zero, one = p["zi"], 0.0
    else:
        zero, one = p["zoi"] * (1 - p["coi"]), p["zoi"] * p["coi"]
    rest = 1 - zero - one
    return zero, one, lambda y: rest * plain.pdf(y), lambda y: rest * plain.cdf(y)


def natural(name, shape=()):
    p = {key: jnp.full(shape, value) for key, value in SETTINGS[name].items()}
    return {**p, "eta": LINKS["logit"].link(p["mu"])}


@pytest.mark.parametrize("name", with_slow(SETTINGS, "xbeta", "ordered_beta", "zero_one_inflated_beta"))
def test_density_tails_and_draws(name):
    family = FAMILIES[name]
    zero, one, density, distribution = parts(name)
    with jax.enable_x64(True):
        ours = np.asarray(jax.jit(family.log_density)(jnp.append(jnp.asarray(Y), 1.0), natural(name), {}))
        places = jnp.asarray(np.append(Y, [-0.1, 1.0]))
        lower, upper = (
            np.exp(np.asarray(tail)) for tail in jax.jit(family.log_tails)(places, natural(name), {})
        )
        draws = np.asarray(family.sample(jax.random.key(0), natural(name, (DRAWS,)), {}))
    np.testing.assert_allclose(ours[1:-1], np.log(density(Y[1:])), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.exp(ours[0]), zero, rtol=1e-10)
    if one:
        np.testing.assert_allclose(np.exp(ours[-1]), one, rtol=1e-10)
    np.testing.assert_allclose(lower, np.append(zero + distribution(Y), [0, 1]), rtol=1e-10)
    np.testing.assert_allclose(lower + upper, 1, rtol=1e-12)
    # Each with odds of about 1 in 10^4 of failing: the number of zeros and ones, the distribution of the others.
    assert st.binomtest(int((draws == 0).sum()), DRAWS, zero).pvalue > 1e-4
    assert st.binomtest(int((draws == 1).sum()), DRAWS, one).pvalue > 1e-4
    between = draws[(draws > 0) & (draws < 1)]
    assert st.kstest(between, lambda y: distribution(y) / (1 - zero - one)).pvalue > 1e-4


@pytest.mark.parametrize("name", SETTINGS)
def test_mean_and_variance(name):
    _, one, density, _ = parts(name)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    y = (1 + np.sin(np.pi / 2 * nodes)) / 2  # clusters at the ends, where the density has a power of y
    weights = weights * np.cos(np.pi / 2 * nodes) * np.pi / 4 * density(y)
    mean = one + np.sum(weights * y)
    variance = one + np.sum(weights * y * y) - mean**2
    p = {key: np.full(2, value) for key, value in SETTINGS[name].items()}
    np.testing.assert_allclose(FAMILIES[name].mean(p, {}), mean, rtol=1e-9)
    np.testing.assert_allclose(FAMILIES[name].variance(p, {}), variance, rtol=1e-9)


EXTREMES = [
    # Zeros and ones far from the cutpoints.
    ("ordered_beta", 0.0, {"eta": 800.0, "cutzero": -1.0, "cutdelta": 2.0, "phi": 1.0}, -801.0),
    ("ordered_beta", 1.0, {"eta": -800.0, "cutzero": -1.0, "cutdelta": 2.0, "phi": 1.0}, -801.0),
    ("zero_inflated_beta", 0.0, {"eta": 3.0, "phi": 2.0, "logit_zi": -800.0, "zi": 0.0}, -800.0),
    (
        "zero_one_inflated_beta",
        1.0,
        {"eta": 3.0, "phi": 2.0, "logit_zoi": -700.0, "zoi": 0.0, "coi": 0.5},
        -700.0 - np.log(2),
    ),
    # A mu of 1/2 and phi of 2 are the uniform distribution from -kappa to 1 + kappa.
    ("xbeta", 1.0, {"eta": 0.0, "phi": 2.0, "kappa": 1e-12}, np.log(1e-12)),
    ("xbeta", 0.3, {"eta": 0.0, "phi": 2.0, "kappa": 1e6}, -np.log(2e6 + 1)),
]


@pytest.mark.parametrize(("name", "y", "parameters", "expected"), EXTREMES)
def test_closed_forms_at_extremes(name, y, parameters, expected):
    with jax.enable_x64(True):
        p = {key: jnp.asarray(value) for key, value in parameters.items()}
        p["mu"] = LINKS["logit"].inverse(p["eta"])
        value = FAMILIES[name].log_density(jnp.asarray(y), p, {})
    np.testing.assert_allclose(value, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        (
            "beta",
            0.0,
            "`zero_inflated_beta`; zeros and ones `zero_one_inflated_beta`, `ordered_beta` or `xbeta`",
        ),
        ("zero_inflated_beta", 1.0, "at least 0 and less than 1. Ones need `zero_one_inflated_beta`"),
        ("xbeta", 35.0, "numbers from 0 to 1. Percentages must be divided by 100"),
    ],
)
def test_errors_name_the_right_family(name, y, message):
    with pytest.raises(bm.DataError, match=message):
        FAMILIES[name].check(np.array([0.5, y]), {})
