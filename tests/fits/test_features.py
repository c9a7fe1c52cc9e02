"""Every feature of the first stage against brms 2.18: one small model each, or one for several features.

References: tests/reference/brms_extra_<name>.json, made by make_brms_references.R beside this file.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.results.convergence import mcse_mean

from ..support import reference, with_slow
from .tolerances import FACTOR, disagreements

prior = bm.set_prior


def some_women():
    data = bm.load_dataset("Contraception")
    return data[data["woman"].astype(int) % 3 == 1]


def cake():
    return bm.load_dataset("cake").assign(w=np.tile([0.5, 1.0, 2.0], 90))


def sleepstudy():
    data = bm.load_dataset("sleepstudy")
    return data.assign(prop=(data["Reaction"] - 150) / 400)


def orthodont():
    data = bm.load_dataset("Orthodont")
    return data.assign(years=data["age"] - 11)


CASES = {
    "student_double_bar": ("Reaction ~ Days + (Days || Subject)", "student", sleepstudy, None),
    "lognormal_kidney": (
        "time ~ age + sex + disease + (1 | patient)",
        "lognormal",
        "kidney",
        prior("normal(0, 2)", class_="b")
        + prior("normal(1, 0.5)", class_="b", coef="sexfemale")
        + prior("exponential(1)", class_="sd"),
    ),
    "bernoulli_contraception": (
        "use ~ age + I(age^2) + urban + (urban | district)",
        "bernoulli",
        some_women,
        prior("normal(0, 1)", class_="sd"),
    ),
    "negbinomial_shape_offset": (
        bm.bf("count ~ Trt + offset(log(Base)) + (1 | patient)", "shape ~ Trt"),
        "negbinomial",
        "epilepsy",
        None,
    ),
    "gamma_weights": (
        "angle | weights(w) ~ temperature + recipe + (1 | replicate)",
        bm.brmsfamily("Gamma", link="log"),
        cake,
        None,
    ),
    "beta_phi": (
        bm.bf("prop ~ Days + (1 |s| Subject)", "phi ~ Days + (1 |s| Subject)"),
        "Beta",
        sleepstudy,
        None,
    ),
    "gr_by_orthodont": (
        "distance ~ years * Sex + (years | gr(Subject, by = Sex))",
        "gaussian",
        orthodont,
        prior("lkj(3)", class_="cor") + prior("normal(0, 1)", class_="sd", coef="years", group="Subject"),
    ),
    "id_across_sigma": (
        bm.bf("Reaction ~ Days + (Days |s| Subject)", "sigma ~ 1 + (1 |s| Subject)"),
        "gaussian",
        sleepstudy,
        None,
    ),
    "nested_lower_bound": (
        "yield ~ nitro + (1 | Block/Variety)",
        "gaussian",
        "Oats",
        prior("normal(60, 15)", class_="b", lb=60)
        + prior("normal(100, 20)", class_="Intercept")
        + prior("gamma(2, 0.1)", class_="sd", group="Block"),
    ),
    "crossed_constant_sigma": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        "gaussian",
        "Penicillin",
        prior("constant(0.5)", class_="sigma") + prior("cauchy(0, 1)", class_="sd", group="sample"),
    ),
    "probit_explicit_intercept": (
        "use ~ 0 + Intercept + age + urban + livch",
        bm.brmsfamily("bernoulli", link="probit"),
        some_women,
        prior("normal(0, 1)", class_="b")
        + prior("constant(0.3)", class_="b", coef="urbanY")
        + prior("student_t(5, -1, 0.5)", class_="b", coef="Intercept"),
    ),
    "zip_shared_effects": (
        bm.bf("count ~ zBase + (1 |s| patient)", "zi ~ Trt + (1 |s| patient)"),
        "zero_inflated_poisson",
        "epilepsy",
        prior("normal(0, 1)", class_="sd", dpar="zi"),
    ),
    "hurdle_negbinomial_ticks": (
        bm.bf("TICKS ~ YEAR + (1 | LOCATION)", "hu ~ cHEIGHT"),
        "hurdle_negbinomial",
        "grouseticks",
        None,
    ),
    "beta_binomial_cbpp": (
        "incidence | trials(size) ~ period + (1 | herd)",
        "beta_binomial",
        "cbpp",
        prior("gamma(2, 0.1)", class_="phi"),
    ),
    "inverse_gaussian_sleepstudy": (
        "Reaction ~ Days + (1 | Subject)",
        bm.brmsfamily("inverse.gaussian", link="log"),
        sleepstudy,
        None,
    ),
    "prior_only": (
        "Reaction ~ Days + (Days | Subject)",
        "gaussian",
        sleepstudy,
        prior("normal(5, 2)", class_="b")
        + prior("student_t(5, 300, 20)", class_="Intercept")
        + prior("exponential(0.1)", class_="sd")
        + prior("lkj(2)", class_="cor")
        + prior("gamma(4, 0.2)", class_="sigma"),
    ),
}
NAMES = list(CASES)

# brms normalises the truncated prior of an sd once for all levels of `by`, not once for each: for two half-symmetric
# priors and two levels its lprior is 2 log 2 too low. A constant: the posterior is the same.
LPRIOR_SHIFT = {"gr_by_orthodont": 2 * np.log(2)}


def brms(name):
    """The reference, its ``lprior`` with all constants."""
    content = reference(f"brms_extra_{name}")
    posterior = {key: list(column) for key, column in content["posterior"].items()}
    if name in LPRIOR_SHIFT:
        row = posterior["variable"].index("lprior")
        for key in ("mean", "q5", "q95"):
            posterior[key][row] += LPRIOR_SHIFT[name]
    return {**content, "posterior": posterior}


@functools.cache
def fit_of(name):
    """Each is sampled once; the tests of one model stand together, so that they share a process."""
    formula, family, data, priors = CASES[name]
    return bm.brm(
        formula,
        data=bm.load_dataset(data) if isinstance(data, str) else data(),
        family=family,
        prior=priors,
        sample_prior="only" if name == "prior_only" else "no",
        seed=11,
        progress=False,
        control={"adapt_delta": 0.95},
    )


LONG = (
    *(
        "hurdle_negbinomial_ticks",
        "bernoulli_contraception",
        "beta_phi",
        "zip_shared_effects",
        "beta_binomial_cbpp",
    ),
    *(
        "id_across_sigma",
        "negbinomial_shape_offset",
        "student_double_bar",
        "nested_lower_bound",
        "lognormal_kidney",
    ),
    *("probit_explicit_intercept", "inverse_gaussian_sleepstudy", "gr_by_orthodont"),
    *("crossed_constant_sigma", "gamma_weights"),
)
"""Left to `make validate`: their fits take minutes together."""


@pytest.mark.parametrize("name", with_slow(NAMES, *LONG))
def test_posterior_agrees_with_brms(name):
    """Parameters, the first group effects, and ``lprior``: the latter to the constant of every prior density."""
    fit, expected = fit_of(name), brms(name)
    assert disagreements(fit, expected) == []
    for variable, value in expected["constants"].items():
        assert (fit.as_draws_df(variable)[variable] == value).all()


@pytest.mark.parametrize("name", with_slow(NAMES, *LONG))
def test_expected_responses_and_log_likelihoods_agree_with_brms(name):
    fit, expected = fit_of(name), brms(name)
    heads = {
        "posterior_epred_head": fit.posterior_epred(),
        "posterior_epred_re_NA_head": fit.posterior_epred(re_formula="NA"),
        "log_lik_head": fit.log_lik(),
    }
    for key, values in heads.items():
        head = expected[key]
        draws = values[:, : len(head["mean"])].T.reshape(len(head["mean"]), fit.nchains, -1)
        error = np.hypot(mcse_mean(draws), np.array(head["mcse_mean"], dtype=float))
        difference = np.abs(draws.mean(axis=(1, 2)) - head["mean"])
        assert (difference <= FACTOR * error).all(), f"{key}: {difference / error} standard errors"
