"""Families of positive responses against evaluations in 60 digits (tests/reference/make_positive_families.py), and
their draws against their distribution functions."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st

import bayesmlm as bm
from bayesmlm.families import FAMILIES
from bayesmlm.families.first_passage import log_passage_density, mean_exit_time
from bayesmlm.families.links import LINKS, natural_parameters
from bayesmlm.families.reaction_times import draw_times_and_decisions

from ..compiling import quickly
from ..support import reference, with_slow

REFERENCE = reference("positive_families")
# Everything is evaluated at this many rows at a time, so that each function is compiled once.
ROWS = max(len(rows) for kind in REFERENCE.values() for rows in kind.values())
# A draw of 20,000 rejects a right sampler once in 10^4 keys; the key is fixed, so each has passed once and for all.
DRAWS, SIGNIFICANCE = 20_000, 1e-4


def columns(rows: list[dict[str, Any]]) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Responses, parameters and extra of reference rows, repeated to `ROWS` rows."""
    at = {
        key: np.resize(np.array([row["at"][key] for row in rows], dtype=float), ROWS) for key in rows[0]["at"]
    }
    y, extra = at.pop("y"), {key: at.pop(key) for key in ("dec",) if key in at}
    return y, at, extra


def with_eta(name: str, p: dict[str, Any]) -> dict[str, Any]:
    return {**p, "eta": LINKS[FAMILIES[name].link("mu")].link(p["mu"])}


@cache
def program(kind: str, name: str) -> Any:
    """A compiled function of y, parameters and extra: the log density, or both tails, each with its derivatives by the
    parameters."""
    family = FAMILIES[name]

    def evaluate(y: Any, p: dict[str, Any], extra: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
        def values(p: dict[str, Any]) -> tuple[Any, ...]:
            full = with_eta(name, p)
            return (
                (family.log_density(y, full, extra),)
                if kind == "density"
                else family.log_tails(y, full, extra)
            )

        # The functions are elementwise, so that the sum's gradient has each row's derivatives; in reverse, as the
        # sampler takes it.
        found, pull_back = jax.vjp(values, p)
        sides = np.repeat(np.eye(len(found))[:, :, None], ROWS, axis=2)
        (slopes,) = jax.vmap(lambda side: pull_back(tuple(side)))(sides)
        return [(value, {k: v[i] for k, v in slopes.items()}) for i, value in enumerate(found)]

    return quickly(evaluate)


def evaluated(kind: str, name: str) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Values and derivatives by the parameters at the reference's rows: of the log density, or of both tails."""
    with jax.enable_x64(True):
        found = program(kind, name)(*columns(REFERENCE[kind][name]))
    return [(np.asarray(value), {k: np.asarray(v) for k, v in slopes.items()}) for value, slopes in found]


def compare(
    name: str, entries: list[dict[str, float]], value: np.ndarray, slopes: dict[str, np.ndarray]
) -> None:
    expected, n = np.array([entry["value"] for entry in entries]), len(entries)
    np.testing.assert_allclose(value[:n], expected, rtol=1e-9, atol=1e-9)
    for parameter, slope in slopes.items():
        assert np.isfinite(slope).all(), (name, parameter)
        known = np.array([entry[parameter] for entry in entries])
        np.testing.assert_allclose(slope[:n], known, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", with_slow(REFERENCE["density"], "tweedie"))
def test_log_density_and_its_derivatives(name: str) -> None:
    ((value, slopes),) = evaluated("density", name)
    compare(name, [row["log_density"] for row in REFERENCE["density"][name]], value, slopes)


@pytest.mark.parametrize("name", with_slow(REFERENCE["tails"], "tweedie"))
def test_log_tails_and_their_derivatives(name: str) -> None:
    for side, (value, slopes) in zip(("below", "above"), evaluated("tails", name), strict=True):
        compare(name, [row[side] for row in REFERENCE["tails"][name]], value, slopes)


# ---- outside the support, and at its ends

SETTINGS: dict[str, dict[str, float]] = {
    "exponential": {"mu": 1.3},
    "inverse.gaussian": {"mu": 1.3, "shape": 2.0},
    "weibull": {"mu": 1.3, "shape": 1.7},
    "frechet": {"mu": 1.3, "nu": 4.5},
    "shifted_lognormal": {"mu": -0.4, "sigma": 0.4, "ndt": 0.2},
    "wiener": {"mu": 0.9, "bs": 1.4, "ndt": 0.2, "bias": 0.3},
    "hurdle_gamma": {"mu": 1.3, "shape": 2.0, "hu": 0.3},
    "hurdle_lognormal": {"mu": 0.2, "sigma": 0.5, "hu": 0.3},
    "tweedie": {"mu": 1.3, "phi": 0.9, "power": 1.4},
}
TAILED = [name for name in SETTINGS if name != "wiener"]


def at(name: str, n: int = ROWS) -> dict[str, Any]:
    """Parameters as the family's functions take them, for ``n`` rows."""
    return with_eta(name, {k: np.full(n, v) for k, v in SETTINGS[name].items()})


def by_rows(function: Any, y: np.ndarray) -> np.ndarray:
    """``function`` of ``y``, `ROWS` values at a time."""
    padded = np.resize(y, -(-len(y) // ROWS) * ROWS).reshape(-1, ROWS)
    return np.concatenate([np.asarray(function(part)) for part in padded], axis=-1)[..., : len(y)]


def values(
    kind: str, name: str, y: np.ndarray, p: dict[str, float] | None = None, dec: float = 1.0
) -> np.ndarray:
    """Log densities (1, n), or both tails (2, n), at the family's setting or another one."""
    rows = {k: np.full(ROWS, v) for k, v in (p or SETTINGS[name]).items()}
    extra = {"dec": np.full(ROWS, dec)} if name == "wiener" else {}
    with jax.enable_x64(True):
        return by_rows(lambda y: [value for value, _ in program(kind, name)(y, rows, extra)], y)


@pytest.mark.parametrize("name", TAILED)
def test_tails_outside_the_support(name: str) -> None:
    y = np.array([-np.inf, -1e300, -1.0, 0.0, np.inf])
    below, above = values("tails", name, y)
    p = SETTINGS[name]
    zero = -np.inf
    if name.startswith("hurdle"):
        zero = np.log(0.3)
    if name == "tweedie":
        zero = -(p["mu"] ** 0.6) / (0.9 * 0.6)
    np.testing.assert_allclose(below, [-np.inf, -np.inf, -np.inf, zero, 0.0], rtol=1e-14)
    np.testing.assert_allclose(above, [0.0, 0.0, 0.0, np.log1p(-np.exp(zero)), -np.inf], rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in TAILED if FAMILIES[name].quantile is not None])
def test_quantile_inverts_the_cdf(name: str) -> None:
    probability = np.array([0.01, 0.3, 0.31, 0.5, 0.99])
    with jax.enable_x64(True):
        y = by_rows(lambda q: quickly(FAMILIES[name].quantile)(q, at(name), {}), probability)
        back = by_rows(lambda y: quickly(FAMILIES[name].cdf)(y, at(name), {}), y)
    mass = name == "hurdle_lognormal"
    np.testing.assert_allclose(back, np.maximum(probability, 0.3) if mass else probability, rtol=1e-12)
    assert (y[:2] == 0).all() == mass


def test_no_response_is_below_the_non_decision_time() -> None:
    y = np.array([0.1, 0.2, 0.2000001])
    for name in ("shifted_lognormal", "wiener"):
        (density,) = values("density", name, y)
        assert (density[:2] == -np.inf).all()
        assert density[2] < -1e2


def test_parameters_outside_their_range_have_no_density() -> None:
    """As links such as identity can give them."""
    for name, change in [
        ("wiener", {"bias": 1.0}),
        ("wiener", {"bias": -0.1}),
        ("wiener", {"bs": -1.0}),
        ("wiener", {"ndt": -0.1}),
        ("frechet", {"nu": 1.0}),
        ("hurdle_gamma", {"hu": 1.2}),
        ("tweedie", {"power": 2.0}),
        ("tweedie", {"power": 0.9}),
    ]:
        p = {k: np.full(ROWS, v) for k, v in {**SETTINGS[name], **change}.items()}
        extra = {"dec": np.ones(ROWS)} if name == "wiener" else {}
        with jax.enable_x64(True):
            ((value, slopes),) = program("density", name)(np.ones(ROWS), p, extra)
        assert np.all(np.asarray(value) == -np.inf), (name, change)
        assert all(np.isfinite(np.asarray(v)).all() for v in slopes.values()), (name, change)


ETAS = np.array([-100.0, -37.0, -8.0, 0.0, 1e-60, 8.0, 37.0, 100.0])
FURTHER_ETAS = np.array([-12.0, 0.9, 12.0])
RESPONSES = {
    "hurdle_gamma": [0.0, 1e-12, 3.0],
    "hurdle_lognormal": [0.0, 1e-12, 3.0],
    "tweedie": [0.0, 1e-12, 3.0],
}


@pytest.mark.validate
@pytest.mark.parametrize("name", [n for n in SETTINGS if n not in ("exponential", "inverse.gaussian")])
def test_third_derivatives_are_finite_wherever_the_density_is(name: str) -> None:
    """By the linear predictors of all parameters, along a direction to which none is orthogonal."""
    family = FAMILIES[name]
    others = [p.name for p in family.parameters if p.name != "mu"]
    grid = np.meshgrid(RESPONSES.get(name, [1e-6, 3.0]), ETAS, FURTHER_ETAS)
    y, eta, rest = (np.resize(a, ROWS) for a in grid)

    def density(along, etas, y):
        moved = {n: e + along * (1 + 0.3 * i) for i, (n, e) in enumerate(etas.items())}
        if "ndt" in moved:
            moved["ndt"] = moved["ndt"] - 20  # small enough for every response
        return family.log_density(y, natural_parameters(moved, family.links), {"dec": jnp.asarray(1.0)})

    def value_and_third(along, etas, y):
        return jnp.stack(
            [density(along, etas, y), jax.jacfwd(jax.jacfwd(jax.jacfwd(density)))(along, etas, y)]
        )

    with jax.enable_x64(True):
        etas = {"mu": jnp.asarray(eta), **{n: jnp.asarray(rest) for n in others}}
        values = np.asarray(jax.vmap(value_and_third, (None, 0, 0))(0.0, etas, jnp.asarray(y)))
    known = np.isfinite(values[:, 0]) & (np.abs(values[:, 0]) < 1e90)
    assert not np.isnan(values[:, 0]).any()
    assert known.sum() >= len(y) / 3
    assert np.isfinite(values[known]).all(), (y[known], eta[known], values[known])


# ---- mean, variance, random draws


@pytest.mark.parametrize(
    "name", [name for name in SETTINGS if name not in ("exponential", "inverse.gaussian")]
)
def test_mean_and_variance_are_those_of_the_density(name: str) -> None:
    """By the trapezoidal rule over log(y), or over log(y - ndt): the integrands fall off smoothly at both ends."""
    family, p = FAMILIES[name], SETTINGS[name]
    z = np.linspace(-28, 25, 12 * ROWS)
    y = p.get("ndt", 0.0) + np.exp(z)
    decisions = (0.0, 1.0) if name == "wiener" else (0.0,)
    density = sum(np.exp(values("density", name, y, dec=decision)[0]) for decision in decisions)
    zero = np.exp(values("density", name, np.zeros(1))).item() if family.support.closed else 0.0
    weight = density * np.exp(z) * (z[1] - z[0])
    mean = family.mean(at(name, 3), {})
    assert isinstance(mean, np.ndarray)
    assert weight.sum() + zero == pytest.approx(1, rel=1e-9)
    # The frechet density falls like y^-5.5: beyond the grid are 1e-10 of the second moment.
    np.testing.assert_allclose(mean, np.sum(weight * y), rtol=1e-8)
    if family.variance is not None:
        expected = np.sum(weight * (y - mean[0]) ** 2) + zero * mean[0] ** 2
        np.testing.assert_allclose(family.variance(at(name, 3), {}), expected, rtol=1e-8)


@pytest.mark.parametrize("name", with_slow(TAILED, "tweedie", "hurdle_gamma"))
def test_draws_follow_the_cdf(name: str) -> None:
    family = FAMILIES[name]
    with jax.enable_x64(True):
        y = np.asarray(quickly(family.sample)(jax.random.key(11), at(name, DRAWS), {}))
    zero, *cdf = np.exp(values("tails", name, np.append(0.0, y[y > 0][: 10 * ROWS]))[0])
    assert y.shape == (DRAWS,)
    assert (y >= 0).all()
    assert st.binomtest(int((y == 0).sum()), DRAWS, zero).pvalue > SIGNIFICANCE
    assert st.kstest((np.array(cdf) - zero) / (1 - zero), "uniform").pvalue > SIGNIFICANCE


def test_weibull_and_frechet_near_the_ends_of_their_shapes() -> None:
    """Where 1 + 1 / shape and 1 - 1 / nu have lost their digits: an extreme value distribution in the limit."""
    y = np.array([1 + 0.3 / 1e12])
    moved = (y[0] - 1) * 1e12  # y is rounded
    below = values("tails", "weibull", y, {"mu": 1.0, "shape": 1e12})[1]
    above = values("tails", "frechet", y, {"mu": 1.0, "nu": 1e12})[0]
    # Gumbel's distribution with mean 0. The limit is 1e-12 away; rounding of log(y) another 1e-16 times 1e12.
    np.testing.assert_allclose(below, -np.exp(moved - np.euler_gamma), rtol=1e-3)
    np.testing.assert_allclose(above, -np.exp(-moved - np.euler_gamma), rtol=1e-3)


# ---- the Wiener process

PROCESSES = [(0.9, 1.4, 0.3), (-2.0, 1.0, 0.2), (0.0, 2.0, 0.9), (6.0, 2.0, 0.05), (40.0, 2.0, 0.5)]


@quickly
def draw_wiener(p: dict[str, Any]) -> tuple[Any, Any]:
    return draw_times_and_decisions(jax.random.key(5), p, {})


@pytest.mark.parametrize("process", PROCESSES, ids=str)
def test_wiener_draws_follow_the_density(process: tuple[float, float, float]) -> None:
    """Decisions by their closed probability, times of the commoner one by the cdf as an integral of the density."""
    drift, separation, start = process
    upper = np.expm1(-2 * drift * separation * start) / np.expm1(-2 * drift * separation) if drift else start
    p = {"mu": drift, "bs": separation, "bias": start, "ndt": 0.2}
    with jax.enable_x64(True):
        drawn = draw_wiener({name: np.full(DRAWS, value) for name, value in p.items()})
    time, decision = (np.asarray(v) for v in drawn)
    which = upper > 0.5
    z = np.linspace(-16, 4, 50 * ROWS)
    density = np.exp(values("density", "wiener", 0.2 + np.exp(z), p, float(which))[0] + z)
    assert st.binomtest(int(decision.sum()), DRAWS, upper).pvalue > SIGNIFICANCE
    cumulated = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2) * (z[1] - z[0])])
    np.testing.assert_allclose(cumulated[-1], upper if which else 1 - upper, rtol=1e-6)
    uniform = np.interp(np.log(time[decision == which] - 0.2), z, cumulated) / cumulated[-1]
    assert st.kstest(uniform, "uniform").pvalue > SIGNIFICANCE


def test_wiener_decisions_add_up() -> None:
    """The two densities integrate to the two probabilities, and these to one; from the middle to the far ends."""
    u = np.exp(np.linspace(-12, 4, 12 * ROWS))
    with jax.enable_x64(True):
        for start in (1e-6, 0.2, 0.5, 0.7):
            ends = np.full(ROWS, start), np.full(ROWS, 1 - start)
            log_density = by_rows(lambda u, ends=ends: quickly(log_passage_density)(u, *ends), u)
            area = np.trapezoid(np.exp(log_density) * u, np.log(u))
            # Without drift, the lower end is reached first with probability 1 - start.
            if start > 1e-3:
                assert area == pytest.approx(1 - start, rel=1e-7)
            else:
                assert area < 1


def test_mean_exit_time_is_smooth_where_the_drift_vanishes() -> None:
    drift = np.array([0.0, 1e-9, 1.9e-3, 2.1e-3, -1.9e-3, -2.1e-3])
    w = 0.3
    exact = w * (1 - w)
    # E(T) = sum of -2 (-2 x)^(n - 2) (B_n(w) - B_n) / n!, here to the second order in x.
    second = -2 * (w * (w - 1) * (w - 0.5) / 6 * (-2 * drift) + (w**2 * (w - 1) ** 2) / 24 * 4 * drift**2)
    np.testing.assert_allclose(mean_exit_time(drift, 1.0, w), exact + second, rtol=1e-9)


def test_draws_of_impossible_processes_are_not_numbers() -> None:
    p = {
        name: np.full(DRAWS, value) for name, value in (("mu", 1.0), ("bs", 1.0), ("bias", 0.5), ("ndt", 0.2))
    }
    p["mu"][1], p["bs"][2], p["bias"][3] = np.nan, -1.0, 1.0
    with jax.enable_x64(True):
        time = np.asarray(draw_wiener(p)[0])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(time)), [1, 2, 3])


# ---- default priors

PRIORS = reference("positive_priors")


@pytest.mark.parametrize("model", PRIORS["models"], ids=lambda m: f"{m['family']}: {m['formulas']}")
def test_default_priors_are_those_of_brms(model: dict[str, Any]) -> None:
    formulas = [model["formulas"]] if isinstance(model["formulas"], str) else model["formulas"]
    ours = bm.default_prior(
        bm.bf(*formulas), pd.DataFrame(PRIORS["data"]), bm.families.family(model["family"])
    )
    found = {
        tuple(row)
        for row in ours.to_frame()[["prior", "class", "coef", "group", "dpar", "lb", "ub"]].to_numpy()
    }
    assert found == {tuple(row.values()) for row in model["rows"]}


def test_the_smallest_response_bounds_the_non_decision_time() -> None:
    data = pd.DataFrame(PRIORS["data"])
    spec = bm.bayes.specification(bm.bayes.prepare("rt ~ x", data, "shifted_lognormal"), None)
    ndt = next(site for site in spec.structure.sites if site.name == "ndt").prior
    assert (ndt.lower, ndt.upper) == (0.0, 0.45)
    assert ndt.densities[0].arguments == (0.0, 0.45)
    # A user's prior keeps the bound, and may name it.
    for user in (
        bm.set_prior("normal(0.2, 0.1)", class_="ndt"),
        bm.set_prior("uniform(0, min_Y / 2)", class_="ndt", lb=0, ub="min_Y / 2"),
    ):
        spec = bm.bayes.specification(bm.bayes.prepare("rt ~ x", data, "shifted_lognormal"), user)
        ndt = next(site for site in spec.structure.sites if site.name == "ndt").prior
        assert ndt.upper == (0.45 if user[0].ub is None else 0.225)
    with pytest.raises(bm.PriorError, match=r"within the parameter's own range, from 0 to 0.45"):
        bm.validate_prior(
            bm.set_prior("normal(0, 1)", class_="ndt", ub=2), "rt ~ x", data, "shifted_lognormal"
        )
