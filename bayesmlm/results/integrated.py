"""Draws of group effects that were integrated out: exact, given each draw of the other parameters.

Each joins its draw to a draw from the joint posterior, so that nothing after this knows how it came about. The random
numbers follow from seed, chain and draw alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .predict import BLOCK_ELEMENTS, over_draws

if TYPE_CHECKING:
    from ..inference.protocol import Draws
    from ..model.spec import ModelSpec

__all__ = ["integrated_effects"]


def integrated_effects(spec: ModelSpec, draws: Draws) -> dict[str, NDArray[np.float64]]:
    """``r_<site>`` (chain, draw, J, k) of each block that was integrated out exactly; nothing when effects are not
    kept."""
    import jax.numpy as jnp

    from ..model.laplace_program import LaplaceProgram

    if not spec.integration.blocks or not spec.structure.keep_effects:
        return {}
    program = spec.marginal
    if isinstance(program, LaplaceProgram):
        return {}  # its engine has drawn them
    structure, blocks = program.structure, program.structure.blocks
    chains, length, dimension = draws.unconstrained.shape
    # By iteration, so that a thinned chain is a part of the whole one.
    iterations = np.arange(length) * draws.settings.thin
    numbers = np.stack(np.meshgrid(np.arange(chains), iterations, indexing="ij"), axis=-1)
    points = draws.unconstrained.reshape(-1, dimension), numbers.reshape(-1, 2).astype(np.int32)
    size = sum(block.levels * block.size for block in blocks)
    rows = 0 if structure.form == "statistics" else spec.design.n

    def one(point: tuple[Any, Any], seed: Any, data: Any) -> Any:
        drawn = structure.draw(*point, seed, data)
        return jnp.concatenate([drawn[f"r_{block.site}"].reshape(-1) for block in blocks])

    shared = np.int64(draws.settings.seed), program.data
    block = BLOCK_ELEMENTS // max(size, rows)
    flat = over_draws(one, points, shared, block, name="draw_effects", key=program.key)
    stops = np.cumsum([block.levels * block.size for block in blocks])
    pieces = np.split(flat.reshape(chains, length, size), stops[:-1], axis=-1)
    return {
        f"r_{b.site}": piece.reshape(chains, length, b.levels, b.size)
        for b, piece in zip(blocks, pieces, strict=True)
    }
