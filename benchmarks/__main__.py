"""``python -m benchmarks [lmer] [glmer] [bayes] [--quick] [--huge]``: run, print the tables, write benchmarks/results/.

Peers that are not installed are left out, and named. What is measured, and how: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import cases, machine, plots, report
from .run import Settings, missing_peers, run

RESULTS = Path(__file__).parent / "results"
PARTS = {"lmer": cases.lmer_cases, "glmer": cases.glmer_cases, "bayes": cases.bayes_cases}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = parse(arguments)
    for part in options.parts or list(PARTS):
        measure(part, options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    parser.add_argument("--quick", action="store_true", help="the smallest models, one turn each")
    parser.add_argument("--huge", action="store_true", help="also 10^7 rows (bayes; needs about 24 GiB)")
    parser.add_argument("--cases", nargs="*", help="only the cases of these names")
    parser.add_argument("--rounds", type=int, help="turns of each peer (bayes: 3, others: 4)")
    parser.add_argument("--threads", type=int, default=1, help="threads of BLAS, for all peers alike (1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    return parser.parse_args(arguments)


def measure(part: str, options: argparse.Namespace) -> None:
    """One part: run, compare, write."""
    chosen = PARTS[part]()
    if options.huge and part == "bayes":
        chosen.append(cases.huge_case())
    if options.quick:
        chosen = [case for case in chosen if case.quick]
    if options.cases is not None:
        chosen = [case for case in chosen if case.name in options.cases]
    records = run(chosen, settings(part, options))
    if not records:
        print(f"{part}: nothing to measure.")
        return
    about = machine.describe(records, options.threads)
    print(report.write(part, records, about, missing_peers(part), options.results))
    if any(record.case.sweep for record in records):
        plots.draw(part, records, options.results / f"{part}.png")


def settings(part: str, options: argparse.Namespace) -> Settings:
    """How often everybody is asked. Ten seconds of fits are enough to see the best one of a mixed model."""
    turns, budget = (3, 600.0) if part == "bayes" else (4, 10.0)
    return Settings(1 if options.quick else options.rounds or turns, budget, threads=options.threads)


if __name__ == "__main__":
    main()
