"""Categories, counts and shares: from columns to numbers; what is refused, with the row and what to write instead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.bayes import prepare
from bayesmlm.data.frame import Frame

FRAME = pd.DataFrame(
    {
        "x": [0.0, 1.0, 2.0, 3.0],
        "text": ["b", "a", "b", "c"],
        "number": [10, -10, 0, 10],
        "flag": [True, False, True, True],
        "a": [1, 0, 3, 2],
        "b": [4, 5, 0, 1],
        "c": [0, 2, 2, 2],
        "n": [5, 7, 5, 5],
        "p": [0.2, 0.3, 0.25, 0.1],
        "q": [0.5, 0.3, 0.25, 0.1],
        "r": [0.3, 0.4, 0.5, 0.8],
    }
)


def response(formula, family, data=FRAME):
    return prepare(formula, data, family).response


@pytest.mark.parametrize(
    ("column", "levels", "codes"),
    [
        ("text", ("a", "b", "c"), [2, 1, 2, 3]),
        ("number", ("-10", "0", "10"), [3, 1, 2, 3]),
        ("flag", ("FALSE", "TRUE"), [2, 1, 2, 2]),
        ("factor(text, levels = c('c', 'b', 'a'))", ("c", "b", "a"), [2, 3, 2, 1]),
    ],
)
def test_categories_are_coded_in_the_order_of_their_levels(column, levels, codes):
    coded = response(f"{column} ~ x", "categorical")
    assert coded.levels == levels
    assert coded.values.tolist() == codes


def test_columns_of_a_response_have_names():
    coded = response("cbind(a, b, c) | trials(n) ~ x", "multinomial")
    assert coded.levels == ("a", "b", "c")
    assert coded.values.tolist() == [[1, 0, 3, 2], [4, 5, 0, 1], [0, 2, 2, 2]]
    named = response("cbind(yes = a, no = b, c) | trials(a + b + c) ~ x", "multinomial")
    assert named.levels == ("yes", "no", "c")


def test_a_matrix_in_a_dict_is_a_response():
    matrix = FRAME[["a", "b", "c"]].to_numpy()
    design = prepare("y | trials(n) ~ x", {"y": matrix, "n": FRAME["n"], "x": FRAME["x"]}, "multinomial")
    assert design.response.values.tolist() == matrix.T.tolist()
    assert list(design.predictors) == ["mu2", "mu3"]


def test_rows_of_shares_are_divided_by_their_sum_when_it_is_one_but_for_rounding():
    off = FRAME.assign(p=FRAME["p"] + 2e-7)
    assert response("cbind(p, q, r) ~ x", "dirichlet", off).values.sum(axis=0) == pytest.approx(1, abs=1e-15)


def test_rows_with_a_missing_column_are_left_out():
    holes = FRAME.assign(p=[0.2, np.nan, 0.25, 0.1])
    assert prepare("cbind(p, q, r) ~ x", holes, "dirichlet").n == 3


REFUSED = {
    "one category": (
        "text ~ x",
        "categorical",
        {"text": "b"},
        "at least two categories; `text` has one, `b`, only",
    ),
    "broken numbers": ("p ~ x", "categorical", {}, "numbers such as 0.2; if they are names"),
    "matrix of categories": ("cbind(a, b) ~ x", "categorical", {}, "has 2 columns; it must be one"),
    "one column": (
        "a | trials(n) ~ x",
        "multinomial",
        {},
        r"write `cbind\(a, b, c\) \| trials\(a \+ b \+ c\) ~",
    ),
    "one share": ("cbind(p) ~ x", "dirichlet", {}, r"write `cbind\(a, b, c\) ~ ...`"),
    "no trials": (
        "cbind(a, b, c) ~ x",
        "multinomial",
        {},
        r"write `cbind\(a, b, c\) \| trials\(a \+ b \+ c\) ~ ...`",
    ),
    "other trials": (
        "cbind(a, b, c) | trials(n) ~ x",
        "multinomial",
        {"n": [5, 7, 6, 5]},
        "of row 3 sum to 5, and its",
    ),
    "negative": (
        "cbind(a, b, c) | trials(n) ~ x",
        "multinomial",
        {"b": [4, -5, 0, 1]},
        "-5 in column 2 in row 2",
    ),
    "proportions": ("cbind(p, q, r) | trials(1) ~ x", "multinomial", {}, "0.2 in column 1 in row 1"),
    "text column": ("cbind(a, text) | trials(n) ~ x", "multinomial", {}, "`text` is text, not numbers"),
    "sum": ("cbind(p, q, r) ~ x", "dirichlet", {"q": [0.5, 0.3, 0.35, 0.1]}, "sums to 1.1 in row 3"),
    "zero": (
        "cbind(p, q, r) ~ x",
        "dirichlet2",
        {"p": 0.0, "q": [0.7, 0.6, 0.5, 0.2]},
        "is 0 in column 1 in row 1",
    ),
    "reference": ("text ~ x", "categorical(refcat = 'z')", {}, "refcat is `z`, which is no category"),
    "binomial": ("cbind(a, b, c) ~ x", "binomial", {}, "counts of several categories, family `multinomial`"),
    "gaussian": ("cbind(a, b) ~ x", "gaussian", {}, "2 columns; it must be one"),
    "empty": ("cbind() ~ x", "dirichlet", {}, "joins columns"),
    "right side": ("p ~ cbind(a, b)", "gaussian", {}, "stands on the left-hand side only"),
    "cens": ("text | cens(flag) ~ x", "categorical", {}, r"does not take `cens\(\)`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name):
    formula, family, changes, message = REFUSED[name]
    with pytest.raises(bm.BayesmlmError, match=message):
        prepare(formula, FRAME.assign(**changes), family)


def test_a_formula_for_the_reference_is_refused():
    with pytest.raises(
        bm.FormulaError, match="`mua` is not a parameter of the family `categorical`; it has mub, muc"
    ):
        prepare(bm.bf("text ~ x", "mua ~ x"), FRAME, "categorical")


def test_new_data_are_coded_as_the_old():
    design = prepare("text ~ x", FRAME, "categorical")
    frame = Frame.from_any({"text": ["c", "a"], "x": [0.0, 1.0]})
    assert design.new_response(frame)["y"].tolist() == [3, 1]
    with pytest.raises(bm.NewDataError, match="row 1 of the new data has level `d` in `text`"):
        design.new_response(Frame.from_any({"text": ["d"], "x": [0.0]}))
    with pytest.raises(bm.NewDataError, match="is `7` in row 2; the model knows `-10`, `0`, `10`"):
        prepare("number ~ x", FRAME, "categorical").new_response(
            Frame.from_any({"number": [0, 7], "x": [0.0, 1.0]})
        )
    matrix = prepare("y ~ x", {"y": np.full((4, 3), 1 / 3), "x": FRAME["x"]}, "dirichlet")
    narrow = Frame.from_any({"y": np.full((2, 2), 0.5), "x": [0.0, 1.0]})
    with pytest.raises(bm.NewDataError, match="has 2 columns in the new data; the model knows 3"):
        matrix.new_response(narrow)
