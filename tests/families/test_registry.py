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
from bayesmlm.families.registry import LATER

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
    ("cumulative", "the family `cumulative` is not available yet; available: gaussian, student"),
    ("zi_beta()", "the family `zero_inflated_beta` is not available yet"),
    ("truncated_poisson", "there is no family `truncated_poisson`"),
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


def test_every_other_family_of_brms_is_refused_by_name():
    # `ls(asNamespace("brms"), pattern = "^.family_")` of 2.18, less what is available and `info`.
    brms = """
        acat asym_laplace categorical com_poisson cox cratio cumulative custom dirichlet dirichlet2
        discrete_weibull exgaussian frechet gen_extreme_value hurdle_gamma hurdle_lognormal logistic_normal
        multinomial negbinomial2 shifted_lognormal skew_normal sratio von_mises weibull wiener
        zero_inflated_asym_laplace zero_inflated_beta zero_inflated_beta_binomial zero_one_inflated_beta
    """
    assert set(brms.split()) <= LATER
    assert not LATER & set(FAMILIES)


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
