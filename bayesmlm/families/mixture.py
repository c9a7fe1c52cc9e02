"""Mixtures of families: each response comes from one of several components, which one is not known.

Every parameter of a component carries its number (``mu1``, ``sigma1``, ``mu2``, ...); the weights are ``theta1``,
``theta2``, ... A component's own functions are called with a view of these parameters under its own names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .additions import adjusted, log_density
from .base import DistributionalParameter, Family, FamilyError
from .common import shape_of
from .lazy import jnp, random
from .links import LINKS
from .special import log_add
from .support import Support

__all__ = ["log_memberships", "mixture", "mixture_from_options", "view", "with_component_links"]

Array = Any
Values = Mapping[str, Array]

ATOMS = frozenset(
    {
        "hurdle_gamma",
        "hurdle_lognormal",
        "tweedie",
        "xbeta",
        "zero_inflated_asym_laplace",
        "zero_inflated_beta",
    }
    | {"zero_one_inflated_beta", "ordered_beta"}
)
"""Continuous families with single values of positive probability: their densities cannot be compared with those of
other families."""
PARTS = frozenset({"thresholds"})
"""Parts that components may have."""
WEIGHTS = "mixture_weights"


def mixture(
    *components: Any,
    flist: Iterable[Any] | None = None,
    nmix: int | Sequence[int] = 1,
    order: str | bool | None = None,
    refcat: int | str | None = None,
) -> Family:
    """A mixture of ``components`` and those of ``flist``: families, or names or texts of families.

    Args:
        components: what `family` accepts.
        flist: more of them.
        nmix: how often each component occurs: one number, or one for each.
        order: ``"mu"`` puts the intercepts of mu1, mu2, ... in increasing order, which tells alike components apart;
            ``"none"`` does not. By default "mu" where all components are the same family with the same link, and not
            ordinal.
        refcat: number of the component whose weight's linear predictor is 0 when the others' are predicted; ``"NA"``
            for none. By default the one that has no formula.

    Returns:
        The family. ``sigma2``, ``theta1`` and so on can be predicted, fixed, or set equal (``sigma2 = "sigma1"``).

    Raises:
        FamilyError: for fewer than two components and for families that cannot be mixed.
    """
    from .registry import family

    given = [family(each) for each in (*components, *(flist or ()))]
    counts = [nmix] * len(given) if isinstance(nmix, int) else list(nmix)
    if len(counts) != len(given) or any(count < 1 for count in counts):
        raise FamilyError(f"nmix needs a whole number of at least 1 for each of the {len(given)} families")
    chosen = tuple(one for one, count in zip(given, counts, strict=True) for _ in range(count))
    _refuse(chosen)
    return _mixture(chosen, _order(chosen, order), _reference(refcat, len(chosen)))


def mixture_from_options(options: Mapping[str, Any], families: Any = None) -> Family:
    """The mixture that `Family.to_json` described by ``options``; ``families``: custom ones."""
    components = [Family.from_json(each, families) for each in options["components"]]
    return mixture(*components, order=options["order"], refcat=options["refcat"])


def with_component_links(mixed: Family, links: Mapping[str, str]) -> Family:
    """``mixed`` with ``links``, given by parameter of the mixture."""
    components = tuple(
        component.with_links(**{p.name: links[f"{p.name}{number}"] for p in component.parameters})
        for number, component in enumerate(mixed.components, start=1)
    )
    return _mixture(components, mixed.options["order"], mixed.options["refcat"])


def _order(components: tuple[Family, ...], order: str | bool | None) -> str:
    alike = len({(c.name, c.mu_link) for c in components}) == 1
    ordinal = bool(components[0].thresholds)
    if order is None:
        return "mu" if alike and not ordinal else "none"
    named = {True: "mu", False: "none"}.get(order, order) if isinstance(order, bool) else order
    if named not in ("mu", "none"):
        raise FamilyError(f'the order of a mixture is "mu" or "none", not {order!r}')
    if named == "mu" and ordinal:
        raise FamilyError(
            'order="mu", thresholds shared by the components, is not there for ordinal families: use order="none"'
        )
    return named


def _reference(refcat: int | str | None, count: int) -> int | str | None:
    if refcat is None or refcat == "NA":
        return refcat
    if isinstance(refcat, bool) or not isinstance(refcat, int | np.integer) or not 1 <= refcat <= count:
        raise FamilyError(
            f'refcat of a mixture is a component from 1 to {count}, "NA" or None, not {refcat!r}'
        )
    return int(refcat)


def _refuse(components: tuple[Family, ...]) -> None:
    """Raise `FamilyError` for components that do not make a mixture."""
    if len(components) < 2:
        raise FamilyError("a mixture needs at least two components: mixture(gaussian(), gaussian())")
    for one in components:
        if one.components:
            raise FamilyError("a mixture cannot be a component: write all components into one mixture()")
        if one.main != ("mu",) or not set(one.parts) <= PARTS or (one.adapted and not one.thresholds):
            raise FamilyError(f"the family `{one.name}` is not allowed in mixtures")
        if any(p.name.startswith("theta") for p in one.parameters):
            raise FamilyError(
                f"the family `{one.name}` has a parameter `theta`, the name of a mixture's weights"
            )
    if len({bool(c.thresholds) for c in components}) > 1:
        raise FamilyError(f"{_named(components)} mixes ordinal families with others")
    if len({c.integer_response for c in components}) > 1:
        raise FamilyError(
            f"{_named(components)} mixes families of whole numbers with families of real numbers"
        )
    if len({c.response for c in components}) > 1:
        raise FamilyError(f"{_named(components)} mixes families whose responses are coded in different ways")
    if components[0].thresholds and len({c.support.lower for c in components}) > 1:
        raise FamilyError(f"{_named(components)} mixes families whose first categories are not the same")
    atoms = {c.name for c in components} & ATOMS
    if atoms and len({c.name for c in components}) > 1:
        raise FamilyError(
            f"`{min(atoms)}` gives single values a probability of their own: it can be mixed only with itself"
        )


def _named(components: tuple[Family, ...]) -> str:
    return f"mixture({', '.join(c.name for c in components)})"


@lru_cache(maxsize=64)
def _mixture(components: tuple[Family, ...], order: str, refcat: int | str | None) -> Family:
    """The record; the same one for the same arguments, so that mixtures can be compared."""
    numbered = list(enumerate(components, start=1))
    weights = [_weight(number) for number, _ in numbered]
    parameters = [replace(p, name=f"{p.name}{k}") for k, c in numbered for p in c.parameters]
    links = {f"{name}{k}": link for k, c in numbered for name, link in c.links.items()}
    required = frozenset[str]().union(*(c.required_additions for c in components))
    shared = _shared_base_measure(components)
    return Family(
        name=_named(components),
        code=f"Mixture([{', '.join(_code(k, c) for k, c in numbered)}], theta)",
        description="one of several distributions, with probabilities theta1, theta2, ...",
        parameters=(*parameters, *weights),
        support=_support(components),
        log_kernel=_log_kernel(components, shared is not None),
        log_base_measure=shared,
        sample=_sample(components),
        mean=_mean(components),
        variance=_variance(components),
        log_tails=_log_tails(components),
        cdf=_cdf(components),
        additions=components[0].additions.intersection(*(c.additions for c in components)) | required,
        required_additions=required,
        response=components[0].response,
        main=tuple(f"mu{k}" for k, _ in numbered),
        thresholds=tuple(f"{name}{k}" for k, c in numbered for name in c.thresholds),
        parts=(*dict.fromkeys(part for c in components for part in c.parts), WEIGHTS),
        components=components,
        categories=components[0].categories,
        adapted=_adapted if components[0].adapted else None,
        options={"components": [c.to_json() for c in components], "order": order, "refcat": refcat},
        links=links,
    )


def _adapted(mixed: Family, categories: tuple[str, ...]) -> Family:
    """The mixture for an ordinal response with these categories."""
    components = tuple(c.adapt(categories) for c in mixed.components)
    return _mixture(components, mixed.options["order"], mixed.options["refcat"])


def _weight(number: int) -> DistributionalParameter:
    """theta of one component: predicted on the scale of a softmax."""
    return DistributionalParameter(
        f"theta{number}", ("identity",), 0.0, default_prior="logistic(0, 1)", supplied=True
    )


def _code(number: int, component: Family) -> str:
    names = "|".join(p.name for p in component.parameters)
    return re.sub(rf"\b({names})\b(?!=)", rf"\g<1>{number}", component.code)


def _shared_base_measure(components: tuple[Family, ...]) -> Callable[[Array, Values], Array] | None:
    """The base measure of the components if they have the same; only then can it be left out of the sum."""
    functions = {c.log_base_measure for c in components}
    return functions.pop() if len(functions) == 1 else None


@dataclass(frozen=True)
class _JointSupport(Support):
    """What lies in the support of every component."""

    members: tuple[Support, ...] = ()

    def describe(self) -> str:
        """In words."""
        return " and ".join(dict.fromkeys(member.describe() for member in self.members))

    def contains(self, y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values lie in all supports."""
        return np.logical_and.reduce([member.contains(y) for member in self.members])


def _support(components: tuple[Family, ...]) -> Support:
    members = tuple(dict.fromkeys(c.support for c in components))
    if len(members) == 1:
        return members[0]
    lower, upper = max(s.lower for s in members), min(s.upper for s in members)
    closed = all(s.closed for s in members if s.lower == lower or s.upper == upper)
    return _JointSupport(lower, upper, closed, members[0].integer, members=members)


# ---- the components' parameters
# --------------------------------------------------------------------------------------------------


def view(number: int, component: Family, p: Values, extra: Values) -> dict[str, Array]:
    """The parameters of ``component``, the one with this number from 1, under its own names, as additions adjust them
    (see `additions.adjusted`)."""
    own: dict[str, Array] = {}
    for parameter in component.parameters:
        name = parameter.name
        own[name] = p[f"{name}{number}"]
        if f"logit_{name}{number}" in p:
            own[f"logit_{name}"] = p[f"logit_{name}{number}"]
    eta = p.get(f"eta_mu{number}")
    own["eta"] = LINKS[component.mu_link].link(own["mu"]) if eta is None else eta
    for name in SUPPLIED:
        if f"{name}_mu{number}" in p:
            own[name] = p[f"{name}_mu{number}"]
    return adjusted(component, own, extra)


SUPPLIED = ("thresholds", "threshold_count")
"""What parts of components supply, as ``thresholds_mu1`` in a mixture."""


def _views(components: tuple[Family, ...], p: Values, extra: Values) -> list[tuple[Family, dict[str, Array]]]:
    return [(c, view(k, c, p, extra)) for k, c in enumerate(components, start=1)]


def _log_weights(count: int, p: Values) -> list[Array]:
    known = [p.get(f"log_theta{k}") for k in range(1, count + 1)]
    return [jnp.log(p[f"theta{k}"]) if known[k - 1] is None else known[k - 1] for k in range(1, count + 1)]


def log_memberships(components: tuple[Family, ...], y: Array, p: Values, extra: Values) -> Array:
    """(components, n) log probability that a response comes from each component, given the response and ``p``."""
    weights = _log_weights(len(components), p)
    terms = [
        weight + log_density(c, y, own, extra)
        for weight, (c, own) in zip(weights, _views(components, p, extra), strict=True)
    ]
    total = reduce(log_add, terms)
    return jnp.stack([jnp.broadcast_to(term - total, jnp.shape(total)) for term in terms])


# ---- the mixture's functions
# --------------------------------------------------------------------------------------------------


def _log_kernel(
    components: tuple[Family, ...], without_base: bool
) -> Callable[[Array, Values, Values, str], Array]:
    def kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        terms = []
        weights = _log_weights(len(components), p)
        for weight, (c, own) in zip(weights, _views(components, p, extra), strict=True):
            value = c.log_kernel(y, own, extra, c.mu_link)
            if not without_base and c.log_base_measure is not None:
                value = value + c.log_base_measure(y, extra)
            terms.append(weight + value)
        return reduce(log_add, terms)

    return kernel


def _log_tails(
    components: tuple[Family, ...],
) -> Callable[[Array, Values, Values], tuple[Array, Array]] | None:
    if any(c.log_tails is None for c in components):
        return None

    def tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        below, above = [], []
        weights = _log_weights(len(components), p)
        for weight, (c, own) in zip(weights, _views(components, p, extra), strict=True):
            assert c.log_tails is not None
            low, high = c.log_tails(y, own, extra)
            below.append(weight + low)
            above.append(weight + high)
        return reduce(log_add, below), reduce(log_add, above)

    return tails


def _cdf(components: tuple[Family, ...]) -> Callable[[Array, Values, Values], Array] | None:
    if any(c.cdf is None for c in components):
        return None

    def cdf(y: Array, p: Values, extra: Values) -> Array:
        total = 0.0
        for k, (c, own) in enumerate(_views(components, p, extra), start=1):
            assert c.cdf is not None
            total = total + p[f"theta{k}"] * c.cdf(y, own, extra)
        return total

    return cdf


def _sample(components: tuple[Family, ...]) -> Callable[[Array, Values, Values], Array]:
    names = [f"{p.name}{k}" for k, c in enumerate(components, start=1) for p in c.parameters]
    names += [f"theta{k}" for k in range(1, len(components) + 1)]

    def sample(key: Array, p: Values, extra: Values) -> Array:
        shape = shape_of({name: p[name] for name in names}, extra)
        key, own_key = random.split(key)
        u = random.uniform(own_key, shape, jnp.result_type(float))
        drawn, cumulated = jnp.zeros(shape), jnp.zeros(())
        for k, (c, own) in enumerate(_views(components, p, extra), start=1):
            key, own_key = random.split(key)
            spread = {
                name: value if jnp.ndim(value) > len(shape) else jnp.broadcast_to(value, shape)
                for name, value in own.items()
            }
            one = c.sample(own_key, spread, extra)
            # The last component takes what rounding leaves of the weights.
            here = u >= cumulated
            drawn = jnp.where(here, one, drawn)
            cumulated = cumulated + p[f"theta{k}"]
        return drawn

    return sample


def _mean(components: tuple[Family, ...]) -> Callable[[Values, Values], Array]:
    def mean(p: Values, extra: Values) -> Array:
        views = enumerate(_views(components, p, extra), start=1)
        return sum(p[f"theta{k}"] * c.mean(own, extra) for k, (c, own) in views)

    return mean


def _variance(components: tuple[Family, ...]) -> Callable[[Values, Values], Array] | None:
    if any(c.variance is None for c in components):
        return None

    def variance(p: Values, extra: Values) -> Array:
        """Of the components, and of their means around the mixture's."""
        views = _views(components, p, extra)
        means = [c.mean(own, extra) for c, own in views]
        weights = [p[f"theta{k}"] for k in range(1, len(components) + 1)]
        mean = sum(w * m for w, m in zip(weights, means, strict=True))
        total = 0.0
        for (c, own), weight, own_mean in zip(views, weights, means, strict=True):
            assert c.variance is not None
            total = total + weight * (c.variance(own, extra) + (own_mean - mean) ** 2)
        return total

    return variance
