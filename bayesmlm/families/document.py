"""The table of families as Markdown, for the documentation (a test holds ``docs/families.md`` equal to it)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .base import DistributionalParameter, Family
from .registry import FAMILIES

__all__ = ["families_table_markdown", "parameters_table_markdown"]


RESPONSES = {
    "binary": "two distinct values",
    "category": "categories: a factor, text, whole numbers or TRUE/FALSE",
    "ordinal": "ordered categories: an ordered factor or whole numbers",
}
"""What responses of families are that are no plain numbers, by `Family.response`."""


def families_table_markdown() -> str:
    """One row for each family: distribution, response, links of mu (default first)."""
    heading = ("family", "distribution", "response", "links of mu")
    return _table(heading, (_family_row(record) for record in FAMILIES.values()))


def parameters_table_markdown() -> str:
    """One row for each distributional parameter other than mu: bounds, links, default prior."""
    parameters = dict.fromkeys(p for record in FAMILIES.values() for p in record.parameters if p.name != "mu")
    heading = ("parameter", "families", "bounds", "links when predicted", "default prior")
    return _table(heading, (_parameter_row(p) for p in parameters))


def _family_row(record: Family) -> tuple[str, ...]:
    needs = "".join(f"; needs `{name}()`" for name in sorted(record.required_additions))
    response = RESPONSES.get(record.response) or record.support.describe()
    return (
        f"`{record.name}`",
        record.description,
        response + needs,
        _code(record.parameter("mu").links),
    )


def _parameter_row(p: DistributionalParameter) -> tuple[str, ...]:
    families = [record.name for record in FAMILIES.values() if p in record.parameters]
    prior = "`student_t(3, 0, S)`" if p.default_prior == "scale" else f"`{p.default_prior}`"
    return f"`{p.name}`", _code(families), _bounds(p), _code(p.links), prior


def _bounds(p: DistributionalParameter) -> str:
    if p.lower is None:
        return "none"
    if p.below_response:
        return f"from {p.lower:g} to the smallest response"
    return f"greater than {p.lower:g}" if p.upper is None else f"from {p.lower:g} to {p.upper:g}"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
