"""Outlines of the models of the reference tables, written by hand: formula and family to what is in the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmlm.families.registry import family as as_family
from bayesmlm.priors.outline import GroupOutline, ModelOutline, PredictorOutline

__all__ = ["MODELS", "group", "outline", "predictor"]

Response = NDArray[np.float64] | None


def predictor(
    *coefficients: str, dpar: str = "mu", intercept: bool = True, offset: float = 0.0
) -> dict[str, Any]:
    return {"parameter": dpar, "coefficients": coefficients, "intercept": intercept, "offset_mean": offset}


def group(name: str, *effects: str, by: tuple[str, ...] = ()) -> GroupOutline:
    """Effects of mu by name, of others as "sigma Intercept"; correlated when there are several."""
    pairs = tuple(("mu", e) if " " not in e else tuple(e.split(" ")) for e in effects)
    return GroupOutline(name, pairs, len(effects) > 1, by)


def outline(family: Any, y: Response, predictors: Any, groups: Any = (), scalars: Any = ()) -> ModelOutline:
    record = as_family(family)
    linked = tuple(PredictorOutline(**p, link=record.link(p["parameter"])) for p in predictors)
    return ModelOutline(record, y, linked, tuple(groups), tuple(scalars))


# (data, formula, family in R): response column, predictors, groups, unpredicted parameters
MODELS: dict[tuple[str, str, str], tuple[str, Any, Any, Any]] = {
    ("hsbsub", "mathach ~ meanses + sector * ses_cmc + (ses_cmc | id)", "gaussian()"): (
        "mathach",
        [predictor("meanses", "sector", "ses_cmc", "sector:ses_cmc")],
        [group("id", "Intercept", "ses_cmc")],
        ["sigma"],
    ),
    ("hsbsub", "mathach ~ 0 + sector + ses", "gaussian()"): (
        "mathach",
        [predictor("sector", "ses", intercept=False)],
        [],
        ["sigma"],
    ),
    ("hsbsub", "mathach ~ 0 + Intercept + ses + (1|id)", "gaussian()"): (
        "mathach",
        [predictor("Intercept", "ses", intercept=False)],
        [group("id", "Intercept")],
        ["sigma"],
    ),
    ("hsbsub", "mathach ~ ses + (1 | id)", "student()"): (
        "mathach",
        [predictor("ses")],
        [group("id", "Intercept")],
        ["sigma", "nu"],
    ),
    ("hsbsub", "bf(mathach ~ ses + (1|a|id), sigma ~ ses + (1|a|id))", "gaussian()"): (
        "mathach",
        [predictor("ses"), predictor("ses", dpar="sigma")],
        [group("id", "Intercept", "sigma Intercept")],
        [],
    ),
    ("sleepstudy", "Reaction ~ Days + (Days|Subject)", "lognormal()"): (
        "Reaction",
        [predictor("Days")],
        [group("Subject", "Intercept", "Days")],
        ["sigma"],
    ),
    ("sleepstudy", "Reaction ~ Days + (1|Subject)", "Gamma()"): (
        "Reaction",
        [predictor("Days")],
        [group("Subject", "Intercept")],
        ["shape"],
    ),
    ("sleepstudy", "prop ~ Days + (1|Subject)", "Beta()"): (
        "prop",
        [predictor("Days")],
        [group("Subject", "Intercept")],
        ["phi"],
    ),
    ("sleepstudy", "bf(prop ~ Days, phi ~ Days)", "Beta()"): (
        "prop",
        [predictor("Days"), predictor("Days", dpar="phi")],
        [],
        [],
    ),
    ("sleepstudy", "Reaction ~ Days", "gaussian('inverse')"): (
        "Reaction",
        [predictor("Days")],
        [],
        ["sigma"],
    ),
    ("epilepsy", "count ~ zBase*Trt + (1|patient)", "poisson()"): (
        "count",
        [predictor("zBase", "Trt1", "zBase:Trt1")],
        [group("patient", "Intercept")],
        [],
    ),
    ("epilepsy", "bf(count ~ zBase, shape ~ Trt)", "negbinomial()"): (
        "count",
        [predictor("zBase"), predictor("Trt1", dpar="shape")],
        [],
        [],
    ),
    ("epilepsy", "count ~ zBase", "geometric()"): ("count", [predictor("zBase")], [], []),
    ("epilepsy", "count ~ zBase", "zero_inflated_poisson()"): ("count", [predictor("zBase")], [], ["zi"]),
    ("epilepsy", "count ~ zBase", "zero_inflated_negbinomial()"): (
        "count",
        [predictor("zBase")],
        [],
        ["shape", "zi"],
    ),
    ("epilepsy", "count ~ zBase", "hurdle_poisson()"): ("count", [predictor("zBase")], [], ["hu"]),
    ("cbpp", "incidence | trials(size) ~ period", "zero_inflated_binomial()"): (
        "incidence",
        [predictor("period2", "period3", "period4")],
        [],
        ["zi"],
    ),
    ("cbpp", "incidence | trials(size) ~ period + (1|herd)", "binomial()"): (
        "incidence",
        [predictor("period2", "period3", "period4")],
        [group("herd", "Intercept")],
        [],
    ),
    ("Contraception", "use ~ age + urban + (urban|district)", "bernoulli()"): (
        "",
        [predictor("age", "urbanY")],
        [group("district", "Intercept", "urbanY")],
        [],
    ),
    ("imm10", "math | weights(w) ~ homework", "gaussian()"): ("math", [predictor("homework")], [], ["sigma"]),
    ("imm10", "math ~ homework + (homework | gr(schid, by=public))", "gaussian()"): (
        "math",
        [predictor("homework")],
        [group("schid", "Intercept", "homework", by=("public0", "public1"))],
        ["sigma"],
    ),
    ("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", "gaussian()"): (
        "diameter",
        [predictor()],
        [group("plate", "Intercept"), group("sample", "Intercept")],
        ["sigma"],
    ),
    ("classroom", "mathgain ~ ses + (1|schoolid/classid)", "gaussian()"): (
        "mathgain",
        [predictor("ses")],
        [group("schoolid", "Intercept"), group("schoolid:classid", "Intercept")],
        ["sigma"],
    ),
}
