"""Choosing a family: names, R text, constructors, errors, plain data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bayesmlm import families
from bayesmlm.errors import BayesmlmError, FormulaError
from bayesmlm.families import FAMILIES, Family, FamilyError, brmsfamily, family
from bayesmlm.families.document import families_table_markdown, parameters_table_markdown

# (what is given, family, link of mu); for the Gamma rows brms's `validate_family` was asked.
CHOICES = [
    ("gaussian", "gaussian", "identity"),
    ("normal", "gaussian", "identity"),
    ("POISSON", "poisson", "log"),
    ("Gamma", "gamma", "log"),
    ("gamma", "gamma", "log"),
    ("Gamma()", "gamma", "inverse"),
    ("stats::Gamma()", "gamma", "inverse"),
    ('Gamma(link = "log")', "gamma", "log"),
    ("brmsfamily('Gamma')", "gamma", "log"),
    ("Beta", "beta", "logit"),
    ("beta", "beta", "logit"),
    ("Beta()", "beta", "logit"),
    ("poisson()", "poisson", "log"),
    ('binomial("logit")', "binomial", "logit"),
    ("bernoulli('probit')", "bernoulli", "probit"),
    ("binomial(link = cauchit)", "binomial", "cauchit"),
    ("poisson(link = NULL)", "poisson", "log"),
    (families.Gamma(), "gamma", "inverse"),
    (families.Gamma, "gamma", "inverse"),
    (families.negbinomial(link="sqrt"), "negbinomial", "sqrt"),
    (brmsfamily("student", "log"), "student", "log"),
    ("inverse.gaussian", "inverse.gaussian", "1/mu^2"),
    ('inverse.gaussian(link = "log")', "inverse.gaussian", "log"),
    ("inverse_gaussian()", "inverse.gaussian", "1/mu^2"),
    (families.inverse_gaussian, "inverse.gaussian", "1/mu^2"),
    ("zi_poisson", "zero_inflated_poisson", "log"),
    ("hu_negbinomial()", "hurdle_negbinomial", "log"),
    ("brmsfamily('zero_inflated_binomial', link_zi = 'identity')", "zero_inflated_binomial", "logit"),
    # glmmTMB's names
    ("nbinom2", "negbinomial", "log"),
    ("nbinom1()", "nbinom1", "log"),
    ("betabinomial", "beta_binomial", "logit"),
    ("beta_family()", "beta", "logit"),
    ("truncated_nbinom2", "truncated_negbinomial", "log"),
    ("genpois", "generalised_poisson", "log"),
    ("ordbeta()", "ordered_beta", "logit"),
    ("zi_beta()", "zero_inflated_beta", "logit"),
]


@pytest.mark.parametrize(("given", "name", "link"), CHOICES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_family_can_be_chosen_in_every_way(given, name, link):
    chosen = family(given)
    assert (chosen.name, chosen.link("mu")) == (name, link)


@pytest.mark.parametrize("name", FAMILIES)
def test_constructors_have_the_defaults_of_the_table(name):
    python_names = {"gamma": "Gamma", "beta": "Beta", "inverse.gaussian": "inverse_gaussian"}
    constructor = getattr(families, python_names.get(name, name))
    expected = brmsfamily(name, "inverse") if name == "gamma" else brmsfamily(name)
    assert constructor() == expected


def test_links_of_other_parameters():
    chosen = brmsfamily("student", link_sigma="softplus", link_nu="identity")
    assert dict(chosen.links) == {"mu": "identity", "sigma": "softplus", "nu": "identity"}
    assert family("brmsfamily('student', link_sigma = 'softplus', link_nu = 'identity')") == chosen
    assert family(chosen, "log").links == {"mu": "log", "sigma": "softplus", "nu": "identity"}
    assert repr(chosen) == "student(link='identity', link_sigma='softplus', link_nu='identity')"


WRONG = [
    ("gausian", "there is no family `gausian`; did you mean `gaussian`"),
    ("mixture", "`mixture` alone is no family: write mixture(gaussian, gaussian)"),
    ("custom()", "`custom` alone is no family: write the function custom_family()"),
    ("mixture(gaussian, foo = 2)", "mixture() takes families, nmix, order and refcat"),
    ("mixture(gaussian, nmix = 1.5)", "nmix is a whole number"),
    ("truncated_student", "there is no family `truncated_student`"),
    ("hurdle_poisson(link_zi = 'logit')", "the family `hurdle_poisson` has no parameter `zi`; it has mu, hu"),
    (
        "poisson(logit)",
        "'logit' is not a link for `mu` of the family `poisson`; allowed: log, identity, sqrt",
    ),
    (
        "brmsfamily('gaussian', link_sigma = 'sqrt')",
        "`sigma` of the family `gaussian`; allowed: log, identity",
    ),
    ("poisson(link_sigma = 'log')", "the family `poisson` has no parameter `sigma`; it has mu"),
    ("poisson(theta = 'log')", "takes no argument `theta`"),
    ("poisson(3)", "names of links"),
    ("poisson('log', 'log')", "more than one link"),
    ("brmsfamily()", "names no family"),
    ("x + y", "not a family"),
    (7, "this is int"),
    (dict, "this is"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=lambda v: getattr(v, "__name__", str(v)))
def test_errors_say_what_to_write(given, message):
    with pytest.raises(FamilyError) as error:
        family(given)
    assert message in str(error.value)
    assert isinstance(error.value, BayesmlmError)


def test_text_that_is_not_r_is_shown_with_a_caret():
    with pytest.raises(FormulaError, match=r"\^"):
        family("poisson(")


def test_every_family_of_brms_is_there():
    # `ls(asNamespace("brms"), pattern = "^.family_")` of 2.18, less `custom` and `info`, and those of 2.23.
    brms = """
        acat asym_laplace bernoulli beta beta_binomial binomial categorical com_poisson cox cratio cumulative dirichlet
        dirichlet2 dirichlet_multinomial discrete_weibull exgaussian exponential frechet gamma gaussian
        gen_extreme_value geometric hurdle_cumulative hurdle_gamma hurdle_lognormal hurdle_negbinomial hurdle_poisson
        inverse.gaussian logistic_normal lognormal multinomial negbinomial negbinomial2 poisson shifted_lognormal
        skew_normal sratio student von_mises weibull wiener xbeta zero_inflated_asym_laplace zero_inflated_beta
        zero_inflated_beta_binomial zero_inflated_binomial zero_inflated_negbinomial zero_inflated_poisson
        zero_one_inflated_beta
    """
    assert set(brms.split()) <= set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_plain_data_make_the_same_family_again(name):
    record = FAMILIES[name]
    last = {p.name: p.links[-1] for p in record.parameters}
    for chosen in (record, record.with_links(**last)):
        again = Family.from_json(json.loads(json.dumps(chosen.to_json())))
        assert again == chosen
        assert hash(again) == hash(chosen)
    with pytest.raises(FamilyError):
        Family.from_json({"name": name, "links": {"mu": "probity"}})


def test_the_table_of_families_does_not_load_jax_or_scipy():
    code = "import sys, bayesmlm.families; print({'jax', 'scipy', 'numpyro'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_documentation_holds_the_tables():
    page = Path(__file__).parents[2] / "docs" / "families.md"
    text = page.read_text(encoding="utf-8")
    for table in (families_table_markdown(), parameters_table_markdown()):
        assert table in text, f"docs/families.md should contain\n{table}"
