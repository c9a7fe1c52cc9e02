"""The pieces that formulas are put together from: formulas and constants of parameters, and settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import BayesmlmWarning, FormulaError
from .formulas import BayesFormula, Flags, Formula
from .names import parameter_class
from .nodes import Binary, Name, Node
from .parse import parse_formula
from .unparse import unparse

__all__ = ["Autocorrelation", "ParameterFormulas", "Setting", "collect", "read_formula", "with_parameters"]


@dataclass(frozen=True)
class ParameterFormulas:
    """What `lf` and `nlf` return: formulas and constants of named parameters, for the response ``resp``."""

    parameters: Mapping[str, Formula | float | str]
    flags: Mapping[str, Flags]
    resp: str | None = None


@dataclass(frozen=True)
class Autocorrelation:
    """What `acformula` returns: a one-sided formula of autocorrelation terms, for the response ``resp``."""

    formula: Formula
    resp: str | None = None


@dataclass(frozen=True)
class Setting:
    """What `set_nl`, `set_rescor` and `set_mecor` return: ``name`` (nl, rescor, mecor) set to ``value``."""

    name: str
    value: bool
    dpar: str | None = None
    resp: str | None = None


def read_formula(formula: Any) -> Formula:
    if isinstance(formula, Formula):
        return formula
    if isinstance(formula, str):
        return parse_formula(formula)
    raise FormulaError(f"a formula is text, such as '~ x'; this is {type(formula).__name__}")


def collect(formulas: Iterable[Any], named: Mapping[str, Any], flags: Flags) -> ParameterFormulas:
    """Parameter formulas given by position and by name as one piece, with ``flags`` for each formula."""
    pairs: list[tuple[str, Formula | float | str, Flags]] = []
    for given in formulas:
        if isinstance(given, ParameterFormulas):
            pairs += [(name, value, given.flags.get(name, flags)) for name, value in given.parameters.items()]
        elif isinstance(given, str | Formula):
            pairs += [(name, formula, flags) for name, formula in _by_left_side(read_formula(given))]
        else:
            reason = f"further arguments of bf() are formulas or named; {given!r} has no name"
            raise FormulaError(reason)
    pairs += [(name, _named_value(name, value), flags) for name, value in named.items()]
    parameters: dict[str, Formula | float | str] = {}
    parameter_flags: dict[str, Flags] = {}
    for name, value, own in pairs:
        _check_name(name, value)
        if name in parameters:
            _warn_replaced(name)
        parameters[name] = value
        parameter_flags.pop(name, None)
        if own.said():
            parameter_flags[name] = own
    return ParameterFormulas(parameters, parameter_flags)


def _by_left_side(formula: Formula) -> list[tuple[str, Formula]]:
    """``a + b ~ 1`` as formulas of ``a`` and of ``b``."""
    if formula.response is None:
        reason = "a further formula needs a parameter's name on its left: `sigma ~ z`"
        raise FormulaError(reason, formula.source, formula.right.span)
    if formula.additions:
        reason = "additions belong to the main formula, not to that of a parameter"
        raise FormulaError(reason, formula.source, formula.additions[0].span)
    names: list[Node] = []
    node = formula.response
    while isinstance(node, Binary) and node.operator == "+":
        names.append(node.right)
        node = node.left
    pairs = []
    for name in (node, *reversed(names)):
        if not isinstance(name, Name):
            reason = f"`{unparse(name)}` is no parameter's name; write `sigma ~ z` or `a + b ~ 1`"
            raise FormulaError(reason, formula.source, name.span)
        pairs.append((name.name, replace(formula, response=name)))
    return pairs


def _named_value(name: str, value: Any) -> Formula | float | str:
    """``name = value``: a formula, a number, or the name of another parameter."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and "~" not in value:
        try:
            return float(value)
        except ValueError:
            return value.strip()
    formula = read_formula(value)
    if formula.response is None:
        return replace(formula, response=Name(name))
    (left, single), *others = _by_left_side(formula)
    if others or left != name:
        reason = f"this formula is given as `{name}`, its left-hand side says otherwise"
        raise FormulaError(reason, formula.source, formula.response.span)
    return single


def _check_name(name: str, value: Any) -> None:
    if "." in name or "_" in name:
        reason = f"the parameter name `{name}` must not contain dots or underscores"
        if isinstance(value, Formula) and value.response is not None and value.response.span != (0, 0):
            raise FormulaError(reason, value.source, value.response.span)
        raise FormulaError(reason)


def _warn_replaced(name: str) -> None:
    message = f"the parameter `{name}` is defined twice; the later definition holds"
    warnings.warn(message, BayesmlmWarning, stacklevel=4)


def with_parameters(base: BayesFormula, pieces: ParameterFormulas) -> BayesFormula:
    formulas = dict(base.parameters)
    fixed = dict(base.fixed)
    flags = dict(base.parameter_flags)
    for name, value in pieces.parameters.items():
        if name in formulas or name in fixed:
            _warn_replaced(name)
        formulas.pop(name, None)
        fixed.pop(name, None)
        flags.pop(name, None)
        if isinstance(value, Formula):
            formulas[name] = value
            if name in pieces.flags:
                flags[name] = pieces.flags[name]
        else:
            fixed[name] = value
    _check_equations(fixed, formulas)
    return replace(base, parameters=formulas, fixed=_normalised(fixed), parameter_flags=flags)


def _check_equations(fixed: Mapping[str, float | str], formulas: Mapping[str, Formula]) -> None:
    for name, value in fixed.items():
        if not isinstance(value, str):
            continue
        if value == name:
            raise FormulaError(f"`{name}` cannot be set equal to itself")
        if parameter_class(name) == "mu":
            raise FormulaError("parameters of class `mu` cannot be set equal")
        if parameter_class(value) != parameter_class(name):
            reason = (
                f"`{name}` and `{value}` are different kinds of parameter; for a formula write `~ {value}`"
            )
            raise FormulaError(reason)
        if value in fixed:
            raise FormulaError(f"`{value}` is fixed itself: nothing can be set equal to it")
        if value in formulas:
            raise FormulaError(f"`{value}` has a formula: nothing can be set equal to it")


def _normalised(fixed: dict[str, float | str]) -> dict[str, float | str]:
    """Mixing proportions ``theta1 = 1, theta2 = 3`` sum to one, as in brms."""
    shares = {
        name: value
        for name, value in fixed.items()
        if parameter_class(name) == "theta" and not isinstance(value, str)
    }
    total = sum(shares.values())
    if not shares or total == 0:
        return fixed
    return {**fixed, **{name: value / total for name, value in shares.items()}}
