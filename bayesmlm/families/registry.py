"""The table of families, and the ways to choose one of them: by name, as R text, or with `brmsfamily`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from .base import Family, FamilyError
from .binary import BERNOULLI, BETA_BINOMIAL, BINOMIAL
from .continuous import BETA, GAMMA, GAUSSIAN, LOGNORMAL, STUDENT
from .count import GEOMETRIC, NBINOM1, NEGBINOMIAL, POISSON
from .hurdle import HURDLE_NEGBINOMIAL, HURDLE_POISSON
from .positive import EXPONENTIAL, INVERSE_GAUSSIAN
from .zero_inflated import ZERO_INFLATED_BINOMIAL, ZERO_INFLATED_NEGBINOMIAL, ZERO_INFLATED_POISSON

if TYPE_CHECKING:
    from ..formula.nodes import Node

__all__ = ["ALIASES", "FAMILIES", "LATER", "brmsfamily", "choose", "family"]

FAMILIES: dict[str, Family] = {
    record.name: record
    for record in (
        GAUSSIAN,
        STUDENT,
        LOGNORMAL,
        GAMMA,
        EXPONENTIAL,
        INVERSE_GAUSSIAN,
        BETA,
        BERNOULLI,
        BINOMIAL,
        BETA_BINOMIAL,
        POISSON,
        NEGBINOMIAL,
        NBINOM1,
        GEOMETRIC,
        ZERO_INFLATED_POISSON,
        ZERO_INFLATED_NEGBINOMIAL,
        ZERO_INFLATED_BINOMIAL,
        HURDLE_POISSON,
        HURDLE_NEGBINOMIAL,
    )
}
"""The families that can be fitted, by brms's name (nbinom1: glmmTMB's), with their default links."""

ALIASES = {
    "normal": "gaussian",
    "inverse_gaussian": "inverse.gaussian",
    # glmmTMB's names
    "nbinom2": "negbinomial",
    "betabinomial": "beta_binomial",
    "beta_family": "beta",
}
"""Other names of families. Case never matters: ``Gamma`` is ``gamma``, ``Beta`` is ``beta``."""

_LATER = """
acat asym_laplace categorical com_poisson cox cratio cumulative custom dirichlet dirichlet2
dirichlet_multinomial discrete_weibull exgaussian frechet gen_extreme_value hurdle_cumulative hurdle_gamma
hurdle_lognormal logistic_normal mixture multinomial negbinomial2 shifted_lognormal skew_normal sratio
von_mises weibull wiener xbeta zero_inflated_asym_laplace zero_inflated_beta zero_inflated_beta_binomial
zero_one_inflated_beta
"""
LATER = frozenset(_LATER.split())
"""brms's other families: refused by name."""


def family(spec: Any, link: str | None = None, **links: str | None) -> Family:
    """The family that ``spec`` names, with its links.

    ``spec``: a `Family`; a name (``"poisson"``; case does not matter); R text such as
    ``"binomial('probit')"``, ``"Gamma(link = log)"`` or ``"brmsfamily('student', link_nu = 'identity')"``; or
    a constructor of `bayesmlm.families`. ``link`` is mu's link, ``link_sigma=`` (and so on) those of the
    other parameters when they are predicted; they override what ``spec`` says.

    As in R, the *name* ``"Gamma"`` has brms's default link log, while the *call* ``Gamma()`` is the one of
    R's stats package, whose default is inverse.

    Raises `FamilyError` for an unknown family or link, and for a family that is not available yet;
    `FormulaError` for text that is not an R name or call.
    """
    given = _links(link, links)
    if isinstance(spec, str):
        chosen = _from_text(spec)
    else:
        chosen = spec() if callable(spec) else spec
    if not isinstance(chosen, Family):
        raise FamilyError(
            "a family is a name such as 'poisson' or what brmsfamily() returns; "
            f"this is {type(spec).__name__}"
        )
    return _with_checked_links(chosen, given)


def brmsfamily(name: str, link: str | None = None, **links: str | None) -> Family:
    """The family called ``name`` with ``link`` for mu and ``link_sigma=``, ``link_shape=``, ... for the
    others.

    Raises `FamilyError` as `family`.
    """
    return choose(name, _links(link, links))


def choose(name: str, links: Mapping[str, str | None]) -> Family:
    """The family called ``name`` with ``links`` by parameter. Raises `FamilyError`."""
    key = _canonical(name)
    if key not in FAMILIES:
        raise FamilyError(_unknown(name, key))
    return _with_checked_links(FAMILIES[key], links)


def _canonical(name: str) -> str:
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    for short, long in (("zi_", "zero_inflated_"), ("hu_", "hurdle_")):
        if key.startswith(short):
            key = long + key.removeprefix(short)
    return key


def _unknown(name: str, key: str) -> str:
    available = f"available: {', '.join(FAMILIES)}"
    if key in LATER:
        return f"the family `{key}` is not available yet; {available}"
    near = get_close_matches(key, [*FAMILIES, *ALIASES, *LATER], n=3)
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}? " if near else ""
    return f"there is no family `{name}`; {hint}{available}"


def _links(link: str | None, links: Mapping[str, str | None]) -> dict[str, str | None]:
    """Arguments ``link`` and ``link_sigma`` as links by parameter."""
    wrong = [name for name in links if not name.startswith("link_")]
    if wrong:
        raise FamilyError(
            f"a family takes no argument `{wrong[0]}`; write `link=` for mu and `link_sigma=` for sigma"
        )
    return {"mu": link, **{name.removeprefix("link_"): value for name, value in links.items()}}


def _with_checked_links(chosen: Family, links: Mapping[str, str | None]) -> Family:
    given = {parameter: link for parameter, link in links.items() if link is not None}
    known = {p.name: p.links for p in chosen.parameters}
    for parameter, link in given.items():
        if parameter not in known:
            raise FamilyError(
                f"the family `{chosen.name}` has no parameter `{parameter}`; it has {', '.join(known)}"
            )
        if link not in known[parameter]:
            raise FamilyError(
                f"'{link}' is not a link for `{parameter}` of the family `{chosen.name}`; "
                f"allowed: {', '.join(known[parameter])}"
            )
    return chosen.with_links(**given) if given else chosen


# ---- R text
# --------------------------------------------------------------------------------------------------


def _from_text(text: str) -> Family:
    if text.replace("_", "").replace(".", "").isalnum():
        return choose(text, {})
    from ..formula.nodes import Call
    from ..formula.parse import parse_expression

    call = parse_expression(text)
    if not isinstance(call, Call):
        raise FamilyError(f"`{text}` is not a family; write a name or a call such as `binomial('probit')`")
    positional: list[str | None] = []
    named: dict[str, str | None] = {}
    for argument in call.arguments:
        value = _word(argument.value, text)
        if argument.name is None:
            positional.append(value)
        else:
            named[argument.name] = value
    name = call.function
    if name in ("brmsfamily", "family"):
        first = named.pop("family", None) or (positional.pop(0) if positional else None)
        if first is None:
            raise FamilyError(f"`{text}` names no family; write `brmsfamily('gaussian')`")
        return brmsfamily(first, _one_link(positional, named, text), **named)
    if name == "Gamma":
        return brmsfamily(name, _one_link(positional, named, text) or "inverse", **named)
    return brmsfamily(name, _one_link(positional, named, text), **named)


def _one_link(positional: list[str | None], named: dict[str, str | None], text: str) -> str | None:
    """mu's link: the argument called ``link`` (taken out of ``named``) or the first one without a name."""
    if len(positional) + ("link" in named) > 1:
        raise FamilyError(
            f"`{text}` has more than one link; name those of other parameters: `link_sigma = 'log'`"
        )
    return named.pop("link", None) if "link" in named else next(iter(positional), None)


def _word(node: Node | None, text: str) -> str | None:
    from ..formula.nodes import Name, String

    match node:
        case String(value=value):
            return value
        case Name(name="NULL"):
            return None
        case Name(name=name):
            return name
    raise FamilyError(f"`{text}`: the arguments of a family are names of links, such as 'logit'")
