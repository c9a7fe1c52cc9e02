"""Levels of grouping factors against brms's, and matching them in new data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesmlm.data.columns import Factor
from bayesmlm.data.frame import Frame
from bayesmlm.data.levels import group_codes, match_codes, number_names
from bayesmlm.errors import DataError

from ..support import reference
from .frames import data_of

GROUPS = reference("model_matrix")["groups"]
DATA = data_of(reference("model_matrix")["groups_data"])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: ":".join(group["variables"]))
def test_levels_are_those_of_brms(group: dict[str, Any]) -> None:
    codes, levels = group_codes(Frame.from_any(DATA), group["variables"])
    assert list(levels) == group["levels"]
    assert [levels[code] for code in codes] == group["rows"]
    assert codes.dtype == np.int32
