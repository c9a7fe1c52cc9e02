"""One function for each ordinal family, with brms's names and defaults: ``cumulative("probit")``.

``link`` is mu's, ``link_disc`` the discrimination's when it is predicted. ``threshold``: "flexible", "equidistant" (a
first threshold and one distance) or "sum_to_zero". All raise `FamilyError` for what the family does not allow.
"""

from __future__ import annotations

from .base import Family
from .registry import brmsfamily

__all__ = ["acat", "cratio", "cumulative", "hurdle_cumulative", "sratio"]


def cumulative(link: str = "logit", link_disc: str = "log", threshold: str = "flexible") -> Family:
    """Ordered categories that thresholds cut out of a latent variable: P(Y <= k) = F(disc (threshold k - mu))."""
    return brmsfamily("cumulative", link, link_disc=link_disc, threshold=threshold)


def sratio(link: str = "logit", link_disc: str = "log", threshold: str = "flexible") -> Family:
    """Categories reached in turn: P(Y = k | Y >= k) = F(disc (threshold k - mu)) (stopping ratio)."""
    return brmsfamily("sratio", link, link_disc=link_disc, threshold=threshold)


def cratio(link: str = "logit", link_disc: str = "log", threshold: str = "flexible") -> Family:
    """Categories reached in turn: P(Y > k | Y >= k) = F(disc (mu - threshold k)) (continuation ratio)."""
    return brmsfamily("cratio", link, link_disc=link_disc, threshold=threshold)


def acat(link: str = "logit", link_disc: str = "log", threshold: str = "flexible") -> Family:
    """Adjacent categories: P(Y = k + 1 | Y is k or k + 1) = F(disc (mu - threshold k))."""
    return brmsfamily("acat", link, link_disc=link_disc, threshold=threshold)


def hurdle_cumulative(
    link: str = "logit", link_hu: str = "logit", link_disc: str = "log", threshold: str = "flexible"
) -> Family:
    """A category 0 of probability hu, and else `cumulative`."""
    return brmsfamily("hurdle_cumulative", link, link_hu=link_hu, link_disc=link_disc, threshold=threshold)
