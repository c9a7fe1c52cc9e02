"""Coefficients without a finite estimate: separation of successes and failures, and cells of zeros.

A direction d of the coefficients along which no row's likelihood falls and some row's rises without end is found by a
linear programme (Konis 2007, Linear programming algorithms for detecting separated data in binary logistic regression
models, ch. 4): rows of successes need x'd >= 0, rows of failures x'd <= 0, and rows whose likelihood has its maximum at
a finite predictor x'd = 0. Group effects and offsets do not matter: the direction is the same at any value of them.
Rows that no such direction separates determine all coefficients that are estimable from them; the others are infinite
(Albert and Anderson 1984, Biometrika 71(1)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign

__all__ = ["separation"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST_ROWS = 20_000
"""With more distinct rows of the columns than this the programme is not solved."""
SIGMOID = frozenset({"logit", "probit", "probit_approx", "cloglog", "cauchit", "softit"})
"""Links whose inverse reaches 0 and 1 at infinity only."""
POSITIVE = frozenset({"log", "softplus", "squareplus"})
"""Links whose inverse reaches 0 at minus infinity only."""
FEASIBLE, SEPARATED, DEPENDENT = 1e-9, 1e-6, 1e-8
"""How far the solver may leave a constraint, the margin that counts as one (the columns have unit mean square), and
singular values that count as zero, relative to the largest."""


@dataclass(frozen=True, eq=False)
class Sides:
    """The rows of one linear predictor: ``X``: (n, p); ``side``: (n,) 1 where the likelihood rises without end with the
    predictor, -1 where it does so as the predictor falls, 0 where it does neither; ``names`` of the columns; ``what``
    the rows of side 1 and -1 are."""

    parameter: str
    names: tuple[str, ...]
    X: Matrix
    side: Vector
    what: str


def separation(design: GeneralisedDesign) -> list[str]:
    """In words, the population coefficients of each linear predictor that have no finite estimate, and why.

    Empty when all are finite, when the link or the family is none of those looked at (binary responses and numbers of
    successes; counts; their zero-inflation and hurdle parts), and with more than `MOST_ROWS` distinct rows.
    """
    return [text for one in _predictors(design) if (text := _describe(one)) is not None]


def _predictors(design: GeneralisedDesign) -> Iterator[Sides]:
    y, family = design.y, design.family
    counted = np.ones(len(y), dtype=bool) if design.weights is None else design.weights > 0
    names = {parameter.name for parameter in design.parameters}
    count = family.integer_response and not np.isfinite(family.support.upper)
    binary = design.trials is not None or (family.integer_response and family.support.upper == 1.0)
    mu = design.coefficients
    if binary and design.link in SIGMOID:
        trials = np.ones(len(y)) if design.trials is None else design.trials
        side = np.where(y == 0, -1.0, np.where(y == trials, 1.0, 0.0))
        at = counted & (trials > 0)
        yield _sides("mu", mu, design.X, side, at, "responses")
    elif count and design.link in POSITIVE:
        # What counts are left of a hurdle are at least 1: at mean 0 they are all 1, and zeros say nothing of them.
        least, at = (1.0, counted & (y > 0)) if "hu" in names else (0.0, counted)
        side = np.where(y == least, -1.0, 0.0)
        yield _sides("mu", mu, design.X, side, at, "responses of 1" if least else "zeros")
    for parameter in design.parameters:
        if parameter.name not in ("zi", "hu") or not parameter.predicted or parameter.link not in SIGMOID:
            continue
        # A zero of a zero-inflated response may also come from the counts: how it moves zi depends on their mean.
        side = np.where(y > 0, -1.0, 1.0 if parameter.name == "hu" else 0.0)
        yield _sides(parameter.name, parameter.coefficients, parameter.X, side, counted, "responses")


def _sides(
    parameter: str, names: tuple[str, ...], X: Matrix, side: Vector, at: NDArray[np.bool_], what: str
) -> Sides:
    """Of the rows ``at``."""
    return Sides(parameter, names, X if at.all() else X[at], side[at], what)


def _describe(predictor: Sides) -> str | None:
    """One predictor's message, None when all its coefficients are finite or it has too many distinct rows."""
    if not predictor.names or not len(predictor.X) or not predictor.side.any():
        return None
    grouped = _distinct_rows(predictor.X)
    if grouped is None:
        return None
    first, codes = grouped
    counts = np.bincount(codes)
    rising, falling = (np.bincount(codes[predictor.side == v], minlength=len(first)) for v in (1.0, -1.0))
    side = np.where(rising == counts, 1.0, np.where(falling == counts, -1.0, 0.0))
    found = _separated(predictor.X[first], side)
    if found is None:
        return None
    separated, change = found
    largest = np.abs(change).max(axis=1)
    infinite = np.flatnonzero(largest > 0)
    named = ", ".join(f"`{predictor.names[j]}`" for j in infinite)
    if change.shape[1] == 1:  # one direction: it has a sign
        signs = {"+" if change[j, 0] > 0 else "-" for j in infinite}
        named += {"+": " (plus infinity)", "-": " (minus infinity)"}.get("".join(signs), "")
    several = len(infinite) > 1
    whose = f"the coefficient{'s' if several else ''} of {named} {'have' if several else 'has'} no finite estimate"
    rows, n = int(separated[codes].sum()), len(codes)
    lead = "" if predictor.parameter == "mu" else f"{predictor.parameter}: "
    if predictor.what != "responses":
        how = f"the population columns of {rows} of {n} rows go with {predictor.what} only"
    elif separated.all():
        how = (
            "complete separation: a combination of the population columns tells the two kinds of response apart in "
            "every row"
        )
    else:
        how = (
            f"quasi-complete separation: in {rows} of {n} rows a combination of the population columns tells the two "
            "kinds of response apart"
        )
    return f"{lead}{how}, so {whose}. Merge levels, leave columns out, or give the coefficients a prior with brm()"


def _distinct_rows(X: Matrix) -> tuple[Codes, Codes] | None:
    """(m,) the first of each set of equal rows and (n,) which set each row belongs to; None for too many."""
    # Equal rows have equal random combinations of their columns, and different ones all but surely different ones.
    shares = np.random.default_rng(0).uniform(1.0, 2.0, (X.shape[1],))
    combined = np.zeros(len(X))
    for share, column in zip(shares, X.T, strict=True):
        combined += share * column
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    if len(first) > MOST_ROWS:
        return None
    if all((column[first][codes] == column).all() for column in X.T):
        return first, codes
    codes = np.zeros(len(X), dtype=np.int64)
    for column in X.T:
        values, own = np.unique(column, return_inverse=True)
        _, first, codes = np.unique(codes * len(values) + own, return_index=True, return_inverse=True)
        if len(first) > MOST_ROWS:
            return None
    return first, codes


def _separated(X: Matrix, side: Vector) -> tuple[NDArray[np.bool_], Matrix] | None:
    """(m,) which rows a direction separates that no row opposes, and (p, k) all such directions of the coefficients as
    a basis (zero where a coefficient is finite); None when there is none."""
    scale = np.abs(X).max(axis=0)
    scale[scale == 0.0] = 1.0
    basis, triangle = _orthonormal(X / scale)
    decided = side != 0.0
    free = _null_space(basis[~decided])
    if not free.shape[1]:
        return None
    margins = side[decided, None] * (basis[decided] @ free)
    direction, apart = _solve(margins)
    if not apart.any():
        return None
    separated = np.zeros(len(X), dtype=bool)
    separated[decided] = apart
    change = triangle @ _null_space(basis[~separated])
    change[np.linalg.norm(change, axis=1) <= SEPARATED * np.linalg.norm(triangle, axis=1)] = 0.0
    if change.shape[1] == 1:
        change = (triangle @ (free @ direction))[:, None] * (change != 0.0)
    return separated, change / scale[:, None]


def _orthonormal(X: Matrix) -> tuple[Matrix, Matrix]:
    """(m, r) columns with unit mean square that span those of X, and (p, r) what turns coefficients of them into ones
    of X."""
    left, singular, right = np.linalg.svd(X, full_matrices=False)
    rank = int((singular > DEPENDENT * singular[0]).sum())
    root = np.sqrt(len(X))
    return left[:, :rank] * root, right[:rank].T / singular[:rank] * root


def _null_space(rows: Matrix) -> Matrix:
    """(r, k) orthonormal directions that ``rows`` (m, r) do not see."""
    r = rows.shape[1]
    if not len(rows):
        return np.eye(r)
    singular, right = np.linalg.svd(np.linalg.qr(rows, mode="r"))[1:]
    rank = int((singular > DEPENDENT * max(singular[0], np.sqrt(len(rows)))).sum())
    return right[rank:].T


def _solve(margins: Matrix) -> tuple[Vector, NDArray[np.bool_]]:
    """A direction (k,) with ``margins`` (m, k) times it nowhere negative, positive in as many rows as can be, and which
    rows these are. One programme finds some of them; the next asks for those that are left."""
    from scipy.optimize import linprog

    direction = np.zeros(margins.shape[1])
    apart = np.zeros(len(margins), dtype=bool)
    while not apart.all():
        answer = linprog(
            -margins[~apart].sum(axis=0),
            A_ub=-margins,
            b_ub=np.zeros(len(margins)),
            bounds=(-1.0, 1.0),
            method="highs",
            options={"primal_feasibility_tolerance": FEASIBLE},
        )
        if answer.x is None:  # zero is feasible and the box is bounded: only numerical trouble leads here
            break
        found = ~apart & (margins @ answer.x > SEPARATED)
        if not found.any():
            break
        direction += answer.x
        apart |= found
    return direction, apart
