"""Satterthwaite's method: R's values, closed forms, and what it says of fits that determine too little."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f, norm, t

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning
from bayesmlm.frequentist.fit import MixedFit
from tests.frequentist.fixed_references import MODELS, QUIET, agree, fitted, small_data, table
from tests.support import reference


@pytest.mark.parametrize("name", MODELS)
def test_tables_of_coefficients_are_lmertests(name: str) -> None:
    # lmerTest differentiates numerically at lme4's default optimum, which is about 1e-4 from the exact one in theta
    expected = table(reference(name)["values"]["satterthwaite_coef"])
    found = fitted(name).coef_table()
    agree(found[["df"]], expected[["df"]], df=1e-3)
    agree(found.drop(columns=["df", "Pr(>|t|)"]), expected[["Estimate", "Std. Error", "t value"]], rest=1e-3)
    p = 2.0 * t.sf(np.abs(found["t value"]), found["df"])
    np.testing.assert_allclose(found["Pr(>|t|)"], p, rtol=1e-10)


def test_a_balanced_design_has_its_analysis_of_variance() -> None:
    """Dyestuff: 6 batches of 5; the mean has 5 degrees of freedom. A split plot has those of its two strata."""
    data = bm.load_dataset("Dyestuff")
    found = bm.lmer("Yield ~ 1 + (1 | Batch)", data).coef_table()
    means = data.groupby("Batch", observed=True)["Yield"].mean()
    assert found["df"].iloc[0] == pytest.approx(5.0, rel=1e-6)
    assert found["Std. Error"].iloc[0] == pytest.approx(means.std() / np.sqrt(6.0), rel=1e-8)
    tests = fitted("lmer_cake_interaction").anova()
    assert tests["DenDF"].to_numpy() == pytest.approx([42.0, 210.0, 210.0], rel=1e-6)


def test_degrees_of_freedom_do_not_depend_on_units() -> None:
    data = small_data()
    m = bm.lmer("y ~ a * x + (x | g) + (1 | h)", data)
    moved = bm.lmer("z ~ a * v + (v | g) + (1 | h)", data.assign(z=1e6 * data.y, v=data.x / 1e7))
    np.testing.assert_allclose(moved.coef_table()["df"], m.coef_table()["df"], rtol=1e-4)


def test_other_degrees_of_freedom() -> None:
    m = fitted("lmer_sleepstudy_slope_REML")
    assert (m.coef_table("residual")["df"] == 178.0).all()
    normal = m.coef_table("asymptotic")
    assert np.isinf(normal["df"]).all()
    np.testing.assert_allclose(normal["Pr(>|t|)"], 2.0 * norm.sf(np.abs(normal["t value"])), rtol=1e-8)
    assert list(m.coef_table("lme4").columns) == ["Estimate", "Std. Error", "t value"]
    wald = m.contest(np.eye(2), ddf="residual")
    chi2 = m.beta @ np.linalg.solve(m.covariance, m.beta)
    assert wald["F value"].iloc[0] == pytest.approx(chi2 / 2.0)
    assert wald["Pr(>F)"].iloc[0] == pytest.approx(f.sf(chi2 / 2.0, 2, 178))
    with pytest.raises(BayesmlmError, match="kenward-roger"):
        m.coef_table("welch")


def test_parameters_the_data_say_nothing_about_are_left_out_with_a_warning() -> None:
    """The same factor twice: only the sum of the two variances is determined; the mean keeps its 5 df."""
    data = bm.load_dataset("Dyestuff").assign(twin=lambda d: d.Batch)
    m = bm.lmer("Yield ~ 1 + (1 | Batch) + (1 | twin)", data, control=QUIET)
    with pytest.warns(BayesmlmWarning, match="not determined"):
        found = m.coef_table()
    assert found["df"].iloc[0] == pytest.approx(5.0, rel=1e-3)


def test_singular_fits_are_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("lmer_Dyestuff2_singular", "seed000_crlv_int_REML"):
            bm.lmer(
                reference(name)["formula"], bm.load_dataset(reference(name)["data"][:-4]), control=QUIET
            ).coef_table()


def test_a_correlation_at_its_limit_is_taken_as_known() -> None:
    """Effects that are the same for all levels of b: cs() is then a plain intercept."""
    limit = bm.lmer("y ~ x + cs(0 + b | g, hom = TRUE)", small_data(), control=QUIET)
    plain = bm.lmer("y ~ x + (1 | g)", small_data())
    assert limit.parameters[-1] > 0.999
    np.testing.assert_allclose(limit.coef_table()["df"], plain.coef_table()["df"], rtol=1e-3)


def dense_degrees(m: MixedFit, start: np.ndarray, V: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Degrees of freedom of all coefficients from the restricted likelihood of all observations, differentiated
    numerically at ``start``; ``V``: covariance of the response (n, n) for parameters."""
    X, y = m.design.X, m.design.y

    def vcov(parameters: np.ndarray) -> np.ndarray:
        return np.linalg.inv(X.T @ np.linalg.solve(V(parameters), X))

    def deviance(parameters: np.ndarray) -> float:
        inverse = np.linalg.inv(V(parameters))
        rest = y - X @ vcov(parameters) @ X.T @ inverse @ y
        return float(
            -np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(vcov(parameters))[1] + rest @ inverse @ rest
        )

    h = 1e-3 * np.eye(len(start)) * np.abs(start)
    second = [
        [
            sum(i * j * deviance(start + i * a + j * b) for i in (1, -1) for j in (1, -1))
            / (4 * a.sum() * b.sum())
            for a in h
        ]
        for b in h
    ]
    spread = 2.0 * np.linalg.inv(second)
    slopes = np.array([np.diag(vcov(start + a) - vcov(start - a)) / (2 * a.sum()) for a in h])
    return 2.0 * np.diag(vcov(start)) ** 2 / np.einsum("rp,rs,sp->p", slopes, spread, slopes)


@pytest.mark.parametrize("tag", ["ar1", "cs"])
def test_structured_covariances_by_all_observations(tag: str) -> None:
    data = small_data()
    shift = np.random.default_rng(3).normal(size=(9, 3)) @ np.array([[1.0, 0.6, 0.3], [0, 1, 0.5], [0, 0, 1]])
    data = data.assign(y=data.y + shift[data.g.astype(int) - 1, data.b.astype(int) - 1])
    m = bm.lmer(f"y ~ x + a + {tag}(0 + b | g, hom = TRUE)", data, weights="w")
    group, level = data.g.to_numpy(), data.b.astype(int).to_numpy()
    together = group[:, None] == group[None, :]
    distance = np.abs(level[:, None] - level[None, :])
    power = distance if tag == "ar1" else (distance > 0).astype(int)

    def V(parameters: np.ndarray) -> np.ndarray:  # noqa: N802
        sd, rho, sigma = parameters
        return together * sd**2 * rho**power + np.diag(sigma**2 / data.w)

    found = m.VarCorr()
    start = np.array([found["sdcor"].iloc[0], m.parameters[-1], m.sigma])
    # differences of a likelihood: four digits
    np.testing.assert_allclose(m.coef_table()["df"], dense_degrees(m, start, V), rtol=1e-3)


CONTRASTS = reference("fixed_tests")["contrasts"]


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("joint", {"rhs": CONTRASTS["rhs"]}),
        ("joint_kr", {"rhs": CONTRASTS["rhs"], "ddf": "Kenward-Roger"}),
        ("each", {"joint": False}),
        ("each_kr", {"joint": False, "ddf": "kr", "level": 0.9}),
    ],
)
def test_contrasts_are_lmertests(key: str, arguments: dict) -> None:
    m = bm.lmer(CONTRASTS["formula"], small_data())
    # R's optimum is 1e-6 away; p values in the far tail move more than F
    agree(m.contest(CONTRASTS["L"], **arguments), table(CONTRASTS[key]), rest=1e-4)


def test_contrasts_by_name_are_those_by_place() -> None:
    m = bm.lmer(CONTRASTS["formula"], small_data())
    by_place = m.contest(CONTRASTS["L"], joint=False)
    rows = [{"a2": 1, "a3": -1}, {"a2:x": 1, "a3:x": 0.5}]
    pd.testing.assert_frame_equal(m.contest(rows, joint=False), by_place)
    named = m.contest(pd.DataFrame(rows, index=["first", "second"]), joint=False)
    assert list(named.index) == ["first", "second"]
    np.testing.assert_array_equal(named, by_place)
    one = m.contest({"a2": 1, "a3": -1}, rhs=-1.0)
    each = m.contest({"a2": 1, "a3": -1}, rhs=-1.0, joint=False)
    assert one["F value"].iloc[0] == pytest.approx(each["t value"].iloc[0] ** 2)
    assert one["DenDF"].iloc[0] == pytest.approx(each["df"].iloc[0])


@pytest.mark.parametrize(
    ("L", "arguments", "words"),
    [
        ({"b2": 1}, {}, "no coefficient is called `b2`"),
        ([[1.0, 2.0]], {}, "6 in each row"),
        (np.zeros((1, 6)), {}, "nothing to test"),
        ({"a2": 1}, {"rhs": [1, 2]}, "rhs must be one number"),
        ([{"a2": 1}, {"a2": 2}], {"rhs": [1, 1]}, "no coefficients satisfy"),
        ({"a2": 1}, {"joint": False, "level": 95}, "between 0 and 1"),
    ],
    ids=["name", "shape", "zero", "rhs", "contradiction", "level"],
)
def test_contrasts_that_do_not_fit_are_refused(L: object, arguments: dict, words: str) -> None:
    m = bm.lmer(CONTRASTS["formula"], small_data())
    with pytest.raises(BayesmlmError, match=words):
        m.contest(L, **arguments)


def test_restrictions_between_models_are_pbkrtests() -> None:
    m, small = (bm.lmer(CONTRASTS[key], small_data()) for key in ("formula", "small"))
    agree(m.kr_modcomp(small), table(CONTRASTS["KRmodcomp"]), rest=1e-4)
    agree(m.kr_modcomp(CONTRASTS["L"]), table(CONTRASTS["KRmodcomp_L"]), rest=1e-4)
    found, expected = m.sat_modcomp(". ~ x + (x | g) + (1 | h)").iloc[0], CONTRASTS["SATmodcomp"]
    assert found["statistic"] == pytest.approx(expected["statistic"], rel=1e-5)
    # the degrees of freedom of several contrasts depend on their basis, which is arbitrary here
    assert found["ddf"] == pytest.approx(expected["ddf"], rel=1e-3)
    pd.testing.assert_frame_equal(small.kr_modcomp(m), m.kr_modcomp(small))
    with pytest.raises(BayesmlmError, match="not nested"):
        m.kr_modcomp(bm.lmer("y ~ b + (1 | g)", small_data()))
    with pytest.raises(BayesmlmError, match="different data"):
        m.kr_modcomp(bm.lmer(CONTRASTS["small"], small_data().head(80), control=QUIET))
    with pytest.raises(BayesmlmError, match="equally many"):
        m.kr_modcomp(m)


def test_a_contrast_with_a_right_hand_side_is_lmertests() -> None:
    expected = reference("lmer_sleepstudy_slope_REML")["values"]["contest1D_Days_minus_10"]
    found = fitted("lmer_sleepstudy_slope_REML").contest({"Days": 1}, joint=False, rhs=10.0, confint=False)
    for column in found:
        assert found[column].iloc[0] == pytest.approx(np.atleast_1d(expected[column])[0], rel=1e-4)
