"""Parameter settings of every family, and scipy's distribution for each: what the family tests run over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.stats as st

from bayesmlm.families import FAMILIES, Family
from bayesmlm.families.links import LINKS


@dataclass(frozen=True)
class ZeroMixture:
    """0 with probability ``zero``, else a count of the scipy distribution ``plain``; ``hurdle``: one that is not 0."""

    zero: float
    plain: Any
    hurdle: bool

    def pmf(self, y):
        return np.exp(self.logpmf(y))

    def logpmf(self, y):
        y = np.asarray(y)
        if self.hurdle:
            positive = np.log1p(-self.zero) + self.plain.logpmf(y) - np.log(self.plain.sf(0))
            return np.where(y == 0, np.log(self.zero), positive)
        at_zero = np.log(self.zero + (1 - self.zero) * self.plain.pmf(0))
        return np.where(y == 0, at_zero, np.log1p(-self.zero) + self.plain.logpmf(y))

    def cdf(self, y):
        inner = 1 - self.plain.sf(y) / self.plain.sf(0) if self.hurdle else self.plain.cdf(y)
        return np.where(np.asarray(y) < 0, 0.0, self.zero + (1 - self.zero) * inner)

    def ppf(self, q):
        inner = np.maximum((np.asarray(q) - self.zero) / (1 - self.zero), 0)
        y = self.plain.isf((1 - inner) * self.plain.sf(0)) if self.hurdle else self.plain.ppf(inner)
        return np.where(np.asarray(q) <= self.cdf(0), 0.0, y)


def _negbinomial(p: Mapping[str, Any]) -> Any:
    return st.nbinom(p["shape"], p["shape"] / (p["shape"] + p["mu"]))


SCIPY: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "gaussian": lambda p: st.norm(p["mu"], p["sigma"]),
    "student": lambda p: st.t(p["nu"], p["mu"], p["sigma"]),
    "lognormal": lambda p: st.lognorm(p["sigma"], scale=np.exp(p["mu"])),
    "gamma": lambda p: st.gamma(p["shape"], scale=p["mu"] / p["shape"]),
    "beta": lambda p: st.beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]),
    "bernoulli": lambda p: st.bernoulli(p["mu"]),
    "binomial": lambda p: st.binom(p["trials"], p["mu"]),
    "poisson": lambda p: st.poisson(p["mu"]),
    "negbinomial": _negbinomial,
    "exponential": lambda p: st.expon(scale=p["mu"]),
    "inverse.gaussian": lambda p: st.invgauss(p["mu"] / p["shape"], scale=p["shape"]),
    "beta_binomial": lambda p: st.betabinom(p["trials"], p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]),
    "nbinom1": lambda p: st.nbinom(p["mu"] / p["phi"], 1 / (1 + p["phi"])),
    "geometric": lambda p: st.nbinom(1, 1 / (1 + p["mu"])),
    "zero_inflated_poisson": lambda p: ZeroMixture(p["zi"], st.poisson(p["mu"]), False),
    "zero_inflated_negbinomial": lambda p: ZeroMixture(p["zi"], _negbinomial(p), False),
    "zero_inflated_binomial": lambda p: ZeroMixture(p["zi"], st.binom(p["trials"], p["mu"]), False),
    "hurdle_poisson": lambda p: ZeroMixture(p["hu"], st.poisson(p["mu"]), True),
    "hurdle_negbinomial": lambda p: ZeroMixture(p["hu"], _negbinomial(p), True),
}


@dataclass(frozen=True)
class Case:
    """One family at one setting; ``parameters`` on natural scales (with ``trials`` where there are trials)."""

    name: str
    parameters: dict[str, float]

    @property
    def family(self) -> Family:
        return FAMILIES[self.name]

    @property
    def extra(self) -> dict[str, Any]:
        return (
            {"trials": jnp.asarray(float(self.parameters["trials"]))} if "trials" in self.parameters else {}
        )

    @property
    def scipy(self) -> Any:
        return SCIPY[self.name](self.parameters)

    def natural(self, link: str | None = None, rows: int | tuple[()] = ()) -> dict[str, Any]:
        """Parameters as a family's functions take them, ``eta`` made with ``link``; ``rows``: of each."""
        p = {k: np.full(rows, float(v)) for k, v in self.parameters.items() if k != "trials"}
        p["eta"] = np.asarray(LINKS[link or self.family.link("mu")].link(p["mu"]))
        return {k: jnp.asarray(v) for k, v in p.items()}

    def grid(self) -> np.ndarray:
        """Ten responses over the whole distribution, far tails included (inside the support)."""
        probabilities = np.array([1e-14, 1e-8, 1e-3, 0.1, 0.4, 0.5, 0.6, 0.9, 0.999, 1 - 1e-8])
        y = np.asarray(self.scipy.ppf(probabilities), dtype=float)
        return np.resize(y[self.family.support.contains(y)], probabilities.size)  # one shape, one compilation

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v:g}' for k, v in self.parameters.items())})"


CASES = [
    Case(name, dict(zip(keys.split(), values, strict=True)))
    for name, keys, settings in [
        ("gaussian", "mu sigma", [(0.3, 1.7), (-1e6, 1e-3), (2.0, 1e8)]),
        ("student", "mu sigma nu", [(0.3, 1.7, 1.2), (-4.0, 0.1, 5.0), (1.0, 2.0, 80.0)]),
        ("lognormal", "mu sigma", [(0.3, 0.7), (-20.0, 1.5), (3.0, 0.01)]),
        ("gamma", "mu shape", [(2.0, 0.3), (0.7, 1.0), (1e-5, 4.0), (1e6, 3000.0)]),
        ("beta", "mu phi", [(0.3, 2.0), (0.5, 0.9), (0.01, 40.0), (0.9, 3000.0)]),
        ("bernoulli", "mu", [(0.3,), (1e-9,), (0.98,)]),
        ("binomial", "mu trials", [(0.3, 1), (0.5, 17), (1e-4, 3000), (0.97, 200)]),
        ("poisson", "mu", [(0.02,), (3.7,), (50.0,), (2e4,)]),
        ("negbinomial", "mu shape", [(3.0, 0.2), (0.1, 2.0), (40.0, 5.0), (300.0, 500.0)]),
        ("exponential", "mu", [(2.0,), (1e-5,), (1e6,)]),
        ("inverse.gaussian", "mu shape", [(0.3, 4.0), (2.0, 0.7), (1e-5, 1e-4), (40.0, 3000.0)]),
        ("beta_binomial", "mu phi trials", [(0.3, 2.0, 5), (0.01, 0.4, 17), (0.97, 900.0, 300)]),
        ("nbinom1", "mu phi", [(3.0, 0.4), (0.1, 3.0), (40.0, 8.0), (300.0, 0.01)]),
        ("geometric", "mu", [(3.0,), (0.01,), (200.0,)]),
        ("zero_inflated_poisson", "mu zi", [(3.7, 0.3), (0.02, 0.9), (60.0, 1e-3)]),
        ("zero_inflated_negbinomial", "mu shape zi", [(3.0, 0.2, 0.3), (0.1, 2.0, 0.9), (40.0, 5.0, 0.01)]),
        ("zero_inflated_binomial", "mu trials zi", [(0.3, 1, 0.3), (0.5, 17, 0.9), (0.97, 200, 1e-3)]),
        ("hurdle_poisson", "mu hu", [(3.7, 0.3), (0.02, 0.9), (60.0, 1e-3)]),
        ("hurdle_negbinomial", "mu shape hu", [(3.0, 0.2, 0.3), (0.1, 2.0, 0.9), (40.0, 5.0, 0.01)]),
    ]
    for values in settings
]

NAMES = tuple(dict.fromkeys(case.name for case in CASES))
"""The families that the cases are of; those of later files have tests of their own."""
