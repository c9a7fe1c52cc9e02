"""`glmer()`: the name is fixed; the fit is not available yet and says so."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import BayesmlmError

__all__ = ["glmer"]


def glmer(formula: Any, data: Any = None, family: Any = None, **arguments: Any) -> NoReturn:
    """Generalised mixed models by Laplace or quadrature: not available yet. Raises `BayesmlmError`."""
    raise BayesmlmError("glmer() is not available yet; brm() fits the same formula by NUTS")
