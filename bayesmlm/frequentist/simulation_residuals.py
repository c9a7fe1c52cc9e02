"""Residuals of a generalised mixed model on the scale of its own simulations, and tests of them.

A row's residual is the share of simulated responses below the observed one, ties broken at random (Dunn and Smyth 1996,
JCGS 5(3); Warton, Thibaut and Wang 2017, PLoS ONE 12(7); in R: DHARMa). Effects are drawn anew in each simulation, so
that residuals are uniform if the model holds, whatever the family; those of rows with a common effect depend on each
other.

If the model holds, the observed response and the simulated ones are exchangeable (estimates counting as known), so any
statistic of the observed one has a uniform rank among those of the simulations: that is each test's p value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .generalised_simulate import source
from .simulate import checked_count, generators

if TYPE_CHECKING:
    from ..plots.style import Picture
    from .generalised_fit import GeneralisedFit
    from .generalised_simulate import GeneralisedSource

__all__ = ["SimulationResiduals", "simulation_residuals"]

Vector = NDArray[np.float64]

DOUBTFUL = 0.05
"""p values below this are put into words."""


@dataclass(frozen=True, eq=False, repr=False)
class SimulationResiduals:
    """``values`` (n,): residuals of the rows used, uniform on 0 to 1 if the model holds; ``fitted`` (n,): expected
    responses, of trials the expected number of successes, at effects of zero where these were drawn anew; ``tests``: by
    name the observed statistic, its mean over the simulations (expected), and the two-sided p value; ``index``: names
    of the rows.

    Tests: ``uniformity``, the largest distance between the residuals' distribution function and the uniform one
    (Kolmogorov and Smirnov; rows counting as independent); ``dispersion``, the variance of responses about ``fitted``;
    ``outliers``, how many responses lie outside all others of their row; ``zeros``, for counts, how many are 0.
    """

    values: Vector
    fitted: Vector
    tests: pd.DataFrame
    nsim: int
    index: pd.Index

    @property
    def normal(self) -> Vector:
        """(n,) normal quantiles of ``values``, of responses outside all simulations as if half of one were outside."""
        from scipy.special import ndtri

        edge = 0.5 / (self.nsim + 1.0)
        return np.asarray(ndtri(np.clip(self.values, edge, 1.0 - edge)))

    def to_series(self) -> pd.Series:
        """``values`` under the names of the rows."""
        return pd.Series(self.values, index=self.index, name="residual")

    def words(self) -> list[str]:
        """What tests with p below 0.05 say, one sentence each."""
        return [_WORDS[name](row) for name, row in self.tests.iterrows() if row["p"] < DOUBTFUL]

    def plot(self) -> Picture:
        """Residuals against uniform quantiles, and against ranks of fitted responses with running quartiles."""
        from ..plots.simulation_residuals import plot_simulation_residuals

        return plot_simulation_residuals(self)

    def __str__(self) -> str:
        head = f"Simulation residuals of {len(self.values)} rows from {self.nsim} simulations"
        verdict = self.words() or ["No test speaks against the model."]
        return "\n".join([head, "", self.tests.to_string(float_format=lambda x: f"{x:.4g}"), "", *verdict])

    def __repr__(self) -> str:
        return str(self)


def _dispersion_words(row: pd.Series) -> str:
    ratio = row["observed"] / row["expected"]
    more = ratio > 1.0
    kind, advice = ("over", "see `overdispersion()`") if more else ("under", "standard errors are too large")
    return (
        f"Responses scatter {ratio:.2f} times as much about their expectation as simulated ones ({kind}dispersion): "
        f"{advice}."
    )


_WORDS: dict[Any, Any] = {
    "uniformity": lambda row: "Residuals are not uniform: family, link or a term of the model is wrong.",
    "dispersion": _dispersion_words,
    "outliers": lambda row: (
        f"{row['observed']:.0f} responses lie outside all simulated ones; {row['expected']:.1f} are expected."
    ),
    "zeros": lambda row: (
        f"{row['observed']:.0f} responses are zero, {row['expected']:.1f} of the simulated ones: "
        + (
            "consider zero inflation, or a hurdle."
            if row["observed"] > row["expected"]
            else "there are fewer zeros than the family gives."
        )
    ),
}


def simulation_residuals(
    fit: GeneralisedFit, nsim: int, seed: int | None, use_u: bool, re_formula: Any
) -> SimulationResiduals:
    """See `GeneralisedDiagnosticMethods.simulation_residuals`."""
    kept = None if use_u else re_formula
    drawn = source(fit, kept)
    fitted = _expected(fit, kept, drawn)
    y, count = fit.design.y, checked_count(nsim)
    found = _Tally(y, fitted, count)
    # The last of the generators breaks ties: residuals do not depend on how they are drawn.
    *simulating, ties = generators(seed, count + 1)
    for j, response in enumerate(_responses(drawn, simulating)):
        found.add(j + 1, response)
    below, equal = found.below / count, found.equal / count
    values = below + equal * ties.random(fit.n)
    zeros = fit.family.integer_response and not _binary(fit)
    return SimulationResiduals(values, fitted, _tests(values, found, zeros), count, _index(fit))


def _responses(drawn: GeneralisedSource, rngs: list[np.random.Generator]) -> Iterator[Vector]:
    return (drawn.draw(rng) for rng in rngs)


def _expected(fit: GeneralisedFit, kept: Any, drawn: GeneralisedSource) -> Vector:
    mean: Vector = fit.predict(re_formula=kept, type="response")
    if fit.design.na_action == "exclude":
        mean = mean[~np.isnan(mean)]
    return mean if drawn.trials is None else mean * drawn.trials


def _index(fit: GeneralisedFit) -> pd.Index:
    from .prediction_rows import row_index

    return row_index(fit.design.frame)


def _binary(fit: GeneralisedFit) -> bool:
    """Whether responses are 0 or 1: how many are zero is no test of anything but the mean."""
    trials = fit.design.trials
    return fit.family.name == "bernoulli" or (trials is not None and bool((trials <= 1).all()))


class _Tally:
    """What is kept of simulations, number 0 being the observed response: memory does not grow with their number."""

    def __init__(self, y: Vector, fitted: Vector, count: int) -> None:
        self.y, self.fitted = y, fitted
        self.below, self.equal = np.zeros(len(y)), np.zeros(len(y))
        self.spread, self.zeros = np.zeros(count + 1), np.zeros(count + 1)
        self.least, self.most = y.copy(), y.copy()
        # Whose the least and the largest response of a row are; -1 where several share it.
        self.least_of, self.most_of = np.zeros((2, len(y)), dtype=np.int64)
        self._statistics(0, y)

    def add(self, number: int, response: Vector) -> None:
        """One simulation."""
        self.below += response < self.y
        self.equal += response == self.y
        self.least_of[response == self.least] = -1
        self.least_of[response < self.least] = number
        self.most_of[response == self.most] = -1
        self.most_of[response > self.most] = number
        np.minimum(self.least, response, out=self.least)
        np.maximum(self.most, response, out=self.most)
        self._statistics(number, response)

    def _statistics(self, number: int, response: Vector) -> None:
        self.spread[number] = np.var(response - self.fitted, ddof=1)
        self.zeros[number] = np.count_nonzero(response == 0)

    @property
    def outliers(self) -> Vector:
        """(count + 1,) how many responses of each lie outside all others of their row."""
        owners = np.concatenate([self.least_of, self.most_of])
        return np.bincount(owners[owners >= 0], minlength=len(self.spread)).astype(np.float64)


def _tests(values: Vector, found: _Tally, zeros: bool) -> pd.DataFrame:
    from scipy.stats import kstest

    uniformity = kstest(values, "uniform")
    rows = {"uniformity": (float(uniformity.statistic), np.nan, float(uniformity.pvalue))}
    statistics = {"dispersion": found.spread, "outliers": found.outliers}
    if zeros:
        statistics["zeros"] = found.zeros
    for name, each in statistics.items():
        rows[name] = (float(each[0]), float(each[1:].mean()), _rank_p(each))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["observed", "expected", "p"])


def _rank_p(each: Vector) -> float:
    """Two-sided p value of the first of exchangeable statistics."""
    higher, lower = float(np.mean(each >= each[0])), float(np.mean(each <= each[0]))
    return min(1.0, 2.0 * min(higher, lower))
