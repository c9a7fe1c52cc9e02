"""Kenward and Roger's small-sample covariance of the coefficients, and F tests with it.

Kenward and Roger (1997, Biometrics 53, 983-997); notation after Halekoh and Hojsgaard (2014, JSS 59(9), sec. 2). With
V = W^-1 + Z Lambda Lambda' Z' (units of sigma^2) linear in its variance parameters, V = sum_r g_r G_r, one needs

    P_r = -X'V^-1 G_r V^-1 X,   Q_rs = X'V^-1 G_r V^-1 G_s V^-1 X,   t_rs = tr(V^-1 G_r V^-1 G_s).

No matrix with a row for each observation is made. A direction of a group term is G_r = Z D_r Z', D_r the same small
matrix for each level, so P_r = -C'D_r C, Q_rs = C'D_r K D_s C and t_rs = tr(D_r K D_s K) with C = Z'V^-1 X and
K = Z'V^-1 Z (`levels`). For the residual variance any direction does that makes up the same space with the others,
since the method does not depend on the basis; V itself is one, and V^-1 V V^-1 = V^-1. Prior weights are in W, which
pbkrtest leaves out. For correlation structures that are not linear in their parameters (ar1, cs with unequal
variances) the derivatives at the estimates are taken: the first-order form of the method, which does not depend on
the parameterisation either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..covariance import Covariance
from ..errors import BayesmlmError
from .level_blocks import LevelBlocks, level_blocks
from .satterthwaite import JointTest

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["KenwardRoger", "kenward_roger"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Stack = NDArray[np.float64]

SINGULAR = 1e-10
"""Directions of the variance parameters with less information than this, relative to their own scale, are left out."""


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """``covariance``: (p, p) adjusted Var(beta); ``unadjusted``: without the adjustment; ``slopes``: (r, p, p)
    derivatives of the unadjusted one by the variance parameters; ``spread``: (r, r) their covariance."""

    covariance: Matrix
    unadjusted: Matrix
    slopes: Stack
    spread: Matrix

    label = "Kenward-Roger"

    def degrees(self, L: Matrix) -> Vector:
        """(m,) degrees of freedom of the contrasts in the rows of ``L`` (m, p).

        For one contrast A1 = A2 = A in the paper's notation, and everything comes down to 2 / A.
        """
        variance = np.einsum("mp,pq,mq->m", L, self.unadjusted, L)
        slopes = np.einsum("mp,rpq,mq->mr", L, self.slopes, L)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * variance**2 / np.einsum("mr,rs,ms->m", slopes, self.spread, slopes)

    def joint(self, L: Matrix, beta: Vector) -> JointTest | None:
        """The scaled F test of L beta = 0, (m, p); None when L is zero."""
        _, sizes, rows = np.linalg.svd(L, full_matrices=False)
        rows = rows[sizes > 1e-10 * sizes.max(initial=0.0)]
        q = len(rows)
        if not q:
            return None
        value = rows @ beta
        unscaled = float(value @ np.linalg.solve(rows @ self.covariance @ rows.T, value)) / q
        if q == 1:
            return JointTest(unscaled, unscaled, 1, float(self.degrees(rows)[0]))
        den_df, scaling = _moments(*self._traces(rows), q)
        return JointTest(scaling * unscaled, unscaled, q, den_df, scaling)

    def _traces(self, rows: Matrix) -> tuple[float, float]:
        """A1 and A2."""
        half = np.linalg.inv(np.linalg.cholesky(rows @ self.unadjusted @ rows.T)) @ rows
        parts = np.einsum("ap,rpq,bq->rab", half, self.slopes, half)
        traces = np.einsum("raa->r", parts)
        products = np.einsum("rab,sba->rs", parts, parts)
        return float(traces @ self.spread @ traces), float((self.spread * products).sum())


def _moments(A1: float, A2: float, q: int) -> tuple[float, float]:
    """Denominator degrees of freedom and scaling of F from the moments it should have (paper, sec. 3.1)."""
    if A2 <= 0.0:
        return float("inf"), 1.0
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    below = 3 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / below, (q - g) / below, (q + 2 - g) / below
    mean = (1.0 - A2 / q) / (1.0 - c2 * B)
    rho = mean**2 * (1.0 + c1 * B) / (1.0 - c3 * B) / q
    den_df = 4.0 + (q + 2) / (q * rho - 1.0)
    scaling = 1.0 if abs(den_df - 2.0) < 0.01 else den_df * (1.0 - A2 / q) / (den_df - 2.0)
    if not (den_df > 0.0 and scaling > 0.0):
        raise BayesmlmError(
            f"Kenward and Roger's method gives no F distribution for a test of {q} contrasts: the groups are too few "
            "for that many. Use Satterthwaite's method, ddf='satterthwaite', or test fewer contrasts"
        )
    return den_df, scaling


def kenward_roger(fit: MixedFit) -> KenwardRoger:
    """The parts of the method for a REML fit. Raises `BayesmlmError` for maximum likelihood, and when more crossed
    effects hang together than dense matrices can hold (see `level_blocks`)."""
    if not fit.reml:
        raise BayesmlmError(
            "Kenward and Roger's method is for REML fits, and this model was fitted by maximum likelihood: use "
            "m.update(REML=True), or Satterthwaite's method, ddf='satterthwaite'"
        )
    problem, parameters = fit.problem, fit.optimum.parameters
    directions = [
        (place, part, D)
        for c, at, (place, part) in zip(problem.covariances, problem.slices, problem.places, strict=True)
        for D in _directions(c, parameters[at])
    ]
    f = fit.evaluation.factorisation
    blocks = level_blocks(problem.rows, f.factors, len(directions))
    P, Q, traces = _products(blocks, directions, np.linalg.inv(f.basis_vcov), fit.n)
    return _adjusted(fit, f.basis_vcov, P, Q, traces)


def _directions(covariance: Covariance, parameters: Vector) -> list[Matrix]:
    """Matrices D (k, k) whose span is that of the derivatives of Var(b) by the structure's parameters."""
    k, tag = covariance.size, covariance.tag
    unit = np.eye(k)
    if tag == "us":
        pairs = [(unit[a][:, None] * unit[b], a == b) for a in range(k) for b in range(a + 1)]
        return [E if same else E + E.T for E, same in pairs]
    homogeneous = len(covariance.start) <= 1 + (tag in ("cs", "ar1")) and k > 1
    if tag == "diag":
        return [unit] if homogeneous else [np.diag(row) for row in unit]
    if tag == "cs" and homogeneous:
        return [unit, 1.0 - unit]
    T = covariance.factor(parameters)
    slopes = np.zeros((len(parameters), k, k))
    for a in range(k):
        for b in range(a + 1):
            slopes[:, a, b] = covariance.pullback(parameters, unit[a][:, None] * unit[b])
    return [S @ T.T + T @ S.T for S in slopes]


def _products(
    blocks: LevelBlocks, directions: list[tuple[int, slice, Matrix]], information: Matrix, n: int
) -> tuple[Stack, Stack, Matrix]:
    """P (r, p, p), Q (r, r, p, p), t (r, r); the last direction is V. ``information``: X'V^-1 X (p, p)."""
    count, p = len(directions), len(information)
    P, Q = np.zeros((count + 1, p, p)), np.zeros((count + 1, count + 1, p, p))
    traces = np.zeros((count + 1, count + 1))
    for batch in blocks.batches:
        DC = [batch.scaled(place, part, D, batch.C) for place, part, D in directions]
        DK = [batch.scaled(place, part, D, batch.K) for place, part, D in directions]
        for r in range(count):
            P[r] -= np.einsum("msp,msq->pq", batch.C, DC[r], optimize=True)
            KDC = batch.K @ DC[r]
            traces[r, count] += float(np.einsum("mii->", DK[r]))
            for s in range(count):
                Q[s, r] += np.einsum("msp,msq->pq", DC[s], KDC, optimize=True)
                if s <= r:
                    traces[r, s] += float(np.einsum("mij,mji->", DK[r], DK[s]))
    traces += np.tril(traces, -1).T + np.triu(traces, 1).T
    for r in range(count):
        Q[r, count] = Q[count, r] = -P[r]
    P[count], Q[count, count], traces[count, count] = -information, information, n
    return P, Q, traces


def _adjusted(fit: MixedFit, vcov: Matrix, P: Stack, Q: Stack, traces: Matrix) -> KenwardRoger:
    """From the products in the orthonormal basis, where (X'V^-1 X)^-1 is ``vcov``, to the coefficients."""
    vP = vcov @ P
    information = traces - 2.0 * np.einsum("ij,rsji->rs", vcov, Q) + np.einsum("rij,sji->rs", vP, vP)
    spread = 2.0 * _inverse(0.5 * (information + information.T))
    middle = np.einsum("rs,rspq->pq", spread, Q) - np.einsum("rs,rpi,siq->pq", spread, P, vP)
    adjusted = vcov + 2.0 * vcov @ middle @ vcov
    back = np.linalg.inv(fit.problem.rows.basis.R)
    scale = fit.sigma**2
    slopes = -scale * (back @ (vP @ vcov) @ back.T)
    return KenwardRoger(_even(scale * back @ adjusted @ back.T), fit.covariance, slopes, spread)


def _inverse(information: Matrix) -> Matrix:
    """The inverse, over directions that the data say something about."""
    size = np.sqrt(np.maximum(np.diag(information), 0.0))
    size[size == 0.0] = 1.0
    values, vectors = np.linalg.eigh(information / np.outer(size, size))
    keep = values > SINGULAR
    used = vectors[:, keep]
    return np.asarray(((used / values[keep]) @ used.T) / np.outer(size, size))


def _even(matrix: Matrix) -> Matrix:
    return 0.5 * (matrix + matrix.T)
