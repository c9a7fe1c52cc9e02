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
    structure = spec.sampled
    names = [site.name for site in spec.structure.sites]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise BayesmlmError(
            f"init names `{unknown[0]}`, which is not a parameter; the parameters are {', '.join(names)}"
        )
    given, drawn = {}, {}
    for site in structure.sites:
        if site.name not in values:
            drawn[site.name] = rng.uniform(-2, 2, site.size)
            continue
        given[site.name] = np.asarray(values[site.name], dtype=np.float64)
        if given[site.name].shape != site.shape:
            raise BayesmlmError(
                f"init for `{site.name}` has shape {given[site.name].shape}, but the parameter has shape {site.shape}"
            )
    inside, q = _coordinates(spec, given, drawn)
    for name, holds in inside.items():
        if not holds:
            raise BayesmlmError(f"init for `{name}` is outside the parameter's support")
    return q


def _coordinates(
    spec: ModelSpec, given: Mapping[str, NDArray[np.float64]], drawn: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, bool], NDArray[np.float64]]:
    """Whether each of the values ``given`` lies in its support, and the sampler's coordinates of these and of the
    unconstrained ones ``drawn``."""
    import jax
    import jax.numpy as jnp
    from numpyro.distributions import biject_to

    from ..inference.compile_cache import compiled
    from ..inference.x64 import x64

    structure, program = spec.sampled, spec.program
    if not structure.sites:
        return {}, np.zeros(0)

    def place(given: Any, drawn: Any, data: Any) -> Any:
        supports = {name: d.support for name, d in structure.distributions(data).items()}
        inside = {name: jnp.all(supports[name](value)) for name, value in given.items()}
        moved = {name: biject_to(supports[name]).inv(value).reshape(-1) for name, value in given.items()}
        pieces = {**drawn, **moved}
        q = jnp.concatenate([pieces[site.name] for site in structure.sites])
        return inside, program.structure.whiten(q, data)

    arguments = dict(given), dict(drawn), program.data
    with x64():
        found = compiled(place, arguments, name="initial_values", key=program.key)(*arguments)
        inside, q = jax.device_get(found)
    return inside, np.asarray(q)
