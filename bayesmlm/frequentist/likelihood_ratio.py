"""`anova()` of several models: likelihood-ratio tests, as lme4's ``anova``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import BayesmlmError, BayesmlmWarning
from ..messages import inform
from .boundary_null import Mixture, boundary_mixture
from .fit import MixedFit
from .linear import LinearFit
from .linear_tests import AnovaTable
from .r_print import coefficient_lines, format_p_values
from .same_rows import check_same_rows

__all__ = [
    "MIXTURE",
    "LikelihoodRatioTable",
    "anova",
    "comparison_table",
    "mixture_column",
    "mixture_lines",
]

MIXTURE = "Pr(>Chibar)"
"""Column of p values by the mixture of chi-squares."""


class LikelihoodRatioTable(AnovaTable):
    """A table of likelihood-ratio tests that prints as R's; ``notes``: lines below it."""

    _metadata = ("heading", "notes")  # type: ignore[assignment]
    notes: Sequence[str] = ()

    def _lines(self) -> list[str]:
        if not len(self):
            return ["(there are no terms to drop)"]
        shown = self.drop(columns=[MIXTURE], errors="ignore")
        tests = ("Chisq", "F value")
        others = [str(c) for c in shown.columns if c not in tests and not str(c).startswith("Pr(")]
        lines = coefficient_lines(shown, 5, estimates=(), statistics=tests, small_to_zero=others, missing="")
        return [*lines, *self.notes]


def anova(*fits: Any, refit: bool = True, names: Sequence[str] | None = None, **options: Any) -> Any:
    """Compare models by likelihood-ratio tests, each with the next larger; one model: tests of its terms.

    Mixed models fitted by REML are fitted again by maximum likelihood first, as in lme4: restricted likelihoods
    compare only models with the same coefficients. `lm` fits may be among the models. Generalised models (`glmer`)
    are compared with each other only; their families may differ where the responses are the same, and models whose
    families are no case of each other get no test, only the criteria.

    Args:
        fits: models of the same rows; ordered by their number of parameters.
        refit: False keeps REML fits as they are; warns where the coefficients differ.
        names: what to call the models (default ``MODEL1``, ...).
        options: of the table of one model (`MixedFit.anova`, `GeneralisedFit.anova`): ``type``, ``ddf``.

    Returns:
        A DataFrame with R's columns npar, AIC, BIC, logLik, deviance, Chisq, Df, Pr(>Chisq), which prints as R's.
        Where one model has a variance more than the one before (or a constant of the response distribution more, of
        which the smaller model is the limit), the null hypothesis is on the boundary, and Pr(>Chisq) is too large: the
        column Pr(>Chibar) then has the p value of the 50:50 mixture of two chi-squares (Stram and Lee 1994, Biometrics
        50).

    Raises:
        DataError: when the models were fitted to different rows, responses or weights, with the way out.
        BayesmlmError: for anything that is no fitted model; without refitting, for REML fits among others; for
            generalised models whose likelihoods were approximated differently, or among other models.
    """
    from .generalised_fit import GeneralisedFit

    if not fits:
        raise BayesmlmError("anova() needs a model: anova(m), or anova(m, m0) to compare two")
    for fit in fits:
        if not isinstance(fit, MixedFit | LinearFit | GeneralisedFit):
            raise BayesmlmError(
                f"anova() compares results of lmer() and lm(), not {type(fit).__name__} (or results of glmer() with "
                "each other)"
            )
    if len(fits) == 1:
        return fits[0].anova(**options)
    if options:
        raise BayesmlmError(f"anova() of several models has no argument {', '.join(map(repr, options))}")
    if names is not None and len(names) != len(fits):
        raise BayesmlmError(f"names has {len(names)} entries for {len(fits)} models")
    linear = [fit for fit in fits if isinstance(fit, LinearFit)]
    if len(linear) == len(fits):
        return linear[0].anova(*linear[1:])
    labels = list(names) if names is not None else [f"MODEL{i}" for i in range(1, len(fits) + 1)]
    generalised = [isinstance(fit, GeneralisedFit) for fit in fits]
    if any(generalised):
        from . import generalised_lrt

        if not all(generalised):
            raise BayesmlmError(_mixed_kinds(fits, labels))
        return generalised_lrt.anova(fits, labels)
    check_same_rows(fits, labels)
    ready, reml = _on_one_criterion(fits, labels, refit)
    order = sorted(range(len(ready)), key=lambda i: ready[i].npar)
    return _table([ready[i] for i in order], [labels[i] for i in order], reml)


def _mixed_kinds(fits: Sequence[Any], labels: Sequence[str]) -> str:
    makers = {"MixedFit": "lmer()", "LinearFit": "lm()", "GeneralisedFit": "glmer()"}
    shown = ", ".join(
        f"{label} is a result of {makers[type(fit).__name__]}"
        for fit, label in zip(fits, labels, strict=True)
    )
    return (
        f"{shown}: a generalised model is compared with generalised models only. A test of its group terms, against "
        "the model without them, is `m.ranova()`"
    )


def _on_one_criterion(fits: Sequence[Any], labels: Sequence[str], refit: bool) -> tuple[list[Any], bool]:
    """The models, all by maximum likelihood or all by REML, and which."""
    reml = [label for fit, label in zip(fits, labels, strict=True) if isinstance(fit, MixedFit) and fit.reml]
    if not reml:
        return list(fits), False
    if refit:
        inform("refitting model(s) with ML (instead of REML)")
        return [fit.refit_ml() if isinstance(fit, MixedFit) else fit for fit in fits], False
    if len(reml) < sum(isinstance(fit, MixedFit) for fit in fits):
        raise BayesmlmError(
            f"{', '.join(reml)} was fitted by REML and other models by maximum likelihood; their likelihoods cannot be "
            "compared: leave out refit=False"
        )
    if len({frozenset(_coefficients(fit)) for fit in fits}) > 1:
        warnings.warn(
            "the models have different coefficients: restricted likelihoods (REML) of different coefficients cannot be "
            "compared; leave out refit=False",
            BayesmlmWarning,
            stacklevel=3,
        )
    return list(fits), True


def _coefficients(fit: Any) -> tuple[str, ...]:
    if isinstance(fit, LinearFit):
        return tuple(fit.design.names[k] for k in fit.kept)
    return tuple(fit.design.coefficients)


def _log_likelihood(fit: Any, reml: bool) -> float:
    if not (reml and isinstance(fit, LinearFit)):
        return float(fit.logLik())
    # REML of a linear model: the residuals' likelihood (Patterson and Thompson 1971)
    m, (_, log_det) = fit.df_residual, np.linalg.slogdet(fit.unscaled)
    weights = fit.prior_weights[fit.prior_weights > 0]
    value = np.log(weights).sum() + log_det - m * (1.0 + np.log(2.0 * np.pi * fit.deviance / m))
    return 0.5 * float(value)


def _table(fits: Sequence[Any], labels: Sequence[str], reml: bool) -> LikelihoodRatioTable:
    mixtures = [None, *(_mixture(a, b) for a, b in pairwise(fits))]
    return comparison_table(fits, labels, [_log_likelihood(fit, reml) for fit in fits], mixtures)


def comparison_table(
    fits: Sequence[Any],
    labels: Sequence[str],
    log_likelihoods: Sequence[float],
    mixtures: Sequence[Mixture | None],
) -> LikelihoodRatioTable:
    """The table of `anova` for models in the order of their numbers of parameters; ``mixtures``: null distributions of
    the test of each against the one before, where that is no chi-square."""
    from scipy.stats import chi2

    log_likelihood = np.array(log_likelihoods)
    npar = np.array([fit.npar for fit in fits])
    n = fits[0].nobs if isinstance(fits[0], LinearFit) else len(fits[0].design.y)
    chisq = np.append(np.nan, 2.0 * np.diff(log_likelihood))
    df = np.append(np.nan, np.diff(npar))
    p = np.array([chi2.sf(c, d) if d > 0 else np.nan for c, d in zip(chisq, df, strict=True)])
    columns = {
        "npar": npar,
        "AIC": -2.0 * log_likelihood + 2.0 * npar,
        "BIC": -2.0 * log_likelihood + npar * np.log(n),
        "logLik": log_likelihood,
        "deviance": -2.0 * log_likelihood,
        "Chisq": chisq,
        "Df": df,
        "Pr(>Chisq)": p,
    }
    if any(mixtures):
        columns[MIXTURE] = mixture_column(mixtures, chisq)
    table = LikelihoodRatioTable(columns, index=list(labels))
    models = [f"{label}: {fit.formula}" for label, fit in zip(labels, fits, strict=True)]
    table.heading = "\n".join(["Models:", *models])
    table.notes = mixture_lines(labels, mixtures, chisq)
    return table


def _mixture(smaller: Any, larger: Any) -> Mixture | None:
    few, many = set(_coefficients(smaller)), set(_coefficients(larger))
    if not few <= many:
        return None
    terms = [() if isinstance(fit, LinearFit) else fit.design.terms for fit in (smaller, larger)]
    return boundary_mixture(terms[0], terms[1], len(many) - len(few))


def mixture_column(mixtures: Sequence[Mixture | None], statistics: Any) -> list[float]:
    """p values by the mixtures, NaN where the usual one holds."""
    pairs = zip(mixtures, statistics, strict=True)
    return [np.nan if mixture is None else mixture.p_value(float(x)) for mixture, x in pairs]


def mixture_lines(labels: Sequence[str], mixtures: Sequence[Mixture | None], statistics: Any) -> list[str]:
    """What is to be said below a table of tests of variances against zero."""
    rows = [
        (la, mi, float(x)) for la, mi, x in zip(labels, mixtures, statistics, strict=True) if mi is not None
    ]
    if not rows:
        return []
    shown = [
        f"  {label}: p = {format_p_values([mixture.p_value(x)], 4)[0].replace(' ', '')} (50:50 {mixture})".replace(
            "= <", "< "
        )
        for label, mixture, x in rows
    ]
    return ["Variances tested against zero, on the boundary (Pr(>Chisq) is conservative there):", *shown]
