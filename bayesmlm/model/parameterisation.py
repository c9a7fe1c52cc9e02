"""How the effects of each group are parameterised for the sampler: non-centred, partial or centred.

Which is best depends on how much the data say about each level (Betancourt and Girolami 2015; Papaspiliopoulos,
Roberts and Sköld 2007). A rough fit (`working_fit`) estimates it; `whitening` has the map. The three words are
three weights of the data's information in one map, so they compile to the same program but for non-centred, which
needs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.additions import CENSORED, TRUNCATED
from .working_fit import BlockInformation, WorkingFit, marginal_information, working_fit

if TYPE_CHECKING:
    from .design import Design

__all__ = ["CHOICES", "Parameterisation", "parameterise"]

CHOICES = ("auto", "noncentred", "partial", "centred")
THRESHOLD = 0.1
"""The data's share of the information from which the map repays its cost."""
CENTRED_WEIGHT = 1e4
"""How often the data's information counts when effects are centred: the limit, short of dividing by a standard
deviation of zero."""
CAPTURED = 0.2
"""A coefficient is taken over by a block whose effects can take this share of its information."""


@dataclass(frozen=True)
class Parameterisation:
    """The choice for one block: ``kind`` is one of `CHOICES` but auto, ``reason`` says why in a few words.

    ``arrays``: what `whitening` needs, empty when non-centred; ``coefficients``: whether the block takes over
    coefficients (``K`` is among the arrays).
    """

    kind: str
    reason: str
    arrays: Mapping[str, Any]

    @property
    def coefficients(self) -> bool:
        """Whether coefficients are part of the map."""
        return "K" in self.arrays

    def __str__(self) -> str:
        name = "non-centred" if self.kind == "noncentred" else self.kind
        return f"{name} ({self.reason})"


def parameterise(
    design: Design, asked: Any = "auto", *, likelihood: bool = True, integrated: Sequence[int] = ()
) -> tuple[Parameterisation, ...]:
    """The parameterisation of every block of ``design``; ``integrated``: numbers of those that are not sampled.

    ``asked``: one of `CHOICES` for all groups, or a dict of them by grouping factor (those left out: auto). Raises
    `BayesmlmError` for another value and for a group that the model does not have.
    """
    wanted = _wanted(design, asked)
    obstacles = [_obstacle(design, position, likelihood) for position in range(len(design.blocks))]
    in_mu = [position for position, obstacle in enumerate(obstacles) if not obstacle]
    for position in integrated:
        obstacles[position] = "its effects are integrated out; marginalize=False samples them"
    able = [i for i, want in enumerate(wanted) if want != "noncentred" and not obstacles[i]]
    rough = working_fit(design, in_mu) if able else None
    found = {} if rough is None else {i: _Found.of(rough, i) for i in able}
    kinds = {i: _kind(wanted[i], found[i].share) for i in found}
    takers = _takers([found[i] for i, kind in kinds.items() if kind != "noncentred"])
    out = []
    for i, want in enumerate(wanted):
        if want == "noncentred":
            out.append(Parameterisation("noncentred", "asked for", {}))
        elif i not in found:
            out.append(_unable(design, i, want, obstacles[i] or "a rough fit of the data failed"))
        else:
            reason = f"the data give {100 * found[i].share:.0f} % of the information"
            reason = reason if want == "auto" else f"asked for; {reason}"
            arrays = {} if kinds[i] == "noncentred" else _arrays(found[i], kinds[i], takers.get(i))
            out.append(Parameterisation(kinds[i], reason, arrays))
    return tuple(out)


def _kind(want: str, share: float) -> str:
    return want if want != "auto" else "partial" if share >= THRESHOLD else "noncentred"


@dataclass(frozen=True)
class _Found:
    """What the rough fit says of one block. Arrays by level: ``H`` (J, k, k), the information when the effects of
    other blocks are unknown; ``g`` (J, k) and ``K`` (J, k, q), in the same measure, what its rows say of the effects
    and how the coefficients change that."""

    rough: WorkingFit
    block: BlockInformation
    H: NDArray[np.float64]
    g: NDArray[np.float64]
    K: NDArray[np.float64]

    @classmethod
    def of(cls, rough: WorkingFit, position: int) -> _Found:
        """Of the block at ``position`` of the design."""
        block = next(b for b in rough.blocks if b.position == position)
        H = marginal_information(rough, block)
        reduce = H @ np.linalg.inv(block.positive)
        K = block.sums(rough.weights[:, None] * rough.X)
        return cls(rough, block, H, np.einsum("jab,jb->ja", reduce, block.g), reduce @ K)

    @property
    def share(self) -> float:
        """The data's share of the information, on average over levels and effects."""
        return float(np.mean(self.block.share(self.H)))


def _wanted(design: Design, asked: Any) -> list[str]:
    groups = [block.group for block in design.blocks]
    by_group = asked if isinstance(asked, Mapping) else dict.fromkeys(groups, asked)
    choices = ", ".join(f'"{choice}"' for choice in CHOICES)
    for group, choice in by_group.items():
        if group not in groups:
            there = ", ".join(f"`{g}`" for g in dict.fromkeys(groups)) or "none"
            raise BayesmlmError(
                f"parameterisation names the group `{group}`, which the model does not have; its groups: {there}"
            )
        if not (isinstance(choice, str) and choice in CHOICES):
            raise BayesmlmError(
                f"parameterisation must be one of {choices}, or a dict of them by group such as "
                f'{{"{group}": "centred"}}; got {choice!r}'
            )
    if not isinstance(asked, Mapping) and not (isinstance(asked, str) and asked in CHOICES):
        raise BayesmlmError(
            f"parameterisation must be one of {choices}, or a dict of them by group; got {asked!r}"
        )
    return [by_group.get(group, "auto") for group in groups]


def _obstacle(design: Design, position: int, likelihood: bool) -> str:
    family = design.family
    if not likelihood:
        return "the likelihood is left out"
    if design.response.imputed and design.parts:
        return "there is no rough fit of responses that are parameters"
    if not family.elementwise or design.parts:
        return f"there is no rough fit of the family {family.name}"
    limited = [name for name in (*CENSORED, *TRUNCATED) if name in design.response.extra]
    if limited:
        return f"there is no rough fit of a response that is {limited[0].replace('_', ' ')}"
    others = sorted({c.parameter for c in design.blocks[position].columns} - {"mu"})
    return f"effects on {', '.join(others)}" if others else ""


def _unable(design: Design, position: int, want: str, why: str) -> Parameterisation:
    if want != "auto":
        raise BayesmlmError(
            f'parameterisation="{want}" is not possible for the group `{design.blocks[position].group}`: {why}; '
            'use "auto" or "noncentred"'
        )
    return Parameterisation("noncentred", why, {})


def _takers(found: Sequence[_Found]) -> dict[int, NDArray[np.bool_]]:
    """For each block, which columns of X it takes over: each column goes to the block that can take most of it."""
    if not found or found[0].rough.X.shape[1] == 0:
        return {}
    rough = found[0].rough
    total = np.sum(rough.weights[:, None] * rough.X**2, axis=0)
    captured = np.zeros((len(found), rough.X.shape[1]))
    for row, block in enumerate(f.block for f in found):
        K = block.sums(rough.weights[:, None] * rough.X)
        captured[row] = np.einsum("jki,jki->i", K, np.linalg.solve(block.precision, K))
    captured /= np.where(total > 0, total, 1.0)
    best = np.argmax(captured, axis=0)
    takes = [(best == row) & (captured[row] >= CAPTURED) for row in range(len(found))]
    return {f.block.position: columns for f, columns in zip(found, takes, strict=True) if columns.any()}


def _arrays(found: _Found, kind: str, columns: NDArray[np.bool_] | None) -> dict[str, Any]:
    """What `whitening` needs. A centred block counts the prior's information among the data's, so that effects
    about which the rows say nothing are centred too."""
    weight, H, h = 1.0, found.H, found.g
    if kind == "centred":
        weight, H = CENTRED_WEIGHT, found.H + np.diag(1 / found.block.variances)
    arrays = {"H": weight * H}
    if columns is not None:
        K = found.K * columns
        h = h + K @ found.rough.beta
        arrays["K"] = weight * K
    arrays["h"] = weight * h
    last: dict[str, Any] = {name: np.ascontiguousarray(np.moveaxis(a, 0, -1)) for name, a in arrays.items()}
    return {**last, "scale": np.float64(np.sqrt(weight))}
