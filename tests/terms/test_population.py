"""Model matrices against R's (tests/reference/make_model_matrix.R), and what must hold for any data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesmlm.data.frame import Frame
from bayesmlm.errors import DataError, FormulaError, NewDataError
from bayesmlm.formula.evaluate import TransformState
from bayesmlm.formula.parse import parse_formula
from bayesmlm.terms.population import PopulationCoding, PopulationDesign, aliased_columns, report_rank

from ..data.frames import data_of
from ..support import reference

MATRIX = reference("model_matrix")
# R and we sum in different orders: a few units in the last place of numbers of the size of the largest basis value
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


TRAIN, NEW = data_of(MATRIX["train"]), data_of(MATRIX["new"])


def build(formula: str, data: Any, contrasts: Any = None, **options: Any) -> PopulationDesign:
    predictor = parse_formula(formula).predictor()
    return PopulationDesign.build(
        predictor, Frame.from_any(data), TransformState(), options.pop("functions", {}), contrasts, **options
    )


def contrasts_of(case: dict[str, Any]) -> dict[str, Any]:
    def one(given: Any) -> Any:
        if isinstance(given, str):
            return given
        return (
            pd.DataFrame(given["matrix"], columns=given["names"] or None)
            if given["names"]
            else given["matrix"]
        )

    return {name: one(given) for name, given in case.get("contrasts", {}).items()}


@pytest.mark.parametrize(
    "case", MATRIX["cases"], ids=lambda case: case["formula"] + str(case.get("contrasts", ""))
)
def test_matrix_is_that_of_r(case: dict[str, Any]) -> None:
    design = build(case["formula"], TRAIN, contrasts_of(case))
    assert list(design.r_names) == case["names"]
    assert list(design.assign) == case["assign"]
    np.testing.assert_allclose(design.matrix, np.array(case["matrix"]), **CLOSE)


@pytest.mark.filterwarnings("ignore:.*boundary knots")
@pytest.mark.parametrize(
    "case",
    [c for c in MATRIX["cases"] if "new" in c],
    ids=lambda c: c["formula"] + str(c.get("contrasts", "")),
)
def test_new_data_are_coded_as_by_r(case: dict[str, Any]) -> None:
    design = build(case["formula"], TRAIN, contrasts_of(case))
    np.testing.assert_allclose(design.new_data(Frame.from_any(NEW)), np.array(case["new"]), **CLOSE)
    state = TransformState.from_json(json.loads(json.dumps(design.coding.state.to_json(), allow_nan=False)))
    saved = json.loads(json.dumps(design.coding.to_json(), allow_nan=False))
    again = PopulationCoding.from_json(saved, state)
    assert again.names == design.names
    np.testing.assert_array_equal(again.new_data(Frame.from_any(NEW)), design.new_data(Frame.from_any(NEW)))
