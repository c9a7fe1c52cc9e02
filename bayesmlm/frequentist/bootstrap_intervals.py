"""Bootstrap confidence intervals: normal, basic, percentile, and bias-corrected and accelerated.

Davison and Hinkley (1997, Bootstrap Methods and their Application, ch. 5), with the interpolation between order
statistics on the normal scale (their equation 5.8) that R's ``boot.ci`` uses. Acceleration from the delete-a-group
jackknife (Busing, Meijer and van der Leeden 1999, Statistics and Computing 9, 3-8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

__all__ = ["INTERVALS", "interval", "order_quantiles"]

Vector = NDArray[np.float64]

INTERVALS = ("perc", "basic", "norm", "bca")


def order_quantiles(t: Vector, probabilities: Vector) -> tuple[Vector, bool]:
    """Quantiles of finite ``t`` (R,) at (R + 1) p, interpolated on the normal scale, and whether one lies beyond the
    smallest or largest value, which then stands for it."""
    from scipy.stats import norm

    ordered, R = np.sort(t), len(t)
    ranks = (R + 1) * probabilities
    # (R + 1) p of a whole number is not always one in floating point
    ranks = np.where(np.abs(ranks - np.round(ranks)) < 1e-9 * (R + 1), np.round(ranks), ranks)
    below = np.clip(np.floor(ranks).astype(int), 1, R)
    above = np.minimum(below + 1, R)
    low, high = norm.ppf(below / (R + 1)), norm.ppf(np.minimum(below + 1, R + 0.5) / (R + 1))
    at = norm.ppf(np.clip(ranks / (R + 1), 1e-300, 1 - 1e-16))
    share = np.where((ranks <= 1) | (ranks >= R) | (ranks == below), 0.0, (at - low) / (high - low))
    values = ordered[below - 1] + share * (ordered[above - 1] - ordered[below - 1])
    return values, bool(((ranks <= 1) | (ranks >= R)).any())


def interval(
    t0: float, t: Vector, level: float, kind: str, influence: Vector | None = None
) -> tuple[float, float, bool]:
    """Ends of an interval for one statistic, and whether they are the most extreme values that were drawn.

    ``t``: (R,) finite replicates; ``influence``: the groups' influence values, for "bca".
    """
    from scipy.stats import norm

    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if kind == "norm":
        half = norm.ppf(tails[1]) * float(t.std(ddof=1))
        centre = 2 * t0 - float(t.mean())
        return centre - half, centre + half, False
    if kind == "bca":
        assert influence is not None
        tails = _adjusted(t0, t, tails, influence)
    ends, extreme = order_quantiles(t, tails)
    if kind == "basic":
        ends = 2 * t0 - ends[::-1]
    return float(ends[0]), float(ends[1]), extreme


def _adjusted(t0: float, t: Vector, tails: Vector, influence: Vector) -> Vector:
    """Probabilities corrected for bias and for a standard error that changes with the parameter (Efron 1987)."""
    from scipy.stats import norm

    w = float(norm.ppf(np.mean(t < t0)))
    if not np.isfinite(w):
        raise BayesmlmError(
            "the estimate lies outside all its replicates, so its bias cannot be corrected by bca: use more "
            'replicates, or kind="perc"'
        )
    squares = float((influence**2).sum())
    a = float((influence**3).sum()) / (6 * squares**1.5) if squares else 0.0
    z = w + norm.ppf(tails)
    return np.asarray(norm.cdf(w + z / (1 - a * z)))
