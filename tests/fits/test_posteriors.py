"""Posteriors against long runs of brms 2.18 on the same data and default priors."""

from __future__ import annotations

import pytest

import bayesmlm as bm

from ..support import local_data, reference
from .tolerances import disagreements

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
