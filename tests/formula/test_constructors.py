"""bf() and its relatives: Python calls and R's text give the same object, and its text gives it back."""

from __future__ import annotations

import copy
import pickle

import pytest

from bayesmlm.errors import BayesmlmWarning, FormulaError
from bayesmlm.families.base import Family
from bayesmlm.formula import (
    BayesFormula,
    Flags,
    MultivariateFormula,
    acformula,
    as_bayes_formula,
    bf,
    lf,
    mvbf,
    nlf,
    parse_formula,
    set_mecor,
    set_nl,
    set_rescor,
)

SAME = {
    "y ~ x": bf("y ~ x"),
    "bf(y ~ x)": bf(parse_formula("y ~ x")),
    "brmsformula(y ~ x, sigma ~ z)": bf("y ~ x", "sigma ~ z"),
    "bf(y ~ x, sigma = ~ z)": bf("y ~ x", sigma="~ z"),
    "bf('y ~ x', 'sigma ~ z')": bf("y ~ x", sigma="sigma ~ z"),
    "bf(y ~ x, a + b ~ 1, nl = TRUE)": bf("y ~ x", "a + b ~ 1", nl=True),
    "bf(y ~ x, a + b ~ 1) + set_nl()": bf("y ~ x", a="~ 1", b="~ 1") + set_nl(),
    "bf(y ~ x, sigma = 1, nu = -2.5)": bf("y ~ x", sigma=1, nu="-2.5"),
    "bf(y ~ x, sigma2 = 'sigma1')": bf("y ~ x", sigma2="sigma1"),
    "bf(y ~ x, flist = list(sigma ~ z, nu = 2))": bf("y ~ x", flist=["sigma ~ z"]) + lf(nu=2),
    "bf(y ~ x) + lf(sigma ~ z, center = FALSE)": bf("y ~ x", lf("sigma ~ z", center=False)),
    "bf(y ~ a, nlf(a ~ b^2, loop = FALSE), b ~ 1, nl = T)": bf(
        "y ~ a", nlf("a ~ b^2", loop=False), "b ~ 1", nl=True
    ),
    "bf(y ~ a, a ~ b) + set_nl(dpar = 'a')": bf("y ~ a", nlf("a ~ b")),
    "bf(y ~ x, autocor = ~ ar(p = 1))": bf("y ~ x") + acformula("~ ar(p = 1)"),
    "bf(y ~ x, unused = ~ a + b, decomp = 'QR', cmc = FALSE)": bf(
        "y ~ x", unused="~ a + b", decomp="QR", cmc=False
    ),
    "bf(y ~ x) + set_mecor(FALSE)": bf("y ~ x") + set_mecor(False),
    "bf(y ~ x) + (sigma ~ z)": bf("y ~ x") + "sigma ~ z",
    "bf(y ~ x, family = poisson(link = 'log'))": bf("y ~ x", family='poisson(link = "log")'),
    "bf(y ~ x) + student()": bf("y ~ x", family="student()"),
    "mvbf(y ~ x, z ~ w, rescor = FALSE)": mvbf("y ~ x", "z ~ w", rescor=False),
    "bf(y ~ x) + bf(z ~ w) + set_rescor(FALSE)": bf("y ~ x") + bf("z ~ w") + set_rescor(False),
    "bf(y ~ x) + bf(z ~ w) + lf(sigma ~ u, resp = 'z')": mvbf("y ~ x", bf("z ~ w", "sigma ~ u")),
    "mvbind(a, b.1) | trials(n) ~ x": mvbf("a | trials(n) ~ x", "b.1 | trials(n) ~ x"),
    "bf(mvbind(a, b) ~ x, sigma ~ z)": mvbf(bf("a ~ x", "sigma ~ z"), bf("b ~ x", "sigma ~ z")),
    "bf(y ~ x) + bf(z ~ w) + gaussian()": mvbf(
        bf("y ~ x", family="gaussian()"), bf("z ~ w", family="gaussian()")
    ),
}


@pytest.mark.parametrize("text", SAME)
def test_text_and_calls_agree_and_round_trip(text: str) -> None:
    made = SAME[text]
    assert as_bayes_formula(text) == made
    assert as_bayes_formula(made.to_text()) == made
    assert as_bayes_formula(made) is made
    assert hash(as_bayes_formula(text)) == hash(made)
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made


def test_printing_is_brms_s() -> None:
    # Compared with print() in brms 2.18; the blank before a line break is brms's.
    printed = {
        "bf(Reaction ~ Days + (1|Subject), sigma ~ Days)": "Reaction ~ Days + (1 | Subject) \nsigma ~ Days",
        "bf(y~x, sigma=1, nu=3.14159)": "y ~ x \nsigma = 1\nnu = 3.14",
        "bf(y ~ x) + acformula(~ar(p=1)+cosy())": "y ~ x \nautocor ~ ar(p = 1) + cosy()",
        "bf(mvbind(y1,y_2)|trials(n)~x, sigma~z)": (
            "y1 | trials(n) ~ x \nsigma ~ z\ny_2 | trials(n) ~ x \nsigma ~ z"
        ),
        "y ~ x": "y ~ x",
    }
    for text, expected in printed.items():
        assert str(as_bayes_formula(text)) == expected


def test_pieces_of_the_result() -> None:
    model = bf("log(y_1) ~ a * x", "a ~ z", lf("b ~ 1", center=False), nl=True, sigma=2, loop=False)
    assert isinstance(model, BayesFormula)
    assert (model.response, model.nl, list(model.parameters)) == ("logy1", True, ["a", "b"])
    assert model.fixed == {"sigma": 2.0}
    assert model.flags == Flags(nl=True, loop=False)
    assert (model.flag("b", "center"), model.flag("a", "center"), model.flag("mu", "loop")) == (
        False,
        None,
        False,
    )
    assert list(model.predictors()) == ["a", "b"]


def test_dot_never_brings_the_response_into_another_parameter() -> None:
    model = bf("y | trials(n) ~ .", "sigma ~ .")
    assert isinstance(model, BayesFormula)
    found = model.predictors(["y", "n", "x", "z"])
    assert [[t.label for t in p.terms] for p in found.values()] == [["x", "z"], ["x", "z"]]


def test_mixing_proportions_sum_to_one() -> None:
    model = bf("y ~ x", theta1=1, theta2=3)
    assert isinstance(model, BayesFormula)
    assert model.fixed == {"theta1": 0.25, "theta2": 0.75}


def test_later_definitions_win_with_a_warning() -> None:
    with pytest.warns(BayesmlmWarning, match="`sigma` is defined twice"):
        model = bf("y ~ x", "sigma ~ z", "sigma ~ w")
    assert str(model) == "y ~ x \nsigma ~ w"
    with pytest.warns(BayesmlmWarning, match="`sigma` is defined twice"):
        model = bf(model, sigma=1)
    assert str(model) == "y ~ x \nsigma = 1"
    with pytest.warns(BayesmlmWarning, match="`dpar` is no longer needed"):
        lf("sigma ~ z", dpar="sigma")


def test_families_as_objects_can_be_added() -> None:
    def nothing(*_: object) -> None: ...

    family = Family("toy", (), False, nothing, nothing, nothing, nothing)
    assert (bf("y ~ x") + family).family is family  # type: ignore[union-attr]
    both = mvbf("y ~ x", "z ~ x") + family
    assert isinstance(both, MultivariateFormula)
    assert [one.family for one in both.formulas] == [family, family]
    assert both.responses == ("y", "z")


@pytest.mark.parametrize("wrong", [3, None, ["y ~ x"], {"y": "x"}])
def test_other_objects_are_refused(wrong: object) -> None:
    with pytest.raises(FormulaError, match="formula is text"):
        as_bayes_formula(wrong)


def test_formula_and_keyword_must_name_the_same_parameter() -> None:
    with pytest.raises(FormulaError, match="left-hand side says otherwise"):
        bf("y ~ x", sigma="nu ~ z")
