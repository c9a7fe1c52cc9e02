"""From ``y ~ x | g`` and data to one design for all groups, or one for each where groups cannot share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor
from ..data.frame import Frame
from ..errors import DataError, FormulaError
from ..formula import Formula
from ..formula.evaluate import evaluate
from ..formula.grouping import read_groupings
from ..formula.nodes import Binary, Node, Paren
from ..formula.predictor import Predictor
from .batched import Solution, empty_solution, solve_groups
from .linear_design import LinearDesign, Rows, build_linear_design, column_argument, subset_mask
from .mixed_terms import grouping_codes

__all__ = ["missing_message", "own_designs", "rows_of_groups", "shares_design", "solve_apart", "take_apart"]

Codes = NDArray[np.int64]


def take_apart(formula: Formula) -> tuple[Node, tuple[str, ...]]:
    """(effects, variables of the grouping factor) of ``y ~ effects | g``. Raises `FormulaError`."""
    right = formula.right
    while isinstance(right, Paren):
        right = right.inner
    if not (isinstance(right, Binary) and right.operator == "|"):
        raise FormulaError(
            "lmList() needs the groups after a bar: `y ~ x | g`", formula.source, formula.right.span
        )
    groupings = read_groupings(right.right, formula.source)
    if len(groupings) != 1 or groupings[0].grouping.kind != "gr":
        reason = "lmList() takes one grouping factor, `g` or `g1:g2`"
        raise FormulaError(reason, formula.source, right.right.span)
    return right.left, groupings[0].grouping.variables


def rows_of_groups(
    frame: Frame, group: tuple[str, ...], subset: Any, weights: Any, offset: Any
) -> tuple[Frame, Codes, tuple[str, ...], dict[str, Rows | None]]:
    """The rows of the subset that belong to a group, their codes, the groups' names, and weights and offset."""
    arrays = {
        "weights": column_argument(weights, frame, "weights"),
        "offset": column_argument(offset, frame, "offset"),
    }
    codes, _ = grouping_codes(frame, group)
    chosen = subset_mask(subset, frame) & (codes >= 0)
    if not chosen.any():
        raise DataError(f"no row belongs to a group of `{':'.join(group)}`")
    frame = frame.take(chosen)
    codes, levels = grouping_codes(frame, group)
    return frame, codes, levels, {name: None if x is None else x[chosen] for name, x in arrays.items()}


def shares_design(design: LinearDesign, codes: Codes, groups: int) -> bool:
    """Whether the model matrix of all rows is, group by group, the one of the group alone.

    It is not when something is learned from the data (``scale(x)``), or a factor's level is absent from a group.
    """
    coding = design.population.coding
    factors = [v for v in coding.variables if v.levels is not None]
    if set(coding.state.calls) - {v.label for v in factors}:
        return False
    for variable in factors:
        column = evaluate(variable.node, design.frame, coding.state, coding.functions, coding.source)
        own = column.codes if isinstance(column, Factor) else column.values.astype(np.int64)
        count = len(variable.levels or ())
        if len(np.unique(codes * count + own)) < groups * count:
            return False
    return True


def own_designs(
    formula: Formula,
    predictor: Predictor,
    frame: Frame,
    codes: Codes,
    levels: Sequence[str],
    arrays: Mapping[str, Rows | None],
    options: Mapping[str, Any],
) -> tuple[tuple[LinearDesign | None, ...], dict[str, str]]:
    """A design for each group, None where the data of a group cannot be coded, and why, by group."""
    designs: list[LinearDesign | None] = []
    failures: dict[str, str] = {}
    for j, level in enumerate(levels):
        rows = codes == j
        own: dict[str, Any] = {name: None if x is None else x[rows] for name, x in arrays.items()}
        try:
            design = build_linear_design(formula, predictor, frame.take(rows), **own, **options)
        except DataError as error:
            failures[level] = str(error)
            designs.append(None)
        else:
            designs.append(design)
    if not any(designs):
        raise DataError("no group's model can be fitted: " + next(iter(failures.values())))
    return tuple(designs), failures


def solve_apart(designs: Sequence[LinearDesign | None]) -> Solution:
    """Least squares of each design, side by side; a coefficient that a group does not have is NaN."""
    names = tuple(dict.fromkeys(name for design in designs if design is not None for name in design.names))
    out = empty_solution(names, len(designs))
    for j, design in enumerate(designs):
        if design is None:
            continue
        one = solve_groups(design, np.zeros(design.n, dtype=np.int64), 1)
        places = [names.index(name) for name in one.names]
        out.coefficients[j, places] = one.coefficients[0]
        out.unscaled[j][np.ix_(places, places)] = one.unscaled[0]
        for whole, part in (
            (out.rss, one.rss),
            (out.nobs, one.nobs),
            (out.rank, one.rank),
            (out.log_weights, one.log_weights),
        ):
            whole[j] = part[0]
    return out


def missing_message(solution: Solution, levels: Sequence[str], failures: Mapping[str, str]) -> str:
    """Which groups lack coefficients, and why; empty when none does."""
    lacking = np.flatnonzero(np.isnan(solution.coefficients).any(axis=1))
    if not lacking.size:
        return ""
    shown = []
    for j in lacking[:5].tolist():
        names = [n for n, x in zip(solution.names, solution.coefficients[j], strict=True) if np.isnan(x)]
        count = f"{solution.nobs[j]} row{'' if solution.nobs[j] == 1 else 's'}"
        reason = failures.get(levels[j], count)
        shown.append(f"`{levels[j]}` ({reason}): {', '.join(names)}")
    more = f"; and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    return (
        f"{len(lacking)} of {len(levels)} groups lack coefficients, because they have too few rows, or a predictor "
        f"does not vary in them; these are NA: {'; '.join(shown)}{more}"
    )
