"""In which order factors are eliminated: what is a chain of nested factors, and what the dense block."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.errors import DataError
from bayesmlm.marginal import plan as plan_module
from bayesmlm.marginal.plan import Plan, make_plan

N = 600
RNG = np.random.default_rng(6)
PUPIL = np.arange(N) // 3
CLASS = PUPIL // 5
SCHOOL = CLASS // 4
DISTRICT = SCHOOL // 3
ITEM = RNG.integers(0, 7, N)
RATER = RNG.integers(0, 25, N)
COPY = SCHOOL[::-1].max() - SCHOOL  # the same partition under other codes

CASES: list[tuple[str, list[tuple[np.ndarray, int]], list[int], list[int]]] = [
    ("one", [(SCHOOL, 2)], [0], []),
    ("nested in four", [(DISTRICT, 1), (PUPIL, 1), (SCHOOL, 2), (CLASS, 1)], [1, 3, 2, 0], []),
    ("crossed", [(ITEM, 1), (RATER, 1)], [1], [0]),
    ("crossed: the one with more effects leads", [(RATER, 1), (ITEM, 5)], [1], [0]),
    ("nested and crossed", [(CLASS, 1), (ITEM, 1), (SCHOOL, 1)], [0, 2], [1]),
    ("two chains: the larger", [(SCHOOL, 1), (RATER, 1), (CLASS, 2), (RATER // 5, 1)], [2, 0], [1, 3]),
    ("the same partition twice", [(SCHOOL, 1), (COPY, 1)], [0, 1], []),
    ("a factor of one level", [(SCHOOL, 1), (np.zeros(N, dtype=int), 1)], [0, 1], []),
]


def planned(groups: list[tuple[np.ndarray, int]]) -> Plan:
    return make_plan([(codes, int(codes.max()) + 1, size) for codes, size in groups])


@pytest.mark.parametrize(
    ("groups", "chain", "trailing"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_order_of_elimination(
    groups: list[tuple[np.ndarray, int]], chain: list[int], trailing: list[int]
) -> None:
    plan = planned(groups)
    found = [
        [number for factor in part for number, _ in factor.terms] for part in (plan.chain, plan.trailing)
    ]
    assert found == [chain, trailing]
    for (i, j), parent in plan.parents.items():
        assert np.array_equal(parent[plan.chain[i].codes], plan.chain[j].codes)
    assert len(plan.parents) == len(chain) * (len(chain) - 1) // 2
    assert plan.width == sum(f.effects for f in plan.trailing)
    ends = [start + f.effects for start, f in zip(plan.starts, plan.trailing, strict=True)]
    assert [0, *ends] == [*plan.starts, plan.width]


def test_terms_of_one_factor_are_merged() -> None:
    plan = planned([(SCHOOL, 1), (ITEM, 1), (SCHOOL.copy(), 2)])
    assert [f.size for f in plan.factors] == [3, 1]
    assert plan.chain[0].terms == ((0, slice(0, 1)), (2, slice(1, 3)))


def test_too_many_crossed_effects_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "LARGEST_TRAILING", 5)
    with pytest.raises(DataError, match="7 group effects are crossed with the largest grouping factor"):
        planned([(ITEM, 1), (RATER, 1)])


def test_a_long_chain_is_cut_where_a_dense_array_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "LARGEST_CROSS", 10)
    plan = planned([(CLASS, 1), (ITEM, 1), (SCHOOL, 1)])
    assert [f.levels for f in plan.chain] == [40]
    assert sorted(f.levels for f in plan.trailing) == [7, 10]
