"""From draws on their natural scales back to the unconstrained space that NUTS moves in.

The inverse of `Structure.constrain`. Moment matching shifts and scales draws there. They are computed from the
stored draws rather than kept beside them: a saved fit stays half as large, and it does not matter how a draw came
about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..model.blocks import pair_indices
from .predict import BLOCK_ELEMENTS, over_draws
from .psis import draws_of_all_sites, take_rows

if TYPE_CHECKING:
    from ..model.program import BlockStructure, Structure
    from .fit import BayesFit

__all__ = ["Evaluator", "unconstrained_draws"]

Array = Any


class Evaluator:
    """Functions of unconstrained draws, (draws, dimension), evaluated block by block so that memory is bounded."""

    def __init__(self, fit: BayesFit) -> None:
        self.structure: Structure = fit.spec.structure
        self.data = fit.spec.data
        self.rows = {**fit.design.arrays(), **fit.design.response.arrays()}
        self.block = max(1, BLOCK_ELEMENTS // max(fit.nobs, self.structure.dimension, 1))

    def log_posterior(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """(draws,) log posterior density, Jacobians included: what NUTS calls ``lp``."""
        return self._over_draws("log_posterior", lambda one, data: -self.structure.potential(one, data), q)

    def log_likelihood(self, q: NDArray[np.float64], row: int) -> NDArray[np.float64]:
        """(draws,) log-likelihood of one row of the data, weights included."""

        def of_row(one: Array, data: Any, design: Any) -> Array:
            values = {**self.structure.constrain(one, data), **data["fixed"]}
            terms = self.structure.log_likelihood(values, design, design["y"])
            return (terms * design["weights"] if "weights" in design else terms)[0]

        return self._over_draws("log_likelihood", of_row, q, take_rows(self.rows, row, row + 1))

    def _over_draws(self, name: str, function: Any, q: NDArray[np.float64], *further: Any) -> NDArray:
        shared = (self.data, *further)
        return over_draws(function, q, shared, self.block, name=f"draws_{name}", key=self.structure.key)


def unconstrained_draws(fit: BayesFit) -> NDArray[np.float64]:
    """(draws, dimension) unconstrained draws of ``fit``, chains joined.

    Raises `BayesmlmError` when draws of the group effects were not kept, and when draws lie on the boundary of
    their support (a standard deviation of zero), where there is no way back.
    """
    import jax

    from ..inference.compile_cache import compiled
    from ..inference.x64 import x64

    structure = fit.spec.structure
    values = draws_of_all_sites(fit)
    with x64():

        def unconstrain(values: Any, data: Any) -> Array:
            return jax.vmap(lambda one: _unconstrain(structure, one, data))(values)

        arguments = (values, fit.spec.data)
        program = compiled(unconstrain, arguments, name="unconstrain", key=structure.key)
        q = np.asarray(program(*arguments))
    bad = np.flatnonzero(~np.isfinite(q).all(axis=0))
    if len(bad):
        name = fit.spec.coordinate_names()[bad[0]]
        raise BayesmlmError(
            f"some draws of `{name}`, or of what scales it, lie on the boundary of the support, so that they have "
            "no finite unconstrained value"
        )
    return q


def _unconstrain(structure: Structure, values: Mapping[str, Array], data: Any) -> Array:
    import jax.numpy as jnp
    from numpyro.distributions import biject_to

    everything = dict(values)
    for part in structure.parts:
        everything |= part.hidden(values)
    for block in structure.blocks:
        everything |= _standardised(block, values, data)
    distributions = structure.distributions(data)
    pieces = [
        biject_to(distributions[site.name].support).inv(everything[site.name].reshape(site.shape)).reshape(-1)
        for site in structure.sites
    ]
    return structure.whiten(jnp.concatenate(pieces), data)


def _standardised(block: BlockStructure, values: Mapping[str, Array], data: Any) -> dict[str, Array]:
    """``z_<site>`` and, of a correlated block, ``L_<site>``: the inverse of `Structure.effects`."""
    import jax.numpy as jnp
    from jax.scipy.linalg import solve_triangular

    site, size = block.site, block.size
    sd = values[f"sd_{site}"].reshape(block.by_count, size)
    of_level = data["by"][site] if block.by_count > 1 else np.zeros(block.levels, dtype=np.int32)
    z = values[f"r_{site}"] / sd[of_level]
    if not block.correlated:
        return {f"z_{site}": z}
    row, column = pair_indices(size)
    cors = values[f"cor_{site}"].reshape(block.by_count, len(row))
    correlation = jnp.broadcast_to(jnp.eye(size), (block.by_count, size, size))
    correlation = correlation.at[:, row, column].set(cors).at[:, column, row].set(cors)
    L = jnp.linalg.cholesky(correlation)
    if block.by_count == 1:
        z = solve_triangular(L[0], z.T, lower=True).T
    else:
        z = solve_triangular(L[of_level], z[:, :, None], lower=True)[:, :, 0]
    return {f"L_{site}": L, f"z_{site}": z}
