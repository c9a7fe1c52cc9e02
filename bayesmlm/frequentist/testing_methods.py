"""Tests of a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["TestingMethods"]


class TestingMethods:
    """Tests of a fit."""
