"""Influence, residuals and explained variance of a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["DiagnosticMethods"]


class DiagnosticMethods:
    """Influence, residuals and explained variance of a fit."""
