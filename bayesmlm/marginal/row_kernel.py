"""What the kernels of all families share that are made from a family's record, and those that are given by derivatives
of every row's log density (NumPy).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf, isfinite

import numpy as np

from ..families.base import Family
from ..families.links import LINKS, natural_parameters
from .chain_rule import Derivatives, contracted
from .glm_kernels import or_minus_infinity
from .kernel import Local, Predictors, Vector

__all__ = ["RecordKernel", "RowKernel"]

_CONVENTIONAL = {"nu": 5.0}  # others: 1 above the lower bound


class RecordKernel(ABC):
    """Responses ``y`` (n,) of ``family``; ``weights`` (n,) multiply the log density (None: ones); ``extra`` holds
    what additions supply, ``trials`` (n,).

    The expected information is not known: ``local`` gives the observed one for both.
    """

    has_expected = False
    constant: float

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        self.family, self.y, self.weights = family, y, weights
        self.extra = {name: np.asarray(values, dtype=np.float64) for name, values in (extra or {}).items()}
        self.parameters: tuple[str, ...] = tuple(p.name for p in family.parameters)
        self.links: tuple[str, ...] = tuple(family.link(name) for name in self.parameters)

    @abstractmethod
    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""

    def value(self, eta: Predictors) -> float:
        """See `Kernel.value`."""
        return or_minus_infinity(float(self.log_densities(eta).sum()))

    def criterion(self, eta: Predictors) -> tuple[float, Predictors | None]:
        """-2 times the log density, constant included."""
        return -2 * (self.value(eta) + self.constant), None

    def _weighted(self, array: Predictors) -> Predictors:
        return array if self.weights is None else array * self.weights

    # ---- where to begin

    def start(self) -> Predictors:
        """mu at the response, moved inside its range (counts: y + 0.1, proportions: (y + 1/2) / (n + 1), measurements:
        halfway to the mean); each other parameter constant: sigma the standard deviation of the response, hu its share
        of zeros, the rest conventional values."""
        mu = LINKS[self.links[0]].link(self._start_of_mu(self.links[0]))
        others = [
            np.full_like(self.y, LINKS[link].link(np.float64(self._start_of_other(name))))
            for name, link in zip(self.parameters[1:], self.links[1:], strict=True)
        ]
        return np.stack([mu, *others])

    def _start_of_mu(self, link: str) -> Vector:
        if "trials" in self.extra:
            return (self.y + 0.5) / (self.extra["trials"] + 1)
        y, record = np.log(self.y) if self.family.logscale else self.y, self.family.parameter("mu")
        low = max(-inf if record.lower is None else record.lower, LINKS[link].range[0])
        high = min(inf if record.upper is None else record.upper, LINKS[link].range[1])
        if isfinite(low) and isfinite(high):
            return low + (high - low) * np.clip((y - low) / (high - low), 0.01, 0.99)
        if self.family.integer_response:
            return y + 0.1
        # Halfway to the mean: at the response itself nothing is known of sigma.
        y = 0.5 * (y + y.mean())
        step = 0.1 * (float(np.abs(y).mean()) or 1.0)
        if low == 0:
            return np.where(y > 0, y, step)
        return np.where(y == 0, step, y) if link == "inverse" else y

    def _start_of_other(self, name: str) -> float:
        if name == "sigma":
            return float(np.std(np.log(self.y) if self.family.logscale else self.y)) or 1.0
        if name == "hu":
            return float(np.clip(np.mean(self.y == 0), 0.02, 0.98))
        record = self.family.parameter(name)
        low = 0.0 if record.lower is None else record.lower
        if record.upper is not None:  # zi: logit(0.27) is -1
            return low + 0.2689 * (record.upper - low)
        return _CONVENTIONAL.get(name, low + 1)

    # ---- what is read off a fit

    def _natural(self, eta: Predictors) -> dict[str, Vector]:
        etas = dict(zip(self.parameters, eta, strict=True))
        return natural_parameters(etas, dict(zip(self.parameters, self.links, strict=True)))

    def mean(self, eta: Predictors) -> Vector:
        """(n,) E(y); of responses out of trials the proportion."""
        mean = np.asarray(self.family.mean(self._natural(eta), self.extra), dtype=np.float64)
        return mean / self.extra["trials"] if "trials" in self.extra else mean

    def unit_variance(self, eta: Predictors) -> Vector:
        """(n,) Var(y), of responses out of trials that of the proportion."""
        assert self.family.variance is not None, self.family.name
        variance = np.asarray(self.family.variance(self._natural(eta), self.extra), dtype=np.float64)
        return variance / self.extra["trials"] ** 2 if "trials" in self.extra else variance

    def variance(self, eta: Predictors) -> Vector:
        """(n,) `unit_variance` / weights, infinite where the weight is zero."""
        variance = self.unit_variance(eta)
        with np.errstate(divide="ignore"):
            return variance if self.weights is None else variance / self.weights

    def pearson_residuals(self, eta: Predictors) -> Vector:
        """(n,) (y - mean) sqrt(weights / variance), of responses out of trials with the proportion for y."""
        y = self.y / self.extra["trials"] if "trials" in self.extra else self.y
        weights = 1.0 if self.weights is None else self.weights
        return (y - self.mean(eta)) * np.sqrt(weights / self.unit_variance(eta))


class RowKernel(RecordKernel):
    """A kernel that is given by derivatives of the log density of every row."""

    def __init__(
        self, family: Family, y: Vector, weights: Vector | None, extra: Mapping[str, Vector] | None = None
    ) -> None:
        super().__init__(family, y, weights, extra)
        self.constant = float(self._weighted(self.base_measure()).sum())

    @abstractmethod
    def base_measure(self) -> Vector:
        """(n,) what `row_derivatives` leaves out of the log density."""

    @abstractmethod
    def legal(self, eta: Predictors) -> bool:
        """Whether every row's parameters are in their open ranges."""

    @abstractmethod
    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Log densities of weight 1 less `base_measure`, and their derivatives by ``eta`` up to ``order``, at legal
        predictors."""

    def log_densities(self, eta: Predictors) -> Vector:
        """See `Kernel.log_densities`."""
        if not self.legal(eta):
            return np.full(eta.shape[1], -inf)
        with np.errstate(all="ignore"):
            return self._weighted(self.row_derivatives(eta, 0)[0])

    def local(self, eta: Predictors) -> Local:
        """See `Kernel.local`."""
        if not self.legal(eta):
            nothing = np.zeros((len(eta), *eta.shape))
            return Local(-inf, nothing[0], nothing, nothing)
        with np.errstate(all="ignore"):
            values, score, second = self.row_derivatives(eta, 2)
            observed = self._weighted(-second)
            value = or_minus_infinity(float(self._weighted(values).sum()))
            return Local(value, self._weighted(score), observed, observed)

    def contract(self, eta: Predictors, by_weights: Predictors, expected: bool) -> Predictors:
        """See `Kernel.contract`; ``expected`` makes no difference."""
        with np.errstate(all="ignore"):
            return self._weighted(-contracted(self.row_derivatives(eta, 3)[3], by_weights))
