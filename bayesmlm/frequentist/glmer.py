"""`glmer()`: generalised linear mixed models by Laplace's approximation or adaptive quadrature."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..errors import BayesmlmError, BayesmlmWarning, ConvergenceWarning, DataError
from ..families.base import Family
from ..families.registry import family as as_family
from ..formula.formulas import BayesFormula
from ..messages import inform

if TYPE_CHECKING:
    from .generalised_design import GeneralisedDesign
    from .generalised_fit import GeneralisedFit
    from .generalised_problem import GeneralisedProblem

__all__ = ["glmer"]

PACKAGE = str(Path(__file__).parent.parent)
MOST_NODES = 100
"""lme4's limit."""
DEFINITIONS = ("fisher", "observed")


def glmer(
    formula: Any,
    data: Any = None,
    family: Any = None,
    control: Mapping[str, Any] | None = None,
    start: Any = None,
    verbose: int = 0,
    nAGQ: int = 1,
    subset: Any = None,
    weights: Any = None,
    na_action: str = "omit",
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    *,
    laplace: str | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> GeneralisedFit:
    """Fit a generalised linear mixed model by maximum likelihood; arguments as in lme4.

    The effects are integrated out by Laplace's approximation (Bates, Maechler, Bolker and Walker 2015, JSS 67(1)) or,
    for one scalar effect, by adaptive Gauss-Hermite quadrature. Parameters of the distribution other than the mean
    (zero inflation, dispersion, ...) may have formulas with group effects of their own, as in glmmTMB.

    Args:
        formula: ``"y ~ x + (x | g)"`` or `bf` with formulas for several distributional parameters,
            ``bf("count ~ spp + (1 | site)", "zi ~ mined")``. Binomial responses are ``cbind(successes, failures)``,
            ``successes | trials(n)``, a proportion with ``weights=n``, or two values.
        data: a pandas, polars or pyarrow table, or a dict of columns.
        family: a name, R text (``"binomial('probit')"``) or `brmsfamily`; ``"negbinomial"`` is lme4's ``glmer.nb``.
        control: a dict with ``max_evaluations`` and lme4's checks, as for `lmer`.
        start: a dict with ``theta`` (as ``m.parameters``), ``fixef`` (coefficients of all parts), or both; an array is
            theta.
        verbose: 1 prints every evaluation.
        nAGQ: 1 for Laplace's approximation; 0 finds the coefficients with the effects, which is faster and less exact;
            2 to 100 nodes of quadrature for a model with one scalar effect, ``(1 | g)``.
        subset: rows to use: a logical array, a column's name or an expression.
        weights: multiply the rows' log likelihoods; of proportions they are the trials. A column's name or an array.
        na_action: rows with missing values: "omit", "fail", or "exclude".
        offset: a known part of mu's linear predictor: a column's name or an array; added to offset() terms.
        contrasts: coding of factors, by column.
        laplace: the information in the approximation's determinant: "fisher", its expectation (lme4's definition, the
            default for lme4's families and negbinomial), or "observed" (glmmTMB's, the default for all others). They
            agree for canonical links.
        functions: your own functions that the formula may call, by name.

    Returns:
        A `GeneralisedFit`; ``print(m.summary())`` shows lme4's summary. A normal model with identity link and one
        formula is `lmer`'s, and fitted by it, with a warning.

    Raises:
        FormulaError, DataError, FamilyError: for what cannot be fitted, before anything is computed.
    """
    from .generalised_checks import one_response, refuse_family, refuse_quasi
    from .generalised_design import build_generalised_design
    from .lmer import checked_control, lmer

    if data is None:
        raise DataError("glmer() needs data: pass a data frame, glmer(formula, data=df)")
    parsed = one_response(formula)
    refuse_quasi(family)
    given = family if family is not None else parsed.family
    chosen = as_family("gaussian" if given is None else given)
    refuse_family(chosen)
    call = {
        "family": chosen,
        "control": control,
        "start": start,
        "nAGQ": nAGQ,
        "subset": subset,
        "weights": weights,
        "na_action": na_action,
        "offset": offset,
        "contrasts": contrasts,
        "laplace": laplace,
        "functions": functions,
    }
    if _is_linear(parsed, chosen):
        text = "calling glmer() with family=gaussian (identity link) is lmer()'s model: call lmer() directly"
        warnings.warn(text, BayesmlmWarning, stacklevel=2)
        given = {k: v for k, v in call.items() if k not in ("family", "nAGQ", "laplace")}
        return lmer(parsed.main, data, verbose=verbose, **given)  # type: ignore[return-value]
    settings = checked_control(control)
    nodes, definition = _nodes(nAGQ), _definition(laplace, chosen, parsed)
    design = build_generalised_design(
        parsed,
        Frame.from_any(data),
        chosen,
        weights=weights,
        offset=offset,
        subset=subset,
        contrasts=contrasts,
        na_action=na_action,
        functions=functions,
    )
    return fit_generalised(design, nodes, definition, settings, call, data, start=start, verbose=verbose)


def fit_generalised(
    design: GeneralisedDesign,
    nodes: int,
    definition: str,
    settings: Mapping[str, Any],
    call: Mapping[str, Any],
    data: Any,
    *,
    start: Any = None,
    verbose: int = 0,
) -> GeneralisedFit:
    """Check a design, fit it, and say what the user should know."""
    from dataclasses import replace

    from .generalised_checks import check_levels_generalised
    from .generalised_convergence import generalised_messages
    from .generalised_fit import GeneralisedFit
    from .generalised_problem import make_generalised_problem
    from .generalised_search import optimise_generalised

    check_levels_generalised(design, settings)
    _check_quadrature(design, nodes)
    problem = make_generalised_problem(design, nodes, definition)
    for message in design.messages:
        inform(message)
    begin = None if start is None else start_values(start, problem)
    optimum, metric = optimise_generalised(problem, begin, int(settings["max_evaluations"]), verbose)
    fit = GeneralisedFit(
        design, problem, nodes, definition, optimum, metric, dict(call), data, design.messages
    )
    return replace(fit, messages=(*fit.messages, *generalised_messages(fit, settings)))


def _is_linear(formula: BayesFormula, family: Family) -> bool:
    return (
        family.name == "gaussian"
        and family.link("mu") == "identity"
        and not formula.parameters
        and not formula.fixed
    )


def _nodes(nodes: Any) -> int:
    if isinstance(nodes, bool) or not isinstance(nodes, int | np.integer) or not 0 <= nodes <= MOST_NODES:
        raise BayesmlmError(f"nAGQ is a whole number from 0 to {MOST_NODES}, not {nodes!r}")
    return int(nodes)


def _definition(laplace: str | None, family: Family, formula: BayesFormula) -> str:
    """The information of Laplace's determinant. A dispersion that has a formula is no constant to be plugged in."""
    from ..marginal.make_kernel import FISHER_FAMILIES

    if laplace is not None and laplace not in DEFINITIONS:
        raise BayesmlmError(f'laplace is "fisher" or "observed", not {laplace!r}')
    others = {*formula.parameters, *formula.fixed} - {"mu"}
    plugged = family.name in ("gamma", "inverse.gaussian")
    if laplace == "fisher" and plugged and others:
        raise BayesmlmError(
            f'laplace="fisher" takes the dispersion of `{family.name}` from the residuals, as lme4: a formula for '
            f'`{min(others)}` needs laplace="observed"'
        )
    if laplace is not None:
        return laplace
    return "fisher" if family.name in FISHER_FAMILIES and not (plugged and others) else "observed"


def _check_quadrature(design: GeneralisedDesign, nodes: int) -> None:
    terms = design.all_terms
    if nodes <= 1 or (len(terms) == 1 and terms[0].size == 1):
        return
    raise BayesmlmError(
        f"nAGQ = {nodes}: quadrature is for models with one scalar effect of one grouping factor, such as (1 | g); "
        "this model has "
        + ", ".join(f"({t.source.label})" for t in terms)
        + ". Use nAGQ=1, Laplace's approximation"
    )


def start_values(start: Any, problem: GeneralisedProblem) -> dict[str, NDArray[np.float64]]:
    """lme4's ``start``: theta as an array, or a dict with ``theta``, ``fixef`` or both, as the search moves them."""
    given = dict(start) if isinstance(start, Mapping) else {"theta": start}
    unknown = set(given) - {"theta", "fixef"}
    if unknown or not given:
        raise BayesmlmError(
            'start is theta, or a dict with "theta", "fixef" or both: start={"theta": [1.0], "fixef": [0.5, 1.0]}'
        )
    sizes = {"theta": problem.covariance_count, "fixef": problem.p}
    found = {}
    for name, value in given.items():
        try:
            values = np.atleast_1d(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError):
            raise BayesmlmError(f"start `{name}` must be numbers, not {value!r}") from None
        if values.shape != (sizes[name],) or not np.isfinite(values).all():
            raise BayesmlmError(f"start `{name}` must be {sizes[name]} finite numbers, not {value!r}")
        found[name] = problem.scaled(values) if name == "theta" else problem.rotated(values)
    return found


def warn_of(texts: list[str], how: str) -> None:
    """Say aloud, of the line that called the package, that a fit may not be one."""
    if how == "ignore":
        return
    for text in texts:
        warnings.warn(text, ConvergenceWarning, skip_file_prefixes=(PACKAGE,))
