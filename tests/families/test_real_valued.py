"""Families of real-valued responses: densities and tails against 30 to 50 digits, draws, derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from bayesmlm.errors import DataError
from bayesmlm.families import FAMILIES
from bayesmlm.families.links import LINKS, natural_parameters

from ..compiling import quickly
from ..support import reference, with_slow
from .test_tails import error_of_log

TABLES = reference("real_families")
SETTINGS = {
    "skew_normal": [{"mu": 0.3, "sigma": 1.7, "alpha": a} for a in (-4.0, 0.0, 20.0)],
    "skew_t": [{"mu": 0.3, "sigma": 1.7, "alpha": -2.0, "nu": nu} for nu in (2.5, 30.0)],
    "exgaussian": [{"mu": 0.3, "sigma": s, "beta": b} for s, b in ((1.0, 0.05), (0.5, 2.0))],
    "gen_extreme_value": [{"mu": 0.3, "sigma": 1.7, "xi": xi} for xi in (-0.4, 0.0, 0.2)],
    "asym_laplace": [{"mu": 0.3, "sigma": 1.7, "quantile": q} for q in (0.1, 0.7)],
    "zero_inflated_asym_laplace": [{"mu": m, "sigma": 1.7, "quantile": 0.3, "zi": 0.4} for m in (0.3, -0.3)],
    "von_mises": [{"mu": m, "kappa": k} for m, k in ((-3.0, 0.7), (0.5, 5.0), (1.0, 1e8), (2.0, 1e-9))],
}
CASES = [(name, p) for name, settings in SETTINGS.items() for p in settings]
CONTINUOUS = {
    "gaussian": ({"mu": 0.3, "sigma": 1.7}, st.norm(0.3, 1.7)),
    "student": ({"mu": 0.3, "sigma": 1.7, "nu": 3.5}, st.t(3.5, 0.3, 1.7)),
    "lognormal": ({"mu": 0.3, "sigma": 0.7}, st.lognorm(0.7, scale=np.exp(0.3))),
    "gamma": ({"mu": 2.0, "shape": 1.3}, st.gamma(1.3, scale=2 / 1.3)),
    "beta": ({"mu": 0.3, "phi": 4.0}, st.beta(1.2, 2.8)),
}
# Each test rejects a right sampler once in 10^4 keys; the key is fixed, so each has passed once and for all.
SIGNIFICANCE = 1e-4
DRAWS = 20_000


def natural(name, p):
    """Parameters as a family's functions take them."""
    p = {k: np.asarray(v, dtype=float) for k, v in p.items()}
    return {**p, "eta": LINKS[FAMILIES[name].link("mu")].link(p["mu"])}


def columns(rows, names):
    return {name: np.array([row[name] for row in rows], dtype=float) for name in names}


@pytest.mark.parametrize("name", TABLES["densities"])
def test_log_density(name):
    rows = TABLES["densities"][name]
    p = columns(rows, [k for k in rows[0] if k not in ("y", "log_density")])
    y, exact = np.array([row["y"] for row in rows]), np.array([row["log_density"] for row in rows])
    with jax.enable_x64(True):
        density = quickly(lambda y, p: FAMILIES[name].log_density(y, p, {}))
        ours = np.asarray(density(y, natural(name, p)))
    # Near the end of the support of gen_extreme_value 1 + xi x has lost three digits.
    assert error_of_log(ours, exact).max() < (1e-11 if name == "gen_extreme_value" else 1e-12)


@pytest.mark.parametrize("name", TABLES["tails"])
def test_log_tails(name):
    rows = TABLES["tails"][name]
    p = columns(rows, [k for k in rows[0] if k not in ("y", "lower", "upper")])
    y = np.array([row["y"] for row in rows])
    exact = np.array([[row["lower"] for row in rows], [row["upper"] for row in rows]])
    with jax.enable_x64(True):
        ours = np.asarray(quickly(FAMILIES[name].log_tails)(y, natural(name, p), {}))
    assert error_of_log(ours, exact).max() < 1e-10


@pytest.mark.parametrize(
    "name", with_slow(TABLES["tails"], "skew_t", "skew_normal", "exgaussian", "von_mises")
)
def test_derivatives_of_tails(name):
    """By y they are the density over the tail, which also sees the parts of the integral that move with y; by the
    parameters those of finite differences."""
    rows = [r for r in TABLES["tails"][name] if min(r["lower"], r["upper"]) > -60]
    names = [k for k in rows[0] if k not in ("lower", "upper")]
    arguments = np.stack([columns(rows, names)[n] for n in names])
    family = FAMILIES[name]

    def tails(point):
        y, *values = point
        p = dict(zip(names[1:], values, strict=True))
        return jnp.stack(family.log_tails(y, {**p, "eta": p["mu"]}, {}))

    with jax.enable_x64(True):
        ours = np.asarray(quickly(jax.vmap(jax.jacrev(tails), 1))(arguments))  # (row, tail, argument)
        evaluated = quickly(jax.vmap(tails, 1, 1))
        value = np.asarray(evaluated(arguments))
        p = dict(zip(names[1:], arguments[1:], strict=True))
        density = quickly(lambda y, p: family.log_density(y, p, {}, "identity"))
        log_density = np.asarray(density(arguments[0], {**p, "eta": p["mu"]}))
        numeric = []
        for i in range(1, len(names)):
            step = 1e-5 * np.maximum(np.abs(arguments[i]), 1e-2)
            along = np.eye(len(names))[i][:, None] * step
            moved = [np.array(evaluated(arguments + sign * along)) for sign in (1, -1)]
            numeric.append((moved[0] - moved[1]) / (2 * step))
    by_y = np.stack([np.exp(log_density - value[0]), -np.exp(log_density - value[1])])
    np.testing.assert_allclose(ours[:, :, 0].T, by_y, rtol=1e-8, atol=1e-14)
    numeric = np.stack(numeric)
    # Rounding of the tails, 1e-13 of a logarithm of up to 60, over a step of 2e-7 to 1e-5.
    scale = 1e-5 * np.maximum(np.abs(numeric), 1)
    assert (np.abs(ours[:, :, 1:].transpose(2, 1, 0) - numeric) < scale).all()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [pytest.param(*case, marks=pytest.mark.validate) if case[0] == "skew_t" else case for case in CASES],
    ids=str,
)
def test_draws_follow_the_tails(name, parameters):
    family = FAMILIES[name]
    with jax.enable_x64(True):
        p = natural(name, parameters)
        wide = {k: np.full(DRAWS, v) for k, v in p.items()}
        draws = np.asarray(quickly(family.sample)(jax.random.key(3), wide, {}))
        u = np.asarray(quickly(family.cdf)(draws, p, {}))
        mean, variance = (
            None if f is None else float(quickly(f)(p, {})) for f in (family.mean, family.variance)
        )
    assert draws.dtype == np.float64
    if name == "zero_inflated_asym_laplace":
        zero = draws == 0
        assert st.binomtest(int(zero.sum()), DRAWS, parameters["zi"]).pvalue > SIGNIFICANCE
        # The point mass shifts the distribution function above it.
        u = (u - np.where(draws > 0, parameters["zi"], 0.0))[~zero] / (1 - parameters["zi"])
    assert st.kstest(u, "uniform").pvalue > SIGNIFICANCE
    if name != "von_mises":
        # Five standard errors.
        assert draws.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / DRAWS))
    if name != "von_mises" and parameters.get("nu", 30.0) > 4:
        fourth = st.kurtosis(draws, fisher=False)
        assert draws.var() == pytest.approx(variance, rel=5 * np.sqrt((fourth - 1) / DRAWS))


@pytest.mark.parametrize(("name", "parameters"), [c for c in CASES if FAMILIES[c[0]].quantile], ids=str)
def test_quantiles_invert_the_distribution_function(name, parameters):
    family = FAMILIES[name]
    probability = np.array([1e-10, 0.01, 0.2, 0.31, 0.5, 0.9, 0.9999])
    with jax.enable_x64(True):
        p = natural(name, parameters)
        y = np.asarray(quickly(family.quantile)(probability, p, {}))
        at, below = (quickly(family.cdf)(value, p, {}) for value in (y, y - 1e-9))
    assert (np.asarray(at) >= probability * (1 - 1e-12)).all()
    assert (np.asarray(below) < probability).all()


@pytest.mark.parametrize("xi", [-0.7, -1.1e-3, -0.9e-3, 0.0, 1e-12, 0.9e-3, 1.1e-3, 0.3])
def test_moments_of_extreme_values(xi):
    """scipy's are exact except near xi = 0, where those at 0 are within about 2 xi."""
    p = {"mu": np.array([0.5]), "sigma": np.array([2.0]), "xi": np.array([xi])}
    mean, variance = FAMILIES["gen_extreme_value"].mean(p, {}), FAMILIES["gen_extreme_value"].variance(p, {})
    assert isinstance(mean, np.ndarray)
    exact = [float(m) for m in st.genextreme(-xi, 0.5, 2.0).stats("mv")]
    small = abs(xi) < 1e-6
    assert mean[0] == pytest.approx(0.5 + 2 * np.euler_gamma if small else exact[0], rel=1e-9)
    assert variance[0] == pytest.approx(4 * np.pi**2 / 6 if small else exact[1], rel=1e-8)
    assert FAMILIES["gen_extreme_value"].mean({**p, "xi": np.array([1.0])}, {})[0] == np.inf
    assert FAMILIES["gen_extreme_value"].variance({**p, "xi": np.array([0.5])}, {})[0] == np.inf


def test_infinite_moments_of_skew_t():
    p = {"mu": np.array([0.5]), "sigma": np.array([2.0]), "alpha": np.array([3.0])}
    assert FAMILIES["skew_t"].variance({**p, "nu": np.array([2.0])}, {})[0] == np.inf
    assert FAMILIES["skew_t"].mean({**p, "nu": np.array([1.0])}, {})[0] == np.inf


@pytest.mark.parametrize("name", with_slow(CONTINUOUS, "beta", "student"))
def test_tails_of_the_common_families(name):
    parameters, exact = CONTINUOUS[name]
    family = FAMILIES[name]
    y = exact.ppf([1e-12, 1e-3, 0.3, 0.7, 1 - 1e-9])
    with jax.enable_x64(True):
        p = natural(name, parameters)
        everywhere = np.array([*y, -1e300, -1.0, 0.0, 1e300])
        values = np.asarray(quickly(family.log_tails)(everywhere, p, {}))
        (lower, upper), outside = values[:, : len(y)], values[:, len(y) :]
        np.testing.assert_allclose(lower, exact.logcdf(y), rtol=1e-9, atol=1e-16)
        np.testing.assert_allclose(upper, exact.logsf(y), rtol=1e-9, atol=1e-16)
        if family.quantile is not None:
            q = np.array([1e-12, 0.3, 0.999])
            found = np.asarray(quickly(family.quantile)(q, p, {}))
            np.testing.assert_allclose(found, exact.ppf(q), rtol=1e-11)

        def total(values):
            return sum(jnp.sum(tail) for tail in family.log_tails(np.asarray(exact.median()), values, {}))

        gradient = quickly(jax.grad(total))({k: v for k, v in p.items() if k != "eta"})
    if family.support.lower == 0:
        np.testing.assert_array_equal(outside[:, :3], [[-np.inf] * 3, [0.0] * 3])
    assert outside[0, 3] == 0.0
    assert all(np.isfinite(g) for g in gradient.values())


@pytest.mark.validate
@pytest.mark.parametrize("name", SETTINGS)
def test_third_derivatives_are_finite_wherever_the_density_is(name):
    """Three times by the linear predictors of all parameters, along a direction to which none is orthogonal."""
    family = FAMILIES[name]
    others = [p.name for p in family.parameters if p.name != "mu"]
    y, eta, rest = (
        a.ravel()
        for a in np.meshgrid([0.0, 1.3, -2.0], [-100.0, -3.0, 0.0, 0.4, 100.0], [-25.0, 0.0, 0.9, 25.0])
    )

    def density(along, etas, y):
        moved = {n: e + along * (1 + 0.3 * i) for i, (n, e) in enumerate(etas.items())}
        return family.log_density(y, natural_parameters(moved, family.links), {})

    def value_and_third(along, etas, y):
        third = jax.jacfwd(jax.jacfwd(jax.jacfwd(density)))
        return jnp.stack([density(along, etas, y), third(along, etas, y)])

    with jax.enable_x64(True):
        etas = {"mu": jnp.asarray(eta), **{n: jnp.asarray(rest) for n in others}}
        values = np.asarray(jax.vmap(value_and_third, (None, 0, 0))(0.0, etas, jnp.asarray(y)))
    known = np.isfinite(values[:, 0]) & (np.abs(values[:, 0]) < 1e90)
    assert known.sum() >= len(y) / 4
    assert np.isfinite(values[known]).all(), (y[known], eta[known], rest[known], values[known])


def test_angles_outside_the_support():
    with pytest.raises(DataError, match="radians"):
        FAMILIES["von_mises"].check(np.array([0.0, 90.0]), {})


BRMS = reference("brms_real_families")


@pytest.mark.parametrize("name", BRMS["families"])
def test_density_and_distribution_function_are_those_of_brms(name):
    row = BRMS["families"][name]
    with jax.enable_x64(True):
        functions = quickly(
            lambda y, p: (FAMILIES[name].log_density(y, p, {}), *FAMILIES[name].log_tails(y, p, {}))
        )
        log_density, lower, _ = functions(np.array(BRMS["y"]), natural(name, row["parameters"]))
    np.testing.assert_allclose(log_density, row["log_density"], rtol=1e-9)
    if "cdf" in row:  # brms needs a further R package for that of skew_normal
        np.testing.assert_allclose(np.exp(lower), row["cdf"], rtol=1e-9)
