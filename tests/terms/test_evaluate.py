"""The closed world of expressions: values against numpy, what is remembered, and what is refused with a caret."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesmlm.data.columns import Factor, Numeric
from bayesmlm.data.frame import Frame
from bayesmlm.errors import BayesmlmWarning, DataError, FormulaError, NewDataError
from bayesmlm.formula.evaluate import TransformState, evaluate
from bayesmlm.formula.nodes import Argument, Call, Name
from bayesmlm.formula.parse import parse_expression

X = np.array([1.0, 2.0, 3.0, 0.0, -1.0])
DATA = pd.DataFrame(
    {
        "x": X,
        "f": pd.Categorical(["a", "b", "a", "c", "b"]),
        "o": pd.Categorical(["lo", "hi", "mid", "lo", "hi"], ["lo", "mid", "hi"], ordered=True),
        "t": ["u", "v", "10", "u", "v"],
        "d": ["1", "2.5", "-3", "1", "4"],
        "l": [True, False, True, True, False],
        "m": [True, None, False, None, True],
        "T": [5.0, 6, 7, 8, 9],
    }
)
FRAME = Frame.from_any(DATA)


def value(text: str, state: TransformState | None = None, frame: Frame = FRAME, **functions: Any) -> Any:
    column = evaluate(parse_expression(text), frame, state or TransformState(), functions, text)
    return (
        column.values
        if isinstance(column, Numeric)
        else [(*column.levels, None)[code] for code in column.codes]
    )


VALUES: list[tuple[str, Any]] = [
    ("-x + 2 * x^2 / 4", -X + X**2 / 2),
    ("x %% 2 + x %/% 2", X % 2 + X // 2),
    ("2", np.full(5, 2.0)),
    ("pi * T", np.pi * np.arange(5.0, 10.0)),  # a column hides R's T
    ("l + l", [2, 0, 2, 2, 0]),
    ("!l", [0, 1, 0, 0, 1]),
    ("m & FALSE", [0, 0, 0, 0, 0]),
    ("m & TRUE", [1, np.nan, 0, np.nan, 1]),
    ("m | TRUE", [1, 1, 1, 1, 1]),
    ("m | l", [1, np.nan, 1, 1, 1]),
    ("m == TRUE", [1, np.nan, 0, np.nan, 1]),
    ('f == "a"', [1, 0, 1, 0, 0]),
    ('"a" != f', [0, 1, 0, 1, 1]),
    ('f == "unheard"', [0, 0, 0, 0, 0]),
    ("t == 10", [0, 0, 1, 0, 0]),
    ('o > "lo"', [0, 1, 1, 0, 1]),
    ('"mid" >= o', [1, 0, 1, 1, 0]),
    ("f == f", [1, 1, 1, 1, 1]),
    ("x %in% 0:2", [1, 1, 0, 1, 0]),
    ('f %in% c("a", "c")', [1, 0, 1, 1, 0]),
    ("as.numeric(f)", [1, 2, 1, 3, 2]),
    ("as.numeric(d)", [1, 2.5, -3, 1, 4]),
    ("as.integer(d)", [1, 2, -3, 1, 4]),
    ("as.logical(x)", [1, 1, 1, 0, 1]),
    ("as.character(x)", ["1", "2", "3", "0", "-1"]),
    ("poly(x, 2, raw = TRUE)[, 2]", X**2),
    ("ifelse(m, 1, x)", [1, np.nan, 3, np.nan, 1]),
    ('ifelse(x > 0, t, "none")', ["u", "v", "10", "none", "none"]),
    ("cut(x, c(-1, 1, 3))", ["(-1,1]", "(1,3]", "(1,3]", "(-1,1]", None]),
    ("cut(x, c(-1, 1, 3), labels = FALSE)", [1, 2, 2, 1, np.nan]),
    ("factor(x, levels = c(1, 2))", ["1", "2", None, None, None]),
    ("sd(x) + var(x) + median(x) + sum(x)", np.full(5, X.std(ddof=1) + X.var(ddof=1) + 1 + 5)),
    ("mean(m, na.rm = TRUE)", np.full(5, 2 / 3)),
    ("max(c(1, 2), 7) + min(3)", np.full(5, 10.0)),
    ("log(exp(2), base = 2) * x", X * 2 / np.log(2)),
    ("standardize(x)", (X - X.mean()) / X.std(ddof=1)),
    ("center(x)", X - X.mean()),
    ("scale(x, center = 1, scale = 2)", (X - 1) / 2),
    ("offset(x)", X),
]


@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[text for text, _ in VALUES])
def test_values(text: str, expected: Any) -> None:
    found = value(text)
    if isinstance(found, list):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-14)


REFUSED = [
    ("lgo(x)", "lgo(x)", "did you mean `log`"),
    ("eval(x)", "eval(x)", "not known here"),
    ("getattr(x, 'y')", "getattr(x, 'y')", "not known here"),
    ("x + mo(f)", "mo(f)", "a term of its own"),
    ("1 + f", "f", r"`f` is a factor, not numbers: .*as.numeric\(f\)"),
    ("t * 2", "t", "`t` is text"),
    ("scale(f)", "f", "is a factor"),
    ("min(x, f)", "f", "`f` is a factor"),
    ('x == "a"', 'x == "a"', "`x` holds numbers"),
    ('f > "a"', 'f > "a"', "have no order"),
    ('o > "high"', '"high"', "compare with one of the levels `lo`, `mid`, `hi`"),
    ("x && l", "x && l", "write `&`"),
    ("x:l", "x:l", "write `\\*`"),
    ("x + c(1, 2)", "x + c(1, 2)", "single numbers"),
    ("c(1, 2)", "c(1, 2)", "is no column"),
    ("'a'", "'a'", "is no column"),
    ("NULL", "NULL", "is no column"),
    ("1:1e12", "1:1e12", "too long"),
    ("log(x + 2, base = 1)", "1", "base of a logarithm"),
    ("log(x, bass = 2)", "bass = 2", "no argument `bass`: it takes `x`, `base`"),
    ("log(x, 2, 3)", "3", "takes 2 arguments"),
    ("log(x, )", "log(x, )", "is empty"),
    ("x[, 1]", "x[, 1]", "is no matrix"),
    ("poly(x, 2)[, 3]", "poly(x, 2)[, 3]", "from 1 to 2"),
    ("poly(x, 2) + 1", "poly(x, 2)", "several columns"),
    ("poly(x, 0)", "0", "whole number from 1 to"),
    ("bs(x, df = 2)", "2", "whole number from 3 to"),
    ("relevel(f, NA)", "NA", "must name a level"),
    ("round(x, 1e300)", "1e300", "between -300 and 300"),
    ("scale(x, center = Inf)", "Inf", "one finite number"),
    ("relevel(f, ref = 'z')", "'z'", "must name a level of `f`"),
    ("C(f, contr.odd)", "contr.odd", "contrasts are `treatment`"),
    ("ifelse(x > 0, f, 'b')", "ifelse(x > 0, f, 'b')", "both be numbers or both be text"),
    ("factor(f, labels = 'z')", "'z'", "1 labels do not fit the 3 levels"),
    ("poly(x, 1e9, raw = TRUE)", "1e9", "from 1 to 10000"),
    ("cut(x, 1e12)", "1e12", "from 2 to 10000"),
    ("cut(x, seq(0, 1, by = 1e-9))", "seq(0, 1, by = 1e-9)", "no sequence"),
    ("cut(x, c(1, 1))", "c(1, 1)", "different from each other"),
]


@pytest.mark.parametrize(("text", "marked", "message"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_what_the_language_does_not_have_is_refused_with_a_caret(
    text: str, marked: str, message: str
) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        value(text)
    assert caught.value.span is not None
    start, end = caught.value.span
    assert text[start:end].strip() == marked


@pytest.mark.parametrize("name", ["__import__", "__class__", "open", "exec"])
def test_names_of_python_mean_nothing(name: str) -> None:
    """A tree put together by hand cannot reach Python either."""
    with pytest.raises(FormulaError, match="not known here"):
        evaluate(Call(name, (Argument(Name("x")),)), FRAME, TransformState())
    with pytest.raises(DataError, match="not in the data"):
        evaluate(Name(name), FRAME, TransformState())


BAD_DATA = [
    ("log(x)", "`x` is 0 in row 4"),
    ("sqrt(x)", "`x` is -1 in row 5"),
    ("as.numeric(t)", "`t` has `u` in row 1"),
    ("scale(x - x)", "cannot be scaled"),
    ("poly(x, 5)", "can be 4 at most"),
    ("bs(x, knots = 9)", "inside the boundary, from -1 to 3"),
    ("mean(m)", "no finite number"),
]


@pytest.mark.parametrize(("text", "message"), BAD_DATA)
def test_values_outside_a_domain_are_refused_by_row(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        value(text)


def test_what_was_learned_is_used_for_new_data() -> None:
    state = TransformState()
    texts = [
        "scale(x)",
        "x - mean(x)",
        "cut(x, 2, labels = FALSE)",
        "factor(x)",
        "max(x)",
        "as.numeric(o)",
        "poly(x, 2)",
    ]
    for text in texts:
        value(text, state)
    saved = TransformState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    new = Frame.from_any({"x": [3.0, 0.0], "o": ["hi", "lo"]})
    for text in texts:
        whole = evaluate(parse_expression(text), FRAME, TransformState(), source=text)
        kept = evaluate(parse_expression(text), new, saved.frozen(), source=text)
        expected = whole.values if isinstance(whole, Numeric) else whole.codes
        found = kept.values if isinstance(kept, Numeric) else kept.codes
        rows = [1, 0] if "(o)" in text else [2, 3]  # rows of the old data with the values of the new
        np.testing.assert_array_equal(found, np.asarray(expected)[rows])
    with pytest.raises(NewDataError, match="not part of the fitted model"):
        value("scale(x, scale = FALSE)", saved, new)


def test_state_of_known_transforms_is_what_r_finds() -> None:
    state = TransformState()
    for text in ("scale(x)", "poly(x, 2)"):
        value(text, state)
    # attributes(scale(x)), attr(poly(x, 2), "coefs") for x <- c(1, 2, 3, 0, -1)
    assert state.calls["scale(x)"] == pytest.approx({"center": 1.0, "scale": 1.5811388300841898})
    assert state.calls["poly(x, 2)"]["alpha"] == pytest.approx([1.0, 1.0])
    assert state.calls["poly(x, 2)"]["norm2"] == pytest.approx([5.0, 10.0, 14.0])


def test_splines_beyond_the_boundary_knots_warn_and_go_on() -> None:
    state = TransformState()
    value("bs(x)", state)
    with pytest.warns(BayesmlmWarning, match="beyond the boundary knots"):
        beyond = value("bs(x)", state.frozen(), Frame.from_any({"x": [5.0, 7.0]}))
    # without inner knots the basis on [-1, 3] is Bernstein's; u = (x + 1) / 4
    u = (np.array([5.0, 7.0]) + 1) / 4
    np.testing.assert_allclose(
        beyond, np.column_stack([3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3]), rtol=1e-12
    )


def test_functions_of_the_user() -> None:
    seen: list[Any] = []

    def mine(x: Any, g: Any, k: float = 1) -> Any:
        seen.extend([x, g])
        return x * k + (g == "a")

    np.testing.assert_allclose(value("mine(x, f, k = 2)", mine=mine), 2 * X + [1, 0, 1, 0, 0])
    assert seen[0].dtype == np.float64
    assert seen[1].tolist() == ["a", "b", "a", "c", "b"]
    assert value("mine(t, f)", mine=lambda t, f: t) == DATA.t.tolist()
    assert value("log(x)", log=lambda x: x).tolist() == X.tolist()  # what is passed goes first
    with pytest.raises(
        DataError, match=r"one value for each of the 5 rows; it returned an array of shape \(2,\)"
    ):
        value("mine(x)", mine=lambda x: x[:2])


def test_a_columns_kind_is_kept() -> None:
    column = evaluate(parse_expression("I(x > 0)"), FRAME, TransformState())
    assert isinstance(column, Numeric)
    assert column.logical
    ordered = evaluate(parse_expression("ordered(f, levels = c('c', 'b', 'a'))"), FRAME, TransformState())
    assert isinstance(ordered, Factor)
    assert ordered.ordered
    assert ordered.levels == ("c", "b", "a")
