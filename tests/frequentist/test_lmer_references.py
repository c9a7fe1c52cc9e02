"""Every reference fit of lme4, from the formula to the effects.

The fits were repeated in R with the optimiser's tolerance at 1e-9 (``tight``): our optimum is held to those. All other
values are of lme4's default fits, whose theta is up to 1e-4 away: they are compared at lme4's theta.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .reference_fits import NAMES, at_lme4, fitted, values

each = pytest.mark.parametrize("name", NAMES)


def listed(value: Any) -> list[Any]:
    """A value that jsonlite has written as a scalar if its length was 1."""
    return value if isinstance(value, list) else [value]


@each
def test_optimum(name: str) -> None:
    """Criterion 1e-6, coefficients and standard errors 1e-5, sds and sigma 1e-4 of the tight refit."""
    m, tight = fitted(name), values(name)["tight"]
    assert m.criterion == pytest.approx(tight["deviance_or_REMLcrit"], abs=1e-6)
    assert list(m.fixef().index) == list(tight["beta"])
    np.testing.assert_allclose(m.fixef(), list(tight["beta"].values()), rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(m.covariance)), list(tight["se"].values()), rtol=1e-5)
    assert m.sigma == pytest.approx(tight["sigma"], rel=1e-5)
    # theta of lme4's default fit where a singular fit is flat: there only the criterion counts
    if not m.is_singular:
        assert list(m.getME("theta").index) == list(tight["theta"])
        np.testing.assert_allclose(m.theta, list(tight["theta"].values()), rtol=1e-4, atol=1e-5)


@each
def test_standard_deviations_and_correlations(name: str) -> None:
    m, want = fitted(name), values(name)
    found = at_lme4(name).VarCorr()
    alone = found[found["var2"].isna()]
    sds = [sd for part in want["VarCorr"].values() for sd in listed(part["sd"])]
    np.testing.assert_allclose(alone["sdcor"].astype(float), [*sds, want["sigma"]], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(alone["vcov"].astype(float), np.square([*sds, want["sigma"]]), rtol=2e-6)
    pairs = [
        np.array(part["corr"], float)[np.tril_indices(len(part["corr"]), -1)[::-1]]
        for part in want["VarCorr"].values()
    ]
    correlations = found[found["var2"].notna()]["sdcor"].astype(float)
    np.testing.assert_allclose(correlations, np.concatenate(pairs), atol=1e-6)
    ours = m.VarCorr()["sdcor"].astype(float)[found["var2"].isna().to_numpy()]
    np.testing.assert_allclose(ours, [*sds, want["sigma"]], rtol=2e-3, atol=2e-3 * m.sigma)


@each
def test_likelihood_and_sizes(name: str) -> None:
    m, want = fitted(name), values(name)
    found = [m.logLik(), m.AIC(), m.BIC()]
    np.testing.assert_allclose(found, [want["logLik"], want["AIC"], want["BIC"]], rtol=0, atol=1e-3)
    assert (m.n, m.npar, m.df_residual) == (want["n"], want["npar"], want["df_residual"])
    assert m.ngrps == want["ngrps"]
    assert m.is_singular == want["isSingular"]
    assert m.reml == want["REML"]


@each
def test_wald_intervals(name: str) -> None:
    m, want = at_lme4(name), values(name)
    beta, se = (np.array(list(want[key].values())) for key in ("beta", "se"))
    np.testing.assert_allclose(m.fixef(), beta, rtol=1e-6)
    found = m.confint("wald").to_numpy(float)[-m.p :]
    table = want.get("wald_ci", {"2.5 %": beta - 1.959964 * se, "97.5 %": beta + 1.959964 * se})
    expected = [np.array(table[key][-m.p :], float) for key in ("2.5 %", "97.5 %")]
    np.testing.assert_allclose(found, np.column_stack(expected), atol=1e-6 * se.max(), rtol=1e-6)


@each
def test_effects(name: str) -> None:
    m, want = at_lme4(name), values(name)["ranef"]
    found = m.ranef(cond_var=True)
    assert set(found) == set(want)
    for group, expected in want.items():
        table, levels = found[group], [str(level) for level in expected["levels"]]
        assert len(table) == expected["nlevels"]
        assert [str(level) for level in table.index[: len(levels)]] == levels
        assert list(table.columns) == list(expected["effects"])
        theirs = np.column_stack(list(expected["effects"].values()))
        np.testing.assert_allclose(table.to_numpy()[: len(levels)], theirs, atol=1e-6 * m.sigma)
        sums = (table.to_numpy() ** 2).sum(axis=0)
        np.testing.assert_allclose(sums, listed(expected["sumsq"]), rtol=1e-5, atol=1e-9)
        blocks, variances = found.postVar[group], expected["condVar"]
        parts = (
            zip(blocks, variances.values(), strict=True)
            if isinstance(blocks, list)
            else [(blocks, variances)]
        )
        for ours, reported in parts:
            block = np.moveaxis(ours, -1, 0)[: len(levels)]
            np.testing.assert_allclose(
                block, np.array(reported, float), rtol=1e-5, atol=1e-6 * np.abs(ours).max()
            )


@each
def test_fitted_values_and_residuals(name: str) -> None:
    m, want = at_lme4(name), values(name)
    close = {"atol": 1e-6 * m.sigma}
    np.testing.assert_allclose(m.fitted()[:12], want["fitted_head"], **close)
    np.testing.assert_allclose(m.residuals()[:12], want["resid_head"], **close)
    population = m.design.X[:12] @ m.beta
    np.testing.assert_allclose(population, want["predict_re_form_NA_head"], **close)
    quantiles = np.quantile(m.residuals("pearson", scaled=True), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(quantiles, list(want["scaled_residuals"].values()), atol=1e-6)
    assert m.rmse() == pytest.approx(want["RMSE"], rel=1e-6)


def test_singular_fit_says_so() -> None:
    assert fitted("lmer_Dyestuff2_singular").messages == ("boundary (singular) fit: see help('isSingular')",)
    assert not fitted("lmer_Dyestuff_REML").messages


def test_aliased_column_is_dropped_and_named() -> None:
    m = fitted("lmer_cake_rank_deficient")
    text = "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient"
    assert text in m.messages
    assert m.design.dropped == ("temperature.L",)
    assert np.isnan(m.fixef(add_dropped=True)["temperature.L"])
