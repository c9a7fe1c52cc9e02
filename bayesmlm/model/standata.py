"""The design as brms hands it to Stan: named arrays under brms's keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .design import Design
from .parts.baseline_hazard import BaselineHazard
from .parts.thresholds import Thresholds

__all__ = ["standata"]


def standata(design: Design, prior_only: bool = False) -> dict[str, Any]:
    """brms's arrays: ``N``, ``Y``, ``K``, ``X``, ``Z_<term>_<column>``, ``J_<term>`` (from 1), ``N_ M_ NC_``."""
    values = design.response.values
    integer = design.family.integer_response
    out: dict[str, Any] = {"N": design.n, "Y": values.T.astype(np.int64) if integer else values.T}
    out |= {name: _as_stan(name, array) for name, array in design.response.standata.items()}
    if design.response.imputed:
        out |= _missing(design)
    out |= dict(design.response.fixed)
    if design.family.categories and "mu" not in design.family.main:
        out["ncat"] = len(design.family.categories)
    for name, p in design.predictors.items():
        suffix = "" if name == "mu" else f"_{name}"
        # Thresholds take the column of ones away.
        names, matrix = p.population.names[p.thresholds :], p.population.matrix[:, int(p.thresholds) :]
        if names:
            out[f"K{suffix}"], out[f"X{suffix}"] = len(names), matrix
        for group, slot in zip(p.groups, p.slots, strict=True):
            for j in range(len(group.names)):
                out[f"Z_{slot.block + 1}{suffix}_{slot.start + j + 1}"] = group.Z[:, j]
        if p.offset is not None:
            out[f"offsets{suffix}"] = p.offset
    for number, block in enumerate(design.blocks, start=1):
        k = block.size
        out[f"J_{number}"] = block.codes.astype(np.int64) + 1
        out[f"N_{number}"], out[f"M_{number}"] = len(block.levels), k
        # brms counts the pairs of correlated and of uncorrelated (`||`) terms alike.
        out[f"NC_{number}"] = k * (k - 1) // 2
        if block.by is not None:
            out[f"Nby_{number}"] = len(block.by.levels)
            out[f"Jby_{number}"] = block.by.of_level.astype(np.int64) + 1
    if "disc" in design.fixed and "disc" not in design.formula.fixed:
        out["disc"] = design.fixed["disc"]
    for part in design.parts:
        if isinstance(part, Thresholds):
            out |= part.groups.standata()
        if isinstance(part, BaselineHazard):
            out |= part.standata(values)
    out["prior_only"] = int(prior_only)
    return out


def _as_stan(name: str, array: NDArray[np.float64]) -> NDArray[Any]:
    """Whole numbers where brms has them."""
    whole = name in ("trials", "dec") or name.startswith("vint")
    return array.astype(np.int64) if whole else array


def _missing(design: Design) -> dict[str, Any]:
    """Of ``mi()``: which responses are missing, or measured with an error; positions count from 1. Missing numbers are
    infinite, as brms passes them."""
    response, measured = design.response, design.response.observed
    out: dict[str, Any] = {"Y": np.where(measured, response.values, np.inf)}
    if response.noise is None:
        missing = np.flatnonzero(~measured) + 1
        return {**out, "Jmi": missing, "Nmi": len(missing)}
    known = np.flatnonzero(measured) + 1
    noise = np.where(measured, response.noise, np.inf)
    return {**out, "Jme": known, "Nme": len(known), "noise": noise}
