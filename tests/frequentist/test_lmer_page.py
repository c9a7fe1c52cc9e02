"""The page on lmer() runs as it is written, and names methods that exist."""

from __future__ import annotations

import re
from typing import Any

import bayesmlm as bm
from bayesmlm.frequentist.fit import MixedFit

from ..support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "lmer.md").read_text(encoding="utf-8")


def test_examples_run_in_order() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(compile(block, "lmer.md", "exec"), names)
    assert names["pastes"].ngrps == {"cask:batch": 30, "batch": 10}
    assert not names["days"].is_singular


def test_methods_exist() -> None:
    known = {*dir(MixedFit), *MixedFit.__dataclass_fields__}
    assert set(re.findall(r"\bm\.([A-Za-z]\w*)", PAGE)) <= known
    assert set(re.findall(r"\bbm\.([A-Za-z]\w*)", PAGE)) <= set(dir(bm))
