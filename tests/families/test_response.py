"""Response columns: coding, supports, additions, and the words of the errors."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.data.columns import Factor, Numeric
from bayesmlm.errors import DataError, NewDataError
from bayesmlm.families import FAMILIES, family
from bayesmlm.families.response import addition_problem, code_response


def numbers(*values: float, **flags: bool) -> Numeric:
    return Numeric(np.array(values, dtype=float), **flags)


def trials_of(name: str, trials: float | list[float]) -> dict[str, np.ndarray]:
    return {"trials": np.array(trials)} if "trials" in FAMILIES[name].required_additions else {}


def factor(codes: list[int], *levels: str) -> Factor:
    return Factor(np.array(codes, dtype=np.int32), levels)


NAN = np.nan

# Column, coded values, levels: brms 2.18's rule (`make_standata(y ~ 1, family = bernoulli())$Y`), but TRUE alone is 1.
BINARY = [
    (numbers(0, 1, 1), [0, 1, 1], ("0", "1")),
    (numbers(2, 1, 2), [1, 0, 1], ("1", "2")),
    (numbers(-0.5, 0.1), [0, 1], ("-0.5", "0.1")),
    (numbers(0, 0), [0, 0], ("0",)),
    (numbers(1, 1), [1, 1], ("0", "1")),
    (numbers(3, 3), [1, 1], ("0", "3")),
    (numbers(1, 0, NAN), [1, 0, NAN], ("0", "1")),
    (numbers(1, 0, logical=True), [1, 0], ("FALSE", "TRUE")),
    (numbers(1, 1, logical=True), [1, 1], ("FALSE", "TRUE")),
    (factor([1, 0, 1], "no", "yes"), [1, 0, 1], ("no", "yes")),
    (factor([2, 0, -1], "b", "unused", "a"), [1, 0, NAN], ("b", "a")),
    (factor([0, 0], "only"), [0, 0], ("only",)),
]


@pytest.mark.parametrize(("column", "coded", "levels"), BINARY)
def test_bernoulli_codes_two_values(column, coded, levels):
    values, known = code_response(FAMILIES["bernoulli"], column, "y")
    np.testing.assert_array_equal(values, coded)
    assert values.dtype == np.float64
    assert known == levels
    again, _ = code_response(FAMILIES["bernoulli"], column, "y", levels=known)
    np.testing.assert_array_equal(again, coded)


def test_new_data_are_coded_with_the_levels_of_the_training_data():
    bernoulli = FAMILIES["bernoulli"]
    values, _ = code_response(bernoulli, factor([0, 0], "yes"), "y", levels=("no", "yes"))
    np.testing.assert_array_equal(values, [1, 1])
    values, _ = code_response(bernoulli, numbers(2.5, NAN), "y", levels=("1", "2.5"))
    np.testing.assert_array_equal(values, [1, NAN])
    for column in (factor([1, 0], "maybe", "no"), numbers(0, 7)):
        with pytest.raises(NewDataError, match=r"is `(maybe|7|0)` in row .; the model knows `no`, `yes`"):
            code_response(bernoulli, column, "y", levels=("no", "yes"))


REFUSED = [
    ("bernoulli", numbers(1, 2, 3), "two different values; `y` has 3: `1`, `2`, `3`"),
    ("bernoulli", factor([0, 1, 2], "a", "b", "c"), "`a`, `b`, `c`"),
    (
        "gaussian",
        factor([0, 1], "a", "b"),
        "needs numbers, but the response `y` is text or a factor with levels `a`, `b`",
    ),
    ("poisson", numbers(1, 0, logical=True), "TRUE/FALSE; use `bernoulli`"),
    ("gaussian", Numeric(np.zeros((3, 2))), "2 columns"),
]


@pytest.mark.parametrize(("name", "column", "message"), REFUSED)
def test_columns_that_a_family_cannot_take(name, column, message):
    with pytest.raises(DataError) as error:
        code_response(FAMILIES[name], column, "y")
    assert message in str(error.value)


def test_numbers_pass_unchanged():
    column = numbers(1.5, NAN, -2)
    values, levels = code_response(FAMILIES["gaussian"], column, "y")
    np.testing.assert_array_equal(values, column.values)
    assert levels == ()


OUTSIDE = [
    (
        "gaussian",
        [1, np.inf],
        "the response is inf in row 2, but the family `gaussian` needs finite numbers.",
    ),
    ("student", [NAN, 1], "nan in row 1"),
    (
        "lognormal",
        [1, 0, 0],
        "0 in row 2, but the family `lognormal` needs numbers greater than 0 (and 1 more row).",
    ),
    ("gamma", [-1, 2], "-1 in row 1"),
    (
        "beta",
        [0.5, 1, 0, 2],
        "1 in row 2, but the family `beta` needs numbers strictly between 0 and 1 (and 2 more rows)",
    ),
    ("poisson", [1, 2.5], "2.5 in row 2, but the family `poisson` needs whole numbers of at least 0"),
    ("negbinomial", [-1], "-1 in row 1"),
    ("binomial", [0.5, 1], "Give the number of successes, not a proportion."),
    ("bernoulli", [0, 2], "2 in row 2"),
    ("exponential", [1, 0], "0 in row 2, but the family `exponential` needs numbers greater than 0"),
    ("inverse.gaussian", [-1], "-1 in row 1"),
    ("zero_inflated_poisson", [0, -1], "-1 in row 2"),
    ("hurdle_negbinomial", [0, 0.5], "0.5 in row 2"),
    ("zero_inflated_binomial", [4, 1], "the response is 4 in row 1, more than its 3 trials"),
    ("beta_binomial", [0.5, 1], "Give the number of successes, not a proportion."),
]


@pytest.mark.parametrize(("name", "y", "message"), OUTSIDE)
def test_values_outside_the_support_are_named_with_their_row(name, y, message):
    with pytest.raises(DataError) as error:
        FAMILIES[name].check(np.array(y, dtype=float), trials_of(name, 3.0))
    assert message in str(error.value)


def test_labels_of_rows_can_be_given():
    with pytest.raises(DataError, match="in row id7"):
        FAMILIES["poisson"].check(np.array([1.0, -1.0]), {}, rows=["id3", "id7"])


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([3, 2.5], "the number of trials is 2.5 in row 2"),
        ([-1, 3], "the number of trials is -1 in row 1"),
        ([5, 1], "the response is 2 in row 2, more than its 1 trials"),
    ],
)
def test_trials(trials, message):
    with pytest.raises(DataError) as error:
        FAMILIES["binomial"].check(np.array([0.0, 2.0]), {"trials": np.array(trials, dtype=float)})
    assert message in str(error.value)


INSIDE = {
    "gaussian": [-1e300, 0, 3],
    "student": [-1, 1e300],
    "lognormal": [1e-300, 5],
    "gamma": [1e-300, 5],
    "beta": [1e-300, 0.999],
    "bernoulli": [0, 1],
    "binomial": [0, 7],
    "poisson": [0, 1e9],
    "negbinomial": [0, 12],
    "exponential": [1e-300, 5],
    "inverse.gaussian": [1e-300, 5],
    "beta_binomial": [0, 7],
    "nbinom1": [0, 12],
    "geometric": [0, 12],
    "zero_inflated_poisson": [0, 1e9],
    "zero_inflated_negbinomial": [0, 12],
    "zero_inflated_binomial": [0, 7],
    "hurdle_poisson": [0, 1e9],
    "hurdle_negbinomial": [0, 12],
}


@pytest.mark.parametrize("name", INSIDE)
def test_values_inside_the_support_pass(name):
    FAMILIES[name].check(np.array(INSIDE[name], dtype=float), trials_of(name, [0.0, 7.0]))


ADDITIONS = [
    ("binomial", ["trials", "weights"], "y", None),
    ("gaussian", ["weights"], "y", None),
    ("binomial", [], "y", "needs `trials()`: write `y | trials(n) ~ ...`"),
    (
        "binomial",
        [],
        "cbind(dead, size - dead)",
        "write `dead | trials(dead + size - dead) ~ ...` instead of `cbind(dead, size - dead) ~ ...`",
    ),
    ("bernoulli", ["trials"], "y", "does not take `trials()`; use `binomial`"),
    ("poisson", ["se"], "y", "the family `poisson` does not take `se()`"),
    ("zero_inflated_binomial", ["trials"], "y", None),
    ("beta_binomial", [], "y", "needs `trials()`: write `y | trials(n) ~ ...`"),
    ("zero_inflated_poisson", ["rate"], "y", "does not take `rate()`"),
]


@pytest.mark.parametrize(("name", "given", "response", "message"), ADDITIONS)
def test_additions(name, given, response, message):
    problem = addition_problem(family(name), given, response)
    if message is None:
        assert problem is None
    else:
        assert problem is not None
        assert message in problem[1]
