"""Polynomial and B-spline bases that can be evaluated again at new points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bspline_basis", "bspline_knots", "orthogonal_polynomials", "polynomial_recurrence"]

Array = NDArray[np.float64]


def polynomial_recurrence(x: Array, degree: int) -> tuple[Array, Array]:
    """(alpha, norm2) of the polynomials that are orthogonal on the points x, shapes (degree,) and (degree +
    1,).

    Three-term recurrence (Forsythe, 1957; Kennedy & Gentle, 1980, p. 343), which is what R's ``poly`` stores
    as ``coefs``: p_0 = 1, p_1 = x - alpha_1, p_j+1 = (x - alpha_j+1) p_j - norm2_j / norm2_j-1 p_j-1, where
    norm2_j is the squared length of p_j on x.
    """
    alpha, norm2 = np.empty(degree), np.empty(degree + 1)
    before, current = np.zeros_like(x), np.ones_like(x)
    norm2[0] = len(x)
    for j in range(degree):
        alpha[j] = x @ (current * current) / norm2[j]
        ratio = norm2[j] / norm2[j - 1] if j else 0.0
        before, current = current, (x - alpha[j]) * current - ratio * before
        norm2[j + 1] = current @ current
    return alpha, norm2


def orthogonal_polynomials(x: Array, alpha: Array, norm2: Array) -> Array:
    """The orthonormal polynomials of degree 1, 2, ... at x, shape (n, degree)."""
    out = np.empty((len(x), len(alpha)))
    before, current = np.zeros_like(x), np.ones_like(x)
    for j in range(len(alpha)):
        ratio = norm2[j] / norm2[j - 1] if j else 0.0
        before, current = current, (x - alpha[j]) * current - ratio * before
        out[:, j] = current / np.sqrt(norm2[j + 1])
    return out


def bspline_knots(x: Array, df: int | None, degree: int, intercept: bool, boundary: Array) -> Array:
    """Inner knots for ``df`` columns: equally spaced quantiles of the points inside the boundary, as R's
    ``bs``.
    """
    inner = 0 if df is None else max(df - degree - int(intercept), 0)
    inside = x[(x >= boundary[0]) & (x <= boundary[1])]
    return np.quantile(inside, np.linspace(0.0, 1.0, inner + 2)[1:-1])


def bspline_basis(x: Array, knots: Array, boundary: Array, degree: int, intercept: bool) -> Array:
    """B-splines of the given degree at x, shape (n, df); without ``intercept`` the first column is left out.

    Beyond the boundary knots the polynomials of the outermost intervals go on, as in R's ``bs`` (de Boor,
    1978).
    """
    from scipy.interpolate import BSpline

    ends = np.repeat(boundary, degree + 1)
    t = np.concatenate([ends[: degree + 1], np.sort(knots), ends[degree + 1 :]])
    basis = BSpline(t, np.eye(len(t) - degree - 1), degree, extrapolate=True)(x)
    return np.asarray(basis if intercept else basis[:, 1:])
