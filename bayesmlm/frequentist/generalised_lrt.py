"""Likelihood-ratio tests between generalised mixed models: what can be compared, and null hypotheses on a boundary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, DataError
from .boundary_null import Mixture, boundary_mixture
from .generalised_words import formula_text
from .likelihood_ratio import LikelihoodRatioTable, comparison_table
from .same_rows import different_rows

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign
    from .generalised_fit import GeneralisedFit
    from .mixed_terms import MixedTerm

__all__ = ["anova", "effects_mixture"]

LIMITS: dict[tuple[str, str], bool] = {
    ("poisson", "negbinomial"): True,
    ("poisson", "nbinom1"): True,
    ("poisson", "zero_inflated_poisson"): True,
    ("negbinomial", "zero_inflated_negbinomial"): True,
    ("zero_inflated_poisson", "zero_inflated_negbinomial"): True,
    ("hurdle_poisson", "hurdle_negbinomial"): True,
    ("binomial", "beta_binomial"): True,
    ("binomial", "zero_inflated_binomial"): True,
    ("gaussian", "student"): True,
    ("poisson", "zero_inflated_negbinomial"): False,
    ("geometric", "negbinomial"): False,
    ("exponential", "gamma"): False,
}
"""Families that are a special case of another, and whether one parameter at its boundary makes it that."""


def anova(fits: Sequence[GeneralisedFit], labels: Sequence[str]) -> LikelihoodRatioTable:
    """See `likelihood_ratio.anova`; ``fits`` are results of glmer()."""
    _check_same_data(fits, labels)
    _check_same_approximation(fits, labels)
    order = sorted(range(len(fits)), key=lambda i: fits[i].npar)
    fits, labels = [fits[i] for i in order], [labels[i] for i in order]
    mixtures = [None, *(_mixture(a, b) for a, b in pairwise(fits))]
    table = comparison_table(fits, labels, [fit.logLik() for fit in fits], mixtures)
    apart = [i for i, (a, b) in enumerate(pairwise(fits), start=1) if not _may_be_nested(a, b)]
    columns = [c for c in ("Chisq", "Pr(>Chisq)") if c in table]
    for i in apart:
        table.loc[table.index[i], columns] = np.nan
    several = len({(fit.family.name, fit.family.link("mu")) for fit in fits}) > 1
    shown = [_described(fit, several) for fit in fits]
    models = [f"{label}: {text}" for label, text in zip(labels, shown, strict=True)]
    table.heading = "\n".join(["Models:", *models])
    none = "have families or links of which none is a case of the other: compare their AIC"
    notes = [f"{labels[i]} and {labels[i - 1]} {none}" for i in apart]
    said = list(table.notes)
    if said and several:
        said[0] = "Tested on the boundary of the parameters (Pr(>Chisq) is conservative there):"
    table.notes = [*said, *notes]
    return table


def _described(fit: GeneralisedFit, with_family: bool) -> str:
    text = formula_text(fit)
    if not with_family:
        return text
    return f"{text}, {fit.family.name} ({fit.family.link('mu')})"


def _check_same_data(fits: Sequence[GeneralisedFit], labels: Sequence[str]) -> None:
    """Refuse models of different rows, responses, trials or weights. Raises `DataError`."""
    first = fits[0]
    for fit, label in zip(fits[1:], labels[1:], strict=True):
        ours, theirs = first.design, fit.design
        if ours.n != theirs.n:
            raise DataError(different_rows(fits, labels))
        if (
            ours.family.integer_response != theirs.family.integer_response
            or (ours.trials is None) != (theirs.trials is None)
            or not np.array_equal(ours.used, theirs.used)
            or not np.array_equal(ours.y, theirs.y)
        ):
            if ours.formula.left_text == theirs.formula.left_text and first.family.name == fit.family.name:
                raise DataError(different_rows(fits, labels))
            raise DataError(
                f"{labels[0]} is a model of `{ours.formula.left_text}` ({first.family.name}) and {label} of "
                f"`{theirs.formula.left_text}` ({fit.family.name}): the likelihoods of different responses cannot be "
                "compared"
            )
        for what, name in (("trials", "numbers of trials"), ("weights", "weights")):
            a, b = (_ones(getattr(design, what), ours.n) for design in (ours, theirs))
            if not np.allclose(a, b, rtol=1e-12):
                raise DataError(f"{labels[0]} and {label} have different {name}: give both the same")


def _ones(values: NDArray[np.float64] | None, n: int) -> NDArray[np.float64]:
    return np.ones(n) if values is None else values


def _check_same_approximation(fits: Sequence[GeneralisedFit], labels: Sequence[str]) -> None:
    """Refuse likelihoods that are approximated in different ways. Raises `BayesmlmError`."""
    nodes = {fit.nodes for fit in fits}
    if len(nodes) > 1:
        shown = ", ".join(f"{label}: nAGQ={fit.nodes}" for fit, label in zip(fits, labels, strict=True))
        raise BayesmlmError(
            f"the likelihoods were approximated with different nAGQ ({shown}) and cannot be compared: fit all with one"
        )
    known = {label: _information(fit) for fit, label in zip(fits, labels, strict=True)}
    if nodes <= {0, 1} and len({kind for kind in known.values() if kind}) > 1:
        shown = ", ".join(f"{label}: {kind}" for label, kind in known.items() if kind)
        raise BayesmlmError(
            f"the likelihoods are Laplace approximations with different informations ({shown}) and cannot be compared: "
            'fit all with laplace="observed"'
        )


def _information(fit: GeneralisedFit) -> str:
    """The information in Laplace's determinant, "" where the expected and the observed one agree."""
    kernel, local = fit.problem.kernel, fit.evaluation.mode.local
    if not kernel.has_expected:
        return "observed"
    if fit.has_scale:
        return "fisher, the dispersion plugged in"
    if local.expected is local.observed:
        return ""
    return "fisher" if fit.problem.model.expected else "observed"


# -- null hypotheses -----------------------------------------------------------------------------------------------


def _may_be_nested(smaller: GeneralisedFit, larger: GeneralisedFit) -> bool:
    """Whether families and links allow the smaller model to be a case of the larger one."""
    few, many = smaller.family, larger.family
    if few.name != many.name and (few.name, many.name) not in LIMITS:
        return False
    shared = [p for p in smaller.parts if p in larger.parts]
    return all(few.link(p) == many.link(p) for p in shared)


def _mixture(smaller: GeneralisedFit, larger: GeneralisedFit) -> Mixture | None:
    """The mixture of chi-squares where one variance, or one constant of the distribution, is tested on its boundary."""
    few, many = ({*fit.coefficient_names} for fit in (smaller, larger))
    if not few <= many or not _may_be_nested(smaller, larger):
        return None
    more = len(many) - len(few)
    if smaller.family.name == larger.family.name:
        return effects_mixture(smaller.design, larger.design, more)
    if not LIMITS[smaller.family.name, larger.family.name] or _parts_apart(smaller.design, larger.design):
        return None
    new = [part for part in larger.parts if part not in smaller.parts]
    constant = len(new) == 1 and len(larger.part(new[0]).coefficients) == 1
    return Mixture(more - 1, more) if constant else None


def effects_mixture(
    smaller: GeneralisedDesign | None, larger: GeneralisedDesign, coefficients: int = 0
) -> Mixture | None:
    """`boundary_mixture` of models whose group terms differ in one part; ``smaller=None``: without group terms."""
    apart = _parts_apart(smaller, larger)
    if len(apart) != 1:
        return None
    return boundary_mixture(_terms(smaller, apart[0]), _terms(larger, apart[0]), coefficients)


def _parts_apart(smaller: GeneralisedDesign | None, larger: GeneralisedDesign) -> list[str]:
    """The distributional parameters whose group terms are not the same in both models."""
    names = [name for design in (smaller, larger) if design is not None for name in design.term_parameters]
    return [n for n in dict.fromkeys(names) if not _same_terms(_terms(smaller, n), _terms(larger, n))]


def _same_terms(first: Sequence[MixedTerm], second: Sequence[MixedTerm]) -> bool:
    def described(terms: Sequence[MixedTerm]) -> list[Any]:
        return sorted(
            (sorted(t.variables), sorted(t.names), t.covariance.tag, len(t.covariance.start)) for t in terms
        )

    return described(first) == described(second)


def _terms(design: GeneralisedDesign | None, part: str) -> list[MixedTerm]:
    if design is None:
        return []
    return [t for t, name in zip(design.all_terms, design.term_parameters, strict=True) if name == part]
