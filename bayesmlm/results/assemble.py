"""From an engine's draws to a `BayesFit`: program sites to the fixed DataTree layout, and back."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Factor
from ..errors import BayesmlmWarning, ConvergenceWarning
from ..inference.protocol import Draws
from ..model.blocks import GroupBlock, pair_indices
from ..model.parts.mixture_weights import ORDERED
from ..priors.outline import dpar_of
from ..priors.vector import VectorPrior, draw_prior
from . import layout
from .fit import BayesFit
from .integrated import integrated_effects

if TYPE_CHECKING:
    import xarray as xr

    from ..model.design import Design
    from ..model.spec import ModelSpec

__all__ = ["assemble", "tree_from_sites", "tree_to_sites"]


def assemble(
    spec: ModelSpec,
    draws: Draws,
    call: Mapping[str, Any],
    *,
    sample_prior: str = "no",
    setup: float = 0.0,
) -> BayesFit:
    """The fitted model. Warns (`ConvergenceWarning`) when the draws may not represent the posterior."""
    from .diagnose import diagnose

    started = time.perf_counter()
    priors = prior_draws(spec, draws) if sample_prior == "yes" else {}
    samples = {**draws.samples, **integrated_effects(spec, draws)}
    tree = tree_from_sites(spec, samples, draws.stats, priors)
    timings = replace(draws.timings, setup=draws.timings.setup + setup)
    fit = BayesFit(
        spec, tree, draws.settings, timings, call, complete=draws.complete, approximation=draws.approximation
    )
    for note in draws.notes:
        warnings.warn(note, BayesmlmWarning, stacklevel=3)
    for message in diagnose(fit):
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    timings.after += time.perf_counter() - started
    return fit


def tree_from_sites(
    spec: ModelSpec,
    samples: Mapping[str, NDArray],
    stats: Mapping[str, NDArray],
    priors: Mapping[str, NDArray] | None = None,
) -> xr.DataTree:
    """The DataTree of program samples, each (chain, draw, ...)."""
    design = spec.design
    variables: list[layout.Variable] = []
    arrays: dict[str, NDArray] = {}

    def put(variable: layout.Variable, values: NDArray) -> None:
        variables.append(variable)
        arrays[variable.name] = values

    of_parts = [entry for part in spec.structure.parts for entry in part.variables()]
    # Thresholds stand where intercepts do: before those of other parameters.
    first = [entry for entry in of_parts if entry[0].kind in ("b_Intercept", "Intercept")]
    others = [entry for entry in of_parts if entry not in first]
    for variable, name in first:
        put(variable, samples[name])
    for p in spec.structure.predictors:
        dpar = dpar_of(p.parameter)
        if p.intercept:
            put(layout.intercept(dpar), samples[f"b{p.suffix}_Intercept"])
            put(layout.centred_intercept(dpar), p.intercept_of(samples))
        if p.coefficients:
            coefficients = design.predictors[p.parameter].coefficients
            put(layout.population(coefficients, dpar), samples[f"b{p.suffix}"])
    for group, parameter, members in _by_group(design):
        dpar = dpar_of(parameter)
        sds = np.concatenate([samples[f"sd_{b.site}"][..., _sd_index(b, own)] for b, own in members], axis=-1)
        labels = [label for b, own in members for label in _sd_labels(b, own)]
        by = any(b.by is not None for b, _ in members)
        put(layout.group_sds(group, labels, dpar, by=by), sds)
        if all(f"r_{b.site}" in samples for b, _ in members):
            effects = np.concatenate([samples[f"r_{b.site}"][..., own] for b, own in members], axis=-1)
            names = [b.columns[i].coefficient for b, own in members for i in own]
            put(layout.group_effects(group, members[0][0].levels, names, dpar), effects)
    for group in sorted({b.group for b in design.blocks if b.has_correlations}):
        blocks = [b for b in design.blocks if b.group == group and b.has_correlations]
        values = np.concatenate([samples[f"cor_{b.site}"] for b in blocks], axis=-1)
        put(layout.correlations(group, [pair for b in blocks for pair in b.pairs]), values)
    for name in spec.structure.scalars:
        put(layout.quantity(name), samples[name])
    for name, other in spec.structure.tied:
        if other in spec.structure.scalars:
            put(layout.quantity(name), samples[name])
    for name, value in {**_family_constants(design), **design.response.fixed}.items():
        put(layout.quantity(name), np.full_like(samples["lprior"], value))
    for variable, name in others:
        put(variable, samples[name])
    for name, values in (priors or {}).items():
        put(layout.quantity(name, kind="prior"), values)
    return layout.build_tree(
        variables,
        arrays,
        sample_stats=stats,
        # Rows first, as ArviZ has them.
        observed_data={design.response.name: design.response.values.T},
        constant_data=_constant_data(design),
        log_prior={"lprior": samples["lprior"]},
        attributes={"inference_library": "numpyro", "modeling_library": "bayesmlm"},
    )


def _family_constants(design: Design) -> dict[str, float]:
    """The parameters that have the value the family gives them (disc of ordinal families)."""
    records = [p for p in design.family.parameters if p.fixed is not None]
    return {p.name: design.fixed[p.name] for p in records if p.name in design.fixed}


def tree_to_sites(tree: xr.DataTree, spec: ModelSpec) -> dict[str, NDArray]:
    """Program values by name, chains joined: the first axis is the draw. The inverse of `tree_from_sites`."""
    posterior = tree["posterior"].dataset

    def values(variable: layout.Variable) -> NDArray:
        array = posterior[variable.name].to_numpy()
        return array.reshape(-1, *array.shape[2:])

    design = spec.design
    out: dict[str, NDArray] = {name: values(layout.quantity(name)) for name in spec.structure.scalars}
    ordered: list[NDArray] = []
    for p in spec.structure.predictors:
        dpar = dpar_of(p.parameter)
        if p.intercept:
            out[f"Intercept{p.suffix}"] = values(layout.centred_intercept(dpar))
        if p.place is not None:
            ordered.append(out.pop(f"Intercept{p.suffix}"))
        if p.coefficients:
            out[f"b{p.suffix}"] = values(layout.population((), dpar))
    if ordered:
        out[ORDERED] = np.stack(ordered, axis=-1)
    for part in spec.structure.parts:
        out |= {name: values(variable) for variable, name in part.variables()}
    sds: dict[str, list[tuple[list[int], NDArray]]] = {}
    effects: dict[str, list[tuple[list[int], NDArray]]] = {}
    for group, parameter, members in _by_group(design):
        dpar = dpar_of(parameter)
        sd, r = layout.group_sds(group, (), dpar), layout.group_effects(group, (), (), dpar)
        sd_start = r_start = 0
        for b, own in members:
            index = _sd_index(b, own)
            piece = values(sd)[:, sd_start : sd_start + len(index)]
            sds.setdefault(f"sd_{b.site}", []).append((index, piece))
            if r.name in posterior:
                piece = values(r)[:, :, r_start : r_start + len(own)]
                effects.setdefault(f"r_{b.site}", []).append((own, piece))
            sd_start, r_start = sd_start + len(index), r_start + len(own)
    out |= {name: _joined(pieces) for name, pieces in {**sds, **effects}.items()}
    for group in sorted({b.group for b in design.blocks if b.has_correlations}):
        cors = values(layout.correlations(group, ()))
        start = 0
        for b in design.blocks:
            if b.group == group and b.has_correlations:
                out[f"cor_{b.site}"] = cors[:, start : start + len(b.pair_labels)]
                start += len(b.pair_labels)
    return out


def _joined(pieces: list[tuple[list[int], NDArray]]) -> NDArray:
    """Pieces put together at their positions along the last axis; a view when there is only one."""
    positions = [i for own, _ in pieces for i in own]
    if positions == list(range(len(positions))) and len(pieces) == 1:
        return pieces[0][1]
    return np.concatenate([piece for _, piece in pieces], axis=-1)[..., np.argsort(positions)]


def prior_draws(spec: ModelSpec, draws: Draws) -> dict[str, NDArray]:
    """``prior_*`` draws for ``sample_prior="yes"``: one for each posterior draw, of every parameter with a proper
    prior and every correlation; group effects excepted (as in brms)."""
    chains, length = draws.unconstrained.shape[:2]
    rng = np.random.default_rng([draws.settings.seed, 2])
    out: dict[str, NDArray] = {}
    for site in spec.structure.sites:
        if site.kind == "lkj" and site.constants is not None:
            out |= _prior_correlations(site.names, 1, float(site.constants["eta"]), rng, (chains, length))
        if site.prior is None:
            continue
        for name, label, density in zip(site.names, site.prior.names, site.prior.densities, strict=True):
            one = VectorPrior((label,), (density,), site.prior.lower, site.prior.upper)
            if not one.improper:
                out[f"prior_{name}"] = draw_prior(one, rng, chains * length).reshape(chains, length)
    for block in spec.design.blocks:
        if block.has_correlations:
            names = tuple(f"cor_{block.group}__{pair}" for pair in block.pair_labels)
            eta = spec.priors.lkj(block.group)
            out |= _prior_correlations(names, block.by_count, eta, rng, (chains, length))
    return out


def _prior_correlations(
    names: tuple[str, ...], matrices: int, eta: float, rng: np.random.Generator, shape: tuple[int, int]
) -> dict[str, NDArray]:
    """Draws of the correlations called ``names`` of so many matrices, one after the other."""
    from ..priors.lkj import draw_correlations

    size = next(k for k in range(2, len(names) + 2) if matrices * k * (k - 1) // 2 == len(names))
    row, column = pair_indices(size)
    columns: list[NDArray] = []
    for _ in range(matrices):
        drawn = draw_correlations(eta, size, rng, shape[0] * shape[1])
        columns += [values.reshape(shape) for values in drawn[:, row, column].T]
    return {f"prior_{name}": values for name, values in zip(names, columns, strict=True)}


def _by_group(design: Design) -> Iterator[tuple[str, str, list[tuple[GroupBlock, list[int]]]]]:
    """(group, parameter, [(block, its columns that feed the parameter)]), groups in brms's (alphabetical) order."""
    found: dict[tuple[str, str], list[tuple[GroupBlock, list[int]]]] = {}
    for block in design.blocks:
        for parameter in dict.fromkeys(c.parameter for c in block.columns):
            own = [i for i, c in enumerate(block.columns) if c.parameter == parameter]
            found.setdefault((block.group, parameter), []).append((block, own))
    for (group, parameter), members in sorted(found.items(), key=lambda item: item[0][0]):
        yield group, parameter, members


def _sd_index(block: GroupBlock, own: list[int]) -> list[int]:
    return [by * block.size + i for by in range(block.by_count) for i in own]


def _sd_labels(block: GroupBlock, own: list[int]) -> list[str]:
    suffixes = [""] if block.by is None else [f":{label}" for label in block.by.labels]
    return [block.columns[i].coefficient + suffix for suffix in suffixes for i in own]


def _constant_data(design: Design) -> dict[str, NDArray]:
    data: dict[str, NDArray] = dict(design.response.extra)
    if design.response.weights is not None:
        data["weights"] = design.response.weights
    for name in design.variables:
        column = design.frame.columns[name]
        if isinstance(column, Factor):
            data.setdefault(name, np.array(column.levels, dtype=str)[column.codes])
        elif name != design.response.name:
            data.setdefault(name, column.values)
    return data
