"""Formulas, read: one formula, and all the formulas of a model with one or more responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import FormulaError
from .algebra import right_hand_side
from .names import response_name
from .nodes import Binary, Call, Name, Node, String, Unary
from .predictor import Predictor
from .unparse import deparse_number, unparse
from .walk import variables

__all__ = ["ADDITIONS", "BayesFormula", "Flags", "Formula", "MultivariateFormula", "formula_from_node"]

ADDITIONS = (
    *("weights", "se", "trials", "cens", "trunc", "cat", "thres", "dec", "rate"),
    *("subset", "index", "mi", "vreal", "vint", "bhaz"),
)
"""What may stand right of ``|`` on the left-hand side (brms's addition terms)."""


@dataclass(frozen=True, eq=False)
class Formula:
    """``response | additions ~ right``.

    ``source`` is the text that spans refer to; it may hold more than this formula (``bf(y ~ x, sigma ~ z)``).
    ``response`` is None for a one-sided formula. Two formulas are equal when they print the same.
    """

    source: str
    response: Node | None
    additions: tuple[Call, ...]
    right: Node

    def __str__(self) -> str:
        """As brms prints it: ``y | trials(n) ~ x + (1 | g)``."""
        right = unparse(self.right)
        return f"~{right}" if self.response is None else f"{self.left_text} ~ {right}"

    def __repr__(self) -> str:
        return f"Formula({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        # By text, not by tree: comparing trees recurses, and a sum may have thousands of terms.
        return isinstance(other, Formula) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def left_text(self) -> str:
        """The left-hand side as printed, empty for a one-sided formula."""
        if self.response is None:
            return ""
        added = " + ".join(unparse(addition) for addition in self.additions)
        return unparse(self.response) + (f" | {added}" if added else "")

    @property
    def response_variables(self) -> tuple[str, ...]:
        """Every variable of the left-hand side, additions included."""
        left = () if self.response is None else (self.response, *self.additions)
        return variables(*left)

    def addition(self, name: str) -> Call | None:
        """The addition called ``name``, None when the formula has none."""
        return next((call for call in self.additions if call.function == name), None)

    def predictor(self, columns: Sequence[str] = ()) -> Predictor:
        """What the right-hand side means; ``.`` stands for the ``columns`` not used on the left-hand side.

        Raises `FormulaError` for anything that is no sum of terms; see `bayesmlm.formula.algebra`.
        """
        used = set(self.response_variables)
        rest = tuple(column for column in columns if column not in used)
        return right_hand_side(self.right, self.source, rest, self.response)


def formula_from_node(node: Node, source: str) -> Formula:
    """The formula that the tree ``left ~ right`` or ``~ right`` describes.

    Raises `FormulaError` without exactly one ``~``, and for unknown or repeated additions.
    """
    if isinstance(node, Unary) and node.operator == "~":
        _refuse_second_tilde(node.operand, source)
        return Formula(source, None, (), node.operand)
    if not (isinstance(node, Binary) and node.operator == "~"):
        reason = "this is no formula: write `response ~ terms`, or `~ terms` without a response"
        raise FormulaError(reason, source, node.span)
    for side in (node.left, node.right):
        _refuse_second_tilde(side, source)
    if not (isinstance(node.left, Binary) and node.left.operator in ("|", "||")):
        return Formula(source, node.left, (), node.right)
    bar = node.left
    if bar.operator == "||" or (isinstance(bar.left, Binary) and bar.left.operator in ("|", "||")):
        reason = "one `|` separates the response from its additions: `y | trials(n) + weights(w) ~ x`"
        raise FormulaError(reason, source, bar.span)
    return Formula(source, bar.left, _additions(bar.right, source), node.right)


def _refuse_second_tilde(side: Node, source: str) -> None:
    if isinstance(side, Binary | Unary) and side.operator == "~":
        reason = "a formula has one `~`; further formulas go into bf(...): bf(y ~ x, sigma ~ z)"
        raise FormulaError(reason, source, side.span)


def _additions(node: Node, source: str) -> tuple[Call, ...]:
    """The calls of the sum ``node``, brms's long names (``resp_trials``) shortened."""
    parts: list[Node] = []
    while isinstance(node, Binary) and node.operator == "+":
        parts.append(node.right)
        node = node.left
    additions: list[Call] = []
    for part in (node, *reversed(parts)):
        addition = _addition(part, source)
        if any(addition.function == earlier.function for earlier in additions):
            reason = f"the addition `{addition.function}()` may be given only once"
            raise FormulaError(reason, source, part.span)
        additions.append(addition)
    return tuple(additions)


def _addition(part: Node, source: str) -> Call:
    known = ", ".join(ADDITIONS)
    if not isinstance(part, Call):
        example = f"`trials({part.name})`" if isinstance(part, Name) else "`trials(n)`"
        reason = f"right of `|` stand calls such as {example}, joined by `+`; known are {known}"
        raise FormulaError(reason, source, part.span)
    name = part.function.removeprefix("resp_")
    if name not in ADDITIONS:
        raise FormulaError(f"there is no addition `{part.function}()`; known are {known}", source, part.span)
    return Call(name, part.arguments, span=part.span)


@dataclass(frozen=True)
class Flags:
    """How one formula is to be read and built; None where nothing was said.

    ``nl``: the right-hand side is an expression, no sum of terms (default False); ``loop``: evaluate it row
    by row (True); ``center``: centre the design around its means (True, False for non-linear parameters);
    ``cmc``: cell-mean coding without an intercept (True); ``sparse``: sparse design (False); ``decomp``:
    ``"QR"`` or ``"none"``.
    """

    nl: bool | None = None
    loop: bool | None = None
    center: bool | None = None
    cmc: bool | None = None
    sparse: bool | None = None
    decomp: str | None = None

    def updated(self, other: Flags) -> Flags:
        """These flags, replaced by those that ``other`` says something about."""
        return Flags(**{**self.said(), **other.said()})

    def said(self) -> dict[str, Any]:
        """The flags that are not None, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


@dataclass(frozen=True, repr=False)
class BayesFormula:
    """What `bf` makes: everything the formulas say about one response.

    ``main`` is the formula of ``mu``; ``parameters`` holds those of distributional and non-linear parameters
    in the order given; ``fixed`` the parameters set to a number or equated with another (a name). ``flags``
    belong to ``main``, ``parameter_flags`` to the others. ``family`` is kept as given: an object, or the text
    in which a text formula named it. ``mecor`` is what `set_mecor` said.
    """

    main: Formula
    parameters: Mapping[str, Formula] = field(default_factory=dict)
    fixed: Mapping[str, float | str] = field(default_factory=dict)
    flags: Flags = Flags()
    parameter_flags: Mapping[str, Flags] = field(default_factory=dict)
    autocor: Formula | None = None
    unused: Formula | None = None
    family: Any = None
    mecor: bool | None = None

    def __hash__(self) -> int:
        return hash(self.to_text())

    def __repr__(self) -> str:
        return self.to_text()

    def __str__(self) -> str:
        return _joined((self,))

    def __add__(self, other: object) -> BayesFormula | MultivariateFormula:
        from .joining import add

        return add(self, other)

    def flag(self, parameter: str, name: str) -> Any:
        """The flag ``name`` of the formula of ``parameter`` (``"mu"``: the main one); None if unsaid."""
        flags = self.flags if parameter == "mu" else self.parameter_flags.get(parameter, Flags())
        return getattr(flags, name)

    @property
    def nl(self) -> bool:
        """Whether the main formula is non-linear."""
        return bool(self.flags.nl)

    @property
    def response(self) -> str:
        """The response's cleaned name (``y1`` for ``y_1``), empty for a one-sided formula."""
        return "" if self.main.response is None else response_name(unparse(self.main.response))

    def lines(self) -> tuple[str, ...]:
        """What brms prints, line by line (constants rounded to two digits)."""
        lines = [str(self.main)]
        if self.autocor is not None:
            lines.append(f"autocor ~ {unparse(self.autocor.right)}")
        lines += [str(formula) for formula in self.parameters.values()]
        for name, value in self.fixed.items():
            lines.append(f"{name} = {value if isinstance(value, str) else deparse_number(round(value, 2))}")
        return tuple(lines)

    def predictors(self, columns: Sequence[str] = ()) -> dict[str, Predictor]:
        """The linear predictors by parameter, ``mu`` first; non-linear formulas have none.

        ``.`` stands, in every formula, for the ``columns`` that the main left-hand side does not use.
        """
        used = set(self.main.response_variables)
        rest = tuple(column for column in columns if column not in used)
        found = {} if self.nl else {"mu": self.main.predictor(columns)}
        for name, formula in self.parameters.items():
            if not self.flag(name, "nl"):
                found[name] = right_hand_side(formula.right, formula.source, rest)
        return found

    def to_text(self) -> str:
        """Text that `as_bayes_formula` reads back: ``bf(y ~ x, sigma ~ z, nu = 4)``.

        A family given as an object is not in it.
        """
        parts = [str(self.main)]
        for name, formula in self.parameters.items():
            parts.append(_parameter_text(formula, self.parameter_flags.get(name, Flags())))
        parts += [f"{name} = {_value_text(value)}" for name, value in self.fixed.items()]
        parts += [f"{name} = {_value_text(value)}" for name, value in self.flags.said().items()]
        for name in ("autocor", "unused"):
            if getattr(self, name) is not None:
                parts.append(f"{name} = {getattr(self, name)}")
        if isinstance(self.family, str):
            parts.append(f"family = {self.family}")
        text = parts[0] if len(parts) == 1 and self.mecor is None else f"bf({', '.join(parts)})"
        return text if self.mecor is None else f"{text} + set_mecor({_value_text(self.mecor)})"


@dataclass(frozen=True, repr=False)
class MultivariateFormula:
    """Formulas of several responses. ``rescor``: residual correlations; None leaves it to the families."""

    formulas: tuple[BayesFormula, ...]
    rescor: bool | None = None

    def __hash__(self) -> int:
        return hash(self.to_text())

    def __repr__(self) -> str:
        return self.to_text()

    def __str__(self) -> str:
        return _joined(self.formulas)

    def __add__(self, other: object) -> MultivariateFormula:
        from .joining import add_multivariate

        return add_multivariate(self, other)

    @property
    def responses(self) -> tuple[str, ...]:
        """The cleaned names of the responses."""
        return tuple(formula.response for formula in self.formulas)

    def to_text(self) -> str:
        """Text that `as_bayes_formula` reads back."""
        parts = [formula.to_text() for formula in self.formulas]
        if self.rescor is not None:
            parts.append(f"rescor = {_value_text(self.rescor)}")
        return f"mvbf({', '.join(parts)})"


def _joined(formulas: tuple[BayesFormula, ...]) -> str:
    """All lines; as brms prints them, a blank ends the first one of each response (here: if a line follows)."""
    lines = []
    for formula in formulas:
        first, *others = formula.lines()
        lines += [first + " ", *others]
    return "\n".join(lines).removesuffix(" ")


def _parameter_text(formula: Formula, flags: Flags) -> str:
    said = flags.said()
    if not said:
        return str(formula)
    function = "nlf" if said.pop("nl", False) else "lf"
    options = [f"{name} = {_value_text(value)}" for name, value in said.items()]
    return f"{function}({', '.join([str(formula), *options])})"


def _value_text(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return unparse(String(value))
    return deparse_number(value)
