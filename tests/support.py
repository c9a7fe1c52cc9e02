"""Where tests find numbers to compare with, and data that the repository may not hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bayesmlm.datasets.loader import read_dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["local_data", "reference", "with_slow"]

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent


def with_slow(names: Iterable[str], *slow: str) -> list[Any]:
    """The names as values of a parameter, those that are ``slow`` left to `make validate`."""
    return [pytest.param(name, marks=pytest.mark.validate) if name in slow else name for name in names]


@cache
def reference(name: str) -> dict[str, Any]:
    """``tests/reference/<name>.json``; see its README. Shared by all callers: not to be changed."""
    content: dict[str, Any] = json.loads((TESTS / "reference" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def local_data(name: str) -> pd.DataFrame:
    """Data that may not be redistributed, from BAYESMLM_DATA or ../shared/data; skips if it is not there."""
    folder = Path(os.environ.get("BAYESMLM_DATA") or REPOSITORY.parent / "shared" / "data")
    data = read_dataset(folder, name) if folder.is_dir() else None
    if data is None:
        pytest.skip(f"{name} is not redistributed: set BAYESMLM_DATA to a folder that holds {name}.csv")
    return data
