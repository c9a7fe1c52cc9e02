"""Mixed models by maximum likelihood: `lmer`, and what belongs to it."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import BayesmlmError
from .lmer import lmer

__all__ = ["glmer", "lmer"]


def glmer(formula: Any, data: Any = None, family: Any = None, **arguments: Any) -> NoReturn:
    """Generalised mixed models by Laplace or quadrature: not available yet. Raises `BayesmlmError`."""
    raise BayesmlmError("glmer() is not available yet; brm() fits the same formula by NUTS")
