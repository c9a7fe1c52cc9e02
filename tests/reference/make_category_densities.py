"""Log densities of responses with several categories, and their derivatives, in 60 digits: category_densities.json.
Needs mpmath (not among the project's requirements). Run from the repository root:
python tests/reference/make_category_densities.py

Each case: ``eta`` (all categories, of which the first is the reference but for dirichlet2), ``y`` (categorical: the
number from 1), further parameters; ``value``: the log density; ``slopes``: by the linear predictors that are not the
reference's and, last, by phi (the first sigma of logistic_normal).
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import diff, exp, fsum, inverse, log, log1p, loggamma, matrix, mp, mpf, pi

mp.dps = 60

ETAS = [[0, 0.3, -1.2], [0, -30, 4.5], [0, 35, 20], [0, -300, -700], [0, 800, 2], [0, 1e-9, -1e-9]]


def log_p(eta):
    largest = max(range(len(eta)), key=lambda k: eta[k])
    # log1p: probabilities that differ from one by e^-800 need it even in 60 digits.
    others = log1p(fsum(exp(e - eta[largest]) for k, e in enumerate(eta) if k != largest))
    return [e - eta[largest] - others for e in eta]


def categorical(y, eta):
    return log_p(eta)[y - 1]


def arrangements(y):
    return loggamma(fsum(y) + 1) - fsum(loggamma(k + 1) for k in y)


def multinomial(y, eta):
    return arrangements(y) + fsum(k * q for k, q in zip(y, log_p(eta), strict=True))


def dirichlet_multinomial(y, eta, phi):
    a = [phi * exp(q) for q in log_p(eta)]
    rising = fsum(loggamma(k + b) - loggamma(b) for k, b in zip(y, a, strict=True))
    return arrangements(y) + loggamma(phi) - loggamma(phi + fsum(y)) + rising


def log_dirichlet(y, a):
    powers = fsum((b - 1) * log(s) - loggamma(b) for s, b in zip(y, a, strict=True))
    return loggamma(fsum(a)) + powers


def dirichlet(y, eta, phi):
    return log_dirichlet(y, [phi * exp(q) for q in log_p(eta)])


def dirichlet2(y, eta):
    return log_dirichlet(y, [exp(e) for e in eta])


def logistic_normal(y, eta, sigma, rho):
    """Two log ratios, to the first category, with correlation rho."""
    ratios = [log(s / y[0]) - e for s, e in zip(y[1:], eta[1:], strict=True)]
    covariance = matrix(
        [[sigma[0] ** 2, rho * sigma[0] * sigma[1]], [rho * sigma[0] * sigma[1], sigma[1] ** 2]]
    )
    z = matrix(ratios)
    quadratic = (z.T * inverse(covariance) * z)[0]
    determinant = covariance[0, 0] * covariance[1, 1] - covariance[0, 1] ** 2
    return -quadratic / 2 - log(determinant) / 2 - log(2 * pi) - fsum(log(s) for s in y)


def shares(y):
    """Three doubles that sum to exactly one, as the family sees them: the last is what is left."""
    first = [mpf(float(s)) for s in y[:-1]]
    return [*first, 1 - fsum(first)]


def case(family, density, y, eta, others):
    eta, others = [mpf(float(e)) for e in eta], [[mpf(float(v)) for v in o] for o in others]
    arguments = [o[0] if len(o) == 1 else o for o in others]
    predicted = range(len(eta)) if family == "dirichlet2" else range(1, len(eta))
    slopes = [
        diff(lambda e, k=k: density(y, [*eta[:k], e, *eta[k + 1 :]], *arguments), eta[k]) for k in predicted
    ]
    if others:
        first = others[0]

        def by_other(v):
            changed = v if len(first) == 1 else [v, *first[1:]]
            return density(y, eta, changed, *arguments[1:])

        slopes.append(diff(by_other, first[0], h=first[0] * mpf("1e-20")))
    return {
        "family": family,
        "y": y if isinstance(y, int) else [float(v) for v in y],
        "eta": [float(e) for e in eta],
        "others": [[float(v) for v in o] for o in others],
        "value": float(density(y, eta, *arguments)),
        "slopes": [float(s) for s in slopes],
    }


def cases():
    counts = [[3, 0, 2], [0, 0, 1], [0, 400, 0], [10_000, 20_000, 30_000]]
    simplexes = [[0.2, 0.5, 0.3], [1e-12, 0.4, 0.6], [0.999, 9e-4, 1e-4], [1e-300, 0.5, 0.5]]
    for eta in ETAS:
        for y in (1, 2, 3):
            yield case("categorical", categorical, y, eta, [])
        for y in counts:
            whole = [mpf(k) for k in y]
            yield case("multinomial", multinomial, whole, eta, [])
            for phi in (1e-4, 2.5, 1e8):
                yield case("dirichlet_multinomial", dirichlet_multinomial, whole, eta, [[phi]])
        for y in simplexes:
            if max(map(abs, eta)) < 100:
                for phi in (1e-4, 2.5, 3e3, 1e8):
                    yield case("dirichlet", dirichlet, shares(y), eta, [[phi]])
            yield case("logistic_normal", logistic_normal, shares(y), eta, [[0.3, 2.0], [-0.7]])
            yield case("logistic_normal", logistic_normal, shares(y), eta, [[1e-3, 1e3], [0.9999]])
    for eta in ([0, 0.3, -1.2], [-9, 1, 2], [12, 13, 11.5], [-30, -25, -40], [18, 2, -3]):
        for y in simplexes:
            yield case("dirichlet2", dirichlet2, shares(y), eta, [])


if __name__ == "__main__":
    rows = list(cases())
    path = Path(__file__).with_name("category_densities.json")
    path.write_text(json.dumps(rows).replace("}, {", "},\n{") + "\n", encoding="utf-8")
    print(len(rows), "cases")
