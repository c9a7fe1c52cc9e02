"""Posteriors against long runs of brms 2.18 on the same data and default priors."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.results.convergence import mcse_mean

from ..support import local_data, reference
from .tolerances import FACTOR, disagreements

CASES = [
    ("seed_long_fit", "brms_seed_hsbsub_crlv_int"),
    ("sleepstudy_fit", "brms_sleepstudy_gaussian"),
    ("cbpp_fit", "brms_cbpp_binomial"),
    ("epilepsy_fit", "brms_epilepsy_poisson"),
    ("sigma_fit", "brms_sleepstudy_sigma_dist"),
]


@pytest.mark.parametrize(("fixture", "name"), CASES, ids=[name for _, name in CASES])
def test_posterior_agrees_with_brms(request, fixture, name):
    fit = request.getfixturevalue(fixture)
    assert disagreements(fit, reference(name)) == []


@pytest.mark.validate
def test_imm10_posterior_agrees_with_brms():
    data = local_data("imm10")
    fit = bm.brm(
        "math ~ homework + (homework | schid)",
        data=data,
        seed=6,
        progress=False,
        control={"adapt_delta": 0.95},
    )
    assert disagreements(fit, reference("brms_imm10_gaussian")) == []


def test_zero_inflated_posterior_agrees_with_brms():
    """Parameters, and the expected responses, zeros included."""
    expected = reference("brms_salamanders_zip")
    fit = bm.brm(
        bm.bf("count ~ mined + DOY + (1 | site)", "zi ~ mined"),
        data=local_data("Salamanders"),
        family="zero_inflated_poisson",
        seed=7,
        progress=False,
    )
    assert disagreements(fit, expected) == []
    for key, re_formula in (("posterior_epred_head", None), ("posterior_epred_re_NA_head", "NA")):
        head = expected[key]
        rows = len(head["Estimate"])
        draws = fit.posterior_epred(re_formula=re_formula)[:, :rows].T.reshape(rows, fit.nchains, -1)
        # The least effective sample size of the reference's parameters is 2400.
        error = np.hypot(mcse_mean(draws), np.array(head["Est.Error"]) / np.sqrt(2400))
        assert (np.abs(draws.mean(axis=(1, 2)) - head["Estimate"]) <= FACTOR * error).all(), key
    assert fit.bayes_R2()["Estimate"].item() == pytest.approx(expected["bayes_R2"]["Estimate"], abs=0.002)
