"""Approximate posteriors and what is said of their quality, against closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayesmlm.errors import BayesmlmError, SamplingError
from bayesmlm.inference import laplace_start
from bayesmlm.inference.approximation import Approximation, importance_weights, quality, resampled
from bayesmlm.inference.compile_cache import compilations
from bayesmlm.inference.density import build_density
from bayesmlm.inference.drawing import Found, draw
from bayesmlm.inference.engines import run
from bayesmlm.inference.normals import CholeskyNormal, DiagonalNormal
from bayesmlm.inference.protocol import Draws, FlatProgram, SamplerSettings, Timings
from bayesmlm.inference.sample import sample

from .test_initial import narrow
from .test_nuts import LONG, assert_mean
from .toys import COVARIANCE, MEAN, Toy, beta_binomial, bits, funnel, gaussian

COUNT = 4000
SETTINGS = SamplerSettings(seed=11, cores=2, output_samples=COUNT)
PRECISION = np.linalg.inv(COVARIANCE)
# The log of the integral of the toy's density.
EVIDENCE = 0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]
# Kullback-Leibler divergence of the best product of normals from it.
FACTORISED = 0.5 * (np.sum(np.log(np.diag(PRECISION))) - np.linalg.slogdet(PRECISION)[1])
ENGINES = ["pathfinder", "meanfield", "fullrank"]


def approximate(program: FlatProgram, algorithm: str, **further: Any) -> Draws:
    return run(program, replace(SETTINGS, algorithm=algorithm, **further), progress=False)


def record_of(draws: Draws) -> Approximation:
    assert draws.approximation is not None
    return draws.approximation


@pytest.mark.parametrize(("algorithm", "divergence"), [("fullrank", 0.0), ("meanfield", FACTORISED)])
def test_variational_bound_is_the_best_of_its_kind(algorithm: str, divergence: float) -> None:
    """The bound falls short of the evidence by the divergence, which no normal of the kind can undercut."""
    record = record_of(approximate(gaussian(), algorithm))
    assert record.elbo == pytest.approx(EVIDENCE - divergence, abs=5 * record.elbo_error + 0.005)
    assert record.converged
    assert record.k_hat < 0.7


def test_meanfield_has_conditional_variances() -> None:
    x = approximate(gaussian(), "meanfield").samples["x"][0]
    # Five standard errors of a variance in as many draws, and 2 % for the optimiser.
    np.testing.assert_allclose(x.var(axis=0) * np.diag(PRECISION), 1, atol=5 * np.sqrt(2 / COUNT) + 0.02)
    np.testing.assert_allclose(np.corrcoef(x.T), np.eye(3), atol=5 / np.sqrt(COUNT))


def test_pathfinder_is_near_and_importance_resampling_takes_it_there() -> None:
    plain, chosen = (
        approximate(gaussian(), "pathfinder", importance_resampling=choose) for choose in (False, True)
    )
    assert EVIDENCE - record_of(plain).elbo < 0.05  # a divergence that no picture would show
    assert record_of(plain).k_hat < 0.5
    assert record_of(chosen).resampled
    assert record_of(chosen).draws == 10 * COUNT
    x = chosen.samples["x"]
    for i in range(3):
        assert_mean(x[..., i], MEAN[i], f"mean {i}")
        for j in range(i + 1):
            product = (x[..., i] - MEAN[i]) * (x[..., j] - MEAN[j])
            assert_mean(product, COVARIANCE[i, j], f"covariance {i}, {j}")


def heavy_tailed() -> Toy:
    """Twenty independent Cauchy variables: no normal covers their tails."""
    import jax.numpy as jnp

    def density(q: Any, data: Any) -> Any:
        return -jnp.sum(jnp.log1p(q**2 / data["scale"]))

    return Toy("heavy", 20, {"scale": np.array(1.0)}, density, lambda q, data: {"x": q})


@pytest.mark.parametrize("algorithm", ENGINES)
def test_what_no_normal_can_cover_is_not_trusted(algorithm: str) -> None:
    record = record_of(approximate(heavy_tailed(), algorithm))
    assert record.k_hat > 0.7
    assert not record.trusted
    assert "do not trust" in record.verdict
    # In 4000 draws from a normal the funnel's k-hat is anything from 0.5 to 1; that they are few draws' worth is sure.
    assert record_of(approximate(funnel(), algorithm)).efficiency < 0.2


@pytest.mark.parametrize("algorithm", ENGINES)
def test_draws_statistics_and_record_belong_together(algorithm: str) -> None:
    draws = approximate(gaussian(), algorithm, output_samples=500)
    assert draws.unconstrained.shape == (1, 500, 3)
    np.testing.assert_array_equal(draws.samples["x"], draws.unconstrained)
    np.testing.assert_allclose(draws.samples["exp_first"], np.exp(draws.unconstrained[..., 0]), rtol=1e-12)
    deviation = draws.unconstrained - MEAN
    density = -0.5 * np.einsum("cdi,ij,cdj->cd", deviation, PRECISION, deviation)
    np.testing.assert_allclose(draws.stats["lp"], density, rtol=1e-9, atol=1e-12)
    assert sorted(draws.stats) == ["lp", "lq"]
    again = quality(algorithm, draws.stats["lp"][0], draws.stats["lq"][0])
    assert (again.k_hat, again.elbo) == (record_of(draws).k_hat, record_of(draws).elbo)
    assert record_of(draws).algorithm == algorithm
    assert draws.complete


@pytest.mark.parametrize("algorithm", ENGINES)
def test_bits_depend_on_the_seed_alone(algorithm: str) -> None:
    first = bits(approximate(gaussian(), algorithm, cores=1, output_samples=300))
    assert bits(approximate(gaussian(), algorithm, cores=4, output_samples=300)) == first
    other = approximate(gaussian(), algorithm, seed=12, output_samples=300)
    assert bits(other)["unconstrained"] != first["unconstrained"]
    longer = approximate(gaussian(), algorithm, output_samples=600)
    assert longer.unconstrained[:, :300].tobytes() == first["unconstrained"]


@pytest.mark.parametrize("algorithm", ENGINES)
def test_numbers_are_arguments(algorithm: str) -> None:
    approximate(gaussian(), algorithm)
    before = compilations()
    approximate(
        gaussian(MEAN + 1, COVARIANCE * 2), algorithm, seed=3, chains=2, iterations=900, output_samples=70
    )
    assert compilations() == before


@pytest.mark.parametrize("shape", [0.2, 0.6, 0.9])
def test_k_hat_is_the_tail_index_of_the_ratios(shape: float) -> None:
    ratios = stats.genpareto(shape, loc=1.0).rvs(size=20_000, random_state=4)
    weights, k_hat = importance_weights(np.log(ratios), np.zeros(20_000))
    # 3 sqrt(20 000) = 424 draws in the tail; the standard error of its index is (1 + k) / sqrt(424).
    assert k_hat == pytest.approx(shape, abs=4 * (1 + shape) / np.sqrt(424))
    assert weights.sum() == pytest.approx(1)
    bulk = ratios < np.quantile(ratios, 0.9)
    np.testing.assert_allclose(
        weights[bulk] / weights[bulk].sum(), ratios[bulk] / ratios[bulk].sum(), rtol=1e-9
    )


def test_ratios_that_say_nothing_or_everything() -> None:
    lp = np.linspace(-3, 0, 100)
    assert importance_weights(lp, lp + 2)[1] == -np.inf
    assert "is the posterior" in quality("fullrank", lp, lp + 2).verdict
    assert importance_weights(lp[:10], np.zeros(10))[1] == np.inf
    assert "too few" in quality("fullrank", lp[:10], np.zeros(10)).verdict
    assert importance_weights(np.full(100, -np.inf), lp)[1] == np.inf
    lp[3], lp[4] = -np.inf, np.nan
    weights, _ = importance_weights(lp, np.zeros(100))
    assert weights[3] == weights[4] == 0
    assert weights.sum() == pytest.approx(1)


def test_a_good_normal_is_not_condemned_by_the_shape_of_small_differences() -> None:
    """A logit of a Beta(8, 3) variable is nearly normal: the best normal is 0.01 away, and its ratios nearly equal. The
    few in the tail of a mountain with a flat top give a k-hat of anything."""
    record = record_of(approximate(beta_binomial(7, 2), "fullrank"))
    evidence = (
        float(np.log(7) + np.sum(np.log(np.arange(1, 7))))
        + np.log(2)
        - float(np.sum(np.log(np.arange(1, 11))))
    )
    assert evidence - record.elbo < 0.02
    assert record.efficiency > 0.95
    assert record.even
    assert record.trusted


def wrong_by(shift: np.ndarray) -> Draws:
    density = build_density(gaussian(), ("log_densities", "parameters"))
    normal = CholeskyNormal(MEAN + shift * np.sqrt(np.diag(COVARIANCE)), np.linalg.cholesky(COVARIANCE))
    return draw(density, Found(normal, True, 1, Timings()), replace(SETTINGS, algorithm="fullrank"))


def test_a_mean_that_is_moved_is_named() -> None:
    record = record_of(wrong_by(np.array([0.0, -0.4, 0.0])))
    assert record.moved == "q[2]"
    assert record.shift == pytest.approx(-0.4, abs=0.1)
    assert not record.trusted
    assert "moves the mean of `q[2]`" in record.verdict
    assert record_of(wrong_by(np.zeros(3))).moved == ""


def test_draws_without_a_density_are_made_again() -> None:
    toy = narrow(1.0)
    density = build_density(toy, ("log_densities", "parameters"))
    found = Found(DiagonalNormal(np.zeros(4), np.ones(4)), True, 1, Timings())
    draws = draw(density, found, SETTINGS)
    assert (np.abs(draws.unconstrained[..., 1]) < 1).all()
    assert draws.unconstrained.shape == (1, COUNT, 4)
    (note,) = draws.notes
    tried = int(note.split(" of ")[1].split()[0])
    inside = stats.norm.cdf(1) - stats.norm.cdf(-1)
    assert COUNT / tried == pytest.approx(inside, abs=5 * np.sqrt(inside * (1 - inside) / tried))
    far = Found(DiagonalNormal(np.full(4, 50.0), np.ones(4)), True, 1, Timings())
    with pytest.raises(SamplingError, match="Only 0 of"):
        draw(density, far, SETTINGS)


def test_resampling_is_without_replacement() -> None:
    weights = np.repeat([0.0, 1.0, 3.0], 100)
    weights /= weights.sum()
    chosen = np.stack([resampled(weights, 20, np.random.default_rng(i)) for i in range(200)])
    assert (np.diff(chosen, axis=1) > 0).all()
    assert chosen.min() >= 100
    # Twenty of two hundred: the shares are still nearly those of the weights.
    assert (chosen >= 200).mean() == pytest.approx(0.74, abs=0.03)
    np.testing.assert_array_equal(
        resampled(np.array([0.0, 0.5, 0.5]), 4, np.random.default_rng(1)), [1, 1, 2, 2]
    )


def test_an_optimiser_that_is_stopped_says_so() -> None:
    short = approximate(gaussian(), "meanfield", iterations=60)
    assert not record_of(short).converged
    assert record_of(short).steps == 60
    with pytest.raises(SamplingError, match="time budget"):
        approximate(gaussian(), "fullrank", time_budget=1e-9)


def test_too_many_coordinates_for_a_full_covariance() -> None:
    wide = gaussian(np.zeros(1001), np.eye(1001))
    with pytest.raises(BayesmlmError, match=r'1001 coordinates.*use algorithm="meanfield"'):
        approximate(wide, "fullrank")


@pytest.mark.parametrize("exact", [True, False])
def test_nuts_starts_around_the_mode(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exact:
        monkeypatch.setattr(laplace_start, "LARGEST_HESSIAN", 2)
    settings = replace(LONG, init="laplace")
    start = laplace_start.laplace_start(gaussian(), settings)
    # The search's own estimate of the curvature is rough, and read off a thousand draws.
    np.testing.assert_allclose(start.inverse_mass, np.diag(COVARIANCE), rtol=1e-6 if exact else 0.25)
    distance = np.einsum("ci,ij,cj->c", start.points - MEAN, PRECISION, start.points - MEAN)
    assert (distance < 3 * laplace_start.CUT**2 * (1.01 if exact else 1.3)).all()
    assert np.unique(start.points).size == start.points.size
    if exact:
        draws = sample(gaussian(), settings, progress=False)
        assert draws.settings.init == "laplace"
        for i in range(3):
            assert_mean(draws.samples["x"][..., i], MEAN[i], f"mean {i}")
        assert bits(sample(gaussian(), replace(settings, cores=1), progress=False)) == bits(draws)


def test_a_checkpoint_goes_on_from_a_laplace_start(tmp_path: Any) -> None:
    settings = replace(LONG, init="laplace", iterations=400)
    whole = sample(gaussian(), replace(settings, iterations=450), progress=False)
    sample(gaussian(), settings, progress=False, checkpoint=tmp_path / "run")
    resumed = sample(
        gaussian(),
        replace(settings, iterations=450),
        progress=False,
        checkpoint=tmp_path / "run",
        resume=True,
    )
    assert bits(resumed) == bits(whole)
