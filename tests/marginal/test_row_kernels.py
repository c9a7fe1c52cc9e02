"""NumPy kernels of families beyond lme4's: against 80-digit arithmetic (make_row_kernels.py), scipy, the families'
records, and at extreme predictors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats as st

from bayesmlm.families import FAMILIES
from bayesmlm.families.base import Family
from bayesmlm.families.links import natural_parameters
from bayesmlm.inference.x64 import x64
from bayesmlm.marginal.chain_rule import through_links
from bayesmlm.marginal.make_kernel import make_kernel
from bayesmlm.marginal.row_kernel import RowKernel
from bayesmlm.marginal.stirling import log_rising, remainder_by_log
from tests.marginal.test_kernels import assert_derivatives, predictors_of, rows_of
from tests.support import reference

TABLES: dict[str, Any] = reference("row_kernels")
CASES = [(name, i) for name, tables in TABLES.items() for i in range(len(tables))]


def observed_kernel(
    family: Family, y: np.ndarray, weights: np.ndarray | None, trials: np.ndarray | None
) -> RowKernel:
    kernel = make_kernel(family, y, weights, trials, "observed")
    assert isinstance(kernel, RowKernel)
    return kernel


def case_of(name: str, number: int) -> tuple[Family, np.ndarray, np.ndarray | None, np.ndarray]:
    """The family with its links, responses, trials and predictors of a table."""
    table, family = TABLES[name][number], FAMILIES[name]
    links = dict(zip([p.name for p in family.parameters], table["links"], strict=True))
    y = np.array([row["y"] for row in table["rows"]], dtype=float)
    trials = None
    if family.required_additions:
        trials = np.array([row["trials"] for row in table["rows"]], dtype=float)
    eta = np.array([row["eta"] for row in table["rows"]]).T.copy()
    return family.with_links(**links), y, trials, eta


@pytest.mark.parametrize(("name", "number"), CASES)
def test_all_derivatives_in_80_digits(name: str, number: int) -> None:
    """Terms of up to 400 trials or counts of 150 are added and nearly cancel: some 1e-16 of their size."""
    family, y, trials, eta = case_of(name, number)
    kernel = observed_kernel(family, y, None, trials)
    derivatives = kernel.row_derivatives(eta, 3)
    derivatives[0] = derivatives[0] + kernel.base_measure()
    theirs = np.array([row["values"] for row in TABLES[name][number]["rows"]]).T
    ours = np.array([derivatives[len(at)][tuple(at)] for at in TABLES[name][number]["indices"]])
    assert np.abs((ours - theirs) / np.maximum(np.abs(theirs), 1.0)).max() < 3e-13


@pytest.mark.parametrize(("name", "number"), CASES)
def test_what_the_search_uses(name: str, number: int) -> None:
    """The same derivatives times the weights, summed and contracted; and the law of the record."""
    family, y, trials, eta = case_of(name, number)
    rng = np.random.default_rng(1)
    w = rng.uniform(0.5, 2, len(y))
    plain, kernel = observed_kernel(family, y, None, trials), observed_kernel(family, y, w, trials)
    values, first, second, third = plain.row_derivatives(eta, 3)
    local = kernel.local(eta)
    assert local.log_density == pytest.approx(float(w @ values), rel=1e-13)
    assert kernel.value(eta) == pytest.approx(local.log_density, rel=1e-14)
    assert kernel.constant == pytest.approx(float(w @ plain.base_measure()), rel=1e-13)
    np.testing.assert_allclose(local.score, w * first, rtol=1e-13)
    np.testing.assert_allclose(local.observed, -w * second, rtol=1e-13)
    np.testing.assert_array_equal(local.observed, np.swapaxes(local.observed, 0, 1))
    assert local.expected is local.observed
    by_weights = rng.normal(size=second.shape)
    contracted = -np.einsum("den,defn->fn", by_weights, w * third)
    scale = np.abs(w * third).sum(axis=(0, 1))
    error = np.abs(kernel.contract(eta, by_weights, False) - contracted)
    assert (error <= 1e-13 * scale + 1e-300).all()
    # Record and kernel round differently: by some 1e-15 of log gamma functions.
    with x64():
        natural = natural_parameters(dict(zip(kernel.parameters, eta, strict=True)), family.links)
        extra = {} if trials is None else {"trials": trials}
        record = np.asarray(family.log_density(y, natural, extra))
    np.testing.assert_allclose(values + plain.base_measure(), record, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", TABLES)
def test_derivatives_are_those_of_what_comes_before(name: str) -> None:
    family = FAMILIES[name]
    kernel = observed_kernel(family, *rows_of(family))
    assert not kernel.has_expected
    assert kernel.parameters == tuple(p.name for p in family.parameters)
    start = kernel.local(kernel.start())
    assert np.isfinite(start.log_density)
    assert np.isfinite(start.observed).all()
    assert_derivatives(kernel, predictors_of(family), (False,))


@pytest.mark.parametrize("name", ["hurdle_negbinomial", "zero_inflated_negbinomial", "nbinom1"])
def test_derivatives_with_the_square_root(name: str) -> None:
    family = FAMILIES[name].with_links(mu="sqrt")
    kernel = observed_kernel(family, *rows_of(family))
    assert_derivatives(kernel, predictors_of(family), (False,))


@pytest.mark.parametrize(
    "name", ["nbinom1", "zero_inflated_poisson", "beta", "beta_binomial", "student", "lognormal", "geometric"]
)
def test_log_densities_are_scipys(name: str) -> None:
    family = FAMILIES[name]
    y, w, n = rows_of(family)
    if name == "zero_inflated_poisson":
        y[:5] = 0
    kernel = observed_kernel(family, y, w, n)
    eta = predictors_of(family)
    mu, *others = natural_parameters(dict(zip(kernel.parameters, eta, strict=True)), family.links).values()
    log_densities = {
        "nbinom1": lambda phi, *_: st.nbinom.logpmf(y, mu / phi, 1 / (1 + phi)),
        "geometric": lambda *_: st.nbinom.logpmf(y, 1, 1 / (1 + mu)),
        "zero_inflated_poisson": lambda zi, *_: np.log(zi * (y == 0) + (1 - zi) * st.poisson.pmf(y, mu)),
        "beta": lambda phi, *_: st.beta.logpdf(y, mu * phi, (1 - mu) * phi),
        "beta_binomial": lambda phi, *_: st.betabinom.logpmf(y, n, mu * phi, (1 - mu) * phi),
        "student": lambda sigma, nu, *_: st.t.logpdf(y, nu, mu, sigma),
        "lognormal": lambda sigma, *_: st.lognorm.logpdf(y, sigma, scale=np.exp(mu)),
    }[name](*others)
    assert kernel.value(eta) + kernel.constant == pytest.approx(float(w @ log_densities), rel=1e-11)


EXTREMES = {
    "mu": [np.log(1e-8), 0.0, np.log(1e6)],
    "shape": [np.log(1e-3), np.log(1e8)],
    "phi": [np.log(1e-3), np.log(1e8)],
    "zi": [-700.0, -20.0, 20.0, 700.0],
    "hu": [-700.0, -20.0, 20.0, 700.0],
    "sigma": [np.log(1e-3), np.log(1e3)],
    "nu": [-30.0, 30.0],
}


@pytest.mark.parametrize("name", TABLES)
def test_everything_is_finite_at_extremes(name: str) -> None:
    family = FAMILIES[name].with_links(mu="log" if name == "inverse.gaussian" else None)
    choices = [EXTREMES[p.name] for p in family.parameters]
    if family.parameters[0].upper == 1:
        choices[0] = [-700.0, -20.0, 20.0, 700.0]
    eta = np.stack(np.meshgrid(*choices, indexing="ij")).reshape(len(choices), -1)
    responses = [0.3, 0.3] if family.support.upper == 1 else [1.0, 7.0]
    responses += [0.0] if family.integer_response else []
    for response in responses:
        y = np.full(eta.shape[1], response)
        kernel = observed_kernel(family, y, None, np.full_like(y, 8.0) if family.required_additions else None)
        local = kernel.local(eta)
        assert np.isfinite(local.log_density)
        assert np.isfinite(local.score).all()
        assert np.isfinite(local.observed).all()
        assert np.isfinite(kernel.contract(eta, np.ones_like(local.observed), False)).all()


def test_zeros_say_nothing_of_an_infinite_mean() -> None:
    kernel = observed_kernel(FAMILIES["zero_inflated_poisson"], np.array([0.0, 3.0]), None, None)
    eta = np.array([[900.0, 1.0], [-1.0, 0.5]])
    local = kernel.local(eta)
    assert np.isfinite(local.log_density)
    np.testing.assert_array_equal(local.score[0, 0], 0.0)
    assert np.isfinite(local.observed).all()
    hurdle = observed_kernel(FAMILIES["hurdle_poisson"], np.zeros(2), None, None)
    np.testing.assert_array_equal(hurdle.local(eta).score[0], 0.0)


@pytest.mark.parametrize(
    ("name", "links", "parameter", "eta"),
    [
        ("zero_inflated_poisson", {"zi": "identity"}, 1, 1.2),
        ("hurdle_poisson", {"mu": "identity"}, 0, -1.0),
        ("nbinom1", {"phi": "identity"}, 1, 0.0),
        ("gaussian", {"sigma": "identity"}, 1, -1.0),
        ("student", {"nu": "identity"}, 2, -1.0),
        ("gamma", {"mu": "inverse"}, 0, -1.0),
        ("beta", {"mu": "identity"}, 0, 1.0),
        ("exponential", {"mu": "identity"}, 0, 0.0),
        ("geometric", {"mu": "identity"}, 0, -1.0),
    ],
)
def test_minus_infinity_outside(name: str, links: dict[str, str], parameter: int, eta: float) -> None:
    family = FAMILIES[name].with_links(**links)
    kernel = observed_kernel(family, *rows_of(family))
    at = kernel.start()
    assert np.isfinite(kernel.value(at))
    at[parameter, 3] = eta
    assert kernel.value(at) == kernel.local(at).log_density == -np.inf


def test_limits() -> None:
    """nbinom1 with phi to 0 and beta_binomial with phi to infinity lose their dispersion."""
    y, w, _ = rows_of(FAMILIES["poisson"])
    mu = predictors_of(FAMILIES["poisson"])
    poisson = make_kernel(FAMILIES["poisson"], y, w).local(mu)
    local = observed_kernel(FAMILIES["nbinom1"], y, w, None).local(np.stack([mu[0], np.full_like(y, -32.0)]))
    np.testing.assert_allclose(local.score, [poisson.score[0], np.zeros_like(y)], atol=1e-10)
    np.testing.assert_allclose(local.observed[0, 0], poisson.observed[0, 0], atol=1e-10)
    y, w, n = rows_of(FAMILIES["binomial"])
    mu = predictors_of(FAMILIES["binomial"])
    binomial = make_kernel(FAMILIES["binomial"], y, w, n).local(mu)
    local = observed_kernel(FAMILIES["beta_binomial"], y, w, n).local(
        np.stack([mu[0], np.full_like(y, 32.0)])
    )
    np.testing.assert_allclose(local.score, [binomial.score[0], np.zeros_like(y)], atol=1e-10)
    np.testing.assert_allclose(local.observed[0, 0], binomial.observed[0, 0], atol=1e-10)


def test_remainders_join_where_the_series_begins() -> None:
    x = np.array([12 - 1e-9, 12.0])
    for first, second in (term for term in remainder_by_log(x, np.log(x), 3)):
        assert first == pytest.approx(second, rel=1e-8)
    rising = log_rising(np.array([1e-300, 2.0]), np.log([1e-300, 2.0]), np.array([2.0, 0.0]), 3)
    np.testing.assert_allclose(np.array(rising)[:, 0], [np.log(1e-300), 1, 0, 0], atol=1e-15)
    np.testing.assert_array_equal(np.array(rising)[:, 1], 0.0)


def test_predictors_that_are_the_coordinates_cost_nothing() -> None:
    derivatives = [np.ones(2), np.ones((1, 2)), np.ones((1, 1, 2))]
    assert through_links(derivatives, [None]) is derivatives
