"""The brms/lme4 formula language: text to syntax tree to predictors, nothing ever evaluated as Python."""

from __future__ import annotations

from .constructors import acformula, as_bayes_formula, bf, lf, mvbf, nlf, set_mecor, set_nl, set_rescor
from .formulas import BayesFormula, Flags, Formula, MultivariateFormula
from .nodes import Argument, Binary, Call, Index, Name, Node, Number, Paren, String, Unary
from .parse import parse_expression, parse_formula
from .predictor import Grouping, GroupTerm, Predictor, SpecialTerm, Term
from .unparse import unparse

__all__ = [
    "Argument",
    "BayesFormula",
    "Binary",
    "Call",
    "Flags",
    "Formula",
    "GroupTerm",
    "Grouping",
    "Index",
    "MultivariateFormula",
    "Name",
    "Node",
    "Number",
    "Paren",
    "Predictor",
    "SpecialTerm",
    "String",
    "Term",
    "Unary",
    "acformula",
    "as_bayes_formula",
    "bf",
    "lf",
    "mvbf",
    "nlf",
    "parse_expression",
    "parse_formula",
    "set_mecor",
    "set_nl",
    "set_rescor",
    "unparse",
]
