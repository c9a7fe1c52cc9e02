"""Any data frame as columns the model understands: numbers, and R factors as (codes, levels)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .columns import Column, Factor, Numeric
from .convert import column_of_array, column_of_series, narwhals_series
from .levels import drop_unused, listing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Frame"]


class _Columns(Mapping[str, Column]):
    """Columns read when first asked for: a column that the model does not use may hold anything."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Column]) -> None:
        self._names = dict.fromkeys(names)
        self._read = read
        self._known: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Frame:
    """Data as named columns of equal length; nothing in it changes.

    ``rows``: for each row its number in the data the user gave, counted from 1. ``row_labels``: the index of
    a pandas frame, None for other data. Both only serve messages; they survive `take`.

    How columns are read (missing values become NaN, or code -1):

    - integers and floats, nullable and Arrow types included: `Numeric`
    - booleans: `Numeric` with ``logical``
    - pandas ``Categorical``, polars ``Enum`` and ``Categorical``, Arrow dictionaries: `Factor` with their
      order of levels; ``ordered`` as pandas and Arrow say (an ``Enum`` only declares an order of levels: it
      is not an ordered factor; write ``ordered(x)``). Polars sorts a ``Categorical`` as text, and so do we.
    - strings: `Factor` whose levels are sorted by code point, as R does in the C locale
    - dates, times, lists, mixtures of types: `DataError` when the column is used
    """

    columns: Mapping[str, Column]
    n_rows: int
    rows: NDArray[np.int64]
    row_labels: NDArray[Any] | None = None

    @classmethod
    def from_any(cls, data: Any) -> Frame:
        """From a pandas, polars or pyarrow frame, or a dict of sequences or arrays. Raises `DataError`."""
        if isinstance(data, Frame):
            return data
        if isinstance(data, Mapping):
            return _from_mapping(data)
        return _from_dataframe(data)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Column]) -> Frame:
        """From columns that are already what the model needs."""
        sizes = {len(column) for column in columns.values()}
        if len(sizes) > 1:
            raise _different_lengths({name: len(column) for name, column in columns.items()})
        n_rows = sizes.pop() if sizes else 0
        return cls(dict(columns), n_rows, np.arange(1, n_rows + 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column ``name``. Raises `DataError`, with the nearest name, when there is none."""
        if name not in self.columns:
            near = difflib.get_close_matches(name, self.names, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; its columns are {listing(self.names)}"
            raise DataError(f"column `{name}` is not in the data{hint}")
        return self.columns[name]

    def row_name(self, position: int) -> str:
        """How a message calls a row: ``row 3``, and its label when the data have an index: ``row 3 (index
        b)``.
        """
        label = "" if self.row_labels is None else f" (index {self.row_labels[position]})"
        return f"row {self.rows[position]}{label}"

    def take(self, rows: NDArray[Any]) -> Frame:
        """The given rows: a mask (n,) or positions."""
        rows = np.asarray(rows)
        labels = None if self.row_labels is None else self.row_labels[rows]
        columns = _Columns(self.names, lambda name: _take(self.columns[name], rows))
        numbers = self.rows[rows]
        return Frame(columns, len(numbers), numbers, labels)

    def select(self, names: Sequence[str]) -> Frame:
        """The given columns only. Raises `DataError` for one that is not there."""
        return replace(self, columns={name: self[name] for name in names})

    def drop_unused_levels(
        self, variables: Sequence[str] | None = None
    ) -> tuple[Frame, dict[str, tuple[str, ...]]]:
        """Without the factor levels that no row has, and which these were, by variable (for a message).

        ``variables``: the columns to look at (default: all); the others stay as they are.
        """
        changed: dict[str, Column] = {}
        gone: dict[str, tuple[str, ...]] = {}
        for name in self.names if variables is None else variables:
            column = self[name]
            if isinstance(column, Factor):
                kept = drop_unused(column)
                if kept is not column:
                    changed[name] = kept
                    remaining = set(kept.levels)
                    # Text has no declared levels: a string that no row holds any more is no news.
                    if not column.text:
                        gone[name] = tuple(level for level in column.levels if level not in remaining)
        if not changed:
            return self, gone
        columns = _Columns(self.names, lambda name: changed[name] if name in changed else self.columns[name])
        return replace(self, columns=columns), gone

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame, for the user: factors as ``Categorical``, text as strings."""
        import pandas as pd

        parts: dict[str, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, Numeric) and column.values.ndim == 2:
                suffixes = column.columns or tuple(str(j + 1) for j in range(column.values.shape[1]))
                parts |= {name + suffix: column.values[:, j] for j, suffix in enumerate(suffixes)}
            else:
                parts[name] = _pandas_values(column)
        index = range(self.n_rows) if self.row_labels is None else self.row_labels
        return pd.DataFrame(parts, index=index)


def _pandas_values(column: Column) -> Any:
    import pandas as pd

    if isinstance(column, Factor):
        if column.text:
            return np.array([*column.levels, None], dtype=object)[column.codes]
        return pd.Categorical.from_codes(
            column.codes.astype(np.intp), pd.Index(column.levels), ordered=column.ordered
        )
    if np.isnan(column.values).any():
        return column.values
    if column.logical:
        return column.values.astype(bool)
    return column.values.astype(np.int64) if column.integer else column.values


def _take(column: Column, rows: NDArray[Any]) -> Column:
    if isinstance(column, Numeric):
        return replace(column, values=column.values[rows])
    return replace(column, codes=column.codes[rows])


def _from_mapping(data: Mapping[Any, Any]) -> Frame:
    values: dict[str, Any] = {}
    for key, value in data.items():
        series = narwhals_series(value)
        if series is None and (isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__")):
            raise DataError(f"column `{key}` is {type(value).__name__} {value!r}, not a sequence of values")
        values[str(key)] = value if series is None else series
    sizes = {name: len(value) for name, value in values.items()}
    if len(set(sizes.values())) > 1:
        raise _different_lengths(sizes)
    n_rows = next(iter(sizes.values()), 0)
    _refuse_bad_shape([str(key) for key in data], n_rows)

    def read(name: str) -> Column:
        series = narwhals_series(values[name])
        return column_of_array(values[name], name) if series is None else column_of_series(series, name)

    return Frame(_Columns(tuple(values), read), n_rows, np.arange(1, n_rows + 1))


def _from_dataframe(data: Any) -> Frame:
    import narwhals as nw

    # The only two whose names may repeat; narwhals would say so without naming a remedy.
    if nw.dependencies.is_pandas_dataframe(data):
        _refuse_duplicates([str(name) for name in data.columns])
    elif nw.dependencies.is_pyarrow_table(data):
        _refuse_duplicates(data.column_names)
    frame = nw.from_native(data, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, nw.DataFrame):
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        raise DataError(
            f"data must be a pandas, polars or pyarrow data frame or a dict of columns, not {kind}"
        )
    _refuse_bad_shape([str(name) for name in frame.columns], frame.shape[0])
    labels = {str(name): name for name in frame.columns}
    native = frame.to_native()
    index = None
    if frame.implementation.is_pandas():
        # A default index stays the three numbers that it is.
        index = native.index if type(native.index).__name__ == "RangeIndex" else native.index.to_numpy()

    def read(name: str) -> Column:
        return column_of_series(frame.get_column(labels[name]), name)

    return Frame(_Columns(tuple(labels), read), frame.shape[0], np.arange(1, frame.shape[0] + 1), index)


def _refuse_bad_shape(names: Sequence[str], n_rows: int) -> None:
    if not names:
        raise DataError("the data have no columns")
    _refuse_duplicates(names)
    if n_rows == 0:
        raise DataError("the data have no rows")


def _refuse_duplicates(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"the data have more than one column called `{twice}`: rename or drop one of them")


def _different_lengths(sizes: Mapping[str, int]) -> DataError:
    shown = ", ".join(f"`{name}` has {size}" for name, size in list(sizes.items())[:6])
    return DataError(f"columns have different lengths: {shown}")
