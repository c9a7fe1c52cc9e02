"""Derivatives of links and of the negative binomial log density in 300 digits: kernels.json. Needs mpmath (not among
the project's requirements). Run from the repository root: python tests/reference/make_kernels.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import asinh, atan, diff, erfc, exp, expm1, log, log1p, loggamma, mp, mpf, pi, sqrt

mp.dps = 300  # a probability may be 1e-190 from 1

POSITIVE = [1e-3, 0.1, 0.9, 3.0, 29.0]
REAL = [-29.5, -12.0, -6.6, -6.4, -5.1, -4.9, -1.0, -0.6, -0.4, -1e-3, 0.2, 1.0, 3.1, 4.9, 5.1, 12.0, 29.5]
BELOW = [-29.0, -3.0, -0.7, -0.1, -1e-3]
UNIT = [1e-6, 0.1, 0.5, 0.9, 0.999]


def softplus(x):
    return log1p(exp(x))


def normal(x):
    return erfc(-x / sqrt(2)) / 2


def cubic(x):
    return mpf(0.07056) * x**3 + mpf(1.5976) * x  # the double-precision constants


def sigmoid(x):
    return 1 / (1 + exp(-x))


# mu and 1 - mu (None: mu is not a probability)
LINKS = {
    "identity": (POSITIVE, lambda x: x, None),
    "log": (REAL, exp, None),
    "inverse": (POSITIVE, lambda x: 1 / x, None),
    "1/mu^2": (POSITIVE, lambda x: 1 / sqrt(x), None),
    "sqrt": (POSITIVE, lambda x: x * x, None),
    "softplus": (REAL, softplus, None),
    "squareplus": (REAL, lambda x: exp(asinh(x / 2)), None),
    "logit": (REAL, sigmoid, lambda x: sigmoid(-x)),
    "probit": (REAL, normal, lambda x: normal(-x)),
    "probit_approx": (
        [x for x in REAL if abs(x) < 13],
        lambda x: sigmoid(cubic(x)),
        lambda x: sigmoid(-cubic(x)),
    ),
    "cloglog": ([x for x in REAL if x < 5], lambda x: -expm1(-exp(x)), lambda x: exp(-exp(x))),
    "cauchit": (REAL, lambda x: 1 / mpf(2) + atan(x) / pi, lambda x: 1 / mpf(2) - atan(x) / pi),
    "softit": (REAL, lambda x: softplus(x) / (1 + softplus(x)), lambda x: 1 / (1 + softplus(x))),
    "identity of a probability": (UNIT, lambda x: x, lambda x: 1 - x),
    "log of a probability": (BELOW, exp, lambda x: -expm1(x)),
}


def derivatives(function, x):
    return [float(diff(function, mpf(x), order)) for order in (1, 2, 3)]


def of_link(points, mu, complement):
    table = {"eta": points}
    table["mean"] = [[float(mu(mpf(x))), *derivatives(mu, x)] for x in points]
    table["log_mean"] = [derivatives(lambda z: log(mu(z)), x) for x in points]
    if complement is not None:
        table["log_complement"] = [derivatives(lambda z: log(complement(z)), x) for x in points]
    return table


def negbinomial(y):
    """Log density less -log(y!) as a function of log(mu) and log(shape)."""

    def density(log_mu, log_shape):
        mu, k = exp(log_mu), exp(log_shape)
        return loggamma(y + k) - loggamma(k) + k * log(k / (k + mu)) + y * log(mu / (k + mu))

    return density


def of_negbinomial():
    mp.dps = 60
    orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
    rows = []
    for shape in (1e-4, 0.3, 5.0, 11.9, 12.1, 1e3, 1e8, 1e12):
        for mu, y in (
            (1e-5, 0),
            (0.02, 1),
            (3.0, 0),
            (3.1, 3),
            (3.2, 40),
            (500.0, 3),
            (500.0, 521),
            (1e5, 99_000),
        ):
            at = (log(mpf(mu)), log(mpf(shape)))
            at = (mpf(float(at[0])), mpf(float(at[1])))  # what a program is given
            values = [
                float(diff(negbinomial(y), at, order) if any(order) else negbinomial(y)(*at))
                for order in orders
            ]
            rows.append({"eta": [float(at[0]), float(at[1])], "y": y, "values": values})
    return {"orders": orders, "rows": rows}


if __name__ == "__main__":
    content = {
        "links": {name: of_link(*entry) for name, entry in LINKS.items()},
        "negbinomial": of_negbinomial(),
    }
    path = Path(__file__).with_name("kernels.json")
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
