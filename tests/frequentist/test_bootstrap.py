"""Bootstraps: intervals against R's boot.ci, resampled pieces against dense algebra, runs against bootmlm."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.bootstrap import as_statistics, default_statistics
from bayesmlm.frequentist.bootstrap_intervals import interval
from bayesmlm.frequentist.fit import MixedFit
from bayesmlm.frequentist.resampling import (
    KINDS,
    Options,
    _marginal_roots,
    _with_covariance,
    leave_one_out,
    reflated_effects,
    resampler,
    standard_residuals,
)
from tests.support import reference

SLEEP = bm.load_dataset("sleepstudy").assign(half=np.arange(180) % 7, w=1.0 + np.arange(180) % 3)
QUIET = {"check_conv_singular": "ignore"}
SLOPE = bm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP, weights="w")
INTERCEPT = bm.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
CROSSED = bm.lmer("Reaction ~ Days + (1 | Subject) + (1 | half)", SLEEP, control=QUIET)


# -- intervals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["normal", "skewed", "few"])
@pytest.mark.parametrize("level", ["0.9", "0.95", "0.99"])
def test_intervals_of_boot_ci(case: str, level: str) -> None:
    expected = reference("boot_intervals")[case]
    t, influence = np.array(expected["t"]), np.array(expected["L"])
    for kind, ends in expected["ends"][level].items():
        low, high, _ = interval(expected["t0"], t, float(level), kind, influence)
        assert [low, high] == pytest.approx(ends, rel=1e-10), kind


def test_too_few_replicates_are_said() -> None:
    found = INTERCEPT.bootstrap(nsim=9, seed=1)
    with pytest.warns(bm.BayesmlmWarning, match="more replicates"):
        found.confint()


# -- what is resampled -------------------------------------------------------------------------------------------


def dense_parts(m: MixedFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z Lambda, the weights' inverse roots, and P with Var(P y) = P: everything whole, in units of sigma^2."""
    root = (m.getME("Z") @ m.getME("Lambda")).toarray()
    noise = np.diag(1.0 / m.getME("weights"))
    V = np.linalg.inv(root @ root.T + noise)
    VX = V @ m.design.X
    return root, noise, V - VX @ np.linalg.solve(m.design.X.T @ VX, VX.T)


@pytest.mark.parametrize("m", [SLOPE, INTERCEPT, CROSSED], ids=["slope", "intercept", "crossed"])
def test_reflated_effects_have_the_covariance(m: MixedFit) -> None:
    """b_hat = Lambda Lambda'Z'P y has covariance S; b' G^-1 b of the reflated is b_hat' S^-1 b_hat of the estimates."""
    root, _, P = dense_parts(m)
    Lambda = m.getME("Lambda").toarray()
    S = m.sigma**2 * Lambda @ root.T @ P @ root @ Lambda.T
    start = 0
    for term, b, new, T in zip(m.design.terms, m.b, reflated_effects(m), m.templates, strict=True):
        if not T.any():
            assert not new.any()
            continue
        for j in range(len(term.levels)):
            part = slice(start + j * term.size, start + (j + 1) * term.size)
            G = m.sigma**2 * T @ T.T
            assert new[j] @ np.linalg.solve(G, new[j]) == pytest.approx(
                b[j] @ np.linalg.solve(S[part, part], b[j])
            )
        start += term.count


@pytest.mark.parametrize("m", [SLOPE, CROSSED], ids=["slope", "crossed"])
def test_standard_residuals(m: MixedFit) -> None:
    _, noise, P = dense_parts(m)
    e = noise @ P @ m.design.y
    assert e == pytest.approx(m.residuals())
    assert standard_residuals(m) == pytest.approx(e / np.sqrt(np.diag(noise @ P @ noise)))


def test_effects_with_the_covariance_in_the_sample() -> None:
    G = SLOPE.sigma**2 * SLOPE.templates[0] @ SLOPE.templates[0].T
    assert np.cov(_with_covariance(SLOPE.b[0], G).T, bias=True) == pytest.approx(G)
    singular = np.outer([1.0, 2.0], [1.0, 2.0])
    assert np.cov(_with_covariance(SLOPE.b[0], singular).T, bias=True) == pytest.approx(singular)


def test_marginal_covariances() -> None:
    root, noise, _ = dense_parts(SLOPE)
    V = np.zeros((180, 180))
    for rows, half in _marginal_roots(SLOPE):
        assert len(rows) == 10
        V[np.ix_(rows, rows)] = half @ half.T
    np.testing.assert_allclose(V, root @ root.T + noise, atol=1e-12)


def test_random_effect_blocks() -> None:
    codes = INTERCEPT.design.terms[0].codes
    rest = INTERCEPT.design.y - INTERCEPT.predict(re_formula="NA")
    means = np.bincount(codes, rest) / 10
    within = [set(np.round(rest[codes == j] - means[j], 6)) for j in range(18)]
    drawn = KINDS["reb"](INTERCEPT, Options())(np.random.default_rng(1)) - INTERCEPT.predict(re_formula="NA")
    for j in range(18):
        block = drawn[codes == j]
        assert any(set(np.round(block - mean, 6)) <= givers for mean in means for givers in within)


def test_cases_are_fits_of_the_rows_drawn() -> None:
    draws = np.random.default_rng(3).integers(18, size=18)
    subjects = np.array(SLOPE.design.terms[0].levels)
    parts = [SLEEP[SLEEP["Subject"] == subjects[s]].assign(Subject=f"s{i}") for i, s in enumerate(draws)]
    expected = bm.lmer("Reaction ~ Days + (Days | Subject)", pd.concat(parts), weights="w")
    found = resampler(SLOPE, "case", Options())(np.random.default_rng(3))
    assert found.criterion == pytest.approx(expected.criterion, abs=1e-6)
    assert found.ngrps == {"Subject": 18}
    assert found.predict(re_formula="NA") == pytest.approx(found.design.X @ found.beta)


def test_nested_levels_go_with_their_cluster_and_crossed_ones_stay() -> None:
    pastes = bm.lmer("strength ~ 1 + (1 | batch/cask)", bm.load_dataset("Pastes"))
    for seed in range(3):
        found = resampler(pastes, "case", Options())(np.random.default_rng(seed))
        assert found.ngrps == {"cask:batch": 30, "batch": 10}
    with pytest.raises(bm.BayesmlmError, match='group="Subject"'):
        CROSSED.bootstrap(nsim=2, kind="case")
    found = resampler(CROSSED, "case", Options(group="Subject", lv1_resample=True))(np.random.default_rng(1))
    assert found.ngrps["Subject"] == 18
    assert found.ngrps["half"] == 7


def test_leaving_a_group_out() -> None:
    fits = leave_one_out(SLOPE, None)
    assert len(fits) == 18
    first, ratio = fits[0]
    rest = SLEEP[SLEEP["Subject"] != SLOPE.design.terms[0].levels[0]]
    expected = bm.lmer("Reaction ~ Days + (Days | Subject)", rest, weights="w")
    assert ratio == 18.0
    assert first.criterion == pytest.approx(expected.criterion, abs=1e-6)
    assert first.beta == pytest.approx(expected.beta, rel=1e-6)


# -- whole runs --------------------------------------------------------------------------------------------------


def course_statistics(m: MixedFit) -> list[float]:
    """What the courses bootstrap: coefficients, R2m, R2c, and the (co)variances in lme4's order."""
    G = m.sigma**2 * m.templates[0] @ m.templates[0].T
    Z = m.design.terms[0].Z
    fixed = float(np.var(m.design.X @ m.beta, ddof=1))
    effects, rest = float(np.einsum("nk,kl,nl->n", Z, G, Z).mean()), m.sigma**2
    total = fixed + effects + rest
    return [*m.beta, fixed / total, (fixed + effects) / total, G[0, 0], G[1, 1], G[0, 1], rest]


RUNS = {
    "boot_crlv_int_parametric": ("parametric", course_statistics),
    "boot_crlv_int_residual": ("residual", course_statistics),
    "boot_ran_slp_residual": ("residual", lambda m: course_statistics(m)[-4:]),
}


def run(name: str, nsim: int) -> tuple[Any, dict[str, Any], np.ndarray]:
    kind, fn = RUNS[name]
    expected = reference(name)
    m = bm.lmer(expected["formula"], bm.load_dataset("hsbsub"), control=QUIET)
    values = expected["values"]
    found = m.bootstrap(fn, nsim, kind, seed=1)
    # R's default optimiser leaves the covariance, which hardly matters here, 0.2 % away
    assert found.t0.to_numpy() == pytest.approx(values["t0"], rel=5e-3)
    assert not found.failures
    return found, values, np.array(values["se"])


def stopped_short(name: str) -> np.ndarray:
    """The variance of the slopes of the cross-level model: R's refits, which lme4 1.1-31 starts from the singular
    optimum, stop short. Of 60 simulated responses all agree with ours to 1e-4 when lmer() fits them afresh, with a
    mean variance of 0.48; those of refit() have 0.28."""
    return np.array([False, False, False, False] if "ran_slp" in name else [i == 8 for i in range(11)])


@pytest.mark.parametrize("name", ["boot_crlv_int_parametric", "boot_crlv_int_residual"])
def test_short_runs_as_bootmlm(name: str) -> None:
    found, values, se = run(name, 100)
    use = ~stopped_short(name)
    # Five Monte Carlo standard errors of means, and of standard deviations
    assert np.abs((found.bias - values["bias"]) / se)[use].max() < 5 * np.sqrt(1 / 100 + 1 / 1999)
    assert np.abs(np.log(found.std_error / se))[use].max() < 5 * np.sqrt(1.5 / 100)


@pytest.mark.validate
@pytest.mark.parametrize("name", RUNS)
def test_long_runs_as_bootmlm(name: str) -> None:
    found, values, se = run(name, 1999)
    ends, use = found.confint().to_numpy(), ~stopped_short(name)
    # An end has a Monte Carlo error of about 0.06 standard errors in each run: three of their difference
    assert np.abs((ends[:, 0] - values["perc_ci_lower"]) / se)[use].max() < 0.25
    assert np.abs((ends[:, 1] - values["perc_ci_upper"]) / se)[use].max() < 0.25


def test_replicates_are_repeatable() -> None:
    first = INTERCEPT.bootstrap(lambda m: m.fixef(), nsim=4, kind="residual", seed=5)
    again = INTERCEPT.bootstrap(lambda m: m.fixef(), nsim=2, kind="residual", seed=5)
    pd.testing.assert_frame_equal(first.t.head(2), again.t)
    other = INTERCEPT.bootstrap(lambda m: m.fixef(), nsim=2, kind="residual")
    assert not other.t.equals(again.t)
    repeated = INTERCEPT.bootstrap(lambda m: m.fixef(), nsim=2, kind="residual", seed=other.seed)
    assert repeated.t.equals(other.t)


@pytest.mark.parametrize("kind", [*KINDS, "case"])
def test_every_kind_runs_and_is_near(kind: str) -> None:
    found = INTERCEPT.bootstrap(lambda m: [*m.beta, m.sigma], nsim=25, kind=kind, seed=1)
    assert not found.failures
    assert (found.bias.abs() < 5 * found.std_error / 5 + 0.05 * found.t0).all()


def test_summary_and_print() -> None:
    found = INTERCEPT.bootstrap(nsim=30, seed=2)
    table = found.summary()
    assert list(table.columns) == ["original", "bias", "std. error"]
    assert list(table.index) == ["(Intercept)", "Days", "sd_(Intercept)|Subject", "sigma"]
    assert table["bias"].to_numpy() == pytest.approx(found.t.mean() - found.t0)
    assert found.bias_corrected.to_numpy() == pytest.approx(2 * found.t0 - found.t.mean())
    assert found.std_error.to_numpy() == pytest.approx(np.std(found.t.to_numpy(), axis=0, ddof=1))
    lines = str(found).splitlines()
    assert lines[1] == "PARAMETRIC BOOTSTRAP"
    assert lines[9].split() == ["original", "bias", "std.", "error"]
    assert found.plot("Days").axes[0].get_title(loc="left") == "Days"
    with pytest.raises(bm.BayesmlmError, match=r"`?parm='x'`? is no statistic"):
        found.confint(parm="x")


def test_bca_uses_the_groups() -> None:
    found = INTERCEPT.bootstrap(lambda m: {"sd": m.templates[0][0, 0] * m.sigma}, nsim=60, seed=3)
    assert found.influence.shape == (18, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, high = found.confint(kind="bca", level=0.8).iloc[0]
        plain = found.confint(level=0.8).iloc[0]
    assert low < found.t0["sd"] < high
    # The standard deviation is biased downwards, which bca corrects
    assert high > plain.iloc[1]


def test_default_statistics() -> None:
    m = bm.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    found = default_statistics(m)
    expected = reference("lmer_sleepstudy_slope_REML")["values"]
    assert list(found.index[2:]) == [
        "sd_(Intercept)|Subject",
        "sd_Days|Subject",
        "cor_Days.(Intercept)|Subject",
        "sigma",
    ]
    assert found["sigma"] == pytest.approx(expected["tight"]["sigma"], rel=1e-4)
    T = m.templates[0]
    assert found["cor_Days.(Intercept)|Subject"] == pytest.approx(T[1, 0] / np.hypot(*T[1]))


def test_failures_are_counted() -> None:
    calls = iter(range(100))

    def fails_twice(m: MixedFit) -> float:
        number = next(calls)
        if number in (2, 4):
            raise ValueError("no value here")
        return m.sigma

    with pytest.warns(bm.BayesmlmWarning, match=r"2/6\).*no value here"):
        found = INTERCEPT.bootstrap(fails_twice, nsim=6, seed=1)
    assert found.t["t1"].isna().tolist() == [False, True, False, True, False, False]
    assert np.isfinite(found.std_error["t1"])
    assert "2 of 6 refits failed: no value here" in str(found)

    def fails_later(m: MixedFit) -> float:
        if m is not INTERCEPT:
            raise ValueError("never")
        return 0.0

    with pytest.raises(bm.BayesmlmError, match="all 3 refits failed"):
        INTERCEPT.bootstrap(fails_later, nsim=3)


def test_correlation_of_an_effect_without_variance() -> None:
    def correlation(m: MixedFit) -> dict[str, float]:
        return {"sigma": m.sigma, "r": float("nan") if m is INTERCEPT else 0.0}

    found = INTERCEPT.bootstrap(correlation, nsim=50, seed=1)
    with pytest.warns(bm.BayesmlmWarning, match="no interval for r: it is not a number"):
        assert found.confint().loc["r"].isna().all()
    with pytest.raises(bm.BayesmlmError, match="not a number"):
        found.confint(parm="r")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (1.5, ["t1"]),
        (np.array([1.0, 2.0]), ["t1", "t2"]),
        ({"a": 1, "b": 2.0}, ["a", "b"]),
        (pd.Series([1.0], index=["x"]), ["x"]),
        (pd.DataFrame({"R2m": [0.1], "R2c": [0.2]}), ["R2m", "R2c"]),
    ],
    ids=["number", "array", "dict", "series", "row"],
)
def test_what_a_statistic_may_return(value: Any, names: list[str]) -> None:
    assert as_statistics(value)[0] == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "jackknife"}, "parametric, semiparametric, residual"),
        ({"nsim": 0}, "nsim=0"),
        ({"fn": lambda m: "text"}, "must return numbers"),
        ({"kind": "case", "group": "school"}, "no grouping factor"),
    ],
    ids=["kind", "nsim", "fn", "group"],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        INTERCEPT.bootstrap(**{"nsim": 2, **arguments})
    with pytest.raises(bm.BayesmlmError, match="one grouping factor"):
        CROSSED.bootstrap(nsim=2, kind="reb")
