"""Where chains start, and what is said when they cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bayesmlm.errors import SamplingError
from bayesmlm.inference.initial import starting_point
from bayesmlm.inference.nuts import build_driver
from bayesmlm.inference.sample import sample

from .toys import SETTINGS, Toy, gaussian

NAMES = ("b_x", "sigma", "sigma", "r_g[1]")


def narrow(width: float) -> Toy:
    """Finite only where q[1] lies within ``width`` of zero."""
    import jax.numpy as jnp

    def density(q: Any, data: Any) -> Any:
        return jnp.log(data["width"] - q[1]) + jnp.log(data["width"] + q[1]) - 0.5 * jnp.sum(q**2)

    return Toy("narrow", 4, {"width": np.array(width)}, density, lambda q, data: {"x": q}, NAMES)


def not_a_number(where: tuple[int, ...]) -> Toy:
    """The gradient is not finite in some coordinates, at every point."""

    def density(q: Any, data: Any) -> Any:
        return -0.5 * (q * data["factor"]) @ q

    factor = np.ones(4)
    factor[list(where)] = np.nan
    return Toy("nan", 4, {"factor": factor}, density, lambda q, data: {"x": q}, NAMES)


def test_random_starts_are_uniform_within_the_radius() -> None:
    points = np.array(
        [starting_point(replace(SETTINGS, init=0.5), c, a, 50) for c in range(4) for a in range(9)]
    )
    assert (np.abs(points) <= 0.5).all()
    assert np.abs(points).max() > 0.49
    assert np.unique(points).size == points.size, "each chain and attempt has numbers of its own"


def test_given_starts_are_used() -> None:
    init = np.arange(12.0).reshape(4, 3)
    driver = build_driver(gaussian(), SETTINGS, 1)
    for chain in range(4):
        point = starting_point(replace(SETTINGS, init=init), chain, 0, 3)
        state = driver.start(1, np.array([chain]), point[None])
        np.testing.assert_array_equal(np.asarray(state.z)[0], init[chain])


@pytest.mark.parametrize("method", ["threads", "vectorized"])
def test_a_point_is_searched_for_until_the_density_is_finite(method: str) -> None:
    draws = sample(narrow(0.1), replace(SETTINGS, chain_method=method), progress=False)
    assert (np.abs(draws.unconstrained[..., 1]) < 0.1).all()


CANNOT = {
    "random": (
        narrow(1e-9),
        2.0,
        r"100 random points in ±2 .*chain 1 .*\(the last value was nan\).*from sigma\.",
    ),
    "zero": (narrow(-1.0), 0.0, r"the given starting point .*chain 1 .* Check that"),
    "gradient": (not_a_number((0, 3)), 2.0, r"from b_x, r_g\[1\]\. Check that"),
    "all": (not_a_number((0, 1, 2, 3)), 2.0, r"nan\)\. Check that the response"),
}


@pytest.mark.parametrize(("program", "init", "message"), CANNOT.values(), ids=CANNOT)
def test_the_parameter_is_named(program: Toy, init: float, message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        sample(program, replace(SETTINGS, init=init, cores=1), progress=False)


def test_only_the_chain_in_trouble_is_named() -> None:
    init = np.ones((4, 4))
    init[2, 1] = 3.0
    with pytest.raises(SamplingError, match=r"chain 3 .* from sigma\."):
        sample(narrow(2.0), replace(SETTINGS, init=init, cores=1), progress=False)


def test_a_program_may_explain_itself() -> None:
    @dataclass(frozen=True)
    class Explaining(Toy):
        def explain(self, q: np.ndarray) -> str | None:
            return f"Row 7 has a response of {-3}, outside the support; q has {q.size} elements."

    plain = narrow(1e-9)
    program = Explaining(plain.key, 4, plain.data, plain.density, plain.parameters, NAMES)
    with pytest.raises(
        SamplingError, match="Row 7 has a response of -3, outside the support; q has 4 elements"
    ):
        sample(program, SETTINGS, progress=False)
