"""The structures of lme4 2.x: ``us()``, ``diag()``, ``cs()``, ``ar1()``, each with ``hom``ogeneous variances or not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Autoregressive", "CompoundSymmetry", "Covariance", "Diagonal", "Unstructured"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

EDGE = 1e-7
"""How far from its limits a correlation is kept: there the Cholesky factor has no derivative."""


class Covariance(Protocol):
    """Parameters to the lower triangular factor ``T`` (k, k) of one level's effects, in units of sigma."""

    @property
    def tag(self) -> str:
        """lme4's name of the structure: ``us``, ``diag``, ``cs``, ``ar1``."""

    @property
    def size(self) -> int:
        """k, the number of effects of a level."""

    @property
    def lower(self) -> Vector:
        """Lower bounds of the parameters."""

    @property
    def upper(self) -> Vector:
        """Upper bounds of the parameters."""

    @property
    def start(self) -> Vector:
        """Parameters of unit standard deviations and no correlation."""

    def factor(self, parameters: Vector) -> Matrix:
        """``T``, (k, k)."""

    def pullback(self, parameters: Vector, gradient: Matrix) -> Vector:
        """The gradient by ``T`` (k, k; its upper triangle is not read) as one by the parameters."""

    def rescale(self, parameters: Vector, scale: Vector) -> Vector:
        """Parameters of ``diag(scale) T``; ``scale`` as `common_scale` gives it."""

    def common_scale(self, scale: Vector) -> Vector:
        """``scale`` (k,) as far as the structure can follow it: one value for all when variances are equal."""

    @property
    def unsigned(self) -> bool:
        """Whether a bound of zero only chooses between parameters of the same matrix: an optimiser may cross it."""

    def normalise(self, parameters: Vector) -> Vector:
        """Of parameters of the same matrix, those inside the bounds."""

    def approximate(self, covariance: Matrix) -> Vector:
        """Parameters, inside their bounds, of a matrix of the structure near the positive definite ``covariance``."""

    def theta(self, parameters: Vector) -> Vector:
        """lme4's theta: the entries of ``T`` that are not fixed at zero, by columns."""

    def is_singular(self, parameters: Vector, tolerance: float) -> bool:
        """Whether the covariance matrix is at the boundary of its space (lme4's ``isSingular``)."""


@cache
def _lower_entries(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a lower triangle, by columns."""
    column, row = np.triu_indices(size)
    return row, column


@dataclass(frozen=True)
class Unstructured:
    """Any covariance matrix; the parameters are the entries of ``T`` by columns (lme4's theta)."""

    size: int
    tag: str = "us"

    @property
    def lower(self) -> Vector:
        """Zero on the diagonal of ``T``, elsewhere minus infinity."""
        row, column = _lower_entries(self.size)
        return np.where(row == column, 0.0, -np.inf)

    @property
    def upper(self) -> Vector:
        """None."""
        return np.full(self.size * (self.size + 1) // 2, np.inf)

    @property
    def start(self) -> Vector:
        """The unit matrix."""
        row, column = _lower_entries(self.size)
        return np.where(row == column, 1.0, 0.0)

    def factor(self, parameters: Vector) -> Matrix:
        """See `Covariance.factor`."""
        T = np.zeros((self.size, self.size))
        T[_lower_entries(self.size)] = parameters
        return T

    def pullback(self, parameters: Vector, gradient: Matrix) -> Vector:
        """See `Covariance.pullback`."""
        return gradient[_lower_entries(self.size)]

    def rescale(self, parameters: Vector, scale: Vector) -> Vector:
        """See `Covariance.rescale`."""
        return parameters * scale[_lower_entries(self.size)[0]]

    def common_scale(self, scale: Vector) -> Vector:
        """``scale``: every row has its own."""
        return scale

    @property
    def unsigned(self) -> bool:
        """A column of ``T`` and its negative give the same matrix."""
        return True

    def normalise(self, parameters: Vector) -> Vector:
        """See `Covariance.normalise`."""
        row, column = _lower_entries(self.size)
        signs = np.where(parameters[row == column] < 0, -1.0, 1.0)
        return parameters * signs[column]

    def approximate(self, covariance: Matrix) -> Vector:
        """Its Cholesky factor."""
        return np.linalg.cholesky(covariance)[_lower_entries(self.size)]

    def theta(self, parameters: Vector) -> Vector:
        """The parameters."""
        return parameters

    def is_singular(self, parameters: Vector, tolerance: float) -> bool:
        """Whether a diagonal entry of ``T`` is below ``tolerance``."""
        return bool((parameters[np.isfinite(self.lower)] < tolerance).any())


@dataclass(frozen=True)
class Diagonal:
    """Uncorrelated effects: k standard deviations, or one when ``homogeneous``."""

    size: int
    homogeneous: bool = False
    tag: str = "diag"

    @property
    def count(self) -> int:
        """Number of parameters."""
        return 1 if self.homogeneous else self.size

    @property
    def lower(self) -> Vector:
        """Zero."""
        return np.zeros(self.count)

    @property
    def upper(self) -> Vector:
        """None."""
        return np.full(self.count, np.inf)

    @property
    def start(self) -> Vector:
        """Unit standard deviations."""
        return np.ones(self.count)

    def factor(self, parameters: Vector) -> Matrix:
        """See `Covariance.factor`."""
        return np.diag(np.broadcast_to(parameters, self.size))

    def pullback(self, parameters: Vector, gradient: Matrix) -> Vector:
        """See `Covariance.pullback`."""
        diagonal = np.diag(gradient)
        return np.array([diagonal.sum()]) if self.homogeneous else diagonal.copy()

    def rescale(self, parameters: Vector, scale: Vector) -> Vector:
        """See `Covariance.rescale`."""
        return parameters * scale[: self.count]

    def common_scale(self, scale: Vector) -> Vector:
        """See `Covariance.common_scale`."""
        return _geometric_mean(scale) if self.homogeneous else scale

    @property
    def unsigned(self) -> bool:
        """The sign of a standard deviation says nothing."""
        return True

    def normalise(self, parameters: Vector) -> Vector:
        """See `Covariance.normalise`."""
        return np.abs(parameters)

    def approximate(self, covariance: Matrix) -> Vector:
        """Its standard deviations."""
        return _deviations(covariance, self.homogeneous)

    def theta(self, parameters: Vector) -> Vector:
        """The parameters."""
        return parameters

    def is_singular(self, parameters: Vector, tolerance: float) -> bool:
        """Whether a standard deviation is below ``tolerance``."""
        return bool((parameters < tolerance).any())


@dataclass(frozen=True)
class _OneCorrelation:
    """Standard deviations (one when ``homogeneous``), then one correlation ``rho``."""

    size: int
    homogeneous: bool = False

    @property
    def count(self) -> int:
        """Number of standard deviations."""
        return 1 if self.homogeneous else self.size

    def limits(self) -> tuple[float, float]:
        """Between which values of ``rho`` the matrix is positive definite."""
        raise TypeError

    def correlation(self, rho: float) -> tuple[Matrix, Matrix]:
        """The correlation matrix, and its derivative by ``rho``."""
        raise TypeError

    @property
    def lower(self) -> Vector:
        """Zero, and the lower limit of ``rho``."""
        return np.append(np.zeros(self.count), [self.limits()[0] + EDGE] * (self.size > 1))

    @property
    def upper(self) -> Vector:
        """None, and the upper limit of ``rho``."""
        return np.append(np.full(self.count, np.inf), [self.limits()[1] - EDGE] * (self.size > 1))

    @property
    def start(self) -> Vector:
        """Unit standard deviations, no correlation."""
        return np.append(np.ones(self.count), [0.0] * (self.size > 1))

    def _parts(self, parameters: Vector) -> tuple[Vector, Matrix, Matrix]:
        """Standard deviations (k,), Cholesky factor of the correlations, and its derivative by ``rho``."""
        sds = np.broadcast_to(parameters[: self.count], self.size)
        if self.size == 1:
            return sds, np.ones((1, 1)), np.zeros((1, 1))
        R, dR = self.correlation(float(parameters[-1]))
        L = np.linalg.cholesky(R)
        inner = np.linalg.solve(L, np.linalg.solve(L, dR).T)
        # dL = L Phi(L^-1 dR L^-T), Phi: lower triangle with half the diagonal (Smith 1995; Murray 2016, sec. 3.1)
        return sds, L, L @ (np.tril(inner) - 0.5 * np.diag(np.diag(inner)))

    def factor(self, parameters: Vector) -> Matrix:
        """See `Covariance.factor`."""
        sds, L, _ = self._parts(parameters)
        return sds[:, None] * L

    def pullback(self, parameters: Vector, gradient: Matrix) -> Vector:
        """See `Covariance.pullback`."""
        sds, L, dL = self._parts(parameters)
        gradient = np.tril(gradient)
        by_sd = (gradient * L).sum(axis=1)
        by_sd = np.array([by_sd.sum()]) if self.homogeneous else by_sd
        return np.append(by_sd, [(gradient * sds[:, None] * dL).sum()] * (self.size > 1))

    def rescale(self, parameters: Vector, scale: Vector) -> Vector:
        """See `Covariance.rescale`."""
        return np.append(parameters[: self.count] * scale[: self.count], parameters[self.count :])

    def common_scale(self, scale: Vector) -> Vector:
        """See `Covariance.common_scale`."""
        return _geometric_mean(scale) if self.homogeneous else scale

    @property
    def unsigned(self) -> bool:
        """A negative standard deviation would turn correlations round."""
        return False

    def normalise(self, parameters: Vector) -> Vector:
        """The parameters."""
        return parameters

    def approximate(self, covariance: Matrix) -> Vector:
        """Its standard deviations, and the mean correlation of neighbours."""
        sds = _deviations(covariance, self.homogeneous)
        if self.size == 1:
            return sds
        each = np.sqrt(np.diag(covariance))
        rho = float(np.mean(np.diag(covariance, 1) / (each[1:] * each[:-1])))
        low, high = self.limits()
        return np.append(sds, min(max(rho, 0.9 * low), 0.9 * high))

    def theta(self, parameters: Vector) -> Vector:
        """The lower triangle of ``T``, by columns."""
        return self.factor(parameters)[_lower_entries(self.size)]

    def is_singular(self, parameters: Vector, tolerance: float) -> bool:
        """Whether a standard deviation is below ``tolerance``, or ``rho`` that close to a limit."""
        inside = np.minimum(parameters - self.lower, self.upper - parameters)
        return bool((inside < tolerance).any())


@dataclass(frozen=True)
class CompoundSymmetry(_OneCorrelation):
    """One correlation between any two effects."""

    tag: str = "cs"

    def limits(self) -> tuple[float, float]:
        """(-1 / (k - 1), 1)."""
        return -1.0 / max(self.size - 1, 1), 1.0

    def correlation(self, rho: float) -> tuple[Matrix, Matrix]:
        """Ones on the diagonal, ``rho`` elsewhere."""
        off = 1.0 - np.eye(self.size)
        return np.eye(self.size) + rho * off, off


@dataclass(frozen=True)
class Autoregressive(_OneCorrelation):
    """Correlation ``rho^|i - j|`` between effects i and j; equal variances unless told otherwise."""

    homogeneous: bool = True
    tag: str = "ar1"

    def limits(self) -> tuple[float, float]:
        """(-1, 1)."""
        return -1.0, 1.0

    def correlation(self, rho: float) -> tuple[Matrix, Matrix]:
        """``rho`` to the power of the distance."""
        places = np.arange(self.size)
        distance = np.abs(places[:, None] - places[None, :])
        slope = np.where(distance > 0, distance * float(rho) ** np.maximum(distance - 1, 0), 0.0)
        return float(rho) ** distance, slope


def _geometric_mean(scale: Vector) -> Vector:
    return np.full(len(scale), np.exp(np.mean(np.log(scale))))


def _deviations(covariance: Matrix, homogeneous: bool) -> Vector:
    variances = np.diag(covariance)
    return np.sqrt(variances.mean(keepdims=True) if homogeneous else variances)
