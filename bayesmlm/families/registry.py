"""The table of families, and the ways to choose one of them: by name, as R text, or with `brmsfamily`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from .base import Family, FamilyError
from .binary import BERNOULLI, BETA_BINOMIAL, BINOMIAL
from .categorical import CATEGORICAL, DIRICHLET_MULTINOMIAL, MULTINOMIAL
from .circular import VON_MISES
from .com_poisson import COM_POISSON
from .continuous import BETA, GAMMA, GAUSSIAN, LOGNORMAL, STUDENT
from .count import GEOMETRIC, NBINOM1, NEGBINOMIAL, NEGBINOMIAL2, POISSON
from .cox import COX
from .discrete_weibull import DISCRETE_WEIBULL
from .dispersed import BELL, GENERALISED_POISSON
from .extended_beta import ORDERED_BETA, XBETA
from .extreme_value import GEN_EXTREME_VALUE
from .hurdle import HURDLE_NEGBINOMIAL, HURDLE_POISSON
from .hurdle_positive import HURDLE_GAMMA, HURDLE_LOGNORMAL
from .ordinal import ACAT, CRATIO, CUMULATIVE, HURDLE_CUMULATIVE, SRATIO
from .positive import EXPONENTIAL, INVERSE_GAUSSIAN
from .quantile_regression import ASYM_LAPLACE, ZERO_INFLATED_ASYM_LAPLACE
from .reaction_times import SHIFTED_LOGNORMAL, WIENER
from .simplex import DIRICHLET, DIRICHLET2, LOGISTIC_NORMAL
from .skewed import EXGAUSSIAN, SKEW_NORMAL, SKEW_T
from .survival import FRECHET, WEIBULL
from .truncated import TRUNCATED_NEGBINOMIAL, TRUNCATED_POISSON
from .tweedie import TWEEDIE
from .unit_interval import ZERO_INFLATED_BETA, ZERO_ONE_INFLATED_BETA
from .zero_inflated import (
    ZERO_INFLATED_BETA_BINOMIAL,
    ZERO_INFLATED_BINOMIAL,
    ZERO_INFLATED_NEGBINOMIAL,
    ZERO_INFLATED_POISSON,
)

if TYPE_CHECKING:
    from ..formula.nodes import Call, Node

__all__ = ["ALIASES", "FAMILIES", "brmsfamily", "choose", "family"]

FAMILIES: dict[str, Family] = {
    record.name: record
    for record in (
        GAUSSIAN,
        STUDENT,
        SKEW_NORMAL,
        SKEW_T,
        EXGAUSSIAN,
        GEN_EXTREME_VALUE,
        ASYM_LAPLACE,
        ZERO_INFLATED_ASYM_LAPLACE,
        VON_MISES,
        LOGNORMAL,
        GAMMA,
        EXPONENTIAL,
        INVERSE_GAUSSIAN,
        WEIBULL,
        COX,
        FRECHET,
        SHIFTED_LOGNORMAL,
        WIENER,
        BETA,
        ZERO_INFLATED_BETA,
        ZERO_ONE_INFLATED_BETA,
        XBETA,
        ORDERED_BETA,
        BERNOULLI,
        BINOMIAL,
        BETA_BINOMIAL,
        POISSON,
        NEGBINOMIAL,
        NEGBINOMIAL2,
        NBINOM1,
        GEOMETRIC,
        DISCRETE_WEIBULL,
        COM_POISSON,
        GENERALISED_POISSON,
        BELL,
        TRUNCATED_POISSON,
        TRUNCATED_NEGBINOMIAL,
        ZERO_INFLATED_POISSON,
        ZERO_INFLATED_NEGBINOMIAL,
        ZERO_INFLATED_BINOMIAL,
        ZERO_INFLATED_BETA_BINOMIAL,
        HURDLE_POISSON,
        HURDLE_NEGBINOMIAL,
        HURDLE_GAMMA,
        HURDLE_LOGNORMAL,
        TWEEDIE,
        CUMULATIVE,
        SRATIO,
        CRATIO,
        ACAT,
        HURDLE_CUMULATIVE,
        CATEGORICAL,
        MULTINOMIAL,
        DIRICHLET_MULTINOMIAL,
        DIRICHLET,
        DIRICHLET2,
        LOGISTIC_NORMAL,
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
    "genpois": "generalised_poisson",
    "generalized_poisson": "generalised_poisson",
    "ordbeta": "ordered_beta",
    "truncated_nbinom2": "truncated_negbinomial",
}
"""Other names of families. Case never matters: ``Gamma`` is ``gamma``, ``Beta`` is ``beta``."""


def family(spec: Any, link: str | None = None, **arguments: Any) -> Family:
    """The family that ``spec`` names, with its links.

    ``spec``: a `Family`; a name (``"poisson"``; case does not matter); R text such as
    ``"binomial('probit')"``, ``"Gamma(link = log)"`` or ``"brmsfamily('student', link_nu = 'identity')"``; or
    a constructor of `bayesmlm.families`. ``link`` is mu's link, ``link_sigma=`` (and so on) those of the
    other parameters when they are predicted, and further arguments are options of the family (``threshold=`` of
    ordinal ones); they override what ``spec`` says.

    As in R, the *name* ``"Gamma"`` has brms's default link log, while the *call* ``Gamma()`` is the one of
    R's stats package, whose default is inverse.

    Raises `FamilyError` for an unknown family or link, and for a family that is not available yet;
    `FormulaError` for text that is not an R name or call.
    """
    given, options = _links_and_options(link, arguments)
    if isinstance(spec, str):
        chosen = _from_text(spec)
    else:
        chosen = spec() if callable(spec) else spec
    if not isinstance(chosen, Family):
        raise FamilyError(
            "a family is a name such as 'poisson' or what brmsfamily() returns; "
            f"this is {type(spec).__name__}"
        )
    return _with_checked_links(chosen.with_options(options), given)


def brmsfamily(name: str, link: str | None = None, **arguments: Any) -> Family:
    """The family called ``name`` with ``link`` for mu and ``link_sigma=``, ``link_shape=``, ... for the
    others, and the family's options (``threshold=``).

    Raises `FamilyError` as `family`.
    """
    return choose(name, *_links_and_options(link, arguments))


def choose(name: str, links: Mapping[str, str | None], options: Mapping[str, Any] | None = None) -> Family:
    """The family called ``name`` with ``links`` by parameter and its options. Raises `FamilyError`."""
    key = _canonical(name)
    if key not in FAMILIES:
        raise FamilyError(_unknown(name, key))
    return _with_checked_links(FAMILIES[key].with_options(options or {}), links)


def _canonical(name: str) -> str:
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    for short, long in (("zi_", "zero_inflated_"), ("hu_", "hurdle_")):
        if key.startswith(short):
            key = long + key.removeprefix(short)
    return key


def _unknown(name: str, key: str) -> str:
    available = f"available: {', '.join(FAMILIES)}"
    if key in ("mixture", "custom"):
        how = "mixture(gaussian, gaussian)" if key == "mixture" else "the function custom_family()"
        return f"`{name}` alone is no family: write {how}"
    near = get_close_matches(key, [*FAMILIES, *ALIASES], n=3)
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}? " if near else ""
    return f"there is no family `{name}`; {hint}{available}"


def _links_and_options(
    link: str | None, arguments: Mapping[str, Any]
) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Arguments ``link`` and ``link_sigma`` as links by parameter, and those that are no links; an option that is None
    counts as not given."""
    links = {"mu": link}
    links |= {
        name.removeprefix("link_"): value for name, value in arguments.items() if name.startswith("link_")
    }
    options = {name: value for name, value in arguments.items() if not name.startswith("link_")}
    return links, {name: value for name, value in options.items() if value is not None}


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
    return _from_call(call, text)


def _from_call(call: Call, text: str) -> Family:
    """The family that R's call describes; ``text`` is what the user wrote, for messages."""
    if call.function == "mixture":
        return _mixture_from_call(call, text)
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


def _mixture_from_call(call: Call, text: str) -> Family:
    from ..formula.nodes import Call, Number
    from .mixture import mixture

    def whole(node: Node | None) -> int:
        if isinstance(node, Number) and node.value == int(node.value):
            return int(node.value)
        raise FamilyError(f"`{text}`: nmix is a whole number, or c(...) of one for each family")

    components: list[Family] = []
    options: dict[str, Any] = {}
    for argument in call.arguments:
        value = argument.value
        if argument.name is None:
            one = _from_call(value, text) if isinstance(value, Call) else family(_word(value, text))
            components.append(one)
        elif argument.name == "nmix" and isinstance(value, Call) and value.function == "c":
            options["nmix"] = [whole(each.value) for each in value.arguments]
        elif argument.name == "nmix":
            options["nmix"] = whole(value)
        elif argument.name == "refcat" and isinstance(value, Number):
            options["refcat"] = whole(value)
        elif argument.name in ("order", "refcat"):
            options[argument.name] = _word(value, text)
        else:
            raise FamilyError(f"`{text}`: mixture() takes families, nmix, order and refcat")
    return mixture(*components, **options)


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
