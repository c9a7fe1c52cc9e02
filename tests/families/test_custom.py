"""Families made of the user's functions: the beta-binomial of brms's vignette against the built-in one, and everything
that is refused at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln
from scipy import stats

import bayesmlm as bm
from bayesmlm.families import FAMILIES, FamilyError, custom_family, mixture
from bayesmlm.families.base import Family


def log_beta(a, b):
    # jax.scipy.special.betaln has seven digits only.
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def log_prob(y, mu, phi, vint1):
    a, b = mu * phi, (1 - mu) * phi
    log_choose = gammaln(vint1 + 1) - gammaln(y + 1) - gammaln(vint1 - y + 1)
    return log_choose + log_beta(y + a, vint1 - y + b) - log_beta(a, b)


def sample(key, mu, phi, vint1, shape):
    """Normal with the right mean, for want of a cheap exact one: what is tested is how it is called."""
    return mu * vint1 + jax.random.normal(key, shape) / phi


def beta_binomial2(**more):
    return custom_family(
        "beta_binomial2",
        dpars=("mu", "phi"),
        links=("logit", "log"),
        lb=(0, 0),
        ub=(1, None),
        type="int",
        support=(0, np.inf),
        log_prob=log_prob,
        sample=sample,
        mean=lambda mu, vint1: mu * vint1,
        **more,
    )


def normal(y, mu, tau):
    return -0.5 * ((y - mu) / tau) ** 2 - jnp.log(tau) - 0.5 * np.log(2 * np.pi)


def test_density_and_mean_are_those_of_the_built_in_family():
    own = beta_binomial2()
    y, n, mu = np.array([0.0, 3.0, 12.0]), np.array([5.0, 9.0, 12.0]), np.array([0.2, 0.5, 0.9])
    with jax.enable_x64(True):
        p = {"mu": mu, "phi": np.array(4.0), "eta": np.log(mu / (1 - mu))}
        got = jax.jit(own.log_density)(y, p, {"vint1": n})
        built_in = jax.jit(FAMILIES["beta_binomial"].log_density)(y, p, {"trials": n})
    np.testing.assert_allclose(got, stats.betabinom.logpmf(y, n, mu * 4, (1 - mu) * 4), rtol=1e-11)
    np.testing.assert_allclose(got, built_in, rtol=1e-11)
    np.testing.assert_allclose(own.mean(p, {"vint1": n}), mu * n, rtol=1e-15)


def test_draws_have_the_shape_of_the_rows():
    with jax.enable_x64(True):
        rows = {"mu": jnp.full(4, 0.3), "phi": jnp.asarray(1e12)}
        drawn = np.asarray(beta_binomial2().sample(jax.random.key(0), rows, {"vint1": jnp.asarray(10.0)}))
    np.testing.assert_allclose(drawn, np.full(4, 3.0), atol=1e-9)
    assert len(np.unique(drawn)) == 4


def test_what_it_accepts_follows_from_its_functions():
    own = beta_binomial2()
    assert own.required_additions == {"vint"}
    assert own.additions == {"vint"}
    assert own.integer_response
    with_cdf = custom_family(
        "shifted", ("mu",), log_prob=lambda y, mu: mu - y, cdf=lambda y, mu: 1 - jnp.exp(mu - y)
    )
    assert with_cdf.additions == {"cens", "trunc", "mi"}
    optional = custom_family("optional", log_prob=lambda y, mu, vreal1=1.0: -(((y - mu) / vreal1) ** 2))
    assert optional.additions == {"vreal", "mi"}
    assert not optional.required_additions
    assert custom_family("more", log_prob=lambda y, mu: y - mu, additions=["trials"]).additions == {
        "trials",
        "mi",
    }


def test_known_parameters_have_their_usual_bounds_and_priors():
    own = custom_family(
        "own", ("mu", "sigma", "nu", "tau"), "identity", lb={"tau": -1}, log_prob=lambda y, mu: y - mu
    )
    bounds = {p.name: (p.lower, p.upper) for p in own.parameters}
    assert bounds == {"mu": (None, None), "sigma": (0.0, None), "nu": (1.0, None), "tau": (-1.0, None)}
    assert own.parameter("nu").default_prior == "gamma(2, 0.1)"
    assert own.parameter("tau").default_prior == own.parameter("tau").default_prior_predicted == ""
    without = custom_family("own", ("mu", "sigma"), lb=-np.inf, log_prob=lambda y, mu: y - mu)
    assert without.parameter("sigma").lower is None


def test_tails_of_a_distribution_function_at_any_number():
    """Whole numbers from 0 on: between counts, outside the support, and at infinity."""
    geometric = custom_family(
        "mine",
        ("mu",),
        "log",
        type="int",
        support=(0, np.inf),
        log_prob=lambda y, mu: y * jnp.log(mu / (1 + mu)) - jnp.log1p(mu),
        cdf=lambda y, mu: 1 - (mu / (1 + mu)) ** (y + 1),
    )
    y = np.array([-np.inf, -0.5, 0.0, 2.9, 3.0, np.inf])
    with jax.enable_x64(True):
        below, above = geometric.log_tails(jnp.asarray(y), {"mu": jnp.full(6, 2.0)}, {})
    law = stats.geom(1 / 3, loc=-1)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(below, law.logcdf(y), rtol=1e-12)
        np.testing.assert_allclose(above[:-1], np.log(law.sf(y[:-1])), rtol=1e-12, atol=1e-15)
    assert np.isneginf(above[-1])


def test_outside_the_bounds_of_mu_the_density_is_zero():
    own = custom_family("own", ("mu",), "identity", lb=0, log_prob=lambda y, mu: -y / mu)
    with jax.enable_x64(True):
        value = own.log_kernel(
            jnp.ones(2), {"mu": jnp.array([-1.0, 2.0]), "eta": jnp.array([-1.0, 2.0])}, {}, "identity"
        )
    assert value.tolist() == [-np.inf, -0.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"log_prob": lambda y, mu: jnp.sum(y - mu)},
            r"returns \(\) for 3 rows.*do not sum|returns \(\) for 3 rows",
        ),
        ({"log_prob": lambda y, mu, lag: y - mu}, "takes `lag`, which is neither a parameter"),
        ({"log_prob": lambda y, mu: y if y > 0 else mu}, "without `if` on values"),
        ({"log_prob": lambda: 0.0}, "needs `y` as its first argument"),
        (
            {"log_prob": lambda y, mu: y, "sample": lambda key, mu: 1.0},
            "`sample` of the family `own` returns",
        ),
        ({"log_prob": lambda y, mu: y, "log_tails": lambda y, mu: y}, "two arrays"),
        ({"log_prob": lambda y, mu: y, "dpars": ("mu", "my_x")}, "letters and digits, not 'my_x'"),
        ({"log_prob": lambda y: y, "dpars": ("theta",)}, "one of them must be 'mu'"),
        ({"log_prob": lambda y, mu: y, "dpars": ("mu", "a"), "links": ("log",)}, "2 parameters need 2 links"),
        ({"log_prob": lambda y, mu: y, "links": "ln"}, "no link 'ln'"),
        ({"log_prob": lambda y, mu: y, "type": "count"}, '"real" or "int"'),
        ({"log_prob": lambda y, mu: y, "additions": ["bhaz"]}, "cannot take the addition `bhaz`"),
        ({"log_prob": lambda y, mu: y, "lb": (0, 1)}, "one bound, or None, for each of the 1 parameters"),
        ({"log_prob": lambda y, mu: y, "ub": {"b": 1}}, "names `b`"),
    ],
)
def test_refused_when_the_family_is_made(arguments, words):
    with pytest.raises(FamilyError, match=words):
        custom_family("own", **arguments)


def test_names_of_families_that_there_are_cannot_be_taken():
    with pytest.raises(FamilyError, match="there is a family `gaussian`"):
        custom_family("gaussian", log_prob=lambda y, mu: y)


def test_missing_functions_say_what_to_give():
    own = custom_family("own", log_prob=lambda y, mu: y)
    with pytest.raises(
        bm.BayesmlmError, match=r"cannot draw responses: give custom_family\(\) a function `sample`"
    ):
        own.sample(None, {}, {})
    with pytest.raises(bm.BayesmlmError, match="function `mean`"):
        own.mean({}, {})


def test_the_digest_tells_what_functions_compute():
    """Constants of closures too: compiled programs and saved fits must not be mixed up."""

    def with_scale(scale):
        return custom_family("own", log_prob=lambda y, mu: -(((y - mu) / scale) ** 2))

    def with_table(table):
        return custom_family("own", log_prob=lambda y, mu: y - mu + jnp.sum(jnp.asarray(table)))

    digests = [f.options["custom"]["digest"] for f in (with_scale(1.0), with_scale(2.0), with_scale(1.0))]
    assert digests[0] == digests[2] != digests[1]
    tables = [with_table(np.arange(k)).options["custom"]["digest"] for k in (3, 4)]
    assert tables[0] != tables[1]


def test_reading_a_description_needs_the_functions_again():
    own = custom_family("own", ("mu", "tau"), ("identity", "log"), log_prob=normal)
    described = own.with_links(tau="softplus").to_json()
    assert Family.from_json(described, own).link("tau") == "softplus"
    assert Family.from_json(described, [FAMILIES["gaussian"], own]).log_kernel is own.log_kernel
    with pytest.raises(FamilyError, match=r"load\(path, families="):
        Family.from_json(described)
    other = custom_family(
        "own", ("mu", "tau"), ("identity", "log"), log_prob=lambda y, mu, tau: -(((y - mu) / tau) ** 2)
    )
    with pytest.raises(FamilyError, match="not the one"):
        Family.from_json(described, other)
    mixed = mixture(own, "gaussian")
    assert Family.from_json(mixed.to_json(), own) == mixed


def test_a_mixture_of_own_families():
    own = custom_family("own", ("mu", "tau"), ("identity", "log"), log_prob=normal)
    mixed = mixture(own, own)
    assert mixed.options["order"] == "mu"
    with jax.enable_x64(True):
        p = {"mu1": 0.0, "mu2": 3.0, "tau1": 1.0, "tau2": 2.0, "theta1": 0.4, "theta2": 0.6}
        p = {name: jnp.asarray(value) for name, value in p.items()}
        got = float(mixed.log_density(jnp.asarray(1.0), p, {}))
    assert got == pytest.approx(np.log(0.4 * stats.norm.pdf(1) + 0.6 * stats.norm.pdf(1, 3, 2)), rel=1e-12)
    reserved = custom_family("own", ("mu", "theta"), log_prob=lambda y, mu: y)
    with pytest.raises(FamilyError, match="theta"):
        mixture(reserved, reserved)
