"""Printed summaries and tables of a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["SummaryMethods"]


class SummaryMethods:
    """Printed summaries and tables of a fit."""
