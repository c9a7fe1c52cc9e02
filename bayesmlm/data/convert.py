"""One column of the user's data to a `Column`, whatever library it comes from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .columns import Column, Factor, Numeric
from .levels import EXACT_INTEGERS, LOGICAL_LEVELS, match_levels, number_names

__all__ = ["column_of_array", "column_of_series", "narwhals_series"]

_WORDS = {bool: "TRUE/FALSE", float: "numbers", str: "text"}


def narwhals_series(value: Any) -> nw.Series[Any] | None:
    """``value`` as a narwhals series when it is a series of some library, else None."""
    if isinstance(value, nw.Series):
        return value
    series = nw.from_native(value, series_only=True, pass_through=True)
    return series if isinstance(series, nw.Series) else None


def column_of_series(series: nw.Series[Any], name: str) -> Column:
    """A series as a `Column`. Raises `DataError` for what a model cannot use (dates, lists, mixtures)."""
    kind = series.dtype
    if isinstance(kind, nw.Enum | nw.Categorical):
        return _categorical(series, name)
    if isinstance(kind, nw.Boolean):
        return Numeric(_floats(series), logical=True)
    if kind.is_integer():
        return _integers(series, name)
    if kind.is_numeric():
        return Numeric(_floats(series))
    if isinstance(kind, nw.String | nw.Object):
        return column_of_array(series.to_numpy(), name)
    if isinstance(kind, nw.Unknown) and series.null_count() == len(series):
        return Numeric(np.full(len(series), np.nan))
    raise _unusable(name, str(kind))


def column_of_array(values: Any, name: str) -> Column:
    """A numpy array, list or other sequence as a `Column`; 2-D arrays of numbers become a matrix."""
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values)
        values = values.data.astype(object)
        values[masked] = None
    if not isinstance(values, np.ndarray):
        values = _object_array(list(values))
    if values.dtype.kind in "biuf":
        return _numbers(values, name)
    if values.dtype.kind == "U":
        return _text(values.astype(object))
    if values.dtype.kind == "O" and values.ndim == 1:
        return _objects(values, name)
    shape = f"{values.ndim}-dimensional " if values.ndim > 1 else ""
    raise _unusable(name, f"{shape}{values.dtype}")


def _object_array(values: list[Any]) -> NDArray[Any]:
    """One object for each element: numpy would turn [1, "a"] into text and [[1], [2]] into a matrix."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _numbers(values: NDArray[Any], name: str) -> Numeric:
    if values.ndim > 2:
        raise _unusable(name, f"{values.ndim}-dimensional {values.dtype}")
    integer, logical = values.dtype.kind in "iu", values.dtype.kind == "b"
    if integer and values.size:
        _refuse_large(int(values.min()), int(values.max()), name)
    columns = tuple(str(j + 1) for j in range(values.shape[1])) if values.ndim == 2 else None
    return Numeric(values.astype(np.float64), integer=integer, logical=logical, columns=columns)


def _integers(series: nw.Series[Any], name: str) -> Numeric:
    if series.null_count() < len(series):
        _refuse_large(int(series.min()), int(series.max()), name)
    return Numeric(_floats(series), integer=True)


def _refuse_large(smallest: int, largest: int, name: str) -> None:
    if max(-smallest, largest) > EXACT_INTEGERS:
        raise DataError(
            f"column `{name}` has integers beyond 2^53, which double precision cannot tell apart; "
            "if they are identifiers, convert the column to text"
        )


def _floats(series: nw.Series[Any]) -> NDArray[np.float64]:
    """float64 with NaN for every kind of missing value."""
    if series.implementation.is_pandas():
        # na_value covers pandas' nullable and Arrow types, which otherwise give objects
        return np.asarray(series.to_native().to_numpy(dtype=np.float64, na_value=np.nan))
    return np.array(series.cast(nw.Float64()).to_numpy(), dtype=np.float64)


def _objects(values: NDArray[Any], name: str) -> Column:
    """Python objects: all of one kind, or missing."""
    import pandas as pd

    missing = pd.isna(values)
    present = values[~missing]
    kinds = {kind: _kind_of(kind) for kind in set(map(type, present))}
    if len(set(kinds.values())) > 1 or None in kinds.values():
        raise _mixed(values, missing, kinds, name)
    kind = next(iter(kinds.values()), float)
    if kind is str:
        return _text(values)
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = present.astype(np.float64)
    integer = kind is float and bool(kinds) and all(issubclass(k, int | np.integer) for k in kinds)
    if integer:
        _refuse_large(min(map(int, present)), max(map(int, present)), name)
    return Numeric(numbers, integer=integer, logical=kind is bool)


def _kind_of(python_type: type) -> type | None:
    if issubclass(python_type, bool | np.bool_):
        return bool
    if issubclass(python_type, int | float | np.integer | np.floating | Decimal):
        return float
    return str if issubclass(python_type, str) else None


def _mixed(
    values: NDArray[Any], missing: NDArray[np.bool_], kinds: dict[type, type | None], name: str
) -> DataError:
    """Which rows hold what: the first value, and the first of another kind (or one no model can use)."""
    present = np.flatnonzero(~missing)
    unusable = next((i for i in present if kinds[type(values[i])] is None), None)
    if unusable is not None:
        value = values[unusable]
        return DataError(
            f"column `{name}` holds {type(value).__name__} {value!r} in row {unusable + 1}; "
            "a model can use numbers, TRUE/FALSE and text"
        )
    first = kinds[type(values[present[0]])]
    other = next(i for i in present if kinds[type(values[i])] is not first)
    rows = [(i, _WORDS[kinds[type(values[i])] or str]) for i in (present[0], other)]
    words = " and ".join(word for _, word in rows)
    cells = ", ".join(f"row {i + 1} holds {values[i]!r}" for i, _ in rows)
    return DataError(f"column `{name}` mixes {words}: {cells}; convert it to one type")


def _text(values: NDArray[Any]) -> Factor:
    import pandas as pd

    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    texts = [str(text) for text in distinct]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    rank = np.full(len(texts) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(texts), dtype=np.int32)
    return Factor(rank[codes], tuple(texts[i] for i in order), text=True)


def _categorical(series: nw.Series[Any], name: str) -> Factor:
    native = series.to_native()
    if series.implementation.is_pandas():
        if hasattr(native.array, "__arrow_array__") and not hasattr(native, "cat"):
            return _arrow_dictionary(native.array.__arrow_array__(), name)
        codes, categories = native.cat.codes.to_numpy(), list(native.cat.categories)
        return Factor(codes.astype(np.int32), _category_names(categories, name), bool(native.cat.ordered))
    if series.implementation.is_pyarrow():
        return _arrow_dictionary(native, name)
    if isinstance(series.dtype, nw.Enum):
        levels = tuple(series.dtype.categories)
        text = _text(series.cast(nw.String()).to_numpy())
        places = np.append(match_levels(text.levels, levels), np.int32(-1))
        return Factor(places[text.codes], levels)
    text = _text(series.cast(nw.String()).to_numpy())
    return Factor(text.codes, text.levels)


def _arrow_dictionary(array: Any, name: str) -> Factor:
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    whole = array.unify_dictionaries().combine_chunks() if hasattr(array, "combine_chunks") else array
    # as int64 first: the indices may be unsigned, and then cannot hold -1
    indices = pc.fill_null(whole.indices.cast("int64"), -1).to_numpy(zero_copy_only=False)
    levels = _category_names(whole.dictionary.to_pylist(), name)
    return Factor(indices.astype(np.int32), levels, bool(whole.type.ordered))


def _category_names(categories: list[Any], name: str) -> tuple[str, ...]:
    if categories and all(isinstance(c, bool | np.bool_) for c in categories):
        names = [LOGICAL_LEVELS[int(c)] for c in categories]
    elif categories and all(isinstance(c, int | float | np.integer | np.floating) for c in categories):
        names = number_names(np.asarray(categories, dtype=np.float64))
    else:
        names = [str(c) for c in categories]
    if len(set(names)) < len(names):
        twice = next(n for i, n in enumerate(names) if n in names[:i])
        raise DataError(f"column `{name}` has two categories that would both be called `{twice}`")
    return tuple(names)


def _unusable(name: str, kind: str) -> DataError:
    temporal = any(word in kind.lower() for word in ("date", "time", "duration"))
    remedy = (
        "make a number of it first, for example days since the first date"
        if temporal
        else "a model can use numbers, TRUE/FALSE, text and categories"
    )
    return DataError(f"column `{name}` holds {kind} values: {remedy}")
