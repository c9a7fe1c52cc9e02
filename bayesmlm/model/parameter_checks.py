"""What formulas say of distributional parameters, checked against the family: values, equalities, order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import FormulaError
from ..families.base import Family
from ..formula import BayesFormula
from .response import ResponseDesign

if TYPE_CHECKING:
    from .design import Design

__all__ = [
    "check_order",
    "check_parameters",
    "fixed_parameters",
    "refuse_missing_intercept",
    "tied_parameters",
]


def check_parameters(formula: BayesFormula, family: Family) -> None:
    """Raise `FormulaError` for a formula or value of a parameter that the family does not have."""
    known = {p.name for p in family.parameters}
    for name in [*formula.parameters, *formula.fixed]:
        if name not in known:
            raise FormulaError(
                f"`{name}` is not a parameter of the family `{family.name}`; it has {', '.join(sorted(known))}"
            )


def fixed_parameters(formula: BayesFormula, family: Family, response: ResponseDesign) -> dict[str, float]:
    """The parameters that the user, the family or an addition gives a value."""
    by_addition = {
        own: value for name, value in response.fixed.items() for own in _of_components(family, name)
    }
    for name in by_addition:
        if name in formula.parameters or name in formula.fixed:
            raise FormulaError(
                f"`{name}` cannot be predicted or fixed: `se()` takes its place; "
                "write `se(x, sigma = TRUE)` to have both"
            )
    free = [p for p in family.parameters if p.name not in formula.parameters]
    fixed = {p.name: p.fixed for p in free if p.fixed is not None}
    fixed |= by_addition
    for name, value in formula.fixed.items():
        if isinstance(value, str):
            continue
        parameter = next((p for p in family.parameters if p.name == name), None)
        if parameter is not None:
            low = -np.inf if parameter.lower is None else parameter.lower
            high = np.inf if parameter.upper is None else parameter.upper
            if not low < value < high:
                raise FormulaError(
                    f"`{name} = {value:g}` is outside the bounds of `{name}`, ({low:g}, {high:g})"
                )
        fixed[name] = float(value)
    return fixed


def _of_components(family: Family, name: str) -> list[str]:
    """``name``, or of a mixture the parameters of its components that it stands for: ``sigma1``, ``sigma2``."""
    if not family.components:
        return [name]
    numbered = enumerate(family.components, start=1)
    return [f"{name}{k}" for k, c in numbered if any(p.name == name for p in c.parameters)]


def tied_parameters(formula: BayesFormula, family: Family) -> dict[str, str]:
    """The parameters that the user sets equal to another one, which has a value of its own."""
    known = {p.name for p in family.parameters}
    tied = {name: other for name, other in formula.fixed.items() if isinstance(other, str)}
    for name, other in tied.items():
        if other not in known:
            raise FormulaError(
                f"`{name} = {other}`: the family `{family.name}` has no parameter `{other}`; "
                f"it has {', '.join(sorted(known))}"
            )
        if family.parameter(name).supplied:
            raise FormulaError(f"weights cannot be set equal: fix them, `{name} = 1, {other} = 1`")
    return tied


def check_order(design: Design) -> None:
    """Raise `FormulaError` when intercepts are to be in order and one of them is missing."""
    for name in design.ordered:
        if name not in design.predictors or not design.predictors[name].has_intercept:
            raise FormulaError(
                f"the components of the mixture are told apart by the order of their intercepts, and `{name}` has "
                'none: give it one, or write mixture(..., order="none")'
            )


def refuse_missing_intercept(formula: BayesFormula, family: Family) -> None:
    """Raise `FormulaError`: thresholds cannot be removed."""
    main = formula.main
    raise FormulaError(
        f"the thresholds of the family `{family.name}` stand in the place of the intercept, which cannot be removed: "
        "leave out `0 +` or `- 1`",
        main.source,
        main.right.span,
    )
