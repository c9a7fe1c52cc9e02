"""Records to a CSV file and a Markdown table."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from .answers import mistakes
from .run import Record

OURS = "bayesmlm"
LMER_WORDS = (
    "Seconds of the fastest fit in a warm process, and in brackets bayesmlm's seconds divided by them: below 1, "
    "bayesmlm is faster. Criterion and coefficients are compared with lme4's in the same run; † marks a wrong answer."
)
GLMER_WORDS = (
    "Seconds of the fastest fit in a warm process, and in brackets bayesmlm's seconds divided by them: below 1, "
    "bayesmlm is faster. -2 log likelihood and coefficients are compared with R's in the same run; † marks a wrong "
    "answer."
)
BAYES_WORDS = (
    "4 chains, 1000 warm-up iterations and 1000 draws each. *Fresh*: from the start of a process, nothing compiled "
    "before, to the summary; *fresh again*: a later process, with the compiled programs of the first on disk. "
    "*Sampling*: the sampling call as a user sees it, compilation excluded where the tool can compile before "
    "(not for bambi with PyMC or numpyro); median. *ESS*: the smallest bulk effective sample size of the reported "
    "parameters; *by clock*: per second that the sampler itself reports. *Times*: bayesmlm's ESS per second divided by "
    "this one's. Posterior means are compared with brms's in the same run; † marks a wrong answer."
)

ABOUT = {
    "lmer": ("Linear mixed models, REML", LMER_WORDS),
    "glmer": ("Generalised mixed models, Laplace's approximation", GLMER_WORDS),
    "bayes": ("Bayesian models, NUTS", BAYES_WORDS),
}
"""Title and words of each part."""


def write(part: str, records: list[Record], machine: list[str], missing: dict[str, str], folder: Path) -> str:
    """``<part>.csv`` and ``<part>.md`` in a folder; the Markdown is returned too."""
    folder.mkdir(exist_ok=True)
    rows = [row(record, wrong) for record, wrong in judged(records)]
    with open(folder / f"{part}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = markdown(part, records, machine, missing)
    (folder / f"{part}.md").write_text(text, encoding="utf-8")
    return text


def judged(records: list[Record]) -> list[tuple[Record, str]]:
    """Records with what is wrong with their answers ("" if nothing)."""
    found = [(record, mistakes(case)) for case in by_case(records) for record in case]
    return [(record, wrong.get(record.peer, "")) for record, wrong in found]


def by_case(records: Iterable[Record]) -> list[list[Record]]:
    """Records of each case; those of one case follow one another."""
    return [list(case) for _, case in groupby(records, key=lambda record: record.case.name)]


def row(record: Record, wrong: str) -> dict[str, object]:
    """The line of a record in the CSV file; empty where there is no number."""
    ess, median = record.middle("ess"), record.median
    peaks = [a["peak_mb"] for a in record.answers if a.get("peak_mb") is not None]
    numbers = {
        "seconds_best": record.best,
        "seconds_median": median,
        "fresh_process": record.first,
        "fresh_process_again": record.first_again,
        "criterion": record.answers[-1].get("criterion") if record.answers else None,
        "ess": ess,
        "ess_per_second": rate(record),
        "ess_per_second_by_clock": clock_rate(record),
        "peak_mb": max(peaks, default=None),
        "data_mb": record.data_mb,
    }
    shown = {name: "" if value is None else f"{value:.10g}" for name, value in numbers.items()}
    about = {"case": record.case.name, "peer": record.peer, "rows": record.rows, "levels": record.levels}
    return about | {"fits": len(record.seconds)} | shown | {"wrong": wrong, "status": record.status}


def rate(record: Record) -> float | None:
    """Effective draws per second of the sampling call."""
    ess = record.middle("ess")
    return None if ess is None or record.median is None else ess / record.median


def clock_rate(record: Record) -> float | None:
    """Effective draws per second that the sampler itself reports."""
    ess, clock = record.middle("ess"), record.middle("clock")
    return None if ess is None or clock is None else ess / clock


def markdown(part: str, records: list[Record], machine: list[str], missing: dict[str, str]) -> str:
    """The whole report of one part."""
    body = bayes_tables(records) if part == "bayes" else lmer_tables(records)
    wrong = [f"- † {r.case.name}, {r.peer}: {words}." for r, words in judged(records) if words]
    absent = [f"- {peer} was not measured: {why}." for peer, why in missing.items()]
    title, words = ABOUT[part]
    swept = any(record.case.sweep for record in records)
    picture = f"![Cost against rows and groups]({part}.png)" if swept else ""
    lines = [f"# {title}", "", *machine, "", words, "", *body, "", *wrong, *absent, "", picture]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def lmer_tables(records: list[Record]) -> list[str]:
    """One row for each case, one column for each peer; then peak memory."""
    peers = list(dict.fromkeys(record.peer for record in records))
    body = []
    for case in by_case(records):
        wrong, found = mistakes(case), {record.peer: record for record in case}
        ours = found[OURS].best if OURS in found else None
        cells = [seconds_cell(found.get(peer), ours, peer in wrong) for peer in peers]
        body.append([case[0].case.name, f"{case[0].rows}", f"{case[0].levels}", *cells])
    lines = table(["model", "rows", "levels", *peers], body)
    memory = [
        [
            r.case.name,
            r.peer,
            f"{r.data_mb:.0f}",
            peak(r),
            "" if peak(r) == "" else f"{float(peak(r)) / r.data_mb:.2g}",
        ]
        for r in records
        if r.case.memory and not r.status
    ]
    if memory:
        lines += ["", *table(["model", "", "data (MB)", "peak beyond them (MB)", "peak / data"], memory)]
    return lines


def peak(record: Record) -> str:
    """The largest memory of any fit."""
    peaks = [a["peak_mb"] for a in record.answers if a.get("peak_mb") is not None]
    return f"{max(peaks):.0f}" if peaks else ""


def seconds_cell(record: Record | None, ours: float | None, wrong: bool) -> str:
    """``5.04 (0.12)``; why there is no number; nothing if the peer was not asked."""
    if record is None:
        return ""
    if record.best is None:
        return record.status.partition(":")[0]
    ratio = f" ({ours / record.best:.2g})" if ours is not None and record.peer != OURS else ""
    return f"{record.best:.3g}{ratio}{' †' if wrong else ''}"


def bayes_tables(records: list[Record]) -> list[str]:
    """A table for the models that peers fit too, and one for the growth with rows and groups."""
    compared = [r for r in records if r.case.sweep is None and not r.case.memory]
    lines = []
    if compared:
        head = [
            "model",
            "",
            "fresh (s)",
            "fresh again (s)",
            "sampling (s)",
            "ESS",
            "ESS/s",
            "by clock",
            "times",
        ]
        body = [line for case in by_case(compared) for line in bayes_lines(case)]
        lines += table(head, body)
    grown = [r for r in records if r.case.sweep is not None]
    if grown:
        head = ["rows", "groups", "", "sampling (s)", "of it by clock (s)", "ESS/s"]
        body = [
            [
                f"{r.rows}",
                f"{r.levels}",
                r.peer,
                cell(r.median) or r.status,
                *map(cell, [r.middle("clock"), rate(r)]),
            ]
            for r in grown
        ]
        lines += ["", *table(head, body)]
    for record in records:
        if record.case.memory and record.answers:
            parts = record.answers[-1].get("after", {})
            after = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in parts.items())
            lines += [
                "",
                f"{record.case.name}: sampling {cell(record.median)} s, {after}, peak {peak(record)} MB.",
            ]
    return lines


def bayes_lines(case: list[Record]) -> list[list[str]]:
    """Rows of one model."""
    wrong = mistakes(case)
    ours = next((rate(r) for r in case if r.peer == OURS), None)
    lines = []
    for r in case:
        theirs = rate(r)
        times = f"{ours / theirs:.3g}" if ours and theirs and r.peer != OURS else ""
        name = r.peer + (" †" if r.peer in wrong else "")
        sampling = cell(r.median) or r.status.partition(":")[0]
        numbers = [r.first, r.first_again]
        after = [r.middle("ess"), theirs, clock_rate(r)]
        lines.append([r.case.name, name, *map(cell, numbers), sampling, *map(cell, after), times])
    return lines


def cell(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def table(head: list[str], body: list[list[str]]) -> list[str]:
    """Markdown."""
    rule = ["---"] * len(head)
    return ["| " + " | ".join(line) + " |" for line in [head, rule, *body]]
