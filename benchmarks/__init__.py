"""Speed of bayesmlm beside its peers, with their answers compared in the same run: ``python -m benchmarks``."""
