"""Response families: the table, the ways to choose one, and what a response column becomes."""

from __future__ import annotations

from .base import DistributionalParameter, Family, FamilyError
from .constructors import (
    Beta,
    Gamma,
    bernoulli,
    binomial,
    gaussian,
    lognormal,
    negbinomial,
    poisson,
    student,
)
from .registry import FAMILIES, brmsfamily, family

__all__ = [
    "FAMILIES",
    "Beta",
    "DistributionalParameter",
    "Family",
    "FamilyError",
    "Gamma",
    "bernoulli",
    "binomial",
    "brmsfamily",
    "family",
    "gaussian",
    "lognormal",
    "negbinomial",
    "poisson",
    "student",
]
