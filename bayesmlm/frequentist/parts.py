"""Parts of a fitted model under lme4's names (``getME``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from .fit import MixedFit
    from .mixed_terms import MixedTerm

__all__ = [
    "block_factor",
    "effect_columns",
    "named_theta",
    "part",
    "relative_factor",
    "sparse_Z",
]


def sparse_Z(fit: MixedFit) -> csc_array:  # noqa: N802
    """(n, q) columns of the group effects: term by term, level by level, effect by effect."""
    return effect_columns(fit.design.terms, fit.n)


def effect_columns(terms: Sequence[MixedTerm], n: int) -> csc_array:
    """(n, q) columns of the effects of any ``terms``, which may be none."""
    from scipy.sparse import csc_array

    rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    values, start = [np.zeros(0)], 0
    for term in terms:
        for a in range(term.size):
            rows.append(np.arange(n))
            columns.append(start + term.codes * term.size + a)
            values.append(term.Z[:, a])
        start += term.count
    data = np.concatenate(values)
    made = csc_array((data, (np.concatenate(rows), np.concatenate(columns))), shape=(n, start))
    made.sum_duplicates()
    return made


def relative_factor(fit: MixedFit) -> csc_array:
    """(q, q) Lambda: block diagonal, each term's T once for each level."""
    return block_factor(fit.design.terms, fit.templates)


def block_factor(terms: Sequence[MixedTerm], templates: Sequence[NDArray[np.float64]]) -> csc_array:
    """(q, q) Lambda of any ``terms``, which may be none, ``templates`` (k, k) their relative factors."""
    from scipy.sparse import block_diag, csc_array, eye_array, kron

    if not terms:
        return csc_array((0, 0))
    blocks = [kron(eye_array(len(t.levels)), T) for t, T in zip(terms, templates, strict=True)]
    return csc_array(block_diag(blocks))


def _spherical(fit: MixedFit) -> np.ndarray:
    """u with b = Lambda u: u = Lambda'Z'W(y - X beta - Zb)."""
    rest = fit.design.y - fit.linear_predictor
    if fit.design.weights is not None:
        rest = rest * fit.design.weights
    return relative_factor(fit).T @ (sparse_Z(fit).T @ rest)


def _theta_names(terms: Sequence[MixedTerm]) -> list[str]:
    names = []
    for t in terms:
        if t.covariance.tag == "diag":
            names += [f"{t.group}.{name}" for name in t.names[: len(t.covariance.start)]]
            continue
        for a in range(t.size):
            for b in range(a, t.size):
                names.append(f"{t.group}.{t.names[b]}" + (f".{t.names[a]}" if b > a else ""))
    return names


def named_theta(terms: Sequence[MixedTerm], theta: NDArray[np.float64]) -> Any:
    """lme4's theta of the ``terms`` as a Series under its names: ``g.(Intercept)``, ``g.x.(Intercept)``."""
    import pandas as pd

    return pd.Series(theta, index=_theta_names(terms), name="theta")


PARTS = {
    "X": lambda m: m.design.X,
    "Z": sparse_Z,
    "Zt": lambda m: sparse_Z(m).T,
    "y": lambda m: m.design.y,
    "mu": lambda m: m.linear_predictor,
    "u": _spherical,
    "b": lambda m: np.concatenate([b.reshape(-1) for b in m.b]),
    "theta": lambda m: named_theta(m.design.terms, m.theta),
    "par": lambda m: m.parameters,
    "Lambda": relative_factor,
    "Lambdat": lambda m: relative_factor(m).T,
    "Tlist": lambda m: {t.group: T for t, T in zip(m.design.terms, m.templates, strict=True)},
    "RX": lambda m: np.linalg.cholesky(np.linalg.inv(m.evaluation.vcov_unscaled)).T,
    "beta": lambda m: m.beta,
    "fixef": lambda m: m.fixef(),
    "sigma": lambda m: m.sigma,
    "offset": lambda m: np.zeros(m.n) if m.design.offset is None else m.design.offset,
    "weights": lambda m: np.ones(m.n) if m.design.weights is None else m.design.weights,
    "flist": lambda m: {t.group: np.array(t.levels, dtype=object)[t.codes] for t in m.design.terms},
    "cnms": lambda m: {t.group: list(t.names) for t in m.design.terms},
    "lower": lambda m: m.problem.bounds[0],
    "upper": lambda m: m.problem.bounds[1],
    "REML": lambda m: m.p if m.reml else 0,
    "is_REML": lambda m: m.reml,
    "n": lambda m: m.n,
    "N": lambda m: m.n,
    "p": lambda m: m.p,
    "q": lambda m: sum(t.count for t in m.design.terms),
    "m": lambda m: m.theta.size,
    "n_rtrms": lambda m: len(m.design.terms),
    "n_rfacs": lambda m: len({t.group for t in m.design.terms}),
    "p_i": lambda m: [t.size for t in m.design.terms],
    "l_i": lambda m: [len(t.levels) for t in m.design.terms],
    "q_i": lambda m: [t.count for t in m.design.terms],
    "devcomp": lambda m: {
        "ldL2": m.evaluation.factorisation.log_det_M,
        "ldRX2": 2.0 * m.evaluation.log_det_X,
        "pwrss": m.evaluation.factorisation.pwrss,
        "sigmaML": float(np.sqrt(m.evaluation.factorisation.pwrss / m.n)),
        "sigmaREML": float(np.sqrt(m.evaluation.factorisation.pwrss / (m.n - m.p))),
        "dev": None if m.reml else m.criterion,
        "REML": m.criterion if m.reml else None,
    },
}
"""What each name stands for."""


def part(fit: MixedFit, name: str) -> Any:
    """The part called ``name``. Raises `BayesmlmError` with the names there are."""
    if name not in PARTS:
        raise BayesmlmError(f"getME() knows no `{name}`; it knows {', '.join(PARTS)}")
    return PARTS[name](fit)
