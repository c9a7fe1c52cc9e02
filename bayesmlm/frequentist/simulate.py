"""Responses drawn from a linear mixed model: from a fit, or from a formula and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..errors import BayesmlmError, FormulaError, NewDataError
from .design import build_mixed_design
from .predict import effect_weights, effects_sum
from .prediction_rows import (
    CodedRows,
    PredictionRows,
    fitted_rows,
    included_effects,
    new_rows,
    refuse_new_levels,
    row_index,
)

if TYPE_CHECKING:
    from ..covariance import Covariance
    from .fit import MixedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "Source",
    "checked_count",
    "checked_theta",
    "coefficients_by_name",
    "finite_values",
    "generators",
    "parametric_responses",
    "refuse_missing_groups",
    "simulate",
    "simulate_fit",
    "simulation_table",
    "source",
    "templates_of",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

RESPONSE = "(response)"


@dataclass(frozen=True, eq=False)
class Source:
    """What responses are drawn from: a known ``mean`` (m,), residual standard deviations ``sd`` (m,), and by term
    columns ``Z`` (m, k) of effects that are drawn anew, ``codes`` (m,) of ``levels`` levels with ``roots`` (k, k):
    Var(b) = root root'."""

    mean: Vector
    sd: Vector
    Z: tuple[Matrix, ...]
    codes: tuple[Codes, ...]
    levels: tuple[int, ...]
    roots: tuple[Matrix, ...]

    def draw(self, rng: np.random.Generator) -> Vector:
        """(m,) one response: effects term by term, then residuals."""
        y = self.mean.copy()
        for Z, codes, levels, root in zip(self.Z, self.codes, self.levels, self.roots, strict=True):
            b = rng.standard_normal((levels, len(root))) @ root.T
            y += np.einsum("mk,mk->m", Z, b[codes])
        return y + self.sd * rng.standard_normal(len(y))


def generators(seed: int | None, count: int) -> Iterator[np.random.Generator]:
    """One random generator for each of ``count`` replicates, independent of how many there are."""
    entropy = np.random.SeedSequence(seed).entropy
    for i in range(count):
        yield np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(i,)))


def parametric_responses(fit: MixedFit, nsim: int, seed: int | None = None) -> Iterator[Vector]:
    """``nsim`` responses (n,) of the rows used, one after the other, with effects and residuals drawn anew."""
    drawn = source(fit)
    return (drawn.draw(rng) for rng in generators(seed, checked_count(nsim)))


def source(
    fit: MixedFit,
    re_formula: Any = "NA",
    newdata: Any = None,
    newparams: Mapping[str, Any] | None = None,
    allow_new_levels: bool = False,
) -> Source:
    """What a fit's responses are drawn from; see `MixedFit.simulate`."""
    kept = included_effects(fit, re_formula)
    rows = _rows(fit, newdata)
    if not allow_new_levels:
        refuse_new_levels(rows, fit.design.terms, kept)
    covariances = tuple(t.covariance for t in fit.design.terms)
    beta, parameters, sigma = _parameters(
        newparams or {}, fit.fixef(), fit.parameters, fit.sigma, covariances
    )
    known = [effect_weights(*parts) for parts in zip(rows.Z, rows.codes, fit.b, kept, strict=True)]
    mean = rows.X @ beta + rows.offset + effects_sum(known, rows.codes, fit.b)
    drawn = [t for t, (Z, used) in enumerate(zip(rows.Z, known, strict=True)) if Z is not used]
    refuse_missing_groups(rows, fit.design.terms, drawn)
    templates = templates_of(covariances, parameters)
    return Source(
        mean,
        sigma / np.sqrt(rows.weights),
        tuple(rows.Z[t] - known[t] for t in drawn),
        tuple(rows.codes[t] for t in drawn),
        tuple(len(fit.design.terms[t].levels) + len(rows.unseen[t]) for t in drawn),
        tuple(sigma * templates[t] for t in drawn),
    )


def simulate_fit(
    fit: MixedFit,
    nsim: int,
    *,
    seed: int | None,
    re_formula: Any,
    newdata: Any,
    newparams: Mapping[str, Any] | None,
    allow_new_levels: bool,
) -> pd.DataFrame:
    """See `MixedFit.simulate`."""
    drawn = source(fit, re_formula, newdata, newparams, allow_new_levels)
    index = fitted_rows(fit.design).index
    if newdata is not None:
        index = row_index(Frame.from_any(newdata))
    return simulation_table(drawn, nsim, seed, index)


def simulate(
    formula: Any,
    data: Any,
    newparams: Mapping[str, Any],
    nsim: int = 1,
    seed: int | None = None,
    family: Any = None,
    trials: Any = None,
    **arguments: Any,
) -> pd.DataFrame:
    """Responses of a model that nothing has been fitted to, for planning a study.

    Args:
        formula: one-sided, ``"~ x + (x | g)"``; with a ``family`` also `bf` with formulas of its other parameters,
            ``bf("~ x + (1 | g)", "zi ~ x")``.
        data: a table with its columns.
        newparams: ``beta`` (p values, or by name), ``theta`` (relative Cholesky factors as lme4's: terms by decreasing
            number of levels, by columns) and ``sigma``. With a ``family``, effects are on the scale of mu's link and
            ``theta`` is not relative to anything; instead of ``sigma`` there is a value for each other parameter of
            the family by name (``shape=2.0``), on its own scale, or its coefficients where it has a formula.
        nsim, seed: how many, and what makes them repeatable.
        family: a name, R text or `brmsfamily`, as in `glmer`; None: a linear model.
        trials: for successes out of trials their numbers: a column's name, an expression, an array or a number.
        arguments: ``weights``, ``offset``, ``subset``, ``contrasts``, ``na_action``, ``functions`` as in `lmer`.

    Returns:
        (n, nsim) data frame with columns ``sim_1``, ``sim_2``, ...; successes out of trials are their number.
    """
    from .lmer import main_formula

    if family is not None:
        from ..families.registry import family as as_family
        from .generalised_checks import refuse_family
        from .generalised_simulate_formula import simulate_generalised

        chosen = as_family(family)
        refuse_family(chosen)
        return simulate_generalised(formula, data, chosen, newparams, nsim, seed, trials, arguments)
    if trials is not None:
        raise BayesmlmError('trials is for a family of successes, simulate(..., family="binomial")')
    parsed = main_formula(formula)
    if parsed.response is not None:
        raise FormulaError(
            "simulate() takes a one-sided formula, `~ x + (x | g)`: the response is what it draws",
            parsed.source,
            parsed.response.span,
        )
    missing = [name for name in ("beta", "theta", "sigma") if name not in newparams]
    if missing:
        raise BayesmlmError(
            f"newparams must have beta, theta and sigma; it has no {' and no '.join(missing)}"
        )
    frame = Frame.from_any(data)
    zeros = Numeric(np.zeros(frame.n_rows))
    frame = replace(frame, columns={**{name: frame[name] for name in frame.names}, RESPONSE: zeros})
    from ..formula.nodes import Name

    design = build_mixed_design(replace(parsed, response=Name(RESPONSE)), frame, **arguments)
    covariances = tuple(t.covariance for t in design.terms)
    start = np.concatenate([c.start for c in covariances])
    coefficients = pd.Series(np.zeros(len(design.kept)), index=list(design.coefficients))
    beta, parameters, sigma = _parameters(newparams, coefficients, start, 1.0, covariances)
    rows = fitted_rows(design)
    drawn = Source(
        rows.X @ beta + rows.offset,
        sigma / np.sqrt(rows.weights),
        rows.Z,
        rows.codes,
        tuple(len(t.levels) for t in design.terms),
        tuple(sigma * T for T in templates_of(covariances, parameters)),
    )
    return simulation_table(drawn, nsim, seed, rows.index)


class Drawn(Protocol):
    """What responses are drawn from."""

    def draw(self, rng: np.random.Generator) -> Vector:
        """(m,) one response."""
        ...


def simulation_table(drawn: Drawn, nsim: int, seed: int | None, index: pd.Index) -> pd.DataFrame:
    """(m, nsim) responses in columns ``sim_1``, ``sim_2``, ... Raises `BayesmlmError` for an ``nsim`` below 1."""
    columns = [drawn.draw(rng) for rng in generators(seed, checked_count(nsim))]
    names = [f"sim_{i + 1}" for i in range(len(columns))]
    return pd.DataFrame(np.column_stack(columns), index=index, columns=names)


def checked_count(nsim: Any) -> int:
    """How many simulations, a whole number. Raises `BayesmlmError`."""
    if int(nsim) != nsim or nsim < 1:
        raise BayesmlmError(f"nsim={nsim} must be a whole number, 1 or more")
    return int(nsim)


def _rows(fit: MixedFit, newdata: Any) -> PredictionRows:
    if newdata is None:
        return fitted_rows(fit.design)
    every = [True] * len(fit.design.terms)
    return new_rows(fit, newdata, columns=every, groups=every, na_action="fail")


def refuse_missing_groups(rows: CodedRows, terms: Sequence[MixedTerm], drawn: Sequence[int]) -> None:
    """Raise `NewDataError` for a row without a value in the grouping variable of a term (by place) to be drawn."""
    for t in drawn:
        wrong = np.flatnonzero(rows.codes[t] < 0)
        if wrong.size:
            raise NewDataError(
                f"{rows.frame.row_name(int(wrong[0]))} of the new data has no value in `{terms[t].group}`: "
                "which rows share an effect must be known to draw it"
            )


def templates_of(covariances: Sequence[Covariance], parameters: Vector) -> list[Matrix]:
    """For each term its relative factor (k, k)."""
    stops = np.cumsum([0, *(len(c.start) for c in covariances)])
    return [c.factor(parameters[a:b]) for c, a, b in zip(covariances, stops, stops[1:], strict=False)]


def _parameters(
    given: Mapping[str, Any], beta: pd.Series, theta: Vector, sigma: float, covariances: Sequence[Covariance]
) -> tuple[Vector, Vector, float]:
    """Parameters to draw with: those given, checked, else the estimates."""
    unknown = [name for name in given if name not in ("beta", "theta", "sigma")]
    if unknown:
        raise BayesmlmError(f"newparams has `{unknown[0]}`; it may have beta, theta and sigma")
    coefficients = coefficients_by_name(given.get("beta", beta), list(beta.index))
    values = checked_theta(given.get("theta", theta), theta, covariances)
    scale = float(given.get("sigma", sigma))
    if not (np.isfinite(scale) and scale >= 0):
        raise BayesmlmError(f"sigma={scale} must be 0 or more")
    return coefficients, values, scale


def checked_theta(given: Any, theta: Vector, covariances: Sequence[Covariance]) -> Vector:
    """Covariance parameters, as many as ``theta`` and inside their bounds. Raises `BayesmlmError`."""
    values = finite_values(given, "theta")
    if values.shape != theta.shape:
        raise BayesmlmError(
            f"theta has {values.size} values; the model has {theta.size} covariance parameters"
        )
    lower = np.concatenate([c.lower for c in covariances])
    upper = np.concatenate([c.upper for c in covariances])
    wrong = np.flatnonzero((values < lower) | (values > upper))
    if wrong.size:
        place = int(wrong[0])
        raise BayesmlmError(
            f"value {place + 1} of theta is {values[place]:g}; it must lie in [{lower[place]:g}, {upper[place]:g}]"
        )
    return values


def coefficients_by_name(given: Any, names: Sequence[str], what: str = "beta") -> Vector:
    """Coefficients in the model's order, given so or by name. Raises `BayesmlmError`, in which they are ``what``."""
    if isinstance(given, Mapping | pd.Series):
        have = [str(name) for name in given.keys()]  # noqa: SIM118
        wrong = sorted(set(have) ^ set(names))
        if wrong:
            raise BayesmlmError(
                f"{what} must name the coefficients {', '.join(names)}; it differs in `{wrong[0]}`"
            )
        given = [given[name] for name in names]
    values = finite_values(given, what)
    if values.shape != (len(names),):
        raise BayesmlmError(
            f"{what} has {values.size} values; the model has {len(names)}: {', '.join(names)}"
        )
    return values


def finite_values(given: Any, what: str) -> Vector:
    """Numbers (k,). Raises `BayesmlmError`, in which they are ``what``."""
    values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    if not np.isfinite(values).all():
        raise BayesmlmError(f"{what} has values that are not finite")
    return values
