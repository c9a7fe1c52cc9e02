"""From the model's default priors and the user's to the prior of every parameter."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

import numpy as np

from ..errors import BayesmlmWarning, PriorError
from .defaults import default_prior_table, sort_key
from .distributions import PriorDensity, parse_prior
from .outline import ModelOutline, dpar_of
from .prior import (
    Key,
    Prior,
    PriorSet,
    as_prior_set,
    bound_value,
    in_numbers,
    inherited_bounds,
    inherited_prior,
)
from .vector import VectorPrior

__all__ = ["ResolvedPriors", "VectorPrior", "resolve"]

Coefficient = str | tuple[str, str]
Rows = Mapping[Key, Prior]

TABLE_ORDER = ("class_", "group", "resp", "dpar", "nlpar", "coef")
SIMPLEXES = ("theta", "sbhaz", "simo")
"""Classes of parameters that are simplexes and have Dirichlet priors."""
CORRELATIONS = {"cor": "L", "lncor": "Llncor"}
"""brms's classes of correlations, and what they are in a validated table: the prior is on the Cholesky factor."""


@dataclass(frozen=True)
class ResolvedPriors:
    """Every parameter's prior. ``table``: the rows as brms's ``prior_summary()`` has them, in which the class
    cor has become L with ``lkj_corr_cholesky``; ``smallest_response``: what ``min_Y`` in them stands for."""

    table: PriorSet
    smallest_response: float | None = None

    @cached_property
    def _rows(self) -> Rows:
        return PriorSet(tuple(in_numbers(row, self.smallest_response) for row in self.table)).by_key

    def vector(
        self, class_: str, dpar: str = "", group: str = "", coefs: Iterable[Coefficient] = ()
    ) -> VectorPrior:
        """The priors of one parameter vector.

        ``coefs``: names of the coefficients, or pairs (parameter, name) when the vector joins several
        distributional parameters (class sd); none for a scalar (Intercept, sigma). Raises `PriorError` for a
        parameter that the model does not have and for different bounds within one vector.
        """
        rows = [self._find(class_, dpar, group, c) for c in coefs] or [self._find(class_, dpar, "", "")]
        bounds = {inherited_bounds(row, self._rows) for row in rows}
        if len(bounds) > 1:
            of = f" of group `{group}`" if group else ""
            raise PriorError(f"the priors of class {class_}{of} differ in their bounds: give all the same")
        lower, upper = _values(bounds.pop())
        names = tuple(parameter_name(row) for row in rows)
        return VectorPrior(names, tuple(self._density(row) for row in rows), lower, upper)

    def lkj(self, group: str, class_: str = "cor") -> float:
        """The shape eta of the LKJ prior of a group's correlations, or of those of another class."""
        density = self._density(self._find(CORRELATIONS[class_], "", group, ""))
        return 1.0 if density is None else density.arguments[0]

    def concentration(self, class_: str, dpar: str, group: str, size: int) -> tuple[float, ...]:
        """The concentrations of the Dirichlet prior of a simplex of ``size`` elements; one number stands for all.

        Raises `PriorError` for another distribution or number of elements.
        """
        row = self._find(class_, dpar, group, "")
        density = self._density(row)
        given = (1.0,) if density is None else density.arguments
        if density is not None and density.name != "dirichlet":
            raise PriorError(f"the prior of class {class_}, a simplex, is dirichlet(...), not {row.prior}")
        if len(given) not in (1, size):
            raise PriorError(
                f"{row.prior} has {len(given)} concentrations; {parameter_name(row)} has {size} elements"
            )
        return given * size if len(given) == 1 else given

    def _find(self, class_: str, dpar: str, group: str, coef: Coefficient) -> Prior:
        if isinstance(coef, tuple):
            dpar, coef = dpar_of(coef[0]), coef[1]
        sought = Prior(class_=class_, coef=coef, group=group, dpar=dpar)
        if sought.key not in self._rows:
            raise PriorError(f"the model has no parameter {parameter_name(sought)}")
        return self._rows[sought.key]

    def _density(self, row: Prior) -> PriorDensity | None:
        text = row.prior or inherited_prior(row, self._rows)
        return parse_prior(text) if text else None


def resolve(outline: ModelOutline, user: Any = None, sample_prior: str = "no") -> ResolvedPriors:
    """Put the user's priors into the model's default table, as brms's ``validate_prior()``.

    ``user``: None, or what `set_prior` returns, or a list of it. The narrowest prior of a parameter wins: of
    its coefficient, then of its group, then of its class. Bounds that the user leaves out stay the model's.

    Raises `PriorError` for a prior that matches no parameter (and lists what would match), for two priors of
    the same parameter, for a distribution that does not go with its class, for bounds wider than the
    parameter's own, and, with ``sample_prior="only"``, for parameters whose prior is flat. Warns
    (`BayesmlmWarning`) when a prior's support is narrower than the parameter's range, and when a prior is set
    but used by no parameter.
    """
    defaults = PriorSet(tuple(_internal(row) for row in default_prior_table(outline))).by_key
    given = [_internal(row) for row in as_prior_set(user)]
    _check_matches(given, defaults)
    given += _of_categories(given, outline)
    given = [_with_bounds(row, defaults) for row in given]
    rows = {**defaults, **{row.key: row for row in given}}
    table = PriorSet(tuple(sorted(rows.values(), key=sort_key(*TABLE_ORDER))))
    resolved = ResolvedPriors(table, _smallest(outline))
    own = ResolvedPriors(PriorSet(tuple(defaults.values())), _smallest(outline))._rows
    for row in (resolved._rows[row.key] for row in given):
        _check_content(row, resolved._rows)
        _check_bounds(row, resolved._rows, own)
        _warn_outside_support(row, resolved._rows)
    _warn_unused(rows.values())
    vectors = _vectors(outline, resolved)
    for _, vector in vectors:
        vector.constants()  # raises what would otherwise be raised when the program is built
    if sample_prior == "only":
        _require_proper(vectors)
    return resolved


def _of_categories(given: list[Prior], outline: ModelOutline) -> list[Prior]:
    """What the user's priors of classes b and Intercept without a dpar say about each category's predictor, unless a
    prior of its own is given: brms's global priors of categorical models."""
    if not outline.by_category:
        return []
    own = {row.key for row in given}
    wide = [row for row in given if row.class_ in ("b", "Intercept") and not row.dpar and not row.coef]
    present = {(p.dpar, "Intercept") for p in outline.predictors if p.intercept}
    present |= {(p.dpar, "b") for p in outline.predictors if p.coefficients}
    narrow = [replace(row, dpar=name) for row in wide for name in outline.family.main]
    return [row for row in narrow if row.key not in own and (row.dpar, row.class_) in present]


def _smallest(outline: ModelOutline) -> float | None:
    return None if outline.response is None else float(np.min(outline.response))


def parameter_name(row: Prior) -> str:
    """brms's name of the parameter a row is about: ``b_x``, ``b_sigma_x``, ``sd_g__Intercept``, ``sigma``."""
    class_, inner = _external(row).class_, "_".join(part for part in (row.dpar, row.coef) if part)
    if row.group:
        return f"{class_}_{row.group}" + (f"__{inner}" if inner else "")
    return f"{class_}_{inner}" if inner else class_


def _internal(row: Prior) -> Prior:
    """brms's inner names: class cor is L, and its prior lkj is lkj_corr_cholesky."""
    if row.class_ not in (*CORRELATIONS, *CORRELATIONS.values()):
        return row
    if row.prior and parse_prior(row.prior).name == "lkj":
        row = replace(row, prior="lkj_corr_cholesky" + row.prior[row.prior.index("(") :])
    return replace(row, class_=CORRELATIONS.get(row.class_, row.class_))


def _external(row: Prior) -> Prior:
    outer = {inner: class_ for class_, inner in CORRELATIONS.items()}
    return replace(row, class_=outer.get(row.class_, row.class_))


def _call(row: Prior, prior: str = "...") -> str:
    """How to address a row: ``set_prior(..., class_="sd", group="g", coef="x")``."""
    where = {"coef": row.coef, "group": row.group, "dpar": row.dpar, "resp": row.resp, "nlpar": row.nlpar}
    named = "".join(f', {name}="{value}"' for name, value in where.items() if value)
    return f'set_prior({prior}, class_="{_external(row).class_}"{named})'


def _check_matches(given: list[Prior], defaults: Rows) -> None:
    unmatched = [row for row in given if row.key not in defaults]
    if unmatched:
        classes = {row.class_ for row in unmatched}
        candidates = [row for row in defaults.values() if row.class_ in classes] or defaults.values()
        wrong = "\n".join(f"  {_external(row)}" for row in unmatched)
        right = "\n".join(f"  {_call(row)}" for row in candidates)
        raise PriorError(
            f"these priors match no parameter of the model:\n{wrong}\nThese could be set:\n{right}\n"
            "default_prior(formula, data, family) shows every one."
        )
    for key, count in Counter(row.key for row in given).items():
        if count > 1:
            raise PriorError(
                f"{count} priors are given for the same parameters: keep one {_call(defaults[key])}"
            )


def _with_bounds(row: Prior, defaults: Rows) -> Prior:
    """Fill in the bounds the user left out. A row that states one bound takes the other from the wider row, so
    that the pair is complete; one that states none keeps inheriting both."""
    wider, default = inherited_bounds(row, defaults), defaults[row.key]
    lb = row.lb if row.lb is not None else (wider[0] if row.ub else default.lb)
    ub = row.ub if row.ub is not None else (wider[1] if row.lb else default.ub)
    return replace(row, lb=lb, ub=ub)


def _check_content(row: Prior, rows: Rows) -> None:
    density = parse_prior(row.prior) if row.prior else None
    if row.class_ in CORRELATIONS.values():
        if row.lb or row.ub:
            class_ = _external(row).class_
            raise PriorError(f"correlations have no bounds to set: leave out lb and ub of class {class_}")
        if density is not None and density.name != "lkj":
            raise PriorError(f"the prior of correlations is lkj(eta), not {row.prior}: {_call(row)}")
    elif density is not None and density.is_constant:
        lower, upper = _range(row, rows)
        if not lower <= density.arguments[0] <= upper:
            name = parameter_name(row)
            raise PriorError(f"{row.prior} is outside the range of {name}, from {lower:g} to {upper:g}")
    elif density is not None and density.name == "dirichlet" and rows[row.key].class_ in SIMPLEXES:
        return
    elif density is not None and not density.is_scalar:
        of = "correlations (class cor)" if density.name == "lkj" else "simplexes, and this model has none"
        raise PriorError(f"{density.name} is a prior of {of}; it cannot be the prior of class {row.class_}")


def _check_bounds(row: Prior, rows: Rows, defaults: Rows) -> None:
    (low, high), (lower, upper) = _range(row, defaults), _range(row, rows)
    if not low <= lower < upper <= high:
        raise PriorError(
            f"the bounds of {_call(row)}, {lower:g} and {upper:g}, must be in order and within the parameter's "
            f"own range, from {low:g} to {high:g}"
        )


def _range(row: Prior, rows: Rows) -> tuple[float, float]:
    return _values(inherited_bounds(row, rows))


def _values(bounds: tuple[str, str]) -> tuple[float, float]:
    lower, upper = bounds
    return bound_value(lower) if lower else -inf, bound_value(upper) if upper else inf


def _warn_outside_support(row: Prior, rows: Rows) -> None:
    density = parse_prior(row.prior) if row.prior else None
    if density is None or not density.is_scalar:
        return
    (low, high), (lower, upper) = density.support, _range(row, rows)
    missing = [f"lb={low:g}"] * (lower < low) + [f"ub={high:g}"] * (upper > high)
    if missing:
        _warn(
            f"the prior {row} is zero for some values that the parameter can take. If that is really what you "
            f"want, say so with {' and '.join(missing)} in set_prior() of the whole class."
        )


def _warn_unused(rows: Collection[Prior]) -> None:
    covered: dict[Key, list[str]] = {}
    for row in rows:
        if row.coef:
            covered.setdefault(replace(row, coef="").key, []).append(row.prior)
    for row in rows:
        if row.prior and row.source == "user" and row.key in covered and all(covered[row.key]):
            _warn(f"the prior {row} is not used: every coefficient it covers has its own.")


def _warn(message: str) -> None:
    warnings.warn(message, BayesmlmWarning, stacklevel=4)


def _vectors(outline: ModelOutline, priors: ResolvedPriors) -> list[tuple[Prior, VectorPrior]]:
    """Every parameter vector of the model, and the row that addresses it as a whole."""
    sought: list[tuple[Prior, tuple[Coefficient, ...]]] = []
    for p in outline.predictors:
        sought += [(Prior(class_="Intercept", dpar=p.dpar), ())] * p.intercept
        sought += [(Prior(class_="b", dpar=p.dpar), p.coefficients)] * bool(p.coefficients)
    sought += [(Prior(class_="sd", group=g.group), g.coefficients) for g in outline.groups]
    sought += [(Prior(class_=name), ()) for name in outline.scalars]
    sought += [(Prior(class_=c, dpar=d, group=g), names) for c, d, g, names in outline.vectors]
    return [(row, priors.vector(row.class_, row.dpar, row.group, coefs)) for row, coefs in sought]


def _require_proper(vectors: list[tuple[Prior, VectorPrior]]) -> None:
    names = [name for _, vector in vectors for name in vector.improper]
    if names:
        calls = [_call(row, '"normal(0, 5)"') for row, vector in vectors if vector.improper]
        raise PriorError(
            f'sample_prior="only" needs a proper prior for every parameter, but flat are: {", ".join(names)}. '
            f"Give them one, for example {' + '.join(calls)}"
        )
