"""Covariance matrices of group effects as types: unstructured, diagonal, compound symmetry, AR(1).

Each says how its parameters make the relative factor ``T`` of one level's covariance, Var(b) = sigma^2 T T'.
"""

from __future__ import annotations

from .structures import (
    Autoregressive,
    CompoundSymmetry,
    Covariance,
    Diagonal,
    Unstructured,
)

__all__ = ["Autoregressive", "CompoundSymmetry", "Covariance", "Diagonal", "Unstructured"]
