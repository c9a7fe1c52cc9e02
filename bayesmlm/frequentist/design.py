"""Formula and data of a linear mixed model as arrays, in the order and under the names of lme4."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import DataError
from ..formula import Formula
from ..formula.evaluate import TransformState
from ..formula.predictor import Predictor
from ..formula.unparse import unparse
from ..terms.population import PopulationDesign
from .design_checks import check_sizes, refuse
from .design_rows import (
    ModelRows,
    code_predictor,
    formula_offset,
    given_column,
    model_rows,
    numeric_values,
    predictor_pieces,
    total_offset,
)
from .mixed_terms import MixedTerm

__all__ = ["MixedDesign", "build_mixed_design"]

Functions = Mapping[str, Callable[..., Any]]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class MixedDesign:
    """Everything a linear mixed model knows about its data.

    ``y``: (n,) response; ``offset``, ``weights``: (n,) or None; ``population`` codes all population columns, of which
    ``kept`` are linearly independent; ``terms`` in lme4's order (decreasing number of levels). ``frame``: the rows
    used; ``used``: (N,) which rows of the data these are; ``na_action``: "omit", "exclude" or "fail".
    """

    formula: Formula
    predictor: Predictor
    frame: Frame
    y: Vector
    offset: Vector | None
    weights: Vector | None
    population: PopulationDesign
    kept: tuple[int, ...]
    terms: tuple[MixedTerm, ...]
    state: TransformState
    functions: Functions
    used: NDArray[np.bool_]
    na_action: str
    messages: tuple[str, ...]

    @property
    def all_terms(self) -> tuple[MixedTerm, ...]:
        """The group terms of all predictors; here there is one."""
        return self.terms

    @property
    def response(self) -> str:
        """The response as R deparses it."""
        assert self.formula.response is not None
        return unparse(self.formula.response)

    @property
    def n(self) -> int:
        """Number of rows used."""
        return len(self.y)

    @property
    def X(self) -> Matrix:  # noqa: N802
        """(n, p) population columns, without those that depend on columns before them."""
        full = self.population.matrix
        return full if len(self.kept) == full.shape[1] else full[:, list(self.kept)]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """R's names of the columns of `X`."""
        return tuple(self.population.r_names[i] for i in self.kept)

    @property
    def dropped(self) -> tuple[str, ...]:
        """R's names of the population columns that were left out."""
        return tuple(name for i, name in enumerate(self.population.r_names) if i not in self.kept)

    @property
    def assign(self) -> tuple[int, ...]:
        """For each column of `X` the number of its term in ``population.terms``, from 1; 0 is the intercept."""
        return tuple(self.population.assign[i] for i in self.kept)

    def new_X(self, frame: Frame) -> Matrix:  # noqa: N802
        """(m, p) population columns of new data. Raises `NewDataError`."""
        return self.population.new_data(frame)[:, list(self.kept)]

    def new_offset(self, frame: Frame) -> Vector | None:
        """(m,) offset() terms of the formula for new data; an offset given as an array has no new values."""
        return formula_offset(self.predictor, frame, self.state.frozen(), self.functions)


def build_mixed_design(
    formula: Formula,
    frame: Frame,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    functions: Functions | None = None,
) -> MixedDesign:
    """Formula and data to arrays. Raises `FormulaError` and `DataError`."""
    predictor = formula.predictor(frame.names)
    refuse(formula, predictor)
    assert formula.response is not None
    rows = model_rows(
        [(formula.response, formula.source), *predictor_pieces(predictor, "linear mixed models")],
        frame,
        {"weights": weights, "offset": offset, "subset": subset},
        contrasts=contrasts,
        na_action=na_action,
        functions=functions,
        fitter="lmer()",
    )
    y = numeric_values(formula.response, rows, formula.source, "the response")
    check_sizes("the response", [unparse(formula.response)], y[:, None])
    coded = code_predictor(predictor, formula, rows)
    return MixedDesign(
        formula,
        predictor,
        rows.frame,
        y,
        total_offset(coded.offset, rows),
        _precisions(rows),
        coded.population,
        coded.kept,
        coded.terms,
        rows.state,
        rows.functions,
        rows.used,
        rows.na_action,
        coded.messages,
    )


def _precisions(rows: ModelRows) -> Vector | None:
    """(n,) prior weights, all positive; None without any."""
    prior = given_column(rows, "weights", "weights")
    wrong = np.flatnonzero([] if prior is None else ~(prior > 0))
    if prior is not None and wrong.size:
        raise DataError(
            f"weights must be positive; {rows.frame.row_name(int(wrong[0]))} has {prior[wrong[0]]:g}. A row that is "
            "not to count is left out with subset="
        )
    return prior
