"""The rows of a model whose group effects are integrated by Laplace's approximation, laid out for fast sums by level.

Sums over the rows of a level and the way back, from levels to rows, are what an evaluation does most. Rows are sorted
by the factor that is eliminated first and cut into chunks of one length, each within one level, so that most of a sum
is a dense one; short chunks are filled up with rows that count nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .plan import Factor, Plan, make_plan

__all__ = ["Arrangement", "EffectRows", "GroupTerm", "arrange"]

SCATTERED = 2.0
"""What adding one chunk into its level costs, in evaluations of a row."""


class GroupTerm(NamedTuple):
    """Group effects of one term. ``codes`` (n,): levels of the rows; ``levels``: J; ``Z`` (n, k): what the effects
    multiply; ``predictors`` (k,): by number, the linear predictor that each effect enters."""

    codes: NDArray[np.integer]
    levels: int
    Z: NDArray[np.float64]
    predictors: tuple[int, ...]


class EffectRows(NamedTuple):
    """Arrays of an `Arrangement` of m rows. ``Z``: (k, m) for each factor of the plan, 0 in rows that fill up;
    ``chunk_codes``: (C,) levels of the chunks, for each chain factor; ``row_codes``: (m,) levels of the rows, for each
    factor where there are trailing effects, else (); ``parents``: as in `jax_evaluate.Blocks`."""

    Z: tuple[Any, ...]
    chunk_codes: tuple[Any, ...]
    row_codes: tuple[Any, ...]
    parents: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, eq=False)
class Arrangement:
    """What a compiled evaluation may depend on; everything else is in `EffectRows`.

    ``predictors``: for each factor of the plan, the linear predictor (by number) that each of its k effects enters;
    ``count``: D, how many linear predictors there are; ``chunk``: rows of a chunk; ``whole``: every level of the first
    factor is one chunk; ``concave``: the log density of a row is a concave function of its linear predictors.
    """

    plan: Plan
    predictors: tuple[tuple[int, ...], ...]
    count: int
    chunk: int
    whole: bool
    concave: bool

    @cached_property
    def key(self) -> str:
        """All of it as text."""
        terms = [
            [(f.levels, f.size, f.terms) for f in part] for part in (self.plan.chain, self.plan.trailing)
        ]
        return f"{terms}|{self.predictors}|{self.count}|{self.chunk}|{self.whole}|{self.concave}"

    @property
    def effects(self) -> int:
        """The number of all group effects."""
        return sum(factor.effects for factor in self.plan.factors)


def arrange(
    terms: Sequence[GroupTerm], *, concave: bool
) -> tuple[Arrangement, EffectRows, NDArray[np.intp], NDArray[np.bool_]]:
    """The arrangement of ``terms``, its arrays, the rows of the data in their new order (m,), and which of them count
    (m,); those that do not are copies of rows that do.

    Raises `DataError` when so many levels are crossed that their dense block does not fit.
    """
    plan = make_plan([(term.codes, term.levels, term.Z.shape[1]) for term in terms])
    first = plan.chain[0]
    chunk = _chunk_length(np.bincount(first.codes, minlength=first.levels))
    order, real = _chunks(first, chunk)
    heads = order[::chunk]
    chunk_codes = tuple(factor.codes[heads].astype(np.int32) for factor in plan.chain)
    row_codes = tuple(f.codes[order].astype(np.int32) for f in plan.factors) if plan.width else ()
    last = len(plan.chain)
    parents = tuple(
        tuple(plan.parents[i, j].astype(np.int32) for j in range(i + 1, last)) for i in range(last)
    )
    Z = tuple(np.where(real, _columns(factor, terms)[:, order], 0.0) for factor in plan.factors)
    predictors = tuple(
        tuple(p for number, _ in factor.terms for p in terms[number].predictors) for factor in plan.factors
    )
    count = 1 + max(p for own in predictors for p in own)
    whole = np.array_equal(chunk_codes[0], np.arange(first.levels))
    arrangement = Arrangement(plan, predictors, count, chunk, whole, concave)
    return arrangement, EffectRows(Z, chunk_codes, row_codes, parents), order, real


def _columns(factor: Factor, terms: Sequence[GroupTerm]) -> NDArray[np.float64]:
    """(k, n): the columns of all terms of a factor."""
    return np.concatenate([terms[number].Z for number, _ in factor.terms], axis=1).T


def _chunk_length(sizes: NDArray[np.intp]) -> int:
    """The length with the least work, given the number of rows of each level."""
    largest = int(sizes.max())
    lengths = sorted({largest, *(w for w in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if w < largest)})

    def work(length: int) -> float:
        chunks = float(np.sum(-(-sizes // length)))
        scattered = 0.0 if length == largest and sizes.min() > 0 else SCATTERED
        return chunks * (length + scattered)

    return min(lengths, key=work)


def _chunks(factor: Factor, length: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows by level, each level filled up to a multiple of ``length`` with its last row, and which rows count."""
    order = np.argsort(factor.codes, kind="stable")
    sizes = np.bincount(factor.codes, minlength=factor.levels)
    filled = -(-sizes // length) * length
    within = np.arange(filled.sum()) - np.repeat(np.cumsum(filled) - filled, filled)
    size = np.repeat(sizes, filled)
    places = np.repeat(np.cumsum(sizes) - sizes, filled) + np.minimum(within, size - 1)
    return order[places], within < size
