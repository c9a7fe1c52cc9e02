"""Bootstrap and simulation-based tests of a fit: methods of `MixedFit`."""

from __future__ import annotations

__all__ = ["BootstrapMethods"]


class BootstrapMethods:
    """Bootstrap and simulation-based tests of a fit."""
