"""Confidence intervals of a generalised mixed model: by profile, by Wald's approximation, by bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BayesmlmError
from .confint import METHODS, interval_table, normal_quantile
from .generalised_profile import generalised_parameters, generalised_values, profile, select_generalised
from .profile_parameters import Parameter

if TYPE_CHECKING:
    import pandas as pd

    from .generalised_fit import GeneralisedFit

__all__ = ["confint"]


def confint(
    fit: GeneralisedFit,
    method: str,
    parm: Any,
    level: float,
    old_names: bool,
    parts: Any,
    nsim: int,
    boot_type: str,
    seed: int | None,
    **options: Any,
) -> pd.DataFrame:
    """See `GeneralisedFit.confint`."""
    kind = str(method).lower()
    if kind not in METHODS:
        raise BayesmlmError(f'method is "profile", "wald" or "boot", not {method!r}')
    z = normal_quantile(level)
    if options and kind != "boot":
        raise BayesmlmError(f"confint(method={kind!r}) has no argument {', '.join(map(repr, options))}")
    if kind == "profile":
        curves = profile(fit, parm, old_names=old_names, reach=max(z * 1.05, 0.5), parts=parts)
        return curves.confint(level=level)
    everything = generalised_parameters(fit)
    chosen = select_generalised(fit, everything, parm, parts)
    labels = [p.label(old_names) for p in chosen]
    if kind == "wald":
        return interval_table(labels, np.array(_wald(fit, chosen, z)).reshape(-1, 2), level)
    places = [everything.index(p) for p in chosen]

    def estimates(again: GeneralisedFit) -> dict[str, float]:
        return dict(zip(labels, generalised_values(again)[places].tolist(), strict=True))

    found = fit.bootstrap(estimates, nsim=nsim, seed=seed, **options)
    limits = found.confint(level=level, kind=boot_type)
    return interval_table(labels, np.asarray(limits, dtype=float).reshape(-1, 2), level)


def _wald(fit: GeneralisedFit, chosen: list[Parameter], z: float) -> list[tuple[float, float]]:
    """Normal intervals on the scale of the links, brought to a constant's own scale; NaN for covariance parameters."""
    half = z * np.sqrt(np.diag(fit.covariance_all))
    out = []
    for p in chosen:
        if p.is_theta:
            out.append((np.nan, np.nan))
            continue
        at = p.held.column
        out.append((p.value(fit.beta_all[at] - half[at]), p.value(fit.beta_all[at] + half[at])))
    return out
