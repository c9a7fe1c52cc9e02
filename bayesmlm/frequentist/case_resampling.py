"""Bootstrap samples and deletions of whole groups of rows.

Cases after van der Leeden, Meijer and Busing (2008, Handbook of Multilevel Analysis, ch. 11): the levels of the
outermost factor are drawn, each a new level every time it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm
    from .resampling import Options

__all__ = ["case_resampler", "cluster", "deletions", "resampled_terms"]

Codes = NDArray[np.int64]
type FitRows[Fit] = Callable[[Fit, MixedTerm, Codes, Codes], Fit]


def cluster(fit: MixedFit | GeneralisedFit, group: str | None) -> MixedTerm:
    """The term whose levels are independent units: ``group``, or the factor in which all others are nested."""
    terms = fit.design.all_terms
    if group is not None:
        found = [t for t in terms if t.group == group]
        if not found:
            names = ", ".join(dict.fromkeys(t.group for t in terms))
            raise BayesmlmError(f"group={group!r} is no grouping factor of the model; there are {names}")
        return found[0]
    for outer in reversed(terms):
        if all(_nested(inner, outer) for inner in terms):
            return outer
    names = ", ".join(dict.fromkeys(t.group for t in terms))
    raise BayesmlmError(
        f"the grouping factors {names} are crossed, so none of them splits the data into independent units: say whose "
        f'levels are drawn or left out, as in bootstrap(..., group="{terms[0].group}")'
    )


def _nested(inner: MixedTerm, outer: MixedTerm) -> bool:
    parent = np.zeros(len(inner.levels), dtype=np.int64)
    parent[inner.codes] = outer.codes
    return bool(np.array_equal(parent[inner.codes], outer.codes))


def case_resampler[Fit: (MixedFit, GeneralisedFit)](
    fit: Fit, options: Options, fit_rows: FitRows[Fit]
) -> Callable[[np.random.Generator], Fit]:
    """Whole levels of the outermost factor, each a new one every time it is drawn; factors crossed with it keep
    their levels. ``lv1_resample``: within each of them its rows are resampled too."""
    term = cluster(fit, options.group)
    levels, order = len(term.levels), np.argsort(term.codes, kind="stable")
    counts = np.bincount(term.codes, minlength=levels)
    starts = np.cumsum(counts) - counts

    def draw(rng: np.random.Generator) -> Fit:
        drawn = rng.integers(levels, size=levels)
        copies = np.repeat(np.arange(levels), counts[drawn])
        within = np.arange(len(copies)) - np.repeat(np.cumsum(counts[drawn]) - counts[drawn], counts[drawn])
        if options.lv1_resample:
            within = (rng.random(len(copies)) * counts[drawn][copies]).astype(np.int64)
        return fit_rows(fit, term, order[starts[drawn][copies] + within], copies)

    return draw


def deletions[Fit: (MixedFit, GeneralisedFit)](
    fit: Fit, group: str | None, fit_rows: FitRows[Fit]
) -> list[tuple[Fit, float]]:
    """See `leave_one_out`; ``fit_rows``: fits the model to some rows."""
    term = cluster(fit, group)
    out = []
    for level in range(len(term.levels)):
        rows = np.flatnonzero(term.codes != level)
        out.append(
            (fit_rows(fit, term, rows, np.zeros(len(rows), dtype=np.int64)), fit.n / (fit.n - len(rows)))
        )
    return out


def resampled_terms(
    terms: Sequence[MixedTerm], clusters: MixedTerm, rows: Codes, copies: Codes
) -> tuple[MixedTerm, ...]:
    """Terms on some rows; ``copies``: (m,) which drawn unit of ``clusters`` each row belongs to."""
    out = []
    for term in terms:
        old = term.codes[rows]
        apart = copies * len(term.levels) if _nested(term, clusters) else 0
        keys, codes = np.unique(old + apart, return_inverse=True)
        place, copy = keys % len(term.levels), keys // len(term.levels)
        levels = tuple(
            f"{term.levels[i]}.{c}" if c else term.levels[i]
            for i, c in zip(place.tolist(), copy.tolist(), strict=True)
        )
        effects = replace(term.effects, matrix=term.effects.matrix[rows])
        out.append(replace(term, codes=codes.astype(np.int64), levels=levels, effects=effects))
    return tuple(out)
