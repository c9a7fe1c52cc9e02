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
from .lazy import jnp
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
    predicted with another link. ``below_response``: when it is not predicted its upper bound is the smallest
    response, which its priors may call ``min_Y``. ``fixed``: the value it has unless it is predicted or fixed
    otherwise. ``"scale"`` stands for the data-dependent prior of `bayesmlm.priors.defaults`: ``student_t(3, 0, S)``,
    for mu ``student_t(3, L, S)``.
    """

    name: str
    links: tuple[str, ...]
    lower: float | None = None
    upper: float | None = None
    default_prior: str = ""
    default_prior_predicted: str = "student_t(3, 0, 2.5)"
    fixed: float | None = None
    below_response: bool = False
    supplied: bool = False
    """When it is neither predicted nor fixed, a part of the distribution supplies it (weights of a mixture)."""


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
    - ``log_tails(y, parameters, extra) -> ((n,), (n,))``: log P(Y <= y) and log P(Y > y) at any real y, accurate in
      both tails and with finite gradients by every parameter: what censoring and truncation need. None: the family
      takes neither
    - ``cdf(y, parameters, extra) -> (n,)``: P(Y <= y), made from ``log_tails`` where not given; may lack gradients
    - ``quantile(probability, parameters, extra) -> (n,)``: the smallest y with P(Y <= y) >= probability, where it
      has a closed form; otherwise None and it is found by bisection of ``cdf``

    ``log_kernel`` has derivatives up to the third order by linear predictors: finite wherever the density is.

    JAX functions are to be called inside ``jax.enable_x64(True)``.
    """

    name: str
    parameters: tuple[DistributionalParameter, ...]
    support: Support
    log_kernel: Callable[[Array, Parameters, Parameters, str], Array]
    sample: Callable[[Array, Parameters, Parameters], Array]
    mean: Callable[[Parameters, Parameters], Array]
    variance: Callable[[Parameters, Parameters], Array] | None = None
    cdf: Callable[[Array, Parameters, Parameters], Array] | None = None
    log_tails: Callable[[Array, Parameters, Parameters], tuple[Array, Array]] | None = None
    quantile: Callable[[Array, Parameters, Parameters], Array] | None = None
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
    response: str = "number"
    """How the response is coded: the name of a row of `families.response.CODINGS`."""
    main: tuple[str, ...] = ("mu",)
    """The parameters that the main formula predicts, unless they have a formula of their own."""
    thresholds: tuple[str, ...] = ()
    """The parameters in whose predictors thresholds stand in the place of the intercept (ordinal families)."""
    parts: tuple[str, ...] = ()
    """What the distribution has besides predicted and scalar parameters (thresholds, weights of a mixture, a baseline
    hazard): names of rows of `model.parts.PARTS`. What they supply is among ``parameters``."""
    components: tuple[Family, ...] = ()
    """The families that a mixture is made of."""
    categories: tuple[str, ...] = ()
    """Names of the response's categories or columns, in order; known once the response is coded (`adapt`)."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the constructor was told besides links (thresholds, reference category), as plain data."""
    option_checks: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict, compare=False)
    """Every option there is, with a function that returns its value as plain data or raises `FamilyError`."""
    adapted: Callable[[Family, tuple[str, ...]], Family] | None = field(default=None, compare=False)
    """Makes the family of a response with these categories of a family whose parameters depend on them."""
    unadapted: Family | None = None
    """Of an adapted family the one it was made of, which is what files and messages name."""
    by_link: Mapping[str, Callable[[str], Any]] = field(default_factory=dict, compare=False)
    """What makes ``sample``, ``mean`` or ``cdf`` of mu's link, in families whose mu is no mean (ordinal ones); one
    function for each link, so that families can be compared."""
    links: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The link of each parameter when it is predicted; those not given become the default ones."""

    def __post_init__(self) -> None:
        defaults = {p.name: p.links[0] for p in self.parameters}
        object.__setattr__(self, "links", {**defaults, **self.links})
        for name, make in self.by_link.items():
            object.__setattr__(self, name, make(self.links["mu"]))
        tails = self.log_tails
        if self.cdf is None and tails is not None:
            object.__setattr__(self, "cdf", lambda y, p, extra: jnp.exp(tails(y, p, extra)[0]))

    @property
    def mu_link(self) -> str:
        """The link of mu, empty in a family without a mu."""
        return self.links.get("mu", "")

    @property
    def elementwise(self) -> bool:
        """Whether one number is the response and one mu is its only main parameter: what `glmer`, Laplace's
        approximation and rough fits can do."""
        return self.main == ("mu",) and not self.parts and not self.categories and self.adapted is None

    @property
    def joint_link(self) -> bool:
        """Whether the main parameters have one link together, the softmax: each alone is its linear predictor."""
        return bool(self.categories) and "mu" not in self.main and self.links[self.main[0]] == "logit"

    def adapt(self, categories: tuple[str, ...]) -> Family:
        """This family for a response with these categories; itself where they do not matter."""
        general = self if self.unadapted is None else self.unadapted
        if general.adapted is None:
            return self
        return replace(general.adapted(general, categories), unadapted=general)

    def component_of(self, parameter: str) -> Family:
        """The family to which ``parameter`` belongs: a component of a mixture, else this family."""
        for number, component in enumerate(self.components, start=1):
            if any(parameter == f"{p.name}{number}" for p in component.parameters):
                return component
        return self

    @property
    def integer_response(self) -> bool:
        """The response is a count (Stan declares it ``int``)."""
        return self.support.integer

    def log_density(
        self, y: Array, parameters: Parameters, extra: Parameters, link: str | None = None
    ) -> Array:
        """(n,) log density or log probability of ``y``. ``link``: mu's link name (default: this family's)."""
        kernel = self.log_kernel(y, parameters, extra, link or self.mu_link)
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
        if self.components:
            from .mixture import with_component_links

            return with_component_links(self, chosen)
        return replace(self, links=chosen)

    def with_options(self, options: Mapping[str, Any]) -> Family:
        """This family told ``options``. Raises `FamilyError` for one it does not have or a value that it cannot be."""
        for name in options:
            if name not in self.option_checks:
                raise FamilyError(
                    f"the family `{self.name}` takes no argument `{name}`; "
                    "write `link=` for mu and `link_sigma=` for sigma"
                )
        checked = {name: self.option_checks[name](value) for name, value in options.items()}
        return replace(self, options={**self.options, **checked}) if checked else self

    def to_json(self) -> dict[str, Any]:
        """Name, links and options as plain data, from which `from_json` makes this family again."""
        general = self if self.unadapted is None else self.unadapted
        options = {"options": dict(general.options)} if general.options else {}
        return {"name": general.name, "links": dict(general.links), **options}

    @staticmethod
    def from_json(data: Mapping[str, Any], families: Any = None) -> Family:
        """The family that `to_json` described; ``families``: those made by `custom_family`, whose functions are not in
        ``data``. Raises `FamilyError` for a name or link this version lacks, and for a custom family not given."""
        from .registry import choose

        options = data.get("options", {})
        if "components" in options:
            from .mixture import mixture_from_options

            return mixture_from_options(options, families)
        if "custom" in options:
            from .custom import with_functions

            return with_functions(data, families)
        return choose(data["name"], data["links"], options)

    def __repr__(self) -> str:
        if self.unadapted is not None:
            return repr(self.unadapted)
        links = [f"link={self.mu_link!r}"] if self.mu_link else []
        links += [f"link_{p.name}={self.link(p.name)!r}" for p in self.parameters if p.name != "mu"]
        told = [f"{k}={v!r}" for k, v in self.options.items() if k not in ("components", "custom")]
        return f"{self.name}({', '.join([*links, *told])})"
