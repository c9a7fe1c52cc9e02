"""Covariance parameters of all group terms, between the scales on which they are moved and reported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance, Diagonal, Unstructured
from ..marginal.evaluate import Factorisation
from ..marginal.plan import Plan

__all__ = ["CovarianceParameters", "solved_by_term"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

DEPENDENT = 1e-8
"""Share of their mean square below which columns are not told apart by `CovarianceParameters.whiteners`."""


class CovarianceParameters:
    """What a model knows of the covariances of its effects, whatever its response.

    ``parameters`` throughout are those of all terms one after the other, on columns scaled to unit mean square;
    `unscaled` and `scaled` go between these and the user's columns. ``covariances``: the structure of each term.
    """

    covariances: tuple[Covariance, ...]

    @property
    def plan(self) -> Plan:
        """The grouping factors, in order of elimination."""
        raise TypeError

    @property
    def factor_scales(self) -> tuple[Vector, ...]:
        """For each factor of the plan (k,) what its columns were divided by."""
        raise TypeError

    @cached_property
    def mean_products(self) -> list[Matrix]:
        """For each term (k, k): the mean over rows of products of its scaled columns."""
        raise TypeError

    @cached_property
    def slices(self) -> list[slice]:
        """Where each term's parameters are."""
        stops = np.cumsum([0, *(len(c.start) for c in self.covariances)])
        return [slice(int(a), int(b)) for a, b in pairwise(stops)]

    @property
    def start(self) -> Vector:
        """Unit relative standard deviations."""
        return np.concatenate([c.start for c in self.covariances])

    @property
    def bounds(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds of the parameters."""
        lower = np.concatenate([c.lower for c in self.covariances])
        return lower, np.concatenate([c.upper for c in self.covariances])

    @property
    def search_bounds(self) -> tuple[Vector, Vector]:
        """Bounds while searching: none where the sign of a factor's column makes no difference."""
        lower, upper = self.bounds
        for c, at in zip(self.covariances, self.slices, strict=True):
            if c.unsigned:
                lower[at] = -np.inf
        return lower, upper

    def normalise(self, parameters: Vector) -> Vector:
        """Parameters inside `bounds` of the same covariance matrices."""
        parts = zip(self.covariances, self.slices, strict=True)
        return np.concatenate([c.normalise(parameters[at]) for c, at in parts])

    @cached_property
    def whiteners(self) -> list[Matrix]:
        """For each term a lower triangular (k, k) C with which its columns, on average over rows, are orthonormal.

        An intercept and a year are all but the same column; T = C T' has a T' that is easy to search.
        """
        found = []
        for c, A in zip(self.covariances, self.mean_products, strict=True):
            if (
                isinstance(c, Unstructured)
                and c.size > 1
                and np.linalg.eigvalsh(A)[0] > DEPENDENT * np.trace(A)
            ):
                found.append(np.linalg.cholesky(np.linalg.inv(A)))
            else:
                found.append(np.eye(c.size))
        return found

    @cached_property
    def whitening(self) -> Matrix:
        """(m, m) block diagonal: from parameters of T' to those of T (see `whiteners`)."""
        out = np.eye(len(self.start))
        for c, at, C in zip(self.covariances, self.slices, self.whiteners, strict=True):
            if isinstance(c, Unstructured) and c.size > 1:
                place = at.start
                for column in range(c.size):
                    stop = place + c.size - column
                    out[place:stop, place:stop] = C[column:, column:]
                    place = stop
        return out

    def without_zero_columns(self, parameters: Vector) -> Vector:
        """Parameters with no variance for the effects of columns of zeros, of which the data say nothing."""
        out = parameters.copy()
        for c, at, A in zip(self.covariances, self.slices, self.mean_products, strict=True):
            there = np.diag(A) > 0.0
            if not there.all() and isinstance(c, (Unstructured, Diagonal)) and len(c.start) >= c.size:
                out[at] = c.rescale(parameters[at], there.astype(float))
        return out

    def inside(self, parameters: Vector) -> Vector:
        """Parameters away from every boundary, of covariance matrices near those of ``parameters``."""
        out = []
        for c, at, C in zip(self.covariances, self.slices, self.whiteners, strict=True):
            T = np.linalg.solve(C, c.factor(parameters[at]))
            S = T @ T.T
            out.append(c.approximate(C @ (S + np.diag(0.1 * np.diag(S) + 0.01)) @ C.T))
        return np.concatenate(out)

    @cached_property
    def scales(self) -> list[Vector]:
        """For each term (k,) what its columns were divided by."""
        return [self.factor_scales[f][part] for f, part in self.places]

    @cached_property
    def places(self) -> list[tuple[int, slice]]:
        """For each term its factor of the plan and its columns there."""
        found: dict[int, tuple[int, slice]] = {}
        for f, factor in enumerate(self.plan.factors):
            for number, part in factor.terms:
                found[number] = (f, part)
        return [found[t] for t in range(len(self.covariances))]

    def unscaled(self, parameters: Vector) -> Vector:
        """Parameters on the scale of the user's columns (for ``us`` and ``diag`` these are lme4's theta)."""
        parts = zip(self.covariances, self.slices, self.scales, strict=True)
        return np.concatenate([c.rescale(parameters[at], 1.0 / s) for c, at, s in parts])

    def scaled(self, parameters: Vector) -> Vector:
        """The inverse of `unscaled`."""
        parts = zip(self.covariances, self.slices, self.scales, strict=True)
        return np.concatenate([c.rescale(parameters[at], s) for c, at, s in parts])

    def templates(self, parameters: Vector) -> list[Matrix]:
        """For each term its relative factor (k, k) on the scale of the user's columns."""
        unscaled = self.unscaled(parameters)
        return [c.factor(unscaled[at]) for c, at in zip(self.covariances, self.slices, strict=True)]

    def factors(self, parameters: Vector) -> list[Matrix]:
        """For each factor of the plan its relative factor (k, k) on the scaled columns: its terms' on the diagonal."""
        factors = [np.zeros((f.size, f.size)) for f in self.plan.factors]
        for c, at, (f, part) in zip(self.covariances, self.slices, self.places, strict=True):
            factors[f][part, part] = c.factor(parameters[at])
        return factors

    def pullback(self, parameters: Vector, by_factor: Sequence[Matrix]) -> Vector:
        """Derivatives by the factors of the plan as derivatives by the parameters."""
        parts = zip(self.covariances, self.slices, self.places, strict=True)
        return np.concatenate(
            [c.pullback(parameters[at], by_factor[f][part, part]) for c, at, (f, part) in parts]
        )

    def em_step(self, means: Sequence[Matrix], blocks: Sequence[Stack]) -> tuple[Vector, Vector]:
        """Parameters after one step of the EM algorithm (Laird and Ware 1982), always inside their bounds; and for
        each how far it may be expected to be off, in coordinates in which a term's columns are orthonormal.

        ``means`` (k, J) and ``blocks`` (k, k, J): for each factor of the plan conditional means and covariances of
        the effects, in units of sigma. How far off is the standard error of a standard deviation from J effects that
        are known with reliability r: sd / (2 r sqrt(J)).
        """
        parameters, strides = [], []
        for c, C, at, (place, part) in zip(
            self.covariances, self.whiteners, self.slices, self.places, strict=True
        ):
            b, levels = means[place][part], means[place].shape[1]
            unknown = blocks[place][part, part].sum(axis=2) / levels
            second = b @ b.T / levels + unknown
            parameters.append(c.approximate(second + 1e-10 * np.trace(second) * np.eye(len(second))))
            white = np.linalg.solve(C, np.linalg.solve(C, second).T)
            left = np.linalg.solve(C, np.linalg.solve(C, unknown).T)
            typical = float(np.sqrt(np.trace(white) / len(white)))
            reliability = 1.0 - float(np.trace(left) / np.trace(white))
            stride = typical / (2.0 * max(reliability, 0.1) * np.sqrt(levels))
            strides.append(np.full(at.stop - at.start, min(max(stride, 1e-3), 1.0)))
        return np.concatenate(parameters), np.concatenate(strides)


def solved_by_term(
    problem: CovarianceParameters, factorisation: Factorisation, right: Sequence[Stack]
) -> list[Stack]:
    """Lambda M^-1 Lambda' times right-hand sides, both by term as (J, k, r), on the user's scale."""
    sides = [np.zeros((f.size, right[0].shape[2], f.levels)) for f in problem.plan.factors]
    for block, (f, part), scale in zip(right, problem.places, problem.scales, strict=True):
        sides[f][part] = block.transpose(1, 2, 0) / scale[:, None, None]
    found = factorisation.solve_effects(sides)
    return [
        (found[f][part] / scale[:, None, None]).transpose(2, 0, 1)
        for (f, part), scale in zip(problem.places, problem.scales, strict=True)
    ]
