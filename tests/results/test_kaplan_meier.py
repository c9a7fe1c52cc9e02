"""Kaplan-Meier estimates against R's survival package."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.results.kaplan_meier import kaplan_meier
from bayesmlm.results.survival import observations

from .helpers import reference


@pytest.mark.parametrize("kind", ["right", "late"])
def test_estimates_are_those_of_survfit(kind):
    known = reference("survfit")
    entry = known["entry"] if kind == "late" else None
    ours = kaplan_meier(known["time"], known["event"], entry)
    for column, values in known[kind].items():
        np.testing.assert_allclose(ours[column], values, rtol=1e-10, err_msg=column)


def test_without_censoring_it_is_the_empirical_distribution_function():
    time = np.random.default_rng(0).exponential(size=30)
    np.testing.assert_allclose(kaplan_meier(time)["survival"], 1 - np.arange(1, 31) / 30, atol=1e-14)


def test_what_cannot_be_estimated_is_said():
    with pytest.raises(bm.BayesmlmError, match="row 2 enters at 5, not before its time 4"):
        kaplan_meier([3, 4], [1, 1], [0, 5])
    y = np.array([1.0, 2.0])
    assert observations(y, {"left_censored": np.zeros(2)}, None, False) == "some rows are left-censored"
    assert observations(y, {}, np.ones(2), False) == "the rows have weights"
    found = observations(
        y, {"right_censored": np.array([0.0, 1.0]), "above": np.array([0.5, 0.0])}, None, False
    )
    np.testing.assert_array_equal(found.event, [True, False])
    np.testing.assert_array_equal(found.entry, [0.5, 0.0])
