"""What generalised mixed models cannot be made of is refused in words, before anything is computed."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning, DataError, FormulaError
from bayesmlm.families.base import FamilyError
from bayesmlm.families.registry import family
from bayesmlm.frequentist.generalised_checks import check_levels_generalised, one_response, refuse_quasi
from bayesmlm.frequentist.lmer import CONTROL

from .test_generalised_design import R, build

SUPPORT = "Use `gamma` or `lognormal` for positive measurements, `gaussian` for others."

RESPONSES: list[tuple[str, str, dict[str, Any], str]] = [
    # in which nothing varies, or which have no maximum of the likelihood
    ("zero", "poisson", {}, "the response `zero` is 0 in every row: the likelihood has no maximum; the mean"),
    ("zero", "negbinomial", {}, "the likelihood has no maximum; the mean goes to 0"),
    ("ten", "poisson", {}, "the response `ten` is 10 in every row: nothing varies"),
    ("cbind(ten, ten)", "binomial", {}, "the proportion of successes `cbind(ten, ten)` is 0.5 in every"),
    ("half", "binomial", {"weights": "2 * size"}, "`half` is 0.5 in every row: nothing varies"),
    (
        "zero",
        "binomial",
        {},
        "every trial is a failure (`zero` is `0` in every row): the likelihood has no max",
    ),
    ("zero | trials(size)", "binomial", {}, "every trial is a failure: the likelihood has no maximum"),
    ("size | trials(size)", "binomial", {}, "probability of success goes to 1 and the intercept to infinity"),
    ("two", "binomial", {"subset": "k > 2"}, "every trial is a failure (`two` is `yes` in every row)"),
    ("yes", "bernoulli", {"subset": "k > 2"}, "every trial is a success (`yes` is `TRUE` in every row)"),
    ("constant", "gamma", {}, "`constant` is 2.5 in every row: nothing varies, and the likelihood has no"),
    # outside the support
    ("negative", "poisson", {}, "the response is -5 in row 2, but the family `poisson` needs whole numbers"),
    ("q", "poisson", {}, "the response is 1.45 in row 1, but the family `poisson` needs whole numbers"),
    ("q", "negbinomial", {}, "(and 119 more rows). " + SUPPORT),
    ("k", "gamma", {}, "is 0 in row 1, but the family `gamma` needs numbers greater than 0"),
    ("prop", "beta", {}, "but the family `beta` needs numbers strictly between 0 and 1"),
    ("three", "poisson", {}, "needs numbers, but the response `three` is text or a factor with levels `a`"),
    ("yes", "poisson", {}, "`yes` is TRUE/FALSE; use `bernoulli`"),
    # numbers of trials
    ("k", "binomial", {}, "of how many trials: write `k | trials(n) ~ ...` or `cbind(k, n - k) ~ ...`"),
    (
        "k",
        "binomial",
        {"weights": "size"},
        "weights= are numbers of trials only where the response is a propo",
    ),
    ("k", "beta_binomial", {}, "nothing says of how many trials"),
    ("ifelse(k > 2, 1, 0)", "zero_inflated_binomial", {}, "nothing says of how many trials"),
    ("prop", "binomial", {}, "the response is the proportion 0.2 in row 2"),
    ("prop", "binomial", {}, "pass their numbers, weights=n, or write `successes | trials(n) ~ ...`"),
    ("q", "binomial", {}, "a proportion of successes lies between 0 and 1"),
    ("negative", "binomial", {}, "numbers of successes and proportions of them are not negative"),
    ("prop | trials(size)", "binomial", {}, "Give the number of successes, not a proportion"),
    ("size | trials(succ)", "binomial", {}, "more than its 0 trials"),
    ("succ | trials(q)", "binomial", {}, "the number of trials is 1.45 in row 1"),
    ("cbind(q, fail)", "binomial", {}, "the number of successes is 1.45 in row 1"),
    ("cbind(succ, negative)", "binomial", {}, "the number of failures is -5 in row 2"),
    ("zero | trials(zero)", "binomial", {}, "every row has 0 trials: there is nothing to fit"),
    ("cbind(f, size)", "binomial", {}, "successes `f` is a factor with 3 levels; glmer() needs numbers"),
    # zeros that a parameter is about
    ("positive", "zero_inflated_poisson", {}, "`positive` has no zeros, so `zi` of the family"),
    ("positive", "zero_inflated_poisson", {}, "no maximum: use the family `poisson`"),
    ("positive", "hurdle_negbinomial", {}, "so `hu` of the family `hurdle_negbinomial` goes to 0, where"),
    # weights, offsets, rates
    ("k", "poisson", {"weights": "negative"}, "weights must not be negative; row 2 "),
    ("k | weights(negative)", "poisson", {}, "weights must not be negative; row 2 "),
    ("k", "poisson", {"weights": "zero"}, "weights are zero in every row"),
    (
        "k | weights(w)",
        "poisson",
        {"weights": "w"},
        "weights are given twice: by weights= and by `| weights()`",
    ),
    ("k", "poisson", {"weights": np.ones(5)}, "weights has shape (5,); the data have 120 rows"),
    ("k", "poisson", {"offset": "f"}, "the offset `f` is a factor with 3 levels; glmer() needs numbers"),
    ("k | rate(k)", "poisson", {}, "rate() must be positive; row 1 "),
]


@pytest.mark.parametrize(
    ("left", "name", "arguments", "text"),
    [pytest.param(*case, id=f"{number:02d} {case[0]} {case[1]}") for number, case in enumerate(RESPONSES)],
)
def test_responses(left: str, name: str, arguments: dict[str, Any], text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(DataError, match=re.escape(text)):
            build(f"{left} ~ x + (1 | g)", name, **arguments)


FORMULAS: list[tuple[str, str, str]] = [
    # left-hand sides
    ("~ x + (1 | g)", "poisson", "the formula has no response"),
    ("k | cens(w) ~ (1 | g)", "poisson", "`cens()` is not available in glmer(); brm() has it"),
    ("k | trunc(ub = 9) ~ (1 | g)", "poisson", "`trunc()` is not available in glmer(); brm() has it"),
    ("k | index(x) ~ (1 | g)", "poisson", "`index()` is not available in glmer(); brm() has it"),
    ("k | subset(yes) ~ (1 | g)", "poisson", "pass it as glmer(..., subset=)"),
    ("k | trials(size) ~ (1 | g)", "poisson", "`poisson` does not take `trials()`; use `binomial`"),
    ("yes | trials(size) ~ (1 | g)", "bernoulli", "does not take `trials()`; use `binomial`"),
    ("cbind(succ, fail) ~ (1 | g)", "poisson", "`poisson` takes one number for each row"),
    (
        "cbind(succ, fail) ~ (1 | g)",
        "bernoulli",
        "is a number of successes and of failures, for the family `bi",
    ),
    ("cbind(succ, fail, k) ~ (1 | g)", "binomial", "here are 3 columns"),
    ("cbind(succ, fail) | trials(size) ~ (1 | g)", "binomial", "leave out `trials()`"),
    ("prop | trials(f) ~ (1 | g)", "binomial", "`trials()` needs one numeric variable"),
    ("k | rate(size) ~ (1 | g)", "poisson('sqrt')", "`rate()` needs the link log"),
    ("k | rate(size) ~ (1 | g)", "negbinomial", "`rate()` also multiplies brms's `shape` of `negbinomial`"),
    # right-hand sides
    ("k ~ x", "poisson", "A generalised linear model without groups is fitted by statsmodels"),
    ("bf(k ~ x, shape ~ z)", "negbinomial", "the formula has no group term"),
    ("k ~ mo(size) + (1 | g)", "poisson", "`mo(size)` is not a term of generalised linear mixed models by"),
    ("bf(k ~ (1 | g), shape ~ s(z))", "negbinomial", "`s(z)` is not a term of generalised linear mixed"),
    ("k ~ x + (mo(size) | g)", "poisson", "`mo(size)` is not a term of generalised linear mixed models by"),
    ("k ~ x + (1 | gr(g, by = f))", "poisson", "`gr()` with options, `mm()` and `|ID|` are brms's"),
    ("bf(k ~ (1 | g), zi ~ (1 | mm(g, e)))", "zero_inflated_poisson", "`mm()` and `|ID|` are brms's"),
    ("bf(k ~ (1 | p | g), shape ~ (1 | p | g))", "negbinomial", "`mm()` and `|ID|` are brms's"),
    ("k ~ x + toep(x | g)", "poisson", "`toep()` is no covariance structure; there are us(), diag()"),
    ("bf(k ~ (1 | g), shape ~ toep(x | g))", "negbinomial", "`toep()` is no covariance structure"),
    ("k ~ x + (0 | g)", "poisson", "this group term has no effects"),
    # parameters
    ("bf(k ~ (1 | g), zi ~ z)", "poisson", "`zi` is not a parameter of the family `poisson`; it has none be"),
    ("bf(k ~ (1 | g), zi ~ z)", "negbinomial", "it has shape besides mu"),
    ("bf(k ~ (1 | g), mu ~ z)", "poisson", "the main formula is mu's: a second one is one too many"),
    (
        "bf(k ~ a * x, a ~ 1 + (1 | g), nl = TRUE)",
        "poisson",
        "the non-linear formula `k ~ a * x` is for brm()",
    ),
    ("bf(k ~ (1 | g), autocor = ~ ar(x))", "poisson", "autocorrelation terms are brms's"),
]


@pytest.mark.parametrize(
    ("formula", "name", "text"),
    [pytest.param(*case, id=f"{number:02d} {case[0]} {case[1]}") for number, case in enumerate(FORMULAS)],
)
def test_formulas(formula: str, name: str, text: str) -> None:
    """Each with a caret under the place."""
    with pytest.raises(FormulaError, match=re.escape(text)) as caught:
        build(formula, name)
    assert "^" in str(caught.value).splitlines()[-1]
    assert caught.value.source == formula


@pytest.mark.parametrize(
    ("fixed", "name", "text"),
    [
        ({"shape": 0}, "negbinomial", "`shape = 0` is outside the bounds of `shape`, (0, inf)"),
        ({"zi": 0.5}, "poisson", "the family `poisson` has no parameter `zi` that could be fixed"),
        ({"zi": 1.5}, "zero_inflated_poisson", "`zi = 1.5` is outside the bounds of `zi`, (0, 1)"),
    ],
)
def test_fixed_values(fixed: dict[str, float], name: str, text: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(text)):
        build(bm.bf("k ~ x + (1 | g)", **fixed), name)


def test_columns() -> None:
    with pytest.raises(DataError, match="column `nowhere` is not in the data"):
        build("k ~ nowhere + (1 | g)", "poisson")
    with pytest.raises(DataError, match="change its unit"):
        build("k ~ I(1e200 * x) + (1 | g)", "poisson")


def test_what_r_refuses_is_refused() -> None:
    """Each call for which glmer stops stops here, and the two it fits are fitted."""
    for want in R["refusals"]:
        fitted = want["message"] == ""
        try:
            refuse_quasi(want["family"])
            design = build(want["formula"], want["family"])
            check_levels_generalised(design, CONTROL)
        except BayesmlmError:
            assert not fitted, want
        else:
            assert fitted, want


@pytest.mark.parametrize("given", ["quasipoisson", "quasibinomial(link = 'logit')", "quasi"])
def test_quasi_families_have_no_likelihood(given: str) -> None:
    with pytest.raises(FamilyError, match='"quasi" families have no likelihood'):
        refuse_quasi(given)
    refuse_quasi("poisson")
    refuse_quasi(family("binomial"))


def test_numbers_of_levels() -> None:
    design = build("k ~ x + (1 | row) + (x | g)", "poisson")
    check_levels_generalised(design, CONTROL)
    refused: list[tuple[Any, str, str]] = [
        ("k ~ x + (1 | one)", "poisson", "grouping factors must have > 1 sampled level; `one` has 1"),
        ("k ~ x + (x | row)", "poisson", "(=120) < number of random effects (=240) for term (x | row)"),
        (
            "q ~ x + (1 | row)",
            "lognormal",
            "number of levels of each grouping factor must be < number of obs",
        ),
        (
            "bf(k ~ x + (1 | g), shape ~ (1 | one))",
            "negbinomial",
            "shape: grouping factors must have > 1 sam",
        ),
    ]
    for formula, name, text in refused:
        with pytest.raises(DataError, match=re.escape(text)):
            check_levels_generalised(build(formula, name), CONTROL)
    few = build("k ~ x + (1 | h)", "poisson")
    with pytest.warns(BayesmlmWarning, match="`h` has only 4 levels"):
        check_levels_generalised(few, {**CONTROL, "check_nlev_gtreq_5": "warning"})


def test_several_responses_are_refused() -> None:
    with pytest.raises(FormulaError, match=re.escape("models of several are for brm()")):
        one_response(bm.mvbf("k ~ x", "q ~ x"))
