"""Leverage, Cook's distances and deletion fits against lme4 and dense algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning, DataError

from ..support import reference
from .summary_models import NAMES, data, fitted

KNOWN = reference("lmer_influence")
DELETIONS = [
    ("slope", "Subject"),
    ("slope_ML", "Subject"),
    ("weighted", "Subject"),
    ("nested", "batch"),
    ("crossed_ML", "sample"),
    ("two_terms", "Subject"),
    ("split_plot", "Block"),
]


def _dense_hat(m: Any) -> np.ndarray:
    """diag of W^1/2 [X, Z Lambda] (penalised normal equations)^-1 [.]' W^1/2."""
    X, ZL = m.design.X, m.getME("Z").toarray() @ m.getME("Lambda").toarray()
    root = np.sqrt(m.getME("weights"))[:, None]
    A = root * np.hstack([ZL, X])
    penalty = np.diag(np.r_[np.ones(ZL.shape[1]), np.zeros(X.shape[1])])
    return np.einsum("na,ab,nb->n", A, np.linalg.inv(A.T @ A + penalty), A)


@pytest.mark.parametrize("name", [n for n in NAMES if "hatvalues" in KNOWN[n]])
def test_measures_of_rows(name: str) -> None:
    m, known = fitted(name), KNOWN[name]
    np.testing.assert_allclose(m.hatvalues(), known["hatvalues"], rtol=5e-6)
    for found, wanted in ((m.cooks_distance(), known["cooks"]), (m.rstudent(), known["rstudent"])):
        np.testing.assert_allclose(found, wanted, atol=5e-6 * np.abs(wanted).max())


def test_reference_of_the_course() -> None:
    # lme4's default fit, whose theta is 1e-5 from the optimum
    known = [0.229304037740263, 0.16972999379914, 0.126823715019916, 0.100585201402592]
    np.testing.assert_allclose(fitted("slope").hatvalues()[:4], known, rtol=2e-5)
    assert np.isclose(fitted("slope").hatvalues().sum(), 29.0221239506404, rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
        ("yield ~ nitro + (nitro | Block) + (1 | Variety) + (1 | Block:Variety)", "oats"),
        ("score ~ Machine + (1 | Worker) + (0 + Machine | Worker) + (1 | Machine:Worker)", "machines"),
    ],
    ids=["crossed", "three_factors", "terms_of_one_factor"],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_leverage_is_that_of_dense_algebra(formula: str, name: str, weighted: bool) -> None:
    table = data(name)
    w = np.linspace(0.5, 2.0, len(table)) if weighted else None
    m = bm.lmer(formula, table, weights=w, control={"check_nobs_vs_nRE": "ignore"})
    np.testing.assert_allclose(m.hatvalues(), _dense_hat(m), rtol=1e-8)


def test_leverage_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesmlm.frequentist.influence.BATCH", 3)
    np.testing.assert_allclose(fitted("crossed_ML").hatvalues(), _dense_hat(fitted("crossed_ML")), rtol=1e-8)


@pytest.mark.parametrize(("name", "group"), DELETIONS)
def test_deletion_of_groups(name: str, group: str) -> None:
    known = KNOWN[name][f"by_{group}"]
    found = fitted(name).influence(group)
    rows = [str(x) for x in known["deleted"]]
    assert sorted(found.deleted) == sorted(rows)
    p = found.fixef.shape[1]
    fixef = np.array(known["fixef"]).reshape(len(rows), p)
    # R's refits stop early: 1e-3 of a standard error, up to 2e-2 of a covariance (where its criterion is 1e-4 higher)
    se = np.sqrt(np.diag(found.full_vcov))
    np.testing.assert_allclose(found.fixef.loc[rows] / se, fixef / se, atol=2e-3)
    np.testing.assert_allclose(
        found.dfbeta().loc[rows] / se, np.array(known["dfbeta"]).reshape(len(rows), p) / se, atol=2e-3
    )
    if known["dfbetas"]:
        np.testing.assert_allclose(found.dfbetas().loc[rows], known["dfbetas"], atol=2e-3)
    np.testing.assert_allclose(found.cooks_distance().loc[rows], known["cooks"], rtol=2e-3, atol=1e-5)
    assert list(found.var_cov.columns) == known["vc_names"]
    scale = np.abs(known["var_cov"]).max(axis=0)
    np.testing.assert_allclose(found.var_cov.loc[rows] / scale, known["var_cov"] / scale, atol=2e-2)


def test_deletion_of_rows() -> None:
    known, found = KNOWN["nested"]["by_case"], fitted("nested").influence()
    np.testing.assert_allclose(found.fixef, known["fixef"], rtol=1e-6)
    np.testing.assert_allclose(found.cooks_distance(), known["cooks"], rtol=1e-3, atol=1e-6)
    assert found.deleted[:3] == ("1", "2", "3")


def test_a_deletion_fit_is_the_fit_of_the_other_rows() -> None:
    sleep = data("sleep")
    found = fitted("slope").influence("Subject")
    alone = bm.lmer("Reaction ~ Days + (Days | Subject)", sleep[sleep["Subject"] != "335"])
    np.testing.assert_allclose(found.fixef.loc["335"], alone.fixef(), rtol=1e-7)
    np.testing.assert_allclose(found.vcov[found.deleted.index("335")], alone.covariance, rtol=1e-4)


def test_a_coefficient_that_only_one_group_tells_of() -> None:
    table = data("sleep")[["Reaction", "Days", "Subject"]].copy()
    table["is_308"] = (table["Subject"] == "308").astype(float) * table["Days"]
    m = bm.lmer("Reaction ~ Days + is_308 + (1 | Subject)", table)
    with pytest.warns(BayesmlmWarning, match="`is_308` cannot be estimated without 308"):
        found = m.influence("Subject")
    assert np.isnan(found.fixef.loc["308", "is_308"])
    assert np.isfinite(found.cooks_distance()).all()


def test_other_columns_and_names_that_are_not_there() -> None:
    m = fitted("split_plot")
    assert m.influence("nitro").deleted == ("0", "0.2", "0.4", "0.6")
    with pytest.raises(BayesmlmError, match="`Subject` is neither a grouping factor of the model"):
        m.influence("Subject")
    two = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0, 7.0], "g": ["a", "a", "a", "b", "b", "b"]})
    with pytest.raises(DataError, match="without a the grouping factor `g` has fewer than two levels"):
        bm.lmer("y ~ 1 + (1 | g)", two).influence("g")


def test_rows_with_missing_values_keep_their_places() -> None:
    sleep = data("sleep").copy()
    sleep.loc[4, "Reaction"] = np.nan
    m = bm.lmer("Reaction ~ Days + (1 | Subject)", sleep, na_action="exclude")
    assert len(m.hatvalues()) == 180
    assert np.isnan(m.hatvalues()[4])
    assert np.isnan(m.hatvalues()).sum() == 1
    assert bm.lmer("Reaction ~ Days + (1 | Subject)", sleep).cooks_distance().shape == (179,)


def test_a_row_the_fit_passes_through() -> None:
    sleep = data("sleep").copy()
    sleep["first"] = (np.arange(180) == 0).astype(float)
    m = bm.lmer("Reaction ~ Days + first + (1 | Subject)", sleep)
    with pytest.raises(BayesmlmError, match="leverage 1"):
        m.cooks_distance()


def test_no_coefficients_to_change() -> None:
    m = fitted("no_fixed")
    np.testing.assert_allclose(m.hatvalues(), _dense_hat(m), rtol=1e-8)
    for measure in (m.cooks_distance, m.influence("Subject").cooks_distance):
        with pytest.raises(BayesmlmError, match="this model has none"):
            measure()
