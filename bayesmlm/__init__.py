"""Bayesian and frequentist multilevel models from one formula."""

__version__ = "0.1.0.dev0"
