"""Response families: the table, the ways to choose one, and what a response column becomes."""

from __future__ import annotations

from .base import DistributionalParameter, Family, FamilyError
from .constructors import (
    Beta,
    Gamma,
    bernoulli,
    beta_binomial,
    binomial,
    exponential,
    gaussian,
    geometric,
    hurdle_negbinomial,
    hurdle_poisson,
    inverse_gaussian,
    lognormal,
    nbinom1,
    negbinomial,
    poisson,
    student,
    zero_inflated_binomial,
    zero_inflated_negbinomial,
    zero_inflated_poisson,
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
    "beta_binomial",
    "binomial",
    "brmsfamily",
    "exponential",
    "family",
    "gaussian",
    "geometric",
    "hurdle_negbinomial",
    "hurdle_poisson",
    "inverse_gaussian",
    "lognormal",
    "nbinom1",
    "negbinomial",
    "poisson",
    "student",
    "zero_inflated_binomial",
    "zero_inflated_negbinomial",
    "zero_inflated_poisson",
]
