"""Densities against scipy and closed forms, from the bulk to where scipy itself gives up; gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

from bayesmlm.families import FAMILIES
from bayesmlm.families.links import LINKS, natural_parameters

from ..support import reference
from .cases import CASES, NAMES, Case

BRMS = reference("family_densities")["tables"]
# Everything is evaluated at this many rows, so that each elementary function is compiled once for all families: quicker
# than compiling each density as a whole.
ROWS = max(len(table["columns"]["y"]) for table in BRMS)


def rows(values) -> jax.Array:
    """These values, repeated."""
    return jnp.asarray(np.resize(np.asarray(values, dtype=float), ROWS))


def log_density(case: Case, y: np.ndarray, link: str | None = None) -> np.ndarray:
    with jax.enable_x64(True):
        p, extra = case.natural(link, ROWS), {name: rows(value) for name, value in case.extra.items()}
        parts = [
            np.asarray(case.family.log_density(rows(y[i : i + ROWS]), p, extra, link))
            for i in range(0, len(y), ROWS)
        ]
    return np.concatenate([part[: len(y) - i * ROWS] for i, part in enumerate(parts)])


def log_scipy(case: Case, y: np.ndarray) -> np.ndarray:
    return getattr(case.scipy, "logpmf" if case.family.integer_response else "logpdf")(y)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_log_density_is_scipys(case):
    y = case.grid()
    # scipy's own log densities lose digits by cancellation: eps times the largest term, about 1e5 here.
    np.testing.assert_allclose(log_density(case, y), log_scipy(case, y), rtol=1e-10, atol=2e-10)


@pytest.mark.parametrize("name", NAMES)
def test_every_link_gives_the_same_density(name):
    """At a mu that all links of the family reach, and with eta made by each of them."""
    mu = 0.3
    parameters = next(c for c in CASES if c.name == name).parameters | {"mu": mu}
    case = Case(name, parameters)
    y = case.grid()
    expected = log_scipy(case, y)
    for link in case.family.parameter("mu").links:
        np.testing.assert_allclose(log_density(case, y, link), expected, rtol=1e-11, err_msg=link)


EXTREMES = [
    # Far linear predictors: what remains of the logarithms.
    ("bernoulli", "logit", 1, {"eta": -800}, -800),
    ("bernoulli", "logit", 0, {"eta": -40}, -np.exp(-40)),
    ("bernoulli", "probit", 1, {"eta": -40}, sp.log_ndtr(-40)),
    ("bernoulli", "cloglog", 0, {"eta": 6}, -np.exp(6)),
    ("bernoulli", "cloglog", 1, {"eta": -800}, -800),
    ("bernoulli", "cauchit", 1, {"eta": -1e9}, -np.log(np.pi * 1e9)),
    ("binomial", "logit", 3, {"eta": -300, "trials": 10}, np.log(120) - 900),
    ("binomial", "cloglog", 10, {"eta": 800, "trials": 10}, 0),
    # A mean of exactly 0 or 1 makes one response certain and the others impossible; beyond, all are.
    ("bernoulli", "identity", 0, {"eta": 0}, 0),
    ("bernoulli", "identity", 1, {"eta": 0}, -np.inf),
    ("binomial", "identity", 5, {"eta": 1, "trials": 5}, 0),
    ("bernoulli", "identity", 1, {"eta": 1.2}, -np.inf),
    ("bernoulli", "log", 0, {"eta": 0.1}, -np.inf),
    ("poisson", "identity", 0, {"eta": -0.5}, -np.inf),
    ("gamma", "inverse", 2, {"eta": -0.5, "shape": 1}, -np.inf),
    ("beta", "identity", 0.5, {"eta": 0, "phi": 2}, -np.inf),
    ("poisson", "log", 0, {"eta": -800}, 0),
    ("poisson", "log", 2, {"eta": -800}, -1600 - np.log(2)),
    # A Poisson probability at 1e6: Stirling's formula with its first term.
    ("poisson", "log", 1e6, {"eta": np.log(1e6)}, -0.5 * np.log(2 * np.pi * 1e6) - 1 / 12e6),
    # A huge shape is Poisson, with correction ((y - mu)^2 - y) / (2 shape) + O(1 / shape^2).
    *(
        (
            "negbinomial",
            "log",
            y,
            {"eta": np.log(7), "shape": shape},
            st.poisson(7).logpmf(y) + ((y - 7) ** 2 - y) / (2 * shape),
        )
        for shape in (1e8, 1e12)
        for y in (0, 3, 40)
    ),
    ("negbinomial", "log", 0, {"eta": np.log(5), "shape": 1e-8}, -1e-8 * np.log1p(5e8)),
    ("negbinomial", "log", 3, {"eta": 800, "shape": 2}, np.log(4) - 1600 + 2 * np.log(2)),
    # Many degrees of freedom are normal, with correction (z^4 - 2 z^2 - 1) / (4 nu).
    *(
        (
            "student",
            "identity",
            z,
            {"eta": 0, "mu": 0, "sigma": 1, "nu": 1e9},
            st.norm.logpdf(z) + (z**4 - 2 * z**2 - 1) / 4e9,
        )
        for z in (0, 1, -6)
    ),
    # mu near 0: a = phi exp(eta) is the chance of not being at 0, and the density of the rest a / y (1 - y)^(phi - 1).
    ("beta", "logit", 0.2, {"eta": -800, "phi": 3}, -800 + np.log(3) - np.log(0.2) + 2 * np.log(0.8)),
    ("gamma", "log", 1, {"eta": 800, "shape": 2}, 2 * np.log(2) - 1600),
    ("exponential", "log", 3, {"eta": 800}, -800),
    ("exponential", "identity", 3, {"eta": 0}, -np.inf),
    # An infinite mean is Levy's distribution.
    ("inverse.gaussian", "log", 3, {"eta": 800, "shape": 2}, 0.5 * np.log(2 / (2 * np.pi * 27)) - 1 / 3),
    ("inverse.gaussian", "1/mu^2", 3, {"eta": 0, "shape": 2}, -np.inf),
    ("inverse.gaussian", "1/mu^2", 3, {"eta": -1, "shape": 2}, -np.inf),
    ("geometric", "log", 0, {"eta": 800}, -800),
    ("geometric", "log", 2, {"eta": -800}, -1600),
    # A size of exp(-800) / 2: Gamma(3 + size) / Gamma(size) is 2 size.
    ("nbinom1", "log", 3, {"eta": -800, "phi": 2}, -800 - np.log(2) - np.log(3) + 3 * np.log(2 / 3)),
    # No overdispersion is Poisson, with correction phi ((y - mu)^2 - y) / (2 mu).
    *(
        (
            "nbinom1",
            "log",
            y,
            {"eta": np.log(7), "phi": phi},
            st.poisson(7).logpmf(y) + phi * ((y - 7) ** 2 - y) / 14,
        )
        for phi in (1e-8, 1e-12)
        for y in (0, 3, 40)
    ),
    # One success among 5 when a = phi exp(-800): 5 a (phi)_4 / (phi)_5.
    ("beta_binomial", "logit", 1, {"eta": -800, "phi": 3, "trials": 5}, np.log(5 * 3 / 7) - 800),
    ("beta_binomial", "logit", 0, {"eta": -800, "phi": 3, "trials": 5}, 0),
    ("beta_binomial", "identity", 0, {"eta": 0, "phi": 3, "trials": 5}, -np.inf),
    # Precise probabilities are binomial, with correction (y (y - 1) / mu + z (z - 1) / (1 - mu) - n (n - 1)) / (2 phi).
    (
        "beta_binomial",
        "identity",
        3,
        {"eta": 0.4, "phi": 1e8, "trials": 10},
        st.binom(10, 0.4).logpmf(3) + (6 / 0.4 + 42 / 0.6 - 90) / 2e8,
    ),
    # A probability of more zeros so small or large that only its logit has digits; means beyond a double.
    ("zero_inflated_poisson", "log", 0, {"eta": 1, "logit_zi": -800}, -np.e),
    ("zero_inflated_poisson", "log", 0, {"eta": 3, "logit_zi": 40}, -np.exp(-40) * -np.expm1(-np.exp(3))),
    ("zero_inflated_poisson", "log", 2, {"eta": 0, "logit_zi": 800}, -801 - np.log(2)),
    ("zero_inflated_poisson", "log", 0, {"eta": 800, "logit_zi": -700}, -700),
    ("zero_inflated_poisson", "log", 0, {"eta": -800, "logit_zi": 0}, 0),
    ("zero_inflated_negbinomial", "log", 0, {"eta": 800, "shape": 9, "logit_zi": -700}, -700),
    ("zero_inflated_binomial", "logit", 0, {"eta": 800, "trials": 5, "logit_zi": -700}, -700),
    ("zero_inflated_binomial", "logit", 0, {"eta": 3, "trials": 0, "logit_zi": 1}, 0),
    ("hurdle_poisson", "log", 1, {"eta": -800, "logit_hu": 0}, -np.log(2)),
    ("hurdle_poisson", "log", 2, {"eta": -800, "logit_hu": 0}, -800 - 2 * np.log(2)),
    ("hurdle_poisson", "log", 0, {"eta": 800, "logit_hu": -700}, -700),
    ("hurdle_negbinomial", "log", 3, {"eta": -800, "shape": 2, "logit_hu": 0}, -1600 - 2 * np.log(2)),
    # The ends of zi and hu themselves, and beyond.
    ("zero_inflated_poisson", "log", 0, {"eta": 0, "zi": 0}, -1),
    ("zero_inflated_poisson", "log", 0, {"eta": 0, "zi": 1}, 0),
    ("zero_inflated_poisson", "log", 1, {"eta": 0, "zi": 1}, -np.inf),
    ("zero_inflated_poisson", "log", 0, {"eta": 0, "zi": 1.1}, -np.inf),
    ("zero_inflated_poisson", "identity", 0, {"eta": -0.5, "zi": 0.3}, -np.inf),
    ("hurdle_poisson", "log", 0, {"eta": 0, "hu": 1}, 0),
    ("hurdle_poisson", "log", 0, {"eta": 0, "hu": -0.1}, -np.inf),
    ("hurdle_poisson", "identity", 3, {"eta": 0, "hu": 0.3}, -np.inf),
]


@pytest.mark.parametrize(("name", "link", "y", "parameters", "expected"), EXTREMES)
def test_closed_forms_at_extremes(name, link, y, parameters, expected):
    with jax.enable_x64(True):
        p = {k: rows(v) for k, v in parameters.items()}
        value = np.asarray(FAMILIES[name].log_density(rows(y), p, p, link))
    np.testing.assert_allclose(value, expected, rtol=1e-8)


@pytest.mark.parametrize("table", BRMS, ids=lambda table: table["family"])
def test_log_density_is_that_of_brms(table):
    family, columns = FAMILIES[table["family"]], {k: np.array(v) for k, v in table["columns"].items()}
    expected, y = columns.pop("log_density"), columns.pop("y")
    with jax.enable_x64(True):
        columns["eta"] = LINKS[family.link("mu")].link(columns["mu"].astype(float))
        p = {name: rows(values) for name, values in columns.items()}
        ours = np.asarray(family.log_density(rows(y), p, p))
    np.testing.assert_allclose(ours[: len(y)], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("zero_inflated", "hurdle"))])
def test_probabilities_of_zero_come_by_their_logits(name):
    case = next(c for c in CASES if c.name == name)
    with jax.enable_x64(True):
        links = case.family.links
        etas = {n: rows(LINKS[links[n]].link(v)) for n, v in case.parameters.items() if n != "trials"}
        p = natural_parameters(etas, links)
        assert f"logit_{case.family.parameters[-1].name}" in p
        by_logit = np.asarray(case.family.log_density(rows(case.grid()), p, case.extra))[: len(case.grid())]
    np.testing.assert_allclose(by_logit, log_density(case, case.grid()), rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gamma", {"mu": 2.0, "shape": 1e8}),
        ("gamma", {"mu": 2.0, "shape": 1e12}),
        ("beta", {"mu": 0.3, "phi": 1e8}),
        ("beta", {"mu": 1e-6, "phi": 1e10}),
        ("student", {"mu": 0.0, "sigma": 1.0, "nu": 1e6}),
    ],
)
def test_precise_distributions_integrate_to_one(name, parameters):
    """scipy's log densities have lost their digits here; a density must still integrate to one."""
    case = Case(name, parameters)
    p = {k: np.array([v]) for k, v in parameters.items()}
    y = case.family.mean(p, {}) + np.sqrt(case.family.variance(p, {})) * np.linspace(-12, 12, 2001)
    density = np.exp(log_density(case, y))
    # The exponent is a difference of terms of the size of the precision, 1e8 in the worst case: 1e8 eps.
    np.testing.assert_allclose(np.trapezoid(density, y), 1, rtol=2e-8)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name):
    case = next(c for c in CASES if c.name == name)
    link = case.family.link("mu")
    others = [n for n in case.parameters if n not in ("mu", "trials")]
    y = case.scipy.ppf([0.01, 0.3, 0.8, 0.999]).astype(float)
    start = np.array([[LINKS[link].link(case.parameters["mu"])], *([case.parameters[n]] for n in others)])

    def density(etas: jax.Array, *further: jax.Array) -> jax.Array:
        p = dict(zip(("eta", *others), (etas, *further), strict=True))
        extra = {name: rows(value) for name, value in case.extra.items()}
        return case.family.log_density(rows(y), p | {"mu": LINKS[link].inverse(etas)}, extra)

    def at(values: np.ndarray) -> list[jax.Array]:
        return [rows(value) for value in values]

    with jax.enable_x64(True):
        for i in range(len(start)):
            h = np.zeros_like(start)
            h[i] = 1.0
            _, gradient = jax.jvp(density, at(start), at(h))
            numeric = np.asarray(density(*at(start + 1e-5 * h))) - np.asarray(density(*at(start - 1e-5 * h)))
            # All numbers are of order 1 to 100: error of the formula about 1e-9, of rounding about 1e-9.
            np.testing.assert_allclose(gradient, numeric / 2e-5, rtol=1e-7, atol=1e-8)


ETAS = np.array([-700.0, -100.0, -37.0, -8.0, 0.0, 1e-300, 8.0, 37.0, 100.0, 700.0])
RESPONSES = {
    "gaussian": [0.0, 1e6],
    "student": [0.0, 1e6],
    "lognormal": [1e-12, 3.0],
    "gamma": [1e-12, 3.0],
    "beta": [1e-12, 0.4],
    "bernoulli": [0.0, 1.0],
    "binomial": [0.0, 3.0, 5.0],
    "poisson": [0.0, 7.0],
    "negbinomial": [0.0, 7.0],
    "exponential": [1e-12, 3.0],
    "inverse.gaussian": [1e-6, 3.0],
    "beta_binomial": [0.0, 3.0, 5.0],
    "nbinom1": [0.0, 1.0, 7.0],
    "geometric": [0.0, 7.0],
    "zero_inflated_poisson": [0.0, 7.0],
    "zero_inflated_negbinomial": [0.0, 7.0],
    "zero_inflated_binomial": [0.0, 3.0, 5.0],
    "hurdle_poisson": [0.0, 1.0, 7.0],
    "hurdle_negbinomial": [0.0, 1.0, 7.0],
}


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_wherever_the_density_is(name):
    family = FAMILIES[name]
    y, eta = (a.ravel() for a in np.meshgrid(np.resize(RESPONSES[name], 3), ETAS))
    inside = {p.name: 2.5 if p.upper is None else 0.3 for p in family.parameters if p.name != "mu"}
    location = name in ("gaussian", "student", "lognormal")  # densities of mu, not of eta
    for link in family.parameter("mu").links[: 1 if location else None]:
        with jax.enable_x64(True):

            def density(eta, others, link=link):
                p = {"eta": eta, "mu": LINKS[link].inverse(eta), **others}
                return family.log_density(rows(y), p, {"trials": rows(5.0)}, link)

            value, pull_back = jax.vjp(density, rows(eta), {name: rows(v) for name, v in inside.items()})
            slope, slopes = pull_back(rows(1.0))
        assert not np.isnan(np.asarray(value)).any(), link
        known = np.isfinite(value) & (np.abs(value) < 1e200)
        assert known.sum() >= 2, link
        for gradient in (slope, *slopes.values()):
            assert np.isfinite(np.asarray(gradient)[known]).all(), link


# Linear predictors of the parameters other than mu, which have log, logit or logm1 links.
FURTHER_ETAS = np.array([-30.0, 0.9, 30.0])


@pytest.mark.validate
@pytest.mark.parametrize("name", NAMES)
def test_third_derivatives_are_finite_wherever_the_density_is(name):
    """As Laplace's method needs them: three times by the linear predictors of all parameters, along a direction to
    which none is orthogonal, so that one that is not a number would show.

    With the default link; what the other links are to a density is tested with the links.
    """
    family = FAMILIES[name]
    others = [p.name for p in family.parameters if p.name != "mu"]
    # Of sqrt(1e-300), one derivative is all that a double holds.
    etas_of_mu = np.where(ETAS == 1e-300, 1e-60, ETAS)
    y, eta, rest = (a.ravel() for a in np.meshgrid(np.resize(RESPONSES[name], 3), etas_of_mu, FURTHER_ETAS))

    def density(along, etas, y):
        moved = {n: e + along * (1 + 0.3 * i) for i, (n, e) in enumerate(etas.items())}
        p = natural_parameters(moved, family.links)
        return family.log_density(y, p, {"trials": jnp.asarray(5.0)})

    def value_and_third(along, etas, y):
        third = jax.jacfwd(jax.jacfwd(jax.jacfwd(density)))
        return jnp.stack([density(along, etas, y), third(along, etas, y)])

    with jax.enable_x64(True):
        etas = {"mu": jnp.asarray(eta), **{n: jnp.asarray(rest) for n in others}}
        # Not compiled as a whole: that takes longer than all the evaluations.
        values = np.asarray(jax.vmap(value_and_third, (None, 0, 0))(0.0, etas, jnp.asarray(y)))
    known = np.isfinite(values[:, 0]) & (np.abs(values[:, 0]) < 1e90)
    assert known.sum() >= len(y) / 3
    assert np.isfinite(values[known]).all(), (y[known], eta[known], values[known])


def test_density_is_kernel_plus_base_measure():
    case = Case("poisson", {"mu": 3.7})
    y = np.array([0.0, 4.0])
    with jax.enable_x64(True):
        kernel = np.asarray(case.family.log_kernel(rows(y), case.natural(rows=ROWS), {}, "log"))[:2]
        base = case.family.log_base_measure(y, {})
    np.testing.assert_allclose(kernel, y * np.log(3.7) - 3.7, rtol=1e-14)
    np.testing.assert_allclose(base, -sp.gammaln(y + 1), rtol=1e-14)
