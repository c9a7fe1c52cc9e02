"""Quantiles by bisection, and draws and means of truncated responses, against scipy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from bayesmlm.families import conditional, inversion
from bayesmlm.families.links import LINKS
from bayesmlm.families.registry import FAMILIES

from ..compiling import quickly

P = np.array([1e-200, 1e-9, 0.02, 0.3, 0.5, 0.9, 1 - 1e-9])
LOG_Q = np.array([-1e-200, -1e-9, *np.log1p(-P[2:6]), np.log(1e-9)])

CASES = {
    "gaussian": ({"mu": 1e3, "sigma": 2.0}, stats.norm(1e3, 2.0)),
    "student": ({"mu": -1.0, "sigma": 0.5, "nu": 4.0}, stats.t(4.0, -1.0, 0.5)),
    "lognormal": ({"mu": -20.0, "sigma": 1.5}, stats.lognorm(1.5, scale=np.exp(-20.0))),
    "gamma": ({"mu": 3.0, "shape": 0.7}, stats.gamma(0.7, scale=3.0 / 0.7)),
    "poisson": ({"mu": 7.3}, stats.poisson(7.3)),
    "binomial": ({"mu": 0.2}, stats.binom(30, 0.2)),
}


def model(name, rows):
    """The family with its parameters and additions over rows, and scipy's distribution."""
    family, (values, expected) = FAMILIES[name], CASES[name]
    p = {key: jnp.full(rows, value) for key, value in values.items()}
    p["eta"] = jnp.asarray(LINKS[family.mu_link].link(p["mu"]))
    extra = {"trials": jnp.full(rows, 30.0)} if name == "binomial" else {}
    return family, p, extra, expected


QUICK = ("gaussian", "lognormal", "poisson")
"""Compiling takes the time: the others are left to `make validate`."""
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.validate) for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_quantiles(name):
    with jax.enable_x64(True):
        family, p, extra, expected = model(name, len(P))
        y = np.asarray(quickly(lambda p: inversion.find_quantile(family, jnp.log(P), LOG_Q, p, extra))(p))
    correct = np.where(P > 0.99, expected.isf(1e-9), expected.ppf(P))
    if family.support.integer:
        np.testing.assert_array_equal(y, correct)
    else:
        np.testing.assert_allclose(y[1:], correct[1:], rtol=1e-10)


BOUNDS = {
    "gaussian": (1010.0, np.inf),  # 5 standard deviations out
    "student": (-np.inf, -1.2),  # no lower bound
    "lognormal": (1e-9, 4e-9),
    "gamma": (0.5, np.inf),
    "poisson": (11.0, np.inf),
    "binomial": (2.0, 9.0),
}


@pytest.mark.parametrize("name", NAMES)
def test_truncated_draws_and_means(name):
    """Draws by Kolmogorov-Smirnov or chi-square, each with an error rate of 1e-4; means exactly."""
    above, up_to = BOUNDS[name]
    rows = 1000
    with jax.enable_x64(True):
        family, p, extra, expected = model(name, rows)
        extra |= {"above": jnp.full(rows, above), "up_to": jnp.full(rows, up_to)}

        def draws_and_mean(key):
            one, own = ({name: value[:1] for name, value in d.items()} for d in (p, extra))
            return conditional.sample(family, key, p, extra), conditional.mean(family, one, own)[0]

        draws, mean = map(np.asarray, quickly(draws_and_mean)(jax.random.key(1)))
    assert draws.min() >= above
    assert draws.max() <= up_to
    if family.support.integer:
        values = np.arange(above + 1, min(up_to, 60) + 1)
        mass = expected.pmf(values) / (expected.cdf(up_to) - expected.cdf(above))
        np.testing.assert_allclose(mean, np.sum(values * mass), rtol=1e-9)
        kept = mass * rows > 5
        observed = np.array([(draws == v).sum() for v in values[kept]])
        cells = np.append(observed, rows - observed.sum())
        rates = np.append(mass[kept], 1 - mass[kept].sum()) * rows
        use = rates > 1e-9
        assert stats.chisquare(cells[use], rates[use]).pvalue > 1e-4
    else:
        upper = above > expected.mean()
        whole = (
            expected.sf(above) - expected.sf(up_to) if upper else expected.cdf(up_to) - expected.cdf(above)
        )

        def below(y):
            return (
                expected.sf(above) - expected.sf(y) if upper else expected.cdf(y) - expected.cdf(above)
            ) / whole

        assert stats.kstest(draws, below).pvalue > 1e-4
        low, high = max(above, expected.ppf(1e-15)), min(up_to, expected.isf(1e-16))
        moment = integrate.quad(
            lambda y: y * expected.pdf(y) / whole, low, high, epsabs=0, epsrel=1e-11, limit=400, points=None
        )[0]
        # A t distribution with 4 degrees of freedom leaves some 1e-10 of its mean beyond the last panel.
        np.testing.assert_allclose(mean, moment, rtol=2e-7)


def test_conditional_tails_and_densities():
    with jax.enable_x64(True):
        family, p, extra, expected = model("poisson", 6)
        extra = {"above": jnp.full(6, 2.0), "up_to": jnp.array([np.inf, 9, 9, 9, 9, 9])}
        y = jnp.array([4.0, 2.0, 3.0, 9.0, 12.0, 5.5])

        def at(y):
            below, beyond = inversion.log_tails(family, y, p, extra)
            return below, beyond, inversion.log_density(family, y, p, extra)

        below, beyond, density = (np.exp(np.asarray(x)) for x in quickly(at)(y))
    mass = expected.cdf([np.inf, 9, 9, 9, 9, 9]) - expected.cdf(2)
    exact = np.clip(expected.cdf(np.minimum(y, [np.inf, 9, 9, 9, 9, 9])) - expected.cdf(2), 0, None) / mass
    np.testing.assert_allclose(below, exact, atol=1e-14)
    np.testing.assert_allclose(below + beyond, 1.0, atol=1e-14)
    np.testing.assert_allclose(
        density, [expected.pmf(4) / mass[0], 0, expected.pmf(3) / mass[2], expected.pmf(9) / mass[3], 0, 0]
    )
