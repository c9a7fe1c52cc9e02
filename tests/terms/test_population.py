"""Model matrices against R's (tests/reference/make_model_matrix.R), and what must hold for any data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
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


def test_names_are_those_of_brms() -> None:
    # colnames(brms::make_standata(y ~ ..., train)$X)
    main = "Intercept polyx21 polyx22 IxE2 lTRUE o.L o.Q o.C oE4 scalexscaleEQFALSE"
    products = "ga:fmid gb:fmid ga:flo gb:flo ga:fhi gb:fhi"
    design = build("~ poly(x, 2) + I(x^2) + g:f + l + o + scale(x, scale = FALSE)", TRAIN)
    assert " ".join(design.names) == f"{main} {products}"


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(FormulaError, match="would both be called `IxE2`"):
        build("~ I(x^2) + IxE2", TRAIN.assign(IxE2=1.0))


@pytest.mark.parametrize(
    ("formula", "options", "names"),
    [
        (
            "~ 0 + Intercept + f",
            {},
            ("Intercept", "flo", "fhi"),
        ),  # brms: make_standata(y ~ 0 + Intercept + f)$X
        ("~ x + 0 + Intercept + f:x", {}, ("Intercept", "x", "x:flo", "x:fhi")),
        ("~ 0 + f + g", {}, ("fmid", "flo", "fhi", "gb")),
        ("~ 0 + f + g", {"cell_means": False}, ("flo", "fhi", "gb")),  # brms: bf(cmc = FALSE)
        ("~ 0", {}, ()),
    ],
)
def test_without_intercept(formula: str, options: dict[str, Any], names: tuple[str, ...]) -> None:
    design = build(formula, TRAIN, **options)
    assert design.names == names
    assert design.matrix.shape == (len(TRAIN), len(names))
    assert design.new_data(Frame.from_any(NEW)).shape == (len(NEW), len(names))


def as_polars(data: pd.DataFrame) -> pl.DataFrame:
    enums = {name: pl.Enum(list(c.cat.categories)) for name, c in data.items() if hasattr(c, "cat")}
    return pl.DataFrame(
        {n: c.astype(str).tolist() if n in enums else c.tolist() for n, c in data.items()}
    ).cast(enums)


@pytest.mark.parametrize("convert", [as_polars, pa.Table.from_pandas, lambda d: d.convert_dtypes()])
def test_every_data_frame_gives_the_same_matrix(convert: Any) -> None:
    formula = "~ f * x + t + l + log(z) + factor(n) + g"
    expected = build(formula, TRAIN)
    design = build(formula, convert(TRAIN))
    assert design.names == expected.names
    np.testing.assert_array_equal(design.matrix, expected.matrix)
    np.testing.assert_array_equal(
        design.new_data(Frame.from_any(convert(NEW))), expected.new_data(Frame.from_any(NEW))
    )


BAD_NEW = [
    ("~ f", {"f": ["mid", "up"]}, "row 2 .* level `up` in `f`.* it had `mid`, `lo`, `hi`"),
    ("~ factor(n)", {"n": [1, 9]}, "level `9` in `n`.* it had `1`, `2`, `3`, `4`"),
    ("~ as.numeric(f)", {"f": ["mid", "up"]}, "level `up` in `f`"),
    ("~ x", {"z": [1.0, 2.0]}, "no column `x`"),
    ("~ x", {"x": ["a", "b"]}, "`x` held numbers .* text: `a` in row 1"),
    ("~ x", {"x": [1.0, None]}, "`x` is missing in row 2 of the new data"),
    ("~ f", {"f": ["mid", None]}, "`f` is missing in row 2 of the new data"),
    ("~ l", {"l": [0, 2]}, "`l` held TRUE/FALSE .* 2 in row 2"),
    ("~ log(z)", {"z": [1.0, -1.0]}, "needs positive numbers: `z` is -1 in row 2"),
    ("~ cut(z, c(0, 3, 9))", {"z": [1.0, 99.0]}, "is missing in row 2"),
    ("~ I(1 / z)", {"z": [1.0, 0.0]}, "is infinite in row 2"),
]


@pytest.mark.parametrize(("formula", "new", "message"), BAD_NEW, ids=[f"{f} {n}" for f, n, _ in BAD_NEW])
def test_unusable_new_data_are_refused(formula: str, new: dict[str, Any], message: str) -> None:
    design = build(formula, TRAIN)
    with pytest.raises(NewDataError, match=message):
        design.new_data(Frame.from_any(new))


def test_levels_match_by_name_whatever_their_type() -> None:
    design = build("~ factor(n) + l", TRAIN)
    for new in ({"n": np.array([4, 2], np.int8), "l": [1, 0]}, {"n": [4.0, 2.0], "l": [True, False]}):
        np.testing.assert_array_equal(
            design.new_data(Frame.from_any(new)), [[1, 0, 0, 1, 1], [1, 1, 0, 0, 0]]
        )


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("~ one", "the factor `one` has only the level `k`.*2 or more levels"),
        ("~ hole", "`hole` is missing in row 3"),
        ("~ I(1 / (z - 0.5))", "is infinite in row 1"),
        ("~ sess", "column `sess` is not in the data; did you mean `ses`"),
    ],
)
def test_unusable_data_are_refused(formula: str, message: str) -> None:
    data = TRAIN.assign(one="k", hole=[1.0, 2.0, None, *range(11)], ses=1.0)
    with pytest.raises(DataError, match=message):
        build(formula, data)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"f": "contr.foo"}, "unknown contrasts `contr.foo` for `f`"),
        ({"f": np.eye(2)}, r"must be 3 x 2 finite numbers.*it is 2 x 2"),
        ({"f": np.ones((3, 2))}, "singular"),
        ({"f": [["a"]]}, "a name or a matrix"),
        ({"x": "sum"}, "`x` is numeric: use `factor"),
    ],
)
def test_unusable_contrasts_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build("~ f + x", TRAIN, given)


def test_dependent_columns_are_named_and_those_r_would_drop() -> None:
    data = TRAIN.assign(k=3.0, twice=2 * TRAIN.x, both=TRAIN.x - TRAIN.z, never=0.0)
    design = build("~ x + k + z + twice + both + never", data)
    assert aliased_columns(design.matrix) == (2, 4, 5, 6)  # is.na(coef(lm(y ~ ...))) in R
    assert report_rank(design) == [
        "`k` is constant",
        "`twice` is a multiple of `x`",
        "`both` is a linear combination of `x`, `z`",
        "`never` is zero in every row",
    ]
    assert report_rank(build("~ x * f", TRAIN)) == []
    assert aliased_columns(build("~ 0 + x + x:f", TRAIN).matrix) == (3,)  # R's margin rule makes this one


def test_a_million_rows_take_no_loop_over_rows() -> None:
    n = 1_000_000
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=n), "f": np.array(["a", "b", "c"])[rng.integers(0, 3, n)]}
    design = build("~ scale(x) * f", data)
    assert design.matrix.shape == (n, 6)
    np.testing.assert_allclose(design.matrix[:, 1].std(ddof=1), 1.0)
    assert report_rank(design) == []


FORMULAS = [
    "~ f * x",
    "~ 0 + g:f + scale(x)",
    "~ poly(x, 2) + o",
    "~ bs(z, df = 4):g",
    "~ x + I(x - mean(x)) + t",
]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(FORMULAS), st.permutations(range(len(TRAIN))))
def test_order_of_rows_does_not_matter_and_old_data_are_new_data(formula: str, order: list[int]) -> None:
    design = build(formula, TRAIN)
    shuffled = TRAIN.iloc[order]
    np.testing.assert_array_equal(design.new_data(Frame.from_any(TRAIN)), design.matrix)
    np.testing.assert_allclose(design.new_data(Frame.from_any(shuffled)), design.matrix[order], atol=1e-14)
    np.testing.assert_allclose(build(formula, shuffled).matrix, design.matrix[order], atol=1e-10)
