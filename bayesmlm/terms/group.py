"""Group-level terms: `(effects | group)` as integer codes plus dense columns, never dummies.

One `GroupColumns` is what one term of one predictor contributes: for each row the level of its group
(``codes``) and the values its effects multiply (``Z``). Standard deviations, correlations and the effects
themselves belong to the `GroupBlock` that the model makes of these terms (`bayesmlm.model.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.levels import group_codes, match_codes
from ..errors import DataError, FormulaError, NewDataError
from ..formula.evaluate import TransformState
from ..formula.predictor import GroupTerm
from .population import PopulationDesign

__all__ = ["ByFactor", "GroupColumns", "NewLevels"]


@dataclass(frozen=True)
class ByFactor:
    """``gr(g, by = variable)``: ``levels`` of the variable, and for each level of the group which one it has."""

    variable: str
    levels: tuple[str, ...]
    of_level: NDArray[np.int32]

    @property
    def labels(self) -> tuple[str, ...]:
        """What brms appends to a coefficient: ``public1``."""
        return tuple(self.variable + level.replace(" ", "") for level in self.levels)


@dataclass(frozen=True)
class NewLevels:
    """Levels of a grouping factor that new data bring, and for ``gr(by = )`` which by level each has."""

    names: tuple[str, ...]
    by: NDArray[np.int32]


@dataclass(frozen=True)
class GroupColumns:
    """The columns of one group term. ``codes``: (n,) level of each row; ``Z``: (n, k) in the order of ``names``."""

    term: GroupTerm
    effects: PopulationDesign
    levels: tuple[str, ...]
    codes: NDArray[np.int32]
    by: ByFactor | None

    @property
    def group(self) -> str:
        """brms's name of the grouping factor: ``id``, ``a:b``."""
        return self.term.grouping.label

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects: ``Intercept``, ``ses_cmc``."""
        return self.effects.names

    @property
    def Z(self) -> NDArray[np.float64]:  # noqa: N802
        """(n, k) values that the effects multiply."""
        return self.effects.matrix

    @classmethod
    def build(
        cls,
        term: GroupTerm,
        frame: Frame,
        state: TransformState,
        functions: Mapping[str, Callable[..., Any]],
        contrasts: Mapping[str, Any],
    ) -> GroupColumns:
        """Code the rows of ``frame``. Raises `FormulaError` when the term has no effect, `DataError` for bad data."""
        effects = PopulationDesign.build(term.effects, frame, state, functions, contrasts)
        if not effects.names:
            raise FormulaError(
                f"the group term `{term.label}` has no effects; write `(1 | {term.grouping.label})`",
                term.effects.source or None,
                term.span,
            )
        codes, levels = group_codes(frame, term.grouping.variables)
        by = None if term.grouping.by is None else _by_factor(frame, term, codes, levels)
        return cls(term, effects, levels, codes, by)

    def new_codes(self, frame: Frame, allow_new_levels: bool) -> tuple[NDArray[np.int32], NewLevels]:
        """Codes for new rows: known levels keep theirs, new ones count on from ``len(levels)``.

        Rows without a group (missing) belong to one new level, ``NA``. Raises `NewDataError` for a new level
        unless ``allow_new_levels``.
        """
        codes = match_codes(frame, self.term.grouping.variables, self.levels)
        new = codes < 0
        if not new.any():
            return codes, NewLevels((), np.zeros(0, dtype=np.int32))
        own, names = group_codes(frame, self.term.grouping.variables)
        if not allow_new_levels:
            row = int(np.flatnonzero(new)[0])
            raise NewDataError(
                f"level `{[*names, 'NA'][own[row]]}` of the grouping factor `{self.group}` "
                f"({frame.row_name(row)} of the new data) was not in the data the model was fitted to; use "
                'allow_new_levels=True to draw effects for new levels, re_formula="NA" to leave group effects out, '
                "or remove the row"
            )
        labels, first, position = np.unique(own[new], return_index=True, return_inverse=True)
        codes = codes.copy()
        codes[new] = len(self.levels) + position
        by = np.zeros(len(labels), dtype=np.int32)
        if self.by is not None:
            by = match_codes(frame, (self.by.variable,), self.by.levels)[np.flatnonzero(new)[first]]
            if (by < 0).any():
                raise NewDataError(
                    f"a new level of `{self.group}` has a value of `{self.by.variable}` that was not in the data the "
                    f"model was fitted to; its values were {', '.join(self.by.levels)}"
                )
        return codes, NewLevels(tuple([*names, "NA"][i] for i in labels), by)


def _by_factor(frame: Frame, term: GroupTerm, codes: NDArray[np.int32], levels: tuple[str, ...]) -> ByFactor:
    variable = term.grouping.by
    assert variable is not None
    by_codes, by_levels = group_codes(frame, (variable,))
    of_level = np.full(len(levels), -1, dtype=np.int32)
    of_level[codes] = by_codes
    clash = np.flatnonzero(of_level[codes] != by_codes)
    if clash.size:
        level = levels[codes[clash[0]]]
        raise DataError(
            f"level `{level}` of `{term.grouping.label}` has more than one value of `{variable}`; "
            f"gr(by = {variable}) needs each group to lie in one level of `{variable}`"
        )
    return ByFactor(variable, by_levels, of_level)
