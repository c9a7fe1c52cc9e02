"""lme4's reference fits and ours of the same models, each fitted once for all tests that read it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import bayesmlm as bm
from bayesmlm.datasets import loader

from ..support import local_data, reference

if TYPE_CHECKING:
    import pandas as pd

    from bayesmlm.frequentist.fit import MixedFit

LME4 = ("Chem97_threelevel", "Dyestuff2_singular", "Dyestuff_REML", "Hsb82", "InstEval", "Machines_nested")
LME4 += ("Machines_noint", "Orthodont", "Pastes_sample_batch", "Penicillin_ML", "Penicillin_REML")
LME4 += ("cake_interaction", "cake_rank_deficient", "lifesatscot", "sleepstudy_double_bar", "sleepstudy_log")
LME4 += ("sleepstudy_quadratic", "sleepstudy_slope_ML", "sleepstudy_slope_REML")
COURSES = ("000_crlv_int_ML", "000_crlv_int_REML", "000_m1_hsball_ranslope", "000_m_bw", "000_m_lv2")
COURSES += ("000_model_no_crlv_REML", "000_ran_slp", "001_fit7_insample", "001_mathgain_school")
COURSES += ("001_mathgain_school_class", "001_mathgain_ses_mathknow", "001_mathkind_school")
COURSES += ("001_mathkind_school_class", "002_condition_slope", "002_my_data", "002_ri_mod", "003_fit0_ML")
COURSES += ("003_fit1_ML", "003_fit1_ML_tight", "003_fit2_ML", "004_ri", "004_ris", "004_ris_implicit")
COURSES += ("004_slope_only", "004_uncorr")
NAMES = (*(f"lmer_{name}" for name in LME4), *(f"seed{name}" for name in COURSES))
"""Every reference of kind lmer."""


@cache
def data(name: str) -> pd.DataFrame:
    """A data set of the package, or one that lies beside it."""
    packaged = (loader.SHIPPED / f"{name}{ending}" for ending in loader.ENDINGS)
    return bm.load_dataset(name) if any(path.exists() for path in packaged) else local_data(name)


@cache
def fitted(name: str) -> MixedFit:
    """The model of a reference file, fitted as it says."""
    spec = reference(name)
    rows = data(spec["data"].removesuffix(".csv"))
    if "complete cases" in spec["data_prep"]:
        rows = rows.dropna(subset=["mathgain", "ses", "mathknow"])
    return bm.lmer(spec["formula"], rows, REML=spec["REML"])


@cache
def at_lme4(name: str) -> MixedFit:
    """Our fit moved to where lme4's optimiser stopped, so that what follows from there can be compared closely."""
    m = fitted(name)
    evaluation = m.evaluation_at(list(values(name)["theta"].values()))
    optimum = replace(m.optimum, parameters=evaluation.parameters, evaluation=evaluation)
    return replace(m, optimum=optimum)


def values(name: str) -> dict[str, Any]:
    """lme4's values, of the default fit; ``tight``: of one with a tolerance of 1e-9."""
    found: dict[str, Any] = reference(name)["values"]
    return found
