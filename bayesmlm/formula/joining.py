"""What ``+`` does between formulas and their pieces, as in brms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import FormulaError
from ..families.base import Family
from .constructors import bf, mvbf
from .formulas import BayesFormula, Flags, MultivariateFormula
from .names import response_name
from .pieces import Autocorrelation, ParameterFormulas, Setting

__all__ = ["add", "add_multivariate"]


def add(base: BayesFormula, other: Any) -> BayesFormula | MultivariateFormula:
    """``base + other``: a family, a piece, further parameter formulas, or a second response."""
    match other:
        case Setting(name="rescor"):
            raise FormulaError("set_rescor() needs several responses: bf(y1 ~ x) + bf(y2 ~ x) + set_rescor()")
        case Setting(name="mecor"):
            return replace(base, mecor=other.value)
        case Setting(dpar=None):
            return replace(base, flags=base.flags.updated(Flags(nl=other.value)))
        case Setting():
            return _set_parameter_nl(base, other)
        case Autocorrelation():
            return replace(base, autocor=other.formula)
        case BayesFormula() | MultivariateFormula():
            return mvbf(base, other)
        case Family():
            return replace(base, family=other)
        case _:
            return bf(base, other)


def _set_parameter_nl(base: BayesFormula, setting: Setting) -> BayesFormula:
    name = str(setting.dpar)
    if name not in base.parameters:
        raise FormulaError(f"the parameter `{name}` has no formula to be made non-linear")
    flags = base.parameter_flags.get(name, Flags()).updated(Flags(nl=setting.value))
    return replace(base, parameter_flags={**base.parameter_flags, name: flags})


def add_multivariate(base: MultivariateFormula, other: Any) -> MultivariateFormula:
    """``base + other`` for several responses: pieces say with ``resp`` which response they belong to."""
    match other:
        case Setting(name="rescor"):
            return replace(base, rescor=other.value)
        case Family() | Setting(name="mecor"):
            return replace(base, formulas=tuple(_one(add(one, other)) for one in base.formulas))
        case BayesFormula():
            return mvbf(base, other)
        case MultivariateFormula():
            raise FormulaError("two multivariate formulas cannot be added: add the single bf(...) instead")
        case ParameterFormulas() | Autocorrelation() | Setting():
            return _add_to_response(base, other)
        case _:
            raise FormulaError('with several responses say which one: lf(sigma ~ z, resp = "y1")')


def _add_to_response(
    base: MultivariateFormula, piece: ParameterFormulas | Autocorrelation | Setting
) -> MultivariateFormula:
    if piece.resp is None or response_name(piece.resp) not in base.responses:
        said = "is missing" if piece.resp is None else f"`{piece.resp}` is not among them"
        reason = f"`resp` {said}: the responses are {', '.join(base.responses)}"
        raise FormulaError(reason)
    chosen = base.responses.index(response_name(piece.resp))
    changed = _one(add(base.formulas[chosen], piece))
    return replace(base, formulas=(*base.formulas[:chosen], changed, *base.formulas[chosen + 1 :]))


def _one(value: BayesFormula | MultivariateFormula) -> BayesFormula:
    if isinstance(value, BayesFormula):
        return value
    raise FormulaError("a formula of several responses cannot be added to one of them")
