"""How well an approximate posterior is known to fit: importance ratios and their Pareto k-hat.

An engine that approximates gives independent draws from a normalised density q. With p the posterior density (up to a
constant), the ratios p / q say how far q is from p: the tail index k-hat of their distribution, estimated as in Pareto
smoothed importance sampling, is small where q covers p (Yao, Vehtari, Simpson and Gelman 2018, "Yes, but did it work?
Evaluating variational inference", ICML; Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25). Below 0.5 the ratios
have a finite variance; above 0.7 neither q nor a correction by its ratios can be relied upon.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import NDArray

__all__ = ["GOOD_K", "USABLE_K", "Approximation", "importance_weights", "quality", "resampled"]

GOOD_K = 0.5
USABLE_K = 0.7
EVEN = 0.95
"""Effective sample size of the ratios, as a share of the draws, from which they are as good as equal. The tail that
k-hat describes then follows from the shape of their small differences, and k-hat may come out as anything."""
VARIATIONAL = ("meanfield", "fullrank")
FEWEST = 25
"""The fewest draws whose ratios say anything about a tail."""


@dataclass(frozen=True)
class Approximation:
    """What is known about an approximate posterior; `BayesFit.approximation`.

    ``algorithm``: as `brm` takes it. ``k_hat``: Pareto k-hat of the ratios of posterior to approximating density over
    ``draws`` draws from the approximation. ``efficiency``: the effective sample size of these ratios as weights, as a
    share of the draws. ``elbo``: the evidence lower bound, the mean log ratio, with Monte Carlo error ``elbo_error``;
    up to a constant of the data. ``resampled``: whether the draws that are kept were chosen by importance weights.
    ``converged``: whether the optimiser came to its end, ``steps``: how many it took. ``moved``: the parameter whose
    mean the approximation moves most, if that is noticeable by the importance weights; and ``shift``, by how many of
    its posterior standard deviations (on the unconstrained scale), up if positive.
    """

    algorithm: str
    k_hat: float
    draws: int
    efficiency: float = nan
    elbo: float = nan
    elbo_error: float = nan
    resampled: bool = False
    converged: bool = True
    steps: int = 0
    moved: str = ""
    shift: float = 0.0

    @property
    def label(self) -> str:
        """As brms's summary names it: ``variational(meanfield)``."""
        return f"variational({self.algorithm})" if self.algorithm in VARIATIONAL else self.algorithm

    @property
    def even(self) -> bool:
        """Whether the ratios hardly vary at all."""
        return self.k_hat == -inf or self.efficiency >= EVEN

    @property
    def trusted(self) -> bool:
        """Whether k-hat is at most 0.7, or the ratios hardly vary; and the draws have their means in place."""
        return (self.k_hat <= USABLE_K or self.even) and (not self.moved or self.resampled)

    @property
    def verdict(self) -> str:
        """Whether to trust the draws, and if not what to do instead, in one sentence."""
        if self.draws < FEWEST:
            return (
                f"{self.draws} draws are too few to say how close the approximation is: raise output_samples."
            )
        if self.k_hat == -inf:
            return "The ratio of the densities is constant: the approximation is the posterior."
        k = f"Pareto k-hat is {self.k_hat:.2f}"
        if self.k_hat > USABLE_K and self.trusted:
            return (
                f"{k}, but the ratio of the densities hardly varies (effective sample size "
                f"{100 * self.efficiency:.0f} %): the approximation is close to the posterior."
            )
        if self.k_hat <= USABLE_K and not self.trusted:
            return (
                f"{k}, but by the importance weights the approximation moves the mean of `{self.moved}` "
                f"(unconstrained) {'up' if self.shift > 0 else 'down'} by {abs(self.shift):.2f} of its posterior "
                "standard deviations: do not trust the draws as they are; "
                'control={"importance_resampling": True} corrects them, or use algorithm="sampling".'
            )
        if not self.trusted:
            also = " Importance resampling does not repair it." if self.resampled else ""
            return (
                f"{k}, above {USABLE_K}: the approximation is too far from the posterior, do not trust the "
                f'draws; use algorithm="sampling".{also}'
            )
        if self.resampled:
            return f"{k}: the draws, chosen by importance resampling, can be used for the posterior."
        if self.k_hat <= GOOD_K:
            return f"{k}, below {GOOD_K}: the approximation is close to the posterior."
        return (
            f"{k}, between {GOOD_K} and {USABLE_K}, and the draws are worth {100 * self.efficiency:.0f} % of as many "
            "from the posterior: the approximation can be used with care; "
            'control={"importance_resampling": True} brings it nearer to the posterior.'
        )

    def __str__(self) -> str:
        kept = ", chosen by importance weights" if self.resampled else ""
        elbo = f"; ELBO {self.elbo:.1f} (se {self.elbo_error:.1f})" if isfinite(self.elbo) else ""
        return f"{self.algorithm}, {self.draws} draws{kept}{elbo}. {self.verdict}"


def importance_weights(lp: NDArray[np.float64], lq: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Pareto smoothed importance weights (draw,), which sum to one, and k-hat of the ratios exp(lp - lq).

    The draws are independent. Where ``lp`` is not finite the weight is zero. k-hat is -inf where all ratios are the
    same and inf where nothing can be said: too few draws with a finite density, or a tail of equal ratios.
    """
    from arviz_stats.base.array import array_stats

    finite = np.isfinite(lp) & np.isfinite(lq)
    weights = np.zeros(len(lp))
    ratios = (lp - lq)[finite]
    if not len(ratios):
        return weights, inf
    smoothed, k_hat = ratios, inf
    if np.ptp(ratios) <= 1e-10 * max(1.0, float(np.abs(ratios).max())):
        k_hat = -inf  # rounding alone tells them apart
    elif len(ratios) >= FEWEST:
        try:
            smoothed, k_hat = array_stats.psislw(-ratios, r_eff=1.0)
        except ValueError:  # ArviZ's word for a tail whose values are all the same
            smoothed = ratios
    shares = np.exp(smoothed - smoothed.max())
    weights[finite] = shares / shares.sum()
    return weights, inf if np.isnan(k_hat) else float(k_hat)


def quality(
    algorithm: str,
    lp: NDArray[np.float64],
    lq: NDArray[np.float64],
    *,
    resampled: bool = False,
    converged: bool = True,
    steps: int = 0,
) -> Approximation:
    """The record of an approximation from the two log densities (draw,) of draws from it, before any resampling."""
    _, k_hat = importance_weights(lp, lq)
    ratios = lp - lq
    shares = np.exp(ratios - ratios.max())
    efficiency = float(shares.sum() ** 2 / (len(shares) * np.sum(shares**2)))
    error = float(ratios.std(ddof=1) / np.sqrt(len(ratios))) if len(ratios) > 1 else nan
    elbo = float(ratios.mean())
    return Approximation(algorithm, k_hat, len(lp), efficiency, elbo, error, resampled, converged, steps)


def resampled(weights: NDArray[np.float64], count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """``count`` positions chosen without replacement with probabilities ``weights``, in their order.

    Where fewer have a weight, all of these, each as often as needed to make ``count``.
    """
    able = np.flatnonzero(weights > 0)
    if len(able) < count:
        return np.sort(np.resize(able, count))
    return np.sort(random.choice(len(weights), count, replace=False, p=weights))
