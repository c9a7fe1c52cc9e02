"""The priors a model has when the user states none: those of brms 2.18, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PriorError
from ..families.base import DistributionalParameter
from .as_r import collation_key, r_number, r_round
from .outline import GroupOutline, ModelOutline, PredictorOutline, dpar_of
from .prior import Prior, PriorSet

__all__ = ["default_prior_table", "sort_key"]

MAD_CONSTANT = 1.4826
"""Makes the median absolute deviation estimate the standard deviation of a normal sample (R's ``mad``)."""

SMALLEST_SCALE = 2.5

LINK_OF_DATA: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "identity": lambda y: y,
    "log": np.log,
    "inverse": lambda y: 1 / y,
    "sqrt": np.sqrt,
    "1/mu^2": lambda y: 1 / y**2,
}
"""Links for which location and scale of the default prior come from the response."""

NO_ZERO = frozenset({"log", "inverse", "1/mu^2"})


def default_prior_table(outline: ModelOutline) -> PriorSet:
    """Every prior the model has and that can be set, as brms's ``get_prior()``: same rows, texts and order.

    A row without a coefficient stands for its class (or class within a group); rows of coefficients are
    empty and inherit from it. Sorted by dpar, class, group and coefficient, as R sorts. Raises `PriorError` when two
    terms give the same effect to the same group.
    """
    rows = [*_predictor_rows(outline), *outline.rows, *_scalar_rows(outline), *_group_rows(outline)]
    return PriorSet(tuple(sorted(dict.fromkeys(rows), key=sort_key("dpar", "class_", "group", "coef"))))


def sort_key(*columns: str) -> Callable[[Prior], Any]:
    """Sorts rows by these columns, each as R collates."""
    return lambda row: tuple(collation_key(getattr(row, column)) for column in columns)


def _row(prior: str, class_: str, lb: str = "", ub: str = "", **where: str) -> Prior:
    return Prior(prior, class_, lb=lb, ub=ub, source="default", **where)


def _predictor_rows(outline: ModelOutline) -> list[Prior]:
    rows = []
    for predictor in outline.predictors:
        dpar = predictor.dpar
        if predictor.intercept:
            rows.append(_row(_intercept_prior(outline, predictor), "Intercept", dpar=dpar))
        if predictor.coefficients:
            rows += [_row("", "b", coef=coef, dpar=dpar) for coef in ("", *predictor.coefficients)]
    # Rows for all categories at once.
    wide = [class_ for class_ in ("b", "Intercept") if any(row.class_ == class_ for row in rows)]
    return [*rows, *(_row("", class_) for class_ in wide if outline.by_category)]


def _intercept_prior(outline: ModelOutline, predictor: PredictorOutline) -> str:
    """With the identity link a predicted parameter keeps the prior it has when it is not predicted."""
    record = outline.family.parameter(predictor.parameter)
    if predictor.parameter in outline.family.main:
        return _data_prior(outline, predictor.parameter, predictor.link, predictor.offset_mean)
    if record.default_prior == "scale":
        return _data_prior(outline, predictor.parameter, predictor.link)
    return record.default_prior if predictor.link == "identity" else record.default_prior_predicted


def _scalar_rows(outline: ModelOutline) -> list[Prior]:
    records = [outline.family.parameter(name) for name in outline.scalars]
    return [_row(_scalar_prior(outline, r), r.name, *_bounds(r)) for r in records]


def _scalar_prior(outline: ModelOutline, record: DistributionalParameter) -> str:
    if record.default_prior == "scale":
        return _data_prior(outline, record.name, "identity")
    return record.default_prior


def _bounds(record: DistributionalParameter) -> tuple[str, str]:
    lower, upper = (("" if b is None else r_number(b)) for b in (record.lower, record.upper))
    return lower, "min_Y" if record.below_response else upper


def _group_rows(outline: ModelOutline) -> list[Prior]:
    if not outline.groups:
        return []
    sd_prior = _data_prior(outline, outline.family.main[0], _mu_link(outline))
    rows: list[Prior] = []
    seen: set[Prior] = set()
    for group in outline.groups:
        rows += _one_group(group, sd_prior, seen)
    return rows


def _one_group(group: GroupOutline, sd_prior: str, seen: set[Prior]) -> list[Prior]:
    """Rows of one block; ``seen``: the rows of single effects so far."""
    rows = []
    for parameter, coef in group.coefficients:
        dpar = dpar_of(parameter)
        row = _row("", "sd", group=group.group, coef=coef, dpar=dpar)
        if row in seen:
            of = f" of {parameter}" if dpar else ""
            raise PriorError(
                f"the group `{group.group}` has the effect `{coef}`{of} twice: write it in one term only"
            )
        seen.add(row)
        rows += [_row(sd_prior, "sd", lb="0", dpar=dpar), _row("", "sd", group=group.group, dpar=dpar), row]
    if group.correlated and len(group.coefficients) > 1:
        rows += [_row("lkj(1)", "cor"), _row("", "cor", group=group.group)]
    return rows


def _mu_link(outline: ModelOutline) -> str:
    family = outline.family
    return next((p.link for p in outline.predictors if p.parameter in family.main), family.mu_link)


def _data_prior(outline: ModelOutline, parameter: str, link: str, offset_mean: float | None = None) -> str:
    """``student_t(3, L, S)`` from the response on the scale of ``link`` (brms's ``def_scale_prior``).

    S is the median absolute deviation, rounded, and at least 2.5. L is the rounded median less the mean
    offset, or 0 when ``offset_mean`` is None.
    """
    link = "log" if outline.family.component_of(parameter).logscale else link
    location, scale = 0.0, SMALLEST_SCALE
    y = outline.response
    if y is not None and link in LINK_OF_DATA:
        values = _on_link_scale(y, link)
        median = float(np.median(values))
        spread = MAD_CONSTANT * float(np.median(np.abs(values - median)))
        if np.isfinite(spread):
            scale = max(SMALLEST_SCALE, r_round(spread, 1))
        if offset_mean is not None:
            location = r_round(median, 1) if np.isfinite(median) else 0.0
            location -= offset_mean
    return f"student_t(3, {r_number(location)}, {r_number(scale)})"


def _on_link_scale(y: NDArray[np.float64], link: str) -> NDArray[np.float64]:
    """NaN where the link is not defined, so that the median is not finite and is not used, as in brms."""
    y = np.asarray(y, dtype=np.float64)
    y = np.where(y == 0, 0.1, y) if link in NO_ZERO else y
    with np.errstate(all="ignore"):
        return LINK_OF_DATA[link](y)
