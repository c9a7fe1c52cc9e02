"""Blocks of group-level effects that share one covariance matrix.

A block owns the standard deviations, the correlations and the effects of one grouping factor. Usually it holds
one group term; terms with the same ``|ID|`` are joined, across distributional parameters too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FormulaError
from ..terms.group import ByFactor, GroupColumns

__all__ = ["BlockColumn", "GroupBlock", "Slot", "make_blocks", "pair_indices"]


def pair_indices(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the correlations of ``size`` effects in brms's order: (0, 1), (0, 2), (1, 2), ..."""
    column, row = np.tril_indices(size, -1)
    return row, column


@dataclass(frozen=True)
class BlockColumn:
    """One effect of a block: which parameter of the family it feeds, and its name there."""

    parameter: str
    coefficient: str

    @property
    def label(self) -> str:
        """brms's name within the group: ``Intercept``, ``sigma_Intercept``."""
        return self.coefficient if self.parameter == "mu" else f"{self.parameter}_{self.coefficient}"


@dataclass(frozen=True)
class GroupBlock:
    """k effects of J levels. ``site`` names its NumPyro sites: ``sd_<site>``, ``L_<site>``, ``z_<site>``."""

    site: str
    group: str
    levels: tuple[str, ...]
    columns: tuple[BlockColumn, ...]
    correlated: bool
    by: ByFactor | None
    codes: NDArray[np.int32]

    @property
    def size(self) -> int:
        """k, the number of effects of each level."""
        return len(self.columns)

    @property
    def by_count(self) -> int:
        """Number of covariance matrices: one, or one for each level of ``by``."""
        return 1 if self.by is None else len(self.by.levels)

    @property
    def has_correlations(self) -> bool:
        """Whether an LKJ-distributed correlation matrix is part of the model."""
        return self.correlated and self.size > 1

    @property
    def sd_labels(self) -> tuple[str, ...]:
        """Names of the standard deviations, ``by`` level by ``by`` level (``Intercept:public1``)."""
        names = [column.label for column in self.columns]
        return tuple(names if self.by is None else [f"{n}:{by}" for by in self.by.labels for n in names])

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The effects that each correlation is of, in the order of `pair_indices`, ``by`` level by ``by`` level."""
        if not self.has_correlations:
            return ()
        suffixes = [""] if self.by is None else [f":{label}" for label in self.by.labels]
        names = [column.label for column in self.columns]
        places = list(zip(*pair_indices(self.size), strict=True))
        return tuple((names[i] + suffix, names[j] + suffix) for suffix in suffixes for i, j in places)

    @property
    def pair_labels(self) -> tuple[str, ...]:
        """Names of the correlations: ``Intercept__ses_cmc``."""
        return tuple(f"{first}__{second}" for first, second in self.pairs)


@dataclass(frozen=True)
class Slot:
    """Where a predictor's group term finds its effects: block number and first column there."""

    block: int
    start: int
    stop: int


def make_blocks(
    parts: Sequence[tuple[str, GroupColumns]],
) -> tuple[tuple[GroupBlock, ...], tuple[Slot, ...]]:
    """Join the group terms of all predictors (given as (parameter, columns)) into blocks.

    Returns the blocks and, for each given term, its slot. Raises `FormulaError` when an ``|ID|`` joins different
    grouping factors and `DataError` when one factor is given two ``by`` variables (brms's rules).
    """
    members: list[list[int]] = []
    by_id: dict[str, list[int]] = {}
    for i, (_, columns) in enumerate(parts):
        name = columns.term.id
        if name is not None and name in by_id:
            first = parts[by_id[name][0]][1]
            if first.group != columns.group:
                raise FormulaError(
                    f"the ID `{name}` joins the grouping factors `{first.group}` and `{columns.group}`; "
                    "only terms of the same grouping factor can share a covariance matrix",
                    columns.term.effects.source or None,
                    columns.term.span,
                )
            by_id[name].append(i)
            continue
        members.append([i])
        if name is not None:
            by_id[name] = members[-1]
    _check_by([columns for _, columns in parts])
    blocks, slots, sites = [], {}, set[str]()
    for number, group in enumerate(members):
        first = parts[group[0]][1]
        effects: list[BlockColumn] = []
        for i in group:
            parameter, part = parts[i]
            slots[i] = Slot(number, len(effects), len(effects) + len(part.names))
            effects += [BlockColumn(parameter, name) for name in part.names]
        site = _site_name(first.group, {parts[i][0] for i in group}, sites)
        sites.add(site)
        correlated = first.term.correlated
        blocks.append(
            GroupBlock(site, first.group, first.levels, tuple(effects), correlated, first.by, first.codes)
        )
    return tuple(blocks), tuple(slots[i] for i in range(len(parts)))


def _site_name(group: str, parameters: set[str], taken: set[str]) -> str:
    name = group if "mu" in parameters else f"{group}__{min(parameters)}"
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def _check_by(parts: Sequence[GroupColumns]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        if part.by is None:
            continue
        if seen.setdefault(part.group, part.by.variable) != part.by.variable:
            raise DataError(
                f"the grouping factor `{part.group}` has two by variables, `{seen[part.group]}` and "
                f"`{part.by.variable}`; each grouping factor can have only one"
            )
