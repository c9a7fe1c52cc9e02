"""What the grammar reads and later stages do not build yet: one table, so that refusals are by name.

When a term becomes available its row is deleted here and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import FormulaError
from .algebra import is_structured
from .formulas import BayesFormula, Formula, MultivariateFormula
from .nodes import Argument, Call, String
from .unparse import unparse
from .walk import walk

__all__ = [
    "UNAVAILABLE_ADDITIONS",
    "UNAVAILABLE_FLAGS",
    "UNAVAILABLE_OPTIONS",
    "UNAVAILABLE_TERMS",
    "refuse_unavailable",
]

UNAVAILABLE_TERMS: dict[str, str] = {
    "s": "smooth terms",
    "t2": "tensor product smooths",
    "gp": "Gaussian processes",
    "mo": "monotonic effects",
    "me": "noise-free predictors",
    "mi": "imputed predictors",
    "cs": "category-specific effects",
    "cse": "category-specific effects",
    "mmc": "multi-membership covariates",
    "mm": "multi-membership group terms",
    **dict.fromkeys(("ar", "ma", "arma", "cosy", "unstr"), "autocorrelation terms"),
    **dict.fromkeys(("sar", "car"), "spatial terms"),
    "fcor": "known residual covariances",
}
"""Terms by function name, with what they are called."""

UNAVAILABLE_ADDITIONS: dict[str, str] = {}
"""Additions on the left-hand side, by function name."""

UNAVAILABLE_OPTIONS: dict[str, str] = {
    "cov": "known covariances of group levels",
    "pw": "prior weights of group levels",
    "dist": "other distributions of group effects",
}
"""Options of ``gr()``; ``dist = "gaussian"`` is what is there anyway."""

UNAVAILABLE_FLAGS: dict[str, tuple[object, str]] = {
    "nl": (True, "non-linear formulas"),
    "sparse": (True, "sparse design matrices"),
    "decomp": ("QR", "QR decompositions of the design"),
}
"""Flags of a formula: the value that is refused, and what it means."""


def refuse_unavailable(formula: BayesFormula | MultivariateFormula) -> None:
    """Raise `FormulaError` for the first thing in ``formula`` that later stages cannot build yet."""
    if isinstance(formula, MultivariateFormula):
        second = formula.formulas[-1].main
        place = (0, 0) if second.response is None else second.response.span
        raise FormulaError("models of several responses are not available yet", second.source, place)
    _refuse_flags(formula)
    for addition in formula.main.additions:
        if addition.function in UNAVAILABLE_ADDITIONS:
            what = UNAVAILABLE_ADDITIONS[addition.function]
            raise _refusal(what, unparse(addition), formula.main, addition)
    autocor = () if formula.autocor is None else (formula.autocor,)
    for one in (formula.main, *formula.parameters.values(), *autocor):
        for call in _calls(one):
            _refuse_call(call, one)


def _refuse_flags(formula: BayesFormula) -> None:
    formulas = {"mu": formula.main, **formula.parameters}
    for parameter, one in formulas.items():
        for name, (refused, what) in UNAVAILABLE_FLAGS.items():
            if formula.flag(parameter, name) == refused:
                raise FormulaError(f"{what} (`{one}`) are not available yet", one.source, one.right.span)


def _calls(formula: Formula) -> Iterator[Call]:
    return (part for part in walk(formula.right) if isinstance(part, Call))


def _refuse_call(call: Call, formula: Formula) -> None:
    if is_structured(call):
        raise _refusal("covariance structures", unparse(call), formula, call)
    if call.function in ("te", "ti"):
        reason = f"tensor product smooths `{call.function}()` cannot be written as random effects: use t2()"
        raise FormulaError(reason, formula.source, call.span)
    if call.function in UNAVAILABLE_TERMS:
        raise _refusal(UNAVAILABLE_TERMS[call.function], unparse(call), formula, call)
    for option in call.arguments if call.function == "gr" else ():
        if option.name in UNAVAILABLE_OPTIONS and not _is_default(option):
            shown = f"{option.name} = {'' if option.value is None else unparse(option.value)}"
            raise _refusal(UNAVAILABLE_OPTIONS[option.name], shown, formula, option)


def _is_default(option: Argument) -> bool:
    return isinstance(option.value, String) and (option.name, option.value.value) == ("dist", "gaussian")


def _refusal(what: str, shown: str, formula: Formula, node: Call | Argument) -> FormulaError:
    return FormulaError(f"{what} `{shown}` are not available yet", formula.source, node.span)
