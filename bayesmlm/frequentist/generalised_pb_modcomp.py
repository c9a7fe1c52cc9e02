"""The simulated likelihood-ratio test of generalised mixed models, as pbkrtest's ``PBmodcomp`` for ``glmer`` fits."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BayesmlmError, BayesmlmWarning
from .bootstrap import FAILURES
from .generalised_lrt import anova
from .generalised_simulate import parametric_responses
from .generalised_words import formula_text
from .pb_modcomp import BootstrapTest

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["pb_modcomp"]

ROUNDED = 1e-7
"""Likelihood ratios smaller than this are zero: the search stops short of the optimum by as much."""


def pb_modcomp(larger: GeneralisedFit, smaller: Any, nsim: int, seed: int | None) -> BootstrapTest:
    """See `GeneralisedFit.pb_modcomp`. Raises `DataError` for different data, `BayesmlmError` for wrong models."""
    from .generalised_fit import GeneralisedFit

    if not isinstance(smaller, GeneralisedFit):
        raise BayesmlmError(f"the smaller model must be a result of glmer(), not {type(smaller).__name__}")
    if int(nsim) != nsim or nsim < 1:
        raise BayesmlmError(f"nsim={nsim} must be a positive whole number")
    if smaller.npar > larger.npar:
        raise BayesmlmError(
            "the model given has more parameters than this one: write larger.pb_modcomp(smaller)"
        )
    anova([larger, smaller], ["the larger model", "the smaller model"])  # refuses what cannot be compared
    ratios: list[float] = []
    failures: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for y in parametric_responses(smaller, int(nsim), seed):
            try:
                ratios.append(smaller.refit(y).criterion - larger.refit(y).criterion)
            except FAILURES as error:
                failures.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
    if failures:
        text, count = Counter(failures).most_common(1)[0]
        if not ratios:
            raise BayesmlmError(f"all {nsim} refits failed; {count} times: {text}")
        warnings.warn(
            f"some simulated responses could not be fitted ({len(failures)}/{nsim}); {count} times: {text}",
            BayesmlmWarning,
            stacklevel=3,
        )
    simulated = np.array([*ratios, *[np.nan] * len(failures)])
    simulated[np.abs(simulated) < ROUNDED] = 0.0
    return BootstrapTest(
        formula_text(larger),
        formula_text(smaller),
        float(smaller.criterion - larger.criterion),
        larger.npar - smaller.npar,
        simulated,
    )
