"""``VarCorr()``, its printed form, and principal components of group effects against lme4."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError
from bayesmlm.frequentist.var_corr import component_names

from ..support import reference
from .summary_models import NAMES, data, fitted, same_print


@pytest.mark.parametrize("name", NAMES)
def test_table_is_that_of_lme4(name: str) -> None:
    known = reference("lmer_summaries")[name]["VarCorr"]
    table = fitted(name).VarCorr()
    assert list(table.columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    for column in ("grp", "var1", "var2"):
        found = [None if not isinstance(x, str) else x for x in table[column]]
        wanted = known[column] if isinstance(known[column], list) else [known[column]]
        assert found == wanted
    # R stops about 1e-6 from the optimum, relative to the largest.
    for column in ("vcov", "sdcor"):
        scale = np.abs(known[column]).max()
        np.testing.assert_allclose(table[column], known[column], atol=5e-6 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_printed_table(name: str) -> None:
    pairs = zip(
        fitted(name).VarCorr_text().split("\n"),
        reference("lmer_summaries")[name]["VarCorr_text"],
        strict=True,
    )
    assert not [pair for pair in pairs if not same_print(*pair)]


def test_order_of_a_lower_triangle() -> None:
    table = fitted("no_intercept").VarCorr(order="lower.tri")
    assert list(table["var1"][:4]) == ["MachineA", "MachineA", "MachineA", "MachineB"]
    assert list(table["var2"][1:3]) == ["MachineB", "MachineC"]
    assert np.isclose(table["vcov"].sum(), fitted("no_intercept").VarCorr()["vcov"].sum())


@pytest.mark.parametrize("tag", ["cs", "ar1", "diag"])
def test_structured_covariances(tag: str) -> None:
    m = bm.lmer(f"score ~ Machine + {tag}(0 + Machine | Worker)", data("machines"))
    part = m.VarCorr()
    T = m.templates[0]
    V = m.sigma**2 * T @ T.T
    variances = part[part["var2"].isna() & (part["grp"] == "Worker")]
    np.testing.assert_allclose(variances["vcov"], np.diag(V))
    rho = part[part["var2"].notna()]["sdcor"].to_numpy()
    # Pairs (A, B), (A, C), (B, C).
    shapes = {"cs": lambda r: [r, r, r], "ar1": lambda r: [r, r**2, r], "diag": lambda r: []}
    np.testing.assert_allclose(rho, shapes[tag](rho[0] if rho.size else 0.0), atol=1e-12)
    assert ("Corr" in m.VarCorr_text()) == (tag != "diag")


@pytest.mark.parametrize("name", NAMES)
def test_principal_components(name: str) -> None:
    m = fitted(name)
    for group, sdev in reference("lmer_summaries")[name]["rePCA"].items():
        table = m.rePCA()[group]
        np.testing.assert_allclose(table.loc["Standard deviation"], np.atleast_1d(sdev), rtol=2e-6, atol=1e-7)
        if table.loc["Standard deviation"].sum() > 0:
            assert np.isclose(table.loc["Cumulative Proportion"].iloc[-1], 1.0)


def test_names_of_several_terms_of_a_factor() -> None:
    assert component_names(["g", "h", "g", "g"]) == ["g", "h", "g.1", "g.2"]
    # R: make.unique(c("g", "g", "g.1")) is "g" "g.2" "g.1"
    assert component_names(["g", "g", "g.1"]) == ["g", "g.2", "g.1"]


def test_unknown_words() -> None:
    with pytest.raises(BayesmlmError, match="order must be"):
        fitted("slope").VarCorr(order="upper")
    with pytest.raises(BayesmlmError, match=r"Std\.Dev\."):
        fitted("slope").VarCorr_text(components=["sd"])
