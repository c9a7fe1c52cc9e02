"""Predictions: R's values, and standard errors against the dense mixed model equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.frequentist.fit import MixedFit
from tests.support import reference

DATA = {"sleepstudy": bm.load_dataset("sleepstudy")}
SLEEP = DATA["sleepstudy"].assign(
    half=np.arange(180) % 6, w=1.0 + np.arange(180) % 3, o=np.sin(np.arange(180.0))
)

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "slope": ("Reaction ~ Days + (Days | Subject)", {}),
    "double_bar_ml": ("Reaction ~ Days + (Days || Subject)", {"REML": False}),
    "crossed_weights": ("Reaction ~ Days + (Days | Subject) + (1 | half)", {"weights": "w"}),
    "nested_offset": ("Reaction ~ Days + (1 | half/Subject) + (0 + Days | Subject)", {"offset": "o"}),
}


def fit(name: str) -> MixedFit:
    formula, arguments = MODELS[name]
    return bm.lmer(formula, SLEEP, control={"check_conv_singular": "ignore"}, **arguments)


def dense_se(m: MixedFit, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Henderson's equations, inverted whole."""
    root = m.getME("Lambda").toarray()
    C = np.hstack([m.design.X, m.getME("Z").toarray() @ root])
    left = C.T @ (m.getME("weights")[:, None] * C)
    left[m.p :, m.p :] += np.eye(len(root))
    row = np.hstack([X, Z @ root])
    return m.sigma * np.sqrt(np.einsum("ij,jk,ik->i", row, np.linalg.inv(left), row))


@pytest.mark.parametrize(
    "name",
    [
        "lmer_sleepstudy_slope_REML",
        "lmer_cake_rank_deficient",
        "lmer_sleepstudy_log",
        "lmer_Machines_nested",
        "lmer_Pastes_sample_batch",
    ],
)
def test_population_predictions_of_r(name: str) -> None:
    expected = reference(name)
    data = bm.load_dataset(expected["data"].removesuffix(".csv"))
    m = bm.lmer(expected["formula"], data)
    rows = data.head(12)
    # lme4's default optimiser stops about 1e-4 away in theta, which moves coefficients by about 1e-6
    head = expected["values"]["predict_re_form_NA_head"]
    assert m.predict(re_formula="NA")[:12] == pytest.approx(head, rel=1e-5)
    assert m.predict(rows, re_formula="~0") == pytest.approx(head, rel=1e-5)
    assert m.predict(rows) == pytest.approx(expected["values"]["fitted_head"][:12], rel=1e-4)


def test_new_levels_as_r() -> None:
    expected = reference("lmer_sleepstudy_slope_REML")["values"]["predict_new"]
    m, new = fit("slope"), pd.DataFrame(expected["newdata"])
    assert m.predict(new, allow_new_levels=True) == pytest.approx(
        expected["re_form_NULL_allow_new_levels"], rel=1e-6
    )
    assert m.predict(new, "NA") == pytest.approx(expected["re_form_NA"], rel=1e-8)
    with pytest.raises(bm.NewDataError, match=r"row 4 .*`999_new` in `Subject`.*allow_new_levels=True"):
        m.predict(new)


@pytest.mark.parametrize("name", MODELS)
def test_standard_errors_are_hendersons(name: str) -> None:
    m = fit(name)
    Z = m.getME("Z").toarray()
    found = m.predict(se=True)
    assert found["fit"].to_numpy() == pytest.approx(m.fitted())
    assert found["se.fit"].to_numpy() == pytest.approx(dense_se(m, m.design.X, Z), rel=1e-9)
    random = m.predict(random_only=True, se=True)
    assert random["se.fit"].to_numpy() == pytest.approx(dense_se(m, 0 * m.design.X, Z), rel=1e-9)
    assert random["fit"].to_numpy() == pytest.approx(Z @ m.getME("b"))
    rows = SLEEP.sample(40, random_state=1)
    again = m.predict(rows, se=True)
    assert again.equals(found.loc[rows.index, again.columns]) or np.allclose(again, found.loc[rows.index])


def test_blocks_of_rows_and_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("crossed_weights", "nested_offset"):
        m = fit(name)
        whole = m.predict(se=True)
        with monkeypatch.context() as patch:
            patch.setattr("bayesmlm.frequentist.predict.SOLUTION", 1)
            patch.setattr("bayesmlm.frequentist.predict.BLOCK", 7)
            np.testing.assert_allclose(m.predict(se=True), whole, rtol=1e-12)


def test_some_effects() -> None:
    m = fit("crossed_weights")
    slopes = m.predict(re_formula="~ (0 + Days | Subject)", se=True)
    b = m.b[0][m.design.terms[0].codes, 1]
    assert slopes["fit"].to_numpy() == pytest.approx(m.design.X @ m.beta + b * SLEEP["Days"])
    Z = m.getME("Z").toarray()
    Z[:, [i for i in range(Z.shape[1]) if i % 2 == 0 or i >= 36]] = 0.0
    assert slopes["se.fit"].to_numpy() == pytest.approx(dense_se(m, m.design.X, Z), rel=1e-9)


def test_prediction_intervals_add_what_is_not_predicted() -> None:
    m = fit("slope")
    new = pd.DataFrame({"Days": [3.0, 3.0], "Subject": ["308", "new"]})
    found = m.predict(new, interval="prediction", se=True, allow_new_levels=True)
    group = (np.array([1.0, 3.0]) @ m.templates[0] * m.sigma) ** 2
    variance = found["se.fit"] ** 2 + m.sigma**2 + np.array([0.0, group.sum()])
    assert (found["upr"] - found["fit"]).to_numpy() == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)
    population = m.predict(new, "NA", interval="prediction")
    assert population.iloc[0].tolist() == pytest.approx(found.iloc[1, :3].tolist())


def test_missing_values() -> None:
    m = fit("slope")
    new = pd.DataFrame({"Days": [0.0, np.nan, 3.0], "Subject": ["308", "309", None]})
    with pytest.raises(bm.NewDataError, match=r"row 3 .*no value in `Subject`"):
        m.predict(new)
    # R 4.2.2, lme4 1.1-31: predict(m, nd, allow.new.levels = TRUE) for Days = 0 of 308
    assert m.predict(new.head(2)) == pytest.approx([253.6637, np.nan], abs=1e-3, nan_ok=True)
    assert m.predict(new, allow_new_levels=True, na_action="omit") == pytest.approx(
        [253.6637, 251.4051 + 3 * 10.46729], abs=1e-3
    )
    nothing = m.predict(new[1:2], se=True, interval="prediction")
    assert nothing.shape == (1, 4)
    assert nothing.isna().all(axis=None)
    assert len(m.predict(new[1:2], na_action="omit")) == 0
    with pytest.raises(bm.NewDataError, match=r'row 2 .*na_action="fail"'):
        m.predict(new, na_action="fail")


def test_rows_left_out_keep_their_places() -> None:
    data = SLEEP.assign(Days=SLEEP["Days"].where(SLEEP.index != 1)).rename(index=lambda i: f"r{i}")
    m = bm.lmer("Reaction ~ Days + (1 | Subject)", data, na_action="exclude")
    found = m.predict(se=True)
    assert found.index.equals(data.index)
    assert found["fit"].isna().sum() == 1
    assert np.isnan(found.loc["r1", "se.fit"])
    assert m.predict()[2:] == pytest.approx(m.predict(data[2:]))
    assert list(m.simulate(1).index[:3]) == ["r0", "r2", "r3"]


def test_nested_effects_by_name() -> None:
    m = bm.lmer("strength ~ 1 + (1 | batch/cask)", bm.load_dataset("Pastes"))
    assert m.predict(re_formula="~ (1 | batch/cask)") == pytest.approx(m.fitted())
    batch = m.b[1][m.design.terms[1].codes, 0]
    assert m.predict(re_formula="~ (1 | batch)", random_only=True) == pytest.approx(batch)
    cask = m.b[0][m.design.terms[0].codes, 0]
    assert m.predict(re_formula="~ (1 | cask:batch)", random_only=True) == pytest.approx(cask)


def test_offset_of_new_data() -> None:
    by_name = fit("nested_offset")
    assert by_name.predict(SLEEP.head(5)) == pytest.approx(by_name.fitted()[:5])
    by_value = bm.lmer("Reaction ~ Days + (1 | Subject)", SLEEP, offset=SLEEP["o"].to_numpy())
    with pytest.raises(bm.NewDataError, match=r"offset\(column\)"):
        by_value.predict(SLEEP.head(5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"re_formula": "~ (1 | half)"}, r"`\(Intercept\)` of `half`, which is not in the model"),
        ({"re_formula": "~ (half | Subject)"}, "`half` of `Subject`"),
        ({"re_formula": "~ Days"}, "group terms only"),
        ({"re_formula": "y ~ (1 | Subject)"}, "one-sided"),
        ({"interval": "credible"}, "confidence"),
        ({"level": 95}, "between 0 and 1"),
        ({"newdata": SLEEP[["Subject"]]}, "`Days`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        fit("slope").predict(**arguments)
