"""The record that describes a response family; the table of families is made of these.

Adding a family is writing one such record: the summary, the prior table, the pointwise log-likelihood and
prediction all read it, and what a family can do follows from which of its functions exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .support import Support

__all__ = ["DistributionalParameter", "Family", "FamilyError"]

Array = Any
"""A jax array (or tracer)."""
Parameters = Mapping[str, Array]


class FamilyError(BayesmlmError):
    """A family or link that does not exist, is not available yet, or does not go with the other."""


@dataclass(frozen=True)
class DistributionalParameter:
    """One parameter of the response distribution.

    ``links``: allowed links when it is predicted, default first. ``lower``/``upper``: open bounds on its
    natural scale (None: unbounded). ``default_prior``: brms's prior when it is not predicted, and of its
    intercept when it is predicted with the identity link; ``default_prior_predicted``: of its intercept when
    predicted with another link. ``"scale"`` stands for the data-dependent prior of
    `bayesmlm.priors.defaults`: ``student_t(3, 0, S)``, for mu ``student_t(3, L, S)``.
    """

    name: str
    links: tuple[str, ...]
    lower: float | None = None
    upper: float | None = None
    default_prior: str = ""
    default_prior_predicted: str = "student_t(3, 0, 2.5)"


@dataclass(frozen=True, repr=False)
class Family:
    """A family with its links chosen; frozen, so a model can carry it.

    Density functions are elementwise JAX code over rows. ``parameters`` maps each distributional parameter to
    its value on the natural scale; for stability ``mu`` of a family with a ``mu`` link is also given on the
    link scale as ``parameters["eta"]`` (always the linear predictor), and a probability that is predicted with
    the logit link as ``parameters["logit_zi"]``: see `links.natural_parameters`. ``extra`` holds what the
    additions supply (``trials``). All broadcast to the rows of ``y``.

    - ``log_kernel(y, parameters, extra, link) -> (n,)``; ``link`` is mu's link name. The log density less
      ``log_base_measure``; minus infinity where mu is outside its range (possible with links such as
      identity)
    - ``log_base_measure(y, extra) -> (n,)``: the part of the log density that no parameter enters, or None
      when there is none: computed once for each data set, it keeps log-gamma functions of the data out of the
      sampler
    - ``sample(key, parameters, extra) -> (n,)``, the shape to which parameters and extra broadcast
    - ``mean(parameters, extra) -> (n,)``: E(y); ``variance(parameters, extra) -> (n,)``: Var(y); both also
      work on numpy arrays
    - ``cdf(y, parameters, extra) -> (n,)``: P(Y <= y), or None

    ``log_kernel`` has derivatives up to the third order by linear predictors: finite wherever the density is.

    JAX functions are to be called inside ``jax.enable_x64(True)``.
    """

    name: str
    parameters: tuple[DistributionalParameter, ...]
    support: Support
    log_kernel: Callable[[Array, Parameters, Parameters, str], Array]
    sample: Callable[[Array, Parameters, Parameters], Array]
    mean: Callable[[Parameters, Parameters], Array]
    variance: Callable[[Parameters, Parameters], Array]
    cdf: Callable[[Array, Parameters, Parameters], Array] | None = None
    log_base_measure: Callable[[Array, Parameters], Array] | None = None
    description: str = ""
    """The distribution in words and symbols, one line (shown in the documentation)."""
    code: str = ""
    """The distribution as NumPyro text (shown by ``fit.model_code``)."""
    additions: frozenset[str] = frozenset()
    """Response additions brms accepts besides ``weights``, ``subset`` and ``index``, which all families
    take."""
    required_additions: frozenset[str] = frozenset()
    logscale: bool = False
    """mu lives on the log scale of y (lognormal): default priors then use log(y)."""
    factor_response: bool = False
    """A two-level factor (or text, or boolean) is a legal response (bernoulli)."""
    links: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The link of each parameter when it is predicted; those not given become the default ones."""

    def __post_init__(self) -> None:
        defaults = {p.name: p.links[0] for p in self.parameters}
        object.__setattr__(self, "links", {**defaults, **self.links})

    @property
    def integer_response(self) -> bool:
        """The response is a count (Stan declares it ``int``)."""
        return self.support.integer

    def log_density(
        self, y: Array, parameters: Parameters, extra: Parameters, link: str | None = None
    ) -> Array:
        """(n,) log density or log probability of ``y``. ``link``: mu's link name (default: this family's)."""
        kernel = self.log_kernel(y, parameters, extra, link or self.link("mu"))
        return kernel if self.log_base_measure is None else kernel + self.log_base_measure(y, extra)

    def check(
        self,
        y: NDArray[np.float64],
        extra: Mapping[str, NDArray[np.float64]],
        rows: Sequence[object] | None = None,
    ) -> None:
        """Raise `DataError` naming the first row and value outside the support. ``rows``: labels of the rows
        for the message (default 1, 2, ...)."""
        self.support.check(self.name, y, extra, rows)

    def link(self, parameter: str) -> str:
        """The link of ``parameter`` when it is predicted (KeyError if the family has none)."""
        return self.links[parameter]

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

    def to_json(self) -> dict[str, Any]:
        """Name and links as plain data, from which `from_json` makes this family again."""
        return {"name": self.name, "links": dict(self.links)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Family:
        """The family that `to_json` described. Raises `FamilyError` for a name or link this version lacks."""
        from .registry import choose

        return choose(data["name"], data["links"])

    def __repr__(self) -> str:
        links = [f"link={self.link('mu')!r}"]
        links += [f"link_{p.name}={self.link(p.name)!r}" for p in self.parameters if p.name != "mu"]
        return f"{self.name}({', '.join(links)})"
