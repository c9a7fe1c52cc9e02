"""Additions of the response: what they supply, what is refused, and the likelihood they make."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import log_density
from scipy import special, stats

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.families.additions import log_density as density_with_additions
from bayesmlm.families.additions import log_measured
from bayesmlm.families.registry import FAMILIES
from bayesmlm.inference.x64 import x64

from ..compiling import quickly

REFERENCE = Path(__file__).resolve().parent.parent / "reference"


def frame(**columns):
    """Six rows; every column can be replaced."""
    base = {
        "y": [1.2, 2.0, 3.0, 2.5, 4.0, 0.7],
        "k": [0, 1, 2, 1, 3, 2],
        "x": [0.3, -1.0, 0.5, 1.1, -0.2, 0.9],
        "s": [0.1, 0.2, 0.1, 0.3, 0.2, 0.4],
        "n": [1, 2, 3, 4, 5, 6],
        "c": ["left", "none", "right", "interval", "none", "right"],
        "y2": [np.nan, 0.0, np.nan, 3.5, np.nan, np.nan],
    }
    return pd.DataFrame({**base, **columns})


def response(formula, family="gaussian", **columns):
    return prepare(formula, frame(**columns), family).response


def test_standata_of_the_kidney_data_is_brmss():
    known = json.loads((REFERENCE / "brms_standata_kidney_cens.json").read_text())["values"]
    formula = "time | cens(censored) ~ age * sex + disease + (1 | patient)"
    ours = bm.standata(formula, bm.load_dataset("kidney"), "lognormal")
    assert set(ours) == set(known)
    np.testing.assert_array_equal(ours["cens"], known["cens"])
    np.testing.assert_array_equal(ours["X"], known["X"]["values"])


@pytest.mark.parametrize(
    "codes",
    [
        ["left", "none", "right", "interval", "none", "right"],
        ["l", "n", "r", "int", "none", "r"],
        [-1, 0, 1, 2, 0, 1],
    ],
)
def test_codes_of_censoring(codes):
    extra = response("y | cens(c, y2) ~ x", c=codes).extra
    np.testing.assert_array_equal(extra["left_censored"], [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(extra["right_censored"], [0, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(extra["interval_censored"], [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(extra["interval_end"], [1.2, 2.0, 3.0, 3.5, 4.0, 0.7])


def test_logical_codes_are_right_and_none():
    extra = response("y | cens(c) ~ x", c=[True, False, False, True, False, False]).extra
    assert list(extra) == ["right_censored"]


def test_bounds_of_truncation():
    extra = response("k | trunc(lb = 0, ub = n + 2) ~ x", "poisson").extra
    assert list(extra) == ["up_to"]  # nothing lies below 0
    np.testing.assert_array_equal(extra["up_to"], [3, 4, 5, 6, 7, 8])
    extra = response("y | trunc(lb = 0.5) ~ x", "lognormal").extra
    np.testing.assert_array_equal(extra["above"], [0.5] * 6)
    extra = response("k | trunc(1, 9.5) ~ x", "poisson", k=[1, 1, 2, 1, 3, 2]).extra
    assert (extra["above"][0], extra["up_to"][0]) == (0.0, 9.0)


def test_other_arrays():
    assert response("y | se(s) ~ x").fixed == {"sigma": 0.0}
    assert response("y | se(s, sigma = TRUE) ~ x").fixed == {}
    np.testing.assert_allclose(response("y | weights(s, scale = TRUE) ~ x").weights.mean(), 1.0)
    np.testing.assert_array_equal(
        response("k | rate(2 * n) ~ x", "poisson").extra["rate"], 2 * np.arange(1, 7)
    )
    np.testing.assert_array_equal(response("y | index(n) ~ x").index, np.arange(1, 7))
    dec = response("y | dec(d) ~ x", "wiener", d=["upper", "lower", "upper", "upper", "lower", "lower"])
    np.testing.assert_array_equal(dec.extra["dec"], [1, 0, 1, 1, 0, 0])
    design = prepare("y | subset(n > 2) ~ x", frame(), "gaussian")
    assert design.frame.rows.tolist() == [3, 4, 5, 6]


def test_rows_with_missing_responses_stay_with_mi():
    data = {"y": [1.2, np.nan, 3.0, 2.5, np.nan, 0.7], "s": [0.1, np.nan, 0.1, 0.3, 0.2, 0.4]}
    design = prepare("y | mi(s) ~ x", frame(**data), "gaussian")
    assert (design.n, design.rows_dropped) == (6, 0)
    arrays = bm.standata("y | mi() ~ x", frame(**data))
    assert (arrays["Nmi"], arrays["Jmi"].tolist(), arrays["Y"].tolist()[1]) == (2, [2, 5], np.inf)
    arrays = bm.standata("y | mi(s) ~ x", frame(**data))
    assert arrays["Jme"].tolist() == [1, 3, 4, 6]
    assert np.isinf(arrays["noise"][[1, 4]]).all()
    assert prepare("y ~ x", frame(**data), "gaussian").n == 4


REFUSED = {
    "misspelt code": ("y | cens(c) ~ x", {"c": ["none"] * 5 + ["rigth"]}, {}, "row 6 .* has `rigth`"),
    "numeric code": ("y | cens(n) ~ x", {}, {}, "'interval'.*row 3 .* has 3"),
    "no y2": ("y | cens(c) ~ x", {}, {}, r"write `cens\(x, y2\)`"),
    "missing y2": ("y | cens(c, y2) ~ x", {"y2": [np.nan] * 6}, {}, "row 4 .* has a missing value"),
    "empty interval": (
        "y | cens(c, y2) ~ x",
        {"y2": [1.0] * 6},
        {},
        "larger than the response.*row 4 .* 2.5 and 1",
    ),
    "below the bound": ("y | trunc(lb = 1) ~ x", {}, {}, "row 6 .* has 0.7, with the bound 1"),
    "above the bound": ("y | trunc(ub = 3) ~ x", {}, {}, "row 5 .* has 4, with the bound 3"),
    "bounds in disorder": ("y | trunc(3, 2) ~ x", {}, {}, "lb < ub; row 1 .* has 3 and 2"),
    "no bounds": ("y | trunc() ~ x", {}, {}, "needs a lower bound"),
    "censored at the bound": (
        "y | cens(c) + trunc(ub = 4) ~ x",
        {"c": ["none"] * 4 + ["right", "none"]},
        {},
        "leave room above",
    ),
    "zero error": ("y | se(s) ~ x", {"s": [0.1] * 5 + [0]}, {}, "must be positive .*row 6"),
    "sigma with se": (bm.bf("y | se(s) ~ x", "sigma ~ x"), {}, {}, "sigma = TRUE"),
    "se of counts": ("k | se(s) ~ x", {}, {"family": "poisson"}, "does not take `se"),
    "no exposure": ("k | rate(n) ~ x", {"n": [0] + [1] * 5}, {"family": "poisson"}, "row 1 .* has 0"),
    "no row": ("y | subset(n > 9) ~ x", {}, {}, "keeps no row"),
    "text subset": ("y | subset(c) ~ x", {}, {}, "TRUE/FALSE or 0/1"),
    "repeated index": ("y | index(k) ~ x", {}, {}, "row 4 .* has 1"),
    "decision": ("y | dec(c) ~ x", {}, {"family": "wiener"}, "'lower' or 'upper'.*row 1 .* has `left`"),
    "fraction": ("y | vint(s) ~ x", {}, {}, "does not take `vint"),
    "too many": ("y | weights(s, TRUE, 2) ~ x", {}, {}, "takes the arguments `x`, `scale`"),
    "mi and cens": ("y | mi() + cens(c) ~ x", {}, {}, "cannot be censored too"),
    "noise missing": ("y | mi(s) ~ x", {"s": [np.nan] + [0.1] * 5}, {}, "row 1 .* has a response"),
    "all missing": ("y | mi() ~ x", {"y": [np.nan] * 6}, {}, "every response is missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    formula, columns, options, message = REFUSED[name]
    with pytest.raises(bm.BayesmlmError, match=message):
        prepare(formula, frame(**columns), **options)


def spec_of(formula, family, **columns):
    return specification(prepare(formula, frame(**columns), family), None)


PROGRAMS = {
    "cens and trunc": ("y | cens(c, y2) + trunc(0.1, 20) + weights(n) ~ x", "lognormal", {}),
    "rate": ("k | rate(n) + cens(c, n) ~ x", "poisson", {"n": [4, 5, 6, 7, 8, 9]}),
    "se": ("y | se(s) ~ x", "gaussian", {}),
    "missing": ("y | mi() ~ x", "lognormal", {"y": [1.2, np.nan, 3.0, 2.5, np.nan, 0.7]}),
    "measured": ("y | mi(s) ~ x", "gaussian", {"y": [1.2, np.nan, 3.0, 2.5, np.nan, 0.7]}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_sampled_density_is_the_numpyro_models(name):
    spec = spec_of(*PROGRAMS[name][:2], **PROGRAMS[name][2])
    structure, data = spec.structure, spec.data
    q = np.random.default_rng(0).normal(scale=0.3, size=structure.dimension)

    @quickly
    def evaluate(q, data):
        values, _, jacobian = structure.transformed(q, data)
        joint = log_density(lambda: structure.model(data), (), {}, values)[0] + jacobian
        return *jax.value_and_grad(structure.potential)(q, data), joint

    with x64():
        potential, slope, joint = jax.device_get(evaluate(q, data))
    np.testing.assert_allclose(-float(potential), float(joint), rtol=1e-10)
    assert np.isfinite(slope).all()


def log_likelihood(spec, values):
    """(n,) at the parameters given."""
    with x64():
        return np.asarray(quickly(spec.structure.log_likelihood)(values, spec.data["design"], spec.data["y"]))


def test_the_likelihood_of_censored_rows():
    """Each kind of row against scipy, truncated from 0.1 to 20: brms's, but for the bounds of a censored row."""
    spec = spec_of("y | cens(c, y2) + trunc(0.1, 20) ~ 1", "lognormal")
    ours = log_likelihood(spec, {"Intercept": 0.8, "sigma": 0.6})
    d = stats.lognorm(0.6, scale=np.exp(0.8))
    whole = d.cdf(20) - d.cdf(0.1)
    exact = [
        d.cdf(1.2) - d.cdf(0.1),
        d.pdf(2.0),
        d.cdf(20) - d.cdf(3),
        d.cdf(3.5) - d.cdf(2.5),
        d.pdf(4),
        d.cdf(20) - d.cdf(0.7),
    ]
    np.testing.assert_allclose(ours, np.log(np.array(exact) / whole), rtol=1e-10)


def test_the_likelihood_of_censored_counts():
    spec = spec_of("k | rate(n) + cens(c, n) + trunc(ub = 30) ~ 1", "poisson", n=[4, 5, 6, 7, 8, 9])
    ours = log_likelihood(spec, {"Intercept": -0.5})
    d = stats.poisson(np.exp(-0.5) * np.arange(4, 10))
    k = np.array([0, 1, 2, 1, 3, 2])
    exact = [d.cdf(k)[0], d.pmf(k)[1], d.cdf(30)[2] - d.cdf(2)[2], d.cdf(7)[3] - d.cdf(1)[3]]
    exact += [d.pmf(k)[4], d.cdf(30)[5] - d.cdf(2)[5]]
    np.testing.assert_allclose(ours, np.log(exact) - np.log(d.cdf(30)), rtol=1e-9)


def test_a_bound_may_be_infinite_in_some_rows():
    family = FAMILIES["gaussian"]
    y, above = np.array([1.0, 2.5]), np.array([-np.inf, 0.5])

    def terms(mu):
        return density_with_additions(family, y, {"mu": mu, "eta": mu, "sigma": 2.0}, {"above": above})

    with jax.enable_x64(True):
        value, slope = quickly(lambda mu: (terms(mu), jax.jacobian(terms)(mu)))(0.8)
    whole = np.array([1.0, stats.norm.sf(0.5, 0.8, 2.0)])
    np.testing.assert_allclose(value, stats.norm.logpdf([1.0, 2.5], 0.8, 2.0) - np.log(whole), rtol=1e-6)
    assert np.isfinite(np.asarray(slope)).all()


def test_a_truncated_density_has_no_modes_of_rounding():
    """P(Y = y) / P(Y <= 12) = 1 / sum over k <= 12 of mu^(k - y) y! / k!. Logarithms of the two are as large as mu, and
    where 13 digits of them leave nothing of their difference, there is no density."""
    eta = np.array([-30.0, 0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 40.0, 100.0])
    y, k = np.array([[0.0], [7.0], [12.0]]), np.arange(13.0)[:, None, None]
    terms = (k - y) * eta + special.gammaln(y + 1) - special.gammaln(k + 1)
    expected = -special.logsumexp(terms, axis=0)
    y, eta = (np.broadcast_to(a, expected.shape).ravel() for a in (y, eta))
    with x64():
        p, extra = {"eta": eta, "mu": np.exp(eta)}, {"up_to": np.full(eta.size, 12.0)}
        found = np.asarray(quickly(partial(density_with_additions, FAMILIES["poisson"]))(y, p, extra))
    known = eta < 23
    error = np.abs(found - expected.ravel())[known]
    assert np.all(error < 1e-10 + 1e-12 * np.exp(eta[known]))
    assert np.all(found[~known] == -np.inf)


def test_responses_with_errors_are_integrated_over_the_true_ones():
    """The normal response's closed form, and Gauss-Hermite quadrature of another's against scipy."""
    from scipy.integrate import quad

    y, noise = np.array([1.0, 2.5]), np.array([0.4, 0.2])
    mu = np.array([0.5, 2.0])
    p = {"mu": mu, "sigma": 0.7, "eta": mu, "nu": 4.0}
    with jax.enable_x64(True):
        normal, student = (
            np.asarray(quickly(partial(log_measured, FAMILIES[family]))(y, p, {}, noise))
            for family in ("gaussian", "student")
        )
    np.testing.assert_allclose(normal, stats.norm.logpdf(y, p["mu"], np.sqrt(0.49 + np.array([0.16, 0.04]))))
    exact = [
        quad(
            lambda t, i=i, m=m: stats.t.pdf(t, 4, m, 0.7) * stats.norm.pdf([1.0, 2.5][i], t, [0.4, 0.2][i]),
            -9,
            9,
        )[0]
        for i, m in enumerate([0.5, 2.0])
    ]
    np.testing.assert_allclose(student, np.log(exact), rtol=1e-7)
