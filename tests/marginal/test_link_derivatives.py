"""Derivatives of links against 300-digit arithmetic (tests/reference/make_kernels.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bayesmlm.families.links import LINKS
from bayesmlm.marginal.link_derivatives import (
    log_complement_derivatives,
    log_mean_derivatives,
    mean_derivatives,
)
from tests.support import reference

TABLES: dict[str, Any] = reference("kernels")["links"]


def link_name(table: str) -> str:
    return table.removesuffix(" of a probability")


def assert_close(
    ours: tuple[np.ndarray, ...], table: str, what: str, rtol: float, scale: Callable[[np.ndarray], Any]
) -> None:
    """Relative to the number itself, or to ``scale``: a zero of a derivative has no relative error."""
    theirs = np.array(TABLES[table][what]).T
    for order, (own, exact) in enumerate(zip(ours, theirs, strict=True)):
        error = np.abs(own - exact) / np.maximum(np.abs(exact), scale(theirs))
        assert error.max() < rtol, (order, TABLES[table]["eta"][int(error.argmax())], error.max())


@pytest.mark.parametrize("table", TABLES)
def test_mean(table: str) -> None:
    eta = np.array(TABLES[table]["eta"])
    # Of order eta^2 / 2 roundings in exp(-eta^2 / 2), and more in its third derivative.
    assert_close(mean_derivatives(link_name(table), eta), table, "mean", 1e-12, lambda t: 1e-3 * np.abs(t[1]))


@pytest.mark.parametrize("table", TABLES)
def test_log_mean(table: str) -> None:
    eta = np.array(TABLES[table]["eta"])
    ours = log_mean_derivatives(link_name(table), eta)
    assert_close(ours, table, "log_mean", 3e-12, lambda t: 1e-300)


@pytest.mark.parametrize("table", [name for name, t in TABLES.items() if "log_complement" in t])
def test_log_complement(table: str) -> None:
    eta = np.array(TABLES[table]["eta"])
    ours = log_complement_derivatives(link_name(table), eta)
    assert_close(ours, table, "log_complement", 3e-12, lambda t: 1e-300)


def test_far_tails_stay_finite() -> None:
    eta = np.array([-1e4, -800.0, -60.0, 60.0, 800.0, 1e4])
    with np.errstate(all="ignore"):
        for link in (
            "logit",
            "probit",
            "probit_approx",
            "cloglog",
            "cauchit",
            "softit",
            "softplus",
            "squareplus",
        ):
            for values in (mean_derivatives(link, eta), log_mean_derivatives(link, eta)):
                assert all(np.isfinite(v).all() for v in values), link
            if LINKS[link].range[1] == 1:
                assert all(np.isfinite(v).all() for v in log_complement_derivatives(link, eta)), link


def test_an_unknown_link_is_an_error() -> None:
    with pytest.raises(KeyError):
        mean_derivatives("nothing", np.zeros(1))
