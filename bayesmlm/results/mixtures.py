"""From which component of a mixture each response comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BayesmlmError
from .predict import Request, predict
from .tables import summarise_columns

if TYPE_CHECKING:
    from .fit import BayesFit

__all__ = ["pp_mixture"]


def pp_mixture(
    fit: BayesFit,
    newdata: Any = None,
    *,
    log: bool = False,
    summary: bool = True,
    prob: float = 0.95,
    robust: bool = False,
    **kwargs: Any,
) -> Any:
    """Probabilities that each response comes from each component, given the response (brms's ``pp_mixture``).

    ``newdata`` must hold the response. ``log``: their logarithms. Further arguments as in `posterior_epred`.

    Returns:
        A dict of data frames by ``"P(K = 1 | Y)"``, ..., each with one row for each response; with
        ``summary=False`` an array (draws, rows, components).

    Raises:
        BayesmlmError: for a fit of another family.
    """
    components = fit.family.components
    if not components:
        raise BayesmlmError(f"pp_mixture() is for mixtures; the family of this model is `{fit.family.name}`")
    draws = predict(fit, "membership", Request.of("pp_mixture", newdata, kwargs))
    draws = draws if log else np.exp(draws)
    if not summary:
        return draws
    return {
        f"P(K = {k} | Y)": summarise_columns(draws[:, :, k - 1], prob=prob, robust=robust)
        for k in range(1, len(components) + 1)
    }
