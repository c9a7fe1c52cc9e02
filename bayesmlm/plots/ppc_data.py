"""What one panel of a predictive check is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

__all__ = ["STATISTICS", "Check", "statistic"]

Array = NDArray[np.float64]


def _mad(values: Array) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


STATISTICS: dict[str, Callable[[Array], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "sd": lambda v: np.std(v, ddof=1),
    "var": lambda v: np.var(v, ddof=1),
    "mad": _mad,
    "min": np.min,
    "max": np.max,
}


def statistic(given: str | Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """A name and the function of a vector it stands for. Raises `BayesmlmError` for an unknown name."""
    if callable(given):
        return getattr(given, "__name__", "stat"), given
    if given not in STATISTICS:
        known = ", ".join(STATISTICS)
        raise BayesmlmError(f'stat="{given}" is not known; use {known}, or a function of a vector')
    return given, STATISTICS[given]


@dataclass(frozen=True, eq=False)
class Check:
    """``y`` (rows,), ``yrep`` (draws, rows), and how to show them.

    ``name``: of the response; ``discrete``: whole numbers only; ``group``: (rows,) labels; ``levels``: their
    order; ``x``: (rows,) positions; ``weights``: (draws, rows) leave-one-out weights; ``statistics``: (name,
    function) pairs; ``observed``: ``yrep`` holds the observed values (the first panel of "hist"); ``event``: (rows,)
    which responses are not censored, ``entry``: (rows,) where their observation began, None where all are and did;
    ``categories``: names of whole numbers that stand for categories; ``columns``: names of the columns of a response
    that has several, each of which is a panel: ``y`` (columns, rows), ``yrep`` (draws, rows, columns).
    """

    y: Array
    yrep: Array
    name: str = "y"
    discrete: bool = False
    group: NDArray[Any] | None = None
    levels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    x: Array | None = None
    x_name: str = "Observation"
    weights: Array | None = None
    statistics: tuple[tuple[str, Callable[..., Any]], ...] = ()
    prob: float = 0.5
    prob_outer: float = 0.9
    bins: int = 30
    style: str = "standing"
    seed: int = 0
    observed: bool = False
    event: NDArray[np.bool_] | None = None
    entry: Array | None = None
    categories: Mapping[float, str] = field(default_factory=dict)

    def rows(self, chosen: NDArray[np.bool_]) -> Check:
        """The check of some rows only."""
        return replace(
            self,
            y=self.y[chosen],
            yrep=self.yrep[:, chosen],
            group=None if self.group is None else self.group[chosen],
            x=None if self.x is None else self.x[chosen],
            weights=None if self.weights is None else self.weights[:, chosen],
            event=None if self.event is None else self.event[chosen],
            entry=None if self.entry is None else self.entry[chosen],
        )

    def statistics_of_draws(self, position: int = 0) -> tuple[str, float, Array]:
        """The statistic's name, its value for y, and for each draw."""
        name, function = self.statistics[position]
        return name, float(function(self.y)), np.array([float(function(row)) for row in self.yrep])

    def tails(self, prob: float) -> tuple[float, float]:
        """The two ends of the central interval of width ``prob``."""
        if not 0 < prob < 1:
            raise BayesmlmError(f"prob={prob:g} must lie between 0 and 1: it is the width of an interval")
        return (1 - prob) / 2, (1 + prob) / 2
