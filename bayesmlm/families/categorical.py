"""Families of categories and of their counts: categorical, multinomial, dirichlet_multinomial.

The probabilities are the softmax of linear predictors, one for each category; that of the reference category is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import common
from .base import Family
from .categories import (
    Categories,
    OfCategories,
    adapt_to_categories,
    log_softmax,
    of_category,
    reference_category,
)
from .column_support import CountColumns
from .lazy import jnp, jsp, lax, random
from .special import log_rising, times
from .support import Support

__all__ = ["CATEGORICAL", "DIRICHLET_MULTINOMIAL", "MULTINOMIAL", "NONE_YET", "log_dirichlet_draw"]

Array = Any
Values = Mapping[str, Array]

SOFTMAX = common.mu(("logit",))
NONE_YET = Categories((), None, "logit")
"""The categories of a family that has not seen its response."""


def _categorical_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    return of_category(c.log_probabilities(p), y - 1)


def _categorical_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    scores = c.scores(p)
    return random.categorical(key, scores, axis=0).astype(scores.dtype) + 1


def _probabilities(c: Categories, p: Values, extra: Values) -> Array:
    return jnp.exp(c.log_probabilities(p))


CATEGORICAL = Family(
    name="categorical",
    code="Categorical(softmax(mu))",
    description="one of C categories, with probabilities softmax(mu): a mu for each category but the reference",
    parameters=(SOFTMAX,),
    support=Support(lower=1.0, integer=True),
    log_kernel=OfCategories(_categorical_kernel, NONE_YET),
    sample=OfCategories(_categorical_sample, NONE_YET),
    mean=OfCategories(_probabilities, NONE_YET),
    response="category",
    option_checks={"refcat": reference_category},
    adapted=adapt_to_categories,
)


# ---- counts


def _log_arrangements(y: Array, extra: Values) -> Array:
    """log of the number of ways to arrange the counts: trials! / (y_1! ... y_C!)."""
    return jsp.gammaln(extra["trials"] + 1) - jnp.sum(jsp.gammaln(y + 1), axis=0)


def _multinomial_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    return jnp.sum(times(y, c.log_probabilities(p)), axis=0)


def draw_counts(key: Array, trials: Array, log_probabilities: Array) -> Array:
    """(C, n) multinomial counts: category by category, binomial counts of the trials that are left."""
    # P(k | none of the categories before): from the last category back.
    tails = lax.cumlogsumexp(log_probabilities, axis=0, reverse=True)
    conditional = jnp.clip(jnp.exp(log_probabilities - tails), 0.0, 1.0)
    left = jnp.broadcast_to(trials, log_probabilities.shape[1:]).astype(log_probabilities.dtype)

    def draw(left: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        key, probability = given
        count = random.binomial(key, left, probability, left.shape).astype(left.dtype)
        # Certain outcomes are not left to the generator.
        count = jnp.where(probability >= 1, left, jnp.where((probability <= 0) | (left <= 0), 0.0, count))
        return left - count, count

    keys = random.split(key, len(log_probabilities) - 1)
    last, counts = lax.scan(draw, left, (keys, conditional[:-1]))
    return jnp.concatenate([counts, last[None]])


def _multinomial_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    return draw_counts(key, extra["trials"], c.log_probabilities(p))


def _expected_counts(c: Categories, p: Values, extra: Values) -> Array:
    return jnp.exp(c.log_probabilities(p)) * extra["trials"]


def _multinomial_variance(c: Categories, p: Values, extra: Values) -> Array:
    probability = jnp.exp(c.log_probabilities(p))
    return probability * (1 - probability) * extra["trials"]


_TRIALS = frozenset({"trials"})

MULTINOMIAL = Family(
    name="multinomial",
    code="MultinomialProbs(softmax(mu), trials)",
    description="counts of C categories in `trials` trials, with probabilities softmax(mu): a mu for each category "
    "but the reference; mean softmax(mu) trials",
    parameters=(SOFTMAX,),
    support=CountColumns(),
    log_kernel=OfCategories(_multinomial_kernel, NONE_YET),
    log_base_measure=_log_arrangements,
    sample=OfCategories(_multinomial_sample, NONE_YET),
    mean=OfCategories(_expected_counts, NONE_YET),
    variance=OfCategories(_multinomial_variance, NONE_YET),
    additions=_TRIALS,
    required_additions=_TRIALS,
    response="columns",
    option_checks={"refcat": reference_category},
    adapted=adapt_to_categories,
)


def _dirichlet_multinomial_kernel(c: Categories, y: Array, p: Values, extra: Values, link: str) -> Array:
    """log of Gamma(phi) / Gamma(phi + trials) prod Gamma(a_k + y_k) / Gamma(a_k) with a = phi softmax(mu)."""
    log_phi = jnp.log(p["phi"])
    log_a = log_phi + c.log_probabilities(p)
    rising = jnp.sum(log_rising(jnp.exp(log_a), log_a, y), axis=0)
    return rising - log_rising(p["phi"], log_phi, extra["trials"])


def log_dirichlet_draw(key: Array, log_a: Array) -> Array:
    """(C, n) logs of Dirichlet variables with concentrations exp(log_a): gamma variables divided by their sum."""
    return log_softmax(common.draw_log_gamma(key, jnp.maximum(jnp.exp(log_a), 1e-300)))


def _dirichlet_multinomial_sample(c: Categories, key: Array, p: Values, extra: Values) -> Array:
    key_probabilities, key_counts = random.split(key)
    log_a = jnp.log(p["phi"]) + c.log_probabilities(p)
    return draw_counts(key_counts, extra["trials"], log_dirichlet_draw(key_probabilities, log_a))


def _dirichlet_multinomial_variance(c: Categories, p: Values, extra: Values) -> Array:
    return _multinomial_variance(c, p, extra) * (p["phi"] + extra["trials"]) / (p["phi"] + 1)


DIRICHLET_MULTINOMIAL = Family(
    name="dirichlet_multinomial",
    code="DirichletMultinomial(phi * softmax(mu), trials)",
    description="multinomial counts whose probabilities are Dirichlet with mean softmax(mu) and precision phi; mean "
    "softmax(mu) trials",
    parameters=(SOFTMAX, common.PHI),
    support=CountColumns(),
    log_kernel=OfCategories(_dirichlet_multinomial_kernel, NONE_YET),
    log_base_measure=_log_arrangements,
    sample=OfCategories(_dirichlet_multinomial_sample, NONE_YET),
    mean=OfCategories(_expected_counts, NONE_YET),
    variance=OfCategories(_dirichlet_multinomial_variance, NONE_YET),
    additions=_TRIALS,
    required_additions=_TRIALS,
    response="columns",
    option_checks={"refcat": reference_category},
    adapted=adapt_to_categories,
)
