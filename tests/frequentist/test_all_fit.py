"""Several optimisers on one problem, and the convergence checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError
from bayesmlm.frequentist.fit import MixedFit

from .summary_models import fitted


@pytest.mark.parametrize("name", ["slope", "crossed_ML", "crlv_int"])
def test_optimisers_agree(name: str) -> None:
    found = fitted(name).all_fit()
    assert next(iter(found.table.index)) == "this fit"
    assert len(found.table) == 8
    assert found.table["difference"].max() < 1e-4
    assert found.max_difference["fixef"] < 1e-2
    assert found.verdict().startswith("All optimisers agree")
    assert found.verdict() in str(found)
    assert list(found.sdcor.columns)[-1] == "sigma"


def test_from_the_optimum_and_some_only() -> None:
    found = fitted("slope").all_fit(["Nelder-Mead"], from_optimum=True)
    assert list(found.table.index) == ["this fit", "Nelder-Mead"]
    assert list(found.sdcor.columns) == [
        "sd_(Intercept)|Subject",
        "sd_Days|Subject",
        "cor_Days.(Intercept)|Subject",
        "sigma",
    ]
    with pytest.raises(BayesmlmError, match="'bobyqa' is no optimiser"):
        fitted("slope").all_fit(["bobyqa"])


def _elsewhere() -> MixedFit:
    """A fit that stopped where it should not have."""
    m = fitted("slope")
    away = m.optimum.parameters * 1.3
    evaluation = m.problem.evaluate(away, m.reml)
    return replace(m, optimum=replace(m.optimum, parameters=away, evaluation=evaluation))


def test_a_fit_that_is_no_optimum_is_found_out() -> None:
    m = _elsewhere()
    assert not m.convergence().converged
    assert "Model failed to converge with max|grad|" in str(m.convergence())
    assert "found a better optimum" in m.all_fit(["L-BFGS-B"]).verdict()


def test_convergence_of_fits() -> None:
    check = fitted("slope").convergence()
    assert check.converged
    assert (check.eigenvalues > 0).all()
    assert not check.is_singular
    singular = fitted("crlv_int").convergence()
    assert singular.converged
    assert "boundary (singular) fit" in str(singular)


def test_eigenvalues_are_those_of_differences_of_the_criterion() -> None:
    m = bm.lmer("Yield ~ 1 + (1 | Batch)", bm.load_dataset("Dyestuff"))
    theta, h = float(m.optimum.parameters[0]), 1e-3
    values = [m.problem.evaluate(np.array([theta + s * h]), True).criterion for s in (-1, 0, 1)]
    np.testing.assert_allclose(m.convergence().eigenvalues, np.diff(values, 2) / h**2, rtol=1e-4)
