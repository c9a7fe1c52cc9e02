"""Conway-Maxwell-Poisson log densities and tails in 40 digits, from narrow to wide distributions: com_poisson.json.
Needs mpmath (not among the project's requirements). Run from the repository root:
python tests/reference/make_com_poisson.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import exp, floor, log, log1p, loggamma, mp, mpf, sqrt

mp.dps = 40
SETTINGS = [
    (1e-3, 0.5),
    (0.3, 30.0),
    (0.5, 0.01),
    (3.7, 0.05),
    (3.7, 1.0),
    (40.0, 0.15),
    (75.0, 0.7),
    (75.0, 8.0),
]
SETTINGS += [(300.0, 0.01), (300.0, 1.5), (5e3, 0.2), (5e3, 40.0), (2e4, 1.3)]


def log_sum(log_term, first, step, last=None):
    """log of the sum of terms from ``first`` in one direction, until they are negligible or at ``last``."""
    largest, total, k = log_term(first), mpf(0), first
    while last is None or k * step <= last * step:
        term = exp(log_term(k) - largest)
        if term < mpf(10) ** -38:
            break
        total += term
        k += step
    return largest + log(total)


def rows(mu, shape):
    mu, shape = mpf(mu), mpf(shape)
    log_term = lambda k: shape * (k * log(mu) - mu - loggamma(k + 1))  # noqa: E731
    mode, width = int(floor(mu)), sqrt(mu / shape)
    everything = log_sum(log_term, mode, 1)
    if mode > 0:
        everything += log1p(exp(log_sum(log_term, mode - 1, -1, 0) - everything))
    for y in sorted({0, mode, int(mode + 7 * width + 3), max(0, int(mode - 7 * width - 3))}):
        # The smaller tail is summed: terms fall from its end.
        below = y < mode
        tail = log_sum(log_term, y, -1, 0) if below else log_sum(log_term, y + 1, 1)
        tail -= everything
        rest = log1p(-exp(tail))
        lower, upper = (tail, rest) if below else (rest, tail)
        yield [float(v) for v in (y, mu, shape, log_term(y) - everything, lower, upper)]


table = [row for setting in SETTINGS for row in rows(*setting)]
columns = dict(
    zip(("y", "mu", "shape", "log_density", "lower", "upper"), zip(*table, strict=True), strict=True)
)
Path(__file__).with_name("com_poisson.json").write_text(json.dumps(columns, indent=1) + "\n")
