"""A Student distribution with a scale of its own on either side of zero, axis by axis, to follow a skewed posterior."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np
from numpy.typing import NDArray

__all__ = ["SplitStudent"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SplitStudent:
    """The multivariate Student distribution around zero with ``freedom`` degrees of freedom, stretched by ``above``
    (dimension,) where a coordinate is positive and by ``below`` where it is negative.

    The density is continuous: the two sides of an axis have mass in proportion to their scales. (A form of the split
    Student of Geweke 1989, Econometrica 57, section 4.)
    """

    below: Vector
    above: Vector
    freedom: float

    def draw(self, random: np.random.Generator, count: int) -> Vector:
        """(count, dimension) independent draws."""
        shape = (count, len(self.below))
        distance = np.abs(random.standard_normal(shape))
        distance /= np.sqrt(random.chisquare(self.freedom, (count, 1)) / self.freedom)
        positive = random.random(shape) * (self.below + self.above) < self.above
        return np.where(positive, self.above, -self.below) * distance

    def log_density(self, points: Vector) -> Vector:
        """(points,) log density at ``points`` (points, dimension)."""
        size, freedom = points.shape[1], self.freedom
        square = np.sum((points / np.where(points > 0, self.above, self.below)) ** 2, axis=1)
        constant = lgamma((freedom + size) / 2) - lgamma(freedom / 2) - size / 2 * log(freedom * pi)
        constant += size * log(2) - float(np.sum(np.log(self.below + self.above)))
        return np.asarray(constant - (freedom + size) / 2 * np.log1p(square / freedom))
