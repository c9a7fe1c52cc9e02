"""The algebra and the printing against R itself (r_formulas.json, written by make_r_formulas.R)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bayesmlm.formula import parse_expression, parse_formula, unparse

R = json.loads((Path(__file__).parent / "r_formulas.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("right", R["terms"])
def test_terms_and_their_order_are_those_of_r(right: str) -> None:
    predictor = parse_formula(f"~ {right}").predictor()
    assert [term.label for term in predictor.terms] == R["terms"][right]["labels"]
    assert predictor.intercept == R["terms"][right]["intercept"]


@pytest.mark.parametrize("text", R["deparse"])
def test_unparse_prints_what_r_deparses(text: str) -> None:
    tree = parse_expression(text)
    assert unparse(tree) == R["deparse"][text]
    assert parse_expression(unparse(tree)) == tree
