"""Families of counts beyond the common ones: densities, tails and moments against R functions of brms, evaluations in
40 digits (tests/reference/make_com_poisson.py) and sums of probabilities written out here."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.special as sp
import scipy.stats as st

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.families.differentiation import elementwise_gradients
from bayesmlm.families.links import LINKS

from ..compiling import quickly
from ..support import reference, with_slow

BRMS = reference("count_families")


def with_eta(name, p):
    arrays = {key: np.asarray(value, dtype=float) for key, value in p.items()}
    return {**arrays, "eta": LINKS[FAMILIES[name].link("mu")].link(arrays["mu"])}


@pytest.mark.parametrize("table", BRMS["tables"], ids=lambda table: table["family"])
def test_log_density_is_that_of_brms(table):
    columns = {key: np.array(value, dtype=float) for key, value in table["columns"].items()}
    y, expected = columns.pop("y"), columns.pop("log_density")
    with jax.enable_x64(True):
        ours = quickly(FAMILIES[table["family"]].log_density)(y, with_eta(table["family"], columns), {})
    # brms's normaliser of com_poisson is an asymptotic series of four terms where mu and mu^shape are above 1.5: with
    # shape 0.5 it is 0.0023 off at mu = 3 and 0.0001 at mu = 12. Elsewhere it is a sum until terms are 1e-16.
    series = columns["mu"] ** np.minimum(columns.get("shape", 1.0), 1.0) >= 1.5
    atol = np.where(series & (table["family"] == "com_poisson"), 0.0025, 1e-12)
    assert (np.abs(np.asarray(ours) - expected) <= atol + 1e-9 * np.abs(expected)).all()


@pytest.mark.parametrize("defaults", BRMS["priors"], ids=lambda table: table["family"])
def test_default_priors_are_those_of_brms(defaults):
    name = defaults["family"]
    response = (
        "y | trials(n)" if name.endswith("binomial") else "y" if FAMILIES[name].integer_response else "p"
    )
    table = bm.default_prior(f"{response} ~ x", pd.DataFrame(BRMS["data"]), family=name)
    frame = table.to_frame()
    rows = frame[~frame["class"].isin(["b", "Intercept"])]
    ours = dict(zip(rows["class"], rows["prior"], strict=True))
    assert ours == dict(zip(defaults["class"], defaults["prior"], strict=True))


@pytest.mark.validate
def test_com_poisson_from_narrow_to_wide():
    columns = {key: np.array(value) for key, value in reference("com_poisson").items()}
    family = FAMILIES["com_poisson"]
    with jax.enable_x64(True):
        p = with_eta("com_poisson", {"mu": columns["mu"], "shape": columns["shape"]})
        y = jnp.asarray(columns["y"])
        density = np.asarray(jax.jit(family.log_density)(y, p, {}))
        lower, upper = (np.asarray(tail) for tail in jax.jit(family.log_tails)(y, p, {}))
    # eta is log(mu) rounded: mu is uncertain by eps * eta, its effect on the log density y's distance from the mean.
    slope = columns["shape"] * np.abs(columns["y"] - columns["mu"]) + 10 * np.sqrt(
        columns["shape"] * columns["mu"]
    )
    atol = 1e-12 + 4e-16 * slope * np.maximum(1, np.abs(np.log(columns["mu"])))
    for ours, name in ((density, "log_density"), (lower, "lower"), (upper, "upper")):
        close = np.abs(ours - columns[name]) <= atol + 1e-11 * np.abs(columns[name])
        assert close.all(), (name, columns["mu"][~close], columns["shape"][~close], columns["y"][~close])
    # A tail near 0 keeps the digits of the other one.
    smaller, larger = np.minimum(lower, upper), np.maximum(lower, upper)
    np.testing.assert_allclose(larger, np.log1p(-np.exp(smaller)), rtol=1e-12)


def log_bell(count):
    """Logarithms of Bell's numbers B_0 to B_count from the triangle of whole numbers."""
    row, numbers = [1], [1]
    for _ in range(count):
        following = [row[-1]]
        for above in row:
            following.append(following[-1] + above)
        row = following
        numbers.append(row[0])
    return np.array([float(np.log(float(n))) for n in numbers])


K = np.arange(140.0)
# Log probabilities of 0 to 139 in independent words; two settings of each family.
LAWS = {
    "negbinomial2": [{"mu": 3.0, "sigma": 0.4}, {"mu": 0.3, "sigma": 2.0}],
    "discrete_weibull": [{"mu": 0.7, "shape": 0.9}, {"mu": 0.99, "shape": 1.7}],
    "generalised_poisson": [{"mu": 4.0, "phi": 2.0}, {"mu": 0.2, "phi": 1.05}],
    "bell": [{"mu": 4.0}, {"mu": 0.2}],
    "truncated_poisson": [{"mu": 4.0}, {"mu": 1e-3}],
    "truncated_negbinomial": [{"mu": 4.0, "shape": 2.0}, {"mu": 0.2, "shape": 0.5}],
    "zero_inflated_beta_binomial": [{"mu": 0.3, "phi": 4.0, "zi": 0.2}, {"mu": 0.9, "phi": 0.5, "zi": 0.01}],
    "beta_binomial": [{"mu": 0.3, "phi": 4.0}, {"mu": 0.9, "phi": 0.5}],
}


def log_probabilities(name, p):
    if name == "negbinomial2":
        return st.nbinom(1 / p["sigma"], 1 / (1 + p["mu"] * p["sigma"])).logpmf(K)
    if name == "discrete_weibull":
        return np.log(p["mu"] ** K ** p["shape"] - p["mu"] ** (K + 1) ** p["shape"])
    if name == "generalised_poisson":
        theta, later = p["mu"] / np.sqrt(p["phi"]), 1 - 1 / np.sqrt(p["phi"])
        rate = theta + later * K
        return np.log(theta) + (K - 1) * np.log(rate) - rate - sp.gammaln(K + 1)
    if name == "bell":
        theta = float(sp.lambertw(p["mu"]).real)
        return K * np.log(theta) + 1 - np.exp(theta) + log_bell(len(K) - 1) - sp.gammaln(K + 1)
    if name.startswith("truncated"):
        mu = p["mu"]
        plain = st.poisson(mu) if "shape" not in p else st.nbinom(p["shape"], p["shape"] / (mu + p["shape"]))
        return np.where(K > 0, plain.logpmf(K) - np.log(plain.sf(0)), -np.inf)
    plain = st.betabinom(TRIALS, p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]).logpmf(K)
    zi = p.get("zi", 0.0)
    with np.errstate(divide="ignore"):
        at_zero = np.log(zi + (1 - zi) * np.exp(plain))
    return np.where(K == 0, at_zero, np.log1p(-zi) + plain)


TRIALS = 12
PLACES = np.array([0, 1, 2, 4, 7, 11])


def extra_of(name):
    return {"trials": np.float64(TRIALS)} if "trials" in FAMILIES[name].required_additions else {}


def both_settings(name):
    return with_eta(name, {key: [[setting[key]] for setting in LAWS[name]] for key in LAWS[name][0]})


@pytest.mark.parametrize("name", LAWS)
def test_probabilities_and_moments(name):
    family, extra = FAMILIES[name], extra_of(name)
    with jax.enable_x64(True):
        density = np.asarray(quickly(family.log_density)(K[PLACES], both_settings(name), extra))
    for row, setting in enumerate(LAWS[name]):
        logs = log_probabilities(name, setting)
        possible = logs[PLACES] > -np.inf
        np.testing.assert_allclose(density[row][possible], logs[PLACES][possible], rtol=1e-9, atol=1e-11)
        numbers = {key: np.full(3, value) for key, value in setting.items()}
        mean = np.sum(np.exp(logs) * K)
        variance = np.sum(np.exp(logs) * (K - mean) ** 2)
        np.testing.assert_allclose(family.mean(numbers, extra), mean, rtol=1e-9)
        np.testing.assert_allclose(family.variance(numbers, extra), variance, rtol=1e-8)


# Slow to compile: the tails of bell are sums of incomplete gamma functions.
@pytest.mark.parametrize("name", with_slow(LAWS, "bell", "generalised_poisson", "truncated_negbinomial"))
def test_tails(name):
    family, extra = FAMILIES[name], extra_of(name)
    with jax.enable_x64(True):
        p = both_settings(name)
        y = np.append(K[PLACES] + 0.3, [-0.5, 1e300])
        lower, upper = (np.asarray(t) for t in quickly(family.log_tails)(y, p, extra))
    for row, setting in enumerate(LAWS[name]):
        logs = log_probabilities(name, setting)
        below = np.array([sp.logsumexp(logs[: k + 1]) for k in PLACES])
        above = np.array([sp.logsumexp(logs[k + 1 :]) for k in PLACES])
        # Sums near 1 have no more digits than 1.
        np.testing.assert_allclose(lower[row][:-2], below, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(upper[row][:-2], above, rtol=1e-9, atol=1e-11)
        assert lower[row][-2] == -np.inf
        assert upper[row][-2] == 0
        assert abs(lower[row][-1]) < 1e-15


COM = {"mu": 4.0, "shape": 0.5}


def cumulated(name):
    """The distribution function at 0, 1, ... of a family's first setting."""
    if name == "com_poisson":
        return np.cumsum(sp.softmax(COM["shape"] * (K * np.log(COM["mu"]) - sp.gammaln(K + 1))))
    return np.cumsum(np.exp(log_probabilities(name, LAWS[name][0])))


@pytest.mark.validate
@pytest.mark.parametrize("name", [*LAWS, "com_poisson"])
def test_draws_follow_the_distribution(name):
    """A right sampler fails with odds of about 1 in 10^4; the key is fixed, so it does once or never."""
    setting = COM if name == "com_poisson" else LAWS[name][0]
    with jax.enable_x64(True):
        p = with_eta(name, {key: np.full(20_000, value) for key, value in setting.items()})
        draws = np.asarray(jax.jit(FAMILIES[name].sample)(jax.random.key(3), p, extra_of(name))).astype(int)
    below = np.append(0.0, cumulated(name))
    v = np.random.default_rng(0).random(draws.size)
    u = below[draws] + v * (below[draws + 1] - below[draws])
    assert st.kstest(u, "uniform").pvalue > 1e-4


@pytest.mark.validate
@pytest.mark.parametrize("name", [*LAWS, "com_poisson"])
def test_gradients_are_those_of_finite_differences(name):
    family, extra = FAMILIES[name], extra_of(name)
    setting = COM if name == "com_poisson" else LAWS[name][0]
    names = [key for key in setting if key != "mu"]

    def value(vector):
        p = dict(zip(["eta", *names], vector, strict=True))
        p["mu"] = LINKS[family.link("mu")].inverse(p["eta"])
        lower, upper = family.log_tails(jnp.asarray(3.0), p, extra)
        return family.log_density(jnp.asarray(3.0), p, extra) + lower + 2 * upper

    with jax.enable_x64(True):
        p, step = with_eta(name, setting), 1e-5
        at = jnp.stack([p["eta"], *(p[key] for key in names)])
        slopes = jax.jit(jax.grad(value))(at)
        along, plain = step * jnp.eye(len(at)), jax.jit(value)
        differences = [(plain(at + d) - plain(at - d)) / (2 * step) for d in along]
    # The third derivative times step^2 / 6, and 1e-15 / step.
    np.testing.assert_allclose(slopes, np.array(differences), rtol=1e-7, atol=1e-7)


def test_moments_of_com_poisson_are_those_of_its_probabilities():
    k = np.arange(3000.0)
    mu, shape = np.array([0.3, 4.0, 60.0]), np.array([0.05, 0.5, 3.0])
    weights = sp.softmax(shape * (k[:, None] * np.log(mu) - sp.gammaln(k[:, None] + 1)), axis=0)
    mean = np.sum(weights * k[:, None], axis=0)
    p = {"mu": mu, "shape": shape}
    np.testing.assert_allclose(FAMILIES["com_poisson"].mean(p, {}), mean, rtol=1e-11)
    variance = np.sum(weights * (k[:, None] - mean) ** 2, axis=0)
    np.testing.assert_allclose(FAMILIES["com_poisson"].variance(p, {}), variance, rtol=1e-9)


@pytest.mark.validate
def test_geometric_counts_over_an_exposure_are_negative_binomial():
    y, extra = K[PLACES], {"rate": np.array(2.5)}
    law = st.nbinom(2.5, 1 / (1 + 3.0 / 2.5))
    family = FAMILIES["geometric"]
    with jax.enable_x64(True):
        p, extra = with_eta("geometric", {"mu": np.full(4000, 3.0)}), {"rate": jnp.asarray(2.5)}
        one = {key: value[0] for key, value in p.items()}
        density = jax.jit(family.log_density)(jnp.asarray(y), one, extra)
        lower, upper = jax.jit(family.log_tails)(jnp.asarray(y), one, extra)
        draws = np.asarray(jax.jit(family.sample)(jax.random.key(0), p, extra))
    np.testing.assert_allclose(density, law.logpmf(y), rtol=1e-11)
    np.testing.assert_allclose(lower, law.logcdf(y), rtol=1e-10)
    np.testing.assert_allclose(upper, law.logsf(y), rtol=1e-10)
    assert family.variance({"mu": np.array(3.0)}, {"rate": np.array(2.5)}) == pytest.approx(law.var())
    assert abs(draws.mean() - 3) < 4 * law.std() / np.sqrt(draws.size)


def test_discrete_weibull_quantiles_are_the_first_counts_that_reach_a_probability():
    family = FAMILIES["discrete_weibull"]
    cumulated = 1 - 0.9 ** (K + 1) ** 0.8
    with jax.enable_x64(True):
        at = np.concatenate([cumulated[:40] * (1 - 1e-9), cumulated[:40] * (1 + 1e-9)])
        found = np.asarray(quickly(family.quantile)(at, {"mu": 0.9, "shape": 0.8}, {}))
    np.testing.assert_array_equal(found, np.concatenate([K[:40], K[1:41]]))


def test_gradients_of_loops_of_unknown_length():
    def power(n, x):
        return (
            jax.lax.fori_loop(0, jnp.max(n).astype(int), lambda k, v: jnp.where(k < n, v * x, v), x * 0 + 1),
        )

    counts, x = np.array([0.0, 3.0, 5.0]), np.array([2.0, 2.0, 0.5])
    function = lambda z: jnp.sum(elementwise_gradients(power, constants=1)(counts, z)[0])  # noqa: E731
    first, second = quickly(lambda x: jax.jvp(jax.grad(function), (x,), (jnp.ones_like(x),)))(x)
    np.testing.assert_allclose(first, [0, 12, 5 * 0.5**4], rtol=1e-6)
    np.testing.assert_allclose(second, [0, 12, 20 * 0.5**3], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [("truncated_poisson", "`poisson`, `negbinomial`"), ("com_poisson", "whole numbers of at least 0")],
)
def test_errors_name_the_right_family(name, message):
    with pytest.raises(bm.DataError, match=message):
        FAMILIES[name].check(np.array([1.0, 0.0 if name.startswith("trunc") else 0.5]), {})
