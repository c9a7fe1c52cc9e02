"""Families of ordered categories: cumulative, sequential (sratio, cratio) and adjacent-category models.

The categories are 1, ..., K. ``thresholds`` (K - 1, 1), or (K - 1, n) where they differ between rows, come from the
part `model.parts.thresholds`; ``eta`` is mu's linear predictor, (n,), or (K - 1, n) with effects that differ between
categories; ``disc`` multiplies their difference. ``threshold_count``, (n,), where rows have different numbers of
thresholds: the last category of a row is one more. Bürkner and Vuorre (2019), Ordinal regression models
in psychology: a tutorial, Advances in Methods and Practices in Psychological Science 2(1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from .base import DistributionalParameter, Family, FamilyError
from .common import HU, log_odds_pair, on_numpy
from .interval_probability import log_cdf, log_one_minus_exp, log_probability_between, log_two_sigmoids
from .lazy import jax, jnp, lax, random
from .links import LINKS
from .support import Support

__all__ = ["ACAT", "CRATIO", "CUMULATIVE", "HURDLE_CUMULATIVE", "SRATIO", "THRESHOLDS"]

Array = Any
Values = Mapping[str, Array]
Kernel = Callable[[Array, Values, Values, str], Array]

THRESHOLDS = ("flexible", "equidistant", "sum_to_zero")
"""What the thresholds of an ordinal family may be, default first."""

_CUMULATIVE_LINKS = ("logit", "probit", "probit_approx", "cloglog", "cauchit", "softit")
_SEQUENTIAL_LINKS = _CUMULATIVE_LINKS[:-1]
_FAR = 1e3
"""Stands for a threshold that is not there: beyond it the logistic distribution has no mass in double precision."""

DISC = DistributionalParameter(
    "disc",
    ("log", "identity", "softplus", "squareplus"),
    lower=0.0,
    default_prior="lognormal(0, 1)",
    default_prior_predicted="normal(0, 1)",
    fixed=1.0,
)


def _at(table: Array, k: Array) -> Array:
    """``table[k]``, row by row of the data: table (m, 1 or n), k (n,) or a number; 0 where k is no row of the table.

    A sum over the few rows of the table, which vectorizes, gradients too; a gather and its scatter do not.
    """
    rows = jnp.arange(table.shape[0])[:, None]
    return jnp.sum(jnp.where(rows == k, table, 0.0), axis=0)


def _last(p: Values) -> Array:
    """The last category of each row."""
    return p["threshold_count"] + 1 if "threshold_count" in p else p["thresholds"].shape[0] + 1


def _cumulative(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log P(y), P(Y <= k) = F(disc (tau_k - eta))."""
    thresholds, eta, disc = p["thresholds"], p["eta"], p["disc"]
    if jnp.ndim(eta) > 1:  # effects that differ between categories move the thresholds row by row
        thresholds, eta = thresholds - eta, 0.0
    first, last = y == 1, y == _last(p)
    upper = disc * (_at(thresholds, y - 1) - eta)
    lower = disc * (_at(thresholds, y - 2) - eta)
    gaps = thresholds[1:] - thresholds[:-1]
    if link == "logit":
        upper, lower = jnp.where(last, _FAR, upper), jnp.where(first, -_FAR, lower)
        return log_two_sigmoids(upper, lower) + jnp.where(first | last, 0.0, _logistic_gap(gaps, disc, y))
    gap = disc * _at(gaps, y - 2)
    return log_probability_between(upper, lower, gap, first, last, link)


def _logistic_gap(gaps: Array, disc: Array, y: Array) -> Array:
    """log(1 - exp(-disc gap)) of the two thresholds around y, minus infinity where they are not in order: what the
    logistic distribution's log probability has besides two sigmoids. One value for each gap, not for each row, where
    nothing differs between rows."""

    def term(gap: Array) -> Array:
        possible = gap > 0
        return jnp.where(possible, log_one_minus_exp(jnp.where(possible, gap, 1.0)), -jnp.inf)

    if jnp.ndim(disc) == 0:
        return _at(term(disc * gaps), y - 2)
    return term(jnp.where((y == 1) | (y > gaps.shape[0] + 1), 1.0, disc * _at(gaps, y - 2)))


def _steps(y: Array, p: Values, extra: Values, log_stop: Any, log_pass: Any) -> Array:
    """log P(y) of a process that goes through the thresholds in order and stops at one of them or passes them all.
    ``log_stop``, ``log_pass``: functions of disc (tau_k - eta)."""
    thresholds = p["thresholds"]
    x = p["disc"] * (thresholds - p["eta"])  # (K - 1, n)
    k = jnp.arange(1, thresholds.shape[0] + 1)[:, None]
    reached = (k <= y) & (k < _last(p))
    if log_stop is None:  # of a symmetric link, whose functions are mirror images
        return jnp.sum(jnp.where(reached, log_pass(jnp.where(k == y, -x, x)), 0.0), axis=0)
    steps = jnp.where(k == y, log_stop(x), log_pass(x))
    return jnp.sum(jnp.where(reached, steps, 0.0), axis=0)


def _sratio(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log P(y), P(Y = k | Y >= k) = F(disc (tau_k - eta))."""
    record = LINKS[link]
    if record.symmetric:
        return _steps(y, p, extra, None, lambda x: log_cdf(link)(-x))
    return _steps(y, p, extra, record.log_mu, record.log_complement)


def _cratio(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log P(y), P(Y > k | Y >= k) = F(disc (eta - tau_k)). Of a symmetric link the same as sratio."""
    record = LINKS[link]
    if record.symmetric:
        return _steps(y, p, extra, None, lambda x: log_cdf(link)(-x))
    return _steps(y, p, extra, lambda x: record.log_complement(-x), lambda x: record.log_mu(-x))


def _acat(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log P(y), P(Y = k + 1 | Y = k or k + 1) = F(disc (eta - tau_k))."""
    thresholds, record = p["thresholds"], LINKS[link]
    z = p["disc"] * (p["eta"] - thresholds)  # (K - 1, n)
    log_p = log_cdf(link)
    log_q = (lambda x: log_p(-x)) if record.symmetric else record.log_complement
    log_odds = z if link == "logit" else log_p(z) - log_q(z)
    # log P(k) - log P(y): sums from y on upwards and downwards, so that what lies elsewhere takes no digits away.
    j = jnp.arange(1, thresholds.shape[0] + 1)[:, None]
    upwards = _running_sums(jnp.where(j >= y, log_odds, 0.0))
    downwards = _running_sums(jnp.where(j < y, log_odds, 0.0)[::-1])[::-1]
    k = jnp.arange(1, thresholds.shape[0] + 2)[:, None]
    others = (k != y) & (k <= _last(p))
    relative = jnp.where(others, upwards - downwards, -jnp.inf)
    largest = lax.stop_gradient(jnp.maximum(jnp.max(relative, axis=0), 0.0))
    rest = jnp.sum(jnp.where(others, jnp.exp(jnp.where(others, relative, 0.0) - largest), 0.0), axis=0)
    # Where y is the likeliest category, one plus the others; elsewhere the likeliest is taken out.
    below = largest + jnp.log(jnp.exp(-largest) + jnp.where(largest > 0, rest, 1.0))
    return -jnp.where(largest > 0, below, jnp.log1p(rest))


def _running_sums(table: Array) -> Array:
    """(m + 1, n): 0 and the sums of the first rows of a table (m, n). Unrolled, since there are few rows."""
    sums = [jnp.zeros_like(table[0])]
    for row in table:
        sums.append(sums[-1] + row)
    return jnp.stack(sums)


def _hurdle_cumulative(y: Array, p: Values, extra: Values, link: str) -> Array:
    """log P(y): 0 with probability hu, else cumulative."""
    log_hu, log_rest = log_odds_pair(p, "hu")
    positive = log_rest + _cumulative(jnp.where(y > 0, y, 1.0), p, extra, link)
    return jnp.where(y > 0, positive, log_hu)


def _probabilities(kernel: Kernel, start: int, p: Values, extra: Values, link: str) -> Array:
    """(K, n) probabilities of the categories, 0 of those that a row does not have."""
    categories = jnp.arange(start, p["thresholds"].shape[0] + 2)
    log_p = jax.vmap(lambda k: kernel(k, p, extra, link))(categories)
    return jnp.where(categories[:, None] <= _last(p), jnp.exp(log_p), 0.0)


def _functions(kernel: Kernel, start: int) -> dict[str, Callable[[str], Any]]:
    """What makes mean, sample and cdf of a link."""

    @cache
    def mean(link: str) -> Callable[[Values, Values], Array]:
        return on_numpy(lambda p, extra: _probabilities(kernel, start, p, extra, link))

    @cache
    def sample(link: str) -> Callable[[Array, Values, Values], Array]:
        def draw(key: Array, p: Values, extra: Values) -> Array:
            below = jnp.cumsum(_probabilities(kernel, start, p, extra, link), axis=0)
            u = random.uniform(key, below.shape[1:], below.dtype) * below[-1]
            return start + jnp.sum(u >= below[:-1], axis=0).astype(below.dtype)

        return draw

    @cache
    def cdf(link: str) -> Callable[[Array, Values, Values], Array]:
        def up_to(y: Array, p: Values, extra: Values) -> Array:
            chances = _probabilities(kernel, start, p, extra, link)
            further = jnp.ndim(y) - 1  # axes before the rows
            if further > 0:
                chances = chances.reshape(chances.shape[0], *([1] * further), chances.shape[1])
            categories = jnp.arange(start, start + chances.shape[0])
            categories = categories.reshape(-1, *([1] * (chances.ndim - 1)))
            return jnp.minimum(jnp.sum(jnp.where(categories <= y, chances, 0.0), axis=0), 1.0)

        return up_to

    return {"mean": mean, "sample": sample, "cdf": cdf}


def _check_threshold(value: Any) -> str:
    if value not in THRESHOLDS:
        raise FamilyError(f"threshold={value!r} is none of {', '.join(map(repr, THRESHOLDS))}")
    return str(value)


def _adapted(family: Family, categories: tuple[str, ...]) -> Family:
    """With the categories' names, and the last one as the end of the support."""
    last = family.support.lower + len(categories) - 1
    return replace(family, categories=categories, support=replace(family.support, upper=last))


def _record(name: str, kernel: Kernel, description: str, code: str, hurdle: bool = False) -> Family:
    functions = _functions(kernel, 0 if hurdle else 1)
    links = _CUMULATIVE_LINKS if kernel in (_cumulative, _hurdle_cumulative, _acat) else _SEQUENTIAL_LINKS
    mu = DistributionalParameter("mu", links, default_prior_predicted="student_t(3, 0, 2.5)")
    return Family(
        name=name,
        parameters=(mu, HU, DISC) if hurdle else (mu, DISC),
        support=Support(lower=0 if hurdle else 1, integer=True),
        log_kernel=kernel,
        sample=functions["sample"](links[0]),
        mean=functions["mean"](links[0]),
        by_link=functions,
        description=description,
        code=code,
        additions=frozenset({"thres", "cat"}),
        response="ordinal",
        thresholds=("mu",),
        parts=("thresholds",),
        options={"threshold": THRESHOLDS[0]},
        option_checks={"threshold": _check_threshold},
        adapted=_adapted,
    )


CUMULATIVE = _record(
    "cumulative",
    _cumulative,
    "ordered categories that thresholds cut out of a latent variable: P(y ≤ k) = F(disc (threshold k − mu)), F the "
    "inverse of mu's link",
    "Cumulative(mu, thresholds, disc)",
)
SRATIO = _record(
    "sratio",
    _sratio,
    "ordered categories reached in turn (stopping ratio): P(y = k | y ≥ k) = F(disc (threshold k − mu))",
    "StoppingRatio(mu, thresholds, disc)",
)
CRATIO = _record(
    "cratio",
    _cratio,
    "ordered categories reached in turn (continuation ratio): P(y > k | y ≥ k) = F(disc (mu − threshold k))",
    "ContinuationRatio(mu, thresholds, disc)",
)
ACAT = _record(
    "acat",
    _acat,
    "adjacent categories: P(y = k + 1 | y = k or k + 1) = F(disc (mu − threshold k))",
    "AdjacentCategories(mu, thresholds, disc)",
)
HURDLE_CUMULATIVE = _record(
    "hurdle_cumulative",
    _hurdle_cumulative,
    "a category 0 of probability hu, and else `cumulative`",
    "HurdleCumulative(mu, thresholds, disc, hu)",
    hurdle=True,
)
