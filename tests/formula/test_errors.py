"""Errors name the place and say what to write: some pictures word for word, then one row for each refusal."""

from __future__ import annotations

import pytest

from bayesmlm.errors import FormulaError
from bayesmlm.formula import as_bayes_formula, parse_formula

PICTURES = {
    "y ~ x + * z": """a variable, number or call is missing between `+` and `*`
    y ~ x + * z
            ^""",
    "y ~ (x + z": """this `(` is never closed
    y ~ (x + z
        ^""",
    "y ~ x +": """nothing stands right of `+`
    y ~ x +
          ^""",
    "y ~ data$x": """`$` cannot be used here: write the column's name alone: `x`, not `data$x`
    y ~ data$x
            ^""",
    "y ~ x | g": """a group term needs parentheses: write `(x | g)`
    y ~ x | g
        ^^^^^""",
    "y | trails(n) ~ x": (
        "there is no addition `trails()`; known are weights, se, trials, cens, trunc, cat, thres, dec, rate, "
        "subset, index, mi, vreal, vint, bhaz\n    y | trails(n) ~ x\n        ^^^^^^^^^"
    ),
    "y ~ x +\n  2 * z": """the number 2 is no term; only 1 and 0 (with and without intercept) are
      2 * z
      ^""",
}

REASONS = {
    "": "the formula is empty",
    "~": "nothing stands right of `~`",
    "y": "this is no formula",
    "y ~ x ~ z": "a formula has one `~`",
    "y ~ (~x)": "a formula inside a formula",
    "* x": "nothing stands left of `*`",
    "y ~ x)": "this `)` closes nothing",
    "y ~ (x]": "must be closed with `)`",
    "y ~ ()": "nothing stands between these brackets",
    "y ~ x z": "an operator such as `+` is missing between `x` and `z`",
    "y ~ 5x": "an operator such as `+` is missing",
    "y ~ x, z": "a comma belongs inside a call",
    "y = x": "`=` belongs inside a call",
    "y ~ a < b < c": "comparisons do not chain",
    "y ~ 'x": "is never closed with '",
    "y ~ `x": "is never closed with `",
    "y ~ ``": "empty back-ticks",
    "y ~ a %in b": "needs a second `%`",
    "y ~ _x": "cannot start with `_`",
    "y ~ a \u2212 b": "looks like `-`",
    "y ~ {x}": "`{` cannot be used here",
    "y ~ a <- b": "assignment in R",
    "y ~ x[[1]]": "write `x[, 1]`",
    "y ~ a \u00a7 b": "means nothing in a formula",
    "y ~ if": "key word of R",
    "y ~ a::b": "between a package and a call",
    "y ~ (x)(z)": "only a named function can be called",
    "y ~ 1e999": "too large",
    "y ~ '\\q'": "not an escape that R knows",
    "y ~ 'x'": "text in quotes is no term",
    "y ~ NA": "`NA` is no variable",
    "y ~ x^y": "`^` needs a whole number",
    "y ~ x^0": "`^` needs a whole number",
    "y ~ (a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p)^16": "more than 10000 terms",
    "y ~ .": "`.` stands for the other columns",
    "y ~ log(.)": "not inside a call",
    "y ~ (. | g)": "not inside a call or a group term",
    "y ~ y + x": "predictor of itself",
    "y ~ Intercept": "reserved word",
    "y ~ 0 + Intercept:x": "cannot be multiplied",
    "y | n ~ x": "right of `|` stand calls such as `trials(n)`",
    "y || trials(n) ~ x": "one `|` separates",
    "y | trials(n) | se(s) ~ x": "one `|` separates",
    "y | se(a) + se(b) ~ x": "may be given only once",
    "y ~ s(x):z": "use its `by` argument",
    "y ~ gp(x) * z": "use its `by` argument",
    "y ~ te(x, z)": "use t2()",
    "y ~ ti(x, z)": "use t2()",
    "y ~ x:offset(z)": "offset() cannot be multiplied",
    "y ~ offset(x, z)": "offset() takes one expression",
    "y ~ x * (1 | g)": "a group term cannot be multiplied",
    "y ~ ((1 | h) | g)": "cannot stand among the effects",
    "y ~ (s(x) | g)": "cannot stand among the effects",
    "y ~ (ar() | g)": "cannot stand among the effects",
    "y ~ (offset(x) | g)": "cannot stand among the effects",
    "y ~ (0 | g)": "this group term has no effects",
    "y ~ (1 | a | b | c)": "a group term is",
    "y ~ (1 || a || b)": "a group term is",
    "y ~ (1 | 2)": "the number 2 is no term",
    "y ~ (1 | factor(g))": "cannot be a grouping factor",
    "y ~ (1 | gr(a/b))": "cannot be a grouping factor",
    "y ~ (1 | gr(a, b))": "gr() takes one grouping factor",
    "y ~ (1 | gr(a, foo = b))": "gr() has no argument `foo`",
    "y ~ (1 | gr(a, cor = 3))": "`cor` takes TRUE or FALSE",
    "y ~ (1 | gr(a, by = x > 1))": "`by` takes the name of a column",
    "y ~ (1 | gr(a, by = b)) + (0 + x | gr(a, by = c))": "one `by` variable only",
    "y ~ (1 | mm(a))": "mm() takes two or more",
    "y ~ (1 | mm(a, b:c))": "mm() takes single columns",
    "y ~ (1 | p | gr(g, cor = FALSE))": "cor = FALSE",
    """y ~ (1 | p | gr(g, id = "q"))""": "two names",
    "y ~ (cs(x) + z | g)": "a group term of their own",
    "y ~ mmc(x, z)": "multi-membership term",
    "y ~ (1 + mmc(x, z) | g)": "multi-membership group",
    "y ~ nlf(a ~ 1)": "`nlf()` is not part of a right-hand side",
    "y ~ gr(g)": "stands right of the bar",
    "y ~ cbind(a, b)": "left-hand side only",
}


@pytest.mark.parametrize("text", PICTURES)
def test_pictures(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text).predictor()
    assert str(caught.value) == PICTURES[text]


@pytest.mark.parametrize("text", REASONS)
def test_reasons(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text).predictor()
    assert REASONS[text] in caught.value.reason
    assert caught.value.source == text
    assert caught.value.span is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bf(y ~ x, s.1 ~ z)", "must not contain dots or underscores"),
        ("bf(y ~ x, b_1 = 2)", "must not contain dots or underscores"),
        ("bf(y ~ x, sigma = 'sigma')", "equal to itself"),
        ("bf(y ~ x, sigma = 'z')", "different kinds of parameter"),
        ("bf(y ~ x, mu2 = 'mu1')", "class `mu`"),
        ("bf(y ~ x, sigma1 = 'sigma2', sigma2 = 1)", "fixed itself"),
        ("bf(y ~ x, sigma1 = 'sigma2', sigma2 ~ z)", "has a formula"),
        ("bf(y ~ x, ~z)", "needs a parameter's name on its left"),
        ("bf(y ~ x, log(sigma) ~ z)", "is no parameter's name"),
        ("bf(y ~ x, sigma | se(a) ~ z)", "additions belong to the main formula"),
        ("bf(y ~ x, 3)", "has no name"),
        ("bf(y ~ x, foo(x))", "no formula, constant or text"),
        ("bf(y ~ x, sigma = 1, sigma = 2)", "given twice"),
        ("bf(y ~ x, nl = 1)", "`nl` is TRUE or FALSE"),
        ("bf(y ~ x, decomp = 'LU')", "`decomp` is"),
        ("bf()", "missing a required argument"),
        ("bf(y ~ x, )", "an argument is missing"),
        ("bf(y ~ x) + set_nl(foo = 2)", "unexpected keyword argument"),
        ("bf(y ~ x) + set_nl(TRUE, dpar = 'sigma')", "has no formula"),
        ("bf(y ~ x) + set_rescor(TRUE)", "needs several responses"),
        ("bf(y ~ x) + 3", "can be added here"),
        ("bf(y ~ x, autocor = ~z)", "autocorrelation formula needs"),
        ("mvbf(y ~ x, y ~ z)", "is there twice"),
        ("mvbf(y_1 ~ x, y1 ~ z)", "is there twice"),
        ("mvbf(~x)", "needs a response"),
        ("mvbf()", "at least one formula"),
        ("mvbf(y ~ x, z ~ x) + lf(sigma ~ w)", "`resp` is missing"),
        ("mvbf(y ~ x, z ~ x) + lf(sigma ~ w, resp = 'q')", "not among them: the responses are y, z"),
        ("mvbf(y ~ x, z ~ x) + mvbf(a ~ 1, b ~ 1)", "cannot be added"),
        ("bf(y ~ x, nlf(~z))", "nlf() needs a left-hand side"),
    ],
)
def test_constructor_reasons(text: str, reason: str) -> None:
    with pytest.raises(FormulaError) as caught:
        as_bayes_formula(text)
    assert reason in caught.value.reason
    assert caught.value.source == text
    assert caught.value.span is not None
