"""Which group effects `brm` integrates out, and in words why the others are sampled.

Given everything else, the effects of a normal model are normal: their integral is known (`bayesmlm.marginal`), NUTS
moves without them, and they are drawn exactly afterwards. See docs/marginal.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..marginal.plan import make_plan

if TYPE_CHECKING:
    from .blocks import GroupBlock
    from .design import Design

__all__ = ["Form", "Integration", "columns_of", "decide"]

NORMAL_FAMILIES = ("gaussian", "lognormal")
"""Families whose likelihood is that of a normal variable (the response or its logarithm)."""

LARGEST_DENSE = 200
"""Effects that are crossed with the largest factor and still integrated: they share a dense matrix, whose Cholesky
factor and derivative take about a millisecond at 200 and 20 at 600."""
MOST_PRODUCTS = 50_000_000
"""Multiplications that building this matrix may take in one evaluation."""

Form = Literal["statistics", "residual", "precision", "laplace"]
"""What an evaluation needs: cross products alone; the rows' residuals; or the rows' precisions too. "laplace": the
integral is Laplace's approximation (`laplace_data`)."""


@dataclass(frozen=True)
class Integration:
    """``blocks``: numbers of the blocks integrated out; ``reasons``: by number, why each other block is sampled."""

    blocks: tuple[int, ...]
    reasons: Mapping[int, str]
    form: Form

    @property
    def complete(self) -> bool:
        """Whether there are group effects and none of them is sampled."""
        return bool(self.blocks) and not self.reasons

    @property
    def exact(self) -> bool:
        """Whether what is integrated is integrated exactly."""
        return self.form != "laplace"


def decide(design: Design, *, marginalize: bool, likelihood: bool, free: bool = True) -> Integration:
    """What is integrated out of the model of ``design``, and how it is then evaluated.

    ``free``: whether there are parameters other than group effects that priors do not fix.
    """
    numbers = range(len(design.blocks))
    reason = _of_model(design, marginalize, likelihood) or ("" if free else "nothing else is left to sample")
    reasons = {i: reason or _of_block(block) for i, block in enumerate(design.blocks)}
    able = [i for i in numbers if not reasons[i]]
    chosen: list[int] = []
    for i in sorted(able, key=lambda i: -len(design.blocks[i].levels) * design.blocks[i].size):
        reasons[i] = _too_many_crossed(design, [*chosen, i]) if chosen else ""
        chosen += [] if reasons[i] else [i]
    form: Form = "statistics"
    if "sigma" in design.predictors:
        form = "precision"
    elif len(chosen) < len(design.blocks):
        form = "residual"
    return Integration(tuple(sorted(chosen)), {i: text for i, text in reasons.items() if text}, form)


def columns_of(design: Design, block: int) -> NDArray[np.float64]:
    """(n, k): what the effects of a block that feeds mu alone multiply."""
    mu = design.predictors["mu"]
    parts = [group.Z for group, slot in zip(mu.groups, mu.slots, strict=True) if slot.block == block]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _of_model(design: Design, marginalize: bool, likelihood: bool) -> str:
    family = design.family
    if not marginalize:
        return "marginalize=False"
    if not likelihood:
        return 'sample_prior="only" leaves no likelihood to integrate'
    if family.name not in NORMAL_FAMILIES:
        return f"the {family.name} likelihood is not normal in the effects"
    if family.link("mu") != "identity":
        return f"with the link {family.link('mu')} the mean is not linear in the effects"
    if design.response.extra:
        return f"the response has {next(iter(design.response.extra))}()"
    if design.parts:
        return f"the response has {design.parts[0].name}"
    return ""


def _of_block(block: GroupBlock) -> str:
    fed = list(dict.fromkeys(column.parameter for column in block.columns))
    if fed == ["mu"]:
        return ""
    return f"its effects enter {' and '.join(fed)}" + (", not mu alone" if "mu" in fed else ", not mu")


def _too_many_crossed(design: Design, numbers: list[int]) -> str:
    """Why the last of ``numbers`` cannot be integrated together with the others, or nothing."""
    blocks = [design.blocks[i] for i in numbers]
    dense = f"`{blocks[-1].group}` is crossed with `{blocks[0].group}`, and their joint matrix would be dense and "
    try:
        plan = make_plan([(block.codes, len(block.levels), block.size) for block in blocks])
    except DataError:
        return dense + "large"
    if plan.width > LARGEST_DENSE:
        return dense + f"of size {plan.width}, more than {LARGEST_DENSE}"
    if plan.width**2 * sum(factor.effects for factor in plan.chain) > MOST_PRODUCTS:
        return dense + "slow to build"
    return ""
