"""The page on glmer() runs as it is written, and names methods that exist."""

from __future__ import annotations

import re
from typing import Any

import bayesmlm as bm
from bayesmlm.frequentist.generalised_fit import GeneralisedFit

from ..support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "glmer.md").read_text(encoding="utf-8")


def test_examples_run_in_order() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(compile(block, "glmer.md", "exec"), names)
    assert abs(names["same"].logLik() - -91.983) < 5e-4
    assert set(names["n"].constants) == {"shape"}


def test_methods_exist() -> None:
    known = {*dir(GeneralisedFit), *GeneralisedFit.__dataclass_fields__}
    assert set(re.findall(r"\b[mg]\.([A-Za-z]\w*)", PAGE)) <= known | {"nb"}
    assert set(re.findall(r"\bbm\.([A-Za-z]\w*)", PAGE)) <= set(dir(bm))
