"""Tests of terms of generalised mixed models by fitting smaller ones: lme4's ``drop1``, lmerTest's ``ranova``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.frame import Frame
from ..errors import BayesmlmError
from ..formula.formulas import BayesFormula
from ..formula.parse import parse_formula
from ..formula.predictor import Predictor, Term
from ..marginal.laplace import approximate
from .boundary_null import Mixture
from .drop1 import terms_in_scope
from .generalised_design import build_generalised_design
from .generalised_effects import effects_of, varying_parts
from .generalised_lrt import effects_mixture
from .generalised_problem import make_generalised_problem
from .generalised_refit import MOST_EVALUATIONS
from .generalised_search import optimise_generalised
from .generalised_words import formula_text
from .likelihood_ratio import MIXTURE, LikelihoodRatioTable, mixture_column, mixture_lines
from .ranova import reductions
from .reduced import Bar, right_side, written_bars

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["drop1", "group_bars", "ranova", "refit_smaller", "without_effects", "written"]

TESTS = ("Chisq", "none")
Bars = Mapping[str, Sequence[Bar]]


def drop1(fit: GeneralisedFit, scope: Any, test: str, k: float, part: str) -> LikelihoodRatioTable:
    """See `GeneralisedTableMethods.drop1`."""
    from scipy.special import chdtrc

    if test not in TESTS:
        raise BayesmlmError(f'drop1(test=) is "Chisq" or "none", not {test!r}')
    predictor = _predictor(fit, part)
    terms = terms_in_scope(predictor, scope)
    bars = group_bars(fit)
    criteria, npar = [fit.criterion], [fit.npar]
    for term in terms:
        left = [t for t in predictor.terms if t.label != term.label]
        smaller = refit_smaller(fit, written(fit, bars, {part: left}))
        criteria.append(smaller.criterion)
        npar.append(smaller.npar)
    values, counts = np.array(criteria), np.array(npar)
    df = np.append(np.nan, counts[0] - counts[1:])
    columns: dict[str, Any] = {"npar": df, "AIC": values + k * counts}
    if test == "Chisq":
        lrt = np.append(np.nan, values[1:] - values[0])
        columns["LRT"] = lrt
        columns["Pr(Chi)"] = [
            float(chdtrc(d, max(x, 0.0))) if d > 0 else np.nan for x, d in zip(lrt, df, strict=True)
        ]
    table = LikelihoodRatioTable(columns, index=["<none>", *(term.label for term in terms)])
    of = "" if part == "mu" else f" of {part}"
    table.heading = f"Single term deletions{of}\n\nModel:\n{formula_text(fit)}"
    return table


def ranova(fit: GeneralisedFit, reduce_terms: bool) -> LikelihoodRatioTable:
    """See `GeneralisedTableMethods.ranova`."""
    from scipy.special import chdtrc

    bars = group_bars(fit)
    log_likelihood, npar, labels = [fit.logLik()], [fit.npar], ["<none>"]
    mixtures: list[Mixture | None] = [None]
    for part in varying_parts(fit):
        for reduction in reductions(bars[part], reduce_terms):
            left = {**bars, part: reduction.bars}
            labels.append(reduction.label if part == "mu" else f"{part}: {reduction.label}")
            if any(left.values()):
                smaller = refit_smaller(fit, written(fit, left, {}))
                log_likelihood.append(smaller.logLik())
                npar.append(smaller.npar)
                mixtures.append(effects_mixture(smaller.design, fit.design))
            else:
                log_likelihood.append(-0.5 * without_effects(fit))
                npar.append(fit.npar - fit.problem.covariance_count)
                mixtures.append(effects_mixture(None, fit.design))
    values, counts = np.array(log_likelihood), np.array(npar)
    lrt = np.append(np.nan, 2.0 * (values[0] - values[1:]))
    df = np.append(np.nan, counts[0] - counts[1:])
    columns = {
        "npar": counts,
        "logLik": values,
        "AIC": 2.0 * counts - 2.0 * values,
        "LRT": lrt,
        "Df": df,
        "Pr(>Chisq)": [
            float(chdtrc(d, max(x, 0.0))) if d > 0 else np.nan for x, d in zip(lrt, df, strict=True)
        ],
    }
    if any(mixtures):
        columns[MIXTURE] = mixture_column(mixtures, lrt)
    table = LikelihoodRatioTable(columns, index=labels)
    heading = "ANOVA-like table for random-effects: Single term deletions"
    table.heading = f"{heading}\n\nModel:\n{formula_text(fit)}"
    table.notes = mixture_lines(labels, mixtures, lrt)
    return table


# -- smaller models ------------------------------------------------------------------------------------------------


def _predictor(fit: GeneralisedFit, part: str) -> Predictor:
    design = fit.part(part)
    if design.predictor is None:
        raise BayesmlmError(f"`{part}` is one constant: it has no terms to drop")
    return design.predictor


def group_bars(fit: GeneralisedFit) -> dict[str, Sequence[Bar]]:
    """The group terms of each part that has a formula."""
    found: dict[str, Sequence[Bar]] = {}
    for part in fit.parts:
        predictor = fit.part(part).predictor
        if predictor is not None:
            found[part] = written_bars(predictor, effects_of(fit, part).terms)
    return found


def written(fit: GeneralisedFit, bars: Bars, terms: Mapping[str, Iterable[Term]]) -> BayesFormula:
    """The model's formulas with these group terms, and of the parts in ``terms`` with these population terms."""
    old = fit.design.bayes_formula
    made = {}
    for part, own in bars.items():
        predictor = _predictor(fit, part)
        left = fit.design.formula.left_text if part == "mu" else part
        made[part] = parse_formula(f"{left} ~ {right_side(predictor, terms.get(part, predictor.terms), own)}")
    main = made.pop("mu")
    return replace(old, main=main, parameters={**old.parameters, **made})


def refit_smaller(fit: GeneralisedFit, formula: BayesFormula) -> GeneralisedFit:
    """The model of ``formula`` on the rows of ``fit``, approximated in the same way; it says nothing aloud."""
    call = {**fit.call, "subset": fit.design.used, "start": None}
    names = ("weights", "offset", "subset", "contrasts", "na_action", "functions")
    frame = Frame.from_any(fit.data)
    design = build_generalised_design(formula, frame, fit.family, **{name: call[name] for name in names})
    problem = make_generalised_problem(design, fit.nodes, fit.definition)
    limit = int((fit.call.get("control") or {}).get("max_evaluations", MOST_EVALUATIONS))
    optimum, metric = optimise_generalised(problem, None, limit)
    smaller = replace(fit, design=design, problem=problem, optimum=optimum, metric=metric, call=call)
    messages = [] if optimum.problem is None else [f"Model failed to converge: {optimum.problem}"]
    return replace(smaller, messages=(*design.messages, *messages))


def without_effects(fit: GeneralisedFit) -> float:
    """-2 log likelihood of the generalised linear model that is left without group effects.

    With Lambda = 0 Laplace's approximation is exact, and its mode, taken over the coefficients too, the maximum.
    Raises `BayesmlmError` where that is not found.
    """
    problem = fit.problem
    factors = [np.zeros((f.size, f.size)) for f in problem.plan.factors]
    coefficients = problem.rotated(fit.beta_all)
    begin = problem.rows.population(coefficients) + problem.model.offsets
    found = approximate(problem.model, factors, np.zeros(problem.p), joint=True, begin=begin)
    if not found.mode.converged:
        raise BayesmlmError(
            "the generalised linear model without group effects has no maximum likelihood estimate that could be found"
        )
    return found.value
