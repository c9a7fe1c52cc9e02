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

SCIPY: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "gaussian": lambda p: st.norm(p["mu"], p["sigma"]),
    "student": lambda p: st.t(p["nu"], p["mu"], p["sigma"]),
    "lognormal": lambda p: st.lognorm(p["sigma"], scale=np.exp(p["mu"])),
    "gamma": lambda p: st.gamma(p["shape"], scale=p["mu"] / p["shape"]),
    "beta": lambda p: st.beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]),
    "bernoulli": lambda p: st.bernoulli(p["mu"]),
    "binomial": lambda p: st.binom(p["trials"], p["mu"]),
    "poisson": lambda p: st.poisson(p["mu"]),
    "negbinomial": lambda p: st.nbinom(p["shape"], p["shape"] / (p["shape"] + p["mu"])),
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
        return {"trials": jnp.asarray(self.parameters["trials"])} if "trials" in self.parameters else {}

    @property
    def scipy(self) -> Any:
        return SCIPY[self.name](self.parameters)

    def natural(self, link: str | None = None) -> dict[str, Any]:
        """Parameters as a family's functions take them, ``eta`` made with ``link``."""
        p = {k: jnp.asarray(float(v)) for k, v in self.parameters.items() if k != "trials"}
        return {**p, "eta": LINKS[link or self.family.link("mu")].link(p["mu"])}

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
    ]
    for values in settings
]
