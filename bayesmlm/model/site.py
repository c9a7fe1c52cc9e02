"""A sample site of the joint program: one parameter vector, simplex or matrix with its prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from numpyro import distributions as dist

from ..priors.lkj import LKJCholesky
from ..priors.numpyro_prior import OrderedPrior, PriorDistribution
from ..priors.resolve import VectorPrior

__all__ = ["STORED", "Site"]

Array = Any

STORED = ("prior", "ordered", "simplex")
"""Kinds of sites whose values are kept as they are with every draw."""


@dataclass(frozen=True)
class Site:
    """One NumPyro sample site. ``shape``: of its value; ``unconstrained``: of the flat piece NUTS moves;
    ``names``: brms's flat names of its elements; ``kind``: prior, ordered (the same with increasing elements), simplex,
    lkj or standard_normal (which has no names). ``prior``: of kinds prior and ordered; ``constants``: the numbers of
    the prior of a simplex or an lkj site that no group block owns; ``text``: that prior as the user writes it;
    ``runs``: of an ordered site, lengths of several increasing vectors that it joins."""

    name: str
    kind: str
    shape: tuple[int, ...]
    unconstrained: tuple[int, ...]
    names: tuple[str, ...]
    prior: VectorPrior | None = None
    constants: Any = None
    text: str = ""
    runs: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of unconstrained coordinates."""
        return prod(self.unconstrained)

    @property
    def key(self) -> str:
        """Structure as text: what the compiled code depends on."""
        prior = "" if self.prior is None else self.prior.structure()
        return f"{self.name}:{self.kind}:{self.shape}:{prior}{self.runs or ''}"

    def distribution(self, constants: Mapping[str, Array]) -> dist.Distribution:
        """The prior of the whole site, its numbers from ``constants``."""
        if self.kind == "standard_normal":
            return dist.Normal(0.0, 1.0).expand(self.shape).to_event(len(self.shape))
        if self.kind == "lkj":
            return LKJCholesky(dict(constants), self.shape)
        if self.kind == "simplex":
            return dist.Dirichlet(constants["concentration"])
        assert self.prior is not None
        if self.kind == "ordered":
            return OrderedPrior(self.prior.structure(), constants, self.shape, self.runs)
        return PriorDistribution(self.prior.structure(), constants, shape=self.shape)
