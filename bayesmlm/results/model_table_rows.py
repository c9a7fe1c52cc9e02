"""Which rows a table of models has, and what stands in their cells."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..errors import BayesmlmError
from .model_table_columns import RESIDUAL, Column, Estimate, RandomTerm
from .model_table_render import TableRow

__all__ = [
    "FIELDS",
    "PLACE",
    "all_terms",
    "as_list",
    "chosen_terms",
    "estimate_rows",
    "gof_rows",
    "wanted_gof",
]

FIELDS = {
    "estimate": "estimate",
    "std.error": "se",
    "conf.low": "low",
    "conf.high": "high",
    "statistic": "t",
    "p.value": "p",
}
PLACE = re.compile(r"\{([\w.]+)\}")
"""A field of a template, R's names with dots included."""

GOF = {
    "Num.Obs.": 0,
    "Num.Groups": 0,
    "R2": 3,
    "R2 Adj.": 3,
    "R2 Marg.": 3,
    "R2 Cond.": 3,
    "AIC": 1,
    "BIC": 1,
    "ICC": 2,
    "Log.Lik.": 1,
    "F": 2,
    "ELPD": 1,
    "ELPD s.e.": 1,
    "LOOIC": 1,
    "LOOIC s.e.": 1,
    "WAIC": 1,
    "RMSE": 2,
}
"""Rows below the estimates, in their order, with modelsummary's numbers of decimals."""

GOF_ON_REQUEST = ("Log.Lik.", "F", "WAIC")
GOF_NAMES = {
    "nobs": "Num.Obs.",
    "ngroups": "Num.Groups",
    "r.squared": "R2",
    "adj.r.squared": "R2 Adj.",
    "r2.marginal": "R2 Marg.",
    "r2.conditional": "R2 Cond.",
    "aic": "AIC",
    "bic": "BIC",
    "icc": "ICC",
    "loglik": "Log.Lik.",
    "f": "F",
    "elpd": "ELPD",
    "elpd.se": "ELPD s.e.",
    "looic": "LOOIC",
    "looic.se": "LOOIC s.e.",
    "waic": "WAIC",
    "rmse": "RMSE",
}
"""modelsummary's raw names of the same rows."""


# ---- estimates ------------------------------------------------------------------------------------------------
Numbers = dict[tuple[str, str, str], tuple[float, ...]]
"""By part, term and statistic: the number in each model."""

Terms = dict[str, tuple[Estimate | None, ...]]
"""By label: the estimate in each model."""


def all_terms(columns: Sequence[Column], random: bool) -> Terms:
    """Coefficients of all models, then variance components, then further parameters."""
    terms = {label: tuple(c.fixed.get(label) for c in columns) for label in _merged(c.fixed for c in columns)}
    if random:
        unified = _with_shared_groups(columns)
        keys = _merged(unified)
        keys.sort(key=lambda key: key == RESIDUAL)
        terms |= {_random_label(key): tuple(one.get(key) for one in unified) for key in keys}
    others = _merged(c.other for c in columns)
    return terms | {label: tuple(c.other.get(label) for c in columns) for label in others}


def _with_shared_groups(columns: Sequence[Column]) -> list[dict[RandomTerm, Estimate]]:
    """Each column's variance components; a nested group is called as in the first, lme4's ``b:a`` also for brms's
    ``a:b``."""
    first: dict[frozenset[str], str] = {}
    return [
        {
            term._replace(group=first.setdefault(frozenset(term.group.split(":")), term.group)): value
            for term, value in column.random.items()
        }
        for column in columns
    ]


def _random_label(term: RandomTerm) -> str:
    if term == RESIDUAL:
        return "SD (Observations)"
    if term.second:
        return f"Cor ({term.first}~{term.second} {term.group})"
    return f"SD ({term.first} {term.group})"


def _merged(parts: Iterable[Mapping[Any, Any]]) -> list[Any]:
    """All keys; one that the first models lack comes after the key it follows in its own model."""
    merged: list[Any] = []
    for part in parts:
        place = 0
        for key in part:
            if key in merged:
                place = merged.index(key) + 1
            else:
                merged.insert(place, key)
                place += 1
    return merged


def chosen_terms(terms: Terms, coef_map: Mapping[str, str] | Sequence[str] | None) -> Terms:
    if coef_map is None:
        return terms
    renamed = coef_map if isinstance(coef_map, Mapping) else {name: name for name in as_list(coef_map)}
    unknown = [name for name in renamed if name not in terms]
    if unknown:
        raise BayesmlmError(
            f"coef_map names `{unknown[0]}`, which no model has; they have {', '.join(f'`{t}`' for t in terms)}"
        )
    return {new: terms[old] for old, new in renamed.items()}


def estimate_rows(
    terms: Terms,
    patterns: Sequence[str],
    digits: int,
    cuts: Mapping[str, float],
    coefficients: Collection[str],
) -> tuple[list[TableRow], Numbers]:
    """For each term a row of the first template and, where it has something to show, one of the second; and all
    numbers behind them. ``coefficients``: terms whose ``a:b`` is a product."""
    rows: list[TableRow] = []
    numbers: Numbers = {}
    for term, values in terms.items():
        shown = term.replace(":", " × ") if term in coefficients else term
        for field, attribute in FIELDS.items():
            found = tuple(math.nan if v is None else float(getattr(v, attribute)) for v in values)
            if field == "estimate" or not all(map(math.isnan, found)):
                numbers["estimates", term, field] = found
        for place, pattern in enumerate(patterns):
            cells = tuple("" if v is None else _filled(pattern, v, digits, cuts, place == 0) for v in values)
            if place == 0:
                rows.append(TableRow("estimates", term, "estimate", cells, shown))
            elif any(cells):
                rows.append(TableRow("estimates", term, "statistic", cells, ""))
    return rows, numbers


def _filled(pattern: str, value: Estimate, digits: int, cuts: Mapping[str, float], first: bool) -> str:
    """The template filled in. Of an estimate without the rest (no interval) the estimate alone, else nothing."""
    fields = [name for name in PLACE.findall(pattern) if name != "stars"]
    lacking = [name for name in fields if math.isnan(getattr(value, FIELDS[name]))]
    mark = next((code for code, cut in cuts.items() if value.p < cut), "")
    if lacking and ("estimate" not in fields or math.isnan(value.estimate)):
        return ""
    shown = "{estimate}" if lacking else pattern
    if first and "{stars}" not in shown:
        shown = shown.replace("{estimate}", "{estimate}{stars}", 1)

    def part(found: re.Match[str]) -> str:
        name = found.group(1)
        return mark if name == "stars" else _shown(name, getattr(value, FIELDS[name]), digits)

    return PLACE.sub(part, shown)


def _shown(field: str, number: float, digits: int) -> str:
    if field == "p.value" and number < 10.0**-digits:
        return f"<{10.0**-digits:.{digits}f}"
    text = f"{number:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


# ---- criteria -------------------------------------------------------------------------------------------------
def wanted_gof(gof_map: Mapping[str, str] | Sequence[str] | str | None) -> dict[str, str] | None:
    """Labels asked for, each with its new name; None for the usual rows."""
    if gof_map is None:
        return None
    if isinstance(gof_map, str) and gof_map in ("all", "none"):
        return {label: label for label in GOF} if gof_map == "all" else {}
    given = gof_map if isinstance(gof_map, Mapping) else dict.fromkeys(as_list(gof_map), "")
    out = {}
    for name, new in given.items():
        label = GOF_NAMES.get(name.lower(), name)
        if label not in GOF and not label.startswith("Num.Groups "):
            raise BayesmlmError(
                f"gof_map names `{name}`; known are {', '.join(GOF)} or {', '.join(GOF_NAMES)}"
            )
        out[label] = new or label
    return out


def gof_rows(columns: Sequence[Column], wanted: Mapping[str, str] | None) -> tuple[list[TableRow], Numbers]:
    """The rows below the estimates that some model has; ``wanted``: labels asked for, each with its new name."""
    there = _merged(column.gof for column in columns)
    groups = [key for key in there if key.startswith("Num.Groups ")]
    usual = {label: label for label in GOF if label not in GOF_ON_REQUEST}
    rows: list[TableRow] = []
    numbers: Numbers = {}
    for key, label in (usual if wanted is None else wanted).items():
        for one in groups if key == "Num.Groups" else [key]:
            values = tuple(float(column.gof.get(one, math.nan)) for column in columns)
            if all(map(math.isnan, values)):
                continue
            shown = one if key == "Num.Groups" else label
            digits = GOF.get(key, 0)
            cells = tuple("" if math.isnan(x) else f"{x:.{digits}f}" for x in values)
            rows.append(TableRow("gof", shown, "", cells, shown))
            numbers["gof", shown, ""] = values
    return rows, numbers


def as_list(names: Sequence[str]) -> list[str]:
    """One name or several, as a list."""
    return [names] if isinstance(names, str) else list(names)
