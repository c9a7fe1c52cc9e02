"""Likelihood-ratio tests whose null distribution is simulated, as pbkrtest's ``PBmodcomp``.

Halekoh and Højsgaard (2014, JSS 59(9), sec. 4): the p value is a share of simulated ratios; Bartlett's correction
scales the ratio to the mean it should have; a gamma and an F distribution are fitted by their moments.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .fit import MixedFit
from .likelihood_ratio import LikelihoodRatioTable
from .linear import LinearFit
from .optimise import optimise
from .same_rows import check_same_rows
from .simulate import generators, parametric_responses

if TYPE_CHECKING:
    from .problem import Problem

__all__ = ["BootstrapTest", "pb_modcomp"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest:
    """A likelihood-ratio statistic with ``df`` degrees of freedom, and its ``simulated`` values (nsim,) under the
    smaller model, NaN where a refit failed. Ratios that are not positive are not used, as in pbkrtest."""

    larger: str
    smaller: str
    statistic: float
    df: int
    simulated: Vector

    @cached_property
    def used(self) -> Vector:
        """The positive simulated ratios."""
        return self.simulated[self.simulated > 0.0]

    @property
    def extremes(self) -> int:
        """How many simulated ratios exceed the observed one."""
        return int((self.used > self.statistic).sum())

    @property
    def p_value(self) -> float:
        """(1 + extremes) / (1 + used)."""
        return (1.0 + self.extremes) / (1.0 + len(self.used))

    @cached_property
    def test(self) -> pd.DataFrame:
        """Rows LRT (by chi-square) and PBtest (by simulation); columns stat, df, p.value."""
        from scipy.stats import chi2

        p = float(chi2.sf(self.statistic, self.df)) if self.df else float("nan")
        rows = {"stat": [self.statistic] * 2, "df": [self.df, np.nan], "p.value": [p, self.p_value]}
        return self._table(pd.DataFrame(rows, index=["LRT", "PBtest"]))

    def summary(self) -> pd.DataFrame:
        """Also Gamma (a gamma distribution with the simulated mean and variance), Bartlett (the ratio times df over
        the simulated mean) and F (the ratio over df, whose denominator degrees of freedom give the simulated mean;
        missing where that mean is below df). Raises `BayesmlmError` when too few simulated ratios are positive."""
        from scipy.stats import chi2, f, gamma

        if len(self.used) < 2 or not self.df:
            raise BayesmlmError(
                f"{len(self.used)} simulated ratios are positive: the smaller model fits as well as the larger, and "
                "there is no distribution to approximate"
            )
        x, df = self.statistic, self.df
        mean, variance = float(self.used.mean()), float(self.used.var(ddof=1))
        bartlett = x * df / mean
        ratio = mean / df
        ddf = 2.0 * ratio / (ratio - 1.0) if ratio != 1.0 else np.inf
        rows = {
            "LRT": (x, df, np.nan, float(chi2.sf(x, df))),
            "PBtest": (x, np.nan, np.nan, self.p_value),
            "Gamma": (x, np.nan, np.nan, float(gamma.sf(x, mean**2 / variance, scale=variance / mean))),
            "Bartlett": (bartlett, df, np.nan, float(chi2.sf(bartlett, df))),
            "F": (x / df, df, ddf, float(f.sf(x / df, df, ddf)) if ddf > 0 else np.nan),
        }
        columns = ["stat", "df", "ddf", "p.value"]
        return self._table(pd.DataFrame.from_dict(rows, orient="index", columns=columns))

    def _table(self, values: pd.DataFrame) -> LikelihoodRatioTable:
        table = _BootstrapTable(values)
        lost = len(self.simulated) - len(self.used)
        used = f"\nRequested samples: {len(self.simulated)} Used samples: {len(self.used)}" if lost else ""
        table.heading = (
            f"Bootstrap test; samples: {len(self.simulated)}; extremes: {self.extremes};{used}\n"
            f"large : {self.larger}\nsmall : {self.smaller}"
        )
        return table

    def __repr__(self) -> str:
        return repr(self.test)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class _BootstrapTable(LikelihoodRatioTable):
    """Prints p.value as R prints Pr(>...)."""

    def _lines(self) -> list[str]:
        from .r_print import coefficient_lines

        shown = pd.DataFrame(self).rename(columns={"p.value": "Pr(>|t)"})
        lines = coefficient_lines(shown, 5, estimates=(), statistics=("stat",), missing="")
        return [lines[0].replace("Pr(>|t)", "p.value"), *lines[1:]]


def pb_modcomp(larger: MixedFit, smaller: Any, nsim: int = 1000, seed: int | None = None) -> BootstrapTest:
    """See `SelectionMethods.pb_modcomp`. Raises `DataError` for different rows, `BayesmlmError` for wrong models."""
    if not isinstance(smaller, MixedFit | LinearFit):
        raise BayesmlmError(
            f"the smaller model must be a result of lmer() or lm(), not {type(smaller).__name__}"
        )
    if int(nsim) != nsim or nsim < 1:
        raise BayesmlmError(f"nsim={nsim} must be a positive whole number")
    if smaller.npar > larger.npar:
        raise BayesmlmError(
            "the model given has more parameters than this one: write larger.pb_modcomp(smaller)"
        )
    check_same_rows([larger, smaller], ["the larger model", "the smaller model"])
    big = larger.refit_ml()
    small = smaller.refit_ml() if isinstance(smaller, MixedFit) else smaller
    statistic = 2.0 * (big.logLik() - small.logLik())
    fit_small = _deviance_of(small)
    fit_big = _deviance_of(big)
    responses = _responses(small, int(nsim), seed)
    simulated = np.array([fit_small(y) - fit_big(y) for y in responses])
    simulated[np.abs(simulated) < 1e-7] = 0.0
    return BootstrapTest(
        str(larger.formula), str(smaller.formula), float(statistic), big.npar - small.npar, simulated
    )


def _responses(small: Any, nsim: int, seed: int | None) -> Iterator[Vector]:
    if isinstance(small, MixedFit):
        yield from parametric_responses(small, nsim, seed)
        return
    weights = small.prior_weights
    sd = np.sqrt(small.deviance / small.nobs / np.where(weights > 0, weights, np.inf))
    for rng in generators(seed, nsim):
        yield small.design_fitted + sd * rng.standard_normal(small.design.n)


def _deviance_of(fit: Any) -> Any:
    """From a response (n,) to -2 log of the maximised likelihood."""
    if isinstance(fit, MixedFit):
        offset = 0.0 if fit.design.offset is None else fit.design.offset
        problem: Problem = fit.problem
        return lambda y: optimise(problem.with_response(y - offset), False).evaluation.criterion
    root = np.sqrt(fit.prior_weights)
    Q, _ = np.linalg.qr(root[:, None] * fit.design.X[:, fit.kept])
    n, log_weights = fit.nobs, float(np.log(fit.prior_weights[fit.prior_weights > 0]).sum())

    def deviance(y: Vector) -> float:
        net = root * (y - fit.design.offset)
        rss = float(net @ net - ((Q.T @ net) ** 2).sum())
        return n * (1.0 + float(np.log(2.0 * np.pi * rss / n))) - log_weights

    return deviance
