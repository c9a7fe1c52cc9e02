"""Bayesian and frequentist multilevel models from one formula: what brms and lme4 are to R.

Names are imported when they are first used, so that ``import bayesmlm`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    BayesmlmError,
    BayesmlmWarning,
    ConvergenceWarning,
    DataError,
    FormulaError,
    NewDataError,
    PriorError,
    SamplingError,
)

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import families as families
    from . import formula as formula
    from .bayes import brm, default_prior, standata, validate_prior
    from .bayes import default_prior as get_prior
    from .calibration import sbc
    from .datasets import load_dataset
    from .families import FamilyError, brmsfamily, custom_family, mixture
    from .formula import acformula, bf, lf, mvbf, nlf, set_mecor, set_nl, set_rescor
    from .frequentist.fit import MixedFit
    from .frequentist.generalised_fit import GeneralisedFit
    from .frequentist.glmer import glmer
    from .frequentist.likelihood_ratio import anova
    from .frequentist.linear import lm
    from .frequentist.lm_list import lmList
    from .frequentist.lmer import lmer
    from .frequentist.modcomp import KRmodcomp, PBmodcomp
    from .frequentist.simulate import simulate
    from .io import load
    from .priors.prior import prior, set_prior
    from .results.criteria import loo_compare
    from .results.effects import make_conditions
    from .results.fit import BayesFit
    from .results.model_table import model_table

__version__ = "0.1.0.dev0"

_HOMES = {
    "BayesFit": "results.fit",
    "FamilyError": "families",
    "GeneralisedFit": "frequentist.generalised_fit",
    "KRmodcomp": "frequentist.modcomp",
    "MixedFit": "frequentist.fit",
    "PBmodcomp": "frequentist.modcomp",
    "acformula": "formula",
    "anova": "frequentist.likelihood_ratio",
    "bf": "formula",
    "brm": "bayes",
    "brmsfamily": "families",
    "custom_family": "families",
    "default_prior": "bayes",
    "get_prior": "bayes",
    "glmer": "frequentist.glmer",
    "lf": "formula",
    "lm": "frequentist.linear",
    "lmList": "frequentist.lm_list",
    "lmer": "frequentist.lmer",
    "load": "io",
    "load_dataset": "datasets",
    "loo_compare": "results.criteria",
    "make_conditions": "results.effects",
    "mixture": "families",
    "model_table": "results.model_table",
    "mvbf": "formula",
    "nlf": "formula",
    "prior": "priors.prior",
    "sbc": "calibration",
    "set_mecor": "formula",
    "set_nl": "formula",
    "set_prior": "priors.prior",
    "set_rescor": "formula",
    "simulate": "frequentist.simulate",
    "standata": "bayes",
    "validate_prior": "bayes",
}

_ROOMS = ("datasets", "families", "formula")
"""Packages within this one that a script may use by name: ``bm.formula.parse_formula(text)``."""

__all__ = [
    "BayesFit",
    "BayesmlmError",
    "BayesmlmWarning",
    "ConvergenceWarning",
    "DataError",
    "FamilyError",
    "FormulaError",
    "GeneralisedFit",
    "KRmodcomp",
    "MixedFit",
    "NewDataError",
    "PBmodcomp",
    "PriorError",
    "SamplingError",
    "acformula",
    "anova",
    "bf",
    "brm",
    "brmsfamily",
    "custom_family",
    "default_prior",
    "get_prior",
    "glmer",
    "lf",
    "lm",
    "lmList",
    "lmer",
    "load",
    "load_dataset",
    "loo_compare",
    "make_conditions",
    "mixture",
    "model_table",
    "mvbf",
    "nlf",
    "prior",
    "sbc",
    "set_mecor",
    "set_nl",
    "set_prior",
    "set_rescor",
    "simulate",
    "standata",
    "validate_prior",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'bayesmlm' has no attribute {name!r}")
    home = import_module(f".{_HOMES[name]}", __name__)
    value = getattr(home, "default_prior" if name == "get_prior" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, "__version__"]
