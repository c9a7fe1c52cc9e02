"""Responses of a generalised mixed model that nothing has been fitted to, from a formula and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..errors import BayesmlmError, DataError, FormulaError
from ..families.base import Family
from ..families.links import natural_parameters
from ..families.support import Support
from ..formula.evaluate import evaluate
from ..formula.formulas import BayesFormula
from ..formula.nodes import Name
from ..formula.parse import parse_expression
from .generalised_checks import one_response
from .generalised_design import GeneralisedDesign, ParameterDesign, build_generalised_design
from .generalised_simulate import GeneralisedSource, part_coefficients
from .prediction_rows import row_index
from .simulate import checked_theta, coefficients_by_name, simulation_table, templates_of

__all__ = ["simulate_generalised"]

Vector = NDArray[np.float64]

RESPONSE = "(response)"


def simulate_generalised(
    formula: Any,
    data: Any,
    family: Family,
    newparams: Mapping[str, Any],
    nsim: int,
    seed: int | None,
    trials: Any,
    arguments: Mapping[str, Any],
) -> pd.DataFrame:
    """See `bayesmlm.simulate`."""
    parsed = one_response(formula)
    if parsed.main.response is not None:
        raise FormulaError(
            "simulate() takes a one-sided formula, `~ x + (x | g)`: the response is what it draws",
            parsed.main.source,
            parsed.main.response.span,
        )
    design = _design(parsed, Frame.from_any(data), family, arguments)
    parts: list[GeneralisedDesign | ParameterDesign] = [design, *design.parameters]
    names = ["mu", *(p.name for p in design.parameters)]
    required = ["beta", "theta", *(p.name for p in design.parameters if p.fixed is None)]
    for name in (*required, *newparams):
        if (name in required) != (name in newparams):
            how = "must also have" if name in required else "has no place for"
            raise BayesmlmError(f"newparams {how} `{name}`: the model's parameters are {', '.join(required)}")
    known = np.stack([_known(part, newparams) for part in parts])
    covariances = [t.covariance for t in design.all_terms]
    start = np.concatenate([c.start for c in covariances])
    theta = checked_theta(newparams["theta"], start, covariances)
    terms, links = design.all_terms, {name: family.link(name) for name in names}
    drawn = GeneralisedSource(
        family,
        known,
        tuple(names.index(owner) for owner in design.term_parameters),
        tuple(t.Z for t in terms),
        tuple(t.codes for t in terms),
        tuple(len(t.levels) for t in terms),
        tuple(templates_of(covariances, theta)),
        lambda eta: natural_parameters(dict(zip(names, eta, strict=True)), links),
        _trials(design, family, trials),
    )
    return simulation_table(drawn, nsim, seed, row_index(design.frame))


def _design(
    parsed: BayesFormula, frame: Frame, family: Family, arguments: Mapping[str, Any]
) -> GeneralisedDesign:
    """The design of a response that is yet to be drawn: of any numbers, so that nothing is asked of them."""
    stand_in = Numeric(np.arange(frame.n_rows, dtype=np.float64) % 2)
    frame = replace(frame, columns={**{name: frame[name] for name in frame.names}, RESPONSE: stand_in})
    anything: dict[str, Any] = {
        "support": Support(),
        "additions": frozenset(),
        "required_additions": frozenset(),
        "response": "number",
    }
    with_response = replace(parsed, main=replace(parsed.main, response=Name(RESPONSE)))
    return build_generalised_design(with_response, frame, replace(family, **anything), **arguments)


def _known(part: GeneralisedDesign | ParameterDesign, given: Mapping[str, Any]) -> Vector:
    """(n,) a linear predictor without its group effects."""
    if isinstance(part, ParameterDesign):
        beta = np.zeros(0) if part.fixed is not None else part_coefficients(part, given[part.name])
    else:
        beta = coefficients_by_name(given["beta"], list(part.coefficients))
    eta: Vector = part.X @ beta
    return eta if part.offset is None else eta + part.offset


def _trials(design: GeneralisedDesign, family: Family, given: Any) -> Vector | None:
    """(n,) numbers of trials: a column's name, an expression, an array or a number; as in R also the weights."""
    if "trials" not in family.additions:
        if given is not None:
            raise BayesmlmError(f"the family `{family.name}` has no trials")
        return None
    if given is None:
        values = np.ones(design.n) if design.weights is None else design.weights
    elif isinstance(given, str):
        column = evaluate(parse_expression(given), design.frame, design.state.frozen(), design.functions)
        if not isinstance(column, Numeric) or column.values.ndim != 1:
            raise DataError(f"the numbers of trials `{given}` are no numeric column")
        values = column.values
    else:
        values = np.asarray(given, dtype=np.float64)
        values = np.full(design.n, float(values)) if values.ndim == 0 else values
        if values.shape == design.used.shape:
            values = values[design.used]
    if values.shape != (design.n,):
        raise DataError(f"trials has {values.size} values; the data have {design.n} rows")
    wrong = np.flatnonzero(~((values >= 0) & (values == np.round(values))))
    if wrong.size:
        raise DataError(
            f"the number of trials is {values[wrong[0]]:g} in {design.frame.row_name(int(wrong[0]))}; it must be a "
            "whole number of at least 0"
        )
    return values
