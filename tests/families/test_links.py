"""Links: against R's formulas, each other, and finite differences; the sets brms allows."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

from bayesmlm.families import FAMILIES
from bayesmlm.families.links import LINKS

from ..compiling import quickly
from ..support import reference

UNIT = ["logit", "probit", "probit_approx", "cloglog", "cauchit", "softit"]
REAL = ["identity", "log", "inverse", "softplus", "squareplus"]
COUNT = ["log", "identity", "sqrt", "softplus", "squareplus"]
SCALE = ["log", "identity", "softplus", "squareplus"]

# brms 2.18 (make_brms_links.R).
BRMS_LINKS = {
    name: {"mu": table["mu"], **dict(table["dpars"])} for name, table in reference("brms_links").items()
}
CATEGORY = ("categorical", "multinomial", "dirichlet", "dirichlet2", "logistic_normal")
"""Families with a mu for each category: what they have before they have seen a response is tested elsewhere."""
NOT_IN_BRMS = {
    "tweedie": {
        "mu": ["log", "identity", "inverse", "softplus", "squareplus"],
        "phi": SCALE,
        "power": ["logitm1", "identity"],
    },
    "nbinom1": {"mu": COUNT, "phi": SCALE},
}

# R's and Stan's formulas, plainly.
INVERSE = {
    "identity": lambda x: x,
    "log": np.exp,
    "inverse": lambda x: 1 / x,
    "sqrt": lambda x: x**2,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "logit": sp.expit,
    "probit": st.norm.cdf,
    "probit_approx": lambda x: sp.expit(0.07056 * x**3 + 1.5976 * x),
    "cloglog": lambda x: 1 - np.exp(-np.exp(x)),
    "cauchit": st.cauchy.cdf,
    "softit": lambda x: np.log1p(np.exp(x)) / (1 + np.log1p(np.exp(x))),
    "logm1": lambda x: 1 + np.exp(x),
    "logitm1": lambda x: 1 + 1 / (1 + np.exp(-x)),
    "log1p": np.expm1,
    "tan_half": lambda x: 2 * np.arctan(x),
    "1/mu^2": lambda x: 1 / np.sqrt(x),
}

# Values of mu over each link's range, tails included.
UNIT_MU = np.array([1e-290, 1e-12, 0.003, 0.2, 0.5, 0.7, 0.999])
POSITIVE_MU = np.array([1e-12, 0.02, 1.0, 3.0, 1e3, 1e12])
MU = {
    **dict.fromkeys(UNIT, UNIT_MU),
    **dict.fromkeys(["log", "inverse", "sqrt", "softplus", "squareplus", "1/mu^2"], POSITIVE_MU),
    "identity": np.array([-5.0, 0.0, 1e9]),
    "logm1": 1 + np.array([1e-3, 1.0, 1e9]),
    "logitm1": np.array([1.001, 1.5, 1.999]),
    "log1p": np.array([-0.99, 0.0, 1e-12, 40.0]),
    "tan_half": np.array([-3.0, 0.0, 1.0]),
}


def test_every_family_allows_exactly_the_links_of_brms():
    ours = {f.name: {p.name: list(p.links) for p in f.parameters} for f in FAMILIES.values()}
    for name, links in BRMS_LINKS.items():
        if name not in CATEGORY:
            assert ours[name] == links, name
    for name, links in NOT_IN_BRMS.items():
        assert ours[name] == links, name
    assert set(LINKS) == set(INVERSE)


@pytest.mark.parametrize("name", LINKS)
def test_inverse_undoes_the_link(name):
    link, mu = LINKS[name], MU[name]
    # An exponential turns the rounding of eta = -667 into a relative error of 667 eps; a cubic triples it.
    np.testing.assert_allclose(link.inverse(link.link(mu)), mu, rtol=1e-12)
    with jax.enable_x64(True):
        there = np.asarray(quickly(lambda mu: link.inverse(link.link(mu)))(mu))
    np.testing.assert_allclose(there, mu, rtol=1e-12)


@pytest.mark.parametrize("name", LINKS)
def test_inverse_is_the_formula_of_brms(name):
    eta = np.array([-6.0, -1.3, -0.2, 0.4, 1.0, 5.0])
    eta = np.abs(eta) if name == "1/mu^2" else eta
    np.testing.assert_allclose(LINKS[name].inverse(eta), INVERSE[name](eta), rtol=1e-13)
    assert np.isclose(LINKS[name].inverse(0.4), INVERSE[name](0.4))  # a plain number


def test_probit_approx_is_near_probit():
    eta = np.linspace(-8, 8, 2001)
    # Bowling et al. (2009) state a largest error of 1.42e-4.
    assert np.abs(LINKS["probit_approx"].inverse(eta) - st.norm.cdf(eta)).max() < 1.43e-4


@cache
def compiled_logarithms(name):
    functions = LINKS[name].log_mu, LINKS[name].log_complement
    return quickly(jax.vmap(lambda eta: [jax.value_and_grad(function)(eta) for function in functions]))


def logarithms(name, eta):
    """log mu and log(1 - mu), each with its slopes; in one program for each link."""
    with jax.enable_x64(True):
        both = compiled_logarithms(name)(np.resize(np.asarray(eta, dtype=float), len(ETAS)))
    return [[np.asarray(a)[: np.size(eta)] for a in one] for one in both]


STEP = 1e-6
ETAS = np.array([-700.0, -90.0, -9.0, -1.0, 0.0, 1.0, 9.0, 90.0, 700.0, STEP, -STEP])


@pytest.mark.parametrize("name", LINKS)
def test_logarithms_agree_with_the_plain_ones(name):
    link = LINKS[name]
    eta = np.array([-6.0, -1.3, -0.2, 0.1, 0.4, 1.0, 5.0])
    eta = np.abs(eta) if name == "1/mu^2" else eta
    mu = link.inverse(eta)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_mu = np.where(mu > 0, np.log(mu), -np.inf)
        log_complement = np.where(mu < 1, np.log(1 - mu), -np.inf)
    (ours, _), (complement, _) = logarithms(name, eta)
    # 1 - mu computed plainly has an absolute error of eps, mu here is 1 - 1e-9 at most (cloglog apart).
    np.testing.assert_allclose(ours, log_mu, rtol=1e-7, atol=1e-13)
    keep = mu < 1 - 1e-8 if name in UNIT else slice(None)
    np.testing.assert_allclose(complement[keep], log_complement[keep], rtol=1e-6, atol=1e-13)


# log mu and log(1 - mu) far out: leading terms of the expansions.
FAR = [
    ("logit", -800, -800, -0.0),
    ("logit", 800, -0.0, -800),
    ("probit", -40, sp.log_ndtr(-40), -0.0),
    ("probit", 7.9, -st.norm.sf(7.9), sp.log_ndtr(-7.9)),
    ("probit", 1e5, -0.0, sp.log_ndtr(-1e5)),
    ("probit_approx", -40, -0.07056 * 40**3 - 1.5976 * 40, -0.0),
    ("cloglog", -800, -800, -0.0),
    ("cloglog", 6, -np.exp(-np.exp(6)), -np.exp(6)),
    ("cauchit", -1e300, -300 * np.log(10) - np.log(np.pi), -0.0),
    ("cauchit", 1e9, -1e-9 / np.pi, -9 * np.log(10) - np.log(np.pi)),
    ("softit", -800, -800, -0.0),
    ("softit", 1e9, -1e-9, -np.log1p(1e9)),
    ("log", -800, -800, -0.0),
]


@pytest.mark.parametrize(("name", "eta", "log_mu", "log_complement"), FAR)
def test_tails(name, eta, log_mu, log_complement):
    (ours, _), (complement, _) = logarithms(name, eta)
    # 1e-300: what is below underflows to zero in the expectation.
    np.testing.assert_allclose(ours, log_mu, rtol=1e-7, atol=1e-300)
    np.testing.assert_allclose(complement, log_complement, rtol=1e-7, atol=1e-300)


@pytest.mark.parametrize("name", UNIT)
def test_gradients_in_tails_and_at_zero(name):
    for value, slope in logarithms(name, ETAS):
        assert np.isfinite(slope).all()
        (at_zero,) = slope[ETAS == 0]
        np.testing.assert_allclose(at_zero, (value[-2] - value[-1]) / (2 * STEP), rtol=1e-8)


@pytest.mark.validate
@pytest.mark.parametrize(
    "name", [name for name in LINKS if name not in ("logm1", "logitm1", "log1p", "tan_half")]
)
def test_third_derivatives_are_finite(name):
    """Of mu and of both logarithms, wherever these are: Laplace's method needs them."""
    link = LINKS[name]
    eta = np.array([-700.0, -400.0, -31.0, -29.0, -0.3, 0.0, 0.3, 6.9, 7.1, 400.0, 700.0])
    for function in (link.inverse, link.log_mu, link.log_complement):
        third = jax.jit(jax.vmap(jax.jacfwd(jax.jacfwd(jax.jacfwd(function)))))
        with jax.enable_x64(True):
            value = np.asarray(function(jnp.asarray(eta)))
            slopes = np.asarray(third(jnp.asarray(eta)))
        assert np.isfinite(slopes[np.isfinite(value)]).all(), (eta, value, slopes)


def test_outside_the_range_the_logarithm_is_minus_infinity_with_gradient_zero():
    for name, eta in [("identity", -0.5), ("inverse", -2.0), ("identity", 0.0)]:
        (value, slope), _ = logarithms(name, eta)
        assert value == -np.inf
        assert slope == 0
