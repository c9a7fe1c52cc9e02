"""Where conditional effects are evaluated, against brms's own grids (make_conditional_grids.R)."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.data.frame import Frame
from bayesmlm.families.registry import brmsfamily
from bayesmlm.model.design import build_design
from bayesmlm.results.effects import model_variables
from bayesmlm.results.effects_grid import (
    choose_effects,
    effect_grid,
    far_from_data,
    make_conditions,
    points_frame,
    reference_rows,
)

CASES = json.loads((Path(__file__).parent / "brms_conditional_grids.json").read_text(encoding="utf-8"))[
    "cases"
]


def unfitted(formula, family, data):
    """What `model_variables` needs of a fit."""
    design = build_design(bm.bf(formula), brmsfamily(family), Frame.from_any(data))
    return SimpleNamespace(design=design, spec=SimpleNamespace(design=design))


def arguments(call):
    conditions = pd.DataFrame(call["conditions"]) if call["conditions"] else None
    return call["effects"] or None, conditions, call["int_conditions"] or None


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_grids_and_points_are_those_of_brms(case):
    call = case["call"]
    effects, conditions, int_conditions = arguments(call)
    fit = unfitted(case["formula"], case["family"], bm.load_dataset(case["dataset"]))
    model = model_variables(fit, None if call["re_formula"] == "NULL" else "NA")
    reference = reference_rows(model, conditions)
    chosen = choose_effects(model, effects)
    for effect, expected in zip(chosen, case["effects"], strict=True):
        options = {"resolution": call["resolution"], "surface": call["surface"], "reorder": effects is None}
        grid = effect_grid(model, effect, reference, int_conditions, **options)
        assert list(grid.effect) == expected["effects"]
        assert ["numeric" if n else "factor" for n in grid.numeric] == expected["types"]
        # brms also keeps columns of transformed terms, which are no variables.
        columns = [c for c in expected["grid"] if c == "cond__" or c in model.data]
        assert list(grid.rows.columns) == columns
        for name in columns:
            same_column(grid.rows[name], expected["grid"][name], name)
        points = points_frame(model, grid.effect, reference, fit.design.response.values)
        assert [int((points["cond__"] == c).sum()) for c in reference["cond__"]] == expected["points"]


def same_column(ours, theirs, name):
    if theirs[0] is None:
        assert ours.isna().all(), name
    elif isinstance(theirs[0], str):
        assert list(ours.astype(str)) == theirs, name
    else:
        # Means of centred variables differ in the last bits: brms sums in extended precision.
        np.testing.assert_allclose(ours.to_numpy(float), theirs, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.fixture(scope="module")
def seizures():
    fit = unfitted("count ~ zAge + zBase * Trt + (1 | patient)", "poisson", bm.load_dataset("epilepsy"))
    return model_variables(fit)


@pytest.mark.parametrize(
    ("effects", "conditions", "message"),
    [
        ("zAg", None, "no effects of this model: `zAg`.*`zAge`, `zBase`, `Trt`"),
        ("zAge:zBase:Trt", None, "more than two variables"),
        ("zAge:zAge", None, "no effects of this model"),
        ("zAge", {"Trt": "2"}, "`2` is no level of `Trt`, which has 0, 1"),
        ("zAge", {"zBase": float("nan")}, "missing value for `zBase`"),
        ("zAge", {"zBase": "high"}, "`zBase` is a number in the data; 'high' is none"),
        ("zAge", pd.DataFrame({"zBase": []}), "at least one row"),
        ("zAge", pd.DataFrame({"zBase": [0, 1], "cond__": ["a", "a"]}), "label of its own"),
    ],
)
def test_bad_effects_and_conditions_say_what_would_do(seizures, effects, conditions, message):
    with pytest.raises(bm.BayesmlmError, match=message):
        reference_rows(seizures, conditions) if conditions is not None else choose_effects(seizures, effects)


def test_what_is_partly_wrong_is_a_warning_as_in_brms(seizures):
    with pytest.warns(bm.errors.BayesmlmWarning, match="no effects of this model: `w`"):
        assert choose_effects(seizures, ["zAge", "w"]) == [("zAge",)]
    with pytest.warns(bm.errors.BayesmlmWarning, match="not in the model: `w`"):
        assert "w" not in reference_rows(seizures, {"w": 1})


def test_points_near_the_condition(seizures):
    reference = reference_rows(seizures, {"zAge": [-1.0]})
    count = np.zeros(len(seizures.data))
    points = points_frame(seizures, ("zBase",), reference, count, 0.1)
    ages = seizures.data["zAge"]
    near = (ages + 1).abs() <= 0.1 * (ages.max() - ages.min())
    assert len(points) == int((near & (seizures.data["Trt"] == "0")).sum())


def test_a_function_gives_the_values_of_an_effect(seizures):
    reference = reference_rows(seizures)
    quartiles = {"zAge": lambda column: column.quantile([0.25, 0.75])}
    grid = effect_grid(seizures, ("zBase", "zAge"), reference, quartiles, resolution=3)
    expected = sorted(np.quantile(seizures.data["zAge"], [0.25, 0.75]))
    np.testing.assert_allclose(np.unique(grid.rows["zAge"]), expected)


def test_too_far_scales_both_variables_to_the_grid():
    grid = pd.DataFrame({"a": [0.0, 10.0, 0.0, 10.0], "b": [0.0, 0.0, 100.0, 100.0]})
    data = pd.DataFrame({"a": [0.0, 9.0], "b": [0.0, 80.0]})
    # Distances after scaling: 0, sqrt(.81 - ...) by hand: the last corner is (0.1, 0.2) from (9, 80).
    far = far_from_data(grid, data, ("a", "b"), 0.23)
    assert far.tolist() == [False, True, True, False]


def test_make_conditions_labels_as_brms_does():
    data = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": pd.Categorical(["u", "v", "u"]), "c": [1, 2, 3]})
    table = make_conditions(data, ["a", "b"])
    # brms 2.18.0, make_conditions(data, c("a", "b"))
    labels = [f"a = {a} & b = {b}" for a in ("0.81", "2.33", "3.86") for b in "uv"]
    assert list(table.columns) == ["a", "b", "cond__"]
    assert list(table["cond__"]) == labels
    np.testing.assert_allclose(table["a"][::2], [0.8058081, 2.3333333, 3.8608586], atol=1e-7)
    assert list(make_conditions(data, "b", incl_vars=False)["cond__"]) == ["u", "v"]
    with pytest.raises(bm.BayesmlmError, match="`d` is no column"):
        make_conditions(data, "d")
