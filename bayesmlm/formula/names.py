"""How brms turns terms and responses into names of coefficients and parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import FormulaError

__all__ = ["parameter_class", "rename", "rename_all", "response_name"]

_DELETED = " ()[],\"'?"
_REPLACED = {"+": "P", "-": "M", "*": "MU", "/": "D", "^": "E", "=": "EQ", "$": "USD"}
_TABLE = str.maketrans({**dict.fromkeys(_DELETED, ""), **_REPLACED})


def rename(text: str) -> str:
    """A coefficient's name as brms cleans it: ``I(x^2)`` is ``IxE2``, ``poly(z, 2)1`` is ``polyz21``.

    Blanks, brackets, commas, quotes and ``?`` go; ``+ - * / ^ = $`` become ``P M MU D E EQ USD``; ``:``
    stays.
    """
    return text.translate(_TABLE)


def rename_all(names: Iterable[str]) -> tuple[str, ...]:
    """`rename` for the names of one model; `FormulaError` if two of them become one."""
    origin: dict[str, str] = {}
    for name in names:
        cleaned = rename(name)
        if cleaned in origin:
            raise FormulaError(
                f"the coefficients `{origin[cleaned]}` and `{name}` would both be called `{cleaned}`"
            )
        origin[cleaned] = name
    return tuple(origin)


def response_name(text: str) -> str:
    """A response's name inside parameter names: ``y_1`` is ``y1``, ``log(y.a)`` is ``logya``, ``1y`` ``X1y``.

    R's ``make.names`` (other characters than letters, digits, ``.`` and ``_`` become dots, a leading ``X``
    makes it a name), and then all dots and underscores go.
    """
    made = re.sub(r"[^\w.]", ".", text.replace("`", ""))
    if not re.match(r"[^\W\d_]|\.(?![0-9])", made):
        made = "X" + made
    return made.replace(".", "").replace("_", "")


def parameter_class(name: str) -> str:
    """A distributional parameter's class, its name without the number: ``sigma2`` is of class ``sigma``."""
    return name.rstrip("0123456789")
