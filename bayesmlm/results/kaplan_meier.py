"""The Kaplan-Meier estimate of a survival curve, of right-censored and left-truncated times.

Kaplan and Meier (1958), JASA 53; risk sets with delayed entry as in Klein and Moeschberger (2003), "Survival Analysis",
section 4.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["kaplan_meier"]

Floats = NDArray[np.float64]


def kaplan_meier(time: Any, event: Any = None, entry: Any = None, *, prob: float = 0.95) -> pd.DataFrame:
    """The estimate at each time with an event, as R's ``survfit`` gives it.

    ``time``: (n,) times; ``event``: (n,) whether each is that of an event, not of censoring (default: all are);
    ``entry``: (n,) times from which on each was under observation (default: the beginning). Columns: ``time``,
    ``n_risk``, ``n_event``, ``survival``, ``se`` (Greenwood's) and ``lower`` and ``upper``, limits of width ``prob`` on
    the log scale. Raises `BayesmlmError` for lengths that differ and for entries that are not before their times.
    """
    import pandas as pd
    from scipy.special import ndtri

    times = np.asarray(time, dtype=np.float64)
    happened = np.ones(times.shape, dtype=bool) if event is None else np.asarray(event).astype(bool)
    start = np.full(times.shape, -np.inf) if entry is None else np.asarray(entry, dtype=np.float64)
    if times.ndim != 1 or happened.shape != times.shape or start.shape != times.shape:
        raise BayesmlmError("time, event and entry must have one value for each row")
    if not (start < times).all():
        row = int(np.flatnonzero(~(start < times))[0])
        raise BayesmlmError(f"row {row + 1} enters at {start[row]:g}, not before its time {times[row]:g}")
    at = np.unique(times[happened])
    ended, entered = np.sort(times), np.sort(start)
    # Who has entered before the time and not left before it.
    risk = np.searchsorted(entered, at, side="left") - np.searchsorted(ended, at, side="left")
    deaths = np.searchsorted(np.sort(times[happened]), at, side="right")
    deaths = np.diff(deaths, prepend=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1 - deaths / risk)
        relative = np.sqrt(np.cumsum(deaths / (risk * (risk - deaths))))
        half = ndtri((1 + prob) / 2) * relative
        bounds = {"lower": survival * np.exp(-half), "upper": np.minimum(survival * np.exp(half), 1.0)}
        se = survival * relative
    columns = {"time": at, "n_risk": risk, "n_event": deaths, "survival": survival, "se": se, **bounds}
    return pd.DataFrame(columns)
