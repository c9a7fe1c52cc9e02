"""Warnings about draws name what is wrong and where."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.inference.protocol import SamplerSettings
from bayesmlm.results import diagnose, layout

from .helpers import tree


def test_good_draws_say_nothing() -> None:
    assert diagnose.messages(tree(draws=1000), SamplerSettings()) == []


def test_a_chain_apart_and_divergences_are_named() -> None:
    fitted = tree(draws=1000)
    fitted["posterior"]["nu"].to_numpy()[2] += 3
    fitted["sample_stats"]["diverging"].to_numpy()[0, :5] = True
    found = diagnose.messages(fitted, SamplerSettings(adapt_delta=0.9))
    assert "5 divergent transitions" in found[0]
    assert "0.9" in found[0]
    assert any("nu (" in message for message in found[1:])


def test_table_leaves_out_many_group_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    few = diagnose.convergence_table(tree())
    assert "r_Subject[308,Intercept]" in few.index
    assert "lp__" not in few.index
    monkeypatch.setattr(diagnose, "MOST_GROUP_EFFECTS", 3)
    assert not any(name.startswith("r_") for name in diagnose.convergence_table(tree()).index)


def test_constant_parameters_are_passed_over() -> None:
    fitted = tree(draws=1000, which=[layout.intercept(), layout.quantity("sigma")])
    fitted["posterior"]["sigma"].to_numpy()[:] = 1
    assert np.isnan(diagnose.convergence_table(fitted).loc["sigma", "Rhat"])
    assert diagnose.messages(fitted, SamplerSettings()) == []
