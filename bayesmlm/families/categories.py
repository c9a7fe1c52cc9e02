"""What families with a linear predictor for each category share: the predictors' names, the reference category, and
log probabilities that keep their digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..formula.names import response_name
from .base import DistributionalParameter, Family, FamilyError
from .lazy import jnp, lax

__all__ = [
    "NO_REFERENCE",
    "Categories",
    "OfCategories",
    "adapt_to_categories",
    "log_softmax",
    "log_sum",
    "of_category",
    "parameter_suffixes",
    "reference_category",
]

Array = Any
Values = Mapping[str, Array]

NO_REFERENCE = "NA"
"""What ``refcat`` is when every category is to have a linear predictor."""


@dataclass(frozen=True)
class Categories:
    """The linear predictors of a response's categories.

    ``parameters``: names of those that are predicted, in the order of the categories; ``reference``: number (from 0)
    of the category without one, None: there is none; ``link``: of all of them; ``scales``: names of the log ratios'
    standard deviations (logistic_normal).
    """

    parameters: tuple[str, ...]
    reference: int | None
    link: str
    scales: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of categories."""
        return len(self.parameters) + (self.reference is not None)

    def predictors(self, p: Values) -> Array:
        """(K, n): those that are predicted (fixed ones stand under their own name only)."""
        return _stacked([p.get(f"eta_{name}", p[name]) for name in self.parameters])

    def sigma(self, p: Values) -> Array:
        """(K, n): standard deviations of the log ratios."""
        return _stacked([p[name] for name in self.scales])

    def with_reference(self, values: Array) -> Array:
        """(C, n): ``values`` of the categories other than the reference, and 0 for that."""
        if self.reference is None:
            return values
        before, after = values[: self.reference], values[self.reference :]
        return jnp.concatenate([before, jnp.zeros_like(values[:1]), after])

    def scores(self, p: Values) -> Array:
        """(C, n) linear predictors of all categories, 0 for the reference."""
        return self.with_reference(self.predictors(p))

    def log_probabilities(self, p: Values) -> Array:
        """(C, n) log of the softmax of `scores`."""
        return log_softmax(self.scores(p))


@dataclass(frozen=True)
class OfCategories:
    """A function of a family together with the categories that it is for: two are equal when both are."""

    function: Callable[..., Array]
    categories: Categories

    def __call__(self, *arguments: Any) -> Array:
        return self.function(self.categories, *arguments)


def _stacked(rows: list[Array]) -> Array:
    """(K, n), or (K, 1) of scalars."""
    return jnp.stack(jnp.broadcast_arrays(*(jnp.atleast_1d(row) for row in rows)))


def log_softmax(scores: Array) -> Array:
    """log of exp(scores) divided by their sum along the first axis; relative digits kept when a probability is
    nearly one."""
    gaps, others = _from_largest(scores)
    return gaps - jnp.log1p(others)


def log_sum(logs: Array) -> Array:
    """log of the sum of exp(logs) along the first axis."""
    gaps, others = _from_largest(logs)
    return logs[0] - gaps[0] + jnp.log1p(others)


def _from_largest(scores: Array) -> tuple[Array, Array]:
    """(C, n) scores less the largest, and (n,) the sum of their exponentials without the largest's, which is one."""
    # argmax has no derivative and needs none: which score is taken away changes nothing.
    is_largest = jnp.argmax(lax.stop_gradient(scores), axis=0) == _numbers(scores)
    gaps = scores - jnp.sum(jnp.where(is_largest, scores, 0.0), axis=0)
    return gaps, jnp.sum(jnp.where(is_largest, 0.0, jnp.exp(gaps)), axis=0)


def _numbers(scores: Array) -> Array:
    """0, 1, ... along the first axis, in a shape that broadcasts against ``scores``."""
    return jnp.arange(scores.shape[0]).reshape(-1, *([1] * (scores.ndim - 1)))


def of_category(values: Array, number: Array) -> Array:
    """(n,) elements of ``values`` (C, n), in each row that of the category ``number`` (n,), counted from 0.

    A sum over a mask: its gradient is a product, where that of indexing is a scatter.
    """
    return jnp.sum(jnp.where(number == _numbers(values), values, 0.0), axis=0)


# ---- from categories to parameters


def reference_category(value: Any) -> str | None:
    """``refcat`` as text: a category's name, `NO_REFERENCE` for NA, None for the first category.

    Raises `FamilyError` for anything else than one name, number or missing value.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    # NaN is the only number unequal to itself; pandas' NA is neither.
    if type(value).__name__ == "NAType" or (isinstance(value, float) and value != value):
        return NO_REFERENCE
    if isinstance(value, int | float) or hasattr(value, "item"):
        number = float(value)
        return str(int(number)) if number == int(number) else repr(number)
    raise FamilyError(f'refcat is the name of a category, or "NA" for none, not {value!r}')


def parameter_suffixes(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Names of categories inside those of parameters: without blanks, dots, underscores and other characters.

    Raises `FamilyError` for two categories whose names become one.
    """
    # A letter in front keeps names that start with a digit from being changed.
    cleaned = tuple(response_name("y" + category)[1:] for category in categories)
    for i, name in enumerate(cleaned):
        if not name or name in cleaned[:i]:
            other = f" and `{categories[cleaned.index(name)]}`" if name else ""
            raise FamilyError(
                f"the parameters of the category `{categories[i]}`{other} would be called `mu{name}`: names of "
                "categories need letters or digits that tell them apart; rename one"
            )
    return cleaned


def _reference(family: Family, categories: tuple[str, ...]) -> int | None:
    given = family.options.get("refcat")
    if "refcat" not in family.option_checks or given == NO_REFERENCE:
        return None
    if given is None:
        return 0
    if given not in categories:
        shown = ", ".join(f"`{category}`" for category in categories)
        raise FamilyError(f"refcat is `{given}`, which is no category of the response; it has {shown}")
    return categories.index(given)


def adapt_to_categories(family: Family, categories: tuple[str, ...]) -> Family:
    """``family`` with a ``mu<category>`` for each category but the reference in the place of mu and, if it has a
    sigma, a ``sigma<category>`` for each. Raises `FamilyError` for an unknown ``refcat``."""
    reference = _reference(family, categories)
    suffixes = parameter_suffixes(tuple(c for i, c in enumerate(categories) if i != reference))
    parameters: list[DistributionalParameter] = []
    links: dict[str, str] = {}
    for parameter in family.parameters:
        each = parameter.name in ("mu", "sigma")
        for name in [parameter.name + suffix for suffix in suffixes] if each else [parameter.name]:
            parameters.append(replace(parameter, name=name))
            links[name] = family.link(parameter.name)
    main = tuple("mu" + suffix for suffix in suffixes)
    scales = tuple("sigma" + suffix for suffix in suffixes) if "sigma" in family.links else ()
    chosen = Categories(main, reference, family.mu_link, scales)
    functions: dict[str, Any] = {f.name: getattr(family, f.name) for f in fields(family)}
    adapted = {
        name: replace(function, categories=chosen)
        for name, function in functions.items()
        if isinstance(function, OfCategories)
    }
    predicted = [*main] if reference is None else [*main[:reference], "0", *main[reference:]]
    if family.link("mu") == "identity":  # log ratios, which the reference has not
        predicted = [*main]
    code = family.code.replace("mu", f"[{', '.join(predicted)}]").replace("sigma", f"[{', '.join(scales)}]")
    changed: dict[str, Any] = {"parameters": tuple(parameters), "main": main, "links": links, **adapted}
    # One log ratio has no correlations.
    parts = family.parts if len(main) > 1 else ()
    return replace(family, categories=categories, parts=parts, code=code, **changed)
