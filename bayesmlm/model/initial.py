"""Starting values given by the user, on the parameters' natural scales, as flat unconstrained vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..inference.protocol import SamplerSettings
from ..messages import inform
from .spec import ModelSpec

__all__ = ["initial_values"]


def initial_values(spec: ModelSpec, settings: SamplerSettings, init: Any) -> SamplerSettings:
    """``settings`` with brms's ``init``: None or "random", 0 or "0", a radius, "laplace", a dict of values, a list of
    one dict for each chain, or a function of no argument that returns a dict. Parameters that a dict leaves out start
    at random. Raises `BayesmlmError` for unknown names, wrong shapes and values outside a parameter's support."""
    if init is None or (isinstance(init, str) and init == "random"):
        return settings
    if isinstance(init, str) and init == "0":
        return replace(settings, init=0.0)
    if isinstance(init, str) and init == "laplace":
        return replace(settings, init="laplace")
    if isinstance(init, int | float | np.number) and not isinstance(init, bool):
        if not np.isfinite(init) or init < 0:
            raise BayesmlmError(f"init must be a radius that is not negative, not {init!r}")
        return replace(settings, init=float(init))
    if callable(init):
        given = [init() for _ in range(settings.chains)]
    elif isinstance(init, Mapping):
        given = [init] * settings.chains
    elif isinstance(init, Sequence) and not isinstance(init, str):
        given = list(init)
    else:
        raise BayesmlmError(
            'init must be None, "random", 0, a radius, "laplace", a dict of values, a list of dicts or a function; '
            f"got {init!r}"
        )
    if len(given) != settings.chains or not all(isinstance(g, Mapping) for g in given):
        raise BayesmlmError(f"init needs one dict of values for each of the {settings.chains} chains")
    gone = {site.name for site in spec.structure.sites} - {site.name for site in spec.sampled.sites}
    for name in sorted(gone & {name for values in given for name in values}):
        inform(f"init for `{name}` is not used: these group effects are integrated out.")
    rng = np.random.default_rng([settings.seed, 1])
    return replace(settings, init=np.stack([_flat(spec, values, rng) for values in given]))


def _flat(spec: ModelSpec, values: Mapping[str, Any], rng: np.random.Generator) -> NDArray[np.float64]:
    import jax.numpy as jnp
    from numpyro.distributions import biject_to

    from ..inference.x64 import x64

    structure, data = spec.sampled, spec.program.data
    names = [site.name for site in spec.structure.sites]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise BayesmlmError(
            f"init names `{unknown[0]}`, which is not a parameter; the parameters are {', '.join(names)}"
        )
    pieces = []
    with x64():
        distributions = structure.distributions(data)
        for site in structure.sites:
            if site.name not in values:
                pieces.append(rng.uniform(-2, 2, site.size))
                continue
            value = np.asarray(values[site.name], dtype=np.float64)
            if value.shape != site.shape:
                raise BayesmlmError(
                    f"init for `{site.name}` has shape {value.shape}, but the parameter has shape {site.shape}"
                )
            support = distributions[site.name].support
            if not bool(np.all(np.asarray(support(value)))):
                raise BayesmlmError(f"init for `{site.name}` is outside the parameter's support")
            pieces.append(np.asarray(biject_to(support).inv(value)).reshape(-1))
        q = np.concatenate(pieces) if pieces else np.zeros(0)
        return np.asarray(spec.program.structure.whiten(jnp.asarray(q), data)) if structure.sites else q
