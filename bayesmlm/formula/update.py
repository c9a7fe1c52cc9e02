"""R's ``update(old, . ~ . + x)``: a formula in which ``.`` stands for a side of the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .constructors import as_bayes_formula
from .formulas import BayesFormula, MultivariateFormula
from .nodes import Binary, Name, Node, Paren, Unary
from .parse import parse_formula, read_tree
from .unparse import unparse

__all__ = ["update_formula"]


def update_formula(old: BayesFormula, new: Any) -> BayesFormula | MultivariateFormula:
    """``old`` changed by ``new``: a formula text whose ``.`` stands for the old side (``". ~ . - x"``, ``"~ . + z"``),
    or a complete formula or `bf` object, which replaces it. Formulas of other parameters are kept unless ``new``
    brings its own. Raises `FormulaError` for text that cannot be read."""
    if not isinstance(new, str) or new.lstrip().startswith(("bf(", "brmsformula(")):
        return as_bayes_formula(new)
    tree = read_tree(new)
    if isinstance(tree, Unary) and tree.operator == "~":
        left, right = None, tree.operand
    elif isinstance(tree, Binary) and tree.operator == "~":
        left, right = tree.left, tree.right
    else:
        return as_bayes_formula(new)
    old_left, _, old_right = str(old.main).partition(" ~ ")
    response = old_left if left is None else unparse(_fill(left, read_tree(old_left)))
    text = f"{response} ~ {unparse(_fill(right, read_tree(old_right)))}"
    return replace(old, main=parse_formula(text))


def _fill(node: Node, old: Node) -> Node:
    """``node`` with ``.`` replaced; at the left end of a sum the old terms need no parentheses."""
    if isinstance(node, Name):
        return old if node.name == "." else node
    if isinstance(node, Binary) and node.operator in ("+", "-"):
        return replace(node, left=_fill(node.left, old), right=_fill_inside(node.right, old))
    return _fill_inside(node, old)


def _fill_inside(node: Node, old: Node) -> Node:
    if isinstance(node, Name):
        return Paren(old) if node.name == "." else node
    if isinstance(node, Binary):
        return replace(node, left=_fill_inside(node.left, old), right=_fill_inside(node.right, old))
    if isinstance(node, Unary):
        return replace(node, operand=_fill_inside(node.operand, old))
    if isinstance(node, Paren):
        return replace(node, inner=_fill_inside(node.inner, old))
    return node
