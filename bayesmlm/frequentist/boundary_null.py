"""Tests of variances against zero: the null hypothesis lies on the boundary of the parameters.

There the likelihood ratio is no chi-square. When one more variance is tested it is, in large samples, an equal mixture
of two neighbouring chi-squares (Self and Liang 1987, JASA 82; Stram and Lee 1994, Biometrics 50, case 1 to 3), so that
the usual p value is too large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mixed_terms import MixedTerm

__all__ = ["Mixture", "boundary_mixture"]


@dataclass(frozen=True)
class Mixture:
    """Chi-squares with ``lower`` and ``upper`` degrees of freedom, in equal parts."""

    lower: int
    upper: int

    def p_value(self, statistic: float) -> float:
        """How often the mixture exceeds ``statistic``."""
        from scipy.stats import chi2

        first = float(chi2.sf(statistic, self.lower)) if self.lower else float(statistic <= 0.0)
        return 0.5 * first + 0.5 * float(chi2.sf(statistic, self.upper))

    def __str__(self) -> str:
        return f"chi2({self.lower}):chi2({self.upper})"


def boundary_mixture(
    smaller: Iterable[MixedTerm], larger: Iterable[MixedTerm], coefficients: int = 0
) -> Mixture | None:
    """The null distribution when ``larger`` has one variance more than ``smaller``: one uncorrelated effect, or one
    more effect of a term, with its k - 1 covariances. ``coefficients``: how many more coefficients it has.

    None when the null is not of that kind: the same variances, or several at once (of which the mixture depends on the
    design), or terms that are not nested.
    """
    small, large = Counter(map(_described, smaller)), Counter(map(_described, larger))
    gone, new = list((small - large).elements()), list((large - small).elements())
    if len(new) != 1 or len(gone) > 1:
        return None
    group, names, kind = new[0]
    old = frozenset[str]()
    if gone:
        old_group, old, old_kind = gone[0]
        if old_group != group or not old < names or (old_kind != kind and len(old) > 1):
            return None
    if len(names) - len(old) != 1:
        return None
    covariances = len(old) if kind == "us" else 0
    return Mixture(coefficients + covariances, coefficients + covariances + 1)


def _described(term: MixedTerm) -> tuple[frozenset[str], frozenset[str], str]:
    """Grouping variables, names of effects, and how these covary ("us", "diag", or what else, by itself)."""
    covariance = term.covariance
    kind = covariance.tag if term.size > 1 else "us"
    count = len(covariance.start)
    if kind not in ("us", "diag") or (kind == "diag" and count < term.size):
        kind = f"{kind}{count}: one variance for {sorted(term.names)}"
    return frozenset(term.variables), frozenset(term.names), kind
