"""The design: formula and data as named arrays, and what it takes to code new data the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.model_frame import complete_rows
from ..errors import DataError, FormulaError
from ..families.base import Family
from ..formula import BayesFormula, Formula
from ..formula.evaluate import TransformState
from ..formula.nodes import Name, Node
from ..formula.predictor import Predictor
from ..formula.walk import variables
from ..terms.group import GroupColumns, NewLevels
from ..terms.population import PopulationDesign, report_rank
from .blocks import GroupBlock, Slot, make_blocks
from .response import ResponseDesign, additions, numeric_column

__all__ = ["Design", "PredictorDesign", "ResponseDesign", "build_design"]

Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class PredictorDesign:
    """The right-hand side of one distributional parameter.

    ``population`` codes the population-level columns; when ``centred``, its intercept column is a parameter of
    its own and the other columns are centred at ``means`` (brms: the prior sits on the centred intercept).
    """

    parameter: str
    link: str
    predictor: Predictor
    population: PopulationDesign
    centred: bool
    means: NDArray[np.float64]
    offset: NDArray[np.float64] | None
    groups: tuple[GroupColumns, ...]
    slots: tuple[Slot, ...]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the class-b coefficients (without the centred intercept)."""
        return self.population.names[1:] if self.centred else self.population.names

    def columns(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, n): what the coefficients multiply, of a model matrix coded by ``population``."""
        return np.ascontiguousarray((matrix[:, 1:] - self.means if self.centred else matrix).T)


@dataclass(frozen=True, repr=False, eq=False)
class Design:
    """Everything the model knows about its data.

    ``frame`` holds the rows used (complete cases), ``variables`` names its columns that the formula uses;
    ``rows_dropped``: how many other rows there were; ``messages``: what the user should know (constant columns).
    """

    formula: BayesFormula
    family: Family
    frame: Frame
    response: ResponseDesign
    predictors: Mapping[str, PredictorDesign]
    blocks: tuple[GroupBlock, ...]
    fixed: Mapping[str, float]
    state: TransformState
    functions: Functions
    variables: tuple[str, ...] = ()
    rows_dropped: int = 0
    messages: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of rows used."""
        return len(self.response.values)

    def __repr__(self) -> str:
        lines = [f"Design of {self.formula.main}: {self.n} rows"]
        for name, p in self.predictors.items():
            lines.append(f"  {name} ({p.link}): {', '.join(p.population.names) or 'no population effects'}")
        for block in self.blocks:
            labels = ", ".join(column.label for column in block.columns)
            lines.append(f"  {block.group}: {len(block.levels)} levels x ({labels})")
        return "\n".join(lines)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Distributional parameters that are neither predicted nor fixed."""
        return tuple(
            p.name
            for p in self.family.parameters
            if p.name not in self.predictors and p.name not in self.fixed
        )

    def arrays(self) -> dict[str, Any]:
        """The numeric design as a nested dict of arrays: what `Structure.linear_predictors` reads.

        Rows are the last axis of every array: so XLA's products run along memory, a few times faster on a CPU.
        """
        predictors = {
            name: _predictor_arrays(p, p.population.matrix, p.offset, [g.Z for g in p.groups])
            for name, p in self.predictors.items()
        }
        codes = {block.site: block.codes for block in self.blocks}
        return {"predictors": predictors, "codes": codes, "extra": dict(self.response.extra)}

    def new_arrays(
        self,
        frame: Frame,
        include: Callable[[str, str, str], bool] = lambda group, parameter, coefficient: True,
        allow_new_levels: bool = False,
    ) -> tuple[dict[str, Any], dict[str, NewLevels]]:
        """The design of new data, coded from stored state; and, for each block, its new levels.

        ``include(group, parameter, coefficient)`` says which group effects take part (``re_formula``); the others
        get zero columns and their grouping variables need not be in the data.
        """
        state = self.state.frozen()
        predictors: dict[str, Any] = {}
        codes: dict[str, NDArray[np.int32]] = {}
        new_levels: dict[str, NewLevels] = {}
        for name, p in self.predictors.items():
            z = []
            for part, slot in zip(p.groups, p.slots, strict=True):
                kept = np.array([include(part.group, name, c) for c in part.names])
                block = self.blocks[slot.block]
                if not kept.any():
                    z.append(np.zeros((frame.n_rows, len(part.names))))
                    codes.setdefault(block.site, np.zeros(frame.n_rows, dtype=np.int32))
                    continue
                codes[block.site], new_levels[block.site] = part.new_codes(frame, allow_new_levels)
                z.append(part.effects.new_data(frame) * kept)
            offset = _offset(p.predictor, frame, state, self.functions)
            predictors[name] = _predictor_arrays(p, p.population.new_data(frame), offset, z)
        return {"predictors": predictors, "codes": codes, "extra": self.new_extra(frame)}, new_levels

    def new_extra(self, frame: Frame) -> dict[str, NDArray[np.float64]]:
        """What the response additions supply for new data (``trials``), weights excluded."""
        return additions(self.formula.main, self.response.extra, frame, self.state.frozen(), self.functions)

    def new_response(self, frame: Frame) -> dict[str, NDArray[np.float64]]:
        """The coded response of new data as ``y``, and ``weights`` if the model has them; see `ResponseDesign`."""
        state = self.state.frozen()
        return self.response.new_arrays(self.formula.main, self.family, frame, state, self.functions)


def build_design(
    formula: BayesFormula,
    family: Family,
    frame: Frame,
    *,
    functions: Functions | None = None,
    contrasts: Mapping[str, Any] | None = None,
    drop_unused_levels: bool = True,
) -> Design:
    """Formula and data to arrays. Raises `FormulaError` or `DataError`, before anything is compiled."""
    functions, contrasts = dict(functions or {}), dict(contrasts or {})
    for name in contrasts:
        frame[name]  # raises for a column that is not there
    _check_parameters(formula, family)
    predictors = formula.predictors(frame.names)
    fixed = _fixed_parameters(formula, family)
    used = used_variables([*_nodes(formula.main), *_predictor_nodes(predictors.values())], frame.names)
    keep, dropped = complete_rows(frame, used)
    if not keep.any():
        raise DataError(
            "no row is complete: every row has a missing value in one of " + ", ".join(f"`{v}`" for v in used)
        )
    messages = []
    if dropped:
        messages.append(f"{dropped} of {frame.n_rows} rows contain missing values and were left out.")
        frame = frame.take(keep)
    if drop_unused_levels:
        frame, unused = frame.drop_unused_levels(used)
        messages += [
            f"unused levels of `{v}` were dropped: {', '.join(names)}" for v, names in unused.items()
        ]
    state = TransformState()
    response = ResponseDesign.build(formula.main, family, frame, state, functions)
    order = [p.name for p in family.parameters if p.name in predictors]
    parts: list[tuple[str, GroupColumns]] = []
    for name in order:
        terms = sorted(predictors[name].group_terms, key=lambda t: t.grouping.label)
        parts += [(name, GroupColumns.build(t, frame, state, functions, contrasts)) for t in terms]
    _refuse_duplicates(parts)
    blocks, slots = make_blocks(parts)
    designs = {}
    for name in order:
        cell_means = formula.flag(name, "cmc") is not False
        population = PopulationDesign.build(
            predictors[name], frame, state, functions, contrasts, cell_means=cell_means
        )
        own = [(part, slot) for (p, part), slot in zip(parts, slots, strict=True) if p == name]
        center = formula.flag(name, "center") is not False
        centred = center and predictors[name].intercept and not predictors[name].explicit_intercept
        means = population.matrix[:, 1:].mean(axis=0) if centred else np.zeros(0)
        offset = _offset(predictors[name], frame, state, functions)
        groups, places = tuple(g for g, _ in own), tuple(s for _, s in own)
        designs[name] = PredictorDesign(
            name, family.link(name), predictors[name], population, centred, means, offset, groups, places
        )
        messages += [f"{'' if name == 'mu' else name + ': '}{m}" for m in report_rank(population)]
    return Design(
        formula,
        family,
        frame.select(used),
        response,
        designs,
        blocks,
        fixed,
        state,
        functions,
        used,
        dropped,
        tuple(messages),
    )


def used_variables(nodes: list[Node], columns: tuple[str, ...]) -> tuple[str, ...]:
    """The data columns that the given pieces of formula name, in order of appearance."""
    known = set(columns)
    return tuple(name for name in variables(*nodes) if name in known)


def _nodes(formula: Formula) -> list[Node]:
    return [*([] if formula.response is None else [formula.response]), *formula.additions]


def _predictor_nodes(predictors: Iterable[Predictor]) -> list[Node]:
    nodes: list[Node] = []
    for p in predictors:
        nodes += [factor for term in p.terms for factor in term.factors]
        nodes += list(p.offsets)
        for group in p.group_terms:
            nodes += _predictor_nodes([group.effects])
            nodes += [Name(v) for v in group.grouping.variables]
            nodes += [] if group.grouping.by is None else [Name(group.grouping.by)]
    return nodes


def _predictor_arrays(
    p: PredictorDesign,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64] | None,
    Z: list[NDArray[np.float64]],
) -> dict[str, Any]:
    arrays: dict[str, Any] = {"X": p.columns(matrix), "Z": tuple(np.ascontiguousarray(z.T) for z in Z)}
    if offset is not None:
        arrays["offset"] = offset
    return arrays


def _offset(
    predictor: Predictor, frame: Frame, state: TransformState, functions: Functions
) -> NDArray[np.float64] | None:
    if not predictor.offsets:
        return None
    columns = [
        numeric_column(node, frame, state, functions, predictor.source, "an offset")
        for node in predictor.offsets
    ]
    return np.sum(columns, axis=0)


def _check_parameters(formula: BayesFormula, family: Family) -> None:
    known = {p.name for p in family.parameters}
    for name in [*formula.parameters, *formula.fixed]:
        if name not in known:
            raise FormulaError(
                f"`{name}` is not a parameter of the family `{family.name}`; it has {', '.join(sorted(known))}"
            )


def _fixed_parameters(formula: BayesFormula, family: Family) -> dict[str, float]:
    fixed: dict[str, float] = {}
    for name, value in formula.fixed.items():
        if isinstance(value, str):
            raise FormulaError(
                f"setting `{name}` equal to `{value}` is for mixtures, which are not available yet"
            )
        parameter = next((p for p in family.parameters if p.name == name), None)
        if parameter is not None:
            low = -np.inf if parameter.lower is None else parameter.lower
            high = np.inf if parameter.upper is None else parameter.upper
            if not low < value < high:
                raise FormulaError(
                    f"`{name} = {value:g}` is outside the bounds of `{name}`, ({low:g}, {high:g})"
                )
        fixed[name] = float(value)
    return fixed


def _refuse_duplicates(parts: list[tuple[str, GroupColumns]]) -> None:
    seen: set[tuple[str, str, str]] = set()
    for parameter, part in parts:
        for name in part.names:
            if (part.group, parameter, name) in seen:
                raise FormulaError(
                    "Duplicated group-level effects are not allowed: "
                    f"the effect `{name}` of the group `{part.group}` appears twice",
                    part.term.effects.source or None,
                    part.term.span,
                )
            seen.add((part.group, parameter, name))
