"""Kernels against R's families and lme4 (make_glm_kernels.R), scipy, 60-digit arithmetic (make_kernels.py), and against
each other; every derivative against differences of what it is the derivative of."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.stats as st

from bayesmlm.families import FAMILIES, Family
from bayesmlm.families.base import FamilyError
from bayesmlm.families.links import LINKS
from bayesmlm.marginal.jax_kernel import FamilyKernel
from bayesmlm.marginal.kernel import Kernel
from bayesmlm.marginal.log_mean_kernels import PoissonKernel
from bayesmlm.marginal.make_kernel import make_kernel
from bayesmlm.marginal.negbinomial_kernel import NegativeBinomialKernel
from tests.support import reference

R: dict[str, Any] = reference("glm_kernels")
N = 24


def array(values: Any) -> np.ndarray:
    return np.array(values, dtype=float)


# ---- R
# --------------------------------------------------------------------------------------------------


def kernel_of(case: dict[str, Any]) -> tuple[Any, np.ndarray]:
    family = FAMILIES[case["family"]].with_links(mu=case["link"])
    trials = array(case["trials"]) if "trials" in case else None
    weights = array(case["weights"]) if "weights" in case else None
    eta = array(case["eta"])[None]
    if case["family"] == "negbinomial":
        eta = np.stack([eta[0], np.full(eta.shape[1], np.log(case["theta"]))])
    return make_kernel(family, array(case["y"]), weights, trials), eta


@pytest.mark.parametrize("case", R["cases"], ids=lambda c: f"{c['family']}-{c['link']}")
def test_what_r_computes_at_given_predictors(case: dict[str, Any]) -> None:
    kernel, eta = kernel_of(case)
    np.testing.assert_allclose(kernel.mean(eta), case["mu"], rtol=1e-12)
    assert kernel.criterion(eta)[0] == pytest.approx(case["aic"], rel=1e-12)
    # R subtracts numbers near 1 where a unit deviance is small.
    np.testing.assert_allclose(
        kernel.deviance_residual_squares(eta), case["dev_resids"], rtol=1e-10, atol=1e-13
    )
    np.testing.assert_allclose(kernel.pearson_residuals(eta), case["pearson"], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(kernel.local(eta).expected[0, 0], case["fisher_weights"], rtol=1e-11)
    np.testing.assert_allclose(kernel.start()[0], case["start"], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("fit", R["fits"], ids=lambda f: f["family"])
def test_the_criterion_of_lme4s_fits_with_a_dispersion(fit: dict[str, Any]) -> None:
    kernel, eta = kernel_of(fit)
    value, _ = kernel.criterion(eta)
    assert -(value + fit["penalty"] + fit["log_det"]) / 2 == pytest.approx(fit["logLik"], rel=1e-11)
    assert -2 * kernel.value(eta) == pytest.approx(fit["deviance"], rel=1e-11)
    np.testing.assert_allclose(kernel.local(eta).expected[0, 0], fit["fisher_weights"], rtol=1e-11)


# ---- derivatives
# --------------------------------------------------------------------------------------------------

NUMPY_FAMILIES = ("bernoulli", "binomial", "poisson", "gamma", "inverse.gaussian")
NUMPY_CASES = [(name, link) for name in NUMPY_FAMILIES for link in FAMILIES[name].parameters[0].links]


def rows_of(family: Family, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Responses, weights and trials."""
    rng = np.random.default_rng(seed)
    trials = rng.integers(1, 9, N).astype(float) if family.required_additions else None
    if trials is not None:
        y = rng.binomial(trials.astype(int), 0.4).astype(float)
    elif family.name == "bernoulli":
        y = rng.integers(0, 2, N).astype(float)
    elif family.integer_response:
        y = rng.poisson(2.5, N).astype(float)
    elif family.support.upper == 1:
        y = rng.beta(2, 3, N)
    else:
        y = rng.gamma(3, size=N) if family.support.lower == 0 else rng.normal(size=N)
    return y, rng.uniform(0.5, 2, N), trials


def predictors_of(family: Family, seed: int = 4) -> np.ndarray:
    """Linear predictors all over the legal range, other parameters near 1."""
    rng = np.random.default_rng(seed)
    rows = []
    for parameter in family.parameters:
        link = family.link(parameter.name)
        high = LINKS[link].range[1]
        probability = parameter.upper == 1
        if (
            parameter.name != "mu"
            or link in ("identity", "inverse", "sqrt", "1/mu^2")
            or (probability and high > 1)
        ):
            natural = (
                rng.uniform(0.1, 0.9, N) if probability else (parameter.lower or 0) + rng.uniform(0.3, 4, N)
            )
            if parameter.lower is None:
                natural = rng.normal(size=N)
            rows.append(LINKS[link].link(natural))
        else:
            rows.append(rng.uniform(-5, 3, N))
    return np.array(rows)


def differences(function: Any, eta: np.ndarray, direction: np.ndarray, h: float = 1e-3) -> Any:
    """The derivative along ``direction``, to order h^6."""
    at = [function(eta + m * h * direction) for m in (1, -1, 2, -2, 3, -3)]
    return (45 * (at[0] - at[1]) - 9 * (at[2] - at[3]) + (at[4] - at[5])) / (60 * h)


def assert_derivatives(
    kernel: Kernel, eta: np.ndarray, definitions: tuple[bool, ...] = (False, True)
) -> None:
    """Errors of differences: about 1e-16 / h = 1e-13 and h^6 times a seventh derivative, both relative to the size of
    what is differenced."""
    rng = np.random.default_rng(5)
    D, n = eta.shape
    direction = rng.uniform(0.5, 1, eta.shape) * np.minimum(1, np.abs(eta).min(axis=1, keepdims=True))
    here = kernel.local(eta)
    assert here.log_density == pytest.approx(kernel.value(eta), rel=1e-14)
    assert kernel.log_densities(eta).sum() == pytest.approx(here.log_density, rel=1e-13)
    slope = differences(kernel.value, eta, direction)
    scale = np.abs(here.score * direction).sum()
    assert slope == pytest.approx((here.score * direction).sum(), abs=1e-8 * scale)
    curvature = differences(lambda at: kernel.local(at).score, eta, direction)
    ours = -np.einsum("den,en->dn", here.observed, direction)
    np.testing.assert_allclose(curvature, ours, rtol=1e-6, atol=1e-8 * np.abs(ours).max())
    np.testing.assert_array_equal(here.observed, np.swapaxes(here.observed, 0, 1))
    weights = rng.normal(size=(D, D, n))
    for expected in definitions:

        def weighted(at: np.ndarray, expected: bool = expected) -> Any:
            local = kernel.local(at)
            return (weights * (local.expected if expected else local.observed)).sum(axis=(0, 1))

        ours = (kernel.contract(eta, weights, expected) * direction).sum(axis=0)
        np.testing.assert_allclose(
            differences(weighted, eta, direction), ours, rtol=1e-6, atol=1e-8 * max(1, np.abs(ours).max())
        )
    value, by_eta = kernel.criterion(eta)
    if by_eta is None:
        assert value == pytest.approx(-2 * (here.log_density + kernel.constant), rel=1e-13)
    else:
        slope = differences(lambda at: kernel.criterion(at)[0], eta, direction)
        assert slope == pytest.approx((by_eta * direction).sum(), rel=1e-7)


@pytest.mark.parametrize(("name", "link"), NUMPY_CASES)
def test_derivatives_of_glm_kernels(name: str, link: str) -> None:
    family = FAMILIES[name].with_links(mu=link)
    eta = predictors_of(family)
    if link == "log" and family.parameters[0].upper == 1:
        eta = -np.abs(eta)
    kernel = make_kernel(family, *rows_of(family))
    assert kernel.has_expected
    eta = eta[:1]  # without the shape, which lme4's kernels do not have
    assert_derivatives(kernel, eta)
    local = kernel.local(eta)
    canonical = {"poisson": "log", "gamma": "inverse", "inverse.gaussian": "1/mu^2"}.get(name, "logit")
    assert (local.observed is local.expected) == (link == canonical)


@pytest.mark.parametrize("link_shape", FAMILIES["negbinomial"].parameters[1].links)
@pytest.mark.parametrize("link", FAMILIES["negbinomial"].parameters[0].links)
def test_derivatives_of_the_negative_binomial_kernel(link: str, link_shape: str) -> None:
    family = FAMILIES["negbinomial"].with_links(mu=link, shape=link_shape)
    assert_derivatives(make_kernel(family, *rows_of(family)), predictors_of(family))


# ---- log densities
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bernoulli", "binomial", "poisson", "gamma", "inverse.gaussian"])
def test_log_densities_are_scipys(name: str) -> None:
    family = FAMILIES[name]
    y, w, trials = rows_of(family)
    kernel = make_kernel(family, y, w, trials)
    eta = predictors_of(family)
    mu = kernel.mean(eta)
    log_densities = {
        "bernoulli": lambda: st.bernoulli.logpmf(y, mu),
        "binomial": lambda: st.binom.logpmf(y, trials, mu),
        "poisson": lambda: st.poisson.logpmf(y, mu),
        "gamma": lambda: st.gamma.logpdf(y, 1, scale=mu),  # the mode takes the dispersion as 1
        "inverse.gaussian": lambda: st.invgauss.logpdf(y, mu),
    }[name]()
    assert kernel.value(eta) + kernel.constant == pytest.approx(float(w @ log_densities), rel=1e-12)


def test_rare_events_keep_their_log_probability() -> None:
    """P(y = 1) at a probit of -20 is 2.75e-89, of a logit of -700 e^-700."""
    for link, eta, log_probability in (("logit", -700.0, -700.0), ("probit", -20.0, -203.91715537109726)):
        kernel = make_kernel(FAMILIES["bernoulli"].with_links(mu=link), np.array([1.0]))
        assert kernel.value(np.array([[eta]])) == pytest.approx(log_probability, rel=1e-13)
        mirrored = make_kernel(FAMILIES["bernoulli"].with_links(mu=link), np.array([0.0]))
        assert mirrored.value(np.array([[-eta]])) == pytest.approx(log_probability, rel=1e-13)


def test_pearson_residuals_where_mu_rounds_to_one() -> None:
    kernel = make_kernel(FAMILIES["bernoulli"].with_links(mu="cloglog"), np.array([1.0, 0.0]))
    residuals = kernel.pearson_residuals(np.array([[5.0, 2.0]]))  # type: ignore[attr-defined]
    odds = np.expm1(np.exp([5.0, 2.0]))
    np.testing.assert_allclose(residuals, [odds[0] ** -0.5, -(odds[1] ** 0.5)], rtol=1e-13)


def test_negative_binomial_in_60_digits() -> None:
    """Unstable formulas would lose everything at shapes of 1e8 and 1e12, where second derivatives are 1e-8."""
    table = reference("kernels")["negbinomial"]
    tensors = []
    for row in table["rows"]:
        y, eta = np.array([float(row["y"])]), array(row["eta"])[:, None]
        kernel = NegativeBinomialKernel(y, None, "log", "log")
        local = kernel.local(eta)
        third = np.empty((2, 2, 2))
        for d, e in np.ndindex(2, 2):
            unit = np.zeros((2, 2, 1))
            unit[d, e] = 1
            third[d, e] = -kernel.contract(eta, unit, False)[:, 0]
        by_order = {(0, 0): local.log_density, (1, 0): local.score[0, 0], (0, 1): local.score[1, 0]}
        by_order |= {(2 - k, k): -local.observed[int(k > 1), int(k > 0), 0] for k in range(3)}
        by_order |= {(3 - k, k): third[int(k > 2), int(k > 1), int(k > 0)] for k in range(4)}
        tensors.append([by_order[tuple(order)] for order in table["orders"]])
    theirs = np.array([row["values"] for row in table["rows"]])
    # With 99000 events of 1e5 expected, mu is rounded by 1e-16 of itself: 1e-14 of y - mu, and more in what is left of
    # differences of such terms.
    np.testing.assert_allclose(np.array(tensors), theirs, rtol=1e-11)


def test_a_negative_binomial_of_large_shape_is_poisson() -> None:
    y, w, _ = rows_of(FAMILIES["poisson"])
    mu = np.random.default_rng(6).uniform(0.1, 9, N)
    kernel = NegativeBinomialKernel(y, w, "log", "log")
    eta = np.stack([np.log(mu), np.full(N, np.log(1e14))])
    local, poisson = kernel.local(eta), PoissonKernel(y, w, "log").local(eta)
    assert local.log_density == pytest.approx(poisson.log_density, abs=1e-11)
    np.testing.assert_allclose(local.score[0], poisson.score[0], atol=1e-11)
    np.testing.assert_allclose(local.observed[0, 0], poisson.observed[0, 0], rtol=1e-11)
    assert np.abs(local.score[1]).max() < 1e-11
    assert np.abs(local.observed[1]).max() < 1e-11


@pytest.mark.parametrize(
    ("name", "link", "eta"),
    [
        ("bernoulli", "identity", 1.0),
        ("bernoulli", "identity", -0.1),
        ("binomial", "log", 0.0),
        ("poisson", "identity", 0.0),
        ("poisson", "log", 1e3),
        ("gamma", "inverse", -2.0),
        ("inverse.gaussian", "1/mu^2", 0.0),
        ("negbinomial", "identity", -1.0),
    ],
)
def test_minus_infinity_outside(name: str, link: str, eta: float) -> None:
    family = FAMILIES[name].with_links(mu=link)
    y, w, trials = rows_of(family)
    kernel = make_kernel(family, y, w, trials)
    at = kernel.start()
    assert np.isfinite(kernel.value(at))
    at[0, 3] = eta
    assert kernel.value(at) == kernel.local(at).log_density == -np.inf


def test_a_zero_mean_under_the_square_root() -> None:
    """mu'^2 / mu is 4 there; a zero response has score 0."""
    kernel = PoissonKernel(np.array([0.0, 2.0]), None, "sqrt")
    local = kernel.local(np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(local.expected[0, 0], 4.0)
    np.testing.assert_allclose(local.observed[0, 0], [2.0, 6.0])
    np.testing.assert_allclose(local.score[0], [0.0, 2.0], atol=1e-7)


# ---- any family, by JAX
# --------------------------------------------------------------------------------------------------


def long_to_compile(*values: object) -> object:
    """A case whose third derivatives take XLA half a minute."""
    return pytest.param(*values, marks=pytest.mark.validate)


@pytest.mark.parametrize(
    ("name", "links"),
    [
        ("binomial", {"mu": "logit"}),
        ("gamma", {"mu": "log"}),
        ("zero_inflated_poisson", {"mu": "log"}),
        long_to_compile("bernoulli", {"mu": "probit"}),
        long_to_compile("poisson", {"mu": "softplus"}),
        long_to_compile("negbinomial", {"mu": "log", "shape": "softplus"}),
        long_to_compile("student", {"mu": "identity"}),
        long_to_compile("beta", {"mu": "logit"}),
    ],
)
def test_numpy_and_jax_agree(name: str, links: dict[str, str]) -> None:
    family = FAMILIES[name].with_links(**links)
    y, w, trials = rows_of(family)
    eta = predictors_of(family)
    ours = make_kernel(family, y, w, trials, "observed")
    record = FamilyKernel(family, y, w, {} if trials is None else {"trials": trials})
    assert (ours.parameters, ours.links) == (record.parameters, record.links)
    a, b = ours.local(eta), record.local(eta)
    assert a.log_density + ours.constant == pytest.approx(b.log_density + record.constant, rel=1e-12)
    np.testing.assert_allclose(a.score, b.score, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a.observed, b.observed, rtol=1e-10, atol=1e-12)
    weights = np.random.default_rng(8).normal(size=a.observed.shape)
    np.testing.assert_allclose(
        ours.contract(eta, weights, False), record.contract(eta, weights, False), rtol=1e-10, atol=1e-11
    )
    np.testing.assert_allclose(ours.mean(eta), record.mean(eta), rtol=1e-14)
    np.testing.assert_allclose(ours.variance(eta), record.variance(eta), rtol=1e-12)


@pytest.mark.parametrize("name", [long_to_compile("student"), "zero_inflated_poisson"])
def test_kernels_by_jax(name: str) -> None:
    family = FAMILIES[name]
    y, w, _ = rows_of(family)
    kernel = FamilyKernel(family, y, w)
    assert not kernel.has_expected
    assert kernel.parameters == tuple(p.name for p in family.parameters)
    start = kernel.local(kernel.start())
    assert np.isfinite(start.log_density)
    assert np.isfinite(start.observed).all()
    assert start.expected is start.observed
    assert_derivatives(kernel, predictors_of(family), (False,))


def test_log_densities_of_jax_kernels_are_scipys() -> None:
    family = FAMILIES["gamma"]
    y, w, _ = rows_of(family)
    w[2] = 0.0
    kernel = FamilyKernel(family, y, w)
    eta = predictors_of(family)
    mu, shape = np.exp(eta)
    expected = w @ st.gamma.logpdf(y, shape, scale=mu / shape)
    assert kernel.value(eta) + kernel.constant == pytest.approx(float(expected), rel=1e-12)
    assert kernel.local(eta).score[:, 2].tolist() == [0, 0]
    eta[1, 1] = np.nan
    assert kernel.value(eta) == -np.inf


# ---- the choice
# --------------------------------------------------------------------------------------------------


def test_definitions_that_do_not_exist() -> None:
    with pytest.raises(FamilyError, match="`beta` is not known in closed form; it is of bernoulli, binomial"):
        make_kernel(FAMILIES["beta"], np.array([0.5]), definition="fisher")
    with pytest.raises(FamilyError, match="'fisher'"):
        make_kernel(FAMILIES["poisson"], np.array([1.0]), definition="laplace")


def test_families_do_not_import_jax() -> None:
    program = """
import sys
import numpy as np
from bayesmlm.families import FAMILIES
from bayesmlm.families.numpy_draws import DRAWS
from bayesmlm.marginal.make_kernel import make_kernel
for name, family in ((name, FAMILIES[name]) for name in DRAWS):
    y = np.array([0.5, 0.2, 0.7]) if name == "beta" else np.ones(3)
    kernel = make_kernel(family, y, trials=np.full(3, 2.0) if family.required_additions else None)
    eta = kernel.start()
    kernel.local(eta), kernel.contract(eta, np.ones((len(eta), len(eta), 3)), True), kernel.mean(eta)
    kernel.variance(eta), kernel.pearson_residuals(eta)
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
