"""The design as named arrays against brms's ``make_standata``."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm

from ..support import reference

CASES = {
    "brms_standata_seed": ("mathach ~ meanses + sector * ses_cmc + (ses_cmc | id)", "gaussian", "hsbsub"),
    "brms_standata_cbpp": ("incidence | trials(size) ~ period + (1 | herd)", "binomial", "cbpp"),
}


@pytest.mark.parametrize("name", CASES)
def test_standata_equals_brms(name):
    formula, family, data = CASES[name]
    expected = reference(name)["values"]
    ours = bm.standata(formula, bm.load_dataset(data), family)
    assert list(ours) == list(expected)
    for key, value in expected.items():
        values = value["values"] if isinstance(value, dict) else value
        np.testing.assert_allclose(ours[key], values, rtol=1e-12, atol=1e-13, err_msg=key)
