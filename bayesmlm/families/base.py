"""The record that describes a response family; the table of families is made of these.

Adding a family is writing one such record: the summary, the prior table, the pointwise log-likelihood and
prediction all read it, and what a family can do follows from which of its functions exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DistributionalParameter", "Family"]

Array = Any
"""A jax array (or tracer)."""


@dataclass(frozen=True)
class DistributionalParameter:
    """One parameter of the response distribution.

    ``links``: allowed links when it is predicted, default first. ``lower``/``upper``: bounds on its natural scale
    (None: unbounded). ``default_prior``: brms's prior when it is not predicted; ``default_prior_predicted``:
    of its intercept when predicted. ``"scale"`` in a prior stands for the data-dependent
    ``student_t(3, 0, S)`` of `bayesmlm.priors.defaults`.
    """

    name: str
    links: tuple[str, ...]
    lower: float | None = None
    upper: float | None = None
    default_prior: str = ""
    default_prior_predicted: str = "student_t(3, 0, 2.5)"


@dataclass(frozen=True)
class Family:
    """A family with its links chosen; frozen, so a model can carry it.

    Density functions are elementwise JAX code over rows. ``parameters`` maps each distributional parameter to its
    value on the natural scale; for stability ``mu`` of a family with a ``mu`` link is also given on the link
    scale as ``parameters["eta"]`` (always the linear predictor). ``extra`` holds what the additions supply
    (``trials``). All broadcast to the rows of ``y``.

    - ``log_density(y, parameters, extra, link) -> (n,)``; ``link`` is mu's link name
    - ``sample(key, parameters, extra) -> (n,)``
    - ``mean(parameters, extra) -> (n,)``: E(y)
    - ``cdf(y, parameters, extra) -> (n,)`` or None
    - ``check(y, extra) -> None``: numpy, raises `DataError` naming row and value outside the support
    """

    name: str
    parameters: tuple[DistributionalParameter, ...]
    integer_response: bool
    log_density: Callable[[Array, Mapping[str, Array], Mapping[str, Array], str], Array]
    sample: Callable[[Array, Mapping[str, Array], Mapping[str, Array]], Array]
    mean: Callable[[Mapping[str, Array], Mapping[str, Array]], Array]
    check: Callable[[NDArray[np.float64], Mapping[str, NDArray[np.float64]]], None]
    cdf: Callable[[Array, Mapping[str, Array], Mapping[str, Array]], Array] | None = None
    additions: frozenset[str] = frozenset()
    required_additions: frozenset[str] = frozenset()
    logscale: bool = False
    """mu lives on the log scale of y (lognormal): default priors then use log(y)."""
    factor_response: bool = False
    """A two-level factor (or text, or boolean) is a legal response (bernoulli)."""
    links: Mapping[str, str] = field(default_factory=dict)
    """The link chosen for each parameter (filled by `with_links`)."""

    def link(self, parameter: str) -> str:
        """The link of ``parameter`` when it is predicted."""
        return self.links.get(parameter) or self.parameter(parameter).links[0]

    def parameter(self, name: str) -> DistributionalParameter:
        """The record of the parameter called ``name`` (KeyError if the family has none)."""
        for candidate in self.parameters:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def with_links(self, **links: str | None) -> Family:
        """This family with other links; the caller has checked that they are allowed."""
        chosen = {**self.links, **{k: v for k, v in links.items() if v is not None}}
        return replace(self, links=chosen)
