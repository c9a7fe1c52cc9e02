"""One function for each family, with R's and brms's names and defaults: ``poisson(link="identity")``.

``link`` is mu's; the others are those of parameters that are predicted. All raise `FamilyError` for a link
that the family does not allow.
"""

from __future__ import annotations

from .base import Family
from .registry import brmsfamily

__all__ = [
    "Beta",
    "Gamma",
    "bernoulli",
    "beta_binomial",
    "binomial",
    "exponential",
    "gaussian",
    "geometric",
    "hurdle_negbinomial",
    "hurdle_poisson",
    "inverse_gaussian",
    "lognormal",
    "nbinom1",
    "negbinomial",
    "poisson",
    "student",
    "zero_inflated_binomial",
    "zero_inflated_negbinomial",
    "zero_inflated_poisson",
]


def gaussian(link: str = "identity", link_sigma: str = "log") -> Family:
    """Normal responses."""
    return brmsfamily("gaussian", link, link_sigma=link_sigma)


def student(link: str = "identity", link_sigma: str = "log", link_nu: str = "logm1") -> Family:
    """Student t responses: a robust alternative to `gaussian`."""
    return brmsfamily("student", link, link_sigma=link_sigma, link_nu=link_nu)


def lognormal(link: str = "identity", link_sigma: str = "log") -> Family:
    """Positive responses whose logarithm is normal; mu is the mean of the logarithm."""
    return brmsfamily("lognormal", link, link_sigma=link_sigma)


def Gamma(link: str = "inverse", link_shape: str = "log") -> Family:  # noqa: N802
    """Gamma responses. The default link is that of R's ``stats::Gamma()``; ``brmsfamily("gamma")`` has
    log."""
    return brmsfamily("gamma", link, link_shape=link_shape)


def exponential(link: str = "log") -> Family:
    """Positive responses with a constant hazard, such as waiting times."""
    return brmsfamily("exponential", link)


def inverse_gaussian(link: str = "1/mu^2", link_shape: str = "log") -> Family:
    """Positive responses with a long right tail (R: ``inverse.gaussian``)."""
    return brmsfamily("inverse.gaussian", link, link_shape=link_shape)


def Beta(link: str = "logit", link_phi: str = "log") -> Family:  # noqa: N802
    """Proportions strictly between 0 and 1."""
    return brmsfamily("beta", link, link_phi=link_phi)


def bernoulli(link: str = "logit") -> Family:
    """Responses with two values."""
    return brmsfamily("bernoulli", link)


def binomial(link: str = "logit") -> Family:
    """Numbers of successes out of ``trials()``."""
    return brmsfamily("binomial", link)


def beta_binomial(link: str = "logit", link_phi: str = "log") -> Family:
    """Numbers of successes out of ``trials()`` that vary more than binomial ones."""
    return brmsfamily("beta_binomial", link, link_phi=link_phi)


def poisson(link: str = "log") -> Family:
    """Counts whose variance is their mean."""
    return brmsfamily("poisson", link)


def negbinomial(link: str = "log", link_shape: str = "log") -> Family:
    """Counts whose variance is larger than their mean."""
    return brmsfamily("negbinomial", link, link_shape=link_shape)


def nbinom1(link: str = "log", link_phi: str = "log") -> Family:
    """Counts whose variance is their mean times 1 + phi. glmmTMB's family; brms has none like it."""
    return brmsfamily("nbinom1", link, link_phi=link_phi)


def geometric(link: str = "log") -> Family:
    """Counts whose variance is mu + mu²: `negbinomial` with shape 1."""
    return brmsfamily("geometric", link)


def zero_inflated_poisson(link: str = "log", link_zi: str = "logit") -> Family:
    """Poisson counts, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_poisson", link, link_zi=link_zi)


def zero_inflated_negbinomial(link: str = "log", link_shape: str = "log", link_zi: str = "logit") -> Family:
    """Negative binomial counts, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_negbinomial", link, link_shape=link_shape, link_zi=link_zi)


def zero_inflated_binomial(link: str = "logit", link_zi: str = "logit") -> Family:
    """Numbers of successes out of ``trials()``, some of which are replaced by 0."""
    return brmsfamily("zero_inflated_binomial", link, link_zi=link_zi)


def hurdle_poisson(link: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else Poisson counts that are not 0."""
    return brmsfamily("hurdle_poisson", link, link_hu=link_hu)


def hurdle_negbinomial(link: str = "log", link_shape: str = "log", link_hu: str = "logit") -> Family:
    """Zeros of probability hu, and else negative binomial counts that are not 0."""
    return brmsfamily("hurdle_negbinomial", link, link_shape=link_shape, link_hu=link_hu)
