"""Adaptive Gauss-Hermite quadrature for the effects of one grouping factor, one effect to a level.

Around its mode u* each level's integral is a sum over nodes z of exp(log density(u* + z / sqrt(M)) + z^2 / 2) (Liu and
Pierce 1994, Biometrika 81(3); Pinheiro and Bates 1995, JCGS 4(1)). With one node this is Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .laplace import Approximation, Slopes

__all__ = ["Quadrature", "hermite_rule"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


def hermite_rule(nodes: int) -> tuple[Vector, Vector]:
    """Nodes and weights with sum w f(z) the integral of f against the standard normal density."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return z, w / w.sum()


@dataclass(frozen=True, eq=False)
class Quadrature:
    """The likelihood of a model with one scalar effect, around the modes of its Laplace ``approximation``.

    Levels j, nodes q: the effect at a node is u_jq = u_j + s_j z_q with s_j = M_j^-1/2, M_j = 1 + T^2 A_j.
    """

    approximation: Approximation
    nodes: int

    @property
    def T(self) -> float:  # noqa: N802
        """The relative standard deviation."""
        return float(self.approximation.mode.factors[0][0, 0])

    @property
    def column(self) -> Vector:
        """(n,): what the effect is multiplied by."""
        return self.approximation.mode.model.rows.columns[0][0]

    @property
    def feeds(self) -> int:
        """The linear predictor that the effect is part of."""
        return self.approximation.mode.model.rows.feeds[0][0]

    @cached_property
    def u(self) -> Vector:
        """(J,): the modes."""
        return self.T * self.approximation.mode.v[0][0]

    @cached_property
    def information(self) -> Vector:
        """(J,) A: the information on the levels' effects."""
        return self.approximation.penalised.stages[0].A[0, 0]

    @cached_property
    def spread(self) -> Vector:
        """(J,) s: standard deviations of the effects' normal approximations."""
        return 1.0 / np.sqrt(1.0 + self.T**2 * self.information)

    def by_level(self, values: Vector) -> Vector:
        """(J,): sums of (n,)."""
        factor = self.approximation.mode.model.rows.plan.factors[0]
        return np.bincount(factor.codes, weights=values, minlength=factor.levels)

    @cached_property
    def at_nodes(self) -> list[tuple[Vector, Matrix]]:
        """For each node its effects (J,) and the linear predictors (D, n) there."""
        mode = self.approximation.mode
        codes = mode.model.rows.plan.factors[0].codes
        found = []
        for z in hermite_rule(self.nodes)[0]:
            move = self.spread * z
            eta = mode.eta.copy()
            eta[self.feeds] += self.T * self.column * move[codes]
            found.append((self.u + move, eta))
        return found

    @cached_property
    def log_terms(self) -> Matrix:
        """(Q, J): logarithms of the terms of each level's sum, but for its factor s_j."""
        kernel = self.approximation.mode.model.kernel
        terms = []
        for z, w, (u, eta) in zip(*hermite_rule(self.nodes), self.at_nodes, strict=True):
            density = self.by_level(kernel.log_densities(eta))
            terms.append(density - 0.5 * u**2 + 0.5 * z**2 + np.log(w))
        return np.array(terms)

    @cached_property
    def value(self) -> float:
        """-2 log likelihood."""
        largest = self.log_terms.max(axis=0)
        sums = largest + np.log(np.exp(self.log_terms - largest).sum(axis=0))
        constant = self.approximation.mode.model.kernel.constant
        return float(-2.0 * ((sums + np.log(self.spread)).sum() + constant))

    @cached_property
    def slopes(self) -> Slopes:
        """Derivatives of `value`: nodes move with the modes and the spreads, and these with the parameters."""
        mode, T, column, d = self.approximation.mode, self.T, self.column, self.feeds
        rows, kernel = mode.model.rows, mode.model.kernel
        codes = rows.plan.factors[0].codes
        shares = np.exp(self.log_terms - self.log_terms.max(axis=0))
        shares /= shares.sum(axis=0)
        by_eta = np.zeros_like(mode.eta)
        by_T, by_u, by_spread = 0.0, np.zeros(len(self.u)), 1.0 / self.spread
        for z, share, (u, eta) in zip(hermite_rule(self.nodes)[0], shares, self.at_nodes, strict=True):
            score = kernel.local(eta).score
            by_eta += share[codes] * score
            met = self.by_level(column * score[d])
            by_T += float((share * u) @ met)
            gradient = share * (T * met - u)
            by_u += gradient
            by_spread += z * gradient
        # From here on of -2 log likelihood; the spread through M = 1 + T^2 A.
        by_M = by_spread * self.spread**3
        weights = np.zeros((len(mode.eta), *mode.eta.shape))
        weights[d, d] = (by_M * T**2)[codes] * column**2
        h = kernel.contract(mode.eta, weights, mode.model.expected)
        met = self.by_level(column * h[d])
        by_T = -2.0 * by_T + float(by_M @ (2.0 * T * self.information)) + float(self.u @ met)
        # The modes move where the penalised scores stay zero.
        W = self.approximation.information
        curvature = self.by_level(column**2 * W[d, d])
        move = (-2.0 * by_u + T * met) / (1.0 + T**2 * curvature)
        by_T += float(move @ (mode.v[0][0] - T * self.u * curvature))
        by_eta = -2.0 * by_eta + h - T * (column * move[codes]) * W[:, d]
        return Slopes((np.array([[by_T]]),), rows.transposed_population(by_eta), by_eta)
