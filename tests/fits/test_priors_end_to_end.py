"""`default_prior(formula, data, family)` against brms 2.18's get_prior(), cell by cell, from text and data alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

from ..support import local_data, reference

# Terms of later issues.
LATER = re.compile(r"\b(mo|s|t2|gp|mm|ar|cosy|cs|mvbind)\(|dist=|\bnl=")
SHIPPED = {"hsbsub", "sleepstudy", "epilepsy", "cbpp", "Contraception", "Penicillin", "inhaler", "kidney"}

CASES = [
    table for table in reference("brms_default_priors_A")["tables"] if not LATER.search(table["formula"])
]


def data_of(table: dict[str, Any]) -> pd.DataFrame:
    """The data with the columns that the header of the reference describes."""
    name = table["data"].removesuffix(".csv")
    data = bm.load_dataset(name) if name in SHIPPED else local_data(name)
    if name == "sleepstudy":
        reaction = data["Reaction"]
        data = data.assign(
            prop=(reaction - 150) / 400, ang=(reaction - 300) / 100, rt=reaction / 1000, sev=20.0
        )
    if name == "imm10":
        data = data.assign(w=np.tile([1.0, 2.0], 130))
    return data


def test_every_table_of_this_stage_is_compared():
    assert len(CASES) == 44
    assert len({case["family"] for case in CASES}) == 30


@pytest.mark.parametrize("table", CASES, ids=lambda t: f"{t['formula']} {t['family']}")
def test_default_priors_are_those_of_brms(table):
    ours = bm.default_prior(table["formula"], data_of(table), table["family"]).to_frame()
    # A table of one row was written without lists.
    expected = {name: np.atleast_1d(cells).tolist() for name, cells in table["prior_table"].items()}
    assert ours.to_dict("list") == expected
