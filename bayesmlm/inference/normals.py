"""Normal distributions that approximate a posterior: a full or diagonal covariance, one that a quasi-Newton search
leaves behind, and mixtures of such.

Each can be drawn from and has a log density; nothing here knows of a posterior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["CholeskyNormal", "DiagonalNormal", "Drawable", "Mixture", "QuasiNewtonNormal"]

Vector = NDArray[np.float64]
LOG_2PI = float(np.log(2 * np.pi))


class Drawable(Protocol):
    """A distribution over the flat vector q."""

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """(count, dimension) independent draws."""
        ...

    def log_density(self, points: Vector) -> Vector:
        """(points,) normalised log density at ``points`` (points, dimension)."""
        ...


def _standard(standardised: Vector) -> Vector:
    return -0.5 * (np.sum(standardised**2, axis=1) + standardised.shape[1] * LOG_2PI)


@dataclass(frozen=True)
class DiagonalNormal:
    """Independent normals with ``mean`` and ``sd`` (dimension,)."""

    mean: Vector
    sd: Vector

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """See `Drawable`."""
        return self.mean + self.sd * random.standard_normal((count, len(self.mean)))

    def log_density(self, points: Vector) -> Vector:
        """See `Drawable`."""
        return _standard((points - self.mean) / self.sd) - np.sum(np.log(self.sd))


@dataclass(frozen=True)
class CholeskyNormal:
    """A normal with ``mean`` and covariance ``factor factor'``, the factor lower triangular."""

    mean: Vector
    factor: Vector

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """See `Drawable`."""
        return self.mean + random.standard_normal((count, len(self.mean))) @ self.factor.T

    def log_density(self, points: Vector) -> Vector:
        """See `Drawable`."""
        from scipy.linalg import solve_triangular

        standardised = solve_triangular(self.factor, (points - self.mean).T, lower=True).T
        return _standard(standardised) - np.sum(np.log(np.abs(np.diag(self.factor))))


@dataclass(frozen=True)
class QuasiNewtonNormal:
    """A normal whose covariance H is the BFGS estimate of an inverse Hessian from a few steps of a search.

    A step s along which the gradient changed by z turns H into E H E' with E = I + s r', r = (tau B s - z) / z's,
    B = H^-1 and tau^2 = z's / s'Bs: the BFGS update as a product (Brodlie, Gourlay and Greenstadt 1973), so that the E
    times diag(``root``) are a root of H. ``steps`` and ``turns`` (m, dimension) are the s and r, the oldest first,
    ``stretches`` (m,) the determinants 1 + r's = 1 / tau. No matrix is ever made or factored: drawing costs m products
    of vectors.
    """

    mean: Vector
    root: Vector
    steps: Vector
    turns: Vector
    stretches: Vector

    @classmethod
    def of(
        cls,
        position: Vector,
        gradient: Vector,
        alpha: Vector,
        steps: Sequence[Vector],
        changes: Sequence[Vector],
    ) -> QuasiNewtonNormal:
        """Around the point to which H takes a Newton step from ``position``, where the log density has ``gradient``.

        H starts as diag(``alpha``); ``steps`` s and ``changes`` z, of the gradient of minus the log density, must have
        s'z > 0, the oldest first.
        """
        shape = (len(steps), len(position))
        out = cls(position, np.sqrt(alpha), np.zeros(shape), np.zeros(shape), np.ones(len(steps)))
        for k, (s, z) in enumerate(zip(steps, changes, strict=True)):
            # B s by the root made so far.
            bent = out._transposed(out._standardised(s, k), k)
            product = float(z @ s)
            tau = np.sqrt(product / float(s @ bent))
            out.steps[k], out.turns[k], out.stretches[k] = s, (tau * bent - z) / product, 1 / tau
        return replace(out, mean=position + out.coloured(out._back(gradient)))

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """See `Drawable`."""
        return self.mean + self.coloured(random.standard_normal((count, len(self.mean))))

    def covariance(self) -> Vector:
        """H, (dimension, dimension)."""
        root = self.coloured(np.eye(len(self.mean)))
        return root.T @ root

    def log_density(self, points: Vector) -> Vector:
        """See `Drawable`."""
        log_det = np.sum(np.log(self.root)) + np.sum(np.log(self.stretches))
        return _standard(self._standardised(points - self.mean, len(self.steps))) - log_det

    def coloured(self, rows: Vector) -> Vector:
        """Each row x to C x, with C C' = H."""
        out = rows * self.root
        for s, r in zip(self.steps, self.turns, strict=True):
            out += np.multiply.outer(_dot(out, r), s)
        return out

    def _back(self, rows: Vector) -> Vector:
        """Each row x to C' x."""
        out = rows.copy()
        for s, r in zip(self.steps[::-1], self.turns[::-1], strict=True):
            out += np.multiply.outer(_dot(out, s), r)
        return out * self.root

    def _standardised(self, rows: Vector, last: int) -> Vector:
        """Each row x to C^-1 x, with the first ``last`` steps."""
        out = rows.copy()
        for k in reversed(range(last)):
            out -= np.multiply.outer(_dot(out, self.turns[k]) / self.stretches[k], self.steps[k])
        return out / self.root

    def _transposed(self, rows: Vector, last: int) -> Vector:
        """Each row x to C^-T x, with the first ``last`` steps."""
        out = rows / self.root
        for k in range(last):
            out -= np.multiply.outer(_dot(out, self.steps[k]) / self.stretches[k], self.turns[k])
        return out


def _dot(rows: Vector, column: Vector) -> Vector:
    """Of one row, or of each of many: then not BLAS, whose threads cost more than they save on short vectors."""
    return np.asarray(rows @ column if rows.ndim == 1 else np.einsum("ij,j->i", rows, column))


@dataclass(frozen=True)
class Mixture:
    """``parts`` with probabilities ``weights``, which sum to one."""

    parts: Sequence[Drawable]
    weights: Vector

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """See `Drawable`."""
        which = random.choice(len(self.parts), count, p=self.weights)
        drawn = {k: part.draw(random, int(np.sum(which == k))) for k, part in enumerate(self.parts)}
        out = np.empty((count, next(iter(drawn.values())).shape[1]))
        for k, values in drawn.items():
            out[which == k] = values
        return out

    def log_density(self, points: Vector) -> Vector:
        """See `Drawable`."""
        with np.errstate(divide="ignore"):
            logs = np.log(self.weights)
        terms = np.stack([log + part.log_density(points) for log, part in zip(logs, self.parts, strict=True)])
        top = terms.max(axis=0)
        return top + np.log(np.sum(np.exp(terms - top), axis=0))
