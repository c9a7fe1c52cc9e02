"""Constructors of the families of categories, their counts and their shares, with brms's names and defaults.

``refcat``: the category whose linear predictor is 0: None the first, a name, or "NA" for none (then all categories
have predictors, and only priors tell them apart). ``link`` is that of every mu. All raise `FamilyError` for a link
that the family does not allow.
"""

from __future__ import annotations

from typing import Any

from .base import Family
from .registry import brmsfamily

__all__ = [
    "categorical",
    "dirichlet",
    "dirichlet2",
    "dirichlet_multinomial",
    "logistic_normal",
    "multinomial",
]


def categorical(link: str = "logit", refcat: Any = None) -> Family:
    """Responses that are one of several categories without an order."""
    return brmsfamily("categorical", link, refcat=refcat)


def multinomial(link: str = "logit", refcat: Any = None) -> Family:
    """Counts of several categories, ``cbind(a, b, c) | trials(n)``."""
    return brmsfamily("multinomial", link, refcat=refcat)


def dirichlet_multinomial(link: str = "logit", link_phi: str = "log", refcat: Any = None) -> Family:
    """Counts of several categories that vary more than multinomial ones."""
    return brmsfamily("dirichlet_multinomial", link, link_phi=link_phi, refcat=refcat)


def dirichlet(link: str = "logit", link_phi: str = "log", refcat: Any = None) -> Family:
    """Shares of several categories that sum to one, ``cbind(a, b, c)``."""
    return brmsfamily("dirichlet", link, link_phi=link_phi, refcat=refcat)


def dirichlet2(link: str = "log") -> Family:
    """Shares of several categories, each of whose Dirichlet concentrations is predicted."""
    return brmsfamily("dirichlet2", link)


def logistic_normal(link: str = "identity", link_sigma: str = "log", refcat: Any = None) -> Family:
    """Shares of several categories whose log ratios to the reference category's are normal and correlated."""
    return brmsfamily("logistic_normal", link, link_sigma=link_sigma, refcat=refcat)
