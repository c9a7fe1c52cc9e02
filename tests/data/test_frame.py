"""Data frames of any library to columns, the joint missing-value mask, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bayesmlm.data.columns import Factor, Numeric
from bayesmlm.data.frame import Frame
from bayesmlm.data.model_frame import check_finite, complete_rows
from bayesmlm.errors import DataError

VALUES: dict[str, list[Any]] = {
    "count": [3, None, 1],
    "score": [1.5, None, 2.0],
    "name": ["x", None, "B"],
    "flag": [True, None, False],
    "id": [7, 8, 9],
}
FRAMES = {
    "dict": VALUES,
    "arrays": {k: np.array(v, dtype=object) for k, v in VALUES.items()},
    "pandas": pd.DataFrame(VALUES),
    "pandas nullable": pd.DataFrame(VALUES).convert_dtypes(),
    "pandas arrow": pd.DataFrame(VALUES).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame(VALUES),
    "polars lazy": pl.LazyFrame(VALUES),
    "pyarrow": pa.table(VALUES),
    "dict of series": {k: pl.Series(v) for k, v in VALUES.items()},
}


@pytest.mark.parametrize("data", FRAMES.values(), ids=FRAMES.keys())
def test_every_library_gives_the_same_columns(data: Any) -> None:
    frame = Frame.from_any(data)
    assert frame.n_rows == 3
    assert frame.names == tuple(VALUES)
    for name, expected in (("count", [3, np.nan, 1]), ("score", [1.5, np.nan, 2]), ("flag", [1, np.nan, 0])):
        column = frame[name]
        assert isinstance(column, Numeric)
        assert column.values.dtype == np.float64
        assert column.logical == (name == "flag")
        np.testing.assert_array_equal(column.values, expected)
    name_column, id_column = frame["name"], frame["id"]
    assert isinstance(name_column, Factor)
    assert (name_column.levels, name_column.codes.tolist()) == (
        ("B", "x"),
        [1, -1, 0],
    )  # C locale: capitals first
    assert name_column.text
    assert isinstance(id_column, Numeric)
    assert id_column.integer


def dictionary(ordered: bool) -> pa.Table:
    array = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None], pa.int8()), ["b", "a", "z"], ordered=ordered
    )
    return pa.table({"c": array})


CATEGORIES = {
    "pandas": (
        pd.DataFrame({"c": pd.Categorical(["b", "a", None], ["b", "a", "z"])}),
        ("b", "a", "z"),
        False,
    ),
    "ordered": (
        pd.DataFrame({"c": pd.Categorical(["b", "a", None], ["b", "a", "z"], ordered=True)}),
        ("b", "a", "z"),
        True,
    ),
    "Enum": (
        pl.DataFrame({"c": pl.Series(["b", "a", None], dtype=pl.Enum(["b", "a", "z"]))}),
        ("b", "a", "z"),
        False,
    ),
    "polars": (pl.DataFrame({"c": pl.Series(["b", "a", None], dtype=pl.Categorical)}), ("a", "b"), False),
    "arrow": (dictionary(False), ("b", "a", "z"), False),
    "arrow ordered": (dictionary(True), ("b", "a", "z"), True),
    "arrow in pandas": (dictionary(True).to_pandas(types_mapper=pd.ArrowDtype), ("b", "a", "z"), True),
    "numbers": (pd.DataFrame({"c": pd.Categorical([10, 2.5, None], [10, 2.5])}), ("10", "2.5"), False),
    "logical": (pd.DataFrame({"c": pd.Categorical([True, False, None])}), ("FALSE", "TRUE"), False),
}


@pytest.mark.parametrize(("data", "levels", "ordered"), CATEGORIES.values(), ids=CATEGORIES.keys())
def test_categories_keep_their_order(data: Any, levels: tuple[str, ...], ordered: bool) -> None:
    column = Frame.from_any(data)["c"]
    assert isinstance(column, Factor)
    assert column.levels == levels
    assert column.ordered is ordered
    first, second, third = column.codes.tolist()
    assert (levels[first][0], levels[second][0], third) in {("b", "a", -1), ("1", "2", -1), ("T", "F", -1)}


REFUSED: list[tuple[Any, str]] = [
    ({"x": [1.5, "a", 2]}, r"column `x` mixes numbers and text: row 1 holds 1.5, row 2 holds 'a'"),
    ({"x": ["a", True]}, "mixes text and TRUE/FALSE"),
    ({"x": ["a", ["b"]]}, r"holds list \['b'\] in row 2"),
    ({"x": [2**60, 1]}, r"beyond 2\^53"),
    (pl.DataFrame({"x": [2**60, 1]}), r"beyond 2\^53"),
    (pd.DataFrame({"x": pd.to_datetime(["2020-01-01", "2020-01-02"])}), "Datetime.*make a number of it"),
    (pl.DataFrame({"x": [[1], [2]]}), "holds List"),
    ({"x": [1j, 2]}, "holds complex"),
    ({"x": np.zeros((2, 2, 2))}, "3-dimensional"),
    ({"x": [1, 2], "y": [1]}, "different lengths: `x` has 2, `y` has 1"),
    ({"x": 3}, "`x` is int 3, not a sequence"),
    ({"x": "abc"}, "`x` is str 'abc', not a sequence"),
    ({"x": []}, "no rows"),
    ({}, "no columns"),
    (pd.DataFrame({"x": []}), "no rows"),
    (pd.DataFrame([[1, 2]], columns=["x", "x"]), "more than one column called `x`"),
    (np.zeros((3, 2)), "not numpy.ndarray"),
    (pd.Series([1, 2]), "not pandas"),
    ("data.csv", "not builtins.str"),
    (None, "not builtins.NoneType"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_no_model_can_use_is_refused_by_name(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Frame.from_any(data)["x"]


def test_columns_that_are_not_used_may_hold_anything() -> None:
    frame = Frame.from_any(
        {"x": [1, 2], "bad": [1, "a"], "when": pd.to_datetime(["2020-01-01", "2020-01-02"])}
    )
    mask, dropped = complete_rows(frame, ["x"])
    assert mask.all()
    assert dropped == 0
    check_finite(frame)
    with pytest.raises(DataError, match="did you mean `when`"):
        frame["wen"]
    with pytest.raises(DataError, match="its columns are `x`, `bad`, `when`"):
        frame["q"]


def test_matrices_and_masked_arrays() -> None:
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    frame = Frame.from_any({"m": np.arange(6.0).reshape(3, 2), "k": masked})
    matrix, k = frame["m"], frame["k"]
    assert isinstance(matrix, Numeric)
    assert isinstance(k, Numeric)
    assert matrix.columns == ("1", "2")
    np.testing.assert_array_equal(k.values, [1, np.nan, 3])


def test_rows_are_complete_jointly_and_named_by_their_place_in_the_data() -> None:
    data = pd.DataFrame(
        {"x": [1, np.nan, 3, 4], "f": pd.Categorical(["a", "b", None, "c"])}, index=list("pqrs")
    )
    frame = Frame.from_any(data)
    mask, dropped = complete_rows(frame, ["x", "f"])
    assert mask.tolist() == [True, False, False, True]
    assert dropped == 2
    kept = frame.take(mask)
    assert kept.row_name(1) == "row 4 (index s)"
    assert kept.take(np.array([1])).row_name(0) == "row 4 (index s)"
    smaller, gone = kept.drop_unused_levels(["f"])
    assert gone == {"f": ("b",)}
    column = smaller["f"]
    assert isinstance(column, Factor)
    assert (column.levels, column.codes.tolist()) == (("a", "c"), [0, 1])
    assert smaller.select(["f"]).names == ("f",)
    assert smaller.to_pandas().to_dict("list") == {"x": [1.0, 4.0], "f": ["a", "c"]}


def test_infinite_values_are_refused_by_row() -> None:
    frame = Frame.from_any({"x": [1.0, -np.inf], "y": [1.0, 2.0]})
    assert complete_rows(frame, ["y"])[1] == 0
    with pytest.raises(DataError, match="column `x` is infinite in row 2"):
        complete_rows(frame, ["x", "y"])
    with pytest.raises(DataError, match="`x` is infinite"):
        check_finite(frame)


def test_a_frame_survives_the_way_through_pandas() -> None:
    frame = Frame.from_any(FRAMES["polars"]).take(np.array([0, 2]))
    again = Frame.from_any(frame.to_pandas())
    for name in frame.names:
        one, other = frame[name], again[name]
        assert type(one) is type(other)
        values = (
            ("codes", "levels", "ordered", "text")
            if isinstance(one, Factor)
            else ("values", "integer", "logical")
        )
        for attribute in values:
            np.testing.assert_array_equal(getattr(one, attribute), getattr(other, attribute))
    assert Frame.from_columns(frame.columns).names == frame.names
    with pytest.raises(DataError, match="different lengths"):
        Frame.from_columns({"a": Numeric(np.zeros(2)), "b": Numeric(np.zeros(3))})
