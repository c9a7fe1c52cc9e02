"""F tests of a smaller against a larger mixed model, as pbkrtest's ``KRmodcomp`` and ``SATmodcomp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..messages import inform
from .fixed_tests import Method, contrast_matrix, p_value_of_F
from .refit import refit_criterion
from .satterthwaite import JointTest

if TYPE_CHECKING:
    from .fit import MixedFit

__all__ = ["kr_modcomp", "restriction", "sat_modcomp"]

Matrix = NDArray[np.float64]


def kr_modcomp(fit: MixedFit, other: Any, beta0: Any) -> pd.DataFrame:
    """See `TestingMethods.kr_modcomp`."""
    larger, L = _larger(fit, other)
    test = _tested(larger, larger.kenward_roger, L, beta0)
    p = [p_value_of_F(F, test.num_df, test.den_df) for F in (test.F, test.unscaled)]
    columns = {
        "stat": [test.F, test.unscaled],
        "ndf": test.num_df,
        "ddf": test.den_df,
        "F.scaling": [test.scaling, np.nan],
        "p.value": p,
    }
    return pd.DataFrame(columns, index=["Ftest", "FtestU"])


def sat_modcomp(fit: MixedFit, other: Any, beta0: Any) -> pd.DataFrame:
    """See `TestingMethods.sat_modcomp`."""
    larger, L = _larger(fit, other)
    test = _tested(larger, larger.satterthwaite, L, beta0)
    p = p_value_of_F(test.F, test.num_df, test.den_df)
    row = {"statistic": test.F, "ndf": test.num_df, "ddf": test.den_df, "p.value": p}
    return pd.DataFrame([row], index=["Ftest"])


def _tested(larger: MixedFit, method: Method, L: Matrix, beta0: Any) -> JointTest:
    null = np.asarray(beta0, dtype=np.float64)
    if null.ndim > 1 or (null.ndim == 1 and null.size != larger.p) or not np.isfinite(null).all():
        raise BayesmlmError(f"beta0 must be one number or {larger.p}, one for each coefficient")
    test = method.joint(L, larger.beta - null)
    if test is None:
        raise BayesmlmError("L is zero: there is nothing to test")
    return test


def _larger(fit: MixedFit, other: Any) -> tuple[MixedFit, Matrix]:
    """The larger model, by REML, and the restriction L beta = 0 that makes the smaller one of it."""
    from .fit import MixedFit

    if isinstance(other, str) and "~" in other:
        other = fit.update(formula=other)
    if not isinstance(other, MixedFit):
        return _by_reml(fit), contrast_matrix(fit, other)[0]
    larger, smaller = (fit, other) if fit.p >= other.p else (other, fit)
    return _by_reml(larger), restriction(larger, smaller)


def _by_reml(fit: MixedFit) -> MixedFit:
    if fit.reml:
        return fit
    inform("refitting the larger model by REML (instead of maximum likelihood)")
    return refit_criterion(fit, reml=True)


def restriction(larger: MixedFit, smaller: MixedFit) -> Matrix:
    """(q, p) orthonormal L with {X beta: L beta = 0} the column space of the smaller model.

    Raises `BayesmlmError` when the models saw different rows, are the same, or are not nested.
    """
    if larger.n != smaller.n or not np.array_equal(larger.design.y, smaller.design.y):
        raise BayesmlmError(
            f"the models were fitted to different data ({larger.n} and {smaller.n} rows): fit both to the rows that "
            "are complete in every variable used, with subset="
        )
    if larger.p == smaller.p:
        raise BayesmlmError(
            "the models have equally many coefficients: there is nothing to test between them"
        )
    X, small = larger.design.X, smaller.design.X
    X, scale = X / np.linalg.norm(X, axis=0), np.linalg.norm(X, axis=0)
    small = small / np.linalg.norm(small, axis=0)
    made_of = np.linalg.lstsq(X, small, rcond=None)[0]
    if np.linalg.norm(X @ made_of - small, axis=0).max() > 1e-7:
        raise BayesmlmError(
            "the models are not nested: the smaller one has columns that the larger one cannot make"
        )
    left, _, _ = np.linalg.svd(made_of, full_matrices=True)
    L = left[:, small.shape[1] :].T * scale  # on the columns' own scale
    return np.linalg.qr(L.T)[0].T
