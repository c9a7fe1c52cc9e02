"""What the sampler's statistics, Rhat and effective sample sizes say about the draws, in words.

Thresholds: Rhat 1.01 and effective sample size 400 from Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021),
"Rank-normalization, folding, and localization"; E-BFMI 0.3 from Betancourt (2018), "A conceptual introduction
to Hamiltonian Monte Carlo", section 6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from .protocol import SamplerSettings

__all__ = ["convergence_messages", "energy_bfmi"]

RHAT_LIMIT = 1.01
ESS_LIMIT = 400
BFMI_LIMIT = 0.3
NAMES_SHOWN = 3


def convergence_messages(
    stats: Mapping[str, NDArray],
    settings: SamplerSettings,
    rhat: Mapping[str, float],
    ess_bulk: Mapping[str, float],
    ess_tail: Mapping[str, float],
) -> list[str]:
    """Sentences about what is wrong with the draws, the gravest first; none if all is well.

    ``stats`` is `Draws.stats`, arrays (chain, draw); the tables go from the parameter's flat name to its
    value. Parameters that do not vary (Rhat and effective sample size not finite) are passed over.
    """
    messages = [
        _divergences(stats["diverging"], settings.adapt_delta),
        _tree_depth(stats["reached_max_treedepth"], settings.max_treedepth),
        _low_energy(stats["energy"]),
        _rhat(rhat, settings.chains),
        _ess("Bulk", "means and medians", ess_bulk),
        _ess("Tail", "interval bounds and tail probabilities", ess_tail),
    ]
    return [message for message in messages if message]


def energy_bfmi(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimated Bayesian fraction of missing information of each chain, from energies (chain, draw): mean
    squared change between successive draws over variance (Betancourt 2016, "Diagnosing suboptimal cotangent
    disintegrations"). NaN for a chain of fewer than 3 draws or of constant energy."""
    variation = np.sum((energy - energy.mean(axis=1, keepdims=True)) ** 2, axis=1)
    change = np.sum(np.diff(energy, axis=1) ** 2, axis=1)
    defined = (variation > 0) & (energy.shape[1] >= 3)
    return np.where(defined, change / np.where(defined, variation, 1.0), np.nan)


def _divergences(diverging: NDArray[np.bool_], adapt_delta: float) -> str:
    count = int(diverging.sum())
    if not count:
        return ""
    nearer_one = round(1 - (1 - adapt_delta) / 4, 4)
    were = "was 1 divergent transition" if count == 1 else f"were {count} divergent transitions"
    return (
        f"There {were} after warm-up ({_percent(count, diverging.size)} of the draws): parts of the "
        f"posterior may be missing. Increasing adapt_delta above {adapt_delta:g}, say "
        f'control={{"adapt_delta": {nearer_one:g}}}, may help; if divergent transitions remain, simplify the '
        "model or give tighter priors to the standard deviations of the group-level effects."
    )


def _tree_depth(reached: NDArray[np.bool_], max_treedepth: int) -> str:
    count = int(reached.sum())
    if not count:
        return ""
    return (
        f"{_percent(count, reached.size)} of the draws ({count}) reached the maximum tree depth of "
        f"{max_treedepth}. The draws are valid, but the sampler is slow: put predictors on a common scale, "
        f'or set control={{"max_treedepth": {max_treedepth + 2}}}.'
    )


def _low_energy(energy: NDArray[np.float64]) -> str:
    bfmi = energy_bfmi(energy)
    low = np.flatnonzero(bfmi < BFMI_LIMIT)
    if not low.size:
        return ""
    chains = f"Chain {low[0] + 1}" if low.size == 1 else f"Chains {', '.join(str(c + 1) for c in low)}"
    return (
        f"{chains} had an E-BFMI below {BFMI_LIMIT} (lowest {bfmi[low].min():.2f}): the sampler hardly "
        "reached the tails of the posterior. Give tighter priors to scale parameters, or reparameterize the "
        "model."
    )


def _rhat(rhat: Mapping[str, float], chains: int) -> str:
    worst = _worst(rhat, lambda value: value > RHAT_LIMIT, largest_first=True)
    if not worst:
        return ""
    remedy = "Run more iterations" if chains > 1 else "Run more iterations and more than one chain"
    return (
        f"Rhat is above {RHAT_LIMIT} for {_count(worst, rhat)}: {_listed(worst, '.3f')}. The chains have not "
        f"mixed, so the estimates cannot be trusted. {remedy}; if it stays, the model may not be identified: "
        "give stronger priors."
    )


def _ess(kind: str, concerned: str, ess: Mapping[str, float]) -> str:
    worst = _worst(ess, lambda value: value < ESS_LIMIT, largest_first=False)
    if not worst:
        return ""
    return (
        f"{kind} effective sample size is below {ESS_LIMIT} for {_count(worst, ess)}: "
        f"{_listed(worst, '.0f')}. Their posterior {concerned} are imprecise: run more iterations."
    )


def _worst(
    table: Mapping[str, float], bad: Callable[[float], bool], largest_first: bool
) -> list[tuple[str, float]]:
    chosen = [
        (name, float(value)) for name, value in table.items() if np.isfinite(value) and bad(float(value))
    ]
    return sorted(chosen, key=lambda item: item[1], reverse=largest_first)


def _count(worst: list[tuple[str, float]], table: Mapping[str, float]) -> str:
    return f"{len(worst)} of {len(table)} parameter{'s' if len(table) > 1 else ''}"


def _listed(worst: list[tuple[str, float]], form: str) -> str:
    shown = ", ".join(f"{name} ({value:{form}})" for name, value in worst[:NAMES_SHOWN])
    return f"{shown} and others" if len(worst) > NAMES_SHOWN else shown


def _percent(count: int, total: int) -> str:
    share = 100 * count / total
    return f"{share:.1f}%" if share < 10 else f"{share:.0f}%"
