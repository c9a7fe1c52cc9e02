"""R's own text of a model, ``bf(y ~ x, sigma ~ z, nl = TRUE) + set_rescor(FALSE)``, read and never run.

The tree is walked: a closed list of constructors is called with formulas, TRUE and FALSE, numbers and
strings; everything else is an error with a caret.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import FormulaError
from .constructors import acformula, bf, lf, mvbf, nlf, set_mecor, set_nl, set_rescor
from .formulas import BayesFormula, Flags, Formula, MultivariateFormula, formula_from_node
from .nodes import Argument, Binary, Call, Name, Node, Number, Paren, String, Unary
from .parse import read_tree
from .pieces import collect
from .unparse import unparse

__all__ = ["read_text"]

_MODELS: Mapping[str, Callable[..., Any]] = {
    "bf": bf,
    "brmsformula": bf,
    "mvbf": mvbf,
    "mvbrmsformula": mvbf,
}
_CONSTRUCTORS: Mapping[str, Callable[..., Any]] = {
    **_MODELS,
    "lf": lf,
    "nlf": nlf,
    "acformula": acformula,
    "set_nl": set_nl,
    "set_rescor": set_rescor,
    "set_mecor": set_mecor,
}
_CONSTANTS = {"TRUE": True, "T": True, "FALSE": False, "F": False, "NULL": None}


def read_text(text: str) -> Formula | BayesFormula | MultivariateFormula:
    """The formula ``y ~ x``, or the model that ``bf(...)``, ``mvbf(...)`` and sums of them describe.

    Raises `FormulaError` with a caret into ``text``.
    """
    tree = read_tree(text)
    head = tree
    steps: list[Node] = []
    while isinstance(head, Binary) and head.operator == "+":
        steps.append(head.right)
        head = head.left
    if not (isinstance(head, Call) and head.function in _MODELS):
        return formula_from_node(tree, text)
    model = _construct(head, text)
    for step in reversed(steps):
        model = _at(step, text, partial(_plus, model, step, text))
    return model


def _plus(model: Any, step: Node, text: str) -> Any:
    """``model + step``; what is no constructor and no formula is the name of a family, kept as text."""
    if isinstance(step, Paren):
        return model + formula_from_node(step.inner, text)
    if isinstance(step, Call) and step.function in _CONSTRUCTORS:
        return model + _construct(step, text)
    if not isinstance(step, Call | Name):
        raise FormulaError("only pieces such as lf(...) and families can be added here", text, step.span)
    family = unparse(step)
    if isinstance(model, MultivariateFormula):
        return replace(model, formulas=tuple(replace(one, family=family) for one in model.formulas))
    return replace(model, family=family)


def _construct(call: Call, text: str) -> Any:
    """Call the constructor named by ``call`` with its arguments read."""
    function = _CONSTRUCTORS[call.function]
    positional = [_value(argument, text) for argument in call.arguments if argument.name is None]
    named: dict[str, Any] = {}
    for argument in call.arguments:
        if argument.name is None:
            continue
        if argument.name in named:
            raise FormulaError(f"`{argument.name}` is given twice", text, argument.span)
        named[argument.name] = _value(argument, text)
    try:
        inspect.signature(function).bind(*positional, **named)
    except TypeError as error:
        raise FormulaError(f"{call.function}(): {error}", text, call.span) from None
    return _at(call, text, lambda: function(*positional, **named))


def _at(node: Node, text: str, action: Callable[[], Any]) -> Any:
    """Do ``action``; an error that knows no place gets that of ``node``."""
    try:
        return action()
    except FormulaError as error:
        if error.source is not None:
            raise
        raise FormulaError(error.reason, text, node.span) from None


def _value(argument: Argument, text: str) -> Any:
    """What an argument of a constructor stands for."""
    value = argument.value
    match value:
        case None:
            raise FormulaError("an argument is missing here", text, argument.span)
        case String():
            return value.value
        case Number():
            return value.value
        case Unary(operator="-", operand=Number() as number):
            return -number.value
        case Name() if value.name in _CONSTANTS:
            return _CONSTANTS[value.name]
        case Binary(operator="~") | Unary(operator="~"):
            return formula_from_node(value, text)
        case Call() if value.function in _CONSTRUCTORS:
            return _construct(value, text)
        case Call() if value.function in ("list", "c"):
            return [_item(item, text) for item in value.arguments]
        case Call() | Name() if argument.name == "family":
            return unparse(value)
        case _:
            reason = f"`{unparse(value)}` is no formula, constant or text"
            raise FormulaError(reason, text, value.span)


def _item(item: Argument, text: str) -> Any:
    value = _value(item, text)
    if item.name is None:
        return value
    named = {item.name: value}
    return _at(item, text, lambda: collect((), named, Flags()))
