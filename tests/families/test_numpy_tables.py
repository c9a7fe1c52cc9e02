"""The NumPy draws and distribution functions of the families, against scipy; every family has both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st

from bayesmlm.errors import BayesmlmError
from bayesmlm.families import FAMILIES
from bayesmlm.families.numpy_cdf import CDFS, cumulated
from bayesmlm.families.numpy_draws import DRAWS, draw

from .cases import CASES, Case
from .test_distributions import SIGNIFICANCE, uniform_under

DRAWN = 20_000


def _rows(case: Case, n: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    values = {k: np.full(n, float(v)) for k, v in case.parameters.items()}
    return values, {"trials": values["trials"]} if "trials" in values else {}


def test_every_family_has_a_row() -> None:
    assert set(DRAWS) == set(CDFS) <= set(FAMILIES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cdf_is_scipys(case: Case) -> None:
    y = case.grid()
    # The library's incomplete beta and gamma functions lose about eps times the larger shape, here up to 2e4.
    np.testing.assert_allclose(cumulated(case.family, y, *_rows(case, len(y))), case.scipy.cdf(y), rtol=2e-10)


@pytest.mark.parametrize("name", DRAWS)
def test_cdf_outside_and_between_the_values(name: str) -> None:
    case = next(c for c in CASES if c.name == name)
    y = np.array([-1e300, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 1e300])
    found = cumulated(case.family, y, *_rows(case, len(y)))
    np.testing.assert_allclose(found, case.scipy.cdf(y), rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_follow_the_distribution(case: Case) -> None:
    drawn = draw(np.random.default_rng(1), case.family, *_rows(case, DRAWN))
    assert drawn.shape == (DRAWN,)
    assert drawn.dtype == np.float64
    u = uniform_under(case.scipy, drawn, case.family.integer_response)
    assert st.kstest(u, "uniform").pvalue > SIGNIFICANCE


def test_a_family_without_a_row_is_drawn_by_its_record() -> None:
    other = replace(FAMILIES["poisson"], name="other")
    p = {"mu": np.full(DRAWN, 3.7), "eta": np.full(DRAWN, np.log(3.7))}
    drawn = draw(np.random.default_rng(2), other, p, {})
    assert st.kstest(uniform_under(st.poisson(3.7), drawn, True), "uniform").pvalue > SIGNIFICANCE
    y = np.arange(5.0)
    np.testing.assert_allclose(cumulated(other, y, {"mu": np.full(5, 3.7)}, {}), st.poisson(3.7).cdf(y))
    with pytest.raises(BayesmlmError, match="distribution function of the family `other` is not known"):
        cumulated(replace(other, cdf=None, log_tails=None), y, {}, {})


def test_a_parameter_outside_its_range_is_refused() -> None:
    family = FAMILIES["poisson"]
    with pytest.raises(BayesmlmError, match=r"mu = -1 \(row 2\)"):
        draw(np.random.default_rng(0), family, {"mu": np.array([1.0, -1.0])}, {})
