"""`default_prior(formula, data, family)` against brms 2.18's get_prior(), cell by cell, from text and data alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

from ..support import local_data, reference

FAMILIES = [
    "gaussian",
    "student",
    "lognormal",
    "bernoulli",
    "binomial",
    "poisson",
    "negbinomial",
    "Gamma",
    "Beta",
]
# Terms and additions of later issues.
LATER = re.compile(r"\b(mo|s|t2|gp|mm|ar|cosy|cens|rate|trunc|se|mvbind)\(|dist=|\bnl=")
SHIPPED = {"hsbsub", "sleepstudy", "epilepsy", "cbpp", "Contraception", "Penicillin"}

CASES = [
    table
    for table in reference("brms_default_priors_A")["tables"]
    if table["family"].split("(")[0] in FAMILIES and not LATER.search(table["formula"])
]


def r_formula(text: str) -> Any:
    """``bf(a, b)`` as a call of `bm.bf`, anything else as it is."""
    if not text.startswith("bf("):
        return text
    # No formula of the tables has a comma of its own.
    return bm.bf(*(part.strip() for part in text.removeprefix("bf(").removesuffix(")").split(",")))


def r_family(text: str) -> Any:
    name, link = re.fullmatch(r"(\w+)\((?:'(\w+)')?\)", text).groups()
    if name == "Gamma" and link is None:
        link = "inverse"  # R's own Gamma(); brmsfamily("Gamma") has the log link, as ours has
    return bm.brmsfamily(name, link=link) if link else name


def data_of(table: dict[str, Any]) -> pd.DataFrame:
    """The data with the columns that the header of the reference describes."""
    name = table["data"].removesuffix(".csv")
    data = bm.load_dataset(name) if name in SHIPPED else local_data(name)
    if name == "sleepstudy":
        data = data.assign(prop=(data["Reaction"] - 150) / 400)
    if name == "imm10":
        data = data.assign(w=np.tile([1.0, 2.0], 130))
    return data


def test_every_table_of_this_stage_is_compared():
    assert len(CASES) == 18
    assert {case["family"].split("(")[0] for case in CASES} == set(FAMILIES)


@pytest.mark.parametrize("table", CASES, ids=lambda t: f"{t['formula']} {t['family']}")
def test_default_priors_are_those_of_brms(table):
    ours = bm.default_prior(r_formula(table["formula"]), data_of(table), r_family(table["family"])).to_frame()
    # A table of one row was written without lists.
    expected = {name: np.atleast_1d(cells).tolist() for name, cells in table["prior_table"].items()}
    assert ours.to_dict("list") == expected
