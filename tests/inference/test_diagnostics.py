"""Messages about convergence: which, when, naming what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from bayesmlm.inference.diagnostics import convergence_messages, energy_bfmi
from bayesmlm.inference.protocol import SamplerSettings

SETTINGS = SamplerSettings(chains=4, adapt_delta=0.8, max_treedepth=10)
GOOD = {"b_Intercept": 1.002, "b_x": 1.001, "sigma": float("nan")}
PLENTY = {"b_Intercept": 3000.0, "b_x": 2500.0, "sigma": float("nan")}
RANDOM = np.random.default_rng(3)


def stats(divergent: int = 0, deep: int = 0, sticky: tuple[int, ...] = ()) -> dict[str, Any]:
    diverging, reached = np.zeros((4, 1000), bool), np.zeros((4, 1000), bool)
    diverging.flat[:divergent] = True
    reached.flat[:deep] = True
    energy = RANDOM.normal(size=(4, 1000))
    for chain in sticky:
        energy[chain] = np.cumsum(energy[chain])
    return {"diverging": diverging, "reached_max_treedepth": reached, "energy": energy}


def test_nothing_to_say() -> None:
    assert convergence_messages(stats(), SETTINGS, GOOD, PLENTY, PLENTY) == []


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one divergence": (
        {"stats": stats(divergent=1)},
        ["There was 1 divergent transition after warm-up (0.0% of the draws)"],
    ),
    "divergences": (
        {"stats": stats(divergent=12)},
        [
            "There were 12 divergent transitions after warm-up (0.3% of the draws)",
            'adapt_delta above 0.8, say control={"adapt_delta": 0.95}',
        ],
    ),
    "tree depth": (
        {"stats": stats(deep=1000)},
        ["25% of the draws (1000) reached the maximum tree depth of 10.", 'control={"max_treedepth": 12}'],
    ),
    "energy": ({"stats": stats(sticky=(1, 3))}, ["Chains 2, 4 had an E-BFMI below 0.3 (lowest 0.0"]),
    "energy of one chain": ({"stats": stats(sticky=(2,))}, ["Chain 3 had an E-BFMI below 0.3"]),
    "rhat": (
        {"rhat": {"b_x": 1.02, "sd_g__Intercept": 1.5, "sigma": 1.0}},
        [
            "Rhat is above 1.01 for 2 of 3 parameters: sd_g__Intercept (1.500), b_x (1.020). ",
            "Run more iterations;",
        ],
    ),
    "rhat of many": (
        {"rhat": {f"r_g[{i}]": 1 + i / 100 for i in range(9)}},
        ["for 7 of 9 parameters: r_g[8] (1.080), r_g[7] (1.070), r_g[6] (1.060) and others."],
    ),
    "bulk": (
        {"ess_bulk": {"b_x": 399.0, "sigma": 401.0}},
        ["Bulk effective sample size is below 400 for 1 of 2 parameters: b_x (399). ", "means and medians"],
    ),
    "tail": (
        {"ess_tail": {"b_x": 80.0}},
        ["Tail effective sample size is below 400 for 1 of 1 parameter: b_x (80)"],
    ),
}


@pytest.mark.parametrize(("given", "parts"), CASES.values(), ids=CASES)
def test_message(given: dict[str, Any], parts: list[str]) -> None:
    arguments = {"stats": stats(), "rhat": GOOD, "ess_bulk": PLENTY, "ess_tail": PLENTY} | given
    (message,) = convergence_messages(settings=SETTINGS, **arguments)
    assert all(part in message for part in parts), message


def test_the_gravest_comes_first_and_one_chain_is_mentioned() -> None:
    settings = replace(SETTINGS, chains=1)
    messages = convergence_messages(stats(divergent=3), settings, {"b": 1.2}, {"b": 5.0}, {"b": 5.0})
    assert [message.split()[0] for message in messages] == ["There", "Rhat", "Bulk", "Tail"]
    assert "more than one chain" in messages[1]


def test_bfmi_is_arviz_s() -> None:
    energy = stats(sticky=(0, 2))["energy"]
    # ArviZ divides the two sums by their own counts: draws - 1 changes, draws deviations.
    np.testing.assert_allclose(energy_bfmi(energy), array_stats.bfmi(energy), rtol=2e-3)
    assert np.isnan(energy_bfmi(np.ones((1, 100)))).all()
    assert np.isnan(energy_bfmi(energy[:, :2])).all()
