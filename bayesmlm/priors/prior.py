"""Priors as the user states them: rows of brms's table, and sets of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import FormulaError, PriorError
from ..formula.parse import parse_expression
from .as_r import r_number
from .distributions import number, parse_prior

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prior", "PriorSet", "as_prior_set", "empty_prior", "prior", "set_prior"]

COLUMNS = ("prior", "class", "coef", "group", "resp", "dpar", "nlpar", "lb", "ub", "source")
Key = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Prior:
    """One row: ``prior`` (text; empty for a flat or inherited one) for the parameters of ``class_``, or only
    those of ``group``, ``coef``, ``dpar``. Bounds are text; None leaves the model's own, "" is none."""

    prior: str = ""
    class_: str = "b"
    coef: str = ""
    group: str = ""
    resp: str = ""
    dpar: str = ""
    nlpar: str = ""
    lb: str | None = None
    ub: str | None = None
    source: str = "user"

    @property
    def key(self) -> Key:
        """Which parameters the row is about; a table has one row for each key."""
        return (self.class_, self.coef, self.group, self.resp, self.dpar, self.nlpar)

    def __str__(self) -> str:
        """As brms prints a single prior: ``<lower=0> sd_g ~ normal(0, 1)``."""
        bounds = ",".join(f"{name}={b}" for name, b in (("lower", self.lb), ("upper", self.ub)) if b)
        narrow = [self.resp, self.dpar, self.nlpar, self.coef]
        group = f"_{self.group}" + "_" * any(narrow) if self.group else ""
        name = self.class_ + group + "".join(f"_{part}" for part in narrow if part)
        return (f"<{bounds}> " if bounds else "") + f"{name} ~ {self.prior or '(flat)'}"


@dataclass(frozen=True, repr=False)
class PriorSet(Sequence[Prior]):
    """Rows of priors. Sets add up (``a + b``); ``to_frame()`` is brms's data frame."""

    rows: tuple[Prior, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Prior]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Prior: ...
    @overload
    def __getitem__(self, index: slice) -> PriorSet: ...
    def __getitem__(self, index: int | slice) -> Prior | PriorSet:
        return PriorSet(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __add__(self, other: Any) -> PriorSet:
        return PriorSet(self.rows + as_prior_set(other).rows)

    def __radd__(self, other: Any) -> PriorSet:
        # sum() starts from 0.
        return self if isinstance(other, int) and other == 0 else as_prior_set(other) + self

    def to_frame(self) -> pd.DataFrame:
        """Columns prior, class, coef, group, resp, dpar, nlpar, lb, ub, source: all text, empty where nothing
        is said (also for a flat prior, and for one inherited from a wider row)."""
        import pandas as pd

        return pd.DataFrame(
            [["" if cell is None else cell for cell in astuple(row)] for row in self.rows],
            columns=list(COLUMNS),
            dtype=object,
        )

    @property
    def by_key(self) -> dict[Key, Prior]:
        """The rows by the parameters they are about; of several about the same, the last."""
        return {row.key: row for row in self.rows}

    def shown(self) -> PriorSet:
        """The rows as brms prints them: "(flat)", or what is inherited, with source "(vectorized)"."""
        rows = self.by_key
        return PriorSet(tuple(_shown(row, rows) for row in self.rows))

    def __str__(self) -> str:
        if len(self) == 1:
            return str(self[0])
        cells = [["<NA>" if c is None else c for c in astuple(row)] for row in self.shown()]
        widths = [max(map(len, column)) for column in zip(COLUMNS, *cells, strict=True)]
        lines = [" ".join(f"{c:>{w}}" for c, w in zip(r, widths, strict=True)) for r in [COLUMNS, *cells]]
        return "\n".join(f" {line}" for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        html: str = self.shown().to_frame().to_html(index=False)
        return html


def inherited_prior(row: Prior, rows: Mapping[Key, Prior]) -> str:
    """The prior of the next wider row: of the same group without a coefficient, or of the whole class."""
    return next((wider.prior for wider in _wider(row, rows) if wider.prior), "")


def inherited_bounds(row: Prior, rows: Mapping[Key, Prior]) -> tuple[str, str]:
    """Lower and upper bound of the next wider row that has one; both come from the same row."""
    return next(((w.lb or "", w.ub or "") for w in _wider(row, rows) if w.lb or w.ub), ("", ""))


def _wider(row: Prior, rows: Mapping[Key, Prior]) -> list[Prior]:
    """Rows without a coefficient that cover ``row`` (itself perhaps), the more specific first."""
    keys = (replace(row, coef="").key, replace(row, coef="", group="").key)
    return [rows[key] for key in keys if key in rows]


def _shown(row: Prior, rows: Mapping[Key, Prior]) -> Prior:
    if row.lb == "" and row.ub == "":
        lb, ub = inherited_bounds(row, rows)
        row = replace(row, lb=lb, ub=ub)
    if row.prior:
        return row
    inherits = any(wider.key != row.key for wider in _wider(row, rows))
    source = "(vectorized)" if inherits else row.source
    return replace(row, prior=inherited_prior(row, rows) or "(flat)", source=source)


def as_prior_set(value: Any) -> PriorSet:
    """A set from what users pass as ``prior=``: None, a row, a set, or any nesting of lists of these."""
    if value is None:
        return PriorSet()
    if isinstance(value, PriorSet):
        return value
    if isinstance(value, Prior):
        return PriorSet((value,))
    if isinstance(value, list | tuple):
        return PriorSet(tuple(row for part in value for row in as_prior_set(part)))
    hint = f": write set_prior({value!r}, class_=...)" if isinstance(value, str) else ""
    raise PriorError(f"priors are made with set_prior(), not given as {type(value).__name__}{hint}")


Strings = str | Sequence[str]
Bound = float | str | None


def set_prior(
    prior: Strings,
    class_: Strings = "b",
    coef: Strings = "",
    group: Strings = "",
    dpar: Strings = "",
    resp: Strings = "",
    nlpar: Strings = "",
    lb: Bound | Sequence[Bound] = None,
    ub: Bound | Sequence[Bound] = None,
) -> PriorSet:
    """State a prior, as brms's ``set_prior()``.

    ``prior``: a distribution of Stan with its arguments, ``"normal(0, 5)"``; ``"constant(1)"`` fixes a
    parameter; "" is flat. ``class_``: the kind of parameter (b, Intercept, sd, cor, sigma, ...); ``coef``,
    ``group`` and ``dpar`` narrow it: the narrowest prior wins. ``lb``, ``ub``: bounds, on the parameter's own
    scale, of a whole class; the prior is truncated to them. In both, ``min_Y`` stands for the smallest response.
    Every argument may be a list: one row an element.

    Raises `PriorError` for a prior or bound that cannot be read and for bounds of a single coefficient.
    """
    columns = [prior, class_, coef, group, resp, dpar, nlpar, lb, ub]
    lists = [list(c) if isinstance(c, list | tuple) else [c] for c in columns]
    count = max(map(len, lists))
    if any(len(cells) not in (1, count) for cells in lists):
        raise PriorError("the lists given to set_prior() must be of one length")
    full = [cells * count if len(cells) == 1 else cells for cells in lists]
    return PriorSet(tuple(_row(*cells) for cells in zip(*full, strict=True)))


prior = set_prior
"""Short form of `set_prior`."""


def empty_prior() -> PriorSet:
    """A set without rows, to add to."""
    return PriorSet()


MIN_Y = re.compile(r"\bmin_Y\b")
"""How priors and bounds call the smallest response (brms)."""


def in_numbers(row: Prior, smallest_response: float | None) -> Prior:
    """``row`` with the smallest response for ``min_Y``; None: there is none, and the name stays."""
    if smallest_response is None:
        return row
    texts = {"prior": row.prior, "lb": row.lb, "ub": row.ub}
    named = {name: text for name, text in texts.items() if text and MIN_Y.search(text)}
    # repr: with fewer digits the bound could lie above the response itself.
    return replace(row, **{name: MIN_Y.sub(repr(smallest_response), text) for name, text in named.items()})


def _row(*cells: Any) -> Prior:
    *texts, lb, ub = cells
    names = ("prior", "class_", "coef", "group", "resp", "dpar", "nlpar")
    for name, text in zip(names, texts, strict=True):
        if not isinstance(text, str):
            raise PriorError(f"`{name}` of set_prior() is text, not {type(text).__name__}")
    prior, class_, coef, group, resp, dpar, nlpar = (text.strip() for text in texts)
    if prior:
        parse_prior(MIN_Y.sub("1e9", prior))
    if not class_:
        raise PriorError(
            "set_prior() needs a class, such as class_='b'; Stan code as a prior is not available"
        )
    if coef and (lb is not None or ub is not None):
        raise PriorError(
            f"bounds belong to a whole class: the coefficient `{coef}` cannot have its own; "
            f"leave out coef, set_prior(..., class_={class_!r}, lb=..., ub=...)"
        )
    lower, upper = bound_text(lb, "lb"), bound_text(ub, "ub")
    unknown = any(MIN_Y.search(bound) for bound in (lower or "", upper or ""))
    if lower and upper and not unknown and bound_value(lower) >= bound_value(upper):
        raise PriorError(f"the lower bound {lower} is not below the upper bound {upper}")
    return Prior(prior, class_, coef, group, resp, "" if dpar == "mu" else dpar, nlpar, lower, upper)


def bound_text(bound: Any, name: str) -> str | None:
    """A bound as text ("" for an infinite one). Raises `PriorError` for what is no number."""
    if bound is None or bound == "":
        return bound
    if isinstance(bound, str):
        bound_value(MIN_Y.sub("1e9", bound))
        return bound.strip()
    if isinstance(bound, bool | np.bool_) or not isinstance(bound, int | float | np.number) or bound != bound:
        raise PriorError(f"`{name}` must be a number, not {bound!r}")
    value = float(bound)
    return "" if np.isinf(value) else r_number(value)


def bound_value(text: str) -> float:
    """The number a bound stands for; arithmetic is allowed."""
    try:
        node = parse_expression(text)
    except FormulaError as error:
        raise PriorError(f"the bound cannot be read: {error}") from None
    return number(node, text)
