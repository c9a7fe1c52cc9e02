"""Kernels of families whose zeros are a matter of their own: zero-inflated and hurdle families, made of the kernel of
the plain family (NumPy). Densities are those of `bayesmlm.families.zero_inflated` and `families.hurdle`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..families.base import Family
from ..families.links import LINKS
from .chain_rule import Derivatives, composed, logarithm
from .glm_kernels import inside, legal_interval_of_probability
from .kernel import Predictors, Vector
from .link_derivatives import log_complement_derivatives, log_mean_derivatives, mean_derivatives
from .row_kernel import RowKernel

__all__ = ["HurdleKernel", "PlainKernel", "ZeroInflatedKernel"]

_LARGEST_EXPONENT = 200.0  # exp of three times that is a number


class PlainKernel(Protocol):
    """What a mixture needs of the plain family's kernel, which has no weights."""

    def base_measure(self) -> Vector:
        """(n,) what the others leave out of the log density."""
        ...

    def legal(self, eta: Predictors) -> bool:
        """Whether every row's parameters are in their open ranges."""
        ...

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Log densities and their derivatives by ``eta`` up to ``order``, at legal predictors."""
        ...


MakePlain = Callable[[Vector], PlainKernel]
"""The plain family's kernel of responses (n,)."""


class _MixtureKernel(RowKernel):
    """The last predictor is that of the probability of zeros; those before are the plain family's."""

    def __init__(
        self,
        family: Family,
        y: Vector,
        weights: Vector | None,
        extra: Mapping[str, Vector] | None,
        plain: MakePlain,
    ) -> None:
        self._plain = plain(y)
        super().__init__(family, y, weights, extra)

    def base_measure(self) -> Vector:
        """That of the plain family, 0 for a response of 0."""
        return self._plain.base_measure()

    def legal(self, eta: Predictors) -> bool:
        """Whether the plain family's parameters are legal in every row, and the probability between 0 and 1."""
        return self._plain.legal(eta[:-1]) and inside(eta[-1], legal_interval_of_probability(self.links[-1]))

    @abstractmethod
    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """See `RowKernel.row_derivatives`."""

    def _log_odds_pair(self, eta: Predictors, order: int) -> tuple[list[Vector], list[Vector]]:
        """log(q) and log(1 - q) of the probability q of zeros, with their first ``order`` derivatives."""
        z, link = eta[-1], self.links[-1]
        log_q, log_rest = [LINKS[link].log_mu(z)], [LINKS[link].log_complement(z)]
        if order:
            log_q += log_mean_derivatives(link, z)[:order]
            log_rest += log_complement_derivatives(link, z)[:order]
        return log_q, log_rest


def _nothing(D: int, order: int, n: int) -> Derivatives:
    return [np.zeros((D,) * m + (n,)) for m in range(order + 1)]


def _others(m: int) -> tuple[slice, ...]:
    """All indices of a derivative of order ``m`` but those by the last predictor."""
    return (slice(-1),) * m


def _with_last(derivatives: Derivatives, of_last: Sequence[Vector]) -> Derivatives:
    """``derivatives``, changed to those of the sum with a function of the last predictor."""
    for m, (whole, one) in enumerate(zip(derivatives, of_last, strict=False)):
        whole[(-1,) * m] += one
    return derivatives


class ZeroInflatedKernel(_MixtureKernel):
    """P(y) = zi [y = 0] + (1 - zi) f(y), f the plain family's."""

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Of log(1 - zi) + log f(y), and at a zero of the logarithm of zi more than exp of that."""
        zero = np.flatnonzero(self.y == 0)
        log_zi, log_rest = self._log_odds_pair(eta, order)
        plain = self._plain.row_derivatives(self._stopped(eta), order)
        result = _nothing(len(eta), order, eta.shape[1])
        for m, whole in enumerate(result):
            whole[_others(m)] = plain[m]
        result = _with_last(result, log_rest)
        if self.links[-1] == "identity":
            at_zero = logarithm(_zero_probability([part[..., zero] for part in plain], eta[-1, zero]))
        else:
            # log(zi) + log(1 + exp(what is added to it)): either may be far below what floats can hold.
            of_log_zi = [one[zero] for one in log_zi]
            log_odds = _with_last([whole[..., zero] for whole in result], [-one for one in of_log_zi])
            at_zero = _with_last(composed(mean_derivatives("softplus", log_odds[0]), log_odds), of_log_zi)
        for whole, part in zip(result, at_zero, strict=True):
            whole[..., zero] = part
        return result

    def _stopped(self, eta: Predictors) -> Predictors:
        """The plain family's predictors. A zero stays possible when exp(eta) overflows, so its derivatives must be
        numbers."""
        if self.links[0] != "log" or eta[0].max() < _LARGEST_EXPONENT:
            return eta[:-1]
        plain = eta[:-1].copy()
        plain[0] = np.where(self.y > 0, plain[0], np.minimum(plain[0], _LARGEST_EXPONENT))
        return plain


def _zero_probability(log_zero: Derivatives, zi: Vector) -> Derivatives:
    """zi + (1 - zi) f(0) from log(f(0)), by the plain family's predictors and zi."""
    order = len(log_zero) - 1
    zero = composed([np.exp(log_zero[0])] * 4, log_zero)
    result = _nothing(len(log_zero[1]) + 1 if order else 1, order, len(zi))
    for m, whole in enumerate(result):
        whole[_others(m)] = (1 - zi) * zero[m]
        for axis in range(m):
            place: Any = (*_others(axis), -1, *_others(m - 1 - axis))
            whole[place] = -zero[m - 1]
    result[0] += zi
    if order:
        result[1][-1] = -np.expm1(log_zero[0])
    return result


class HurdleKernel(_MixtureKernel):
    """P(0) = hu and P(y) = (1 - hu) f(y) / (1 - f(0)), f the plain family's."""

    def __init__(
        self,
        family: Family,
        y: Vector,
        weights: Vector | None,
        extra: Mapping[str, Vector] | None,
        plain: MakePlain,
    ) -> None:
        super().__init__(family, y, weights, extra, plain)
        self._positive = np.flatnonzero(y > 0)
        self._counts = plain(y[self._positive])
        self._zeros = plain(np.zeros(len(self._positive)))

    def row_derivatives(self, eta: Predictors, order: int) -> Derivatives:
        """Of log(hu), and of log(1 - hu) + log f(y) - log(1 - f(0)), in which zeros have no part."""
        log_hu, log_rest = self._log_odds_pair(eta, order)
        rows = self._positive
        result = _nothing(len(eta), order, eta.shape[1])
        if len(rows):
            counts = self._counts.row_derivatives(eta[:-1, rows], order)
            truncation = _log_of_positive(self._zeros.row_derivatives(eta[:-1, rows], order))
            for m, whole in enumerate(result):
                place: Any = (*_others(m), rows)
                whole[place] = counts[m] - truncation[m]
        of_hu = [np.where(self.y > 0, rest, hu) for rest, hu in zip(log_rest, log_hu, strict=True)]
        return _with_last(result, of_hu)


def _log_of_positive(log_zero: Derivatives) -> Derivatives:
    """log(1 - f(0)) from log(f(0)), with derivatives.

    With h the logarithm of -log(f(0)) it is the log of the inverse of the link cloglog at h, which keeps its digits
    for a mu near 0 and for a large one.
    """
    log_hazard = logarithm([-array for array in log_zero])
    h = log_hazard[0]
    return composed((LINKS["cloglog"].log_mu(h), *log_mean_derivatives("cloglog", h)), log_hazard)
