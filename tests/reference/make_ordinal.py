"""Log probabilities of ordinal families and their derivatives by the linear predictor and a threshold, from the
definitions in 400 digits: ordinal.json. Needs mpmath (not among the project's requirements). Run from the repository's
root: python tests/reference/make_ordinal.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import atan2, diff, e, erfc, expm1, isinf, log, log1p, mp, mpf, pi, sqrt

mp.dps = 400

CUMULATIVE = ("logit", "probit", "probit_approx", "cloglog", "cauchit", "softit")
FAMILIES = {
    "cumulative": CUMULATIVE,
    "sratio": CUMULATIVE[:-1],
    "cratio": CUMULATIVE[:-1],
    "acat": CUMULATIVE,
}
THRESHOLDS = ([-1.0, 0.3, 1.7], [-1e-9, 0.0, 1e-9], [0.1, 0.10001, 0.11], [-30.0, 0.0, 30.0])
PREDICTORS = (-300.0, -3.0, -0.2, 5.0, 60.0)
DISCRIMINATIONS = (0.7, 2.5)
"""Taken in turn."""


def inverse(link, x):
    if link == "logit":
        return 1 / (1 + e ** (-x))
    if link == "probit":
        return erfc(-x / sqrt(2)) / 2
    if link == "probit_approx":
        return 1 / (1 + e ** (-(mpf(0.07056) * x**3 + mpf(1.5976) * x)))
    if link == "cloglog":
        return -expm1(-(e**x))
    if link == "cauchit":
        return atan2(1, -x) / pi
    s = log1p(e**x)
    return s / (1 + s)


def probability(family, link, thresholds, eta, disc, y):
    x = [disc * (tau - eta) for tau in thresholds]
    count = len(x)
    if family == "cumulative":
        up_to = [mpf(0), *(inverse(link, v) for v in x), mpf(1)]
        return up_to[y] - up_to[y - 1]
    if family in ("sratio", "cratio"):
        stop = [inverse(link, v) if family == "sratio" else 1 - inverse(link, -v) for v in x]
        value = mpf(1)
        for k in range(1, y):
            value *= 1 - stop[k - 1]
        return value * stop[y - 1] if y <= count else value
    up = [inverse(link, -v) for v in x]
    weights = []
    for k in range(count + 1):
        weight = mpf(1)
        for j in range(count):
            weight *= up[j] if j < k else 1 - up[j]
        weights.append(weight)
    return weights[y - 1] / sum(weights)


def number(value):
    """None where the value is too far out for double precision."""
    if isinf(value) or abs(value) > mpf(10) ** 290 or (value != 0 and abs(value) < mpf(10) ** -290):
        return None
    return float(value)


def point(family, link, thresholds, eta, disc, y):
    p = probability(family, link, thresholds, eta, disc, y)
    # Where one is taken from one, 400 digits leave few of a smaller probability.
    if p <= 0 or (family in ("cratio", "acat") and p < mpf(10) ** -300):
        return [None, None, None]
    by_eta = diff(lambda v: log(probability(family, link, thresholds, v, disc, y)), eta)

    def at_second(v):
        return log(probability(family, link, [thresholds[0], v, thresholds[2]], eta, disc, y))

    return [number(log(p)), number(by_eta), number(diff(at_second, thresholds[1]))]


def main():
    points, values = [], {}
    for tau in THRESHOLDS:
        for i, eta in enumerate(PREDICTORS):
            points += [[tau, eta, DISCRIMINATIONS[i % 2], y] for y in (1, 2, 3, 4)]
    for family, links in FAMILIES.items():
        for link in links:
            exact = [([mpf(t) for t in tau], mpf(eta), mpf(disc), y) for tau, eta, disc, y in points]
            values[f"{family} {link}"] = [point(family, link, *each) for each in exact]
    out = {"points": points, "values": values}
    Path(__file__).with_name("ordinal.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
