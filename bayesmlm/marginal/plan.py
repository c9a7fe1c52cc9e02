"""In which order grouping factors are eliminated, so that the cross products stay in blocks.

After Bates, Maechler, Bolker and Walker (2015, JSS 67(1), sec. 3) and the blocked Cholesky factor of
MixedModels.jl: a factor in whose levels no other factor's levels are mixed stays block diagonal. Here the factors
form a *chain*, in which each is nested in the next and which stays block diagonal to its end, and a *trailing*
dense block of all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["Factor", "Plan", "make_plan"]

Codes = NDArray[np.int64]

LARGEST_TRAILING = 20_000
"""Rows of the dense trailing block beyond which a model is refused (3.2 GB)."""
LARGEST_CROSS = 50_000_000
"""Elements of a dense array (effects of a chain factor by trailing effects) that are still made."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A grouping factor with the columns of all terms that have it.

    ``codes``: (n,) levels of the rows; ``levels``: J; ``size``: k, effects of a level; ``terms``: for each term
    its number and the slice of the k effects that it owns.
    """

    codes: Codes
    levels: int
    size: int
    terms: tuple[tuple[int, slice], ...]

    @property
    def effects(self) -> int:
        """J k."""
        return self.levels * self.size


@dataclass(frozen=True, eq=False)
class Plan:
    """``chain``: factors in order of elimination, each nested in the next; ``trailing``: all others.

    ``parents[i, j]``: (J_i,) for chain factors i < j, in which level of j each level of i lies. ``starts``: where
    each trailing factor begins in the trailing block, and its length ``width``.
    """

    chain: tuple[Factor, ...]
    trailing: tuple[Factor, ...]
    parents: dict[tuple[int, int], Codes]
    starts: tuple[int, ...]
    width: int

    @property
    def factors(self) -> tuple[Factor, ...]:
        """All factors, in order of elimination."""
        return (*self.chain, *self.trailing)


def make_plan(groups: Sequence[tuple[NDArray[np.integer], int, int]]) -> Plan:
    """The plan for terms given as (codes (n,), number of levels, number of effects).

    Raises `DataError` when so many levels are crossed that the dense block does not fit.
    """
    factors = _merge(groups)
    parents = _nesting(factors)
    chain = _best_chain(factors, parents)
    rest = [f for f in range(len(factors)) if f not in chain]
    width = sum(factors[f].effects for f in rest)
    if len(chain) > 1 and any(factors[f].effects * width > LARGEST_CROSS for f in chain[1:]):
        chain = chain[:1]
        rest = [f for f in range(len(factors)) if f not in chain]
        width = sum(factors[f].effects for f in rest)
    if width > LARGEST_TRAILING:
        raise DataError(
            f"{width} group effects are crossed with the largest grouping factor and would need a dense matrix of "
            f"{8e-9 * width**2:.0f} GB; at most {LARGEST_TRAILING} are possible here"
        )
    lines = {(i, j): parents[chain[i], chain[j]] for i in range(len(chain)) for j in range(i + 1, len(chain))}
    starts = np.cumsum([0, *(factors[f].effects for f in rest)])[:-1]
    return Plan(
        tuple(factors[f] for f in chain),
        tuple(factors[f] for f in rest),
        lines,
        tuple(int(s) for s in starts),
        width,
    )


def _merge(groups: Sequence[tuple[NDArray[np.integer], int, int]]) -> list[Factor]:
    """Terms with the same codes become one factor; most effects first."""
    members: list[list[int]] = []
    for number, (codes, levels, _) in enumerate(groups):
        for member in members:
            other, count, _ = groups[member[0]]
            if count == levels and (codes is other or np.array_equal(codes, other)):
                member.append(number)
                break
        else:
            members.append([number])
    factors = []
    for member in members:
        codes, levels, _ = groups[member[0]]
        stops = np.cumsum([0, *(groups[t][2] for t in member)])
        slices = [slice(int(a), int(b)) for a, b in pairwise(stops)]
        terms = tuple(zip(member, slices, strict=True))
        factors.append(Factor(codes.astype(np.int64, copy=False), levels, int(stops[-1]), terms))
    return sorted(factors, key=lambda f: -f.effects)


def _nesting(factors: Sequence[Factor]) -> dict[tuple[int, int], Codes]:
    """For each pair (inner, outer) of nested factors the outer level of each inner one."""
    found = {}
    for i, inner in enumerate(factors):
        for j, outer in enumerate(factors):
            if i == j or inner.levels < outer.levels or (inner.levels == outer.levels and i > j):
                continue
            parent = np.zeros(inner.levels, dtype=np.int64)
            parent[inner.codes] = outer.codes
            if np.array_equal(parent[inner.codes], outer.codes):
                found[i, j] = parent
    return found


def _best_chain(factors: Sequence[Factor], parents: dict[tuple[int, int], Codes]) -> list[int]:
    """The chain of nested factors that holds the most effects."""
    best: list[int] = []
    for first in range(len(factors)):
        chain = [first]
        outer = [j for j in range(len(factors)) if (first, j) in parents]
        for j in sorted(outer, key=lambda j: -factors[j].levels):
            if (chain[-1], j) in parents:
                chain.append(j)
        if sum(factors[f].effects for f in chain) > sum(factors[f].effects for f in best):
            best = chain
    return best
