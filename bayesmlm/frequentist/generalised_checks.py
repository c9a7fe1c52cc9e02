"""What a generalised mixed model's formulas, family and groups must not be, said before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FormulaError
from ..families.base import DistributionalParameter, Family, FamilyError
from ..families.numpy_draws import DRAWS
from ..formula import as_bayes_formula
from ..formula.formulas import BayesFormula, MultivariateFormula
from ..formula.predictor import Predictor
from .design_checks import level_problems, refuse_unknown_structures
from .lmer import say
from .response_checks import refuse_left_side

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign

__all__ = ["check_levels_generalised", "one_response", "refuse_family", "refuse_generalised", "refuse_quasi"]

ADDITIVE = frozenset({"gaussian", "lognormal", "student"})
"""Families whose residuals, as group effects, are added to the linear predictor: an effect for each row would be its
residual."""


def one_response(formula: Any) -> BayesFormula:
    """The formulas of a model of one response. Raises `FormulaError` for several responses."""
    parsed = as_bayes_formula(formula)
    if isinstance(parsed, MultivariateFormula):
        raise FormulaError("glmer() takes one response; models of several are for brm()")
    return parsed


def refuse_quasi(family: Any) -> None:
    """Refuse R's quasi families, by name, as text of a call, or as an object with a name. Raises `FamilyError`."""
    text = family if isinstance(family, str) else str(getattr(family, "name", ""))
    if not text.strip().lower().startswith("quasi"):
        return
    raise FamilyError(
        f'"quasi" families have no likelihood, which glmer() maximises: not `{text}`. Overdispersion is modelled by an '
        "effect of each row, `(1 | row)`, or by a family that has it: `negbinomial` for counts, `beta_binomial` for "
        "successes out of trials"
    )


def refuse_family(family: Family) -> None:
    """Raise `FamilyError` for a family whose likelihood glmer() does not maximise."""
    if family.name not in DRAWS:
        raise FamilyError(
            f"the family `{family.name}` is brm()'s: glmer() fits {', '.join(DRAWS)}. brm() takes the same formula"
        )


def refuse_generalised(formula: BayesFormula, family: Family, columns: Sequence[str]) -> dict[str, Predictor]:
    """The predictors by parameter, mu first, then in the order of the family; ``columns``: what ``.`` stands for.

    Raises `FormulaError` for what glmer() cannot read.
    """
    _refuse_parts(formula)
    refuse_left_side(formula.main, family)
    _check_parameters(formula, family)
    read = formula.predictors(columns)
    names = [p.name for p in family.parameters if p.name in read]
    predictors = {name: read[name] for name in ("mu", *(name for name in names if name != "mu"))}
    for name, predictor in predictors.items():
        own = formula.main if name == "mu" else formula.parameters[name]
        refuse_unknown_structures(predictor, own.source)
    if not any(predictor.group_terms for predictor in predictors.values()):
        raise FormulaError(
            "the formula has no group term; write `(1 | g)` to let the intercept vary by g. A generalised linear model "
            "without groups is fitted by statsmodels: statsmodels.formula.api.glm()",
            formula.main.source,
            formula.main.right.span,
        )
    return predictors


def _refuse_parts(formula: BayesFormula) -> None:
    """What brm() reads beside linear predictors. Raises `FormulaError`."""
    for name, one in {"mu": formula.main, **formula.parameters}.items():
        if formula.flag(name, "nl"):
            reason = f"the non-linear formula `{one}` is for brm(); glmer() has linear predictors"
            raise FormulaError(reason, one.source, one.right.span)
    if formula.autocor is not None:
        reason = "autocorrelation terms are brms's: fit this model with brm()"
        raise FormulaError(reason, formula.autocor.source, formula.autocor.right.span)


def _check_parameters(formula: BayesFormula, family: Family) -> None:
    """Formulas and fixed values are of parameters that the family has. Raises `FormulaError`."""
    known = {p.name: p for p in family.parameters}
    for name, one in formula.parameters.items():
        if name == "mu":
            reason = "the main formula is mu's: a second one is one too many"
        elif name in known:
            continue
        else:
            others = [other for other in known if other != "mu"]
            has = f"it has {', '.join(others)} besides mu" if others else "it has none besides mu"
            reason = f"`{name}` is not a parameter of the family `{family.name}`; {has}"
        span = one.right.span if one.response is None else one.response.span
        raise FormulaError(reason, one.source, span)
    for name, value in formula.fixed.items():
        if name not in known or name == "mu":
            reason = f"`{name} = {value}`: the family `{family.name}` has no parameter `{name}` that could be fixed"
            raise FormulaError(reason)
        if isinstance(value, str):
            raise FormulaError(
                f"`{name} = {value}`: setting parameters equal is for mixtures, which are brm()'s"
            )
        _check_bounds(known[name], value)


def _check_bounds(parameter: DistributionalParameter, value: float) -> None:
    low = -np.inf if parameter.lower is None else parameter.lower
    high = np.inf if parameter.upper is None else parameter.upper
    if not low < value < high:
        name = parameter.name
        raise FormulaError(f"`{name} = {value:g}` is outside the bounds of `{name}`, ({low:g}, {high:g})")


def check_levels_generalised(design: GeneralisedDesign, settings: Mapping[str, Any]) -> None:
    """lme4's checks of numbers of levels, effects and rows, for the terms of all parameters.

    As in glmer, there may be as many levels as rows (an effect of each row models overdispersion) and as many effects;
    not in mu of families that have such an effect already, their residual. ``settings``: as lmer's ``control``.
    """
    for term, parameter in zip(design.all_terms, design.term_parameters, strict=True):
        may_equal = not (parameter == "mu" and design.family.name in ADDITIVE)
        for name, text in level_problems(term, design.n, may_equal).items():
            say(text if parameter == "mu" else f"{parameter}: {text}", settings[name])
