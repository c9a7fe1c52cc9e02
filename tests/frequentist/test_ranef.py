"""``ranef()`` and ``coef()`` against lme4, conditional covariances against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError

from ..support import reference
from .summary_models import NAMES, data, fitted


@pytest.mark.parametrize("name", NAMES)
def test_long_form_is_that_of_lme4(name: str) -> None:
    known = reference("lmer_summaries")[name]["ranef"]
    table = fitted(name).ranef(cond_var=True).to_frame()
    assert list(table.columns) == ["grpvar", "term", "grp", "condval", "condsd"]
    for column in ("grpvar", "term", "grp"):
        assert [str(x) for x in table[column]] == [str(x) for x in known[column]]
    scale = max(np.abs(known["condval"]).max(), np.max(known["condsd"]), 1e-10)
    for column in ("condval", "condsd"):
        np.testing.assert_allclose(table[column], known[column], atol=5e-6 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_of_levels(name: str) -> None:
    coefficients = fitted(name).coef()
    known = reference("lmer_summaries")[name]["coef"]
    assert list(coefficients) == list(known)
    for group, columns in known.items():
        table = coefficients[group]
        assert list(table.columns) == [c for c in columns if c != "rownames"]
        assert list(table.index) == [str(level) for level in columns["rownames"]]
        for c in table.columns:
            np.testing.assert_allclose(table[c], columns[c], rtol=1e-5, atol=1e-5 * np.abs(columns[c]).max())


def test_conditional_covariances_are_those_of_dense_algebra() -> None:
    m = bm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data("penicillin"))
    Z, L = m.getME("Z").toarray(), m.getME("Lambda").toarray()
    full = m.sigma**2 * L @ np.linalg.inv(L.T @ Z.T @ Z @ L + np.eye(L.shape[1])) @ L.T
    effects = m.ranef(cond_var=True)
    found = np.concatenate([effects.postVar[g][0, 0] for g in ("plate", "sample")])
    np.testing.assert_allclose(found, np.diag(full), rtol=1e-9)


def test_shapes_of_post_var() -> None:
    joint = fitted("slope").ranef(cond_var=True)
    assert joint.postVar["Subject"].shape == (2, 2, 18)  # type: ignore[union-attr]
    apart = fitted("double_bar").ranef(cond_var=True)
    assert [a.shape for a in apart.postVar["Subject"]] == [(1, 1, 18), (1, 1, 18)]
    np.testing.assert_allclose(
        joint.sd("Subject")["Days"], np.sqrt(np.asarray(joint.postVar["Subject"])[1, 1]), rtol=1e-12
    )


def test_some_factors_only() -> None:
    assert list(fitted("nested").ranef(which="batch")) == ["batch"]
    with pytest.raises(
        BayesmlmError, match="`Batch` is no grouping factor of the model; it has cask:batch, batch"
    ):
        fitted("nested").ranef(which=["Batch"])
    with pytest.raises(BayesmlmError, match="cond_var=True"):
        _ = fitted("nested").ranef().postVar


def test_print_and_html() -> None:
    text = str(fitted("nested").ranef())
    assert text.startswith("$`cask:batch`")
    assert "\n$batch\n" in text
    assert "<h4>cask:batch</h4>" in fitted("nested").coef()._repr_html_()
