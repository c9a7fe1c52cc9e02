"""WAIC, PSIS-LOO and their comparison, printed as R's `loo` prints them.

Vehtari, Gelman and Gabry (2017), "Practical Bayesian model evaluation using leave-one-out cross-validation
and WAIC", Statistics and Computing 27. Values are on the log scale of the predictive density; ``looic`` and
``waic`` are -2 times that. WAIC is computed here; the smoothing of LOO's weights is ArviZ's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from ..inference.approximation import USABLE_K
from .psis import LogLikelihood, log_mean_exp, log_weights, relative_efficiency
from .r_squared import bayes_R2, loo_R2
from .summary import r_matrix

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Criterion", "Loo", "bayes_R2", "loo", "loo_R2", "loo_compare", "waic"]

P_WAIC_LIMIT = 0.4
"""A variance of the log density above this makes WAIC unreliable (section 2.2 of the paper)."""


@dataclass(frozen=True, repr=False)
class Criterion:
    """WAIC (or, as `Loo`, PSIS-LOO) of a fit.

    ``estimates``: rows elpd_waic, p_waic, waic; columns Estimate, SE. ``pointwise``: one row for each
    observation, the same columns as rows above. ``draws``: their number; ``response``: the observed values.
    """

    name: str
    estimates: pd.DataFrame
    pointwise: pd.DataFrame
    draws: int
    response: NDArray[Any] | None

    @property
    def n(self) -> int:
        """Number of observations."""
        return len(self.pointwise)

    def to_text(self, digits: int = 1) -> str:
        """As R's `loo` prints it."""
        size = f"Computed from {self.draws} by {self.n} log-likelihood matrix."
        return "\n".join(["", size, "", *_estimate_lines(self.estimates, digits), *self._notes(digits)])

    def _notes(self, digits: int) -> list[str]:
        note = _p_waic_note(self.pointwise["p_waic"].to_numpy(), digits)
        return ["", note] if note else []

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()


@dataclass(frozen=True, repr=False)
class Loo(Criterion):
    """PSIS-LOO: rows elpd_loo, p_loo, looic.

    ``pointwise`` has besides these ``mcse_elpd_loo`` and ``influence_pareto_k``. ``effective``: effective
    number of draws behind each observation's estimate; ``efficiency``: that of the draws themselves (r_eff).
    """

    effective: NDArray[np.float64]
    efficiency: NDArray[np.float64]

    @property
    def pareto_k(self) -> NDArray[np.float64]:
        """Pareto k of each observation."""
        return self.pointwise["influence_pareto_k"].to_numpy()

    @property
    def k_threshold(self) -> float:
        """Above this an observation's estimate is unreliable: min(1 - 1 / log10(draws), 0.7)."""
        return min(1 - 1 / np.log10(self.draws), 0.7)

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error of elpd_loo; NaN when some Pareto k is too large for one."""
        if (self.pareto_k > self.k_threshold).any():
            return float("nan")
        return float(np.sqrt((self.pointwise["mcse_elpd_loo"] ** 2).sum()))

    def pareto_k_ids(self, threshold: float | None = None) -> NDArray[np.intp]:
        """Positions of the observations whose Pareto k exceeds ``threshold`` (default: `k_threshold`)."""
        return np.flatnonzero(self.pareto_k > (self.k_threshold if threshold is None else threshold))

    def pareto_k_table(self) -> pd.DataFrame:
        """Observations by Pareto k: rows good, bad, very bad; columns Interval, Count, Percent, Min. ESS."""
        import pandas as pd

        k, limit = self.pareto_k, self.k_threshold
        kind = np.where(k <= limit, 0, np.where(k <= 1, 1, 2))
        counts = np.bincount(kind, minlength=3)
        least = [self.effective[kind == 0].min() if counts[0] else np.nan, np.nan, np.nan]
        shown = f"{limit:.2g}"
        return pd.DataFrame(
            {
                "Interval": [f"(-Inf, {shown}]", f"({shown}, 1]", "(1, Inf)"],
                "Count": counts,
                "Percent": 100 * counts / len(k),
                "Min. ESS": least,
            },
            index=["good", "bad", "very bad"],
        )

    def _notes(self, digits: int) -> list[str]:
        mcse = "NA" if np.isnan(self.mcse) else f"{self.mcse:.{digits}f}"
        low, high = self.efficiency.min(), self.efficiency.max()
        lines = [
            "------",
            f"MCSE of elpd_loo is {mcse}.",
            f"MCSE and ESS estimates assume MCMC draws (r_eff in [{low:.1f}, {high:.1f}]).",
            "",
        ]
        table = self.pareto_k_table()
        if table["Count"].iloc[1:].sum() == 0:
            return [*lines, f"All Pareto k estimates are good (k < {self.k_threshold:.2g})."]
        return [*lines, "Pareto k diagnostic values:", *_k_lines(table)]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Models ordered by expected log predictive density, best first.

    ``table``: for each model the difference to the best one in elpd, the standard error of that difference,
    and the model's own estimates.
    """

    table: pd.DataFrame

    def __str__(self) -> str:
        shown = {
            name: [f"{round(x, 1) + 0.0:.1f}" for x in self.table[name]] for name in ("elpd_diff", "se_diff")
        }
        return "\n".join(r_matrix(list(self.table.index), shown, 200))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table.to_html(float_format=lambda x: f"{x:.1f}")


def waic(source: Any) -> Criterion:
    """The widely applicable information criterion (Watanabe 2010) of a fit.

    ``source``: a `BayesFit`, a `LogLikelihood`, or an array of log-likelihoods (chain, draw, row). Warns when
    some observation's p_waic exceeds 0.4: LOO is then the better choice.
    """
    given = _log_likelihood(source)
    density, penalty = np.empty(given.rows), np.empty(given.rows)
    for rows, values in given.by_row():
        flat = values.reshape(len(values), -1)
        density[rows], penalty[rows] = log_mean_exp(flat), flat.var(axis=1, ddof=1)
    elpd = density - penalty
    note = _p_waic_note(penalty)
    if note:
        warnings.warn(note, BayesmlmWarning, stacklevel=3)
    pointwise = {"elpd_waic": elpd, "p_waic": penalty, "waic": -2 * elpd}
    return Criterion("waic", *_tables(pointwise), given.chains * given.draws, given.response)


def loo(source: Any, *, moment_match: bool = False, k_threshold: float | None = None) -> Loo:
    """Leave-one-out cross-validation by Pareto-smoothed importance sampling.

    ``source``: as for `waic`. Relative efficiencies are those of the likelihood over the chains, as in brms.
    ``moment_match``: improve the observations whose Pareto k exceeds ``k_threshold`` (default: that of the table,
    `Loo.k_threshold`) by moment matching (`bayesmlm.results.moment_match`); needs a `BayesFit`. Draws from an
    approximation are corrected by their ratios to the posterior, and then no moments are matched. Warns when a Pareto k
    stays above the threshold, and when the approximation is not to be trusted.
    """
    given = _log_likelihood(source)
    _warn_of_approximation(source)
    if moment_match and given.log_ratios is not None:
        raise BayesmlmError(
            "moment_match=True needs draws from the posterior, not from an approximation: fit with "
            'algorithm="sampling", or with control={"importance_resampling": True}'
        )
    if moment_match and (isinstance(source, np.ndarray) or source is given):
        raise BayesmlmError(
            "moment_match=True needs the fitted model, not an array of log-likelihoods: use fit.loo(moment_match=True)"
        )
    result = _importance_sampling(given)
    threshold = result.k_threshold if k_threshold is None else k_threshold
    rows = result.pareto_k_ids(threshold)
    if moment_match and len(rows):
        result = _moment_matched(source, result, rows, threshold)
    bad = len(result.pareto_k_ids())
    if bad:
        have = "observation has" if bad == 1 else "observations have"
        advice = "" if moment_match else " fit.loo(moment_match=True) may help."
        warnings.warn(
            f"{bad} {have} a Pareto k above {result.k_threshold:.2g}: the model changes so much without "
            f"such an observation that its contribution to elpd_loo is not reliable.{advice}",
            BayesmlmWarning,
            stacklevel=3,
        )
    return result


def _warn_of_approximation(source: Any) -> None:
    record = getattr(source, "approximation", None)
    # A mean that is moved is put right by the ratios; a k-hat that is too large says that they cannot.
    if record is not None and record.k_hat > USABLE_K and not record.even:
        warnings.warn(f"elpd_loo is not reliable. {record.verdict}", BayesmlmWarning, stacklevel=4)


def _importance_sampling(given: LogLikelihood) -> Loo:
    draws = given.chains * given.draws
    elpd, density, mcse, k, effective, efficiency = np.empty((6, given.rows))
    of_posterior = _posterior_log_weights(given)
    for rows, values in given.by_row():
        flat = values.reshape(len(values), -1)
        efficiency[rows] = relative_efficiency(values)
        weights, k[rows] = log_weights(flat, efficiency[rows], given.log_ratios)
        elpd[rows] = log_mean_exp(weights + flat) + np.log(draws)
        density[rows] = log_mean_exp(flat + of_posterior) + np.log(draws)
        mcse[rows] = _mcse_elpd(flat, weights, elpd[rows], efficiency[rows])
        effective[rows] = efficiency[rows] / np.exp(2 * weights).sum(axis=1)
    pointwise = {
        "elpd_loo": elpd,
        "mcse_elpd_loo": mcse,
        "p_loo": density - elpd,
        "looic": -2 * elpd,
        "influence_pareto_k": k,
    }
    return Loo("loo", *_tables(pointwise), draws, given.response, effective, efficiency)


def _posterior_log_weights(given: LogLikelihood) -> NDArray[np.float64]:
    """Normalised log weights (draws,) that make the draws the posterior's: equal, if not an approximation's."""
    draws = given.chains * given.draws
    ratios = np.zeros(draws) if given.log_ratios is None else given.log_ratios
    return ratios - log_mean_exp(ratios) - np.log(draws)


def _moment_matched(fit: Any, before: Loo, rows: NDArray[np.intp], threshold: float) -> Loo:
    """``before`` with the values of ``rows`` replaced by those of moment matching."""
    from .moment_match import moment_match

    found = moment_match(fit, rows, before.efficiency[rows], threshold)
    columns = {str(name): values.to_numpy().copy() for name, values in before.pointwise.items()}
    density = columns["p_loo"] + columns["elpd_loo"]
    columns["elpd_loo"][rows] = found.elpd
    columns["mcse_elpd_loo"][rows] = _mcse_elpd(
        found.log_likelihood, found.log_weights, found.elpd, before.efficiency[rows]
    )
    columns["p_loo"] = density - columns["elpd_loo"]
    columns["looic"] = -2 * columns["elpd_loo"]
    columns["influence_pareto_k"][rows] = found.pareto_k
    effective = before.effective.copy()
    effective[rows] = found.effective
    estimates, pointwise = _tables(columns)
    return replace(before, estimates=estimates, pointwise=pointwise, effective=effective)


def loo_compare(*models: Any, criterion: str = "loo", model_names: Sequence[str] | None = None) -> Comparison:
    """Compare fits (or their `loo()` or `waic()` results) by expected log predictive density.

    ``elpd_diff`` is the difference to the best model, ``se_diff`` its standard error, computed from the
    pointwise differences. Raises `BayesmlmError` when the models were not fitted to the same observations.
    """
    if criterion not in ("loo", "waic"):
        raise BayesmlmError(f'criterion must be "loo" or "waic", not {criterion!r}')
    if len(models) < 2:
        raise BayesmlmError("loo_compare needs at least two models")
    names = list(model_names or (f"model{i}" for i in range(1, len(models) + 1)))
    if len(set(names)) != len(models):
        raise BayesmlmError(f"model_names must be {len(models)} different names, not {names}")
    found = [m if isinstance(m, Criterion) else getattr(m, criterion)() for m in models]
    _check_comparable(found, names)
    return Comparison(_comparison_table(found, names))


def _comparison_table(found: Sequence[Criterion], names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    elpd = np.array([result.pointwise[f"elpd_{result.name}"] for result in found])
    order = np.argsort(-elpd.sum(axis=1), kind="stable")
    difference = elpd - elpd[order[0]]
    columns = {
        "elpd_diff": difference.sum(axis=1),
        "se_diff": np.sqrt(elpd.shape[1] * difference.var(axis=1, ddof=1)),
    }
    for row in found[0].estimates.index:
        columns[row] = np.array([result.estimates.loc[row, "Estimate"] for result in found])
        columns[f"se_{row}"] = np.array([result.estimates.loc[row, "SE"] for result in found])
    return pd.DataFrame(columns, index=list(names)).iloc[order]


def _check_comparable(found: Sequence[Criterion], names: Sequence[str]) -> None:
    first = found[0]
    for name, other in zip(names[1:], found[1:], strict=True):
        if other.name != first.name:
            raise BayesmlmError(
                f"`{names[0]}` is a {first.name} and `{name}` a {other.name}; compare like with like"
            )
        if other.n != first.n:
            raise BayesmlmError(
                f"`{names[0]}` has {first.n} observations and `{name}` {other.n}; criteria can be "
                "compared only on the same data (rows with missing values are dropped: fit both models to "
                "the complete rows)"
            )
        known = first.response is not None and other.response is not None
        if known and not np.array_equal(np.asarray(first.response), np.asarray(other.response)):
            raise BayesmlmError(
                f"`{names[0]}` and `{name}` have different responses; criteria can be compared only on "
                "the same data (a transformed response needs its Jacobian)"
            )


def _log_likelihood(source: Any) -> LogLikelihood:
    if isinstance(source, LogLikelihood):
        return source
    return LogLikelihood.of_array(source) if isinstance(source, np.ndarray) else LogLikelihood.of_fit(source)


def _tables(pointwise: dict[str, NDArray[np.float64]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    table = pd.DataFrame(pointwise)
    shown = table.drop(columns=["mcse_elpd_loo", "influence_pareto_k"], errors="ignore")
    estimates = {"Estimate": shown.sum(), "SE": np.sqrt(len(shown) * shown.var(ddof=1))}
    return pd.DataFrame(estimates), table


def _mcse_elpd(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    elpd: NDArray[np.float64],
    efficiency: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Monte Carlo standard error of each elpd_i, as loo 2.5: the predictive density's error, taken as normal,
    through the logarithm (Vehtari et al. 2024, section 7)."""
    from scipy.special import ndtri

    count = 1000
    normal = ndtri((np.arange(1, count + 1) - 0.375) / (count + 0.25))
    relative = np.exp(values - elpd[:, None]) - 1
    spread = np.sqrt((np.exp(2 * weights) * relative**2).sum(axis=1))
    around_one = 1 + spread[:, None] * normal
    logs = np.log(np.where(around_one > 0, around_one, np.nan))
    return np.sqrt(np.nanvar(logs, axis=1, ddof=1) / efficiency)


def _estimate_lines(estimates: pd.DataFrame, digits: int) -> list[str]:
    columns = {str(name): [f"{x:.{digits}f}" for x in estimates[name]] for name in estimates}
    return r_matrix([str(name) for name in estimates.index], columns, 200)


def _k_lines(table: pd.DataFrame) -> list[str]:
    edge = table["Interval"].str.len().max()
    wide = max(3, *(len(str(count)) for count in table["Count"]))
    lines = [" " * (edge + 14) + "Count".ljust(wide + 3) + "Pct.    Min. ESS"]
    for label, (interval, count, percent, ess) in zip(table.index, table.to_numpy(), strict=True):
        least = "<NA>" if np.isnan(ess) else f"{ess:.0f}"
        name = f"({label})"
        lines.append(f"{interval:>{edge}}   {name:<11}{count:>{wide}}   {percent:>4.1f}%   {least}")
    return lines


def _p_waic_note(penalty: NDArray[np.float64], digits: int = 1) -> str:
    bad = int((penalty > P_WAIC_LIMIT).sum())
    if not bad:
        return ""
    share = 100 * bad / len(penalty)
    return f"{bad} ({share:.{digits}f}%) p_waic estimates greater than 0.4. We recommend trying loo instead."
