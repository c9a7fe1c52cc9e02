"""The prior language against scipy.stats: densities, tails, truncation, draws, and what is refused."""

from __future__ import annotations

from math import inf, sqrt

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayesmlm.errors import PriorError
from bayesmlm.priors.densities import ALIASES, DENSITIES
from bayesmlm.priors.distributions import parse_prior
from bayesmlm.priors.numpyro_prior import JAX

from ..compiling import quickly

# scipy's parameterisations, from the formulas of the Stan Functions Reference.
SCIPY = {
    "normal(1, 2)": stats.norm(1, 2),
    "std_normal()": stats.norm(),
    "student_t(3, 1, 2.5)": stats.t(3, 1, 2.5),
    "student_t(30, -4, 0.1)": stats.t(30, -4, 0.1),
    "cauchy(1, 2)": stats.cauchy(1, 2),
    "double_exponential(1, 2)": stats.laplace(1, 2),
    "logistic(1, 2)": stats.logistic(1, 2),
    "gumbel(1, 2)": stats.gumbel_r(1, 2),
    "lognormal(1, 0.5)": stats.lognorm(0.5, scale=np.exp(1)),
    "gamma(2, 0.1)": stats.gamma(2, scale=10),
    "gamma(0.01, 0.01)": stats.gamma(0.01, scale=100),
    "inv_gamma(2.5, 3)": stats.invgamma(2.5, scale=3),
    "exponential(2)": stats.expon(scale=0.5),
    "weibull(1.5, 2)": stats.weibull_min(1.5, scale=2),
    "chi_square(3)": stats.chi2(3),
    "inv_chi_square(3)": stats.invgamma(1.5, scale=0.5),
    "scaled_inv_chi_square(3, 2)": stats.invgamma(1.5, scale=6),
    "beta(2, 3)": stats.beta(2, 3),
    "beta(0.5, 0.5)": stats.beta(0.5, 0.5),
    "uniform(-1, 3)": stats.uniform(-1, 4),
    "pareto(2, 3)": stats.pareto(3, scale=2),
    "pareto_type_2(1, 2, 3)": stats.lomax(3, loc=1, scale=2),
    "frechet(3, 2)": stats.invweibull(3, scale=2),
    "rayleigh(2)": stats.rayleigh(scale=2),
    "skew_normal(1, 2, -4)": stats.skewnorm(-4, 1, 2),
}
P = np.array([1e-4, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-4])


def test_every_density_is_tested() -> None:
    assert {text.split("(")[0] for text in SCIPY} == {*DENSITIES, *ALIASES}


@pytest.mark.parametrize("text", SCIPY)
def test_log_density(text: str) -> None:
    prior, expected = parse_prior(text), SCIPY[text]
    x = expected.ppf(P)
    x = x[x != 0]  # gamma(0.01, 0.01): the first quantile underflows
    # Relative to 1: the constants are sums of a few log gamma functions, each good to some units of 1e-16.
    np.testing.assert_allclose(prior.log_density(x), expected.logpdf(x), rtol=1e-11, atol=1e-12)
    low, high = prior.support
    assert (low, high) == pytest.approx(expected.support())
    outside = np.array([v for v in (low - 1, high + 1) if np.isfinite(v)])
    assert np.all(prior.log_density(outside) == -inf)


@pytest.mark.parametrize("text", [text for text in SCIPY if text != "gamma(0.01, 0.01)"])
def test_gradients_are_finite_inside_and_never_nan(text: str) -> None:
    prior = parse_prior(text)
    name, arguments = prior.primitive
    x = SCIPY[text].ppf([0.1, 0.4, 0.9])
    step = 1e-6 * (1e-3 + np.abs(x))
    numeric = (prior.log_density(x + step) - prior.log_density(x - step)) / (2 * step)
    anywhere = np.array([-1e6, -1.0, 0.0, 0.5, 1.0, 1e6])
    gradient = quickly(jax.vmap(jax.grad(lambda x: DENSITIES[name].kernel(JAX, x, *arguments))))
    with jax.enable_x64(True):
        found = np.asarray(gradient(np.concatenate([x, anywhere])))
    # Central differences: truncation about step^2, cancellation about 1e-16 / step.
    np.testing.assert_allclose(found[:3], numeric, rtol=1e-5, atol=1e-5)
    assert not np.any(np.isnan(found[3:]))


@pytest.mark.parametrize("text", SCIPY)
def test_tails_and_quantiles(text: str) -> None:
    prior, expected = parse_prior(text), SCIPY[text]
    name, arguments = prior.primitive
    density = DENSITIES[name]
    x = expected.ppf(P)
    below, above = density.tails(x, *arguments)
    # skew_normal subtracts Owen's function, so its tails are good to 1e-16 absolutely, not relatively.
    tolerance = {"rtol": 1e-9, "atol": 1e-13 if name == "skew_normal" else 0.0}
    np.testing.assert_allclose(below, expected.cdf(x), **tolerance)
    np.testing.assert_allclose(above, expected.sf(x), **tolerance)
    np.testing.assert_allclose(density.quantile(P, *arguments), x, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(density.upper_quantile(P, *arguments), expected.isf(P), rtol=1e-8, atol=1e-12)


# (prior, bounds, log P(bounds)): closed forms and asymptotics that scipy's log functions are good for.
MASSES = [
    ("student_t(3, 0, 2.5)", 0, inf, np.log(0.5)),
    ("normal(0, 1)", 10, inf, stats.norm.logsf(10)),
    ("normal(0, 1)", 10, 11, stats.norm.logsf(10) + np.log1p(-stats.norm.sf(11) / stats.norm.sf(10))),
    ("normal(0, 1)", -inf, -30, stats.norm.logcdf(-30)),
    ("normal(0, 1)", -1, 1, np.log(0.6826894921370859)),
    ("exponential(1)", 3, inf, -3.0),
    ("exponential(1)", -5, inf, 0.0),
    ("gamma(2, 0.1)", 1, inf, np.log(1.1) - 0.1),
    ("beta(1, 1)", 0, 1, 0.0),
    ("uniform(0, 10)", 2, 4, np.log(0.2)),
    ("cauchy(0, 1)", 1e8, inf, np.log(1e-8 / np.pi)),
    ("double_exponential(0, 1)", 50, inf, -50 - np.log(2)),
    ("logistic(0, 1)", 60, inf, -60.0),
    ("gumbel(0, 1)", 40, inf, -40.0),
    ("frechet(2, 1)", 1e6, inf, -12 * np.log(10)),
]


@pytest.mark.parametrize(("text", "lower", "upper", "expected"), MASSES)
def test_mass_between_bounds_keeps_its_digits(text: str, lower: float, upper: float, expected: float) -> None:
    assert parse_prior(text).log_mass(lower, upper) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_no_mass_between_bounds_is_refused() -> None:
    with pytest.raises(PriorError, match="no mass between its bounds 0 and inf"):
        parse_prior("normal(-100, 1)").log_mass(0, inf)
    with pytest.raises(PriorError, match="no mass"):
        parse_prior("uniform(2, 3)").log_mass(0, 1)


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from([t for t in SCIPY if t not in ("gamma(0.01, 0.01)", "beta(0.5, 0.5)")]),
    p=st.floats(0.001, 0.7),
    width=st.floats(0.05, 0.29),
)
def test_truncated_density_integrates_to_one(text: str, p: float, width: float) -> None:
    lower, upper = SCIPY[text].ppf([p, p + width])
    prior = parse_prior(text)
    total, _ = integrate.quad(lambda x: np.exp(prior.log_density(x, lower, upper)), lower, upper)
    # quad's own target is 1.5e-8.
    assert total == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("text", SCIPY)
def test_draws_follow_the_truncated_distribution(text: str) -> None:
    expected = SCIPY[text]
    lower, upper = expected.ppf([0.3, 0.95])
    prior = parse_prior(text)
    x = prior.sample(np.random.default_rng(1), 4000, lower, upper)
    assert x.min() >= lower
    assert x.max() <= upper
    uniform = (expected.cdf(x) - 0.3) / 0.65
    # Kolmogorov-Smirnov: a right sampler fails with probability 1e-4, and the seed is fixed.
    assert stats.kstest(uniform, "uniform").statistic < 2.23 / sqrt(4000)


def test_draws_far_in_a_tail() -> None:
    x = parse_prior("normal(0, 1)").sample(np.random.default_rng(1), 2000, 30, inf)
    # x - 30 is nearly exponential with rate 30 (Mills ratio); its mean has a standard error of 1 / (30 sqrt(n)).
    assert np.mean(x - 30) == pytest.approx(1 / 30, rel=5 / sqrt(2000))


REFUSED = {
    "normal(0)": "normal(mu, sigma) takes 2 arguments, not 1",
    "nomral(0, 1)": "did you mean normal",
    "normal(0, -1)": "`sigma` of normal must be positive, not -1",
    "normal(m, 1)": "the arguments of a prior are numbers",
    "normal(0, 1": "never closed",
    "normal": "write its arguments: normal(mu, sigma)",
    "5": "a prior is a distribution",
    "normal(0, 1) + 2": "a prior is a distribution",
    "normal(0, 1/0)": "cannot be computed",
    "normal(0, 1e999)": "too large",
    "normal(0, (-8)^0.5)": "not a finite number",
    "normal(mean = 0, sd = 1)": "by position",
    "normal(0, )": "an argument is missing",
    "uniform(1, 0)": "alpha < beta",
    "lkj(0)": "`eta` of lkj must be positive",
    "dirichlet(0)": "needs positive numbers",
    "horseshoe(1)": "horseshoe prior is not available yet",
    "R2D2(0.5)": "R2D2 prior is not available yet",
    "lasso()": "lasso prior is not available",
    "target += normal_lpdf(b | 0, 1)": "Stan code",
    "": "the prior is empty",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_read_is_refused_in_words(text: str) -> None:
    with pytest.raises(PriorError) as error:
        parse_prior(text)
    assert REFUSED[text] in str(error.value)


PIECES = [
    "normal",
    "gamma",
    "constant",
    "lkj",
    "dirichlet",
    "c",
    "(",
    ")",
    ",",
    "0",
    "1",
    "-",
    "/",
    "^",
    "x",
    " ",
    "~",
    "\n",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=14).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        prior = parse_prior(text)
    except PriorError:
        return
    assert all(np.isfinite(prior.arguments))


def test_the_caret_points_at_the_argument() -> None:
    with pytest.raises(PriorError) as error:
        parse_prior("student_t(3, 0, x)")
    assert str(error.value).endswith("    student_t(3, 0, x)\n                    ^")


def test_arithmetic_and_spellings() -> None:
    assert parse_prior(" normal(-1, 2^-1 * (1 + 3)) ").arguments == (-1, 2)
    assert parse_prior("dirichlet(c(2, 1))").arguments == (2, 1)
    for text in ("lkj(2)", "lkj_corr(2)", "lkj_corr_cholesky(2)"):
        assert (parse_prior(text).name, parse_prior(text).arguments) == ("lkj", (2,))
