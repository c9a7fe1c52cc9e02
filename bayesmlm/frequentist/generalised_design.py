"""Formula and data of a generalised mixed model as arrays, in the order and under the names of lme4.

The main formula is mu's; the other parameters of the response distribution (``zi``, ``shape``, ...) have right-hand
sides of their own, with group terms of their own, or are one constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..families.base import Family
from ..families.links import LINKS
from ..formula import BayesFormula
from ..formula.predictor import Predictor
from ..terms.population import PopulationDesign
from .design import MixedDesign
from .design_checks import check_sizes
from .design_rows import (
    CodedPredictor,
    ModelRows,
    code_predictor,
    formula_offset,
    model_rows,
    predictor_pieces,
    total_offset,
)
from .generalised_checks import refuse_generalised
from .generalised_response import build_response, log_rate, new_trials, response_pieces
from .mixed_terms import MixedTerm

__all__ = ["GeneralisedDesign", "ParameterDesign", "build_generalised_design"]

Functions = Mapping[str, Callable[..., Any]]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MODELS = "generalised linear mixed models"


@dataclass(frozen=True, eq=False)
class ParameterDesign:
    """One distributional parameter other than mu, on the scale of its link.

    ``predicted``: it has a formula; else it is one constant for all ``n`` rows, whose value on the link scale is the
    coefficient "(Intercept)", or, if ``fixed`` (on its own scale, as in ``bf(..., shape = 2)``), known: no column and
    an offset. ``population`` codes all columns, of which ``kept`` are linearly independent; ``offset``: (n,) or None.
    """

    name: str
    link: str
    n: int
    predicted: bool
    predictor: Predictor | None = None
    population: PopulationDesign | None = None
    kept: tuple[int, ...] = ()
    offset: Vector | None = None
    terms: tuple[MixedTerm, ...] = ()
    fixed: float | None = None

    @property
    def X(self) -> Matrix:  # noqa: N802
        """(n, p) population columns, without those that depend on columns before them."""
        if self.population is None:
            return self._constant(self.n)
        full = self.population.matrix
        return full if len(self.kept) == full.shape[1] else full[:, list(self.kept)]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """R's names of the columns of `X`."""
        if self.population is None:
            return ("(Intercept)",) if self.fixed is None else ()
        return tuple(self.population.r_names[i] for i in self.kept)

    @property
    def dropped(self) -> tuple[str, ...]:
        """R's names of the population columns that were left out."""
        names = () if self.population is None else self.population.r_names
        return tuple(name for i, name in enumerate(names) if i not in self.kept)

    def new_X(self, frame: Frame) -> Matrix:  # noqa: N802
        """(m, p) population columns of new data. Raises `NewDataError`."""
        if self.population is None:
            return self._constant(frame.n_rows)
        return self.population.new_data(frame)[:, list(self.kept)]

    def new_offset(self, frame: Frame) -> Vector | None:
        """(m,) offset() terms of the formula for new data, and the value of a parameter that is ``fixed``."""
        if self.predictor is None or self.population is None:
            return None if self.offset is None else np.full(frame.n_rows, self.offset[0])
        coding = self.population.coding
        return formula_offset(self.predictor, frame, coding.state.frozen(), coding.functions)

    def _constant(self, n: int) -> Matrix:
        return np.ones((n, 1 if self.fixed is None else 0))


@dataclass(frozen=True, eq=False, repr=False)
class GeneralisedDesign(MixedDesign):
    """Everything a generalised mixed model knows about its data; the fields of `MixedDesign` are mu's.

    ``y``: (n,) what the family's density takes, of trials the number of successes; ``weights``: (n,) multipliers of the
    log likelihood besides trials, or None. ``trials``: (n,) for a response of successes out of trials. ``levels``: what
    y = 0 and y = 1 were called. ``parameters``: the family's other parameters, in its order; ``given_weights``: the
    argument weights, which are trials where the response is a proportion.
    """

    bayes_formula: BayesFormula
    family: Family
    trials: Vector | None
    levels: tuple[str, ...]
    parameters: tuple[ParameterDesign, ...]
    given_weights: Any = None

    @property
    def link(self) -> str:
        """The link of mu."""
        return self.family.link("mu")

    @property
    def all_terms(self) -> tuple[MixedTerm, ...]:
        """The group terms of mu, then those of the other parameters, each in lme4's order."""
        return (*self.terms, *(term for parameter in self.parameters for term in parameter.terms))

    @property
    def term_parameters(self) -> tuple[str, ...]:
        """For each of `all_terms` the parameter that it belongs to."""
        others = [parameter.name for parameter in self.parameters for _ in parameter.terms]
        return (*("mu" for _ in self.terms), *others)

    def new_offset(self, frame: Frame) -> Vector | None:
        """(m,) offset() terms of mu's formula for new data, with the logarithm of ``rate()``."""
        total = super().new_offset(frame)
        rate = log_rate(self.formula, frame, self.state.frozen(), self.functions)
        return rate if total is None else total if rate is None else total + rate

    def new_trials(self, frame: Frame) -> Vector | None:
        """(m,) numbers of trials of new data, None for a response without trials. Raises `NewDataError`."""
        if self.trials is None:
            return None
        single = bool(self.levels)
        state = self.state.frozen()
        return new_trials(self.formula, self.given_weights, single, frame, state, self.functions)


def build_generalised_design(
    formula: BayesFormula,
    frame: Frame,
    family: Family,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    functions: Functions | None = None,
) -> GeneralisedDesign:
    """Formulas and data to arrays, on the rows that are complete in all predictors, response, weights and offsets.

    ``weights``, ``offset`` (added to mu's) and ``subset``: a column's name, an expression or an array. Raises
    `FormulaError` and `DataError`, before anything is computed.
    """
    predictors = refuse_generalised(formula, family, frame.names)
    pieces = response_pieces(formula.main)
    for predictor in predictors.values():
        pieces += predictor_pieces(predictor, MODELS)
    rows = model_rows(
        pieces,
        frame,
        {"weights": weights, "offset": offset, "subset": subset},
        contrasts=contrasts,
        na_action=na_action,
        functions=functions,
        fitter="glmer()",
    )
    response = build_response(formula.main, family, rows)
    check_sizes("the response", [formula.main.left_text], response.y[:, None])
    coded = {name: _coded(name, predictor, formula, rows) for name, predictor in predictors.items()}
    mu, n = coded["mu"], len(response.y)
    others = [p.name for p in family.parameters if p.name != "mu"]
    return GeneralisedDesign(
        formula=formula.main,
        predictor=mu.predictor,
        frame=rows.frame,
        y=response.y,
        offset=_offset(mu, formula, rows),
        weights=response.weights,
        population=mu.population,
        kept=mu.kept,
        terms=mu.terms,
        state=rows.state,
        functions=rows.functions,
        used=rows.used,
        na_action=rows.na_action,
        messages=(*response.messages, *_messages(coded)),
        bayes_formula=formula,
        family=family,
        trials=response.trials,
        levels=response.levels,
        parameters=tuple(_parameter(name, coded.get(name), formula, family, n) for name in others),
        given_weights=weights,
    )


def _coded(name: str, predictor: Predictor, formula: BayesFormula, rows: ModelRows) -> CodedPredictor:
    own = formula.main if name == "mu" else formula.parameters[name]
    return code_predictor(predictor, own, rows, cell_means=formula.flag(name, "cmc") is not False)


def _offset(mu: CodedPredictor, formula: BayesFormula, rows: ModelRows) -> Vector | None:
    """(n,) offset() terms, the argument offset, and the logarithm of ``rate()``."""
    total = total_offset(mu.offset, rows)
    rate = log_rate(formula.main, rows.frame, rows.state, rows.functions)
    return rate if total is None else total if rate is None else total + rate


def _messages(coded: Mapping[str, CodedPredictor]) -> list[str]:
    """What is to be said of the predictors, with the parameter's name where it is not mu."""
    return [
        text if name == "mu" else f"{name}: {text}" for name, one in coded.items() for text in one.messages
    ]


def _parameter(
    name: str, coded: CodedPredictor | None, formula: BayesFormula, family: Family, n: int
) -> ParameterDesign:
    link = family.link(name)
    if coded is not None:
        return ParameterDesign(
            name,
            link,
            n,
            True,
            coded.predictor,
            coded.population,
            coded.kept,
            coded.offset,
            coded.terms,
        )
    value = formula.fixed.get(name)
    if value is None:
        return ParameterDesign(name, link, n, False)
    known = float(LINKS[link].link(np.array(float(value))))
    return ParameterDesign(name, link, n, False, offset=np.full(n, known), fixed=float(value))
