"""R2 and ICC against MuMIn's and performance's definitions, as computed in R for many models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.fit import MixedFit

from ..support import local_data, reference
from .summary_models import fitted

KNOWN = reference("lmer_r2_icc")


def _fit(known: dict[str, Any]) -> MixedFit:
    try:
        table = bm.load_dataset(known["data"])
    except bm.BayesmlmError:
        table = local_data(known["data"])
    if "complete cases" in known["prep"]:
        table = table.dropna(subset=["mathgain", "ses", "mathknow"])
    return bm.lmer(known["formula"], table, REML=known["REML"])


@pytest.mark.parametrize("name", list(KNOWN))
def test_r2_icc_and_rmse(name: str) -> None:
    known = KNOWN[name]
    m = _fit(known)
    r2, icc = m.r2(), m.icc()
    found = [r2["R2m"], r2["R2c"], icc["ICC_adjusted"], icc["ICC_unadjusted"]]
    wanted = [known[k] for k in ("R2m", "R2c", "icc_adjusted", "icc_unadjusted")]
    # The references are at lme4's default optimum, about 1e-4 from the true one in the standard deviations.
    np.testing.assert_allclose(found, wanted, atol=3e-4)
    np.testing.assert_allclose(m.rmse(), known["RMSE"], rtol=2e-4)
    assert m.is_singular == known["is_singular"]


def test_shares_of_groups_add_up() -> None:
    m = fitted("crossed_ML")
    assert np.isclose(m.icc(by_group=True).sum(), m.icc()["ICC_adjusted"])
    assert list(m.icc(by_group=True).index) == ["plate", "sample"]


def test_mean_variance_of_random_slopes() -> None:
    m = fitted("weighted")
    Z, L = m.getME("Z").toarray(), m.getME("Lambda").toarray()
    effects = m.sigma**2 * np.trace(Z @ L @ L.T @ Z.T) / m.n
    fixed = np.var(m.design.X @ m.fixef().to_numpy(), ddof=1)
    total = fixed + effects + m.sigma**2
    np.testing.assert_allclose(m.r2(), [fixed / total, (fixed + effects) / total], rtol=1e-10)


def test_a_singular_fit_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    r2 = fitted("singular").r2()
    np.testing.assert_allclose(r2, [0.0, 0.0], atol=1e-12)
    captured = capsys.readouterr()
    assert "the fit is singular" in captured.err


def test_performance_is_one_row() -> None:
    row = fitted("slope").performance()
    assert list(row.index) == ["AIC", "BIC", "R2_conditional", "R2_marginal", "ICC", "RMSE", "Sigma"]
    assert row["AIC"] == fitted("slope").AIC()
