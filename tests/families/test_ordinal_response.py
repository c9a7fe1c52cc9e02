"""Ordered categories as numbers, and what is no ordered category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesmlm.data.frame import Frame
from bayesmlm.errors import DataError, NewDataError
from bayesmlm.families.registry import family
from bayesmlm.families.response import code_response


def code(values, name="cumulative", levels=()):
    frame = Frame.from_any(pd.DataFrame({"y": values}))
    return code_response(family(name), frame["y"], "y", levels)


def ordered(values, *levels):
    return pd.Categorical(values, categories=list(levels), ordered=True)


def test_levels_of_an_ordered_factor_are_numbered():
    values, levels = code(ordered(["lo", "hi", "mid", None], "lo", "mid", "hi"))
    np.testing.assert_array_equal(values, [1, 3, 2, np.nan])
    assert levels == ("lo", "mid", "hi")
    again, _ = code(ordered(["hi"], "hi", "lo"), levels=levels)
    assert again.tolist() == [3]


def test_numbers_are_their_categories():
    values, levels = code([1, 4, 2])
    assert (values.tolist(), levels) == ([1, 4, 2], ("1", "2", "3", "4"))


def test_the_first_level_of_a_hurdle_is_zero():
    values, levels = code(ordered(["never", "often"], "never", "seldom", "often"), "hurdle_cumulative")
    assert (values.tolist(), levels) == ([0, 2], ("never", "seldom", "often"))
    assert code([0, 2, 1], "hurdle_cumulative")[1] == ("0", "1", "2")


WRONG = [
    (["a", "b"], r"is text: .*pd.Categorical\(data\['y'\], categories=\['a', 'b'\], ordered=True\)"),
    (pd.Categorical(["a", "b"]), "is a factor whose levels have no order: make it an ordered"),
    ([True, False], "is TRUE/FALSE; use `bernoulli`"),
    ([0, 1, 2], "holds 0: add 1, or use `hurdle_cumulative`"),
    ([1.5, 2.0, 3.0], "whole numbers from 1 on, but the response `y` holds 1.5"),
    ([1, 1, 1], "at least two categories; `y` has one, `1`, only"),
    (pd.Categorical(["a"], ordered=True), "has one, `a`, only"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_what_is_no_ordered_category_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        code(values)


def test_new_data_have_known_categories():
    with pytest.raises(NewDataError, match="`y` is 5 in the new data; the model knows `1`, `2`, `3`"):
        code([1, 5], levels=("1", "2", "3"))
    with pytest.raises(NewDataError, match="`zz`"):
        code(ordered(["zz"], "zz"), levels=("a", "b"))


def test_two_categories_are_pointed_to_bernoulli(capsys, caplog):
    _, levels = code([1, 2])
    assert levels == ("1", "2")
    assert "bernoulli" in capsys.readouterr().err + caplog.text
