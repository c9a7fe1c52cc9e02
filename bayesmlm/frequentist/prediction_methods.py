"""Prediction and simulation from a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["PredictionMethods"]


class PredictionMethods:
    """Prediction and simulation from a fit."""
