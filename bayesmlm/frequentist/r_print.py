"""Numbers as R prints them: ``format()``, ``format.pval()``, ``printCoefmat()``, named vectors.

Written from R's documented behaviour (``?format``, ``?print.default``, ``?printCoefmat``, ``?format.pval``): a vector
gets as many decimals as its most demanding element needs to show ``digits`` significant digits, and is written in
fixed notation unless scientific notation is narrower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results.summary import r_matrix

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEGEND",
    "coefficient_columns",
    "coefficient_lines",
    "format_numbers",
    "format_p_values",
    "named_vector_lines",
    "number",
    "stars",
    "zapsmall",
]

LEGEND = "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"
SMALLEST = float(np.finfo(float).eps)
"""R writes p values below this as ``<2e-16``."""

_CUTS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))


def stars(p: float) -> str:
    """R's code of significance: ``***`` up to 0.001, ``**`` 0.01, ``*`` 0.05, ``.`` 0.1, else nothing."""
    return next((code for cut, code in _CUTS if p <= cut), "")


def format_numbers(values: Sequence[float], digits: int = 7) -> list[str]:
    """``values`` as R's ``format(values, digits=)``, not padded; missing values are ``NA``."""
    finite = [x for x in values if math.isfinite(x)]
    parts = [_significant(x, digits) for x in finite]
    decimals = max([0, *(used - power - 1 for power, used in parts)])
    mantissa = max([0, *(used - 1 for _, used in parts)])
    # R counts the sign: in fixed notation with its own number, in scientific notation for all of them.
    left = max([1, *(max(power + 1, 1) + (x < 0) for x, (power, _) in zip(finite, parts, strict=True))])
    fixed_width = left + decimals + (decimals > 0)
    exponent = 3 if any(abs(power) >= 100 for power, _ in parts) else 2
    scientific_width = any(x < 0 for x in finite) + mantissa + 1 + (mantissa > 0) + 2 + exponent
    fixed = fixed_width <= scientific_width
    return [_written(x, decimals if fixed else mantissa, fixed) for x in values]


def number(value: float, digits: int) -> str:
    """One number with ``digits`` significant digits, trailing zeros dropped (R's ``formatC(x, digits=)``)."""
    return f"{value:.{digits}g}" if math.isfinite(value) else _written(value, 0, True)


def zapsmall(values: Sequence[float], digits: int) -> list[float]:
    """``values`` rounded so that those tiny beside the largest become 0."""
    largest = max((abs(x) for x in values if math.isfinite(x)), default=0.0)
    places = max(0, math.floor(digits - math.log10(largest) + 0.5)) if largest > 0 else digits
    return [float(np.round(x, places)) + 0.0 for x in values]  # no negative zeros


def format_p_values(values: Sequence[float], digits: int = 5, smallest: float = SMALLEST) -> list[str]:
    """p values as R's ``format.pval``: large ones in one fixed format, small ones scientific, tiny ones ``<2e-16``."""
    large = [p for p in values if p >= smallest and _is_fixed(p, digits)]
    small = [p for p in values if p >= smallest and not _is_fixed(p, digits)]
    shown = dict(zip(large, format_numbers(large, digits), strict=True))
    shown |= dict(zip(small, format_numbers(small, digits), strict=True))
    tiny = _tiny(max((len(text) for text in shown.values()), default=0), max(1, digits - 2), smallest)
    return ["NA" if math.isnan(p) else tiny if p < smallest else shown[p] for p in values]


def _is_fixed(p: float, digits: int) -> bool:
    power = math.floor(math.log10(p))
    return power >= -3 or (power == -4 and digits > 1)


def _tiny(width: int, digits: int, smallest: float) -> str:
    """How p values below ``smallest`` are written beside others of this width (0: there are none)."""
    if width and digits > 1 and digits + 6 > width:
        digits = max(1, width - 7)
    close = digits == 1 and width <= 6
    return f"<{'' if close else ' '}{format_numbers([smallest], digits)[0]}"


def named_vector_lines(values: Mapping[str, str], width: int = 80, gap: int = 1) -> list[str]:
    """A named vector as R prints it: names above, all columns equally wide, wrapped at ``width``."""
    if not values:
        return []
    wide = max(len(text) for pair in values.items() for text in pair)
    at_once = max(1, width // (wide + gap))
    items = list(values.items())
    lines = []
    for start in range(0, len(items), at_once):
        part = items[start : start + at_once]
        lines += ["".join(text.rjust(wide) + " " * gap for text in row) for row in zip(*part, strict=True)]
    return lines


def coefficient_lines(
    table: pd.DataFrame, digits: int = 4, *, width: int = 80, signif_stars: bool = True, **options: Any
) -> list[str]:
    """A table of coefficients or tests as R's ``printCoefmat`` prints it, with stars and their legend.

    ``options``: those of `coefficient_columns`.
    """
    columns = coefficient_columns(table, digits, signif_stars=signif_stars, **options)
    lines = r_matrix([str(name) for name in table.index], columns, width)
    return [*lines, "---", LEGEND] if any(not name.strip() for name in columns) else lines


def coefficient_columns(
    table: pd.DataFrame,
    digits: int = 4,
    *,
    estimates: Sequence[str] = ("Estimate", "Std. Error"),
    statistics: Sequence[str] = ("df", "t value", "z value", "F value"),
    small_to_zero: Sequence[str] = (),
    missing: str = "NA",
    signif_stars: bool = True,
) -> dict[str, list[str]]:
    """The cells of a table of coefficients or tests, by column; stars are a last column without a name.

    ``estimates``: columns that share one format; ``statistics``: columns shown with at most ``digits - 1`` decimals;
    ``small_to_zero``: columns whose tiny values are shown as 0. A column whose name starts with ``Pr(`` holds p
    values; others are formatted by themselves. ``missing``: what stands for a missing value.
    """
    places = max(1, min(5, digits - 1))
    columns: dict[str, list[str]] = {}
    joint = _joint_format(table, [name for name in estimates if name in table.columns], digits)
    for name in map(str, table.columns):
        values = [float(x) for x in table[name]]
        if name in joint:
            columns[name] = joint[name]
        elif name in statistics:
            # no negative zeros
            columns[name] = format_numbers([float(np.round(x, places)) + 0.0 for x in values], digits)
        elif name.startswith("Pr("):
            columns[name] = format_p_values(values, places)
        else:
            values = zapsmall(values, digits) if name in small_to_zero else values
            columns[name] = format_numbers(values, digits)
        columns[name] = [missing if x == "NA" else x for x in columns[name]]
    p_values = next(([float(p) for p in table[c]] for c in table.columns if str(c).startswith("Pr(")), [])
    if signif_stars and any(p < 0.1 for p in p_values):
        codes = [stars(p) for p in p_values]
        wide = max(len(code) for code in codes)
        columns[" " * wide] = [code.ljust(wide) for code in codes]
    return columns


def _joint_format(table: pd.DataFrame, names: Sequence[str], digits: int) -> dict[str, list[str]]:
    """Estimates and standard errors in one format, so that they can be compared digit by digit."""
    if not names:
        return {}
    values = table[list(names)].to_numpy(dtype=float)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    least = 1 + math.floor(math.log10(sizes.min())) if sizes.size else 0
    rounded = np.round(values, max(1, digits - least))
    cells = np.array(format_numbers(rounded.T.ravel().tolist(), digits), dtype=object)
    cells = cells.reshape(len(names), -1)
    vanished = np.array([[_is_zero(c) for c in row] for row in cells]) & (values.T != 0)
    if vanished.any():
        cells[vanished] = format_numbers(values.T[vanished].tolist(), max(1, digits - 1))
    return {name: list(row) for name, row in zip(names, cells, strict=True)}


def _is_zero(cell: str) -> bool:
    return cell not in ("NA", "NaN", "Inf", "-Inf") and float(cell) == 0


def _significant(x: float, digits: int) -> tuple[int, int]:
    """(power of ten, significant digits used) of ``x`` rounded to ``digits``, trailing zeros not counted."""
    if x == 0:
        return 0, 1
    mantissa, power = f"{abs(x):.{digits - 1}e}".split("e")
    used = len(mantissa.replace(".", "").rstrip("0"))
    return int(power), max(1, used)


def _written(x: Any, decimals: int, fixed: bool) -> str:
    if math.isnan(x):
        return "NA"
    if math.isinf(x):
        return "Inf" if x > 0 else "-Inf"
    return f"{x:.{decimals}f}" if fixed else f"{x:.{decimals}e}"
