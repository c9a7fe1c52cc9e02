"""The priors of one parameter vector, split into a structure that is compiled and numbers that are not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import PriorError
from .as_r import r_number

if TYPE_CHECKING:
    from .distributions import PriorDensity

__all__ = ["CONSTANT", "FLAT", "VectorPrior", "VectorStructure", "draw_prior"]

FLAT = "flat"
CONSTANT = "constant"


@dataclass(frozen=True)
class VectorStructure:
    """What a compiled program depends on: the density of each element (its name in `densities.DENSITIES`,
    "flat" or "constant") and which bounds there are. No numbers."""

    elements: tuple[str, ...]
    lower: bool
    upper: bool

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Positions of the elements of each density: one vector operation each."""
        return {
            name: tuple(i for i, other in enumerate(self.elements) if other == name)
            for name in dict.fromkeys(self.elements)
        }

    @property
    def free(self) -> tuple[int, ...]:
        """Positions of the elements that are sampled, not fixed by ``constant()``."""
        return tuple(i for i, name in enumerate(self.elements) if name != CONSTANT)

    def __str__(self) -> str:
        runs = [(name, len(list(run))) for name, run in groupby(self.elements)]
        text = " ".join(name if count == 1 else f"{name}*{count}" for name, count in runs)
        return text + " >lower" * self.lower + " <upper" * self.upper


@dataclass(frozen=True)
class VectorPrior:
    """The priors of a vector's elements, on the parameter's natural scale.

    ``densities``: one for each name; None is flat. ``lower``, ``upper``: bounds of all elements (infinite when
    there is none), to which the densities are truncated.
    """

    names: tuple[str, ...]
    densities: tuple[PriorDensity | None, ...]
    lower: float = -inf
    upper: float = inf

    @property
    def free(self) -> tuple[int, ...]:
        """Positions of the elements that are sampled, not fixed by ``constant()``."""
        return self.structure().free

    @property
    def improper(self) -> tuple[str, ...]:
        """Names of the elements without a proper prior: flat, and not confined to a finite interval."""
        confined = isfinite(self.lower) and isfinite(self.upper)
        pairs = zip(self.names, self.densities, strict=True)
        return () if confined else tuple(name for name, density in pairs if density is None)

    def structure(self) -> VectorStructure:
        """Names of the densities and presence of bounds; hashable, and short as text."""
        elements = tuple(
            FLAT if d is None else CONSTANT if d.is_constant else d.primitive[0] for d in self.densities
        )
        return VectorStructure(elements, isfinite(self.lower), isfinite(self.upper))

    def constants(self) -> dict[str, NDArray[np.float64]]:
        """The numbers, as float64 arrays: under each density's name its arguments (arguments, elements), under
        "constant" the fixed values (elements,), "lower" and "upper" the bounds, and "normaliser" the sum of
        all log normalising constants. Raises `PriorError` for a prior without mass between its bounds."""
        out: dict[str, NDArray[np.float64]] = {}
        normaliser = 0.0
        for name, positions in self.structure().groups.items():
            members = [d for d in (self.densities[i] for i in positions) if d is not None]
            if name == CONSTANT:
                out[name] = np.array([d.arguments[0] for d in members])
            elif name != FLAT:
                out[name] = np.array([d.primitive[1] for d in members]).T
                normaliser += sum(d.log_constant(self.lower, self.upper) for d in members)
        bounds = {"lower": self.lower, "upper": self.upper}
        out |= {name: np.array(bound) for name, bound in bounds.items() if isfinite(bound)}
        return {**out, "normaliser": np.array(normaliser)}

    def describe(self) -> tuple[str, ...]:
        """Each element's prior as text, with bounds that truncate it: ``student_t(3, 0, 2.5, lower=0)``."""
        return tuple(self._describe(density) for density in self.densities)

    def _describe(self, density: PriorDensity | None) -> str:
        if density is not None and density.is_constant:
            return density.text
        low, high = (-inf, inf) if density is None else density.support
        parts = [f"lower={r_number(self.lower)}"] * (self.lower > low)
        parts += [f"upper={r_number(self.upper)}"] * (self.upper < high)
        if density is not None:
            parts = [r_number(a) for a in density.arguments] + parts
        return f"{FLAT if density is None else density.name}({', '.join(parts)})"


def draw_prior(prior: VectorPrior, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """(size, elements) independent draws, on the natural scale, truncated to the bounds.

    Raises `PriorError` when an element's prior is improper.
    """
    if prior.improper:
        raise PriorError(f"flat priors cannot be sampled: {', '.join(prior.improper)}")
    out = np.empty((size, len(prior.names)))
    for j, density in enumerate(prior.densities):
        if density is None:
            out[:, j] = rng.uniform(prior.lower, prior.upper, size)
        elif density.is_constant:
            out[:, j] = density.arguments[0]
        else:
            out[:, j] = density.sample(rng, size, prior.lower, prior.upper)
    return out
