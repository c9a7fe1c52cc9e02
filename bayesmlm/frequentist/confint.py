"""Confidence intervals of a linear mixed model: by profile, by Wald's approximation, by bootstrap."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..results.summary import r_matrix
from .profile_parameters import parameter_values, profile_parameters, select_parameters
from .r_print import format_numbers

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["METHODS", "IntervalTable", "confint", "interval_table", "normal_quantile"]

METHODS = ("profile", "wald", "boot")


class IntervalTable(pd.DataFrame):
    """A DataFrame of intervals that prints as R prints the matrix, with ``notes`` below; parts of it are plain
    DataFrames."""

    _metadata = ("notes",)  # pandas: attributes that are no columns
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        cells = {str(c): format_numbers([float(x) for x in self[c]], 7) for c in self.columns}
        return "\n".join([*r_matrix([str(name) for name in self.index], cells), *self.notes])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def normal_quantile(level: float) -> float:
    """Half the width of an interval of ``level`` in standard errors. Raises for a level outside (0, 1)."""
    from scipy.special import ndtri

    if not 0.0 < level < 1.0:
        raise BayesmlmError(f"level={level:g} must lie between 0 and 1: it is the coverage of the interval")
    return float(ndtri((1.0 + level) / 2.0))


def interval_table(names: Sequence[str], limits: NDArray[np.float64], level: float) -> IntervalTable:
    """Limits (m, 2) under R's names of the columns: ``2.5 %``, ``97.5 %``."""
    columns = [f"{100.0 * tail:.3g} %" for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)]
    return IntervalTable(limits, index=list(names), columns=columns)


def confint(
    fit: MixedFit,
    method: str = "profile",
    parm: Any = None,
    level: float = 0.95,
    old_names: bool = True,
    nsim: int = 500,
    boot_type: str = "perc",
    seed: int | None = None,
    **options: Any,
) -> pd.DataFrame:
    """See `MixedFit.confint`."""
    kind = str(method).lower()
    if kind not in METHODS:
        raise BayesmlmError(f'method is "profile", "wald" or "boot", not {method!r}')
    z = normal_quantile(level)
    if kind == "boot":
        return _boot(fit, parm, level, old_names, nsim, boot_type, seed, options)
    if options:
        raise BayesmlmError(f"confint(method={kind!r}) has no argument {', '.join(map(repr, options))}")
    if kind == "profile":
        from .profile import profile

        return profile(fit, parm, old_names=old_names, reach=max(z * 1.05, 0.5)).confint(level=level)
    chosen = select_parameters(profile_parameters(fit), parm)
    half = z * np.sqrt(np.diag(fit.covariance))
    limits = np.full((len(chosen), 2), np.nan)
    for row, parameter in enumerate(chosen):
        if not parameter.is_theta:
            at = parameter.held.column
            limits[row] = fit.beta[at] - half[at], fit.beta[at] + half[at]
    return interval_table([p.label(old_names) for p in chosen], limits, level)


def _boot(
    fit: MixedFit,
    parm: Any,
    level: float,
    old_names: bool,
    nsim: int,
    boot_type: str,
    seed: int | None,
    options: dict[str, Any],
) -> IntervalTable:
    """Intervals of the estimates of ``nsim`` simulated data sets."""
    chosen = select_parameters(profile_parameters(fit), parm)
    places = [p.name for p in profile_parameters(fit)]
    columns = [places.index(p.name) for p in chosen]
    labels = [p.label(old_names) for p in chosen]

    def estimates(m: MixedFit) -> dict[str, float]:
        return dict(zip(labels, parameter_values(m)[columns].tolist(), strict=True))

    found = fit.bootstrap(estimates, nsim=nsim, seed=seed, **options)
    limits = found.confint(level=level, kind=boot_type)
    return interval_table(labels, np.asarray(limits, dtype=float).reshape(-1, 2), level)
