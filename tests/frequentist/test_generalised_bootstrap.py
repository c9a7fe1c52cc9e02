"""Bootstraps of generalised models: against lme4's bootMer, what is drawn and counted, and tests by simulation."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.generalised_resampling import default_statistics
from bayesmlm.frequentist.resampling import KINDS
from tests.support import reference

QUIET = {"check_conv_singular": "ignore", "check_conv_grad": "ignore"}
CBPP = bm.load_dataset("cbpp")
EPILEPSY = bm.load_dataset("epilepsy")


@cache
def herds(right: str = "period") -> Any:
    return bm.glmer(f"cbind(incidence, size - incidence) ~ {right} + (1 | herd)", CBPP, "binomial")


def compared(nsim: int, share: float) -> None:
    """Ends of percentile intervals, means and standard deviations of lme4's 500 replicates, which have a Monte Carlo
    error of their own; ``share``: of the standard deviation that an end may be off."""
    expected = reference("generalised_intervals")["bootstrap"]
    sd = np.array(expected["sd"])
    found = herds().bootstrap(lambda m: [*m.theta, *m.beta], nsim=nsim, seed=11)
    np.testing.assert_allclose(found.t0, expected["t0"], atol=1e-4)
    assert not found.failures
    error = 5 * np.sqrt(1 / nsim + 1 / 500)
    assert (np.abs(found.t.mean().to_numpy() - expected["mean"]) < error * sd).all()
    # sd / sqrt(2 n) for normal replicates; heavier tails make it up to twice that
    assert (np.abs(np.log(found.std_error.to_numpy() / sd)) < 1.5 * error).all()
    ends = found.confint().to_numpy()
    perc = np.array([expected["perc"][side] for side in ("2.5 %", "97.5 %")]).T
    assert (np.abs(ends - perc) < share * sd[:, None]).all()


def test_short_run_as_lme4() -> None:
    """The quantile at 2.5 % has a standard error of about 2.7 sd / sqrt(n): here 0.19 and 0.12, together 0.22."""
    compared(200, 4 * 0.22)


@pytest.mark.validate
def test_long_run_as_lme4() -> None:
    compared(2000, 4 * np.hypot(0.06, 0.12))


def test_replicates_are_refits_of_simulated_responses() -> None:
    m = herds()
    found = m.bootstrap(lambda g: g.fixef(), nsim=3, seed=4)
    drawn = m.simulate(3, seed=4).to_numpy().T
    for row, y in zip(found.t.to_numpy(), drawn, strict=True):
        np.testing.assert_allclose(row, m.refit(y).beta, rtol=1e-8)
    again = m.bootstrap(lambda g: g.fixef(), nsim=2, seed=4)
    pd.testing.assert_frame_equal(again.t, found.t.head(2))
    kept = m.bootstrap(lambda g: g.fixef(), nsim=25, seed=4, use_u=True)
    assert kept.std_error["(Intercept)"] < 0.9 * m.bootstrap(nsim=25, seed=4).std_error["(Intercept)"]


def test_default_statistics() -> None:
    formula = bm.bf("count ~ zAge + (1 | patient)", "shape ~ Trt")
    m = bm.glmer(formula, EPILEPSY, "negbinomial")
    found = default_statistics(m)
    names = ["(Intercept)", "zAge", "shape_Intercept", "shape_Trt1", "sd_(Intercept)|patient"]
    assert list(found.index) == names
    np.testing.assert_allclose(found, [*m.beta_all, m.theta[0]])
    constant = bm.glmer("count ~ zAge + (1 | patient)", EPILEPSY, "negbinomial")
    assert default_statistics(constant)["shape"] == pytest.approx(constant.constants["shape"])
    d = bm.load_dataset("sleepstudy")
    scaled = bm.glmer("Reaction ~ I(Days / 10) + (1 | Subject)", d, "Gamma('log')")
    values = default_statistics(scaled)
    assert values["sigma"] == scaled.sigma
    assert values["sd_(Intercept)|Subject"] == pytest.approx(scaled.sigma * scaled.theta[0])


@pytest.mark.parametrize("rows", [False, True])
def test_cases(rows: bool) -> None:
    found = herds().bootstrap(nsim=20, seed=2, kind="case", lv1_resample=rows)
    assert list(found.t.columns) == [*herds().design.coefficients, "sd_(Intercept)|herd"]
    assert (found.bias.abs() < 5 * found.std_error).all()
    assert "ORDINARY NONPARAMETRIC BOOTSTRAP" in str(found)


def test_bca_uses_the_groups() -> None:
    found = herds().bootstrap(lambda m: {"sd": m.theta[0]}, nsim=60, seed=3)
    assert found.influence.shape == (15, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, high = found.confint(kind="bca", level=0.8).iloc[0]
    assert low < found.t0["sd"] < high


def test_intervals_of_confint_are_those_of_the_bootstrap() -> None:
    m = herds()
    table = m.confint("boot", nsim=25, seed=3, old_names=False, level=0.8)
    found = m.bootstrap(nsim=25, seed=3).confint(level=0.8)
    assert list(table.index) == ["sd_(Intercept)|herd", *m.design.coefficients]
    np.testing.assert_allclose(table.loc[found.index], found, rtol=1e-10)
    assert list(m.confint("boot", nsim=10, seed=3, parm=".sig01", boot_type="norm").index) == [".sig01"]


def test_failed_and_singular_refits_are_counted() -> None:
    """With one success in 30 trials on average, many simulated responses have none at all."""
    d = pd.DataFrame({"g": np.repeat(np.arange(6), 5).astype(str), "y": np.zeros(30)})
    d.loc[7, "y"] = 1.0
    m = bm.glmer("y ~ 1 + (1 | g)", d, "bernoulli", control=QUIET)
    lost = int((m.simulate(30, seed=1).sum() == 0).sum())
    assert 0 < lost < 30
    with pytest.warns(bm.BayesmlmWarning, match=rf"\({lost}/30\).*every trial is a failure"):
        found = m.bootstrap(nsim=30, seed=1)
    assert len(found.failures) == lost
    assert found.t["(Intercept)"].isna().sum() == lost
    assert found.singular > 0
    assert "refits are singular" in str(found)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "parametric"])
def test_bootstraps_of_residuals_are_refused(kind: str) -> None:
    with pytest.raises(bm.BayesmlmError, match="is for linear mixed models"):
        herds().bootstrap(nsim=2, kind=kind)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(bm.BayesmlmError, match="there are parametric, case"):
        herds().bootstrap(nsim=2, kind="jackknife")
    with pytest.raises(bm.BayesmlmError, match="no grouping factor"):
        herds().bootstrap(nsim=2, kind="case", group="farm")


# -- tests by simulation -----------------------------------------------------------------------------------------


def test_simulated_ratios() -> None:
    larger, smaller = herds(), herds("1")
    test = larger.pb_modcomp(smaller, nsim=20, seed=5)
    assert test.statistic == pytest.approx(smaller.criterion - larger.criterion)
    assert test.df == 3
    drawn = smaller.simulate(20, seed=5).to_numpy().T
    expected = [smaller.refit(y).criterion - larger.refit(y).criterion for y in drawn]
    np.testing.assert_allclose(test.simulated, expected, atol=1e-7)
    assert test.p_value == (1 + test.extremes) / (1 + len(test.used))
    assert bm.PBmodcomp(larger, smaller, nsim=5, seed=5).df == 3
    assert "large : cbind(incidence, size - incidence) ~ period + (1 | herd)" in repr(test)


def test_a_simulated_test_is_right_where_chi_square_is_not() -> None:
    """The null distribution of a variance against zero is half at zero."""
    d = CBPP.assign(obs=np.arange(len(CBPP)).astype(str))
    larger = bm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd) + (1 | obs)", d, "binomial")
    test = larger.pb_modcomp(herds(), nsim=30, seed=1)
    zero = int((test.simulated == 0.0).sum())
    # Binomial(30, 1/2) is in 7 to 23 with probability 0.997
    assert 7 <= zero <= 23


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: herds().pb_modcomp(3), "must be a result of glmer()"),
        (lambda: herds("1").pb_modcomp(herds()), "write larger.pb_modcomp(smaller)"),
        (lambda: herds().pb_modcomp(herds("1"), nsim=0), "nsim=0"),
        (lambda: herds().pb_modcomp(herds("1").update(nAGQ=5)), "nAGQ"),
    ],
)
def test_what_cannot_be_compared_is_said(call: Any, words: str) -> None:
    with pytest.raises(bm.BayesmlmError) as caught:
        call()
    assert words in str(caught.value)
