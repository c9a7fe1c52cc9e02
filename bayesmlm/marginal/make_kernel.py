"""The choice of a kernel for a family: an exact NumPy kernel where there is one (every family of `FAMILIES` has), else
the family's record through JAX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..families.base import Family, FamilyError
from .beta_kernels import BetaBinomialKernel, BetaKernel
from .count_kernels import GeometricKernel, Nbinom1Kernel
from .glm_kernels import BinomialKernel
from .kernel import Kernel, Vector
from .log_mean_kernels import GammaKernel, InverseGaussianKernel, PoissonKernel
from .mixture_kernels import HurdleKernel, PlainKernel, ZeroInflatedKernel
from .negbinomial_kernel import NegativeBinomialKernel
from .row_kernel import RowKernel
from .scale_kernels import (
    ExponentialKernel,
    GammaShapeKernel,
    GaussianKernel,
    InverseGaussianShapeKernel,
    LognormalKernel,
    StudentKernel,
)

__all__ = ["DEFINITIONS", "FISHER_FAMILIES", "make_kernel"]

DEFINITIONS = ("fisher", "observed")
_Maker = Callable[[Family, Vector, Vector | None, Vector | None], Kernel]


def _bernoulli(family: Family, y: Vector, weights: Vector | None, trials: Vector | None) -> BinomialKernel:
    return BinomialKernel(y, None, weights, family.link("mu"))


def _binomial(family: Family, y: Vector, weights: Vector | None, trials: Vector | None) -> BinomialKernel:
    return BinomialKernel(y, trials, weights, family.link("mu"))


def _poisson(family: Family, y: Vector, weights: Vector | None, trials: Vector | None) -> PoissonKernel:
    return PoissonKernel(y, weights, family.link("mu"))


def _negbinomial(
    family: Family, y: Vector, weights: Vector | None, trials: Vector | None
) -> NegativeBinomialKernel:
    return NegativeBinomialKernel(y, weights, family.link("mu"), family.link("shape"))


def _gamma(family: Family, y: Vector, weights: Vector | None, trials: Vector | None) -> Kernel:
    return GammaKernel(y, weights, family.link("mu"))


def _inverse_gaussian(family: Family, y: Vector, weights: Vector | None, trials: Vector | None) -> Kernel:
    return InverseGaussianKernel(y, weights, family.link("mu"))


# Complete densities, which serve both definitions.
_EXACT: dict[str, _Maker] = {
    "bernoulli": _bernoulli,
    "binomial": _binomial,
    "poisson": _poisson,
    "negbinomial": _negbinomial,
}
# lme4's treatment of a dispersion; with "observed" the shape is a parameter like any other.
_PLUGGED_IN: dict[str, _Maker] = {"gamma": _gamma, "inverse.gaussian": _inverse_gaussian}
# Of which the observed information is known.
_OBSERVED: dict[str, type[RowKernel]] = {
    "gaussian": GaussianKernel,
    "student": StudentKernel,
    "lognormal": LognormalKernel,
    "gamma": GammaShapeKernel,
    "exponential": ExponentialKernel,
    "inverse.gaussian": InverseGaussianShapeKernel,
    "beta": BetaKernel,
    "beta_binomial": BetaBinomialKernel,
    "nbinom1": Nbinom1Kernel,
    "geometric": GeometricKernel,
}
_Plain = Callable[[Family, Vector, None, Vector | None], PlainKernel]
# Zeros of their own, by the kernel of the plain family.
_MIXTURES: dict[str, tuple[type[ZeroInflatedKernel] | type[HurdleKernel], _Plain]] = {
    "zero_inflated_poisson": (ZeroInflatedKernel, _poisson),
    "zero_inflated_negbinomial": (ZeroInflatedKernel, _negbinomial),
    "zero_inflated_binomial": (ZeroInflatedKernel, _binomial),
    "hurdle_poisson": (HurdleKernel, _poisson),
    "hurdle_negbinomial": (HurdleKernel, _negbinomial),
}

FISHER_FAMILIES = (*_EXACT, *_PLUGGED_IN)
"""Families whose expected information is known; ``definition="fisher"`` is their default."""


def make_kernel(
    family: Family,
    y: Vector,
    weights: Vector | None = None,
    trials: Vector | None = None,
    definition: str | None = None,
) -> Kernel:
    """The kernel of the responses ``y`` (n,) of ``family``, its links chosen.

    ``weights`` (n,): prior weights, which multiply the log density; None for ones. ``trials`` (n,): of binomial
    responses, whose ``y`` are numbers of successes. ``definition``: the information that the Laplace approximation
    is to use, ``"fisher"`` (expected, lme4's; the default of `FISHER_FAMILIES`) or ``"observed"`` (glmmTMB's; the
    default of all others). Gamma and inverse Gaussian kernels have one parameter under ``"fisher"``, the dispersion
    being plugged in as in lme4, and two under ``"observed"``.

    Only what no NumPy kernel covers imports JAX. Raises `FamilyError` for ``"fisher"`` where it is not known, and for
    another word.
    """
    if definition not in (None, *DEFINITIONS):
        raise FamilyError(f"laplace={definition!r}: write 'fisher' (expected information) or 'observed'")
    if definition is None:
        definition = "fisher" if family.name in FISHER_FAMILIES else "observed"
    y = np.asarray(y, dtype=np.float64)
    maker = _EXACT.get(family.name)
    if maker is None and definition == "fisher":
        maker = _PLUGGED_IN.get(family.name)
        if maker is None:
            raise FamilyError(
                f"the expected (Fisher) information of the family `{family.name}` is not known in closed form; it is "
                f"of {', '.join(FISHER_FAMILIES)}. Write laplace='observed'."
            )
    if maker is not None:
        return maker(family, y, weights, trials)
    extra = {} if trials is None else {"trials": trials}
    if family.name in _MIXTURES:
        mixture, plain = _MIXTURES[family.name]
        return mixture(family, y, weights, extra, lambda values: plain(family, values, None, trials))
    if family.name in _OBSERVED:
        return _OBSERVED[family.name](family, y, weights, extra)
    from .jax_kernel import FamilyKernel

    return FamilyKernel(family, y, weights, extra)
