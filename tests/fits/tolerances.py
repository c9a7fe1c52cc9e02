"""One rule for comparing a posterior with a reference: tolerances come from Monte Carlo errors of both sides.

Means: 5 combined Monte Carlo standard errors. Standard deviations and 5 %/95 % quantiles: the larger of 5 combined
errors and 3 % of the sd. With some 200 comparisons, a false alarm at 5 standard errors has odds of about 1 in 10 000.
"""

from __future__ import annotations

import numpy as np

from bayesmlm.results.convergence import mcse_mean, mcse_quantile, mcse_sd
from bayesmlm.results.layout import draws_array

FACTOR = 5.0
FLOOR = 0.03


def disagreements(fit, reference: dict, skip: tuple[str, ...] = ("lp__",)) -> list[str]:
    """What differs from ``reference["posterior"]`` by more than its tolerance, in words."""
    posterior = reference["posterior"]
    names = [name for name in posterior["variable"] if name not in skip]
    _, draws = draws_array(fit.idata, names)
    ours = {
        "mean": (draws.mean(axis=(1, 2)), mcse_mean(draws)),
        "sd": (draws.std(axis=(1, 2), ddof=1), mcse_sd(draws)),
        "q5": (np.quantile(draws, 0.05, axis=(1, 2)), mcse_quantile(draws, 0.05)),
        "q95": (np.quantile(draws, 0.95, axis=(1, 2)), mcse_quantile(draws, 0.95)),
    }
    out = []
    for i, name in enumerate(names):
        row = posterior["variable"].index(name)
        for what, (value, error) in ours.items():
            expected = posterior[what][row]
            tolerance = FACTOR * np.hypot(error[i], posterior[f"mcse_{what}"][row])
            if what != "mean":
                tolerance = max(tolerance, FLOOR * posterior["sd"][row])
            if not abs(value[i] - expected) <= tolerance:
                out.append(
                    f"{name} {what}: {value[i]:.5g}, reference {expected:.5g}, tolerance {tolerance:.2g}"
                )
    return out
