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
    "binomial",
    "gaussian",
    "lognormal",
    "negbinomial",
    "poisson",
    "student",
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


def Beta(link: str = "logit", link_phi: str = "log") -> Family:  # noqa: N802
    """Proportions strictly between 0 and 1."""
    return brmsfamily("beta", link, link_phi=link_phi)


def bernoulli(link: str = "logit") -> Family:
    """Responses with two values."""
    return brmsfamily("bernoulli", link)


def binomial(link: str = "logit") -> Family:
    """Numbers of successes out of ``trials()``."""
    return brmsfamily("binomial", link)


def poisson(link: str = "log") -> Family:
    """Counts whose variance is their mean."""
    return brmsfamily("poisson", link)


def negbinomial(link: str = "log", link_shape: str = "log") -> Family:
    """Counts whose variance is larger than their mean."""
    return brmsfamily("negbinomial", link, link_shape=link_shape)
