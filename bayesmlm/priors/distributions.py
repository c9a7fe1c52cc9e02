"""The prior language: ``"student_t(3, 0, 2.5)"`` as a user writes it, and what can be computed of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from math import inf, isfinite, log
from operator import add, mul, sub, truediv

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FormulaError, PriorError, underline
from ..formula.nodes import Argument, Binary, Call, Name, Node, Number, Paren, Unary
from ..formula.parse import parse_expression
from .densities import ALIASES, DENSITIES, Alias, Density, Library

__all__ = ["PriorDensity", "number", "parse_prior"]

LKJ = ("lkj", "lkj_corr", "lkj_corr_cholesky")

OTHERS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    **dict.fromkeys(LKJ, ("eta",)),
    "dirichlet": ("alpha",),
}
"""Priors that are no density of one number: fixed values, correlation matrices, simplexes."""

UNAVAILABLE = {
    "horseshoe": "the horseshoe prior is not available yet",
    "R2D2": "the R2D2 prior is not available yet",
    "lasso": "the lasso prior is not available (brms has withdrawn it, too)",
    "von_mises": "the von Mises distribution is not available as a prior yet",
    "exp_mod_normal": "the exponentially modified normal distribution is not available as a prior yet",
    "multi_normal": "multivariate priors are not available",
}

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": truediv,
    "^": pow,
}


@dataclass(frozen=True)
class PriorDensity:
    """A prior that has been read. ``name``: the distribution as written (every spelling of the LKJ prior is
    ``lkj``); ``arguments``: its numbers, in Stan's order; ``text``: what the user wrote."""

    name: str
    arguments: tuple[float, ...]
    text: str

    @property
    def is_constant(self) -> bool:
        """Whether it fixes a parameter (``constant(2)``) rather than giving it a distribution."""
        return self.name == "constant"

    @property
    def is_scalar(self) -> bool:
        """Whether it is a density of one number: what everything below needs."""
        return self.name in DENSITIES or self.name in ALIASES

    @property
    def primitive(self) -> tuple[str, tuple[float, ...]]:
        """Name and arguments in `densities.DENSITIES`: ``exponential(2)`` is ``gamma(1, 2)``."""
        alias = ALIASES.get(self.name)
        return (
            (self.name, self.arguments)
            if alias is None
            else (alias.density, alias.translate(*self.arguments))
        )

    @property
    def support(self) -> tuple[float, float]:
        """Lower and upper end of where the density is positive."""
        name, arguments = self.primitive
        return DENSITIES[name].support(*arguments)

    def log_constant(self, lower: float = -inf, upper: float = inf) -> float:
        """What to add to the kernel for a log density that integrates to one between the bounds."""
        name, arguments = self.primitive
        return float(DENSITIES[name].constant(*arguments)) - self.log_mass(lower, upper)

    def log_density(self, x: ArrayLike, lower: float = -inf, upper: float = inf) -> NDArray[np.float64]:
        """Log density at x, truncated to [lower, upper] and normalised there."""
        import scipy.special

        name, arguments = self.primitive
        x = np.asarray(x, dtype=np.float64)
        kernel = DENSITIES[name].kernel(Library(np, scipy.special), x, *arguments)
        log_density = kernel + self.log_constant(lower, upper)
        return np.where((x >= lower) & (x <= upper), log_density, -inf)

    def log_mass(self, lower: float = -inf, upper: float = inf) -> float:
        """log P(lower <= X <= upper). Raises `PriorError` when that is zero in double precision."""
        return _log_mass(self, float(lower), float(upper))

    def sample(
        self, rng: np.random.Generator, size: int, lower: float = -inf, upper: float = inf
    ) -> NDArray[np.float64]:
        """(size,) draws between the bounds, by inverting the distribution function from the nearer tail."""
        name, arguments = self.primitive
        density = DENSITIES[name]
        u, mass = rng.uniform(size=size), np.exp(self.log_mass(lower, upper))
        below, above = self._tails(lower)[0], self._tails(upper)[1]
        p, q = below + u * mass, above + (1 - u) * mass
        # Each branch is computed everywhere; the one not used may sit on 0 or 1 and give an infinity.
        with np.errstate(all="ignore"):
            x = np.where(p < q, density.quantile(p, *arguments), density.upper_quantile(q, *arguments))
        return np.clip(x, lower, upper)

    def _tails(self, x: float) -> tuple[float, float]:
        """(P(X <= x), P(X > x)) for any x."""
        low, high = self.support
        if x <= low:
            return 0.0, 1.0
        if x >= high:
            return 1.0, 0.0
        name, arguments = self.primitive
        below, above = DENSITIES[name].tails(np.float64(x), *arguments)
        return float(below), float(above)


@lru_cache(maxsize=1024)
def _log_mass(prior: PriorDensity, lower: float, upper: float) -> float:
    (below, from_lower), (to_upper, above) = prior._tails(lower), prior._tails(upper)
    # Differences of small tail probabilities keep their digits; differences of numbers near one do not.
    if from_lower < 0.5:
        mass = from_lower - above
    elif to_upper < 0.5:
        mass = to_upper - below
    else:
        mass = 1 - below - above
    if not mass > 0:
        raise PriorError(
            f"the prior {prior.text} has no mass between its bounds {lower:g} and {upper:g}: "
            "widen the bounds, or choose a prior that reaches them"
        )
    return log(mass)


def parse_prior(text: str) -> PriorDensity:
    """Read one prior: a distribution of Stan with numbers, or arithmetic (``normal(0, 1/2)``), as arguments.

    Raises `PriorError`, with a caret, for text that cannot be read, unknown distributions, a wrong number of
    arguments, and arguments that are not numbers or outside their range.
    """
    if not isinstance(text, str):
        raise PriorError(f'a prior is text, such as "normal(0, 5)"; this is {type(text).__name__}')
    return _parse(text.strip())


@lru_cache(maxsize=1024)
def _parse(text: str) -> PriorDensity:
    if text.startswith("target"):
        raise PriorError(f"Stan code as a prior is not available: {text!r}")
    if not text:
        raise PriorError('the prior is empty: write a distribution, such as "normal(0, 5)"')
    try:
        node = parse_expression(text)
    except FormulaError as error:
        raise PriorError(f"the prior cannot be read: {error}") from None
    if isinstance(node, Name) and (node.name in DENSITIES or node.name in ALIASES):
        raise _error(text, node, f"write its arguments: {_signature(node.name)}")
    if not isinstance(node, Call):
        raise _error(text, node, 'a prior is a distribution with its arguments, such as "normal(0, 5)"')
    name = node.function
    names = _argument_names(text, node)
    if name == "dirichlet":
        return PriorDensity(name, _dirichlet(text, node), text)
    if len(node.arguments) != len(names):
        raise _error(
            text,
            node,
            f"{_signature(name)} takes {len(names)} argument{'s' * (len(names) != 1)}, "
            f"not {len(node.arguments)}",
        )
    values = tuple(_argument(text, node, a) for a in node.arguments)
    _check_ranges(text, node, dict(zip(names, values, strict=True)))
    return PriorDensity("lkj" if name in LKJ else name, values, text)


def _record(name: str) -> Density | Alias | None:
    return DENSITIES.get(name) or ALIASES.get(name)


def _signature(name: str) -> str:
    record = _record(name)
    return f"{name}({', '.join(OTHERS[name] if record is None else record.arguments)})"


def _argument_names(text: str, node: Call) -> tuple[str, ...]:
    name = node.function
    if name in UNAVAILABLE:
        raise _error(text, node, UNAVAILABLE[name])
    record = _record(name)
    if record is not None:
        return record.arguments
    if name in OTHERS:
        return OTHERS[name]
    known = [*DENSITIES, *ALIASES, *OTHERS]
    close = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(known))}"
    raise _error(text, node, f"`{name}` is not a distribution that can be a prior; {hint}")


def _argument(text: str, call: Call, argument: Argument) -> float:
    if argument.name is not None:
        raise _error(text, call, f"arguments are given by position, as in Stan: {_signature(call.function)}")
    if argument.value is None:
        raise _error(text, call, f"an argument is missing: {_signature(call.function)}")
    return number(argument.value, text)


def number(node: Node, text: str) -> float:
    """The value of an arithmetic expression of numbers. Raises `PriorError` for anything else in it."""
    try:
        value = _evaluate(node, text)
    except (ArithmeticError, ValueError):
        raise _error(text, node, "this cannot be computed") from None
    if isinstance(value, complex) or not isfinite(value):
        raise _error(text, node, "this is not a finite number")
    return value


def _evaluate(node: Node, text: str) -> float:
    match node:
        case Number(value=value):
            return float(value)
        case Paren(inner=inner):
            return _evaluate(inner, text)
        case Unary(operator="-", operand=operand):
            return -_evaluate(operand, text)
        case Unary(operator="+", operand=operand):
            return _evaluate(operand, text)
        case Binary(operator=operator, left=left, right=right) if operator in ARITHMETIC:
            return ARITHMETIC[operator](_evaluate(left, text), _evaluate(right, text))
    raise _error(
        text, node, "the arguments of a prior are numbers; other parameters and data cannot be used here"
    )


def _dirichlet(text: str, node: Call) -> tuple[float, ...]:
    arguments = node.arguments
    if len(arguments) == 1 and isinstance(arguments[0].value, Call) and arguments[0].value.function == "c":
        arguments = arguments[0].value.arguments
    values = tuple(_argument(text, node, a) for a in arguments)
    if not values or min(values) <= 0:
        raise _error(
            text, node, "dirichlet(alpha) needs positive numbers: dirichlet(1) or dirichlet(c(2, 1, 1))"
        )
    return values


def _check_ranges(text: str, node: Call, values: dict[str, float]) -> None:
    record = _record(node.function)
    positive = frozenset(("eta",)) if record is None else record.positive
    for argument, (name, value) in zip(node.arguments, values.items(), strict=True):
        if name in positive and value <= 0:
            raise _error(text, argument, f"`{name}` of {node.function} must be positive, not {value:g}")
    if node.function == "uniform" and values["alpha"] >= values["beta"]:
        raise _error(text, node, "the ends of uniform(alpha, beta) must satisfy alpha < beta")


def _error(text: str, node: Node, reason: str) -> PriorError:
    return PriorError(f"{reason}\n{underline(text, node.span)}")
