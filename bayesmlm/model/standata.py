"""The design as brms hands it to Stan: named arrays under brms's keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from .design import Design

__all__ = ["standata"]


def standata(design: Design, prior_only: bool = False) -> dict[str, Any]:
    """brms's arrays: ``N``, ``Y``, ``K``, ``X``, ``Z_<term>_<column>``, ``J_<term>`` (from 1), ``N_ M_ NC_``."""
    values = design.response.values
    integer = design.family.integer_response
    out: dict[str, Any] = {"N": design.n, "Y": values.astype(np.int64) if integer else values}
    for name, extra in design.response.extra.items():
        out[name] = extra.astype(np.int64) if name == "trials" else extra
    if design.response.weights is not None:
        out["weights"] = design.response.weights
    for name, p in design.predictors.items():
        suffix = "" if name == "mu" else f"_{name}"
        if p.population.names:
            out[f"K{suffix}"] = len(p.population.names)
            out[f"X{suffix}"] = p.population.matrix
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
    out["prior_only"] = int(prior_only)
    return out
