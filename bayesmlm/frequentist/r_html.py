"""Tables of coefficients as HTML, with the numbers of the printed form."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from .r_print import coefficient_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["coefficient_table"]


def coefficient_table(table: pd.DataFrame, digits: int = 4) -> str:
    """``table`` (R's columns, p values last) as an HTML table; numbers as `r_print.coefficient_lines` writes them."""
    columns = coefficient_columns(table, digits)
    head = "".join(f"<th>{html.escape(name.strip())}</th>" for name in columns)
    rows = "".join(
        f"<tr><th>{html.escape(str(name))}</th>"
        + "".join(f'<td style="text-align:right">{html.escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, *cells in zip(table.index, *columns.values(), strict=True)
    )
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
