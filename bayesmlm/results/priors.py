"""Draws from the prior that a fit carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import BayesmlmError
from . import layout

if TYPE_CHECKING:
    import pandas as pd

    from .fit import BayesFit

__all__ = ["prior_draws"]


def prior_draws(fit: BayesFit, variable: str | Iterable[str] | None = None) -> pd.DataFrame:
    """One row a draw, one column for each parameter with a proper prior, under the parameter's own flat name.

    Of a fit with ``sample_prior="yes"``: draws beside those of the posterior; group effects and correlations have
    none. Of ``sample_prior="only"``: all draws. ``variable``: only these. Raises `BayesmlmError` when the fit has no
    prior draws, or none of ``variable``.
    """
    how = fit.call["sample_prior"]
    if how == "no":
        raise BayesmlmError('the fit has no prior draws: fit again with sample_prior="yes"')
    names = [name for name in fit.variables() if name not in ("lp__", "lprior")]
    if how == "yes":
        names = [name for name in names if name.startswith("prior_")]
    known = {name.removeprefix("prior_") if how == "yes" else name: name for name in names}
    wanted = list(known) if variable is None else [variable] if isinstance(variable, str) else list(variable)
    for name in wanted:
        if name not in known:
            shown = ", ".join(list(known)[:12]) + (", ..." if len(known) > 12 else "")
            raise BayesmlmError(f"there are no prior draws of `{name}`; there are of {shown}")
    draws = layout.as_draws_df(fit.idata, [known[name] for name in wanted])[[known[name] for name in wanted]]
    return draws.set_axis(wanted, axis=1)
