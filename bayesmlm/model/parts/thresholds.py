"""Thresholds of ordinal responses: what stands in the place of the intercept.

Their prior sits on the thresholds at the mean of the predictors (class Intercept), unless groups of rows have
thresholds of their own (``thres(gr = )``) or they sum to zero; ``b_Intercept[k]`` is for predictors at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import PriorError
from ...families.base import Family
from ...families.lazy import jnp
from ...families.ordinal_response import first_category
from ...priors.outline import dpar_of
from ...priors.prior import Prior
from ...priors.vector import VectorPrior
from .threshold_groups import ThresholdGroups, has_groups, threshold_groups

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...formula import BayesFormula
    from ...priors.resolve import ResolvedPriors
    from ...results.layout import Variable
    from ..design import Design
    from ..site import Site
    from .part import PriorVector

__all__ = ["Thresholds", "centres_thresholds", "thresholds"]

Array = Any
Values = Mapping[str, Array]

DEFAULT_PRIOR = "student_t(3, 0, 2.5)"


@dataclass(frozen=True)
class ThresholdVector:
    """The thresholds of one parameter's predictor: as many for each group of rows as ``counts`` says.

    ``kind``: flexible, equidistant or sum_to_zero; ``increasing``: whether they are in order; ``shifted``: whether
    there are coefficients, whose columns' means move them.
    """

    parameter: str
    kind: str
    increasing: bool
    shifted: bool
    groups: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def dpar(self) -> str:
        """As brms's table writes the parameter."""
        return dpar_of(self.parameter)

    @property
    def suffix(self) -> str:
        """Of site names."""
        return f"_{self.dpar}" if self.dpar else ""

    @property
    def labels(self) -> tuple[str, ...]:
        """``1``, ``2``, ..., or with the group in front: ``a,1``."""
        if not self.groups:
            return self._numbers(self.counts[0])
        pairs = zip(self.groups, self.counts, strict=True)
        return tuple(f"{group},{k}" for group, count in pairs for k in self._numbers(count))

    @staticmethod
    def _numbers(count: int) -> tuple[str, ...]:
        return tuple(str(k) for k in range(1, count + 1))

    def prior_rows(self) -> list[Prior]:
        """Rows of classes Intercept and, of equidistant thresholds, delta."""

        def row(class_: str, prior: str = "", lb: str = "", **where: str) -> Prior:
            return Prior(prior, class_, dpar=self.dpar, lb=lb, source="default", **where)

        rows = [row("Intercept", DEFAULT_PRIOR)]
        rows += [row("Intercept", group=group) for group in self.groups]
        if self.kind == "equidistant":
            bound = "0" if self.increasing else ""
            return [*rows, row("delta", lb=bound), *(row("delta", group=g, lb=bound) for g in self.groups)]
        for group, count in zip(self.groups or ("",), self.counts, strict=True):
            rows += [row("Intercept", group=group, coef=k) for k in self._numbers(count)]
        return rows

    def prior_vectors(self) -> list[PriorVector]:
        """Addresses of the priors of the sites' elements, group by group."""
        groups = self.groups or ("",)
        if self.kind == "equidistant":
            return [(class_, self.dpar, group, ()) for class_ in ("Intercept", "delta") for group in groups]
        pairs = zip(groups, self.counts, strict=True)
        return [("Intercept", self.dpar, group, self._numbers(count)) for group, count in pairs]

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """``Intercept``, or ``first_Intercept`` and ``delta`` of equidistant thresholds."""
        from ..site import Site
        from ..spec import prior_site

        def joined(class_: str) -> VectorPrior:
            found = [priors.vector(c, d, g, coefs) for c, d, g, coefs in self.prior_vectors() if c == class_]
            bounds = {(prior.lower, prior.upper) for prior in found}
            if len(bounds) > 1:
                raise PriorError(f"the priors of class {class_} differ in their bounds: give all the same")
            names = tuple(name for prior in found for name in prior.names)
            densities = tuple(density for prior in found for density in prior.densities)
            return VectorPrior(names, densities, *bounds.pop())

        if self.kind == "equidistant":
            shape = (len(self.groups),) if self.groups else ()
            labels = tuple(f"[{group}]" for group in self.groups) or ("",)
            names = [(f"first_Intercept{self.suffix}", "Intercept"), (f"delta{self.suffix}", "delta")]
            return [
                prior_site(name, shape, tuple(name + label for label in labels), joined(class_))
                for name, class_ in names
            ]
        name, prior = f"Intercept{self.suffix}", joined("Intercept")
        elements, size = tuple(f"{name}[{label}]" for label in self.labels), (len(self.labels),)
        if not self.increasing or not prior.free:
            return [prior_site(name, size, elements, prior)]
        _check_ordered(prior)
        return [Site(name, "ordered", size, size, elements, prior, runs=self.counts)]

    def values(self, values: Values) -> Array:
        """(total,) the thresholds, group after group, at the mean of the predictors where these are centred."""
        if self.kind == "equidistant":
            first, delta = (values[f"{name}{self.suffix}"] for name in ("first_Intercept", "delta"))
            if not self.groups:
                return first + delta * np.arange(self.counts[0])
            steps = np.concatenate([np.arange(count) for count in self.counts])
            of_group = np.repeat(np.arange(len(self.counts)), self.counts)
            return first[of_group] + delta[of_group] * steps
        given = values[f"Intercept{self.suffix}"]
        if self.kind == "flexible":
            return given
        stops = np.cumsum(self.counts)
        pieces = [given[stop - count : stop] for stop, count in zip(stops, self.counts, strict=True)]
        return jnp.concatenate([piece - jnp.mean(piece) for piece in pieces])

    def table(self, values: Values, codes: Array | None) -> Array:
        """(K - 1, 1) thresholds, or with groups (K - 1, n), those of each row; rows with fewer have others, which mean
        nothing, after their own."""
        vector = self.values(values)
        if codes is None:
            return vector[:, None]
        starts = np.cumsum([0, *self.counts[:-1]])
        last = np.array(self.counts) - 1
        places = starts + np.minimum(np.arange(max(self.counts))[:, None], last)  # (K - 1, groups)
        return vector[places][:, codes]

    def code(self) -> str:
        """How the thresholds are made of what is sampled, as text."""
        sampled = {
            "flexible": f"Intercept{self.suffix}",
            "equidistant": f"first_Intercept{self.suffix} + delta{self.suffix} * jnp.arange({max(self.counts)})",
            "sum_to_zero": f"Intercept{self.suffix} - Intercept{self.suffix}.mean()",
        }
        of_groups = "  # of the row's group" if self.groups else ""
        return f"thresholds{self.suffix} = {sampled[self.kind]}{of_groups}"

    def variables(self) -> list[tuple[Variable, str]]:
        """``b_Intercept`` [threshold] and what is sampled."""
        from ...results.layout import Variable, quantity

        dim = f"{self.dpar}_threshold" if self.dpar else "threshold"
        reported = f"b{self.suffix}_Intercept"
        found = [(Variable(reported, "b_Intercept", (dim,), (self.labels,), self.dpar), reported)]
        labels = self.groups or None
        if self.kind != "equidistant":
            name = f"Intercept{self.suffix}"
            return [*found, (Variable(name, "Intercept", (dim,), (self.labels,), self.dpar), name)]
        for name, kind in ((f"first_Intercept{self.suffix}", "Intercept"), (f"delta{self.suffix}", "dpar")):
            found.append((quantity(name, labels, kind=kind), name))
        return found


def _check_ordered(prior: VectorPrior) -> None:
    """Raise `PriorError` for what ordered thresholds cannot have: bounds, and single ones that are fixed."""
    if np.isfinite(prior.lower) or np.isfinite(prior.upper):
        raise PriorError(
            "thresholds that are in order have no bounds to set: leave out lb and ub of class Intercept"
        )
    if len(prior.free) < len(prior.names):
        raise PriorError(
            "constant() of single thresholds is not there for families whose thresholds are in order: fix all of them "
            "or none"
        )


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The thresholds of a model: one vector for each parameter that has such."""

    vectors: tuple[ThresholdVector, ...]
    groups: ThresholdGroups

    name = "thresholds"

    @property
    def key(self) -> str:
        """All that compiled code depends on."""
        return (
            f"thresholds:{[(v.parameter, v.kind, v.increasing, v.shifted, v.counts) for v in self.vectors]}"
        )

    def prior_rows(self) -> tuple[Prior, ...]:
        """Those of all vectors."""
        return tuple(row for vector in self.vectors for row in vector.prior_rows())

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """Those of all vectors."""
        return tuple(address for vector in self.vectors for address in vector.prior_vectors())

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """Those of all vectors."""
        return [site for vector in self.vectors for site in vector.sites(priors)]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """``codes`` and ``count`` of thresholds of each row, if there are groups."""
        return self.groups.arrays(self.groups.codes)

    def new_arrays(self, design: Design, frame: Frame) -> Mapping[str, NDArray[Any]]:
        """`arrays` of new data. Raises `NewDataError` for a group that the model does not know."""
        return self.groups.new_arrays(design, frame)

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """``thresholds``, (K - 1, 1) or (K - 1, n), and ``threshold_count``, (n,), where rows differ."""
        out: dict[str, Array] = {}
        codes = arrays.get("codes")
        for vector in self.vectors:
            out[f"thresholds{vector.suffix}"] = vector.table(values, codes)
            if codes is not None:
                out[f"threshold_count{vector.suffix}"] = arrays["count"]
        return out

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """``b_Intercept``: the thresholds for predictors at zero."""
        out: dict[str, Array] = {}
        for vector in self.vectors:
            shift = means[vector.parameter] @ values[f"b{vector.suffix}"] if vector.shifted else 0.0
            out[f"b{vector.suffix}_Intercept"] = vector.values(values) + shift
        return out

    def hidden(self, values: Values) -> dict[str, Array]:
        """Nothing: the sites are stored."""
        return {}

    def code(self) -> tuple[str, ...]:
        """How the thresholds are made of what is sampled, as text."""
        return tuple(vector.code() for vector in self.vectors)

    def variables(self) -> list[tuple[Variable, str]]:
        """Those of all vectors."""
        return [entry for vector in self.vectors for entry in vector.variables()]


def thresholds(design: Design) -> Thresholds:
    """The thresholds of an ordinal model. Raises `FormulaError` or `DataError` for a wrong ``thres()``."""
    family = design.family
    groups = threshold_groups(
        design.formula.main,
        design.response.values,
        len(family.categories) - 2 + first_category(family),
        design.frame,
        design.state,
        design.functions,
    )
    vectors = []
    for parameter in family.thresholds:
        kind, increasing = _kind(family, parameter)
        predictor = design.predictors[parameter]
        shifted = bool(predictor.coefficients)
        vectors.append(ThresholdVector(parameter, kind, increasing, shifted, groups.names, groups.counts))
    return Thresholds(tuple(vectors), groups)


def _kind(family: Family, parameter: str) -> tuple[str, bool]:
    """What ``threshold=`` says, and whether the family's thresholds are in order; of a component in a mixture."""
    own: Mapping[str, Any] = {"name": family.name, "options": family.options}
    if "components" in family.options:
        own = family.options["components"][int(parameter.removeprefix("mu")) - 1]
    return own.get("options", {})["threshold"], own["name"] in ("cumulative", "hurdle_cumulative")


def centres_thresholds(formula: BayesFormula, family: Family, parameter: str, center: bool) -> bool:
    """Whether the prior of the thresholds sits at the mean of the predictors: not with ``center = FALSE``, groups of
    thresholds or thresholds that sum to zero, as in brms."""
    return center and not has_groups(formula.main) and _kind(family, parameter)[0] != "sum_to_zero"
