"""What a linear mixed model's formula and data must not be, said before anything is computed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor
from ..data.frame import Frame
from ..errors import BayesmlmWarning, DataError, FormulaError
from ..formula import Formula
from ..formula.expansion import is_bar
from ..formula.nodes import Binary, Call, Node
from ..formula.predictor import Predictor
from ..formula.unparse import unparse

if TYPE_CHECKING:
    from .mixed_terms import MixedTerm

__all__ = [
    "check_contrasts",
    "check_sizes",
    "level_problems",
    "refuse",
    "refuse_unknown_structures",
    "repeated_terms",
    "undetermined_effects",
]

LARGEST, SMALLEST = 1e100, 1e-100
"""Largest absolute values of a column between which its squares and their products are finite numbers."""
DEPENDENT = 1e-10
"""Smallest share of the columns' mean square that may belong to a combination of them."""


def refuse(formula: Formula, predictor: Predictor) -> None:
    """What lmer() cannot read. Raises `FormulaError`."""
    if formula.response is None:
        raise FormulaError("the formula has no response; write `y ~ ...`", formula.source, (0, 1))
    if formula.additions:
        call = formula.additions[0]
        how = "pass them as lmer(..., weights=)" if call.function == "weights" else "fit the model with brm()"
        raise FormulaError(
            f"`{call.function}()` on the left-hand side is brms's; {how}", formula.source, call.span
        )
    if isinstance(formula.response, Call) and formula.response.function in ("cbind", "mvbind"):
        raise FormulaError(
            "a response of two columns is a number of successes and of failures, for glmer(); lmer() takes one "
            "numeric response",
            formula.source,
            formula.response.span,
        )
    refuse_unknown_structures(predictor, formula.source)
    if not predictor.group_terms:
        raise FormulaError(
            "the formula has no group term; write `(1 | g)` to let the intercept vary by g, or use bm.lm()",
            formula.source,
            formula.right.span,
        )


def refuse_unknown_structures(predictor: Predictor, source: str) -> None:
    """Refuse ``name(effects | g)`` where ``name`` is no covariance structure. Raises `FormulaError`."""
    for term in predictor.terms:
        for factor in term.factors:
            if isinstance(factor, Call) and any(
                one.value is not None and is_bar(one.value) for one in factor.arguments
            ):
                raise FormulaError(
                    f"`{factor.function}()` is no covariance structure; there are us(), diag(), cs() and ar1()",
                    source,
                    factor.span,
                )


def repeated_terms(formula: Formula) -> list[str]:
    """In words, the group terms that stand in the formula more than once; they are fitted once."""
    seen: dict[str, int] = {}
    for node in _summands(formula.right):
        text = unparse(node)
        if "|" in text:
            seen[text] = seen.get(text, 0) + 1
    return [
        f"the group term {text} is there {count} times: it is fitted once, for its variance cannot be divided"
        for text, count in seen.items()
        if count > 1
    ]


def _summands(node: Node) -> Iterator[Node]:
    if isinstance(node, Binary) and node.operator == "+":
        yield from _summands(node.left)
        yield from _summands(node.right)
    else:
        yield node


def check_contrasts(contrasts: Iterable[str], frame: Frame, used: Iterable[str]) -> None:
    """Contrasts are for factors of the model; R's warning for other columns. Raises `DataError` for numbers."""
    known = set(used)
    for name in contrasts:
        column = frame[name]  # raises for a column that is not there
        if name not in known:
            text = f"variable '{name}' is absent from the formula, its contrast will be ignored"
            warnings.warn(text, BayesmlmWarning, stacklevel=5)
        elif not isinstance(column, Factor):
            raise DataError(f"contrasts apply only to factors; `{name}` is numeric: write factor({name})")


def check_sizes(what: str, names: Iterable[str], values: NDArray[np.float64]) -> None:
    """Refuse columns (n, k) whose squares would overflow or vanish. Raises `DataError`."""
    if not values.size:
        return
    largest = np.maximum(values.max(axis=0), -values.min(axis=0))
    for name, size in zip(names, np.atleast_1d(largest), strict=True):
        if size > LARGEST or 0.0 < size < SMALLEST:
            raise DataError(f"{what} `{name}` has values up to {size:.3g}: change its unit")


def level_problems(term: MixedTerm, n: int, may_equal: bool = False) -> dict[str, str]:
    """In words, by the name of lme4's check, what is wrong with a term's numbers of levels and effects in ``n`` rows.

    ``may_equal``: there may be as many levels and effects as rows, as in lme4's glmer (``allow.n``), where a
    response has no residual variance that an effect of each row would take the place of.
    """
    levels = len(term.levels)
    found = {}
    if levels < 2:
        found["check_nlev_gtr_1"] = (
            f"grouping factors must have > 1 sampled level; `{term.group}` has {levels}"
        )
    if levels < 5:
        found["check_nlev_gtreq_5"] = f"grouping factor `{term.group}` has only {levels} levels (< 5)"
    if levels >= n and not may_equal:
        found["check_nobs_vs_nlev"] = (
            f"number of levels of each grouping factor must be < number of observations "
            f"(`{term.group}` has {levels} levels in {n} rows): each effect would be its row's residual"
        )
    elif may_equal and term.count > n:
        found["check_nobs_vs_nRE"] = (
            f"number of observations (={n}) < number of random effects (={term.count}) for term "
            f"({term.source.label}); the random-effects parameters are probably unidentifiable"
        )
    elif not may_equal and term.count >= n:
        found["check_nobs_vs_nRE"] = (
            f"number of observations (={n}) <= number of random effects (={term.count}) for term "
            f"({term.source.label}); the random-effects parameters and the residual variance (or scale parameter) "
            "are probably unidentifiable"
        )
    return found


def undetermined_effects(term: MixedTerm) -> str | None:
    """In words, what the data cannot say of a term's variances: its columns are zero, or depend on each other."""
    products = term.Z.T @ term.Z
    squares = np.diag(products)
    zero = [name for name, square in zip(term.names, squares, strict=True) if square == 0.0]
    if zero:
        names = ", ".join(f"`{name}`" for name in zero)
        return (
            f"{names} in ({term.source.label}) is zero in every row: the data say nothing about its variance, which is "
            "set to zero"
        )
    if term.size == 1 or term.covariance.tag != "us":
        return None
    root = np.sqrt(squares)
    if np.linalg.eigvalsh(products / np.outer(root, root))[0] > DEPENDENT:
        return None
    return (
        f"the effects of ({term.source.label}) depend linearly on each other ({', '.join(term.names)}): their "
        "variances and correlations are not uniquely determined; leave one out"
    )
