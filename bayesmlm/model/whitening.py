"""From the coordinates that the sampler moves to standardised group effects, given everything above them.

Effects are r_j = T z_j with z_j ~ normal(0, I). The rows of level j say about r_j, given the coefficients beta,
roughly what a normal likelihood with information matrix H_j would, whose mode has H_j r = h_j - K_j beta. Were it
so exactly, z_j given everything else would be normal with precision M_j = I + T'H_jT = C_jC_j' and mean
M_j^-1 T'(h_j - K_j beta). The sampler moves

    zeta_j = (C_j' z_j - C_j^-1 T'(h_j - K_j beta)) / scale,

which then neither depends on T and beta nor differs in spread. Where rows say nothing, H_j = 0, this is the
non-centred form; where they say much, r_j is a constant times zeta_j plus what the coefficients take over: the
centred form, in location and scale; and it passes from one to the other as T goes to zero. (Christensen, Roberts and
Sköld 2006, J. Comput. Graph. Stat. 15; Papaspiliopoulos, Roberts and Sköld 2007, Stat. Sci. 22.) The map is a
bijection with constant-free Jacobian scale^k / prod(diag C_j), whatever H, h and K are: they change how well the
sampler moves, never what it samples. Arrays have the levels last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

__all__ = ["standardised", "whitened"]

Array = Any
Information = Mapping[str, Array]


def standardised(zeta: Array, T: Array, beta: Array | None, information: Information) -> tuple[Array, Array]:
    """z (J, k) of zeta (J, k), and the log of the Jacobian. ``T``: (k, k), or (k, k, J); ``beta`` (q,), or None
    when no coefficient is taken over; ``information``: ``H`` (k, k, J), ``h`` (k, J), ``K`` (k, q, J), ``scale``."""
    C, pull = _factor_and_pull(T, beta, information)
    z = _solve_transposed(C, information["scale"] * zeta.T + pull)
    log_diagonal = sum(jnp.sum(jnp.log(column[0])) for column in C)
    return z.T, zeta.size * jnp.log(information["scale"]) - log_diagonal


def whitened(z: Array, T: Array, beta: Array | None, information: Information) -> Array:
    """zeta (J, k) of z (J, k): the inverse of `standardised`."""
    C, pull = _factor_and_pull(T, beta, information)
    rows = [jnp.sum(column * z.T[i:], axis=0) for i, column in enumerate(C)]
    return ((jnp.stack(rows) - pull) / information["scale"]).T


def _factor_and_pull(T: Array, beta: Array | None, information: Information) -> tuple[list[Array], Array]:
    """C and C^-1 T'(h - K beta)."""
    right = information["h"]
    if beta is not None:
        right = right - beta @ information["K"]
    # Broadcast sums rather than products of small matrices: XLA makes one loop over levels of them.
    T = T.reshape(*T.shape[:2], -1)
    HT = jnp.sum(information["H"][:, :, None] * T[None], axis=1)
    M = jnp.sum(T[:, :, None] * HT[:, None], axis=0) + jnp.eye(T.shape[0])[:, :, None]
    C = _cholesky(M)
    return C, _solve(C, jnp.sum(T * right[:, None], axis=0))


def _cholesky(M: Array) -> list[Array]:
    """The columns of the lower factors, each from its diagonal on: (k - i, J)."""
    columns = []
    for _ in range(M.shape[0]):
        column = M[:, 0] / jnp.sqrt(M[0, 0])
        columns.append(column)
        M = M[1:, 1:] - column[1:, None] * column[None, 1:]
    return columns


def _solve(C: list[Array], b: Array) -> Array:
    """C^-1 b."""
    out = []
    for column in C:
        x = b[0] / column[0]
        out.append(x)
        b = b[1:] - column[1:] * x
    return jnp.stack(out)


def _solve_transposed(C: list[Array], b: Array) -> Array:
    """C'^-1 b."""
    out: list[Array] = []
    for column, right in zip(reversed(C), reversed(list(b)), strict=True):
        for entry, x in zip(column[1:], out, strict=True):
            right = right - entry * x
        out.insert(0, right / column[0])
    return jnp.stack(out)
