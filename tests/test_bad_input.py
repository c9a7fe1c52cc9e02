"""Bad input: one clear error before anything is compiled, or what R does. docs/errors.md lists the same cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.inference.compile_cache import compilations

N = 12


def frame(**columns):
    rng = np.random.default_rng(0)
    base = {
        "y": rng.normal(size=N),
        "x": rng.normal(size=N),
        "count": np.arange(N) % 4,
        "size": np.full(N, 5),
        "g": np.repeat(list("abcd"), 3),
        "text": [f"t{i % 3}" for i in range(N)],
        "one": ["same"] * N,
    }
    return pd.DataFrame({**base, **columns})


CASES = {
    "missing column": ("y ~ z", {}, {}, bm.DataError, "`z`"),
    "misspelt column": ("y ~ siz", {}, {}, bm.DataError, "did you mean `size`"),
    "missing grouping column": ("y ~ x + (1 | school)", {}, {}, bm.DataError, "`school`"),
    "text response": ("text ~ x", {}, {}, bm.DataError, "text"),
    "text in a numeric column": ("y ~ x", {"x": [*map(str, range(N - 1)), None]}, {}, None, None),
    "mixed column": ("y ~ x", {"x": [1.0, "two"] * 6}, {}, bm.DataError, "`x`"),
    "negative count": (
        "count ~ x",
        {"count": [-1, *range(N - 1)]},
        {"family": "poisson"},
        bm.DataError,
        "row 1",
    ),
    "fractional count": ("count ~ x", {"count": [0.5] * N}, {"family": "poisson"}, bm.DataError, "0.5"),
    "proportion of one": ("p ~ x", {"p": np.linspace(0.1, 1, N)}, {"family": "beta"}, bm.DataError, "row 12"),
    "zero for Gamma": ("p ~ x", {"p": np.arange(N)}, {"family": "gamma"}, bm.DataError, "row 1"),
    "three values for bernoulli": ("count ~ x", {}, {"family": "bernoulli"}, bm.DataError, "two"),
    "binomial without trials": ("count ~ x", {}, {"family": "binomial"}, bm.FormulaError, r"trials\("),
    "more successes than trials": (
        "count | trials(1) ~ x",
        {},
        {"family": "binomial"},
        bm.DataError,
        "row 3",
    ),
    "trials for a gaussian": ("y | trials(size) ~ x", {}, {}, bm.FormulaError, "does not take `trials"),
    "one-level factor": ("y ~ one", {}, {}, bm.DataError, "`one`"),
    "infinite value": ("y ~ x", {"x": [np.inf, *range(N - 1)]}, {}, bm.DataError, "row 1"),
    "nothing complete": ("y ~ x", {"x": [np.nan] * N}, {}, bm.DataError, "no row is complete"),
    "logarithm of zero": ("y ~ log(count)", {}, {}, bm.DataError, "row 1"),
    "negative weight": ("y | weights(x) ~ 1", {}, {}, bm.DataError, "weights must not be negative"),
    "unknown family": ("y ~ x", {}, {"family": "gausian"}, bm.BayesmlmError, "gaussian"),
    "text for an ordinal family": (
        "y ~ x",
        {"y": ["a", "b", "c"] * 4},
        {"family": "cumulative"},
        bm.DataError,
        "ordered",
    ),
    "unknown link": ("y ~ x", {}, {"family": "poisson(link='logit')"}, bm.BayesmlmError, "log"),
    "parameter of another family": (bm.bf("y ~ x", "shape ~ x"), {}, {}, bm.FormulaError, "`shape`"),
    "smooth term": ("y ~ s(x)", {}, {}, bm.FormulaError, r"`s\(x\)` are not available yet"),
    "function that is not known": ("y ~ open(x)", {}, {}, bm.FormulaError, "open"),
    "attribute access": ("y ~ x.__class__", {}, {}, bm.BayesmlmError, "__class__"),
    "bar without parentheses": ("y ~ x | g", {}, {}, bm.FormulaError, r"\("),
    "duplicated group effect": ("y ~ (1 | g) + (x | g)", {}, {}, bm.FormulaError, "Duplicated"),
    "prior that cannot be read": ("y ~ x", {}, {"prior": "normal(0 1"}, bm.BayesmlmError, "normal"),
    "unknown prior distribution": ("y ~ x", {}, {"prior": "nromal(0, 1)"}, bm.PriorError, "normal"),
    "prior with a wrong scale": ("y ~ x", {}, {"prior": "normal(0, -1)"}, bm.PriorError, "normal"),
}


def build(formula, columns, options):
    options = dict(options)
    prior = options.pop("prior", None)
    prior = None if prior is None else bm.set_prior(prior, class_="b")
    return specification(prepare(formula, frame(**columns), **options), prior)


@pytest.mark.parametrize("name", [k for k, v in CASES.items() if v[3] is not None])
def test_bad_input_is_one_clear_error(name):
    formula, columns, options, error, message = CASES[name]
    before = compilations()
    with pytest.raises(error, match=message):
        build(formula, columns, options)
    assert compilations() == before


def test_a_text_column_of_digits_is_a_factor_as_in_r():
    spec = build("y ~ x", {"x": ["1", "2", "3"] * 4}, {})
    assert spec.design.predictors["mu"].coefficients == ("x2", "x3")


def test_a_prior_that_matches_nothing_lists_what_would():
    with pytest.raises(bm.PriorError, match=r"(?s)`?age`?.*x"):
        specification(prepare("y ~ x", frame()), bm.set_prior("normal(0, 1)", class_="b", coef="age"))


def test_flat_priors_cannot_be_sampled_alone():
    with pytest.raises(bm.PriorError, match="flat"):
        specification(prepare("y ~ x", frame()), None, "only")


@pytest.mark.parametrize("data", [None, 3, "file.csv", [1, 2]])
def test_data_must_be_a_table(data):
    with pytest.raises(bm.DataError):
        bm.brm("y ~ x", data=data, progress=False)


@pytest.mark.parametrize("data", [pd.DataFrame(), pd.DataFrame({"y": [], "x": []})])
def test_empty_frames_are_refused(data):
    with pytest.raises(bm.DataError):
        prepare("y ~ x", data)


@pytest.mark.parametrize("column", ["constant", "duplicated"])
def test_constant_and_duplicated_columns_are_reported_and_work(column):
    values = {"constant": np.full(N, 3.0), "duplicated": frame()["x"].to_numpy()}[column]
    design = prepare("y ~ x + again", frame(again=values))
    assert any("again" in message for message in design.messages)
    assert specification(design, None).structure.dimension == 4


def test_unused_levels_are_dropped_with_a_message():
    g = pd.Categorical(["b", "c", "d"] * 4, categories=list("abcd"))
    design = prepare("y ~ g", frame(g=g))
    assert design.predictors["mu"].coefficients == ("gc", "gd")
    assert any("`g`" in message and "a" in message for message in design.messages)


def test_missing_values_are_dropped_jointly_and_counted():
    data = frame(x=[np.nan, *range(N - 1)], g=[*np.repeat(list("abc"), 3), None, "a", "b"])
    design = prepare("y ~ x + (1 | g)", data)
    assert (design.n, design.rows_dropped) == (N - 2, 2)


def test_groups_with_one_row_work():
    design = prepare("y ~ x + (1 | g)", frame(g=[f"g{i}" for i in range(N)]))
    assert len(design.blocks[0].levels) == N


def test_a_million_levels_just_work():
    n = 1_000_000
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=n), "g": rng.permutation(n)}
    design = prepare("y ~ 1 + (1 | g)", data)
    assert len(design.blocks[0].levels) == n
    assert specification(design, None).structure.dimension == n + 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"chains": 0},
        {"iter": 10, "warmup": 10},
        {"thin": 0},
        {"iter": 2.5},
        {"control": {"adapt_delta": 1.0}},
        {"seed": -1},
    ],
)
def test_sampler_settings_are_checked(arguments):
    with pytest.raises(bm.BayesmlmError):
        bm.brm("y ~ x", data=frame(), progress=False, **arguments)


def test_unknown_arguments_are_refused_and_brms_ones_accepted_with_a_word(capsys):
    with pytest.raises(TypeError, match="chainz"):
        bm.brm("y ~ x", data=frame(), chainz=4)
    with pytest.raises(bm.BayesmlmError, match="chains"):
        bm.brm("y ~ x", data=frame(), backend="cmdstanr", chains=0)
    assert "`backend` has no meaning here" in capsys.readouterr().err
