"""Links between a distributional parameter and its linear predictor, as records.

Names are brms's (2.18; unchanged in 2.23). Every function is elementwise and works on numpy arrays and floats
(with numpy) and on jax arrays and tracers (with jax.numpy). In both tails ``inverse`` keeps its relative
accuracy, and ``log_mu``/``log_complement`` stay finite where mu or 1 - mu would underflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import inf, pi
from typing import Any

import numpy as np

__all__ = ["LINKS", "Link", "natural_parameters", "numpy_of"]

Array = Any
Function = Callable[[Array], Array]

# Phi(x) is approximated by the logistic function of this cubic (Bowling et al. 2009, JIEM 2(1); Stan's
# Phi_approx).
_CUBIC, _LINEAR = 0.07056, 1.5976


@dataclass(frozen=True)
class Link:
    """``link(mu) = eta`` and ``inverse(eta) = mu``.

    ``range``: the closed interval that holds every value of ``inverse``; where a parameter's own range is
    narrower, the density must be guarded. ``symmetric``: inverse(-eta) = 1 - inverse(eta). The other two
    fields are stable forms of log(mu) and log(1 - mu), None where the plain ones serve; call `log_mu` and
    `log_complement`.
    """

    name: str
    link: Function
    inverse: Function
    range: tuple[float, float]
    log_inverse: Function | None = None
    log_one_minus_inverse: Function | None = None
    symmetric: bool = False

    def log_mu(self, eta: Array) -> Array:
        """log(inverse(eta)); minus infinity, with gradient zero, where mu is not positive."""
        return _safe_log(self.inverse(eta)) if self.log_inverse is None else self.log_inverse(eta)

    def log_complement(self, eta: Array) -> Array:
        """log(1 - inverse(eta)); minus infinity, with gradient zero, where mu is not below 1."""
        if self.symmetric:
            return self.log_mu(-eta)
        if self.log_one_minus_inverse is None:
            return _safe_log(1.0 - self.inverse(eta))
        return self.log_one_minus_inverse(eta)


def numpy_of(x: Array) -> Any:
    """The module (numpy or jax.numpy) whose functions ``x`` goes with."""
    namespace = getattr(x, "__array_namespace__", None)
    return np if namespace is None else namespace()


def _special_of(x: Array) -> Any:
    return import_module("scipy.special" if numpy_of(x) is np else "jax.scipy.special")


def _where(condition: Array, x: Array, yes: Function, no: Function, safe_yes: float, safe_no: float) -> Array:
    """``yes(x)`` or ``no(x)``, each seeing a safe value where the other is meant, so that gradients are
    finite."""
    xp = numpy_of(x)
    return xp.where(condition, yes(xp.where(condition, x, safe_yes)), no(xp.where(condition, safe_no, x)))


def _safe_log(x: Array, power: float = 1.0) -> Array:
    """log(x^power), minus infinity with gradient zero where x is not positive."""
    xp = numpy_of(x)
    return _where(x > 0, x, lambda z: power * xp.log(z), lambda z: xp.full_like(z, -inf), 1.0, 0.0)


def _identity(x: Array) -> Array:
    return x


def _exp(x: Array) -> Array:
    return numpy_of(x).exp(x)


def _log(x: Array) -> Array:
    return numpy_of(x).log(x)


def _reciprocal(x: Array) -> Array:
    return 1.0 / x


def _log1m_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x < 0 (Maechler 2012, the vignette of R's Rmpfr), minus infinity otherwise."""
    xp = numpy_of(x)
    below = xp.where(x < 0, x, -1.0)
    value = _where(
        below > -0.7, below, lambda z: xp.log(-xp.expm1(z)), lambda z: xp.log1p(-xp.exp(z)), -0.5, -1.0
    )
    return xp.where(x < 0, value, -inf)


def _softplus(x: Array) -> Array:
    # `where` rather than max() and abs(): their derivatives at 0 are a matter of convention.
    xp = numpy_of(x)
    return xp.where(x > 0, x, 0.0) + xp.log1p(xp.exp(xp.where(x > 0, -x, x)))


def _log_softplus(x: Array) -> Array:
    # log(1 + e^x) = e^x - e^2x / 2 + ...
    return _where(x < -18, x, lambda z: z - _exp(z) / 2, lambda z: _log(_softplus(z)), -18.0, 0.0)


def _inverse_softplus(mu: Array) -> Array:
    xp = numpy_of(mu)
    return mu + xp.log(-xp.expm1(-mu))


def _log_squareplus(x: Array) -> Array:
    return numpy_of(x).arcsinh(x / 2)


def _logit(mu: Array) -> Array:
    xp = numpy_of(mu)
    return xp.log(mu) - xp.log1p(-mu)


def _sigmoid(x: Array) -> Array:
    return _special_of(x).expit(x)


def _log_sigmoid(x: Array) -> Array:
    return -_softplus(-x)


def _log_normal_cdf(x: Array) -> Array:
    # jax.scipy.special.log_ndtr loses all digits just below x = 8; erfcx does not. Beyond 40 the upper tail is 0.
    xp, special = numpy_of(x), _special_of(x)
    distance = xp.where(x < 0, -x, xp.minimum(x, 40.0))
    half, exponent = special.erfcx(distance * np.sqrt(0.5)) / 2, -0.5 * distance * distance
    return xp.where(x < 0, xp.log(half) + exponent, xp.log1p(-half * xp.exp(exponent)))


def _cubic(x: Array) -> Array:
    return x * (_CUBIC * x * x + _LINEAR)


def _inverse_cubic(y: Array) -> Array:
    """The real root x of ``_cubic(x) = y``, by the hyperbolic form of Cardano's formula."""
    xp = numpy_of(y)
    scale = 2 * np.sqrt(_LINEAR / (3 * _CUBIC))
    return scale * xp.sinh(xp.arcsinh(3 * y / (_LINEAR * scale)) / 3)


def _hazard(x: Array) -> Array:
    """exp(x), stopped where exp(-exp(x)) is 0 anyway, so that no derivative is zero times infinity."""
    xp = numpy_of(x)
    return xp.exp(xp.where(x < 7.0, x, 7.0))


def _inverse_cloglog(x: Array) -> Array:
    return -numpy_of(x).expm1(-_hazard(x))


def _cloglog(mu: Array) -> Array:
    xp = numpy_of(mu)
    return xp.log(-xp.log1p(-mu))


def _log_inverse_cloglog(x: Array) -> Array:
    # Far below zero, 1 - exp(-e^x) = e^x - e^2x / 2 + ...
    return _where(x < -30, x, lambda z: z - _exp(z) / 2, lambda z: _log1m_exp(-_hazard(z)), -30.0, 0.0)


def _bounded_exp(x: Array) -> Array:
    """exp(x), kept finite: a probability beyond is 0 or 1 anyway and infinity times zero successes is not a
    number."""
    return _exp(numpy_of(x).minimum(x, 700.0))


def _inverse_cauchit(x: Array) -> Array:
    return numpy_of(x).arctan2(numpy_of(x).ones_like(x), -x) / pi


def _cauchit(mu: Array) -> Array:
    return -1.0 / numpy_of(mu).tan(pi * mu)


def _log_inverse_cauchit(x: Array) -> Array:
    xp = numpy_of(x)
    upper = lambda z: xp.log1p(-_inverse_cauchit(-z))  # noqa: E731
    return _where(x > 0, x, upper, lambda z: xp.log(_inverse_cauchit(z)), 1.0, 0.0)


def _inverse_softit(x: Array) -> Array:
    y = _softplus(x)
    return y / (1.0 + y)


def _log1m_inverse_softit(x: Array) -> Array:
    return -numpy_of(x).log1p(_softplus(x))


_REAL = (-inf, inf)
_POSITIVE = (0.0, inf)
_UNIT = (0.0, 1.0)

LINKS: dict[str, Link] = {
    record.name: record
    for record in (
        Link("identity", _identity, _identity, _REAL, _safe_log, lambda x: _safe_log(1.0 - x)),
        Link("log", _log, _exp, _POSITIVE, _identity, _log1m_exp),
        Link("inverse", _reciprocal, _reciprocal, _REAL, lambda x: _safe_log(x, -1.0)),
        Link("softplus", _inverse_softplus, _softplus, _POSITIVE, _log_softplus),
        Link(
            "squareplus",
            lambda mu: mu - 1.0 / mu,
            lambda x: _exp(_log_squareplus(x)),
            _POSITIVE,
            _log_squareplus,
        ),
        Link(
            "sqrt",
            lambda mu: numpy_of(mu).sqrt(mu),
            lambda x: x * x,
            _POSITIVE,
            lambda x: _safe_log(x * x),
        ),
        Link("logit", _logit, _sigmoid, _UNIT, _log_sigmoid, symmetric=True),
        Link(
            "probit",
            lambda mu: _special_of(mu).ndtri(mu),
            lambda x: _special_of(x).ndtr(x),
            _UNIT,
            _log_normal_cdf,
            symmetric=True,
        ),
        Link(
            "probit_approx",
            lambda mu: _inverse_cubic(_logit(mu)),
            lambda x: _sigmoid(_cubic(x)),
            _UNIT,
            lambda x: _log_sigmoid(_cubic(x)),
            symmetric=True,
        ),
        Link("cloglog", _cloglog, _inverse_cloglog, _UNIT, _log_inverse_cloglog, lambda x: -_bounded_exp(x)),
        Link("cauchit", _cauchit, _inverse_cauchit, _UNIT, _log_inverse_cauchit, symmetric=True),
        Link(
            "softit",
            lambda mu: _inverse_softplus(mu / (1.0 - mu)),
            _inverse_softit,
            _UNIT,
            lambda x: _log_softplus(x) + _log1m_inverse_softit(x),
            _log1m_inverse_softit,
        ),
        Link("logm1", lambda mu: _log(mu - 1.0), lambda x: 1.0 + _exp(x), (1.0, inf)),
        Link("logitm1", lambda mu: _logit(mu - 1.0), lambda x: 1.0 + _sigmoid(x), (1.0, 2.0)),
        Link("log1p", lambda mu: numpy_of(mu).log1p(mu), lambda x: numpy_of(x).expm1(x), (-1.0, inf)),
        Link("tan_half", lambda mu: numpy_of(mu).tan(mu / 2), lambda x: 2 * numpy_of(x).arctan(x), (-pi, pi)),
        Link(
            "1/mu^2",
            lambda mu: 1.0 / mu**2,
            lambda x: 1.0 / numpy_of(x).sqrt(x),
            _REAL,  # not a number for a negative linear predictor: densities must be guarded
            lambda x: _safe_log(x, -0.5),
        ),
    )
}
"""Every link of brms by name, and logitm1 for numbers between 1 and 2."""


def natural_parameters(etas: Mapping[str, Array], links: Mapping[str, str]) -> dict[str, Array]:
    """What a family's functions take, from linear predictors by parameter and their links.

    Each parameter on its natural scale; mu's linear predictor as ``eta``, those of mu1, muB, ... of families with
    several as ``eta_mu1``, ``eta_muB``; and for any other parameter with a logit link its linear predictor as
    ``logit_<name>``, since 1 - zi has no digits left when zi is rounded to 1.
    """
    natural = {name: LINKS[links[name]].inverse(eta) for name, eta in etas.items()}
    for name, eta in etas.items():
        if name.startswith("mu"):
            natural["eta" if name == "mu" else f"eta_{name}"] = eta
        elif links[name] == "logit":
            natural[f"logit_{name}"] = eta
    return natural
