"""The design: formula and data as named arrays, and what it takes to code new data the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.model_frame import check_finite, complete_rows
from ..errors import DataError, FormulaError
from ..families.base import Family
from ..families.ordinal_response import first_category
from ..formula import BayesFormula, Formula
from ..formula.evaluate import TransformState
from ..formula.nodes import Name, Node
from ..formula.predictor import Predictor
from ..formula.walk import variables
from ..terms.group import GroupColumns, NewLevels
from ..terms.population import PopulationDesign, report_rank
from .additions import may_be_missing, numeric_column, subset_rows
from .blocks import GroupBlock, Slot, make_blocks
from .parameter_checks import (
    check_order,
    check_parameters,
    fixed_parameters,
    refuse_missing_intercept,
    tied_parameters,
)
from .parts import Part, make_parts
from .parts.threshold_groups import ordinal_categories
from .parts.thresholds import centres_thresholds
from .response import ResponseDesign

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

    thresholds: bool = False
    """Whether thresholds stand in the place of its intercept (ordinal responses)."""

    @property
    def has_intercept(self) -> bool:
        """Whether a centred intercept is a parameter of its own."""
        return self.centred and not self.thresholds

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
    parts: tuple[Part, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are equal to another one (``sigma2 = "sigma1"``), with its name."""

    @property
    def n(self) -> int:
        """Number of rows used."""
        return int(self.response.values.shape[-1])

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
            if not (p.name in self.predictors or p.name in self.fixed or p.name in self.tied)
            and not (p.name in self.family.main or p.supplied)
        )

    @property
    def ordered(self) -> tuple[str, ...]:
        """The parameters whose intercepts are in increasing order, which identifies the components of a mixture."""
        return self.family.main if self.family.options.get("order") == "mu" else ()

    def arrays(self) -> dict[str, Any]:
        """The numeric design as a nested dict of arrays: what `Structure.linear_predictors` reads.

        Rows are the last axis of every array: so XLA's products run along memory, a few times faster on a CPU.
        """
        predictors = {
            name: _predictor_arrays(p, p.population.matrix, p.offset, [g.Z for g in p.groups])
            for name, p in self.predictors.items()
        }
        codes = {block.site: block.codes for block in self.blocks}
        parts = {part.name: dict(part.arrays()) for part in self.parts}
        return {"predictors": predictors, "codes": codes, "extra": dict(self.response.extra), "parts": parts}

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
        parts = {part.name: dict(part.new_arrays(self, frame)) for part in self.parts}
        extra = self.new_extra(frame)
        return {"predictors": predictors, "codes": codes, "extra": extra, "parts": parts}, new_levels

    def new_extra(self, frame: Frame) -> dict[str, NDArray[np.float64]]:
        """What the response additions supply for predictions of new data (``trials``, bounds of truncation)."""
        state = self.state.frozen()
        return self.response.new_extra(self.formula.main, self.family, frame, state, self.functions)

    def new_rows(self, frame: Frame) -> Frame:
        """The rows of new data that ``subset()`` keeps; all without its variables."""
        call = self.formula.main.addition("subset")
        if call is None or not set(variables(call)) <= set(frame.names):
            return frame
        return subset_rows(self.formula.main, self.family, frame, self.functions)

    def new_response(self, frame: Frame) -> dict[str, Any]:
        """The coded response of new data as ``y``, ``weights`` if the model has them, and ``extra`` with all that
        additions supply; see `ResponseDesign`."""
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
    frame = subset_rows(formula.main, family, frame, functions)
    predictors = formula.predictors(frame.names)
    used = used_variables([*_nodes(formula.main), *_predictor_nodes(predictors.values())], frame.names)
    needed = used_variables(_predictor_nodes(predictors.values()), frame.names)
    lenient = may_be_missing(formula.main) - set(needed)
    check_finite(frame, used)
    keep, dropped = complete_rows(frame, [name for name in used if name not in lenient])
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
    levels = response.levels
    if family.thresholds:
        first = first_category(family)
        levels = ordinal_categories(formula.main, levels, first, frame, state, functions)
    family = family.adapt(levels)
    check_parameters(formula, family)
    fixed = fixed_parameters(formula, family, response)
    tied = tied_parameters(formula, family)
    predictors, owner = _main_predictors(predictors, family, fixed)
    order = [p.name for p in family.parameters if p.name in predictors]
    parts: list[tuple[str, GroupColumns]] = []
    for name in order:
        terms = sorted(predictors[name].group_terms, key=lambda t: t.grouping.label)
        parts += [(name, GroupColumns.build(t, frame, state, functions, contrasts)) for t in terms]
    _refuse_duplicates(parts)
    blocks, slots = make_blocks(parts)
    designs = {}
    for name in order:
        cell_means = formula.flag(owner[name], "cmc") is not False
        population = PopulationDesign.build(
            predictors[name], frame, state, functions, contrasts, cell_means=cell_means
        )
        own = [(part, slot) for (p, part), slot in zip(parts, slots, strict=True) if p == name]
        center = formula.flag(owner[name], "center") is not False
        intercept = predictors[name].intercept and not predictors[name].explicit_intercept
        thresholds = name in family.thresholds
        if thresholds and not intercept:
            refuse_missing_intercept(formula, family)
        centred = intercept and (center or thresholds)
        means = population.matrix[:, 1:].mean(axis=0) if centred else np.zeros(0)
        if thresholds and not centres_thresholds(formula, family, name, center):
            means = np.zeros_like(means)
        offset = _offset(predictors[name], frame, state, functions)
        groups, places = tuple(g for g, _ in own), tuple(s for _, s in own)
        designs[name] = PredictorDesign(
            name,
            family.link(name),
            predictors[name],
            population,
            centred,
            means,
            offset,
            groups,
            places,
            thresholds,
        )
        messages += [f"{'' if name == 'mu' else name + ': '}{m}" for m in report_rank(population)]
    design = Design(
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
        tied=tied,
    )
    check_order(design)
    return replace(design, parts=make_parts(design))


def _main_predictors(
    predictors: dict[str, Predictor], family: Family, fixed: Mapping[str, float]
) -> tuple[dict[str, Predictor], dict[str, str]]:
    """The predictors by parameter, the main one given to all parameters it is for; and whose formula each is (flags
    are looked up by it)."""
    main = {name: predictors["mu"] for name in family.main if name not in predictors and name not in fixed}
    own = {name: p for name, p in predictors.items() if name != "mu" or "mu" in family.main}
    owner = {**dict.fromkeys(main, "mu"), **{name: name for name in own}}
    return {**main, **own}, owner


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
