"""The sampler against closed forms, and the promises on bits and compilations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from arviz_stats.base.array import array_stats
from scipy import stats as distributions

from bayesmlm.errors import SamplingError
from bayesmlm.inference import lanes, nuts
from bayesmlm.inference.compile_cache import compilations, forget_programs
from bayesmlm.inference.protocol import SamplerSettings
from bayesmlm.inference.sample import sample

from .toys import COVARIANCE, MEAN, SETTINGS, beta_binomial, bits, funnel, gaussian

LONG = replace(SETTINGS, iterations=1300)
# Five Monte Carlo standard errors: a right sampler fails one comparison in two million.
ERRORS = 5.0


def assert_mean(values: np.ndarray, expected: float, what: str) -> None:
    """The mean of ``values`` (chain, draw) is ``expected`` within its Monte Carlo error, by ArviZ."""
    error = values.std() / np.sqrt(array_stats.ess(values, method="mean"))
    assert abs(values.mean() - expected) < ERRORS * error, (
        f"{what}: {values.mean()} ± {error}, not {expected}"
    )


@pytest.mark.parametrize("method", ["threads", "vectorized"])
def test_gaussian_moments(method: str) -> None:
    draws = sample(gaussian(), replace(LONG, chain_method=method), progress=False)
    x = draws.samples["x"]
    assert x.shape == (4, 1000, 3)
    for i in range(3):
        assert_mean(x[..., i], MEAN[i], f"mean {i}")
        for j in range(i + 1):
            product = (x[..., i] - MEAN[i]) * (x[..., j] - MEAN[j])
            assert_mean(product, COVARIANCE[i, j], f"covariance {i}, {j}")


def test_beta_posterior() -> None:
    p = sample(beta_binomial(7, 2), LONG, progress=False).samples["p"]
    exact = distributions.beta(8, 3)
    assert_mean(p, exact.mean(), "mean")
    assert_mean((p - exact.mean()) ** 2, exact.var(), "variance")
    for probability in (0.05, 0.5, 0.95):
        assert_mean((p < exact.ppf(probability)).astype(float), probability, f"quantile {probability}")


def test_statistics_agree_with_the_draws() -> None:
    program = gaussian()
    draws = sample(program, SETTINGS, progress=False)
    deviation = draws.unconstrained - MEAN
    density = -0.5 * np.einsum("cdi,ij,cdj->cd", deviation, np.linalg.inv(COVARIANCE), deviation)
    np.testing.assert_allclose(draws.stats["lp"], density, rtol=1e-10)  # the same sum in another order
    np.testing.assert_array_equal(draws.samples["x"], draws.unconstrained)
    np.testing.assert_allclose(draws.samples["exp_first"], np.exp(draws.unconstrained[..., 0]), rtol=1e-12)
    kinetic = draws.stats["energy"] + draws.stats["lp"]
    assert (kinetic > 0).all()
    # Potential plus kinetic energy of a Gaussian in three dimensions: half a chi-squared of six degrees.
    assert_mean(draws.stats["energy"], 3.0, "energy")
    steps, depth = draws.stats["n_steps"], draws.stats["tree_depth"]
    assert ((2**depth - 1 <= steps) & (steps < 2 ** (depth + 1) - 1)).all()
    assert (np.ptp(draws.stats["step_size"], axis=1) == 0).all(), "the step size is fixed after warm-up"
    assert 0.7 < draws.stats["acceptance_rate"].mean() < 0.98  # adapt_delta is 0.8


def test_types() -> None:
    draws = sample(gaussian(), SETTINGS, progress=False)
    assert {name: values.dtype for name, values in draws.stats.items()} == {
        name: np.dtype(kind) for name, kind in nuts.STATISTICS.items()
    }
    assert all(values.dtype == np.float64 for values in [draws.unconstrained, *draws.samples.values()])
    assert draws.complete
    assert draws.timings.total > 0


def test_funnel_diverges_less_with_smaller_steps() -> None:
    counts = [
        sample(funnel(), replace(SETTINGS, adapt_delta=delta), progress=False).stats["diverging"].sum()
        for delta in (0.5, 0.99)
    ]
    assert counts[0] > 10 * counts[1] >= 0


def test_tree_depth_is_limited_and_reported() -> None:
    wide = gaussian(np.zeros(3), np.diag([1.0, 1.0, 1e6]))
    # No warm-up: the step size stays at 1 and the scale unknown, so that every trajectory is cut.
    stats = sample(wide, replace(SETTINGS, iterations=30, warmup=0, max_treedepth=2), progress=False).stats
    assert stats["n_steps"].max() == 3
    assert stats["reached_max_treedepth"].any()
    np.testing.assert_array_equal(stats["reached_max_treedepth"], stats["n_steps"] == 3)


def test_bits_do_not_depend_on_threads() -> None:
    drawn = [bits(sample(gaussian(), replace(SETTINGS, cores=cores), progress=False)) for cores in (1, 2, 4)]
    assert drawn[0] == drawn[1] == drawn[2]


@pytest.mark.parametrize("chunk", [1, 7, 37, 64, 100])
def test_bits_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Some of these sizes meet the ends of the adaptation windows, some do not."""
    settings = replace(SETTINGS, chains=1)
    usual = bits(sample(gaussian(), settings, progress=False))
    monkeypatch.setattr(lanes, "_next_chunk", lambda *pace: chunk)
    assert bits(sample(gaussian(), settings, progress=False)) == usual


def test_bits_do_not_depend_on_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, chains=1)
    usual = bits(sample(gaussian(), settings, progress=False))
    bytes_per_iteration = 8 * (3 + 6 + 4)
    monkeypatch.setattr(nuts, "CHUNK_BYTES", 37 * bytes_per_iteration)
    forget_programs()
    assert nuts.build_driver(gaussian(), settings, 1).capacity == 37
    assert bits(sample(gaussian(), settings, progress=False)) == usual
    forget_programs()


def test_a_chain_depends_on_seed_and_number_alone() -> None:
    four = sample(gaussian(), SETTINGS, progress=False).unconstrained
    two = sample(gaussian(), replace(SETTINGS, chains=2), progress=False).unconstrained
    other = sample(gaussian(), replace(SETTINGS, seed=12), progress=False).unconstrained
    np.testing.assert_array_equal(four[:2], two)
    assert not np.isin(four[0, :, 0], four[1, :, 0]).any()
    assert not np.isin(other[..., 0], four[..., 0]).any()


@pytest.mark.parametrize("thin", [2, 7])
def test_thinning_keeps_every_nth_draw(monkeypatch: pytest.MonkeyPatch, thin: int) -> None:
    settings = replace(SETTINGS, chains=1)
    everything = sample(gaussian(), settings, progress=False)
    monkeypatch.setattr(
        lanes, "CHUNK_SECONDS", 1e-4
    )  # chunks of a few iterations, most no multiple of `thin`
    thinned = sample(gaussian(), replace(settings, thin=thin), progress=False)
    np.testing.assert_array_equal(thinned.unconstrained, everything.unconstrained[:, ::thin])
    np.testing.assert_array_equal(thinned.stats["lp"], everything.stats["lp"][:, ::thin])


def test_what_compiles() -> None:
    """Numbers are arguments: only a structure, shapes, warm-up or tree depth that is new compiles."""
    sample(gaussian(), SETTINGS, progress=False)
    before = compilations()
    sample(gaussian(), SETTINGS, progress=False)
    sample(gaussian(MEAN + 1, COVARIANCE * 2), SETTINGS, progress=False)
    longer = replace(SETTINGS, iterations=700, chains=3, seed=5, adapt_delta=0.9, thin=3, init=0.5)
    sample(gaussian(), longer, progress=False)
    assert compilations() == before
    sample(gaussian(MEAN[:2], COVARIANCE[:2, :2]), SETTINGS, progress=False)
    assert compilations() == before + 2


WRONG = {
    "chains": replace(SETTINGS, chains=0),
    "warmup": replace(SETTINGS, warmup=600),
    "thin": replace(SETTINGS, thin=0),
    "seed": replace(SETTINGS, seed=-1),
    "adapt_delta": replace(SETTINGS, adapt_delta=1.0),
    "max_treedepth": replace(SETTINGS, max_treedepth=0),
    "cores": replace(SETTINGS, cores=0),
    "time_budget": replace(SETTINGS, time_budget=0.0),
    "radius": replace(SETTINGS, init=-1.0),
    r"init must have the shape \(chains, dimension\) = \(4, 3\), not \(4, 2\)": replace(
        SETTINGS, init=np.zeros((4, 2))
    ),
    "chain_method": replace(SETTINGS, chain_method="processes"),
}


@pytest.mark.parametrize(("message", "settings"), WRONG.items(), ids=[w.split()[0] for w in WRONG])
def test_wrong_settings_are_named(message: str, settings: SamplerSettings) -> None:
    with pytest.raises(SamplingError, match=message):
        sample(gaussian(), settings, progress=False)
