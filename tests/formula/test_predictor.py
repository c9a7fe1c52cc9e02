"""What right-hand sides mean: group terms, special terms, offsets, the dot and the reserved intercept."""

from __future__ import annotations

import pytest

from bayesmlm.errors import FormulaError
from bayesmlm.formula import GroupTerm, Predictor, parse_formula, unparse


def predictor(right: str, *columns: str) -> Predictor:
    return parse_formula(f"y ~ {right}").predictor(columns)


def effects(term: GroupTerm) -> list[str]:
    inner = term.effects
    constant = ["1"] if inner.intercept else []
    return constant + [one.label for one in inner.terms] + [one.label for one in inner.special_terms]


@pytest.mark.parametrize(
    ("right", "expected"),
    [  # group, effects, correlated, id: as brms 2.18's brmsterms() gives them
        ("(1 | g)", [("g", ["1"], True, None)]),
        ("(x | g)", [("g", ["1", "x"], True, None)]),
        ("(0 + x | g)", [("g", ["x"], True, None)]),
        ("(x || g)", [("g", ["1", "x"], False, None)]),
        ("(x * z | g)", [("g", ["1", "x", "z", "x:z"], True, None)]),
        ("(x | ID | g)", [("g", ["1", "x"], True, "ID")]),
        ("(x | 1 | g)", [("g", ["1", "x"], True, "1")]),
        ("(1 | a/b)", [("a", ["1"], True, None), ("a:b", ["1"], True, None)]),
        ("(1 | (a/b))", [("a", ["1"], True, None), ("a:b", ["1"], True, None)]),
        ("(1 | a/b/c)", [(g, ["1"], True, None) for g in ("a", "a:b", "a:b:c")]),
        ("(1 | a + b)", [("a", ["1"], True, None), ("b", ["1"], True, None)]),
        ("(1 | a * b)", [(g, ["1"], True, None) for g in ("a", "b", "a:b")]),
        ("(1 | b:a)", [("b:a", ["1"], True, None)]),
        ("(x || a/g)", [("a", ["1", "x"], False, None), ("a:g", ["1", "x"], False, None)]),
        ('(1 | gr(g, by = z, cor = FALSE, id = "q"))', [("g", ["1"], False, "q")]),
        ("(x | mm(a, b))", [("mmab", ["1", "x"], True, None)]),
        ("(1 + mmc(x, z) | mm(a, b))", [("mmab", ["1", "mmc(x, z)"], True, None)]),
        ("(mo(b) + x | g)", [("g", ["1", "x", "mo(b)"], True, None)]),
        ("(cs(1) | g)", [("g", ["cs(1)"], True, None)]),
        ("(1 | g) + (0 + x | g)", [("g", ["1"], True, None), ("g", ["x"], True, None)]),
        ("(1 | g) - (1 | g) + x", []),
    ],
)
def test_group_terms(right: str, expected: list[tuple[str, list[str], bool, str | None]]) -> None:
    found = predictor(right).group_terms
    assert [(t.grouping.label, effects(t), t.correlated, t.id) for t in found] == expected


def test_grouping_keeps_variables_by_and_options() -> None:
    first, second = predictor(
        "(1 | gr(a:b, by = z, cov = A)) + (x | mm(g, h, weights = cbind(u, v)))"
    ).group_terms
    assert (first.grouping.variables, first.grouping.kind, first.grouping.by) == (("a", "b"), "gr", "z")
    assert [(name, unparse(node)) for name, node in first.grouping.options] == [("cov", "A")]
    assert (second.grouping.variables, second.grouping.kind) == (("g", "h"), "mm")
    assert [name for name, _ in second.grouping.options] == ["weights"]
    assert first.label == "1 | a:b"


@pytest.mark.parametrize(
    ("right", "special", "plain"),
    [
        ("s(x, k = 5) + z", [("s", "s(x, k = 5)")], ["z"]),
        ("t2(x, z)", [("t2", "t2(x, z)")], []),
        ("gp(x, by = z)", [("gp", "gp(x, by = z)")], []),
        ("mo(x)", [("mo", "mo(x)")], []),
        ("mo(x):z", [("mo", "mo(x):z")], []),
        ("mo(x) * z", [("mo", "mo(x)"), ("mo", "mo(x):z")], ["z"]),
        ("mo(x) * mo(z)", [("mo", "mo(x)"), ("mo", "mo(z)"), ("mo", "mo(x):mo(z)")], []),
        ("z:me(x, sdx)", [("me", "z:me(x, sdx)")], []),
        ("mi(x, idx = i)", [("mi", "mi(x, idx = i)")], []),
        ("cs(x) + cse(z)", [("cs", "cs(x)"), ("cs", "cse(z)")], []),
        ("ar(p = 1) + x", [("ar", "ar(p = 1)")], ["x"]),
        ("arma(t, g, cov = TRUE)", [("arma", "arma(t, g, cov = TRUE)")], []),
        ("ma() + cosy(gr = g)", [("ma", "ma()"), ("cosy", "cosy(gr = g)")], []),
        ("unstr(t, g)", [("unstr", "unstr(t, g)")], []),
        (
            'sar(M, type = "lag") + car(M, gr = g) + fcor(V)',
            [("sar", 'sar(M, type = "lag")'), ("car", "car(M, gr = g)"), ("fcor", "fcor(V)")],
            [],
        ),
        ("x - mo(x) + mo(x) - mo(x)", [], ["x"]),
    ],
)
def test_special_terms(right: str, special: list[tuple[str, str]], plain: list[str]) -> None:
    found = predictor(right)
    assert [(term.kind, term.label) for term in found.special_terms] == special
    assert [term.label for term in found.terms] == plain


def test_offsets_are_taken_out() -> None:
    found = predictor("x + offset(log(t)) + offset(w)")
    assert [unparse(offset) for offset in found.offsets] == ["log(t)", "w"]
    assert [term.label for term in found.terms] == ["x"]


@pytest.mark.parametrize("word", ["Intercept", "intercept"])
def test_reserved_intercept(word: str) -> None:
    found = predictor(f"0 + {word} + x + (0 + {word} | g)")
    assert (found.intercept, found.explicit_intercept) == (False, True)
    assert [term.label for term in found.terms] == ["x"]
    assert found.group_terms[0].effects.explicit_intercept


def test_dot_stands_for_the_columns_not_on_the_left() -> None:
    columns = ("y", "n", "x", "my var")
    found = parse_formula("log(y) | trials(n) ~ .^2 - x + (1 | g)").predictor(columns)
    assert [term.label for term in found.terms] == ["`my var`", "x:`my var`"]


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        ("(1 | g) + (1 | g)", None),  # R drops the copy before brms can see it
        ("(1 | g) + (x | g)", "`Intercept` of group `g`"),
        ("(x | g) + (0 + x | gr(g))", "`x` of group `g`"),
        ("(1 | a/b) + (1 | a)", "`Intercept` of group `a`"),
        ("(1 | a:b) + (1 | b:a)", "`Intercept` of group `b:a`"),
        ("(0 + x:z | g) + (0 + z:x | g)", "`x:z` of group `g`"),
    ],
)
def test_duplicated_group_effects(right: str, reason: str | None) -> None:
    if reason is None:
        assert len(predictor(right).group_terms) == 1
        return
    with pytest.raises(FormulaError, match="Duplicated group-level effects are not allowed") as caught:
        predictor(right)
    assert reason in caught.value.reason
