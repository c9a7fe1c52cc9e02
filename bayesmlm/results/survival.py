"""Survival curves: P(T > t) by the model, beside what the data say without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError
from .kaplan_meier import kaplan_meier
from .predict import Request, predict
from .predictive_output import require_tails
from .tables import summarise_columns

if TYPE_CHECKING:
    import pandas as pd

    from .fit import BayesFit

__all__ = ["Observations", "SurvivalCurve", "observations", "survival_curve"]

Floats = NDArray[np.float64]

POINTS = 101


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalCurve:
    """``table``: columns ``cond__`` (which curve), ``time``, ``estimate__``, ``se__``, ``lower__`` and ``upper__``.

    ``observed``: the Kaplan-Meier estimate of the data with the column ``cond__``, or None; ``why_not``: then the
    reason. ``response``: what the times are.
    """

    table: pd.DataFrame
    observed: pd.DataFrame | None
    response: str
    why_not: str = ""

    def plot(self, **options: Any) -> Any:
        """Curves with bands over time; arguments as in `bayesmlm.plots.survival.plot_survival`."""
        from ..plots.survival import plot_survival

        return plot_survival(self, **options)

    def __repr__(self) -> str:
        curves = self.table["cond__"].nunique()
        head = self.table.head(6).to_string(index=False)
        title = (
            f"P({self.response} > t): {curves} curve{'s' * (curves > 1)} (.table; .plot() makes the picture)"
        )
        return f"{title}\n{head}"

    def _repr_html_(self) -> str:
        from ..plots.style import Pictures

        return Pictures([self.plot()])._repr_html_()


@dataclass(frozen=True)
class Observations:
    """Observed times, (n,): ``event``, whether each is no censoring; ``entry``: where observation began, if not at the
    beginning."""

    time: Floats
    event: NDArray[np.bool_]
    entry: Floats | None

    def rows(self, chosen: NDArray[np.bool_]) -> Observations:
        """Some rows only."""
        entry = None if self.entry is None else self.entry[chosen]
        return Observations(self.time[chosen], self.event[chosen], entry)

    def kaplan_meier(self, prob: float) -> pd.DataFrame:
        """The estimate of these rows."""
        return kaplan_meier(self.time, self.event, self.entry, prob=prob)


def observations(values: Floats, extra: Any, weights: Floats | None, integer: bool) -> Observations | str:
    """The times of a response with what its additions say; or in words why there is no Kaplan-Meier estimate."""
    for name in ("left_censored", "interval_censored"):
        if name in extra:
            return f"some rows are {name.replace('_', '-')}"
    if "up_to" in extra:
        return "the response is truncated above"
    if weights is not None:
        return "the rows have weights"
    if np.isnan(values).any():
        return "some responses are missing"
    entry = extra.get("above")
    if entry is not None and not (entry < values).all():
        return "some rows enter at the time of their response"
    event = extra["right_censored"] == 0 if "right_censored" in extra else np.ones(len(values), dtype=bool)
    return Observations(values, np.asarray(event), entry)


def survival_curve(
    fit: BayesFit,
    newdata: Any = None,
    times: Any = None,
    *,
    group: str | None = None,
    prob: float = 0.95,
    robust: bool = False,
    **kwargs: Any,
) -> SurvivalCurve:
    """P(T > t) with its posterior mean and interval, of any family whose distribution function is known.

    Args:
        fit: the fitted model.
        newdata: a curve for each of its rows, labelled by the column ``cond__`` if it has one (see `make_conditions`),
            else by the row's number. Without it the average curve of the data's rows.
        times: where to evaluate it; default 101 points up to the largest observed time.
        group: without ``newdata``, a variable of the model: an average curve for the rows of each of its levels.
        prob: width of the intervals. robust: median and MAD instead of mean and standard deviation.
        kwargs: ``re_formula``, ``allow_new_levels``, ``sample_new_levels``, ``ndraws``, ``draw_ids``, ``seed`` of
            `posterior_epred`.

    A truncated response is shown without its bounds: with delayed entry, ``trunc(lb = entry)``, the curve is that of
    somebody who is observed from the beginning. Raises `BayesmlmError` for a family without distribution function.
    """
    require_tails(fit.family, "survival_curve()")
    if newdata is not None and group is not None:
        raise BayesmlmError("group averages over the data's rows; with newdata there is a curve for each row")
    at = _times(fit, times)
    labels, members = _curves(fit, newdata, group)
    request = Request.of("survival_curve", newdata, kwargs)
    averages = members / members.sum(axis=1, keepdims=True)
    draws = predict(fit, "survival", request, {"times": at, "averages": averages})
    table = _table(draws, at, labels, prob, robust)
    found = observations(
        fit.design.response.values,
        fit.design.response.extra,
        fit.design.response.weights,
        fit.family.integer_response,
    )
    if isinstance(found, str) or newdata is not None:
        why = found if isinstance(found, str) else "the curves are those of new data"
        return SurvivalCurve(table, None, fit.design.response.name, why)
    return SurvivalCurve(table, _observed(found, labels, members, prob), fit.design.response.name)


def _times(fit: BayesFit, times: Any) -> Floats:
    if times is None:
        y, low = fit.design.response.values, fit.family.support.lower
        return np.linspace(low if np.isfinite(low) else np.nanmin(y), np.nanmax(y), POINTS)
    at = np.unique(np.asarray(times, dtype=np.float64))
    if at.size == 0 or not np.isfinite(at).all():
        raise BayesmlmError("times must be finite numbers")
    return at


def _curves(fit: BayesFit, newdata: Any, group: str | None) -> tuple[list[str], Floats]:
    """The labels of the curves, and (curves, rows) which rows belong to each."""
    if newdata is not None:
        frame = Frame.from_any(newdata)
        kept = fit.design.new_rows(frame)
        table = kept.to_pandas()
        labels = [str(x) for x in table["cond__"]] if "cond__" in table else [str(row) for row in kept.rows]
        if len(set(labels)) < len(labels):
            raise BayesmlmError("each row of newdata needs a label of its own in `cond__`")
        return labels, np.eye(len(labels))
    if group is None:
        return ["all rows"], np.ones((1, fit.nobs))
    data = fit.data
    if group not in data.columns:
        raise BayesmlmError(
            f"`{group}` is no variable of the model, which has {', '.join(map(str, data.columns))}"
        )
    column = data[group]
    levels = column.cat.categories if hasattr(column, "cat") else sorted(column.unique())
    members = np.array([(column == level).to_numpy(float) for level in levels])
    present = members.any(axis=1)
    return [str(level) for level, there in zip(levels, present, strict=True) if there], members[present]


def _table(draws: Floats, times: Floats, labels: list[str], prob: float, robust: bool) -> pd.DataFrame:
    """Summaries of (draws, curves, times)."""
    import pandas as pd

    summary = summarise_columns(draws.reshape(len(draws), -1), prob=prob, robust=robust).to_numpy()
    table = pd.DataFrame(summary[:, :4], columns=["estimate__", "se__", "lower__", "upper__"])
    table.insert(0, "time", np.tile(times, len(labels)))
    conditions = pd.Categorical(np.repeat(labels, len(times)), categories=labels)
    return pd.concat([pd.Series(conditions, name="cond__"), table], axis=1)


def _observed(found: Observations, labels: list[str], members: Floats, prob: float) -> pd.DataFrame:
    import pandas as pd

    pieces = []
    for label, own in zip(labels, members, strict=True):
        piece = found.rows(own > 0).kaplan_meier(prob)
        piece.insert(0, "cond__", label)
        pieces.append(piece)
    out = pd.concat(pieces, ignore_index=True)
    out["cond__"] = pd.Categorical(out["cond__"], categories=labels)
    return out
