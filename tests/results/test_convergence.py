"""Against R's posterior 1.4 (tests/reference/make_convergence.R), to rounding: the algorithm is the same."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.results import convergence as c
from bayesmlm.results.tables import summarise_draws

from .helpers import reference

FUNCTIONS = {
    "rhat": c.rhat,
    "ess_bulk": c.ess_bulk,
    "ess_tail": c.ess_tail,
    "ess_mean": c.ess_mean,
    "ess_q30": lambda x: c.ess_quantile(x, 0.3),
    "mcse_mean": c.mcse_mean,
    "mcse_sd": c.mcse_sd,
    "mcse_q30": lambda x: c.mcse_quantile(x, 0.3),
}
# The reference keeps 12 digits.
EXACT = {"rtol": 1e-9, "atol": 1e-12}


def made_up() -> tuple[np.ndarray, dict[str, list[float]]]:
    given = reference("convergence")
    draws = np.array(list(given["draws"].values()), dtype=float)
    rows = given["expected"].values()
    return draws, {
        name: [np.nan if row[name] is None else row[name] for row in rows] for name in next(iter(rows))
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_as_posterior(name: str) -> None:
    draws, expected = made_up()
    np.testing.assert_allclose(FUNCTIONS[name](draws), expected[name], **EXACT)


def test_the_three_of_a_summary_together() -> None:
    draws, expected = made_up()
    found = c.convergence(draws)
    for name in ("rhat", "ess_bulk", "ess_tail"):
        np.testing.assert_allclose(getattr(found, name), expected[name], **EXACT)


@pytest.mark.parametrize(("robust", "centre", "spread"), [(False, "mean", "sd"), (True, "median", "mad")])
def test_estimates_same_as_r(robust: bool, centre: str, spread: str) -> None:
    draws, expected = made_up()
    columns = [expected[name] for name in (centre, spread, "q2.5", "q97.5")]
    np.testing.assert_allclose(summarise_draws(draws, robust=robust), np.transpose(columns), **EXACT)


def test_many_blocks_give_what_single_parameters_give() -> None:
    draws = np.random.default_rng(1).normal(size=(300, 4, 250))
    whole = c.convergence(draws)
    for row in (0, 150, 299):
        one = c.convergence(draws[row : row + 1])
        assert (whole.rhat[row], whole.ess_tail[row]) == (one.rhat[0], one.ess_tail[0])


def test_order_of_chains_does_not_matter_and_units_neither() -> None:
    draws = np.random.default_rng(2).normal(size=(3, 4, 100))
    np.testing.assert_allclose(c.rhat(1e6 * draws[:, ::-1] - 3), c.rhat(draws), rtol=1e-9)


def test_autoregressive_chain_has_the_effective_size_of_theory() -> None:
    # For an AR(1) with coefficient r the mean has n (1 - r) / (1 + r) effective draws; 40 000 draws give the
    # estimate a relative error of a few per cent.
    rng, r = np.random.default_rng(3), 0.6
    noise = rng.normal(size=(1, 4, 10_000))
    chain = noise.copy()
    for t in range(1, chain.shape[2]):
        chain[:, :, t] = r * chain[:, :, t - 1] + noise[:, :, t]
    assert c.ess_mean(chain)[0] == pytest.approx(40_000 * (1 - r) / (1 + r), rel=0.1)


def test_nothing_and_not_finite() -> None:
    assert c.convergence(np.empty((0, 4, 100))).rhat.shape == (0,)
    draws = np.random.default_rng(4).normal(size=(2, 4, 20))
    draws[1, 0, 3] = np.inf
    assert np.isnan(c.rhat(draws)).tolist() == [False, True]
