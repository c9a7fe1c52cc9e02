"""Any text is read or refused with a `FormulaError`, and what is read prints as itself."""

from __future__ import annotations

import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from bayesmlm.errors import BayesmlmWarning, FormulaError
from bayesmlm.formula import as_bayes_formula, parse_expression, parse_formula, unparse
from bayesmlm.formula.available import refuse_unavailable

WORDS = [
    *[
        "y",
        "x",
        "z",
        "g",
        "a",
        "b",
        "0",
        "1",
        "2",
        "1e-3",
        "0x10",
        "2L",
        ".5",
        "TRUE",
        "NULL",
        "NA",
        ".",
        "Intercept",
    ],
    *[
        "`my var`",
        "'text'",
        '"q"',
        "~",
        "~",
        "+",
        "+",
        "-",
        "*",
        "/",
        ":",
        "^",
        "**",
        "%in%",
        "%%",
        "|",
        "|",
        "||",
    ],
    *[
        "&",
        "&&",
        "!",
        "<",
        "<=",
        "==",
        "!=",
        "=",
        ",",
        "(",
        "(",
        "(",
        ")",
        ")",
        ")",
        "[",
        "]",
        "::",
        "s(",
        "mo(",
    ],
    *[
        "cs(",
        "gp(",
        "ar(",
        "offset(",
        "log(",
        "I(",
        "gr(",
        "mm(",
        "mmc(",
        "bf(",
        "mvbf(",
        "lf(",
        "nlf(",
        "set_nl(",
    ],
    *[
        "trials(",
        "weights(",
        "us(",
        "k=",
        "by=",
        "id=",
        "cor=",
        "nl=",
        "sigma=",
        "$",
        "@",
        "#",
        "\n",
        "%",
        ";",
        "−",
    ],
]
OPERATORS = ["+", "-", "*", "/", ":", "^", "%in%", "%%", "<", "==", "&", "&&", "|", "||", "~"]
token_soup = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
any_text = st.text(max_size=60)

# Sums, products and calls that are all legal: the grammar run forwards.
leaf = st.sampled_from(["x", "x.1", "`my var`", "1", "0.5", "1e-07", "2L", '"t"', "f()", "x[, 1]", "a::f(x)"])
operator = st.sampled_from(OPERATORS)
legal = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(inner, operator, inner).map(
            lambda t: f"({t[0]}) {t[1]} {t[2]}" if t[1] in ("<", "==", "~") else " ".join(t)
        ),
        st.tuples(st.sampled_from("-+!~"), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, inner).map(lambda t: f"s({t[0]}, k = {t[1]})"),
    ),
    max_leaves=12,
)


def _read_completely(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesmlmWarning)
        try:
            model = as_bayes_formula(text)
        except FormulaError as error:
            str(error)
            return
        assert as_bayes_formula(model.to_text()) == model
        str(model)
        for use in (
            lambda: refuse_unavailable(model),
            lambda: parse_formula(text).predictor(["y", "x", "z"]),
        ):
            try:
                use()
            except FormulaError as error:
                str(error)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        any_text, token_soup, token_soup.map("y ~ ".__add__), token_soup.map(lambda t: f"bf(y ~ x, {t})")
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    _read_completely(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(token_soup, legal))
def test_printing_and_reading_are_inverse(text: str) -> None:
    try:
        tree = parse_expression(text)
    except FormulaError:
        return
    printed = unparse(tree)
    assert parse_expression(printed) == tree
    assert unparse(parse_expression(printed)) == printed


@settings(max_examples=300, deadline=None)
@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_numbers_survive_printing(value: float) -> None:
    tree = parse_expression(repr(value))
    assert parse_expression(unparse(tree)) == tree
