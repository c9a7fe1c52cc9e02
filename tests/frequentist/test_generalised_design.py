"""Designs of generalised mixed models held to R's `glFormula`, families and `glmmTMB`."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.data.frame import Frame
from bayesmlm.errors import BayesmlmWarning, DataError, NewDataError
from bayesmlm.families.registry import family
from bayesmlm.frequentist.generalised_checks import one_response
from bayesmlm.frequentist.generalised_design import GeneralisedDesign, build_generalised_design

from ..support import reference

R = reference("generalised_design")


def rows() -> pd.DataFrame:
    """The data of `make_generalised_design.R`, from the same formulas."""
    i = np.arange(120)
    size = 3 + (i * 11) % 9
    succ = (i * 13 + i // 5) % (size + 1)
    k, w = (i * 17 + i // 3) % 6, 1.2 + np.sin(3.1 * i) / 2
    d = pd.DataFrame(
        {
            "g": [f"g{j}" for j in (i * 7 + i // 11) % 8],
            "h": [f"h{j}" for j in (i // 3) % 4],
            "e": [f"e{j}" for j in (i * 5 + i // 13) % 8],
            "f": pd.Categorical(np.array(list("uvw"))[(i // 7) % 3]),
            "x": 2 + 3 * np.sin(1.7 * i),
            "z": np.cos(2.3 * i),
            "m": np.where(i % 7 == 0, np.nan, np.sin(0.9 * i)),
            "w": w,
            "size": size,
            "succ": succ,
            "fail": size - succ,
            "prop": succ / size,
            "k": k,
            "q": k + 0.25 + w,
            "two": pd.Categorical(np.where(k > 2, "yes", "no")),
            "three": pd.Categorical(np.array(list("qap"))[i % 3]),
            "few": np.where(i % 5 == 0, np.nan, size),
            "shortened": np.round(succ / size, 2),
            "zero": 0,
            "ten": 10,
            "half": 0.5,
            "one": "A",
            "row": [f"r{j}" for j in i],
            "negative": -k,
            "constant": 2.5,
            "text": np.where(k > 2, "b", "a"),
            "yes": k > 2,
            "positive": k + 1,
        }
    )
    return d


DATA = rows()
NEAR = {"rtol": 1e-12, "atol": 1e-12}
"""The same arithmetic in another order."""


def build(formula: Any, name: str, data: Any = DATA, **arguments: Any) -> GeneralisedDesign:
    return build_generalised_design(one_response(formula), Frame.from_any(data), family(name), **arguments)


def quietly(formula: Any, name: str, **arguments: Any) -> GeneralisedDesign:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesmlmWarning)
        return build(formula, name, **arguments)


def dense_effects(design: GeneralisedDesign) -> np.ndarray:
    """(n, q) lme4's Z: term after term, its levels one after the other, of each its effects."""
    blocks = []
    for term in design.terms:
        block = np.zeros((design.n, len(term.levels), term.size))
        block[np.arange(design.n), term.codes] = term.Z
        blocks.append(block.reshape(design.n, -1))
    return np.hstack(blocks)


@pytest.mark.parametrize("want", R["models"], ids=lambda want: f"{want['formula']} {want['arguments'] or ''}")
def test_arrays_are_those_of_lme4(want: dict[str, Any]) -> None:
    design = quietly(want["formula"], want["family"], **want["arguments"])
    assert design.frame.rows.tolist() == want["rows"]
    R_y, R_weights, R_n = (np.array(want[name], dtype=float) for name in ("y", "weights", "n"))
    if design.trials is None:
        np.testing.assert_allclose(design.y, R_y, **NEAR)
    else:  # R has proportions, and the product of trials and prior weights
        share = np.divide(design.y, design.trials, out=np.zeros(design.n), where=design.trials > 0)
        np.testing.assert_allclose(share, R_y, **NEAR)
        if want["formula"].startswith("cbind"):
            np.testing.assert_array_equal(design.trials, R_n)
    prior = np.ones(design.n) if design.weights is None else design.weights
    trials = np.ones(design.n) if design.trials is None else design.trials
    np.testing.assert_allclose(prior * trials, R_weights, **NEAR)
    offset = np.zeros(design.n) if design.offset is None else design.offset
    np.testing.assert_allclose(offset, np.array(want["offset"], dtype=float), **NEAR)
    assert list(design.coefficients) == want["names"]
    np.testing.assert_allclose(design.X, np.array(want["X"]), rtol=1e-10, atol=1e-12)
    assert [term.group for term in design.terms] == want["groups"]
    assert [list(term.names) for term in design.terms] == want["effects"]
    assert [list(term.levels) for term in design.terms] == want["levels"]
    np.testing.assert_allclose(dense_effects(design)[[0, 1, 30]], np.array(want["Z"]), **NEAR)
    dropping = [text for text in want["said"] if "rank deficient" in text]
    assert [text for text in design.messages if "rank deficient" in text] == dropping


def test_several_formulas_are_those_of_glmmtmb() -> None:
    """One joint mask, and each parameter's columns, offset and group terms."""
    want = R["joint"]
    data = DATA.assign(f=DATA["f"].where(DATA.index != 1))
    formula = bm.bf(want["formula"], f"zi ~ {want['zi']}", f"shape ~ {want['disp']}")
    design = build(formula, "zero_inflated_negbinomial", data)
    assert design.frame.rows.tolist() == want["rows"]
    np.testing.assert_array_equal(design.y, want["y"])
    np.testing.assert_allclose(design.X, np.array(want["X"]), **NEAR)
    shape, zi = design.parameters
    assert [(p.name, p.link, p.predicted) for p in design.parameters] == [
        ("shape", "log", True),
        ("zi", "logit", True),
    ]
    assert list(zi.coefficients) == want["zi_names"]
    assert list(shape.coefficients) == want["disp_names"]
    np.testing.assert_allclose(zi.X, np.array(want["Xzi"]), **NEAR)
    np.testing.assert_allclose(shape.X, np.array(want["Xdisp"]), rtol=1e-10, atol=1e-12)
    assert zi.offset is not None
    np.testing.assert_allclose(zi.offset, want["zioffset"], **NEAR)
    assert shape.offset is None
    assert design.offset is None
    (term,) = zi.terms
    block = np.zeros((design.n, len(term.levels), term.size))
    block[np.arange(design.n), term.codes] = term.Z
    np.testing.assert_allclose(block.reshape(design.n, -1)[:4], np.array(want["Zzi"]), **NEAR)
    assert design.term_parameters == ("mu", "zi")
    assert [t.group for t in design.all_terms] == ["g", "h"]


BINOMIAL: list[tuple[str, dict[str, Any]]] = [
    ("cbind(succ, fail) ~ f * x + (x | g)", {}),
    ("cbind(yes = succ, no = size - succ) ~ f * x + (x | g)", {}),
    ("succ | trials(size) ~ f * x + (x | g)", {}),
    ("succ | trials(succ + fail) ~ f * x + (x | g)", {}),
    ("prop * size | trials(size) ~ f * x + (x | g)", {}),
    ("prop ~ f * x + (x | g)", {"weights": "size"}),
    ("prop ~ f * x + (x | g)", {"weights": DATA["size"].to_numpy()}),
    ("succ / size ~ f * x + (x | g)", {"weights": "succ + fail"}),
    ("prop | weights(size) ~ f * x + (x | g)", {}),
]


@pytest.mark.parametrize(("formula", "arguments"), BINOMIAL, ids=lambda value: str(value)[:40])
def test_the_ways_to_write_a_binomial_response_are_one(formula: str, arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = build(formula, "binomial", **arguments)
    np.testing.assert_array_equal(design.y, DATA["succ"])
    assert design.trials is not None
    np.testing.assert_array_equal(design.trials, DATA["size"])
    assert design.weights is None
    assert design.levels == ()
    new = Frame.from_any(DATA.head(7))
    if isinstance(arguments.get("weights"), np.ndarray):
        with pytest.raises(NewDataError, match="which new data do not have: name the column"):
            design.new_trials(new)
    else:
        trials = design.new_trials(new)
        assert trials is not None
        np.testing.assert_array_equal(trials, DATA["size"][:7])


def test_a_matrix_of_two_columns_is_successes_and_failures() -> None:
    data = {"y": DATA[["succ", "fail"]].to_numpy(), "g": DATA["g"].to_numpy()}
    design = build("y ~ 1 + (1 | g)", "binomial", data)
    np.testing.assert_array_equal(design.y, DATA["succ"])
    assert design.trials is not None
    np.testing.assert_array_equal(design.trials, DATA["size"])


@pytest.mark.parametrize("name", ["binomial", "bernoulli"])
@pytest.mark.parametrize(
    ("response", "levels"),
    [
        ("two", ("no", "yes")),
        ("text", ("a", "b")),
        ("yes", ("FALSE", "TRUE")),
        ("k > 2", ("FALSE", "TRUE")),
        ("ifelse(k > 2, 1, 0)", ("0", "1")),
        ("factor(k > 2)", ("FALSE", "TRUE")),
    ],
)
def test_single_trials(name: str, response: str, levels: tuple[str, ...]) -> None:
    design = build(f"{response} ~ x + (1 | g)", name, weights="w")
    np.testing.assert_array_equal(design.y, DATA["k"] > 2)
    np.testing.assert_array_equal(design.weights, DATA["w"])
    assert design.levels == levels
    assert design.messages == ()
    if name == "bernoulli":
        assert design.trials is None
        assert design.new_trials(Frame.from_any(DATA)) is None
    else:
        assert design.trials is not None
        assert (design.trials == 1.0).all()
        new = design.new_trials(Frame.from_any(DATA.head(3)))
        assert new is not None
        assert (new == 1.0).all()


@pytest.mark.parametrize("name", ["binomial", "bernoulli"])
def test_more_than_two_levels_are_the_first_and_the_others(name: str) -> None:
    design = build("three ~ x + (1 | g)", name)
    np.testing.assert_array_equal(design.y, DATA["three"] != "a")
    assert design.levels == ("a", "not a")
    assert design.messages == (
        "the response `three` has 3 levels: `a` is failure and all others (`p`, `q`) are success, as in R's glm()",
    )
    # a level that no row used has does not count, as with R's drop.unused.levels
    some = build("three ~ x + (1 | g)", name, subset="three != 'a'")
    assert some.levels == ("p", "q")
    assert some.messages == ()


def test_fractions_of_a_success_are_kept_with_r_s_warning() -> None:
    with pytest.warns(BayesmlmWarning, match="non-integer #successes in a binomial glm! row 3 ") as caught:
        design = build("shortened ~ x + (1 | g)", "binomial", weights="size")
    assert len(caught) == 1
    np.testing.assert_allclose(design.y, DATA["shortened"] * DATA["size"], rtol=1e-12)
    with pytest.warns(BayesmlmWarning, match="non-integer #trials in a binomial glm!"):
        design = build("succ / (size + 0.5) ~ x + (1 | g)", "binomial", weights="size + 0.5")
    np.testing.assert_array_equal(design.y, DATA["succ"])
    np.testing.assert_array_equal(design.trials, DATA["size"] + 0.5)


def test_weights_besides_trials() -> None:
    design = build("succ | trials(size) + weights(w) ~ x + (1 | g)", "binomial")
    same = build("cbind(succ, fail) ~ x + (1 | g)", "binomial", weights="w")
    for one in (design, same):
        np.testing.assert_array_equal(one.weights, DATA["w"])
        np.testing.assert_array_equal(one.trials, DATA["size"])
    scaled = build("k | weights(w, scale = TRUE) ~ x + (1 | g)", "poisson")
    assert scaled.weights is not None
    assert scaled.weights.mean() == pytest.approx(1.0)


def test_trials_are_a_constant_and_may_be_none_in_some_rows() -> None:
    design = build("succ | trials(20) ~ x + (1 | g)", "binomial")
    assert design.trials is not None
    assert (design.trials == 20.0).all()
    data = DATA.assign(succ=DATA["succ"].where(DATA["k"] > 0, 0), size=DATA["size"].where(DATA["k"] > 0, 0))
    assert build("succ | trials(size) ~ x + (1 | g)", "binomial", data).n == len(data)


def test_a_rate_is_an_offset_of_its_logarithm() -> None:
    design = build("k | rate(size) ~ x + offset(z) + (1 | g)", "poisson", offset="w")
    want = np.log(DATA["size"]) + DATA["z"] + DATA["w"]
    np.testing.assert_allclose(design.offset, want, **NEAR)
    new = design.new_offset(Frame.from_any(DATA.tail(3)))
    assert new is not None
    np.testing.assert_allclose(new, (want - DATA["w"])[-3:], **NEAR)


def test_one_mask_for_everything() -> None:
    """A missing value in any of response, trials, weights, offsets, predictors and groups leaves the row out."""
    columns = ["succ", "size", "w", "z", "x", "g", "q", "h"]
    data = DATA.copy()
    for row, name in enumerate(columns):
        data[name] = data[name].astype(object if name in "gh" else float)
        data.loc[row, name] = None
    formula = bm.bf("succ | trials(size) ~ x + offset(z) + (1 | g)", "zi ~ q + (1 | h)")
    design = build(formula, "zero_inflated_binomial", data, weights="w")
    assert design.frame.rows.tolist() == list(range(len(columns) + 1, 121))
    assert design.used.sum() == 120 - len(columns)
    with pytest.raises(DataError, match=r'row 1 .* has missing values and na_action="fail"'):
        build(formula, "zero_inflated_binomial", data, weights="w", na_action="fail")


def test_parameters_without_a_formula_are_one_constant() -> None:
    design = build("k ~ x + (1 | g)", "zero_inflated_negbinomial")
    assert [(p.name, p.predicted, p.coefficients) for p in design.parameters] == [
        ("shape", False, ("(Intercept)",)),
        ("zi", False, ("(Intercept)",)),
    ]
    for parameter in design.parameters:
        np.testing.assert_array_equal(parameter.X, np.ones((120, 1)))
        np.testing.assert_array_equal(parameter.new_X(Frame.from_any(DATA.head(4))), np.ones((4, 1)))
        assert parameter.offset is None
        assert parameter.new_offset(Frame.from_any(DATA)) is None
        assert parameter.terms == parameter.dropped == ()


def test_a_fixed_parameter_is_an_offset_on_its_link() -> None:
    (shape,) = build(bm.bf("k ~ x + (1 | g)", shape=2), "negbinomial").parameters
    assert shape.X.shape == (120, 0)
    assert shape.coefficients == ()
    assert shape.fixed == 2.0
    assert shape.offset is not None
    np.testing.assert_allclose(shape.offset, np.log(2.0))
    new = shape.new_offset(Frame.from_any(DATA.head(3)))
    assert new is not None
    np.testing.assert_allclose(new, np.full(3, np.log(2.0)))
    assert shape.new_X(Frame.from_any(DATA.head(3))).shape == (3, 0)


def test_new_rows_are_coded_as_the_old() -> None:
    formula = bm.bf("k ~ scale(x) + f + (1 | g)", "shape ~ poly(x, 2) + f + offset(z) + (f | h)")
    design = build(formula, "negbinomial", subset="z > 0")
    old = Frame.from_any(DATA[DATA["z"] > 0])
    np.testing.assert_allclose(design.new_X(old), design.X, rtol=1e-12)
    (shape,) = design.parameters
    np.testing.assert_allclose(shape.new_X(old), shape.X, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(shape.new_offset(old), shape.offset, rtol=1e-12)
    codes, unseen = shape.terms[0].new_codes(Frame.from_any({"h": ["h3", "h9"]}))
    assert codes.tolist() == [3, 4]
    assert unseen == ("h9",)
    with pytest.raises(NewDataError):
        shape.new_X(Frame.from_any(DATA.assign(f="q").head(3)))


def test_messages_say_which_parameter_they_are_about() -> None:
    formula = bm.bf("k ~ x + (1 | g) + (1 | g)", "shape ~ x + I(2 * x) + (zero | h)")
    design = build(formula, "negbinomial")
    assert [text[:65] for text in design.messages] == [
        "the group term (1 | g) is there 2 times: it is fitted once, for i",
        "shape: fixed-effect model matrix is rank deficient so dropping 1 ",
        "shape: `zero` in (zero | h) is zero in every row: the data say no",
    ]
    assert design.parameters[0].dropped == ("I(2 * x)",)
    assert design.parameters[0].coefficients == ("(Intercept)", "x")


def test_cell_means_are_left_out_where_asked() -> None:
    formula = "bf(k ~ 0 + f + (1 | g), cmc = FALSE)"
    assert build("k ~ 0 + f + (1 | g)", "poisson").coefficients == ("fu", "fv", "fw")
    assert build(formula, "poisson").coefficients == ("fv", "fw")


def test_groups_of_one_value_are_no_error() -> None:
    data = DATA.assign(k=DATA["k"].where(DATA["g"] != "g1", 0), yes=DATA["yes"] | (DATA["g"] == "g2"))
    assert build("k ~ x + (1 | g)", "poisson", data).n == 120
    assert build("yes ~ x + (1 | g)", "bernoulli", data).n == 120


def test_jax_is_not_imported() -> None:
    code = (
        "import sys; from bayesmlm.data.frame import Frame; from bayesmlm.families.registry import family;"
        "from bayesmlm.frequentist.generalised_checks import one_response;"
        "from bayesmlm.frequentist.generalised_design import build_generalised_design as b;"
        "d = Frame.from_any({'y': [1, 2, 0, 3], 'n': [4, 4, 4, 4], 'g': list('aabb')});"
        "b(one_response('y | trials(n) ~ 1 + (1 | g)'), d, family('binomial'));"
        "b(one_response('bf(y ~ 1 + (1 | g), shape = 2)'), d, family('negbinomial'));"
        "import bayesmlm.frequentist.separation;"
        "sys.exit(any(m in sys.modules for m in ('jax', 'scipy.optimize')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
