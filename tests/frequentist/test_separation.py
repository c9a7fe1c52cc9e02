"""Coefficients without a finite estimate, held to all extreme directions of small designs in exact arithmetic."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesmlm.data.frame import Frame
from bayesmlm.families.registry import family
from bayesmlm.frequentist import separation as module
from bayesmlm.frequentist.generalised_checks import one_response
from bayesmlm.frequentist.generalised_design import GeneralisedDesign, build_generalised_design
from bayesmlm.frequentist.separation import separation

RNG = np.random.default_rng(20)
N = 240
X = RNG.normal(size=N)
F = np.array(list("abc"))[np.arange(N) % 3]
COIN = RNG.integers(0, 2, N)
DATA = pd.DataFrame(
    {
        "x": X,
        "w": RNG.normal(size=N),
        "f": F,
        "g": [f"g{i}" for i in RNG.integers(0, 12, N)],
        "y": COIN,
        "above": (X > 0.1).astype(int),
        "c_all": np.where(F == "c", 1, COIN),
        "a_none": np.where(F == "a", 0, COIN),
        "k": RNG.poisson(1.5, N),
        "b_zero": np.where(F == "b", 0, RNG.poisson(1.5, N)),
        "b_positive": np.where(F == "b", 1, 0) + RNG.poisson(1.5, N),
        "b_one": np.where(F == "b", RNG.integers(0, 2, N), RNG.poisson(1.5, N)),
        "size": 5,
        "c_five": np.where(F == "c", 5, RNG.integers(1, 5, N)),
        "counted": (F != "b").astype(float),
    }
)


def build(formula: str, name: str, data: pd.DataFrame = DATA, **arguments: Any) -> GeneralisedDesign:
    return build_generalised_design(one_response(formula), Frame.from_any(data), family(name), **arguments)


def infinite(texts: list[str]) -> list[str]:
    """The names between backquotes of a message."""
    (text,) = texts
    return text.split("`")[1::2]


FOUND: list[tuple[str, str, str, list[str]]] = [
    ("c_all ~ f", "bernoulli", "quasi-complete separation: in 80 of 240 rows", ["fc"]),
    ("c_all ~ f + x", "binomial", "`fc` (plus infinity) has no finite estimate", ["fc"]),
    ("c_all ~ f + x", "binomial('cloglog')", "quasi-complete", ["fc"]),
    ("a_none ~ f", "bernoulli", "the coefficients of", ["(Intercept)", "fb", "fc"]),
    ("a_none ~ 0 + f + x", "bernoulli", "`fa` (minus infinity) has no finite estimate", ["fa"]),
    ("a_none ~ f * x", "bernoulli", "80 of 240", ["(Intercept)", "fb", "fc", "x", "fb:x", "fc:x"]),
    ("above ~ x", "bernoulli", "complete separation: a combination of the", ["(Intercept)", "x"]),
    ("above ~ x + w", "bernoulli('probit')", "in every row", ["(Intercept)", "x", "w"]),
    ("c_five | trials(size) ~ f + x", "binomial", "80 of 240 rows", ["fc"]),
    ("c_five | trials(size) ~ f", "beta_binomial", "80 of 240 rows", ["fc"]),
    ("b_zero ~ f + x", "poisson", "the population columns of 80 of 240 rows go with zeros only", ["fb"]),
    ("b_zero ~ f", "negbinomial", "`fb` (minus infinity) has no finite estimate", ["fb"]),
    ("b_zero ~ f", "zero_inflated_poisson", "go with zeros only", ["fb"]),
    ("bf(b_zero ~ x + (1 | g), hu ~ f)", "hurdle_poisson", "hu: quasi-complete", ["fb"]),
    ("bf(b_positive ~ x + (1 | g), zi ~ f)", "zero_inflated_poisson", "zi: quasi-complete", ["fb"]),
    ("b_one ~ f", "hurdle_poisson", "go with responses of 1 only", ["fb"]),
]


@pytest.mark.parametrize(("formula", "name", "text", "columns"), FOUND, ids=lambda value: str(value)[:40])
def test_found(formula: str, name: str, text: str, columns: list[str]) -> None:
    found = separation(build(formula if formula.startswith("bf") else f"{formula} + (1 | g)", name))
    assert text in found[0]
    assert infinite(found) == columns


FINITE: list[tuple[str, str]] = [
    ("y ~ f * x", "bernoulli"),
    ("above ~ w + f", "bernoulli"),
    ("c_all ~ x", "bernoulli"),
    ("c_five | trials(size) ~ x", "binomial"),
    ("k ~ f * x", "poisson"),
    ("b_zero ~ x", "poisson"),
    ("b_zero ~ f", "poisson('identity')"),  # the mean may be 0 at a finite coefficient
    ("b_one ~ f", "poisson"),
    ("b_one ~ f", "zero_inflated_negbinomial"),
    ("y ~ 0", "bernoulli"),
]


@pytest.mark.parametrize(("formula", "name"), FINITE)
def test_finite(formula: str, name: str) -> None:
    assert separation(build(f"{formula} + (1 | g)", name)) == []


def test_rows_without_weight_do_not_count() -> None:
    design = build("y ~ f + (1 | g)", "bernoulli", DATA.assign(y=np.where(F == "b", 1, COIN)))
    assert infinite(separation(design)) == ["fb"]
    mixed = DATA.assign(y=np.where((F == "b") & (np.arange(N) > 30), 1, COIN), late=(np.arange(N) > 30) * 1.0)
    assert separation(build("y ~ f + (1 | g)", "bernoulli", mixed)) == []
    assert infinite(separation(build("y ~ f + (1 | g)", "bernoulli", mixed, weights="late"))) == ["fb"]


@pytest.mark.parametrize("column", ["1e6 * x", "1e-9 * x", "1000 + x / 100"])
def test_units_and_origins_change_nothing(column: str) -> None:
    for response in ("above", "y"):
        found = separation(build(f"{response} ~ I({column}) + f + (1 | g)", "bernoulli"))
        assert len(found) == (response == "above")


def test_many_distinct_rows_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    design = build("above ~ x + (1 | g)", "bernoulli")
    monkeypatch.setattr(module, "MOST_ROWS", N - 1)
    assert separation(design) == []
    monkeypatch.setattr(module, "MOST_ROWS", 3)  # counted without the grouping: three levels
    assert infinite(separation(build("c_all ~ f + (1 | g)", "bernoulli"))) == ["fc"]


def test_rows_that_differ_in_the_last_digit_are_two_rows() -> None:
    """Columns whose differences are lost in the combination that rows are sorted by."""
    near = np.where(np.arange(N) % 2, 1.0, np.nextafter(1.0, 2.0))
    matrix = np.column_stack([1e9 * (np.arange(N) % 4), near])
    grouped = module._distinct_rows(matrix)
    assert grouped is not None
    first, codes = grouped
    assert len(first) == 4
    np.testing.assert_array_equal(matrix[first][codes], matrix)


def rays(rows: np.ndarray, sides: np.ndarray) -> list[np.ndarray]:
    """The extreme directions d, in whole numbers, of the cone sides * (rows @ d) >= 0 (= 0 where the side is 0).

    With three independent columns each lies where two rows are zero: all pairs are tried.
    """
    found = []
    for i, j in combinations(range(len(rows)), 2):
        direction = np.cross(rows[i], rows[j])
        for d in (direction, -direction):
            moved = rows @ d
            if d.any() and (sides * moved >= 0).all() and not moved[sides == 0].any():
                found.append(d)
    return found


@pytest.mark.parametrize("name", ["bernoulli", "poisson"])
def test_all_directions_of_small_designs(name: str) -> None:
    """The coefficients and rows that any direction moves, by brute force, for designs of three columns."""
    random = np.random.default_rng(5)
    outcomes = {"finite": 0, "some": 0, "all": 0}
    for _ in range(120):
        n = int(random.integers(5, 9))
        a, b = random.integers(-2, 3, n), random.integers(0, 2, n)
        y = random.integers(0, 2 if name == "bernoulli" else 3, n) * random.integers(0, 2, n)
        matrix = np.column_stack([np.ones(n, dtype=int), a, b])
        constant = not y.any() or (y == y[0]).all()
        if constant or np.linalg.matrix_rank(matrix) < 3:
            continue
        data = pd.DataFrame({"y": y, "a": a, "b": b, "g": np.arange(n) % 2})
        found = separation(build("y ~ a + b + (1 | g)", name, data))
        sides = np.where(y > 0, 1, -1) if name == "bernoulli" else np.where(y > 0, 0, -1)
        directions = rays(matrix, sides)
        names = np.array(["(Intercept)", "a", "b"])
        want = list(names[np.any([d != 0 for d in directions], axis=0)]) if directions else []
        moved = np.any([matrix @ d != 0 for d in directions], axis=0) if directions else np.zeros(n, bool)
        assert (infinite(found) if found else []) == want
        assert ("complete separation" in "".join(found)[:19]) == (bool(moved.all()) and name == "bernoulli")
        if found and "in every row" not in found[0]:
            assert f"{moved.sum()} of {n} rows" in found[0]
        outcomes["all" if moved.all() else "some" if moved.any() else "finite"] += 1
    assert min(outcomes["finite"], outcomes["some"]) > 5
    assert (outcomes["all"] > 5) == (name == "bernoulli")  # counts that are not zero hold their rows
