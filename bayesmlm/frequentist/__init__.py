"""`lmer()` and `glmer()`: the names are fixed; the fits are not available yet and say so."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import BayesmlmError

__all__ = ["glmer", "lmer"]


def lmer(formula: Any, data: Any = None, **arguments: Any) -> NoReturn:
    """Linear mixed models by REML or ML: not available yet. Raises `BayesmlmError`."""
    raise BayesmlmError("lmer() is not available yet; brm() fits the same formula by NUTS")


def glmer(formula: Any, data: Any = None, family: Any = None, **arguments: Any) -> NoReturn:
    """Generalised mixed models by Laplace or quadrature: not available yet. Raises `BayesmlmError`."""
    raise BayesmlmError("glmer() is not available yet; brm() fits the same formula by NUTS")
