"""Tests of each population term that can be dropped: F tests as lmerTest's, AIC and likelihood ratios as lme4's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..formula.predictor import Predictor, Term
from ..terms.population import PopulationDesign
from .fixed_tests import joint_table, method_of
from .likelihood_ratio import LikelihoodRatioTable
from .reduced import bars_of, droppable, refit_reduced

if TYPE_CHECKING:
    from .fit import MixedFit
    from .linear import LinearFit

__all__ = ["drop1", "drop1_linear", "terms_in_scope"]

Matrix = NDArray[np.float64]
TESTS = ("F", "Chisq", "none")


def terms_in_scope(predictor: Predictor, scope: Any) -> list[Term]:
    """The terms to be dropped: of a formula ``~ a + b`` or labels, or (None) all that are no margin of another.

    Raises `BayesmlmError` for a term that the model does not have.
    """
    if scope is None:
        return droppable(predictor.terms)
    from ..formula.parse import parse_formula

    if isinstance(scope, str) and "~" in scope:
        wanted = [term.label for term in parse_formula(scope).predictor().terms]
    else:
        wanted = [scope] if isinstance(scope, str) else list(scope)
    known = {term.label: term for term in predictor.terms}
    for label in wanted:
        if label not in known:
            raise BayesmlmError(
                f"the model has no term `{label}`; its terms are {', '.join(known) or 'none'}"
            )
    return [known[label] for label in wanted]


def drop1(
    fit: MixedFit, scope: Any = None, test: str = "F", ddf: str = "satterthwaite", k: float = 2.0
) -> LikelihoodRatioTable:
    """See `SelectionMethods.drop1`."""
    if test not in TESTS:
        raise BayesmlmError(f'drop1(test=) is "F", "Chisq" or "none", not {test!r}')
    terms = terms_in_scope(fit.design.predictor, scope)
    if test == "F":
        method = method_of(fit, ddf)
        L = {term.label: _hypothesis(fit, term) for term in terms}
        table = LikelihoodRatioTable(joint_table(fit, L, method))
        how = (
            f"{method.label}'s method" if method.label[0].isupper() else f"{method.label} degrees of freedom"
        )
        table.heading = f"Single term deletions using {how}:\n\nModel:\n{fit.formula}"
        return table
    return _by_likelihood(fit, terms, test, k)


def _by_likelihood(fit: MixedFit, terms: Sequence[Term], test: str, k: float) -> LikelihoodRatioTable:
    """npar, AIC (and LRT, Pr(Chi)) of the model without each term, all by maximum likelihood."""
    from scipy.stats import chi2

    whole, bars = fit.refit_ml(), bars_of(fit)
    deviance, npar = [whole.criterion], [whole.npar]
    for term in terms:
        left = [t for t in fit.design.predictor.terms if t.label != term.label]
        smaller = refit_reduced(fit, left, bars, reml=False)
        deviance.append(smaller.criterion)
        npar.append(smaller.npar)
    values, counts = np.array(deviance), np.array(npar)
    df = np.append(np.nan, counts[0] - counts[1:])
    columns: dict[str, Any] = {"npar": df, "AIC": values + k * counts}
    if test == "Chisq":
        lrt = np.append(np.nan, values[1:] - values[0])
        columns["LRT"] = lrt
        columns["Pr(Chi)"] = [float(chi2.sf(x, d)) if d > 0 else np.nan for x, d in zip(lrt, df, strict=True)]
    table = LikelihoodRatioTable(columns, index=["<none>", *(term.label for term in terms)])
    table.heading = f"Single term deletions\n\nModel:\n{fit.formula}"
    return table


def _hypothesis(fit: MixedFit, term: Term) -> Matrix:
    """L (q, p) with L beta = 0 where the model without ``term`` holds: orthogonal to its columns within the model's."""
    design = fit.design
    left = tuple(t for t in design.predictor.terms if t.label != term.label)
    predictor = Predictor(design.predictor.intercept, left, source=design.predictor.source)
    smaller = PopulationDesign.build(
        predictor, design.frame, design.state, design.functions, fit.call["contrasts"]
    )
    lengths = np.linalg.norm(design.X, axis=0)
    Q, R = np.linalg.qr(design.X / lengths)
    inside = np.linalg.solve(R, Q.T @ smaller.matrix)
    inside = inside / np.maximum(np.linalg.norm(inside, axis=0), 1e-300)
    U, s, _ = np.linalg.svd(inside, full_matrices=True)
    rank = int((s > 1e-8 * s.max(initial=0.0)).sum())
    return U[:, rank:].T * lengths


def drop1_linear(fit: LinearFit, scope: Any = None) -> LikelihoodRatioTable:
    """F tests of the terms of a linear model: as R's ``drop1(test = "F")`` with its columns."""
    from scipy.special import fdtrc

    design = fit.design
    terms = terms_in_scope(design.predictor, scope)
    root = np.sqrt(fit.prior_weights)
    response = root * (design.y - design.offset)
    rows: list[tuple[float, ...]] = []
    for term in terms:
        left = tuple(t for t in design.predictor.terms if t.label != term.label)
        coding = design.population.coding
        contrasts = fit.arguments.get("contrasts")
        smaller = PopulationDesign.build(
            Predictor(design.predictor.intercept, left),
            design.frame,
            coding.state,
            coding.functions,
            contrasts,
        )
        X = smaller.matrix * root[:, None]
        found, _, rank, _ = np.linalg.lstsq(X, response, rcond=None) if X.shape[1] else (np.zeros(0), 0, 0, 0)
        rss, df = float(((response - X @ found) ** 2).sum()), fit.rank - int(rank)
        F = (rss - fit.deviance) / df / fit.sigma**2 if df else np.nan
        p = float(fdtrc(df, fit.df_residual, F)) if df else np.nan
        rows.append((df, rss - fit.deviance, rss, _aic(fit, rss, int(rank)), F, p))
    whole = (np.nan, np.nan, fit.deviance, _aic(fit, fit.deviance, fit.rank), np.nan, np.nan)
    names = ["Df", "Sum of Sq", "RSS", "AIC", "F value", "Pr(>F)"]
    table = LikelihoodRatioTable(
        pd.DataFrame([whole, *rows], columns=names, index=["<none>", *(t.label for t in terms)])
    )
    table.heading = f"Single term deletions\n\nModel:\n{fit.formula}"
    return table


def _aic(fit: LinearFit, rss: float, rank: int) -> float:
    """R's ``extractAIC``: without the constants of the likelihood."""
    return fit.nobs * float(np.log(rss / fit.nobs)) + 2.0 * rank
