"""The models of `lmer_summaries.json` and `lmer_influence.json`, fitted once for all tests that read them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import bayesmlm as bm

from ..support import reference

if TYPE_CHECKING:
    import pandas as pd

    from bayesmlm.frequentist.fit import MixedFit

NAMES = tuple(name for name in reference("lmer_summaries") if name != "abbreviate")
"""Every model."""

DATA = {"sleep": "sleepstudy", "pastes": "Pastes", "penicillin": "Penicillin", "dyestuff2": "Dyestuff2"}
DATA |= {"machines": "Machines", "orthodont": "Orthodont", "oats": "Oats"}


@cache
def data(name: str) -> pd.DataFrame:
    """A data set with the columns that `make_lmer_summary.R` adds."""
    table = bm.load_dataset(DATA.get(name, name))
    if name == "sleep":
        table["w"] = 1.0 + np.arange(1, len(table) + 1) % 4
    if name == "cake":
        table["hot"] = (table["temp"] > 190).astype(float)
    return table


@cache
def fitted(name: str) -> MixedFit:
    """The model called ``name`` in the reference files."""
    spec = reference("lmer_summaries")[name]
    return bm.lmer(spec["formula"], data(spec["data"]), REML=spec["REML"], weights=spec.get("weights"))


def same_print(ours: str, theirs: str) -> bool:
    """Whether two printed lines have the same layout, and numbers that differ by one unit of the last digit at most.

    R's optimiser stops a few units of the seventh digit from the optimum, which may turn a last digit over.
    """
    ours, theirs = ours.rstrip(), theirs.rstrip()
    if re.sub(r"\d", "0", ours) != re.sub(r"\d", "0", theirs):
        return False
    number = re.compile(r"\d+(?:\.(\d+))?(?:e([-+]\d+))?")
    for a, b in zip(number.finditer(ours), number.finditer(theirs), strict=True):
        unit = 10.0 ** (int(b[2] or 0) - len(b[1] or ""))
        if abs(float(a[0]) - float(b[0])) > (1.01 * unit if b[1] else 0.0):
            return False
    return True
