"""Parts of a fitted generalised mixed model under lme4's names (``getME``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from .generalised_effects import PartEffects, effects_of
from .generalised_residuals import observed
from .parts import block_factor, effect_columns, named_theta

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["component"]

Vector = NDArray[np.float64]


def component(fit: GeneralisedFit, name: str, part: str) -> Any:
    """What lme4 calls ``name``. Raises `BayesmlmError` with the names there are, and for an unknown part."""
    if name in OF_PART:
        return OF_PART[name](fit, part, effects_of(fit, part))
    if name in OF_MODEL:
        return OF_MODEL[name](fit)
    raise BayesmlmError(f"getME() knows no `{name}`; it knows {', '.join([*OF_PART, *OF_MODEL])}")


def _spherical(fit: GeneralisedFit, part: str, own: PartEffects) -> Vector:
    """u with b = Lambda u: at the mode u = Lambda'Z's, s the derivative of the log density by the predictor."""
    score = fit.evaluation.mode.local.score[fit.parts.index(part)]
    Z = effect_columns(own.terms, fit.n)
    return np.asarray(block_factor(own.terms, own.templates).T @ (Z.T @ score))


def _theta(fit: GeneralisedFit, part: str, own: PartEffects) -> Any:
    covariances, slices = fit.problem.covariances, fit.problem.slices
    values = [covariances[i].theta(fit.parameters[slices[i]]) for i in own.places]
    return named_theta(own.terms, np.concatenate([np.zeros(0), *values]))


def _root(fit: GeneralisedFit, part: str, own: PartEffects) -> NDArray[np.float64]:
    """R_X, upper triangular: R_X'R_X is the information on the coefficients at fixed covariance parameters."""
    at = fit.part_slices[part]
    root: NDArray[np.float64] = np.linalg.cholesky(np.linalg.inv(fit.evaluation.vcov_RX[at, at])).T
    return root


def _offset(fit: GeneralisedFit, part: str, own: PartEffects) -> Vector:
    offset = fit.part(part).offset
    return np.zeros(fit.n) if offset is None else offset


def _bounds(which: int) -> Callable[..., Vector]:
    def found(fit: GeneralisedFit, part: str, own: PartEffects) -> Vector:
        slices = fit.problem.slices
        return np.concatenate([np.zeros(0), *(fit.problem.bounds[which][slices[i]] for i in own.places)])

    return found


def _weights(fit: GeneralisedFit) -> Vector:
    """(n,) prior weights, of trials times these, as lme4 keeps them."""
    weights = np.ones(fit.n) if fit.design.weights is None else fit.design.weights
    return weights if fit.design.trials is None else weights * fit.design.trials


def _shape(fit: GeneralisedFit) -> float:
    if fit.family.name != "negbinomial" or "shape" not in fit.constants:
        raise BayesmlmError(
            "glmer.nb.theta is the shape of a `negbinomial` model that estimates it as one constant"
        )
    return fit.constants["shape"]


def _deviance_components(fit: GeneralisedFit) -> dict[str, Any]:
    """lme4's ``devcomp``: what the criterion is made of."""
    evaluation, kernel, mu = fit.evaluation, fit.problem.kernel, fit.part_slices["mu"]
    wrss = float((kernel.pearson_residuals(evaluation.mode.eta) ** 2).sum())
    ussq = evaluation.mode.penalty
    squares = getattr(kernel, "deviance_residual_squares", None)
    V = evaluation.vcov_RX[mu, mu]
    return {
        "ldL2": evaluation.approximation.penalised.log_det_M,
        "ldRX2": -float(np.linalg.slogdet(V)[1]),
        "wrss": wrss,
        "ussq": ussq,
        "pwrss": wrss + ussq,
        "drsum": None if squares is None else float(squares(evaluation.mode.eta).sum()),
        "dev": fit.criterion,
        "sigmaML": fit.sigma if fit.has_scale else None,
        "nAGQ": fit.nodes,
        "useSc": fit.has_scale,
    }


OF_PART: dict[str, Callable[[GeneralisedFit, str, PartEffects], Any]] = {
    "X": lambda m, part, own: m.part(part).X,
    "Z": lambda m, part, own: effect_columns(own.terms, m.n),
    "Zt": lambda m, part, own: effect_columns(own.terms, m.n).T,
    "u": _spherical,
    "b": lambda m, part, own: np.concatenate([np.zeros(0), *(m.b[i].reshape(-1) for i in own.places)]),
    "theta": _theta,
    "Lambda": lambda m, part, own: block_factor(own.terms, own.templates),
    "Lambdat": lambda m, part, own: block_factor(own.terms, own.templates).T,
    "Tlist": lambda m, part, own: {t.group: T for t, T in zip(own.terms, own.templates, strict=True)},
    "RX": _root,
    "beta": lambda m, part, own: m.beta_all[m.part_slices[part]],
    "fixef": lambda m, part, own: m.fixef(part),
    "offset": _offset,
    "flist": lambda m, part, own: {t.group: np.array(t.levels, dtype=object)[t.codes] for t in own.terms},
    "cnms": lambda m, part, own: {t.group: list(t.names) for t in own.terms},
    "lower": _bounds(0),
    "upper": _bounds(1),
    "p": lambda m, part, own: len(m.part(part).coefficients),
    "q": lambda m, part, own: sum(t.count for t in own.terms),
    "m": lambda m, part, own: len(_theta(m, part, own)),
    "n_rtrms": lambda m, part, own: len(own.terms),
    "n_rfacs": lambda m, part, own: len({t.group for t in own.terms}),
    "p_i": lambda m, part, own: [t.size for t in own.terms],
    "l_i": lambda m, part, own: [len(t.levels) for t in own.terms],
    "q_i": lambda m, part, own: [t.count for t in own.terms],
}
"""What each name stands for, of one linear predictor."""

OF_MODEL: dict[str, Callable[[GeneralisedFit], Any]] = {
    "y": observed,
    "mu": lambda m: m.problem.kernel.mean(m.evaluation.mode.eta),
    "weights": _weights,
    "par": lambda m: m.parameters,
    "sigma": lambda m: m.sigma,
    "REML": lambda m: 0,
    "is_REML": lambda m: False,
    "n": lambda m: m.n,
    "N": lambda m: m.n,
    "devcomp": _deviance_components,
    "glmer.nb.theta": _shape,
}
"""What each name stands for, of the whole model."""
