"""Log densities and log tails of the families of real-valued responses, and logarithms of incomplete gamma and beta
functions and Student t tails with their derivatives, from textbook formulas in 50 digits: real_families.json. Needs
mpmath (not among the project's requirements). Run from the repository root:
python tests/reference/make_real_families.py
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

from mpmath import (
    besseli,
    betainc,
    cos,
    diff,
    erfc,
    exp,
    expm1,
    gammainc,
    hyp2f1,
    inf,
    log,
    log1p,
    loggamma,
    mp,
    mpf,
    pi,
    quad,
    sqrt,
)
from mpmath import (
    beta as beta_function,
)

mp.dps = 50


def log_normal(z):
    return -z * z / 2 - log(2 * pi) / 2


def normal_cdf(x):
    return erfc(-x / sqrt(2)) / 2


def log_t(z, nu):
    return loggamma((nu + 1) / 2) - loggamma(nu / 2) - log(nu * pi) / 2 - (nu + 1) / 2 * log1p(z * z / nu)


def t_cdf(t, nu):
    below = student_below(-abs(t), nu)
    return below if t < 0 else 1 - below


def student_below(t, nu):
    """P(T <= t) for t <= 0."""
    x, y = nu / (nu + t * t), t * t / (nu + t * t)
    if x < y:
        return betainc(nu / 2, mpf(1) / 2, 0, x, regularized=True) / 2
    return (1 - betainc(mpf(1) / 2, nu / 2, 0, y, regularized=True)) / 2


def skew_normal(y, mu, sigma, alpha):
    delta = alpha / sqrt(1 + alpha**2)
    omega = sigma / sqrt(1 - 2 / pi * delta**2)
    z = (y - mu) / omega + delta * sqrt(2 / pi)
    return log(2) - log(omega) + log_normal(z) + log(normal_cdf(alpha * z))


def skew_t(y, mu, sigma, alpha, nu):
    z = (y - mu) / sigma
    skewed = alpha * z * sqrt((nu + 1) / (nu + z * z))
    return log(2) - log(sigma) + log_t(z, nu) + log(t_cdf(skewed, nu + 1))


def exgaussian(y, mu, sigma, beta):
    z, k = (y - mu + beta) / sigma, sigma / beta
    return -log(beta) + k * k / 2 - k * z + log(normal_cdf(z - k))


def gumbel_of(y, mu, sigma, xi):
    x = (y - mu) / sigma
    return x if xi == 0 else log1p(xi * x) / xi


def gen_extreme_value(y, mu, sigma, xi):
    w = gumbel_of(y, mu, sigma, xi)
    return -log(sigma) - (1 + xi) * w - exp(-w)


def asym_laplace(y, mu, sigma, quantile):
    x = (y - mu) / sigma
    return log(quantile) + log(1 - quantile) - log(sigma) - x * (quantile - (1 if x < 0 else 0))


def zero_inflated_asym_laplace(y, mu, sigma, quantile, zi):
    return log(zi) if y == 0 else log(1 - zi) + asym_laplace(y, mu, sigma, quantile)


def von_mises(y, mu, kappa):
    return kappa * cos(y - mu) - log(2 * pi) - log(besseli(0, kappa))


LINE = [-30, -3, -1, -0.1, 0, 0.3, 2, 9, 200]
# Family: settings, and responses as distances from mu in units of sigma (von_mises: responses).
DENSITIES = {
    skew_normal: (
        {"mu": [0.3, -1e4], "sigma": [1e-3, 1.7, 1e5], "alpha": [-1e3, -2, 0, 1e-8, 5]},
        [-30, -3, -1, -0.1, 0, 0.3, 2, 9, 30],
    ),
    skew_t: (
        {"mu": [0.3], "sigma": [1.7], "alpha": [-20, 0, 0.5, 300], "nu": [1.01, 8, 200]},
        [*LINE, -1e6, 1e6],
    ),
    exgaussian: ({"mu": [0.3], "sigma": [1e-3, 1.7, 1e4], "beta": [1e-6, 0.1, 3, 1e5]}, [*LINE, 1e4]),
    gen_extreme_value: (
        {"mu": [0.3], "sigma": [1e-3, 1.7], "xi": [-0.9, -0.2, -1e-3, -1e-9, 0, 1e-12, 1e-5, 0.04, 0.3, 1.5]},
        [-3, -1, -0.1, 0, 0.3, 1, 4, 30, 1e4],
    ),
    asym_laplace: (
        {"mu": [0.3, -1e4], "sigma": [1e-3, 1.7], "quantile": [1e-6, 0.1, 0.5, 0.95]},
        [*LINE, 1e4],
    ),
    zero_inflated_asym_laplace: (
        {"mu": [0.3, 0.0], "sigma": [1.7], "quantile": [0.1, 0.95], "zi": [1e-5, 0.9]},
        LINE,
    ),
    von_mises: (
        {"mu": [-3.0, 0.0, 0.5, 3.1], "kappa": [1e-8, 0.3, 5, 29.9, 30.1, 700, 1e6, 1e12]},
        [-3.14159, -2, -0.3, 0, 0.4999, 3, 3.1000001],
    ),
}


def outwards(density, y, scale):
    """The integral of exp(density) from ``y`` outwards, ``scale`` < 0 for downwards, over exp(density(y)).

    Pieces grow geometrically, so that neither a steep nor a heavy tail is missed.
    """
    at, total = density(y), mpf(0)
    for k in range(-8, 100):
        left, right = (mpf(0) if k == -8 else mpf(2) ** (k - 1), mpf(2) ** k)
        piece = quad(
            lambda t: exp(density(y + scale * t) - at), [left, right], method="gauss-legendre", maxdegree=7
        )
        total += piece
        if piece < total * mpf(10) ** -18:
            break
    return abs(scale) * total


def numeric_tails(family, y, parameters, scale):
    """By integration away from mu; the other tail is the complement."""

    def density(t):
        return family(t, *parameters)

    if y > parameters[0]:
        upper = log(outwards(density, y, scale)) + density(y)
        return log1p(-exp(upper)), upper
    lower = log(outwards(density, y, -scale)) + density(y)
    return lower, log1p(-exp(lower))


def von_mises_tails(y, mu, kappa):
    scale = 2 * pi * besseli(0, kappa)
    offsets = [k / sqrt(kappa) for k in (-9, -4, -1, 1, 4, 9)]
    marks = {mu, mu - pi, mu + pi, *(mu + k + c for k in offsets for c in (0, 2 * pi, -2 * pi))}
    # Where the density falls steeply from an end of the integral.
    marks = sorted(
        marks
        | {
            end + side * k / kappa
            for end in (-pi, y, pi)
            for side in (-1, 1)
            for k in (1, 5, 20, 80, 200, 500)
        }
    )

    def log_between(a, b):
        # Relative to the largest value, since mpmath's quadrature stops by the absolute error.
        peak = mpf(1) if a <= mu <= b else max(cos(a - mu), cos(b - mu))
        pieces = [a, *(m for m in marks if a < m < b), b]
        total = quad(lambda t: exp(kappa * (cos(t - mu) - peak)), pieces, method="gauss-legendre")
        return log(total / scale) + kappa * peak

    return log_between(-pi, y), log_between(y, pi)


def gev_tails(y, mu, sigma, xi):
    lower = -exp(-gumbel_of(y, mu, sigma, xi))
    return lower, log(-expm1(lower))


def laplace_tails(y, mu, sigma, quantile):
    x = (y - mu) / sigma
    if x < 0:
        lower = quantile * exp((1 - quantile) * x)
        return log(lower), log1p(-lower)
    upper = (1 - quantile) * exp(-quantile * x)
    return log1p(-upper), log(upper)


TAILS = {
    skew_normal: [
        (d, {"mu": 0.3, "sigma": 1.7, "alpha": a})
        for a in (-4.0, 0.0, 0.7, 30.0)
        for d in (-8, -1.5, 0, 0.4, 3, 9)
    ],
    skew_t: [
        (d, {"mu": 0.3, "sigma": 1.7, "alpha": a, "nu": 3.0}) for a in (-4.0, 0.7) for d in (-300, 0, 0.4, 9)
    ],
    exgaussian: [
        (d, {"mu": 0.3, "sigma": s, "beta": b})
        for s, b in ((1.0, 0.02), (1.0, 1.5), (0.2, 4.0))
        for d in (-12, -1.5, 0.2, 3, 60)
    ],
    gen_extreme_value: [
        (d, {"mu": 0.3, "sigma": 1.7, "xi": x})
        for x in (-0.3, 0.0, 1e-7, 0.25)
        for d in (-3, -1, 0, 2.5, 3.3)
    ],
    asym_laplace: [
        (d, {"mu": 0.3, "sigma": 1.7, "quantile": q}) for q in (0.1, 0.6) for d in (-900, -1, 0, 2, 800)
    ],
    von_mises: [
        (y, {"mu": mu, "kappa": k})
        for mu in (-2.9, 0.0, 1.0, 3.1)
        for k in (0.01, 2.0, 60.0, 1e4)
        for y in (-3.1, -2.0, 0.2, 1.05, 2.99, 3.14)
    ],
}
EXACT = {gen_extreme_value: gev_tails, asym_laplace: laplace_tails, von_mises: von_mises_tails}


def density_rows():
    for family, (settings, distances) in DENSITIES.items():
        for values in product(*settings.values()):
            p = dict(zip(settings, values, strict=True))
            for distance in distances:
                y = float(distance if family is von_mises else p["mu"] + distance * p["sigma"])
                if family is gen_extreme_value and 1 + mpf(p["xi"]) * (mpf(y) - p["mu"]) / p["sigma"] <= 1e-3:
                    continue
                mp.dps = 50 + int(2 * log(max(p["sigma"] / p["beta"], 1), 10)) if family is exgaussian else 50
                yield family.__name__, {"y": y, **p, "log_density": float(family(*map(mpf, (y, *values))))}


def tail_rows():
    mp.dps = 20
    for family, cases in TAILS.items():
        for distance, p in cases:
            y = float(distance if family is von_mises else p["mu"] + distance * p["sigma"])
            values = list(map(mpf, p.values()))
            if family in EXACT:
                lower, upper = EXACT[family](mpf(y), *values)
            else:
                lower, upper = numeric_tails(family, mpf(y), values, mpf(p["sigma"] + p.get("beta", 0)))
            yield family.__name__, {"y": y, **p, "lower": float(lower), "upper": float(upper)}


def log_gamma_tails(a, x):
    return log(gammainc(a, 0, x, regularized=True)), log(gammainc(a, x, inf, regularized=True))


def log_beta_tails(a, b, x):
    """By 2F1 on the side on which x lies; the other tail is the complement."""

    def outer(a, b, x):
        return x**a * (1 - x) ** b / (a * beta_function(a, b)) * hyp2f1(a + b, 1, a + 1, x)

    if x * b < (1 - x) * a:
        lower = outer(a, b, x)
        return log(lower), log1p(-lower)
    upper = outer(b, a, 1 - x)
    return log1p(-upper), log(upper)


def log_student(t, nu):
    below = student_below(-abs(t), nu)
    return (log(below), log1p(-below)) if t < 0 else (log1p(-below), log(below))


SPECIAL = {
    "log_incomplete_gamma": (
        log_gamma_tails,
        list(product([1e-5, 0.3, 1, 2.5, 30, 1e3], [1e-100, 0.01, 0.99, 1.01, 3, 27, 40, 950, 1100])),
    ),
    "log_incomplete_beta": (
        log_beta_tails,
        list(product([1e-3, 0.7, 2.5, 40], [1e-3, 0.5, 3, 200], [1e-30, 0.01, 0.2, 0.49, 0.51, 0.9, 0.9999])),
    ),
    "log_student_tails": (
        log_student,
        list(product([-1e6, -40, -3, -1, -0.2, 0.0, 0.6, 1.4, 1.5, 8], [0.7, 1, 2.5, 4, 30, 500])),
    ),
}


def slope(function, arguments, of, by):
    """The derivative of the tail numbered ``of`` by the argument numbered ``by``."""

    def moved(value):
        return function(*arguments[:by], value, *arguments[by + 1 :])[of]

    return float(diff(moved, arguments[by], h=mpf(10) ** -15 * (abs(arguments[by]) or mpf(10) ** -10)))


def special_rows():
    mp.dps = 60
    for name, (function, points) in SPECIAL.items():
        for point in points:
            arguments = list(map(mpf, point))
            tails = [float(tail) for tail in function(*arguments)]
            slopes = [[slope(function, arguments, of, by) for by in range(len(point))] for of in range(2)]
            yield name, {"arguments": point, "tails": tails, "slopes": slopes}


def gathered(rows):
    table = {}
    for name, row in rows:
        table.setdefault(name, []).append(row)
    return table


if __name__ == "__main__":
    content = {
        "densities": gathered(density_rows()),
        "tails": gathered(tail_rows()),
        "special": gathered(special_rows()),
    }
    path = Path(__file__).with_name("real_families.json")
    path.write_text(json.dumps(content, indent=None, separators=(",", ":")) + "\n")
