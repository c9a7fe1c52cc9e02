"""Which prior each parameter gets, and what is refused; tables as validate_prior() of brms 2.18 prints them."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from bayesmlm.errors import BayesmlmWarning, PriorError
from bayesmlm.priors.defaults import default_prior_table
from bayesmlm.priors.prior import prior, set_prior
from bayesmlm.priors.resolve import resolve

from ..support import reference
from .models import MODELS, group, outline, predictor
from .test_defaults import response

Y = np.array([3.0, 4, 5, 5.3, 6, 7, 8])
MODEL = outline("gaussian", Y, [predictor("x", "z")], [group("g", "Intercept", "x")], ["sigma"])
DISTRIBUTIONAL = outline(
    "gaussian",
    Y,
    [predictor("x"), predictor("x", dpar="sigma")],
    [group("g", "Intercept", "sigma Intercept")],
)
NORMAL = "normal(0, 1)"

# brms 2.18: validate_prior(p, y ~ x + z + (x | g), d), median(y) = 5.3, mad(y) < 2.5
PRINTED = """\
                  prior     class      coef group resp dpar nlpar lb ub       source
           normal(0, 1)         b                                               user
           normal(0, 5)         b         x                                     user
           normal(0, 1)         b         z                             (vectorized)
 student_t(3, 5.3, 2.5) Intercept                                            default
   lkj_corr_cholesky(1)         L                                            default
   lkj_corr_cholesky(1)         L               g                       (vectorized)
           cauchy(0, 1)        sd                                  0            user
           cauchy(0, 1)        sd               g                  0    (vectorized)
         exponential(1)        sd Intercept     g                  0            user
           cauchy(0, 1)        sd         x     g                  0    (vectorized)
            gamma(2, 1)     sigma                                  0            user"""
GIVEN = [
    prior(NORMAL, class_="b"),
    prior("normal(0, 5)", coef="x"),
    prior("cauchy(0, 1)", "sd"),
    prior("exponential(1)", "sd", group="g", coef="Intercept"),
    prior("gamma(2, 1)", "sigma"),
]


def test_table_prints_as_in_brms() -> None:
    assert str(resolve(MODEL, GIVEN).table) == PRINTED


def test_default_table_prints_as_in_brms() -> None:
    lines = str(default_prior_table(MODEL)).splitlines()
    assert lines[1] == "                 (flat)         b                                            default"
    assert lines[2] == "                 (flat)         b         x                             (vectorized)"
    assert lines[4] == "                 lkj(1)       cor                                            default"
    assert lines[8] == "   student_t(3, 0, 2.5)        sd               g                  0    (vectorized)"


FITS = {
    "brms_seed_hsbsub_crlv_int": (
        "hsbsub",
        "mathach ~ meanses + sector * ses_cmc + (ses_cmc | id)",
        "gaussian()",
    ),
    "brms_cbpp_binomial": ("cbpp", "incidence | trials(size) ~ period + (1|herd)", "binomial()"),
}


@pytest.mark.parametrize("fit", FITS)
def test_prior_summary_of_a_fit(fit: str) -> None:
    model = FITS[fit]
    column, *parts = MODELS[model]
    resolved = resolve(outline(model[2], response(model[0], column), *parts))
    expected = reference(fit)["prior_summary"]
    table = resolved.table.to_frame()
    for name in table.columns:
        assert list(table[name]) == expected[name], name


def test_the_narrowest_prior_wins() -> None:
    resolved = resolve(
        MODEL,
        [
            prior("normal(0, 1)", "sd"),
            prior("normal(0, 2)", "sd", group="g"),
            prior("normal(0, 3)", "sd", group="g", coef="x"),
            prior("normal(0, 4)", coef="z"),
        ],
    )
    sd = resolved.vector("sd", group="g", coefs=[("mu", "Intercept"), ("mu", "x")])
    assert sd.names == ("sd_g__Intercept", "sd_g__x")
    assert sd.describe() == ("normal(0, 2, lower=0)", "normal(0, 3, lower=0)")
    b = resolved.vector("b", coefs=("x", "z"))
    assert (b.names, b.describe()) == (("b_x", "b_z"), ("flat()", "normal(0, 4)"))
    assert (b.lower, b.upper) == (-inf, inf)


def test_a_prior_of_mu_is_not_one_of_sigma() -> None:
    resolved = resolve(DISTRIBUTIONAL, [prior(NORMAL, "b"), prior(NORMAL, "sd", dpar="sigma")])
    assert resolved.vector("b", coefs=["x"]).describe() == (NORMAL,)
    assert resolved.vector("b", dpar="sigma", coefs=["x"]).names == ("b_sigma_x",)
    assert resolved.vector("b", dpar="sigma", coefs=["x"]).improper == ("b_sigma_x",)
    sd = resolved.vector("sd", group="g", coefs=[("mu", "Intercept"), ("sigma", "Intercept")])
    assert sd.names == ("sd_g__Intercept", "sd_g__sigma_Intercept")
    assert sd.describe() == ("student_t(3, 0, 2.5, lower=0)", "normal(0, 1, lower=0)")
    assert resolved.vector("Intercept", dpar="sigma").describe() == ("student_t(3, 0, 2.5)",)


def test_correlations_take_lkj() -> None:
    assert resolve(MODEL).lkj("g") == 1
    assert resolve(MODEL, prior("lkj(2)", "cor")).lkj("g") == 2
    assert resolve(MODEL, prior("lkj(2)", "cor") + prior("lkj_corr(3)", "L", group="g")).lkj("g") == 3


# set_prior(...): bounds (lb, ub) in brms's table, and of the parameter
BOUNDS: list[tuple[Any, str, tuple[str, str], tuple[float, float]]] = [
    (prior(NORMAL, "b", lb=0), "b", ("0", ""), (0, inf)),
    (prior("", "b", lb=0), "b", ("0", ""), (0, inf)),
    (prior(NORMAL, "b", ub="1/2"), "b", ("", "1/2"), (-inf, 0.5)),
    (prior(NORMAL, "sigma"), "sigma", ("0", ""), (0, inf)),
    (prior(NORMAL, "sigma", ub=3), "sigma", ("0", "3"), (0, 3)),
    (prior(NORMAL, "sigma", lb=1, ub=3), "sigma", ("1", "3"), (1, 3)),
    (prior(NORMAL, "Intercept", lb=1), "Intercept", ("1", ""), (1, inf)),
]


@pytest.mark.parametrize(("given", "class_", "text", "values"), BOUNDS)
def test_bounds(given: Any, class_: str, text: tuple[str, str], values: tuple[float, float]) -> None:
    resolved = resolve(MODEL, given)
    row = next(r for r in resolved.table if r.class_ == class_ and not r.coef)
    assert (row.lb, row.ub) == text
    vector = resolved.vector(class_, coefs=["x", "z"] if class_ == "b" else ())
    assert (vector.lower, vector.upper) == values


def test_a_group_may_have_bounds_of_its_own() -> None:
    resolved = resolve(MODEL, prior(NORMAL, "sd", group="g", lb=1))
    assert resolved.vector("sd", group="g", coefs=["Intercept", "x"]).lower == 1


REFUSED = [
    (prior(NORMAL, coef="w"), 'b_w ~ normal(0, 1)\nThese could be set:\n  set_prior(..., class_="b")\n'),
    (
        prior(NORMAL, coef="w"),
        '  set_prior(..., class_="b", coef="x")\n  set_prior(..., class_="b", coef="z")',
    ),
    (prior(NORMAL, "sd", coef="x"), 'set_prior(..., class_="sd", coef="x", group="g")'),
    (prior(NORMAL, "foo"), 'set_prior(..., class_="sigma")'),
    (prior(NORMAL, "b", dpar="sigma"), 'set_prior(..., class_="b", coef="x")'),
    (prior(NORMAL, "b", resp="y2"), "match no parameter"),
    (prior(NORMAL) + prior("normal(0, 2)"), "2 priors are given for the same parameters: keep one set_prior"),
    (prior(NORMAL, "cor"), "the prior of correlations is lkj(eta)"),
    (prior("constant(0)", "cor"), "the prior of correlations is lkj(eta)"),
    (prior("lkj(1)", "cor", lb=0), "correlations have no bounds"),
    (prior("lkj(1)", "b"), "lkj is a prior of correlations"),
    (prior("dirichlet(1)", "b"), "dirichlet is a prior of simplexes"),
    (prior("constant(-1)", "sigma"), "constant(-1) is outside the range of sigma, from 0 to inf"),
    (prior(NORMAL, "sd", lb=-1), "own range, from 0 to inf"),
    (prior(NORMAL, "sd", lb=""), "own range, from 0 to inf"),
    (prior("normal(-100, 1)", "sigma"), "has no mass between its bounds 0 and inf"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(PriorError) as error:
        resolve(MODEL, given)
    assert message in str(error.value)


def test_different_bounds_in_one_vector_are_refused() -> None:
    with pytest.raises(PriorError, match="class sd of group `g` differ in their bounds"):
        resolve(DISTRIBUTIONAL, prior(NORMAL, "sd", dpar="sigma", ub=3))


WARNED = [
    (prior("gamma(1, 1)", "b"), r"b ~ gamma\(1, 1\) is zero .* lb=0 in"),
    (prior("beta(1, 1)", "b", lb=0), r"<lower=0> b ~ beta\(1, 1\) is zero .* ub=1 in"),
    (prior("uniform(0, 10)", "sigma"), "ub=10"),
    (prior(NORMAL) + set_prior(NORMAL, coef=["x", "z"]), "b ~ .* is not used"),
]


@pytest.mark.parametrize(("given", "message"), WARNED, ids=lambda v: str(v)[:40])
def test_what_is_warned_about(given: Any, message: str) -> None:
    with pytest.warns(BayesmlmWarning, match=message):
        resolve(MODEL, given)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "given",
    [None, GIVEN, prior("gamma(1, 1)", "b", lb=0), prior("constant(2)", "sigma"), prior("lkj(4)", "cor")],
)
def test_what_is_not_warned_about(given: Any) -> None:
    resolve(MODEL, given)


def test_the_default_table_can_be_passed_back() -> None:
    assert resolve(MODEL, default_prior_table(MODEL)) == resolve(MODEL)


def test_only_needs_proper_priors() -> None:
    with pytest.raises(PriorError) as error:
        resolve(DISTRIBUTIONAL, prior(NORMAL), sample_prior="only")
    assert "flat are: b_sigma_x." in str(error.value)
    assert 'set_prior("normal(0, 5)", class_="b", dpar="sigma")' in str(error.value)
    resolve(MODEL, prior(NORMAL), sample_prior="only")
    resolve(MODEL, prior("", "b", lb=-1, ub=1), sample_prior="only")


def test_unknown_parameter() -> None:
    with pytest.raises(PriorError, match="the model has no parameter b_w"):
        resolve(MODEL).vector("b", coefs=["w"])
