"""R2 and ICC of generalised models against the definitions, with null models fitted by lme4, and R's performance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, polygamma

import bayesmlm as bm
from bayesmlm.frequentist.generalised_r_squared import _distribution, variances

from ..support import reference
from .generalised_fits import fitted

KNOWN = reference("generalised_prediction")


def table(fixed: float, random: float, distribution: dict[str, float]) -> pd.DataFrame:
    rows = {
        k: (fixed / (fixed + random + v), (fixed + random) / (fixed + random + v))
        for k, v in distribution.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["R2m", "R2c"])


def of_log_mean(v: float) -> dict[str, float]:
    return {"delta": v, "lognormal": np.log1p(v), "trigamma": float(polygamma(1, 1 / v))}


def test_binomial_against_lme4s_null_model_and_performance() -> None:
    m, known = fitted("cbpp"), KNOWN["cbpp"]
    fixed, random = np.var(m.design.X @ known["beta"], ddof=1), known["theta"] ** 2
    intercept, v = known["null"]
    p = expit(intercept - 0.5 * v * np.tanh(intercept * (1 + 2 * np.exp(-0.5 * v)) / 6))
    distribution = {"theoretical": np.pi**2 / 3, "delta": 1 / (p * (1 - p))}
    single = m.r2(per_trial=True)
    pd.testing.assert_frame_equal(single, table(fixed, random, distribution), rtol=1e-4)
    size = bm.load_dataset("cbpp")["size"].mean()
    of_rows = {k: v / size for k, v in distribution.items()}
    pd.testing.assert_frame_equal(m.r2(), table(fixed, random, of_rows), rtol=1e-4)
    # performance 0.10.2: r2_nakagawa() and icc(), printed with three digits
    np.testing.assert_allclose(single.loc["theoretical"], [0.085, 0.187], atol=5e-4)
    np.testing.assert_allclose(m.icc(per_trial=True).loc["theoretical"], [0.111, 0.102], atol=5e-4)


def test_poisson_against_lme4s_null_model_and_insight() -> None:
    m, known = fitted("grouseticks"), KNOWN["grouseticks"]
    # insight 0.19.0: get_variance()
    parts = variances(m)
    np.testing.assert_allclose(parts.fixed, 1.730012, rtol=1e-4)
    np.testing.assert_allclose(list(parts.random.values()), [0.5923629, 0.3296418], rtol=1e-4)
    intercept, *null = known["null"]
    mean = np.exp(intercept + sum(null) / 2)
    wanted = table(parts.fixed, parts.effects, of_log_mean(1 / mean))
    pd.testing.assert_frame_equal(m.r2(), wanted, rtol=1e-3)
    icc = m.icc(by_group=True)
    assert list(icc.columns) == ["BROOD", "LOCATION"]
    np.testing.assert_allclose(icc.sum(axis=1), m.icc()["ICC_adjusted"])


def test_gamma_with_random_slopes() -> None:
    m = fitted("sleepstudy")
    Z, L = m.getME("Z").toarray(), m.getME("Lambda").toarray()
    random = m.sigma**2 * np.trace(Z @ L @ L.T @ Z.T) / m.n
    fixed = np.var(m.design.X @ m.fixef().to_numpy(), ddof=1)
    pd.testing.assert_frame_equal(m.r2(), table(fixed, random, of_log_mean(m.sigma**2)))
    # insight 0.19.0: var.fixed, var.random, var.distribution
    np.testing.assert_allclose(
        [fixed, random, m.sigma**2], [0.0094003326, 0.0071500309, 0.0082768789], rtol=1e-4
    )


def stub(name: str, link: str = "log", **constants: float) -> Any:
    """What the variance of a response distribution is made of, without a fit: null model of intercept 1."""
    design = SimpleNamespace(
        link=link, trials=None, terms=(), parameters=[SimpleNamespace(name=n, fixed=None) for n in constants]
    )
    null = SimpleNamespace(design=design, beta=np.array([1.0]), sigma=1.0, templates=[], n=1)
    return SimpleNamespace(
        family=SimpleNamespace(name=name),
        design=design,
        null_model=null,
        constants=constants,
        has_scale=False,
    )


@pytest.mark.parametrize(
    ("model", "relative"),
    [
        (stub("nbinom1", phi=0.7), 1.7 / np.e),
        (stub("negbinomial", shape=3.0), 1 / np.e + 1 / 3),
        (stub("geometric"), 1 / np.e + 1),
        (stub("gamma", shape=4.0), 0.25),
    ],
    ids=lambda x: x.family.name if hasattr(x, "family") else "",
)
def test_variance_of_other_distributions(model: Any, relative: float) -> None:
    assert _distribution(model, False) == pytest.approx(of_log_mean(relative))


def test_other_links() -> None:
    assert _distribution(stub("poisson", "sqrt"), False) == {"delta": 0.25}
    # MuMIn's forms; the mean proportion at intercept 1 and no group effects.
    from scipy.stats import norm

    p = norm.cdf(1.0)
    delta = 2 * np.pi * p * (1 - p) * np.exp((norm.ppf(p) / np.sqrt(2)) ** 2) ** 2
    assert _distribution(stub("bernoulli", "probit"), False) == pytest.approx(
        {"theoretical": 1.0, "delta": delta}
    )
    p = 1 - np.exp(-np.e)
    delta = p / np.log(1 - p) ** 2 / (1 - p)
    assert _distribution(stub("bernoulli", "cloglog"), False) == pytest.approx(
        {"theoretical": np.pi**2 / 6, "delta": delta}
    )


def test_negbinomial_has_a_null_model_of_its_own() -> None:
    m = fitted("nb")
    null = m.null_model
    assert list(null.fixef().index) == ["(Intercept)"]
    alone = bm.glmer("TICKS ~ 1 + (1 | LOCATION)", bm.load_dataset("grouseticks"), family="negbinomial")
    assert null.logLik() == pytest.approx(alone.logLik(), abs=1e-6)
    assert null.constants["shape"] != pytest.approx(m.constants["shape"])
    assert m.null_model is null


def test_performance_is_one_row() -> None:
    m = fitted("cbpp")
    row = m.performance()
    assert list(row.index) == ["AIC", "BIC", "R2_conditional", "R2_marginal", "ICC", "RMSE", "Sigma"]
    assert row["R2_conditional"] == m.r2().loc["theoretical", "R2c"]
    assert row["RMSE"] == pytest.approx(KNOWN["cbpp"]["rmse"], rel=1e-4)
    assert list(fitted("zip").performance().index) == ["AIC", "BIC", "RMSE", "Sigma"]


def test_refusals() -> None:
    with pytest.raises(
        bm.BayesmlmError, match="not defined for the family `zero_inflated_poisson` with the link log"
    ):
        fitted("zip").r2()
    data = bm.load_dataset("grouseticks")
    m = bm.glmer(bm.bf("TICKS ~ YEAR + (1 | LOCATION)", "shape ~ YEAR"), data, family="negbinomial")
    with pytest.raises(bm.BayesmlmError, match="here `shape` has a formula"):
        m.icc()
