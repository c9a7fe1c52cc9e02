"""A table of models as plain text, HTML and LaTeX."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TableRow", "as_html", "as_latex", "as_text"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "×": r"$\times$",
    "−": r"$-$",
    "`": r"\textasciigrave{}",
}
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


@dataclass(frozen=True)
class TableRow:
    """``part``: "estimates" or "gof"; ``term``: what the row is about; ``statistic``: what the cells show, "" for
    nothing; ``label``: what stands at the left, once for each term."""

    part: str
    term: str
    statistic: str
    cells: tuple[str, ...]
    label: str


def as_text(names: Sequence[str], rows: Sequence[TableRow], notes: Sequence[str]) -> str:
    """Labels to the left, numbers to the right, rules between the parts."""
    margin = max(len(row.label) for row in rows) if rows else 0
    widths = [max([len(name), *(len(row.cells[j]) for row in rows)]) for j, name in enumerate(names)]
    rule = "-" * (margin + sum(width + 2 for width in widths))
    head = " " * margin + "".join(f"  {name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [head.rstrip(), rule]
    for place, row in enumerate(rows):
        if place and row.part != rows[place - 1].part:
            lines.append(rule)
        cells = "".join(f"  {cell:>{width}}" for cell, width in zip(row.cells, widths, strict=True))
        lines.append((row.label.ljust(margin) + cells).rstrip())
    return "\n".join([*lines, rule, *notes])


def as_html(names: Sequence[str], rows: Sequence[TableRow], notes: Sequence[str], title: str = "") -> str:
    """One table element; every text is escaped, and negative numbers have a minus sign."""

    def cell(text: str) -> str:
        return html.escape(_MINUS.sub("−", text))

    right = ' style="text-align:right"'
    head = "".join(f'<th scope="col"{right}>{html.escape(name)}</th>' for name in names)
    body = []
    for place, row in enumerate(rows):
        first_of_part = place > 0 and row.part != rows[place - 1].part
        line = ' style="border-top:1px solid"' if first_of_part else ""
        label = f'<th scope="row" style="text-align:left">{html.escape(row.label)}</th>'
        body.append(f"<tr{line}>{label}" + "".join(f"<td{right}>{cell(c)}</td>" for c in row.cells) + "</tr>")
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    span = len(names) + 1
    foot = "".join(f'<tr><td colspan="{span}"><small>{html.escape(note)}</small></td></tr>' for note in notes)
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    return (
        f'<table class="bayesmlm-models" style="border-collapse:collapse">{caption}'
        f"<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + f"\n</tbody>{foot}</table>"
    )


def as_latex(names: Sequence[str], rows: Sequence[TableRow], notes: Sequence[str], title: str = "") -> str:
    """A table environment with rules of the package booktabs; every text is escaped."""
    lines = [r"\begin{table}", r"\centering"]
    if title:
        lines.append(rf"\caption{{{_latex(title)}}}")
    lines += [rf"\begin{{tabular}}{{l{'r' * len(names)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(_latex, names)]) + r" \\", r"\midrule"]
    for place, row in enumerate(rows):
        if place and row.part != rows[place - 1].part:
            lines.append(r"\midrule")
        lines.append(" & ".join([_latex(row.label), *(_latex_cell(cell) for cell in row.cells)]) + r" \\")
    lines.append(r"\bottomrule")
    for note in notes:
        lines.append(rf"\multicolumn{{{len(names) + 1}}}{{l}}{{\footnotesize {_latex(note)}}} \\")
    return "\n".join([*lines, r"\end{tabular}", r"\end{table}"])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_cell(cell: str) -> str:
    # A cell that starts with [ would be read as the optional argument of \\ in the row above.
    text = _latex(_MINUS.sub("−", cell))
    return f"{{}}{text}" if text.startswith("[") else text
