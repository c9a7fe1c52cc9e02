"""The left-hand side: the coded response, and what its additions (`trials()`, `weights()`, `cens()` ...) supply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..errors import DataError, FormulaError, NewDataError
from ..families.base import Family
from ..families.response import addition_problem, code_response
from ..formula import Formula
from ..formula.evaluate import TransformState, evaluate
from ..formula.unparse import unparse
from .additions import OF_THE_RESPONSE, read_additions
from .limits import limited

__all__ = ["ResponseDesign"]

Functions = Mapping[str, Callable[..., Any]]
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class ResponseDesign:
    """``values``: (n,) coded response, (C, n) of a family whose response has C columns; ``extra``: (n,) arrays the
    additions supply (``trials``; all are listed in `bayesmlm.families.additions`); ``weights``: (n,) multipliers of
    the log-likelihood or None; ``levels``: names of the two values coded as 0 and 1, if any; ``is_factor``: they were
    not numbers."""

    name: str
    values: Rows
    extra: Mapping[str, Rows]
    weights: Rows | None
    levels: tuple[str, ...] = ()
    is_factor: bool = False
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Parameters of the family that an addition gives a value: ``se()`` leaves no sigma."""
    imputed: bool = False
    """Whether missing responses are parameters (``mi()``); they are NaN in ``values``."""
    noise: Rows | None = None
    """(n,) known standard deviations of measurement errors (``mi(sdy)``), NaN where nothing was measured."""
    index: Rows | None = None
    """(n,) what ``index()`` calls the rows."""
    standata: Mapping[str, Any] = field(default_factory=dict)
    """The additions as brms's arrays."""

    @classmethod
    def build(
        cls, formula: Formula, family: Family, frame: Frame, state: TransformState, functions: Functions
    ) -> ResponseDesign:
        """Code the response. Raises `FormulaError` for additions that do not go with the family or each other,
        `DataError` for values outside its support."""
        if formula.response is None:
            raise FormulaError("the formula has no response; write `y ~ ...`", formula.source, (0, 1))
        given = {call.function: call for call in formula.additions}
        name = unparse(formula.response)
        problem = addition_problem(family, given, name)
        if problem is not None:
            at, reason = problem
            raise FormulaError(reason, formula.source, given.get(at, formula.response).span)
        if "mi" in given and "cens" in given:
            reason = "a response with `mi()` cannot be censored too: code what is known of a missing value in `cens()`"
            raise FormulaError(reason, formula.source, given["mi"].span)
        column = evaluate(formula.response, frame, state, functions, formula.source)
        values, levels = code_response(family, column, name)
        supplied = read_additions(formula, family, frame, state, functions)
        known = ~np.isnan(values) if "mi" in given else np.ones(values.shape[-1], dtype=bool)
        extra = limited(supplied.extra, values, family, frame, known)
        _check(family, values, extra, frame, known)
        noise = supplied.noise
        if noise is not None:
            noise = _noise(np.where(known, noise, np.nan), known, frame)
        is_factor = not isinstance(column, Numeric) or column.logical
        return cls(
            name,
            values,
            extra,
            supplied.weights,
            levels,
            is_factor,
            supplied.fixed,
            "mi" in given,
            noise,
            supplied.index,
            supplied.standata,
        )

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(n,) which responses are not missing."""
        values = self.values if self.values.ndim == 1 else self.values[0]
        return ~np.isnan(values)

    def arrays(self) -> dict[str, Rows]:
        """The response as ``y`` and, if the model has them, ``weights``."""
        return {"y": self.values, **({} if self.weights is None else {"weights": self.weights})}

    def new_extra(
        self, formula: Formula, family: Family, frame: Frame, state: TransformState, functions: Functions
    ) -> dict[str, Rows]:
        """What the additions supply for predictions of new data, whose responses need not be known."""
        return dict(read_additions(formula, family, frame, state, functions, OF_THE_RESPONSE).extra)

    def new_arrays(
        self, formula: Formula, family: Family, frame: Frame, state: TransformState, functions: Functions
    ) -> dict[str, Any]:
        """`arrays` of new data, coded as the training data's, and ``extra``, all that the additions supply.

        Raises `NewDataError` when the response is missing, `DataError` when it is outside the support.
        """
        assert formula.response is not None
        column = evaluate(formula.response, frame, state, functions, formula.source)
        values, _ = code_response(family, column, self.name, levels=self.levels)
        if np.isnan(values).any():
            raise NewDataError(f"the response `{self.name}` has missing values in the new data")
        supplied = read_additions(formula, family, frame, state, functions, ("mi", "subset", "index"))
        extra = limited(supplied.extra, values, family, frame)
        family.check(values, extra, frame.rows.tolist())
        weights = {} if supplied.weights is None else {"weights": supplied.weights}
        return {"y": values, **weights, "extra": extra}


def _check(
    family: Family, values: Rows, extra: Mapping[str, Rows], frame: Frame, known: NDArray[np.bool_]
) -> None:
    """The family's own check of the responses that are known."""
    if known.all():
        family.check(values, extra, frame.rows.tolist())
    elif not known.any():
        raise DataError("every response is missing: mi() needs some that are known")
    else:
        own = {name: array[..., known] for name, array in extra.items()}
        family.check(values[..., known], own, frame.rows[known].tolist())


def _noise(noise: Rows, known: NDArray[np.bool_], frame: Frame) -> Rows:
    """Measurement errors, checked: every measured response needs one."""
    lacking = np.flatnonzero(known & np.isnan(noise))
    if lacking.size:
        raise DataError(
            f"the measurement error in mi() is missing; {frame.row_name(int(lacking[0]))} has a response"
        )
    return noise
