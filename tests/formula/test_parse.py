"""Text to tree: spans, limits, and the tree's shape where printing alone would not show it."""

from __future__ import annotations

import pytest

from bayesmlm.errors import FormulaError
from bayesmlm.formula import (
    Argument,
    Binary,
    Call,
    Formula,
    Name,
    Number,
    Paren,
    Unary,
    parse_expression,
    parse_formula,
)
from bayesmlm.formula import unparse as show
from bayesmlm.formula.formulas import ADDITIONS
from bayesmlm.formula.unparse import deparse_number
from bayesmlm.formula.walk import variables, walk

a, b, c = Name("a"), Name("b"), Name("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-a^b", Unary("-", Binary("^", a, b))),
        ("-a:b", Binary(":", Unary("-", a), b)),
        ("a:b*c", Binary("*", Binary(":", a, b), c)),
        ("a*b%in%c", Binary("*", a, Binary("%in%", b, c))),
        ("a^b^c", Binary("^", a, Binary("^", b, c))),
        ("a-b-c", Binary("-", Binary("-", a, b), c)),
        ("!a==b", Unary("!", Binary("==", a, b))),
        ("a|b|c", Binary("|", Binary("|", a, b), c)),
        ("a|b~c", Binary("~", Binary("|", a, b), c)),
        ("(a)", Paren(a)),
        ("brms::s(a)", Call("s", parse_expression("f(a)").arguments)),  # type: ignore[attr-defined]
        ("1e-3", Number(0.001)),
    ],
)
def test_precedence(text: str, tree: object) -> None:
    assert parse_expression(text) == tree


def test_every_node_knows_its_characters() -> None:
    text = "log(x.1) + s(z, k = 5)*`my var` - x[, 1]"
    for node in walk(parse_expression(text)):
        if isinstance(node, Argument):
            continue
        start, end = node.span
        assert parse_expression(text[start:end]) == node


def test_formula_parts_and_printing() -> None:
    formula = parse_formula("y|trials(n)+resp_weights(w)~x+(1|g)")
    assert str(formula) == "y | trials(n) + weights(w) ~ x + (1 | g)"
    assert [call.function for call in formula.additions] == ["trials", "weights"]
    assert formula.response_variables == ("y", "n", "w")
    assert formula.addition("weights") is not None
    assert formula.addition("se") is None
    assert str(parse_formula("~ x")) == "~x"
    assert parse_formula("y~x") == parse_formula("y ~  x  # same")
    assert isinstance(hash(formula), int)


@pytest.mark.parametrize("name", ADDITIONS)
def test_every_addition_is_read(name: str) -> None:
    assert [call.function for call in parse_formula(f"y | {name}(v) ~ 1").additions] == [name]


def test_variables_leave_out_functions_literals_and_dots() -> None:
    assert variables(parse_expression("log(x, base = b) + x:T + NULL + TRUE + .")) == ("x", "b", "T")


def test_long_sums_are_fine_and_deep_nesting_is_refused() -> None:
    long = "y ~ " + " + ".join(f"x{i}" for i in range(3000))
    formula = parse_formula(long)
    assert str(formula) == long
    assert formula == parse_formula(long)
    assert len(formula.predictor().terms) == 3000
    for deep in (
        "(" * 5000 + "x",
        "-" * 5000 + "x",
        "f(" * 300 + "x" + ")" * 300,
        "a^" * 5000 + "a",
        "!" * 999,
    ):
        with pytest.raises(FormulaError, match="nested too deeply"):
            parse_expression(deep)
    with pytest.raises(FormulaError, match="too many terms"):
        parse_formula("y ~ log(" + "x + " * 3000 + "x)")
    assert show(parse_expression("(" * 90 + "x" + ")" * 90))


def test_trees_made_by_hand_get_the_parentheses_they_need() -> None:
    made = [
        (Binary("*", Binary("+", a, b), c), "(a + b) * c"),
        (Binary("-", a, Binary("-", b, c)), "a - (b - c)"),
        (Binary("^", Binary("^", a, b), c), "(a^b)^c"),
        (Binary("^", Unary("-", a), b), "(-a)^b"),
        (Unary("-", Binary("+", a, b)), "-(a + b)"),
        (Binary("+", Binary("*", a, Unary("!", b)), c), "(a * !b) + c"),
        (Binary("<", Binary("<", a, b), c), "(a < b) < c"),
    ]
    for tree, text in made:
        assert show(tree) == text


def test_numbers_keep_digits_that_r_would_lose() -> None:
    assert deparse_number(0.1234567890123456) == "0.1234567890123456"
    assert deparse_number(-2.5) == "-2.5"


def test_formula_is_built_by_parse_only_from_text() -> None:
    assert isinstance(parse_formula("y ~ x"), Formula)
    with pytest.raises(FormulaError, match="a formula is text"):
        parse_formula(3)  # type: ignore[arg-type]
