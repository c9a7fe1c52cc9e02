"""Predictions: every draw of the parameters through the model's own linear predictor, for old or new data.

Whatever is predicted is one small JAX function of one draw, vmapped over blocks of draws so that memory stays
bounded; it is compiled once for each shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame import Frame
from ..data.model_frame import check_finite
from ..errors import BayesmlmError, FormulaError
from ..families import conditional
from ..formula import parse_formula
from ..model.blocks import GroupBlock, pair_indices
from ..terms.group import NewLevels
from .predictive_output import OF_THE_RESPONSE, OUTPUT_KINDS

if TYPE_CHECKING:
    from ..model.program import Structure
    from .fit import BayesFit

__all__ = ["KINDS", "Request", "draw_numbers", "predict"]

BLOCK_ELEMENTS = 4_000_000
"""Numbers in one block of draws x rows: 32 MB."""


@dataclass(frozen=True)
class Request:
    """Which draws and which rows: the arguments that brms's prediction methods share."""

    newdata: Any = None
    re_formula: str | float | None = None
    allow_new_levels: bool = False
    sample_new_levels: str = "uncertainty"
    ndraws: int | None = None
    draw_ids: Any = None
    dpar: str | None = None
    seed: int = 0

    @classmethod
    def of(cls, method: str, newdata: Any, arguments: Mapping[str, Any]) -> Request:
        """The request that a prediction method was given. Raises TypeError in the method's name."""
        known = [f.name for f in fields(cls) if f.name != "newdata"]
        for name in arguments:
            if name not in known:
                raise TypeError(
                    f"{method}() got an unexpected argument {name!r}; it takes {', '.join(known)}"
                )
        return cls(newdata, **arguments)


def _linear_predictor(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    import jax.numpy as jnp

    etas = structure.linear_predictors(values, design)
    return etas[dpar] if dpar else jnp.stack([etas[name] for name in structure.family.main])


def _parameter(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    import jax.numpy as jnp

    if structure.family.joint_link and dpar in structure.family.main:
        return _linear_predictor(structure, values, design, key, dpar)
    parameters = structure.distributional_parameters(values, design)
    return jnp.broadcast_to(parameters[dpar], (_rows(design),))


def _rows(design: Any) -> int:
    """Number of rows of a design as `Design.arrays` gives it."""
    return int(next(iter(design["predictors"].values()))["X"].shape[-1])


def _mean(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    return conditional.mean(structure.family, structure.parameters(values, design), design["extra"])


def _sample(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    import jax

    parameters = conditional.over_rows(structure.parameters(values, design), (_rows(design),))
    key = jax.random.wrap_key_data(key)
    return conditional.sample(structure.family, key, parameters, design["extra"])


def _with_thresholds(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    """(K - 1, n): disc (thresholds - eta)."""
    p = structure.parameters(values, design)
    return p["disc"] * (p["thresholds"] - p["eta"])


def _log_likelihood(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    terms = structure.log_likelihood(values, design, design["y"])
    return terms * design["weights"] if "weights" in design else terms


def _membership(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Any:
    """(components, n) log probability that a response comes from each component of a mixture."""
    from ..families.mixture import log_memberships

    parameters = structure.parameters(values, design)
    return log_memberships(structure.family.components, design["y"], parameters, design["extra"])


OF_RESPONSE = frozenset({"log_likelihood", "membership"}) | OF_THE_RESPONSE
"""Kinds that need the response."""

KINDS: Mapping[str, Callable[..., Any]] = {
    "linear_predictor": _linear_predictor,
    "parameter": _parameter,
    "mean": _mean,
    "sample": _sample,
    "log_likelihood": _log_likelihood,
    "thresholds_less_predictor": _with_thresholds,
    "predictor_less_thresholds": lambda *arguments: -_with_thresholds(*arguments),
    "membership": _membership,
    **OUTPUT_KINDS,
}


def predict(
    fit: BayesFit, kind: str, request: Request, supplied: Mapping[str, Any] | None = None
) -> NDArray[np.float64]:
    """(draws, rows), or (draws, rows, categories), of what ``kind`` names; draws in chain order.

    The linear predictors of a family with several main parameters are (draws, rows, parameters) unless one is named.
    ``supplied``: what ``kind`` needs besides the design: numbers, arrays over rows, or a function of the number of
    rows that gives them; ``q`` stands in for the response. Raises `NewDataError` for unusable new data.
    """
    supplied = supplied or {}
    structure = fit.spec.structure
    main = structure.family.main
    # Without a name: all main parameters of a family that has several.
    dpar = request.dpar or (main[0] if len(main) == 1 else "")
    if kind == "parameter" and not dpar:
        kind = "mean"
    if kind in ("linear_predictor", "parameter") and dpar:
        _check_parameter(structure, dpar, kind)
    chosen = draw_numbers(fit.ndraws, request.ndraws, request.draw_ids, request.seed)
    values = fit.site_values(chosen)
    include = included_effects(fit, request.re_formula)
    rng = np.random.default_rng(request.seed)
    if request.newdata is None:
        design = fit.spec.design.arrays() if include is None else _mask(fit, include)
        if kind in OF_RESPONSE and "q" not in supplied:
            design |= fit.spec.design.response.arrays()
    else:
        frame = fit.spec.design.new_rows(Frame.from_any(request.newdata))
        used = fit.spec.design.variables
        check_finite(frame, [name for name in used if name in frame.columns])
        design, new = fit.spec.design.new_arrays(frame, include or _everything, request.allow_new_levels)
        values = _extend(fit, values, new, request.sample_new_levels, rng)
        if kind in OF_RESPONSE and "q" not in supplied:
            design |= fit.spec.design.new_response(frame)
    values = _without_stored_effects(fit, values, design)
    design |= {name: _over_rows(name, value, _rows(design)) for name, value in supplied.items()}
    result = run_blocks(structure, kind, values, design, dpar, request.seed)
    return result if result.ndim == 2 else np.swapaxes(result, 1, 2)


def _over_rows(name: str, value: Any, rows: int) -> NDArray[np.float64]:
    """What a kind of prediction is supplied with, for each row; what makes curves is as it is."""
    values = np.asarray(value(rows) if callable(value) else value, dtype=np.float64)
    if name in ("times", "averages"):
        return values
    if values.ndim and values.shape != (rows,):
        raise BayesmlmError(
            f"`{name[-1]}` must be one number, or {rows} for the {rows} rows; it has {values.size}"
        )
    return np.broadcast_to(values, (rows,)).copy()


def effects_not_kept(block: GroupBlock, remedy: str = "") -> BayesmlmError:
    """The error for group effects whose draws are needed and were not kept; ``remedy``: what else would help."""
    return BayesmlmError(
        f"draws of the group effects of `{block.group}` were not kept: fit again with "
        f'save_pars={{"group": True}}{remedy}'
    )


def _without_stored_effects(fit: BayesFit, values: dict[str, NDArray], design: Any) -> dict[str, NDArray]:
    """Zeros for group effects whose draws were not kept, if nothing multiplies them; else `BayesmlmError`."""
    out = dict(values)
    for name, p in fit.spec.design.predictors.items():
        for slot, Z in zip(p.slots, design["predictors"][name]["Z"], strict=True):
            block = fit.spec.design.blocks[slot.block]
            if f"r_{block.site}" in values:
                continue
            if np.any(Z):
                raise effects_not_kept(block, ', or leave them out with re_formula="NA"')
            draws = len(next(iter(values.values())))
            out[f"r_{block.site}"] = np.zeros((draws, 1, block.size))
            design["codes"][block.site] = np.zeros_like(design["codes"][block.site])
    return out


def run_blocks(
    structure: Structure, kind: str, values: dict[str, NDArray], design: Any, dpar: str, seed: int
) -> NDArray[np.float64]:
    """Evaluate ``kind`` for every draw in ``values``, block by block; (draws, rows) or (draws, categories, rows)."""
    import jax

    from ..inference.x64 import x64

    draws = len(next(iter(values.values())))
    rows = _rows(design) * max(1, len(structure.family.categories), _width(kind, design))
    with x64():
        keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(seed), draws)))

    def one(draw: Any, design: Any) -> Any:
        own, key = draw
        return KINDS[kind](structure, own, design, key, dpar)

    block = BLOCK_ELEMENTS // max(rows, 1)
    name, key = f"predict_{kind}", f"{dpar}:{structure.key}"
    return over_draws(one, (values, keys), (design,), block, name=name, key=key)


def _width(kind: str, design: Any) -> int:
    """How many numbers of each row a kind of prediction holds at once."""
    if kind == "survival":
        return len(design["times"])
    return conditional.MEAN_NODES if kind == "mean" and conditional.truncated(design["extra"]) else 1


def over_draws(
    function: Callable[..., Any], draws: Any, shared: tuple[Any, ...], block: int, *, name: str, key: str
) -> NDArray[np.float64]:
    """``function(draw, *shared)`` for every draw, ``block`` draws at a time so that memory is bounded.

    ``draws``: a pytree of arrays whose first axis is the draw. The last block is filled up with the last draw, so
    that one program, compiled under ``name`` and ``key``, serves all blocks. Results are stacked: (draws, ...).
    """
    import jax

    from ..inference.compile_cache import compiled
    from ..inference.x64 import x64

    def of_block(draws: Any, *shared: Any) -> Any:
        return jax.vmap(lambda draw: function(draw, *shared))(draws)

    total = len(jax.tree.leaves(draws)[0])
    block = max(1, min(total, block))
    out: NDArray[np.float64] | None = None
    with x64():
        for start in range(0, total, block):
            take = np.minimum(np.arange(start, start + block), total - 1)
            arguments = (jax.tree.map(lambda values, take=take: values[take], draws), *shared)
            program = compiled(of_block, arguments, name=name, key=key)
            result = np.asarray(program(*arguments))
            if out is None:
                out = np.empty((total, *result.shape[1:]))
            out[start : start + block] = result[: total - start]
    assert out is not None
    return out


def draw_numbers(total: int, ndraws: int | None, draw_ids: Any, seed: int) -> NDArray[np.int64]:
    """Which draws to use: all, ``ndraws`` chosen at random (in order), or ``draw_ids`` (0-based)."""
    if draw_ids is not None:
        ids = np.asarray(draw_ids, dtype=np.int64)
        if ids.ndim != 1 or ids.size == 0 or ids.min() < 0 or ids.max() >= total:
            raise BayesmlmError(f"draw_ids must be numbers from 0 to {total - 1}")
        return ids
    if ndraws is None or ndraws >= total:
        return np.arange(total)
    if ndraws < 1:
        raise BayesmlmError(f"ndraws must be at least 1, not {ndraws}")
    return np.sort(np.random.default_rng(seed).choice(total, ndraws, replace=False))


def _everything(group: str, parameter: str, coefficient: str) -> bool:
    return True


def included_effects(fit: BayesFit, re_formula: str | float | None) -> Callable[[str, str, str], bool] | None:
    """``re_formula`` as a test on (group, parameter, coefficient): None for all, ``"NA"`` or ``"~0"`` for none,
    or a formula such as ``"~ (1 | g)"`` naming effects of the model."""
    if re_formula is None:
        return None
    text = "NA" if isinstance(re_formula, float) else str(re_formula).strip()
    if text.replace(" ", "") in ("NA", "~0", "0"):
        return lambda group, parameter, coefficient: False
    predictor = parse_formula(text if text.startswith("~") else f"~ {text}").predictor()
    wanted: set[tuple[str, str]] = set()
    known = _effects_by_name(fit)
    for term in predictor.group_terms:
        names = [t.label for t in term.effects.terms]
        names += ["Intercept"] if term.effects.intercept else []
        for name in names:
            key = (term.grouping.label, name)
            if key not in known:
                raise FormulaError(
                    f"re_formula names the effect `{name}` of `{term.grouping.label}`, which is not in the model; "
                    "it has " + ", ".join(f"`{c}` of `{g}`" for g, c in sorted(known))
                )
            wanted |= known[key]
    return lambda group, parameter, coefficient: (group, coefficient) in wanted


def _effects_by_name(fit: BayesFit) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """The model's group effects (group, coefficient) by (group, name), a name being that of a term, which a factor
    makes stand for several coefficients, or of one coefficient."""
    known: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for predictor in fit.spec.design.predictors.values():
        for part in predictor.groups:
            terms = ("Intercept", *part.effects.terms)
            for coefficient, place in zip(part.names, part.effects.assign, strict=True):
                for name in {coefficient, terms[place]}:
                    known.setdefault((part.group, name), set()).add((part.group, coefficient))
    return known


def _mask(fit: BayesFit, include: Callable[[str, str, str], bool]) -> dict[str, Any]:
    design = fit.spec.design.arrays()
    for name, p in fit.spec.design.predictors.items():
        kept = [np.array([include(g.group, name, c) for c in g.names], dtype=float) for g in p.groups]
        arrays = design["predictors"][name]
        arrays["Z"] = tuple(Z * k[:, None] for Z, k in zip(arrays["Z"], kept, strict=True))
    return design


def _check_parameter(structure: Structure, dpar: str, kind: str) -> None:
    predicted = [p.parameter for p in structure.predictors]
    supplied = [p.name for p in structure.family.parameters if p.supplied and p.name not in structure.fixed]
    others = [*structure.scalars, *structure.fixed, *(name for name, _ in structure.tied), *supplied]
    known = predicted if kind == "linear_predictor" else list(dict.fromkeys([*predicted, *others]))
    if dpar not in known:
        raise BayesmlmError(
            f"`{dpar}` is not a parameter that can be predicted here; use one of {', '.join(known)}"
        )


def _extend(
    fit: BayesFit,
    values: dict[str, NDArray],
    new: Mapping[str, NewLevels],
    how: str,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    """``values`` with effects for new levels appended, drawn as brms does."""
    if how not in ("uncertainty", "gaussian", "old_levels"):
        raise BayesmlmError(
            f'sample_new_levels must be "uncertainty", "gaussian" or "old_levels", not {how!r}'
        )
    blocks = {b.site: b for b in fit.spec.design.blocks}
    out = dict(values)
    for site, levels in new.items():
        if levels.names:
            drawn = [_new_effects(blocks[site], values, by, how, rng) for by in levels.by]
            out[f"r_{site}"] = np.concatenate([values[f"r_{site}"], np.stack(drawn, axis=1)], axis=1)
    return out


def _new_effects(
    block: GroupBlock, values: Mapping[str, NDArray], by: int, how: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(draws, k) effects of one new level, which has the level ``by`` of ``gr(by = )``."""
    old = values[f"r_{block.site}"]
    draws, levels, size = old.shape
    if how == "gaussian":
        sd = values[f"sd_{block.site}"].reshape(draws, block.by_count, size)[:, by]
        factor = sd[:, :, None] * _correlation_factor(block, values, by, draws)
        return np.einsum("skl,sl->sk", factor, rng.standard_normal((draws, size)))
    candidates = np.arange(levels) if block.by is None else np.flatnonzero(block.by.of_level == by)
    if how == "old_levels":
        return old[:, rng.choice(candidates)]
    # "uncertainty": one existing level for each draw, all its effects together.
    return old[np.arange(draws), rng.choice(candidates, draws)]


def _correlation_factor(
    block: GroupBlock, values: Mapping[str, NDArray], by: int, draws: int
) -> NDArray[np.float64]:
    correlation = np.broadcast_to(np.eye(block.size), (draws, block.size, block.size)).copy()
    if block.has_correlations:
        row, column = pair_indices(block.size)
        cors = values[f"cor_{block.site}"].reshape(draws, block.by_count, len(row))[:, by]
        correlation[:, row, column] = correlation[:, column, row] = cors
    # A tiny ridge: draws at the boundary (correlation -> 1) are singular in floating point.
    return np.linalg.cholesky(correlation + 1e-12 * np.eye(block.size))
