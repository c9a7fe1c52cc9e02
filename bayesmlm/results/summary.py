"""brms's summary of a fit: the same sections, names and columns, as text, as HTML and as data frames.

The layout is that of brms's development version (sections "Multilevel Hyperparameters", "Regression
Coefficients", "Further Distributional Parameters"); numbers are printed as R's ``sprintf`` and
``print(matrix)`` would.
"""

from __future__ import annotations

import html
import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .convergence import convergence, mcse_mean, mcse_quantile
from .layout import FlatName, flat_names, gather, has_chains
from .tables import FIXED_KINDS, coefficient_name, quantile_levels, split_pairs, summarise_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from .fit import BayesFit

__all__ = ["Heading", "Summary", "heading_of", "prior_lines", "summarise", "summarise_tree"]

FOOTER = """\
Draws were sampled using {sampler}. For each parameter, Bulk_ESS
and Tail_ESS are effective sample size measures, and Rhat is the potential
scale reduction factor on split chains (at convergence, Rhat = 1)."""

FOOTER_WIDTH = 75
_WHOLE_NUMBERS = ("Bulk_ESS", "Tail_ESS")


@dataclass(frozen=True)
class Heading:
    """What stands above the tables.

    ``links``: (distributional parameter, link) of each predicted parameter. ``formula``: the formula's lines.
    ``levels``: the number of levels of each grouping factor. ``iterations`` counts warm-up, as brms does; the
    number of draws is counted in the draws themselves.
    """

    family: str
    links: tuple[tuple[str, str], ...]
    formula: tuple[str, ...]
    data_name: str
    n_observations: int
    levels: Mapping[str, int] = field(default_factory=dict)
    chains: int = 4
    iterations: int = 2000
    warmup: int = 1000
    thin: int = 1
    sampler: str = "sampling(NUTS)"
    verdict: str = ""
    """Of an approximation: whether to trust it."""

    @property
    def footer(self) -> str:
        """What stands below the tables: the sampler, and how to judge its draws."""
        if not self.verdict:
            return FOOTER.format(sampler=self.sampler)
        return textwrap.fill(f"Draws were sampled using {self.sampler}. {self.verdict}", FOOTER_WIDTH)


@dataclass(frozen=True)
class Summary:
    """A summary to print or to read from.

    ``fixed``: the regression coefficients; ``random``: by grouping factor, rows ``sd(x)`` and ``cor(x,y)``;
    ``spec_pars``: further distributional parameters. Columns: Estimate, [MCSE], Est.Error, l-95% CI, u-95%
    CI, Rhat, Bulk_ESS, Tail_ESS; the last three not of an approximation, whose draws are independent.
    """

    heading: Heading
    total_draws: int
    fixed: pd.DataFrame
    random: dict[str, pd.DataFrame]
    spec_pars: pd.DataFrame
    priors: tuple[str, ...] = ()
    digits: int = 2

    def to_text(self, digits: int | None = None, width: int | None = None, short: bool = False) -> str:
        """The summary as brms prints it. ``width``: where tables wrap, as R's do at ``options("width")``
        (default: the terminal's width; elsewhere they do not wrap). ``short`` leaves out draws and footer."""
        digits = self.digits if digits is None else digits
        width = shutil.get_terminal_size((100_000, 24)).columns if width is None else width
        parts = ["\n".join(_heading_lines(self.heading, self.total_draws, short)) + "\n"]
        if self.priors:
            parts.append("Priors:\n" + "\n".join(self.priors) + "\n")
        for title, tables in _sections(self):
            parts.append(f"{title}:\n" + "\n".join(_text_table(*table, digits, width) for table in tables))
        if not short:
            parts.append(self.heading.footer + "\n")
        return "\n".join(parts).rstrip("\n")

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        head = html.escape("\n".join(_heading_lines(self.heading, self.total_draws, short=False)))
        parts = [f"<pre>{head}</pre>"]
        if self.priors:
            parts.append("<h4>Priors</h4><pre>" + html.escape("\n".join(self.priors)) + "</pre>")
        for title, tables in _sections(self):
            parts.append(f"<h4>{title}</h4>")
            parts.extend(_html_table(caption, table, self.digits) for caption, table in tables)
        parts.append(f"<p><small>{html.escape(self.heading.footer)}</small></p>")
        return "<div>" + "\n".join(parts) + "</div>"


def summarise(
    fit: BayesFit, prob: float = 0.95, robust: bool = False, mc_se: bool = False, priors: bool = False
) -> Summary:
    """The summary of a fit; arguments as brms's ``summary()``. ``priors=True`` lists the priors as well."""
    lines = prior_lines(fit.prior_summary(all=False)) if priors else []
    return summarise_tree(fit.idata, heading_of(fit), prob=prob, robust=robust, mc_se=mc_se, priors=lines)


def heading_of(fit: BayesFit) -> Heading:
    """What stands above the tables of a fit's summary."""
    predicted = [p.parameter for p in fit.spec.structure.predictors]
    settings, record = fit.settings, fit.approximation
    heading = Heading(
        family=fit.family.name,
        links=tuple((parameter, fit.family.link(parameter)) for parameter in predicted),
        formula=tuple(line.strip() for line in str(fit.formula).splitlines()),
        data_name=fit.data_name,
        n_observations=fit.nobs,
        levels=fit.ngrps(),
        chains=fit.nchains,
        iterations=settings.iterations,
        warmup=settings.warmup,
        thin=settings.thin,
    )
    if record is not None:
        heading = replace(heading, sampler=record.label, verdict=record.verdict)
    if not has_chains(fit.idata):  # as Stan counts the draws of an approximation
        heading = replace(heading, iterations=fit.ndraws, warmup=0, thin=1)
    return heading


def summarise_tree(
    tree: xr.DataTree,
    heading: Heading,
    *,
    prob: float = 0.95,
    robust: bool = False,
    mc_se: bool = False,
    priors: Sequence[str] = (),
    digits: int = 2,
) -> Summary:
    """The summary of the draws in ``tree``.

    ``prob``: width of the central intervals. ``robust``: median and MAD instead of mean and sd. ``mc_se``: a
    column MCSE, the Monte Carlo standard error of the estimate. ``priors``: lines to show (`prior_lines`).
    """
    names = flat_names(tree, (*FIXED_KINDS, "sd", "cor", "dpar", "response_cor"))
    table = _summary_table(tree, names, prob, robust, mc_se)

    def rows(chosen: dict[str, str]) -> pd.DataFrame:
        return table.loc[list(chosen)].set_axis(list(chosen.values()), axis=0)

    fixed = {n: coefficient_name(place) for n, place in names.items() if place.kind in FIXED_KINDS}
    groups = dict.fromkeys(place.factor for place in names.values() if place.kind in ("sd", "cor"))
    random = {group: rows(_group_rows(tree, names, group)) for group in groups}
    spec_pars = {n: n for n, place in names.items() if place.kind == "dpar"}
    pairs = {n: place for n, place in names.items() if place.kind == "response_cor"}
    spec_pars |= {n: f"{p.variable}({','.join(p.label[0].split('__'))})" for n, p in pairs.items()}
    sizes = tree["posterior"].dataset.sizes
    total = sizes["chain"] * sizes["draw"]
    return Summary(heading, total, rows(fixed), random, rows(spec_pars), tuple(priors), digits)


def prior_lines(priors: pd.DataFrame) -> list[str]:
    """Non-flat rows of a prior table (brms's columns) as brms's summary writes them: ``<lower=0> sd ~
    ...``."""
    lines = []
    for row in priors.to_dict("records"):
        prior, cells = _cell(row, "prior"), {str(name): _cell(row, str(name)) for name in row}
        if prior in ("", "(flat)", "(vectorized)"):
            continue
        inner = [cells.get(name, "") for name in ("resp", "dpar", "nlpar", "coef")]
        middle = [cells.get("group", ""), *inner]
        name = "_".join(part for part in (cells.get("class", ""), *middle) if part)
        if cells.get("group") and any(inner):
            # brms doubles the underscore after a group that is followed by a coefficient: sd_id__Intercept
            name = f"{cells.get('class', '')}_{cells['group']}__" + "_".join(part for part in inner if part)
        bounds = ",".join(
            f"{side}={cells[key]}" for side, key in (("lower", "lb"), ("upper", "ub")) if cells.get(key)
        )
        lines.append((f"<{bounds}> " if bounds else "") + (f"{name} ~ " if name else "") + prior)
    return lines


def _cell(row: Mapping[object, object], name: str) -> str:
    value = row.get(name, "")
    return "" if value is None or value != value else str(value)


def _summary_table(
    tree: xr.DataTree, names: dict[str, FlatName], prob: float, robust: bool, mc_se: bool
) -> pd.DataFrame:
    import pandas as pd

    draws = gather(tree, list(names.values()))
    estimate, error, low, high = summarise_draws(draws, quantile_levels(prob), robust).T
    columns = {"Estimate": estimate}
    if mc_se:
        columns["MCSE"] = mcse_quantile(draws, 0.5) if robust else mcse_mean(draws)
    width = f"{100 * prob:.15g}% CI"
    columns |= {"Est.Error": error, f"l-{width}": low, f"u-{width}": high}
    if has_chains(tree):
        found = convergence(draws)
        columns |= {"Rhat": found.rhat, "Bulk_ESS": found.ess_bulk, "Tail_ESS": found.ess_tail}
    return pd.DataFrame(columns, index=list(names))


def _group_rows(tree: xr.DataTree, names: dict[str, FlatName], group: str) -> dict[str, str]:
    pairs = split_pairs(tree, group)
    rows = {}
    for name, place in names.items():
        if place.factor == group and place.kind == "sd":
            rows[name] = f"sd({coefficient_name(place)})"
        elif place.factor == group and place.kind == "cor":
            rows[name] = f"cor({','.join(pairs[place.label[0]])})"
    return rows


def _heading_lines(heading: Heading, total_draws: int, short: bool) -> list[str]:
    links = "; ".join(f"{parameter} = {link}" for parameter, link in heading.links)
    first, *others = heading.formula
    lines = [
        f" Family: {heading.family} ",
        f"  Links: {links} ",
        f"Formula: {first} ",
        *(f"         {line}" for line in others),
        f"   Data: {heading.data_name} (Number of observations: {heading.n_observations}) ",
    ]
    if not short:
        lines += [
            f"  Draws: {heading.chains} chains, each with iter = {heading.iterations}; "
            f"warmup = {heading.warmup}; thin = {heading.thin};",
            f"         total post-warmup draws = {total_draws}",
        ]
    return lines


def _sections(summary: Summary) -> list[tuple[str, list[tuple[str, pd.DataFrame]]]]:
    """(title, [(caption, table), ...]) of each section that has rows."""
    levels = summary.heading.levels
    random = [
        (f"~{group} (Number of levels: {levels[group]}) " if group in levels else f"~{group} ", table)
        for group, table in summary.random.items()
    ]
    sections = [
        ("Multilevel Hyperparameters", random),
        ("Regression Coefficients", [("", summary.fixed)]),
        ("Further Distributional Parameters", [("", summary.spec_pars)]),
    ]
    return [(title, tables) for title, tables in sections if any(len(table) for _, table in tables)]


def _text_table(caption: str, table: pd.DataFrame, digits: int, width: int) -> str:
    lines = [caption] if caption else []
    return "\n".join([*lines, *r_matrix(list(table.index), _cells(table, digits), width)]) + "\n"


def _cells(table: pd.DataFrame, digits: int) -> dict[str, list[str]]:
    """Column by column, the numbers as ``sprintf`` writes them; effective sample sizes without decimals."""
    return {
        str(column): [_number(x, 0 if column in _WHOLE_NUMBERS else digits) for x in table[column]]
        for column in table.columns
    }


def _number(value: float, digits: int) -> str:
    return "NA" if math.isnan(value) else f"{value:.{digits}f}"


def r_matrix(names: Sequence[str], columns: Mapping[str, Sequence[str]], width: int = 80) -> list[str]:
    """Lines of a character matrix as R prints it: right-aligned columns, wrapped in blocks at ``width``."""
    margin = max((len(name) for name in names), default=0)
    lines: list[str] = []
    block: list[str] = []
    room = 0
    for title, cells in columns.items():
        wide = max(len(title), *(len(cell) for cell in cells)) if cells else len(title)
        if not block or room < wide + 1:
            lines += block
            block, room = [" " * margin, *(name.ljust(margin) for name in names)], width - margin
        block = [f"{line} {cell:>{wide}}" for line, cell in zip(block, (title, *cells), strict=True)]
        room -= wide + 1
    return lines + block


def _html_table(caption: str, table: pd.DataFrame, digits: int) -> str:
    cells = _cells(table, digits)
    head = "".join(f"<th>{html.escape(column)}</th>" for column in cells)
    rows = np.array(list(cells.values()), dtype=object).T
    body = "".join(
        f"<tr><th>{html.escape(str(name))}</th>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        for name, row in zip(table.index, rows, strict=True)
    )
    title = f"<caption>{html.escape(caption.strip())}</caption>" if caption else ""
    return f"<table>{title}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
