"""Bayesian R2 and its leave-one-out version, as brms 2.18 defines them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .categories import in_numbers
from .psis import LogLikelihood, log_weights, relative_efficiency
from .tables import estimate_columns, quantile_levels, summarise_draws

if TYPE_CHECKING:
    from .fit import BayesFit

__all__ = ["bayes_R2", "bootstrap_R2", "loo_R2"]

_BLOCK_VALUES = 1 << 22


def bayes_R2(  # noqa: N802
    y: NDArray[np.float64],
    epred: NDArray[np.float64],
    *,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
) -> Any:
    """var(mu) / (var(mu) + var(y - mu)) over rows, for each draw; residual-based, as brms 2.18.

    Gelman, Goodrich, Gabry and Vehtari (2019), "R-squared for Bayesian regression models", The American
    Statistician 73.

    ``y``: (row,); ``epred``: expected responses (draw, row). A DataFrame with the row ``R2``, or with
    ``summary=False`` the draws (draw,).
    """
    explained = epred.var(axis=1, ddof=1)
    with np.errstate(invalid="ignore"):
        draws = explained / (explained + (y - epred).var(axis=1, ddof=1))
    return _table(draws, prob, robust, probs) if summary else draws


def loo_R2(  # noqa: N802
    fit: BayesFit,
    *,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    probs: Sequence[float] | None = None,
    seed: int = 0,
) -> Any:
    """R2 of leave-one-out predictions: 1 - var(y - E_loo(y)) / var(y), with a Bayesian bootstrap over rows.

    A DataFrame with the row ``R2``, or with ``summary=False`` as many bootstrap draws as the fit has draws.
    """
    y = np.asarray(fit.design.response.values, dtype=np.float64)
    epred = in_numbers("loo_R2", fit.family, fit.posterior_epred())
    observed = fit.design.response.observed
    y, epred = y[..., observed], epred[:, observed]
    expected = loo_expectation(LogLikelihood.of_fit(fit), epred)
    draws = bootstrap_R2(y, expected, fit.ndraws, np.random.default_rng(seed))
    return _table(draws, prob, robust, probs) if summary else draws


def loo_expectation(likelihood: LogLikelihood, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave-one-out means of ``values`` (draw, row), weighted by smoothed importance weights: (row,)."""
    result = np.empty(likelihood.rows)
    for rows, block in likelihood.by_row():
        efficiency = relative_efficiency(block)
        weights, _ = log_weights(block.reshape(len(block), -1), efficiency, likelihood.log_ratios)
        result[rows] = (np.exp(weights) * values[:, rows].T).sum(axis=1)
    return result


def bootstrap_R2(  # noqa: N802
    y: NDArray[np.float64], predicted: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """``count`` Bayesian-bootstrap draws (Dirichlet weights over rows) of 1 - var(y - predicted) / var(y),
    kept within [-1, 1] as in brms."""
    centred, error = y - y.mean(), y - predicted
    step = max(1, _BLOCK_VALUES // len(y))
    parts = []
    for start in range(0, count, step):
        weights = rng.standard_exponential((min(step, count - start), len(y)))
        weights /= weights.sum(axis=1, keepdims=True)
        parts.append(1 - _weighted_variance(weights, error) / _weighted_variance(weights, centred))
    return np.concatenate(parts).clip(-1, 1)


def _weighted_variance(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights @ values**2 - (weights @ values) ** 2


def _table(draws: NDArray[np.float64], prob: float, robust: bool, probs: Sequence[float] | None) -> Any:
    import pandas as pd

    quantiles = quantile_levels(prob, probs)
    return pd.DataFrame(
        summarise_draws(draws[None], quantiles, robust), index=["R2"], columns=estimate_columns(quantiles)
    )
