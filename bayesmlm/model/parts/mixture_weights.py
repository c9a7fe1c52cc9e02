"""Weights of a mixture: a simplex with a Dirichlet prior, fixed numbers, or a softmax of linear predictors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import FormulaError
from ...families.lazy import jnp, jsp
from ...priors.prior import Prior
from ...results.layout import Variable
from .simplex import simplex_site

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...priors.resolve import ResolvedPriors
    from ..design import Design
    from ..site import Site
    from .part import Arrays, PriorVector

__all__ = ["ORDERED", "MixtureWeights", "mixture_weights"]

ORDERED = "ordered_Intercept"
"""The site of the intercepts that are in increasing order, to tell the components of a mixture apart."""

Array = Any
Values = Mapping[str, Array]

SIMPLEX, FIXED, PREDICTED = "simplex", "fixed", "predicted"


@dataclass(frozen=True)
class MixtureWeights:
    """theta1, theta2, ... of ``count`` components. ``kind``: simplex, fixed or predicted; ``predicted``: numbers of
    the components whose weights have linear predictors, that of the others being 0."""

    count: int
    kind: str
    predicted: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its arrays, of which it has none."""
        return "mixture_weights"

    @property
    def key(self) -> str:
        """As text."""
        return repr(self)

    def prior_rows(self) -> tuple[Prior, ...]:
        """One row for the simplex."""
        simplex = self.kind == SIMPLEX
        return (Prior("dirichlet(1)", "theta", lb="", ub="", source="default"),) if simplex else ()

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """None: the elements of a simplex have no priors of their own."""
        return ()

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """The simplex, if the weights are one."""
        if self.kind != SIMPLEX:
            return []
        names = tuple(f"theta{k}" for k in range(1, self.count + 1))
        return [simplex_site("theta", names, priors.concentration("theta", "", "", self.count))]

    def arrays(self) -> Arrays:
        """None."""
        return {}

    def new_arrays(self, design: Design, frame: Frame) -> Arrays:
        """None."""
        return {}

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """``theta1``, ... and their logarithms ``log_theta1``, ..., of each row if they are predicted."""
        if self.kind == SIMPLEX:
            log_weights = list(jnp.log(values["theta"]))
        elif self.kind == FIXED:
            log_weights = [jnp.log(natural[f"theta{k}"]) for k in range(1, self.count + 1)]
        else:
            etas = [
                natural[f"theta{k}"] if k in self.predicted else jnp.zeros(())
                for k in range(1, self.count + 1)
            ]
            total = jsp.logsumexp(jnp.stack(jnp.broadcast_arrays(*etas)), axis=0)
            log_weights = [eta - total for eta in etas]
        logs = {f"log_theta{k}": value for k, value in enumerate(log_weights, start=1)}
        return {**logs, **{name.removeprefix("log_"): jnp.exp(value) for name, value in logs.items()}}

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """Nothing."""
        return {}

    def hidden(self, values: Values) -> dict[str, Array]:
        """Nothing."""
        return {}

    def variables(self) -> list[tuple[Variable, str]]:
        """``theta`` [component], which brms calls theta1, theta2, ..."""
        if self.kind != SIMPLEX:
            return []
        labels = tuple(str(k) for k in range(1, self.count + 1))
        return [(Variable("theta", "dpar", ("component",), (labels,)), "theta")]


def mixture_weights(design: Design) -> MixtureWeights:
    """The weights of the mixture of ``design``.

    Raises `FormulaError` unless all weights are free or all fixed or all but one predicted, or all of them where
    there is no reference.
    """
    names = [f"theta{k}" for k in range(1, len(design.family.components) + 1)]
    fixed = [name for name in names if name in design.fixed]
    predicted = [name for name in names if name in design.predictors]
    if not fixed and not predicted:
        return MixtureWeights(len(names), SIMPLEX)
    if len(fixed) == len(names):
        return MixtureWeights(len(names), FIXED)
    if fixed:
        missing = next(name for name in names if name not in fixed)
        what = f"`{missing}` is predicted" if missing in predicted else f"`{missing}` is not"
        raise FormulaError(f"`{fixed[0]}` is fixed and {what}: fix the weights of all components, or of none")
    reference = design.family.options["refcat"]
    if isinstance(reference, int) and names[reference - 1] in predicted:
        raise FormulaError(
            f"`theta{reference}` has a formula, but it is the weight that the others are compared with (refcat)"
        )
    needed = len(names) - (reference != "NA")
    if len(predicted) < needed:
        missing = next(n for k, n in enumerate(names, start=1) if n not in predicted and k != reference)
        raise FormulaError(
            f"of {len(names)} weights {len(predicted)} {'is' if len(predicted) == 1 else 'are'} predicted: "
            f"give {'all' if needed == len(names) else 'all but one of them'} a formula, such as `{missing} ~ 1`"
        )
    return MixtureWeights(len(names), PREDICTED, tuple(int(name.removeprefix("theta")) for name in predicted))
