"""Names as brms 2.18's rename() and make_stan_names() give them (values from running them)."""

from __future__ import annotations

import pytest

from bayesmlm.errors import FormulaError
from bayesmlm.formula.names import parameter_class, rename, rename_all, response_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I(x^2)", "IxE2"),
        ("poly(z, 2)1", "polyz21"),
        ("a:b", "a:b"),
        ('x == "a"', "xEQEQa"),
        ("a + b", "aPb"),
        ("x[, 1]", "x1"),
        ("a*b/c", "aMUbDc"),
        ("x - 1?", "xM1"),
        ("it's", "its"),
        ("f$x", "fUSDx"),  # brms 2.23; 2.18 keeps the dollar
    ],
)
def test_rename(text: str, expected: str) -> None:
    assert rename(text) == expected


def test_collisions_are_errors() -> None:
    assert rename_all(["a b", "c"]) == ("ab", "c")
    with pytest.raises(FormulaError, match="`a b` and `ab` would both be called `ab`"):
        rename_all(["a b", "ab"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("y_1", "y1"), ("1y", "X1y"), ("log(y)", "logy"), ("my var", "myvar"), ("é", "é"), ("y.1_2", "y12")],
)
def test_response_name(text: str, expected: str) -> None:
    assert response_name(text) == expected


def test_parameter_class() -> None:
    assert [parameter_class(name) for name in ("sigma", "sigma2", "mu10")] == ["sigma", "sigma", "mu"]
