"""The kernel of any family, from its record: derivatives of ``Family.log_kernel`` by JAX.

Forward differentiation of the log density of a row, nested twice for the information, and once backwards through that
for its contraction with weights; the program runs over all rows at once.
Responses, weights and trials are arguments of the compiled programs, which belong to family, links and number of rows
and are kept by `inference.compile_cache`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..families.base import Family
from ..families.links import natural_parameters
from ..inference.compile_cache import Request, compiled_together
from ..inference.x64 import x64
from .glm_kernels import or_minus_infinity
from .kernel import Local, Predictors, Vector
from .row_kernel import RecordKernel

__all__ = ["FamilyKernel"]

Array = Any


class FamilyKernel(RecordKernel):
    """See `RecordKernel`."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        super().__init__(family, y, weights, extra)
        with x64():
            weights_or_ones = np.ones_like(y) if weights is None else weights
            self._rows = jax.tree.map(jnp.asarray, (y, weights_or_ones, self.extra))
        self._programs: dict[str, Any] = {}
        self.constant = self._constant()

    def _constant(self) -> float:
        if self.family.log_base_measure is None:
            return 0.0
        with x64():
            terms = np.asarray(self.family.log_base_measure(self._rows[0], self._rows[2]))
        return float(terms.sum() if self.weights is None else terms @ self.weights)

    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""
        value, score, observed = self._run("local", eta)
        return Local(or_minus_infinity(float(value)), score, observed, observed)

    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""
        terms: Vector = self._run("rows", eta)[0]
        return terms

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`; ``expected`` makes no difference."""
        result: Predictors = self._run("contract", eta, by_weights)[0]
        return result

    def _run(self, name: str, *arrays: Predictors) -> tuple[Any, ...]:
        """Results of the program ``name`` as NumPy arrays. The first call compiles all three at the same time."""
        with x64():
            if not self._programs:
                self._programs = self._compile()
            return tuple(np.asarray(result) for result in self._programs[name](*arrays, *self._rows))

    def _compile(self) -> dict[str, Any]:
        D, n = len(self.parameters), len(self.y)
        eta = jax.ShapeDtypeStruct((D, n), np.float64)
        by_weights = jax.ShapeDtypeStruct((D, D, n), np.float64)
        wanted: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
            "local": (self._local, (eta,)),
            "rows": (self._rows_of, (eta,)),
            "contract": (self._contract, (eta, by_weights)),
        }
        key = f"{self.family.name}:{self.links}"
        requests = [
            Request(function, (*arrays, *self._rows), f"kernel_{name}", key)
            for name, (function, arrays) in wanted.items()
        ]
        return dict(zip(wanted, compiled_together(requests), strict=True))

    # ---- what is traced: functions of one row, eta (D,), over which `vmap` runs. (JAX 0.12 cannot differentiate
    # erfcx, in the link probit, twice at an array.)

    def _log_density(self, eta: Array, y: Array, weight: Array, extra: Mapping[str, Array]) -> Array:
        """Weight times log density; 0 for a weight of zero, even outside the support."""
        etas = {name: eta[d] for d, name in enumerate(self.parameters)}
        natural = natural_parameters(etas, dict(zip(self.parameters, self.links, strict=True)))
        term = self.family.log_kernel(y, natural, extra, self.links[0])
        return jnp.where(weight > 0, weight * term, 0.0)

    def _derivatives(self, eta: Array, *row: Any) -> tuple[Array, Array, Array]:
        """Log density (), score (D,) and observed information (D, D), each distinct element computed once."""
        D = len(eta)
        units = jnp.eye(D)
        score: list[Array] = [None] * D
        second: dict[tuple[int, int], Array] = {}
        for d in range(D):

            def along(at: Array, unit: Array = units[d]) -> tuple[Array, Array]:
                value, slope = jax.jvp(lambda point: self._log_density(point, *row), (at,), (unit,))
                return value, slope

            for e in range(d + 1):
                (value, score[d]), (_, second[d, e]) = jax.jvp(along, (eta,), (units[e],))
        rows = [jnp.stack([-second[max(d, e), min(d, e)] for e in range(D)]) for d in range(D)]
        return value, jnp.stack(score), jnp.stack(rows)

    def _rows_of(self, eta: Array, *rows: Any) -> tuple[Array]:
        return (_over_rows(self._log_density)(eta, *rows),)

    def _local(self, eta: Array, *rows: Any) -> tuple[Array, Array, Array]:
        value, score, observed = _over_rows(self._derivatives)(eta, *rows)
        return jnp.sum(value), score, observed

    def _contract(self, eta: Array, by_weights: Array, *rows: Any) -> tuple[Array]:
        def weighted_information(at: Array) -> Array:
            return jnp.sum(by_weights * self._local(at, *rows)[2])

        return (jax.grad(weighted_information)(eta),)


def _over_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of (eta, y, weight, extra) of a row, for all rows; rows are the last axis of eta and results."""
    over_rows: Callable[..., Any] = jax.vmap(function, in_axes=(-1, 0, 0, 0), out_axes=-1)
    return over_rows
