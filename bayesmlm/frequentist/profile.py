"""Likelihood profiles: how much worse the best fit gets when one parameter is held away from its estimate.

zeta, the signed root of the rise in deviance, is a straight line through 0 where the likelihood is normal (Bates and
Watts 1988, ch. 6; Bates, Maechler, Bolker and Walker 2015, JSS 67(1), sec. 5.1). The profile is that of the maximum
likelihood fit, for a model fitted by REML too. Points are joined by cubics through the exact slopes of zeta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .held import Point
from .held_linear import HeldLinear, start_free
from .profile_curve import Curve, profile_curve
from .profile_parameters import Parameter, profile_parameters, select_parameters, table_of_point

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit

__all__ = ["Profile", "cutoff_of", "profile"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """Profiles of the parameters of a mixed model, as `MixedFit.profile` and `GeneralisedFit.profile` make them.

    ``fit``: the maximum likelihood fit that was profiled; ``parameters``: all of its parameters; ``curves``: of those
    that were asked for; ``old_names``: whether they go by ``.sig01`` or by ``sd_(Intercept)|g``; ``values``: from a
    point to the values of all parameters.
    """

    fit: MixedFit | GeneralisedFit
    parameters: tuple[Parameter, ...]
    curves: tuple[Curve, ...]
    old_names: bool
    values: Callable[[Point], list[float]]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the profiled parameters."""
        return tuple(c.parameter.label(self.old_names) for c in self.curves)

    def __getitem__(self, name: str) -> Curve:
        found = {n: c for c in self.curves for n in (c.parameter.name, c.parameter.long_name)}
        if name not in found:
            raise BayesmlmError(f"`{name}` has not been profiled; there are {', '.join(self.names)}")
        return found[name]

    def to_frame(self) -> pd.DataFrame:
        """One row for each point, as R's ``as.data.frame(profile(m))``: ``.zeta``, all parameters of the best fit there
        (a correlation with an effect without variance is NaN), ``.par`` and ``.focal``, the value held."""
        import pandas as pd

        labels = [p.label(self.old_names) for p in self.parameters]
        rows = []
        for curve, name in zip(self.curves, self.names, strict=True):
            for zeta, c, point in zip(curve.zeta, curve.coordinates, curve.points, strict=True):
                values = dict(zip(labels, self.values(point), strict=True))
                focal = curve.parameter.value(float(c))
                rows.append({".zeta": zeta, **values, name: focal, ".par": name, ".focal": focal})
        return pd.DataFrame(rows, columns=[".zeta", *labels, ".par", ".focal"])

    def confint(self, parm: Any = None, level: float = 0.95) -> pd.DataFrame:
        """Profile confidence intervals; see `MixedFit.confint`."""
        from .confint import interval_table, normal_quantile

        z = normal_quantile(level)
        chosen = select_parameters([c.parameter for c in self.curves], parm)
        curves = [next(c for c in self.curves if c.parameter is p) for p in chosen]
        limits = [c.limits(z) for c in curves]
        labels = [p.label(self.old_names) for p in chosen]
        table = interval_table(labels, np.array(limits).reshape(-1, 2), level)
        table.notes = [note for one in zip(labels, curves, limits, strict=True) for note in _notes(*one)]
        return table

    def plot(self, kind: str = "zeta", levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99)) -> Any:
        """A picture with a panel for each parameter: "zeta" (straight where the likelihood is normal, with intervals of
        the given ``levels``), "abs" (its absolute value, as R's), or "density" (what zeta being normal would imply)."""
        from .profile_plot import plot_profile

        return plot_profile(self, kind, levels)

    def __repr__(self) -> str:
        title = f"Profile of {self.fit.formula}: {', '.join(self.names)}"
        try:
            return f"{title}\n\n{self.confint()!r}"
        except BayesmlmError as reason:  # not profiled that far
            return f"{title}\n\n{reason}"


def profile(
    fit: MixedFit,
    which: Any = None,
    alphamax: float = 0.01,
    old_names: bool = True,
    reach: float | None = None,
) -> Profile:
    """See `MixedFit.profile`. ``reach``: how far zeta goes, instead of what ``alphamax`` says."""
    best = fit.refit_ml()
    parameters = profile_parameters(best)
    chosen = select_parameters(parameters, which)
    cutoff = cutoff_of(alphamax, len(parameters)) if reach is None else reach
    advice = "the fit had not converged, and its profile is off; fit again from another start="
    curves = []
    for parameter in chosen:
        held = parameter.held
        free = start_free(best.problem, held, best.optimum.parameters, best.sigma)
        model = HeldLinear(best.problem, held, free)
        curves.append(profile_curve(model, parameter, best.criterion, cutoff, advice))
    return Profile(best, parameters, tuple(curves), old_names, partial(table_of_point, best))


def cutoff_of(alphamax: float, count: int) -> float:
    """How far zeta goes: the root of the chi-square quantile for ``count`` parameters. Raises `BayesmlmError`."""
    from scipy.stats import chi2

    if not 0.0 < alphamax < 1.0:
        raise BayesmlmError(f"alphamax={alphamax:g} must lie between 0 and 1")
    return float(np.sqrt(chi2.ppf(1.0 - alphamax, count)))


def _notes(label: str, curve: Curve, limits: tuple[float, float]) -> list[str]:
    """What is to be said of an interval that ends where the parameter does, or does not end."""
    parameter = curve.parameter
    ends = (parameter.value(parameter.lower), parameter.value(parameter.upper))
    notes = []
    if at := [x for x in limits if x in ends]:
        shown = " or ".join(f"{x:g}" for x in at)
        notes.append(f"{label}: the data do not rule out {shown}, where its range ends")
    for side, word, limit in zip((-1, 1), ("lower", "upper"), limits, strict=True):
        if not np.isnan(limit):
            continue
        if curve.ends[side] == "flat":
            why = (
                "there is no finite {} limit, as the likelihood does not fall far enough however far it goes"
            )
        else:
            why = "no {} limit was found: farther out the likelihood is above its maximum, or what was taken for it"
        notes.append(f"{label}: {why.format(word)}")
    return notes
