"""Log densities, logarithms of both tails and their derivatives by every parameter, of families of positive responses,
in 40 digits and more: positive_families.json. Needs mpmath (not among the project's requirements). Run from the
repository root: python tests/reference/make_positive_families.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import (
    erfc,
    exp,
    expm1,
    floor,
    gamma,
    gammainc,
    inf,
    log,
    log1p,
    loggamma,
    mp,
    mpf,
    npdf,
    pi,
    sin,
    sqrt,
)

mp.dps = 40


def weibull(y, mu, shape):
    hazard = (y * gamma(1 + 1 / shape) / mu) ** shape
    return log(shape / y) + log(hazard) - hazard


def weibull_tails(y, mu, shape):
    hazard = (y * gamma(1 + 1 / shape) / mu) ** shape
    return log(-expm1(-hazard)), -hazard


def frechet(y, mu, nu):
    power = (y * gamma(1 - 1 / nu) / mu) ** -nu
    return log(nu / y) + log(power) - power


def frechet_tails(y, mu, nu):
    power = (y * gamma(1 - 1 / nu) / mu) ** -nu
    return -power, log(-expm1(-power))


def normal_tails(z):
    return log(erfc(-z / sqrt(2)) / 2), log(erfc(z / sqrt(2)) / 2)


def shifted_lognormal(y, mu, sigma, ndt):
    z = (log(y - ndt) - mu) / sigma
    return log(npdf(z)) - log(sigma) - log(y - ndt)


def shifted_lognormal_tails(y, mu, sigma, ndt):
    return normal_tails((log(y - ndt) - mu) / sigma)


def inverse_gaussian_tails(y, mu, shape):
    with mp.workdps(250):  # both terms may agree in many digits
        root = sqrt(shape / y)
        z, mirrored = root * (y / mu - 1), root * (y / mu + 1)
        second = exp(2 * shape / mu) * erfc(mirrored / sqrt(2)) / 2
        return log(erfc(-z / sqrt(2)) / 2 + second), log(erfc(z / sqrt(2)) / 2 - second)


def exponential_tails(y, mu):
    return log(-expm1(-y / mu)), -y / mu


def wiener(y, mu, bs, ndt, bias, dec):
    with mp.workdps(120):
        t = y - ndt
        drift, start = (-mu, 1 - bias) if dec else (mu, mpf(bias))
        u = t / bs**2
        if u < 1:
            terms = [(start + 2 * k) * exp(-((start + 2 * k) ** 2) / (2 * u)) for k in range(-25, 26)]
            passage = sum(terms) / sqrt(2 * pi * u**3)
        else:
            passage = pi * sum(k * exp(-(k**2) * pi**2 * u / 2) * sin(k * pi * start) for k in range(1, 30))
        return log(passage) - 2 * log(bs) - drift * bs * start - drift**2 * t / 2


def hurdle_gamma(y, mu, shape, hu):
    if y == 0:
        return log(hu)
    rate = shape / mu
    return log1p(-hu) + shape * log(rate) - loggamma(shape) + (shape - 1) * log(y) - rate * y


def hurdle_gamma_tails(y, mu, shape, hu):
    upper = (1 - hu) * gammainc(shape, y * shape / mu, inf, regularized=True)
    return log(hu + (1 - hu) * gammainc(shape, 0, y * shape / mu, regularized=True)), log(upper)


def hurdle_lognormal(y, mu, sigma, hu):
    if y == 0:
        return log(hu)
    return log1p(-hu) + shifted_lognormal(y, mu, sigma, 0)


def hurdle_lognormal_tails(y, mu, sigma, hu):
    z = (log(y) - mu) / sigma
    return log(hu + (1 - hu) * erfc(-z / sqrt(2)) / 2), log1p(-hu) + log(erfc(z / sqrt(2)) / 2)


def counts(around):
    """Numbers of gamma variables that count for the density at y: 16 standard deviations to both sides, and more where
    these are few."""
    reach = 16 * sqrt(around) + 60
    return range(max(1, int(floor(around - reach))), int(floor(around + reach)) + 1)


def tweedie_pieces(mu, phi, power):
    intensity = mu ** (2 - power) / (phi * (2 - power))
    return intensity, (2 - power) / (power - 1), phi * (power - 1) * mu ** (power - 1)


def tweedie(y, mu, phi, power):
    intensity, shape, scale = tweedie_pieces(mu, phi, power)
    if y == 0:
        return -intensity
    z = y / scale
    around = float(tweedie_pieces(y, phi, power)[0])
    total = sum(
        exp(j * log(intensity) - intensity - loggamma(j + 1) + j * shape * log(z) - z - loggamma(j * shape))
        for j in counts(around)
    )
    return log(total) - log(y)


def tweedie_tails(y, mu, phi, power):
    intensity, shape, scale = tweedie_pieces(mu, phi, power)
    z = y / scale
    below, above = exp(-intensity), mpf(0)
    for j in range(1, int(2 * max(float(intensity), float(tweedie_pieces(y, phi, power)[0]))) + 60):
        poisson = exp(j * log(intensity) - intensity - loggamma(j + 1))
        below += poisson * gammainc(j * shape, 0, z, regularized=True)
        above += poisson * gammainc(j * shape, z, inf, regularized=True)
    return log(below), log(above)


DENSITIES = {
    "weibull": weibull,
    "frechet": frechet,
    "shifted_lognormal": shifted_lognormal,
    "wiener": wiener,
    "hurdle_gamma": hurdle_gamma,
    "hurdle_lognormal": hurdle_lognormal,
    "tweedie": tweedie,
}
TAILS = {
    "exponential": exponential_tails,
    "inverse.gaussian": inverse_gaussian_tails,
    "weibull": weibull_tails,
    "frechet": frechet_tails,
    "shifted_lognormal": shifted_lognormal_tails,
    "hurdle_gamma": hurdle_gamma_tails,
    "hurdle_lognormal": hurdle_lognormal_tails,
    "tweedie": tweedie_tails,
}
FREE = {
    "exponential": ["mu"],
    "inverse.gaussian": ["mu", "shape"],
    "weibull": ["mu", "shape"],
    "frechet": ["mu", "nu"],
    "shifted_lognormal": ["mu", "sigma", "ndt"],
    "wiener": ["mu", "bs", "ndt", "bias"],
    "hurdle_gamma": ["mu", "shape", "hu"],
    "hurdle_lognormal": ["mu", "sigma", "hu"],
    "tweedie": ["mu", "phi", "power"],
}


def grid(name, **values):
    """All combinations; the first factor varies slowest."""
    rows = [{}]
    for key, options in values.items():
        rows = [{**row, key: option} for row in rows for option in options]
    return [(name, row) for row in rows]


def single(name, *rows, dec=False):
    keys = ["y", *FREE[name], *(["dec"] if dec else [])]
    return [(name, dict(zip(keys, row, strict=True))) for row in rows]


DENSITY_CASES = [
    *grid("weibull", y=[1e-8, 0.7, 30.0], mu=[1e-3, 2.0], shape=[0.05, 1.3, 40.0]),
    *single("weibull", (1.0001, 1.0, 1e4), (2.0, 2.0, 1e6), (1e-300, 3.0, 0.4), (1e200, 1e199, 0.01)),
    *grid("frechet", y=[1e-2, 0.7, 3e5], mu=[0.3, 20.0], nu=[1.001, 1.9, 2.1, 40.0]),
    *single("frechet", (1.0001, 1.0, 1e4), (2.0, 2.0, 1e6), (1e100, 3.0, 1.5)),
    *grid("shifted_lognormal", y=[0.3000001, 0.7, 3e5], mu=[-7.0, 0.4], sigma=[0.05, 2.0], ndt=[0.1, 0.3]),
    *grid(
        "wiener",
        y=[0.301, 0.45, 0.9, 6.0],
        mu=[-3.0, 0.0, 1.2],
        bs=[0.6, 2.5],
        ndt=[0.3],
        bias=[0.02, 0.5, 0.93],
        dec=[0, 1],
    ),
    *single(
        "wiener",
        (0.5, 0.7, 1.5, 0.4999999, 0.3, 1),
        (60.0, 0.2, 1.5, 0.2, 0.3, 0),
        (2.0, -30.0, 4.0, 0.2, 0.6, 0),
        (2.0, 30.0, 4.0, 0.2, 0.6, 1),
        (1.0, 0.5, 1.0, 0.2, 1e-9, 0),
        (1.0, 0.5, 1.0, 0.2, 1e-9, 1),
        (0.5, 0.5, 1.2, 0.2, 1e-9, 1),
        (1e4, 1e-4, 300.0, 5.0, 0.4, 1),
        dec=True,
    ),
    *grid("hurdle_gamma", y=[0.0, 1e-9, 2.0, 80.0], mu=[0.01, 5.0], shape=[0.2, 7.0], hu=[1e-9, 0.3]),
    *single("hurdle_gamma", (5.001, 5.0, 1e6, 0.99)),
    *grid("hurdle_lognormal", y=[0.0, 1e-9, 2.0, 80.0], mu=[-4.0, 1.1], sigma=[0.2, 3.0], hu=[1e-9, 0.3]),
    *grid("tweedie", y=[0.0, 1e-6, 0.2, 3.0, 90.0], mu=[0.05, 4.0], phi=[0.3, 8.0], power=[1.02, 1.5, 1.97]),
    *single(
        "tweedie",
        (3.0, 3.1, 1e-3, 1.3),
        (3.0, 3.1, 1e-3, 1.9),
        (3.0, 2.0, 0.011, 1.7),
        (3.0, 2.0, 0.013, 1.99),
        (50.0, 40.0, 0.02, 1.6),
        (1e5, 9e4, 30.0, 1.5),
        (1e-200, 1.0, 1.0, 1.4),
        (5.0, 1.0, 1e6, 1.4),
        (7.0, 7.001, 1e-4, 1.5),
    ),
]
TAIL_CASES = [
    *grid("exponential", y=[1e-9, 0.4, 900.0], mu=[0.01, 3.0]),
    *grid("inverse.gaussian", y=[1e-3, 0.6, 1.9, 40.0], mu=[0.5, 2.0], shape=[0.02, 3.0, 200.0]),
    *single(
        "inverse.gaussian",
        (1.0, 1e4, 1e-6),
        (1e3, 1e5, 1e-4),
        (1e6, 1.0, 1.0),
        (1e3, 1.0, 1e-5),
        (2e4, 1.0, 2e-3),
        (1.00001, 1.0, 1e8),
        (30.0, 29.0, 0.5),
    ),
    *grid("weibull", y=[1e-8, 0.7, 30.0], mu=[1e-3, 2.0], shape=[0.05, 1.3, 4.0]),
    *grid("frechet", y=[0.05, 0.7, 3e5], mu=[0.3, 5.0], nu=[1.001, 1.9, 4.0]),
    *grid("shifted_lognormal", y=[0.3000001, 0.7, 3e5], mu=[-7.0, 0.4], sigma=[0.3, 2.0], ndt=[0.1, 0.3]),
    *grid("hurdle_gamma", y=[1e-9, 2.0, 80.0], mu=[0.5, 5.0], shape=[0.2, 7.0], hu=[1e-9, 0.3]),
    *grid("hurdle_lognormal", y=[1e-9, 2.0, 80.0], mu=[-4.0, 1.1], sigma=[0.5, 3.0], hu=[1e-9, 0.3]),
    *grid("tweedie", y=[1e-3, 1.0, 20.0], mu=[1.5], phi=[0.8], power=[1.1, 1.5, 1.9]),
    *single("tweedie", (3.0, 3.3, 0.07, 1.5), (2.6, 3.3, 0.07, 1.3), (4.5, 3.3, 0.07, 1.7)),
]


def finite(x):
    return float(x) if abs(x) < mpf("1e300") else str(x)


def with_derivatives(function, name, row):
    """The value of ``function`` at ``row`` and its derivatives by the free parameters."""
    exact = {key: mpf(value) if key != "dec" else value for key, value in row.items()}
    out = {"value": float(function(**exact))}
    for parameter in FREE[name]:

        def along(x, parameter=parameter):
            return function(**{**exact, parameter: x})

        size = mpf(10) ** -13 * max(abs(exact[parameter]), mpf("1e-12"))
        out[parameter] = float((along(exact[parameter] + size) - along(exact[parameter] - size)) / (2 * size))
    return out


def main():
    density, tails = {}, {}
    for name, row in DENSITY_CASES:
        result = with_derivatives(DENSITIES[name], name, row)
        density.setdefault(name, []).append({"at": row, "log_density": result})
    for name, row in TAIL_CASES:
        entry = {"at": row}
        for side, which in (("below", 0), ("above", 1)):
            entry[side] = with_derivatives(
                lambda name=name, which=which, **p: TAILS[name](**p)[which], name, row
            )
        tails.setdefault(name, []).append(entry)
    path = Path("tests/reference/positive_families.json")
    path.write_text(
        json.dumps({"density": density, "tails": tails}, indent=None, separators=(",", ":")) + "\n"
    )


main()
