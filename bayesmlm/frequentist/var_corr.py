"""Estimated variances and correlations of group effects: as a table of numbers, and as lme4 prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .r_print import format_numbers

if TYPE_CHECKING:
    from .fit import MixedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "EffectCovariance",
    "component_names",
    "covariances_of",
    "effect_covariances",
    "frame_of",
    "left_matrix",
    "lines_of",
    "principal_components",
    "random_effect_pca",
    "var_corr_frame",
    "var_corr_lines",
]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

COMPONENTS = ("Variance", "Std.Dev.")


@dataclass(frozen=True, eq=False)
class EffectCovariance:
    """The covariance matrix (k, k) of one term's effects.

    ``component``: lme4's name of it; ``names``: R's of the effects; ``is_diagonal``: whether the structure has no
    correlations.
    """

    component: str
    names: tuple[str, ...]
    covariance: Matrix
    is_diagonal: bool = False

    @property
    def sd(self) -> Vector:
        """(k,) standard deviations."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Matrix:
        """(k, k); not a number where a standard deviation is zero, as in R."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.covariance / np.outer(self.sd, self.sd)


def component_names(groups: Sequence[str]) -> list[str]:
    """R's ``make.unique``: the second term of a factor ``g`` is called ``g.1``."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for group in groups:
        name = group
        while name in names or (name != group and name in groups):
            seen[group] = seen.get(group, 0) + 1
            name = f"{group}.{seen[group]}"
        names.append(name)
    return names


def effect_covariances(fit: MixedFit) -> list[EffectCovariance]:
    """For each term sigma^2 T T'."""
    return covariances_of(fit.design.terms, fit.templates, fit.sigma)


def covariances_of(
    terms: Sequence[MixedTerm], templates: Sequence[Matrix], sigma: float
) -> list[EffectCovariance]:
    """For each of the ``terms`` sigma^2 T T', ``templates`` (k, k) their relative factors T."""
    names = component_names([t.group for t in terms])
    return [
        EffectCovariance(name, t.names, sigma**2 * T @ T.T, t.covariance.tag == "diag")
        for name, t, T in zip(names, terms, templates, strict=True)
    ]


def var_corr_frame(fit: MixedFit, order: str = "cov.last") -> pd.DataFrame:
    """Columns grp, var1, var2, vcov, sdcor, as ``as.data.frame(VarCorr(m), order=)``; missing where R has NA."""
    return frame_of(effect_covariances(fit), fit.sigma, order)


def frame_of(parts: Sequence[EffectCovariance], sigma: float | None, order: str) -> pd.DataFrame:
    """The same of any covariances; ``sigma``: of the residuals, None for a model without them."""
    if order not in ("cov.last", "lower.tri"):
        raise BayesmlmError(f'order must be "cov.last" or "lower.tri", not {order!r}')
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for part in parts:
        k, V, R = len(part.names), part.covariance, part.correlation
        pairs = [(a, b) for a in range(k) for b in range(a, k) if a == b or not part.is_diagonal]
        if order == "cov.last":
            pairs.sort(key=lambda pair: pair[0] != pair[1])
        for a, b in pairs:
            if a == b:
                rows.append((part.component, part.names[a], None, float(V[a, a]), float(part.sd[a])))
            else:
                rows.append((part.component, part.names[a], part.names[b], float(V[a, b]), float(R[a, b])))
    if sigma is not None:
        rows.append(("Residual", None, None, sigma**2, sigma))
    table = pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])
    return table.astype({"grp": object, "var1": object, "var2": object})


def var_corr_lines(fit: MixedFit, digits: int = 5, components: Sequence[str] = ("Std.Dev.",)) -> list[str]:
    """The table that lme4 prints for ``VarCorr(m)``: one line for each effect, correlations as a lower triangle.

    ``components``: "Variance", "Std.Dev." or both. ``digits``: significant digits of these; correlations get
    ``digits - 2`` decimals. Raises `BayesmlmError` for another component.
    """
    return lines_of(effect_covariances(fit), fit.sigma, digits, components)


def lines_of(
    parts: Sequence[EffectCovariance], sigma: float | None, digits: int, components: Sequence[str]
) -> list[str]:
    """The same of any covariances; ``sigma``: of the residuals, None for a model without them."""
    unknown = [c for c in components if c not in COMPONENTS]
    if unknown or not components:
        raise BayesmlmError(f"components are {' and '.join(COMPONENTS)}, not {', '.join(unknown) or 'none'}")
    sds = np.concatenate([*(p.sd for p in parts), [] if sigma is None else [sigma]])
    columns: list[tuple[str, list[str]]] = [
        ("Groups", [p.component if a == 0 else "" for p in parts for a in range(len(p.names))]),
        ("Name", [name for p in parts for name in p.names]),
    ]
    if sigma is not None:
        columns[0][1].append("Residual")
        columns[1][1].append("")
    for component in components:
        values = sds**2 if component == "Variance" else sds
        columns.append((component, common_width(format_numbers(values.tolist(), digits))))
    columns += _correlation_columns(parts, max(2, digits - 2), len(sds))
    return left_matrix([""] * len(sds), columns)


def _correlation_columns(
    parts: Sequence[EffectCovariance], places: int, count: int
) -> list[tuple[str, list[str]]]:
    """Correlations below the diagonal, (effects - 1) columns of which the first is called Corr; ``count`` rows."""
    most = max((len(p.names) for p in parts if not p.is_diagonal), default=0)
    if most < 2:
        return []
    rows: list[list[str]] = []
    for part in parts:
        k = len(part.names)
        cells = common_width([_fixed(x, places) for x in part.correlation.ravel()])
        for a in range(k):
            shown = [cells[a * k + b] if b < a and not part.is_diagonal else "" for b in range(most - 1)]
            rows.append(shown)
    rows += [[""] * (most - 1)] * (count - len(rows))
    titles = ["Corr", *[""] * (most - 2)]
    return [(title, [row[b] for row in rows]) for b, title in enumerate(titles)]


def _fixed(value: float, places: int) -> str:
    return f"{round(value, places) + 0.0:.{places}f}" if np.isfinite(value) else "NaN"


def common_width(cells: Sequence[str]) -> list[str]:
    """Right-aligned to the widest, as R's ``format()`` returns numbers."""
    width = max((len(c) for c in cells), default=0)
    return [c.rjust(width) for c in cells]


def left_matrix(
    names: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]], width: int = 80
) -> list[str]:
    """Lines of a character matrix as R prints it without quotes: left-aligned, wrapped in blocks at ``width``."""
    margin = max((len(name) for name in names), default=0)
    lines: list[str] = []
    block: list[str] = []
    room = 0
    for title, cells in columns:
        wide = max(len(title), *(len(cell) for cell in cells))
        if not block or room < wide + 1:
            lines += block
            block, room = [" " * margin, *(name.ljust(margin) for name in names)], width - margin
        block = [f"{line} {cell:<{wide}}" for line, cell in zip(block, (title, *cells), strict=True)]
        room -= wide + 1
    return lines + block


def random_effect_pca(fit: MixedFit) -> dict[str, pd.DataFrame]:
    """lme4's ``rePCA``: for each grouping factor the principal components of its effects' relative covariance.

    Rows: Standard deviation (in units of sigma), Proportion of Variance, Cumulative Proportion; a column for each
    component. A standard deviation near zero says that the data do not support that many effects (Bates, Kliegl,
    Vasishth and Baayen 2015, arXiv:1506.04967).
    """
    return principal_components(fit.design.terms, fit.templates)


def principal_components(terms: Sequence[MixedTerm], templates: Sequence[Matrix]) -> dict[str, pd.DataFrame]:
    """The same of any ``terms`` with relative factors ``templates``."""
    out = {}
    for group in dict.fromkeys(t.group for t in terms):
        factors = [T for t, T in zip(terms, templates, strict=True) if t.group == group]
        sd = np.sort(np.concatenate([np.linalg.svd(T, compute_uv=False) for T in factors]))[::-1]
        total = float((sd**2).sum())
        share = sd**2 / total if total > 0 else np.zeros_like(sd)
        index = ["Standard deviation", "Proportion of Variance", "Cumulative Proportion"]
        columns = [f"PC{i + 1}" for i in range(len(sd))]
        out[group] = pd.DataFrame([sd, share, np.cumsum(share)], index=index, columns=columns)
    return out
