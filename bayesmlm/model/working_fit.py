"""A rough fit before sampling: how much the rows of each level of a group say about its effects.

Penalised quasi-likelihood (Breslow and Clayton 1993, JASA 88) by a few sweeps of backfitting, in numpy: mu's linear
predictor is fitted to working responses, with variances of the group effects updated on the way. What is asked of
it is only an order of magnitude: nothing that is computed from it changes a posterior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..families.links import LINKS

if TYPE_CHECKING:
    from .design import Design

__all__ = ["BlockInformation", "WorkingFit", "marginal_information", "working_fit"]

Floats = NDArray[np.float64]

SWEEPS = 25
TOLERANCE = 0.02
"""Sweeps end when no standard deviation of effects changes by more than this, and no linear predictor by more than
this many standard deviations of all of them."""
CRUDE = {"nu": 10.0, "phi": 10.0, "zi": 0.3, "hu": 0.0, "ndt": 0.0, "bias": 0.5, "power": 1.5}
"""Of further parameters of the family; the others are taken to be 1 and a dispersion makes up for it."""


@dataclass
class BlockInformation:
    """One block in the rough fit. ``position``: in the design; ``Z`` (n, k); ``codes`` (n,).

    ``H`` (J, k, k): information of the rows about the effects, Z'WZ; ``g`` (J, k): Z'W times what the effects
    have to explain; ``effects`` (J, k); ``variances`` (k,): of the effects over levels.
    """

    position: int
    codes: NDArray[np.int32]
    Z: Floats
    levels: int
    effects: Floats
    variances: Floats
    H: Floats = field(default_factory=lambda: np.zeros(0))
    g: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def positive(self) -> Floats:
        """(J, k, k): H with a trace of the effects' own precision, so that it can be inverted."""
        return np.asarray(self.H + 1e-6 * np.diag(1 / self.variances))

    @property
    def precision(self) -> Floats:
        """(J, k, k): information of the rows and of the distribution of the effects."""
        return np.asarray(self.H + np.diag(1 / self.variances))

    def share(self, H: Floats | None = None) -> Floats:
        """(J, k): the part of the information about each effect that comes from its rows, 0 to 1; ``H``: their
        information, if not that with all else known."""
        precision = (self.H if H is None else H) + np.diag(1 / self.variances)
        rest = np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2) / self.variances
        return np.asarray(np.clip(1 - rest, 0.0, 1.0))

    def sums(self, columns: Floats) -> Floats:
        """(J, k, m): Z'c of each level for every column c of (n, m)."""
        out = np.empty((self.levels, self.Z.shape[1], columns.shape[1]))
        for i, z in enumerate(self.Z.T):
            for j, column in enumerate(columns.T):
                out[:, i, j] = np.bincount(self.codes, z * column, self.levels)
        return out

    def predictor(self) -> Floats:
        """(n,): what the effects add to the linear predictor."""
        return np.asarray(np.einsum("nk,nk->n", self.Z, self.effects[self.codes]))


@dataclass(frozen=True)
class WorkingFit:
    """``X`` (n, q): columns of mu, the intercept first where it is a parameter of its own; ``beta`` (q,);
    ``weights`` (n,): working weights; ``blocks``: those whose effects feed mu only."""

    X: Floats
    beta: Floats
    weights: Floats
    blocks: tuple[BlockInformation, ...]


def working_fit(design: Design, positions: Sequence[int]) -> WorkingFit | None:
    """The rough fit of mu with the blocks at ``positions`` of ``design.blocks``; None when it fails (a response
    at the edge of what the link allows)."""
    mu = design.predictors["mu"]
    X = mu.population.matrix
    X = np.column_stack([X[:, :1], X[:, 1:] - mu.means]) if mu.centred else X
    offset = np.zeros(design.n) if mu.offset is None else mu.offset
    with np.errstate(all="ignore"):
        eta = _start(design)
        beta = np.zeros(X.shape[1])
        blocks = [_block(design, position, eta) for position in positions]
        for _ in range(SWEEPS):
            spent = X.shape[1] + sum(float(b.share().sum()) for b in blocks if b.H.size)
            working = _weights_and_response(design, eta, spent)
            if working is None:
                return None
            W, response = working
            before = [b.variances for b in blocks]
            beta = _sweep(X, W, response - offset, beta, blocks)
            new = offset + X @ beta + sum(b.predictor() for b in blocks)
            if not np.isfinite(new).all():
                return None
            moved, eta = np.max(np.abs(new - eta)) / (np.std(new) + 1e-9), new
            changes = [
                np.abs(np.log(b.variances / old)).max() / 2 for b, old in zip(blocks, before, strict=True)
            ]
            if max(moved, *changes) < TOLERANCE:
                break
    return WorkingFit(X, beta, W, tuple(blocks))


def _start(design: Design) -> Floats:
    """mu close to each response, inside the range of the link (as R's glm starts)."""
    y, link = design.response.values, LINKS[design.predictors["mu"].link]
    if design.family.support.lower == 0 and not design.family.integer_response and (y > 0).any():
        y = np.where(y > 0, y, y[y > 0].mean())
    if design.family.logscale:
        return np.asarray(np.log(y))
    if "trials" in design.response.extra:
        return np.asarray(link.link((y + 0.5) / (design.response.extra["trials"] + 1)))
    if design.family.name == "bernoulli":
        return np.asarray(link.link((y + 0.5) / 2))
    y = y / design.response.extra["rate"] if "rate" in design.response.extra else y
    return np.asarray(link.link(y + 0.1 if design.family.integer_response else y), dtype=np.float64)


def _block(design: Design, position: int, eta: Floats) -> BlockInformation:
    block, mu = design.blocks[position], design.predictors["mu"]
    own = [
        (slot.start, part.Z) for part, slot in zip(mu.groups, mu.slots, strict=True) if slot.block == position
    ]
    Z = np.column_stack([matrix for _, matrix in sorted(own, key=lambda pair: pair[0])])
    levels = len(block.levels)
    square = np.mean(Z**2, axis=0)
    variances = (np.nanvar(eta) / 2 + 1e-6) / np.where(square > 0, square, 1.0)
    return BlockInformation(position, block.codes, Z, levels, np.zeros((levels, Z.shape[1])), variances)


def _weights_and_response(design: Design, eta: Floats, spent: float) -> tuple[Floats, Floats] | None:
    """Working weights and responses of quasi-likelihood at ``eta``; None where they are not numbers."""
    family, extra, y = design.family, design.response.extra, design.response.values
    spread = family.variance
    if spread is None:
        return None
    link = LINKS[design.predictors["mu"].link]
    d, se = extra.get("rate", 1.0), extra.get("se", 0.0)
    others = {p.name: CRUDE.get(p.name, 1.0) for p in family.parameters if p.name != "mu"}
    # The zeros of a hurdle say nothing of mu, the other rows nothing of hu.
    speaks = (y > 0) | ("hu" not in others)
    others |= {name: value for name, value in design.fixed.items() if name != "hu"}

    # A shape of counts over an exposure grows with it (`families.additions.adjusted`).
    factors = {"shape": d}
    values = {name: x * factors.get(name, 1.0) for name, x in others.items()}
    values |= {"sigma": np.hypot(others["sigma"], se)} if "sigma" in others else {}

    def mean(at: Floats) -> Floats:
        return np.asarray(family.mean({"mu": d * link.inverse(at), "eta": at, **values}, extra))

    step = 1e-4
    slope = (mean(eta + step) - mean(eta - step)) / (2 * step)
    variance = np.asarray(spread({"mu": d * link.inverse(eta), "eta": eta, **values}, extra))
    error = np.where(speaks, y - mean(eta), 0.0)
    W = np.where(speaks, slope**2 / variance, 0.0)
    if not (np.isfinite(W).all() and np.isfinite(error).all() and (variance > 0).all()):
        return None
    if others.keys() - design.fixed.keys():
        rows = np.count_nonzero(speaks)
        freedom = max(rows - spent, rows / 4, 1.0)
        W = W / max(float(np.sum(error**2 / variance)) / freedom, 1e-12)
    if design.response.weights is not None:
        W = W * design.response.weights
    response = eta + np.where(slope != 0, error / np.where(slope != 0, slope, 1.0), 0.0)
    return W, response


def _sweep(X: Floats, W: Floats, response: Floats, beta: Floats, blocks: list[BlockInformation]) -> Floats:
    """One sweep: the coefficients jointly with the block of fewest levels, then every other block given the rest."""
    blocks = sorted(blocks, key=lambda b: b.levels)
    for block in blocks:
        block.H = block.sums(W[:, None] * block.Z)
    for _ in range(2):
        rest = response - sum(b.predictor() for b in blocks[1:])
        beta = _joint(X, W, rest, blocks[0])
        for block in blocks:
            own = block.predictor()
            rest = response - X @ beta - sum(b.predictor() for b in blocks) + own
            block.g = block.sums((W * rest)[:, None])[:, :, 0]
            block.effects = np.linalg.solve(block.precision, block.g[:, :, None])[:, :, 0]
    for block in blocks:
        # Schall (1991, Biometrika 78): the squares of the effects over their degrees of freedom.
        squares, freedom = np.sum(block.effects**2, axis=0), np.sum(block.share(), axis=0)
        block.variances = np.maximum(squares / np.maximum(freedom, 1e-9), 1e-4 * block.variances)
    return beta


def _joint(X: Floats, W: Floats, response: Floats, block: BlockInformation) -> Floats:
    """Generalised least squares of ``response`` on ``X`` with the effects of ``block`` integrated out."""
    if X.shape[1] == 0:
        return np.zeros(0)
    WX = W[:, None] * X
    K, g = block.sums(WX), block.sums((W * response)[:, None])
    solved = np.linalg.solve(block.precision, np.concatenate([K, g], axis=2))
    A = X.T @ WX - np.einsum("jki,jkl->il", K, solved[:, :, :-1])
    b = WX.T @ response - np.einsum("jki,jk->i", K, solved[:, :, -1])
    # A trace of a ridge: aliased columns and separation must not end the rough fit.
    ridge = 1e-6 * np.diagonal(X.T @ WX) + 1e-12
    return np.asarray(np.linalg.solve(A + np.diag(ridge), b))


def marginal_information(rough: WorkingFit, block: BlockInformation) -> Floats:
    """(J, k, k): information of the rows about the effects of ``block`` when those of the other blocks are unknown.

    What each other block takes away is the Schur complement of each level; several are added on the scale of
    variances, as if each confounded the effects by itself.
    """
    own = np.linalg.inv(block.positive)
    variance = own.copy()
    for other in rough.blocks:
        if other.position == block.position:
            continue
        left = np.linalg.inv(block.positive - _absorbed(rough.weights, block, other))
        variance += left - own
    return np.asarray(np.linalg.inv(variance))


def _absorbed(weights: Floats, block: BlockInformation, other: BlockInformation) -> Floats:
    """(J, k, k): the information about ``block`` that the effects of ``other`` can account for."""
    pairs, pair = np.unique(block.codes.astype(np.int64) * other.levels + other.codes, return_inverse=True)
    C = np.empty((len(pairs), other.Z.shape[1], block.Z.shape[1]))
    for i, z in enumerate(other.Z.T):
        for j, own in enumerate(block.Z.T):
            C[:, i, j] = np.bincount(pair, weights * z * own, len(pairs))
    solved = np.linalg.solve(other.precision[pairs % other.levels], C)
    out = np.zeros_like(block.H)
    np.add.at(out, pairs // other.levels, np.einsum("pki,pkj->pij", C, solved))
    return out
