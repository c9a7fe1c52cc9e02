"""Profiles and intervals of generalised models: held to lme4 and glmmTMB, to refits with offsets, to differences."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import bayesmlm as bm
from bayesmlm.frequentist.held import Held, held_correlation, held_deviation, plain
from bayesmlm.frequentist.held_generalised import held_generalised
from tests.support import reference

QUIET = {"check_conv_singular": "ignore", "check_conv_grad": "ignore"}
Z = 1.959963984540054
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@cache
def data(name: str) -> pd.DataFrame:
    if name == "epilepsy":
        return bm.load_dataset(name).assign(v=lambda d: d["visit"].astype(float) - 2.5)
    if name != "simulated":
        return bm.load_dataset(name)
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 8)
    x, z = rng.normal(size=96), (rng.random(96) < 0.3) * 1.0
    eta = 0.3 + x + rng.normal(size=12)[g]
    y = (rng.random(96) < 1 / (1 + np.exp(-eta))) * 1
    y[z == 1] = 1
    c = rng.poisson(np.exp(0.5 + 0.4 * x))
    w = np.where(rng.random(96) < 0.3, 0, rng.poisson(np.exp(1 + 0.4 * x + 0.4 * rng.normal(size=12)[g])))
    return pd.DataFrame({"g": g.astype(str), "x": x, "z": z, "y": y, "c": c, "w": w})


@cache
def fitted(formula: str, name: str, family: str, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bm.glmer(formula, data(name), family, control=QUIET, **arguments)


# -- against R ---------------------------------------------------------------------------------------------------

REFERENCES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "cbpp": (CBPP, "cbpp", "binomial", {}),
    "cbpp_quadrature": (CBPP, "cbpp", "binomial", {"nAGQ": 9}),
    "cbpp_probit": (CBPP, "cbpp", "binomial('probit')", {}),
    "epilepsy": ("count ~ zAge + zBase + (1 | patient)", "epilepsy", "poisson", {}),
    "epilepsy_slope": ("count ~ zAge + (1 + v | patient)", "epilepsy", "poisson", {}),
}


def compare(found: pd.DataFrame, expected: dict[str, Any], share: float) -> None:
    assert list(found.index) == expected["rownames"]
    lower, upper = (np.array(expected[side], dtype=float) for side in ("2.5 %", "97.5 %"))
    known = np.isfinite(lower) & np.isfinite(upper)
    values, width = found.to_numpy()[known], (upper - lower)[known]
    assert known.any()
    assert (np.abs(values[:, 0] - lower[known]) < share * width).all()
    assert (np.abs(values[:, 1] - upper[known]) < share * width).all()


@pytest.mark.parametrize("name", REFERENCES)
def test_profile_intervals_are_those_of_lme4(name: str) -> None:
    """lme4 reads its limits off splines through points 0.1 of zeta apart."""
    formula, frame, family, arguments = REFERENCES[name]
    compare(
        fitted(formula, frame, family, **arguments).confint(),
        reference("generalised_intervals")[name]["profile"],
        1e-3,
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_wald_intervals_are_those_of_lme4(name: str) -> None:
    """lme4's Hessian is made of differences of the deviance."""
    formula, frame, family, arguments = REFERENCES[name]
    table = fitted(formula, frame, family, **arguments).confint("Wald")
    expected = reference("generalised_intervals")[name]["wald"]
    compare(table, expected, 1e-3)
    assert table.isna().sum().sum() == sum(x is None for x in expected["2.5 %"]) * 2


def test_wald_intervals_where_the_dispersion_is_plugged_in() -> None:
    d = bm.load_dataset("sleepstudy")
    m = bm.glmer("Reaction ~ Days + (1 | Subject)", d.assign(Days=d["Days"] / 10), "Gamma('log')")
    expected = reference("generalised_intervals")["gamma"]
    assert m.logLik() == pytest.approx(expected["logLik"], abs=1e-4)
    compare(m.confint("wald"), expected["wald"], 1e-3)
    with pytest.raises(bm.BayesmlmError, match='laplace="observed"'):
        m.profile()


@pytest.mark.parametrize(("name", "family"), [("zip", "zero_inflated_poisson"), ("nb", "negbinomial")])
def test_profile_intervals_are_those_of_glmmTMB(name: str, family: str) -> None:  # noqa: N802
    """glmmTMB has zi on the scale of its link, and joins points a quarter of a standard error apart."""
    m = fitted("count ~ zAge + (1 | patient)", "epilepsy", family, laplace="observed")
    expected = reference("generalised_intervals")[name]
    limits = np.array([expected["2.5 %"], expected["97.5 %"]]).T
    table = m.confint(parm="beta_").iloc[: len(limits)]
    assert list(table.index) == ["(Intercept)", "zAge", "zi"][: len(limits)]
    found = table.to_numpy().copy()
    found[2:] = np.log(found[2:] / (1 - found[2:]))
    assert (np.abs(found - limits) < 5e-3 * np.diff(limits)).all()


# -- against definitions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whole", "rest", "column", "frame", "family"),
    [
        ("y ~ x + z + (1 | g)", "y ~ z + (1 | g)", "x", "simulated", "bernoulli"),
        ("y ~ x + (x | g)", "y ~ 1 + (x | g)", "x", "simulated", "bernoulli"),
        ("w ~ x + (1 | g)", "w ~ 1 + (1 | g)", "x", "simulated", "zero_inflated_poisson"),
        (
            "count ~ zAge + zBase + (1 | patient)",
            "count ~ zAge + (1 | patient)",
            "zBase",
            "epilepsy",
            "negbinomial",
        ),
    ],
)
def test_limits_of_coefficients_are_where_refits_say(
    whole: str, rest: str, column: str, frame: str, family: str
) -> None:
    m, d = fitted(whole, frame, family), data(frame)
    for limit in m.confint(parm=column).loc[column]:
        held = bm.glmer(rest, d, family, control=QUIET, offset=limit * d[column].to_numpy())
        assert np.sqrt(held.criterion - m.criterion) == pytest.approx(Z, abs=1e-4)


def test_limits_of_a_constant_are_where_refits_say() -> None:
    m = fitted("count ~ zAge + zBase + (1 | patient)", "epilepsy", "negbinomial")
    for limit in m.confint(parm="shape").loc["shape"]:
        formula = bm.bf("count ~ zAge + zBase + (1 | patient)", shape=float(limit))
        held = bm.glmer(formula, data("epilepsy"), "negbinomial")
        assert np.sqrt(held.criterion - m.criterion) == pytest.approx(Z, abs=1e-4)


def test_limits_of_deviations_are_where_brute_force_says() -> None:
    m = fitted("y ~ x + (x | g)", "simulated", "bernoulli")
    table = m.confint(parm="theta_")
    assert table.loc[".sig02"].tolist() == [-1.0, 1.0]
    assert (table.loc[[".sig01", ".sig03"], "2.5 %"] == 0.0).all()

    def first(p: Any) -> float:
        return float(m.evaluation_at([table.loc[".sig01", "97.5 %"], p[0], p[1]], p[2:]).criterion)

    def second(p: Any) -> float:
        sd = table.loc[".sig03", "97.5 %"]
        return float(m.evaluation_at([p[0], sd * np.sin(p[1]), sd * np.cos(p[1])], p[2:]).criterion)

    for criterion in (first, second):
        begins = [[a, b, *m.beta] for a, b in ((0.5, 0.5), (1.0, 0.1), (1.5, -0.5))]
        best = min(minimize(criterion, begin, method="BFGS", options={"gtol": 1e-5}).fun for begin in begins)
        assert np.sqrt(best - m.criterion) == pytest.approx(Z, abs=1e-4)


STRUCTURES = [
    ("y ~ x + (x | g)", "bernoulli", 1),
    ("y ~ x + (1 | g) + (0 + x | g)", "bernoulli", 9),
    ("c ~ x + diag(x | g)", "poisson", 1),
    ("c ~ x + cs(x + z | g)", "poisson", 1),
    ("y ~ x + (1 | g)", "bernoulli", 9),
]


@pytest.mark.parametrize(("formula", "family", "nodes"), STRUCTURES)
def test_derivatives(formula: str, family: str, nodes: int) -> None:
    """By the held value and by everything that is free, standard deviations and correlations both."""
    m = fitted(
        formula, "simulated", family, nAGQ=nodes if "(1 | g)" in formula and "0 +" not in formula else 1
    )
    problem = m.problem
    here = m.optimum.parameters.copy()
    here[: problem.covariance_count] = problem.inside(here[: problem.covariance_count])
    first = problem.covariances[0]
    wanted = [(Held("beta", plain(problem), column=1), 0.8)]
    wanted.append((held_deviation(problem, 0, 0 if first.tag == "cs" else first.size - 1), 0.7))
    if first.tag != "diag" and first.size > 1:
        pair = (0, first.size - 1) if first.tag == "us" else ()
        wanted.append((held_correlation(problem, 0, *pair), 0.3))
    for held, value in wanted:
        model = held_generalised(problem, held, here, m.metric)
        x = 1.1 * model.start + 0.02
        state, h = model.evaluate(value, x), 1e-5

        def at(v: float, free: Any, model: Any = model) -> float:
            return float(model.evaluate(v, free).deviance)

        numeric = [(at(value, x + h * e) - at(value, x - h * e)) / (2 * h) for e in np.eye(len(x))]
        np.testing.assert_allclose(state.gradient, numeric, rtol=1e-5, atol=1e-4, err_msg=held.kind)
        slope = (at(value + h, x) - at(value - h, x)) / (2 * h)
        assert state.slope == pytest.approx(slope, rel=1e-5, abs=1e-4)
        if held.kind == "beta":
            assert problem.unrotated(state.coefficients)[1] == pytest.approx(value, abs=1e-12)


# -- parameters, bounds and words --------------------------------------------------------------------------------


def test_parts_and_names() -> None:
    formula = bm.bf("w ~ x + (1 | g)", "zi ~ x + (1 | g)")
    m = bm.glmer(formula, data("simulated"), "zero_inflated_poisson", control=QUIET)
    wald = m.confint("wald")
    assert list(wald.index) == [".sig01", ".sig02", "(Intercept)", "x", "zi_Intercept", "zi_x"]
    half = Z * np.sqrt(np.diag(m.covariance_all))
    np.testing.assert_allclose(wald.to_numpy()[2:, 1], m.beta_all + half, rtol=1e-8)
    assert list(m.confint("wald", parts="zi").index) == [".sig02", "zi_Intercept", "zi_x"]
    assert m.confint("wald", parts="zi", old_names=False).index[0] == "sd_zi_(Intercept)|g"
    assert list(m.confint("wald", parts=["mu"], parm="beta_").index) == ["(Intercept)", "x"]
    profile = m.profile("zi_x")
    assert np.diff(m.confint(parm="zi_x").loc["zi_x"]) == pytest.approx(2 * half[3], rel=0.1)
    frame = profile.to_frame()
    assert list(frame.columns) == [".zeta", *wald.index, ".par", ".focal"]
    centre = frame[frame[".zeta"] == 0.0].iloc[0]
    np.testing.assert_allclose(centre[["(Intercept)", "x", "zi_Intercept", "zi_x"]].astype(float), m.beta_all)
    np.testing.assert_allclose(frame["zi_x"], frame[".focal"], atol=1e-12)
    with pytest.raises(bm.BayesmlmError, match="the model estimates no `shape`"):
        m.confint("wald", parts="shape")


def test_a_constant_is_reported_on_its_own_scale() -> None:
    m = fitted("w ~ x + (1 | g)", "simulated", "zero_inflated_poisson")
    zi, at = m.constants["zi"], m.part_slices["zi"].start
    low, high = m.confint("wald", parm="zi").loc["zi"]
    assert low < zi < high
    logit = [np.log(p / (1 - p)) for p in (low, zi, high)]
    np.testing.assert_allclose(np.diff(logit), Z * np.sqrt(m.covariance_all[at, at]), rtol=1e-8)
    frame = m.profile("zi").to_frame()
    np.testing.assert_allclose(frame["zi"], frame[".focal"], atol=1e-12)
    assert (np.diff(frame["zi"]) > 0).all()


def test_limits_at_bounds() -> None:
    """Counts without any variation between groups, overdispersion or excess of zeros."""
    m = fitted("c ~ x + (x | g)", "simulated", "poisson")
    table = m.confint(parm="theta_")
    assert m.is_singular
    assert table.loc[".sig01", "2.5 %"] == 0.0
    assert table.loc[".sig02"].tolist() == [-1.0, 1.0]
    assert "the data do not rule out -1 or 1" in str(table)
    zi = fitted("c ~ x + (1 | g)", "simulated", "zero_inflated_poisson").confint(parm="zi")
    assert zi.loc["zi", "2.5 %"] == 0.0
    assert "zi: the data do not rule out 0, where its range ends" in str(zi)
    shape = fitted("c ~ x + (1 | g)", "simulated", "negbinomial").confint(parm="shape")
    assert shape.loc["shape", "97.5 %"] == np.inf
    assert 1.0 < shape.loc["shape", "2.5 %"] < 100.0


def test_a_coefficient_without_a_finite_limit() -> None:
    """z = 1 only where y = 1: the likelihood rises for ever. Its lower limit is that of refits."""
    m, d = fitted("y ~ x + z + (1 | g)", "simulated", "bernoulli"), data("simulated")
    table = m.confint(parm="z")
    low, high = table.loc["z"]
    assert np.isnan(high)
    assert "z: there is no finite upper limit" in str(table)
    held = bm.glmer("y ~ x + (1 | g)", d, "bernoulli", control=QUIET, offset=low * d["z"].to_numpy())
    assert np.sqrt(held.criterion - m.criterion) == pytest.approx(Z, abs=1e-3)
    assert m.profile("z").plot()._repr_png_().startswith(b"\x89PNG")


def test_a_fit_that_is_no_optimum_is_found_out() -> None:
    m = fitted("w ~ x + (1 | g)", "simulated", "poisson")
    away = m.optimum.parameters * 1.2
    wrong = replace(m, optimum=replace(m.optimum, parameters=away, evaluation=m.problem.evaluate(away)))
    with pytest.warns(bm.BayesmlmWarning, match="profiling x found a deviance lower by .* had not converged"):
        table = wrong.confint(parm="x")
    assert np.isnan(table.loc["x", "2.5 %"])
    assert "x: no lower limit was found" in str(table)


def test_pictures() -> None:
    profile = fitted("c ~ x + (1 | g)", "simulated", "negbinomial").profile()
    for kind in ("zeta", "abs", "density"):
        figure = profile.plot(kind)
        assert [ax.get_title(loc="left") for ax in figure.axes][:4] == [".sig01", "(Intercept)", "x", "shape"]
    assert "Profile of c ~ x + (1 | g): .sig01, (Intercept), x, shape" in repr(profile)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.confint("x"), 'method is "profile", "wald" or "boot"'),
        (lambda m: m.confint(parm="q"), "the model has no parameter 'q'; it has .sig01, (Intercept), x"),
        (lambda m: m.confint(level=95), "level=95 must lie between 0 and 1"),
        (lambda m: m.confint(cores=2), "has no argument 'cores'"),
        (lambda m: m.profile(alphamax=0), "alphamax=0 must lie between 0 and 1"),
        (lambda m: m.update(nAGQ=0).confint(), "fit with nAGQ=1"),
    ],
    ids=["method", "parameter", "level", "argument", "alphamax", "joint"],
)
def test_errors_in_words(call: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        call(fitted("c ~ x + (1 | g)", "simulated", "poisson"))
    assert words in str(caught.value)
