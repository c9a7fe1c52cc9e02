"""Is anything wrong with the draws? Rhat and effective sample sizes of a fit, and the sentences about
them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ..inference.diagnostics import convergence_messages
from .convergence import convergence
from .layout import flat_names, gather, has_chains

if TYPE_CHECKING:
    import xarray as xr

    from ..inference.approximation import Approximation
    from ..inference.protocol import SamplerSettings
    from .fit import BayesFit

__all__ = ["convergence_table", "diagnose", "messages"]

KINDS = ("b_Intercept", "b", "sd", "cor", "dpar", "response_cor", "r")

MOST_GROUP_EFFECTS = 1000
"""More group effects than this are left out: their Rhats would take seconds, and the parameters above them
show whether the chains have mixed."""


def diagnose(fit: BayesFit) -> list[str]:
    """What is wrong with the draws of ``fit``, in words that name the parameter, the gravest first."""
    found = messages(fit.idata, fit.settings, exact=fit.spec.integration.complete)
    return found if fit.approximation is None else [*of_approximation(fit.approximation), *found]


def of_approximation(record: Approximation) -> list[str]:
    """What is wrong with an approximation: its k-hat, and an optimiser that did not come to its end."""
    found = [] if record.trusted else [record.verdict]
    if not record.converged:
        found.append(
            f'The optimiser of algorithm="{record.algorithm}" had not converged after {record.steps} steps: '
            "give it more with iter=."
        )
    return found


def messages(tree: xr.DataTree, settings: SamplerSettings, exact: bool = False) -> list[str]:
    """The same from the DataTree and the sampler's settings; ``exact``: see `convergence_table`. Nothing of draws that
    are no chains."""
    if not has_chains(tree):
        return []
    stats = {str(name): array.to_numpy() for name, array in tree["sample_stats"].dataset.items()}
    table = convergence_table(tree, exact)
    columns = ({str(name): float(x) for name, x in table[column].items()} for column in table)
    return convergence_messages(stats, settings, *columns)


def convergence_table(tree: xr.DataTree, exact: bool = False) -> pd.DataFrame:
    """Rhat, Bulk_ESS and Tail_ESS by flat name, of the parameters (group effects too, up to a thousand). ``exact``:
    group effects were drawn independently given the parameters, so that they have mixed if these have."""
    sizes = [
        array[0, 0].size for array in tree["posterior"].dataset.values() if array.attrs.get("kind") == "r"
    ]
    kinds = KINDS if not exact and sum(sizes) <= MOST_GROUP_EFFECTS else KINDS[:-1]
    names = flat_names(tree, kinds)
    found = convergence(gather(tree, list(names.values())))
    columns = {"Rhat": found.rhat, "Bulk_ESS": found.ess_bulk, "Tail_ESS": found.ess_tail}
    return pd.DataFrame(columns, index=list(names))
