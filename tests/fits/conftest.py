"""Fits that several test files share: each is sampled once in a session and process."""

from __future__ import annotations

import pytest

import bayesmlm as bm

SEED_FORMULA = "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)"


@pytest.fixture(scope="session")
def seed_fit():
    """The main job: the HSB model with brms's default settings."""
    return bm.brm(SEED_FORMULA, data=bm.load_dataset("hsbsub"), seed=1, progress=False)


@pytest.fixture(scope="session")
def seed_long_fit():
    """The same with as many draws as the reference, for tolerances of a tenth of a standard error."""
    data = bm.load_dataset("hsbsub")
    return bm.brm(
        SEED_FORMULA, data, seed=1, iter=9000, warmup=1000, progress=False, control={"adapt_delta": 0.95}
    )


@pytest.fixture(scope="session")
def sleepstudy_fit():
    data = bm.load_dataset("sleepstudy")
    return bm.brm(
        "Reaction ~ Days + (Days | Subject)", data=data, seed=2, progress=False, control={"adapt_delta": 0.9}
    )


@pytest.fixture(scope="session")
def cbpp_fit():
    data = bm.load_dataset("cbpp")
    formula = "incidence | trials(size) ~ period + (1 | herd)"
    return bm.brm(formula, data=data, family="binomial", seed=3, progress=False)


@pytest.fixture(scope="session")
def epilepsy_fit():
    data = bm.load_dataset("epilepsy")
    formula = "count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)"
    return bm.brm(formula, data=data, family="poisson", seed=4, progress=False)


@pytest.fixture(scope="session")
def sigma_fit():
    data = bm.load_dataset("sleepstudy")
    formula = bm.bf("Reaction ~ Days + (1 | Subject)", "sigma ~ Days")
    return bm.brm(formula, data=data, seed=5, progress=False)
