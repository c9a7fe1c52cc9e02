"""Fits of the reference models whose tests of fixed effects were made with R, and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import bayesmlm as bm
from bayesmlm.datasets import dataset_names
from bayesmlm.frequentist.fit import MixedFit
from tests.support import local_data, reference

QUIET = {"check_conv_singular": "ignore"}

MODELS = (
    "lmer_Chem97_threelevel",
    "lmer_Dyestuff2_singular",
    "lmer_Dyestuff_REML",
    "lmer_Hsb82",
    "lmer_Machines_nested",
    "lmer_Machines_noint",
    "lmer_Orthodont",
    "lmer_Pastes_sample_batch",
    "lmer_Penicillin_ML",
    "lmer_Penicillin_REML",
    "lmer_cake_interaction",
    "lmer_sleepstudy_double_bar",
    "lmer_sleepstudy_log",
    "lmer_sleepstudy_quadratic",
    "lmer_sleepstudy_slope_ML",
    "lmer_sleepstudy_slope_REML",
    "seed000_crlv_int_ML",
    "seed000_crlv_int_REML",
    "seed000_m_bw",
    "seed000_ran_slp",
    "seed001_mathgain_ses_mathknow",
    "seed001_mathkind_school_class",
    "seed002_condition_slope",
    "seed004_ris",
    "seed004_uncorr",
)


@cache
def data_of(name: str) -> pd.DataFrame:
    """A data set of the package or, if it is there, of the local folder."""
    return bm.load_dataset(name) if name in dataset_names() else local_data(name)


@cache
def fitted(name: str) -> MixedFit:
    """The model of a reference file, fitted here."""
    content = reference(name)
    data = data_of(content["data"].removesuffix(".csv"))
    return bm.lmer(content["formula"], data, REML=not name.endswith("_ML"), control=QUIET)


def table(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A table of a reference file: columns of numbers, with R's row names."""
    names = [str(name) for name in np.atleast_1d(columns["rownames"])]
    numbers = {c: np.atleast_1d(np.array(v, dtype=float)) for c, v in columns.items() if c != "rownames"}
    return pd.DataFrame(numbers, index=names)


def agree(found: pd.DataFrame, expected: pd.DataFrame, **tolerances: float) -> None:
    """Same rows and columns, and values within relative tolerances by column (``rest`` for all others).

    Columns without a tolerance are compared to 1e-6. NaN agrees with NaN.
    """
    assert list(found.index) == list(expected.index)
    assert list(found.columns) == list(expected.columns)
    for column in expected:
        tolerance = tolerances.get(str(column), tolerances.get("rest", 1e-6))
        np.testing.assert_allclose(
            found[column].to_numpy(float), expected[column], rtol=tolerance, atol=1e-9, err_msg=str(column)
        )


@cache
def small_data() -> pd.DataFrame:
    """The data of ``fixed_tests.json``: unbalanced, three factors, two grouping factors."""
    data = pd.DataFrame(reference("fixed_tests")["data"])
    data[list("abcgh")] = data[list("abcgh")].astype(str)
    data["o"] = pd.Categorical(data["o"].astype(str), categories=["3", "1", "2"], ordered=True)
    return data
