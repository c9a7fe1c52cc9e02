"""The models of the references of glmer and glmmTMB, each fitted once for all tests that read it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import bayesmlm as bm

from ..support import reference
from .reference_fits import data

if TYPE_CHECKING:
    from bayesmlm.frequentist.generalised_fit import GeneralisedFit

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
USE = "use ~ age + I(age^2) + urban + livch + (1 | district)"
TICKS = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"

GLMER: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "glmer_Contraception_nAGQ1": (USE, "binomial", {}),
    "glmer_Contraception_nAGQ9": (USE, "binomial", {"nAGQ": 9}),
    "glmer_VerbAgg": ("r2 ~ Anger + Gender + btype + situ + mode + (1 | id) + (1 | item)", "binomial", {}),
    "glmer_cbpp_nAGQ0": (CBPP, "binomial", {"nAGQ": 0}),
    "glmer_cbpp_nAGQ1": (CBPP, "binomial", {}),
    "glmer_cbpp_nAGQ25": (CBPP, "binomial", {"nAGQ": 25}),
    "glmer_cbpp_olre": (f"{CBPP} + (1 | obs)", "binomial", {}),
    "glmer_cbpp_probit": (CBPP, "binomial('probit')", {}),
    "glmer_grouseticks": (TICKS, "poisson", {}),
    "glmer_grouseticks_bobyqa": (TICKS, "poisson", {}),
    "glmer_imm10_ri": ("white ~ homework + (1 | schid)", "binomial", {}),
    "seed004_glmer_white": ("white ~ homework + (1 + homework | schid)", "binomial", {}),
    "glmer_nb_Salamanders": ("count ~ mined + spp + (1|site)", "negbinomial", {}),
    "glmer_sleepstudy_Gamma_log": ("Reaction ~ Days + (1 | Subject)", "Gamma('log')", {}),
}
"""lme4's fits with its defaults."""

SALAMANDERS = "count ~ spp + mined + (1|site)"
OWLS = "SiblingNegotiation ~ FoodTreatment*SexParent + offset(logBroodSize) + (1|Nest)"
TMB: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "glmmTMB_Owls_zinb": (bm.bf(OWLS, "zi ~ 1"), "zero_inflated_negbinomial", {}),
    "glmmTMB_Salamanders_hurdle": (bm.bf(SALAMANDERS, "hu ~ mined"), "hurdle_poisson", {}),
    "glmmTMB_Salamanders_nb1": (SALAMANDERS, "nbinom1", {}),
    "glmmTMB_Salamanders_nb2": (SALAMANDERS, "negbinomial", {"laplace": "observed"}),
    "glmmTMB_Salamanders_zip": (bm.bf(SALAMANDERS, "zi ~ spp + mined"), "zero_inflated_poisson", {}),
    "glmmTMB_epil2_nb2": (
        "y ~ Base*trt + Age + Visit + (Visit|subject)",
        "negbinomial",
        {"laplace": "observed"},
    ),
    "glmmTMB_sleepstudy_dispersion": (bm.bf("Reaction ~ Days + (1|Subject)", "sigma ~ Days"), "gaussian", {}),
}
"""glmmTMB's fits."""

ADDED: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "cbpp_cloglog": (CBPP, "binomial('cloglog')", {}),
    "Contraception_slope": ("use ~ age + urban + livch + (1 + urban | district)", "binomial", {}),
    "epilepsy_poisson": ("count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)", "poisson", {}),
    "sleepstudy_Gamma_slope": ("Reaction ~ Days + (Days || Subject)", "Gamma('log')", {}),
    "sleepstudy_ig_log": ("Reaction ~ Days + (1 | Subject)", "inverse.gaussian('log')", {}),
}
"""Models of which there are only fits of lme4 with tight tolerances."""


def tight_names() -> list[str]:
    """The models that lme4 was made to fit with tight tolerances."""
    return list(reference("glmer_tight"))


@cache
def fitted(name: str) -> GeneralisedFit:
    """Our fit of a model, by the name of its reference file, or its name in ``glmer_tight.json``."""
    formula, family, arguments = {**GLMER, **TMB, **ADDED}[name]
    where = reference("glmer_tight")[name]["data"] if name in ADDED else reference(name)["data"]
    rows = data(where.removesuffix(".csv"))
    if "olre" in name:
        rows = rows.assign(obs=[f"{i:02d}" for i in range(len(rows))])
    return bm.glmer(formula, rows, family, **arguments)


def moved(m: GeneralisedFit, theta: Any, beta: Any) -> GeneralisedFit:
    """The fit with other parameters in place of its own."""
    evaluation = m.evaluation_at(theta, beta)
    parameters = evaluation.parameters
    gradient = evaluation.gradient()
    optimum = replace(m.optimum, parameters=parameters, evaluation=evaluation, gradient=gradient)
    return replace(m, optimum=optimum)


def numbers(values: Any) -> np.ndarray:
    """Numbers that jsonlite wrote as a scalar, a list or an object."""
    found = list(values.values()) if isinstance(values, dict) else values
    return np.atleast_1d(np.asarray(found, dtype=float))
