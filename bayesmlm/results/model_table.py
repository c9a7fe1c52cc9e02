"""`model_table()`: models side by side, as R's modelsummary, texreg and sjPlot's ``tab_model`` show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BayesmlmError
from .model_table_columns import Column, Request, column_of, is_bayesian
from .model_table_render import TableRow, as_html, as_latex, as_text
from .model_table_rows import FIELDS, PLACE, all_terms, chosen_terms, estimate_rows, gof_rows, wanted_gof

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelTable", "model_table"]

STARS = {"+": 0.1, "*": 0.05, "**": 0.01, "***": 0.001}
"""modelsummary's stars; R's own summaries write ``.`` for 0.1."""

STATISTICS = {
    "se": "({std.error})",
    "interval": "[{conf.low}, {conf.high}]",
    "t": "({statistic})",
    "p": "({p.value})",
}
_ALSO = {
    "std.error": "se",
    "conf.int": "interval",
    "ci": "interval",
    "statistic": "t",
    "z": "t",
    "p.value": "p",
}


@dataclass(frozen=True, repr=False)
class ModelTable:
    """Models side by side: prints as text, shows as HTML in a notebook; `to_html`, `to_latex`, `to_dataframe`."""

    names: tuple[str, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    numbers: Mapping[tuple[str, str, str], tuple[float, ...]]
    title: str = ""

    def to_text(self) -> str:
        """As plain text, columns aligned."""
        text = as_text(self.names, self.rows, self.notes)
        return f"{self.title}\n{text}" if self.title else text

    def to_html(self, path: str | Path | None = None) -> str:
        """As an HTML table, written to ``path`` too if one is given."""
        return _written(as_html(self.names, self.rows, self.notes, self.title), path)

    def to_latex(self, path: str | Path | None = None) -> str:
        """As a LaTeX table (needs the package booktabs), written to ``path`` too if one is given."""
        return _written(as_latex(self.names, self.rows, self.notes, self.title), path)

    def to_dataframe(self, formatted: bool = True) -> pd.DataFrame:
        """Rows by (part, term, statistic), a column for each model: the texts shown, or with ``formatted=False``
        all numbers behind them (estimate, std.error, conf.low, conf.high, statistic, p.value), NaN where none."""
        import pandas as pd

        keys = [(row.part, row.term, row.statistic) for row in self.rows] if formatted else list(self.numbers)
        values = [row.cells for row in self.rows] if formatted else list(self.numbers.values())
        index = pd.MultiIndex.from_tuples(keys, names=["part", "term", "statistic"])
        return pd.DataFrame(values, index=index, columns=list(self.names))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_latex_(self) -> None:
        # Notebooks would prefer it to HTML and cannot typeset tables.
        return None


def model_table(
    models: Any,
    *,
    estimate: str = "estimate",
    statistic: str | None = "se",
    digits: int = 3,
    level: float = 0.95,
    robust: bool = False,
    ddf: str | None = None,
    stars: bool | Mapping[str, float] = False,
    random: bool = True,
    coef_map: Mapping[str, str] | Sequence[str] | None = None,
    gof_map: Mapping[str, str] | Sequence[str] | str | None = None,
    criteria: bool | None = None,
    title: str = "",
) -> ModelTable:
    """Estimates and criteria of several models side by side.

    Args:
        models: ``{"REML": m, "Bayes": fit}``, a list (called (1), (2), ...), or one model: results of `brm`, `lmer`,
            `glmer`, `lm` and `lmList` (its coefficients are means over the groups).
        estimate: "estimate", or a template such as ``"{estimate} [{conf.low}, {conf.high}]"`` of ``estimate``,
            ``std.error``, ``conf.low``, ``conf.high``, ``statistic``, ``p.value`` and ``stars``.
        statistic: what stands beneath: "se" (of a Bayesian fit the posterior standard deviation), "interval", "t", "p",
            a template, or None for nothing.
        digits: decimals of estimates and statistics.
        level: width of intervals: t or Wald intervals; central intervals of the draws.
        robust: posterior medians and MADs instead of means and standard deviations.
        ddf: degrees of freedom of `lmer` fits' tests, "satterthwaite" or "kenward-roger", as in their ``coef_table``.
        stars: True for + p < 0.1, * p < 0.05, ** p < 0.01, *** p < 0.001, or ``{"*": 0.05}``; Bayesian estimates have
            no p values and so no stars.
        random: show standard deviations and correlations of group effects, and the residual standard deviation.
        coef_map: only these rows of estimates, in this order; a dict gives them other names:
            ``{"(Intercept)": "Intercept", "SD (Intercept id)": "tau"}``.
        gof_map: only these rows below, in this order, by label ("R2 Marg.") or modelsummary's name ("r2.marginal"); a
            dict renames them; "all" adds Log.Lik., F and WAIC; "none" shows none. A row that is asked for is computed
            whatever it costs.
        criteria: LOO, R2 and RMSE of Bayesian fits take about half a millisecond a row, R2 and ICC of `glmer` fits one
            more fit. None: computed when rows times draws are at most 20 million (5000 rows and 4000 draws), LOO also
            when ``fit.loo()`` was called before, and for `glmer` up to 20 000 rows; a note says when they are left
            out. True: always. False: never.
        title: a line above.

    Coefficients have R's names in every column (``(Intercept)``, not ``b_Intercept``), those of further distributional
    parameters brms's (``zi_Intercept``), ``a:b`` is shown as ``a × b``, and variance components are called ``SD
    (Intercept id)`` and ``Cor (Intercept~x id)``. Standard deviations and
    correlations have no standard errors in frequentist columns. AIC and BIC of a REML fit are those of its REML
    criterion: they cannot be compared with those of ML fits.

    Raises:
        BayesmlmError: for something that is not a fit, or rows that no model has.
    """
    named = _named_models(models)
    patterns = [
        _template(estimate, "estimate"),
        *([] if statistic is None else [_template(statistic, "statistic")]),
    ]
    cuts = _star_cuts(stars)
    if not 0 < level < 1:
        raise BayesmlmError(f"level={level:g} must lie between 0 and 1: it is the width of the interval")
    used = {name for pattern in patterns for name in PLACE.findall(pattern)}
    tests = bool(cuts) or bool(used & {"conf.low", "conf.high", "statistic", "p.value", "stars"})
    wanted = wanted_gof(gof_map)
    request = Request(level, robust, ddf, criteria, tests, () if wanted is None else tuple(wanted))
    columns = [column_of(model, request) for model in named.values()]
    terms = chosen_terms(all_terms(columns, random), coef_map)
    rows, numbers = estimate_rows(terms, patterns, digits, cuts, {name for c in columns for name in c.fixed})
    criteria_rows, criteria_numbers = gof_rows(columns, wanted)
    rows, numbers = rows + criteria_rows, numbers | criteria_numbers
    notes = _notes(statistic, request, cuts, named, columns)
    return ModelTable(tuple(named), tuple(rows), tuple(notes), numbers, title)


def _named_models(models: Any) -> dict[str, Any]:
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    elif isinstance(models, list | tuple):
        named = {f"({i})": model for i, model in enumerate(models, start=1)}
    else:
        named = {"(1)": models}
    if not named:
        raise BayesmlmError("model_table() needs at least one model")
    return named


def _template(text: str, argument: str) -> str:
    """The template that ``estimate=`` or ``statistic=`` stands for."""
    if text == "estimate":
        return "{estimate}"
    pattern = STATISTICS.get(_ALSO.get(text, text), text)
    fields = PLACE.findall(pattern)
    unknown = [name for name in fields if name not in (*FIELDS, "stars")]
    if not fields or unknown:
        known = ", ".join([*STATISTICS, *(f"{{{name}}}" for name in (*FIELDS, "stars"))])
        raise BayesmlmError(f"{argument}={text!r} is not known; use one of or a text with: {known}")
    return pattern


def _star_cuts(stars: bool | Mapping[str, float]) -> dict[str, float]:
    cuts = STARS if stars is True else dict(stars or {})
    return dict(sorted(cuts.items(), key=lambda item: item[1]))


# ---- words ----------------------------------------------------------------------------------------------------
def _notes(
    statistic: str | None,
    request: Request,
    cuts: Mapping[str, float],
    named: Mapping[str, Any],
    columns: Sequence[Column],
) -> list[str]:
    notes = []
    kind = _ALSO.get(statistic or "", statistic)
    spread = "median absolute deviations" if request.robust else "standard deviations"
    bayes = f" (Bayesian fits: posterior {spread})" if any(is_bayesian(m) for m in named.values()) else ""
    words = {
        "se": f"Standard errors in parentheses{bayes}",
        "interval": f"{100 * request.level:.15g}% intervals in brackets",
        "t": "t values in parentheses",
        "p": "p values in parentheses",
    }
    if kind in words:
        notes.append(words[kind])
    if cuts:
        shown = sorted(cuts.items(), key=lambda item: -item[1])
        notes.append(", ".join(f"{code} p < {cut:g}" for code, cut in shown))
    return notes + [f"{name}: {note}" for name, c in zip(named, columns, strict=True) for note in c.notes]


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text
