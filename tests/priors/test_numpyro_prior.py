"""The compiled side: log densities, supports, draws and fixed elements, with the numbers as arguments."""

from __future__ import annotations

from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.distributions import biject_to
from numpyro.infer.util import initialize_model
from scipy import stats

from bayesmlm.errors import PriorError
from bayesmlm.priors.distributions import parse_prior
from bayesmlm.priors.numpyro_prior import OrderedPrior, PriorDistribution, vector_log_density
from bayesmlm.priors.vector import VectorPrior, draw_prior

from ..compiling import quickly

HALF_T = "student_t(3, 0, 2.5)"
MIXED = ("normal(0, 5)", "", "cauchy(1, 2)", "normal(1, 2)", "constant(3)", HALF_T)


def vector(*texts: str, lower: float = -inf, upper: float = inf) -> VectorPrior:
    densities = tuple(parse_prior(text) if text else None for text in texts)
    return VectorPrior(tuple(f"b_{i}" for i in range(len(texts))), densities, lower, upper)


def distribution(prior: VectorPrior, scalar: bool = False) -> PriorDistribution:
    return PriorDistribution(prior.structure(), prior.constants(), () if scalar else (len(prior.names),))


def half_t(x: float, lower: float) -> float:
    return float(stats.t(3, 0, 2.5).logpdf(x) - stats.t(3, 0, 2.5).logsf(lower))


def test_log_density_of_a_mixed_vector() -> None:
    prior = vector(*MIXED)
    x = np.array([[0.5, 9, -2, 3, 3, 1], [0, 0, 0, 0, 3, 0]], dtype=float)
    parts = [stats.norm(0, 5), None, stats.cauchy(1, 2), stats.norm(1, 2), None, stats.t(3, 0, 2.5)]
    expected = sum(d.logpdf(x[:, i]) for i, d in enumerate(parts) if d is not None)

    @quickly
    def densities(x: Any) -> Any:
        of_vector = vector_log_density(prior.structure(), x, prior.constants())
        return of_vector, distribution(prior).log_prob(x)

    with jax.enable_x64(True):
        for got in densities(x):
            np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("prior", "x", "expected"),
    [
        (vector(HALF_T, lower=0), 1.0, half_t(1, 0)),
        (vector(HALF_T, lower=1.5), 2.0, half_t(2, 1.5)),
        (vector(HALF_T, lower=1.5), 1.0, -inf),
        (vector("exponential(2)", lower=0), 1.0, np.log(2) - 2),
        (vector("normal(0, 1)", upper=-1), -2.0, stats.norm.logpdf(2) - stats.norm.logsf(1)),
        (vector("normal(0, 1)", lower=-1, upper=1), 0.0, stats.norm.logpdf(0) - np.log(0.6826894921370859)),
        (vector("", lower=0, upper=4), 1.0, 0.0),
        (vector("gamma(2, 0.1)", lower=1), 3.0, stats.gamma(2, scale=10).logpdf(3) - np.log(1.1) + 0.1),
    ],
    ids=lambda v: str(v.describe()) if isinstance(v, VectorPrior) else None,
)
def test_truncated_scalar(prior: VectorPrior, x: float, expected: float) -> None:
    density = quickly(lambda x: distribution(prior, scalar=True).log_prob(x))
    with jax.enable_x64(True):
        assert float(density(x)) == pytest.approx(expected, rel=1e-12)


def test_structure_holds_no_numbers() -> None:
    a, b = vector("normal(0, 1)", "exponential(1)", lower=0), vector("normal(2, 7)", "gamma(3, 1)", lower=1)
    assert a.structure() == b.structure()
    assert hash(a.structure()) == hash(b.structure())
    assert str(vector(*["normal(0, 1)"] * 100, "", upper=3).structure()) == "normal*100 flat <upper"
    traces = []

    @jax.jit
    def density(x: Any, constants: Any) -> Any:
        traces.append(1)
        return PriorDistribution(a.structure(), constants, (2,)).log_prob(x)

    with jax.enable_x64(True):
        for prior in (a, b):
            x = np.array([1.5, 2.0])
            expected = sum(
                float(d.log_density(v, prior.lower)) for d, v in zip(prior.densities, x, strict=True) if d
            )
            assert float(density(x, prior.constants())) == pytest.approx(expected, rel=1e-12)
    assert len(traces) == 1


@pytest.mark.parametrize(("lower", "upper"), [(-inf, inf), (1, inf), (-inf, 1), (1, 3)])
def test_support_maps_the_line_into_the_bounds(lower: float, upper: float) -> None:
    d = distribution(vector("normal(0, 1)", "normal(0, 1)", lower=lower, upper=upper))
    assert d.support.event_dim == 1
    q = np.array([-3.0, 2.0])

    @quickly
    def evaluate(q: Any) -> Any:
        transform = biject_to(d.support)
        x = transform(q)
        return d.support(x), transform.inv(x)

    with jax.enable_x64(True):
        inside, back = evaluate(q)
        assert bool(inside)
        np.testing.assert_allclose(back, q, rtol=1e-9)


def test_fixed_elements_take_no_coordinate() -> None:
    prior = vector("constant(3)", "normal(0, 1)", "constant(-1)", "normal(0, 1)", lower=-2)
    assert prior.free == (1, 3)
    d = distribution(prior)
    scalar_prior = distribution(vector("constant(2)"), scalar=True)
    q = np.array([0.2, -0.3])

    @quickly
    def evaluate(q: Any) -> Any:
        transform, scalar = biject_to(d.support), biject_to(scalar_prior.support)
        x = transform(q)
        log_jacobian = transform.log_abs_det_jacobian(q, x)
        inside = d.support(x), d.support(x.at[0].set(2.0))
        return x, transform.inv(x), log_jacobian, inside, transform(jnp.zeros((5, 2))), scalar(jnp.zeros(0))

    with jax.enable_x64(True):
        transform = biject_to(d.support)
        assert transform.inverse_shape((4,)) == (2,)
        assert transform.forward_shape((2,)) == (4,)
        assert biject_to(scalar_prior.support).inverse_shape(()) == (0,)
        x, back, log_jacobian, inside, several, scalar = evaluate(q)
        np.testing.assert_allclose(x, [3, np.exp(0.2) - 2, -1, np.exp(-0.3) - 2], rtol=1e-12)
        np.testing.assert_allclose(back, q, rtol=1e-12)
        # log |d exp(q) / dq| = q, summed over the free elements
        assert float(log_jacobian) == pytest.approx(-0.1)
        assert [bool(i) for i in inside] == [True, False]
        assert several.shape == (5, 4)
        assert float(scalar) == 2


def test_usable_in_a_numpyro_model() -> None:
    b, sigma = vector("constant(3)", "normal(0, 1)", ""), vector(HALF_T, lower=0)

    def model(constants: Any) -> None:
        numpyro.sample("b", PriorDistribution(b.structure(), constants["b"], (3,)))
        numpyro.sample("sigma", PriorDistribution(sigma.structure(), constants["sigma"], ()))

    constants = {"b": b.constants(), "sigma": sigma.constants()}
    start = {"b": np.array([3.0, 0.5, -0.5]), "sigma": np.array(2.0)}
    strategy = numpyro.infer.init_to_value(values=start)

    @quickly
    def evaluate(key: Any) -> Any:
        info = initialize_model(key, model, init_strategy=strategy, model_args=(constants,))
        return info.param_info.z, info.potential_fn(info.param_info.z)

    with jax.enable_x64(True):
        z, potential = evaluate(jax.random.key(0))
    assert {name: q.shape for name, q in z.items()} == {"b": (2,), "sigma": ()}
    expected = stats.norm.logpdf(0.5) + half_t(2, 0) + np.log(2)  # the last: Jacobian of exp
    assert -float(potential) == pytest.approx(expected, rel=1e-12)


SAMPLED = [
    ("student_t(3, 1, 2.5)", -inf, inf, stats.t(3, 1, 2.5)),
    ("gamma(2, 0.1)", 0, inf, stats.gamma(2, scale=10)),
    ("inv_gamma(2, 3)", 0, inf, stats.invgamma(2, scale=3)),
    ("weibull(1.5, 2)", 0, inf, stats.weibull_min(1.5, scale=2)),
    ("frechet(3, 2)", 0, inf, stats.invweibull(3, scale=2)),
    ("lognormal(1, 0.5)", 0, inf, stats.lognorm(0.5, scale=np.exp(1))),
    ("double_exponential(1, 2)", -inf, inf, stats.laplace(1, 2)),
    ("logistic(1, 2)", -inf, inf, stats.logistic(1, 2)),
    ("gumbel(1, 2)", -inf, inf, stats.gumbel_r(1, 2)),
    ("beta(2, 3)", 0, 1, stats.beta(2, 3)),
    ("uniform(-1, 3)", -1, 3, stats.uniform(-1, 4)),
    ("pareto_type_2(1, 2, 3)", 1, inf, stats.lomax(3, loc=1, scale=2)),
    ("skew_normal(1, 2, -4)", -inf, inf, stats.skewnorm(-4, 1, 2)),
    ("normal(0, 1)", 1.2, 2.5, stats.truncnorm(1.2, 2.5)),
    ("", 2, 5, stats.uniform(2, 3)),
]


@pytest.mark.parametrize(("text", "lower", "upper", "expected"), SAMPLED)
def test_draws(text: str, lower: float, upper: float, expected: Any) -> None:
    prior = vector(text, "constant(7)", lower=lower, upper=upper)
    sample = quickly(lambda key: distribution(prior).sample(key, (3000,)))
    with jax.enable_x64(True):
        x = np.asarray(sample(jax.random.key(3)))
    host = draw_prior(prior, np.random.default_rng(3), 3000)
    for draws in (x, host):
        assert np.all(draws[:, 1] == 7)
        # Kolmogorov-Smirnov: a right sampler fails with probability 1e-4, and the seeds are fixed.
        assert stats.kstest(draws[:, 0], expected.cdf).statistic < 2.23 / np.sqrt(3000)


def test_scalar_draws_and_flat_ones() -> None:
    with jax.enable_x64(True):
        d, key = distribution(vector(HALF_T, lower=0), scalar=True), jax.random.key(0)
        several, one = quickly(lambda key: (d.sample(key, (3, 2)), d.sample(key)))(key)
        assert (several.shape, one.shape) == ((3, 2), ())
        flat = vector("normal(0, 1)", "")
        with pytest.raises(PriorError, match="flat priors cannot be sampled"):
            distribution(flat).sample(key)
    with pytest.raises(PriorError, match="flat priors cannot be sampled: b_1"):
        draw_prior(flat, np.random.default_rng(0), 3)


def test_description() -> None:
    assert vector("normal(0,1)", "", "constant(2)", "uniform(0, 9)", lower=0).describe() == (
        "normal(0, 1, lower=0)",
        "flat(lower=0)",
        "constant(2)",
        "uniform(0, 9)",
    )


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have the shape"):
        PriorDistribution(vector("normal(0, 1)").structure(), {}, (2,))


def test_draws_of_ordered_vectors() -> None:
    """Of different normal priors: X1 given X1 < X2 has the mean m1 - s1^2 / s phi(d) / Phi(d), s^2 = s1^2 + s2^2 and
    d = (m2 - m1) / s. Of equal ones: order statistics, whose means for three normals are 0 and -/+ 1.5 / sqrt(pi)."""
    prior = vector("normal(1, 2)", "normal(0, 1)", *3 * ["normal(0, 1)"])
    ordered = OrderedPrior(prior.structure(), prior.constants(), (5,), (2, 3))
    with jax.enable_x64(True):
        x = np.asarray(quickly(lambda key: ordered.sample(key, (20_000,)))(jax.random.key(3)))
    spread = np.sqrt(5)
    hazard = stats.norm.pdf(-1 / spread) / stats.norm.cdf(-1 / spread)
    outer = 1.5 / np.sqrt(np.pi)
    expected = [1 - 4 / spread * hazard, 1 / spread * hazard, -outer, 0.0, outer]
    assert np.all(np.abs(x.mean(0) - expected) < 4.5 * x.std(0) / np.sqrt(len(x)))
    assert np.all(x[:, 0] < x[:, 1])
    assert np.all(np.diff(x[:, 2:]) > 0)
