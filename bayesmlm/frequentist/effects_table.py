"""Group effects by grouping factor: ``ranef()`` and ``coef()`` in lme4's layout."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    from .fit import MixedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "GroupTables",
    "RandomEffects",
    "coefficients_by_group",
    "effect_tables",
    "level_coefficients",
    "random_effects",
]

Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]


class GroupTables(dict[str, pd.DataFrame]):
    """A table for each grouping factor, indexed by level; prints as R prints the list."""

    def __str__(self) -> str:
        parts = [f"${_quoted(group)}\n{table.to_string()}\n" for group, table in self.items()]
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = (f"<h4>{html.escape(g)}</h4>{t.to_html(escape=True)}" for g, t in self.items())
        return "<div>" + "".join(parts) + "</div>"


class RandomEffects(GroupTables):
    """Conditional means of the group effects: for each factor a table of levels by effects.

    ``postVar`` (with ``cond_var=True``): for each factor lme4's array (k, k, J) of conditional covariances
    Var(b | y, beta, theta); for a factor with several terms a list of such arrays, one for each term.
    """

    def __init__(
        self, tables: Mapping[str, pd.DataFrame], arrays: Mapping[str, list[Stack]] | None = None
    ) -> None:
        super().__init__(tables)
        self._arrays = None if arrays is None else dict(arrays)

    @property
    def postVar(self) -> dict[str, Stack | list[Stack]]:  # noqa: N802
        """Conditional covariances. Raises `BayesmlmError` if they were not asked for."""
        if self._arrays is None:
            raise BayesmlmError("the conditional variances were not computed: ask for ranef(cond_var=True)")
        return {g: arrays[0] if len(arrays) == 1 else arrays for g, arrays in self._arrays.items()}

    def sd(self, group: str) -> pd.DataFrame:
        """Conditional standard deviations of a factor's effects, laid out as its table."""
        arrays = self.postVar[group]
        stacks = arrays if isinstance(arrays, list) else [arrays]
        values = [np.sqrt(np.einsum("aaj->ja", stack)) for stack in stacks]
        table = self[group]
        return pd.DataFrame(np.concatenate(values, axis=1), index=table.index, columns=table.columns)

    def to_frame(self) -> pd.DataFrame:
        """One row for each effect: grpvar, term, grp, condval and condsd, as ``as.data.frame(ranef(m))``.

        ``condsd`` is there if conditional variances were asked for.
        """
        parts = []
        for group, table in self.items():
            sd = None if self._arrays is None else self.sd(group)
            for position, term in enumerate(table.columns):
                part = {
                    "grpvar": group,
                    "term": term,
                    "grp": table.index.to_numpy(dtype=object),
                    "condval": table.iloc[:, position].to_numpy(),
                }
                if sd is not None:
                    part["condsd"] = sd.iloc[:, position].to_numpy()
                parts.append(pd.DataFrame(part))
        return pd.concat(parts, ignore_index=True)


def random_effects(
    fit: MixedFit, cond_var: bool = False, which: Iterable[str] | None = None
) -> RandomEffects:
    """See `SummaryMethods.ranef`."""
    covariances = [fit.sigma**2 * V for V in fit.evaluation.effect_covariances()] if cond_var else None
    return effect_tables(fit.design.terms, fit.b, covariances, which)


def effect_tables(
    terms: Sequence[MixedTerm],
    effects: Sequence[Matrix],
    covariances: Sequence[Stack] | None = None,
    which: Iterable[str] | None = None,
) -> RandomEffects:
    """Effects (J, k) of each of the ``terms``, and their conditional ``covariances`` (J, k, k), by grouping factor.

    ``which``: these factors only. Raises `BayesmlmError` for one that no term has.
    """
    by_group: dict[str, list[int]] = {group: [] for group in _chosen(terms, which)}
    for number, term in enumerate(terms):
        if term.group in by_group:
            by_group[term.group].append(number)
    tables = {}
    for group, numbers in by_group.items():
        names = [name for i in numbers for name in terms[i].names]
        values = np.concatenate([effects[i] for i in numbers], axis=1)
        levels = pd.Index(terms[numbers[0]].levels, name=group, dtype=object)
        tables[group] = pd.DataFrame(values, index=levels, columns=names)
    if covariances is None:
        return RandomEffects(tables)
    arrays = {
        group: [np.ascontiguousarray(np.moveaxis(covariances[i], 0, -1)) for i in numbers]
        for group, numbers in by_group.items()
    }
    return RandomEffects(tables, arrays)


def coefficients_by_group(fit: MixedFit) -> GroupTables:
    """For each grouping factor the coefficients of its levels: population coefficients plus the level's effects.

    Effects without a population coefficient come first, as in lme4; effects of one name add up.
    """
    return level_coefficients(random_effects(fit), fit.fixef())


def level_coefficients(effects: Mapping[str, pd.DataFrame], population: pd.Series) -> GroupTables:
    """The same of any tables of ``effects`` and ``population`` coefficients."""
    every = dict.fromkeys(name for table in effects.values() for name in table.columns)
    extra = [name for name in every if name not in population.index]
    names = [*extra, *population.index]
    base = np.concatenate([np.zeros(len(extra)), population.to_numpy()])
    tables = GroupTables()
    for group, table in effects.items():
        values = np.tile(base, (len(table), 1))
        for position, name in enumerate(table.columns):
            values[:, names.index(name)] += table.iloc[:, position].to_numpy()
        tables[group] = pd.DataFrame(values, index=table.index, columns=names)
    return tables


def _chosen(terms: Sequence[MixedTerm], which: Iterable[str] | None) -> list[str]:
    groups = list(dict.fromkeys(t.group for t in terms))
    if which is None:
        return groups
    wanted = [which] if isinstance(which, str) else list(which)
    unknown = [name for name in wanted if name not in groups]
    if unknown:
        raise BayesmlmError(f"`{unknown[0]}` is no grouping factor of the model; it has {', '.join(groups)}")
    return [group for group in groups if group in wanted]


def _quoted(group: str) -> str:
    return group if group.replace("_", "").replace(".", "").isalnum() else f"`{group}`"
