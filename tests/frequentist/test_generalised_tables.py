"""Coefficients, covariances, group effects and parts of generalised fits: lme4's and glmmTMB's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError

from .generalised_models import GLMMTMB, LME4, NAMES, columns, data, fitted, fitted_parts

# R's optimiser stops about 1e-4 standard errors from the optimum; its Hessian is made of differences.
IN_SE, SE = 2e-4, 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_and_criteria(name: str) -> None:
    m, spec = fitted(name), LME4[name]
    table, theirs = m.coef_table(), columns(spec["coefficients"])
    assert list(table.index) == list(theirs.pop("rownames"))
    assert list(table.columns) == list(theirs.columns)
    se = theirs["Std. Error"].to_numpy()
    assert (np.abs(table["Estimate"].to_numpy() - theirs["Estimate"]) < IN_SE * se).all()
    np.testing.assert_allclose(table["Std. Error"], se, rtol=SE)
    ratio = str(theirs.columns[2])
    assert ratio == ("t value" if "Gamma" in spec["family"] else "z value")
    np.testing.assert_allclose(table[ratio], theirs[ratio], rtol=SE, atol=IN_SE)
    p, their_p = table["Pr(>|z|)"].to_numpy(), theirs["Pr(>|z|)"].to_numpy()
    moved = theirs[ratio].to_numpy() ** 2 * SE + SE  # the logarithm of p moves by about |z| dz
    there = their_p > 1e-300
    assert (np.abs(np.log(p[there] / their_p[there])) < moved[there]).all()
    if name != "cbpp_nAGQ9":
        assert m.logLik() == pytest.approx(spec["logLik"], abs=1e-5)
    assert m.npar == spec["npar"]
    assert m.sigma == pytest.approx(spec["sigma"], rel=1e-5)


def _close(found: pd.DataFrame, expected: Any, tolerance: float) -> None:
    """Covariances agree, in units of the standard errors."""
    theirs = np.reshape(expected, found.shape)
    se = np.sqrt(np.diag(theirs))
    assert np.abs((found.to_numpy() - theirs) / np.outer(se, se)).max() < tolerance


@pytest.mark.parametrize("name", NAMES)
def test_covariances_of_coefficients(name: str) -> None:
    m, spec = fitted(name), LME4[name]
    V = m.vcov()
    assert list(V.index) == list(V.columns) == list(m.fixef().index)
    _close(V, spec["vcov"], 2 * SE)
    if "vcov_RX" in spec:
        _close(m.vcov(use_hessian=False), spec["vcov_RX"], IN_SE)


def test_rx_is_that_of_the_optimum() -> None:
    m = fitted("cbpp")
    np.testing.assert_allclose(m.vcov(use_hessian=False), LME4["cbpp"]["vcov_RX"], rtol=1e-6)
    assert not np.allclose(m.vcov(use_hessian=False), m.vcov(), rtol=1e-3)
    np.testing.assert_allclose(m.vcov(use_hessian=True), m.vcov())
    # with nAGQ=0 there is no other
    quick = fitted("cbpp_nAGQ0")
    np.testing.assert_allclose(quick.vcov(), quick.vcov(use_hessian=False))


@pytest.mark.parametrize("name", list(GLMMTMB))
def test_parts_are_glmmtmbs(name: str) -> None:
    m, spec = fitted_parts(name), GLMMTMB[name]
    ours = {"cond": "mu", "zi": "zi", "disp": "shape"}
    for theirs, table in spec["coefficients"].items():
        expected = columns(table)
        found = m.coef_table(ours[theirs])
        assert list(found.index) == list(expected["rownames"])
        se = expected["Std. Error"].to_numpy()
        # glmmTMB stops at a relative gain of 1e-10 of the criterion: about 1e-3 standard errors from the optimum
        assert (np.abs(found["Estimate"].to_numpy() - expected["Estimate"]) < 2e-3 * se).all()
        np.testing.assert_allclose(found["Std. Error"], se, rtol=2e-3)
        V = m.vcov(ours[theirs])
        _close(V, spec["vcov"][theirs], 4e-3)
    assert m.logLik() == pytest.approx(spec["logLik"], abs=1e-6)
    assert m.npar == spec["npar"]
    if name == "zinb":
        assert m.constants["shape"] == pytest.approx(spec["sigma"], rel=2e-3)


def test_all_coefficients_in_one_matrix() -> None:
    m = fitted_parts("disp")
    V = m.vcov(full=True)
    names = ["(Intercept)", "zAge", "zBase", "Trt1", "zBase:Trt1", "shape_Intercept", "shape_Trt1"]
    assert list(V.index) == list(V.columns) == names
    np.testing.assert_array_equal(V.iloc[:5, :5], m.vcov())
    np.testing.assert_array_equal(V.iloc[5:, 5:], m.vcov("shape"))
    assert list(fitted("negbinomial").vcov(full=True).index)[-1] == "shape_Intercept"


# -- group effects -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_variances_and_correlations(name: str) -> None:
    m, spec = fitted(name), LME4[name]
    for order, key in (("cov.last", "VarCorr"), ("lower.tri", "VarCorr_lower")):
        found, theirs = m.VarCorr(order), columns(spec[key]).drop(columns="rownames", errors="ignore")
        assert (
            found[["grp", "var1", "var2"]]
            .astype(object)
            .where(found.notna(), None)
            .equals(theirs[["grp", "var1", "var2"]].astype(object).where(theirs.notna(), None))
        )
        np.testing.assert_allclose(found["vcov"], theirs["vcov"].astype(float), rtol=2e-4)
        np.testing.assert_allclose(found["sdcor"], theirs["sdcor"].astype(float), rtol=1e-4)
    assert len(m.VarCorr_text().split("\n")) == len(spec["VarCorr_text"])


@pytest.mark.parametrize("name", NAMES)
def test_effects_and_their_spread(name: str) -> None:
    m, spec = fitted(name), LME4[name]
    found, theirs = m.ranef(cond_var=True).to_frame(), columns(spec["ranef"])
    assert list(found["grpvar"]) == list(theirs["grpvar"])
    for key in ("term", "grp"):
        assert list(found[key].astype(str)) == list(theirs[key].astype(str))
    sd = theirs["condsd"].to_numpy(float)
    assert (np.abs(found["condval"].to_numpy() - theirs["condval"].to_numpy(float)) < 1e-3 * sd).all()
    np.testing.assert_allclose(found["condsd"], sd, rtol=3e-4)
    for group, table in m.coef().items():
        expected = columns(spec["coef"][group])
        names = list(expected.pop("rownames").astype(str))
        assert list(table.index.astype(str)) == names
        np.testing.assert_allclose(table[list(expected)].to_numpy(), expected.to_numpy(float), atol=1e-3)
    for group, sdev in spec["rePCA"].items():
        np.testing.assert_allclose(m.rePCA()[group].iloc[0], np.atleast_1d(sdev), rtol=1e-4)


def test_effects_of_several_parts() -> None:
    m, theirs = fitted_parts("zinb"), columns(GLMMTMB["zinb"]["ranef"])
    for part, component in (("mu", "cond"), ("zi", "zi")):
        expected = theirs[theirs["component"] == component]
        found = m.ranef(cond_var=True, part=part).to_frame()
        assert list(found["grp"]) == list(expected["grp"])
        # glmmTMB's standard deviations count the uncertainty of the coefficients too: values only
        np.testing.assert_allclose(found["condval"], expected["condval"].astype(float), atol=5e-3)
        assert list(m.coef(part)["site"].columns) == list(m.fixef(part).index)
    table = m.VarCorr()
    assert list(table["part"]) == ["mu", "zi"]
    assert list(m.VarCorr(part="zi").columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    lines = m.VarCorr_text().split("\n")
    assert [line.split() for line in lines] == [line.split() for line in GLMMTMB["zinb"]["VarCorr_text"]]
    assert list(m.rePCA("zi")) == ["site"]


def test_chosen_factors() -> None:
    m = fitted("grouseticks")
    assert list(m.ranef()) == ["BROOD", "LOCATION"]
    assert list(m.ranef(which="LOCATION")) == ["LOCATION"]
    assert m.ranef(cond_var=True).postVar["BROOD"].shape == (1, 1, 118)


# -- getME ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in NAMES if n != "cbpp_nAGQ9"])
def test_parts_of_the_model(name: str) -> None:
    m, spec = fitted(name), LME4[name]
    np.testing.assert_allclose(m.getME("u"), spec["u"], atol=1e-3)
    np.testing.assert_allclose(m.getME("mu")[:6], spec["mu"], rtol=1e-4)
    np.testing.assert_allclose(m.getME("y")[:6], spec["y"], rtol=1e-9)
    theta = m.getME("theta")
    np.testing.assert_allclose(theta, np.atleast_1d(spec["theta"]), rtol=1e-4)
    assert list(theta.index) == list(np.atleast_1d(spec["theta_names"]))
    RX = np.reshape(spec["RX"], (m.p, m.p))
    np.testing.assert_allclose(m.getME("RX"), RX, atol=2e-4 * np.abs(RX).max())
    found = m.getME("devcomp")
    for key, value in spec["devcomp"].items():
        assert found[key] == pytest.approx(value, rel=2e-4), key
    b = m.getME("Lambda") @ m.getME("u")
    np.testing.assert_allclose(m.getME("b"), b, atol=1e-7)
    eta = m.getME("X") @ m.getME("beta") + m.getME("Z") @ b + m.getME("offset")
    np.testing.assert_allclose(eta, m.linear_predictor, atol=1e-8)


def test_parts_by_name() -> None:
    m = fitted_parts("zip")
    assert m.getME("X", "zi").shape == (m.n, 1)
    assert m.getME("Z", "zi").shape == (m.n, 0)
    assert m.getME("u", "zi").shape == (0,)
    assert m.getME("Lambda", "zi").shape == (0, 0)
    assert m.getME("q") == 59
    assert m.getME("p_i") == [1]
    assert list(m.getME("cnms")) == list(m.getME("flist")) == list(m.getME("Tlist")) == ["patient"]
    assert m.getME("lower").tolist() == [0.0]
    assert (m.getME("is_REML"), m.getME("n"), m.getME("n_rtrms"), m.getME("n_rfacs")) == (False, 236, 1, 1)
    assert fitted("cbpp").getME("weights").tolist() == data("cbpp")["size"].tolist()
    assert fitted("negbinomial").getME("glmer.nb.theta") == pytest.approx(
        LME4["negbinomial"]["nb_theta"], rel=1e-4
    )


# -- contrasts -----------------------------------------------------------------------------------------------------


def test_contrasts_of_coefficients() -> None:
    from scipy.stats import chi2, norm

    m = fitted("cbpp")
    b, V = m.beta, m.covariance
    L = np.array([[0, 1, -1, 0], [0, 0, 1, -1.0]])
    joint = m.contest(L)
    wald = (L @ b) @ np.linalg.solve(L @ V @ L.T, L @ b)
    assert list(joint.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
    np.testing.assert_allclose(joint.iloc[0], [wald, 2, chi2.sf(wald, 2)], rtol=1e-10)
    np.testing.assert_allclose(m.contest(np.vstack([L, L.sum(axis=0)])).iloc[0], joint.iloc[0], rtol=1e-10)
    each = m.contest([{"period2": 1, "period3": -1}, {"period4": 1}], joint=False, level=0.9)
    se = np.sqrt([V[1, 1] + V[2, 2] - 2 * V[1, 2], V[3, 3]])
    value = np.array([b[1] - b[2], b[3]])
    np.testing.assert_allclose(each["Std. Error"], se, rtol=1e-10)
    np.testing.assert_allclose(each["upper"], value + norm.ppf(0.95) * se, rtol=1e-10)
    np.testing.assert_allclose(each["Pr(>|z|)"], 2 * norm.sf(np.abs(value / se)), rtol=1e-8)
    shifted = m.contest({"period4": 1}, joint=False, rhs=-1.0, confint=False)
    assert shifted.iloc[0, 2] == pytest.approx((b[3] + 1.0) / se[1], rel=1e-10)
    one = fitted_parts("disp").contest({"Trt1": 1}, part="shape")
    z = fitted_parts("disp").coef_table("shape").loc["Trt1", "z value"]
    assert one.iloc[0, 0] == pytest.approx(z**2, rel=1e-10)


def test_means_of_levels_are_on_the_scale_of_the_link() -> None:
    m = fitted("cbpp")
    means = m.ls_means()
    expected = m.beta[0] + np.append(0.0, m.beta[1:])
    np.testing.assert_allclose(means["Estimate"], expected, rtol=1e-12)
    assert list(means.columns) == ["Estimate", "Std. Error", "z value", "lower", "upper", "Pr(>|z|)"]
    pairs = m.difflsmeans()
    row = m.contest({"period3": 1, "period4": -1}, joint=False).iloc[0]
    np.testing.assert_allclose(pairs.loc["period3 - period4"].to_numpy()[:3], row.to_numpy()[:3], rtol=1e-12)
    assert "Degrees of freedom method: asymptotic" in repr(pairs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.coef_table("shape"), "the model estimates no `shape`"),
        (lambda m: m.vcov("nu"), "the model estimates no `nu`"),
        (lambda m: m.ranef(which="g"), "`g` is no grouping factor"),
        (lambda m: m.VarCorr("diag"), "order must be"),
        (lambda m: m.VarCorr_text(["sd"]), "components are"),
        (lambda m: m.getME("REMLcrit"), "getME() knows no `REMLcrit`; it knows X, Z"),
        (lambda m: m.getME("glmer.nb.theta"), "glmer.nb.theta is the shape"),
        (lambda m: m.contest([1.0, 0.0]), "L must be finite numbers, 4 in each row"),
        (lambda m: m.contest({"perid2": 1}), "no coefficient is called `perid2`"),
        (lambda m: m.contest(np.zeros(4)), "L is zero"),
        (lambda m: m.contest(np.eye(4), rhs=[1, 2]), "rhs must be one number, or 4"),
        (lambda m: m.contest(np.ones((2, 4)), rhs=[0, 1]), "no coefficients satisfy"),
        (lambda m: m.contest(np.eye(4), joint=False, level=2), "level must be between 0 and 1"),
        (lambda m: m.ls_means("size"), "`size` is no term of factors"),
    ],
)
def test_errors_in_words(call: Any, words: str) -> None:
    with pytest.raises(BayesmlmError) as caught:
        call(fitted("cbpp"))
    assert words in str(caught.value)


def test_a_part_without_effects() -> None:
    with pytest.raises(BayesmlmError, match="`zi` has no group effects; mu has them"):
        fitted_parts("zip").ranef(part="zi")


def test_a_flat_likelihood_has_no_hessian() -> None:
    """Complete separation: the Hessian is not used silently where it was asked for."""
    rows = data("cbpp").assign(incidence=lambda d: d["size"] * (d["period"].astype(str) == "1"))
    with pytest.warns(bm.errors.BayesmlmWarning):
        m = bm.glmer(
            "incidence | trials(size) ~ period + (1 | herd)",
            rows,
            family="binomial",
            control={"check_conv_singular": "ignore"},
        )
    with pytest.raises(BayesmlmError, match="not positive definite"):
        m.vcov(use_hessian=True)
    np.testing.assert_array_equal(m.vcov(), m.vcov(use_hessian=False))
    assert "-0.0" not in str(m.summary())
