"""Derivatives up to the third order of functions of several predictors, row by row, and the chain rule.

`Derivatives` is a list: values (n,), first derivatives (D, n), second (D, D, n), third (D, D, D, n), as many as are
wanted; symmetric in all axes but the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, permutations

import numpy as np
from numpy.typing import NDArray

from .kernel import Predictors, Vector

__all__ = ["Derivatives", "composed", "contracted", "from_partials", "linear", "logarithm", "through_links"]

Derivatives = list[NDArray[np.float64]]
Three = tuple[Vector, Vector, Vector]


def from_partials(D: int, order: int, partial: Callable[..., Vector], n: int) -> Derivatives:
    """All derivatives up to ``order``: ``partial(*indices)`` (n,) is the one by the coordinates with these ascending
    indices, of none the value itself."""
    result: Derivatives = []
    for m in range(order + 1):
        whole = np.empty((D,) * m + (n,))
        for indices in combinations_with_replacement(range(D), m):
            values = partial(*indices)
            for place in set(permutations(indices)):
                whole[place] = values
        result.append(whole)
    return result


def through_links(derivatives: Derivatives, slopes: Sequence[Three | None]) -> Derivatives:
    """Derivatives by predictors from those by coordinates each of which depends on one predictor.

    ``slopes``: the first three derivatives of each coordinate by its predictor; None where they are the same.
    """
    bent = [d for d, three in enumerate(slopes) if three is not None]
    if not bent or len(derivatives) == 1:
        return derivatives
    ones = np.ones_like(derivatives[0])
    g = np.stack([ones if three is None else three[0] for three in slopes])
    result = [derivatives[0], derivatives[1] * g]
    if len(derivatives) > 2:
        first, second = derivatives[1], derivatives[2]
        products = g[:, None] * g
        result.append(second * products)
        for d in bent:
            result[2][d, d] += first[d] * _nth(slopes, d, 2)
    if len(derivatives) > 3:
        third = derivatives[3] * (products[:, :, None] * g)
        for d in bent:
            curved = second[d] * (_nth(slopes, d, 2) * g)
            third[d, d] += curved
            third[d, :, d] += curved
            third[:, d, d] += curved
            third[d, d, d] += first[d] * _nth(slopes, d, 3)
        result.append(third)
    return result


def _nth(slopes: Sequence[Three | None], d: int, order: int) -> Vector:
    three = slopes[d]
    assert three is not None
    return three[order - 1]


def composed(outer: Sequence[Vector], inner: Derivatives) -> Derivatives:
    """Derivatives of f(g(eta)) from f's value and derivatives at g, (n,) each, and those of g (its values apart)."""
    result = [outer[0]]
    if len(inner) > 1:
        g1 = inner[1]
        result.append(outer[1] * g1)
    if len(inner) > 2:
        g2, products = inner[2], g1[:, None] * g1
        result.append(outer[2] * products + outer[1] * g2)
    if len(inner) > 3:
        mixed = g2[:, :, None] * g1
        mixed = mixed + np.moveaxis(mixed, 2, 0) + np.moveaxis(mixed, 2, 1)
        result.append(outer[3] * (products[:, :, None] * g1) + outer[2] * mixed + outer[1] * inner[3])
    return result


def logarithm(inner: Derivatives) -> Derivatives:
    """Derivatives of log(g(eta)) from those of a positive g."""
    values = inner[0]
    one = np.ones_like(values)
    return composed((np.log(values), one, -one, 2 * one), [array / values for array in inner])


def linear(derivatives: Derivatives, matrix: NDArray[np.float64]) -> Derivatives:
    """Derivatives by new coordinates c, the old ones being ``matrix`` @ c."""
    result = []
    for m, array in enumerate(derivatives):
        for axis in range(m):
            array = np.moveaxis(np.tensordot(matrix, array, axes=(0, axis)), 0, axis)
        result.append(array)
    return result


def contracted(third: NDArray[np.float64], by_weights: Predictors) -> Predictors:
    """(D, n): the sum of ``by_weights`` (D, D, n) times ``third`` (D, D, D, n) over the first two axes."""
    result = np.zeros(third.shape[2:])
    for d, e in np.ndindex(*by_weights.shape[:2]):
        result += by_weights[d, e] * third[d, e]
    return result
