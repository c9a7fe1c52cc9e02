"""Levels of grouping factors against brms's, and matching them in new data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesmlm.data.columns import Factor
from bayesmlm.data.frame import Frame
from bayesmlm.data.levels import group_codes, match_codes, number_names
from bayesmlm.errors import DataError

from ..support import reference
from .frames import data_of

GROUPS = reference("model_matrix")["groups"]
DATA = data_of(reference("model_matrix")["groups_data"])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: ":".join(group["variables"]))
def test_levels_are_those_of_brms(group: dict[str, Any]) -> None:
    codes, levels = group_codes(Frame.from_any(DATA), group["variables"])
    assert list(levels) == group["levels"]
    assert [levels[code] for code in codes] == group["rows"]
    assert codes.dtype == np.int32


def test_missing_values_belong_to_no_level() -> None:
    frame = Frame.from_any({"a": [1.0, None, 2.0], "b": ["x", "y", None]})
    assert group_codes(frame, ["a"])[0].tolist() == [0, -1, 1]
    assert group_codes(frame, ["a", "b"])[0].tolist() == [0, -1, -1]


def test_levels_of_new_data_match_by_name() -> None:
    _, levels = group_codes(Frame.from_any({"a": [1, 2, 10], "b": ["x", "y", "x"]}), ["a", "b"])
    new = Frame.from_any({"a": ["10", "2", "3", None], "b": pd.Categorical(["x", "y", "x", "x"])})
    assert match_codes(new, ["a", "b"], levels).tolist() == [
        levels.index("10_x"),
        levels.index("2_y"),
        -1,
        -1,
    ]
    assert match_codes(Frame.from_any({"a": [2.0, 7.0]}), ["a"], ("1", "2")).tolist() == [1, -1]


def test_combinations_that_would_share_a_name_are_refused() -> None:
    frame = Frame.from_any({"a": ["p_q", "p"], "b": ["r", "q_r"]})
    with pytest.raises(DataError, match="both be called `p_q_r`"):
        group_codes(frame, ["a", "b"])


@pytest.mark.parametrize(
    ("number", "name"),  # as.character() in R; whole numbers as R writes integers
    [
        (1.0, "1"), (-0.0, "0"), (100000.0, "100000"), (2.5, "2.5"), (0.0001, "1e-04"), (0.001, "0.001"),
        (1 / 3, "0.333333333333333"), (0.1 + 0.2, "0.3"), (1e20, "1e+20"), (1.5e-300, "1.5e-300"), (-12.25, "-12.25"),
        (123456.5, "123456.5"),
    ],
)  # fmt: skip
def test_names_of_numbers_are_those_of_r(number: float, name: str) -> None:
    assert number_names(np.array([number])) == [name]
    assert number_names(np.array([number, 0.5])) == [name, "0.5"]


def test_numbers_that_r_prints_alike_are_one_level() -> None:
    codes, levels = group_codes(Frame.from_any({"a": [0.3, 0.1 + 0.2, 0.5]}), ["a"])
    assert levels == ("0.3", "0.5")
    assert codes.tolist() == [0, 0, 1]


def test_a_million_levels() -> None:
    n = 1_000_000
    rng = np.random.default_rng(2)
    a, b = rng.permutation(n), rng.integers(0, 3, n)
    codes, levels = group_codes(Frame.from_any({"a": a, "b": b}), ["a", "b"])
    assert len(levels) == n
    sample = rng.integers(0, n, 100)
    assert [levels[codes[i]] for i in sample] == [f"{a[i]}_{b[i]}" for i in sample]


def test_matrices_and_infinite_numbers_are_no_grouping_factors() -> None:
    with pytest.raises(DataError, match="is a matrix of 2 columns"):
        group_codes(Frame.from_any({"a": np.zeros((3, 2))}), ["a"])
    with pytest.raises(DataError, match="`a` is infinite in row 2"):
        group_codes(Frame.from_any({"a": [1.0, np.inf]}), ["a"])
    factor = Frame.from_any({"a": [1.0, 2.0]})["a"]
    assert not isinstance(factor, Factor)
