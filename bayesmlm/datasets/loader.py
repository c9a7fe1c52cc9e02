"""From a name to a data frame: CSV files, and a ``schema.json`` beside them: what each column is in R.

A schema maps a data set's name to ``{"columns": {name: {"type": ..., "levels": ...}}}``. The type is
``numeric``, ``integer``, ``character``, ``factor`` or ``ordered``. Levels are a list in R's order, or a text
where R's order is that of the numbers the levels spell (thousands of identifiers need no list). A CSV does
not hold types, and R's order of levels decides which level a contrast is against, so neither is guessed.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dataset_names", "load_dataset", "read_dataset"]

Schema = Mapping[str, Mapping[str, Any]]

SHIPPED = Path(__file__).parent
ENDINGS = (".csv", ".csv.gz")

NOT_SHIPPED = {
    "hsball": "data_files/hsball.sav of github.com/marklhc/marklai-pages",
    "classroom": "data/classroom.rda of the R package WWGbook 1.0.2",
    "nels": "decks/data/nels_mathdat of github.com/david-dunson/david-dunson.github.io",
    "imm10": "imm10.csv of github.com/srk7774/data",
    "dapr3_mindfuldecline": "dapr3_mindfuldecline.csv of github.com/uoepsy/data",
    "dapr3_mindfuldeclineFULL": "dapr3_mindfuldeclineFULL.csv of github.com/uoepsy/data",
    "lmm_lifesatscot": "lmm_lifesatscot.csv of github.com/uoepsy/data",
    "lme4output": "dapr3_lectures/archive/2425/lmer/data/lme4output.csv of github.com/uoepsy/dapr3",
    "radon_mn": "posterior_database/data/data/radon_mn.json.zip of github.com/stan-dev/posteriordb",
    "InstEval": "the R package lme4",
    "Hsb82": "the R package mlmRev",
    "Owls": "the R package glmmTMB",
    "Salamanders": "the R package glmmTMB",
    "epil2": "the R package glmmTMB",
}
"""Data that models are often shown on and the package may not, or need not, carry: name to public source."""


def dataset_names() -> tuple[str, ...]:
    """The names `load_dataset` knows, sorted: what ships, and what lies in the folder ``BAYESMLM_DATA``."""
    folders = [SHIPPED, *_user_folder()]
    files = [path.name for folder in folders for path in folder.iterdir()]
    names = {name.partition(".csv")[0] for name in files if name.endswith(ENDINGS)}
    return tuple(sorted(names, key=str.casefold))


def load_dataset(name: str) -> pd.DataFrame:
    """One of the example data sets as a pandas DataFrame, with the columns and rows of its R original.

    Factors are pandas Categoricals with R's levels in R's order (ordered where R's are), numbers float64,
    integers int64 (float64 where some are missing), texts str. ``NA`` in a file is a missing value.
    `dataset_names` lists the names; ``SOURCES.md`` in this folder gives the source and licence of each.

    The folder that the environment variable ``BAYESMLM_DATA`` names, if set, is looked into first:
    ``<name>.csv`` or ``<name>.csv.gz``, with the types of its ``schema.json`` (described at the top of
    ``bayesmlm/datasets/loader.py``) if that describes the file; otherwise pandas guesses the types.

    Raises `DataError`: no such data set (near names are given, or where to get one that does not ship), or a
    file that its schema does not fit (the column and the value are named).
    """
    for folder in [*_user_folder(), SHIPPED]:
        found = read_dataset(folder, name)
        if found is not None:
            return found
    raise DataError(_why_not(name))


def read_dataset(folder: Path, name: str) -> pd.DataFrame | None:
    """The data set ``name`` of one folder, or None where the folder has no such file."""
    # Listed, not opened by name: on a file system that ignores case "Oats" must not find "oats.csv".
    path = next((path for path in folder.iterdir() if path.name in {name + e for e in ENDINGS}), None)
    if path is None:
        return None
    schema = _schema(folder).get(name)
    return _read_guessing(path) if schema is None else _read_typed(path, schema["columns"])


def _user_folder() -> list[Path]:
    named = os.environ.get("BAYESMLM_DATA")
    if not named:
        return []
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(f"The environment variable BAYESMLM_DATA names {named!r}, which is not a folder.")
    return [folder]


def _why_not(name: str) -> str:
    if name in NOT_SHIPPED:
        return (
            f"The data set {name!r} does not ship with bayesmlm. Its source is {NOT_SHIPPED[name]}: save it "
            f"as {name}.csv in a folder and set the environment variable BAYESMLM_DATA to that folder."
        )
    known = dataset_names()
    by_folded = {other.casefold(): other for other in (*known, *NOT_SHIPPED)}
    near = [by_folded[match] for match in difflib.get_close_matches(str(name).casefold(), by_folded, n=3)]
    meant = f" Did you mean {' or '.join(repr(other) for other in near)}?" if near else ""
    return f"There is no data set {name!r}.{meant} Available: {', '.join(known)}."


def _schema(folder: Path) -> Schema:
    path = folder / "schema.json"
    if not path.is_file():
        return {}
    try:
        schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    return schema


def _read_guessing(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path, na_values=["NA"])


def _read_typed(path: Path, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    # As text first: pandas' own float parser may miss the nearest double by one unit, and "1" may be a level.
    text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["NA"])
    if set(text.columns) != set(columns):
        odd = sorted(set(text.columns) ^ set(columns))
        raise DataError(f"The columns of {path} and those its schema.json lists differ in: {', '.join(odd)}.")
    return pd.DataFrame({name: _typed(path, text[name], columns[name]) for name in text.columns})


def _typed(path: Path, column: pd.Series, kind: Mapping[str, Any]) -> pd.Series:
    match kind["type"]:
        case "character":
            return column
        case "numeric" | "integer":
            return _numbers(path, column, integer=kind["type"] == "integer")
        case "factor" | "ordered":
            return _factor(path, column, kind["levels"], ordered=kind["type"] == "ordered")
        case other:
            raise DataError(f"schema.json beside {path}: column {column.name!r} has unknown type {other!r}.")


def _numbers(path: Path, column: pd.Series, integer: bool) -> pd.Series:
    try:
        numbers = column.astype("float64")
    except ValueError as error:
        raise DataError(f"{path}: column {column.name!r} should hold numbers: {error}.") from None
    return numbers.astype("int64") if integer and not numbers.isna().any() else numbers


def _factor(path: Path, column: pd.Series, levels: list[str] | str, ordered: bool) -> pd.Series:
    import pandas as pd

    present = column.dropna().unique()
    names = sorted(present, key=float) if isinstance(levels, str) else levels
    unknown = sorted(set(present) - set(names))
    if unknown:
        listed = ", ".join(unknown[:5])
        raise DataError(f"{path}: schema.json lists no such levels of column {column.name!r}: {listed}.")
    return column.astype(pd.CategoricalDtype(names, ordered=ordered))
