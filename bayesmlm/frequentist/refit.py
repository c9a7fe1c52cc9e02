"""The same model again: another response, another criterion, other arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .optimise import optimise
from .problem import check_response

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["refit", "refit_criterion", "update"]


def refit(fit: MixedFit, y: Any) -> MixedFit:
    """The model for another response (n,), started from the old optimum's neighbourhood."""
    values = np.asarray(y, dtype=np.float64)
    if values.shape != (fit.n,):
        raise DataError(f"the new response has shape {values.shape}; the model has {fit.n} rows")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"the new response is {values[row]} in {fit.design.frame.row_name(row)}")
    net = values if fit.design.offset is None else values - fit.design.offset
    problem = fit.problem.with_response(net)
    check_response(problem, values, fit.design.weights)
    optimum = optimise(problem, fit.reml)
    return replace(fit, design=replace(fit.design, y=values), problem=problem, optimum=optimum, messages=())


def refit_criterion(fit: MixedFit, reml: bool) -> MixedFit:
    """The model by REML or by maximum likelihood; the fit itself if that is what it is."""
    if reml == fit.reml:
        return fit
    optimum = optimise(fit.problem, reml, fit.optimum.parameters)
    return replace(
        fit, reml=reml, optimum=optimum, call={**fit.call, "REML": reml}, messages=fit.design.messages
    )


def update(fit: MixedFit, formula: Any = None, data: Any = None, **arguments: Any) -> MixedFit:
    """See `MixedFit.update`."""
    from ..formula import as_bayes_formula
    from ..formula.formulas import BayesFormula
    from ..formula.update import update_formula
    from .lmer import lmer

    new: Any = fit.formula
    if formula is not None:
        old = as_bayes_formula(str(fit.formula))
        assert isinstance(old, BayesFormula)
        new = update_formula(old, formula)
    call = {**fit.call, **arguments}
    return lmer(new, fit.data if data is None else data, **call)
