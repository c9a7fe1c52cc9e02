"""brms's constructors: `bf`, `mvbf`, `lf`, `nlf`, `acformula`, `set_nl`, `set_rescor`, `set_mecor`.

Each returns a frozen piece; pieces are joined by giving them to `bf` or adding them with ``+``. R's own text,
``bf(y ~ x, sigma ~ z) + lf(nu ~ 1)``, is read by `as_bayes_formula`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import BayesmlmWarning, FormulaError
from .algebra import AUTOCORRELATION
from .formulas import BayesFormula, Flags, Formula, MultivariateFormula
from .nodes import Call
from .pieces import Autocorrelation, ParameterFormulas, Setting, collect, read_formula, with_parameters
from .walk import walk

__all__ = ["acformula", "as_bayes_formula", "bf", "lf", "mvbf", "nlf", "set_mecor", "set_nl", "set_rescor"]


def bf(
    formula: str | Formula | BayesFormula,
    *formulas: Any,
    flist: Iterable[Any] | Mapping[str, Any] | None = None,
    family: Any = None,
    autocor: Any = None,
    nl: bool | None = None,
    loop: bool | None = None,
    center: bool | None = None,
    cmc: bool | None = None,
    sparse: bool | None = None,
    decomp: str | None = None,
    unused: Any = None,
    **parameters: Any,
) -> BayesFormula | MultivariateFormula:
    """The formulas of one model (brms's ``brmsformula``).

    ``formula``: the main formula. ``formulas``: formulas of other parameters, ``"sigma ~ z"`` or for several
    at once ``"a + b ~ 1"``, and results of `lf` and `nlf`; ``flist`` holds more of them. ``parameters``: the
    same by name (``sigma="~ z"``), a constant (``sigma=1``), or the name of a parameter to be equal to
    (``sigma2="sigma1"``). The flags are those of `Flags`. ``unused``: variables to keep for later
    (``"~ a + b"``). A response ``mvbind(y1, y2)`` gives one formula for each.

    Raises `FormulaError` for text that cannot be read, a parameter without a name or with ``.`` or ``_`` in
    it, and brms's illegal equations.
    """
    base = _single(BayesFormula(formula) if isinstance(formula, Formula) else as_bayes_formula(formula))
    flags = _flags(nl=nl, loop=loop, center=center, cmc=cmc, sparse=sparse, decomp=decomp)
    autocorrelation = None if autocor is None else acformula(autocor).formula
    base = replace(
        base,
        flags=base.flags.updated(flags),
        family=base.family if family is None else family,
        autocor=base.autocor if autocorrelation is None else autocorrelation,
        unused=base.unused if unused is None else read_formula(unused),
    )
    pieces = collect((*formulas, *_listed(flist)), parameters, Flags())
    return _split_mvbind(with_parameters(base, pieces))


def lf(
    *formulas: Any,
    flist: Iterable[Any] | Mapping[str, Any] | None = None,
    dpar: str | None = None,
    resp: str | None = None,
    center: bool | None = None,
    cmc: bool | None = None,
    sparse: bool | None = None,
    decomp: str | None = None,
    **parameters: Any,
) -> ParameterFormulas:
    """Linear formulas of further parameters with flags of their own; ``resp`` names their response.

    Raises `FormulaError` as `bf`.
    """
    _warn_dpar(dpar)
    flags = _flags(center=center, cmc=cmc, sparse=sparse, decomp=decomp)
    return replace(collect((*formulas, *_listed(flist)), parameters, flags), resp=resp)


def nlf(
    formula: Any,
    *formulas: Any,
    dpar: str | None = None,
    resp: str | None = None,
    loop: bool | None = None,
    **parameters: Any,
) -> ParameterFormulas:
    """A non-linear formula of a parameter, ``nlf("a ~ b * exp(c)")``, and linear ones that it uses.

    Raises `FormulaError` as `bf`, and when ``formula`` has no left-hand side.
    """
    main = read_formula(formula)
    if main.response is None:
        raise FormulaError("nlf() needs a left-hand side: `nlf(a ~ b * x)`", main.source, main.right.span)
    _warn_dpar(dpar)
    first = collect((main,), {}, _flags(nl=True, loop=loop))
    others = collect(formulas, parameters, Flags())
    return ParameterFormulas({**first.parameters, **others.parameters}, {**first.flags, **others.flags}, resp)


def acformula(autocor: Any, resp: str | None = None) -> Autocorrelation:
    """Autocorrelation terms as a formula of their own: ``acformula("~ ar(p = 1)")``.

    Raises `FormulaError` when it holds no autocorrelation term.
    """
    if isinstance(autocor, Autocorrelation):
        return autocor if resp is None else replace(autocor, resp=resp)
    formula = read_formula(autocor)
    calls = (part.function for part in walk(formula.right) if isinstance(part, Call))
    if not any(function in AUTOCORRELATION for function in calls):
        known = ", ".join(f"{name}()" for name in AUTOCORRELATION)
        reason = f"an autocorrelation formula needs at least one of {known}"
        raise FormulaError(reason, formula.source, formula.right.span)
    return Autocorrelation(replace(formula, response=None), resp)


def set_nl(nl: bool = True, dpar: str | None = None, resp: str | None = None) -> Setting:
    """Make the main formula, or that of ``dpar``, non-linear: ``bf("y ~ a * x", "a ~ 1") + set_nl()``."""
    return Setting("nl", bool(_logical("nl", nl)), dpar, resp)


def set_rescor(rescor: bool = True) -> Setting:
    """Whether the residuals of several responses are correlated."""
    return Setting("rescor", bool(_logical("rescor", rescor)))


def set_mecor(mecor: bool = True) -> Setting:
    """Whether the latent variables of several ``me()`` terms are correlated."""
    return Setting("mecor", bool(_logical("mecor", mecor)))


def mvbf(
    *formulas: Any, flist: Iterable[Any] | None = None, rescor: bool | None = None
) -> MultivariateFormula:
    """Formulas of several responses (brms's ``mvbrmsformula``).

    Raises `FormulaError` without a formula, for a one-sided one, and for a response that is there twice.
    """
    collected: list[BayesFormula] = []
    for given in (*formulas, *_listed(flist)):
        one = as_bayes_formula(given)
        if isinstance(one, MultivariateFormula):
            collected.extend(one.formulas)
            rescor = one.rescor if rescor is None else rescor
        else:
            collected.append(one)
    if not collected:
        raise FormulaError("mvbf() needs at least one formula")
    seen: dict[str, Formula] = {}
    for one in collected:
        if one.main.response is None:
            reason = "every formula of a multivariate model needs a response"
            raise FormulaError(reason, one.main.source, one.main.right.span)
        if one.response in seen:
            reason = f"the response `{one.response}` is there twice (names lose `.` and `_`)"
            raise FormulaError(reason, one.main.source, one.main.response.span)
        seen[one.response] = one.main
    return MultivariateFormula(tuple(collected), _logical("rescor", rescor))


def as_bayes_formula(formula: Any) -> BayesFormula | MultivariateFormula:
    """Any way of saying a model's formulas as one object.

    Accepts text (``"y ~ x"`` or R's ``"bf(y ~ x, sigma ~ z) + set_rescor(FALSE)"``), a `Formula`, and what
    `bf` and `mvbf` return. Raises `FormulaError` for everything else.
    """
    if isinstance(formula, BayesFormula | MultivariateFormula):
        return formula
    if isinstance(formula, str):
        from .text import read_text

        formula = read_text(formula)
    return bf(formula) if isinstance(formula, Formula) else _expect_model(formula)


def _expect_model(value: Any) -> BayesFormula | MultivariateFormula:
    if isinstance(value, BayesFormula | MultivariateFormula):
        return value
    reason = f"a model's formula is text, bf(...) or mvbf(...), not {type(value).__name__}"
    raise FormulaError(reason)


def _single(value: BayesFormula | MultivariateFormula) -> BayesFormula:
    if isinstance(value, BayesFormula):
        return value
    raise FormulaError("a formula of several responses cannot stand here: add pieces to it with `+`")


def _flags(**said: bool | str | None) -> Flags:
    decomp = said.pop("decomp", None)
    if decomp not in (None, "QR", "none"):
        raise FormulaError(f'`decomp` is "QR" or "none", not {decomp!r}')
    return Flags(**{name: _logical(name, value) for name, value in said.items()}, decomp=decomp)


def _logical(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise FormulaError(f"`{name}` is TRUE or FALSE, not {value!r}")


def _warn_dpar(dpar: str | None) -> None:
    if dpar is not None:
        message = "`dpar` is no longer needed and ignored: the left-hand side names the parameter"
        warnings.warn(message, BayesmlmWarning, stacklevel=3)


def _split_mvbind(formula: BayesFormula) -> BayesFormula | MultivariateFormula:
    """One formula for each response of ``mvbind(y1, y2)``; everything else is common to them."""
    response = formula.main.response
    if not (isinstance(response, Call) and response.function == "mvbind"):
        return formula
    members = [argument.value for argument in response.arguments]
    if not members or any(member is None for member in members):
        raise FormulaError(
            "mvbind() takes the responses: `mvbind(y1, y2) ~ x`", formula.main.source, response.span
        )
    return mvbf(*(replace(formula, main=replace(formula.main, response=member)) for member in members))


def _listed(flist: Iterable[Any] | Mapping[str, Any] | None) -> tuple[Any, ...]:
    """``flist`` as positional pieces; one formula alone is a list of one."""
    if flist is None:
        return ()
    if isinstance(flist, Mapping):
        return (collect((), flist, Flags()),)
    if isinstance(flist, str | Formula | ParameterFormulas | BayesFormula | MultivariateFormula):
        return (flist,)
    return tuple(flist)
