"""Profiles and intervals of a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["IntervalMethods"]


class IntervalMethods:
    """Profiles and intervals of a fit."""
