"""The bootstrap of a linear mixed model: statistics of refits to drawn or resampled data."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from ..messages import inform
from .bootstrap_intervals import INTERVALS, interval
from .r_print import format_numbers
from .resampling import Options, engine_of
from .simulate import generators

if TYPE_CHECKING:
    from ..plots.style import Picture
    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = ["Bootstrap", "bootstrap", "default_statistics", "effect_statistics"]

Vector = NDArray[np.float64]
Statistic = Callable[[Any], Any]

FAILURES = (BayesmlmError, np.linalg.LinAlgError, ArithmeticError, ValueError)
"""What a refit, or a statistic of it, may raise without ending the bootstrap: it is counted and reported."""


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Statistics of a fit and of its bootstrap replicates.

    ``t0``: (k,) statistics of the fit, by name; ``t``: (nsim, k) those of the replicates, NaN where a refit failed;
    ``kind``, ``seed``: how they were made; ``failures``: what was wrong, one sentence for each refit that failed;
    ``singular``: number of refits on the boundary.
    """

    fit: MixedFit | GeneralisedFit
    statistic: Statistic
    kind: str
    seed: int
    group: str | None
    t0: pd.Series
    t: pd.DataFrame
    failures: tuple[str, ...]
    singular: int

    @property
    def nsim(self) -> int:
        """Number of replicates, failed ones included."""
        return len(self.t)

    R = nsim

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates minus the estimate."""
        return (self._finite().mean() - self.t0).rename("bias")

    @property
    def std_error(self) -> pd.Series:
        """Standard deviation of the replicates."""
        return self._finite().std().rename("std. error")

    @property
    def bias_corrected(self) -> pd.Series:
        """Estimate minus bias: 2 t0 - mean(t)."""
        return (2.0 * self.t0 - self._finite().mean()).rename("bias corrected")

    def _finite(self) -> pd.DataFrame:
        return self.t.where(np.isfinite(self.t))

    def summary(self) -> pd.DataFrame:
        """One row for each statistic: original, bias, std. error."""
        return pd.DataFrame({"original": self.t0, "bias": self.bias, "std. error": self.std_error})

    def confint(
        self, level: float = 0.95, kind: str = "perc", parm: str | int | Sequence[str | int] | None = None
    ) -> pd.DataFrame:
        """Confidence intervals, one row for each statistic, with columns such as ``2.5 %`` and ``97.5 %``.

        Args:
            level: probability of the interval.
            kind: "perc" (quantiles of the replicates), "basic" (these reflected at the estimate), "norm" (estimate
                minus bias -/+ normal quantile x standard error) or "bca" (percentiles corrected for bias and
                skewness; it fits the model again without each group). Quantiles are interpolated as in R's ``boot.ci``.
            parm: names or positions of the statistics wanted; None: all.

        Raises:
            BayesmlmError: for a kind there is not, and for a single statistic that has no interval: not a number (the
            correlation of an effect without variance), or, for bca, outside all its replicates. Among several such a
            one is NaN, and a warning says why.
        """
        if kind not in INTERVALS:
            raise BayesmlmError(f"kind must be one of {', '.join(INTERVALS)}, not {kind!r}")
        if not 0.0 < level < 1.0:
            raise BayesmlmError(f"level={level} must lie between 0 and 1")
        names = self._selected(parm)
        ends, extreme = [], []
        for name in names:
            try:
                low, high, beyond = self._interval(name, level, kind)
            except BayesmlmError as error:
                if len(names) == 1:
                    raise
                warnings.warn(f"no interval for {name}: {error}", BayesmlmWarning, stacklevel=2)
                low = high = np.nan
                beyond = False
            ends.append((low, high))
            extreme += [name] * beyond
        if extreme:
            warnings.warn(
                f"the smallest or largest replicate is an end of the interval of {', '.join(extreme)}: use more "
                "replicates (nsim)",
                BayesmlmWarning,
                stacklevel=2,
            )
        columns = [f"{round(100 * tail, 6):g} %" for tail in ((1 - level) / 2, (1 + level) / 2)]
        return pd.DataFrame(ends, index=pd.Index(names), columns=columns)

    def _interval(self, name: str, level: float, kind: str) -> tuple[float, float, bool]:
        t, t0 = self.t[name].to_numpy(), float(self.t0[name])
        t = t[np.isfinite(t)]
        if len(t) < 2 or not np.isfinite(t0):
            shown = "not a number" if np.isnan(t0) else f"{t0:g}"
            raise BayesmlmError(
                f"it is {shown} in the fit, and a number in {len(t)} of {self.nsim} replicates"
            )
        influence = self.influence[name].to_numpy() if kind == "bca" else None
        return interval(t0, t, level, kind, influence)

    def _selected(self, parm: str | int | Sequence[str | int] | None) -> list[str]:
        wanted = [parm] if isinstance(parm, str | int) else parm
        names = list(self.t0.index)
        if wanted is None:
            return names
        found = []
        for which in wanted:
            if isinstance(which, str) and which in names:
                found.append(which)
            elif not isinstance(which, str) and 0 <= which < len(names):
                found.append(names[which])
            else:
                raise BayesmlmError(f"parm={which!r} is no statistic; there are {', '.join(names)}")
        return found

    @cached_property
    def influence(self) -> pd.DataFrame:
        """For each group (row) the influence of leaving it out: (h - 1) (t0 - t without it), h = n / its rows.

        The groups are the levels of the factor in which all others are nested, or of ``group``.
        """
        values = []
        for fit, ratio in engine_of(self.fit).leave_one_out(self.fit, self.group):
            _, without = as_statistics(self.statistic(fit))
            values.append((ratio - 1.0) * (self.t0.to_numpy() - without))
        return pd.DataFrame(values, columns=self.t0.index)

    def plot(self, which: str | int = 0) -> Picture:
        """Histogram of one statistic's replicates with the estimate dashed, and their normal quantile plot."""
        from .bootstrap_plot import plot_replicates

        return plot_replicates(self, self._selected(which)[0])

    def __str__(self) -> str:
        """R's print of a bootstrap, with names for rows."""
        title = "PARAMETRIC BOOTSTRAP" if self.kind == "parametric" else "ORDINARY NONPARAMETRIC BOOTSTRAP"
        table = self.summary()
        headers = ["original", " bias  ", " std. error"]
        cells = [format_numbers([float(x) for x in table[c]]) for c in table.columns]
        columns = [
            [text.rjust(max(len(head), *map(len, column))) for text in (head, *column)]
            for head, column in zip(headers, cells, strict=True)
        ]
        names = ["", *map(str, table.index)]
        width = max(map(len, names))
        rows = [" ".join([names[i].ljust(width), *(c[i] for c in columns)]) for i in range(len(names))]
        call = f"kind={self.kind!r}, nsim={self.nsim}, seed={self.seed}"
        lines = ["", title, "", "", "Call:", call, "", "", "Bootstrap Statistics :", *rows]
        return "\n".join([*lines, *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(str(self))}</pre>"

    def _remarks(self) -> list[str]:
        remarks = [""] if self.singular or self.failures else []
        if self.singular:
            remarks.append(f"{self.singular} of {self.nsim} refits are singular (on the boundary)")
        for text, count in Counter(self.failures).most_common():
            remarks.append(f"{count} of {self.nsim} refits failed: {text}")
        return remarks


def bootstrap(
    fit: MixedFit | GeneralisedFit,
    fn: Statistic | None = None,
    nsim: int = 1999,
    *,
    kind: str = "parametric",
    seed: int | None = None,
    options: Options | None = None,
    progress: bool = False,
) -> Bootstrap:
    """See `MixedFit.bootstrap` and `GeneralisedFit.bootstrap`."""
    if int(nsim) != nsim or nsim < 1:
        raise BayesmlmError(f"nsim={nsim} must be a whole number, 1 or more")
    options = Options() if options is None else options
    engine = engine_of(fit)
    statistic = engine.statistics if fn is None else fn
    names, t0 = as_statistics(statistic(fit))
    resample = engine.resampler(fit, kind, options)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    t = np.full((int(nsim), len(t0)), np.nan)
    failures, singular = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, rng in enumerate(generators(seed, int(nsim))):
            try:
                again = resample(rng)
                _, values = as_statistics(statistic(again))
                if len(values) != len(t0):
                    raise BayesmlmError(f"the statistic has {len(values)} values, {len(t0)} in the fit")
                t[i] = values
                singular += again.is_singular
            except FAILURES as error:
                failures.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
            if progress and (i + 1) % max(1, int(nsim) // 20) == 0:
                inform(f"bootstrap: {i + 1} of {nsim}")
    _report(failures, int(nsim))
    index = pd.Index(names)
    replicates = pd.DataFrame(t, columns=index)
    return Bootstrap(
        fit,
        statistic,
        kind,
        seed,
        options.group,
        pd.Series(t0, index=index),
        replicates,
        tuple(failures),
        singular,
    )


def _report(failures: Sequence[str], nsim: int) -> None:
    if not failures:
        return
    text, count = Counter(failures).most_common(1)[0]
    if len(failures) == nsim:
        raise BayesmlmError(f"all {nsim} refits failed; {count} times: {text}")
    warnings.warn(
        f"some bootstrap runs failed ({len(failures)}/{nsim}); {count} times: {text}",
        BayesmlmWarning,
        stacklevel=4,
    )


def as_statistics(value: Any) -> tuple[list[str], Vector]:
    """What a statistic returned as names and numbers: a number, an array, a Series, a dict, a table of one row or
    one column. Without names they are ``t1``, ``t2``, ... Raises `BayesmlmError`."""
    if isinstance(value, pd.DataFrame):
        if 1 not in value.shape:
            raise BayesmlmError(
                f"the statistic is a table of {value.shape} values; return one row or column of it"
            )
        value = value.iloc[0] if value.shape[0] == 1 else value.iloc[:, 0]
    names = None
    if isinstance(value, Mapping):
        names, value = list(map(str, value)), list(value.values())
    elif isinstance(value, pd.Series):
        names = [
            " ".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in value.index
        ]
    try:
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise BayesmlmError(
            f"fn must return numbers (a number, array, Series or dict), not {type(value).__name__}"
        ) from None
    if values.ndim != 1 or not values.size:
        raise BayesmlmError(
            f"fn must return one or more numbers in a row, not an array of shape {values.shape}"
        )
    if names is None or len(set(names)) < len(names):
        names = [f"t{i + 1}" for i in range(values.size)]
    return names, values


def default_statistics(fit: MixedFit) -> pd.Series:
    """Coefficients, then standard deviations and correlations of each term under lme4's names
    (``sd_(Intercept)|Subject``, ``cor_Days.(Intercept)|Subject``), then sigma."""
    out = {str(name): float(value) for name, value in fit.fixef().items()}
    for term, T in zip(fit.design.terms, fit.templates, strict=True):
        out |= effect_statistics(term, fit.sigma * T)
    return pd.Series({**out, "sigma": fit.sigma})


def effect_statistics(term: MixedTerm, root: NDArray[np.float64], prefix: str = "") -> dict[str, float]:
    """Standard deviations and correlations of a term's effects, with covariance root root', under lme4's names;
    ``prefix``: before the effects' names."""
    names = [prefix + name for name in term.names]
    sd = np.linalg.norm(root, axis=1)
    out = {f"sd_{name}|{term.group}": float(s) for name, s in zip(names, sd, strict=True)}
    if term.covariance.tag == "diag":
        return out
    G = root @ root.T
    for b in range(term.size):
        for a in range(b + 1, term.size):
            scale = sd[a] * sd[b]
            name = f"cor_{names[a]}.{term.names[b]}|{term.group}"
            out[name] = float(G[a, b] / scale) if scale > 0 else np.nan
    return out
