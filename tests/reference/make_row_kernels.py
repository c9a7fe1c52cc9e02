"""Log densities of families and their derivatives up to the third order by the linear predictors, from the textbook
formulas in 80 digits: row_kernels.json. Needs mpmath (not among the project's requirements). Run from the repository
root: python tests/reference/make_row_kernels.py
"""

from __future__ import annotations

import json
import random
from itertools import combinations_with_replacement
from pathlib import Path

from make_kernels import LINKS
from mpmath import binomial, diff, exp, factorial, log, log1p, loggamma, mp, mpf, pi, sqrt

REAL = ("identity", [-40.0, -1.3, 0.0, 0.2, 1.1, 25.0])
POSITIVE = ("log", [-18.0, -4.0, -0.7, 0.4, 1.1, 3.0, 13.8])
SHAPE = ("log", [-6.9, -1.2, 0.3, 1.6, 2.5, 7.0, 18.4])
MODERATE = ("log", [-4.0, -0.9, 0.1, 1.2, 3.0])
SOFTPLUS = ("softplus", [-5.0, -0.4, 0.7, 4.0])
UNIT = ("logit", [-20.0, -6.0, -1.1, 0.3, 2.0, 6.0, 20.0])
PROBIT = ("probit", [-6.0, -1.1, 0.3, 2.0, 5.0])
CLOGLOG = ("cloglog", [-12.0, -1.1, 0.3, 1.5])
PART = ("identity", [1e-6, 0.1, 0.6, 0.999])
NU = ("logm1", [-8.0, -1.0, 1.4, 4.0, 18.0])

# Responses, of trials with their number.
COUNTS = [0, 0, 0, 1, 2, 7, 150]
WAITS = [1e-3, 0.4, 1.0, 2.5, 300.0]
VALUES = [-33.0, -0.4, 0.2, 1.7, 60.0]
SHARES = [1e-5, 0.2, 0.55, 0.97]
TRIALS = [(0, 5), (0, 1), (2, 7), (9, 9), (1, 40), (390, 400)]


def poisson(y, mu):
    return -mu + y * log(mu) - log(factorial(y))


def negbinomial(y, mu, k):
    return loggamma(y + k) - loggamma(k) - log(factorial(y)) + k * log(k / (k + mu)) + y * log(mu / (k + mu))


def binomial_of(y, mu):
    successes, trials = y
    return log(binomial(trials, successes)) + successes * log(mu) + (trials - successes) * log1p(-mu)


def none_of(y):
    return (0, y[1]) if isinstance(y, tuple) else 0


def zero_inflated(plain):
    def density(y, *parameters):
        *inner, zi = parameters
        if y == none_of(y):
            return log(zi + (1 - zi) * exp(plain(y, *inner)))
        return log1p(-zi) + plain(y, *inner)

    return density


def hurdle(plain):
    def density(y, *parameters):
        *inner, hu = parameters
        return log(hu) if y == 0 else log1p(-hu) + plain(y, *inner) - log1p(-exp(plain(0, *inner)))

    return density


def gaussian(y, mu, sigma):
    return -(((y - mu) / sigma) ** 2) / 2 - log(sigma) - log(2 * pi) / 2


def student(y, mu, sigma, nu):
    z = (y - mu) / sigma
    normaliser = loggamma((nu + 1) / 2) - loggamma(nu / 2) - log(nu * pi) / 2 - log(sigma)
    return normaliser - (nu + 1) / 2 * log1p(z * z / nu)


def gamma_of(y, mu, shape):
    return shape * log(shape / mu) + (shape - 1) * log(y) - shape * y / mu - loggamma(shape)


def inverse_gaussian(y, mu, shape):
    return log(sqrt(shape / (2 * pi * y**3))) - shape * (y - mu) ** 2 / (2 * mu**2 * y)


def log_beta(a, b):
    return loggamma(a) + loggamma(b) - loggamma(a + b)


def beta_of(y, mu, phi):
    a, b = mu * phi, (1 - mu) * phi
    return (a - 1) * log(y) + (b - 1) * log1p(-y) - log_beta(a, b)


def beta_binomial(y, mu, phi):
    successes, trials = y
    a, b = mu * phi, (1 - mu) * phi
    return log(binomial(trials, successes)) + log_beta(successes + a, trials - successes + b) - log_beta(a, b)


FAMILIES = {
    "zero_inflated_poisson": (zero_inflated(poisson), COUNTS, [[POSITIVE, UNIT], [SOFTPLUS, PART]]),
    "zero_inflated_negbinomial": (zero_inflated(negbinomial), COUNTS, [[POSITIVE, SHAPE, UNIT]]),
    "zero_inflated_binomial": (zero_inflated(binomial_of), TRIALS, [[UNIT, UNIT], [CLOGLOG, PART]]),
    "hurdle_poisson": (hurdle(poisson), COUNTS, [[POSITIVE, UNIT], [SOFTPLUS, PART]]),
    "hurdle_negbinomial": (hurdle(negbinomial), COUNTS, [[POSITIVE, SHAPE, UNIT]]),
    "nbinom1": (
        lambda y, mu, phi: negbinomial(y, mu, mu / phi),
        COUNTS,
        [[POSITIVE, SHAPE], [SOFTPLUS, SOFTPLUS]],
    ),
    "geometric": (lambda y, mu: negbinomial(y, mu, mpf(1)), COUNTS, [[POSITIVE], [SOFTPLUS]]),
    "exponential": (lambda y, mu: -log(mu) - y / mu, WAITS, [[MODERATE], [SOFTPLUS]]),
    "gaussian": (gaussian, VALUES, [[REAL, MODERATE], [MODERATE, SOFTPLUS]]),
    "lognormal": (
        lambda y, mu, sigma: gaussian(log(mpf(y)), mu, sigma) - log(mpf(y)),
        WAITS,
        [[REAL, MODERATE]],
    ),
    "student": (student, VALUES, [[REAL, MODERATE, NU], [MODERATE, SOFTPLUS, NU]]),
    "gamma": (gamma_of, WAITS, [[MODERATE, SHAPE], [SOFTPLUS, SOFTPLUS]]),
    "inverse.gaussian": (inverse_gaussian, WAITS, [[MODERATE, SHAPE], [SOFTPLUS, SOFTPLUS]]),
    "beta": (beta_of, SHARES, [[UNIT, SHAPE], [PROBIT, SHAPE], [CLOGLOG, SOFTPLUS]]),
    "beta_binomial": (beta_binomial, TRIALS, [[UNIT, SHAPE], [PROBIT, SHAPE], [CLOGLOG, SOFTPLUS]]),
}
ROWS = 14


def inverse(link):
    return (lambda x: 1 + exp(x)) if link == "logm1" else LINKS[link][1]


def of_links(density, responses, predictors, pick):
    D = len(predictors)
    inverses = [inverse(link) for link, _ in predictors]
    indices = [at for m in range(4) for at in combinations_with_replacement(range(D), m)]
    orders = [[at.count(d) for d in range(D)] for at in indices]
    rows = []
    for number in range(ROWS):
        y = responses[number % len(responses)]
        eta = [pick.choice(points) for _, points in predictors]

        def at_predictors(*x, y=y):
            values = [f(one) for f, one in zip(inverses, x, strict=True)]
            return density(mpf(y) if isinstance(y, float) else y, *values)

        at = [mpf(x) for x in eta]
        values = [float(at_predictors(*at))]
        values += [float(diff(at_predictors, tuple(at), tuple(order))) for order in orders[1:]]
        response, trials = y if isinstance(y, tuple) else (y, None)
        rows.append({"y": response, "trials": trials, "eta": eta, "values": values})
    return {"links": [link for link, _ in predictors], "indices": indices, "rows": rows}


if __name__ == "__main__":
    mp.dps = 80
    pick = random.Random(11)
    content = {
        name: [of_links(density, responses, predictors, pick) for predictors in choices]
        for name, (density, responses, choices) in FAMILIES.items()
    }
    path = Path(__file__).with_name("row_kernels.json")
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
