"""What a table of models shows of each kind of fit: one adapter for each, all to the same `Column`.

Labels are those of R's modelsummary: ``(Intercept)``, ``SD (Intercept id)``, ``Cor (Intercept~x id)``, ``SD
(Observations)``, ``Num.Obs.``, ``R2 Marg.`` ...
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import BayesmlmError, BayesmlmWarning

if TYPE_CHECKING:
    from ..frequentist.fit import MixedFit
    from ..frequentist.linear import LinearFit
    from ..frequentist.lm_list import LinearFitList
    from .fit import BayesFit

__all__ = ["Column", "Estimate", "RandomTerm", "Request", "column_of", "is_bayesian"]

MOST_VALUES = 20_000_000
"""Rows times draws up to which criteria of a Bayesian fit are computed unasked: a few seconds."""


class Estimate(NamedTuple):
    """A number with what is known of its uncertainty; NaN where a model has no such thing."""

    estimate: float
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan
    t: float = math.nan
    p: float = math.nan


class RandomTerm(NamedTuple):
    """A standard deviation (``second`` empty) or a correlation of group effects; ``group`` "" is the residual's."""

    group: str
    first: str = ""
    second: str = ""


RESIDUAL = RandomTerm("")


@dataclass(frozen=True)
class Column:
    """One model of the table. ``other``: further parameters by name (``shape``, ``nu``)."""

    fixed: Mapping[str, Estimate]
    random: Mapping[RandomTerm, Estimate]
    gof: Mapping[str, float]
    other: Mapping[str, Estimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What the user wants of each model; see `model_table`.

    ``tests``: whether t, p or intervals are shown. ``wanted``: rows of criteria asked for by name.
    """

    level: float
    robust: bool
    ddf: str | None
    criteria: bool | None
    tests: bool
    wanted: tuple[str, ...] = ()


def column_of(model: Any, request: Request) -> Column:
    """The column of any model that bayesmlm fits. Raises `BayesmlmError` for anything else."""
    for kind in type(model).__mro__:
        if kind.__name__ in _ADAPTERS and kind.__module__.startswith("bayesmlm."):
            return _ADAPTERS[kind.__name__](model, request)
    raise BayesmlmError(
        f"model_table() shows results of brm(), lmer(), glmer(), lm() and lmList(), not {type(model).__name__}"
    )


def is_bayesian(model: Any) -> bool:
    """Whether ``model`` is a `BayesFit`."""
    return any(_ADAPTERS.get(kind.__name__) is _bayes for kind in type(model).__mro__)


# ---- least squares --------------------------------------------------------------------------------------------
def _linear(fit: LinearFit, request: Request) -> Column:
    table = fit.coef_table()
    intervals = fit.confint(list(table.index), request.level).to_numpy()
    fixed = {
        str(name): Estimate(b, se, low, high, t, p)
        for name, (b, se, t, p), (low, high) in zip(table.index, table.to_numpy(), intervals, strict=True)
    }
    F = fit.fstatistic
    gof = {
        "Num.Obs.": fit.nobs,
        "R2": fit.r_squared,
        "R2 Adj.": fit.adj_r_squared,
        "AIC": fit.AIC(),
        "BIC": fit.BIC(),
        "Log.Lik.": fit.logLik(),
        "F": math.nan if F is None else F["value"],
        "RMSE": _root_mean_square(fit.residuals()),
    }
    return Column(fixed, {RESIDUAL: Estimate(fit.sigma)}, gof)


def _linear_list(fits: LinearFitList, request: Request) -> Column:
    """Means over groups; their standard errors from the spread of the groups' coefficients."""
    from scipy.special import stdtr, stdtrit

    table = fits.coef()
    fixed = {}
    for name in fits.names:
        values = table[name].dropna().to_numpy()
        df = len(values) - 1
        mean = float(values.mean()) if len(values) else math.nan
        se = float(values.std(ddof=1) / np.sqrt(len(values))) if df > 0 else math.nan
        half = float(stdtrit(df, (1 + request.level) / 2)) * se if df > 0 else math.nan
        p = 2 * float(stdtr(df, -abs(mean / se))) if df > 0 and se > 0 else math.nan
        fixed[name] = Estimate(mean, se, mean - half, mean + half, mean / se if se else math.nan, p)
    gof = {
        "Num.Obs.": fits.nobs,
        **_groups(fits.ngrps()),
        "AIC": fits.AIC(),
        "BIC": fits.BIC(),
        "Log.Lik.": fits.logLik(),
        "RMSE": _root_mean_square(fits.residuals()),
    }
    residual = {RESIDUAL: Estimate(fits.sigma)} if fits.df_residual else {}
    note = f"coefficients are means over the {len(fits.levels)} groups' own regressions"
    return Column(fixed, residual, gof, notes=(note,))


# ---- mixed models ---------------------------------------------------------------------------------------------
def _mixed(fit: Any, request: Request) -> Column:
    from ..frequentist.r_squared import variance_parts

    parts = variance_parts(fit)
    gof: dict[str, float] = {"Num.Obs.": fit.n, **_groups(fit.ngrps)}
    gof |= {"AIC": fit.AIC(), "BIC": fit.BIC(), "Log.Lik.": fit.logLik()}
    gof["R2 Marg."] = parts.fixed / parts.total
    gof["R2 Cond."] = (parts.fixed + parts.effects) / parts.total
    gof["ICC"] = parts.effects / (parts.effects + parts.residual)
    gof["RMSE"] = _root_mean_square(fit.residuals())
    return Column(_mixed_coefficients(fit, request), _mixed_components(fit), gof, notes=tuple(fit.messages))


def _mixed_components(fit: MixedFit) -> dict[RandomTerm, Estimate]:
    """Standard deviations and correlations, term by term, and the residual's."""
    out: dict[RandomTerm, Estimate] = {}
    for term, T in zip(fit.design.terms, fit.templates, strict=True):
        covariance = fit.sigma**2 * T @ T.T
        sds = np.sqrt(np.diag(covariance))
        names = [name.replace("(Intercept)", "Intercept") for name in term.names]
        out |= {RandomTerm(term.group, a): Estimate(float(sd)) for a, sd in zip(names, sds, strict=True)}
        if term.covariance.tag == "diag":
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = covariance / np.outer(sds, sds)
        for i, j in combinations(range(term.size), 2):
            out[RandomTerm(term.group, names[i], names[j])] = Estimate(float(correlation[j, i]))
    return {**out, RESIDUAL: Estimate(fit.sigma)}


def _mixed_coefficients(fit: Any, request: Request) -> dict[str, Estimate]:
    """Wald tests with the degrees of freedom asked for; without tests nothing costly is computed."""
    from scipy.special import ndtri, stdtrit

    if request.ddf is None and not request.tests:
        errors = np.sqrt(np.diag(fit.covariance))
        return {
            str(n): Estimate(float(b), float(s))
            for (n, b), s in zip(fit.fixef().items(), errors, strict=True)
        }
    table = fit.coef_table() if request.ddf is None else fit.coef_table(ddf=request.ddf)
    out = {}
    for name, row in table.iterrows():
        b, se = float(row["Estimate"]), float(row["Std. Error"])
        upper = (1 + request.level) / 2
        half = se * float(stdtrit(row["df"], upper) if "df" in table.columns else ndtri(upper))
        t = next((float(row[c]) for c in ("t value", "z value") if c in table.columns), b / se)
        p = next((float(row[c]) for c in table.columns if str(c).startswith("Pr(")), math.nan)
        out[str(name)] = Estimate(b, se, b - half, b + half, t, p)
    return out


def _generalised(fit: Any, request: Request) -> Column:
    from .model_table_generalised import generalised_column

    return generalised_column(fit, request)


# ---- Bayesian models ------------------------------------------------------------------------------------------
def _bayes(fit: BayesFit, request: Request) -> Column:
    from . import tables

    in_r = _names_in_r(fit)
    options: dict[str, Any] = {"prob": request.level, "robust": request.robust}
    fixed: dict[str, Estimate] = {}
    if tables.fixed_places(fit.idata):
        for name, row in fit.fixef(**options).iterrows():
            fixed[in_r.get(str(name), str(name))] = Estimate(*row.to_numpy()[:4])
    random: dict[RandomTerm, Estimate] = {}
    other = _other_parameters(fit, options)
    if fit.ngrps() or "sigma" in other:
        for row in fit.VarCorr(**options).itertuples(index=False):
            group, kind, first, second, *numbers = row
            if kind == "cov":
                continue
            names = [in_r.get(n, n).replace("(Intercept)", "Intercept") for n in (first, second)]
            term = RESIDUAL if group == "residual__" else RandomTerm(group, *names)
            random[term] = Estimate(*numbers[:4])
    other.pop("sigma", None)
    notes: list[str] = []
    with _recorded(notes):
        gof = {"Num.Obs.": fit.nobs, **_groups(fit.ngrps()), **_bayes_criteria(fit, request, notes)}
    return Column(fixed, random, gof, other, tuple(notes))


def _names_in_r(fit: BayesFit) -> dict[str, str]:
    """R's names of the coefficients of mu, by brms's: ``IxE2`` is ``I(x^2)``; none in a model without a mu."""
    p = fit.design.predictors.get("mu")
    if p is None:
        return {}
    designs = [p.population, *(part.effects for part in p.groups)]
    names = {b: r for design in designs for b, r in zip(design.names, design.r_names, strict=True)}
    return {**names, "Intercept": "(Intercept)"}


def _other_parameters(fit: BayesFit, options: Mapping[str, Any]) -> dict[str, Estimate]:
    from .layout import flat_names

    names = list(flat_names(fit.idata, ("dpar",)))
    if not names:
        return {}
    table = fit.posterior_summary(names, **options)
    return {str(name): Estimate(*row.to_numpy()[:4]) for name, row in table.iterrows()}


def _bayes_criteria(fit: BayesFit, request: Request, notes: list[str]) -> dict[str, float]:
    """ICC, LOO, R2 and RMSE; the costly ones when they are cheap, known, or asked for."""
    gof = {"ICC": _bayes_icc(fit)}
    cheap = fit.nobs * fit.ndraws <= MOST_VALUES if request.criteria is None else request.criteria
    known = ("loo", ()) in fit._cache and request.criteria is not False
    if cheap or known or {"ELPD", "LOOIC", "ELPD s.e.", "LOOIC s.e."} & set(request.wanted):
        rows = fit.loo().estimates
        for label, row in (("ELPD", "elpd_loo"), ("LOOIC", "looic")):
            gof |= {label: rows.loc[row, "Estimate"], f"{label} s.e.": rows.loc[row, "SE"]}
    if "WAIC" in request.wanted:
        gof["WAIC"] = fit.waic().estimates.loc["waic", "Estimate"]
    if cheap or {"R2", "R2 Marg.", "R2 Cond.", "RMSE"} & set(request.wanted):
        gof |= _bayes_fit(fit)
    elif request.criteria is None:
        notes.append("R2, RMSE and LOO of this many rows take long; criteria=True computes them")
    return gof


def _bayes_fit(fit: BayesFit) -> dict[str, float]:
    """Bayesian R2 (posterior means) and the RMSE of posterior mean responses; none for categories."""
    if fit.design.response.is_factor or fit.family.categories:
        return {}
    try:
        epred = fit.posterior_epred()
    except BayesmlmError:  # a family without expected responses: cox, or one of the user's own
        return {}
    y = fit.get_y()
    from .r_squared import bayes_R2

    conditional = float(bayes_R2(y, epred).loc["R2", "Estimate"])
    rmse = _root_mean_square(y - epred.mean(axis=0))
    if not fit.ngrps():
        return {"R2": conditional, "RMSE": rmse}
    marginal = float(bayes_R2(y, fit.posterior_epred(re_formula="NA")).loc["R2", "Estimate"])
    return {"R2 Marg.": marginal, "R2 Cond.": conditional, "RMSE": rmse}


def _bayes_icc(fit: BayesFit) -> float:
    """Posterior mean of the adjusted ICC: the part of group effects in the variance that X leaves (Nakagawa, Johnson
    and Schielzeth 2017, J. R. Soc. Interface 14). For normal responses with one residual standard deviation."""
    if fit.family.name != "gaussian" or fit.family.link("mu") != "identity":
        return math.nan
    groups = fit.design.predictors["mu"].groups
    if not groups or any(part.by is not None for part in groups):
        return math.nan
    draws = fit.VarCorr(summary=False)
    if "sd_residual__" not in draws:
        return math.nan
    among = np.zeros(draws["sd_residual__"].shape)
    for part in groups:
        products = part.Z.T @ part.Z / len(part.Z)
        names = list(part.names)
        axes = {f"{part.group}_coef1": names}
        if f"cov_{part.group}" in draws and part.term.correlated:
            cov = draws[f"cov_{part.group}"].sel({**axes, f"{part.group}_coef2": names}).to_numpy()
            among += np.einsum("cdij,ij->cd", cov, products)
        else:
            sd = draws[f"sd_{part.group}"].sel(axes).to_numpy()
            among += sd**2 @ np.diag(products)
    return float((among / (among + draws["sd_residual__"].to_numpy() ** 2)).mean())


# ---- shared ---------------------------------------------------------------------------------------------------
class _recorded:  # noqa: N801 - used as a function
    """Warnings given inside become notes of the table."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.catcher = warnings.catch_warnings(record=True)

    def __enter__(self) -> None:
        self.found = self.catcher.__enter__()
        warnings.simplefilter("always", BayesmlmWarning)

    def __exit__(self, *error: Any) -> None:
        self.catcher.__exit__(*error)
        for one in self.found or ():
            if issubclass(one.category, BayesmlmWarning):
                self.notes.append(str(one.message))
            else:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _groups(ngrps: Mapping[str, int]) -> dict[str, float]:
    return {f"Num.Groups {name}": count for name, count in ngrps.items()}


def _root_mean_square(values: Any) -> float:
    return float(np.sqrt(np.nanmean(np.asarray(values, dtype=float) ** 2)))


_ADAPTERS: dict[str, Callable[[Any, Request], Column]] = {
    "BayesFit": _bayes,
    "MixedFit": _mixed,
    "GeneralisedFit": _generalised,
    "LinearFit": _linear,
    "LinearFitList": _linear_list,
}
"""By the name of the class, so that a table of one kind of model imports no other."""
